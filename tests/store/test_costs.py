"""Prices, lists, vehicles and savings on both databases, inside one organisation."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from borne.core.savings import Assumption
from borne.core.scope import Role, Scope
from borne.core.tariff import Dynamic, EnergyPrice, Fixed
from borne.store import energy_prices, savings, vehicles
from borne.store.db import Conflict, Database
from borne.store.schema import sessions

pytestmark = pytest.mark.anyio
HERE, LYON, SLOT_MS = 1, 10, 900_000


def scope(role: Role = "super-admin", **more: object) -> Scope:
    fields = {"person_id": 7, "person_name": "C", "organisation_id": HERE, "role": role, "plan": "business", **more}
    return Scope(**fields)  # type: ignore[arg-type]


async def test_prices_lists_vehicles_and_savings(database: Database) -> None:
    async with database.transaction() as tx:
        list_id = await energy_prices.add_list(tx, HERE, name="A", currency="EUR", url=None, now_ms=1)
        for from_ms, tariff in ((0, Fixed(5)), (1_000, Dynamic(list_id)), (9_000, Fixed(7))):
            price = EnergyPrice(from_ms, tariff)
            await energy_prices.add(tx, HERE, LYON, price, currency="EUR", person_name="C", now_ms=1)
        car = vehicles.Details(person_id=None, name="Pool", tag="aa11")
        values = {
            "charger_id": 1, "organisation_id": HERE, "location_id": LYON, "evse": 1, "connector": 1, "transaction": "1",
            "start_key": "1", "tag": "AA11", "started_ms": 0, "ended_ms": 10, "energy_wh": 5_000, "begun_ms": 0, "over_ms": 10,
            "dirty": 0, "currency": "EUR",
        }  # fmt: skip
        session_id = await tx.insert(sessions, values)
        await tx.insert(sessions, {**values, "organisation_id": 2, "start_key": "2"})
        car_id = await vehicles.add(tx, HERE, car, 1)
        await energy_prices.put_listed(tx, HERE, list_id, [(0, 100_000), (SLOT_MS, 200_000)])
        assert await energy_prices.locations_using(tx, HERE, list_id) == [LYON]
        await savings.assume(tx, HERE, Assumption("grid_co2", 44, 5, "x"), currency=None, person_name="C", now_ms=1)
    rows = await database.all(select(sessions.c.id, sessions.c.vehicle_id, sessions.c.dirty).order_by(sessions.c.id))
    assert [tuple(row)[1:] for row in rows] == [(car_id, 0), (None, 0)], "nothing of the other organisation"
    counting = await energy_prices.current(database, HERE, [LYON], 5_000)
    assert counting[LYON].tariff == Dynamic(list_id)
    assert await energy_prices.span(database, HERE, list_id) == (2, 0, SLOT_MS)
    assert [row.name for row in await vehicles.page(database, scope(), "pOO")] == ["Pool"]
    assert [row.name for row in await vehicles.page(database, scope("admin", location_ids=(LYON,)))] == ["Pool"]
    assert await vehicles.page(database, scope("user")) == []
    assert [row.id for row in await vehicles.choices(database, scope(), 7)] == [car_id]
    (found,) = await savings.sums(database, scope(), 0, 1_000)
    assert (found.vehicle_id, found.energy_wh, found.priced_wh, found.compared) == (car_id, 5_000, 0, 0)
    assert await savings.sums(database, scope("user"), 0, 1_000) == []
    async with database.transaction() as tx:
        assert await vehicles.choose(tx, HERE, session_id, None)
        assert not await vehicles.choose(tx, 2, session_id, 0)
        history = await energy_prices.history(tx, HERE, LYON)
        assert await energy_prices.withdraw(tx, HERE, LYON, history[0].id, 5_000)
        assert not await energy_prices.withdraw(tx, HERE, LYON, history[1].id, 5_000)
    with pytest.raises(Conflict):
        async with database.transaction() as tx:
            again = EnergyPrice(1_000, Fixed(1))
            await energy_prices.add(tx, HERE, LYON, again, currency="EUR", person_name="C", now_ms=1)
