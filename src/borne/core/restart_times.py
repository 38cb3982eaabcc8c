"""How long a restart waits for what, and the instants that follow from its state: when to wake it, how long it listens on."""

from __future__ import annotations

from msgspec.structs import replace

from borne.core.facts import ClockStepped
from borne.core.restart_state import BEFORE_SENDING, RestartState, noted

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
SENDABLE_WITHIN_MS = 2 * MINUTE_MS  # requested, but the link never came free
FREE_WITHIN_MS = 24 * HOUR_MS
SCHEDULED_WITHIN_MS = 24 * HOUR_MS
UPGRADE_WITHIN_MS = 24 * HOUR_MS
SLOT_FREE_AFTER_MS = 5 * MINUTE_MS
UNSTABLE_WITHIN_MS = 10 * MINUTE_MS

# What the clock has measured; a time that a person chose is not among them.
_MOVED = (
    "requested_ms", "link_opened_ms", "sent_ms", "written_ms", "answered_ms", "idle_ms", "left_ms", "back_ms", "booted_ms",
    "evse_gone_ms", "ready_ms", "deadline_ms", "ended_ms", "first_ended_ms",
)  # fmt: skip


def clock_stepped(state: RestartState, fact: ClockStepped) -> RestartState:
    """Move what was measured by the old clock; a time that a person chose stays."""
    moved = {name: value + fact.by_ms for name in _MOVED if (value := getattr(state, name)) is not None and value != 0}
    if state.wake_at_ms is not None and not (state.phase == "waiting" and state.not_before_ms is not None):
        moved["wake_at_ms"] = state.wake_at_ms + fact.by_ms
    moved_boots = tuple(at + fact.by_ms for at in state.boots)
    return replace(noted(state, fact, "clock_stepped", by_ms=fact.by_ms), boots=moved_boots, **moved)


def watch_until_ms(state: RestartState) -> int:
    """Until when an ended restart listens on; 0: it does not."""
    if state.verdict == "succeeded" and state.evse is None:
        return (state.boots[0] if state.boots else state.ended_ms or 0) + UNSTABLE_WITHIN_MS
    if state.verdict == "unknown" or state.reason == "did_not_come_back":
        return (state.sent_ms or 0) + UPGRADE_WITHIN_MS
    return 0


def with_wake(state: RestartState) -> RestartState:
    """`wake_at_ms` follows from the state: the earliest instant at which time alone changes something."""
    if state.phase in BEFORE_SENDING:
        return state if state.phase != "queued" else replace(state, wake_at_ms=None)
    if state.phase == "ended":
        until_ms = watch_until_ms(state)
        watches = state.watches and until_ms > (state.ended_ms or 0)
        return replace(state, watches=watches, wake_at_ms=until_ms if watches else None)
    slot_ms = None
    if state.in_batch and not state.slot_freed and state.sent_ms is not None:
        slot_ms = state.sent_ms + SLOT_FREE_AFTER_MS
    times = [at for at in (state.deadline_ms, slot_ms) if at is not None]
    return replace(state, wake_at_ms=min(times) if times else None)
