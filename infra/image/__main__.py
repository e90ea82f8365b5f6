"""`python -m infra.image`: the image as an archive, and what it would hold."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from infra.engine.layout import StopError, say
from infra.image import layers
from infra.image.archive import write_archive
from infra.image.code import collect, stage
from infra.image.layout import LOCK, image_config

ROOT = Path(__file__).resolve().parents[2]
REPOSITORY = "localhost/slipway"
_TAG_LENGTH = 12
_EXAMPLE = """\
examples:
  python -m infra.image build --archive /tmp/slipway.tar        # prints localhost/slipway@sha256:...
  ctr --namespace k8s.io images import /tmp/slipway.tar         # on the node
  python -m infra.image build --archive out.tar --extra my_models   # with a package of your own
  docker build -t registry.example.com/slipway .                # the same image, where there is an engine

The reference that `build` prints goes into the stack file: slipway:substrate: {kind: kubernetes, image: ...}.
"""


def main(arguments: list[str]) -> int:
    """Run one command and return the exit status."""
    given = _parser().parse_args(arguments)
    try:
        if given.command == "build":
            _print(build(given.archive, given.extra, given.name))
            return 0
        code = collect(ROOT, given.extra)
        if given.command == "digest":
            _print(json.dumps(code.about, indent=1, sort_keys=True) if given.json else code.digest)
        else:
            given.folder.mkdir(parents=True, exist_ok=True)
            stage(code, given.folder)
    except StopError as stopped:
        say(str(stopped))
        return stopped.status
    return 0


def build(archive: Path, extra: Sequence[str] = (), name: str | None = None) -> str:
    """Write the archive and return the reference that a stack file pins: `REPOSITORY@sha256:...`."""
    began = time.monotonic()
    fixed = [layers.base_layer(), layers.venv_layer(ROOT / LOCK)]
    code = collect(ROOT, extra)  # now, not before the minutes that the layers may have taken
    name = name or f"{REPOSITORY}:{code.digest[:_TAG_LENGTH]}"
    archive = archive.resolve()
    archive.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        top = Path(folder) / "code.tar"
        layers.code_layer(code, top)
        digest = write_archive(archive, [*fixed, top], name=name, config=image_config())
    megabytes = archive.stat().st_size / 1e6
    say(f"wrote {archive}: {name}, {megabytes:,.0f} MB, in {time.monotonic() - began:.0f} s")
    return f"{name.rpartition(':')[0]}@{digest}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m infra.image",
        description="The one image of an environment on Kubernetes, made without a container engine.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    making = commands.add_parser("build", help="write an image archive and print its pinned reference")
    making.add_argument("--archive", type=Path, required=True, metavar="OUT.tar", help="the OCI archive to write")
    making.add_argument("--name", metavar="REPOSITORY:TAG", help=f"default: {REPOSITORY}:DIGEST-OF-THE-CODE")
    digest = commands.add_parser("digest", help="print the digest of the code that an image made now would hold")
    digest.add_argument("--json", action="store_true", help="print what the image's image.json would say")
    staging = commands.add_parser("stage", help="write the code as the image holds it (the Dockerfile does)")
    staging.add_argument("folder", type=Path)
    for command in (making, digest, staging):
        help_text = "packages or files of your own, relative to the project"
        command.add_argument("--extra", nargs="+", default=[], metavar="PATH", help=help_text)
    return parser


def _print(text: str) -> None:
    sys.stdout.write(f"{text}\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
