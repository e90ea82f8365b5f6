"""What the one image holds and where: the table that the Dockerfile and the builder share.

Data only. A test compares the Dockerfile with it, so an image from a registry and an archive for a test node are the
same filesystem. Pods rely on these paths: a change here is a change of every pod.
"""

from __future__ import annotations

from collections.abc import Mapping

SUITE = "bookworm"
PYTHON = "/usr/bin/python3.11"
PACKAGES = (
    "bash",  # the shell of KubeRay's start commands and probes, like grep and wget
    "ca-certificates",
    "grep",
    "procps",  # Ray and people look at processes
    "python3.11",
    "wget",
)
USER_NAME = "slipway"
USER_ID = 10001
USER = f"{USER_ID}:{USER_ID}"
ADD_USER = (
    "useradd",
    f"--uid={USER_ID}",
    "--user-group",
    "--no-create-home",
    "--home-dir=/tmp",
    "--shell=/usr/sbin/nologin",
    USER_NAME,
)

ROOT = "/opt/slipway"
APP = f"{ROOT}/app"
VENV = f"{ROOT}/venv"
ABOUT = "image.json"
"""In APP: the digests of the code and of the lock that the image holds."""
LOCK = "requirements/runtime.txt"
PROFILE = "/etc/profile.d/slipway.sh"
"""Keeps the venv on PATH in a login shell, which Debian's profile would take off."""
PROFILE_LINE = f"export PATH={VENV}/bin:$PATH"

CODE = ("training", "serving", "infra/__init__.py", "infra/kubernetes/__init__.py", "infra/kubernetes/incluster")
"""Folders (their Python files) and files of the project, under the same relative names in APP."""

ENVIRONMENT: Mapping[str, str] = {
    "PATH": f"{VENV}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "PYTHONPATH": APP,
    "PYTHONUNBUFFERED": "1",
    "LANG": "C.UTF-8",
    "HOME": "/tmp",  # noqa: S108 - the one writable folder: the root filesystem is mounted read-only
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    "RAY_metric_cardinality_level": "low",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "GIT_PYTHON_REFRESH": "quiet",  # there is no git in here, and MLflow need not say so
}
"""For every pod. What only some pods need is in their templates."""


def image_config() -> dict[str, object]:
    """Return the `config` section of the image: what a container runtime starts by default."""
    return {
        "Env": [f"{name}={value}" for name, value in ENVIRONMENT.items()],
        "User": USER,
        "WorkingDir": APP,
        "Cmd": ["python", "-c", f"print(open('{APP}/{ABOUT}').read())"],
    }
