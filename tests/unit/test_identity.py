"""What makes a training run the same run."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from components.code import package_code
from components.data_version import data_version
from components.seam import Place
from components.settings import SettingError
from components.training_run import DataSettings, TrainingSettings, identity_parts
from training.identity import PARTS, code_digest, identity, what_changed


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "training").mkdir()
    (tmp_path / "training" / "__init__.py").write_text("")
    (tmp_path / "training" / "train.py").write_text("def train(): ...\n")
    (tmp_path / "mine.py").write_text("def train(): ...\n")
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements" / "runtime.txt").write_text("xgboost==3.2.0\n")
    (tmp_path / "rows.csv").write_text("a,target\n1,0\n2,1\n")
    return tmp_path


def parts(root: Path, **changes: object) -> dict[str, str]:
    data = DataSettings(uri="rows.csv", target="target", key=changes.get("key"))  # type: ignore[arg-type]
    known = {name: value for name, value in changes.items() if name in TrainingSettings.model_fields}
    training = TrainingSettings.model_validate(known)
    code = package_code(root, ["training"], training.entrypoint)
    place = Place(project="slipway", stack="dev", root=root)
    return identity_parts(place, code, data_version(root, data.uri, None), data, training)


def changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
    return {part for part in PARTS if before[part] != after[part]}


def test_the_same_inputs_have_the_same_identity(root: Path) -> None:
    assert identity(parts(root)) == identity(parts(root))


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"rounds": 51}, "parameters"),
        ({"params": {"max_depth": 3}}, "parameters"),
        ({"seed": 8}, "seed"),
        ({"test_fraction": 0.3}, "split"),
        ({"key": "customer"}, "split"),
    ],
)
def test_a_changed_setting_changes_just_its_part(root: Path, changes: dict[str, object], part: str) -> None:
    before = parts(root)
    assert changed(before, parts(root, **changes)) == {part}


def test_changed_code_data_and_lock_each_change_just_their_part(root: Path) -> None:
    before = parts(root)
    (root / "training" / "train.py").write_text("def train(): return 1\n")
    code = parts(root)
    assert changed(before, code) == {"code"}
    (root / "rows.csv").write_text("a,target\n1,0\n2,0\n")
    data = parts(root)
    assert changed(code, data) == {"data"}
    (root / "requirements" / "runtime.txt").write_text("xgboost==3.2.1\n")
    assert changed(data, parts(root)) == {"lock"}


def test_how_long_a_run_may_take_or_how_much_it_gets_is_no_part_of_it(root: Path) -> None:
    assert changed(parts(root), parts(root, timeout=5.0, wait=False)) == set()


def test_a_moved_file_with_the_same_content_is_another_code(root: Path) -> None:
    before = code_digest(root, ["training/train.py"])
    (root / "training" / "train.py").rename(root / "training" / "fit.py")
    assert code_digest(root, ["training/fit.py"]) != before


def test_data_is_hashed_again_only_when_the_file_changed_but_then_surely(root: Path) -> None:
    rows = root / "rows.csv"
    before = data_version(root, "rows.csv", None)
    stat = rows.stat()
    rows.write_text("a,target\n1,0\n2,9\n")  # the same size
    os.utime(rows, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    assert data_version(root, "rows.csv", None).identity != before.identity


def test_a_broken_digest_cache_is_ignored(root: Path) -> None:
    before = data_version(root, "rows.csv", None)
    (root / ".slipway" / "cache" / "data-digests.json").write_text("[not json")
    assert data_version(root, "rows.csv", None) == before


def test_remote_data_without_a_version_is_said_to_be_unpinned(root: Path) -> None:
    assert not data_version(root, "s3://bucket/rows.csv", None).pinned
    assert data_version(root, "s3://bucket/rows.csv", "v1").pinned
    first, second = (data_version(root, "s3://bucket/rows.csv", version).identity for version in ("v1", "v2"))
    assert first != second


@pytest.mark.parametrize(
    ("uri", "told"),
    [("missing.csv", "there is no file"), ("ftp://host/x.csv", "is not a source of data"), ("empty", "holds no file")],
)
def test_data_that_cannot_be_had_is_refused_with_the_reason(root: Path, uri: str, told: str) -> None:
    (root / "empty").mkdir()
    with pytest.raises(SettingError, match=told):
        data_version(root, uri, None)


def test_the_package_of_a_custom_entrypoint_is_part_of_the_code(root: Path) -> None:
    assert "mine.py" in package_code(root, ["training"], "mine:train").files
    assert "mine.py" not in package_code(root, ["training"], "training.train:train").files


def test_an_entrypoint_that_is_not_in_the_project_is_refused(root: Path) -> None:
    with pytest.raises(SettingError, match="there is no module absent"):
        package_code(root, ["training"], "absent:train")


def test_an_identity_needs_exactly_its_parts() -> None:
    whole = dict.fromkeys(PARTS, "x")
    identity(whole)
    with pytest.raises(ValueError, match="missing \\['seed'\\]"):
        identity({part: value for part, value in whole.items() if part != "seed"})


def test_what_changed_is_said_part_by_part() -> None:
    before = dict.fromkeys(PARTS, "same")
    said = what_changed(before, {**before, "parameters": "rounds=60", "seed": "8"})
    assert said == (
        "another training run, because of its parameters, seed:\n  parameters: same -> rounds=60\n  seed: same -> 8"
    )
    assert what_changed(before, dict(before)) is None, "the control: nothing changed"
