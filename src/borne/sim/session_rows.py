"""Which rows of groups O and M of the catalogue of faults a world met: one predicate a row, for each session that ever began."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from borne.sim.journal import Kind

if TYPE_CHECKING:
    from borne.sim.records import Charger
    from borne.sim.talk import Session
    from borne.sim.world import World

Meets = Callable[["World", "Charger", "Session"], bool]


def _o1(world: World, charger: Charger, session: Session) -> bool:
    return charger.plan.oddities.start_again != "" and session.start_told


def _o2(world: World, charger: Charger, session: Session) -> bool:
    return charger.plan.oddities.stop_again == "same" and session.stop_told


def _o3(world: World, charger: Charger, session: Session) -> bool:
    return charger.plan.oddities.stop_again == "other" and session.stop_told


def _o4(world: World, charger: Charger, session: Session) -> bool:
    return session.stop_id is not None and session.stop_told


def _o5(world: World, charger: Charger, session: Session) -> bool:
    return charger.plan.oddities.start_lost and session.stop_told


def _o6(world: World, charger: Charger, session: Session) -> bool:
    """As if the confirmation had been lost: the same start with a fresh message id, and then the stop."""
    return charger.plan.oddities.start_again == "fresh" and session.start_told and session.stop_told


def _o8_first(world: World, charger: Charger, session: Session) -> bool:
    return charger.plan.oddities.ended_first and session.stop_told and session.start_told


def _o8_gap(world: World, charger: Charger, session: Session) -> bool:
    return charger.plan.oddities.seq_gap and session.stop_told and session.heard_wh is not None


def _o9(world: World, charger: Charger, session: Session) -> bool:
    return charger.plan.oddities.stop_late_s > 0 and session.stop_told


def _m1(world: World, charger: Charger, session: Session) -> bool:
    return charger.plan.oddities.stop_below_start and session.stop_told


def _m2(world: World, charger: Charger, session: Session) -> bool:
    return charger.plan.oddities.relative_between and session.stop_told and session.heard_wh is not None


def _m3(world: World, charger: Charger, session: Session) -> bool:
    return session.reset_at_wh is not None and session.stop_told


def _m3_anew(world: World, charger: Charger, session: Session) -> bool:
    return charger.plan.oddities.register_resets == "session" and session.stop_told


def _m4(world: World, charger: Charger, session: Session) -> bool:
    """The server went down between the start and the stop, both confirmed."""
    if not (session.start_told and session.stop_told):
        return False
    mine = [e for e in charger.log if e.details.get("transaction") == session.transaction]
    began = [e.at_s for e in mine if e.kind is Kind.TRANSACTION_STARTED]
    ended = [e.at_s for e in mine if e.kind is Kind.TRANSACTION_ENDED]
    return bool(began and ended) and any(began[0] <= from_s <= ended[-1] for from_s, _ in world.downs)


def _m6(world: World, charger: Charger, session: Session) -> bool:
    """Its end was never told, and another began on its connector."""
    if session.stop_told or not session.start_told or not session.is_over:
        return False
    past = charger.bot.sessions.past
    return any(one.connector == session.connector and one.start_told for one in past[past.index(session) + 1 :])


def _m7(world: World, charger: Charger, session: Session) -> bool:
    return charger.plan.oddities.meter_after_stop and session.stop_told and session.heard_wh == session.energy_wh


def _m7_boot(world: World, charger: Charger, session: Session) -> bool:
    """A session that a reboot cut off, and whose stop was told after it."""
    return charger.plan.behaviour.session_end == "stopped_late" and session.start_told and session.stop_told


SESSION_ROWS: dict[str, tuple[str, Meets]] = {
    "O1": ("a start repeated, with the same or a new message id", _o1),
    "O2": ("a stop repeated", _o2),
    "O3": ("a stop repeated with another register", _o3),
    "O4": ("a stop for the transaction 0, -1, or an unknown one", _o4),
    "O5": ("a stop without its start", _o5),
    "O6": ("a start whose confirmation was lost", _o6),
    "O8 order": ("2.x: the end before the start", _o8_first),
    "O8 gap": ("2.x: sequence numbers with gaps", _o8_gap),
    "O9": ("the status says ended before the end is told", _o9),
    "M1": ("stop below start", _m1),
    "M2": ("registers in between count from the session's start", _m2),
    "M3 midway": ("the register resets in the middle", _m3),
    "M3 anew": ("the register begins anew with each session", _m3_anew),
    "M4": ("the server restarts during the session", _m4),
    "M6": ("another session begins, the stop was never told", _m6),
    "M7 late": ("meter values after the stop", _m7),
    "M7 boot": ("the stop is told after a reboot", _m7_boot),
}
