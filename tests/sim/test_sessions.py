"""Charging sessions of a simulated charger, in both versions."""

import asyncio
from typing import Any

import pytest

from borne.sim.behaviour import Habits
from borne.sim.journal import Kind
from borne.sim.talk import Device
from tests.sim.stub_central import StubCentral, make_bot, run_skipping, times

HABITS = Habits(first_after_s=5.0, lasts_s=100.0, pause_s=1000.0, meter_every_s=30.0, power_w=7200)


def live(central: StubCentral, lasts_s: float, **options: Any) -> Any:
    async def story() -> Any:
        bot = make_bot(central, **options)
        bot.start()
        await asyncio.sleep(lasts_s)
        await bot.stop()
        return bot

    return run_skipping(story())


def test_one_session_in_16() -> None:
    central = StubCentral()
    live(central, 150, habits=HABITS)
    actions = [h.action for h in central.heard if h.action not in ("StatusNotification", "Heartbeat")]
    assert actions == [
        "BootNotification",
        "Authorize",
        "StartTransaction",
        *["MeterValues"] * 4,
        "StopTransaction",
    ]
    start, stop = central.of("StartTransaction")[0].payload, central.of("StopTransaction")[0].payload
    assert 180 <= stop["meterStop"] - start["meterStart"] <= 200
    assert (stop["transactionId"], stop["reason"]) == (1, "Local")
    statuses = [h.payload["status"] for h in central.of("StatusNotification")][2:]
    assert statuses == ["Preparing", "Charging", "Finishing", "Available"]


def test_one_session_in_201() -> None:
    central = StubCentral()
    live(central, 150, habits=HABITS, protocol="2.0.1")
    events = [h.payload for h in central.of("TransactionEvent")]
    assert [e["eventType"] for e in events] == ["Started", *["Updated"] * 4, "Ended"]
    assert [e["seqNo"] for e in events] == list(range(6))
    assert len({e["transactionInfo"]["transactionId"] for e in events}) == 1
    assert events[-1]["transactionInfo"]["stoppedReason"] == "Local"
    energies = [e["meterValue"][0]["sampledValue"][0]["value"] for e in events]
    assert energies == sorted(energies)


def test_a_tag_that_is_refused_starts_nothing() -> None:
    central = StubCentral(id_status="Invalid")
    bot = live(central, 150, habits=HABITS)
    assert central.of("StartTransaction") == []
    assert not times(bot.log, Kind.TRANSACTION_STARTED)
    assert central.of("StatusNotification")[-1].payload["status"] == "Available"


@pytest.mark.parametrize(
    ("protocol", "start", "stop", "told"),
    [
        (
            "1.6",
            ("RemoteStartTransaction", {"idTag": "T", "connectorId": 2}),
            "RemoteStopTransaction",
            "StopTransaction",
        ),
        (
            "2.0.1",
            (
                "RequestStartTransaction",
                {"idToken": {"idToken": "T", "type": "Central"}, "remoteStartId": 9, "evseId": 2},
            ),
            "RequestStopTransaction",
            "TransactionEvent",
        ),
    ],
)
def test_remote_start_and_stop(protocol: str, start: tuple[str, Any], stop: str, told: str) -> None:
    async def story() -> None:
        central = StubCentral()
        bot = make_bot(central, protocol=protocol, device=Device(connectors=2))
        bot.start()
        await asyncio.sleep(2)
        assert (await central.call(*start))[2] == {"status": "Accepted"}
        assert (await central.call(*start))[2] == {"status": "Rejected"}, "the connector is taken"
        await asyncio.sleep(10)
        started = next(e for e in bot.log if e.kind is Kind.TRANSACTION_STARTED)
        assert started.details["connector"] == 2
        transaction = started.details["transaction"]
        assert (await central.call(stop, {"transactionId": transaction}))[2] == {"status": "Accepted"}
        await asyncio.sleep(10)
        assert (await central.call(stop, {"transactionId": transaction}))[2] == {"status": "Rejected"}
        assert times(bot.log, Kind.TRANSACTION_ENDED, reason="Remote")
        assert central.of(told)
        await bot.stop()

    run_skipping(story())


def test_a_start_whose_answer_is_lost_is_told_again_with_the_same_content() -> None:
    central = StubCentral(mute={"StartTransaction"})
    live(central, 200, habits=HABITS)
    starts = central.of("StartTransaction")
    assert len(starts) >= 2
    assert starts[0].payload == starts[1].payload
    assert starts[0].message_id != starts[1].message_id


def test_a_stop_that_meets_no_link_is_told_on_the_next_one() -> None:
    async def story() -> None:
        central = StubCentral()
        bot = make_bot(central, habits=HABITS)
        bot.start()
        await asyncio.sleep(100)
        central.refuse = 503
        central.close()
        await asyncio.sleep(50)
        assert not times(bot.log, Kind.TRANSACTION_ENDED)
        central.refuse = None
        await asyncio.sleep(60)
        await bot.stop()
        assert [h.link for h in central.of("StopTransaction")] == [1]

    run_skipping(story())


def test_availability_changes_after_the_session_and_lasts() -> None:
    async def story() -> None:
        central = StubCentral()
        bot = make_bot(central, habits=HABITS)
        bot.start()
        await asyncio.sleep(20)
        answer = await central.call("ChangeAvailability", {"connectorId": 0, "type": "Inoperative"})
        assert answer[2] == {"status": "Scheduled"}
        await asyncio.sleep(150)
        assert bot.statuses == {1: "Unavailable"}
        bot.reboot()
        await asyncio.sleep(20)
        assert central.of("StatusNotification")[-1].payload["status"] == "Unavailable"
        await bot.stop()

    run_skipping(story())


def test_triggered_messages_are_sent() -> None:
    async def story() -> None:
        central = StubCentral()
        bot = make_bot(central, habits=HABITS, device=Device(connectors=2))
        bot.start()
        await asyncio.sleep(20)
        for message in ("StatusNotification", "Heartbeat", "MeterValues"):
            before = len(central.of(message))
            answer = await central.call("TriggerMessage", {"requestedMessage": message, "connectorId": 1})
            await asyncio.sleep(1)
            assert answer[2] == {"status": "Accepted"}
            assert len(central.of(message)) == before + 1
        refused = await central.call("TriggerMessage", {"requestedMessage": "FirmwareStatusNotification"})
        assert refused[2] == {"status": "NotImplemented"}
        await bot.stop()

    run_skipping(story())


def test_variables_of_201() -> None:
    async def story() -> None:
        central = StubCentral()
        bot = make_bot(central, protocol="2.0.1")
        bot.start()
        await asyncio.sleep(2)

        def named(name: str) -> dict[str, Any]:
            return {"component": {"name": "OCPPCommCtrlr"}, "variable": {"name": name}}

        wanted = [{**named("HeartbeatInterval"), "attributeValue": "77"}, {**named("x"), "attributeValue": "1"}]
        answer = await central.call("SetVariables", {"setVariableData": wanted})
        assert [r["attributeStatus"] for r in answer[2]["setVariableResult"]] == ["Accepted", "UnknownVariable"]
        answer = await central.call("GetVariables", {"getVariableData": [named("HeartbeatInterval"), named("x")]})
        first, second = answer[2]["getVariableResult"]
        assert (first["attributeStatus"], first["attributeValue"]) == ("Accepted", "77")
        assert second["attributeStatus"] == "UnknownVariable"
        unlocked = await central.call("UnlockConnector", {"evseId": 1, "connectorId": 1})
        assert unlocked[2] == {"status": "Unlocked"}
        await bot.stop()

    run_skipping(story())
