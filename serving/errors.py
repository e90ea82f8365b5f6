"""The one way in which a request is refused: a status and a message that names the thing, the rule and the fix."""

from __future__ import annotations

UNUSABLE = "which cannot be served"
"""Stands in what a service says while the version that it shall serve is broken; waiting longer is no use then."""


class Refused(Exception):
    """An answer other than success; the HTTP layer turns it into ``{"error": message}`` with its status.

    Args:
        status: the HTTP status to answer with.
        message: what is wrong, by which rule, and what to do about it.
        headers: extra response headers, as (lower-case name, value).
    """

    def __init__(self, status: int, message: str, headers: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = headers


class ModelUnusable(Exception):
    """A version cannot be served: its artifact is incomplete or corrupt, or its smoke prediction failed."""


class RegistryUnavailable(Exception):
    """The tracking server did not answer, or answered with a server error: try again later."""


def bad_request(message: str) -> Refused:
    """Return the refusal of a request that breaks a rule of the protocol or of the model's signature."""
    return Refused(400, message)
