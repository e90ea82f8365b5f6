"""What a model takes, as its MLmodel declares it, in the words of the Open Inference Protocol.

It knows names, datatypes and shapes; it must not look at data (`serving.rows` holds data against it).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from serving.errors import ModelUnusable

# MLflow's column types -> datatype of the protocol.
COLUMN_DATATYPES = {
    "boolean": "BOOL",
    "integer": "INT32",
    "long": "INT64",
    "float": "FP32",
    "double": "FP64",
    "string": "BYTES",
    "datetime": "BYTES",
}
TENSOR_DATATYPES = {
    "bool": "BOOL",
    "float16": "FP16",
    "float32": "FP32",
    "float64": "FP64",
    **{f"int{bits}": f"INT{bits}" for bits in (8, 16, 32, 64)},
    **{f"uint{bits}": f"UINT{bits}" for bits in (8, 16, 32, 64)},
    "object": "BYTES",
    "str": "BYTES",
}


@dataclass(frozen=True)
class Column:
    """One input column; ``required`` is about the column, any single value may be missing."""

    name: str
    type: str
    required: bool = True

    @property
    def datatype(self) -> str:
        """The datatype of its tensor: BYTES for text, else numeric."""
        return COLUMN_DATATYPES[self.type]

    @property
    def numeric(self) -> bool:
        """Whether its values are numbers (or booleans)."""
        return self.datatype != "BYTES"


@dataclass(frozen=True)
class Signature:
    """The inputs of a model: named columns, or (``columns`` empty) one tensor of any shape below ``shape``."""

    columns: tuple[Column, ...] = ()
    tensor: str = "input"
    datatype: str = "FP64"
    shape: tuple[int, ...] = (-1, -1)

    @cached_property
    def by_name(self) -> dict[str, Column]:
        """The columns by their names."""
        return {column.name: column for column in self.columns}

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of the columns, in the model's order."""
        return tuple(column.name for column in self.columns)

    @cached_property
    def all_numeric(self) -> bool:
        """Whether one [n, columns] tensor can carry every column."""
        return all(column.numeric for column in self.columns)

    def inputs(self) -> list[dict[str, Any]]:
        """Return the inputs as model metadata shows them."""
        if self.columns:
            return [{"name": c.name, "datatype": c.datatype, "shape": [-1]} for c in self.columns]
        return [{"name": self.tensor, "datatype": self.datatype, "shape": list(self.shape)}]

    def difference(self, other: Signature) -> str | None:
        """Return in words how the inputs of ``other`` differ from these, or None when they do not."""
        mine = {entry["name"]: entry["datatype"] for entry in self.inputs()}
        theirs = {entry["name"]: entry["datatype"] for entry in other.inputs()}
        parts = [f"column {name} is gone" for name in mine if name not in theirs]
        parts += [f"column {name} is new" for name in theirs if name not in mine]
        parts += [
            f"column {name} is {theirs[name]}, was {kind}"
            for name, kind in mine.items()
            if name in theirs and theirs[name] != kind
        ]
        return "; ".join(parts) or None


def from_mlmodel(manifest: Mapping[str, Any]) -> Signature:
    """Return the signature in a parsed MLmodel.

    Raises:
        ModelUnusable: there is none, or it uses types that this protocol cannot carry.
    """
    declared = (manifest.get("signature") or {}).get("inputs")
    if not declared:
        raise ModelUnusable("its MLmodel has no signature; log the model with mlflow.models.infer_signature")
    specs = json.loads(declared)
    if specs and specs[0].get("type") == "tensor":
        return _tensor(specs)
    unknown = [f"{spec.get('name')} ({spec.get('type')})" for spec in specs if spec.get("type") not in COLUMN_DATATYPES]
    if unknown or any("name" not in spec for spec in specs):
        raise ModelUnusable(
            f"its signature has columns that cannot be served: {', '.join(unknown) or 'columns without names'};"
            f" use named columns of the types {', '.join(COLUMN_DATATYPES)}"
        )
    return Signature(columns=tuple(Column(s["name"], s["type"], bool(s.get("required", True))) for s in specs))


def _tensor(specs: list[dict[str, Any]]) -> Signature:
    if len(specs) != 1:
        raise ModelUnusable(f"its signature has {len(specs)} tensors; one tensor, or named columns, can be served")
    spec = specs[0]["tensor-spec"]
    return Signature(
        tensor=specs[0].get("name") or "input",
        datatype=TENSOR_DATATYPES.get(spec["dtype"], "BYTES"),
        shape=tuple(spec["shape"]),
    )
