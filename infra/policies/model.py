"""What a rule sees and says: a declared resource, the stack's posture, a violation.

Pure data and lookups.  It knows no Pulumi: the program, the policy pack and the tests each bring their resources into
this form.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import Any, Final

_LONGEST = 100
_NARROWEST_OF_THE_WORLD = {4: 8, 6: 16}
"""By IP version, the prefix from which on a range can be somebody's: nobody holds more than a /8, or a /16 of IPv6."""


class Unknown:
    """A value that is not known yet. There is one, `UNKNOWN`; a rule that meets it says nothing."""

    def __repr__(self) -> str:
        return "(not known yet)"


UNKNOWN: Final = Unknown()


@dataclass(frozen=True, kw_only=True)
class Posture:
    """What the stack file says that rules depend on."""

    ephemeral: bool = False
    """It has `slipway:lifetime`."""
    retained: bool = False
    """It has `slipway:artifacts.retain`: what it holds outlives it."""
    exceptions: Mapping[str, str] = field(default_factory=dict)
    """`slipway:substrate.exceptions`: what rules that allow it let pass, by name, with the reason."""


def posture(settings: Mapping[str, Any]) -> Posture:
    """Read the posture out of the keys under `slipway:`, without that prefix; what is no mapping counts as absent."""
    artifacts, substrate = (_mapping(settings.get(key)) for key in ("artifacts", "substrate"))
    return Posture(
        ephemeral=settings.get("lifetime") is not None,
        retained=artifacts.get("retain") is True,
        exceptions=_mapping(substrate.get("exceptions")),
    )


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


@dataclass(frozen=True, kw_only=True)
class Declared:
    """One resource as the program declares it: names of properties as on the wire, `UNKNOWN` where not known."""

    type: str
    name: str
    properties: Mapping[str, Any]
    links: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Property: the names of the resources whose outputs it is made of, where that can be told."""
    urn: str = ""

    def at(self, path: str) -> Any:
        """Return the value at a dotted path, a number enters a list; None if absent, UNKNOWN if not known."""
        value: Any = self.properties
        for part in path.split("."):
            if value is UNKNOWN:
                return UNKNOWN
            if isinstance(value, Mapping):
                value = value.get(part)
            elif isinstance(value, Sequence) and not isinstance(value, str):
                value = value[int(part)] if part.isdigit() and int(part) < len(value) else None
            else:
                return None
        return value

    def items(self, path: str) -> Iterator[tuple[str, Any]]:
        """Walk the known elements of the list at `path`, each with its own path."""
        value = self.at(path)
        if isinstance(value, Sequence) and not isinstance(value, str):
            yield from ((f"{path}.{index}", element) for index, element in enumerate(value) if element is not UNKNOWN)

    def knows(self, path: str) -> bool:
        """Whether the value is known, absent counting as known."""
        return self.at(path) is not UNKNOWN


@dataclass(frozen=True, kw_only=True)
class Violation:
    """A rule that a resource breaks. `property` names the one to change."""

    resource: Declared
    property: str
    value: Any
    reason: str
    fix: str

    def __str__(self) -> str:
        value = "is not set" if self.value is None else f"= {_shown(self.value)}"
        return f"{self.resource.type} {self.resource.name}: {self.property} {value}: {self.reason}; fix: {self.fix}"


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=repr)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def demand(resource: Declared, path: str, holds: Callable[[Any], bool], reason: str, fix: str) -> Iterator[Violation]:
    """Find a violation unless the value at `path` is not known or `holds` accepts it (None where absent)."""
    value = resource.at(path)
    if value is not UNKNOWN and not holds(value):
        yield Violation(resource=resource, property=path, value=value, reason=reason, fix=fix)


def true(value: Any) -> bool:
    """Whether a switch is on; launch templates spell it as text."""
    return value is True or value == "true"


def absent_or_false(value: Any) -> bool:
    """Whether a switch is off."""
    return value is None or value is False or value == "false"


def present(value: Any) -> bool:
    """Whether anything was given."""
    return value not in (None, "", [], {})


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A rule over one resource at a time: a plain function, and the types that it looks at."""

    name: str
    about: str
    types: frozenset[str]
    check: Callable[[Declared, Posture], Iterator[Violation]]


@dataclass(frozen=True, kw_only=True)
class StackRule:
    """A rule that needs several resources; `types` are all those that it looks at."""

    name: str
    about: str
    types: frozenset[str]
    check: Callable[[Sequence[Declared], Posture], Iterator[Violation]]


def is_wide(value: Any) -> bool:
    """Whether an address range is everybody's, or so wide that it restricts nobody: half of the world is two lines."""
    try:
        network = ip_network(str(value), strict=False)
    except ValueError:
        return False
    return network.prefixlen < _NARROWEST_OF_THE_WORLD[network.version]


def from_text(value: Any) -> Any:
    """Read a text that holds JSON; anything else stays as it is."""
    try:
        return json.loads(value)
    except (TypeError, ValueError):
        return value
