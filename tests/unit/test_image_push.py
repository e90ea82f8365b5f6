"""`make push`, with a recording executable in place of the container engine and moto's ECR as the registry."""

from __future__ import annotations

import base64
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from infra.engine.layout import StopError
from infra.image import push

ROOT = Path(__file__).parents[2]
REGION, NAME = "eu-central-1", "slipway-prod-images"
ENGINE = """#!{python} -S
# records how it is called; `push` puts an image into the registry, as the real one would
import hashlib, json, os, sys, urllib.request
words, entered = sys.argv[1:], "" if sys.argv[1] != "login" else sys.stdin.read()
with open({log!r}, "a") as log:
    log.write(json.dumps([words, entered]) + "\\n")
if os.environ.get("FAILS") == words[0]:
    sys.exit(17)
if words[0] == "push":
    repository, tag = words[1].split("/", 1)[1].rsplit(":", 1)
    kind = "application/vnd.oci.image.manifest.v1+json"
    layer = {{"size": 1, "digest": "sha256:" + hashlib.sha256(tag.encode()).hexdigest()}}
    config = {{"digest": "sha256:" + "0" * 64, "size": 1}}
    manifest = {{"schemaVersion": 2, "mediaType": kind, "config": config, "layers": [layer]}}
    image = {{"repositoryName": repository, "imageTag": tag, "imageManifest": json.dumps(manifest)}}
    # without the SDK, whose import takes longer than everything else here
    headers = {{
        "X-Amz-Target": "AmazonEC2ContainerRegistry_V20150921.PutImage",
        "Content-Type": "application/x-amz-json-1.1",
        "Authorization": "AWS4-HMAC-SHA256 Credential=testing/20260101/{region}/ecr/aws4_request",
    }}
    body = json.dumps({{**image, "imageManifestMediaType": kind}}).encode()
    urllib.request.urlopen(urllib.request.Request(os.environ["AWS_ENDPOINT_URL"], body, headers)).close()
"""
PULUMIW = """#!{python} -S
import json, sys
if sys.argv[1:4] == ["stack", "output", "--json"]:
    print(open({outputs!r}).read())
with open({log!r}, "a") as log:
    log.write(json.dumps(sys.argv[1:]) + "\\n")
"""


@pytest.fixture(scope="module")
def aws() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
    finally:
        server.stop()


class Bench:
    """A registry, and executables that record what they are told."""

    def __init__(self, folder: Path, endpoint: str) -> None:
        self.folder = folder
        self.ecr = boto3.client("ecr", region_name=REGION, endpoint_url=endpoint)
        made = self.ecr.create_repository(repositoryName=NAME, imageTagMutability="IMMUTABLE")
        self.url = str(made["repository"]["repositoryUri"])
        self.outputs = folder / "outputs.json"
        substrate = {"kind": "aws", "registry": self.url, "region": REGION, "endpoint_url": endpoint}
        self.outputs.write_text(json.dumps({"substrate": substrate}))
        self.pulumiw = self._script("pulumiw", PULUMIW, outputs=str(self.outputs))
        self._script("docker", ENGINE, region=REGION)

    def _script(self, name: str, text: str, **more: str) -> Path:
        path = self.folder / name
        path.write_text(text.format(python=sys.executable, log=str(self.folder / f"{name}.log"), **more))
        path.chmod(0o755)
        return path

    def said(self, name: str) -> list[Any]:
        log = self.folder / f"{name}.log"
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []

    def push(self, **more: Any) -> str:
        return push.push("prod", pulumiw=self.pulumiw, **more)


@pytest.fixture
def bench(tmp_path: Path, aws: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws)
    monkeypatch.setenv("PATH", str(tmp_path))
    found = Bench(tmp_path, aws)
    yield found
    found.ecr.delete_repository(repositoryName=NAME, force=True)


def test_the_image_is_built_pushed_and_pinned_by_the_digest_that_the_registry_gave(bench: Bench) -> None:
    reference = bench.push()
    (image,) = bench.ecr.describe_images(repositoryName=NAME)["imageDetails"]
    name = f"{bench.url}:{image['imageTags'][0]}"
    assert reference == f"{bench.url}@{image['imageDigest']}"
    host = bench.url.partition("/")[0]
    calls = [words for words, _ in bench.said("docker")]
    assert calls == [
        ["build", "--platform", "linux/amd64", "--tag", name, str(ROOT)],
        ["login", "--username", "AWS", "--password-stdin", host],
        ["push", name],
        ["logout", host],
    ]
    assert bench.said("pulumiw")[-1] == [
        *("config", "set", "--path", "slipway:substrate.image", reference, "--stack", "prod"),
    ]


def test_the_registrys_password_is_never_an_argument(bench: Bench) -> None:
    bench.push()
    token = bench.ecr.get_authorization_token()["authorizationData"][0]["authorizationToken"]
    password = base64.b64decode(token).decode().partition(":")[2]
    (login,) = [(words, entered) for words, entered in bench.said("docker") if words[0] == "login"]
    assert login[1] == password, "the control: it was handed over"
    assert password not in json.dumps(bench.said("pulumiw"))
    assert not any(password in words for words, _ in bench.said("docker"))


def test_code_that_did_not_change_is_not_built_again(bench: Bench) -> None:
    first = bench.push()
    before = len(bench.said("docker"))
    assert bench.push() == first
    assert len(bench.said("docker")) == before
    assert len([words for words in bench.said("pulumiw") if words[0] == "config"]) == 2, "but it is pinned again"


def test_packages_of_ones_own_make_another_image(bench: Bench) -> None:
    own = ROOT / "benchmarks"
    assert own.is_dir()
    bench.push(extra=["benchmarks"])
    build = bench.said("docker")[0][0]
    assert build[-3:] == ["--build-arg", "EXTRA=benchmarks", str(ROOT)]
    assert push.tag_of(ROOT, ["benchmarks"]) != push.tag_of(ROOT, [])
    assert build[4].endswith(push.tag_of(ROOT, ["benchmarks"]))


@pytest.mark.parametrize(("step", "left"), [("build", 1), ("login", 2), ("push", 4)])
def test_a_step_that_fails_stops_it_and_pins_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, step: str, left: int
) -> None:
    monkeypatch.setenv("FAILS", step)
    with pytest.raises(StopError, match=r"not built|could not log in|not pushed"):
        bench.push()
    assert len(bench.said("docker")) == left, "after a failed push the engine is logged out all the same"
    assert [words[0] for words in bench.said("pulumiw")] == ["stack"]


def test_a_stack_without_a_registry_is_told_to_make_one(bench: Bench) -> None:
    bench.outputs.write_text(json.dumps({"substrate": {"kind": "aws"}}))
    with pytest.raises(StopError, match=r"no image registry.*pulumiw up -s prod"):
        bench.push()


def test_without_an_engine_the_ones_that_would_do_are_named(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "docker").rename(tmp_path / "other")
    with pytest.raises(StopError, match="no docker or podman on PATH"):
        bench.push()
    (tmp_path / "other").rename(tmp_path / "podman")
    bench.push()
    assert [words[0] for words, _ in bench.said("docker")] == ["build", "login", "push", "logout"], "podman did it"
    with pytest.raises(StopError, match="no nerdctl on PATH"):
        bench.push(engine="nerdctl", extra=["benchmarks"])
