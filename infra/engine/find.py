"""Where a usable engine is, on this machine, as it is. Installs nothing (see install.py)."""

import json
import os
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from infra.engine.layout import Project, cache_folder, say
from infra.engine.versions import ENGINE_BUILT, ENGINE_OFFICIAL, at_least

HOST_NAME = "pulumi-language-python"
VERSION_TIMEOUT_S = 30


@dataclass(frozen=True)
class Engine:
    """A `pulumi` executable that may be used. `official`: it was not built here."""

    path: Path
    version: str
    official: bool


def find_engine(path: Iterable[str]) -> Engine | None:
    """The first usable engine: on `path` (entries of PATH), then where installers put it, then built."""
    for candidate in _on_path(path):
        version = engine_version(candidate)
        if at_least(version, ENGINE_BUILT):
            return Engine(candidate, version, official=not candidate.is_relative_to(built_engine().parent))
        say(f"{candidate} is version {version or 'unknown'}; {ENGINE_BUILT} or later is needed, so it is not used")
    for candidate in official_places():
        if candidate.exists() and at_least(engine_version(candidate), ENGINE_BUILT):
            return Engine(candidate, engine_version(candidate), official=True)
    if built_engine().exists():
        return Engine(built_engine(), ENGINE_BUILT, official=False)
    return None


def built_engine() -> Path:
    return cache_folder() / "engine" / ENGINE_BUILT / "bin" / "pulumi"


def official_places() -> list[Path]:
    """Where the official installer puts an engine: ours, the SDK's, the user's."""
    home = Path.home() / ".pulumi"
    return [
        cache_folder() / "engine" / ENGINE_OFFICIAL / "bin" / "pulumi",
        home / "versions" / ENGINE_OFFICIAL / "bin" / "pulumi",
        home / "bin" / "pulumi",
    ]


def find_language_host(engine: Engine, path: Iterable[str]) -> Path | None:
    """The Python language host that the engine will find by itself: beside it, or on `path`."""
    for folder in [str(engine.path.resolve().parent), *path]:
        candidate = Path(folder) / HOST_NAME
        if os.access(candidate, os.X_OK):
            return candidate
    return None


def _on_path(path: Iterable[str]) -> Iterable[Path]:
    for folder in path:
        candidate = Path(folder) / "pulumi"
        if folder and os.access(candidate, os.X_OK) and candidate.is_file() and not _is_our_wrapper(candidate):
            yield candidate


def _is_our_wrapper(candidate: Path) -> bool:
    return candidate.parent.parts[-3:] == ("infra", "engine", "bin")


def engine_version(executable: Path) -> str:
    """What `pulumi version` says, or "" when it does not. Remembered per file, since asking costs 0.1 s."""
    found = executable.stat()
    key = f"{executable}:{found.st_mtime_ns}:{found.st_size}"
    memory = cache_folder() / "engine" / "versions.json"
    try:
        known: dict[str, str] = json.loads(memory.read_text())
    except (OSError, ValueError):
        known = {}
    if key not in known:
        known[key] = _ask_version(executable)
        memory.parent.mkdir(parents=True, exist_ok=True)
        draft = memory.with_suffix(f".{os.getpid()}")
        draft.write_text(json.dumps(known))
        draft.replace(memory)
    return known[key]


def _ask_version(executable: Path) -> str:
    environment = {**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "true"}
    try:
        asked = subprocess.run(
            [executable, "version"],
            capture_output=True,
            text=True,
            env=environment,
            timeout=VERSION_TIMEOUT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return asked.stdout.strip().removeprefix("v")


def engine_for(project: Project) -> Engine | None:
    """The engine for this project: its own virtualenv is not searched, since nothing there is an engine."""
    entries = os.environ.get("PATH", os.defpath).split(os.pathsep)
    return find_engine(entry for entry in entries if entry != str(project.venv / "bin"))
