"""All that is known of one session: its row, its slots, its samples and the messages it was made from."""

from __future__ import annotations

from sqlalchemy import ColumnElement, and_, bindparam, func, or_, select

from borne.core.metering import Sample
from borne.core.scope import Scope
from borne.core.statistics import PricedSlot
from borne.store import session_list
from borne.store.db import Reader, Row
from borne.store.metering import decoded_samples
from borne.store.schema import (
    archived_chargers,
    chargers,
    locations,
    people,
    session_curves,
    session_messages,
    session_slots,
    sessions,
)
from borne.store.tenancy import across

MESSAGES_MOST = 500
S, M, O = sessions.c, session_messages.c, session_slots.c  # noqa: E741 - as elsewhere
_organisation_id: ColumnElement[int] = bindparam("organisation_id")
_session_id: ColumnElement[int] = bindparam("session_id")

_one = (
    select(
        S.id, S.charger_id, S.organisation_id, S.location_id, S.evse, S.connector, S.transaction, S.tag, S.person_id,
        S.started_ms, S.device_started_ms, S.meter_start_wh, S.ended_ms, S.device_ended_ms, S.meter_stop_wh, S.end_reason,
        S.conflicts, S.start_missing, S.measured, S.begun_ms, S.over_ms, S.energy_wh, S.charging_ms, S.peak_w, S.power_w,
        S.suspects, S.cost_nanos, S.currency, S.vehicle_id, S.at_once_nanos,
        func.coalesce(chargers.c.name, archived_chargers.c.name).label("charger_name"),
        func.coalesce(chargers.c.serial, archived_chargers.c.serial).label("serial"),
        func.coalesce(chargers.c.model, archived_chargers.c.model, "other").label("model"),
        chargers.c.id.is_not(None).label("is_here"),
        locations.c.name.label("location_name"),
        func.coalesce(S.zone, locations.c.time_zone).label("time_zone"),
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
    .where(S.organisation_id == _organisation_id, S.id == _session_id)
)  # fmt: skip
_slots = (
    select(
        O.slot_ms, O.energy_wh, O.charging_ms, O.plugged_ms, O.peak_w, O.price_micros, O.solar_wh, O.feed_in_micros, O.provisional
    )
    .where(O.organisation_id == _organisation_id, O.session_id == _session_id)
    .order_by(O.slot_ms)
)  # fmt: skip
_curve = select(session_curves.c.samples).where(
    session_curves.c.organisation_id == _organisation_id, session_curves.c.session_id == _session_id
)
# In OCPP 1.6 a start has no transaction yet: it is found by its instant.
_messages = across(
    select(M.received_ms, M.kind, M.seq)
    .where(
        M.charger_id == bindparam("charger_id"),
        or_(
            M.transaction == bindparam("transaction"),
            and_(M.transaction.is_(None), M.kind == "started", M.received_ms == bindparam("started_ms")),
        ),
    )
    .order_by(M.received_ms, M.idx)
    .limit(bindparam("most")),
    "the session that names this charger and transaction was found inside the scope",
)


async def one(db: Reader, scope: Scope, session_id: int) -> Row | None:
    """The session with its charger, location and person in words, if the scope reaches it."""
    if not await session_list.reached_ids(db, scope, [session_id]):
        return None
    return await db.first(_one, {"organisation_id": scope.organisation_id, "session_id": session_id})


async def slots(db: Reader, scope: Scope, session_id: int) -> list[PricedSlot]:
    """Its quarters of an hour, in order."""
    values = {"organisation_id": scope.organisation_id, "session_id": session_id}
    return [PricedSlot(*row) for row in await db.all(_slots, values)]


async def samples(db: Reader, scope: Scope, session_id: int) -> list[Sample]:
    """What its meter said, in order of receipt."""
    packed = await db.value(_curve, {"organisation_id": scope.organisation_id, "session_id": session_id})
    return decoded_samples(packed) if packed else []


async def messages(db: Reader, session: Row) -> list[Row]:
    """received_ms, kind, seq of the messages of a session that `one` gave, as they came."""
    values = {
        "charger_id": session.charger_id, "transaction": session.transaction, "started_ms": session.started_ms,
        "most": MESSAGES_MOST,
    }  # fmt: skip
    return await db.all(_messages, values)
