"""The account: which services this server implements, what it adds to moto's, what it refuses and moto would not."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.standins.aws_server import guards, placement
from tests.standins.aws_server.budgets import Budgets
from tests.standins.aws_server.eks.service import EksService
from tests.standins.aws_server.eks.state import EksState, Endpoint
from tests.standins.aws_server.quotas import Quotas
from tests.standins.aws_server.signature import holder
from tests.standins.aws_server.wire import Request, Response
from tests.standins.aws_server.world import INTERNAL, World


class Account:
    """One account, all its regions."""

    def __init__(self, url: str, settle_s: float) -> None:
        self._url = url
        self._settle_s = settle_s
        self._endpoint = Endpoint()
        self._making = threading.Lock()
        self._eks: dict[str, EksService] = {}
        self._budgets = Budgets()
        self.quotas = Quotas()
        self._groups: dict[str, placement.Groups] = {}

    def service(self, name: str, region: str) -> object | None:
        """Return the implementation of a service; None where moto is the one."""
        if name in ("budgets", "service-quotas"):
            return self._budgets if name == "budgets" else self.quotas
        return self._service(region) if name == "eks" else None

    def eks(self, region: str) -> EksState:
        return self._service(region).state

    def _service(self, region: str) -> EksService:
        with self._making:
            if region not in self._eks:
                state = EksState(World(self._url, region), self._settle_s, endpoint=self._endpoint)
                self._eks[region] = EksService(state)
            return self._eks[region]

    @contextmanager
    def time(self, request: Request) -> Iterator[None]:
        """Let one call at a time see and change the service, after what was due by now."""
        if request.service != "eks":
            yield
            return
        state = self.eks(request.region)
        with state.lock:
            state.caller = holder(request.access_key)
            state.progress()
            yield

    def addition(self, request: Request, operation: str, parameters: dict[str, Any]) -> Response | None:
        """Answer an operation that moto lacks; None: it has it."""
        if request.service != "ec2":
            return None
        groups = self._groups.setdefault(request.region, placement.Groups(request.region))
        return groups.answer(operation, parameters)

    def guard(self, request: Request, operation: str, parameters: dict[str, Any]) -> None:
        """Refuse what AWS refuses and moto does not: removing what something else still stands on."""
        called = f"{request.service}:{operation}"
        if called in guards.GUARDS and not self.internal(request):
            state = self.eks(request.region)
            with state.lock:
                state.progress()
                guards.GUARDS[called](state, parameters)

    def internal(self, request: Request) -> bool:
        """Say whether this server calls itself."""
        return INTERNAL in request.headers.get("User-Agent", "")

    def endpoint(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        for service in self._eks.values():
            service.state.endpoint = endpoint

    def settle(self, seconds: float) -> None:
        self._settle_s = seconds
        for service in self._eks.values():
            service.state.settle(seconds)

    def reset(self) -> None:
        self._eks.clear()
        self._groups.clear()
        self._budgets = Budgets()
        self.quotas = Quotas()
