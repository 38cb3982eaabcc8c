"""Which machines a fact concerns: the one place where the machines of a charger meet."""

from __future__ import annotations

from msgspec.structs import replace

from borne.core import charger as charger_machine
from borne.core import restart as restart_machine
from borne.core.effects import Effect
from borne.core.facts import (
    Booted,
    BootTriggered,
    ChargerRemoved,
    ChargerReplaced,
    ClockStepped,
    Fact,
    FirmwareStatusChanged,
    LinkLost,
    LinkOpened,
    LinkSettled,
    Metered,
    Noted,
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
    SessionStarted,
    SessionUpdated,
    StatusChanged,
    Woke,
)
from borne.core.restart_state import RestartState
from borne.engine.outcome import IGNORED, OK, Outcome
from borne.engine.room import Held, Room
from borne.engine.writes import Writes

# fact -> (the charger's machine steps, its restarts' machines step). Sessions and requests are prepared by engine.sessions and
# engine.restarts, which ask the database first.
CONCERNS: dict[type[Fact], tuple[bool, bool]] = {
    LinkOpened: (True, True),
    LinkSettled: (True, False),
    LinkLost: (True, True),
    Booted: (True, True),
    StatusChanged: (True, True),
    FirmwareStatusChanged: (True, False),
    Noted: (True, False),
    Metered: (False, False),
    SessionStarted: (False, True),
    SessionUpdated: (False, False),
    SessionEnded: (False, True),
    RestartRequested: (False, False),
    RestartReleased: (False, True),
    RestartWithdrawn: (False, True),
    RestartRefused: (False, True),
    RestartSent: (False, True),
    RestartWritten: (False, True),
    RestartUnwritten: (False, True),
    RestartAnswered: (False, True),
    BootTriggered: (False, True),
    Woke: (False, True),
    ChargerRemoved: (False, True),
    ChargerReplaced: (True, False),
    ClockStepped: (True, True),
    ServerReturned: (True, True),
}
# True of the restart, whatever link is open by now.
FOLLOWS_RESTART = (RestartAnswered, RestartWritten, RestartUnwritten)
REPROJECTS = (Woke, SessionStarted, SessionEnded)  # time, or a session, may have changed the charger's word


def react(room: Room, fact: Fact, writes: Writes) -> Outcome:
    """Step the machines that the fact concerns; what they ask for goes into `writes`."""
    if type(fact) is Metered:  # the hot path: nothing to decide
        if fact.epoch != room.state.epoch:
            return IGNORED
        writes.add_readings(fact.charger_id, fact.at_ms, fact.evse, fact.connector, fact.transaction, fact.readings)
        return OK
    epoch = getattr(fact, "epoch", None)
    if epoch is not None and epoch != room.state.epoch and type(fact) not in FOLLOWS_RESTART:
        return IGNORED
    concerns_charger, concerns_restarts = CONCERNS[type(fact)]
    if concerns_charger:
        _step_charger(room, fact, writes)
    elif type(fact) in REPROJECTS:
        writes.changed[room.charger_id] = room
    if type(fact) is LinkOpened:
        fact = replace(fact, new_epoch=room.state.epoch)
    if concerns_restarts and room.restarts and not (type(fact) is SessionEnded and room.open_sessions):
        _step_restarts(room, fact, writes)  # a charger is idle when its last session has ended
    if type(fact) is LinkOpened:
        return Outcome(epoch=room.state.epoch)
    return Outcome(registration=room.state.registration) if type(fact) is Booted else OK


def _step_charger(room: Room, fact: Fact, writes: Writes) -> None:
    state, effects = charger_machine.step(room.state, fact)
    if state is room.state and not effects:
        return
    room.state = state
    if not isinstance(fact, LinkLost | ServerReturned | ClockStepped):
        room.last_seen_ms = fact.at_ms
    writes.changed[room.charger_id] = room
    writes.take(room, fact.at_ms, effects)


def _step_restarts(room: Room, fact: Fact, writes: Writes) -> None:
    for held in list(room.restarts.values()):
        if type(fact) is Woke and _waits_in_vain(room, held, fact.at_ms):
            _refuse_offline(room, held, fact, writes)
            continue
        state, effects = restart_machine.step(held.state, fact)
        put(room, held, state, effects, fact, writes)
        if isinstance(fact, Woke | RestartReleased) and _waits_in_vain(room, held, fact.at_ms):
            _refuse_offline(room, held, fact, writes)
    charging = room.charging
    for held in list(room.restarts.values()):
        if held.state.phase == "waiting" and held.state.when_free and not charging and room.state.online:
            state, effects = restart_machine.became_free(held.state, fact)
            put(room, held, state, effects, fact, writes)


def _waits_in_vain(room: Room, held: Held, at_ms: int) -> bool:
    """It is due, and the charger is away. One that lost its link through us (Borne restarted) is given its time to come back."""
    if held.state.phase != "requested" or room.state.online:
        return False
    return not held.state.left_ours or at_ms >= (held.state.wake_at_ms or 0)


def _refuse_offline(room: Room, held: Held, fact: Fact, writes: Writes) -> None:
    """It became due while the charger is away: a Reset for an offline charger is never queued."""
    refused = RestartRefused(charger_id=room.charger_id, at_ms=fact.at_ms, restart_id=held.state.id, reason="offline")
    state, effects = restart_machine.step(held.state, refused)
    put(room, held, state, effects, refused, writes)


def put(room: Room, held: Held, state: RestartState, effects: tuple[Effect, ...], fact: Fact, writes: Writes) -> None:
    """Keep a stepped restart, if it changed, and let the charger's row follow."""
    if state == held.state and not effects:
        return
    held.state = state
    room.show(state)
    if not state.watches:
        room.restarts.pop(state.id, None)
    writes.restarts[state.id] = (room, held)
    writes.changed[room.charger_id] = room
    writes.take(room, fact.at_ms, effects, held)
