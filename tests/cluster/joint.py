"""An environment on AWS whose two halves are joined: AWS is the test server, the cluster in it the tests' own node.

EKS says that its clusters' API server is the node's; the node's API server asks the account's authenticator whose a
token is; RDS says that its instances are a PostgreSQL server on the node; pods reach the account by the node's address.
"""

from __future__ import annotations

import json
import secrets
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.aws.project import PREFIX, AwsProject, deployer
from tests.cluster.node.cluster import Cluster
from tests.cluster.node.layout import ADDRESS, AUTHENTICATOR_PORT, NETNS
from tests.cluster.project import TRAINING
from tests.cluster.ways import authenticator, forwarded, listening_in
from tests.stacks.project import checkout
from tests.standins.aws_server import AwsServer

STACK = "prod"
AWS_PORT = 9018
CREDENTIALS = f"{PREFIX}artifacts_credentials"


@dataclass(frozen=True)
class JointProject(AwsProject):
    """A checkout whose stack `prod` is on both; its commands are run by the role that the stack file names."""

    deadline_s: float = 900
    images: dict[str, str] = field(default_factory=dict)
    keys: Mapping[str, str] = field(default_factory=dict)

    def configure(self, **settings: Any) -> None:
        """Write the stack file: the committed one in this account, but for what one node with two CPUs cannot hold."""
        given = self.grounded()
        substrate = given["substrate"]
        substrate["image"] = self.images["product"]
        substrate["operator_images"] = {"kuberay": self.images["operator"]}
        substrate["endpoint_url_in_cluster"] = f"http://{ADDRESS}:{AWS_PORT}"
        substrate["tracking_replicas"] = 1
        for pools in (substrate.pop("gpu_nodes"), given.pop("gpu_pools")):
            assert pools, "the control: the committed file has them"
        smaller = {"training": TRAINING, "serving": {}}
        self.write({**given, **smaller, **settings})

    def write(self, settings: Mapping[str, Any]) -> None:
        """Write the settings; what is encrypted in the file stays."""
        written = yaml.safe_load(self.file.read_text()) if self.file.exists() else {}
        kept = {key: value for key, value in written.get("config", {}).items() if key == CREDENTIALS}
        super().write(settings)
        content = yaml.safe_load(self.file.read_text())
        content["config"] |= kept
        self.file.write_text(yaml.safe_dump(content))

    def within(self) -> list[str]:
        """Return `env ...`, with the role's keys instead of the administrator's."""
        return [*super().within(), *(f"{name}={value}" for name, value in self.keys.items())]

    def set_credentials(self) -> None:
        """Encrypt what pods log in to AWS with: the node has no agent that would give them an identity."""
        pair = json.dumps({"access_key_id": "test", "secret_access_key": secrets.token_hex(16)})
        command = [*self.within(), str(self.root / "pulumiw"), "config", "set", "--secret", CREDENTIALS]
        command += ["--stack", self.stack]
        done = subprocess.run(command, input=pair, text=True, capture_output=True, check=False, cwd=self.root)
        assert done.returncode == 0, done.stderr

    def token(self, keys: Mapping[str, str] | None = None) -> str:
        """Return a token for the stack's cluster, of the role that deploys or of whoever has these keys."""
        variables = {**self.account().variables, **(self.keys if keys is None else keys)}
        command = [
            "env",
            *(f"{name}={value}" for name, value in variables.items()),
            str(self.root / ".venv/bin/slipway"),
        ]
        command += ["eks-token", "--cluster", str(self.outputs()["substrate"]["cluster"]), "--region", "us-east-1"]
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=self.root)
        return str(json.loads(done.stdout)["status"]["token"])

    def deletions(self) -> list[str]:
        """Destroy, and return the types of what was deleted, in the order in which each was gone."""
        events = self.root / "destroyed.json"
        verb = ["destroy", "--skip-preview", "--event-log", str(events)]
        self.finish(self.start(*verb, PULUMI_DEBUG_COMMANDS="true")).must_succeed()
        told = [
            json.loads(line).get("resOutputsEvent", {}).get("metadata", {}) for line in events.read_text().splitlines()
        ]
        return [str(step["type"]) for step in told if step.get("op") == "delete"]


def assumed(server: AwsServer, role: str) -> dict[str, str]:
    """Return the variables with the temporary keys of a role."""
    arn = f"arn:aws:iam::{server.account}:role/{role}"
    found = server.client("sts").assume_role(RoleArn=arn, RoleSessionName="joint")["Credentials"]
    names = {"ACCESS_KEY_ID": "AccessKeyId", "SECRET_ACCESS_KEY": "SecretAccessKey", "SESSION_TOKEN": "SessionToken"}
    return {f"AWS_{name}": str(found[key]) for name, key in names.items()}


def project_on(server: AwsServer, folder: Path, images: dict[str, str]) -> JointProject:
    """Copy the project into `folder`, with the stack `prod` in the server's account."""
    deployer(server)
    made = checkout(folder, STACK)
    keys = assumed(server, "slipway-deployer")
    project = JointProject(made.root, STACK, server=server, like=STACK, images=images, keys=keys)
    project.file.unlink()
    return project


@contextmanager
def joined(server: AwsServer, cluster: Cluster, name: str, *, namespace: Path | None = NETNS) -> Iterator[list[str]]:
    """Join both while the block runs; `name` is the cluster's. Yields the authenticator's answers."""
    config = yaml.safe_load(cluster.kubeconfig.read_text())
    there = config["clusters"][0]["cluster"]
    server.clusters_are_at(there["server"], there["certificate-authority-data"])
    with ExitStack() as ways:
        aws = listening_in(namespace, "127.0.0.1" if namespace is None else ADDRESS, AWS_PORT)
        ways.enter_context(forwarded(aws, int(server.url.rpartition(":")[2])))
        asked = listening_in(namespace, "127.0.0.1", AUTHENTICATOR_PORT)
        yield ways.enter_context(authenticator(asked, server.review_url(name)))


def cluster_wide(cluster: Cluster) -> set[str]:
    """Return what there is on the cluster that a stack could leave behind, each as KIND/NAME or KIND/NAMESPACE/NAME."""
    kinds = "namespaces,crds,clusterroles,clusterrolebindings,storageclasses,persistentvolumes,priorityclasses,"
    kinds += "validatingadmissionpolicies,validatingadmissionpolicybindings,pods"
    found = json.loads(cluster.kubectl("get", kinds, "--all-namespaces", "-o", "json"))["items"]
    return {
        "/".join(filter(None, (one["kind"], one["metadata"].get("namespace"), one["metadata"]["name"])))
        for one in found
    }
