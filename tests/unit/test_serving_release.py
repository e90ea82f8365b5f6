"""The release state machine against a simulated registry, with crashes between any two lines."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serving.release import BARRED, Command, Promote, Seen, Smoke, step
from serving.release_state import HISTORY, State, from_json, to_json
from tests.serving.release_world import NOW, VERSIONS, Event, World, released, rollback


def test_nothing_trained_and_nothing_asked_is_idle() -> None:
    assert step(State(), Seen(), NOW) == (State(), ())


def test_a_candidate_becomes_champion_after_its_smoke_test() -> None:
    world = released("1")
    assert (world.champion, world.state.champion, world.state.phase) == ("1", "1", "released")
    assert world.tags["1"] == "champion"


def test_the_champion_before_is_retired_and_remembered() -> None:
    world = released("1", "2")
    assert (world.champion, world.state.previous, world.tags["1"]) == ("2", "1", "retired")


def test_an_alias_is_never_moved_before_the_smoke_test() -> None:
    world = World(asked="1")
    _, actions = step(World(asked="1").state, world.seen(), NOW)
    assert not any(isinstance(action, Promote) for action in actions)
    world.turn()
    assert step(world.state, world.seen(), NOW)[1] == (Smoke("1"),)


def test_a_candidate_that_fails_its_smoke_test_leaves_the_champion_alone() -> None:
    world = replace(released("1"), asked="2", good=frozenset({"1"})).settle()
    assert (world.champion, world.state.phase, world.state.reason) == ("1", "failed", "it crashed")
    assert world.tags["2"] == "failed"


@pytest.mark.parametrize("tag", sorted(BARRED))
def test_a_barred_version_is_refused_with_the_reason(tag: str) -> None:
    world = released("1")
    world.tags["2"] = tag
    world.asked = "2"
    world.settle()
    assert (world.champion, world.state.phase) == ("1", "refused")
    assert tag in str(world.state.reason)


def test_a_version_that_does_not_exist_is_refused() -> None:
    world = replace(released("1"), asked="9").settle()
    assert (world.state.phase, world.state.reason) == ("refused", "the registry has no version 9")


def test_an_unknown_strategy_is_refused_by_name() -> None:
    world = released("1")
    world.asked = "2"
    after, _ = step(world.state, replace(world.seen(), strategy="yolo"), NOW)
    assert after.phase == "refused"
    assert "rolling" in str(after.reason)


def test_asking_for_nothing_changes_nothing() -> None:
    world = released("1")
    before = world.stored
    world.asked = None
    assert not world.turn()
    assert world.stored == before


def test_a_rollback_restores_the_champion_before_and_bars_the_other() -> None:
    world = replace(released("1", "2"), command=rollback()).settle()
    assert (world.champion, world.tags["2"], world.tags["1"]) == ("1", "rolled_back", "champion")
    assert world.state.last_command == "c1"
    assert world.state.history[-1].by == "ana"


def test_a_rolled_back_version_is_not_released_by_asking_again() -> None:
    world = replace(released("1", "2"), command=rollback()).settle()
    world.asked = "3"
    world.settle()
    world.asked = "2"
    world.settle()
    assert (world.champion, world.state.phase) == ("3", "refused")


def test_a_command_is_executed_once() -> None:
    world = replace(released("1", "2", "3"), command=rollback()).settle()
    assert world.champion == "2"
    assert not world.turn()
    assert world.champion == "2"


def test_two_rollbacks_go_back_two_versions() -> None:
    world = replace(released("1", "2", "3"), command=rollback("a")).settle()
    world = replace(world, command=rollback("b")).settle()
    assert (world.champion, world.tags["2"], world.tags["3"]) == ("1", "rolled_back", "rolled_back")


def test_a_rollback_without_an_earlier_champion_is_refused_and_recorded() -> None:
    world = replace(released("1"), command=rollback()).settle()
    assert world.champion == "1"
    assert "no earlier champion" in world.state.history[-1].reason


def test_an_unknown_command_is_refused_and_recorded() -> None:
    world = replace(released("1", "2"), command=Command("x", "explode")).settle()
    assert world.champion == "2"
    assert "explode is unknown" in world.state.history[-1].reason


def test_a_person_who_moves_the_alias_is_recorded_and_not_overruled() -> None:
    world = replace(released("1", "2"), champion="1").settle()
    assert world.champion == "1"
    last = world.state.history[-1]
    assert (last.by, last.frm, last.to) == ("person", "2", "1")
    assert (world.tags["1"], world.tags["2"]) == ("champion", "retired")


def test_a_crash_while_a_persons_move_is_recorded_leaves_no_version_tagged_champion_beside_the_champion() -> None:
    for effects in range(4):
        world = released("1", "2")
        world.champion = "1"
        world.die(effects)
        world.die(effects)
        world.champion = "3"
        world.settle()
        assert [version for version, tag in world.tags.items() if tag == "champion"] == ["3"], effects
        assert world.state.champion == "3"


def test_a_person_who_intervenes_during_a_release_wins() -> None:
    world = released("1")
    world.asked = "2"
    while world.state.intent is None:
        world.turn()
    world.champion = "3"
    world.settle()
    assert world.champion == "3"
    assert world.state.phase == "refused"


def test_a_crash_between_alias_and_state_is_finished_and_not_repeated() -> None:
    world = replace(released("1", "2", "3"), command=rollback())
    world.turn()  # the intent is saved
    world.die(effects=2)  # a tag and the alias, and no more
    assert world.champion == "2"
    assert world.state.champion == "3"
    world.settle()
    assert (world.champion, world.state.champion, world.tags["3"]) == ("2", "2", "rolled_back")
    assert [event.to for event in world.state.history] == ["1", "2", "3", "2"]


def test_the_history_is_bounded() -> None:
    world = World()
    for turn in range(60):
        world.champion = VERSIONS[turn % 2]
        world.settle()
    assert len(world.state.history) == HISTORY
    assert world.state.epoch == 60


def test_a_state_of_another_contract_is_refused() -> None:
    with pytest.raises(ValueError, match="contract 2"):
        from_json({**to_json(State()), "contract": 2})


EVENTS = st.one_of(
    st.tuples(st.just("ask"), st.sampled_from([*VERSIONS, None, "9"])),
    st.tuples(st.just("rollback"), st.integers(0, 5).map(str)),
    st.tuples(st.just("move"), st.sampled_from([*VERSIONS, None])),
    st.tuples(st.just("reject"), st.sampled_from(VERSIONS)),
    st.tuples(st.just("turn"), st.none()),
    st.tuples(st.just("die"), st.integers(0, 4)),
)
BAD = st.frozensets(st.sampled_from(VERSIONS), max_size=2)


def play(world: World, event: Event) -> None:
    match event:
        case ("ask", asked):
            world.asked = asked  # type: ignore[assignment]
        case ("rollback", identity):
            world.command = rollback(str(identity))
        case ("move", version):
            world.champion = version  # type: ignore[assignment]
            world.touched.add(str(version))
        case ("reject", version):
            world.tags[str(version)] = "rejected"
        case ("turn", _):
            world.turn()
        case ("die", effects):
            world.die(effects)  # type: ignore[arg-type]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(EVENTS, max_size=25), BAD)
def test_whatever_happens_it_comes_to_rest_in_a_state_that_agrees_with_the_registry(
    events: list[Event], bad: frozenset[str]
) -> None:
    world = World(good=frozenset(VERSIONS) - bad)
    for event in events:
        play(world, event)  # asserts that no barred version is promoted
    world.settle()
    state = world.state
    assert state.champion == world.champion
    assert state.intent is None
    assert state.phase != "testing"
    assert len(state.history) <= HISTORY
    assert not (set(world.promoted) - world.touched) & bad
    assert {version for version, tag in world.tags.items() if tag == "champion"} <= {world.champion}


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(EVENTS, max_size=25), BAD)
def test_at_rest_another_turn_and_another_controller_do_nothing(events: list[Event], bad: frozenset[str]) -> None:
    world = World(good=frozenset(VERSIONS) - bad)
    for event in events:
        play(world, event)
    world.settle()
    before = (world.stored, world.champion, dict(world.tags))
    world.verdict = None  # a new controller
    assert not world.turn()
    assert (world.stored, world.champion, world.tags) == before


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(EVENTS, max_size=15))
def test_a_step_is_a_function_of_its_arguments_and_its_state_survives_json(events: list[Event]) -> None:
    world = World()
    for event in events:
        play(world, event)
        state, seen = world.state, world.seen()
        assert step(state, seen, NOW) == step(state, seen, NOW)
        assert from_json(json.loads(json.dumps(to_json(state)))) == state


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.integers(0, 3), max_size=12))
def test_crashes_anywhere_do_not_change_where_a_release_and_a_rollback_end(crashes: list[int]) -> None:
    smooth = replace(released("1", "2"), asked="3").settle()
    smooth = replace(smooth, command=rollback()).settle()
    rough = replace(released("1", "2"), asked="3")
    for effects in crashes:
        rough.die(effects)
    rough.settle()
    rough.command = rollback()
    for effects in crashes:
        rough.die(effects)
    rough.settle()
    assert (rough.champion, rough.tags) == (smooth.champion, smooth.tags)
    assert rough.state.history == smooth.state.history
