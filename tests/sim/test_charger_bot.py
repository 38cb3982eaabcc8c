"""The normal life of a simulated charger: dialling, registering, heartbeats, reconnecting."""

import asyncio
from base64 import b64encode
from itertools import pairwise

import pytest

from borne.sim.behaviours import behaviour_named
from borne.sim.journal import Kind
from borne.sim.talk import Device
from tests.sim.stub_central import StubCentral, make_bot, run_skipping, times


def test_dials_with_basic_credentials_and_its_identity_in_the_path() -> None:
    async def story() -> None:
        central = StubCentral()
        bot = make_bot(central, identity="CP/1")
        bot.start()
        await asyncio.sleep(1)
        await bot.stop()
        url, offers, headers = central.dials[0]
        assert (url, offers) == ("ws://stub/ocpp/CP%2F1", ("ocpp1.6",))
        assert headers == {"Authorization": "Basic " + b64encode(b"CP/1:secret").decode()}

    run_skipping(story())


def test_a_secret_in_the_path_needs_no_header() -> None:
    async def story() -> None:
        central = StubCentral()
        bot = make_bot(central, url="ws://stub/ocpp/s3cret/", password="", offers=())
        bot.start()
        await asyncio.sleep(1)
        await bot.stop()
        assert central.dials[0] == ("ws://stub/ocpp/s3cret/CP-1", (), {})

    run_skipping(story())


@pytest.mark.parametrize(
    ("protocol", "statuses"), [("1.6", [0, 1, 2]), ("2.0.1", [1, 2])], ids=["1.6 with connector 0", "2.0.1"]
)
def test_boots_reports_every_connector_then_beats(protocol: str, statuses: list[int]) -> None:
    async def story() -> None:
        central = StubCentral(interval_s=10)
        bot = make_bot(central, protocol=protocol, device=Device(connectors=2))
        bot.start()
        await asyncio.sleep(35)
        await bot.stop()
        assert [h.action for h in central.heard[: 1 + len(statuses)]] == [
            "BootNotification",
            *["StatusNotification"] * len(statuses),
        ]
        field = "connectorId" if protocol == "1.6" else "evseId"
        assert [h.payload[field] for h in central.of("StatusNotification")] == statuses
        assert [round(h.at_s) for h in central.of("Heartbeat")] == [10, 20, 30]
        assert times(bot.log, Kind.BOOT_ANSWERED, status="Accepted")

    run_skipping(story())


def test_pending_and_rejected_boots_are_repeated_after_the_interval_and_nothing_else_is_said() -> None:
    async def story() -> None:
        central = StubCentral(boot_statuses=["Rejected", "Pending"], interval_s=7)
        bot = make_bot(central)
        bot.start()
        await asyncio.sleep(20)
        await bot.stop()
        assert [round(h.at_s) for h in central.of("BootNotification")] == [0, 7, 14]
        assert [h.action for h in central.heard[:3]] == ["BootNotification"] * 3

    run_skipping(story())


def test_a_lost_link_is_dialled_again_without_a_boot() -> None:
    async def story() -> None:
        central = StubCentral()
        bot = make_bot(central)
        bot.start()
        await asyncio.sleep(20)
        central.close(1005)
        await asyncio.sleep(20)
        await bot.stop()
        assert len(central.links) == 2
        assert len(central.of("BootNotification")) == 1
        assert times(bot.log, Kind.DISCONNECTED, by="peer", code=1005)
        assert [h.link for h in central.of("StatusNotification")] == [0, 0, 1, 1]

    run_skipping(story())


def test_refused_dials_back_off_with_chance_and_are_bounded() -> None:
    async def story() -> None:
        central = StubCentral(refuse=401)
        bot = make_bot(central)
        bot.start()
        await asyncio.sleep(300)
        await bot.stop()
        refused = times(bot.log, Kind.REFUSED, status=401)
        gaps = [later - earlier for earlier, later in pairwise(refused)]
        assert gaps[0] < 1.3
        assert all(24 <= gap <= 36 for gap in gaps[5:])
        assert len({round(gap, 3) for gap in gaps}) > 3

    run_skipping(story())


def test_two_unanswered_calls_make_it_drop_the_link_and_dial_again() -> None:
    async def story() -> None:
        central = StubCentral(mute={"Heartbeat"}, interval_s=10)
        bot = make_bot(central)
        bot.start()
        await asyncio.sleep(100)
        await bot.stop()
        assert central.links[0].ended_with == "abort"
        assert len(central.links) >= 2
        assert times(bot.log, Kind.CALL_TIMED_OUT, action="Heartbeat")

    run_skipping(story())


def test_it_answers_requests_while_it_waits_for_an_answer_itself() -> None:
    async def story() -> None:
        central = StubCentral(mute={"StatusNotification"})
        bot = make_bot(central)
        bot.start()
        await asyncio.sleep(1)
        answer = await asyncio.wait_for(central.send("GetConfiguration", {"key": ["HeartbeatInterval", "x"]}), 1)
        assert answer[2]["configurationKey"][0]["key"] == "HeartbeatInterval"
        assert answer[2]["unknownKey"] == ["x"]
        await bot.stop()

    run_skipping(story())


def test_what_it_does_not_know_it_refuses_with_a_call_error() -> None:
    async def story() -> None:
        central = StubCentral()
        bot = make_bot(central)
        bot.start()
        await asyncio.sleep(1)
        assert (await central.call("GetDiagnostics", {"location": "ftp://x"}))[0:3:2] == [4, "NotImplemented"]
        assert (await central.call("Dance", {}))[0:3:2] == [4, "NotSupported"]
        assert (await central.call("Reset", {"type": "Maybe"}))[0] == 4
        assert len(times(bot.log, Kind.CALL_ERROR_SENT)) == 3
        await bot.stop()

    run_skipping(story())


def test_an_answer_against_the_schema_is_noticed() -> None:
    async def story() -> None:
        central = StubCentral(boot_statuses=["Sure"])
        bot = make_bot(central)
        bot.start()
        await asyncio.sleep(1)
        await bot.stop()
        assert times(bot.log, Kind.CALL_FAILED, action="BootNotification")
        assert not times(bot.log, Kind.BOOT_ANSWERED)

    run_skipping(story())


def test_stop_says_goodbye_and_the_log_ends() -> None:
    async def story() -> None:
        central = StubCentral()
        bot = make_bot(central)
        bot.start()
        await asyncio.sleep(1)
        await bot.stop()
        assert central.links[0].ended_with == "close 1001"
        assert bot.log[-1].kind is Kind.STOPPED
        assert len(asyncio.all_tasks()) == 1, "something of it lives on"

    run_skipping(story())


def test_the_same_chance_gives_the_same_life() -> None:
    async def life() -> list[str]:
        central = StubCentral()
        bot = make_bot(central, behaviour_named("boots-on-reconnect"))
        bot.start()
        await asyncio.sleep(600)
        await bot.stop()
        return [f"{e.at_s:.6f} {e}" for e in bot.log]

    first = run_skipping(life())
    assert len(first) > 50
    assert run_skipping(life()) == first


def test_message_ids_restart_at_one_on_some_firmware() -> None:
    async def story() -> None:
        central = StubCentral()
        bot = make_bot(central, behaviour_named("firmware-b"))
        bot.start()
        await asyncio.sleep(5)
        bot.reboot()
        await asyncio.sleep(10)
        await bot.stop()
        assert [h.message_id for h in central.of("BootNotification")] == ["1", "1"]

    run_skipping(story())


def test_a_fault_of_its_own_ends_it_loudly() -> None:
    async def story() -> None:
        central = StubCentral()
        bot = make_bot(central)
        bot.start()
        await asyncio.sleep(1)

        async def broken() -> None:
            raise ZeroDivisionError

        bot.spawn(broken())
        await asyncio.sleep(1)
        with pytest.raises(ZeroDivisionError):
            await bot.stop()

    run_skipping(story())
