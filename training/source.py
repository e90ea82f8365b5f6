"""Bytes to a table: bundled sets, CSV and Parquet, from a local path, `file:` or `s3:`.

It owns formats and places and knows nothing of targets or features.  The whole data set is held in memory, which is
what makes one content digest, one type inference per column and one validation possible.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pyarrow as pa

from training import bundled
from training.console import Refused, names
from training.spec import Data
from training.store import s3

_FORMATS = {".csv": "csv", ".tsv": "csv", ".txt": "csv", ".parquet": "parquet", ".pq": "parquet"}
_MD5 = 32  # hexadecimal digits
_PIECE = 2**20  # bytes read at a time, when only the digest is wanted
_BLOCK = 2**31 - 1  # bytes: one block, so that a column's type is inferred from all of its values


@dataclass(frozen=True)
class Source:
    """A table, and the sha256 (hex) of the bytes that it was read from."""

    table: pa.Table
    digest: str


def load(data: Data) -> Source:
    """Read the table that `data.uri` names.

    Raises:
        Refused: nothing there, unreadable, empty or malformed; the text names the file, and the row where one is known.
    """
    scheme = urlsplit(data.uri).scheme
    if scheme == "sklearn":
        return _bundled(data.uri.removeprefix("sklearn:"))
    files = _remote(data) if scheme == "s3" else _local(data.uri)
    digest = hashlib.sha256()
    tables = []
    for name, content in files:
        digest.update(content)
        tables.append(_parse(name, content, data.format))
    try:
        table = pa.concat_tables(tables, promote_options="permissive")
    except pa.ArrowException as error:
        raise Refused(
            f"the files of {data.uri} do not fit together: {error}. Give all of them the same columns."
        ) from error
    if table.num_rows == 0:
        raise Refused(f"{data.uri} has a header but no rows")
    if data.sha256 not in (None, digest.hexdigest()):
        raise Refused(f"{data.uri} has changed since this run was scheduled: the next scheduled run takes it as it is")
    return Source(table, digest.hexdigest())


def content_digest(data: Data) -> str:
    """Return the digest that `load` would; remote data is neither held nor parsed for it.

    Raises:
        Refused: there is nothing, or it cannot be read.
    """
    if urlsplit(data.uri).scheme != "s3":
        return load(data).digest
    digest = hashlib.sha256()
    try:
        store, paths = _objects(data)
        for path in paths:
            with store.open_input_stream(path, compression=None) as stream:
                while piece := stream.read(_PIECE):
                    digest.update(piece)
    except OSError as error:
        raise _unreadable(data, error) from error
    return digest.hexdigest()


def _local(uri: str) -> list[tuple[str, bytes]]:
    path = Path(unquote(urlsplit(uri).path) if uri.startswith("file:") else uri).expanduser()
    try:
        if path.is_dir():
            found = sorted(file for file in path.rglob("*") if file.is_file() and _known(file.name))
            if not found:
                raise Refused(f"the folder {path} holds no CSV or Parquet file")
            return [(str(file), file.read_bytes()) for file in found]
        return [(str(path), path.read_bytes())]
    except FileNotFoundError as error:
        raise Refused(f"there is no file {path}: set slipway:data.uri to a CSV or Parquet file") from error
    except OSError as error:
        raise Refused(f"{path} cannot be read: {error.strerror}. Check its permissions.") from error


def _remote(data: Data) -> list[tuple[str, bytes]]:
    """Fetch one object, or every CSV and Parquet object below a prefix."""
    try:
        store, paths = _objects(data)
        files = [(f"s3://{path}", _read_all(store, path)) for path in paths]
    except OSError as error:
        raise _unreadable(data, error) from error
    _check_version(data, files)
    return files


def _unreadable(data: Data, error: OSError) -> Refused:
    return Refused(f"{data.uri} cannot be read: {error}. Check endpoint, region and credentials.")


def _objects(data: Data) -> tuple[Any, list[str]]:
    """Return the store, and which of its objects the data are, in the order in which they are read."""
    from pyarrow import fs  # noqa: PLC0415  only remote data pays for the S3 client

    key = unquote(data.uri.removeprefix("s3://"))
    store = s3()
    info = store.get_file_info(key)
    if info.type == fs.FileType.NotFound:
        raise Refused(f"there is no object {data.uri}: check bucket, key and the credentials' right to list")
    paths = [key]
    if info.type == fs.FileType.Directory:
        below = store.get_file_info(fs.FileSelector(key, recursive=True))
        paths = sorted(item.path for item in below if item.type == fs.FileType.File and _known(item.path))
    if not paths:
        raise Refused(f"{data.uri} holds no CSV or Parquet object")
    return store, paths


def _read_all(store: Any, path: str) -> bytes:
    with store.open_input_stream(path, compression=None) as stream:
        return bytes(stream.read())


def _check_version(data: Data, files: list[tuple[str, bytes]]) -> None:
    """Refuse content other than the pinned one, where the pin is an md5 (as DVC and plain ETags are)."""
    pin = (data.version or "").strip('"').lower()
    if len(pin) != _MD5 or len(files) != 1 or not set(pin) <= set("0123456789abcdef"):
        return
    found = hashlib.md5(files[0][1], usedforsecurity=False).hexdigest()
    if found != pin:
        raise Refused(
            f"{data.uri} is no longer the version that slipway:data.version names ({pin}): its md5 is {found}. "
            "Restore it, or set slipway:data.version to the new one."
        )


def _known(name: str) -> bool:
    return _suffix(name) in _FORMATS


def _suffix(name: str) -> str:
    return Path(name.removesuffix(".gz").removesuffix(".bz2")).suffix.lower()


def _parse(name: str, content: bytes, format_: str) -> pa.Table:
    if not content:
        raise Refused(f"{name} is empty: it needs a header line and rows")
    kind = _FORMATS.get(_suffix(name)) if format_ == "auto" else format_
    if kind is None:
        kind = "parquet" if content[:4] == b"PAR1" else "csv"
    parser: Callable[[str, bytes], pa.Table] = _parquet if kind == "parquet" else _csv
    table = parser(name, content)
    doubled = sorted({column for column in table.column_names if table.column_names.count(column) > 1})
    if doubled:
        raise Refused(f"{name} has several columns called {names(doubled)}: rename them in the header")
    return table


def _parquet(name: str, content: bytes) -> pa.Table:
    from pyarrow import parquet  # noqa: PLC0415

    try:
        return parquet.read_table(pa.BufferReader(content))
    except (pa.ArrowException, OSError) as error:
        raise Refused(
            f"{name} is no readable Parquet file: {error}. Write it again, or set slipway:data.format."
        ) from error


def _csv(name: str, content: bytes) -> pa.Table:
    from pyarrow import csv  # noqa: PLC0415

    compression = "gzip" if content[:2] == b"\x1f\x8b" else "bz2" if content[:3] == b"BZh" else None
    try:
        with pa.input_stream(pa.BufferReader(content), compression=compression) as stream:
            plain = stream.read()
        header = _header(plain)
        header.decode()
        return csv.read_csv(
            pa.BufferReader(plain),
            read_options=csv.ReadOptions(use_threads=False, block_size=min(max(len(plain) + 1, 1 << 16), _BLOCK)),
            parse_options=csv.ParseOptions(delimiter=_delimiter(header), newlines_in_values=True),
            convert_options=csv.ConvertOptions(strings_can_be_null=True),
        )
    except UnicodeDecodeError as error:
        raise Refused(f"{name} has a header that is not UTF-8 (byte {error.start + 1}). Save it as UTF-8.") from error
    except (pa.ArrowException, OSError) as error:
        text = " ".join(str(error).split())
        hint = (
            "Save it as UTF-8."
            if "UTF8" in text or "UTF-8" in text
            else "Correct that line, or set slipway:data.format."
        )
        raise Refused(f"{name} is no readable CSV file: {text}. {hint}") from error


def _header(content: bytes) -> bytes:
    """Return the first line, without a copy of the rest: a data set may be most of the memory."""
    end = content.find(b"\n")
    return content if end < 0 else content[:end]


def _delimiter(header: bytes) -> str:
    """Return the delimiter that a header line uses most."""
    return max(",;\t|", key=lambda mark: header.count(mark.encode()))


def _bundled(name: str) -> Source:
    """Read one of scikit-learn's bundled sets by its files: importing sklearn.datasets costs a second."""
    known = bundled.SETS.get(name)
    if known is None:
        raise Refused(f"sklearn:{name} is not bundled; there are {names([f'sklearn:{key}' for key in bundled.SETS])}")
    package = find_spec("sklearn")
    if package is None or package.origin is None:
        raise Refused(f"sklearn:{name} needs scikit-learn, which is not installed: install requirements/runtime.txt")
    folder = Path(package.origin).parent / "datasets" / "data"
    contents = [(folder / file).read_bytes() for file in known.files]
    return Source(bundled.table(known, contents), hashlib.sha256(b"".join(contents)).hexdigest())
