"""Links over real sockets: boot, status, reset, order of talk, replay, silence."""

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from borne.bus.port import Hint
from borne.core.facts import (
    Booted,
    BootTriggered,
    LinkLost,
    LinkOpened,
    LinkSettled,
    RestartAnswered,
    RestartUnwritten,
    RestartWritten,
    SessionStarted,
    StatusChanged,
)
from borne.core.tags import TagAnswer
from borne.engine.outcome import Due, Outcome
from borne.gateway.link import Link
from tests.gateway.fakes import DIALECTS, SETTINGS, FakeRow, House, house
from tests.gateway.peers import BOOT, Raw, call, dial, next_call

pytestmark = pytest.mark.anyio


async def test_a_charger_connects_boots_and_tells_its_status() -> None:
    async with house() as it, dial(it) as socket:
        assert socket.subprotocol == "ocpp1.6"
        answer = await call(socket, "BootNotification", BOOT)
        assert answer[0] == 3
        assert answer[2]["status"] == "Accepted"
        assert answer[2]["currentTime"].endswith("Z")
        status = {"connectorId": 1, "errorCode": "NoError", "status": "Charging"}
        assert (await call(socket, "StatusNotification", status, "2"))[2] == {}
        kinds = [type(fact) for fact in it.engine.facts]
        assert kinds == [LinkOpened, Booted, LinkSettled, StatusChanged]
        assert (it.engine.facts[3].evse, it.engine.facts[3].connector) == (1, 1)  # type: ignore[attr-defined]


async def test_a_reset_goes_out_once_the_boot_is_answered_and_its_answer_comes_back() -> None:
    async with house() as it:
        it.engine.due.append(Due(7, "soft", None))
        async with dial(it) as socket:
            await call(socket, "BootNotification", BOOT)
            frame = await next_call(socket)
            assert frame[2:] == ["Reset", {"type": "Soft"}]
            await socket.send(json.dumps([3, frame[1], {"status": "Accepted"}]))
            (answered,) = await it.engine.wait_for(RestartAnswered)
            assert (answered.restart_id, answered.status, answered.epoch) == (7, "accepted", 1)
            (written,) = it.engine.of(RestartWritten)
            assert it.engine.facts.index(written) < it.engine.facts.index(answered)


async def test_a_hint_makes_a_settled_link_take_the_restart() -> None:
    async with house() as it, dial(it) as socket:
        await call(socket, "BootNotification", BOOT)
        await it.engine.wait_for(LinkSettled)
        it.engine.due.append(Due(8, "hard", None))
        it.bus.publish(Hint("restart_due", 8, charger_id=1))
        assert (await next_call(socket))[2:] == ["Reset", {"type": "Hard"}]


async def test_the_end_of_a_link_is_told_with_its_close_code() -> None:
    async with house() as it:
        async with dial(it) as socket:
            await call(socket, "BootNotification", BOOT)
        (lost,) = await it.engine.wait_for(LinkLost)
        assert (lost.epoch, lost.how, lost.ours, lost.close_code) == (1, "close_frame", False, 1000)
        assert len(it.links) == 0


async def test_nothing_is_answered_before_its_commit() -> None:
    async with house() as it, dial(it) as socket:
        await call(socket, "BootNotification", BOOT)
        it.engine.hold()
        asking = asyncio.create_task(
            call(socket, "StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": "Available"}, "2")
        )
        done, _ = await asyncio.wait([asking], timeout=0.2)
        assert not done
        it.engine.release()
        assert (await asking)[0] == 3


STATUS = {"connectorId": 1, "errorCode": "NoError", "status": "Available"}
BOOT_201 = {"reason": "PowerUp", "chargingStation": {"vendorName": "V", "model": "M"}}


async def settled(it: House, socket: ClientConnection) -> None:
    await call(socket, "BootNotification", BOOT, "boot")
    await it.engine.wait_for(LinkSettled)


# ---- settling


async def test_a_plain_reconnect_settles_the_link_with_its_first_message() -> None:
    async with house() as it, dial(it) as socket:
        await call(socket, "Heartbeat", {})
        (fact,) = await it.engine.wait_for(LinkSettled)
        assert (fact.how, fact.epoch) == ("heard", 1)


async def test_silence_settles_the_link_too() -> None:
    async with house(rows=[FakeRow(1, "CP1", settle_s=0)]) as it, dial(it):
        (fact,) = await it.engine.wait_for(LinkSettled, timeout_s=2)
        assert fact.how == "silence"


async def test_nothing_is_sent_before_the_link_settled() -> None:
    async with house() as it, dial(it) as socket:
        await it.engine.wait_for(LinkOpened)
        it.engine.due.append(Due(7, "soft", None))
        it.bus.publish(Hint("restart_due", 7, charger_id=1))
        await asyncio.sleep(0.1)
        assert it.engine.taken == []
        await call(socket, "BootNotification", BOOT)
        assert (await next_call(socket))[2] == "Reset"


# ---- our calls


async def test_a_reset_of_201_with_its_evse() -> None:
    async with house() as it, dial(it, subprotocols=["ocpp2.0.1"]) as socket:
        await call(socket, "BootNotification", BOOT_201)
        await it.engine.wait_for(LinkSettled)
        it.engine.due.append(Due(7, "hard", 2))
        it.bus.publish(Hint("restart_due", 7, charger_id=1))
        frame = await next_call(socket)
        assert frame[2:] == ["Reset", {"type": "Immediate", "evseId": 2}]
        await socket.send(json.dumps([3, frame[1], {"status": "Scheduled"}]))
        assert (await it.engine.wait_for(RestartAnswered))[0].status == "scheduled"


@pytest.mark.parametrize(
    ("answer", "status", "code"),
    [
        ([3, {"status": "Rejected"}], "rejected", None),
        ([4, "NotSupported", "no", {}], "error", "NotSupported"),
        ([4, "Weird", None, [1]], "error", "Weird"),
        ([3, {"status": "Perhaps"}], "error", "FormationViolation"),
        ([3, {}], "error", "FormationViolation"),
        ([3, []], "error", "FormationViolation"),
    ],
)
async def test_f11_whatever_is_answered_to_a_reset_is_told(answer: list[Any], status: str, code: str | None) -> None:
    async with house() as it, dial(it) as socket:
        it.engine.due.append(Due(7, "soft", None))
        await call(socket, "BootNotification", BOOT)
        frame = await next_call(socket)
        await socket.send(json.dumps([answer[0], frame[1], *answer[1:]]))
        (fact,) = await it.engine.wait_for(RestartAnswered)
        assert (fact.status, fact.code) == (status, code)


async def test_f3_f5_f6_foreign_and_second_answers_have_no_effect() -> None:
    async with house() as it, dial(it) as socket, dial(it, identity="CP2") as other:
        it.engine.due.append(Due(7, "soft", None))
        await call(socket, "BootNotification", BOOT)
        frame = await next_call(socket)
        await call(other, "BootNotification", BOOT)
        await other.send(json.dumps([3, frame[1], {"status": "Rejected"}]))
        await socket.send(json.dumps([3, "unknown", {"status": "Rejected"}]))
        await socket.send(json.dumps([3, frame[1], {"status": "Accepted"}]))
        await socket.send(json.dumps([3, frame[1], {"status": "Rejected"}]))
        await call(socket, "Heartbeat", {}, "2")
        await call(other, "Heartbeat", {}, "2")
        assert [fact.status for fact in it.engine.of(RestartAnswered)] == ["accepted"]
        assert it.links.counts.stray_answers == 3


async def test_f4_a_late_answer_is_told_of_the_restart_that_timed_out() -> None:
    async with house(replace(SETTINGS, answer_timeout_s=0.2)) as it, dial(it) as socket:
        it.engine.due.append(Due(7, "soft", None))
        await call(socket, "BootNotification", BOOT)
        first = await next_call(socket)
        await it.engine.wait_for(RestartAnswered)
        it.engine.due.append(Due(8, "soft", None))
        it.bus.publish(Hint("restart_due", 8, charger_id=1))
        second = await next_call(socket)
        await socket.send(json.dumps([3, first[1], {"status": "Accepted"}]))
        await socket.send(json.dumps([3, second[1], {"status": "Rejected"}]))
        await it.engine.wait_for(RestartAnswered, 3)
        found = [(fact.restart_id, fact.status) for fact in it.engine.of(RestartAnswered)]
        assert found == [(7, "timeout"), (7, "accepted"), (8, "rejected")]


async def test_f9_the_second_command_waits_for_the_first() -> None:
    async with house() as it, dial(it) as socket:
        it.engine.due += [Due(7, "soft", None), Due(8, "soft", None)]
        await call(socket, "BootNotification", BOOT)
        frame = await next_call(socket)
        it.bus.publish(Hint("restart_due", 8, charger_id=1))
        with pytest.raises(TimeoutError):
            await next_call(socket, 0.2)
        await socket.send(json.dumps([3, frame[1], {"status": "Accepted"}]))
        assert (await next_call(socket))[2] == "Reset"


async def test_f10_calls_that_cross_are_both_answered() -> None:
    async with house() as it, dial(it) as socket:
        it.engine.due.append(Due(7, "soft", None))
        await call(socket, "BootNotification", BOOT)
        frame = await next_call(socket)  # ours stays unanswered
        assert (await call(socket, "StatusNotification", STATUS, "2"))[0] == 3
        assert (await call(socket, "Heartbeat", {}, "3"))[0] == 3
        await socket.send(json.dumps([3, frame[1], {"status": "Accepted"}]))
        await it.engine.wait_for(RestartAnswered)


async def test_r6_a_charger_that_boots_while_the_restart_is_taken_gets_no_reset() -> None:
    async with house() as it, dial(it) as socket:
        await settled(it, socket)
        taking = asyncio.Event()
        go = asyncio.Event()

        async def slow(_charger_id: int, _epoch: int) -> Due:
            taking.set()
            await go.wait()
            return Due(7, "soft", None)

        it.links.take_restart = slow
        it.bus.publish(Hint("restart_due", 7, charger_id=1))
        await taking.wait()
        await call(socket, "BootNotification", BOOT, "again")
        go.set()
        (fact,) = await it.engine.wait_for(RestartUnwritten)
        assert (fact.restart_id, fact.epoch) == (7, 1)
        assert it.engine.of(RestartWritten) == []


async def test_a_boot_that_waits_for_its_answer_comes_before_a_reset() -> None:
    async with house() as it, dial(it) as socket:
        await it.engine.wait_for(LinkOpened)
        it.engine.due.append(Due(7, "soft", None))
        it.engine.hold()
        await socket.send(json.dumps([2, "1", "Heartbeat", {}]))
        await socket.send(json.dumps([2, "2", "BootNotification", BOOT]))
        await asyncio.sleep(0.1)
        it.engine.release()  # the link settles by the heartbeat, while the boot waits for its commit
        frames = [json.loads(await asyncio.wait_for(socket.recv(), 5)) for _ in range(3)]
        assert [(frame[0], frame[1] if frame[0] == 3 else frame[2]) for frame in frames] == [
            (3, "1"),
            (3, "2"),
            (2, "Reset"),
        ]


async def test_a_link_that_ends_while_the_restart_is_taken_says_that_nothing_was_written() -> None:
    async with house() as it:
        go = asyncio.Event()

        async def slow(_charger_id: int, _epoch: int) -> Due:
            await go.wait()
            return Due(7, "soft", None)

        it.links.take_restart = slow
        async with dial(it) as socket:
            await settled(it, socket)
        await it.engine.wait_for(LinkLost)
        go.set()
        assert (await it.engine.wait_for(RestartUnwritten))[0].restart_id == 7


async def test_a_triggered_boot_is_solicited() -> None:
    async with house() as it, dial(it) as socket:
        await settled(it, socket)
        link = it.links.of(1)
        assert link is not None
        assert link.commands.trigger_boot()
        frame = await next_call(socket)
        assert frame[2:] == ["TriggerMessage", {"requestedMessage": "BootNotification"}]
        assert not link.commands.trigger_boot()
        await socket.send(json.dumps([3, frame[1], {"status": "Accepted"}]))
        await call(socket, "BootNotification", BOOT, "2")
        assert [boot.solicited for boot in it.engine.of(Booted)] == [False, True]
        await it.engine.wait_for(BootTriggered)


# ---- the charger's calls


async def test_f8_calls_sent_without_waiting_are_answered_in_order() -> None:
    async with house() as it, dial(it) as socket:
        actions = [("BootNotification", BOOT), ("StatusNotification", STATUS), ("Heartbeat", {})] * 60
        for number, (action, payload) in enumerate(actions):
            await socket.send(json.dumps([2, str(number), action, payload]))
        answers = [json.loads(await asyncio.wait_for(socket.recv(), 5))[1] for _ in actions]
        assert answers == [str(number) for number in range(len(actions))]
        assert it.links.counts.refused_calls == {}


async def test_f8_calls_beyond_any_measure_close_the_link() -> None:
    async with house() as it:
        raw = await Raw.connect(it)
        await raw.upgrade()
        it.engine.hold()
        beats = b"".join(raw.frame(b'[2,"1","Heartbeat",{}]') for _ in range(1100))
        link = Link(it.links, it.directory.find("CP2"), DIALECTS["1.6"], FakeTransport(), "x", "none")  # type: ignore[arg-type]
        link.open()
        for _ in range(1024):
            link.on_text('[2,"1","Heartbeat",{}]')
        transport = link.transport
        assert isinstance(transport, FakeTransport)
        assert transport.calls[0] == "pause_reading"
        link.on_text('[2,"1","Heartbeat",{}]')
        assert transport.calls[-1] == "close 1008"
        raw.writer.write(beats)  # over a socket, reading stops long before that
        await asyncio.sleep(0.1)
        it.engine.release()
        assert (await raw.read_frame())[0] == 1
        raw.close()


async def test_f7_a_repeated_call_gets_the_same_answer_and_happens_once() -> None:
    start = {"connectorId": 1, "idTag": "T", "meterStart": 0, "timestamp": "2026-11-22T12:00:00Z"}
    async with house() as it, dial(it) as socket:
        it.engine.outcomes[SessionStarted] = Outcome(transaction="4711", tag=TagAnswer("accepted"))
        first = await call(socket, "StartTransaction", start, "5")
        assert first[2] == {"idTagInfo": {"status": "Accepted"}, "transactionId": 4711}
        assert await call(socket, "StartTransaction", start, "5") == first
        assert len(it.engine.of(SessionStarted)) == 1
        await call(socket, "StartTransaction", {**start, "meterStart": 9}, "5")
        assert len(it.engine.of(SessionStarted)) == 2


async def test_f7_a_heartbeat_is_never_answered_from_memory() -> None:
    async with house() as it, dial(it) as socket:
        first = await call(socket, "Heartbeat", {}, "1")
        await asyncio.sleep(0.01)
        assert await call(socket, "Heartbeat", {}, "1") != first


async def test_authorize_is_asked_of_the_engine() -> None:
    async with house() as it, dial(it) as socket, dial(it, identity="CP2", subprotocols=["ocpp2.0.1"]) as other:
        it.engine.tags["GOOD"] = "accepted"
        assert (await call(socket, "Authorize", {"idTag": "GOOD"}))[2] == {"idTagInfo": {"status": "Accepted"}}
        assert (await call(socket, "Authorize", {"idTag": "BAD"}, "2"))[2] == {"idTagInfo": {"status": "Invalid"}}
        token = {"idToken": {"idToken": "GOOD", "type": "ISO14443"}}
        assert (await call(other, "Authorize", token))[2] == {"idTokenInfo": {"status": "Accepted"}}


@pytest.mark.parametrize(
    ("action", "payload", "code"),
    [
        ("MakeCoffee", {}, "NotImplemented"),
        ("Reset", {"type": "Hard"}, "NotSupported"),
        ("../Reset", {}, "NotImplemented"),
        ("StatusNotification", {}, "OccurenceConstraintViolation"),
        ("StatusNotification", {**STATUS, "status": "Asleep"}, "PropertyConstraintViolation"),
        ("StatusNotification", {**STATUS, "connectorId": {}}, "TypeConstraintViolation"),
        ("StatusNotification", {**STATUS, "status": None}, "PropertyConstraintViolation"),
    ],
)
async def test_what_cannot_be_understood_gets_an_error_and_the_link_goes_on(
    action: str, payload: dict[str, Any], code: str
) -> None:
    async with house() as it, dial(it) as socket:
        answer = await call(socket, action, payload)
        assert (answer[0], answer[2]) == (4, code)
        assert (await call(socket, "Heartbeat", {}, "2"))[0] == 3


async def test_f1_texts_that_are_no_frame_do_not_end_the_link() -> None:
    async with house() as it, dial(it) as socket:
        for text in ("", "hello", "{}", "[]", "[3]", '[3,"x"]', '[2,"5"', "[" * 9000):
            await socket.send(text)
        await socket.send('[2,"9","Heartbeat"]')
        assert json.loads(await socket.recv())[:3] == [4, "9", "FormationViolation"]
        await socket.send('[99,"10",{}]')
        assert json.loads(await socket.recv())[:2] == [4, "10"]
        assert (await call(socket, "Heartbeat", {}, "11"))[0] == 3
        assert sum(it.links.counts.bad_frames.values()) == 10


async def test_f2_duplicate_keys_are_refused_where_refusing_is_allowed() -> None:
    async with house() as it, dial(it) as socket:
        await socket.send(
            '[2,"1","StatusNotification",{"connectorId":1,"connectorId":2,"errorCode":"NoError","status":"Available"}]'
        )
        assert json.loads(await socket.recv())[2] == "FormationViolation"
        await socket.send(
            '[2,"2","StopTransaction",{"transactionId":1,"transactionId":2,"meterStop":5,"timestamp":"x"}]'
        )
        assert json.loads(await socket.recv())[:2] == [3, "2"]
        assert it.links.counts.tolerated["duplicate_key"] == 2


@pytest.mark.parametrize(
    ("protocol", "action", "payload"),
    [
        ("ocpp1.6", "StopTransaction", {}),
        ("ocpp1.6", "StopTransaction", {"transactionId": "abc", "meterStop": None, "extra": [1]}),
        (
            "ocpp1.6",
            "MeterValues",
            {"connectorId": -5, "meterValue": [{"sampledValue": [{"value": 5, "unit": "parsecs"}]}, 7]},
        ),
        ("ocpp1.6", "MeterValues", {"meterValue": "none"}),
        ("ocpp2.0.1", "TransactionEvent", {"eventType": "Bang", "seqNo": 2**70}),
        ("ocpp2.0.1", "TransactionEvent", {}),
        ("ocpp2.0.1", "MeterValues", {}),
        ("ocpp2.0.1", "NotifyReport", {"requestId": "x"}),
        ("ocpp2.0.1", "NotifyEvent", {}),
    ],
)
async def test_what_a_charger_would_repeat_for_ever_is_never_refused(
    protocol: str, action: str, payload: dict[str, Any]
) -> None:
    async with house() as it, dial(it, subprotocols=[protocol]) as socket:
        assert (await call(socket, action, payload))[0] == 3
        assert it.links.counts.tolerated


async def test_f12_deviations_are_taken_and_counted() -> None:
    async with house() as it, dial(it) as socket:
        status = {**STATUS, "vendorErrorCode": "x" * 400, "more": 1, "info": None}
        assert (await call(socket, "StatusNotification", status))[0] == 3
        (fact,) = it.engine.of(StatusChanged)
        assert (fact.vendor_error, fact.info) == ("x" * 400, None)
        assert it.links.counts.tolerated == {"extra_field": 1, "over_long": 1, "null_field": 1}


# ---- registration


async def test_s2_a_rejected_charger_of_16_may_boot_and_end_its_session_and_no_more() -> None:
    async with house() as it, dial(it) as socket:
        it.engine.outcomes[Booted] = Outcome(registration="rejected")
        assert (await call(socket, "BootNotification", BOOT))[2]["status"] == "Rejected"
        assert (await call(socket, "StatusNotification", STATUS, "2"))[2] == "SecurityError"
        stop = {"transactionId": 1, "meterStop": 1, "timestamp": "2026-11-22T12:00:00Z"}
        assert (await call(socket, "StopTransaction", stop, "3"))[0] == 3
        it.engine.outcomes[Booted] = Outcome(registration="accepted")
        assert (await call(socket, "BootNotification", BOOT, "4"))[2]["status"] == "Accepted"
        assert (await call(socket, "StatusNotification", STATUS, "5"))[0] == 3


@pytest.mark.parametrize(("protocol", "kind"), [("ocpp1.6", 3), ("ocpp2.0.1", 4)])
async def test_s2_a_pending_charger_is_heard_in_16_and_told_to_wait_in_201(protocol: str, kind: int) -> None:
    async with house() as it, dial(it, subprotocols=[protocol]) as socket:
        it.engine.outcomes[Booted] = Outcome(registration="pending")
        boot = BOOT if protocol == "ocpp1.6" else BOOT_201
        assert (await call(socket, "BootNotification", boot))[2]["status"] == "Pending"
        assert (await call(socket, "Heartbeat", {}, "2"))[0] == kind


async def test_s1_a_charger_accepted_before_may_talk_without_a_boot() -> None:
    for protocol in ("ocpp1.6", "ocpp2.0.1"):
        async with house() as it, dial(it, subprotocols=[protocol]) as socket:
            assert (await call(socket, "Heartbeat", {}))[0] == 3


# ---- storage that fails


async def test_o12_what_could_not_be_stored_is_not_confirmed() -> None:
    async with house() as it, dial(it) as socket:
        await settled(it, socket)
        it.engine.failing = OSError("disk full")
        assert (await call(socket, "StatusNotification", STATUS, "2"))[2] == "InternalError"
        stop = {"transactionId": 1, "meterStop": 1, "timestamp": "2026-11-22T12:00:00Z"}
        await socket.send(json.dumps([2, "3", "StopTransaction", stop]))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(socket.recv(), 0.2)
        it.engine.failing = None
        assert (await call(socket, "StopTransaction", stop, "3"))[0] == 3


async def test_a_full_engine_makes_links_wait_without_losing_anything() -> None:
    async with house() as it, dial(it) as socket:
        await settled(it, socket)
        it.engine.full = True
        asking = asyncio.create_task(call(socket, "StatusNotification", STATUS, "2"))
        done, _ = await asyncio.wait([asking], timeout=0.2)
        assert not done
        it.engine.full = False
        assert (await asking)[0] == 3


async def test_facts_of_an_older_epoch_end_the_link() -> None:
    async with house() as it, dial(it) as socket:
        await settled(it, socket)
        it.engine.outcomes[StatusChanged] = Outcome(ignored=True)
        await socket.send(json.dumps([2, "2", "StatusNotification", STATUS]))
        with pytest.raises(ConnectionClosed):
            await asyncio.wait_for(socket.recv(), 2)


# ---- silence


async def test_t1_a_half_open_link_is_lost_within_two_ping_periods() -> None:
    async with house(replace(SETTINGS, ping_s=0.6)) as it:
        raw = await Raw.connect(it)  # answers no ping
        await raw.upgrade()
        loop = asyncio.get_running_loop()
        opened_s = loop.time()
        (lost,) = await it.engine.wait_for(LinkLost)
        assert (lost.how, lost.ours) == ("silent", False)
        assert 0.6 < loop.time() - opened_s <= 1.3
        raw.close()


async def test_pongs_keep_a_quiet_link() -> None:
    async with house(replace(SETTINGS, ping_s=0.3)) as it, dial(it) as socket:
        await asyncio.sleep(1.2)
        assert it.engine.of(LinkLost) == []
        assert (await call(socket, "Heartbeat", {}))[0] == 3


async def test_t15_messages_keep_a_link_whose_peer_answers_no_ping() -> None:
    async with house(replace(SETTINGS, ping_s=0.4)) as it:
        raw = await Raw.connect(it)
        await raw.upgrade()
        for number in range(12):
            raw.send(b'[2,"%d","Heartbeat",{}]' % number)
            await asyncio.sleep(0.1)
        assert it.engine.of(LinkLost) == []
        raw.close()


async def test_the_ping_period_is_the_chargers_own() -> None:
    rows = [FakeRow(1, "CP1", ping_s=1)]
    async with house(replace(SETTINGS, ping_s=60), rows) as it:
        raw = await Raw.connect(it)
        await raw.upgrade()
        (lost,) = await it.engine.wait_for(LinkLost, timeout_s=3)
        assert lost.how == "silent"
        raw.close()


# ---- what is recorded


async def test_frames_are_recorded_both_ways() -> None:
    async with house() as it, dial(it) as socket:
        await call(socket, "BootNotification", BOOT)
        assert [(charger_id, direction) for charger_id, _, direction, _ in it.frames] == [(1, "in"), (1, "out")]
        assert it.links.counts.frames_in == it.links.counts.frames_out == 1


# ---- whatever comes


PIECES = st.sampled_from(
    [
        '[2,"1","Heartbeat",{}]',
        '[2,"1","BootNotification",{"chargePointVendor":"v","chargePointModel":"m"}]',
        '[2,"1","BootNotification",{}]',
        '[2,"2","StopTransaction",{"transactionId":[{}]}]',
        '[2,"3","MeterValues",{"meterValue":[{"sampledValue":[{"value":1e999,"unit":{}}]}]}]',
        '[2,"4","Authorize",{"idTag":"x"}]',
        '[3,"1",{}]',
        '[4,"1",{},[],null,7]',
        "[[[[",
        '{"a":1,"a":2}',
    ]
)


@given(st.lists(PIECES | st.text(max_size=30), max_size=12))
@settings(max_examples=60, deadline=None)
def test_no_talk_whatever_brings_a_link_down(texts: list[str]) -> None:
    async def talk() -> None:
        async with house() as it:
            transport = FakeTransport()
            entry = it.directory.find("CP1")
            assert entry is not None
            link = Link(it.links, entry, DIALECTS["1.6"], transport, "x", "none")
            it.links.admit(link)
            for text in texts:
                link.on_sign_of_life()
                link.on_text(text)
            await asyncio.sleep(0.01)
            assert link.state == "open"
            link.on_text('[2,"last","Heartbeat",{}]')
            await asyncio.sleep(0.01)
            assert transport.calls[-1].startswith('send [3,"last"')

    asyncio.run(talk())


class FakeTransport:
    """Remembers what the link asks of it."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def send(self, text: str) -> None:
        self.calls.append(f"send {text}")

    def ping(self) -> None:
        self.calls.append("ping")

    def close(self, code: int, reason: str) -> None:
        self.calls.append(f"close {code}")

    def abort(self) -> None:
        self.calls.append("abort")

    def pause_reading(self) -> None:
        self.calls.append("pause_reading")

    def resume_reading(self) -> None:
        self.calls.append("resume_reading")
