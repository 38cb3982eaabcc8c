"""Charging sessions: telling a start from its retry, a stop from its repetition, and closing what never got a stop.

Stored raw and losslessly first (session_messages); the rules here only decide what happens to the session's row. Sources: OCPP
1.6 §4.8, §4.10 (a charger repeats StartTransaction and StopTransaction until they are confirmed), OCPP 2.0.1 E04, E13.
"""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from borne.core.facts import Booted, SessionEnded, SessionStarted


class SessionRow(msgspec.Struct, frozen=True, gc=False):
    """A session as stored. Energies are register values in Wh; None where the charger gave none that can be used."""

    id: int
    evse: int
    connector: int
    transaction: str
    started_ms: int
    tag: str | None = None
    ended_ms: int | None = None
    device_ended_ms: int | None = None
    meter_stop_wh: int | None = None
    end_reason: str | None = None
    conflicts: tuple[str, ...] = ()
    start_missing: bool = False  # known from a later message alone


MAX_CONFLICTS = 20
NO_STOP_RECEIVED = "no stop received"


def start_key(fact: SessionStarted) -> str:
    """What a start shares with its retries, whatever their message ids: charger + connector + tag + time + meter
    (1.6), or the charger's transaction id (2.x)."""
    if fact.transaction is not None:
        return f"t|{fact.transaction}"
    return f"s|{fact.evse}.{fact.connector}|{(fact.tag or '').casefold()}|{fact.device_ms}|{fact.meter_start_wh}"


def superseded(fact: SessionStarted, open_sessions: list[SessionRow]) -> list[SessionRow]:
    """Open sessions of the connector that this start proves over: closed with the reason that no stop was received."""
    return [
        replace(row, ended_ms=fact.at_ms, end_reason=NO_STOP_RECEIVED)
        for row in open_sessions
        if (row.evse, row.connector) == (fact.evse, fact.connector) and row.transaction != fact.transaction
    ]


def closed_by_boot(fact: Booted, open_sessions: list[SessionRow]) -> list[SessionRow]:
    """Open sessions of a charger that restarted: no stop was received. A late one still completes them."""
    return closed_without_stop(fact.at_ms, open_sessions)


def closed_without_stop(at_ms: int, open_sessions: list[SessionRow]) -> list[SessionRow]:
    """Open sessions of a charger that is heard no more."""
    return [replace(row, ended_ms=at_ms, end_reason=NO_STOP_RECEIVED) for row in open_sessions]


NO_TRANSACTION = ("", "0", "-1")  # what chargers say of a session that began while they were offline


def nameless(transaction: str, protocol: str | None) -> bool:
    """It names no session: two stops that say so need not be of the same one. In 2.x chargers name transactions as they like."""
    return transaction in NO_TRANSACTION if protocol == "1.6" else not transaction


def orphan_key(fact: SessionEnded) -> str:
    """What the repetitions of a stop share whose start never came."""
    return f"o|{fact.transaction}|{fact.device_ms}|{fact.meter_stop_wh}"


def begun_offline(fact: SessionEnded, open_sessions: list[SessionRow]) -> SessionRow | None:
    """The session that a stop without a transaction means: the only one that is open, if its tag and register fit.

    A charger that began offline learns the transaction with the confirmation of its start; when that was lost, its stop
    says 0 or -1.
    """
    if fact.transaction not in NO_TRANSACTION or len(open_sessions) != 1:
        return None
    row = open_sessions[0]
    same_tag = fact.tag is None or row.tag is None or fact.tag.casefold() == row.tag.casefold()
    same_place = not fact.evse or (fact.evse, fact.connector) == (row.evse, row.connector)
    return row if same_tag and same_place else None


def ended(row: SessionRow, fact: SessionEnded) -> SessionRow:
    """The row after a stop. The first stop stays; another with other values is kept as evidence beside it."""
    if row.ended_ms is None or row.end_reason == NO_STOP_RECEIVED:
        went_on = row.ended_ms is not None and row.ended_ms < (fact.device_ms or 0) <= fact.at_ms
        return replace(
            row,
            ended_ms=fact.at_ms if row.ended_ms is None or went_on else row.ended_ms,
            device_ended_ms=fact.device_ms,
            meter_stop_wh=fact.meter_stop_wh,
            end_reason=fact.reason or "",
        )
    same = (row.device_ended_ms, row.meter_stop_wh) == (fact.device_ms, fact.meter_stop_wh)
    if same or len(row.conflicts) >= MAX_CONFLICTS or fact.raw in row.conflicts:
        return row
    return replace(row, conflicts=(*row.conflicts, fact.raw))
