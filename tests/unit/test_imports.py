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


def loaded_with(*modules: str) -> set[str]:
    code = f"import sys, {', '.join(modules)}; print(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(done.stdout.split())


def test_a_laptop_does_not_pay_for_the_kubernetes_sdk() -> None:
    cluster = {"pulumi_kubernetes", "kubernetes"}
    local = loaded_with("stacks.environment", "stacks.ground", "infra.local.foundation")
    assert local & cluster == set()
    assert "pulumi_kubernetes" in loaded_with("infra.kubernetes.foundation"), "the control: a cluster's stack does"


def test_in_cluster_code_imports_nothing_that_the_image_lacks() -> None:
    """The image holds `training`, `serving` and this package; the engine, its SDKs and the program stay out."""
    folder = ROOT / "infra" / "kubernetes" / "incluster"
    lacking = {"pulumi", "pulumi_kubernetes", "kubernetes", "components", "stacks"}
    found = {
        f"{path.name} imports {module}"
        for path in folder.rglob("*.py")
        for module in imported(path)
        if module.split(".")[0] in lacking
        or (module.split(".")[0] == "infra" and not module.startswith("infra.kubernetes.incluster"))
    }
    assert list(folder.glob("*.py")), "the test would prove nothing"
    assert found == set()


def test_neutral_components_know_no_cloud() -> None:
    clouds = {"pulumi_kubernetes", "pulumi_aws", "kubernetes", "boto3"}
    for path in (ROOT / "components").glob("*.py"):
        assert {module.split(".")[0] for module in imported(path)} & clouds == set(), path.name
    assert not any(
        module.startswith(("components.kubernetes", "components.aws"))
        for path in (ROOT / "components").glob("*.py")
        for module in imported(path)
    )


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
