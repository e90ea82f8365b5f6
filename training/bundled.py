"""scikit-learn's bundled data sets, by file.

Their files carry no usable header, so the columns (scikit-learn's own names) stand here.  The target column is always
called `target`; diabetes comes unscaled, as measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa


@dataclass(frozen=True)
class Bundled:
    files: tuple[str, ...]
    """Below sklearn/datasets/data: one CSV with the target last, or two files: features and target."""
    columns: tuple[str, ...]
    separator: str = ","
    heading: int = 1
    """Lines before the first row."""


_CELL = (
    "radius",
    "texture",
    "perimeter",
    "area",
    "smoothness",
    "compactness",
    "concavity",
    "concave points",
    "symmetry",
    "fractal dimension",
)

SETS = {
    "breast_cancer": Bundled(
        ("breast_cancer.csv",),
        (
            *(f"mean {name}" for name in _CELL),
            *(f"{name} error" for name in _CELL),
            *(f"worst {name}" for name in _CELL),
        ),
    ),
    "iris": Bundled(("iris.csv",), ("sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)")),
    "wine": Bundled(
        ("wine_data.csv",),
        (
            "alcohol",
            "malic_acid",
            "ash",
            "alcalinity_of_ash",
            "magnesium",
            "total_phenols",
            "flavanoids",
            "nonflavanoid_phenols",
            "proanthocyanins",
            "color_intensity",
            "hue",
            "od280/od315_of_diluted_wines",
            "proline",
        ),
    ),
    "diabetes": Bundled(
        ("diabetes_data_raw.csv.gz", "diabetes_target.csv.gz"),
        ("age", "sex", "bmi", "bp", "s1", "s2", "s3", "s4", "s5", "s6"),
        separator=" ",
        heading=0,
    ),
}


def table(known: Bundled, contents: Sequence[bytes]) -> pa.Table:
    """Return features and target as one table from the contents of the files."""
    parts = [_read(content, known) for content in contents]
    columns = [column for part in parts for column in part.columns]
    return pa.table(columns, names=[*known.columns, "target"])


def _read(content: bytes, known: Bundled) -> pa.Table:
    from pyarrow import csv  # noqa: PLC0415  only needed when data is read

    compression = "gzip" if content[:2] == b"\x1f\x8b" else None
    with pa.input_stream(pa.BufferReader(content), compression=compression) as stream:
        return csv.read_csv(
            stream,
            read_options=csv.ReadOptions(autogenerate_column_names=True, skip_rows=known.heading, use_threads=False),
            parse_options=csv.ParseOptions(delimiter=known.separator),
        )
