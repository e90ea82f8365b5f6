"""A registry in memory with one release controller that may die between any two effects."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from serving.release import BARRED, Command, Promote, Seen, Smoke, Tag, Verdict, interesting, step
from serving.release_state import State, from_json, to_json

NOW = "2026-11-23T00:00:00.000+00:00"
VERSIONS = ("1", "2", "3", "4")
Event = tuple[str, object]


@dataclass
class World:
    """A registry, the stack's wish, and one controller that may die after any single effect."""

    champion: str | None = None
    tags: dict[str, str | None] = field(default_factory=lambda: dict.fromkeys(VERSIONS))
    stored: str = "null"
    asked: str | None = None
    command: Command | None = None
    good: frozenset[str] = frozenset(VERSIONS)
    verdict: Verdict | None = None
    promoted: list[str] = field(default_factory=list)
    touched: set[str] = field(default_factory=set)
    """Versions that a person made champion, tested or not."""

    @property
    def state(self) -> State:
        value = json.loads(self.stored)
        return State() if value is None else from_json(value)

    def seen(self) -> Seen:
        names = interesting(self.state, self.champion, self.asked)
        return Seen(
            champion=self.champion,
            asked=self.asked,
            command=self.command,
            versions={name: self.tags[name] for name in names if name in self.tags},
            verdict=self.verdict,
        )

    def turn(self, effects: int = 99) -> bool:
        """One turn that dies after so many effects; return whether anything was to be done."""
        before = self.state
        after, actions = step(before, self.seen(), NOW)
        if after != before and effects > 0:
            self.stored = json.dumps(to_json(after))
            effects -= 1
        for action in actions[: max(effects, 0)]:
            self._do(action)
        return after != before or bool(actions)

    def _do(self, action: Smoke | Promote | Tag) -> None:
        match action:
            case Smoke(version):
                self.verdict = Verdict(version, version in self.good, "it crashed")
            case Promote(version):
                assert self.tags[version] not in BARRED, f"{version} came back"
                self.champion = version
                self.promoted.append(version)
            case Tag(version, value):
                self.tags[version] = value

    def die(self, effects: int) -> None:
        """Die within a turn; the next controller knows no verdict."""
        self.turn(effects)
        self.verdict = None

    def settle(self) -> World:
        for _ in range(30):
            if not self.turn():
                return self
        raise AssertionError(f"it never comes to rest: {self}")


def released(*versions: str) -> World:
    world = World()
    for version in versions:
        world.asked = version
        world.settle()
    return world


def rollback(identity: str = "c1") -> Command:
    return Command(identity, "rollback", by="ana", reason="too slow")
