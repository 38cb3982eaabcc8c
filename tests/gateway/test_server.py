"""The door: who may come in, what is refused and how; broken frames and slow peers harm nobody else."""

import asyncio
import base64
import json

import pytest
from msgspec.structs import replace
from websockets.exceptions import InvalidStatus

from borne.core.facts import Booted, LinkLost, LinkOpened, StatusChanged
from tests.gateway.fakes import SECRET, SETTINGS, FakeRow, House, house
from tests.gateway.peers import BOOT, Raw, basic, call, dial

pytestmark = pytest.mark.anyio


async def refused(it: House, **how: object) -> tuple[int, dict[str, str]]:
    """Status and headers of a handshake that must fail."""
    with pytest.raises(InvalidStatus) as caught:
        async with dial(it, **how):  # type: ignore[arg-type]
            pass
    headers = {name.lower(): value for name, value in caught.value.response.headers.raw_items()}
    return caught.value.response.status_code, headers


def reasons(it: House) -> list[str]:
    return [attempt.reason for attempt in it.attempts.recent()]


# ---- who may come in


async def test_the_secret_may_stand_in_the_path() -> None:
    async with house() as it, dial(it, secret=None, path=f"/{SECRET}/CP1") as socket:
        assert (await call(socket, "BootNotification", BOOT))[0] == 3


async def test_an_empty_user_name_is_fine() -> None:
    async with house() as it, dial(it, user="") as socket:
        assert (await call(socket, "BootNotification", BOOT))[0] == 3


async def test_t5_wrong_password_leaves_the_live_session_untouched() -> None:
    async with house() as it, dial(it) as socket:
        await call(socket, "BootNotification", BOOT)
        status, headers = await refused(it, secret="wrong-wrong-wrong-wrong")
        assert status == 401
        assert headers["www-authenticate"].startswith("Basic")
        assert (await call(socket, "Heartbeat", {}, "2"))[0] == 3
        assert it.engine.of(LinkLost) == []
        assert len(it.engine.of(LinkOpened)) == 1


@pytest.mark.parametrize(
    "how",
    [
        {"secret": "wrong-wrong-wrong-wrong"},
        {"secret": None},
        {"user": "CP2"},
        {"secret": ""},
        {"headers": {"Authorization": "Bearer x"}, "secret": None},
        {"headers": {"Authorization": "Basic %%%"}, "secret": None},
        {"headers": {"Authorization": "Basic " + base64.b64encode(b"nocolon").decode()}, "secret": None},
        {"headers": {"Authorization": "Basic " + base64.b64encode(b"CP1:\xff\xfe").decode()}, "secret": None},
    ],
)
async def test_a_charger_that_does_not_prove_itself_gets_401(how: dict[str, object]) -> None:
    async with house() as it:
        assert (await refused(it, **how))[0] == 401
        assert it.engine.facts == []


async def test_s3_an_unknown_charger_is_refused_exactly_as_a_wrong_password_is() -> None:
    async with house() as it:
        wrong = await refused(it, secret="wrong-wrong-wrong-wrong")
        unknown = await refused(it, identity="NOBODY")
        assert wrong == unknown
        assert reasons(it) == ["identity", "password"]


async def test_a_disabled_charger_is_refused_as_if_unknown() -> None:
    async with house(rows=[FakeRow(1, "CP1", disabled=1)]) as it:
        assert (await refused(it))[0] == 401
        assert reasons(it) == ["disabled"]


async def test_a_charger_without_a_secret_needs_none() -> None:
    async with house(rows=[FakeRow(1, "CP1", secret_hash=None)]) as it, dial(it, secret=None) as socket:
        assert (await call(socket, "BootNotification", BOOT))[0] == 3


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (b"/", 404),
        (b"/other/CP1", 404),
        (b"/ocpp", 404),
        (b"/ocpp/", 404),
        (b"/ocpp//CP1", 404),
        (b"/ocpp/CP1/", 404),
        (b"/ocpp/a/b/c", 404),
        (b"/ocppx/CP1", 404),
        (b"/ocpp/" + b"x" * 300, 400),
        (b"/ocpp/" + b"x" * 5000, 400),
        (b"/ocpp/CP%2F1", 400),
        (b"/ocpp/..", 400),
        (b"/ocpp/%2e%2e", 400),
        (b"/ocpp/%2e%2e%2fetc%2fpasswd", 400),
        (b"/ocpp/caf%C3%A9", 400),
        (b"/ocpp/CP%0d%0aX-Evil:1", 400),
        (b"/ocpp/\xff\xfe", 400),
        (b"/ocpp/CP%00", 400),
    ],
)
async def test_t13_odd_identities_get_400_or_404_and_can_break_no_line(path: bytes, status: int) -> None:
    async with house() as it:
        raw = await Raw.connect(it)
        found, headers = await raw.request(path, basic("CP1", SECRET))
        assert found == status
        assert "x-evil" not in headers
        (attempt,) = it.attempts.recent()
        assert attempt.identity.isprintable()
        assert attempt.identity.isascii()
        assert len(attempt.identity) <= 64
        raw.close()


async def test_percent_escapes_are_read_once() -> None:
    async with house(rows=[FakeRow(1, "CP:1")]) as it, dial(it, identity="CP:1", path="/CP%3A1") as socket:
        assert (await call(socket, "BootNotification", BOOT))[0] == 3


@pytest.mark.parametrize(
    ("offered", "chosen", "known"),
    [
        (["ocpp1.6"], "ocpp1.6", "1.6"),
        (["ocpp2.0.1"], "ocpp2.0.1", "2.0.1"),
        (["ocpp2.0.1", "ocpp1.6"], "ocpp2.0.1", "2.0.1"),
        (["ocpp2.1", "ocpp1.6"], "ocpp1.6", "1.6"),
        (["ocpp2.0.1.1"], "ocpp2.0.1.1", "2.0.1"),
        ([], None, "1.6"),
    ],
)
async def test_the_subprotocol_is_ours_to_choose(offered: list[str], chosen: str | None, known: str) -> None:
    async with house() as it, dial(it, subprotocols=offered) as socket:
        assert socket.subprotocol == chosen
        (opened,) = await it.engine.wait_for(LinkOpened)
        assert opened.protocol == known
        assert reasons(it) == ([] if offered else ["no_subprotocol"])


async def test_a_charger_that_speaks_nothing_we_do_is_told_400() -> None:
    async with house() as it:
        assert (await refused(it, subprotocols=["ocpp2.1"]))[0] == 400
        assert reasons(it) == ["subprotocol"]


async def test_connection_headers_with_several_words_are_fine() -> None:
    async with house() as it:
        reader, writer = await asyncio.open_connection("127.0.0.1", it.gateway.port)
        token = basic("CP1", SECRET)["Authorization"]
        writer.write(
            "GET /ocpp/CP1 HTTP/1.1\r\nHost: x\r\nUpgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            f"Authorization: {token}\r\n\r\n".encode()
        )
        assert b" 101 " in await reader.readline()
        writer.close()


async def test_a_browser_that_only_looks_gets_an_answer() -> None:
    async with house() as it:
        reader, writer = await asyncio.open_connection("127.0.0.1", it.gateway.port)
        token = basic("CP1", SECRET)["Authorization"]
        writer.write(f"GET /ocpp/CP1 HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\n\r\n".encode())
        assert b" 400 " in await reader.readline()
        assert reasons(it) == ["not_websocket"]
        writer.close()


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("https://evil.example", 403),
        ("null", 403),
        ("http://127.0.0.1:1", 403),
        ("file://", 101),  # what a common library for microcontrollers sends
        ("http://x", 101),  # the host that was dialled
    ],
)
async def test_a6_a_page_of_another_site_opens_no_socket(origin: str, status: int) -> None:
    async with house() as it:
        raw = await Raw.connect(it)
        assert (await raw.request(b"/ocpp/CP1", {**basic("CP1", SECRET), "Origin": origin}))[0] == status
        raw.close()


async def test_a11_guessing_is_slowed_and_the_charger_itself_always_passes() -> None:
    async with house(replace(SETTINGS, failures_a_minute=3)) as it:
        found = [(await refused(it, secret="wrong-wrong-wrong-wrong"))[0] for _ in range(5)]
        assert found == [401, 401, 401, 429, 429]
        async with dial(it) as socket:
            assert (await call(socket, "BootNotification", BOOT))[0] == 3


async def test_a11_unknown_identities_are_slowed_in_the_same_way() -> None:
    async with house(replace(SETTINGS, failures_a_minute=3)) as it:
        found = [(await refused(it, identity="NOBODY"))[0] for _ in range(5)]
        assert found == [401, 401, 401, 429, 429]


async def test_s3_a_million_identities_would_leave_no_more_than_the_last_thousand() -> None:
    async with house() as it:
        for number in range(20_000):
            it.attempts.note(number, "203.0.113.9", f"ID{number}", "identity", None)
            it.gateway.failures.add(0.0, f"a:{number}", f"i:{number}")
        assert len(it.attempts.recent()) == 1000
        assert it.attempts.recent()[0].identity == "ID19999"
        assert len(it.gateway.failures) <= 4096


async def test_the_address_comes_from_a_trusted_proxy_only() -> None:
    forwarded = {"X-Forwarded-For": "198.51.100.7, 127.0.0.1", "X-Forwarded-Proto": "https"}
    async with house() as it, dial(it, headers=forwarded):
        (opened,) = await it.engine.wait_for(LinkOpened)
        assert (opened.address, opened.security) == ("127.0.0.1", "none")
    for trusted in ("127.0.0.1", "127.0.0.0/8"):
        async with house(replace(SETTINGS, trusted_proxies=(trusted,))) as it, dial(it, headers=forwarded):
            (opened,) = await it.engine.wait_for(LinkOpened)
            assert (opened.address, opened.security) == ("198.51.100.7", "tls")


async def test_t6_newcomers_wait_while_too_many_links_are_opening() -> None:
    async with house(replace(SETTINGS, max_opening=1)) as it:
        it.engine.hold()
        async with dial(it):
            await asyncio.sleep(0.05)
            status, headers = await refused(it, identity="CP2")
            assert status == 503
            assert 1 <= int(headers["retry-after"]) <= 5
            it.engine.release()
            await asyncio.sleep(0.05)
            async with dial(it, identity="CP2") as other:
                assert (await call(other, "BootNotification", BOOT))[0] == 3


async def test_t6_newcomers_wait_while_the_engine_is_full() -> None:
    async with house() as it:
        it.engine.full = True
        assert (await refused(it))[0] == 503


# ---- the handshake's deadlines


async def test_t8_a_handshake_that_never_ends_is_dropped_at_the_deadline() -> None:
    async with house(replace(SETTINGS, handshake_timeout_s=0.3)) as it:
        raws = [await Raw.connect(it) for _ in range(5)]
        for raw in raws:
            raw.writer.write(b"GET /ocpp/CP1 HTTP/1.1\r\nHost:")
        await asyncio.sleep(0.1)
        assert it.gateway.open_sockets == 5
        for raw in raws:
            await raw.ended(2)
        await asyncio.sleep(0.05)
        assert it.gateway.open_sockets == 0


async def test_t8_open_sockets_are_bounded() -> None:
    async with house(replace(SETTINGS, max_sockets=3)) as it:
        raws = [await Raw.connect(it) for _ in range(6)]
        await asyncio.sleep(0.1)
        assert it.gateway.open_sockets == 3
        for raw in raws:
            raw.close()


async def test_endless_headers_end_the_socket() -> None:
    async with house() as it:
        raw = await Raw.connect(it)
        raw.writer.write(b"GET /ocpp/CP1 HTTP/1.1\r\n" + b"X-A: b\r\n" * 10_000)
        await raw.ended()


# ---- frames


async def test_t14_a_call_cut_at_any_byte_is_absent_or_whole() -> None:
    status = json.dumps(
        [2, "1", "StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": "Charging"}]
    )
    async with house(replace(SETTINGS, opens_a_minute=1000, takeover_probe_s=0.01)) as it:
        probe = await Raw.connect(it)
        whole = len(probe.frame(status.encode()))
        probe.close()
        for cut in range(0, whole + 1, 7):
            raw = await Raw.connect(it)
            await raw.upgrade()
            raw.writer.write(raw.frame(status.encode())[:cut])
            await raw.writer.drain()
            raw.close()
            await it.engine.wait_for(LinkLost, cut // 7 + 1)
        facts = it.engine.of(StatusChanged)
        assert len(facts) == (1 if whole % 7 == 0 else 0)


BROKEN = [
    ("binary", {"payload": b"[]", "opcode": 2}, 1003),
    ("not utf-8", {"payload": b'[2,"1","\xff"]'}, 1007),
    ("surrogate", {"payload": b'[2,"1","\xed\xa0\x80"]'}, 1007),
    ("unmasked", {"payload": b"[]", "masked": False}, 1002),
    ("rsv1", {"payload": b"[]", "rsv": 4}, 1002),
    ("rsv2", {"payload": b"[]", "rsv": 2}, 1002),
    ("rsv3", {"payload": b"[]", "rsv": 1}, 1002),
    ("opcode", {"payload": b"[]", "opcode": 5}, 1002),
    ("lone continuation", {"payload": b"[]", "opcode": 0}, 1002),
    ("fragmented ping", {"payload": b"[]", "opcode": 9, "fin": False}, 1002),
    ("long ping", {"payload": b"x" * 126, "opcode": 9}, 1002),
    ("too big", {"payload": b"x" * 10, "length": 64 * 1024 + 1}, 1009),
    ("enormous", {"payload": b"x" * 10, "length": 2**40}, 1009),
]


@pytest.mark.parametrize(("name", "frame", "code"), BROKEN, ids=[name for name, *_ in BROKEN])
async def test_t11_broken_frames_close_the_link_and_nothing_else(
    name: str, frame: dict[str, object], code: int
) -> None:
    async with house() as it, dial(it, identity="CP2") as other:
        await call(other, "BootNotification", BOOT)
        raw = await Raw.connect(it)
        await raw.upgrade()
        raw.send(**frame)  # type: ignore[arg-type]
        assert await raw.close_code() == code
        raw.close()
        (lost,) = await it.engine.wait_for(LinkLost)
        assert (lost.charger_id, lost.how, lost.ours) == (1, "misbehaved", True)
        assert (await call(other, "Heartbeat", {}, "2"))[0] == 3


async def test_t10_fragments_make_one_message_and_are_bounded() -> None:
    boot = json.dumps([2, "1", "BootNotification", BOOT]).encode()
    async with house() as it:
        raw = await Raw.connect(it)
        await raw.upgrade()
        raw.send(boot[:10], 1, fin=False)
        raw.send(b"", 9)  # control frames may come in between
        raw.send(boot[10:20], 0, fin=False)
        raw.send(boot[20:], 0)
        await it.engine.wait_for(Booted)
        raw.send(b"[", 1, fin=False)
        for _ in range(20_000):
            raw.send(b"", 0, fin=False)
        assert await raw.close_code() == 1009
        raw.close()


async def test_t10_the_parts_of_a_message_are_not_larger_than_a_frame_may_be() -> None:
    async with house() as it:
        raw = await Raw.connect(it)
        await raw.upgrade()
        raw.send(b"x" * 60_000, 1, fin=False)
        raw.send(b"x" * 60_000, 0, fin=False)
        assert await raw.close_code() == 1009
        raw.close()


async def test_a_message_of_just_the_limit_is_taken() -> None:
    async with house() as it:
        raw = await Raw.connect(it)
        await raw.upgrade()
        head = b'[2,"1","DataTransfer",{"vendorId":"v","data":"'
        raw.send(head + b"x" * (64 * 1024 - len(head) - 3) + b'"}]')
        opcode, payload = await raw.read_frame()
        assert (opcode, json.loads(payload)[2]) == (1, {"status": "UnknownVendorId"})
        raw.close()


async def test_compression_is_not_offered() -> None:
    async with house() as it:
        raw = await Raw.connect(it)
        status, headers = await raw.request(
            b"/ocpp/CP1", {**basic("CP1", SECRET), "Sec-WebSocket-Extensions": "permessage-deflate"}
        )
        assert status == 101
        assert "sec-websocket-extensions" not in headers
        raw.close()


async def test_pings_of_the_charger_are_answered() -> None:
    async with house() as it:
        raw = await Raw.connect(it)
        await raw.upgrade()
        raw.send(b"hello", 9)
        assert await raw.read_frame() == (10, b"hello")
        raw.close()


async def test_t9_who_does_not_read_is_cut_off_and_nobody_else_notices() -> None:
    async with house(replace(SETTINGS, send_timeout_s=0.5)) as it, dial(it, identity="CP2") as other:
        raw = await Raw.connect(it)
        await raw.upgrade()
        beat = raw.frame(b'[2,"' + b"1" * 120 + b'","Heartbeat",{}]')

        async def flood() -> None:
            try:
                while True:
                    raw.writer.write(beat * 50)
                    await raw.writer.drain()
            except ConnectionError:
                return

        raw.reader._transport.pause_reading()  # type: ignore[attr-defined]
        flooding = asyncio.create_task(flood())
        (lost,) = await it.engine.wait_for(LinkLost, timeout_s=20)
        assert (lost.charger_id, lost.how, lost.ours) == (1, "misbehaved", True)
        assert (await call(other, "Heartbeat", {}, "2"))[0] == 3
        flooding.cancel()
        raw.close()


async def test_the_password_is_not_kept() -> None:
    async with house() as it, dial(it) as socket:
        await call(socket, "BootNotification", BOOT)
        link = it.links.of(1)
        assert link is not None
        assert len(link.transport._ws.request.headers) == 0  # type: ignore[attr-defined]
