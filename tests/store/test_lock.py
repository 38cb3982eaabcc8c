"""The server's lock: one server on a database, and others beside it."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import text

from borne.store.db import StoreError, create_database
from borne.store.lock import AlreadyServedError, server_lock

pytestmark = pytest.mark.anyio

HOLDER = """
import asyncio, sys
from borne.store.lock import server_lock
async def main():
    async with server_lock(sys.argv[1]):
        print("held", flush=True)
        sys.stdin.read()
asyncio.run(main())
"""


def hold_elsewhere(url: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


async def is_free(url: str) -> bool:
    try:
        async with server_lock(url):
            return True
    except AlreadyServedError:
        return False


async def test_a_second_server_is_refused_until_the_first_dies(database_url: str) -> None:
    holder = hold_elsewhere(database_url)
    try:
        with pytest.raises(AlreadyServedError, match=r"another Borne server .*stop that one first") as refused:
            await server_lock(database_url).__aenter__()
        if database_url.startswith("sqlite"):
            assert f"(process {holder.pid})" in str(refused.value)
        # What takes no lock works beside it.
        database = create_database(database_url)
        await database.open()
        assert await database.value(text("SELECT 1")) == 1
        await database.close()
    finally:
        holder.kill()
        holder.communicate()
    for _ in range(100):
        if await is_free(database_url):
            return
        await asyncio.sleep(0.05)
    pytest.fail("the lock of a killed server stayed")


async def test_a_lock_given_back_is_free(database_url: str) -> None:
    async with server_lock(database_url):
        assert not await is_free(database_url)
    assert await is_free(database_url)


async def test_a_link_to_the_database_has_the_same_lock(tmp_path: Path) -> None:
    (tmp_path / "real.sqlite3").touch()
    (tmp_path / "link.sqlite3").symlink_to(tmp_path / "real.sqlite3")
    async with server_lock(f"sqlite:///{tmp_path}/real.sqlite3"):
        assert not await is_free(f"sqlite:///{tmp_path}/link.sqlite3")


async def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be made"):
        await server_lock(f"sqlite:///{tmp_path}/none/a.sqlite3").__aenter__()


async def test_a_broken_connection_tells_that_the_lock_is_lost(postgres_database: str) -> None:
    lost = asyncio.Event()
    database = create_database(postgres_database)
    await database.open()
    async with server_lock(postgres_database, lost.set):
        assert not lost.is_set()
        end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'borne lock'"
        await database.all(text(end))
        await asyncio.wait_for(lost.wait(), 5)
    await database.close()


async def test_giving_the_lock_back_is_no_loss(postgres_database: str) -> None:
    lost = asyncio.Event()
    async with server_lock(postgres_database, lost.set):
        pass
    await asyncio.sleep(0.1)
    assert not lost.is_set()
