"""A disk that is really full: the message names it, nothing acknowledged is lost, and with room again `up` completes.

The disk is a small file system that only the commands of the test see, in a mount namespace of their own.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.stacks.project import Project, checkout, status_of

pytestmark = pytest.mark.chaos

SIZE_MB = 160
# the first word that it prints says that the disk is there
HOLDER = 'mount -t tmpfs -o size="$2"m none "$1" && echo mounted && exec sleep infinity'


@dataclass(frozen=True)
class Confined(Project):
    """A checkout whose `.slipway` is a small disk of its own."""

    holder: int = 0

    def within(self) -> list[str]:
        return [
            "nsenter",
            "--preserve-credentials",
            "-U",
            "-m",
            "-t",
            str(self.holder),
            "--",
            "env",
            "-C",
            str(self.root),
        ]

    def fill(self) -> None:
        """Leave no byte on the disk."""
        # The folder is entered inside the namespace and the size is bounded: a mistake here filled a real disk once.
        disk = self.root / ".slipway"
        script = (
            f'mountpoint -q "{disk}" && head -c {2 * SIZE_MB}M /dev/zero > "{disk}/ballast"; '
            f'test "$(df --output=avail "{disk}" | tail -1)" -eq 0'
        )
        subprocess.run([*self.within(), "sh", "-c", script], check=True, capture_output=True)

    def empty(self) -> None:
        subprocess.run([*self.within(), "rm", "-f", ".slipway/ballast"], check=True)


@pytest.fixture(scope="module")
def confined(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Confined]:
    made = checkout(tmp_path_factory.mktemp("checkout"), "full")
    disk = made.root / ".slipway"
    disk.mkdir()
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", HOLDER, "sh", str(disk), str(SIZE_MB)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stderr is not None
        if holder.stdout.readline() != "mounted\n":
            pytest.skip(f"this machine lets no user mount a disk of their own: {holder.stderr.read().strip()}")
        project = Confined(made.root, made.stack, holder=holder.pid)
        yield project
        project.empty()
        project.pulumi("destroy", "--refresh").must_succeed()
        holder.kill()


def test_on_a_full_disk_nothing_begins_and_the_disk_is_named(confined: Confined) -> None:
    confined.fill()
    said = confined.up().must_fail().output
    assert f"the disk of {confined.root / '.slipway'} is full" in said
    assert "Traceback" not in said


def test_with_room_again_up_completes(confined: Confined) -> None:
    confined.empty()
    confined.up().must_succeed()
    assert confined.outputs()["serving"]["champion"] == "1"


def test_a_disk_that_fills_while_a_model_is_trained_loses_nothing(confined: Confined) -> None:
    url = confined.outputs()["serving"]["url"]
    confined.configure(training={"rounds": 60})
    up = confined.begin("up", "training-job")
    confined.fill()
    said = confined.finish(up).must_fail().output
    assert "is full" in said or "no space left on device" in said.lower(), said
    assert status_of(f"{url}/v2/health/ready") == 200, "the model is served on"
    confined.empty()
    confined.up("--refresh").must_succeed()
    outputs = confined.outputs()
    assert outputs["serving"]["champion"] == outputs["training"]["model_version"] != "1"
    assert len([run for run in confined.runs() if run["info"]["status"] == "FINISHED"]) == 2
    confined.up("--expect-no-changes").must_succeed()
