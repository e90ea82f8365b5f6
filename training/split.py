"""Which rows are held out: a seeded hash of the key or of the row itself.

A row lands on the same side whatever the order of rows and columns and whatever else is in the data, so a row held
out once stays held out in later versions of the data, and equal rows are never on both sides.  The hash is written
here and not taken from a library, whose next version might move every row.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from training.dataset import Array, Rows

Hashes = npt.NDArray[np.uint64]
_MISSING = np.uint64(0x9E3779B97F4A7C15)


def row_hashes(columns: Mapping[str, Array], seed: int) -> Hashes:
    """Return one uint64 per row, independent of the order of columns and of whether 1 is stored as 1 or 1.0."""
    rows = len(next(iter(columns.values())))
    total = np.zeros(rows, dtype=np.uint64)
    with np.errstate(over="ignore"):  # arithmetic modulo 2**64 is the point
        for name, values in columns.items():
            total += _mix(_value_hashes(values) ^ _text_hash(f"{seed}:{name}"))
        return _mix(total)


def held_out(rows: Rows, seed: int, fraction: float) -> npt.NDArray[np.bool_]:
    """Return the mask of held-out rows; a larger fraction keeps the rows of a smaller one."""
    columns = rows.everything if rows.key is None else {rows.key: rows.everything[rows.key]}
    limit = np.uint64(min(int(fraction * 2**64), 2**64 - 1))
    return row_hashes(columns, seed) < limit


def seen_before(columns: Mapping[str, Array], held: npt.NDArray[np.bool_]) -> int:
    """Return how many held-out rows have exactly the values of some training row."""
    if not columns:
        return 0
    hashes = row_hashes(columns, 0)
    return int(np.isin(hashes[held], hashes[~held]).sum())


def _value_hashes(values: Array) -> Hashes:
    if values.dtype == object:
        known = {value: _MISSING if value is None else _text_hash(value) for value in set(values.tolist())}
        return np.fromiter((known[value] for value in values.tolist()), dtype=np.uint64, count=len(values))
    numbers = values.astype(np.float64) + 0.0  # -0.0 becomes 0.0
    hashes = _mix(numbers.view(np.uint64))
    hashes[np.isnan(numbers)] = _MISSING
    return hashes


def _text_hash(text: str) -> np.uint64:
    return np.uint64(int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little"))


def _mix(values: Hashes) -> Hashes:
    """Scramble each value (the finaliser of SplitMix64)."""
    with np.errstate(over="ignore"):
        values = values + np.uint64(0x9E3779B97F4A7C15)
        values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return values ^ (values >> np.uint64(31))
