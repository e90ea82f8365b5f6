"""Tensors of the Open Inference Protocol: JSON lists and raw bytes to numpy arrays and back.

It knows datatypes and shapes and nothing of models; every refusal names the tensor, the rule and the fix.
BYTES tensors are object arrays of ``str`` (``None`` where JSON said null).
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from serving.errors import bad_request

Array = npt.NDArray[Any]

DTYPES: dict[str, np.dtype[Any]] = {
    "BOOL": np.dtype("?"),
    "FP16": np.dtype("<f2"),
    "FP32": np.dtype("<f4"),
    "FP64": np.dtype("<f8"),
    **{f"INT{bits}": np.dtype(f"<i{bits // 8}") for bits in (8, 16, 32, 64)},
    **{f"UINT{bits}": np.dtype(f"<u{bits // 8}") for bits in (8, 16, 32, 64)},
}
_FLOATS = {"FP16", "FP32", "FP64", "BF16"}
DATATYPES = (*DTYPES, "BF16", "BYTES")


@dataclass(frozen=True, slots=True)
class Tensor:
    """A named array with the datatype it came in."""

    name: str
    datatype: str
    array: Array

    @property
    def numeric(self) -> bool:
        """Whether its values are numbers (or booleans)."""
        return self.datatype != "BYTES"


def check_header(entry: Any) -> tuple[str, str, tuple[int, ...]]:
    """Return name, datatype and shape of a tensor in a request.

    Raises:
        Refused: 400, one of the three is missing or malformed.
    """
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
        raise bad_request("inputs: each input is an object with name, shape, datatype and data")
    name, datatype, shape = entry["name"], entry.get("datatype"), entry.get("shape")
    if datatype not in DATATYPES:
        raise bad_request(f"input {name}: datatype {datatype!r} is unknown, use one of {', '.join(DATATYPES)}")
    if not isinstance(shape, list) or not all(type(size) is int and size >= 0 for size in shape):
        raise bad_request(f"input {name}: shape {shape!r} must be a list of whole numbers, such as [1, 4]")
    return name, datatype, tuple(shape)


def from_json(entry: dict[str, Any]) -> Tensor:
    """Return the tensor whose values are in the request's JSON, flat or nested.

    Raises:
        Refused: 400, the values do not fit shape or datatype.
    """
    name, datatype, shape = check_header(entry)
    data = entry.get("data")
    if not isinstance(data, list):
        raise bad_request(f"input {name}: data must be a list of values (or parameters.binary_data_size be set)")
    array = _texts(name, data) if datatype == "BYTES" else numbers(f"input {name}", data, datatype)
    return Tensor(name, datatype, _shaped(name, array, shape))


def numbers(what: str, data: list[Any], datatype: str = "FP64") -> Array:
    """Return a JSON list of numbers as an array of the datatype; null is NaN where the datatype has one.

    Raises:
        Refused: 400, ragged, not numeric, or out of the datatype's range; ``what`` begins the message.
    """
    try:
        array = np.array(data)
    except ValueError:
        raise bad_request(f"{what}: the rows have different lengths, make all of them equally long") from None
    if array.dtype.kind not in "bif" and array.size:
        array = _unusual(what, array, data)
    if datatype in _FLOATS:
        with np.errstate(over="ignore"):  # becomes infinite, which the rows refuse by name
            return array.astype(np.float32 if datatype == "BF16" else DTYPES[datatype])
    return _whole(what, array, datatype)


def _unusual(what: str, array: Array, data: list[Any]) -> Array:
    """Return numbers that came with nulls or beyond 64 bits as floats; refuse anything that is no number."""
    for value in np.array(data, dtype=object).ravel():
        if value is not None and not isinstance(value, bool | int | float):
            raise bad_request(f"{what}: {_short(value)} is not a number; send numbers, or null where one is missing")
    try:
        return array.astype(np.float64)
    except (OverflowError, TypeError, ValueError):
        raise bad_request(f"{what}: a number is beyond the range of 64-bit floats, send a smaller one") from None


def _whole(what: str, array: Array, datatype: str) -> Array:
    """Return the numbers as integers or booleans of the datatype, refusing what would change its value."""
    dtype = DTYPES[datatype]
    with np.errstate(invalid="ignore"):
        exact = array.astype(dtype)
    changed = np.flatnonzero(exact.ravel() != array.ravel())
    if changed.size:
        value = array.ravel()[changed[0]].item()
        hint = "is missing, which only a floating datatype can say; send FP64" if _missing(value) else "does not fit"
        raise bad_request(f"{what}: {'null' if _missing(value) else value} {hint} (datatype {datatype})")
    return exact


def _missing(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def texts(what: str, values: list[Any]) -> Array:
    """Return a flat JSON list of strings and nulls as an object array.

    Raises:
        Refused: 400, a value is something else; ``what`` begins the message.
    """
    for value in values:
        if value is not None and not isinstance(value, str):
            raise bad_request(f"{what}: {_short(value)} is not text; send strings, empty or null where one is missing")
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def _texts(name: str, data: list[Any]) -> Array:
    flat = data
    while flat and isinstance(flat[0], list):
        if not all(isinstance(row, list) for row in flat):
            raise bad_request(f"input {name}: the rows have different depths, nest all of them alike")
        flat = [value for row in flat for value in row]
    return texts(f"input {name}", flat)


def from_bytes(entry: dict[str, Any], raw: bytes) -> Tensor:
    """Return the tensor whose values are ``raw``: row-major, little-endian; BYTES with 4-byte lengths.

    Raises:
        Refused: 400, the bytes do not fit shape and datatype.
    """
    name, datatype, shape = check_header(entry)
    if datatype == "BYTES":
        return Tensor(name, datatype, _shaped(name, _unpack(name, raw), shape))
    size = 2 if datatype == "BF16" else DTYPES[datatype].itemsize
    count = math.prod(shape)
    if len(raw) != count * size:
        raise bad_request(
            f"input {name}: shape {list(shape)} of {datatype} takes {count * size} bytes,"
            f" binary_data_size says {len(raw)}"
        )
    if datatype == "BF16":  # the upper half of a 32-bit float
        array: Array = (np.frombuffer(raw, "<u2").astype("<u4") << 16).view("<f4")
    else:
        array = np.frombuffer(raw, DTYPES[datatype])
    return Tensor(name, datatype, array.reshape(shape))


def _unpack(name: str, raw: bytes) -> Array:
    values: list[str] = []
    at = 0
    while at < len(raw):
        length = struct.unpack_from("<I", raw, at)[0] if at + 4 <= len(raw) else len(raw)
        if at + 4 + length > len(raw):
            raise bad_request(f"input {name}: a BYTES element is cut short; prefix each with its 4-byte length")
        try:
            values.append(raw[at + 4 : at + 4 + length].decode())
        except UnicodeDecodeError:
            raise bad_request(f"input {name}: element {len(values)} is not UTF-8, encode text as UTF-8") from None
        at += 4 + length
    return texts(name, values)


def _shaped(name: str, array: Array, shape: tuple[int, ...]) -> Array:
    if array.size != math.prod(shape):
        raise bad_request(
            f"input {name}: shape {list(shape)} asks for {math.prod(shape)} values, data has {array.size};"
            " make both say the same"
        )
    if array.ndim > 1 and array.shape != shape:
        raise bad_request(f"input {name}: data is nested as {list(array.shape)}, shape says {list(shape)}")
    return array.reshape(shape)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."  # noqa: PLR2004  what fits in a message


def datatype_of(array: Array) -> str:
    """Return the datatype in which an array of predictions is answered."""
    if array.dtype.kind in "biuf":
        kind = {"b": "BOOL", "i": "INT", "u": "UINT", "f": "FP"}[array.dtype.kind]
        return kind if kind == "BOOL" else f"{kind}{array.dtype.itemsize * 8}"
    return "BYTES"


def to_bytes(array: Array) -> bytes:
    """Return an array of predictions as the binary extension carries it."""
    if array.dtype.kind in "biuf":
        return np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
    encoded = (("" if value is None else str(value)).encode() for value in array.ravel())
    return b"".join(struct.pack("<I", len(value)) + value for value in encoded)
