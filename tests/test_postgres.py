"""The throw-away PostgreSQL answers, keeps tests apart, and dies with the process that started it."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import asyncpg
import pytest

from tests.support import postgres
from tests.support.policy import require

ROOT = Path(__file__).parent.parent
HOLDER = """
import time
from tests.support.postgres import running_server
with running_server() as server:
    print(server.port, flush=True)
    time.sleep(60)
"""


async def test_each_test_has_an_empty_database_of_its_own(postgres_server: postgres.PostgresServer) -> None:
    with postgres_server.database() as first, postgres_server.database() as second:
        for url in (first, second):
            connection = await asyncpg.connect(url)
            await connection.execute("CREATE TABLE thing (id bigint PRIMARY KEY)")
            await connection.close()


async def test_a_database_goes_even_while_somebody_is_connected(postgres_server: postgres.PostgresServer) -> None:
    with postgres_server.database() as url:
        connection = await asyncpg.connect(url)
    with pytest.raises(asyncpg.InvalidCatalogNameError):
        await asyncpg.connect(url)
    connection.terminate()


def test_server_dies_with_its_test_process() -> None:
    require(postgres.find_binaries(), "no PostgreSQL binaries")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    holder = subprocess.Popen([sys.executable, "-c", HOLDER], env=environment, stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    port = int(holder.stdout.readline())
    assert is_open(port)
    holder.send_signal(signal.SIGKILL)
    holder.wait(10)
    holder.stdout.close()
    end = time.monotonic() + 30
    while is_open(port) and time.monotonic() < end:
        time.sleep(0.05)
    assert not is_open(port)


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
