"""What one session saved: against petrol, and against charging at once. Signed, and open to formula, inputs and source."""

from __future__ import annotations

from collections.abc import Sequence
from zoneinfo import ZoneInfo

import msgspec

from borne.core import policy
from borne.core.savings import Inputs, Petrol, against_charging_at_once, against_petrol
from borne.core.statistics import PricedSlot, local
from borne.portal import instants
from borne.portal.frame import PageView
from borne.portal.savings import Shown, inputs_of, inputs_shown, pump_currency
from borne.portal.session_cost import price_text
from borne.store import savings as store
from borne.store.db import Row


class Moved(msgspec.Struct, frozen=True):
    """A quarter of an hour: what was charged in it, and what would have been at once."""

    time: str
    energy_wh: int
    at_once_wh: int
    price: str


class AtOnce(msgspec.Struct, frozen=True):
    """`saved_nanos` None: `why` it cannot be compared."""

    saved_nanos: int | None
    cost_nanos: int
    power_w: int
    moved: tuple[Moved, ...] = ()
    why: str = ""


class Savings(msgspec.Struct, frozen=True):
    """`petrol.saved_nanos` None: its cost is not known, or is in another currency than the pump price (`why`)."""

    petrol: Petrol
    inputs: Inputs
    shown: list[Shown]
    cost_nanos: int | None
    currency: str
    at_once: AtOnce
    runs: bool
    why: str


async def of_session(page: PageView, row: Row, slots: Sequence[PricedSlot], zone: ZoneInfo) -> Savings | None:
    """None where nothing was charged that is known, and for who does not see savings."""
    scope, db = page.scope, page.services.db
    if not row.energy_wh or not policy.may(scope, "see_savings"):
        return None
    rows = await store.assumed(db, scope.organisation_id)
    vehicles = await store.vehicles_of(db, scope.organisation_id, [row.vehicle_id]) if row.vehicle_id else {}
    vehicle = vehicles.get(row.vehicle_id or 0)
    day = local(row.begun_ms or row.started_ms, zone).day
    inputs = inputs_of(store.as_assumptions(rows), day, vehicle)
    currency, pump = row.currency or "EUR", pump_currency(rows, day)
    why = ""
    if row.cost_nanos is None:
        why = page._("Some of its energy has no price: money cannot be compared.")
    elif pump != currency:
        why = page._("The pump price is in %(pump)s: money cannot be compared.", pump=pump)
    return Savings(
        petrol=against_petrol(row.energy_wh, None if why else row.cost_nanos, inputs),
        inputs=inputs,
        shown=inputs_shown(page, rows, day, vehicle),
        cost_nanos=row.cost_nanos,
        currency=currency,
        at_once=_at_once(page, row, slots, zone),
        runs=row.ended_ms is None,
        why=why,
    )


def _at_once(page: PageView, row: Row, slots: Sequence[PricedSlot], zone: ZoneInfo) -> AtOnce:
    """As it was computed when the session ended."""
    if row.ended_ms is None:
        return AtOnce(None, 0, row.peak_w, why=page._("It is compared when the session is over."))
    if row.at_once_nanos is None or row.cost_nanos is None:
        why = page._("A price that it would have paid is not known.")
        return AtOnce(None, 0, row.peak_w, why=why)
    found = against_charging_at_once(row.begun_ms, row.over_ms, slots, row.peak_w)
    shares = dict(found.slots) if found is not None else {}
    pattern = "HH:mm" if row.over_ms - row.begun_ms < instants.DAY_MS else "d MMM, HH:mm"
    moved = tuple(
        Moved(
            time=instants.at(page, slot.slot_ms, zone, pattern),
            energy_wh=slot.energy_wh,
            at_once_wh=shares.get(slot.slot_ms, 0),
            price=price_text(page, slot.price_micros, row.currency or "EUR"),
        )
        for slot in slots
        if slot.energy_wh or shares.get(slot.slot_ms)
    )
    return AtOnce(row.at_once_nanos - row.cost_nanos, row.at_once_nanos, row.peak_w, moved)
