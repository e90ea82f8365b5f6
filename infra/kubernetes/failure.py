"""Why a training run failed, as one sentence with a fix: from the RayJob's status and what was seen of its pods.

Pure: it asks nobody.  What pods looked like is told by `infra.kubernetes.follow`, which watched them; the status is
KubeRay's (1.6.2, `apis/ray/v1/rayjob_types.go`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

_TAIL = 25
"""Lines of the job's output that a message shows."""
_PULL = {"ImagePullBackOff", "ErrImagePull", "InvalidImageName", "ErrImageNeverPull", "RegistryUnavailable"}
_DEADLINES = {
    "DeadlineExceeded": ("it was not finished within slipway:training.timeout", "raise slipway:training.timeout"),
    "PreRunningDeadlineExceeded": (
        "its cluster was not ready in time",
        "see why its pods do not run: kubectl get events",
    ),
}
_FOREIGN_IMAGE = re.compile(r"No module named '?(training|serving|infra)\b")
_REFUSED = re.compile(r"\brefused {3}(\S.*)")
"""The job's own line, as `training.console.say` writes it: it says what is to be changed, and nothing else matters."""


def pod_trouble(pod: Mapping[str, Any]) -> str | None:
    """Return what keeps a pod from running, with what to do; None when nothing does (or it is merely young)."""
    name = pod.get("metadata", {}).get("name", "a pod")
    status = pod.get("status", {})
    for condition in status.get("conditions") or []:
        if condition.get("type") == "PodScheduled" and condition.get("reason") == "Unschedulable":
            return _unschedulable(name, str(condition.get("message", "")))
    for container in [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]:
        trouble = _container_trouble(name, container)
        if trouble is not None:
            return trouble
    return None


def _unschedulable(name: str, message: str) -> str:
    if "nvidia.com/gpu" in message:
        fix = (
            "No node has a free GPU for it: check that slipway:gpu_pools describes nodes that exist (label, taint, "
            "GPUs), that they may be added, and that the device plugin runs"
        )
    elif "Insufficient" in message:
        fix = "Ask for less (slipway:training.resources, slipway:serving.replicas), or add nodes"
    else:
        fix = "See the node's labels and taints: kubectl describe node"
    return f"the pod {name} cannot be scheduled: {message.rstrip('.')}. {fix}."


def _container_trouble(pod: str, container: Mapping[str, Any]) -> str | None:
    waiting = container.get("state", {}).get("waiting") or {}
    reason, message = waiting.get("reason"), str(waiting.get("message") or "").strip()
    if reason in _PULL:
        return (
            f"the pod {pod} cannot pull its image {container.get('image')} ({reason}: {message}). "
            "Push the image, correct slipway:substrate.image, or name its login with slipway:substrate.pull_secret."
        )
    if reason in {"CreateContainerConfigError", "CreateContainerError", "RunContainerError"}:
        return f"the pod {pod} cannot be started ({reason}: {message}). See: kubectl describe pod {pod}"
    ended = container.get("state", {}).get("terminated") or container.get("lastState", {}).get("terminated") or {}
    if ended.get("reason") == "OOMKilled":
        return (
            f"the pod {pod} used more memory than it may (OOMKilled, container {container.get('name')}). "
            "Give each worker more: slipway:training.resources.memory_gib."
        )
    if reason == "CrashLoopBackOff":
        return (
            f"the pod {pod} fails again and again (container {container.get('name')}, exit status "
            f"{ended.get('exitCode')}). See: kubectl logs {pod} -c {container.get('name')} --previous"
        )
    return None


def succeeded(status: Mapping[str, Any] | None) -> bool:
    """Tell whether a RayJob has come to its good end."""
    found = status or {}
    return found.get("jobDeploymentStatus") == "Complete" and found.get("jobStatus") == "SUCCEEDED"


def failed(status: Mapping[str, Any] | None) -> bool:
    """Tell whether a RayJob has come to a bad end, after which KubeRay does nothing more with it."""
    found = status or {}
    if found.get("jobDeploymentStatus") in {"Failed", "ValidationFailed"}:
        return True
    return found.get("jobDeploymentStatus") == "Complete" and found.get("jobStatus") != "SUCCEEDED"


def explain(name: str, status: Mapping[str, Any], seen: Sequence[str] = (), lines: Sequence[str] = ()) -> str:
    """Return why the RayJob `name` failed.

    Args:
        name: the RayJob.
        status: its status.
        seen: troubles of its pods, oldest first; they explain a deadline better than the deadline does.
        lines: the last lines that its driver printed.
    """
    reason, message = str(status.get("reason") or ""), str(status.get("message") or "").strip()
    if status.get("jobDeploymentStatus") == "ValidationFailed":
        return (
            f"KubeRay refused the training run {name}: {message}. "
            "The operator and this version do not fit together: KubeRay 1.6 is needed."
        )
    if reason in _DEADLINES:
        what, fix = _DEADLINES[reason]
        cause = f" {seen[-1]}" if seen else ""
        return f"the training run {name} failed: {what}.{cause or f' Fix: {fix}, then run `up` again.'}"
    text = "\n".join(lines) or message
    if _FOREIGN_IMAGE.search(text):
        return (
            f"the training run {name} failed: the image slipway:substrate.image does not hold this project's code "
            f"({_last_line(text)}). Build it with the Dockerfile, push it, and set its digest."
        )
    refused = _REFUSED.search(text)
    if refused:
        return f"the training run {name} was refused: {refused.group(1).strip()}"
    if status.get("jobStatus") == "STOPPED":
        return f"the training run {name} was stopped by a person or a program. Run `up` again to start it anew."
    cause = f" {seen[-1]}" if seen else ""
    return f"the training run {name} failed{f' ({reason})' if reason else ''}.{cause}\n{_tail(text)}".rstrip()


def _last_line(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")


def _tail(text: str) -> str:
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    return "\n".join(f"  {line}" for line in lines[-_TAIL:])
