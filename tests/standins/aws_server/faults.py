"""What a call is refused with: AWS's own code, the HTTP status of it, and a message for a person."""

from __future__ import annotations

from typing import Any


class Fault(Exception):
    """A refusal, as the service would word it on the wire."""

    def __init__(self, code: str, message: str, status: int = 400, **members: Any) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status
        self.members = members


def invalid_parameter(message: str, **members: Any) -> Fault:
    """What was asked for can never be."""
    return Fault("InvalidParameterException", message, 400, **members)


def invalid_request(message: str, **members: Any) -> Fault:
    """What was asked for cannot be in the state that the resource is in."""
    return Fault("InvalidRequestException", message, 400, **members)


def not_found(message: str, **members: Any) -> Fault:
    return Fault("ResourceNotFoundException", message, 404, **members)


def in_use(message: str, **members: Any) -> Fault:
    """It exists already, is being changed, or something still needs it."""
    return Fault("ResourceInUseException", message, 409, **members)
