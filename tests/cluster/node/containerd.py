"""The node's image store: importing archives, the digest references that pods use, and what containers left behind.

Owns the namespace `k8s.io` of the node's own containerd. The kubelet creates and removes the containers; here they are
removed only when the node goes down.
"""

from __future__ import annotations

import json
import subprocess
import tarfile
import time
from pathlib import Path

from infra.engine.layout import StopError, say
from tests.cluster.node.images import digest_reference
from tests.cluster.node.layout import RUN, socket

TASKS = RUN / "containerd" / "io.containerd.runtime.v2.task" / "k8s.io"


def ctr(*arguments: str) -> str:
    """`ctr` on the node's containerd, and what it printed.

    Raises:
        StopError: it failed.
    """
    command = ["ctr", "--address", str(socket()), "--namespace", "k8s.io", *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        raise StopError(f"`ctr {' '.join(arguments)}` ended with status {ended.returncode}: {ended.stderr.strip()}")
    return ended.stdout


def names(archive: Path) -> tuple[str, str]:
    """The name with a tag, and the digest, of the one image in an OCI archive.

    Raises:
        StopError: it is not an archive of one named image.
    """
    try:
        with tarfile.open(archive) as content:
            index = content.extractfile("index.json")
            found = json.load(index)["manifests"] if index else []
        (image,) = found
        return image["annotations"]["io.containerd.image.name"], image["digest"]
    except (OSError, KeyError, ValueError, tarfile.TarError) as error:
        raise StopError(
            f"{archive} is not an OCI archive of one named image: write it with infra.image.archive.write_archive"
        ) from error


def load(archive: Path) -> str:
    """Import an archive unless the node has its image, and return the digest reference for pod specs."""
    name, digest = names(archive)
    reference = digest_reference(name, digest)
    known = ctr("images", "list", "--quiet", f"name=={reference}").split()
    if reference not in known:
        started = time.monotonic()
        ctr("images", "import", str(archive))
        size = archive.stat().st_size / 1e6
        say(f"image {name} loaded in {time.monotonic() - started:.1f} s ({size:.0f} MB)")
        ctr("images", "tag", "--force", name, reference)
    else:
        ctr("images", "tag", "--force", reference, name)  # the tag may name a later image by now
    return reference


def remove_containers() -> None:
    """Remove every container with its task and snapshot. Their processes are gone already, or are killed now."""
    for task in ctr("tasks", "list", "--quiet").split():
        subprocess.run(
            ["ctr", "--address", str(socket()), "--namespace", "k8s.io", "tasks", "delete", "--force", task],
            capture_output=True,
            check=False,
        )
    for container in ctr("containers", "list", "--quiet").split():
        ctr("containers", "delete", container)


def shim_sockets() -> list[Path]:
    """Sockets that shims of this node keep outside its folders."""
    addresses = [file.read_text().removeprefix("unix://") for file in TASKS.glob("*/address")]
    return [Path(address) for address in addresses]
