"""Data folders: made private, kept when they should be, and never removed when they are not ours."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from infra.local.provider.failure import Failure
from tests.stacks.provider_bench import bench, run


def test_a_folder_is_private_and_its_secrets_are_made_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as it:
            inputs = {"path": str(tmp_path / "data"), "secrets": ["token"]}
            made = await it.create("DataFolder", inputs)
            token = tmp_path / "data" / "secrets" / "token"
            secret = token.read_text()
            assert len(bytes.fromhex(secret)) == 32
            assert stat.S_IMODE(token.stat().st_mode) == 0o600
            assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700
            assert secret not in str(made), "the state of the stack never holds it"
            await it.create("DataFolder", inputs)
            assert token.read_text() == secret

    run(scenario)


def test_a_retained_folder_is_kept_and_named(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as it:
            made = await it.create("DataFolder", {"path": str(tmp_path / "data"), "retain": True})
            (tmp_path / "data" / "model").write_text("x")
            await it.delete("DataFolder", made)
            assert (tmp_path / "data" / "model").exists()
            assert any(line == f"kept {tmp_path / 'data'}: it is to be retained" for line in it.heard.lines)
            again = await it.create("DataFolder", {"path": str(tmp_path / "data"), "retain": False})
            await it.delete("DataFolder", again)
            assert not (tmp_path / "data").exists(), "the control: it was ours, so without `retain` it goes"

    run(scenario)


def test_a_removal_that_was_cut_is_completed_by_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed in the middle, what is left must still be known as ours."""

    def cut(paths: list[str]) -> None:
        monkeypatch.undo()
        entries = [entry for path in paths for entry in [Path(path), *Path(path).glob("*")] if entry.is_file()]
        # in whatever order a folder is read: at worst, its mark comes first
        min(entries, key=lambda entry: (not entry.name.startswith("."), entry.name)).unlink()
        raise Failure("killed")

    async def scenario() -> None:
        async with bench(tmp_path) as it:
            made = await it.create("DataFolder", {"path": str(tmp_path / "data"), "retain": False})
            for name in ("a", "b", "c"):
                (tmp_path / "data" / name).write_text("x")
            monkeypatch.setattr("infra.local.provider.data_folder.remove_paths", cut)
            with pytest.raises(Failure, match="killed"):
                await it.delete("DataFolder", made)
            assert len(list((tmp_path / "data").iterdir())) == 3, "the control: it was cut after one file"
            await it.delete("DataFolder", made)
            assert not (tmp_path / "data").exists()

    run(scenario)


def test_a_folder_that_was_there_before_is_used_and_never_removed(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as it:
            (tmp_path / "mine").mkdir()
            (tmp_path / "mine" / "thesis.txt").write_text("x")
            made = await it.create("DataFolder", {"path": str(tmp_path / "mine"), "retain": False})
            await it.delete("DataFolder", made)
            assert (tmp_path / "mine" / "thesis.txt").exists()
            assert any("it was not made by Slipway" in line for line in it.heard.lines)

    run(scenario)


def test_a_folder_that_is_gone_is_missing_and_a_lost_secret_is_drift(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as it:
            inputs = {"path": str(tmp_path / "data"), "secrets": ["token"], "retain": False}
            made = await it.create("DataFolder", inputs)
            assert await it.read("DataFolder", made) == made
            (tmp_path / "data" / "secrets" / "token").unlink()
            seen = await it.read("DataFolder", made)
            assert seen is not None
            assert await it.changes("DataFolder", seen, inputs) is True
            await it.delete("DataFolder", made)
            assert await it.read("DataFolder", made) is None
            await it.delete("DataFolder", made)  # again is fine

    run(scenario)


def test_a_file_in_the_folders_place_is_refused_by_name(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as it:
            (tmp_path / "data").write_text("x")
            said = await it.refused(it.create("DataFolder", {"path": str(tmp_path / "data")}))
            assert f"{tmp_path / 'data'} is a file" in said

    run(scenario)


def test_a_path_that_is_too_high_is_refused(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as it:
            for path in ("/", "/home", "relative/data"):
                _, failures = await it.check("DataFolder", {"path": path})
                assert any("path must be an absolute path" in failure for failure in failures), path

    run(scenario)
