"""apply: no answer before its commit, groups, poison, versions, a store that cannot write."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import func, select, text, update

from borne.core.facts import Booted, Fact, LinkOpened, Metered, Noted, StatusChanged
from borne.core.readings import Reading
from borne.engine import apply as apply_module
from borne.engine.apply import InboxFullError, StorageFailingError
from borne.engine.outcome import Outcome
from borne.store import events
from borne.store.db import BadValue, Broken, Busy, Database, DiskFull
from borne.store.schema import chargers, readings
from borne.store.schema import events as events_table
from tests.support.faulty import FaultyDatabase
from tests.support.house import House, Small, on_both, until

Answer = Outcome | BaseException


@pytest.fixture
async def faulty(db: Database) -> FaultyDatabase:
    return FaultyDatabase(db)


@pytest.fixture
async def fragile(faulty: FaultyDatabase) -> AsyncIterator[Small]:
    """A small house whose commits can be held back or fail."""
    house = House(faulty)
    await house.begin()
    yield await Small(house).fill()
    faulty.error = None
    faulty.gate.set()
    await house.engine.stop()


def metered(small: Small, value: int, charger_id: int = 0) -> Metered:
    return Metered(
        charger_id=charger_id or small.charger_id,
        at_ms=small.house.clock.at_ms,
        epoch=small.epoch,
        evse=1,
        connector=1,
        transaction=None,
        readings=(Reading("energy_import_wh", value),),
    )


def status(small: Small, word: Any, connector: int = 1) -> Fact:
    return small.house.fact(
        StatusChanged, small.charger_id, epoch=small.epoch, evse=1, connector=connector, status=word
    )


async def stored(small: Small) -> list[int]:
    rows = await small.house.db.all(select(readings.c.value).order_by(readings.c.received_ms, readings.c.idx))
    return [row[0] for row in rows]


# ---- the promise --------------------------------------------------------------------------------------------------


async def test_no_answer_before_the_commit(fragile: Small, faulty: FaultyDatabase) -> None:
    """A charger that was answered forgets what it said: it must be on disk by then."""
    answers: list[Answer] = []
    faulty.gate.clear()
    fragile.house.engine.submit(metered(fragile, 42), answers.append, urgent=True)
    await faulty.waiting.wait()
    await asyncio.sleep(0.02)
    assert answers == []
    assert await stored(fragile) == []
    faulty.gate.set()
    await until(lambda: bool(answers))
    assert await stored(fragile) == [42]


async def test_no_hint_before_the_commit(fragile: Small, faulty: FaultyDatabase) -> None:
    await until(lambda: bool(fragile.house.hints))
    fragile.house.hints.clear()
    faulty.gate.clear()
    fragile.house.engine.submit(status(fragile, "charging"), urgent=True)
    await faulty.waiting.wait()
    await asyncio.sleep(0.02)
    assert fragile.house.hints == []
    faulty.gate.set()
    await until(lambda: [hint.topic for hint in fragile.house.hints] == ["charger"])


@on_both
async def test_facts_of_one_charger_stay_in_order(small: Small) -> None:
    answers: list[Answer] = []
    for value in range(300):
        small.house.engine.submit(metered(small, value), answers.append, urgent=value % 7 == 0)
    await until(lambda: len(answers) == 300)
    assert await stored(small) == list(range(300))


async def test_many_facts_share_a_commit(fragile: Small, faulty: FaultyDatabase) -> None:
    before, answers = faulty.commits, []
    for value in range(200):
        fragile.house.engine.submit(metered(fragile, value), answers.append)
    await until(lambda: len(answers) == 200)
    assert faulty.commits - before <= 5


@on_both
async def test_the_machine_and_what_lists_show_are_saved_together(small: Small) -> None:
    await small.house.engine.apply(status(small, "charging"))
    row = await small.house.db.first(select(chargers).where(chargers.c.id == small.charger_id))
    assert row is not None
    assert (row.status, row.online, row.epoch) == ("charging", 1, small.epoch)
    assert '"charging"' in row.state
    kinds = [row.kind for row in await events.of_charger(small.house.db, small.organisation_id, small.charger_id)]
    assert kinds == ["status", "booted", "link_opened"]


async def test_facts_of_an_older_epoch_change_nothing(small: Small) -> None:
    old = small.epoch
    await small.house.connect(small.charger_id)
    outcome = await small.house.engine.apply(status(small, "faulted"))
    assert outcome.ignored
    assert (await small.house.engine.apply(metered(small, 1))).ignored
    await small.house.lose(small.charger_id, old)
    assert await small.house.db.value(select(chargers.c.online).where(chargers.c.id == small.charger_id)) == 1


async def test_a_fact_of_a_charger_that_is_gone_is_ignored(small: Small) -> None:
    assert (await small.house.engine.apply(metered(small, 1, charger_id=999))).ignored


# ---- poison -------------------------------------------------------------------------------------------------------


def poison(small: Small) -> Fact:
    """A number that no database takes."""
    return metered(small, 2**70)


@on_both
async def test_one_poison_fact_goes_to_the_dead_letters_and_its_neighbours_commit(small: Small) -> None:
    answers: dict[int, Answer] = {}
    for value in range(20):
        fact = poison(small) if value == 7 else metered(small, value)
        small.house.engine.submit(fact, lambda answer, value=value: answers.__setitem__(value, answer))  # type: ignore[misc]
    await until(lambda: len(answers) == 20)
    assert await stored(small) == [value for value in range(20) if value != 7]
    poisoned = answers.pop(7)
    assert isinstance(poisoned, Outcome)
    assert poisoned.dead
    assert all(isinstance(answer, Outcome) and not answer.dead for answer in answers.values())
    (letter,) = await events.newest_dead_letters(small.house.db)
    assert letter.charger_id == small.charger_id
    assert str(2**70) in letter.fact


async def test_after_poison_the_charger_goes_on(small: Small) -> None:
    await small.house.engine.apply(poison(small))
    assert not (await small.house.engine.apply(status(small, "charging"))).ignored
    assert await small.house.connect(small.charger_id) == small.epoch + 1


async def test_a_rule_that_raises_is_poison_too(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    real = apply_module.react

    def broken(room: Any, fact: Fact, writes: Any) -> Outcome:
        if isinstance(fact, Noted):
            raise RuntimeError("a rule is wrong")
        return real(room, fact, writes)

    monkeypatch.setattr(apply_module, "react", broken)
    noted = small.house.fact(Noted, small.charger_id, epoch=small.epoch, kind="x", details={})
    results = await asyncio.gather(
        small.house.engine.apply(status(small, "charging")),
        small.house.engine.apply(noted),
        small.house.engine.apply(status(small, "available")),
    )
    assert [result.dead for result in results] == [False, True, False]
    assert len(await events.newest_dead_letters(small.house.db)) == 1


# ---- versions -----------------------------------------------------------------------------------------------------


@on_both
async def test_what_somebody_else_saved_is_never_overwritten(small: Small) -> None:
    """Another server took the charger over: the room in memory is old. The fact is applied to what is there now."""
    db = small.house.db
    async with db.transaction() as tx:
        await tx.run(
            update(chargers)
            .where(chargers.c.id == small.charger_id)
            .values(version=chargers.c.version + 5, name="Renamed")
        )
    outcome = await small.house.engine.apply(status(small, "charging"))
    row = await db.first(select(chargers).where(chargers.c.id == small.charger_id))
    assert row is not None
    assert row.name == "Renamed"
    assert not outcome.dead
    assert row.status == "charging"


async def test_a_conflict_in_a_group_costs_nobody_anything(small: Small) -> None:
    db, house = small.house.db, small.house
    (other,) = await house.chargers(small.organisation_id, small.location_id, model="copper")
    epoch = await house.connect(other)
    async with db.transaction() as tx:
        await tx.run(update(chargers).where(chargers.c.id == small.charger_id).values(version=99))
    results = await asyncio.gather(
        house.engine.apply(status(small, "charging")),
        house.engine.apply(house.fact(StatusChanged, other, epoch=epoch, evse=1, connector=1, status="charging")),
    )
    assert not results[1].dead
    assert await db.value(select(chargers.c.status).where(chargers.c.id == other)) == "charging"
    assert not results[0].dead
    assert await db.value(select(chargers.c.status).where(chargers.c.id == small.charger_id)) == "charging"


# ---- the store cannot write ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [DiskFull("no space"), Busy("somebody else writes")])
async def test_while_nothing_can_be_stored_everything_is_refused_and_then_it_goes_on(
    fragile: Small, faulty: FaultyDatabase, error: Exception
) -> None:
    engine = fragile.house.engine
    faulty.error = error  # type: ignore[assignment]
    answers: list[Answer] = []
    for value in range(10):
        engine.submit(metered(fragile, value), answers.append)
    await until(lambda: len(answers) == 10)
    assert all(isinstance(answer, StorageFailingError) for answer in answers)
    assert engine.failing
    assert fragile.house.broken == []
    faulty.error = None
    assert not (await engine.apply(metered(fragile, 77))).ignored
    assert not engine.failing
    assert await stored(fragile) == [77]
    assert await events.newest_dead_letters(faulty) == []


async def test_what_was_refused_is_forgotten_in_memory_too(fragile: Small, faulty: FaultyDatabase) -> None:
    faulty.error = DiskFull("no space")
    with pytest.raises(StorageFailingError):
        await fragile.house.engine.apply(status(fragile, "faulted"))
    faulty.error = None
    await fragile.house.engine.apply(status(fragile, "available", connector=2))
    assert await faulty.value(select(chargers.c.status).where(chargers.c.id == fragile.charger_id)) == "ready"


async def test_a_link_that_could_not_be_stored_gets_no_epoch(fragile: Small, faulty: FaultyDatabase) -> None:
    faulty.error = DiskFull("no space")
    opened = fragile.house.fact(LinkOpened, fragile.charger_id, protocol="1.6", address="", incarnation=1)
    with pytest.raises(StorageFailingError):
        await fragile.house.engine.apply(opened)
    faulty.error = None
    assert (await fragile.house.engine.apply(opened)).epoch == fragile.epoch + 1


async def test_a_store_that_broke_for_good_is_told_so_that_the_process_ends(
    fragile: Small, faulty: FaultyDatabase
) -> None:
    faulty.error = Broken("the disk failed")
    with pytest.raises(StorageFailingError):
        await fragile.house.engine.apply(metered(fragile, 1))
    assert [type(error) for error in fragile.house.broken] == [Broken]


async def test_a_bad_value_is_no_failure_of_the_store(fragile: Small, faulty: FaultyDatabase) -> None:
    faulty.error = BadValue("a text holds NUL")
    answers: list[Answer] = []
    fragile.house.engine.submit(metered(fragile, 1), answers.append)
    await until(lambda: bool(answers))
    assert not fragile.house.broken


# ---- bounds -------------------------------------------------------------------------------------------------------


async def test_the_inbox_is_bounded_and_says_so(
    fragile: Small, faulty: FaultyDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apply_module, "INBOX_MOST", 100)
    monkeypatch.setattr(apply_module, "GROUP_MOST", 10)
    faulty.gate.clear()
    answers: list[Answer] = []
    for value in range(200):
        fragile.house.engine.submit(metered(fragile, value), answers.append)
    assert fragile.house.engine.full
    assert sum(isinstance(answer, InboxFullError) for answer in answers) == 100
    faulty.gate.set()
    await until(lambda: len(answers) == 200)
    assert await stored(fragile) == list(range(100))
    assert not fragile.house.engine.full


async def test_stop_applies_what_is_in_the_inbox(small: Small) -> None:
    answers: list[Answer] = []
    for value in range(700):
        small.house.engine.submit(metered(small, value), answers.append)
    await small.house.engine.stop()
    assert len(answers) == 700
    assert await stored(small) == list(range(700))


async def test_stop_leaves_nobody_waiting_while_nothing_can_be_stored(fragile: Small, faulty: FaultyDatabase) -> None:
    faulty.error = DiskFull("no space")
    with pytest.raises(StorageFailingError):
        await fragile.house.engine.apply(metered(fragile, 1))
    answers: list[Answer] = []
    fragile.house.engine._task.cancel()  # type: ignore[union-attr]
    fragile.house.engine.submit(metered(fragile, 2), answers.append)
    await fragile.house.engine.stop()
    assert [type(answer) for answer in answers] == [StorageFailingError]


async def test_an_answer_that_cannot_be_delivered_disturbs_nobody(small: Small) -> None:
    answers: list[Answer] = []

    def gone(_: Answer) -> None:
        raise ConnectionError("the charger left")

    small.house.engine.submit(metered(small, 1), gone)
    small.house.engine.submit(metered(small, 2), answers.append)
    await until(lambda: bool(answers))
    assert await stored(small) == [1, 2]


async def test_a_charger_changed_by_a_person_is_loaded_anew(small: Small) -> None:
    db, engine = small.house.db, small.house.engine
    assert engine.room(small.charger_id) is not None
    async with db.transaction() as tx:
        await tx.run(update(chargers).where(chargers.c.id == small.charger_id).values(disabled=1))
    engine.forget(small.charger_id)
    assert engine.room(small.charger_id) is None
    await engine.apply(status(small, "charging"))
    room = engine.room(small.charger_id)
    assert room is not None
    assert room.disabled


async def test_readings_of_one_instant_do_not_collide(small: Small) -> None:
    fact = metered(small, 5)
    await asyncio.gather(*(small.house.engine.apply(fact, urgent=False) for _ in range(30)))
    assert await stored(small) == [5] * 30


async def test_a_boots_outcome_says_the_registration(small: Small) -> None:
    boot = small.house.fact(Booted, small.charger_id, epoch=small.epoch, vendor="A", model="B")
    assert (await small.house.engine.apply(boot)).registration == "accepted"


async def test_the_tables_are_there(db: Database) -> None:
    assert await db.value(select(func.count()).select_from(events_table)) == 0
    assert await db.value(text("select count(*) from restarts")) == 0
