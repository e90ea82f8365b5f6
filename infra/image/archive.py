"""Image archives without a container engine: layers and an OCI image layout in one tar, the same bytes each time.

Owns the file format. What goes into an image is decided elsewhere. The digest that `write_archive` returns is the one
that a pod's `name@sha256:...` names, on a node that imported the archive and in a registry that it was pushed to.
"""

import hashlib
import io
import json
import os
import platform
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
EPOCH = "1970-01-01T00:00:00Z"


def write_archive(out: Path, layers: Sequence[Path], *, name: str, config: Mapping[str, object]) -> str:
    """Write an OCI layout of plain layer tars, lowest first, and return the image's digest (`sha256:...`).

    Args:
        out: the archive; it appears whole or not at all.
        layers: uncompressed tars.
        name: fully qualified reference with a tag, such as `localhost/slipway:1`.
        config: the image config's `config` section: `Env`, `Entrypoint`, `Cmd`, `User`, `WorkingDir`, `Labels`.
    """
    digests = [_digest_of(layer) for layer in layers]
    image = _image_config(digests, config)
    manifest = _manifest(image, digests, layers)
    named = {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": name.rpartition(":")[2]}
    described = _descriptor("application/vnd.oci.image.manifest.v1+json", manifest) | {"annotations": named}
    draft = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        with tarfile.open(draft, "w", format=tarfile.GNU_FORMAT) as archive:
            _add_bytes(archive, "oci-layout", _json({"imageLayoutVersion": "1.0.0"}))
            _add_bytes(archive, "index.json", _json({"schemaVersion": 2, "manifests": [described]}))
            for blob in (manifest, image):
                _add_bytes(archive, f"blobs/sha256/{hashlib.sha256(blob).hexdigest()}", blob)
            for digest, layer in dict(zip(digests, layers, strict=True)).items():
                _add_file(archive, f"blobs/sha256/{digest}", layer)
        draft.replace(out)
    finally:
        draft.unlink(missing_ok=True)
    return str(described["digest"])


def _image_config(digests: Sequence[str], config: Mapping[str, object]) -> bytes:
    return _json(
        {
            "architecture": ARCHITECTURES.get(platform.machine(), platform.machine()),
            "config": dict(config),
            "created": EPOCH,
            "history": [{"created": EPOCH, "created_by": "slipway"} for _ in digests],
            "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}" for digest in digests]},
        }
    )


def _manifest(image: bytes, digests: Sequence[str], layers: Sequence[Path]) -> bytes:
    kind = "application/vnd.oci.image.layer.v1.tar"
    return _json(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": _descriptor("application/vnd.oci.image.config.v1+json", image),
            "layers": [
                {"mediaType": kind, "digest": f"sha256:{digest}", "size": layer.stat().st_size}
                for digest, layer in zip(digests, layers, strict=True)
            ],
        }
    )


def write_layer(out: Path, tree: Path, *, prefix: str = "", owner: tuple[int, int] = (0, 0)) -> None:
    """Pack a folder as a layer: sorted, with fixed times and one owner, so that equal content is an equal digest.

    Args:
        out: the layer's tar.
        tree: the folder whose content is packed; its own mode is that of `prefix`.
        prefix: where the content goes in the image, such as `opt/slipway`; its parents belong to root.
        owner: user and group of everything under `prefix`.
    """
    draft = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        with tarfile.open(draft, "w", format=tarfile.PAX_FORMAT) as layer:
            for parent in reversed(Path(prefix).parents):
                if parent != Path():
                    _add_folder(layer, str(parent))
            for path in _walk(tree):
                name = str(Path(prefix) / path.relative_to(tree))
                if name != ".":
                    _add_path(layer, name, path, owner)
        draft.replace(out)
    finally:
        draft.unlink(missing_ok=True)


def _walk(tree: Path) -> Iterator[Path]:
    yield tree
    for entry in sorted(os.scandir(tree), key=lambda entry: entry.name):
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(Path(entry.path))
        else:
            yield Path(entry.path)


def _add_path(layer: tarfile.TarFile, name: str, path: Path, owner: tuple[int, int]) -> None:
    layer.inodes = {}  # type: ignore[attr-defined]  # a second name of one file is packed as a file, wherever it came from
    entry = layer.gettarinfo(path, arcname=name)
    _normalise(entry, owner)
    if entry.isreg():
        with path.open("rb") as content:
            layer.addfile(entry, content)
    else:
        layer.addfile(entry)


def _normalise(entry: tarfile.TarInfo, owner: tuple[int, int] = (0, 0)) -> None:
    entry.uid, entry.gid = owner
    entry.uname = entry.gname = ""
    entry.mtime = 0


def _add_folder(layer: tarfile.TarFile, name: str) -> None:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode = tarfile.DIRTYPE, 0o755
    layer.addfile(entry)


def _add_bytes(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    archive.addfile(entry, io.BytesIO(content))


def _add_file(archive: tarfile.TarFile, name: str, path: Path) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = path.stat().st_size
    with path.open("rb") as content:
        archive.addfile(entry, content)


def _descriptor(kind: str, blob: bytes) -> dict[str, object]:
    return {"mediaType": kind, "digest": f"sha256:{hashlib.sha256(blob).hexdigest()}", "size": len(blob)}


def _digest_of(path: Path) -> str:
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
