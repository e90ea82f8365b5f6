"""TrackingServer: MLflow, once, as a service that any runtime can run.

It owns how MLflow is started and when it counts as ready; where it runs is the runtime's business.
"""

from __future__ import annotations

from pulumi import ComponentResource, Input, Output, Resource, ResourceOptions
from pydantic import Field

from components.artifact_store import ArtifactStore
from components.seam import Command, DatabaseNeed, LoginNeed, ProtectedForm, ReadyCheck, Runtime, ServiceSpec
from components.settings import Settings

# What the `mlflow server` command itself sets before it starts uvicorn.  Starting uvicorn directly saves the second
# import of MLflow, two thirds of the start.  The names are private: tests/stacks starts the server by this very spec
# and fails when a version renames one.
SERVER_ENVIRONMENT = {
    "_MLFLOW_SERVER_FILE_STORE": "sqlite:///{state}/mlflow.db",
    "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
    "_MLFLOW_SERVER_ARTIFACT_ROOT": "mlflow-artifacts:/",
    "_MLFLOW_SGI_NAME": "uvicorn",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}


SERVER_ARGUMENTS = (
    "mlflow.server.fastapi_app:app",
    *("--host", "{host}", "--port", "{port}", "--workers", "1", "--no-access-log"),
)


# MLflow keeps users beside runs, in the same database under a version table of its own.  It reads that address from
# this file alone, and the login from the environment; there is no default password.  A checked password is believed
# for a minute: the hash of each request would cost more than the request.
AUTH_FILE = "basic_auth.ini"
AUTH_CONFIG = """[mlflow]
default_permission = READ
database_uri = {database}
auth_cache_ttl_seconds = 60
"""
PROTECTED_COMMAND = Command(
    module="mlflow",
    arguments=("server", "--app-name", "basic-auth", "--host", "{host}", "--port", "{port}", "--workers", "1"),
)
MIGRATIONS = (
    Command(module="mlflow", arguments=("db", "upgrade", "{database}")),
    Command(module="mlflow.server.auth", arguments=("db", "upgrade", "--url", "{database}")),
)


class TrackingSettings(Settings):
    """`slipway:tracking`."""

    port: int | None = Field(default=None, ge=1024, le=65535, description="the port of the MLflow server")


class TrackingServer(ComponentResource):
    """An MLflow tracking server and model registry, with artifacts proxied to the artifact store."""

    uri: Output[str]
    resource: Resource

    def __init__(
        self,
        name: str,
        runtime: Runtime,
        artifacts: ArtifactStore,
        settings: TrackingSettings,
        opts: ResourceOptions | None = None,
    ) -> None:
        super().__init__("slipway:index:TrackingServer", name, None, opts)
        handle = runtime.service(name, _spec(artifacts, settings), ResourceOptions(parent=self))
        self.uri = handle.url
        self.resource = handle.resource
        self.register_outputs({"uri": self.uri})


def _spec(artifacts: ArtifactStore, settings: TrackingSettings) -> ServiceSpec:
    environment: dict[str, Input[str]] = {
        **SERVER_ENVIRONMENT,
        **artifacts.store.environment,
        "_MLFLOW_SERVER_ARTIFACT_DESTINATION": artifacts.uri,
    }
    return ServiceSpec(
        role="tracking",
        module="uvicorn",
        arguments=SERVER_ARGUMENTS,
        environment=environment,
        protected=_protected(artifacts),
        port=settings.port,
        port_setting="slipway:tracking.port",
        # /health answers before the database exists; the first API call migrates it
        ready=[
            ReadyCheck(path="/health"),
            ReadyCheck(path="/api/2.0/mlflow/experiments/search", method="POST", body='{"max_results": 1}'),
        ],
        keep_state=artifacts.retain,
    )


def _protected(artifacts: ArtifactStore) -> ProtectedForm:
    return ProtectedForm(
        command=PROTECTED_COMMAND,
        environment={
            "MLFLOW_ARTIFACTS_DESTINATION": artifacts.uri,
            "MLFLOW_AUTH_CONFIG_PATH": "{config}/" + AUTH_FILE,
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "MLFLOW_DISABLE_TELEMETRY": "true",
        },
        files={AUTH_FILE: AUTH_CONFIG},
        database=DatabaseNeed(variable="MLFLOW_BACKEND_STORE_URI", migrations=MIGRATIONS),
        login=LoginNeed(
            username="MLFLOW_AUTH_ADMIN_USERNAME",
            password="MLFLOW_AUTH_ADMIN_PASSWORD",  # noqa: S106 - the name of a variable
            signing_key="MLFLOW_FLASK_SERVER_SECRET_KEY",
        ),
        allowed_hosts="MLFLOW_SERVER_ALLOWED_HOSTS",
        uses_store=True,
        ready=ReadyCheck(path="/health"),
        cpus=1,
        memory_mib=1024,
    )
