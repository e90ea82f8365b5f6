"""Fills Secrets that the stack made empty: `python -m infra.kubernetes.incluster.secrets NAMESPACE SPEC_JSON`.

So no generated value is ever in the stack's state, in an argument or in a log. A key that has a value keeps it, so the
Job may run any number of times, and a key is rotated by deleting it and running the Job again.

SPEC_JSON maps a Secret's name to its keys, and a key to one of
    {"random": 32}                                    that many random bytes, written URL-safe
    {"value": "admin"}                                as it is; nothing secret, since it stands in the Job
    {"template": "postgresql://slipway:{password}@database:5432/mlflow"}
        made of keys of the same Secret, or of another as {database.password}; made anew when it no longer fits
    {"postgres": {"host": ..., "port": 5432, "role": ..., "database": ..., "secret": ARN, "region": ...}}
        the URL of a role's own database on a server that a cloud manages; role and database are made there with the key
        `password` of the same Secret, by the administrator whose login the cloud keeps in its `secret`
"""

from __future__ import annotations

import argparse
import base64
import binascii
import json
import re
import secrets
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from infra.kubernetes.incluster import postgres
from infra.kubernetes.incluster.api import CONFLICT, Api, ApiError, Named
from infra.kubernetes.incluster.ending import Failure, run, say

Rules = Mapping[str, Mapping[str, Any]]
Values = dict[str, str]
_KINDS = ("value", "template")
_PASSWORD = "password"  # noqa: S105 - the name of a key
_LEAST_RANDOM = 16
_PLACE = re.compile(r"\{([A-Za-z0-9_.-]+)\}")
_TRIES = 5


def main(arguments: Sequence[str]) -> None:
    """Fill the Secrets of the specification."""
    parser = argparse.ArgumentParser(
        prog="python -m infra.kubernetes.incluster.secrets", description="fill missing keys of Secrets"
    )
    parser.add_argument("namespace")
    parser.add_argument("spec", help='JSON such as {"ray-token": {"auth_token": {"random": 32}}}')
    given = parser.parse_args(arguments)
    fill(Api.of_this_pod(), given.namespace, parse(given.spec))


def parse(text: str) -> dict[str, Rules]:
    """Return the specification.

    Raises:
        Failure: it is not JSON, or a rule is none of the four.
    """
    try:
        spec = json.loads(text)
    except ValueError as error:
        raise Failure(f"SPEC_JSON is not JSON: {error}") from None
    if not isinstance(spec, dict) or not all(isinstance(rules, dict) for rules in spec.values()):
        raise Failure("SPEC_JSON must map the names of Secrets to their keys")
    wrong = [
        f"{name}.{key}" for name, rules in spec.items() for key, rule in rules.items() if not _is_rule(rule, rules)
    ]
    if wrong:
        raise Failure(
            f'{", ".join(wrong)}: exactly one of {{"random": BYTES}} ({_LEAST_RANDOM} or more), {{"value": TEXT}}, '
            '{"template": TEXT}, {"postgres": SERVER} beside a key `password` is needed'
        )
    return spec


def _is_rule(rule: Any, beside: Rules) -> bool:
    if not isinstance(rule, dict) or len(rule) != 1:
        return False
    kind, value = next(iter(rule.items()))
    if kind == "random":
        return type(value) is int and value >= _LEAST_RANDOM
    if kind == "postgres":
        return _PASSWORD in beside and postgres.Server.parse(value) is not None
    return kind in _KINDS and isinstance(value, str)


def fill(api: Api, namespace: str, spec: Mapping[str, Rules]) -> None:
    """Fill every Secret, in the order given; a template may use the Secrets before its own.

    Raises:
        Failure: a template names a key that has no value, or the API refused.
    """
    known: dict[str, Values] = {}
    for name, rules in spec.items():
        what = Named("secrets", namespace, name)
        by_name = {key: rule for key, rule in rules.items() if "postgres" not in rule}
        # a password is kept before a server hears of it: two Jobs at once then agree on which one it is
        known[name] = _fill_one(api, what, by_name, known)
        urls = {
            key: {"template": _database(rule["postgres"], known[name][_PASSWORD])}
            for key, rule in rules.items()
            if "postgres" in rule
        }
        if urls:
            known[name] = _fill_one(api, what, {**by_name, **urls}, known)


def _database(rule: Mapping[str, Any], password: str) -> str:
    """Make what the rule asks for, and return its URL."""
    server = postgres.Server(**rule)
    postgres.ensure(server, password)
    return server.url(password)


def _fill_one(api: Api, what: Named, rules: Rules, others: Mapping[str, Values]) -> Values:
    for _ in range(_TRIES):
        found = api.get(what)
        present = {key: _decoded(what, key, value) for key, value in (found.get("data") or {}).items()}
        wanted = complete(what.name, rules, present, others)
        changed = sorted(key for key, value in wanted.items() if present.get(key) != value)
        if not changed:
            say(f"{what.name}: complete ({', '.join(sorted(rules))})")
            return wanted
        data = {key: base64.b64encode(wanted[key].encode()).decode() for key in changed}
        # the version makes two Jobs at once agree: the slower one reads what the faster one wrote
        version = {"resourceVersion": found["metadata"]["resourceVersion"]}
        try:
            api.patch(what, {"metadata": version, "data": data})
        except ApiError as error:
            if error.status != CONFLICT:
                raise
            continue
        say(f"{what.name}: filled {', '.join(changed)}")
        return wanted
    raise Failure(f"{what} was changed by somebody else {_TRIES} times while it was being filled; run `up` again")


def _decoded(what: Named, key: str, value: str) -> str:
    try:
        return base64.b64decode(value, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise Failure(f"the key {key} of {what} does not hold text; delete the key, and run `up` again") from None


def complete(name: str, rules: Rules, present: Mapping[str, str], others: Mapping[str, Values]) -> Values:
    """Return all values of a Secret: those that it has, and new ones for what is missing or empty.

    Raises:
        Failure: a template names a key that has no value.
    """
    values = dict(present)
    for key, rule in rules.items():
        if "template" not in rule and not values.get(key):
            values[key] = secrets.token_urlsafe(rule["random"]) if "random" in rule else rule["value"]
    for key, rule in rules.items():
        if "template" in rule:
            values[key] = _composed(f"{name}.{key}", rule["template"], values, others)
    return values


def _composed(where: str, template: str, own: Mapping[str, str], others: Mapping[str, Values]) -> str:
    def value(match: re.Match[str]) -> str:
        secret, _, key = match[1].rpartition(".")
        found = (others.get(secret, {}) if secret else own).get(key)
        if not found:
            raise Failure(f"{where}: its template names {match[1]}, which has no value; list its Secret first")
        return found

    return _PLACE.sub(value, template)


if __name__ == "__main__":
    sys.exit(run(main, sys.argv[1:]))
