"""Whether this is the code that the stack wants, when it came in an image.

On a laptop the code comes as a snapshot that is checked while it is taken; an image says itself what it holds.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

ABOUT = Path(__file__).parents[1] / "image.json"
"""Written while the image is built; there when, and only when, this runs from one."""
_SHOWN = 12


def verify(wanted: str, about: Path | None = None) -> None:
    """Check the digest of the code in this image, if this is one.

    Raises:
        ValueError: the image holds other code.
    """
    about = about or ABOUT
    if not about.exists():
        return
    held = json.loads(about.read_text())["code"]["serving"]
    if held != wanted:
        name = os.environ.get("SLIPWAY_IMAGE", "(unknown)")
        raise ValueError(
            f"image {name} holds code {held[:_SHOWN]}, the stack wants {wanted[:_SHOWN]}; build with "
            "`python -m infra.image build --archive FILE` (or `docker build .`) from the commit that `up` runs from, "
            "and pin the result as `image` of slipway:substrate"
        )
