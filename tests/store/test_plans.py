"""Plans in the store, on both databases: what is counted, what is written once, what stays one organisation's."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from borne.core.bill import BilledDay
from borne.core.scope import Scope
from borne.store import organisations, people, plans
from borne.store.db import Database
from borne.store.schema import batches, chargers, invitations, restarts

pytestmark = pytest.mark.anyio


async def two(database: Database) -> tuple[int, int]:
    """Two organisations: the first on Standard."""
    async with database.transaction() as tx:
        first = await organisations.create(tx, name="First", plan="standard", now_ms=1)
        return first, await organisations.create(tx, name="Second", plan="basic", now_ms=1)


async def test_days_are_written_once_and_in_order(database: Database) -> None:
    first, second = await two(database)
    start = date(2026, 11, 28)
    days = [BilledDay(start + timedelta(days=n), "standard", n, 400, late=n == 1) for n in range(5)]
    async with database.transaction() as tx:
        assert await plans.add_days(tx, first, days[2:]) == 3
        assert await plans.add_days(tx, first, days) == 2
        assert await plans.add_days(tx, first, []) == 0
        assert await plans.add_days(tx, second, [BilledDay(start, "basic", 9, 0)]) == 1
    found = await plans.days_from(database, first, "2026-11-29")
    assert [tuple(row) for row in found] == [
        (one.day.isoformat(), "standard", one.chargers, 400, int(one.late)) for one in days[1:]
    ]
    last = await plans.last_day(database, first)
    assert last is not None
    assert tuple(last) == ("2026-12-02", "standard")
    assert await plans.last_day(database, 99) is None


async def test_the_plan_of_an_instant(database: Database) -> None:
    first, second = await two(database)
    async with database.transaction() as tx:
        await plans.set_next(tx, first, "basic", 900)
        await plans.set_plan(tx, first, "business", at_ms=100, by="A")
        await plans.set_plan(tx, first, "basic", at_ms=200, by="B")
        await plans.set_plan(tx, first, "standard", at_ms=200, by="C")
    assert [await plans.plan_at(database, first, at_ms) for at_ms in (99, 100, 199, 200)] == [
        None,
        "business",
        "business",
        "standard",
    ]
    assert await plans.plan_at(database, second, 500) is None
    row = await plans.of_organisation(database, first)
    assert row is not None
    assert (row.plan, row.next_plan, row.next_plan_ms) == ("standard", None, None)
    assert [tuple(one)[1:] for one in await plans.changes(database, first, 2)] == [("standard", "C"), ("basic", "B")]


async def test_counts_are_of_one_organisation(database: Database) -> None:
    first, second = await two(database)
    common = {"role": "user", "person_name": "C", "created_ms": 1, "sent_ms": 1}
    async with database.transaction() as tx:
        for number, expires_ms in enumerate((None, 50, 150)):
            person_id = await people.add_person(
                tx,
                email=f"{number}@x",
                name=f"P{number}",
                password_hash=None,
                language=None,
                operates_installation=False,
                now_ms=1,
            )
            role = "super-admin" if number else "user"
            await people.add_membership(
                tx, person_id=person_id, organisation_id=first, role=role, now_ms=number, expires_ms=expires_ms
            )
        for number in range(4):
            closed = {"accepted_ms": 5 if number == 0 else None, "revoked_ms": 5 if number == 1 else None}
            until = {"expires_ms": 50 if number == 2 else 150}
            row = {
                **common,
                **closed,
                **until,
                "organisation_id": first,
                "email": f"i{number}",
                "token_hash": bytes([number]),
            }
            await tx.insert(invitations, row)
        for number in range(3):
            row = {"organisation_id": first, "location_id": 1, "name": "c", "identity": f"c{number}", "created_ms": number * 10,
                   "changed_ms": 1}  # fmt: skip
            await tx.insert(chargers, row)
        await organisations.create_location(tx, first, name="Here", now_ms=1)
    assert [await plans.member_count(database, one, 100) for one in (first, second)] == [2, 0]
    assert [await plans.invited_count(database, one, 100) for one in (first, second)] == [1, 0]
    assert [await plans.location_count(database, one) for one in (first, second)] == [1, 0]
    assert [await plans.charger_count(database, one) for one in (first, second)] == [3, 0]
    assert [await plans.chargers_before(database, first, at_ms) for at_ms in (0, 1, 20, 21)] == [0, 1, 2, 3]
    scope = Scope(person_id=1, person_name="", organisation_id=first, role="user", plan="basic")
    assert await plans.owner_name(database, scope) == "P1"
    assert await plans.ids_after(database, 0) == [first, second]
    assert await plans.ids_after(database, first, 1) == [second]


async def test_what_is_open_is_of_one_organisation(database: Database) -> None:
    first, second = await two(database)
    async with database.transaction() as tx:
        for number, (organisation_id, phase) in enumerate(((first, "running"), (first, "done"), (second, "paused"))):
            row = {"organisation_id": organisation_id, "person_name": "C", "total": 1, "created_ms": 1, "phase": phase}
            await tx.insert(batches, row)
            states = (("waiting", None), ("sent", None), ("ended", "failed"))[number]
            restart = {"charger_id": 7, "organisation_id": organisation_id, "location_id": 1, "model": "m", "person_name": "C",
                       "kind": "soft", "phase": states[0], "verdict": states[1], "requested_ms": 1}  # fmt: skip
            await tx.insert(restarts, restart)
    assert len(await plans.open_batches(database, first)) == 1
    assert await plans.unsent_count(database, first, ["queued", "waiting", "requested"]) == 1
    assert [row.charger_id for row in await plans.unsent(database, first, ["waiting", "sent"], 5)] == [7, 7]
    assert await plans.unsent(database, second, ["waiting", "sent"]) == []
