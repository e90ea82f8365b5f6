"""Which version of the data a run uses: the content of a local file, or the pinned version of a remote one.

Remote data is never fetched here: a preview must work without network and credentials.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from components.settings import SettingError
from training.identity import digest_of, file_digest

_CACHE = Path(".slipway/cache/data-digests.json")


@dataclass(frozen=True, kw_only=True)
class DataVersion:
    """Data at `uri` (absolute when local); two versions are the same data when their `identity` is equal."""

    uri: str
    identity: str
    pinned: bool


def data_version(root: Path, uri: str, version: str | None) -> DataVersion:
    """Return the version of the data at `uri`; relative paths mean `root`.

    Raises:
        SettingError: local data that is not there, or a scheme that is not known.
    """
    scheme = urlsplit(uri).scheme
    if scheme == "sklearn":
        return DataVersion(uri=uri, identity=uri, pinned=True)
    if scheme == "s3":
        return DataVersion(uri=uri, identity=f"{uri}@{version or 'unpinned'}", pinned=version is not None)
    if scheme not in ("", "file"):
        raise SettingError(
            f"slipway:data.uri = {uri!r}: {scheme}: is not a source of data. "
            "Use a local path, file:, s3: or sklearn:NAME."
        )
    path = root / Path(unquote(urlsplit(uri).path) if scheme == "file" else uri).expanduser()
    return DataVersion(uri=str(path), identity=f"sha256:{_content(root, path)}", pinned=True)


def _content(root: Path, path: Path) -> str:
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.is_file())
        if not files:
            raise SettingError(f"slipway:data.uri: the folder {path} holds no file. Put CSV or Parquet files there.")
        return digest_of({str(file.relative_to(path)): _cached_digest(root, file) for file in files})
    if not path.is_file():
        raise SettingError(
            f"slipway:data.uri: there is no file {path}. Relative paths mean the folder of Pulumi.yaml ({root})."
        )
    return _cached_digest(root, path)


def _cached_digest(root: Path, path: Path) -> str:
    """Return the content digest, read again only when size, time or inode of the file changed."""
    stat = path.stat()
    stamp = [stat.st_size, stat.st_mtime_ns, stat.st_ino]
    cache_file = root / _CACHE
    cache = _read_cache(cache_file)
    known = cache.get(str(path))
    if known and known["stamp"] == stamp:
        return str(known["digest"])
    digest = file_digest(path)
    cache[str(path)] = {"stamp": stamp, "digest": digest}
    cache_file.parent.mkdir(parents=True, exist_ok=True)
    scratch = cache_file.with_suffix(f".{os.getpid()}")
    scratch.write_text(json.dumps(cache))
    scratch.replace(cache_file)
    return digest


def _read_cache(cache_file: Path) -> dict[str, dict[str, object]]:
    try:
        content = json.loads(cache_file.read_text())
    except (OSError, ValueError):
        return {}  # a cache: whatever is wrong with it, the files themselves are the truth
    return content if isinstance(content, dict) else {}
