"""Who may ask this service: whoever shows the bearer token, when there is one.

The token lies in a file that a Secret is mounted as, named by SLIPWAY_TOKEN_FILE. Without that variable everyone may
ask, as on a laptop, where only the machine itself can. It must never log or answer the token.
"""

from __future__ import annotations

import hmac
import logging
import os
import time
from pathlib import Path

from serving import asgi
from serving.errors import Refused

LOG = logging.getLogger("ray.serve")
VARIABLE = "SLIPWAY_TOKEN_FILE"
OPEN = frozenset({"/v2/health/live", "/v2/health/ready", "/ping"})
"""Paths that probes and load balancers ask, which have no token."""

_LOOK_EVERY_S = 1.0
_HOW = "send the header `Authorization: Bearer TOKEN`; the token is the key `token` of the Secret `serving-token`"


class Access:
    """Checks the token of a request; follows the file, so that a rotated token holds within a second or so."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._seen: tuple[int, int, int] | None = None
        self._token = b""
        self._next_look = 0.0
        self._trouble = ""
        self._read()

    @classmethod
    def from_environment(cls) -> Access | None:
        """Return the check that the environment asks for, or None when everyone may ask.

        Raises:
            ValueError: a file is named and holds no token.
        """
        name = os.environ.get(VARIABLE)
        return cls(Path(name)) if name else None

    def check(self, scope: asgi.Scope, path: str) -> None:
        """Refuse the request unless its path is open or it shows the token.

        Raises:
            Refused: 401, which says how to ask.
        """
        if path in OPEN:
            return
        self._look()
        for key, value in scope["headers"]:
            if key == b"authorization":
                scheme, _, given = value.partition(b" ")
                if scheme.lower() == b"bearer" and hmac.compare_digest(given.strip(), self._token):
                    return
                raise _unauthorized("this is not the token", 'Bearer realm="slipway", error="invalid_token"')
        raise _unauthorized("a token is needed", 'Bearer realm="slipway"')

    def _look(self) -> None:
        now = time.monotonic()
        if now < self._next_look:
            return
        self._next_look = now + _LOOK_EVERY_S
        try:
            self._read()
            self._trouble = ""
        except ValueError as fault:  # the token that was good a second ago still is
            if str(fault) != self._trouble:
                LOG.error("%s; the former token holds", fault)  # noqa: TRY400  the text says it all
            self._trouble = str(fault)

    def _read(self) -> None:
        try:
            found = self._file.stat()
            seen = (found.st_mtime_ns, found.st_ino, found.st_size)
            if seen == self._seen:
                return
            token = self._file.read_bytes().strip()
        except OSError as fault:
            raise ValueError(f"{VARIABLE} names {self._file}, which cannot be read: {fault.strerror}") from fault
        if not token:
            raise ValueError(f"{VARIABLE} names {self._file}, which is empty: mount the Secret that holds the token")
        self._token, self._seen = token, seen


def _unauthorized(what: str, challenge: str) -> Refused:
    return Refused(401, f"{what}: {_HOW}", (("www-authenticate", challenge),))
