"""Chargers that lie, over real sockets against a running server.

Another, well-behaved one on the same server stays served all along; nothing of what they say goes to the dead letters or breaks a
line of the log; memory stays bounded.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect as connect_sync

from tests.faults.lies import frames_v16, frames_v201
from tests.support.clicks import log_in, restart
from tests.support.server import Credentials, Site, running_site, wait_until

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.timeout(120)]

ANSWERED_WITHIN_S = 1.0
BEAT_S = 0.1
MEMORY_MIB = 300  # of the whole server, after everything
OPENS_A_MINUTE = 20
LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ (info|warning|error) ")
BOOT = {"chargePointVendor": "V", "chargePointModel": "M"}


def basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def dial(site: Site, who: Credentials, *, version: str = "ocpp1.6", path: str | None = None, **headers: str) -> connect:
    given = {**basic(who.identity, who.password), **headers}
    return connect(
        f"{site.gateway_url}/{path or who.identity}", additional_headers=given, subprotocols=[version],  # type: ignore[list-item]
        compression=None, proxy=None, max_size=None, ping_interval=None,
    )  # fmt: skip


async def call(socket: ClientConnection, action: str, payload: Any, call_id: str = "c") -> list[Any]:
    """Ask, and wait for the answer; calls of the server are left aside."""
    await socket.send(json.dumps([2, call_id, action, payload], ensure_ascii=False))
    while True:
        frame: list[Any] = json.loads(await asyncio.wait_for(socket.recv(), 10))
        if frame[0] in (3, 4) and frame[1] == call_id:
            return frame


async def is_served(socket: ClientConnection) -> bool:
    return (await call(socket, "Heartbeat", {}, "alive"))[0] == 3


class Witness:
    """A charger that does as it should: a heartbeat ten times a second, in a thread of its own."""

    def __init__(self, site: Site, who: Credentials) -> None:
        self.answers: list[
            tuple[float, float, float]
        ] = []  # (when, how long it took, how much too long the sleep after it)
        self.trouble = ""
        self._site, self._who = site, who
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="witness", daemon=True)
        self._thread.start()
        wait_until(lambda: self.answers or self.trouble, "the witness is served")

    def _run(self) -> None:
        try:
            who, url = self._who, f"{self._site.gateway_url}/{self._who.identity}"
            with connect_sync(
                url, additional_headers=basic(who.identity, who.password), subprotocols=["ocpp1.6"],  # type: ignore[list-item]
                compression=None, proxy=None,
            ) as socket:  # fmt: skip
                for number in range(10**9):
                    began = time.monotonic()
                    socket.send(json.dumps([2, str(number), "Heartbeat", {}]))
                    while json.loads(socket.recv(timeout=10))[1] != str(number):
                        pass
                    answered = time.monotonic()
                    if self._done.wait(BEAT_S):
                        return
                    overslept = time.monotonic() - answered - BEAT_S
                    self.answers.append((began, answered - began, overslept))
        except Exception as error:
            self.trouble = repr(error)

    def since(self, began: float) -> tuple[float, float] | None:
        """The longest of its waits for an answer since then, and the most that it overslept; None: none was answered."""
        found = [(took, overslept) for when, took, overslept in list(self.answers) if when >= began]
        return (max(took for took, _ in found), max(overslept for _, overslept in found)) if found else None

    def stop(self) -> None:
        self._done.set()
        self._thread.join(5)


@dataclass
class Court:
    """The server, its witness, and who tells lies before it."""

    site: Site
    witness: Witness
    charger: Any  # makes a charger whose credentials the gateway knows already
    names: list[str] = field(default_factory=list)

    def rows(self, table: str, charger: Credentials) -> int:
        return int(self.site.sql(f"SELECT count(*) FROM {table} WHERE charger_id = ?", charger.id)[0][0])

    def state(self, charger: Credentials) -> dict[str, Any]:
        (text,) = self.site.sql("SELECT state FROM chargers WHERE id = ?", charger.id)[0]
        return json.loads(text)  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Court]:
    rules = {"opens_a_minute": OPENS_A_MINUTE, "ping_s": 20.0, "settle_s": 0.5}
    with running_site(tmp_path_factory.mktemp("court") / "site", gateway=rules) as site:
        site.add_organisation("Lumen", "business")
        site.add_person("boss@test.example", "super-admin", "Lumen")
        spare = add_chargers(site, 32)
        time.sleep(1)  # the gateway looks twice a second what was added beside it
        witness = Witness(site, spare.pop())
        yield Court(site, witness, spare.pop)
        witness.stop()
        check_at_the_end(site)


def add_chargers(site: Site, count: int) -> list[Credentials]:
    """Many at once: a command each would take long."""
    file = site.folder / "chargers.json"
    site.admin("add-chargers", "--count", str(count), "--json", str(file))
    ids = {identity: number for number, identity in site.sql("SELECT id, identity FROM chargers")}
    made = json.loads(file.read_text())
    return [Credentials(ids[one["identity"]], one["identity"], **one) for one in made]


def check_at_the_end(site: Site) -> None:
    """After everything: the process lives, memory is bounded, no fact was buried, no line of the log is broken."""
    assert site.process is not None
    assert site.process.poll() is None
    assert site.sql("SELECT fact, error FROM dead_letters") == []
    assert memory_mib(site.process.pid) < MEMORY_MIB
    for line in site.log.splitlines():
        assert LINE.match(line), f"a broken line: {line!r}"
        assert "Traceback" not in line


def memory_mib(pid: int) -> float:
    if not Path(f"/proc/{pid}/status").exists():
        return 0.0  # not Linux
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) / 1024 if found else 0.0


@pytest.fixture
def court(running: Court) -> Iterator[Court]:
    """…whose witness is served during the test and for a moment after it."""
    began = time.monotonic()
    yield running
    ended = time.monotonic()
    wait_until(lambda: running.witness.trouble or running.witness.since(ended), "the witness is served after it")
    assert running.witness.trouble == ""
    took, overslept = running.witness.since(began) or (0.0, 0.0)
    # On a machine so busy that even a sleep takes longer than asked, so does an answer.
    assert took < ANSWERED_WITHIN_S + 2 * overslept


# ---- who they say they are -------------------------------------------------------------------------------------------


async def refused(site: Site, who: Credentials, **how: Any) -> int:
    try:
        async with dial(site, who, **how):
            return 101
    except InvalidStatus as error:
        return error.response.status_code


async def test_t5_the_identity_of_another_with_ones_own_password(court: Court) -> None:
    liar, victim = court.charger(), court.charger()
    async with dial(court.site, victim) as socket:
        assert await is_served(socket)
        before = court.state(victim)["epoch"]
        mixed = Credentials(victim.id, "", victim.identity, liar.password, "")
        for path in (None, f"{liar.password}/{victim.identity}", f"{liar.identity}%2F..%2F{victim.identity}"):
            assert await refused(court.site, mixed, path=path) in (400, 401, 404)
        assert await refused(court.site, mixed, **basic(liar.identity, liar.password)) == 401
        assert await refused(court.site, mixed, **basic(victim.identity, "")) == 401
        assert await is_served(socket)
        assert court.state(victim)["epoch"] == before


async def test_a_million_guesses_lock_nobody_out(court: Court) -> None:
    """Whoever guesses is told to wait; the charger itself, from the same address, always passes."""
    victim = court.charger()
    wrong = Credentials(victim.id, "", victim.identity, "wrong-wrong-wrong", "")
    answers = {await refused(court.site, wrong) for _ in range(80)}
    assert answers == {401, 429}
    assert await refused(court.site, victim) == 101


@pytest.mark.parametrize(
    "path", ["%0d%0aerror%20forged", "%1b[31mred", "a%00b", "..%2f..%2fetc", "%e2%80%aeexe", "x" * 400]
)
async def test_a9_no_path_breaks_a_line_or_shows_up_as_it_is(court: Court, path: str) -> None:
    before = court.site.log
    assert await refused(court.site, court.witness._who, path=path) in (400, 401, 404)
    new = court.site.log[len(before) :]
    assert "\x1b" not in new
    assert all(LINE.match(line) for line in new.splitlines())


# ---- too much ----------------------------------------------------------------------------------------------------------


async def test_f8_a_flood_without_waiting_is_answered_in_order_or_ended(court: Court) -> None:
    liar = court.charger()
    answered: list[str] = []
    async with dial(court.site, liar) as socket:

        async def read() -> None:
            try:
                async for text in socket:
                    answered.append(json.loads(text)[1])
            except ConnectionClosed:
                return

        reading = asyncio.ensure_future(read())
        try:
            for number in range(10_000):
                await socket.send(f'[2,"{number}","MeterValues",{{"connectorId":1,"meterValue":[]}}]')
        except ConnectionClosed:
            pass
        await asyncio.wait([reading], timeout=20)
        reading.cancel()
    assert answered == [str(number) for number in range(len(answered))]
    assert answered


async def test_t9_a_flood_by_somebody_who_never_reads(court: Court) -> None:
    liar = court.charger()
    reader, writer = await asyncio.open_connection("127.0.0.1", court.site.gateway_port, limit=1024)
    writer.write(handshake(liar))
    await reader.readuntil(b"\r\n\r\n")
    try:
        for number in range(300):
            writer.write(b"".join(masked(f'[2,"{number}.{n}","Heartbeat",{{}}]'.encode()) for n in range(100)))
            await asyncio.wait_for(writer.drain(), 1)
    except (OSError, TimeoutError):
        pass
    writer.transport.abort()


def handshake(who: Credentials) -> bytes:
    lines = [
        f"GET /ocpp/{who.identity} HTTP/1.1", "Host: x", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: " + base64.b64encode(os.urandom(16)).decode(), "Sec-WebSocket-Protocol: ocpp1.6",
        "Authorization: " + basic(who.identity, who.password)["Authorization"], "", "",
    ]  # fmt: skip
    return "\r\n".join(lines).encode()


def masked(payload: bytes, opcode: int = 1, fin: bool = True) -> bytes:
    head = bytes([(0x80 if fin else 0) | opcode, 0x80 | min(len(payload), 126)])
    if len(payload) >= 126:
        head += len(payload).to_bytes(2, "big")
    return head + bytes(4) + payload  # a mask of zeros


@pytest.mark.parametrize(
    ("bytes_sent", "code"),
    [
        (masked(b'[2,"1","Heartbeat",{"x":"' + b"x" * 64_000, fin=False) + masked(b"x" * 60_000, 0, fin=False), 1009),
        (b"".join(masked(b"x", 0 if n else 1, fin=False) for n in range(10_000)), 1009),
        (masked(b"\x00\x01", 2), 1003),
        (masked(b"\xff\xfe"), 1007),
        (b"\xc1\x80" + bytes(4), 1002),
    ],
    ids=["large", "ten thousand fragments", "binary", "no UTF-8", "reserved bits"],
)
async def test_t10_t11_bad_frames_end_their_own_link(court: Court, bytes_sent: bytes, code: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", court.site.gateway_port)
    writer.write(handshake(court.charger()))
    assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
    writer.write(bytes_sent)
    rest = await asyncio.wait_for(reader.read(), 10)
    assert code.to_bytes(2, "big") in rest
    writer.close()


async def test_garbage_before_any_handshake(court: Court) -> None:
    for garbage in (
        os.urandom(5_000),
        b"GET / HTTP/1.1\r\n" * 2_000,
        b"\x16\x03\x01\x02\x00" + os.urandom(500),
        b"\r\n" * 9_000,
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", court.site.gateway_port)
        writer.write(garbage)
        try:
            writer.write_eof()
            await asyncio.wait_for(reader.read(100_000), 12)
        except OSError:
            pass
        writer.close()


async def test_a_storm_of_reconnects_is_told_to_wait(court: Court) -> None:
    liar = court.charger()
    answers = [await refused(court.site, liar) for _ in range(3 * OPENS_A_MINUTE)]
    assert answers[: OPENS_A_MINUTE // 2] == [101] * (OPENS_A_MINUTE // 2)
    assert answers[-1] == 503


# ---- what they say -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("version", "frames"), [("ocpp1.6", frames_v16), ("ocpp2.0.1", frames_v201)])
async def test_f2_each_field_of_each_message_with_each_odd_value(court: Court, version: str, frames: Any) -> None:
    """Every one is answered, result or error, and the link lives on."""
    liar = court.charger()
    async with dial(court.site, liar, version=version) as socket:
        sent = 0
        for batch in frames():
            for text in batch:
                await socket.send(text)
            for _ in batch:
                frame = json.loads(await asyncio.wait_for(socket.recv(), 10))
                assert frame[0] in (3, 4)
                assert frame[1].isdigit()
            sent += len(batch)
        assert sent > 500
        assert await is_served(socket)


async def test_f1_what_is_no_frame_at_all(court: Court) -> None:
    async with dial(court.site, court.charger()) as socket:
        for text in (
            "", "[]", "{}", "null",
            "[2]", '[2,"1"]', '[2,"1","Heartbeat"]', "[1]", '[99,"1","X",{}]', '[2,1,"Heartbeat",{}]',
            "NaN", '[2,"1","Heartbeat",{}]extra', "[" * 60_000, '{"a":' * 9_000, '[2,"' + "x" * 60_000 + '","Heartbeat",{}]',
            "\x00", "\u202e", '[2,"1","' + "A" * 60_000 + '",{}]', '[2,"1","__class__",{}]', '[2,"1","../../etc/passwd",{}]',
            "9" * 60_000,
        ):  # fmt: skip
            await socket.send(text)
        assert await is_served(socket)


async def test_f3_answers_to_what_was_never_asked(court: Court) -> None:
    liar = court.charger()
    async with dial(court.site, liar) as socket:
        await call(socket, "BootNotification", BOOT)
        for number in range(500):
            await socket.send(f'[3,"{number:016x}",{{"status":"Accepted"}}]')
            await socket.send(f'[4,"{number:016x}","InternalError","",{{}}]')
        assert await is_served(socket)
    assert court.rows("restarts", liar) == 0


async def test_f6_the_answer_to_the_reset_of_another(court: Court) -> None:
    """The liar knows the very id of the Reset that the victim got."""
    liar, victim = court.charger(), court.charger()
    async with dial(court.site, victim) as socket, dial(court.site, liar) as other:
        for one in (socket, other):
            await call(one, "BootNotification", BOOT)
            await call(one, "StatusNotification", {"connectorId": 1, "status": "Available", "errorCode": "NoError"})
        await asyncio.to_thread(press_okay, court.site, victim.id)
        asked = json.loads(await asyncio.wait_for(socket.recv(), 10))
        assert asked[2] == "Reset"
        await other.send(json.dumps([3, asked[1], {"status": "Rejected"}]))
        await other.send(json.dumps([4, asked[1], "NotImplemented", "", {}]))
        assert await is_served(other)
        await asyncio.sleep(0.3)
        assert court.site.sql("SELECT phase, verdict FROM restarts WHERE charger_id = ?", victim.id) == [("sent", None)]
        await socket.send(json.dumps([3, asked[1], {"status": "Accepted"}]))
        wait_until(
            lambda: court.site.sql("SELECT phase FROM restarts WHERE charger_id = ?", victim.id) == [("accepted",)],
            "its own",
        )


def press_okay(site: Site, charger_id: int) -> None:
    with closing(log_in(site, "boss@test.example")) as boss:
        assert restart(boss, charger_id).status_code == 200


async def test_o7_the_stop_of_a_session_of_another(court: Court) -> None:
    """CVE-2026-28230: confirmed, so that an honest one stops asking, without effect, and the timeline says so."""
    liar, victim = court.charger(), court.charger()
    start = {"connectorId": 1, "idTag": "T", "meterStart": 0, "timestamp": "2026-11-22T12:00:00Z"}
    async with dial(court.site, victim) as socket, dial(court.site, liar) as other:
        number = (await call(socket, "StartTransaction", start))[2]["transactionId"]
        stop = {"transactionId": number, "meterStop": 9_000_000, "timestamp": "2026-11-22T12:05:00Z"}
        assert (await call(other, "StopTransaction", stop))[0] == 3
        sample = {"timestamp": "2026-11-22T12:01:00Z", "sampledValue": [{"value": "5"}]}
        await call(other, "MeterValues", {"connectorId": 1, "transactionId": number, "meterValue": [sample]})
        kept = "SELECT ended_ms, meter_stop_wh, conflicts FROM sessions WHERE charger_id = ?"
        assert court.site.sql(kept, victim.id) == [(None, None, "[]")]
        assert court.rows("readings", victim) == 0
        kinds = court.site.sql("SELECT kind FROM events WHERE charger_id = ?", liar.id)
        assert ("unknown_transaction",) in kinds
        stop["meterStop"] = 1_500
        await call(socket, "StopTransaction", stop)
        assert court.site.sql("SELECT meter_stop_wh FROM sessions WHERE charger_id = ?", victim.id) == [(1_500,)]


async def test_s5_ten_thousand_connectors(court: Court) -> None:
    liar = court.charger()
    async with dial(court.site, liar) as socket:
        for first in range(0, 10_000, 250):
            numbers = range(first, first + 250, 10)
            for number in numbers:
                payload = {"connectorId": number, "status": "Charging", "errorCode": "NoError"}
                await socket.send(json.dumps([2, str(number), "StatusNotification", payload]))
            for _ in numbers:
                await asyncio.wait_for(socket.recv(), 10)
        assert await is_served(socket)
    assert len(court.state(liar)["connectors"]) <= 32
    assert len(json.dumps(court.state(liar))) < 20_000


async def test_a7_a_boot_of_markup_and_of_50_kilobytes(court: Court) -> None:
    liar = court.charger()
    odd = "<img src=x onerror=alert(1)>\u202e\"'&\u0007\u2028"
    async with dial(court.site, liar) as socket:
        for text in (odd, odd * 700, "\u0000", "=cmd|' /C calc'!A0"):
            boot = dict.fromkeys(("chargePointVendor", "chargePointModel"), text[:50000])
            await call(
                socket,
                "BootNotification",
                {**boot, "firmwareVersion": text[:200], "chargePointSerialNumber": text[:200]},
            )
            info = {"info": text[:5_000], "vendorErrorCode": text[:5_000], "errorCode": "OtherError"}
            await call(socket, "StatusNotification", {"connectorId": 1, "status": "Faulted", **info})
        assert await is_served(socket)
        assert len(json.dumps(court.state(liar))) < 20_000
        await asyncio.to_thread(look_at_pages, court.site, liar.id)


def look_at_pages(site: Site, charger_id: int) -> None:
    with closing(log_in(site, "boss@test.example")) as boss:
        for path in ("", "/top", "/timeline", "/frames", "/restart", "/edit", "/restarts", "/restart/icon"):
            answer = boss.get(f"/chargers/{charger_id}{path}")
            assert answer.status_code == 200, path
            assert "<img src=x" not in answer.text, path
        assert "<img src=x" not in boss.get("/chargers").text


async def test_frames_nested_deep_do_not_hold_the_server_up_when_somebody_looks(court: Court) -> None:
    """Indenting them would take seconds each, on the loop that holds the sockets: the witness would notice."""
    liar = court.charger()
    async with dial(court.site, liar) as socket:
        for number in range(60):
            deep = 900 if number % 2 else 4_000
            inner = ",".join(["1"] * (3_000 if deep == 900 else 1))
            await socket.send(
                f'[2,"{number}","DataTransfer",{{"vendorId":"v","data":' + "[" * deep + inner + "]" * deep + "}]"
            )
            await socket.send(f'[2,"s{number}","DataTransfer",{{"vendorId":"\\ud800\\u0000","data":"\\udfff"}}]')
        assert await is_served(socket)
        await asyncio.to_thread(look_at_pages, court.site, liar.id)


async def test_a_status_that_flaps_a_thousand_times(court: Court) -> None:
    liar = court.charger()
    async with dial(court.site, liar) as socket:
        for number in range(1_000):
            status = "Available" if number % 2 else "Faulted"
            await socket.send(
                json.dumps(
                    [2, str(number), "StatusNotification", {"connectorId": 1, "status": status, "errorCode": "NoError"}]
                )
            )
            if number % 20 == 19:
                for _ in range(20):
                    await asyncio.wait_for(socket.recv(), 10)
        assert await is_served(socket)
    assert len(court.state(liar)["connectors"]) == 1
    wait_until(lambda: court.site.sql("SELECT online FROM chargers WHERE id = ?", liar.id) == [(0,)], "it left")
