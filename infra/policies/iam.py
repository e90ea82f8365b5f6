"""Rules on who may do what: no wildcard beyond a reasoned list, no role or resource that trusts everybody.

The list is `iam_exceptions.json`: actions that have no resource to name, AWS's own policies that roles may carry.
"""

from __future__ import annotations

import fnmatch
import functools
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from infra.policies.model import UNKNOWN, Declared, Posture, Rule, Violation

EXCEPTIONS = Path(__file__).with_name("iam_exceptions.json")
IDENTITY_POLICIES: Mapping[str, tuple[str, ...]] = {
    "aws:iam/rolePolicy:RolePolicy": ("policy",),
    "aws:iam/policy:Policy": ("policy",),
    "aws:iam/userPolicy:UserPolicy": ("policy",),
    "aws:iam/groupPolicy:GroupPolicy": ("policy",),
    "aws:iam/role:Role": (),  # its inline policies
}
RESOURCE_POLICIES: Mapping[str, tuple[str, ...]] = {
    "aws:s3/bucketPolicy:BucketPolicy": ("policy",),
    "aws:kms/key:Key": ("policy",),
    "aws:kms/keyPolicy:KeyPolicy": ("policy",),
    "aws:sns/topicPolicy:TopicPolicy": ("policy",),
    "aws:sns/topic:Topic": ("policy",),
    "aws:sqs/queuePolicy:QueuePolicy": ("policy",),
    "aws:ecr/repositoryPolicy:RepositoryPolicy": ("policy",),
    "aws:ec2/vpcEndpoint:VpcEndpoint": (),  # reached from inside the VPC only
    "aws:secretsmanager/secretPolicy:SecretPolicy": ("policy",),
    "aws:iam/role:Role": ("assumeRolePolicy",),
}
_ATTACHMENTS = frozenset(
    {
        "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
        "aws:iam/userPolicyAttachment:UserPolicyAttachment",
        "aws:iam/groupPolicyAttachment:GroupPolicyAttachment",
    }
)
_ARN_PARTS = 6
_DEMANDS = re.compile(r"(ForAnyValue:)?(StringEquals|StringEqualsIgnoreCase|StringLike|ArnEquals|ArnLike)")
_CALLERS = frozenset(
    {
        *("aws:principalaccount", "aws:principalarn", "aws:principalorgid", "aws:principalorgpaths", "aws:userid"),
        *("aws:sourceaccount", "aws:sourcearn", "aws:sourceowner", "aws:sourcevpc", "aws:sourcevpce"),
        "kms:calleraccount",
    }
)
"""What says who calls, or from where; a condition on anything else, such as TLS, everybody can meet."""
_GITHUB = "token.actions.githubusercontent.com"
_ONE_REPOSITORY = re.compile(r"repo:[^*?:/]+/[^*?:/]+:.+")


@functools.cache
def exceptions() -> Mapping[str, Mapping[str, Any]]:
    """Return the reasoned list: `actions` (patterns), `managed` policies, and those `managed_for` named resources."""
    found: Mapping[str, Mapping[str, Any]] = json.loads(EXCEPTIONS.read_text(encoding="utf-8"))
    return found


def is_excepted(action: str) -> bool:
    """Whether an action, itself maybe a pattern, may stand beside the resource `*`."""
    return any(
        action == pattern or ("*" not in action and fnmatch.fnmatchcase(action, pattern))
        for pattern in exceptions()["actions"]
    )


def statements(document: Any) -> list[Mapping[str, Any]] | None:
    """Return a policy's statements; None when it is not known or is no policy that can be read."""
    if isinstance(document, str):
        try:
            document = json.loads(document)
        except ValueError:
            return None
    if not isinstance(document, Mapping):
        return None
    found = document.get("Statement", [])
    return [item for item in ([found] if isinstance(found, Mapping) else found) if isinstance(item, Mapping)]


def _listed(value: Any) -> list[Any]:
    return [] if value is None else list(value) if isinstance(value, list | tuple) else [value]


def _documents(resource: Declared, places: Mapping[str, tuple[str, ...]]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Walk the statements that allow something, each with the path of its policy and place in it."""
    paths = list(places.get(resource.type, ()))
    if places is IDENTITY_POLICIES and resource.type == "aws:iam/role:Role":
        paths += [f"{at}.policy" for at, _ in resource.items("inlinePolicies")]
    for path in paths:
        for index, statement in enumerate(statements(resource.at(path)) or ()):
            if statement.get("Effect") == "Allow":
                yield f"{path} statement {statement.get('Sid', index)}", statement


def narrow_actions(resource: Declared, _: Posture) -> Iterator[Violation]:
    """No policy allows a service's every action, and none but the listed ones on every resource."""
    for at, statement in _documents(resource, IDENTITY_POLICIES):
        actions = [str(action) for action in _listed(statement.get("Action"))]
        if "NotAction" in statement or "NotResource" in statement:
            yield Violation(
                resource=resource, property=at, value=statement,
                reason="it allows all but what it names", fix="name what is allowed by Action and Resource",
            )  # fmt: skip
        wide = [action for action in actions if "*" in action and not is_excepted(action)]
        if wide:
            yield Violation(
                resource=resource, property=f"{at}, Action", value=wide,
                reason="it allows more than is used, and whatever AWS adds later",
                fix=f"name the actions; one that must stay goes into {EXCEPTIONS.name} with its reason",
            )  # fmt: skip
        everywhere = [action for action in actions if not is_excepted(action) and action not in wide]
        if everywhere and any(map(_is_all, _listed(statement.get("Resource")))) and not _bound(statement):
            yield Violation(
                resource=resource, property=f"{at}, Resource", value=everywhere,
                reason="they are allowed on every resource of the account",
                fix="name the resources by ARN, or bind the statement to this cluster's tags by a Condition; an action "
                f"without resources goes into {EXCEPTIONS.name} with its reason",
            )  # fmt: skip


def _is_all(resource: Any) -> bool:
    """Whether a resource is every one, or every one of its kind: `*`, `arn:aws:s3:::*/*`, `arn:...:role/*`."""
    text = str(resource)
    parts = text.split(":", 5)
    if len(parts) < _ARN_PARTS:
        return text == "*"
    # of S3 the bucket comes first, of others the kind
    name = parts[5].partition("/")[0] if parts[2] == "s3" else re.split("[/:]", parts[5], maxsplit=1)[-1]
    return "*" in name and not name.strip("*/:")


def _bound(statement: Mapping[str, Any]) -> bool:
    """Whether a condition binds the statement to tagged resources or to one caller's own."""
    bound = ("aws:resourcetag/", "aws:requesttag/", "ec2:resourcetag/", "autoscaling:resourcetag/", "ec2:createaction")
    return any(key.startswith(bound) for key in _demanded(statement))


def _demanded(statement: Mapping[str, Any]) -> Iterator[str]:
    """Yield the keys, in lower case, for which a condition demands one of some values.

    Tests for what must not be, and those that hold where there is no such key, demand nothing.
    """
    condition = statement.get("Condition")
    for operator, test in condition.items() if isinstance(condition, Mapping) else ():
        if _DEMANDS.fullmatch(str(operator)) and isinstance(test, Mapping):
            yield from (str(key).lower() for key, value in test.items() if "*" not in _listed(value))


def _mappings(condition: Any) -> list[Mapping[str, Any]]:
    return [test for test in condition.values() if isinstance(test, Mapping)] if isinstance(condition, Mapping) else []


def known_callers(resource: Declared, posture: Posture) -> Iterator[Violation]:
    """No role or resource trusts everybody."""
    if resource.name in posture.exceptions:
        return
    for at, statement in _documents(resource, RESOURCE_POLICIES):
        principal = statement.get("Principal")
        named = _names(principal)
        if "NotPrincipal" in statement or ("*" in named and not _CALLERS & {*_demanded(statement)}):
            yield Violation(
                resource=resource, property=f"{at}, Principal", value=principal,
                reason="everybody on AWS would be allowed",
                fix="name the accounts, roles or services, or allow it with the reason: slipway:substrate.exceptions "
                f"{{{resource.name}: REASON}}",
            )  # fmt: skip
        if isinstance(principal, Mapping) and any(_GITHUB in str(item) for item in _listed(principal.get("Federated"))):
            yield from _github(resource, at, statement)


def _names(principal: Any) -> list[Any]:
    groups = principal.values() if isinstance(principal, Mapping) else [principal]
    return [item for group in groups for item in _listed(group)]


def _github(resource: Declared, at: str, statement: Mapping[str, Any]) -> Iterator[Violation]:
    """Find a trust in GitHub that is not one of a single repository."""
    conditions = {key: value for test in _mappings(statement.get("Condition")) for key, value in test.items()}
    subjects = [str(value) for value in _listed(conditions.get(f"{_GITHUB}:sub"))]
    wide = [subject for subject in subjects if not _ONE_REPOSITORY.match(subject)]
    if not subjects or wide:
        yield Violation(
            resource=resource, property=f"{at}, Condition {_GITHUB}:sub", value=subjects or None,
            reason="workflows of other repositories could take the role",
            fix="bind it to repo:OWNER/NAME:... of one repository",
        )  # fmt: skip
    if "sts.amazonaws.com" not in _listed(conditions.get(f"{_GITHUB}:aud")):
        yield Violation(
            resource=resource, property=f"{at}, Condition {_GITHUB}:aud", value=conditions.get(f"{_GITHUB}:aud"),
            reason="a token that was made for somebody else could take the role", fix="bind it to sts.amazonaws.com",
        )  # fmt: skip


def _may_carry(name: str, managed: str) -> bool:
    alone = exceptions()["managed_for"].get(managed)
    return managed in exceptions()["managed"] or (alone is not None and fnmatch.fnmatchcase(name, alone["resource"]))


def listed_policies(resource: Declared, _: Posture) -> Iterator[Violation]:
    """A role carries no policy of AWS's that is not on the list."""
    role = resource.type == "aws:iam/role:Role"
    found = list(resource.items("managedPolicyArns")) if role else [("policyArn", resource.at("policyArn"))]
    for at, arn in found:
        if arn is UNKNOWN or not isinstance(arn, str) or ":aws:policy/" not in arn:
            continue
        if not _may_carry(resource.name, arn.rpartition("/")[2]):
            yield Violation(
                resource=resource, property=at, value=arn,
                reason="AWS decides what it allows, on every resource",
                fix=f"write the statements that are used, or add it to {EXCEPTIONS.name} with its reason",
            )  # fmt: skip


RULES = (
    Rule(
        name="actions-narrow", about="Policies name actions and resources",
        types=frozenset(IDENTITY_POLICIES), check=narrow_actions,
    ),
    Rule(
        name="callers-known", about="Nothing trusts everybody", types=frozenset(RESOURCE_POLICIES), check=known_callers,
    ),
    Rule(
        name="managed-policies-listed", about="Policies of AWS's own are listed",
        types=_ATTACHMENTS | {"aws:iam/role:Role"}, check=listed_policies,
    ),
)  # fmt: skip
