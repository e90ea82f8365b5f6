"""The program of the stand-in's tests: a small environment, varied by `switches.json` beside it.

Copied as `__main__.py` into a project folder of its own; it is never imported by a test.
"""

import json
from pathlib import Path
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

HERE = Path(__file__).parent
GIVEN = json.loads((HERE / "switches.json").read_text())
NAMESPACE, IMAGE = GIVEN["namespace"], GIVEN["image"]
RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
    "runAsNonRoot": True,
    "runAsUser": 10001,
    "seccompProfile": {"type": "RuntimeDefault"},
}


def pod(image: str, *command: str) -> dict[str, Any]:
    container = {
        "name": "main",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": list(command),
        "securityContext": RESTRICTED,
        "resources": {"requests": {"cpu": "0.01", "memory": "16384Ki"}, "limits": {"memory": "64Mi"}},
        "volumeMounts": [{"name": "scratch", "mountPath": "/tmp"}],  # noqa: S108  in the pod
        **GIVEN.get("container", {}),
    }
    volumes = [{"name": "scratch", "emptyDir": {}}]
    return {
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 1,
        "containers": [container],
        "volumes": volumes,
    }


provider = k8s.Provider("cluster", kubeconfig=str(GIVEN["kubeconfig"]), context=GIVEN["context"], namespace=NAMESPACE)
alone = pulumi.ResourceOptions(provider=provider)
labels = {"pod-security.kubernetes.io/enforce": "restricted"}
namespace = k8s.core.v1.Namespace("namespace", metadata={"name": NAMESPACE, "labels": labels}, opts=alone)


def opts(**given: Any) -> pulumi.ResourceOptions:
    return pulumi.ResourceOptions(provider=provider, depends_on=[namespace], **given)


automatic = k8s.core.v1.ConfigMap("automatic", data={"value": GIVEN.get("value", "1")}, opts=opts())
named = k8s.core.v1.ConfigMap("named", metadata={"name": "named"}, data={"value": GIVEN.get("value", "1")}, opts=opts())
result = k8s.core.v1.ConfigMap("result", metadata={"name": "result"}, opts=opts(ignore_changes=["data"]))
secret = k8s.core.v1.Secret(
    "secret", metadata={"name": "secret"}, string_data={"password": pulumi.Output.secret("hunter2")}, opts=opts()
)
service = k8s.core.v1.Service(
    "app", metadata={"name": "app"}, spec={"selector": {"app": "app"}, "ports": [{"port": 80}]}, opts=opts()
)
template = {"metadata": {"labels": {"app": "app"}}, "spec": pod(GIVEN.get("app_image", IMAGE), "sleep", "86400")}
if GIVEN.get("deployment", True):
    k8s.apps.v1.Deployment(
        "app",
        metadata={"name": "app"},
        spec={"replicas": GIVEN.get("replicas", 1), "selector": {"matchLabels": {"app": "app"}}, "template": template},
        opts=opts(custom_timeouts=pulumi.CustomTimeouts(create=GIVEN.get("patience", "120s"))),
    )
job = k8s.batch.v1.Job(
    "job",
    metadata={"name": GIVEN.get("job", "job"), "annotations": GIVEN.get("annotations", {})},
    spec={
        "backoffLimit": 0,
        "template": {"spec": {**pod(IMAGE, "sh", "-c", GIVEN.get("script", "true")), "restartPolicy": "Never"}},
    },
    opts=opts(),
)
read = k8s.core.v1.ConfigMap.get("read", job.status.apply(lambda _: f"{NAMESPACE}/result"), opts=opts())
pulumi.export("result", read.data)
pulumi.export("automatic", automatic.metadata["name"])
pulumi.export("secret", secret.data)
