"""What the environment's tracking server holds, asked from within the node's network."""

from __future__ import annotations

import base64
import json
import sys
from typing import Any

from tests.cluster.project import ClusterProject

_ASK = """
import json, sys, urllib.request
url, path, login, body = sys.stdin.read().split("\\n")
headers = {"Host": "tracking:5000", "Authorization": "Basic " + login, "Content-Type": "application/json"}
request = urllib.request.Request(url + path, body.encode() or None, headers)
print(urllib.request.urlopen(request, timeout=30).read().decode())
"""


def ask(project: ClusterProject, path: str, body: Any = None) -> Any:
    """Ask the environment's tracking server."""
    assert project.cluster is not None
    address = project.objects("service", "--field-selector", "metadata.name=tracking")[0]["spec"]["clusterIP"]
    login = ":".join(project.secret("tracking-login", key) for key in ("username", "password"))
    encoded = base64.b64encode(login.encode()).decode()
    text = "" if body is None else json.dumps(body)
    lines = [f"http://{address}:5000/api/2.0/mlflow/", path, encoded, text]
    done = project.cluster.run([sys.executable, "-c", _ASK], stdin="\n".join(lines))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def history(project: ClusterProject) -> tuple[list[str], list[str]]:
    """Return how the runs of the model ended, oldest first, and its versions."""
    experiment = ask(project, "experiments/get-by-name?experiment_name=slipway/default")["experiment"]["experiment_id"]
    runs = ask(project, "runs/search", {"experiment_ids": [experiment], "order_by": ["start_time ASC"]})["runs"]
    versions = ask(project, "model-versions/search?filter=name%3D%27default%27").get("model_versions", [])
    return [run["info"]["status"] for run in runs], sorted((one["version"] for one in versions), key=int)
