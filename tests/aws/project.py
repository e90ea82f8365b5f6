"""A checkout whose stacks live in the account of the AWS test server, run as a user would, on the stand-in plugins."""

from __future__ import annotations

import copy
import json
import os
import subprocess
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from tests.stacks.project import ROOT, Project, checkout
from tests.standins.aws_server import AwsServer

STANDINS = ROOT / "tests" / "standins" / "bin"
PREFIX = "slipway:"


@dataclass(frozen=True)
class AwsProject(Project):
    """A checkout whose one stack is in an account."""

    server: AwsServer | None = None
    like: str = "gpu"
    """The stack file that its own is made from."""

    def configure(self, **settings: Any) -> None:
        """Write the stack file: that of `like`, without what runs on the ground, with whole top-level keys replaced."""
        given = self.grounded()
        self.write({**given, **settings})

    def grounded(self) -> dict[str, Any]:
        """Return the settings of the stack file that this one is like, in the server's account, without workloads."""
        assert self.server is not None
        content = yaml.safe_load((ROOT / f"Pulumi.{self.like}.yaml").read_text())["config"]
        found = {key.removeprefix(PREFIX): value for key, value in content.items() if key.startswith(PREFIX)}
        found = self._here(found)
        substrate = found["substrate"]
        substrate.pop("image", None)
        substrate["endpoint_url"] = self.server.url
        if "lifetime" in found:
            found["lifetime"]["expires_at"] = f"{datetime.now(UTC) + timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}"
        return found

    def _here(self, settings: dict[str, Any]) -> dict[str, Any]:
        """Put another account in the place of the one that documentation uses."""
        assert self.server is not None
        text = yaml.safe_dump(settings).replace("111122223333", self.server.account)
        moved: dict[str, Any] = yaml.safe_load(text)
        return moved

    def settings(self) -> dict[str, Any]:
        """Return what the stack file says now."""
        content = yaml.safe_load(self.file.read_text())["config"]
        return {key.removeprefix(PREFIX): value for key, value in content.items() if key.startswith(PREFIX)}

    def change(self, edit: Callable[[dict[str, Any]], None]) -> None:
        """Edit the settings of the stack file in place."""
        settings = copy.deepcopy(self.settings())
        edit(settings)
        self.write(settings)

    def write(self, settings: Mapping[str, Any]) -> None:
        written = yaml.safe_load(self.file.read_text()) if self.file.exists() else {}
        kept = {key: value for key, value in (written or {}).items() if key != "config"}
        config = {f"{PREFIX}{key}": value for key, value in settings.items()}
        content = {**kept, "config": {"pulumi:disable-default-providers": ["*"], **config}}
        self.file.write_text(yaml.safe_dump(content))

    @property
    def file(self) -> Path:
        return self.root / f"Pulumi.{self.stack}.yaml"

    def within(self) -> list[str]:
        """Return `env ...`, which every command runs under."""
        assert self.server is not None
        path = f"{STANDINS}{os.pathsep}{os.environ['PATH']}"
        return ["env", f"PATH={path}", *(f"{name}={value}" for name, value in self.server.variables.items())]

    def bare(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a verb that names its stack by itself."""
        return self._start([str(self.root / "pulumiw"), *arguments], {})

    def beside(self, stack: str) -> AwsProject:
        """Return the same checkout with another stack."""
        return AwsProject(self.root, stack, self.temporary, server=self.server, like=self.like)

    def account(self) -> AwsServer:
        """Return the account that the stack is in."""
        assert self.server is not None
        return self.server

    def cluster(self) -> dict[str, Any]:
        """Return the stack's cluster as EKS describes it."""
        name = self.outputs()["substrate"]["cluster"]
        found: dict[str, Any] = self.account().client("eks").describe_cluster(name=name)["cluster"]
        return found

    def groups(self) -> list[dict[str, Any]]:
        """Return the stack's node groups as EKS describes them."""
        eks, named = self.account().client("eks"), {"clusterName": self.outputs()["substrate"]["cluster"]}
        listed = eks.list_nodegroups(**named)["nodegroups"]
        return [eks.describe_nodegroup(**named, nodegroupName=name)["nodegroup"] for name in listed]

    def scaling(self, group: Mapping[str, Any]) -> dict[str, Any]:
        """Return the Auto Scaling group of a node group."""
        name = group["resources"]["autoScalingGroups"][0]["name"]
        client = self.account().client("autoscaling")
        found: dict[str, Any] = client.describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"][
            0
        ]
        return found

    def tags(self) -> dict[str, dict[str, str]]:
        """Return the tags of every resource of the state that AWS can tag, as the state has them after a refresh."""
        self.pulumi("refresh", "--skip-preview").must_succeed()
        outputs = {name: entry.get("outputs", {}) for name, entry in self.state().items()}
        return {name: found["tagsAll"] for name, found in outputs.items() if "tagsAll" in found}

    def in_flight(self) -> list[str]:
        """Return what the engine is at work on, as its state file has it; nothing while that is being written."""
        file = self.root / ".slipway/state/.pulumi/stacks/slipway" / f"{self.stack}.json"
        try:
            checkpoint = json.loads(file.read_text())["checkpoint"]["latest"]
        except (OSError, ValueError, KeyError):
            return []
        return [entry["resource"]["urn"].rsplit("::", 1)[1] for entry in checkpoint.get("pending_operations") or []]

    def state(self) -> dict[str, Any]:
        """Return the resources of the state by name, those of components left out."""
        answer = self.pulumi("stack", "export", "--show-secrets").must_succeed()
        found = yaml.safe_load(answer.output[answer.output.index("{") :])["deployment"].get("resources", [])
        return {entry["urn"].rsplit("::", 1)[1]: entry for entry in found if entry.get("custom")}


def project_on(server: AwsServer, folder: Path, stack: str, like: str) -> AwsProject:
    """Copy the project into `folder`, with one stack in the server's account, where its administrator exists."""
    deployer(server)
    made = checkout(folder, stack)
    project = AwsProject(made.root, stack, server=server, like=like)
    (made.root / f"Pulumi.{stack}.yaml").unlink(missing_ok=True)
    project.configure()
    return project


def deployer(server: AwsServer) -> None:
    """Make the role that every stack file names as the cluster's administrator; EKS refuses one that is not there."""
    iam = server.client("iam")
    trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"}]}
    with suppress(iam.exceptions.EntityAlreadyExistsException):
        iam.create_role(RoleName="slipway-deployer", AssumeRolePolicyDocument=json.dumps(trust))
