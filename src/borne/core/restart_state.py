"""What is known of one restart, and the words for how far it is and how it went. Its transitions stand in `core.restart`."""

from __future__ import annotations

from typing import Literal, get_args

import msgspec
from msgspec.structs import replace

from borne.core.effects import Details
from borne.core.facts import AnswerStatus, Fact, RestartKind

Phase = Literal["queued", "waiting", "requested", "sent", "accepted", "scheduled", "left", "back", "ended"]
Verdict = Literal["succeeded", "failed", "unknown", "not_sent"]
PHASES: tuple[Phase, ...] = get_args(Phase)
BEFORE_SENDING = ("queued", "waiting", "requested")
UNDER_WAY = ("requested", "sent", "accepted", "left", "back")  # the charger's status is "restarting"
MAX_STEPS = 60


class Step(msgspec.Struct, frozen=True, gc=False):
    """A line of the timeline, with the wall time at which it was received."""

    kind: str
    at_ms: int
    details: Details = {}


class RestartState(msgspec.Struct, frozen=True, omit_defaults=True):
    """Everything known of one restart. Times are wall milliseconds, moved with the clock when it is corrected."""

    id: int
    charger_id: int
    kind: RestartKind
    phase: Phase
    requested_ms: int
    evse: int | None = None
    in_batch: bool = False
    when_free: bool = False
    not_before_ms: int | None = None
    wake_at_ms: int | None = None
    # what was known when it was sent (RestartSent)
    epoch: int = 0
    link_opened_ms: int = 0
    booted_on_link: bool = False
    announces_boots: bool = False
    plain_reconnects_boot: bool | None = None
    charging: bool = False  # a session runs, as far as known
    held_up: bool = False  # …and the restart waits for its end
    deadline_after_ms: int = 0
    # what happened
    sent_ms: int | None = None
    written_ms: int | None = None
    answered_ms: int | None = None
    answer: AnswerStatus | None = None
    answer_code: str | None = None
    answer_text: str | None = None
    idle_ms: int | None = None  # the session that held it up ended: its clock starts here
    left_ms: int | None = None
    left_how: str | None = None
    left_ours: bool = False
    back_ms: int | None = None
    back_epoch: int = 0
    booted_ms: int | None = None
    boot_reason: str | None = None
    boot_doubt: str | None = None  # why the boot that was seen proves nothing
    boots: tuple[int, ...] = ()
    boot_triggered: bool = False
    evse_gone_ms: int | None = None
    ready_ms: int | None = None
    ready_status: str | None = None
    not_ready: tuple[str, ...] = ()  # connectors that came back faulted or unavailable
    heard_ms: int | None = None
    down_ms: int = 0  # how long Borne itself was down meanwhile
    deadline_ms: int | None = None
    slot_freed: bool = False
    # the verdict
    verdict: Verdict | None = None
    reason: str | None = None
    ended_ms: int | None = None
    duration_ms: int | None = None
    unstable: bool = False
    first_verdict: Verdict | None = None
    first_reason: str | None = None
    first_ended_ms: int | None = None
    watches: bool = True
    steps: tuple[Step, ...] = ()


def noted(state: RestartState, fact: Fact, kind: str, **details: str | int | None) -> RestartState:
    """The state with one more line of its timeline. A full timeline takes only the verdict."""
    if len(state.steps) >= MAX_STEPS and kind not in ("verdict", "upgraded"):
        return state
    said: Details = {name: value for name, value in details.items() if value is not None}
    return replace(state, steps=(*state.steps, Step(kind, fact.at_ms, said)))
