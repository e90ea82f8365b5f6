"""A stack of a few AWS resources under the real engine, with the stand-in of the AWS plugin on PATH."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from infra.engine.find import built_engine

ROOT = Path(__file__).parents[2]
STANDINS = ROOT / "tests/standins/bin"
SERVICES = (
    *("autoscaling", "budgets", "ec2", "ecr", "eks", "iam", "kms", "cloudwatchlogs", "rds", "s3"),
    *("s3control", "secretsmanager", "sns", "sts"),
)
TIMEOUT_S = 300


def resource(kind: str, *, options: Mapping[str, Any] | None = None, **arguments: Any) -> list[Any]:
    """Return one resource as the program reads it: `resource("ec2.Vpc", cidr_block=...)`."""
    return [kind, arguments, dict(options or {})]


@dataclass
class Summary:
    """What a verb did, by the engine's own count."""

    said: str
    changes: Mapping[str, int]

    @property
    def is_idle(self) -> bool:
        return not {*self.changes} - {"same"}


@dataclass
class Stack:
    """A stack in a folder of its own."""

    folder: Path
    endpoint: str | None
    default_tags: dict[str, str] = field(default_factory=dict)
    region: str = "eu-central-1"

    def start(self) -> Stack:
        """Make the stack, empty."""
        if not built_engine().exists():
            pytest.skip("the engine is not installed: ./pulumiw setup")
        (self.folder / "state").mkdir(parents=True)
        runtime = f"{{name: python, options: {{toolchain: pip, virtualenv: {ROOT / '.venv'}}}}}"
        (self.folder / "Pulumi.yaml").write_text(f"name: standin\nruntime: {runtime}\n")
        (self.folder / "Pulumi.dev.yaml").write_text('config:\n  pulumi:disable-default-providers: ["*"]\n')
        shutil.copy(ROOT / "tests/aws/standin_program.py", self.folder / "__main__.py")
        self.pulumi("stack", "init", "dev")
        return self

    def provider(self) -> dict[str, Any]:
        """Return the provider's configuration."""
        given: dict[str, Any] = {
            "region": self.region,
            "access_key": "test",
            "secret_key": "test",
            "skip_credentials_validation": True,
            "skip_metadata_api_check": True,
            "skip_region_validation": True,
            "s3_use_path_style": True,
            "default_tags": {"tags": self.default_tags},
        }
        if self.endpoint is not None:
            # their names in the SDK, in which two differ from the services'
            given["endpoints"] = [{name: self.endpoint for name in SERVICES if name != "cloudwatchlogs"}]
            given["endpoints"][0]["logs"] = self.endpoint
        return given

    def write(self, resources: Mapping[str, list[Any]], **outputs: str) -> None:
        """Make this what the program declares."""
        content = {"provider": self.provider(), "resources": resources, "outputs": outputs}
        (self.folder / "resources.json").write_text(json.dumps(content))

    def pulumi(self, *arguments: str, succeeds: bool = True) -> str:
        """Run one verb to its end and return all that it said."""
        command = [str(built_engine()), "-C", str(self.folder), "--non-interactive", *arguments]
        ended = subprocess.run(
            command, env=self._environment(), capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
        said = ended.stdout + ended.stderr
        assert (ended.returncode == 0) is succeeds, said
        return said

    def verb(self, name: str, *arguments: str) -> Summary:
        """Run a verb that changes things and return what the engine counted."""
        log = self.folder / "events.json"
        log.unlink(missing_ok=True)
        skip = () if name == "preview" else ("--yes", "--skip-preview")
        said = self.pulumi(name, *skip, *arguments, "--event-log", str(log))
        events = [json.loads(line) for line in log.read_text().splitlines()]
        counted = next(event["summaryEvent"]["resourceChanges"] for event in events if "summaryEvent" in event)
        return Summary(said, counted)

    def up(self, resources: Mapping[str, list[Any]] | None = None, **outputs: str) -> Summary:
        """Declare resources, or the last ones, and bring them up."""
        if resources is not None:
            self.write(resources, **outputs)
        return self.verb("up")

    def outputs(self) -> dict[str, Any]:
        """Return the stack's outputs."""
        found: dict[str, Any] = json.loads(self.pulumi("stack", "output", "--json"))
        return found

    def resources(self) -> dict[str, dict[str, Any]]:
        """Return the state of every resource by its name."""
        state = json.loads(self.pulumi("stack", "export"))["deployment"].get("resources", [])
        return {one["urn"].rsplit("::", 1)[1]: one for one in state}

    def _environment(self) -> dict[str, str]:
        folders = [STANDINS, ROOT / ".venv/bin", built_engine().parent]
        return {
            "PATH": os.pathsep.join([*map(str, folders), os.environ["PATH"]]),
            "HOME": str(self.folder),
            "PULUMI_HOME": str(self.folder / "home"),
            "PULUMI_BACKEND_URL": f"file://{self.folder / 'state'}",
            "PULUMI_CONFIG_PASSPHRASE": "x",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DEBUG_COMMANDS": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            "SLIPWAY_ROOT": str(ROOT),
            "NO_COLOR": "1",
        }
