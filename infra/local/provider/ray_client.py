"""Ray's REST interface, as far as jobs and Serve need it.

It translates requests and answers; what to do about them is its callers' business.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncIterator
from typing import Any

from infra.local.provider.failure import Failure
from infra.local.provider.http import Answer, Http, Unreachable

ACTIVE = ("PENDING", "RUNNING")
_NOT_FOUND = 404
_PUT_S = 120.0
"""The first PUT starts Serve's controller and proxies."""


class Ray:
    """One Ray head, by its dashboard."""

    def __init__(self, http: Http, url: str, token_file: str | None) -> None:
        self._http = http
        self.url = url.rstrip("/")
        self._token_file = token_file

    async def job(self, submission_id: str) -> dict[str, Any] | None:
        """Return a job's status, message and times; None when this head does not know it."""
        answer = await self._ask("GET", f"/api/jobs/{submission_id}", allowed=(_NOT_FOUND,))
        found: dict[str, Any] | None = answer.json() if answer.ok else None
        return found

    async def latest(self, name: str) -> tuple[str, dict[str, Any] | None]:
        """Return the submission id of the active job called `name` with its status, or a fresh id with None.

        The ids are NAME, NAME-2, NAME-3 and so on.  None is ever used again: Ray's monitor of a job that has just
        ended would take a new job of the same id for the old one, and call it failed while it runs.
        """
        for attempt in itertools.count(1):
            submission_id = name if attempt == 1 else f"{name}-{attempt}"
            found = await self.job(submission_id)
            if found is None or found["status"] in ACTIVE:
                return submission_id, found
        raise AssertionError  # the count has no end

    async def submit(self, job: dict[str, Any]) -> None:
        """Submit a job; its `submission_id` must be unknown to this head.

        Raises:
            Failure: the head refuses it.
        """
        answer = await self._raw("POST", "/api/jobs/", body=job, timeout_s=60)
        if not answer.ok:
            raise Failure(f"Ray at {self.url} refused the job: {answer.status} {answer.text[-1000:]}")

    async def stop_job(self, submission_id: str) -> None:
        """Ask a job to stop; one that is unknown or over is fine."""
        await self._ask("POST", f"/api/jobs/{submission_id}/stop", allowed=(400, _NOT_FOUND))

    async def job_log(self, submission_id: str) -> str:
        """Return the whole log of a job so far."""
        answer = await self._ask("GET", f"/api/jobs/{submission_id}/logs")
        return str(answer.json().get("logs") or "")

    async def follow_log(self, submission_id: str) -> AsyncIterator[str]:
        """Yield a job's log from its beginning, in pieces as they come, until the connection ends.

        Raises:
            Unreachable: there was no connection.
        """
        url = f"{self.url}/api/jobs/{submission_id}/logs/tail"
        socket = await self._http.websocket(url, token_file=self._token_file)
        try:
            async for message in socket:
                if isinstance(message.data, str):
                    yield message.data
        finally:
            await socket.close()

    async def serve(self) -> dict[str, Any]:
        """Return the live details of Serve; `applications` is empty when it does not run."""
        answer = await self._ask("GET", "/api/serve/applications/")
        details: dict[str, Any] = answer.json()
        return details

    async def put_serve(self, config: dict[str, Any]) -> None:
        """State the whole configuration of Serve.

        Raises:
            Failure: Serve refuses it.
        """
        answer = await self._raw("PUT", "/api/serve/applications/", body=config, timeout_s=_PUT_S)
        if not answer.ok:
            raise Failure(f"Serve at {self.url} refused its configuration: {answer.status} {answer.text[-2000:]}")

    async def delete_serve(self) -> None:
        """Remove all applications."""
        await self._ask("DELETE", "/api/serve/applications/", allowed=(_NOT_FOUND,), timeout_s=60)

    async def _ask(self, method: str, path: str, *, allowed: tuple[int, ...] = (), timeout_s: float = 10) -> Answer:
        answer = await self._raw(method, path, timeout_s=timeout_s)
        if answer.ok or answer.status in allowed:
            return answer
        raise Unreachable(f"{method} {path} answered {answer.status}: {answer.text[-500:]}")

    async def _raw(self, method: str, path: str, *, body: Any = None, timeout_s: float) -> Answer:
        return await self._http.request(
            method,
            self.url + path,
            body=None if body is None else json.dumps(body),
            token_file=self._token_file,
            timeout_s=timeout_s,
        )
