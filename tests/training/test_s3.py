"""Data in an object store, read through pyarrow from a real S3 protocol server."""

from __future__ import annotations

import dataclasses
import hashlib

import pyarrow as pa
import pytest
from pyarrow import fs, parquet

from tests.training.conftest import BUCKET
from training import source
from training.console import Refused
from training.spec import Data

COLUMNS = {"a": [1, 2, 3], "target": [0, 1, 0]}


def put(store: fs.S3FileSystem, key: str, content: bytes) -> str:
    with store.open_output_stream(f"{BUCKET}/{key}") as stream:
        stream.write(content)
    return f"s3://{BUCKET}/{key}"


def table(uri: str, version: str | None = None) -> pa.Table:
    return source.load(Data(uri=uri, target="target", version=version)).table


def test_the_digest_is_told_without_parsing_and_a_run_for_other_content_is_refused(store: fs.S3FileSystem) -> None:
    put(store, "kept/x.csv", b"a,target\n1,0\n")
    put(store, "kept/y.csv", b"a,target\n2,1\n")
    put(store, "kept/notes.md", b"no data")
    data = Data(uri=f"s3://{BUCKET}/kept", target="target")
    digest = source.content_digest(data)
    assert digest == source.load(data).digest
    wanted = dataclasses.replace(data, sha256=digest)
    assert source.load(wanted).table.num_rows == 2
    put(store, "kept/y.csv", b"a,target\n3,1\n")
    assert source.content_digest(data) != digest
    with pytest.raises(Refused, match="has changed since this run was scheduled"):
        source.load(wanted)
    with pytest.raises(Refused, match="there is no object"):
        source.content_digest(Data(uri=f"s3://{BUCKET}/nowhere", target="target"))


def test_csv_and_parquet_objects_and_prefixes_are_read(store: fs.S3FileSystem) -> None:
    text = put(store, "one/x.csv", b"a,target\n1,0\n2,1\n3,0\n")
    assert table(text).to_pydict() == COLUMNS
    parquet.write_table(pa.table(COLUMNS), f"{BUCKET}/x.parquet", filesystem=store)
    assert table(f"s3://{BUCKET}/x.parquet").to_pydict() == COLUMNS
    put(store, "one/y.csv", b"a,target\n4,1\n")
    assert table(f"s3://{BUCKET}/one").num_rows == 4


def test_an_object_that_is_not_there_is_refused_by_name(store: fs.S3FileSystem) -> None:
    with pytest.raises(Refused, match=f"there is no object s3://{BUCKET}/gone.csv"):
        table(f"s3://{BUCKET}/gone.csv")


def test_content_other_than_the_pinned_md5_is_refused(store: fs.S3FileSystem) -> None:
    content = b"a,target\n1,0\n"
    uri = put(store, "pinned.csv", content)
    pin = hashlib.md5(content, usedforsecurity=False).hexdigest()
    assert table(uri, pin).num_rows == 1
    put(store, "pinned.csv", content + b"2,1\n")
    with pytest.raises(Refused, match=f"no longer the version that slipway:data.version names \\({pin}\\)"):
        table(uri, pin)
