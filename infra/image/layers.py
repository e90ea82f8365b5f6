"""The three layers of the image, made without a container engine: Debian, the virtualenv, the code.

The first two are slow and cached, by what they are made from. The virtualenv is made inside the first layer, by
its Python at its final path, so nothing in it has to be moved. Needs root: it unpacks a system and enters it.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from infra.engine.dependencies import SYSTEM_CERTIFICATES, exclusive
from infra.engine.layout import StopError, cache_folder, say
from infra.engine.versions import UV
from infra.image.archive import write_layer
from infra.image.code import ImageCode, stage
from infra.image.layout import (
    ADD_USER,
    LOCK,
    PACKAGES,
    PROFILE,
    PROFILE_LINE,
    PYTHON,
    SUITE,
    VENV,
)

_EPOCH = "1"  # seconds; zero means "unset" to some tools
_KEY_LENGTH = 16
_UNUSED = ("doc", "info", "lintian", "locale", "man")
_LEFT_BEHIND = (
    *("var/log/*", "var/cache/*", "var/lib/apt/lists/*"),
    *(f"etc/{name}-" for name in ("passwd", "group", "shadow", "gshadow", "subuid", "subgid")),
)
"""What installing leaves, and an image has no use for."""
_FORMAT = 1
"""Raise it when layers are made another way, so that old ones are not taken from the cache."""


def base_layer() -> Path:
    """Return Debian with the packages and the user, made once for a list of packages."""
    recipe = [_FORMAT, SUITE, PACKAGES, ADD_USER, PROFILE_LINE, _UNUSED, platform.machine()]
    return _cached("base", recipe, _make_base)


def venv_layer(lock: Path) -> Path:
    """Return the virtualenv of the lock, byte code included, made once for a lock and a base."""
    recipe = [_FORMAT, hashlib.sha256(lock.read_bytes()).hexdigest(), UV, VENV, base_layer().name]
    return _cached("venv", recipe, lambda out: _make_venv(out, lock))


def code_layer(code: ImageCode, out: Path) -> None:
    """Write the layer of the code: it changes with every commit, and takes no time."""
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "app"
        tree.mkdir()
        stage(code, tree)
        write_layer(out, tree, prefix="opt/slipway/app")


def _cached(kind: str, recipe: Sequence[object], make: Callable[[Path], None]) -> Path:
    key = hashlib.sha256(json.dumps(recipe).encode()).hexdigest()[:_KEY_LENGTH]
    folder = cache_folder() / "image"
    layer = folder / f"{kind}-{key}.tar"
    with exclusive(folder / f"{kind}.lock", f"another build of the {kind} layer"):
        if not layer.exists():
            _need_root()
            say(f"making the {kind} layer {layer}")
            draft = folder / f".{layer.name}.{os.getpid()}"
            try:
                make(draft)
                draft.replace(layer)
            finally:
                draft.unlink(missing_ok=True)
    return layer


def _need_root() -> None:
    lacking = [tool for tool in ("mmdebstrap", "unshare", "chroot") if shutil.which(tool) is None]
    if os.geteuid() != 0 or not sys.platform.startswith("linux") or lacking:
        missing = f", and {', '.join(lacking)} (Debian: apt-get install mmdebstrap)" if lacking else ""
        raise StopError(
            f"making an image without a container engine needs Linux and root{missing}. "
            "Where there is an engine, `docker build .` makes the same image"
        )


def _make_base(out: Path) -> None:
    hooks = (
        f'chroot "$1" {" ".join(ADD_USER)}',
        f"echo '{PROFILE_LINE}' > \"$1{PROFILE}\"",
        # of the machine that builds, not of the image; a pod gets its own
        'for f in resolv.conf hostname hosts; do : > "$1/etc/$f"; done',
        f'cd "$1" && rm -rf {" ".join(_LEFT_BEHIND)}',
    )
    command = [
        "mmdebstrap",
        "--quiet",
        "--mode=root",
        "--variant=minbase",
        "--format=tar",
        f"--include={','.join(PACKAGES)}",
        *(f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in _UNUSED),
        *(f"--customize-hook={hook}" for hook in hooks),
        SUITE,
        str(out),
    ]
    _step(command, "the Debian packages could not be installed", environment={"SOURCE_DATE_EPOCH": _EPOCH})


def _make_venv(out: Path, lock: Path) -> None:
    with tempfile.TemporaryDirectory(dir=cache_folder() / "image", prefix=".venv-") as folder:
        root = Path(folder) / "root"
        root.mkdir()
        _step(["tar", "-C", str(root), "-xf", str(base_layer())], "the base layer could not be unpacked")
        _prepare(root, lock)
        # a mount namespace of its own: whatever happens, nothing stays mounted
        _step(["unshare", "--mount", "sh", "-euc", _INSTALL, "sh", str(root)], f"{LOCK} could not be installed")
        write_layer(out, root / VENV.lstrip("/"), prefix=VENV.lstrip("/"))


def _prepare(root: Path, lock: Path) -> None:
    """Lay out what the installation needs and the image does not: uv, certificates, the names of hosts."""
    build = root / "build"
    build.mkdir()
    (root / VENV.lstrip("/")).parent.mkdir(parents=True)
    shutil.copy(_uv(), build / "uv")
    shutil.copy(lock, build / "lock.txt")
    if SYSTEM_CERTIFICATES.exists():
        shutil.copy(SYSTEM_CERTIFICATES, root / SYSTEM_CERTIFICATES.relative_to("/"))
    for name in ("resolv.conf", "hosts"):
        if Path("/etc", name).exists():
            shutil.copy(Path("/etc", name), root / "etc" / name)


# Byte code is checked against no time stamp: those of a layer are all alike, and the image is never edited.
_INSTALL = f"""
mount --rbind /proc "$1/proc"
mount --rbind /dev "$1/dev"
root=$1
run() {{
  chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/build UV_CACHE_DIR=/build/cache \\
    UV_SYSTEM_CERTS=true UV_COMPILE_BYTECODE_TIMEOUT=0 PYTHONHASHSEED=0 PYC_INVALIDATION_MODE=UNCHECKED_HASH \\
    /build/uv "$@"
}}
run venv --quiet --no-python-downloads --python {PYTHON} {VENV}
run pip sync --quiet --require-hashes --compile-bytecode --link-mode hardlink --python {VENV}/bin/python /build/lock.txt
"""


def _uv() -> Path:
    """Return uv: the one on PATH, else the one that `./pulumiw setup` keeps for all clones."""
    kept = cache_folder() / "tools" / f"uv-{UV}" / "bin" / "uv"
    found = shutil.which("uv")
    if kept.exists():
        return kept
    if found is None:
        raise StopError(f"uv {UV} is not installed; `./pulumiw setup` installs it")
    return Path(found)


def _step(command: list[str], failure: str, environment: dict[str, str] | None = None) -> None:
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    try:
        ended = subprocess.run(command, env={**variables, **(environment or {})}, check=False).returncode
    except OSError as error:
        raise StopError(f"{failure}: {error}") from error
    if ended != 0:
        raise StopError(f"{failure}: `{command[0]}` ended with status {ended}; its message is above")
