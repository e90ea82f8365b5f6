"""An environment on the tests' cluster: a checkout of its own, run as a user would, the stand-in plugin on PATH.

The artifact store is moto's S3 server beside the node, the database runs in the cluster, KubeRay is the stack's own.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.cluster.node.cluster import Cluster
from tests.cluster.node.layout import ADDRESS, NETNS
from tests.stacks.project import ROOT, Project, checkout

STACK = "cluster"
BUCKET = "models"
STORE_PORT = 9017
STANDINS = ROOT / "tests" / "standins" / "bin"
NO_IMAGE = "localhost/none@sha256:" + "0" * 64
# one node with two CPUs holds tracking, database, operator, a service and a training at once
TRAINING: dict[str, Any] = {"resources": {"workers": 1, "cpus": 0.25, "memory_gib": 2}, "timeout": 420}


@dataclass(frozen=True)
class ClusterProject(Project):
    """A checkout whose one stack lives on a cluster."""

    deadline_s: float = 900
    cluster: Cluster | None = None
    substrate: dict[str, Any] = field(default_factory=dict)

    def configure(self, **settings: Any) -> None:
        """Write the stack file; what is encrypted in it stays."""
        file = self.root / f"Pulumi.{self.stack}.yaml"
        given: dict[str, Any] = {
            "substrate": self.substrate,
            "artifacts": {"uri": f"s3://{BUCKET}/{self.stack}", "endpoint": f"http://{ADDRESS}:{STORE_PORT}"},
            "data": {"uri": "sklearn:breast_cancer", "target": "target"},
            "training": TRAINING,
            "gate": {"floors": {"accuracy": 0.8}},
            **settings,
        }
        written = yaml.safe_load(file.read_text()) if file.exists() else {}
        kept = {
            key: value
            for key, value in written.get("config", {}).items()
            if isinstance(value, dict) and "secure" in value
        }
        salt = {key: written[key] for key in ("encryptionsalt",) if key in written}
        config = {f"slipway:{key}": value for key, value in given.items()}
        content = {**salt, "config": {"pulumi:disable-default-providers": ["*"], **config, **kept}}
        file.write_text(yaml.safe_dump(content))

    def pin(self, image: str) -> None:
        """Have the stack run this image from now on."""
        self.substrate["image"] = image
        self.configure()

    @property
    def namespace(self) -> str:
        return f"slipway-{self.stack}"

    def set_secret(self, key: str, value: str) -> None:
        """Encrypt a value into the stack file, handed over on standard input."""
        command = [str(self.root / "pulumiw"), "config", "set", "--secret", f"slipway:{key}", "--stack", self.stack]
        done = subprocess.run(
            command, input=value, text=True, capture_output=True, check=False, cwd=self.root, env=self.variables()
        )
        assert done.returncode == 0, done.stderr

    def variables(self) -> dict[str, str]:
        """Return the environment of its commands."""
        assert self.cluster is not None
        kept = {name: text for name, text in os.environ.items() if not name.startswith(("PULUMI_", "MLFLOW_", "RAY_"))}
        path = f"{STANDINS}{os.pathsep}{kept['PATH']}"
        return {**kept, **self.cluster.env, "PATH": path, "NO_COLOR": "1"}

    def within(self) -> list[str]:
        """Return `env ...`, which every command runs under."""
        assert self.cluster is not None
        path = f"{STANDINS}{os.pathsep}{os.environ['PATH']}"
        return ["env", f"KUBECONFIG={self.cluster.kubeconfig}", f"PATH={path}"]

    def objects(self, kind: str, *arguments: str) -> list[dict[str, Any]]:
        """Return the objects of a kind in the environment's namespace."""
        assert self.cluster is not None
        text = self.cluster.kubectl("get", kind, "-n", self.namespace, "-o", "json", *arguments)
        found: list[dict[str, Any]] = json.loads(text)["items"]
        return found

    def secret(self, name: str, key: str) -> str:
        """Return one value of a Secret, as a person with the right to read it would."""
        assert self.cluster is not None
        template = f"{{{{index .data {json.dumps(key)} | base64decode}}}}"
        return self.cluster.kubectl("get", "secret", name, "-n", self.namespace, "-o", f"go-template={template}")


@contextmanager
def object_store(cluster: Cluster) -> Iterator[None]:
    """Run moto's S3 server at the node's own address, which pods reach, with one bucket."""
    assert cluster.place is not None

    enter = ["nsenter", f"--net={NETNS}"]
    server = subprocess.Popen(
        [*enter, sys.executable, "-m", "moto.server", "-H", ADDRESS, "-p", str(STORE_PORT)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    make = f"""
import boto3
access = dict(aws_access_key_id="any", aws_secret_access_key="any", region_name="us-east-1")
boto3.client("s3", endpoint_url="http://{ADDRESS}:{STORE_PORT}", **access).create_bucket(Bucket={BUCKET!r})
"""
    try:
        end = time.monotonic() + 180
        while (done := cluster.run([sys.executable, "-c", make])).returncode != 0:
            assert time.monotonic() < end, f"moto's server does not answer: {done.stderr}"
            assert server.poll() is None, "moto's server has ended"
            time.sleep(0.5)
        yield
    finally:
        server.terminate()
        server.wait(120)


def environment_on(
    cluster: Cluster, folder: Path, image: str, *, credentials: bool = True, **substrate: Any
) -> ClusterProject:
    """Copy the project into `folder` and configure its stack for the cluster, with or without those of a bucket."""
    made = checkout(folder, STACK)
    settings = {
        "kind": "kubernetes",
        "context": cluster.context,
        "image": image,
        "operators": "managed",
        "operator_images": {"kuberay": cluster.image("operator")},
        "database": {"image": cluster.image("postgres"), "size": "1Gi"},
        "storage_class": cluster.storage_class,
        "quota": {"cpu": "8", "memory": "32Gi", "pods": 40},
        "egress": {"object_store": [{"cidr": f"{ADDRESS}/32", "ports": [STORE_PORT]}]},
        **substrate,
    }
    project = ClusterProject(made.root, STACK, cluster=cluster, substrate=settings)
    project.configure()
    if credentials:
        given = {"access_key_id": "test", "secret_access_key": secrets.token_hex(16)}
        project.set_secret("artifacts_credentials", json.dumps(given))
    return project


def product_image(cluster: Cluster, root: Path, archive: Path) -> str:
    """Make the image of a checkout's code, put it on the node, and return its digest reference."""
    done = subprocess.run(
        [sys.executable, "-m", "infra.image", "build", "--archive", str(archive)],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    reference = cluster.load(archive)
    archive.unlink()
    assert reference == done.stdout.strip(), "the node resolves the reference that the builder printed"
    return reference


def project_on(cluster: Cluster, folder: Path, *, credentials: bool = True, **substrate: Any) -> ClusterProject:
    """Copy the project into `folder`, put the image of its code on the node, and configure its stack for both."""
    cluster.replenish_volumes()
    made = environment_on(cluster, folder, NO_IMAGE, credentials=credentials, **substrate)
    made.pin(product_image(cluster, made.root, folder.with_suffix(".tar")))
    return made
