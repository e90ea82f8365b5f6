"""The images that the node needs and no registry gives: pause, toolbox (busybox), the KubeRay operator, PostgreSQL.

Owns the `images` folder of the cluster cache: an archive an image and a note with its digest reference, both named by
the digest of what the image is made of. The product's own image is made elsewhere.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from infra.engine.dependencies import exclusive
from infra.engine.layout import StopError, say
from infra.image.archive import write_archive, write_layer
from tests.cluster.node.binaries import BY_NAME, binary, module_source, version
from tests.cluster.node.layout import Layout

SUITE = "bookworm"
POSTGRES = Path(__file__).parent / "postgres" / "entrypoint.sh"
POSTGRES_USERS = {"postgres": 999, "slipway": 10001}
"""initdb wants the user that it runs as to have a name; pods choose one of these numbers."""
POSTGRES_UNUSED = (
    "usr/lib/*/libLLVM*",
    "usr/lib/*/libz3*",
    "usr/lib/postgresql/15/lib/llvmjit.so",
    "usr/lib/postgresql/15/lib/bitcode",
    "usr/lib/*/perl",
    "usr/share/perl",
    "usr/share/i18n",
    "usr/share/locale",
    "usr/share/man",
    "usr/share/doc",
    "usr/share/postgresql/15/man",
)
"""Two thirds of the packages' size, mostly the compiler behind queries, without which PostgreSQL interprets them."""
PAUSE = "localhost/pause:1"
BUSYBOX_FOR = ("sh", "cat", "sleep", "wget", "nslookup", "nc", "httpd", "ls", "echo", "env", "id", "test", "touch")


@dataclass(frozen=True)
class Image:
    """An archive on disk, its name with a tag, and its name with a digest."""

    archive: Path
    name: str
    reference: str


@dataclass(frozen=True)
class Recipe:
    """How an image is made: `build(place, draft)` returns layers and the image config; `inputs` says of what."""

    name: str
    inputs: Callable[[Layout], str]
    build: Callable[[Layout, Path], tuple[list[Path], dict[str, object]]]


def ensure(place: Layout, key: str) -> Image:
    """The image of a recipe, made when it is not in the cache."""
    recipe = RECIPES[key]
    made_of = hashlib.sha256(f"{recipe.name}\0{recipe.inputs(place)}".encode()).hexdigest()[:12]
    archive = place.images / f"{key}-{made_of}.tar"
    note = archive.with_suffix(".json")
    with exclusive(place.images / f"{key}.lock", f"another build of the image {key}"):
        if not (archive.exists() and note.exists()):
            started = time.monotonic()
            with tempfile.TemporaryDirectory(dir=place.images, prefix=f".{key}.") as draft:
                layers, config = recipe.build(place, Path(draft))
                digest = write_archive(archive, layers, name=recipe.name, config=config)
            note.write_text(json.dumps({"name": recipe.name, "digest": digest}))
            size = archive.stat().st_size / 1e6
            say(f"image {recipe.name} made in {time.monotonic() - started:.0f} s ({size:.1f} MB)")
    return Image(archive, recipe.name, digest_reference(recipe.name, json.loads(note.read_text())["digest"]))


def digest_reference(name: str, digest: str) -> str:
    """`repository:tag` and a digest as `repository@sha256:...`."""
    repository, colon, tag = name.rpartition(":")
    return f"{repository if colon and '/' not in tag else name}@{digest}"


def _layer(draft: Path, tree: Path, name: str = "layer") -> Path:
    out = draft / f"{name}.tar"
    write_layer(out, tree)
    return out


def _root(draft: Path) -> Path:
    tree = draft / "root"
    (tree / "tmp").mkdir(parents=True)
    (tree / "tmp").chmod(0o1777)
    (tree / "etc").mkdir()
    (tree / "etc" / "passwd").write_text("root:x:0:0::/:/sbin/nologin\nnobody:x:65534:65534::/:/sbin/nologin\n")
    return tree


def _run(command: list[str], what: str, environment: dict[str, str] | None = None, cwd: Path | None = None) -> None:
    ended = subprocess.run(
        command, capture_output=True, text=True, check=False, env=os.environ | (environment or {}), cwd=cwd
    )
    if ended.returncode != 0:
        raise StopError(
            f"{what}: `{command[0]}` ended with status {ended.returncode}:\n{ended.stderr[-2000:].rstrip()}"
        )


def _pause(place: Layout, draft: Path) -> tuple[list[Path], dict[str, object]]:
    source = module_source(BY_NAME["kubernetes"]) / "build" / "pause" / "linux" / "pause.c"
    tree = draft / "root"
    tree.mkdir()
    define = f"-DVERSION={version('kubernetes')}"
    _run(["gcc", "-Os", "-static", define, "-o", str(tree / "pause"), str(source)], "pause could not be compiled")
    return [_layer(draft, tree)], {"Entrypoint": ["/pause"], "User": "65535:65535"}


def _toolbox(place: Layout, draft: Path) -> tuple[list[Path], dict[str, object]]:
    _run(["apt-get", "download", "-q", "busybox-static"], "busybox could not be downloaded", cwd=draft)
    package = next(draft.glob("busybox-static_*.deb"))
    _run(["dpkg-deb", "-x", str(package), str(draft / "package")], "busybox could not be unpacked")
    tree = _root(draft)
    (tree / "bin").mkdir()
    shutil.copy2(draft / "package" / "bin" / "busybox", tree / "bin" / "busybox")
    for name in BUSYBOX_FOR:
        (tree / "bin" / name).symlink_to("busybox")
    return [_layer(draft, tree)], {"Cmd": ["sh"], "Env": ["PATH=/bin"], "User": "10001:10001"}


def _operator(place: Layout, draft: Path) -> tuple[list[Path], dict[str, object]]:
    tree = _root(draft)
    shutil.copy2(binary(place, "manager"), tree / "manager")
    return [_layer(draft, tree)], {"Entrypoint": ["/manager"], "User": "65532:65532", "WorkingDir": "/"}


def _postgres(place: Layout, draft: Path) -> tuple[list[Path], dict[str, object]]:
    base = draft / "base.tar"
    packages = "--include=postgresql-15,tzdata"
    users = "; ".join(
        f'chroot "$1" groupadd --gid {number} {name}-{number}; '
        f'chroot "$1" useradd --uid {number} --gid {number} --home-dir /tmp --no-create-home {name}-{number}'
        for name, number in POSTGRES_USERS.items()
    )
    folders = (
        "rm -rf $1/var/lib/postgresql/15 $1/etc/postgresql/15 $1/var/log/postgresql; "
        'for d in var/lib/postgresql var/run/postgresql; do mkdir -p "$1/$d"; chmod 1777 "$1/$d"; done'
    )
    unused = f'cd "$1" && rm -rf {" ".join(POSTGRES_UNUSED)}'
    hooks = [f"--customize-hook={hook}" for hook in (users, folders, unused)]
    command = ["mmdebstrap", "--mode=root", "--variant=minbase", packages, *hooks, SUITE, str(base)]
    _run(command, "the database image's packages could not be installed", {"SOURCE_DATE_EPOCH": "0"})
    tree = draft / "root"
    (tree / "usr" / "local" / "bin").mkdir(parents=True)
    shutil.copy2(POSTGRES, tree / "usr" / "local" / "bin" / "entrypoint.sh")
    config: dict[str, object] = {
        "Entrypoint": ["/usr/local/bin/entrypoint.sh"],
        "Cmd": ["postgres"],
        "Env": ["PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8", "PGDATA=/var/lib/postgresql/data"],
        "ExposedPorts": {"5432/tcp": {}},
        "StopSignal": "SIGINT",
        "User": "999:999",
    }
    return [base, _layer(draft, tree)], config


def _pinned(module: str) -> Callable[[Layout], str]:
    return lambda _place: f"{BY_NAME[module].version} {BY_NAME[module].digest}"


RECIPES = {
    "pause": Recipe(PAUSE, _pinned("kubernetes"), _pause),
    "toolbox": Recipe("localhost/slipway-toolbox:1", lambda _place: f"{SUITE} {BUSYBOX_FOR}", _toolbox),
    "operator": Recipe(f"quay.io/kuberay/operator:{version('kuberay')}", _pinned("kuberay"), _operator),
    "postgres": Recipe(
        "localhost/slipway-postgres:15", lambda _place: f"{SUITE} {POSTGRES_UNUSED} {POSTGRES.read_text()}", _postgres
    ),
}
"""By key, in the order in which the node loads them: pause before any pod."""
