"""KubeRay's definitions, made small: how small, and what it costs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.kubernetes import crds
from infra.engine import manifests
from tests.state_size import size_in_state

MIB = 2**20
PRESERVE = "x-kubernetes-preserve-unknown-fields"


@pytest.fixture(scope="module")
def released() -> dict[str, Any]:
    manifests.fetch(manifests.KUBERAY)
    folder = manifests.folder(manifests.KUBERAY)
    return {kind: yaml.load((folder / f"ray.io_{kind}.yaml").read_bytes(), crds._LOADER) for kind in crds.KINDS}  # noqa: S506


@pytest.fixture(scope="module")
def small(released: dict[str, Any]) -> dict[str, Any]:
    return {kind: crds.slim(one) for kind, one in released.items()}


def schema(definition: dict[str, Any]) -> dict[str, Any]:
    (version,) = (one for one in definition["spec"]["versions"] if one["name"] == "v1")
    found: dict[str, Any] = version["schema"]["openAPIV3Schema"]
    return found


def test_three_copies_of_each_leave_room_in_a_state_of_five_megabytes(
    released: dict[str, Any], small: dict[str, Any]
) -> None:
    full, slim = size_in_state(list(released.values())), size_in_state(list(small.values()))
    assert full > 30 * MIB, "the control: as released, they alone would be six times the limit"
    assert slim < 2.5 * MIB, f"{slim / MIB:.2f} MiB"


def test_only_the_served_version_is_left(small: dict[str, Any]) -> None:
    for one in small.values():
        (version,) = one["spec"]["versions"]
        assert (version["name"], version["served"], version["storage"]) == ("v1", True, True)


def test_ray_s_own_fields_are_still_checked(small: dict[str, Any]) -> None:
    spec = schema(small["rayjobs"])["properties"]["spec"]
    assert PRESERVE not in spec
    assert {"entrypoint", "activeDeadlineSeconds", "rayClusterSpec"} <= spec["properties"].keys()
    cluster = spec["properties"]["rayClusterSpec"]
    assert PRESERVE not in cluster
    assert cluster["required"] == ["headGroupSpec"]


def test_a_pod_s_fields_are_still_checked_by_name(small: dict[str, Any]) -> None:
    for pod in pods(schema(small["rayjobs"])):
        assert PRESERVE not in pod
        assert "nodeSelector" in pod["properties"]
        assert "nodeSelectors" not in pod["properties"]
        container = pod["properties"]["containers"]["items"]
        assert PRESERVE not in container
        assert {"name", "image", "env", "resources", "securityContext"} <= container["properties"].keys()


@pytest.mark.parametrize("kind", crds.KINDS)
def test_whatever_the_released_schema_accepts_the_small_one_accepts(
    released: dict[str, Any], small: dict[str, Any], kind: str
) -> None:
    assert narrower(schema(released[kind]), schema(small[kind]), kind) == []


def test_a_field_that_was_lost_would_be_found() -> None:
    whole = {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}}}
    less = {"type": "object", "properties": {"a": {"type": "integer"}}}
    assert narrower(whole, less, "x") == ["x.a is another type", "x.b is gone"]


def narrower(full: dict[str, Any], slim: dict[str, Any], path: str) -> list[str]:
    """Where the small schema refuses what the full one accepts."""
    if full.get("type") != slim.get("type") and not slim.get("x-kubernetes-int-or-string"):
        return [f"{path} is another type"]
    if set(slim.get("required", [])) - set(full.get("required", [])):
        return [f"{path} requires more"]
    if slim.get(PRESERVE):
        return []
    found = []
    for name, field in full.get("properties", {}).items():
        other = slim.get("properties", {}).get(name)
        found += [f"{path}.{name} is gone"] if other is None else narrower(field, other, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if key in full:
            found += narrower(full[key], slim[key], f"{path}[]") if key in slim else [f"{path} has no {key}"]
    return found


def pods(found: Any) -> Iterator[dict[str, Any]]:
    if isinstance(found, dict):
        properties = found.get("properties")
        if isinstance(properties, dict) and {"containers", "restartPolicy"} <= properties.keys():
            yield found
            return
        for value in found.values():
            yield from pods(value)


def test_a_definition_is_the_same_read_again_and_read_anew(tmp_path: Path) -> None:
    manifests.fetch(manifests.KUBERAY)
    folder = manifests.folder(manifests.KUBERAY)
    for kind in crds.KINDS:
        shutil.copy(folder / f"ray.io_{kind}.yaml", tmp_path)
    first = crds.load.__wrapped__(tmp_path)
    assert sorted(file.suffix for file in tmp_path.iterdir()) == [".json"] * 3 + [".yaml"] * 3
    assert crds.load.__wrapped__(tmp_path) == first
    for file in tmp_path.glob("*.json"):
        file.write_text("{")  # the disk was full
    assert crds.load.__wrapped__(tmp_path) == first


def test_a_definition_that_was_fetched_anew_is_read_anew(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("a: 1")
    assert crds._read(file) == {"a": 1}
    file.write_text("a: 2")
    later = file.with_suffix(".json").stat().st_mtime_ns + 1
    os.utime(file, ns=(later, later))
    assert crds._read(file) == {"a": 2}
