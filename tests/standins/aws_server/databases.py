"""What moto's RDS lacks of a real instance: a server that answers, and an administrator's login that is its own.

Tests say where the PostgreSQL server is that instances claim to be; without, they have names of AWS's kind.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from typing import Any

from moto.rds.models import DBInstance, MasterUserSecret

_SERVER = {"address": ""}


def are_at(address: str) -> None:
    """Make every instance claim this address; empty: none."""
    _SERVER["address"] = address


def mend() -> None:
    """Mend moto; once, before the first call."""
    named: Callable[[DBInstance], str] = DBInstance.address.fget  # type: ignore[attr-defined]
    DBInstance.address = property(lambda self: _SERVER["address"] or named(self))  # type: ignore[method-assign,assignment]
    MasterUserSecret._generate_secret_string = _login  # type: ignore[method-assign,assignment]


def _login(secret: Any) -> str:
    """RDS makes up a password for the instance's own administrator: moto has one password for all, of `admin`."""
    return json.dumps({"username": secret.resource.master_username, "password": secrets.token_urlsafe(24)})
