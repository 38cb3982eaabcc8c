"""A server killed at any moment loses nothing that it acknowledged (faults D1), on both databases."""

import asyncio
import random
import signal
import subprocess
import sys
import time

import pytest
from sqlalchemy import select, text

from borne.store.db import Database, create_database
from borne.store.migrate import migrate
from borne.store.schema import readings

pytestmark = pytest.mark.anyio

KILLS = 8

WRITER = """
import asyncio, sys
from borne.store.db import create_database
from borne.store.schema import chargers, readings
COLUMNS = ("received_ms", "charger_id", "idx", "evse", "connector", "quantity", "value")
async def main():
    database = create_database(sys.argv[1])
    await database.open()
    number = int(sys.argv[2])
    async def group(first, size, urgent):
        async with database.transaction(urgent) as tx:
            await tx.insert_many(readings, COLUMNS, [(n, 1, 0, 1, 1, "x", n) for n in range(first, first + size)])
            await tx.update_many(chargers, ("id",), ("epoch", "state"), [(1, first, "x" * 500)])
        print(first + size - 1, flush=True)
    while True:
        await asyncio.gather(*(group(number + 100 * k, 1 + 7 * k, k == 2) for k in range(3)))
        number += 1000
asyncio.run(main())
"""


async def opened(url: str) -> Database:
    database = create_database(url)
    await database.open()
    return database


@pytest.mark.slow
async def test_no_acknowledged_row_is_lost_to_kills(database_url: str) -> None:
    await asyncio.to_thread(migrate, database_url)
    database = await opened(database_url)
    async with database.transaction() as tx:
        await tx.run(
            text(
                "INSERT INTO chargers (organisation_id, location_id, name, identity, created_ms, changed_ms) "
                "VALUES (1, 1, 'a', 'a', 1, 1)"
            )
        )
    await database.close()
    chance, acknowledged = random.Random(5), set()
    for kill in range(KILLS):
        acknowledged |= await asyncio.to_thread(
            write_until_killed, database_url, kill * 10**6, chance.uniform(0.02, 0.3)
        )
        database = await opened(database_url)
        kept = {row[0] for row in await database.all(select(readings.c.received_ms))}
        assert acknowledged <= kept, f"lost: {sorted(acknowledged - kept)[:5]}"
        assert not any(incomplete(kept, first) for first in kept if first % 100 == 0), "half a group was kept"
        if database.dialect == "sqlite":
            assert await database.value(text("PRAGMA integrity_check")) == "ok"
        await database.close()
    assert len(acknowledged) > 100


def incomplete(kept: set[int], first: int) -> bool:
    """Whether only a part of the group that begins with `first` is there."""
    size = 1 + 7 * (first % 1000 // 100)
    return not all(number in kept for number in range(first, first + size))


def write_until_killed(url: str, first: int, after_s: float) -> set[int]:
    """Return the last row of each group that the process acknowledged before it was killed."""
    arguments = [sys.executable, "-c", WRITER, url, str(first)]
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    said = [process.stdout.readline()]
    time.sleep(after_s)
    process.send_signal(signal.SIGKILL)
    said += process.communicate(timeout=30)[0].splitlines(keepends=True)
    # The last line may be cut off by the kill: then it says another number.
    return {int(line) for line in said if line.endswith("\n")}
