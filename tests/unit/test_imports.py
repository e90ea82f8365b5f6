"""Imports go one way, and the Pulumi program stays light."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# package -> what it may not import
FORBIDDEN = {
    "components": {"stacks", "infra", "ray", "mlflow", "serving"},
    "infra": {"stacks", "mlflow"},
    "training": {"pulumi", "stacks", "infra", "components", "serving"},
    "serving": {"pulumi", "stacks", "infra", "components"},
    "stacks": {"ray", "mlflow"},
}
HEAVY = {"ray", "mlflow", "xgboost", "pandas", "sklearn", "pyarrow", "numpy"}


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module


def violations(package: str, files: dict[str, set[str]]) -> list[str]:
    return [
        f"{name} imports {module}"
        for name, modules in files.items()
        for module in sorted(modules)
        if module.split(".")[0] in FORBIDDEN[package]
    ]


@pytest.mark.parametrize("package", sorted(FORBIDDEN))
def test_imports_go_one_way(package: str) -> None:
    files = {str(path.relative_to(ROOT)): set(imported(path)) for path in (ROOT / package).rglob("*.py")}
    assert files, f"{package} has no files: the test would prove nothing"
    assert violations(package, files) == []


def test_a_forbidden_import_would_be_found() -> None:
    assert violations("components", {"components/x.py": {"infra.local.ports"}}) == [
        "components/x.py imports infra.local.ports"
    ]


def test_the_program_imports_nothing_heavy() -> None:
    code = "import sys, stacks.environment, stacks.config; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    loaded = set(done.stdout.split())
    assert "pulumi" in loaded, "the control: the program does import pulumi"
    assert loaded & HEAVY == set(), "every preview would pay seconds for these"


def test_only_the_table_knows_the_substrates() -> None:
    compared = []
    for package in ("stacks", "components", "infra"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Compare):
                    sides = [node.left, *node.comparators]
                    if any(
                        isinstance(side, ast.Constant) and side.value in {"local", "kubernetes", "aws"}
                        for side in sides
                    ):
                        compared.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert compared == [], "substrates are told apart by the table in stacks/environment.py alone"
