"""The tags by which what a stack made is told from everything else in an account, its own leftovers included."""

from __future__ import annotations

from components.seam import Place

PROJECT, STACK = "slipway:project", "slipway:stack"


def owned_by(place: Place) -> dict[str, str]:
    """Return the tags of everything that the stack makes."""
    return {PROJECT: place.project, STACK: place.stack}
