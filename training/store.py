"""Where files of a run lie outside of MLflow: a folder, `file:` or `s3:`, and the client that reaches it.

Endpoint, region and credentials of S3 come from the environment, as for every other client in the pod.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from training.console import Refused

_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "MLFLOW_S3_ENDPOINT_URL")
"""The first that is set; MLflow's own is the only one that MLflow reads."""


def s3() -> Any:
    """Return the S3 client of this process."""
    from pyarrow import fs  # noqa: PLC0415  only what is remote pays for it

    endpoint = next((os.environ[name] for name in _ENDPOINTS if os.environ.get(name)), None)
    return fs.S3FileSystem(**({"endpoint_override": endpoint} if endpoint else {}))


def open_store(where: str) -> tuple[Any, str]:
    """Return the file system of a folder or URI, and the path in it."""
    parts = urlsplit(where)
    if parts.scheme == "s3":
        return s3(), unquote(where.removeprefix("s3://")).rstrip("/")
    from pyarrow import fs  # noqa: PLC0415

    return fs.LocalFileSystem(), unquote(parts.path) if parts.scheme == "file" else where


def outlives_this_machine(where: str) -> bool:
    """Tell whether it is a URI: a bare folder is this machine's own, a URI is there for the next pod as well."""
    return "://" in where


def prove(where: str, name: str) -> None:
    """Write a file to the folder `name` of a store and remove it: what would fail after hours fails at once.

    Raises:
        Refused: the store does not answer, refuses, or has no room.
    """
    system, path = open_store(where)
    probe = f"{path}/{name}/probe"
    try:
        system.create_dir(f"{path}/{name}", recursive=True)
        with system.open_output_stream(probe) as stream:
            stream.write(b"room")
        system.delete_file(probe)
    except OSError as error:
        endpoint = next((f" at {os.environ[key]}" for key in _ENDPOINTS if os.environ.get(key)), "")
        raise Refused(
            f"checkpoints cannot be kept in {where}{endpoint if where.startswith('s3:') else ''}: {error}. Nothing was "
            "trained. Check that the store of slipway:artifacts answers, lets this run write and has room, then run "
            "`up` again"
        ) from error


def remove(where: str, name: str) -> None:
    """Remove the folder `name` in a store, if it is there.

    Raises:
        OSError: the store does not answer, or refuses.
    """
    if not outlives_this_machine(where) and not (Path(where) / name).exists():
        return
    from pyarrow import fs  # noqa: PLC0415

    system, path = open_store(where)
    if system.get_file_info(f"{path}/{name}").type == fs.FileType.Directory:
        system.delete_dir(f"{path}/{name}")
