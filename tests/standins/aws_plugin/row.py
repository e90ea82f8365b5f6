"""What a row of the table is, and what a row's calls get to work with."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.standins.aws_plugin.api import Api, ApiError
from tests.standins.aws_plugin.fields import CAMEL, PASCAL, F, Fields, Values, encode
from tests.standins.plugin.refused import Refused

Computed = str | Callable[["Work", Values], Any]
_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 2.0


@dataclass(frozen=True)
class Tagging:
    """How a resource's tags are written and read.

    Attributes:
        given: the parameters that a creating call takes them in; None: they are put by `change` afterwards.
        read: the tags that there are, given what `read` of the row returned.
        change: sets some and takes others away.
    """

    given: Callable[[Mapping[str, str]], Values] | None
    read: Callable[[Work, Values], Mapping[str, str]]
    change: Callable[[Work, Mapping[str, str], Collection[str]], None]


@dataclass(frozen=True, kw_only=True)
class Row:
    """One type of resource.

    Attributes:
        token: its type.
        service: of botocore.
        source: where the official schema of it is.
        fields: its properties. `region` and tags are added.
        computed: what else its state tells: a path in what `read` returns, or a function of it.
        create: makes it and returns its id.
        read: tells what the API knows of it, None where it is gone.
        update: changes it, given which properties differ; None: everything that changes replaces.
        delete: removes it; what is gone already, or not yet free, is the caller's matter.
        wait: waits until it is usable, after create and update.
        tagging: how it is tagged; None: it is not.
        name_field: the property whose value the user chose and which must be unique.
        names_itself: whether the official plugin makes that name up where none is given.
        leaf: a new one cannot be told from the old one, so the old one goes first.
        moving: computed values that every update changes.
        regional: whether it lives in a region.
    """

    token: str
    service: str
    source: str
    fields: Fields
    create: Callable[[Work], str]
    read: Callable[[Work], Values | None]
    delete: Callable[[Work], Any]
    update: Callable[[Work], Any] | None = None
    wait: Callable[[Work], Any] | None = None
    computed: Mapping[str, Computed] = field(default_factory=dict)
    tagging: Tagging | None = None
    name_field: str = ""
    names_itself: bool = True
    leaf: bool = False
    moving: tuple[str, ...] = ()
    regional: bool = True
    camel: bool = False

    @property
    def style(self) -> Any:
        return CAMEL if self.camel else PASCAL

    @property
    def all_fields(self) -> Fields:
        more: dict[str, F] = {}
        if self.tagging is not None:
            more |= {"tags": F(), "tagsAll": F()}
        if self.regional:
            more["region"] = F(computed=True, new=True, local=True)
        return {**self.fields, **more}


@dataclass
class Work:
    """One operation on one resource: what is wanted, what is, and the way to the API."""

    row: Row
    api: Api
    region: str
    stop: threading.Event
    timeout_s: float
    new: Values
    old: Values = field(default_factory=dict)
    id: str = ""
    changed: Collection[str] = ()
    reached: set[str] = field(default_factory=set)

    @property
    def account(self) -> str:
        return self.api.account(self.region)

    @property
    def partition(self) -> str:
        return "aws-cn" if self.region.startswith("cn-") else "aws"

    def arn(self, service: str, resource: str, region: str | None = None) -> str:
        """Return an ARN of this account."""
        return f"arn:{self.partition}:{service}:{self.region if region is None else region}:{self.account}:{resource}"

    def call(self, operation: str, *, service: Any = "", **params: Any) -> Values:
        """Make one call."""
        return self.api.call(service or self.row.service, self.region, operation, params)

    def value(self, name: str) -> Any:
        """Return a wanted property that reaches the API by another way than `params`, or what it is now."""
        self.reached.add(name)
        return self.new.get(name, self.old.get(name))

    def params(self, *names: str) -> Values:
        """Return the API's parameters of the wanted properties named."""
        self.reached.update(names)
        return encode(self.row.fields, {name: self.new[name] for name in names if name in self.new}, self.row.style)

    def all_but(self, *names: str) -> Values:
        """Return the API's parameters of every wanted property but these."""
        return self.params(*(name for name in self.row.fields if name not in names))

    def touched(self, *names: str) -> bool:
        """Whether one of these properties changes; on create: whether one is given."""
        self.reached.update(names)
        return any(name in self.changed for name in names)

    @property
    def tags(self) -> Values:
        """Return the parameters with which a creating call takes the tags."""
        tags = self.new.get("tagsAll") or {}
        self.reached.update(("tags", "tagsAll"))
        if self.row.tagging is None or self.row.tagging.given is None or not tags:
            return {}
        return self.row.tagging.given(tags)

    def until(self, probe: Callable[[], str], good: Collection[str], bad: Collection[str] = ()) -> None:
        """Wait until a state is one of the good ones."""
        end, pause = time.monotonic() + self.timeout_s, _PAUSE_S
        while (state := probe()) not in good:
            if state in bad:
                raise Refused(f"{self.row.token} {self.id} is {state}, not {' or '.join(good)}")
            if time.monotonic() > end:
                raise Refused(f"{self.row.token} {self.id} is still {state} after {self.timeout_s:.0f} s")
            if self.stop.wait(pause):
                raise Refused(f"cancelled while {self.row.token} {self.id} was {state}")
            pause = min(pause * 1.5, _LONGEST_PAUSE_S)

    def until_gone(self, probe: Callable[[], object]) -> None:
        """Wait until the API no longer knows the resource."""

        def state() -> str:
            try:
                return "there" if probe() else "gone"
            except ApiError as error:
                if error.is_gone:
                    return "gone"
                raise

        self.until(state, ("gone",))


def first(found: Any) -> Any:
    """Return the one thing that was found, None where nothing was."""
    return found[0] if found else None
