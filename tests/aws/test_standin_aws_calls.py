"""The stand-in of the AWS plugin, row by row: whatever is set reaches a call, and what is read back is what was set."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest

from tests.aws.standin_changes import CHANGES
from tests.aws.standin_cluster_examples import EXAMPLES
from tests.aws.standin_examples import Example, named, resolved
from tests.standins.aws_plugin import provider as provider_module
from tests.standins.aws_plugin import table
from tests.standins.aws_plugin.api import Api
from tests.standins.aws_plugin.fields import F, Fields
from tests.standins.aws_plugin.inputs import MADE_UP
from tests.standins.aws_plugin.provider import Found, Provider
from tests.standins.aws_plugin.row import Row, Work
from tests.standins.aws_server import AwsServer
from tests.standins.plugin.refused import InitFailed

SERVICES = (
    *("autoscaling", "budgets", "ec2", "ecr", "eks", "iam", "kms", "logs", "rds", "s3"),
    *("secretsmanager", "sns", "sts"),
)
# what is set by calling, or with the next change, instead of by a parameter; the tests of changes show that it is
BY_A_CALL = ("isEnabled", "enableKeyRotation", "resolveConflictsOnUpdate", "resolveConflictsOnCreate")


class Recorded:
    """A provider on the test server, in this process, and every parameter that it hands to botocore."""

    def __init__(self, server: AwsServer) -> None:
        import boto3  # noqa: PLC0415  as late as in the plugin

        self.provider = Provider()
        self.provider.configure(
            {
                "region": server.region,
                "accessKey": "test",
                "secretKey": "test",
                "endpoints": [dict.fromkeys(SERVICES, server.url)],
                "defaultTags": {"tags": {"slipway:stack": "recorded"}},
            }
        )
        self.calls: list[dict[str, Any]] = []
        api: Api = self.provider._api
        api._session = boto3.session.Session()
        api._session.events.register("provide-client-params.*.*", self._record)
        self.made: dict[str, dict[str, Any]] = {}

    def _record(self, params: dict[str, Any], model: Any, **_: Any) -> None:
        self.calls.append({"operation": model.name, **json.loads(json.dumps(params, default=str))})

    def create(self, name: str, example: Example) -> dict[str, Any]:
        """Make an example; return its inputs with everything that they name."""
        token, given = example
        urn = f"urn:pulumi:dev::test::{token}::{name}"
        inputs = self.provider.check(urn, {}, resolved(given, self.made), b"seed")
        self.calls.clear()
        identity, state = self.provider.create(urn, inputs, 60.0, preview=False)
        self.made[name] = {**state, "id": identity}
        return inputs


def leaves(value: Any) -> Iterator[str]:
    """Yield the values in some parameters, each as text; documents by what they mean."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield str(key)
            yield from leaves(item)
    elif isinstance(value, list):
        for item in value:
            yield from leaves(item)
    else:
        text = str(value).lower() if isinstance(value, bool) else str(value)
        yield json.dumps(json.loads(text), sort_keys=True) if text.startswith("{") else text


def given_leaves(fields: Fields, inputs: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    """Yield where each value in some inputs is, and the value, as far as it must reach the API."""
    for name, value in inputs.items():
        field = fields.get(name, F())
        if field.local or name == MADE_UP:
            continue
        inner = f"{path}.{name}".lstrip(".")
        if field.sub is not None:
            for item in value if isinstance(value, list) else [value]:
                yield from given_leaves(field.sub, item, inner)
        else:
            yield from ((inner, leaf) for leaf in leaves(value))


def dropped(row: Row, inputs: Mapping[str, Any], calls: list[dict[str, Any]]) -> list[str]:
    """Return what is set in the inputs and in no parameter of any call."""
    sent = {text.removeprefix("https://") for text in leaves(calls)}
    # `false` and 0 may go by leaving out a call that would switch something on
    unset = ("false", "0", "")
    wanted = given_leaves(row.all_fields, inputs)
    return [
        f"{path} = {text}"
        for path, text in wanted
        if text.removeprefix("https://") not in sent | {*unset} and path not in BY_A_CALL
    ]


# what another resource changes: a NAT gateway takes its address, a new subnet joins its VPC
LATER = {"address": ("associationId", "privateIp")}


@dataclass
class World:
    """Every example, made."""

    recorded: Recorded
    examples: dict[str, Example]
    inputs: dict[str, dict[str, Any]]
    lost: dict[str, list[str]]

    @property
    def provider(self) -> Provider:
        return self.recorded.provider

    def urn(self, name: str) -> str:
        return f"urn:pulumi:dev::test::{self.examples[name][0]}::{name}"

    def row(self, name: str) -> Row:
        return table.ROWS[self.examples[name][0]]

    def read(self, name: str) -> Found:
        made = self.recorded.made[name]
        state = {key: value for key, value in made.items() if key != "id"}
        return self.provider.read(self.urn(name), made["id"], state, self.inputs[name], 30.0)

    def changes(self, name: str, state: dict[str, Any], inputs: dict[str, Any]) -> list[str]:
        found = self.provider.diff(self.urn(name), state, self.inputs[name], inputs, [])
        return [f"{change.how} {change.text}" for change in found.changes]


@pytest.fixture(scope="module")
def world(server: AwsServer) -> World:
    recorded, examples = Recorded(server), named(EXAMPLES, f"t{uuid.uuid4().hex[:6]}")
    inputs, lost = {}, {}
    for name, example in examples.items():
        inputs[name] = recorded.create(name, example)
        lost[name] = dropped(table.ROWS[example[0]], inputs[name], recorded.calls)
    return World(recorded, examples, inputs, lost)


def test_whatever_is_set_reaches_a_call(world: World) -> None:
    assert {name: paths for name, paths in world.lost.items() if paths} == {}


def test_a_property_that_reaches_no_call_is_found_by_the_check_of_these_tests(world: World) -> None:
    inputs = {"cidrBlock": "10.1.2.0/24", "instanceTenancy": "default", "tags": {"Name": "x"}}
    calls = [{"operation": "CreateVpc", "InstanceTenancy": "default"}]
    assert dropped(world.row("vpc"), inputs, calls) == ["cidrBlock = 10.1.2.0/24", "tags = Name", "tags = x"]


def test_a_row_that_drops_a_property_fails_instead_of_dropping_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    forgetful = replace(world.row("logs"), fields={**world.row("logs").fields, "retentionInDays": F()})
    forgetful = replace(forgetful, create=lambda work: str(_make_log_group(work)))
    monkeypatch.setattr(provider_module, "row_of", lambda _: forgetful)
    with pytest.raises(InitFailed, match="retentionInDays reached no call of the API"):
        world.provider.create("urn:x::y::z::logs", {"name": "/tests/forgetful", "retentionInDays": 3}, 5, preview=False)
    world.recorded.provider._api.call("logs", "us-east-1", "delete_log_group", {"logGroupName": "/tests/forgetful"})


def _make_log_group(work: Work) -> str:
    work.call("create_log_group", **work.params("name"))
    return str(work.value("name"))


def test_what_is_read_is_what_was_made(world: World) -> None:
    different = {}
    for name, made in world.recorded.made.items():
        found = world.read(name)
        state = {key: value for key, value in made.items() if key != "id"}
        later = LATER.get(name, ())
        wrong = [*_differences(found.state, state), *_differences(found.inputs, world.inputs[name])]
        if wrong := [text for text in wrong if not text.startswith(later)]:
            different[name] = wrong
        if left := world.changes(name, found.state, world.inputs[name]):
            different[name] = left
    assert different == {}


def _differences(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    keys = {*one, *other}
    return [f"{key}: {one.get(key)!r}, not {other.get(key)!r}" for key in keys if one.get(key) != other.get(key)]


def test_what_can_change_changes_in_place(world: World) -> None:
    wrong = {}
    for name, wanted in named_changes(world).items():
        change = resolved(wanted, world.recorded.made)
        merged = {**world.inputs[name], **change}
        given = {key: value for key, value in merged.items() if key != "tagsAll" and value is not None}
        inputs = world.provider.check(world.urn(name), world.inputs[name], given, b"")
        made = world.recorded.made[name]
        state = {key: value for key, value in made.items() if key != "id"}
        found = world.provider.diff(world.urn(name), state, world.inputs[name], inputs, [])
        assert not found.replaces, f"{name}: {found.replaces}"
        world.recorded.calls.clear()
        after = world.provider.update(
            world.urn(name), made["id"], state, world.inputs[name], inputs, ignored=[], timeout_s=60, preview=False
        )
        changed = {key: inputs[key] for key in change if key in inputs}
        as_before = {f"{path} = {text}" for path, text in given_leaves(world.row(name).all_fields, world.inputs[name])}
        lost = [text for text in dropped(world.row(name), changed, world.recorded.calls) if text not in as_before]
        world.recorded.made[name] = {**after, "id": made["id"]}
        world.inputs[name] = inputs
        left = world.changes(name, world.read(name).state, inputs)
        if lost or left or not found.changes:
            wrong[name] = [*lost, *left, *([] if found.changes else ["no difference seen"])]
    assert wrong == {}


def named_changes(world: World) -> dict[str, dict[str, Any]]:
    unique = world.inputs["group"]["name"].removesuffix("-group")
    found: dict[str, dict[str, Any]] = json.loads(json.dumps(CHANGES).replace("~", unique))
    return found


def test_everything_goes_and_is_gone_and_goes_again(world: World) -> None:
    for name in reversed(world.examples):
        made = world.recorded.made[name]
        for _ in range(2):
            world.provider.delete(world.urn(name), made["id"], made, 60.0)
    never_goes = {"closed", "versions", "topic_policy"}
    left = [name for name in world.examples if name not in never_goes and world.read(name).identity]
    assert left == []


def test_every_property_of_every_row_is_in_an_example() -> None:
    shown: dict[str, set[str]] = {token: set() for token in table.ROWS}
    for token, inputs in EXAMPLES.values():
        shown[token] |= set(_paths(inputs))
    missing = {
        token: sorted(set(_fields(row.fields)) - shown[token])
        for token, row in table.ROWS.items()
        if set(_fields(row.fields)) - shown[token]
    }
    assert missing == {}


def _fields(fields: Fields, path: str = "") -> Iterator[str]:
    for name, field in fields.items():
        if not field.output:
            yield f"{path}{name}"
            yield from _fields(field.sub or {}, f"{path}{name}.")


def _paths(value: Any, path: str = "") -> Iterator[str]:
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, dict):
            for key, inner in item.items():
                yield f"{path}{key}"
                yield from _paths(inner, f"{path}{key}.")
