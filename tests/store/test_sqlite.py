"""What only the embedded database does: one writer beside others, a loop that never waits, and disks that fail."""

import asyncio
import gc
import sqlite3
import subprocess
import sys
import threading
import weakref
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from sqlalchemy import bindparam, func, select, text

from borne.store import sqlite as store
from borne.store.db import Broken, Busy, Corrupt, DiskFull, InDoubt, StoreError
from borne.store.schema import readings
from borne.store.sqlite import SqliteDatabase
from borne.store.turn import Turn
from tests.support.policy import unavailable

pytestmark = pytest.mark.anyio

READING = ("received_ms", "charger_id", "idx", "evse", "connector", "quantity", "value", "raw")
COUNT = select(func.count()).select_from(readings)
SLOW = text("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000000) SELECT max(i) FROM n")


def rows(first: int, count: int, size: int = 10) -> list[tuple[object, ...]]:
    return [(1000, number, 0, 1, 1, "x", number, "r" * size) for number in range(first, first + count)]


async def write(database: SqliteDatabase, first: int, count: int = 1, size: int = 10) -> None:
    async with database.transaction() as tx:
        await tx.insert_many(readings, READING, rows(first, count, size))


async def opened(path: Path, *, threads: bool = True) -> SqliteDatabase:
    database = SqliteDatabase(str(path), threads=threads)
    await database.open()
    async with database.transaction() as tx:
        await tx.run(
            text(
                "CREATE TABLE IF NOT EXISTS readings (received_ms, charger_id, idx, evse, connector, quantity, value, raw)"
            )
        )
    return database


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[SqliteDatabase]:
    database = await opened(tmp_path / "a.sqlite3")
    yield database
    await database.close()


async def test_nothing_is_acknowledged_before_the_disk_has_it(database: SqliteDatabase) -> None:
    async with database.transaction() as tx:
        assert await tx.value(text("PRAGMA synchronous")) == 2
        assert await tx.value(text("PRAGMA fullfsync")) == 1
        assert await tx.value(text("PRAGMA checkpoint_fullfsync")) == 1
        assert await tx.value(text("PRAGMA journal_mode")) == "wal"
        assert await tx.value(text("PRAGMA wal_autocheckpoint")) == 8000


async def test_only_commits_leave_the_loops_thread(database: SqliteDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def commit(connection: sqlite3.Connection) -> None:
        seen.append(threading.current_thread().name)
        connection.execute("COMMIT")

    monkeypatch.setattr(store, "_commit", commit)
    await write(database, 1)
    async with database.transaction():
        pass  # nothing written: nothing to wait for
    assert seen == ["borne-commit-0", threading.current_thread().name]


async def test_without_threads_all_happens_on_the_callers(tmp_path: Path) -> None:
    before = threading.active_count()
    database = await opened(tmp_path / "b.sqlite3", threads=False)
    await write(database, 1, 5)
    assert await database.value(COUNT) == 5
    assert threading.active_count() == before
    await database.close()


async def test_a_slow_commit_does_not_stop_the_loop(database: SqliteDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    loop_runs = threading.Event()
    seen: list[bool] = []

    def commit(connection: sqlite3.Connection) -> None:
        seen.append(loop_runs.wait(10))
        connection.execute("COMMIT")

    monkeypatch.setattr(store, "_commit", commit)
    asyncio.get_running_loop().call_later(0.1, loop_runs.set)
    await write(database, 1)
    assert seen == [True]


async def test_a_slow_reader_stops_neither_the_loop_nor_writers(database: SqliteDatabase) -> None:
    reading = asyncio.ensure_future(database.value(SLOW))
    await asyncio.sleep(0.02)
    for number in range(5):
        await write(database, number)
    assert not reading.done()
    await reading
    assert await database.value(COUNT) == 5


async def test_another_programs_write_is_waited_for_without_stopping_the_loop(database: SqliteDatabase) -> None:
    other = sqlite3.connect(database.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    waiting = asyncio.create_task(write(database, 1))
    await asyncio.sleep(0.3)
    assert not waiting.done()
    other.execute("COMMIT")
    await waiting
    other.close()


async def test_another_program_that_never_ends_is_busy(
    database: SqliteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "BUSY_PATIENCE_S", 0.1)
    other = sqlite3.connect(database.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Busy, match="another program"):
        await write(database, 1)
    other.execute("COMMIT")
    other.close()
    await write(database, 1)


async def test_another_program_can_write_beside(database: SqliteDatabase) -> None:
    program = (
        "import sqlite3, sys\nc = sqlite3.connect(sys.argv[1], timeout=10, isolation_level=None)\n"
        "for n in range(200): c.execute('INSERT INTO readings (value) VALUES (?)', (n,))"
    )
    beside = asyncio.create_task(
        asyncio.to_thread(subprocess.run, [sys.executable, "-c", program, str(database.path)], check=True, timeout=60)
    )
    count = 0
    while not beside.done():
        await write(database, count)
        count += 1
        await asyncio.sleep(0.001)
    await beside
    assert await database.value(COUNT) == 200 + count


async def test_a_full_disk_rolls_back_cleanly_and_heals(database: SqliteDatabase) -> None:
    await write(database, 0, 10)
    pages = database.writer.execute("PRAGMA page_count").fetchone()[0]
    database.writer.execute(f"PRAGMA max_page_count={pages + 3}")
    with pytest.raises(DiskFull, match="no space left"):
        await write(database, 10, 100, size=5000)
    assert await database.value(COUNT) == 10
    await write(database, 10)
    database.writer.execute("PRAGMA max_page_count=1000000")
    await write(database, 11, 100, size=5000)
    assert await database.value(COUNT) == 111


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder], capture_output=True, check=False)
    if made.returncode != 0:
        unavailable("making a small file system needs root")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


async def test_a_really_full_disk_acknowledges_nothing_and_heals(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"x" * 1_000_000)
    database = await opened(small_disk / "a.sqlite3")
    acknowledged = 0
    with pytest.raises(DiskFull):
        for _ in range(1000):
            await write(database, acknowledged, 10, size=500)
            acknowledged += 10
    assert acknowledged > 100
    for _ in range(3):
        with pytest.raises(DiskFull):
            await write(database, acknowledged, 100, size=500)
    assert await database.value(COUNT) == acknowledged
    ballast.unlink()
    await write(database, acknowledged, 100, size=500)
    assert await database.value(COUNT) == acknowledged + 100
    await database.close()
    check = sqlite3.connect(small_disk / "a.sqlite3")
    assert check.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    check.close()


async def test_after_a_failed_fsync_nothing_is_tried_again(
    database: SqliteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    def commit(connection: sqlite3.Connection) -> None:
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(store, "_commit", commit)
        with pytest.raises(InDoubt, match="the disk failed"):
            await write(database, 1)
    with pytest.raises(Broken, match="the disk failed"):
        await write(database, 2)
    assert await database.value(COUNT) == 0


FILE_LIMIT = """
import asyncio, resource, signal, sys
from pathlib import Path
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
from tests.store.test_sqlite import opened, write, COUNT
from borne.store.db import Broken
async def main():
    database = await opened(Path(sys.argv[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
    done = 0
    try:
        while True:
            await write(database, done, 10, size=500)
            done += 10
    except Broken as error:
        print(type(error).__name__, done)
    try:
        await write(database, done)
    except Broken:
        print("stays")
asyncio.run(main())
"""


async def test_a_disk_that_refuses_a_write_stops_all_writing(tmp_path: Path) -> None:
    path = tmp_path / "limited.sqlite3"
    arguments = [sys.executable, "-c", FILE_LIMIT, str(path)]
    found = await asyncio.to_thread(subprocess.run, arguments, capture_output=True, text=True, timeout=60)
    lines = found.stdout.splitlines()
    assert lines[1:] == ["stays"], found.stderr
    acknowledged = int(lines[0].split()[1])
    database = await opened(path)
    assert await database.value(COUNT) == acknowledged > 0
    await database.close()


async def test_a_damaged_file_is_corrupt(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite3"
    database = await opened(path)
    await write(database, 0, 2000, size=200)
    await database.close()
    data = bytearray(path.read_bytes())
    data[8192:] = b"\xa5" * (len(data) - 8192)
    path.write_bytes(data)
    database = await opened(path)
    with pytest.raises(Corrupt, match="restore a backup"):
        await database.value(text("SELECT sum(value) FROM readings"))
    with pytest.raises(Corrupt, match="restore a backup"):
        await write(database, 5000, 500, size=200)
    await database.close()


async def test_what_cannot_be_opened_says_why(tmp_path: Path) -> None:
    with pytest.raises(Broken, match="No such file or directory"):
        await SqliteDatabase(str(tmp_path / "none" / "a")).open()
    with pytest.raises(Broken, match="is a folder"):
        await SqliteDatabase(str(tmp_path)).open()
    (tmp_path / "text").write_text("not a database at all, " * 99)
    with pytest.raises(Corrupt):
        await SqliteDatabase(str(tmp_path / "text")).open()
    with pytest.raises(Broken, match="not open"):
        await SqliteDatabase(str(tmp_path / "b")).all(COUNT)


async def test_only_the_owner_can_read_the_file(database: SqliteDatabase) -> None:
    await write(database, 1)
    files = list(database.path.parent.glob("a.sqlite3*"))
    assert len(files) == 3
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}


async def test_readers_cannot_write(database: SqliteDatabase) -> None:
    for fast in (True, False):
        with pytest.raises(StoreError):
            await database.all(text("DELETE FROM readings"), fast=fast)


async def test_closing_waits_for_the_commit_under_way(tmp_path: Path) -> None:
    database = await opened(tmp_path / "c.sqlite3")
    writing = [asyncio.create_task(write(database, number)) for number in range(5)]
    await asyncio.sleep(0)
    await database.close()
    results = await asyncio.gather(*writing, return_exceptions=True)
    kept = sum(result is None for result in results)
    assert all(result is None or isinstance(result, StoreError) for result in results)
    check = sqlite3.connect(tmp_path / "c.sqlite3")
    assert check.execute("SELECT count(*) FROM readings").fetchone() == (kept,)
    check.close()


async def test_the_urgent_go_before_the_others_and_each_in_order() -> None:
    turn, order = Turn(), []

    async def work(name: str, urgent: bool) -> None:
        await turn.take(urgent)
        order.append(name)
        await asyncio.sleep(0)
        turn.give_back()

    await asyncio.gather(work("a", False), work("b", False), work("c", True), work("d", True), work("e", False))
    assert order == ["a", "c", "d", "b", "e"]


async def test_a_turn_that_was_cancelled_goes_to_the_next() -> None:
    turn = Turn()
    await turn.take(False)
    first, second = (asyncio.create_task(turn.take(False)) for _ in range(2))
    await asyncio.sleep(0)
    turn.give_back()
    first.cancel()
    await asyncio.wait_for(second, 1)
    turn.give_back()
    await asyncio.wait_for(turn.take(False), 1)


async def test_an_in_list_is_compiled_once(database: SqliteDatabase) -> None:
    chosen = select(readings.c.value).where(readings.c.charger_id.in_(bindparam("wanted", expanding=True)))
    await database.all(chosen, {"wanted": [1]})
    prepared = database.statements.prepare(chosen)
    await database.all(chosen, {"wanted": [1, 2, 3]})
    assert database.statements.prepare(chosen) is prepared


async def test_lists_of_many_lengths_make_few_texts(database: SqliteDatabase) -> None:
    chosen = select(readings.c.value).where(readings.c.charger_id.in_(bindparam("wanted", expanding=True)))
    prepared = database.statements.prepare(chosen)
    texts = {prepared.filled({"wanted": list(range(length))})[0] for length in range(1000)}
    assert len(texts) <= 12


async def test_statements_made_for_one_page_are_forgotten(database: SqliteDatabase) -> None:
    gone = []
    for number in range(3):
        chosen = select(readings.c.value).where(readings.c.charger_id.in_([number, 5]), readings.c.evse == number)
        plain = select(readings.c.value).where(readings.c.charger_id == number).limit(3)
        for statement in (chosen, plain):
            await database.all(statement)
            gone.append(weakref.ref(statement))
    del chosen, plain, statement
    gc.collect()
    assert [found() for found in gone] == [None] * 6


async def test_opening_it_again_in_the_same_process_drops_no_lock(database: SqliteDatabase) -> None:
    again = SqliteDatabase(str(database.path))
    async with database.transaction() as tx:
        await tx.insert_many(readings, READING, rows(1, 1))
        await again.open()
        other = "import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=0).execute('BEGIN IMMEDIATE')"
        arguments = [sys.executable, "-c", other, str(database.path)]
        refused = await asyncio.to_thread(subprocess.run, arguments, capture_output=True, text=True, timeout=60)
        assert "database is locked" in refused.stderr
    await again.close()
    assert await database.value(COUNT) == 1
