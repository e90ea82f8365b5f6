"""What every resource type of the provider implements."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

from infra.local.provider.difference import Difference
from infra.local.provider.machine import Work
from infra.local.provider.rules import Rule
from infra.local.provider.values import Properties


class ResourceType(ABC):
    """Create, update, read and delete for one type; state is the inputs plus what was found out.

    Any of them may be cancelled at an `await`: what was started stays, recorded, and the next `create` or `update`
    takes it up.
    """

    rules: ClassVar[Mapping[str, Rule]]
    """What each input must be."""

    @abstractmethod
    def defaults(self, inputs: Properties) -> Properties:
        """Return the inputs with what is always so."""

    @abstractmethod
    def difference(self, old: Properties, new: Properties) -> Difference:
        """Compare stored state with new inputs."""

    def reason(self, old: Properties, new: Properties) -> str | None:  # noqa: ARG002  for those that have one
        """Return why a new resource is needed, where the changed inputs alone do not tell a person."""
        return None

    @abstractmethod
    def preview(self, old: Properties | None, new: Properties) -> Properties:
        """Return the outputs as far as they are known before anything is done; `old` is None for a create."""

    @abstractmethod
    def id_of(self, inputs: Properties) -> str:
        """Return the resource's id."""

    @abstractmethod
    async def create(self, work: Work, inputs: Properties) -> Properties:
        """Ensure that it exists, and return its outputs."""

    @abstractmethod
    async def update(self, work: Work, old: Properties, new: Properties) -> Properties:
        """Bring it from stored state to new inputs, and return its outputs."""

    @abstractmethod
    async def read(self, work: Work, state: Properties) -> Properties | None:
        """Return its outputs as they are now, or None when it is definitely gone."""

    @abstractmethod
    async def delete(self, work: Work, state: Properties) -> None:
        """End it; being gone already is success."""
