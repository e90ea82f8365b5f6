"""The rule for a schedule: cron with five fields, as Kubernetes reads it (its parser is robfig/cron v3).

Checked here, because the API server would refuse it only in the middle of an `up`.
"""

from __future__ import annotations

import re

_MONTHS = dict(
    zip(("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), range(1, 13), strict=True)
)
_DAYS = dict(zip(("sun", "mon", "tue", "wed", "thu", "fri", "sat"), range(7), strict=True))
_FIELDS: tuple[tuple[str, int, int, dict[str, int]], ...] = (
    ("minute", 0, 59, {}),
    ("hour", 0, 23, {}),
    ("day of the month", 1, 31, {}),
    ("month", 1, 12, _MONTHS),
    ("day of the week", 0, 6, _DAYS),
)
_NAMED = ("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly")
_EVERY = re.compile(r"@every (\d+[hms])+")
_RANGE = re.compile(r"(?:(?P<any>[*?])|(?P<low>\w+)(?:-(?P<high>\w+))?)(?:/(?P<step>\d+))?")


def checked(text: str) -> str:
    """Return the schedule as it was given.

    Raises:
        ValueError: Kubernetes would refuse it; names the field.
    """
    if text in _NAMED or _EVERY.fullmatch(text):
        return text
    if text.startswith("@"):
        raise ValueError(f"must be five fields, one of {', '.join(_NAMED)}, or @every 6h")
    given = text.split()
    if len(given) != len(_FIELDS):
        names = ", ".join(name for name, *_ in _FIELDS)
        raise ValueError(f"must have five fields ({names}), such as `0 3 * * *` (times are UTC); it has {len(given)}")
    for field, (name, least, most, words) in zip(given, _FIELDS, strict=True):
        for part in field.split(","):
            if not _fits(part, least, most, words):
                raise ValueError(f"the {name} `{part}` must be *, or {least} to {most}: N, N-M, */STEP or N-M/STEP")
    return text


def _fits(part: str, least: int, most: int, words: dict[str, int]) -> bool:
    match = _RANGE.fullmatch(part)
    if match is None or match["step"] == "0":
        return False
    if match["any"]:
        return True
    low = _number(match["low"], words)
    high = low if match["high"] is None else _number(match["high"], words)
    return low is not None and high is not None and least <= low <= high <= most


def _number(text: str, words: dict[str, int]) -> int | None:
    return int(text) if text.isdecimal() else words.get(text.lower())
