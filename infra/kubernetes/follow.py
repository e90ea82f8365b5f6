"""Follows a training run while `up` waits for it: its log lines and what keeps its pods from running, as diagnostics.

It only reads, runs in a thread of its own, and never fails the program: without a connection, or without the right
to read pods and logs, it says so once and is quiet.  What it saw is kept, because KubeRay deletes a failed cluster
and with it the pods that knew why.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import os
import re
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pulumi

from components.settings import SettingError
from infra.kubernetes import earlier, failure
from infra.kubernetes.connection import Cluster, ClusterUnusable, shared
from infra.kubernetes.names import Context

if TYPE_CHECKING:
    from pulumi import Resource

_LOG = logging.getLogger(__name__)
_POLL_S = 2.0
_KEPT_LINES = 60
_LONGEST = 500
_JOBS = "/apis/ray.io/v1/namespaces/{namespace}/rayjobs"
_SERVICES = "/apis/ray.io/v1/namespaces/{namespace}/rayservices"
_BROKEN = {"DEPLOY_FAILED", "UNHEALTHY"}
_PODS = "/api/v1/namespaces/{namespace}/pods"
_NOISE = re.compile(r"^\s*$|SUCC|(cli|sdk)\.py|^-+$|Tailing logs until the job exits|^\x1b")

Say = Callable[[str], object]


class Follower:
    """One run being watched.  `seen` and `lines` may be read at any time."""

    def __init__(self, context: Context, name: str, tell: Say, warn: Say) -> None:
        self.seen: list[str] = []
        self.lines: deque[str] = deque(maxlen=_KEPT_LINES)
        self._context, self._name, self._tell, self._warn = context, name, tell, warn
        self._over = threading.Event()
        self._printed: dict[str, str] = {}
        """Pod -> the time of the last line passed on."""
        self._attempt = 0

    def start(self) -> None:
        """Begin; the thread ends with the process at the latest."""
        inherited = contextvars.copy_context()
        threading.Thread(target=lambda: inherited.run(self._run), name=f"follow {self._name}", daemon=True).start()

    def stop(self) -> None:
        """Say nothing more."""
        self._over.set()

    def _run(self) -> None:
        try:
            # a cluster that this very `up` makes has no kubeconfig before it has an address
            while not _is_there(self._context) and not self._over.wait(_POLL_S):
                pass
            if self._over.is_set():
                return
            cluster = shared(self._context.config.context, earlier.kubeconfig(self._context))
            told = False
            while not self._over.wait(_POLL_S):
                try:
                    self.look(cluster)
                except ClusterUnusable as problem:
                    # an API server that is away comes back, and the run goes on meanwhile
                    told = told or self._cannot(problem)
        except SettingError as problem:
            self._cannot(problem)
        except Exception as error:  # noqa: BLE001  a follower must never be the reason why something fails
            _LOG.debug("following %s ended: %s: %s", self._name, type(error).__name__, error)

    def _cannot(self, problem: SettingError) -> bool:
        if not self._over.is_set():
            self._tell(f"the run's output cannot be shown while it runs: {problem}")
        return True

    def look(self, cluster: Cluster) -> None:
        """Look once: at the run, at its cluster's pods, and at what its submitter printed since."""
        namespace = self._context.namespace
        job = cluster.get(f"{_JOBS.format(namespace=namespace)}/{self._name}")
        if not job.ok:
            return
        status = job.body.get("status") or {}
        attempt = int(status.get("failed") or 0)
        if attempt > self._attempt and not failure.failed(status):  # else it was the last one
            self._attempt = attempt
            self._warn(f"the run failed and is started again ({attempt}): {status.get('message', '')}"[:_LONGEST])
        if status.get("jobDeploymentStatus") == "ValidationFailed":
            self._notice(failure.explain(self._name, status))
        self._look_at(self._pods(cluster, f"ray.io/cluster={status.get('rayClusterName') or '-'}"))
        submitters = self._pods(cluster, f"job-name={self._name}")
        self._look_at(submitters)
        for pod in submitters:
            self._print(cluster, pod["metadata"]["name"])

    def _pods(self, cluster: Cluster, selector: str) -> list[dict[str, Any]]:
        answer = cluster.get(f"{_PODS.format(namespace=self._context.namespace)}?labelSelector={selector}")
        return list(answer.body.get("items") or []) if answer.ok else []

    def _look_at(self, pods: list[dict[str, Any]]) -> None:
        for pod in pods:
            trouble = failure.pod_trouble(pod)
            if trouble is not None:
                self._notice(trouble)

    def _notice(self, text: str) -> None:
        if text not in self.seen:
            self.seen.append(text)
            self._warn(text)

    def _print(self, cluster: Cluster, pod: str) -> None:
        """Pass on the lines that the submitter, which follows the driver's log, has printed since the last look."""
        last = self._printed.get(pod, "")
        since = f"&sinceTime={quote(last[:19] + 'Z')}" if last else ""
        path = f"{_PODS.format(namespace=self._context.namespace)}/{pod}/log?timestamps=true{since}"
        for stamped in (cluster.text(path) or "").splitlines():
            stamp, _, line = stamped.partition(" ")
            if stamp <= last:  # the API counts from whole seconds
                continue
            self._printed[pod] = stamp
            if not _NOISE.search(line):
                self.lines.append(line[:_LONGEST])
                self._tell(line[:_LONGEST])


class ServiceFollower(Follower):
    """A service being watched until it is ready: troubles of its pods, and what Serve says of the application."""

    def look(self, cluster: Cluster) -> None:
        """Look once."""
        path = f"{_SERVICES.format(namespace=self._context.namespace)}/{self._name}"
        status = cluster.get(path).body.get("status") or {}
        for part in ("activeServiceStatus", "pendingServiceStatus"):
            found = status.get(part) or {}
            if found.get("rayClusterName"):
                self._look_at(self._pods(cluster, f"ray.io/cluster={found['rayClusterName']}"))
            for name, application in (found.get("applicationStatuses") or {}).items():
                if application.get("status") in _BROKEN:
                    self._notice(f"the application {name} is {application['status']}: {application.get('message', '')}")


def follow(kind: type[Follower], context: Context, name: str, about: Resource) -> Follower:
    """Follow the object `name`, telling about it at the resource `about`, whose registration has ended already."""
    loop = asyncio.get_event_loop()

    def through(log: Callable[[str, Resource], None]) -> Say:
        def say(text: str) -> None:
            with suppress(RuntimeError):  # the program has ended, and with it its loop
                loop.call_soon_threadsafe(log, text, about)

        return say

    follower = kind(context, name, through(pulumi.log.info), through(pulumi.log.warn))
    follower.start()
    return follower


def _is_there(context: Context) -> bool:
    """Whether there is a kubeconfig to connect by; where none is named, clients look for themselves."""
    file = earlier.kubeconfig(context)
    return file is None or any(Path(part).exists() for part in file.split(os.pathsep))
