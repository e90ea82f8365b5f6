"""Third-party manifests, pinned and digest-checked, in the same cache as the engine.

Owns `${SLIPWAY_CACHE:-~/.cache/slipway}/manifests/NAME-VERSION/`: filled by `./pulumiw setup`, read by the program,
which fetches nothing.  Standard library only: `setup` runs before anything is installed.
"""

import hashlib
import io
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from infra.engine.dependencies import exclusive
from infra.engine.layout import Project, StopError, cache_folder, say
from infra.engine.substrate import makes_its_cluster

STAMP = ".digest"
FILL = "./pulumiw setup --kubernetes"
MODULES = Path(__file__).parent / "upstream"
"""Holds go.mod and go.sum: the sums that the downloaded modules must have."""
_TIMEOUT_S = 60.0
_MANAGED = re.compile(r"""^[^#\n]*\boperators:\s*["']?managed\b""", re.MULTILINE)


@dataclass(frozen=True)
class Source:
    """Files of one release, by the module that carries them or by its archive."""

    name: str
    version: str
    module: str
    archive: str
    folder: str
    """The folder inside the archive that the module is."""
    files: Mapping[str, str]
    """Path inside the module -> sha256; only these files are kept."""

    @property
    def target(self) -> Path:
        return cache_folder() / "manifests" / f"{self.name}-{self.version}"

    @property
    def digest(self) -> str:
        """What the stamp of a complete folder says."""
        return hashlib.sha256(repr(sorted(self.files.items())).encode()).hexdigest()


KUBERAY = Source(
    name="kuberay",
    version="1.6.2",
    module="github.com/ray-project/kuberay/ray-operator",
    archive="https://github.com/ray-project/kuberay/archive/refs/tags/v1.6.2.tar.gz",
    folder="ray-operator",
    files={
        "config/crd/bases/ray.io_rayclusters.yaml": "1d51d8c4ce065b22c2069af0ebd72ae25f4a6968e5c5f93a3106ba6fc35bcc1d",
        "config/crd/bases/ray.io_rayjobs.yaml": "ecae45d9a5dc1be68f1074ba784c495ef9d439d295253b61e1bd51f7b08522f5",
        "config/crd/bases/ray.io_rayservices.yaml": "95c639acc20ecc3cfa425d5ad0f8a7c152a336bc16d2e0deec17b62005e67fda",
        "config/rbac/role.yaml": "8f432284c45cee4f6809d55c3ca96ecdfb576647ea7d8678ddc63e1a7e681b2e",
    },
)
_PLUGIN_FILE = "deployments/static/nvidia-device-plugin.yml"
DEVICE_PLUGIN = Source(
    name="nvidia-device-plugin",
    version="0.18.0",
    module="github.com/NVIDIA/k8s-device-plugin",
    archive="https://github.com/NVIDIA/k8s-device-plugin/archive/refs/tags/v0.18.0.tar.gz",
    folder="",
    files={_PLUGIN_FILE: "8704c60143ade2c54941d317378df0c4633f9339f03f22474abad0930d4f1b94"},
)
SOURCES = (KUBERAY, DEVICE_PLUGIN)


def folder(source: Source) -> Path:
    """Return the folder that holds the source's files, by their base names.

    Raises:
        StopError: it is not filled; names the command that fills it.
    """
    if not is_complete(source):
        raise StopError(
            f"the manifests of {source.name} {source.version} are not in {source.target}, and a preview fetches "
            f"nothing. Run {FILL}"
        )
    return source.target


def is_complete(source: Source) -> bool:
    """Whether the folder was filled with the files that are pinned now."""
    try:
        return (source.target / STAMP).read_text() == source.digest
    except OSError:
        return False


def wanted(project: Project, stack: str) -> bool:
    """Whether the stack installs operators itself: its file asks for that, or it makes its own cluster."""
    file = project.stack_file(stack)
    return file.exists() and (_MANAGED.search(file.read_text()) is not None or makes_its_cluster(file))


def fetch(*sources: Source) -> None:
    """Fill the cache with what is missing of `sources`, each in one rename.

    Raises:
        StopError: neither Go's module proxy nor the archive can be reached, or a digest is wrong.
    """
    if all(is_complete(source) for source in sources):
        return
    with exclusive(cache_folder() / "manifests.lock", "another clone that fetches manifests"):
        for source in sources:
            if not is_complete(source):
                _fill(source)


def _fill(source: Source) -> None:
    read, origin = _reader(source)
    draft = source.target.with_name(f".{source.target.name}.{os.getpid()}")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    try:
        for path, digest in source.files.items():
            content = read(path)
            found = hashlib.sha256(content).hexdigest()
            if found != digest:
                raise StopError(
                    f"{path} of {source.name} {source.version} has sha256 {found}, pinned is {digest}: it was not "
                    f"installed. It came from {origin}"
                )
            (draft / Path(path).name).write_bytes(content)
            (draft / Path(path).name).chmod(0o444)
        (draft / STAMP).write_text(source.digest)
        shutil.rmtree(source.target, ignore_errors=True)
        draft.replace(source.target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    say(f"manifests of {source.name} {source.version} are in {source.target} (from {origin})")


def _reader(source: Source) -> tuple[Callable[[str], bytes], str]:
    """Return what reads a file of the source, and where it comes from: Go's modules first, the archive else."""
    from infra.engine.install import GO_INSTALL, find_go  # noqa: PLC0415  slow to import, and rarely needed

    go = find_go()
    told = "Go is not installed"
    if go is not None:
        module, told = _module(go, source)
        if module is not None:
            return (lambda path: (module / path).read_bytes()), f"{source.module}@v{source.version}"
    try:
        archive = _archive(source)
    except OSError as error:
        raise StopError(
            f"the manifests of {source.name} {source.version} can be had neither as a Go module ({told}) nor from "
            f"{source.archive} ({error}). Connect to one of them, or install Go: {GO_INSTALL}"
        ) from error
    return archive, source.archive


def _module(go: str, source: Source) -> tuple[Path | None, str]:
    """Download the module; go refuses one whose sum differs from go.sum."""
    command = [go, "mod", "download", "-json", source.module]
    ended = subprocess.run(
        command,
        cwd=MODULES,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "GOFLAGS": "-mod=readonly", "GOWORK": "off"},
    )
    found = re.search(r'"Dir": "([^"]+)"', ended.stdout)
    if ended.returncode == 0 and found:
        return Path(found.group(1)), ""
    error = re.search(r'"Error": "([^"]*)"', ended.stdout)
    return None, error.group(1) if error else ended.stderr.strip()[-300:]


def _archive(source: Source) -> Callable[[str], bytes]:
    """Download the archive.

    Raises:
        OSError: it cannot be had, or is no such archive.
    """
    import tarfile  # noqa: PLC0415  slow to import, and rarely needed
    import urllib.request  # noqa: PLC0415

    with urllib.request.urlopen(source.archive, timeout=_TIMEOUT_S) as answer:  # noqa: S310  a fixed https address
        content = answer.read()

    def read(path: str) -> bytes:
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            top = archive.getnames()[0].split("/")[0]
            member = archive.extractfile("/".join(part for part in (top, source.folder, path) if part))
            return member.read() if member else b""  # no file: the digest refuses it

    return read
