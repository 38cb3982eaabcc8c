"""Sessions through the engine: starts and their retries, stops and their repetitions, orphans, who may charge."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import func, select, update

from borne.core.facts import Metered, SessionEnded, SessionStarted, SessionUpdated
from borne.core.readings import Reading
from borne.core.tags import INVALID, TagAnswer, TagStatus
from borne.engine.outcome import Outcome
from borne.store import organisations, people, tags
from borne.store.db import Row
from borne.store.schema import (
    access_group_chargers,
    access_group_people,
    access_groups,
    chargers,
    memberships,
    readings,
    session_messages,
    sessions,
)
from borne.store.schema import people as people_table
from tests.support.house import START_MS, Small, on_both, scope_of


async def start(small: Small, **said: Any) -> Outcome:
    said = {
        "epoch": small.epoch, "evse": 1, "connector": 1, "tag": "AA11", "transaction": None, "meter_start_wh": 100,
        "device_ms": START_MS, "raw": '{"start":1}', **said,
    }  # fmt: skip
    return await small.house.engine.apply(
        small.house.fact(SessionStarted, said.pop("charger", small.charger_id), **said)
    )


async def stop(small: Small, transaction: str | None, **said: Any) -> Outcome:
    said = {
        "epoch": small.epoch, "transaction": transaction, "meter_stop_wh": 900, "device_ms": START_MS + 60_000, "reason": "Local",
        "raw": '{"stop":1}', **said,
    }  # fmt: skip
    return await small.house.engine.apply(small.house.fact(SessionEnded, said.pop("charger", small.charger_id), **said))


async def rows(small: Small) -> list[Row]:
    return await small.house.db.all(select(sessions).order_by(sessions.c.id))


async def messages(small: Small) -> list[str]:
    found = await small.house.db.all(
        select(session_messages.c.raw).order_by(session_messages.c.received_ms, session_messages.c.idx)
    )
    return [row[0] for row in found]


# ---- starts -------------------------------------------------------------------------------------------------------


@on_both
async def test_a_start_gets_a_number_and_a_row(small: Small) -> None:
    outcome = await start(small)
    (row,) = await rows(small)
    assert row.transaction == outcome.transaction
    assert (row.tag, row.meter_start_wh, row.started_ms, row.device_started_ms) == ("AA11", 100, START_MS, START_MS)
    assert (row.organisation_id, row.location_id, row.ended_ms) == (small.organisation_id, small.location_id, None)
    assert await messages(small) == ['{"start":1}']


@on_both
async def test_a_retry_gets_the_same_number_whenever_it_comes(small: Small) -> None:
    first = await start(small)
    small.house.clock.pass_s(40)
    small.epoch = await small.house.connect(small.charger_id, boots=False)
    again = await start(small, raw='{"start":2}')
    assert again.transaction == first.transaction
    assert len(await rows(small)) == 1
    assert await messages(small) == ['{"start":1}', '{"start":2}']


async def test_a_retry_after_its_stop_does_not_open_it_again(small: Small) -> None:
    first = await start(small)
    await stop(small, first.transaction)
    again = await start(small)
    assert again.transaction == first.transaction
    (row,) = await rows(small)
    assert row.ended_ms is not None
    assert small.house.engine.room(small.charger_id).open_sessions == 0  # type: ignore[union-attr]


async def test_numbers_are_not_a_counter_of_the_server(small: Small) -> None:
    """They come from a source given by wiring; the charger's own transaction id is kept where it has one."""
    assert (await start(small, transaction="T-77")).transaction == "T-77"
    given = (await start(small, connector=2, new_transaction=123456)).transaction
    assert given == "123456"


async def test_a_new_start_closes_what_was_open_on_the_connector(small: Small) -> None:
    await start(small)
    await start(small, device_ms=START_MS + 5)
    old, new = await rows(small)
    assert (old.end_reason, new.ended_ms) == ("no stop received", None)
    assert small.house.engine.room(small.charger_id).open_sessions == 1  # type: ignore[union-attr]


async def test_a_boot_closes_what_is_open_and_a_late_stop_completes_it(small: Small) -> None:
    first = await start(small)
    await small.house.boot(small.charger_id, small.epoch, reason="PowerUp")
    (row,) = await rows(small)
    assert (row.end_reason, row.meter_stop_wh) == ("no stop received", None)
    await stop(small, first.transaction)
    (row,) = await rows(small)
    assert (row.end_reason, row.meter_stop_wh, row.conflicts) == ("Local", 900, "[]")


async def test_a_boot_that_was_asked_for_closes_nothing(small: Small) -> None:
    await start(small)
    await small.house.boot(small.charger_id, small.epoch, solicited=True)
    assert (await rows(small))[0].ended_ms is None


async def test_a_boot_at_a_plain_reconnect_closes_nothing(small: Small) -> None:
    """Borne ended, not the charger: the car goes on charging."""
    await start(small)
    await small.house.lose(small.charger_id, small.epoch, "stopped", ours=True)
    await small.house.connect(small.charger_id)
    assert (await rows(small))[0].ended_ms is None


# ---- stops --------------------------------------------------------------------------------------------------------


@on_both
async def test_a_stop_that_comes_twice_is_one(small: Small) -> None:
    first = await start(small)
    await start(small, connector=2)
    await stop(small, first.transaction)
    before = await rows(small)
    small.house.clock.pass_s(10)
    assert not (await stop(small, first.transaction)).ignored
    assert await rows(small) == before
    assert small.house.engine.room(small.charger_id).open_sessions == 1  # type: ignore[union-attr]


async def test_other_values_stay_beside_the_first(small: Small) -> None:
    first = await start(small)
    await stop(small, first.transaction)
    await stop(small, first.transaction, meter_stop_wh=1000, raw='{"meterStop":1000}')
    (row,) = await rows(small)
    assert row.meter_stop_wh == 900
    assert "1000" in row.conflicts


@pytest.mark.parametrize("transaction", ["-1", "0", "987654", "no such"])
async def test_an_unknown_stop_is_confirmed_and_kept_as_an_orphan(small: Small, transaction: str) -> None:
    for _ in range(2):  # it repeats until it is confirmed
        outcome = await stop(small, transaction)
        assert not outcome.ignored
        assert not outcome.dead
    (row,) = await rows(small)
    assert (row.start_missing, row.ended_ms, row.meter_stop_wh) == (1, START_MS, 900)
    assert await messages(small) == ['{"stop":1}'] * 2
    assert small.house.engine.room(small.charger_id).open_sessions == 0  # type: ignore[union-attr]


async def test_a_stop_without_a_transaction_ends_the_session_that_began_offline(small: Small) -> None:
    """O6: the confirmation of its start was lost, and the charger never learnt the transaction."""
    await start(small)
    await stop(small, "0", tag="aa11")
    (row,) = await rows(small)
    assert (row.meter_stop_wh, row.end_reason, row.start_missing) == (900, "Local", 0)


@pytest.mark.parametrize("tag", ["BB22", "AA11"])
async def test_a_stop_without_a_transaction_that_fits_no_session_ends_none(small: Small, tag: str) -> None:
    await start(small)
    if tag == "AA11":
        await start(small, evse=2, tag="AA11", meter_start_wh=5)
    await stop(small, "-1", tag=tag)
    assert [row.ended_ms is None for row in await rows(small) if not row.start_missing].count(False) == 0


@on_both
async def test_events_of_2x_in_any_order_are_one_session(small: Small) -> None:
    """O8: its end, then its middle, then its start."""
    house = small.house
    house.engine.room(small.charger_id).state = replace(house.engine.room(small.charger_id).state, protocol="2.0.1")  # type: ignore[union-attr]
    await stop(small, "T1", meter_stop_wh=900)
    middle = house.fact(
        SessionUpdated, small.charger_id, epoch=small.epoch, evse=1, connector=1, transaction="T1", raw="{}"
    )
    await house.engine.apply(middle)
    await start(small, transaction="T1", meter_start_wh=100, device_ms=START_MS - 60_000)
    (row,) = await rows(small)
    assert (row.meter_start_wh, row.meter_stop_wh, row.start_missing, row.tag) == (100, 900, 0, "AA11")
    assert row.ended_ms is not None
    assert house.engine.room(small.charger_id).open_sessions == 0  # type: ignore[union-attr]


@on_both
async def test_events_of_2x_that_name_no_transaction_lose_nothing(small: Small) -> None:
    """Against the schema, but chargers say it: a start is a session under a name of ours, the rest stays as messages."""
    house = small.house
    house.engine.room(small.charger_id).state = replace(house.engine.room(small.charger_id).state, protocol="2.0.1")  # type: ignore[union-attr]
    nameless = {"epoch": small.epoch, "evse": 1, "connector": 1, "transaction": "", "device_ms": START_MS}

    async def update(raw: str) -> Outcome:
        return await house.engine.apply(house.fact(SessionUpdated, small.charger_id, raw=raw, **nameless))

    await update('{"u":0}')
    assert await rows(small) == []
    await start(small, transaction=None)
    await start(small, transaction=None)  # the same one, told again
    await update('{"u":1}')
    await start(small, transaction=None, evse=2)
    (first, second) = await rows(small)
    assert first.transaction != second.transaction
    for end_ms in (START_MS + 1, START_MS + 2):
        await stop(small, "", device_ms=end_ms, raw=f'{{"stop":{end_ms}}}', evse=3)
    assert len(await rows(small)) == 4  # two of them without a start, told apart by their ends
    assert len(await messages(small)) == 7


async def test_a_session_whose_charger_is_silent_for_a_week_ends_and_a_late_stop_completes_it(small: Small) -> None:
    house = small.house
    first = await start(small)
    house.clock.pass_s(6 * 86_400)
    assert await house.sessions.end_silent(house.engine) == 0
    house.clock.pass_s(2 * 86_400)
    assert await house.sessions.end_silent(house.engine) == 1
    (row,) = await rows(small)
    assert row.end_reason == "no stop received"
    assert row.ended_ms < START_MS + 86_400_000, "when its charger was last seen"
    small.epoch = await house.connect(small.charger_id, boots=False)
    await stop(small, first.transaction)
    (row,) = await rows(small)
    assert (row.end_reason, row.meter_stop_wh) == ("Local", 900)


async def test_a_session_of_a_charger_that_is_gone_ends(small: Small) -> None:
    house = small.house
    await start(small)
    async with house.db.transaction() as tx:
        await tx.run(chargers.delete())
    house.clock.pass_s(8 * 86_400)
    assert await house.sessions.end_silent(house.engine) == 1
    (row,) = await rows(small)
    assert row.end_reason == "no stop received"


@on_both
async def test_the_stop_of_another_chargers_session_has_no_effect(small: Small) -> None:
    mine = await start(small)
    (other,) = await small.house.chargers(small.organisation_id, small.location_id, model="copper")
    epoch = await small.house.connect(other)
    outcome = await stop(small, mine.transaction, charger=other, epoch=epoch)
    assert not outcome.ignored
    row, orphan = await rows(small)
    assert row.ended_ms is None
    assert (orphan.charger_id, orphan.start_missing) == (other, 1)


async def test_a_stop_that_comes_again_on_a_newer_link_is_taken(small: Small) -> None:
    """A charger keeps its stop until it is confirmed, over reconnects and boots."""
    first = await start(small)
    small.epoch = await small.house.connect(small.charger_id, boots=False)
    await stop(small, first.transaction)
    assert (await rows(small))[0].end_reason == "Local"


# ---- readings -----------------------------------------------------------------------------------------------------


@on_both
async def test_messages_of_a_session_keep_their_readings(small: Small) -> None:
    found = (Reading("energy_import_wh", 150, raw="0.15 kWh"), Reading("soc_permille", None, raw="x"))
    await start(small, transaction="T1", readings=found[:1])
    updated = small.house.fact(
        SessionUpdated,
        small.charger_id,
        epoch=small.epoch,
        evse=1,
        connector=1,
        transaction="T1",
        raw="{}",
        readings=found,
    )
    await small.house.engine.apply(updated)
    metered = small.house.fact(
        Metered, small.charger_id, epoch=small.epoch, evse=1, connector=1, transaction="T1", readings=found
    )
    await small.house.engine.apply(metered)
    await stop(small, "T1", readings=found)
    kept = await small.house.db.all(
        select(readings.c.quantity, readings.c.value, readings.c.raw, readings.c.transaction)
    )
    assert len(kept) == 7
    assert {row.transaction for row in kept} == {"T1"}
    assert ("soc_permille", None, "x", "T1") in [tuple(row) for row in kept]


# ---- who may charge -----------------------------------------------------------------------------------------------


async def test_any_tag_of_the_organisation_may_charge_in_any_letter_case(small: Small) -> None:
    async with small.house.db.transaction() as tx:
        await tags.put(tx, small.organisation_id, "AbCd")
        await tags.put(tx, small.organisation_id, "gone", blocked=True)
        await tags.put(tx, small.organisation_id, "old", expires_ms=START_MS - 1)
    assert (await start(small, tag="ABCD")).tag == TagAnswer("accepted")
    room = small.house.engine.room(small.charger_id)
    expected: dict[str, TagStatus] = {"abcd": "accepted", "GONE": "blocked", "old": "expired", "never": "invalid"}
    for tag, word in expected.items():
        assert await small.house.sessions.authorise(small.house.db, room, tag) == TagAnswer(word)


async def test_a_start_with_a_bad_tag_is_kept_all_the_same(small: Small) -> None:
    """The charger charges already: refusing to store it would lose the energy."""
    outcome = await start(small, tag="stranger")
    assert outcome.tag == INVALID
    assert outcome.transaction is not None
    assert await small.house.db.value(select(func.count()).select_from(sessions)) == 1


async def test_unknown_tags_by_the_setting_of_the_location(small: Small) -> None:
    async with small.house.db.transaction() as tx:
        await organisations.accept_unknown_tags(tx, small.organisation_id, small.location_id, True)
    room = small.house.engine.room(small.charger_id)
    assert await small.house.sessions.authorise(small.house.db, room, "stranger") == TagAnswer("accepted")


async def test_a_tag_of_another_organisation_is_unknown(small: Small) -> None:
    other, _ = await small.house.organisation()
    async with small.house.db.transaction() as tx:
        await tags.put(tx, other, "theirs")
    room = small.house.engine.room(small.charger_id)
    assert await small.house.sessions.authorise(small.house.db, room, "theirs") == INVALID
    assert scope_of(1, other).organisation_id == other


async def test_a_start_without_a_tag_has_no_status(small: Small) -> None:
    assert (await start(small, tag=None)).tag is None


async def add_group(small: Small, person_id: int, charger_id: int, organisation_id: int | None = None) -> None:
    organisation_id = organisation_id or small.organisation_id
    async with small.house.db.transaction() as tx:
        columns = {"organisation_id": organisation_id, "name": "Crew", "created_ms": 0}
        group_id = await tx.insert(access_groups, columns)
        keys = ("organisation_id", "access_group_id")
        await tx.insert_many(access_group_people, (*keys, "person_id"), [(organisation_id, group_id, person_id)])
        await tx.insert_many(access_group_chargers, (*keys, "charger_id"), [(organisation_id, group_id, charger_id)])


@on_both
async def test_a_tag_follows_what_its_owner_may_use_at_once(small: Small) -> None:
    house, here = small.house, small.organisation_id
    driver = await house.person(here, "user")
    (other,) = await house.chargers(here, small.location_id, model="copper")
    await house.connect(other)

    async def said(charger_id: int) -> str:
        return (await house.sessions.authorise(house.db, house.engine.room(charger_id), "CARD")).status

    async def change(statement: Any) -> None:
        async with house.db.transaction() as tx:
            await tx.run(statement)

    async with house.db.transaction() as tx:
        await organisations.accept_unknown_tags(tx, here, small.location_id, True)
        await tags.put(tx, here, "card", person_id=driver, group_tag="Family")
    assert await said(small.charger_id) == "not_here"
    async with house.db.transaction() as tx:
        await people.assign(tx, person_id=driver, charger_ids=[small.charger_id])
    assert [await said(small.charger_id), await said(other)] == ["accepted", "not_here"]
    await add_group(small, driver, other)
    assert await said(other) == "accepted"
    await change(access_group_people.delete())
    assert await said(other) == "not_here"
    outcome = await start(small, tag="CARD")
    assert outcome.tag == TagAnswer("accepted", "Family")
    assert (await rows(small))[0].person_id == driver
    await change(update(memberships).where(memberships.c.person_id == driver).values(role="operator"))
    assert await said(small.charger_id) == "not_here"
    async with house.db.transaction() as tx:
        ids = [small.location_id]
        await people.set_locations(tx, person_id=driver, organisation_id=here, location_ids=ids)
    assert await said(other) == "accepted"
    await change(update(memberships).where(memberships.c.person_id == driver).values(expires_ms=START_MS))
    assert await said(other) == "invalid"
    await change(update(memberships).where(memberships.c.person_id == driver).values(expires_ms=None))
    await change(update(people_table).where(people_table.c.id == driver).values(disabled=1))
    assert await said(other) == "invalid"
    await change(memberships.delete().where(memberships.c.person_id == driver))
    assert await said(other) == "invalid"


async def test_what_another_organisation_gives_a_person_counts_there_alone(small: Small) -> None:
    """The same person, the same tag, a group of the other organisation that names our charger."""
    house = small.house
    driver = await house.person(small.organisation_id, "user")
    theirs, (place,) = await house.organisation()
    await house.chargers(theirs, place)
    async with house.db.transaction() as tx:
        await people.add_membership(tx, person_id=driver, organisation_id=theirs, role="super-admin")
        await people.set_locations(
            tx, person_id=driver, organisation_id=theirs, location_ids=[place, small.location_id]
        )
        await tags.put(tx, small.organisation_id, "card", person_id=driver)
        await tags.put(tx, theirs, "card")
    await add_group(small, driver, small.charger_id, theirs)
    room = house.engine.room(small.charger_id)
    assert (await house.sessions.authorise(house.db, room, "card")).status == "not_here"


@pytest.mark.parametrize("tag", ["x" * 37, "", "%", "_", "'; DROP TABLE tags"])
async def test_odd_tags_are_unknown(small: Small, tag: str) -> None:
    async with small.house.db.transaction() as tx:
        await tags.put(tx, small.organisation_id, "x")
    room = small.house.engine.room(small.charger_id)
    assert await small.house.sessions.authorise(small.house.db, room, tag) == INVALID


async def test_a_tag_that_is_too_long_is_refused_even_where_unknown_ones_may_charge(small: Small) -> None:
    async with small.house.db.transaction() as tx:
        await organisations.accept_unknown_tags(tx, small.organisation_id, small.location_id, True)
    assert (await start(small, tag="x" * 37)).tag == INVALID


async def test_a_tag_held_after_the_cable_belongs_to_the_session(small: Small) -> None:
    driver = await small.house.person(small.organisation_id, "user")
    async with small.house.db.transaction() as tx:
        await people.assign(tx, person_id=driver, charger_ids=[small.charger_id])
        await tags.put(tx, small.organisation_id, "card", person_id=driver)
    await start(small, tag=None, transaction="T1")
    for tag in ("CARD", "other"):
        updated = small.house.fact(
            SessionUpdated,
            small.charger_id,
            epoch=small.epoch,
            evse=1,
            connector=1,
            transaction="T1",
            tag=tag,
            raw="{}",
        )
        outcome = await small.house.engine.apply(updated)
        assert outcome.tag == (TagAnswer("accepted") if tag == "CARD" else INVALID)
    (row,) = await rows(small)
    assert (row.tag, row.person_id) == ("CARD", driver)
    assert (await stop(small, "T1", tag="CARD")).tag == TagAnswer("accepted")
