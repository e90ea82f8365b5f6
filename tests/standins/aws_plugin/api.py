"""Calls to the services, by boto3, which is loaded with the first call: a preview makes none."""

from __future__ import annotations

import os
import threading
from typing import Any

from tests.standins.aws_plugin.settings import Settings
from tests.standins.plugin.refused import Refused


class ApiError(Refused):
    """What a service answered instead of doing what it was asked."""

    def __init__(self, operation: str, code: str, message: str) -> None:
        super().__init__(f"{operation}: {code}: {message}")
        self.code = code

    @property
    def is_gone(self) -> bool:
        """Whether the service says that the thing is not there."""
        return self.code == "404" or any(word in self.code for word in ("NotFound", "NoSuch", ".Unknown"))

    @property
    def is_in_use(self) -> bool:
        """Whether the thing cannot go yet because another one needs it."""
        words = ("DependencyViolation", "DeleteConflict", "ResourceInUse", "InUse", "OperationAborted")
        return any(word in self.code for word in words)


class Api:
    """The clients of one provider."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._clients: dict[tuple[str, str], Any] = {}
        self._session: Any = None
        self._account = ""

    def client(self, service: str, region: str) -> Any:
        """Return the client of a service, whose endpoint is on this machine."""
        endpoint = self._settings.endpoint(service)
        with self._lock:
            if (service, region) not in self._clients:
                self._clients[service, region] = self._make(service, region, endpoint)
            return self._clients[service, region]

    def _make(self, service: str, region: str, endpoint: str) -> Any:
        import boto3  # noqa: PLC0415  half a second that a preview does not need
        from botocore.config import Config  # noqa: PLC0415

        self._session = self._session or boto3.session.Session()
        access, secret = self._keys()
        return self._session.client(
            service,
            region_name=region,
            endpoint_url=endpoint,
            aws_access_key_id=access,
            aws_secret_access_key=secret,
            config=Config(
                # one attempt: what a test server does not have is a 500 there, which would be repeated
                retries={"total_max_attempts": 1},
                max_pool_connections=64,
                s3={"addressing_style": "path"},
                inject_host_prefix=False,
                proxies={},
            ),
        )

    def account(self, region: str) -> str:
        """Return the number of the account that the keys belong to."""
        self._account = self._account or str(self.call("sts", region, "get_caller_identity", {})["Account"])
        return self._account

    def _keys(self) -> tuple[str, str]:
        """Return the keys: the provider's, or the environment's; no file and no metadata service is asked."""
        access = self._settings.access_key or os.environ.get("AWS_ACCESS_KEY_ID", "")
        secret = self._settings.secret_key or os.environ.get("AWS_SECRET_ACCESS_KEY", "")
        if not (access and secret):
            raise Refused(
                "the AWS provider has no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give it keys"
            )
        return access, secret

    def call(self, service: str, region: str, operation: str, params: dict[str, Any]) -> dict[str, Any]:
        """Make one call; botocore checks its parameters against the service's model."""
        client = self.client(service, region)
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415  loaded with the client

        try:
            answer: dict[str, Any] = getattr(client, operation)(**params)
        except ClientError as error:
            told = error.response.get("Error", {})
            raise ApiError(f"{service}.{operation}", str(told.get("Code")), str(told.get("Message"))) from error
        except BotoCoreError as error:
            raise Refused(f"{service}.{operation}: {error}") from error
        answer.pop("ResponseMetadata", None)
        return answer
