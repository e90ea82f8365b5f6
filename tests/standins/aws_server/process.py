"""Runs the server in a process of its own, and is its clients' way in. It imports nothing of the server's insides."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

ROOT = Path(__file__).parents[3]
REGION = "us-east-1"
ACCOUNT = "123456789012"
KEY = "test"


@dataclass(frozen=True)
class AwsServer:
    """A running server."""

    url: str
    region: str = REGION
    account: str = ACCOUNT
    log: Path | None = field(default=None, compare=False)
    """What it wrote."""

    @property
    def variables(self) -> dict[str, str]:
        """Return the environment in which any AWS client uses this server."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": KEY,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }

    def client(self, service: str, region: str | None = None, **credentials: str) -> Any:
        """Return a client of a service; whoever has no credentials of their own is the account's administrator."""
        keys = (("aws_access_key_id", KEY), ("aws_secret_access_key", KEY))
        return _client(self.url, service, region or self.region, tuple({**dict(keys), **credentials}.items()))

    def calls(self, service: str | None = None, operation: str | None = None) -> list[dict[str, Any]]:
        """Return every call so far: service, region, operation, parameters."""
        found: list[dict[str, Any]] = self.ask("calls")
        return [call for call in found if service in (None, call["service"]) and operation in (None, call["operation"])]

    def clusters_are_at(self, url: str, certificate: str) -> None:
        """Make every cluster from now on claim this API server and its certificate authority (base64)."""
        self.ask("endpoint", {"url": url, "certificate": certificate})

    def databases_are_at(self, address: str) -> None:
        """Make every instance of RDS claim this address; empty: names of AWS's kind."""
        self.ask("databases", {"address": address})

    def settles_in(self, seconds: float) -> None:
        """Set how long a cluster, node group, add-on is on its way; those that are already take no longer."""
        self.ask("settle", {"seconds": seconds})

    def allow(self, **quotas: float) -> None:
        """Set quotas of EC2 by their codes, `-` written as `_`."""
        self.ask("quota", {code.replace("_", "-"): value for code, value in quotas.items()})

    def reset(self) -> None:
        """Forget everything."""
        self.ask("reset", {})

    def review_url(self, cluster: str) -> str:
        """Return where an API server asks who a token of a cluster is."""
        return f"{self.url}/_slipway/clusters/{self.region}/{cluster}/token-review"

    def review(self, cluster: str, token: str) -> dict[str, Any]:
        """Ask as an API server would; returns the status of the TokenReview."""
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}}
        status: dict[str, Any] = self.ask(f"clusters/{self.region}/{cluster}/token-review", body)["status"]
        return status

    def ask(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(
            urllib.request.Request(f"{self.url}/_slipway/{path}", data=data), timeout=60
        ) as answer:
            return json.load(answer)


@cache
def _client(url: str, service: str, region: str, keys: tuple[tuple[str, str], ...]) -> Any:
    """Return a client; making one costs more than a hundred calls with it."""
    config = Config(retries={"total_max_attempts": 1}, inject_host_prefix=False, s3={"addressing_style": "path"})
    return boto3.client(service, endpoint_url=url, region_name=region, config=config, **dict(keys))


@contextmanager
def running(log: Path | None = None, settle_s: float = 0.2) -> Iterator[AwsServer]:
    """Run a server while the block does."""
    with (log or Path(os.devnull)).open("w") as errors:
        command = [
            sys.executable,
            "-m",
            "tests.standins.aws_server",
            "--port",
            "0",
            "--settle",
            str(settle_s),
            "--attached",
        ]
        process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True
        )
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            if not url:
                raise AssertionError(f"the AWS test server did not start: {log.read_text() if log else process.wait()}")
            yield AwsServer(url, log=log)
        finally:
            process.terminate()
            process.communicate()
