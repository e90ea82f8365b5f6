"""The errors that are told to the user as they stand, without a traceback."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class Refused(Exception):
    """Something that the stand-in does not do, or that the API did not accept."""


class InitFailed(Refused):
    """The object exists, but is not what was asked for yet; the engine keeps it, with the reasons."""

    def __init__(
        self,
        message: str,
        identity: str,
        state: dict[str, Any],
        inputs: dict[str, Any] | None,
        reasons: Sequence[str],
    ) -> None:
        super().__init__(message)
        self.identity = identity
        self.state = state
        self.inputs = inputs
        self.reasons = [message, *reasons]
