"""The batch machine: a few at once in each location, pausing after failures, ending always."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from borne.core.batch import Answered, BatchState, Filled, Moved, Releases, step

AT_ONCE = 5


def filled(queued: dict[int, int], at_once: int = AT_ONCE) -> tuple[BatchState, Releases]:
    return step(BatchState(id=1, total=sum(queued.values()), at_once=at_once), Filled(queued))


def ended(location_id: int, verdict: str = "succeeded", *, slot_freed: bool = True) -> Moved:
    return Moved(location_id, slot_freed, verdict)


def test_each_location_releases_as_many_as_may_be_away_at_once() -> None:
    state, releases = filled({1: 12, 2: 3, 3: 5})
    assert releases == {1: 5, 2: 3, 3: 5}
    assert state.phase == "running"


def test_nothing_is_released_while_it_is_being_filled() -> None:
    state = BatchState(id=1, total=4, at_once=AT_ONCE)
    assert step(state, Moved(1, False, "not_sent", left_queue=True))[1] == {}


def test_who_leaves_while_it_is_being_filled_is_not_counted_twice() -> None:
    """The queue is counted when it is full: who left it before is not in that count, nor among the ended."""
    state = BatchState(id=1, total=9, at_once=AT_ONCE)
    for _ in range(3):
        state, _ = step(state, Moved(1, False, "not_sent", left_queue=True))
    state, releases = step(state, Filled({1: 3}))
    assert releases == {1: 3}
    for _ in range(2):
        state, _ = step(state, ended(1))
    assert state.phase == "running"
    assert step(state, ended(1))[0].phase == "done"


def test_stopped_while_it_is_being_filled_it_releases_nothing() -> None:
    state, _ = step(BatchState(id=1, total=9, at_once=AT_ONCE), Answered(go_on=False))
    assert step(state, Filled({1: 9})) == (state, {})
    assert state.phase == "stopped"


def test_a_slot_that_frees_releases_one_more_of_its_location() -> None:
    state, _ = filled({1: 12, 2: 12})
    state, releases = step(state, Moved(1, slot_freed=True))
    assert releases == {1: 1}
    assert step(state, ended(1, slot_freed=False))[1] == {}


def test_one_that_left_the_queue_frees_no_slot() -> None:
    state, _ = filled({1: 7})
    state, releases = step(state, Moved(1, False, "not_sent", left_queue=True))
    assert releases == {}
    state, releases = step(state, ended(1))
    assert releases == {1: 1}
    assert step(state, ended(1))[1] == {}


def test_three_failures_in_a_row_pause_it_and_ask() -> None:
    state, _ = filled({1: 20})
    for number in range(3):
        assert state.phase == "running", number
        state, releases = step(state, ended(1, "failed"))
    assert state.phase == "paused"
    assert releases == {}


@pytest.mark.parametrize("between", ["succeeded"])
def test_a_success_between_breaks_the_row(between: str) -> None:
    state, _ = filled({1: 20})
    for verdict in ("failed", "failed", between, "failed", "failed"):
        state, _ = step(state, ended(1, verdict))
    assert state.phase == "running"


@pytest.mark.parametrize("between", ["unknown", "not_sent"])
def test_what_is_neither_failure_nor_success_does_not_hide_failures(between: str) -> None:
    state, _ = filled({1: 20})
    for verdict in ("failed", "failed", between, "failed"):
        state, _ = step(state, ended(1, verdict))
    assert state.phase == "paused"


def test_continue_releases_again_and_counts_anew() -> None:
    state, _ = filled({1: 20})
    for _ in range(3):
        state, _ = step(state, ended(1, "failed"))
    state, releases = step(state, Answered(go_on=True))
    assert (state.phase, releases) == ("running", {1: 1})
    state, _ = step(state, ended(1, "failed"))
    assert state.phase == "running"


@pytest.mark.parametrize("paused", [False, True])
def test_stop_releases_nothing_more(paused: bool) -> None:
    state, _ = filled({1: 20})
    for _ in range(3 if paused else 0):
        state, _ = step(state, ended(1, "failed"))
    state, releases = step(state, Answered(go_on=False))
    assert (state.phase, releases) == ("stopped", {})
    assert step(state, ended(1))[1] == {}
    assert step(state, Answered(go_on=True)) == (state, {})


def test_continue_means_nothing_to_one_that_runs() -> None:
    state, _ = filled({1: 20})
    assert step(state, Answered(go_on=True)) == (state, {})


def test_filled_twice_is_filled_once() -> None:
    """The job that fills it may run again after a crash."""
    state, _ = filled({1: 20})
    assert step(state, Filled({1: 15})) == (state, {})


def test_an_empty_one_is_done_at_once() -> None:
    assert filled({})[0].phase == "done"


def test_a_failure_of_the_last_one_ends_it_rather_than_pausing() -> None:
    state, _ = filled({1: 3})
    for _ in range(3):
        state, _ = step(state, ended(1, "failed"))
    assert state.phase == "done"


@given(
    queued=st.dictionaries(st.integers(1, 6), st.integers(1, 25), min_size=1, max_size=4),
    at_once=st.integers(1, 6),
    data=st.data(),
)
def test_never_more_than_at_once_and_every_batch_ends(
    queued: dict[int, int], at_once: int, data: st.DataObject
) -> None:
    """Plays restarts in any order and with any verdicts; slots free before, at or with the verdict."""
    state, releases = filled(queued, at_once)
    waiting, holding, freed = dict(queued), dict.fromkeys(queued, 0), dict.fromkeys(queued, 0)
    for _ in range(sum(queued.values()) * 4 + 10):
        for location_id, count in releases.items():
            waiting[location_id] -= count
            holding[location_id] += count
        assert all(count <= at_once for count in holding.values())
        assert all(count >= 0 for count in waiting.values())
        state = msgspec.json.decode(msgspec.json.encode(state), type=BatchState)
        if state.phase == "done":
            break
        if state.phase == "paused":
            assert releases == {}
            state, releases = step(state, Answered(go_on=True))
            continue
        can_free = [at for at, count in holding.items() if count]
        can_end = [at for at, count in freed.items() if count]
        can_leave = [at for at, count in waiting.items() if count]
        moves = [("free", at) for at in can_free] + [("end", at) for at in can_free]
        moves += [("end_freed", at) for at in can_end] + [("leave", at) for at in can_leave]
        move, location_id = data.draw(st.sampled_from(moves))
        verdict = data.draw(st.sampled_from(["succeeded", "failed", "unknown", "not_sent"]))
        match move:
            case "free":
                holding[location_id] -= 1
                freed[location_id] += 1
                fact = Moved(location_id, slot_freed=True)
            case "end":
                holding[location_id] -= 1
                fact = Moved(location_id, slot_freed=True, verdict=verdict)
            case "end_freed":
                freed[location_id] -= 1
                fact = Moved(location_id, slot_freed=False, verdict=verdict)
            case _:
                waiting[location_id] -= 1
                fact = Moved(location_id, slot_freed=False, verdict="not_sent", left_queue=True)
        state, releases = step(state, fact)
    assert state.phase == "done"
    assert not any(waiting.values())
    assert not any(holding.values())
