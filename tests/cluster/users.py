"""Users of a cluster with few rights, as an administrator would make them: a ServiceAccount, a Role, a kubeconfig."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cluster.node.cluster import Cluster


def limited_user(cluster: Cluster, namespace: str, folder: Path, *verbs: str) -> Path:
    """Return a kubeconfig whose user `jane` may do `verbs` on deployments in the namespace, and nothing else."""
    inside = ("-n", namespace)
    cluster.kubectl("create", "serviceaccount", "jane", *inside)
    cluster.kubectl("create", "role", "some", *inside, "--resource=deployments.apps", f"--verb={','.join(verbs)}")
    cluster.kubectl("create", "rolebinding", "some", *inside, "--role=some", f"--serviceaccount={namespace}:jane")
    token = cluster.kubectl("create", "token", "jane", *inside).strip()
    shown = json.loads(cluster.kubectl("config", "view", "--raw", "-o", "json", f"--kubeconfig={cluster.kubeconfig}"))
    wanted = next(entry["context"] for entry in shown["contexts"] if entry["name"] == cluster.context)
    shown["users"] = [{"name": wanted["user"], "user": {"token": token}}]
    path = folder / "limited"
    path.write_text(json.dumps(shown))
    return path
