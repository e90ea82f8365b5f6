"""Runs `serving.release`: observes the registry, steps, saves, performs.  The only mover of aliases.

It must decide nothing itself, and must converge from any line at which it may be killed.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from serving import smoke
from serving.follower import CHAMPION
from serving.registry import RegisteredModel, Registry
from serving.release import Action, Command, Promote, Seen, Smoke, Tag, Verdict, interesting, step
from serving.release_state import State
from serving.release_state import from_json as state_from_json
from serving.release_state import to_json as state_to_json

LOG = logging.getLogger("ray.serve")
STATE_TAG = "slipway.release.state"
COMMAND_TAG = "slipway.release.command"
VERSION_TAG = "slipway.release"


@dataclass(frozen=True)
class Wish:
    """What the stack asks for: the user_config of the controller's deployment."""

    candidate: str | None = None
    strategy: str = "rolling"

    @staticmethod
    def parse(config: Mapping[str, Any]) -> Wish:
        """Return the wish in a user_config.

        Raises:
            ValueError: a key is unknown or a value has the wrong type.
        """
        unknown = sorted(set(config) - {"candidate", "release"})
        candidate, release = config.get("candidate"), config.get("release") or {}
        if unknown or not isinstance(candidate, str | None) or not isinstance(release, dict):
            raise ValueError(
                f'user_config {dict(config)!r}: {{"candidate": "3" or null, "release": {{"strategy"}}}} is needed'
            )
        return Wish(candidate, str(release.get("strategy", "rolling")))


class Controller:
    """One release controller; exactly one should run, and a second one for a moment does no harm."""

    def __init__(self, registry: Registry, name: str, poll_s: float) -> None:
        self.wish = Wish()
        self._registry, self._name, self._poll_s = registry, name, poll_s
        self._verdict: Verdict | None = None
        self._trouble: str | None = None

    async def run(self) -> None:
        """Step until cancelled; trouble is logged once and tried again."""
        while True:
            busy = False
            try:
                busy = await self.turn()
                self._trouble = None
            except Exception as fault:  # noqa: BLE001  the controller must outlive whatever the registry answers
                self._complain(fault)
            if not busy:
                await asyncio.sleep(self._poll_s)

    def _complain(self, fault: Exception) -> None:
        text = f"{type(fault).__name__}: {fault}"
        if text != self._trouble:
            LOG.error("release controller, tries again every %g s: %s", self._poll_s, text, exc_info=fault)
        self._trouble = text

    async def turn(self) -> bool:
        """Observe, step, save, perform; return whether anything was done."""
        model = await asyncio.to_thread(self._registry.model, self._name)
        if model is None:  # nothing was trained yet
            return False
        before = _state(model)
        seen = await asyncio.to_thread(self._observe, model, before)
        after, actions = step(before, seen, datetime.now(UTC).isoformat(timespec="milliseconds"))
        if after != before:
            text = json.dumps(state_to_json(after), separators=(",", ":"))
            await asyncio.to_thread(self._registry.set_model_tag, self._name, STATE_TAG, text)
            LOG.info("release: candidate %s %s, champion %s", after.candidate, after.phase, after.champion)
        for action in actions:
            await self._perform(action)
        return after != before or bool(actions)

    def _observe(self, model: RegisteredModel, state: State) -> Seen:
        wish, champion = self.wish, model.aliases.get(CHAMPION)
        versions: dict[str, str | None] = {}
        for version in interesting(state, champion, wish.candidate) if self._moving(model, state) else ():
            tags = self._registry.version_tags(self._name, version)
            if tags is not None:
                versions[version] = tags.get(VERSION_TAG)
        return Seen(
            champion=champion,
            asked=wish.candidate,
            strategy=wish.strategy,
            command=_command(model),
            versions=versions,
            verdict=self._verdict,
        )

    def _moving(self, model: RegisteredModel, state: State) -> bool:
        """Return whether the tags of versions matter now; at rest a turn is a single call."""
        command = _command(model)
        return (
            state.intent is not None
            or state.phase == "testing"
            or model.aliases.get(CHAMPION) != state.champion
            or self.wish.candidate not in {None, state.candidate}
            or (command is not None and command.id != state.last_command)
        )

    async def _perform(self, action: Action) -> None:
        match action:
            case Smoke(version):
                self._verdict = await smoke.run(self._registry.uri, self._name, version)
            case Promote(version):
                await asyncio.to_thread(self._registry.set_alias, self._name, CHAMPION, version)
            case Tag(version, value):
                await asyncio.to_thread(self._registry.set_version_tag, self._name, version, VERSION_TAG, value)


def _state(model: RegisteredModel) -> State:
    text = model.tags.get(STATE_TAG)
    try:
        return State() if text is None else state_from_json(json.loads(text))
    except (ValueError, TypeError, KeyError) as fault:
        raise ValueError(f"tag {STATE_TAG} cannot be read ({fault}); repair or delete it") from fault


def _command(model: RegisteredModel) -> Command | None:
    """Return the command in the registered model's tag, or None when there is none that can be read."""
    try:
        value = json.loads(model.tags[COMMAND_TAG])
        return Command(
            id=str(value["id"]),
            action=str(value["action"]),
            by=str(value.get("by", "person")),
            reason=str(value.get("reason") or "")[:300],
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
