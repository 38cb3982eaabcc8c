"""What else a charger said in the messages of a session: looked up by instant and charger, which is their key."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import bindparam, select

from borne.store.db import Reader, Row
from borne.store.schema import readings
from borne.store.tenancy import across

OFFERS = ("power_offered_w", "current_offered_ma", "current_import_ma", "voltage_mv")
R = readings.c
_offers = across(
    select(R.received_ms, R.device_ms, R.quantity, R.value, R.phase)
    .where(
        R.received_ms.in_(bindparam("instants", expanding=True)),
        R.charger_id == bindparam("charger_id"),
        R.evse == bindparam("evse"),
        R.connector.in_((bindparam("connector"), 0)),  # in 2.x meter values name the EVSE alone
        R.quantity.in_(OFFERS),
        R.value.is_not(None),
    )
    .order_by(R.received_ms, R.idx),
    "the session that names this charger and these instants was found inside the scope",
)


async def offers(db: Reader, session: Row, instants: Sequence[int]) -> list[Row]:
    """received_ms, device_ms, quantity (of OFFERS), value, phase of what came with a session's samples.

    Readings are thrown away by age: none for a session that is older than they are kept.
    """
    values = {
        "instants": list(instants), "charger_id": session.charger_id, "evse": session.evse, "connector": session.connector,
    }  # fmt: skip
    return await db.all(_offers, values) if instants else []
