"""The audit log on both databases: whatever is done to its rows is found (A18), and what may happen to it is not."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from borne.core.actor import Actor
from borne.engine.audit import About, Audit, Erased, Noted, Verified, verify
from borne.engine.audit_watch import AuditWatch, verify_anchored
from borne.store import audit as store
from borne.store import audit_anchor
from borne.store.db import Database

pytestmark = pytest.mark.anyio

CAMILLE, ALI = Actor(1, "Camille", "192.0.2.1"), Actor(2, "Ali", "192.0.2.2")


class Clock:
    at_ms = 1_000

    def now_ms(self) -> int:
        self.at_ms += 1
        return self.at_ms


KEEPER = Audit(b"a key of the tests", Clock())


async def record(database: Database, actor: Actor = CAMILLE, action: str = "charger.changed", **more: Any) -> None:
    about = About(kind="charger", id=7, name=more.pop("name", "Quai 4"), person_id=more.pop("person_id", None))
    async with database.transaction() as tx:
        await KEEPER.record(tx, actor, action, about, organisation_id=3, **more)


@pytest.fixture
async def chain(database: Database) -> Database:
    """Six rows, of Camille and Ali in turn."""
    for number in range(6):
        await record(database, ALI if number % 2 else CAMILLE, number=number)
    return database


async def found(database: Database, *noted: Noted) -> Verified:
    return await verify(database, KEEPER, noted)


async def run(database: Database, *statements: str, **values: Any) -> None:
    async with database.transaction() as tx:
        for statement in statements:
            await tx.run(text(statement), values)


async def test_a_chain_that_nobody_touched_is_whole(chain: Database) -> None:
    whole = await found(chain)
    assert (whole.rows, whole.broken_at) == (6, None)
    assert (whole.rows, whole.head) == await store.head(chain)


async def test_an_empty_chain_is_whole(database: Database) -> None:
    assert await found(database) == Verified(0, b"")


@pytest.mark.parametrize(
    ("statements", "broken_at", "why"),
    [
        (("UPDATE audit_log SET details = replace(details, 'Quai', 'Kai') WHERE seq = 3",), 3, "its text was changed"),
        (("UPDATE audit_log SET action = 'charger.deleted' WHERE seq = 3",), 3, "the row was changed"),
        (("UPDATE audit_log SET actor_id = 9 WHERE seq = 4",), 4, "the row was changed"),
        (("UPDATE audit_log SET at_ms = at_ms + 1 WHERE seq = 1",), 1, "the row was changed"),
        (("UPDATE audit_log SET organisation_id = NULL WHERE seq = 6",), 6, "the row was changed"),
        (("DELETE FROM audit_log WHERE seq = 1",), 1, "a row is missing"),
        (("DELETE FROM audit_log WHERE seq = 4",), 4, "a row is missing"),
        (("DELETE FROM audit_log WHERE seq = 6",), 6, "the last rows are missing"),
        (("DELETE FROM audit_log",), 1, "the last rows are missing"),
        (("DELETE FROM audit_log", "UPDATE audit_head SET seq = 0"), 1, "another one than the last row's"),
        (
            (
                "UPDATE audit_log SET seq = 99 WHERE seq = 2",
                "UPDATE audit_log SET seq = 2 WHERE seq = 3",
                "UPDATE audit_log SET seq = 3 WHERE seq = 99",
            ),
            2,
            "the row was changed",
        ),
        (("UPDATE audit_log SET hash = commitment WHERE seq = 5",), 5, "the row was changed"),
        (("UPDATE audit_log SET details = NULL, salt = NULL WHERE seq = 2",), 2, "nobody was erased"),
        (("UPDATE audit_log SET salt = NULL WHERE seq = 2",), 2, "its text was changed"),
        (
            (
                "UPDATE audit_head SET seq = 4",
                "UPDATE audit_head SET hash = (SELECT hash FROM audit_log WHERE seq = 4)",
            ),
            5,
            "rows follow the last one",
        ),
    ],
    ids=lambda value: str(value)[:60] if isinstance(value, tuple) else None,
)
async def test_whatever_is_done_to_its_rows_is_found(
    chain: Database, statements: tuple[str, ...], broken_at: int, why: str
) -> None:
    await run(chain, *statements)
    broken = await found(chain)
    assert broken.broken_at == broken_at
    assert why in broken.why


async def test_a_chain_hashed_anew_with_another_key_is_found(chain: Database) -> None:
    forged = Audit(b"a key that was guessed", Clock())
    rows = await store.following(chain, 0)
    previous = b""
    async with chain.transaction() as tx:
        for row in rows:
            plain = (row.seq, row.at_ms, 3, 9, row.action, row.object_kind, row.object_id, row.person_id)
            previous = forged.chained(previous, plain, row.commitment)
            change = text("UPDATE audit_log SET actor_id = 9, hash = :hash WHERE seq = :seq")
            await tx.run(change, {"hash": previous, "seq": row.seq})
        await tx.run(text("UPDATE audit_head SET hash = :hash"), {"hash": previous})
    assert (await found(chain)).broken_at == 1


async def test_two_writers_at_once_make_one_chain(database: Database) -> None:
    await asyncio.gather(*(record(database, ALI, number=number) for number in range(24)))
    whole = await found(database)
    assert (whole.rows, whole.broken_at) == (24, None)


async def test_what_is_rolled_back_leaves_no_gap(chain: Database) -> None:
    with pytest.raises(ZeroDivisionError):
        async with chain.transaction() as tx:
            await KEEPER.record(tx, ALI, "charger.deleted", About(kind="charger"), organisation_id=3)
            raise ZeroDivisionError
    await record(chain)
    whole = await found(chain)
    assert (whole.rows, whole.broken_at) == (7, None)


async def test_a_verification_beside_writers_sees_a_whole_chain(chain: Database) -> None:
    writing = asyncio.gather(*(record(chain, number=number) for number in range(30)))
    while not writing.done():
        assert (await found(chain)).broken_at is None
        await asyncio.sleep(0)
    await writing
    assert (await found(chain)).rows == 36


async def test_an_erased_person_leaves_the_chain_whole(chain: Database) -> None:
    await record(chain, name="New: ali@a.test", person_id=None)
    await record(chain, name="Ali", person_id=2)
    mentions = tuple(row.seq for row in await store.mentions(chain, "ali@a.test"))
    assert mentions == (7,)
    async with chain.transaction() as tx:
        await KEEPER.erase(tx, ALI, Erased(2, (3,), mentions))
    whole = await found(chain)
    assert (whole.rows, whole.broken_at) == (10, None)
    texts = " ".join(row.details or "-" for row in await store.following(chain, 0))
    assert "Ali" not in texts
    assert "ali@" not in texts
    assert "192.0.2.2" not in texts
    assert texts.count("Camille") == 3


async def test_a_row_that_says_who_was_erased_cannot_be_made_up(chain: Database) -> None:
    """Without the row of an erasure a missing text is a fault; and such a row needs the key."""
    await run(chain, "UPDATE audit_log SET details = NULL, salt = NULL WHERE actor_id = 2")
    await run(chain, "UPDATE audit_log SET action = 'person.erased', object_id = 2 WHERE seq = 6")
    assert (await found(chain)).broken_at == 6


async def test_long_details_are_left_out_and_the_row_says_so(database: Database) -> None:
    await record(database, name="n" * 1_000, before="x" * 1_000_000)
    (row,) = await store.following(database, 0)
    assert len(row.details) < 2_000
    assert '"left_out"' in row.details
    assert (await found(database)).broken_at is None


# ---- heads noted outside -------------------------------------------------------------------------------------------


async def cut(database: Database, last_seq: int) -> None:
    """Take the newest rows away, head and all: the database alone looks whole."""
    await run(
        database,
        f"DELETE FROM audit_log WHERE seq > {last_seq}",
        f"UPDATE audit_head SET seq = {last_seq}, hash = (SELECT hash FROM audit_log WHERE seq = {last_seq})",
    )


async def test_a_database_older_than_a_noted_head_is_reported(chain: Database) -> None:
    whole = await found(chain)
    noted = Noted(whole.rows, whole.head)
    await cut(chain, 4)
    assert (await found(chain)).broken_at is None, "the database alone cannot tell"
    assert (await found(chain, noted)).broken_at == 5
    for _ in range(3):
        await record(chain)  # other rows take the numbers of those that are gone
    broken = await found(chain, noted)
    assert (broken.broken_at, broken.why) == (6, "another row stood here when this head was noted")


async def test_the_anchor_moves_on_and_never_back(chain: Database, tmp_path: Path) -> None:
    assert (await verify_anchored(chain, KEEPER, tmp_path, 5)).broken_at is None
    first = audit_anchor.read(tmp_path)
    assert first is not None
    assert first.seq == 6
    await record(chain)
    assert (await verify_anchored(chain, KEEPER, tmp_path, 6)).broken_at is None
    assert (audit_anchor.read(tmp_path) or first).seq == 7
    await cut(chain, 3)
    broken = await verify_anchored(chain, KEEPER, tmp_path, 7)
    assert broken.broken_at == 4
    assert "older" in broken.why
    assert (audit_anchor.read(tmp_path) or first).seq == 7


async def test_an_anchor_that_cannot_be_read_is_a_fault(chain: Database, tmp_path: Path) -> None:
    (tmp_path / audit_anchor.FILE).write_text("what?")
    assert (await verify_anchored(chain, KEEPER, tmp_path, 5)).broken_at == 0


async def test_the_watch_notes_heads_and_finds_out_at_the_next_look(chain: Database, tmp_path: Path) -> None:
    watch = AuditWatch(chain, KEEPER, tmp_path, Clock())
    await watch.look()
    assert watch.last is not None
    assert watch.last.found.broken_at is None
    await record(chain)
    await watch.look()
    anchor = audit_anchor.read(tmp_path)
    assert anchor is not None
    assert anchor.seq == 7
    assert watch.last.found.rows == 6, "the whole chain is not followed each time"
    await cut(chain, 5)
    await watch.look()
    assert watch.last.found.broken_at == 6
