"""What an offline preview costs: `python -m benchmarks.preview [STACK...] [--runs 3]`, on an idle machine.

Each figure is the median of whole commands, `SLIPWAY_OFFLINE=1 ./pulumiw preview -s STACK`, in a copy of this checkout:
the engine's start, a state of its own, the policy pack, the program, the plugins.  It is compared with a program that
imports the same modules of the same SDKs, starts the same two plugins and declares nothing else, run by the same
command; the two take turns, so that a busy machine slows both.  The first line of a preview says which plugins answer.
"""

from __future__ import annotations

import argparse
import ast
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from infra.engine import manifests
from tests.stacks.project import ROOT, Project, checkout, environment

STACKS = ("prod", "staging", "gpu")
LIMIT_S = 8.0
MOST_TIMES_EMPTY = 2.0
_SDKS = ("pulumi_aws", "pulumi_kubernetes")
_PACKAGES = ("components/aws", "components/kubernetes", "infra/aws", "infra/kubernetes", "infra/policies")
EMPTY = """\
import pulumi
import pulumi_aws
import pulumi_kubernetes
{imports}

def loaded(module):
    return hasattr(module, "__all__")  # pulumi_aws loads a module when something in it is first asked for

for module in [{names}]:
    loaded(module)
keys = {{"access_key": "x", "secret_key": "x", "region": "us-east-1"}}
skips = ("credentials_validation", "metadata_api_check", "region_validation", "requesting_account_id")
names = ("project", "stack", "owner", "cost-centre", "expires-at")
tags = {{"tags": {{f"slipway:{{name}}": "x" for name in names}}}}  # the policy pack asks for them
pulumi_aws.Provider("aws", default_tags=tags, **keys, **{{f"skip_{{name}}": True for name in skips}})
pulumi_kubernetes.Provider("kubernetes", kubeconfig="{{}}")
"""


def imported() -> Iterator[str]:
    """Walk the modules of both SDKs that the AWS substrate's code imports by name."""
    for package in _PACKAGES:
        for file in sorted((ROOT / package).rglob("*.py")):
            if "incluster" in file.parts or "pack" in file.parts:
                continue
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in _SDKS:
                    nested = node.module != node.module.split(".")[0] if node.module else False
                    yield from [str(node.module)] if nested else [f"{node.module}.{name.name}" for name in node.names]


def empty_program() -> str:
    """Return the program that everything is compared with."""
    modules = sorted(set(imported()))
    lines = "\n".join(f"import {module}" for module in modules)
    return EMPTY.format(imports=lines, names=", ".join(modules))


def preview_s(project: Project, stack: str) -> tuple[float, str, str]:
    """Run one preview: its seconds, its first line and how many resources it declares."""
    started = time.monotonic()
    ended = subprocess.run(
        [str(project.root / "pulumiw"), "preview", "-s", stack],
        cwd=project.root,
        env={**environment(), "SLIPWAY_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    took = time.monotonic() - started
    if ended.returncode != 0:
        sys.exit(f"the preview of {stack} failed:\n{ended.stderr[-3000:]}\n{ended.stdout[-3000:]}")
    count = next((line.strip() for line in ended.stdout.splitlines() if "to create" in line), "nothing to create")
    return took, ended.stderr.splitlines()[0], count


def main() -> int:
    """Print a table; the exit status says whether the marks hold."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.preview", description=__doc__)
    parser.add_argument("stack", nargs="*", default=list(STACKS), help="stack files; prod, staging and gpu if absent")
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    manifests.fetch(*manifests.SOURCES)
    broken = False
    with tempfile.TemporaryDirectory(prefix="slipway-bench-") as folder:
        for name in ("whole", "empty"):
            (Path(folder) / name).mkdir()
        whole, empty = (checkout(Path(folder) / name, "bench") for name in ("whole", "empty"))
        (empty.root / "stacks" / "__main__.py").write_text(empty_program())
        print(
            f"{psutil.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, medians of {options.runs} after one unmeasured"
        )
        print("| stack | preview | all | empty program | times | marks |\n|---|---|---|---|---|---|")
        for stack in options.stack:
            _, first, count = preview_s(whole, stack)
            preview_s(empty, stack)
            pairs = [(preview_s(whole, stack)[0], preview_s(empty, stack)[0]) for _ in range(options.runs)]
            ours, nothing = (statistics.median(column) for column in zip(*pairs, strict=True))
            holds = ours <= LIMIT_S and ours <= MOST_TIMES_EMPTY * nothing
            broken |= not holds
            every = ", ".join(f"{one:.1f}" for one, _ in pairs)
            mark = f"{LIMIT_S:g} s, {MOST_TIMES_EMPTY:g} x: {'hold' if holds else 'MISSED'}"
            print(f"| {stack} ({count}) | {ours:.1f} s | {every} | {nothing:.1f} s | {ours / nothing:.1f} | {mark} |")
            print(f"  {first}", file=sys.stderr)
    return int(broken)


if __name__ == "__main__":
    sys.exit(main())
