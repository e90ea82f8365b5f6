"""Where an environment keeps its files on this machine."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from components.seam import Place


@dataclass(frozen=True)
class Layout:
    """The folders of one stack: what is its data, and what goes with it."""

    place: Place

    @property
    def home(self) -> Path:
        return self.place.root / ".slipway" / self.place.stack

    @property
    def state(self) -> Path:
        """Records, logs, code snapshots and secrets: removed with the environment."""
        return self.home / "state"

    @property
    def artifacts(self) -> Path:
        return self.home / "artifacts"

    def service_state(self, role: str) -> Path:
        """The folder of a service that outlives its restarts."""
        return self.home / role

    @property
    def ray_token(self) -> Path:
        return self.state / "secrets" / "ray-token"

    def temporary(self, role: str) -> Path:
        """The folder for a process's temporary files, sockets among them: nothing in it outlives the process."""
        return self.sockets / f"tmp-{role}"

    @property
    def sockets(self) -> Path:
        """A folder for sockets, short on purpose.

        HAProxy refuses a base folder of more than 27 characters, and an AF_UNIX path may have 107.
        """
        seed = hashlib.sha256(f"{self.place.root}\0{self.place.stack}".encode()).hexdigest()
        return Path("/tmp") / f"slipway-{seed[:8]}"  # noqa: S108  made with mode 0700 and refused when another user owns it
