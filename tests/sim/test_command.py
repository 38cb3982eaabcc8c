"""`borne simulate` as people type it, and the real sockets under it."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from borne.sim.behaviours import BEHAVIOURS
from borne.sim.command import simulate
from borne.sim.dialling import ConnectionLost, DialRefused
from borne.sim.websocket_dial import dial_websocket

BOOTED = {"status": "Accepted", "interval": 60, "currentTime": "2026-01-01T00:00:00Z"}
AUTHORIZATION = "Basic " + b64encode(b"CP-1:secret").decode()
RUN = "from borne.sim.command import simulate; simulate()"


async def central(socket: ServerConnection) -> None:
    """Answers every CALL; resets the charger once it has booted."""
    async for text in socket:
        frame = json.loads(text)
        if frame[0] == 2:
            await socket.send(json.dumps([3, frame[1], BOOTED if frame[2] == "BootNotification" else {}]))
        if frame[0] == 2 and frame[2] == "BootNotification":
            await socket.send(json.dumps([2, "r1", "Reset", {"type": "Hard"}]))


@asynccontextmanager
async def listening(handler: Callable[[ServerConnection], Awaitable[None]]) -> AsyncIterator[str]:
    def check(socket: ServerConnection, request: Request) -> Response | None:
        if request.headers.get("Authorization") == AUTHORIZATION and request.path == "/ocpp/CP-1":
            return None
        return socket.respond(HTTPStatus.UNAUTHORIZED, "")

    async with serve(handler, "127.0.0.1", 0, subprotocols=["ocpp1.6"], process_request=check) as server:  # type: ignore[list-item]
        port = server.sockets[0].getsockname()[1]
        yield f"ws://127.0.0.1:{port}/ocpp"


def test_list_shows_every_behaviour_in_one_line() -> None:
    result = CliRunner().invoke(simulate, ["--list"])
    assert result.exit_code == 0
    assert [line.split()[0] for line in result.output.splitlines()] == list(BEHAVIOURS)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give --identity"),
        (["--identity", "a", "--fleet", "f.json"], "give --identity"),
        (["--identity", "a", "--behaviour", "x"], "no such behaviour"),
        (["--fleet", "/nowhere/f.json"], "/nowhere/f.json"),
    ],
)
def test_wrong_arguments_are_told(arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(simulate, arguments)
    assert result.exit_code != 0
    assert message in result.output


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_it_reboots_over_a_real_socket_and_ends_cleanly_when_interrupted(ending: signal.Signals) -> None:
    async def story() -> tuple[str, str, int]:
        async with listening(central) as url:
            options = ["--identity", "CP-1", "--password", "secret", "--url", url, "--scale", "0.02", "--frames"]
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-c", RUN, *options),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )
            assert process.stdout is not None
            lines: list[str] = []
            while not any("reboot done" in line for line in lines):
                lines.append((await asyncio.wait_for(process.stdout.readline(), 20)).decode())
            process.send_signal(ending)
            out, err = await asyncio.wait_for(process.communicate(), 20)
            return "".join(lines) + out.decode(), err.decode(), process.returncode or 0

    out, err, code = asyncio.run(story())
    assert code == 0
    assert out.endswith("stopped\n")
    assert "reset answered" in out
    assert "BootNotification" in err, "--frames shows frames"
    assert "Traceback" not in err


def test_a_refused_handshake_tells_its_status_and_nobody_there_tells_none() -> None:
    async def story() -> None:
        async with listening(central) as url:
            with pytest.raises(DialRefused) as refused:
                await dial_websocket(f"{url}/CP-1", ["ocpp1.6"], {})
            assert refused.value.status == 401
        with pytest.raises(DialRefused) as refused:
            await dial_websocket(f"{url}/CP-1", ["ocpp1.6"], {})
        assert refused.value.status is None

    asyncio.run(story())


@pytest.mark.parametrize(("how", "code"), [("close", 1000), ("abort", 1006)])
def test_both_ways_to_leave_are_seen_by_the_other_side(how: str, code: int) -> None:
    async def story() -> None:
        seen: list[Any] = []
        done = asyncio.Event()

        async def watch(socket: ServerConnection) -> None:
            await socket.wait_closed()
            seen.append(socket.close_code)
            done.set()

        async with listening(watch) as url:
            connection = await dial_websocket(f"{url}/CP-1", ["ocpp1.6"], {"Authorization": AUTHORIZATION})
            if how == "close":
                await connection.close()
            else:
                connection.abort()
            with pytest.raises(ConnectionLost):
                await connection.recv()
            with pytest.raises(ConnectionLost):
                await connection.send("x")
            await asyncio.wait_for(done.wait(), 5)
        assert seen == [code]

    asyncio.run(story())


def test_a_frozen_connection_answers_no_ping_and_stays_open() -> None:
    async def story() -> None:
        pongs: list[bool] = []
        done = asyncio.Event()

        async def ping(socket: ServerConnection) -> None:
            await asyncio.wait_for(await socket.ping(), 2)
            await socket.send("freeze now")
            await asyncio.sleep(0.1)
            waiter = await socket.ping()
            await asyncio.wait({waiter}, timeout=0.3)
            pongs.append(waiter.done())
            done.set()

        async with listening(ping) as url:
            connection = await dial_websocket(f"{url}/CP-1", ["ocpp1.6"], {"Authorization": AUTHORIZATION})
            await connection.recv()
            connection.freeze()
            await asyncio.wait_for(done.wait(), 5)
            connection.abort()
        assert pongs == [False]

    asyncio.run(story())


def test_the_fleet_option_reads_a_file(tmp_path: Path) -> None:
    path = tmp_path / "fleet.toml"
    path.write_text('[[members]]\nidentity = "a"\ncolour = 1\n')
    result = CliRunner().invoke(simulate, ["--fleet", str(path)])
    assert result.exit_code == 1
    assert "colour" in result.output
