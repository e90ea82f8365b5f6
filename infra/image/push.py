"""`python -m infra.image.push --stack NAME`: the image into the environment's own registry, and its digest pinned.

The registry is the one that the stack made; whoever runs this needs an engine that builds images, and credentials of
the account.  The registry's password goes to the engine by standard input and is forgotten there afterwards.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.settings import SettingError
from infra.aws import api
from infra.aws.api import AwsUnusable
from infra.engine.layout import StopError, say
from infra.image.code import collect

ROOT = Path(__file__).resolve().parents[2]
ENGINES = ("docker", "podman")
PLATFORM = "linux/amd64"
"""What the nodes are, also where this machine is another."""
SETTING = "slipway:substrate.image"
_RECIPE = ("Dockerfile", "requirements/image.txt")
_CODE_DIGITS, _RECIPE_DIGITS = 12, 6
_ABSENT = ("ImageNotFoundException",)


@dataclass(frozen=True, kw_only=True)
class Registry:
    """A repository for images in ECR."""

    url: str
    region: str
    endpoint_url: str | None

    @property
    def host(self) -> str:
        """Where engines log in."""
        return self.url.partition("/")[0]

    @property
    def name(self) -> str:
        """The repository's name in the account."""
        return self.url.partition("/")[2]


def push(stack: str, *, engine: str | None = None, extra: Sequence[str] = (), pulumiw: Path = ROOT / "pulumiw") -> str:
    """Build, push and pin the image; return its reference.  An image that is there already is only pinned.

    Raises:
        StopError: the stack has no registry yet, there is no engine, or a command of it failed.
        AwsUnusable: the registry cannot be asked.
    """
    registry = registry_of(stack, pulumiw)
    tag = tag_of(ROOT, extra)
    client = api.client("ecr", registry.region, registry.endpoint_url)
    digest = _digest(client, registry, tag)
    if digest is None:
        _build_and_push(client, registry, tag, _engine(engine), extra)
        digest = _digest(client, registry, tag)
        if digest is None:
            raise StopError(f"{registry.url}:{tag} was pushed, and the registry does not have it: push it again")
    else:
        say(f"{registry.url}:{tag} is in the registry already: the code has not changed since")
    reference = f"{registry.url}@{digest}"
    _run([str(pulumiw), "config", "set", "--path", SETTING, reference, "--stack", stack], "the digest was not pinned")
    say(f"pinned in Pulumi.{stack}.yaml: {SETTING}: {reference}")
    say(f"next: ./pulumiw up -s {stack}")
    return reference


def registry_of(stack: str, pulumiw: Path) -> Registry:
    """Return the registry that the stack's outputs name.

    Raises:
        StopError: there is none yet.
    """
    asked = [str(pulumiw), "stack", "output", "--json", "--stack", stack]
    done = subprocess.run(asked, capture_output=True, text=True, check=False, cwd=ROOT)
    found: dict[str, Any] = (json.loads(done.stdout) if done.returncode == 0 else {}).get("substrate") or {}
    if not found.get("registry"):
        why = done.stderr.strip() or "its outputs name none"
        raise StopError(
            f"the stack {stack} has no image registry ({why}). On AWS `up` makes one before there is an image: "
            f"./pulumiw up -s {stack}. Elsewhere push to your own and set {SETTING} (docs/kubernetes.md)"
        )
    return Registry(url=found["registry"], region=found["region"], endpoint_url=found.get("endpoint_url"))


def tag_of(root: Path, extra: Sequence[str]) -> str:
    """Return a tag that changes with the code, the lock and the recipe: tags in the registry never move."""
    recipe = hashlib.sha256(b"\0".join((root / name).read_bytes() for name in _RECIPE)).hexdigest()
    return f"{collect(root, extra).digest[:_CODE_DIGITS]}-{recipe[:_RECIPE_DIGITS]}"


def _build_and_push(client: Any, registry: Registry, tag: str, engine: str, extra: Sequence[str]) -> None:
    name = f"{registry.url}:{tag}"
    more = ["--build-arg", f"EXTRA={' '.join(extra)}"] if extra else []
    _run([engine, "build", "--platform", PLATFORM, "--tag", name, *more, str(ROOT)], "the image was not built")
    # after the build, which may take longer than a login holds
    _log_in(client, registry, engine)
    try:
        _run([engine, "push", name], "the image was not pushed")
    finally:
        subprocess.run([engine, "logout", registry.host], check=False, capture_output=True)


def _log_in(client: Any, registry: Registry, engine: str) -> None:
    answer = api.ask(client, "get_authorization_token")["authorizationData"][0]
    user, _, password = base64.b64decode(answer["authorizationToken"]).decode().partition(":")
    command = [engine, "login", "--username", user, "--password-stdin", registry.host]
    done = subprocess.run(command, input=password, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise StopError(f"{engine} could not log in to {registry.host}: {done.stderr.strip()}")


def _digest(client: Any, registry: Registry, tag: str) -> str | None:
    """Return the digest of a tag as the registry has it; None when it has no such tag."""
    try:
        found = api.ask(client, "describe_images", repositoryName=registry.name, imageIds=[{"imageTag": tag}])
    except AwsUnusable as error:
        if error.code in _ABSENT:
            return None
        raise
    return str(found["imageDetails"][0]["imageDigest"])


def _engine(wanted: str | None) -> str:
    found = next((engine for engine in ([wanted] if wanted else ENGINES) if shutil.which(engine)), None)
    if found is None:
        raise StopError(
            f"no {wanted or ' or '.join(ENGINES)} on PATH to build and push the image with: install one "
            "(https://docs.docker.com/engine/install, https://podman.io), or push where there is one"
        )
    return found


def _run(command: Sequence[str], failed: str) -> None:
    """Run a command whose output people want to see while it works."""
    done = subprocess.run(command, check=False, cwd=ROOT)
    if done.returncode != 0:
        raise StopError(f"{failed}: `{' '.join(command[:3])} ...` ended with status {done.returncode}", done.returncode)


def main(arguments: Sequence[str]) -> int:
    """Run the command and return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m infra.image.push",
        description="Build the image, push it to the registry that the stack made, pin its digest in the stack file.",
        epilog="example: make push STACK=prod",
    )
    parser.add_argument("-s", "--stack", required=True, help="the environment, whose `up` made the registry")
    parser.add_argument("--engine", help=f"what builds and pushes; the first of {', '.join(ENGINES)} on PATH if absent")
    parser.add_argument("--extra", nargs="+", default=[], metavar="PATH", help="packages of your own, in the image too")
    given = parser.parse_args(arguments)
    try:
        push(given.stack, engine=given.engine, extra=given.extra)
    except StopError as stopped:
        say(str(stopped))
        return stopped.status
    except SettingError as error:
        say(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
