"""The batch machine: restarts many chargers, a few at a time in each location, and asks after failures.

At most `at_once` chargers of a location are away together; a slot frees when a charger is back, at its verdict, or
five minutes after its Reset. After three failures in a row nothing more is released until a person says continue or
stop.
"""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec.structs import replace

Phase = Literal["filling", "running", "paused", "stopped", "done"]
PAUSE_AFTER_FAILURES = 3


class Lane(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One location's part: how many wait, and how many hold a slot."""

    location_id: int
    queued: int
    busy: int = 0


class BatchState(msgspec.Struct, frozen=True, omit_defaults=True):
    """The whole batch. The restarts themselves are rows of their own; this only counts."""

    id: int
    total: int
    at_once: int
    phase: Phase = "filling"
    lanes: tuple[Lane, ...] = ()
    ended: int = 0
    failures_in_row: int = 0


class Filled(msgspec.Struct, frozen=True):
    """All restarts of the batch exist; `queued` counts them by location."""

    queued: dict[int, int]


class Moved(msgspec.Struct, frozen=True):
    """A restart of the batch freed its slot, or ended with a verdict (`left_queue`: without ever having had a slot)."""

    location_id: int
    slot_freed: bool
    verdict: str | None = None
    left_queue: bool = False


class Answered(msgspec.Struct, frozen=True):
    """A person decided about a paused (continue) or unfinished (stop) batch."""

    go_on: bool


BatchFact = Filled | Moved | Answered
Releases = dict[int, int]  # location id -> how many more may go


def step(state: BatchState, fact: BatchFact) -> tuple[BatchState, Releases]:
    """The state after the fact, and how many queued restarts of which locations are released now."""
    match fact:
        case Filled() if state.phase == "filling":
            lanes = tuple(Lane(location_id, count) for location_id, count in sorted(fact.queued.items()))
            state = replace(state, lanes=lanes, total=sum(fact.queued.values()), phase="running")
        case Moved() if state.phase != "filling":  # who left the queue by then is not counted as queued
            state = _moved(state, fact)
        case Answered() if state.phase == "paused" and fact.go_on:
            state = replace(state, phase="running", failures_in_row=0)
        case Answered() if state.phase in ("filling", "running", "paused") and not fact.go_on:
            state = replace(state, phase="stopped")
    return _release(_finished(state))


def _moved(state: BatchState, fact: Moved) -> BatchState:
    lanes = tuple(_freed(lane, fact) if lane.location_id == fact.location_id else lane for lane in state.lanes)
    failures, phase = state.failures_in_row, state.phase
    if fact.verdict == "failed":
        failures += 1
    elif fact.verdict == "succeeded":
        failures = 0
    if failures >= PAUSE_AFTER_FAILURES and phase == "running":
        phase = "paused"
    ended = state.ended + (fact.verdict is not None)
    return replace(state, lanes=lanes, failures_in_row=failures, phase=phase, ended=ended)


def _freed(lane: Lane, fact: Moved) -> Lane:
    busy = max(0, lane.busy - 1) if fact.slot_freed else lane.busy
    queued = max(0, lane.queued - 1) if fact.left_queue else lane.queued
    return replace(lane, busy=busy, queued=queued)


def _finished(state: BatchState) -> BatchState:
    if state.phase in ("running", "paused") and state.ended >= state.total:
        return replace(state, phase="done")
    return state


def _release(state: BatchState) -> tuple[BatchState, Releases]:
    if state.phase != "running":
        return state, {}
    releases = {
        lane.location_id: count for lane in state.lanes if (count := min(lane.queued, state.at_once - lane.busy)) > 0
    }
    lanes = tuple(
        replace(lane, queued=lane.queued - n, busy=lane.busy + n) if (n := releases.get(lane.location_id, 0)) else lane
        for lane in state.lanes
    )
    return replace(state, lanes=lanes), releases
