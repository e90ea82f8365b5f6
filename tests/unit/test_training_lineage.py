"""A job runs the code that the stack wants, or says what it found and how to get the other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from training import lineage, spec
from training.console import Refused
from training.identity import code_digest, file_digest, identity

LOCK = "requirements/runtime.txt"
FILES = ["mine/model.py", "training/job.py"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in (*FILES, LOCK):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    return tmp_path


def wanted(root: Path) -> spec.RunSpec:
    parts = dict.fromkeys(("data", "parameters", "seed", "split"), "x")
    parts |= {"code": code_digest(root, FILES), "lock": file_digest(root / LOCK)}
    raw: dict[str, Any] = {
        "contract": 1, "project": "p", "stack": "s", "identity": identity(parts), "identity_parts": parts,
        "model_name": "m", "tracking_uri": "http://127.0.0.1:1", "code": {"root": "", "files": FILES, "lock": LOCK},
        "data": {"uri": "u", "target": "t"}, "training": {"params": {}}, "gate": {"floors": {}}, "lineage": {},
        "storage": "",
    }  # fmt: skip
    return spec.parse(raw)


def test_the_code_that_was_asked_for_runs(root: Path) -> None:
    lineage.verify(wanted(root), root)


def test_other_code_in_an_image_is_named_with_the_image(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = wanted(root)
    (root / "training" / "job.py").write_text("changed")
    (root / lineage.IMAGE_FILE).write_text("{}")
    monkeypatch.setenv("SLIPWAY_IMAGE", "registry/slipway@sha256:0")
    with pytest.raises(Refused) as refused:
        lineage.verify(asked, root)
    held = code_digest(root, FILES)[:12]
    start = f"image registry/slipway@sha256:0 holds code {held}, the stack wants {asked.identity_parts['code'][:12]}"
    assert str(refused.value).startswith(start)
    assert "python -m infra.image build" in str(refused.value)


def test_a_package_that_the_image_was_made_without_is_named_with_the_option_that_adds_it(root: Path) -> None:
    asked = wanted(root)
    (root / "mine" / "model.py").unlink()
    (root / lineage.IMAGE_FILE).write_text("{}")
    with pytest.raises(Refused, match=r"does not hold mine/model\.py.*--extra mine"):
        lineage.verify(asked, root)


def test_outside_an_image_the_snapshot_is_taken_anew(root: Path) -> None:
    asked = wanted(root)
    (root / LOCK).write_text("changed")
    with pytest.raises(Refused, match=r"holds lock .* run `up` again, which takes a new snapshot"):
        lineage.verify(asked, root)
