"""The restart machine: follows one Reset from the click to its verdict.

`step(state, fact)` is the whole machine: every transition stands in `_on`. The state is `core.restart_state`, its deadlines
are `core.restart_times`, and what counts as proof is judged in `core.verdict`. Sources: OCPP 1.6 §5.14 (Reset), §4.2
(BootNotification); OCPP 2.0.1 B11, B12 (Reset without, with ongoing transaction).

    queued -> waiting -> requested -> sent -> accepted | scheduled -> left -> back -> ended

An ended restart may listen on: an unknown may still be proved, a success may turn out unstable or not ready.
"""

from __future__ import annotations

from msgspec.structs import replace

from borne.core import verdict
from borne.core.effects import Effect, Record, SendRestart, TellBatch
from borne.core.facts import (
    Booted,
    BootTriggered,
    ChargerRemoved,
    ClockStepped,
    Fact,
    LinkLost,
    LinkOpened,
    RestartAnswered,
    RestartRefused,
    RestartReleased,
    RestartRequested,
    RestartSent,
    RestartUnwritten,
    RestartWithdrawn,
    RestartWritten,
    ServerReturned,
    SessionEnded,
    StatusChanged,
    Woke,
)
from borne.core.restart_state import BEFORE_SENDING, Phase, RestartState, Verdict, noted
from borne.core.restart_times import (
    FREE_WITHIN_MS,
    SCHEDULED_WITHIN_MS,
    SENDABLE_WITHIN_MS,
    SLOT_FREE_AFTER_MS,
    clock_stepped,
    watch_until_ms,
    with_wake,
)

UNSTABLE_BOOTS = 3
SAME_BOOT_WITHIN_MS = 10_000  # a boot repeated because its answer was lost is one boot
NOT_READY = ("faulted", "unavailable")

Stepped = tuple[RestartState, tuple[Effect, ...]]


def start(fact: RestartRequested) -> Stepped:
    """The machine of a confirmed restart."""
    state = RestartState(
        id=fact.restart_id,
        charger_id=fact.charger_id,
        kind=fact.kind,
        phase="requested",
        requested_ms=fact.at_ms,
        evse=fact.evse,
        in_batch=fact.in_batch,
        when_free=fact.when_free,
        not_before_ms=fact.not_before_ms,
    )
    state = noted(state, fact, "requested")
    if fact.in_batch:
        return replace(state, phase="queued"), ()
    if fact.not_before_ms is not None:
        return replace(state, phase="waiting", wake_at_ms=fact.not_before_ms), ()
    if fact.when_free:
        return replace(state, phase="waiting", wake_at_ms=fact.at_ms + FREE_WITHIN_MS), ()
    return _due(state, fact)


def step(state: RestartState, fact: Fact) -> Stepped:
    """The state after the fact, and what it asks for. A restart that no longer watches stays as it is."""
    if not state.watches:
        return state, ()
    if state.phase == "ended" and fact.at_ms >= watch_until_ms(state) and not isinstance(fact, ClockStepped):
        return replace(state, watches=False, wake_at_ms=None), ()
    after, effects = _on(state, fact)
    return with_wake(after), effects


def _on(state: RestartState, fact: Fact) -> Stepped:  # one case a fact
    match fact:
        case RestartSent() if fact.restart_id != state.id:
            # The next Reset ends what the last one may still claim.
            return replace(state, watches=state.verdict is None), ()
        case RestartReleased() if fact.restart_id == state.id and state.phase == "queued":
            return _due(state, fact)
        case RestartWithdrawn() if fact.restart_id == state.id and state.phase in BEFORE_SENDING:
            return _end(noted(state, fact, "withdrawn", by=fact.by, by_id=fact.by_id), fact, "not_sent", "withdrawn")
        case RestartRefused() if fact.restart_id == state.id and state.phase in BEFORE_SENDING:
            return _end(state, fact, "not_sent", fact.reason)
        case RestartSent() if state.phase == "requested":
            return _sent(state, fact), ()
        case RestartWritten() if fact.restart_id == state.id and state.sent_ms is not None and state.written_ms is None:
            return _written(state, fact), ()
        case RestartUnwritten() if fact.restart_id == state.id and state.sent_ms is not None and state.verdict is None:
            return _unwritten(state, fact)
        case RestartAnswered() if fact.restart_id == state.id and state.sent_ms is not None:
            return _answered(state, fact)
        case LinkLost():
            return _lost(state, fact)
        case LinkOpened():
            return _opened(state, fact)
        case Booted():
            return _booted(state, fact)
        case BootTriggered() if state.sent_ms is not None:
            return replace(state, boot_triggered=True), ()
        case StatusChanged():
            return _status(state, fact)
        case SessionEnded() if (
            (state.charging or state.held_up) and state.sent_ms is not None and state.verdict is None
        ):
            return _idle(state, fact), ()
        case ServerReturned():
            return _server_returned(state, fact), ()
        case ClockStepped():
            return clock_stepped(state, fact), ()
        case Woke():
            return _woke(state, fact)
        case ChargerRemoved():
            return _removed(state, fact)
    return state, ()


def became_free(state: RestartState, fact: Fact) -> Stepped:
    """The charger is idle now: a restart that waits for that is due."""
    if state.phase == "waiting" and state.when_free:
        after, effects = _due(state, fact)
        return with_wake(after), effects
    return state, ()


# ---- before sending ----------------------------------------------------------------------------------------------


def _due(state: RestartState, fact: Fact) -> Stepped:
    due = replace(state, phase="requested", wake_at_ms=fact.at_ms + SENDABLE_WITHIN_MS)
    return due, (SendRestart(state.id),)


def _sent(state: RestartState, fact: RestartSent) -> RestartState:
    return replace(
        state,
        phase="sent",
        sent_ms=fact.at_ms,
        epoch=fact.epoch,
        link_opened_ms=fact.link_opened_ms,
        booted_on_link=fact.booted_on_link,
        announces_boots=fact.announces_boots,
        plain_reconnects_boot=fact.plain_reconnects_boot,
        charging=fact.charging,
        left_ours=False,
        deadline_after_ms=fact.deadline_after_ms,
        deadline_ms=fact.at_ms + fact.deadline_after_ms,
    )


def _written(state: RestartState, fact: RestartWritten) -> RestartState:
    """The clock starts at the writing (until then it stood at the commit, should Borne end between the two)."""
    deadline_ms = fact.at_ms + state.deadline_after_ms if state.phase == "sent" else state.deadline_ms
    return replace(noted(state, fact, "sent"), written_ms=fact.at_ms, deadline_ms=deadline_ms)


def _unwritten(state: RestartState, fact: RestartUnwritten) -> Stepped:
    if state.written_ms is not None:
        return state, ()
    if state.booted_ms is not None:
        return _end(state, fact, "not_sent", "booted_first")
    return _end(state, fact, "failed", "never_written")


# ---- what the charger answers ------------------------------------------------------------------------------------


def _answered(state: RestartState, fact: RestartAnswered) -> Stepped:
    if state.answer not in (None, "timeout"):
        return noted(state, fact, "answered_again", status=fact.status), ()
    late = state.answer == "timeout"
    state = noted(
        state, fact, "answered_late" if late else "answered", status=fact.status, code=fact.code, text=fact.text
    )
    if fact.status == "timeout":
        return replace(state, answer="timeout"), ()
    state = replace(state, answered_ms=fact.at_ms, answer=fact.status, answer_code=fact.code, answer_text=fact.text)
    if state.verdict is not None:
        return state, ()
    if (reason := verdict.refusal(fact)) is not None:
        return _end(state, fact, "failed", reason)
    held_up = fact.status == "scheduled" or (fact.status == "accepted" and state.kind == "soft" and state.charging)
    if held_up and state.phase == "sent":
        state = replace(state, phase="scheduled", held_up=True, deadline_ms=fact.at_ms + SCHEDULED_WITHIN_MS)
        return replace(
            state, evse_gone_ms=None
        ), ()  # an EVSE that is to wait has not been reset yet, whatever it showed
    if fact.status == "accepted" and state.phase == "sent":
        return replace(state, phase="accepted"), ()
    return state, ()


def _idle(state: RestartState, fact: Fact) -> RestartState:
    """The session is over. If it held the restart up, the clock starts now."""
    state = replace(state, charging=False)
    if not state.held_up:
        return state
    phase: Phase = "accepted" if state.phase == "scheduled" else state.phase
    deadline_ms = fact.at_ms + state.deadline_after_ms
    return replace(noted(state, fact, "idle"), phase=phase, held_up=False, idle_ms=fact.at_ms, deadline_ms=deadline_ms)


# ---- leaving, coming back, booting -------------------------------------------------------------------------------


def _lost(state: RestartState, fact: LinkLost) -> Stepped:
    if state.phase == "requested" and not fact.ours:
        return _end(state, fact, "not_sent", "offline")
    if state.sent_ms is None:
        return replace(state, left_ours=fact.ours), ()
    if fact.epoch < state.epoch:
        return state, ()
    known_ms = fact.last_sign_ms if fact.how in ("silent", "taken_over") else None
    left_ms = max(known_ms or fact.at_ms, state.written_ms or state.sent_ms)
    state = noted(state, fact, "left", how=fact.how, ours=int(fact.ours))
    if state.verdict is not None:
        return state, ()
    if state.left_ms is None or (state.left_ours and not fact.ours) or _was_away_before_its_turn(state):
        state = replace(state, left_ms=left_ms, left_how=fact.how, left_ours=fact.ours, back_ms=None, back_epoch=0)
    elif not fact.ours:  # away again: at the deadline it is not back
        state = replace(state, back_ms=None, back_epoch=0)
    if state.held_up and not fact.ours:  # it may not have waited for the session's end: it shall be back in time
        state = replace(state, deadline_ms=fact.at_ms + state.deadline_after_ms)
    return replace(state, phase="left"), ()


def _was_away_before_its_turn(state: RestartState) -> bool:
    """The absence known so far came and ended while a session held the restart up."""
    if state.back_ms is None or state.left_ms is None:
        return False
    return state.held_up or (state.idle_ms is not None and state.left_ms < state.idle_ms)


def _opened(state: RestartState, fact: LinkOpened) -> Stepped:
    if state.sent_ms is None or state.left_ms is None:
        return state, ()
    state = noted(state, fact, "back")
    if state.back_ms is None:
        state = replace(state, back_ms=fact.at_ms, back_epoch=fact.new_epoch)
    if state.verdict is None and state.held_up:  # back, and the session may go on: so does the waiting
        deadline_ms = (state.answered_ms or fact.at_ms) + SCHEDULED_WITHIN_MS
        return _free_slot(replace(state, phase="scheduled", deadline_ms=deadline_ms))
    if state.verdict is None:
        return _free_slot(replace(state, phase="back"))
    if state.reason == "did_not_come_back":
        return _upgrade(state, fact, "unknown", "came_back_late"), ()
    return state, ()


def _booted(state: RestartState, fact: Booted) -> Stepped:
    if state.phase in BEFORE_SENDING:
        return _booted_before_sending(state, fact)
    if state.sent_ms is None or fact.epoch < state.epoch:
        return state, ()
    doubt = verdict.doubt(state, fact)
    state = noted(state, fact, "booted", reason=fact.reason, doubt=doubt)
    state = replace(state, booted_ms=state.booted_ms or fact.at_ms, boot_reason=state.boot_reason or fact.reason)
    if state.verdict == "succeeded":
        return _booted_again(state, fact), ()
    if doubt is not None:
        return replace(state, boot_doubt=doubt), ()
    state = replace(
        state,
        booted_ms=fact.at_ms,
        boot_reason=fact.reason,
        boot_doubt=None,
        boots=(fact.at_ms,),
        duration_ms=fact.at_ms - (state.idle_ms or state.written_ms or state.sent_ms or fact.at_ms),
    )
    reason = verdict.success_reason(state, fact)
    if state.verdict is None:
        return _end(state, fact, "succeeded", reason)
    return _upgrade(state, fact, "succeeded", reason), (Record("restart_upgraded", {"restart": state.id}),)


def _booted_before_sending(state: RestartState, fact: Booted) -> Stepped:
    """It restarted without us. A boot after a loss of our making, or one that was asked for, does not say so."""
    asked_now = state.phase == "requested" or (state.phase == "waiting" and state.when_free)
    if not asked_now or fact.solicited:
        return state, ()
    if state.left_ours:
        return replace(state, left_ours=False), ()
    return _end(noted(state, fact, "booted_by_itself"), fact, "not_sent", "booted_first")


def _booted_again(state: RestartState, fact: Booted) -> RestartState:
    if fact.solicited or not state.boots or fact.at_ms - state.boots[-1] < SAME_BOOT_WITHIN_MS:
        return state
    boots = (*state.boots, fact.at_ms)[-10:]
    unstable = len(boots) >= UNSTABLE_BOOTS
    return replace(state, boots=boots, unstable=state.unstable or unstable, ready_ms=None, ready_status=None)


def _status(state: RestartState, fact: StatusChanged) -> Stepped:
    if state.evse is not None and state.evse == fact.evse and state.verdict is None and state.written_ms is not None:
        return _evse_status(state, fact)
    if state.verdict != "succeeded" or fact.epoch < state.epoch:
        return state, ()
    where = f"{fact.evse}.{fact.connector}"
    bad = tuple(c for c in state.not_ready if c != where)
    if fact.status in NOT_READY:
        state = noted(state, fact, "not_ready", where=where, status=fact.status, error=fact.error)
        return replace(state, not_ready=(*bad, where)[:50], ready_status=fact.status, ready_ms=None), ()
    if state.ready_ms is None and not bad:
        state = replace(noted(state, fact, "ready", status=fact.status), ready_ms=fact.at_ms, ready_status=fact.status)
    return replace(state, not_ready=bad), ()


def _evse_status(state: RestartState, fact: StatusChanged) -> Stepped:
    """An EVSE-level reset (2.0.1 B12.FR.08) needs no boot: the EVSE goes unavailable and comes back."""
    if fact.status == "unavailable":
        return replace(noted(state, fact, "evse_gone"), evse_gone_ms=state.evse_gone_ms or fact.at_ms), ()
    if state.evse_gone_ms is None or fact.status == "faulted":
        return state, ()
    state = noted(state, fact, "ready", status=fact.status)
    state = replace(
        state, ready_ms=fact.at_ms, ready_status=fact.status, duration_ms=fact.at_ms - (state.written_ms or 0)
    )
    return _end(state, fact, "succeeded", "evse_back")


# ---- time --------------------------------------------------------------------------------------------------------


def _woke(state: RestartState, fact: Woke) -> Stepped:
    state = replace(state, heard_ms=fact.heard_ms)
    match state.phase:
        case "waiting" if state.not_before_ms is not None and fact.at_ms >= state.not_before_ms:
            return _due(state, fact)
        case "waiting" if fact.at_ms >= state.requested_ms + FREE_WITHIN_MS and state.when_free:
            return _end(state, fact, "not_sent", "never_free")
        case "requested" if state.wake_at_ms is not None and fact.at_ms >= state.wake_at_ms:
            return _end(state, fact, "not_sent", "link_busy")
        case "ended":
            return replace(state, watches=fact.at_ms < watch_until_ms(state)), ()
    if state.deadline_ms is not None and fact.at_ms >= state.deadline_ms:
        word, reason = verdict.at_deadline(state)
        return _end(state, fact, word, reason)
    if state.sent_ms is not None and fact.at_ms >= state.sent_ms + SLOT_FREE_AFTER_MS:
        return _free_slot(state)
    return state, ()


def _removed(state: RestartState, fact: ChargerRemoved) -> Stepped:
    """Nothing more will be heard: what has no verdict gets its last one, and nobody listens on."""
    if state.verdict is not None:
        return replace(state, watches=False), ()
    state, effects = _end(state, fact, "not_sent" if state.phase in BEFORE_SENDING else "unknown", fact.why)
    return replace(state, watches=False), effects


def _server_returned(state: RestartState, fact: ServerReturned) -> RestartState:
    down_ms = max(0, fact.at_ms - fact.down_from_ms)
    if state.phase in BEFORE_SENDING:
        wake_at_ms = fact.at_ms + SENDABLE_WITHIN_MS if state.phase == "requested" else state.wake_at_ms
        return replace(state, left_ours=True, wake_at_ms=wake_at_ms)
    if state.sent_ms is None or state.verdict is not None:
        return state
    state = noted(state, fact, "borne_down", down_ms=down_ms)
    if state.phase in ("sent", "accepted", "back"):  # its link ended with us
        new = state.left_ms is None
        left_ms = fact.down_from_ms if new else state.left_ms
        state = replace(
            state, left_ms=left_ms, left_how="crashed" if new else state.left_how, left_ours=new or state.left_ours
        )
        state = replace(state, phase="left")
    return replace(state, down_ms=state.down_ms + down_ms, deadline_ms=(state.deadline_ms or fact.at_ms) + down_ms)


# ---- ends --------------------------------------------------------------------------------------------------------


def _end(state: RestartState, fact: Fact, word: Verdict, reason: str) -> Stepped:
    queued = state.phase == "queued"
    freed = state.slot_freed or queued
    state = noted(state, fact, "verdict", verdict=word, reason=reason)
    state = replace(state, phase="ended", verdict=word, reason=reason, ended_ms=fact.at_ms, slot_freed=True)
    ended = Record("restart_ended", {"restart": state.id, "verdict": word, "reason": reason})
    if not state.in_batch:
        return with_wake(state), (ended,)
    return with_wake(state), (ended, TellBatch(state.id, not freed, word, queued))


def _upgrade(state: RestartState, fact: Fact, word: Verdict, reason: str) -> RestartState:
    state = noted(state, fact, "upgraded", verdict=word, reason=reason)
    return replace(
        state,
        verdict=word,
        reason=reason,
        ended_ms=fact.at_ms,
        first_verdict=state.first_verdict or state.verdict,
        first_reason=state.first_reason or state.reason,
        first_ended_ms=state.first_ended_ms or state.ended_ms,
    )


def _free_slot(state: RestartState) -> Stepped:
    if not state.in_batch or state.slot_freed:
        return state, ()
    return replace(state, slot_freed=True), (TellBatch(state.id, True),)
