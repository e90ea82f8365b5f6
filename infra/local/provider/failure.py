"""Errors whose text is for the person at the terminal: they name the thing, the rule and the fix."""

from __future__ import annotations


class Failure(Exception):
    """An operation did not succeed; the message reaches the user as it is, without a traceback."""


class Interrupted(Failure):
    """The engine asked to stop waiting; whatever was started goes on running and is recorded."""
