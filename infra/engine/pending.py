"""What a killed engine left undone in the state: operations that it had begun and never recorded the end of.

Owns the settling of those on resources whose create is an ensure and whose delete works from the recorded inputs, so
that nothing is lost by doing them again: this machine's, and objects of a cluster, which the program's provider takes
over when they exist; and of what AWS takes minutes to make and knows by a name from the inputs, which the verb then
looks up. Operations on anything else are left to a person, as Pulumi says.
"""

import json
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from infra.engine.find import Engine
from infra.engine.layout import Project, StopError, say
from infra.engine.stacks import short_name, state_folder

MARK = b'"pending_operations":[{'

Deployment = dict[str, Any]


def _name_in_urn(resource: dict[str, Any]) -> str:
    return str(resource["urn"].rpartition("::")[2])


def _object_name(resource: dict[str, Any]) -> str:
    """`NAMESPACE/NAME`, as the Kubernetes provider numbers its objects, or `NAME` of one without a namespace."""
    metadata = resource.get("inputs", {}).get("metadata", {})
    return "/".join(part for part in (metadata.get("namespace"), metadata.get("name")) if part)


IDS: dict[str, Callable[[dict[str, Any]], str]] = {"slipway:local:": _name_in_urn, "kubernetes:": _object_name}
"""Types that are settled here, by their beginning, and the id that a begun create would have got."""
LOOKED_UP: dict[str, Callable[[dict[str, Any]], str]] = {
    "aws:eks/cluster:": lambda resource: str(resource["inputs"]["name"]),
    "aws:eks/nodeGroup:": lambda resource: _within_cluster(resource, "nodeGroupName"),
    "aws:eks/addon:": lambda resource: _within_cluster(resource, "addonName"),
}
"""Types that cannot be made twice: one enters the state as if it had been made, for a refresh to find or to drop."""


def settle_pending(project: Project, verb: str, stack: str, engine: Engine, environment: Mapping[str, str]) -> bool:
    """Clear the stack's interrupted operations before `verb`, and name them.

    Before a destroy, a resource whose create was interrupted enters the state, so that it is deleted too.

    Returns:
        Whether the verb must refresh first, since something entered the state that may not be there.

    Raises:
        StopError: the engine refused the corrected state; it is unchanged then.
    """
    if not _any_pending(project, stack, environment):
        return False
    state = json.loads(_engine(project, engine, environment, "export", stack))
    settled = settle(state["deployment"], destroy=verb == "destroy")
    if settled is None:
        return False
    corrected = project.generated / f"{short_name(stack)}.settled.json"
    corrected.write_text(json.dumps({**state, "deployment": settled}))
    try:
        _engine(project, engine, environment, "import", stack, "--file", str(corrected))
    finally:
        corrected.unlink()
    operations = state["deployment"]["pending_operations"]
    for operation in operations:
        say(f"{_name(operation)} was interrupted while {operation['type']}; it is settled by this {verb}")
    return any(_is_looked_up(operation) for operation in operations)


def settle(deployment: Deployment, *, destroy: bool) -> Deployment | None:
    """The deployment without its pending operations, or None when one of them is not ours to settle."""
    pending = deployment.get("pending_operations") or []
    if not pending or not all(operation["resource"]["type"].startswith((*IDS, *LOOKED_UP)) for operation in pending):
        return None
    resources = list(deployment.get("resources", []))
    present = {resource["urn"] for resource in resources}
    begun = [operation for operation in pending if operation["type"] == "creating"]
    created = [operation["resource"] for operation in begun if destroy or _is_looked_up(operation)]
    resources += [_adopted(resource, replacing=resource["urn"] in present) for resource in created]
    return {**deployment, "resources": resources, "pending_operations": []}


def _adopted(resource: dict[str, Any], *, replacing: bool) -> dict[str, Any]:
    """The resource as if its create had ended, known by its inputs. A urn may be there twice, one to be deleted."""
    identify = next(made for kind, made in {**IDS, **LOOKED_UP}.items() if resource["type"].startswith(kind))
    known = {**resource, "id": identify(resource), "outputs": resource.get("inputs", {})}
    return {**known, "delete": True} if replacing else known


def _is_looked_up(operation: dict[str, Any]) -> bool:
    return operation["type"] == "creating" and str(operation["resource"]["type"]).startswith(tuple(LOOKED_UP))


def _within_cluster(resource: dict[str, Any], name: str) -> str:
    inputs = resource["inputs"]
    return f"{inputs['clusterName']}:{inputs[name]}"


def _any_pending(project: Project, stack: str, environment: Mapping[str, str]) -> bool:
    """Looks into the state file, which is what every command can afford."""
    folder = state_folder(environment)
    file = (folder or Path()) / "stacks" / project.name / f"{short_name(stack)}.json"
    try:
        return folder is not None and MARK in file.read_bytes().replace(b" ", b"").replace(b"\n", b"")
    except FileNotFoundError:
        return False


def _engine(
    project: Project, engine: Engine, environment: Mapping[str, str], verb: str, stack: str, *flags: str
) -> str:
    ran = subprocess.run(
        [engine.path, "stack", verb, "--stack", stack, *flags, "--non-interactive"],
        cwd=project.root, env=dict(environment), capture_output=True, text=True, check=False,
    )  # fmt: skip
    if ran.returncode != 0:
        raise StopError(f"the interrupted operations of {stack!r} could not be settled:\n{ran.stderr.strip()}")
    return ran.stdout


def _name(operation: dict[str, Any]) -> str:
    return "::".join(operation["resource"]["urn"].split("::")[2:])
