"""For every rule a resource that keeps it, and changes to that resource that each break it.

A change is `{path: value}`, where None takes a property away.  Properties are those of the wire.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from infra.policies.model import Declared, Posture

PLAIN = Posture()
RETAINED = Posture(retained=True)
EPHEMERAL = Posture(ephemeral=True)
KEY = "arn:aws:kms:us-east-1:111122223333:key/data"
TAGS = {"slipway:project": "p", "slipway:stack": "s", "slipway:owner": "o", "slipway:cost-centre": "c"}


@dataclass(frozen=True, kw_only=True)
class Case:
    """One rule's resource."""

    type: str
    good: Mapping[str, Any]
    breaks: Sequence[tuple[Mapping[str, Any], str]]
    """A change, and the property that the message must name."""
    posture: Posture = PLAIN
    also_good: Sequence[Mapping[str, Any]] = field(default=())
    """Changes that keep the rule."""

    def declared(self, change: Mapping[str, Any] | None = None) -> Declared:
        return Declared(type=self.type, name="it", properties=changed(self.good, change or {}))


def changed(properties: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy with the values at dotted paths replaced."""
    result: dict[str, Any] = copy.deepcopy(dict(properties))
    for path, value in change.items():
        *way, last = path.split(".")
        inner: Any = result
        for part in way:
            inner = inner[int(part)] if isinstance(inner, list) else inner[part]
        if value is None:
            del inner[last]
        else:
            inner[int(last) if isinstance(inner, list) else last] = value
    return result


def policy(**statement: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]})


GITHUB = "token.actions.githubusercontent.com"


def github(subject: str, audience: str = "sts.amazonaws.com") -> str:
    condition = {"StringEquals": {f"{GITHUB}:aud": audience}, "StringLike": {f"{GITHUB}:sub": subject}}
    principal = {"Federated": f"arn:aws:iam::111122223333:oidc-provider/{GITHUB}"}
    return policy(Action="sts:AssumeRoleWithWebIdentity", Principal=principal, Condition=condition)
