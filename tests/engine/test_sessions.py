"""Sessions through the engine: starts and their retries, stops and their repetitions, orphans, who may charge."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import func, select

from borne.core.facts import Metered, SessionEnded, SessionStarted, SessionUpdated
from borne.core.readings import Reading
from borne.engine.outcome import Outcome
from borne.store import organisations, tags
from borne.store.db import Row
from borne.store.schema import readings, session_messages, sessions
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
    outcome = await stop(small, transaction)
    assert not outcome.ignored
    assert not outcome.dead
    assert await rows(small) == []
    assert await messages(small) == ['{"stop":1}']


@on_both
async def test_the_stop_of_another_chargers_session_has_no_effect(small: Small) -> None:
    mine = await start(small)
    (other,) = await small.house.chargers(small.organisation_id, small.location_id, model="copper")
    epoch = await small.house.connect(other)
    outcome = await stop(small, mine.transaction, charger=other, epoch=epoch)
    assert not outcome.ignored
    (row,) = await rows(small)
    assert row.ended_ms is None


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
    assert (await start(small, tag="ABCD")).tag_status == "Accepted"
    room = small.house.engine.room(small.charger_id)
    expected = {"abcd": "Accepted", "GONE": "Blocked", "old": "Expired", "never": "Invalid"}
    for tag, word in expected.items():
        assert await small.house.sessions.authorise(small.house.db, room, tag) == word


async def test_a_start_with_a_bad_tag_is_kept_all_the_same(small: Small) -> None:
    """The charger charges already: refusing to store it would lose the energy."""
    outcome = await start(small, tag="stranger")
    assert outcome.tag_status == "Invalid"
    assert outcome.transaction is not None
    assert await small.house.db.value(select(func.count()).select_from(sessions)) == 1


async def test_unknown_tags_by_the_setting_of_the_location(small: Small) -> None:
    async with small.house.db.transaction() as tx:
        await organisations.accept_unknown_tags(tx, small.organisation_id, small.location_id, True)
    room = small.house.engine.room(small.charger_id)
    assert await small.house.sessions.authorise(small.house.db, room, "stranger") == "Accepted"


async def test_a_tag_of_another_organisation_is_unknown(small: Small) -> None:
    other, _ = await small.house.organisation()
    async with small.house.db.transaction() as tx:
        await tags.put(tx, other, "theirs")
    room = small.house.engine.room(small.charger_id)
    assert await small.house.sessions.authorise(small.house.db, room, "theirs") == "Invalid"
    assert scope_of(1, other).organisation_id == other


async def test_a_start_without_a_tag_has_no_status(small: Small) -> None:
    assert (await start(small, tag=None)).tag_status is None
