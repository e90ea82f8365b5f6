"""Stack files, read without the engine: for commands that look before anything is deployed.

Encrypted values stay encrypted; only their names are read.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from components.seam import Place
from components.settings import SettingError
from stacks.config import SECRETS, EnvironmentConfig, load
from stacks.problems import ConfigError


def stack_file(root: Path, stack: str) -> tuple[Place, EnvironmentConfig]:
    """Return the environment that `Pulumi.STACK.yaml` below `root` describes.

    Raises:
        SettingError: there is no such file, it cannot be read, or what it says is wrong.
    """
    import yaml  # noqa: PLC0415  only here, and it costs as much as the rest of the command line

    path = root / f"Pulumi.{stack}.yaml"
    if not path.exists():
        names = sorted(file.name.split(".")[1] for file in root.glob("Pulumi.*.yaml"))
        raise SettingError(
            f"there is no stack file {path}. Write it, or name one of those that exist: {', '.join(names) or 'none'}"
        )
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        project = yaml.safe_load((root / "Pulumi.yaml").read_text(encoding="utf-8"))["name"]
    except (OSError, yaml.YAMLError) as error:
        raise SettingError(f"the stack file {path} cannot be read: {error}") from None
    prefix = f"{project}:"
    config: Mapping[str, Any] = document.get("config") or {}
    ours = {key.removeprefix(prefix): value for key, value in config.items() if key.startswith(prefix)}
    encrypted = {key for key in ours if key in SECRETS}
    plain = {key: value for key, value in ours.items() if key not in encrypted}
    try:
        env = load(plain, encrypted)
    except ConfigError as error:
        raise SettingError(str(error)) from None
    return Place(project=project, stack=stack, root=root), env
