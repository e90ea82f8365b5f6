"""Models that bring code of the same names, one after another in one process."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from serving.own_code import of_model


@pytest.fixture(autouse=True)
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """This process's own package `shared`, with a part of what models bring under that name."""
    root = tmp_path / "own"
    written(root, "shared/__init__.py", "shared/tabular.py", text="WHOSE = 'own'")
    monkeypatch.syspath_prepend(str(root))
    yield root
    for name in [name for name in sys.modules if name.partition(".")[0] in ("shared", "mine")]:
        del sys.modules[name]


def written(root: Path, *files: str, text: str) -> Path:
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_text(text)
    return root


def model(root: Path, whose: str) -> Path:
    files = ("shared/__init__.py", "shared/tabular.py", "shared/foreign.py", "mine/__init__.py", "mine/fit.py")
    return written(root, *files, text=f"WHOSE = {whose!r}")


def whose(name: str) -> str:
    return str(importlib.import_module(name).WHOSE)


def loaded(folder: Path, *names: str) -> list[str]:
    """What `names` mean while the model in `folder` is loaded, as MLflow does it: its code first on the path."""
    with of_model(folder):
        sys.path.insert(0, str(folder))
        return [whose(name) for name in names]


@pytest.mark.parametrize("imported", [True, False])
def test_a_model_finds_its_code_whatever_this_process_has_imported(tmp_path: Path, *, imported: bool) -> None:
    if imported:
        assert whose("shared.tabular") == "own"
    code = model(tmp_path / "one", "one")
    assert loaded(code, "shared.foreign", "shared.tabular", "mine.fit") == ["one"] * 3
    assert whose("shared.tabular") == "own", "and this process its own, afterwards"
    assert str(code) not in sys.path


def test_each_version_is_loaded_with_its_own_code(tmp_path: Path) -> None:
    for version in ("one", "two"):
        assert loaded(model(tmp_path / version, version), "mine.fit", "shared.foreign") == [version] * 2
        assert whose("mine.fit") == version, "which it may import while it predicts"


def test_a_model_that_cannot_be_loaded_changes_nothing(tmp_path: Path) -> None:
    loaded(model(tmp_path / "one", "one"), "mine.fit")
    before, path = whose("shared.tabular"), list(sys.path)
    with pytest.raises(ModuleNotFoundError, match="absent"):
        loaded(model(tmp_path / "two", "two"), "mine.fit", "absent")
    assert (whose("mine.fit"), whose("shared.tabular"), sys.path) == ("one", before, path)
