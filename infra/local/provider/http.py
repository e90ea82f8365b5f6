"""HTTP to the services of this machine: one session, short time limits, tokens read from files.

It must never follow a proxy setting or put a token in a message.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import aiohttp


class Unreachable(Exception):
    """Nobody answered at the address, or the connection broke off."""


@dataclass(frozen=True)
class Answer:
    """What a service said."""

    status: int
    text: str
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300  # noqa: PLR2004  HTTP's classes of status

    def json(self) -> Any:
        """Return the body as JSON.

        Raises:
            Unreachable: the body is not JSON, so whoever answered is not the service.
        """
        try:
            return json.loads(self.text)
        except ValueError as error:
            raise Unreachable(f"the answer is not JSON: {self.text[:200]}") from error


class Http:
    """A lazily opened session; close it when done."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def request(
        self,
        method: str,
        url: str,
        *,
        body: str | None = None,
        query: Mapping[str, str] | None = None,
        token_file: str | None = None,
        timeout_s: float = 10,
    ) -> Answer:
        """Send one request and read the whole answer.

        Raises:
            Unreachable: no answer within `timeout_s` seconds.
        """
        import aiohttp  # noqa: PLC0415  0.2 s that a preview does not need

        limit = aiohttp.ClientTimeout(total=timeout_s)
        headers = _headers(token_file)
        if body is not None:
            headers["Content-Type"] = "application/json"
        try:
            async with self._opened().request(
                method, url, data=body, params=query, headers=headers, timeout=limit
            ) as response:
                return Answer(response.status, await response.text(), response.headers)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise Unreachable(f"{method} {url}: {error or type(error).__name__}") from error

    async def websocket(self, url: str, *, token_file: str | None) -> aiohttp.ClientWebSocketResponse:
        """Open a WebSocket.

        Raises:
            Unreachable: the handshake was refused or nobody answered.
        """
        import aiohttp  # noqa: PLC0415  see above

        try:
            return await self._opened().ws_connect(url, headers=_headers(token_file), max_msg_size=0)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise Unreachable(f"{url}: {error or type(error).__name__}") from error

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _opened(self) -> aiohttp.ClientSession:
        import aiohttp  # noqa: PLC0415  see above

        if self._session is None:
            self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), trust_env=False)
        return self._session


def _headers(token_file: str | None) -> dict[str, str]:
    if token_file is None:
        return {}
    try:
        return {"Authorization": f"Bearer {Path(token_file).read_text(encoding='utf-8').strip()}"}
    except FileNotFoundError as error:
        raise Unreachable(f"the token file {token_file} is missing") from error
