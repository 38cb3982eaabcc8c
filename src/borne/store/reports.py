"""Reports of a month: who gets which, and the sessions of a month, each with what of it lies in that month."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Select, and_, bindparam, delete, func, select, update

from borne.core.scope import Scope
from borne.store.db import Reader, Row, Transaction
from borne.store.schema import (
    archived_chargers,
    chargers,
    locations,
    people,
    report_rules,
    session_slots,
    sessions,
)
from borne.store.tenancy import across

SLICE = 500
LONGEST_MS = 400 * 86_400_000  # a session that began longer before a month is not looked for in it
S = sessions.c
_organisation_id: Any = bindparam("organisation_id")

# ---- who gets what --------------------------------------------------------------------------------------------------------

_rule = select(report_rules).where(
    report_rules.c.id == bindparam("rule_id"), report_rules.c.organisation_id == _organisation_id
)
_of_person = (
    select(report_rules, locations.c.name.label("location_name"))
    .select_from(
        report_rules.outerjoin(
            locations,
            and_(
                report_rules.c.about == "location",
                locations.c.id == report_rules.c.about_id,
                locations.c.organisation_id == _organisation_id,
            ),
        )
    )
    .where(report_rules.c.organisation_id == _organisation_id, report_rules.c.person_id == bindparam("own_id"))
    .order_by(report_rules.c.id)
)
_all = across(
    select(report_rules.c.id, report_rules.c.organisation_id, report_rules.c.next_ms)
    .where(report_rules.c.id > bindparam("after_id"))
    .order_by(report_rules.c.id)
    .limit(SLICE),
    "what is planned of everybody; each report then keeps to one organisation",
)
_planned = (
    update(report_rules)
    .where(report_rules.c.id == bindparam("rule_id"), report_rules.c.organisation_id == _organisation_id)
    .values(next_ms=bindparam("at_ms"))
)
_sent = (
    update(report_rules)
    .where(report_rules.c.id == bindparam("rule_id"), report_rules.c.organisation_id == _organisation_id)
    .values(sent_ms=bindparam("at_ms"))
)
_remove = delete(report_rules).where(
    report_rules.c.id == bindparam("rule_id"),
    report_rules.c.organisation_id == _organisation_id,
    report_rules.c.person_id == bindparam("own_id"),
)


async def add(
    tx: Transaction,
    organisation_id: int,
    person_id: int,
    *,
    about: str,
    about_id: int | None,
    kind: str,
    next_ms: int,
    now_ms: int,
) -> int:
    """A person wants a report. `about`: organisation, location, person; `kind`: pdf, csv, xlsx."""
    row = {
        "organisation_id": organisation_id, "person_id": person_id, "about": about, "about_id": about_id,
        "format": kind, "next_ms": next_ms, "created_ms": now_ms,
    }  # fmt: skip
    return await tx.insert(report_rules, row)


async def rule(db: Reader, organisation_id: int, rule_id: int) -> Row | None:
    """A whole row."""
    return await db.first(_rule, {"organisation_id": organisation_id, "rule_id": rule_id})


async def of_person(db: Reader, scope: Scope) -> list[Row]:
    """The rules of the scope's person, with location_name (None: gone, or about something else)."""
    return await db.all(_of_person, {"organisation_id": scope.organisation_id, "own_id": scope.person_id})


async def all_after(db: Reader, after_id: int) -> list[Row]:
    """id, organisation_id, next_ms of SLICE rules, by id."""
    return await db.all(_all, {"after_id": after_id})


async def plan(tx: Transaction, organisation_id: int, rule_id: int, next_ms: int) -> None:
    """When the next one is sent."""
    await tx.run(_planned, {"organisation_id": organisation_id, "rule_id": rule_id, "at_ms": next_ms})


async def mark_sent(tx: Transaction, organisation_id: int, rule_id: int, at_ms: int) -> None:
    """One was mailed."""
    await tx.run(_sent, {"organisation_id": organisation_id, "rule_id": rule_id, "at_ms": at_ms})


async def remove(tx: Transaction, scope: Scope, rule_id: int) -> bool:
    """The scope's person wants it no more. False: there was none of theirs."""
    values = {"organisation_id": scope.organisation_id, "own_id": scope.person_id, "rule_id": rule_id}
    return await tx.run(_remove, values) == 1


# ---- sessions of a month ------------------------------------------------------------------------------------------------

_columns = (
    select(
        S.id, S.begun_ms, S.over_ms, S.ended_ms, S.energy_wh, S.tag, S.zone, S.currency, S.location_id,
        func.coalesce(chargers.c.name, archived_chargers.c.name).label("charger_name"),
        locations.c.name.label("location_name"),
        people.c.name.label("person_name"),
    )
    .select_from(
        sessions.outerjoin(chargers, and_(chargers.c.id == S.charger_id, chargers.c.organisation_id == _organisation_id))
        .outerjoin(
            archived_chargers,
            and_(archived_chargers.c.id == S.charger_id, archived_chargers.c.organisation_id == _organisation_id),
        )
        .outerjoin(locations, and_(locations.c.id == S.location_id, locations.c.organisation_id == _organisation_id))
        .outerjoin(people, people.c.id == S.person_id)
    )
    .where(
        S.organisation_id == _organisation_id,
        S.measured > 0,
        S.started_ms >= bindparam("since_ms"),
        S.begun_ms < bindparam("until_ms"),
        S.over_ms >= bindparam("from_ms"),
        S.id > bindparam("after_id"),
    )
    .order_by(S.id)
    .limit(SLICE)
)  # fmt: skip
_slots = (
    select(session_slots.c.session_id, session_slots.c.slot_ms, session_slots.c.energy_wh,
           session_slots.c.charging_ms, session_slots.c.plugged_ms, session_slots.c.peak_w, session_slots.c.price_micros,
           session_slots.c.solar_wh, session_slots.c.feed_in_micros, session_slots.c.provisional)
    .where(
        session_slots.c.organisation_id == _organisation_id,
        session_slots.c.session_id.in_(bindparam("ids", expanding=True)),
        session_slots.c.slot_ms >= bindparam("from_ms"),
        session_slots.c.slot_ms < bindparam("until_ms"),
    )
    .order_by(session_slots.c.session_id, session_slots.c.slot_ms)
)  # fmt: skip


@lru_cache(maxsize=16)
def _touching(some: bool, location: bool, person: bool) -> Select[Any]:
    statement = _columns
    if some:
        statement = statement.where(S.location_id.in_(bindparam("location_ids", expanding=True)))
    if location:
        statement = statement.where(S.location_id == bindparam("location_id"))
    if person:
        statement = statement.where(S.measured_person_id == bindparam("of_id"))
    return statement


async def touching(
    db: Reader,
    scope: Scope,
    from_ms: int,
    until_ms: int,
    *,
    location_id: int | None = None,
    person_id: int | None = None,
    after_id: int = 0,
) -> list[Row]:
    """SLICE sessions that may lie between two instants, by id: id, begun_ms, over_ms, ended_ms, energy_wh (None: not known),
    tag, zone, currency, location_id, charger_name, location_name, person_name."""
    person_id = scope.person_id if scope.role == "user" else person_id
    some = scope.location_ids is not None
    values: dict[str, Any] = {
        "organisation_id": scope.organisation_id, "since_ms": from_ms - LONGEST_MS, "from_ms": from_ms,
        "until_ms": until_ms, "after_id": after_id,
    }  # fmt: skip
    if scope.location_ids is not None:
        values["location_ids"] = list(scope.location_ids)
    if location_id is not None:
        values["location_id"] = location_id
    if person_id is not None:
        values["of_id"] = person_id
    return await db.all(_touching(some, location_id is not None, person_id is not None), values)


async def slots(db: Reader, organisation_id: int, ids: Sequence[int], from_ms: int, until_ms: int) -> list[Row]:
    """session_id, slot_ms, energy_wh, charging_ms, plugged_ms, price_micros between two instants, by session and time."""
    values = {"organisation_id": organisation_id, "ids": list(ids), "from_ms": from_ms, "until_ms": until_ms}
    return await db.all(_slots, values) if ids else []
