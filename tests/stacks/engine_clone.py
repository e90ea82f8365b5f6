"""A small clone of this project for tests of the engine folder: real `pulumiw` and engine, a tiny program and provider.

Owns its folder only; nothing of the developer's own stacks, state or selection is touched (PULUMI_HOME lies inside).
"""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from infra.engine.dependencies import STAMP, stamp_for
from infra.engine.layout import Project

ROOT = Path(__file__).resolve().parents[2]
DEADLINE_S = 240.0

PROJECT = """\
name: tiny
main: program
runtime: {name: python, options: {toolchain: pip, virtualenv: .venv}}
plugins:
  providers:
    - {name: slipway, path: provider}
"""

STACK = """\
# kept as committed
config:
  tiny:size: 5   # not a string

  pulumi:disable-default-providers: ["*"]
"""

PROGRAM = """\
import pulumi
from helper import size

class Held(pulumi.CustomResource):
    def __init__(self, name, provider, **inputs):
        super().__init__("slipway:local:Held", name, {**inputs, "pid": None}, pulumi.ResourceOptions(provider=provider))

print("program in", pulumi.get_root_directory())
provider = pulumi.ProviderResource("slipway", "local", {})
held = Held("held", provider, size=size())
pulumi.export("serving", {"url": "http://127.0.0.1:1", "sizes": [size(), 2]})
pulumi.export("nothing", None)
pulumi.export("hidden", pulumi.Output.secret("told to nobody"))
"""

HELPER = """\
import os
import time
from pathlib import Path

import pulumi

def size():
    folder = Path(pulumi.get_root_directory())
    if (folder / "hold-program").exists():
        (folder / "program.pid").write_text(str(os.getpid()))
        while (folder / "hold-program").exists():
            time.sleep(0.05)
    if pulumi.Config().get_bool("broken"):
        raise LookupError("no such size")
    return pulumi.Config().require_int("size")
"""

PROVIDER = """\
import asyncio
import os
import sys
from pathlib import Path

from pulumi.provider.experimental import provider as rpc
from pulumi.provider.experimental.property_value import PropertyValue
from pulumi.provider.experimental.server import main

FOLDER = Path(__file__).resolve().parent.parent

class Held(rpc.Provider):
    cancelled = False

    async def check_config(self, request):
        return rpc.CheckResponse(inputs=request.new_inputs)

    async def configure(self, request):
        return rpc.ConfigureResponse()

    async def check(self, request):
        return rpc.CheckResponse(inputs=request.new_inputs)

    async def diff(self, request):
        same = request.old_state.get("size") == request.new_inputs.get("size")
        return rpc.DiffResponse(changes=not same)

    async def create(self, request):
        if request.preview:
            return rpc.CreateResponse(properties=request.properties)
        with (FOLDER / "creates").open("a") as log:
            log.write("create\\n")
        (FOLDER / "provider.pid").write_text(str(os.getpid()))
        while (FOLDER / "hold-create").exists() and not self.cancelled:
            await asyncio.sleep(0.05)
        return rpc.CreateResponse(resource_id="held", properties=request.properties)

    async def update(self, request):
        return rpc.UpdateResponse(properties=request.news)

    async def read(self, request):
        return rpc.ReadResponse(resource_id=request.resource_id, inputs=request.inputs, properties=request.properties)

    async def delete(self, request):
        return None

    async def cancel(self):
        self.cancelled = True

if __name__ == "__main__":
    print("said by the provider", file=sys.stderr)
    main(sys.argv[1:], "0.1.0", Held())
"""


@dataclass(frozen=True)
class Clone:
    """A project folder with a program, a provider and a virtualenv that borrows this one's packages."""

    root: Path

    def environment(self) -> dict[str, str]:
        """A user's shell: nothing of Pulumi set, a home of its own."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PULUMI_", "SLIPWAY_ROOT"))}
        return {**kept, "PULUMI_HOME": str(self.root / "home")}

    def run(self, *arguments: str, status: int = 0, **environment: str) -> str:
        """`./pulumiw ARGUMENTS`, its two streams together, after asserting its exit status."""
        ended = subprocess.run(
            [self.root / "pulumiw", *arguments],
            cwd=self.root, env={**self.environment(), **environment}, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=DEADLINE_S, check=False,
        )  # fmt: skip
        assert ended.returncode == status, ended.stdout
        return ended.stdout

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """The same in the background, in a process group of its own as a shell would start it."""
        return subprocess.Popen(
            [self.root / "pulumiw", *arguments],
            cwd=self.root, env=self.environment(), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, process_group=0,
        )  # fmt: skip

    def resources(self, stack: str = "dev") -> list[str]:
        """Types in the state of a stack, the stack and providers included."""
        deployment = json.loads(self.run("stack", "export", "-s", stack))["deployment"]
        return [resource["type"] for resource in deployment.get("resources", [])]


def make_clone(root: Path) -> Clone:
    """Write the clone's files; its dependencies count as installed."""
    (root / "infra").mkdir(parents=True)
    (root / "infra" / "__init__.py").touch()
    shutil.copytree(ROOT / "infra" / "engine", root / "infra" / "engine", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "requirements", root / "requirements")
    shutil.copy(ROOT / "pulumiw", root / "pulumiw")
    files = {
        "Pulumi.yaml": PROJECT,
        "Pulumi.dev.yaml": STACK,
        ".gitignore": (ROOT / ".gitignore").read_text() + "/home/\n/creates\n*.pid\n",
        "program/__main__.py": PROGRAM,
        "program/helper.py": HELPER,
        "provider/PulumiPlugin.yaml": "runtime: {name: python, options: {toolchain: pip, virtualenv: ../.venv}}\n",
        "provider/__main__.py": PROVIDER,
    }
    for name, text in files.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(text)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", root / ".venv"], check=True)
    site = next((root / ".venv" / "lib").glob("python3*/site-packages"))
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    project = Project(root)
    (project.venv / STAMP).write_text(json.dumps(stamp_for(project, "program")))
    return Clone(root)


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Poll until the condition holds; a generous deadline, since the machine may be busy."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen within {DEADLINE_S:.0f} s"
        time.sleep(0.05)


def is_running(pid: int) -> bool:
    """Whether the process exists and is not a zombie."""
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
