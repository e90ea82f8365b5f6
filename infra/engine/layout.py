"""Where the project's own files lie, and how this command speaks: names shared by the modules of this folder."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path


class StopError(Exception):
    """Ends the command with a message for the reader. `status` is the exit status."""

    def __init__(self, message: str, status: int = 1) -> None:
        super().__init__(message)
        self.status = status


def say(message: str) -> None:
    """A line for the reader, apart from what the command answers on standard output."""
    print(f"slipway: {message}", file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Project:
    """The folder that holds Pulumi.yaml, and what lies at fixed places in it."""

    root: Path

    @property
    def venv(self) -> Path:
        return self.root / ".venv"

    @property
    def python(self) -> Path:
        return self.venv / "bin" / "python"

    @property
    def generated(self) -> Path:
        """Everything that environments write; ignored by git."""
        return self.root / ".slipway"

    @property
    def engine_folder(self) -> Path:
        return self.root / "infra" / "engine"

    @property
    def name(self) -> str:
        """The project's name in Pulumi.yaml. A line is enough: no YAML parser is installed yet."""
        for line in (self.root / "Pulumi.yaml").read_text().splitlines():
            if line.startswith("name:"):
                return line.removeprefix("name:").strip().strip("\"'")
        raise StopError(f"{self.root / 'Pulumi.yaml'} has no `name:` line")

    def stack_file(self, stack: str) -> Path:
        return self.root / f"Pulumi.{stack}.yaml"

    def stacks(self) -> list[str]:
        """Names of the stacks that have a file."""
        return sorted(file.name[len("Pulumi.") : -len(".yaml")] for file in self.root.glob("Pulumi.*.yaml"))


def cache_folder() -> Path:
    """Tools that clones share: `$SLIPWAY_CACHE`, else `~/.cache/slipway`."""
    return Path(os.environ.get("SLIPWAY_CACHE") or Path.home() / ".cache" / "slipway")
