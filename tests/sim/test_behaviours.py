"""Each named behaviour does what its name says, at the times measured in the field."""

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest

from borne.sim.behaviour import Behaviour, Habits, scaled, tweaked
from borne.sim.behaviours import BEHAVIOURS, behaviour_named
from borne.sim.charger_bot import ChargerBot
from borne.sim.journal import Kind, ResetStory, reset_stories
from tests.sim.stub_central import StubCentral, make_bot, run_skipping, times

RESET_AT_S = 150.0
HABITS = Habits(first_after_s=5.0, lasts_s=1000.0, pause_s=900.0, meter_every_s=30.0)


@dataclass
class Seen:
    """What a Reset at RESET_AT_S led to, `t` seconds counted from it."""

    central: StubCentral
    bot: ChargerBot
    answer: list[Any] | None
    story: ResetStory

    def boots(self) -> list[tuple[float, int]]:
        """(t, link) of each boot after the Reset."""
        return [(round(h.at_s - RESET_AT_S, 1), h.link) for h in self.central.of("BootNotification") if self._later(h)]

    def boot_reasons(self) -> list[str]:
        return [h.payload["reason"] for h in self.central.of("BootNotification") if self._later(h)]

    def statuses(self) -> list[str]:
        field = "connectorStatus" if self.central.version == "2.0.1" else "status"
        found = [h for h in self.central.of("StatusNotification") if self._later(h)]
        return [h.payload[field] for h in found if h.payload.get("connectorId") != 0]

    def reboots(self, cause: str = "reset") -> list[float]:
        return [round(at - RESET_AT_S, 1) for at in times(self.bot.log, Kind.REBOOT_BEGAN, cause=cause)]

    def left(self) -> list[float]:
        return [round(at - RESET_AT_S, 1) for at in times(self.bot.log, Kind.DISCONNECTED) if at >= RESET_AT_S]

    def connected(self) -> list[float]:
        return [round(at - RESET_AT_S, 1) for at in times(self.bot.log, Kind.CONNECTED) if at > RESET_AT_S]

    @staticmethod
    def _later(heard: Any) -> bool:
        return bool(heard.at_s >= RESET_AT_S)


def see(
    behaviour: str | Behaviour,
    type: str = "Hard",
    lasts_s: float = 200.0,
    evse: int | None = None,
    **options: Any,
) -> Seen:
    """Let a charger live, send it one Reset, watch it for `lasts_s`."""
    if isinstance(behaviour, str):
        behaviour = behaviour_named(behaviour)
    payload: dict[str, Any] = {"type": type} if evse is None else {"type": type, "evseId": evse}

    async def story() -> Seen:
        central = StubCentral()
        bot = make_bot(central, behaviour, **options)
        bot.start()
        await asyncio.sleep(RESET_AT_S)
        waiting = central.send("Reset", payload)
        await asyncio.sleep(lasts_s)
        await bot.stop()
        answer = waiting.result() if waiting.done() else None
        return Seen(central, bot, answer, reset_stories(bot.log)[0])

    return run_skipping(story())


def see_201(behaviour: str | Behaviour, type: str = "Immediate", **options: Any) -> Seen:
    return see(behaviour, type, protocol="2.0.1", **options)


# the restart table of the field


def test_firmware_a_drops_at_10_s_and_boots_at_14_s() -> None:
    seen = see("firmware-a")
    assert seen.answer is not None
    assert seen.answer[2] == {"status": "Accepted"}
    assert seen.central.links[0].ended_with == "abort"
    assert (seen.left(), seen.boots()) == ([10.0], [(14.0, 1)])
    assert seen.story.answered_at_s == pytest.approx(RESET_AT_S + 0.01)


def test_firmware_a_soft_in_a_session_stops_it_and_is_back_with_the_cable_in() -> None:
    seen = see("firmware-a-session", "Soft", lasts_s=16, habits=HABITS)
    stop = seen.central.of("StopTransaction")[0]
    assert stop.payload["reason"] == "SoftReset"
    assert RESET_AT_S + 0.01 <= stop.at_s < RESET_AT_S + 1, "after the answer, before the drop"
    assert seen.boots() == [(14.0, 1)]
    assert seen.statuses()[-1] == "Preparing"
    assert times(seen.bot.log, Kind.TRANSACTION_ENDED, reason="SoftReset", told=True)


def test_firmware_a_201_says_power_up() -> None:
    seen = see_201("firmware-a-201")
    assert (seen.left(), seen.boots(), seen.boot_reasons()) == ([10.0], [(14.0, 1)], ["PowerUp"])


def test_firmware_b_is_gone_at_once_without_an_answer() -> None:
    seen = see("firmware-b", habits=HABITS)
    assert seen.answer is None
    assert (seen.left(), seen.boots()) == ([0.0], [(4.0, 1)])
    assert seen.central.of("StopTransaction")[0].at_s >= RESET_AT_S + 4


def test_simulator_c_hard_closes_first_and_is_back_at_once() -> None:
    seen = see("simulator-c-hard")
    assert seen.answer is None
    assert seen.central.links[0].ended_with == "close 1000"
    assert seen.story.reboot_done_at_s == pytest.approx(RESET_AT_S + 0.04)
    assert seen.boots() == [(0.0, 1)]


def test_simulator_c_soft_boots_before_it_answers_and_never_closes() -> None:
    seen = see("simulator-c-soft", "Soft")
    frames = [frame for at_s, frame in seen.central.frames if at_s >= RESET_AT_S]
    assert frames[0][2] == "BootNotification"
    answered = next(n for n, frame in enumerate(frames) if frame == seen.answer)
    assert answered > 0
    assert seen.answer is not None
    assert seen.answer[2] == {"status": "Accepted"}
    assert len(seen.central.links) == 1
    assert seen.boots() == [(0.0, 0)]


def test_simulator_c_201_boots_on_the_same_socket() -> None:
    seen = see_201("simulator-c-201")
    assert len(seen.central.links) == 1
    assert seen.boots() == [(0.2, 0)]
    assert seen.boot_reasons() == ["PowerUp"]


def test_simulator_c_201_says_scheduled_while_a_session_runs_and_reboots_after_it() -> None:
    habits = Habits(first_after_s=5.0, lasts_s=200.0, pause_s=500.0)
    seen = see_201("simulator-c-201", habits=habits)
    assert seen.answer is not None
    assert seen.answer[2] == {"status": "Scheduled"}
    ended = times(seen.bot.log, Kind.TRANSACTION_ENDED, reason="Local")[0]
    assert seen.story.reboot_began_at_s is not None
    assert ended < seen.story.reboot_began_at_s < ended + 2


def test_an_unknown_evse_is_rejected() -> None:
    seen = see_201("simulator-c-201", evse=7)
    assert seen.answer is not None
    assert seen.answer[2] == {"status": "Rejected"}
    assert seen.reboots() == []


def test_simulator_d_comes_back_at_6_s_and_orphans_its_session() -> None:
    seen = see("simulator-d", habits=HABITS, lasts_s=100)
    assert (seen.left(), seen.connected()) == ([3.0], [6.0])
    assert seen.central.of("StopTransaction") == []
    assert times(seen.bot.log, Kind.TRANSACTION_ORPHANED)


def test_simulator_d_without_supervisor_never_comes_back() -> None:
    seen = see("simulator-d-unsupervised", lasts_s=5000)
    assert (seen.left(), seen.connected()) == ([3.0], [])
    assert seen.story.reboot_began_at_s is not None
    assert seen.story.reboot_done_at_s is None


def test_simulator_e_reports_unavailable_first() -> None:
    seen = see_201("simulator-e")
    frames = [frame for at_s, frame in seen.central.frames if at_s >= RESET_AT_S]
    assert frames[0][3]["connectorStatus"] == "Unavailable"
    assert frames[1] == seen.answer
    assert (seen.left(), seen.boots()) == ([0.1], [(30.1, 1)])
    assert seen.statuses()[-1] == "Available"


def test_wallbox_is_away_for_90_s() -> None:
    seen = see("wallbox-90s")
    assert seen.connected()[0] - seen.left()[0] == pytest.approx(90, abs=0.1)
    assert len(seen.boots()) == 1


# refusals and lies


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("rejects", {"status": "Rejected"}),
        ("not-supported", "NotSupported"),
        ("accepts-does-nothing", {"status": "Accepted"}),
        ("schedules-and-forgets", {"status": "Accepted"}),
        ("never-answers", None),
    ],
)
def test_stays_as_it_was(name: str, answer: Any) -> None:
    seen = see(name)
    assert (seen.answer[2] if seen.answer else None) == answer
    assert (seen.reboots(), seen.left(), seen.boots()) == ([], [], [])
    assert [h.at_s for h in seen.central.of("Heartbeat") if h.at_s > RESET_AT_S], "it goes on talking"
    assert seen.story.answer == {"rejects": "Rejected", "not-supported": "NotSupported", "never-answers": None}.get(
        name, "Accepted"
    )


def test_schedules_and_forgets_in_201() -> None:
    seen = see_201("schedules-and-forgets", "OnIdle")
    assert seen.story.answer == "Scheduled"
    assert seen.reboots() == []


def test_drops_its_network_without_rebooting() -> None:
    seen = see("drops-without-reboot")
    assert (seen.left(), seen.connected()) == ([5.0], [8.0])
    assert (seen.reboots(), seen.boots()) == ([], [])


def test_answers_late_but_reboots() -> None:
    seen = see("answers-late")
    assert seen.story.answered_at_s == pytest.approx(RESET_AT_S + 40)
    assert seen.reboots() == [42.0]


def test_waits_for_its_session_to_end() -> None:
    seen = see("waits-for-session", habits=Habits(first_after_s=5.0, lasts_s=200.0, pause_s=900.0))
    assert seen.story.answer == "Accepted"
    assert seen.reboots()[0] > 55


# wrong returns


def test_never_back() -> None:
    seen = see("never-back", lasts_s=5000)
    assert (seen.left(), seen.connected(), seen.story.reboot_done_at_s) == ([1.0], [], None)


def test_late_return_comes_after_25_minutes() -> None:
    seen = see("late-return", lasts_s=1600)
    assert seen.boots() == [(1501.0, 1)]


def test_no_boot_is_back_without_announcing_it() -> None:
    seen = see("no-boot")
    assert (seen.reboots(), seen.left(), seen.connected()) == ([10.0], [10.0], [88.0])
    assert seen.boots() == []
    assert len(seen.central.of("BootNotification")) == 1, "it announced its very first power-on"


def test_boots_only_when_triggered() -> None:
    async def story() -> None:
        central = StubCentral()
        bot = make_bot(central, behaviour_named("boots-when-triggered"), protocol="2.0.1")
        bot.start()
        await asyncio.sleep(10)
        assert central.of("BootNotification") == []
        answer = await central.call("TriggerMessage", {"requestedMessage": "BootNotification"})
        await asyncio.sleep(1)
        await bot.stop()
        assert answer[2] == {"status": "Accepted"}
        assert [h.payload["reason"] for h in central.of("BootNotification")] == ["Triggered"]

    run_skipping(story())


@pytest.mark.parametrize(("name", "reboots"), [("boots-on-reconnect", [1.0]), ("boots-on-reconnect-liar", [])])
def test_boots_at_each_plain_reconnect(name: str, reboots: list[float]) -> None:
    seen = see(name, lasts_s=300)
    assert seen.reboots() == reboots
    assert seen.reboots("own") == []
    assert len(seen.central.of("BootNotification")) == len(seen.central.links) >= 4


@pytest.mark.parametrize("status", ["Faulted", "Unavailable"])
def test_back_but_not_ready(status: str) -> None:
    seen = see(f"back-{status.lower()}")
    assert len(seen.boots()) == 1
    assert seen.statuses() == [status]


def test_reboot_loop_reboots_three_more_times() -> None:
    seen = see("reboot-loop")
    assert (seen.reboots(), len(seen.reboots("supervisor")), len(seen.boots())) == ([1.0], 3, 4)


def test_reboots_by_itself_every_minute() -> None:
    async def story() -> None:
        central = StubCentral()
        bot = make_bot(central, behaviour_named("reboots-by-itself"), protocol="2.0.1")
        bot.start()
        await asyncio.sleep(200)
        await bot.stop()
        assert len(times(bot.log, Kind.REBOOT_BEGAN, cause="own", reset=None)) == 3
        assert [h.payload["reason"] for h in central.of("BootNotification")] == ["PowerUp", *["LocalReset"] * 3]

    run_skipping(story())


def test_dead_behind_a_proxy_leaves_its_socket_open_and_says_nothing_more() -> None:
    seen = see("dead-behind-proxy", lasts_s=1000)
    link = seen.central.links[0]
    assert seen.story.answer == "Accepted"
    assert not link.frozen
    assert link.ended_with == "abort", "only when the test ended"
    assert max(h.at_s for h in seen.central.heard) < RESET_AT_S + 1
    assert len(seen.central.links) == 1


def test_slow_first_boot_comes_35_s_after_connecting() -> None:
    seen = see("slow-first-boot")
    assert seen.boots()[0][0] - seen.connected()[0] == pytest.approx(35)


def test_boot_is_repeated_when_its_answer_was_lost() -> None:
    seen = see("boot-repeated")
    assert seen.boots() == [(5.0, 1), (10.0, 1)]
    assert len(times(seen.bot.log, Kind.BOOT_ANSWER_LOST)) == 2


def test_silent_reboot_is_back_while_its_old_link_hangs() -> None:
    seen = see("silent-reboot", lasts_s=20)
    old = seen.central.links[0]
    assert old.frozen
    assert seen.boots() == [(5.0, 1)]
    assert times(seen.bot.log, Kind.DISCONNECTED, how="silent")


def test_reset_of_one_evse_boots_nothing() -> None:
    seen = see_201("evse-reset", evse=1, habits=HABITS)
    assert seen.story.answer == "Accepted"
    assert seen.statuses()[-2:] == ["Unavailable", "Available"]
    assert (seen.boots(), seen.reboots(), seen.left()) == ([], [], [])
    ended = [h for h in seen.central.of("TransactionEvent") if h.payload["eventType"] == "Ended"]
    assert ended[0].payload["transactionInfo"]["stoppedReason"] == "ImmediateReset"
    assert seen.story.evse_reset_done_at_s is not None
    assert seen.story.reboot_began_at_s is None


def test_by_the_book_says_remote_reset_and_goodbye() -> None:
    seen = see_201("by-the-book")
    assert seen.boot_reasons() == ["RemoteReset"]
    assert seen.central.links[0].ended_with == "close 1000"
    assert seen.story.boot_accepted_at_s is not None


# the promises around them


def test_a_second_reset_before_the_reboot_is_rejected() -> None:
    async def story() -> None:
        central = StubCentral()
        bot = make_bot(central, behaviour_named("firmware-a"))
        bot.start()
        await asyncio.sleep(5)
        answers = [await central.call("Reset", {"type": "Hard"}) for _ in range(2)]
        await asyncio.sleep(30)
        await bot.stop()
        assert [answer[2]["status"] for answer in answers] == ["Accepted", "Rejected"]
        first, second = reset_stories(bot.log)
        assert first.reboot_done_at_s is not None
        assert second.reboot_began_at_s is None

    run_skipping(story())


def test_an_accepted_reset_reboots_even_when_the_link_goes_meanwhile() -> None:
    async def story() -> None:
        central = StubCentral()
        bot = make_bot(central, behaviour_named("firmware-a"))
        bot.start()
        await asyncio.sleep(50)
        await central.call("Reset", {"type": "Hard"})
        central.close()
        await asyncio.sleep(30)
        await bot.stop()
        assert reset_stories(bot.log)[0].reboot_began_at_s == pytest.approx(60, abs=0.1)

    run_skipping(story())


def test_a_reboot_of_its_own_forgets_the_promised_one() -> None:
    async def story() -> None:
        central = StubCentral()
        bot = make_bot(central, behaviour_named("firmware-a"))
        bot.start()
        await asyncio.sleep(5)
        await central.call("Reset", {"type": "Hard"})
        bot.reboot("own")
        await asyncio.sleep(60)
        await bot.stop()
        only = reset_stories(bot.log)[0]
        assert only.forgotten
        assert only.reboot_began_at_s is None
        assert only.boot_accepted_at_s is None
        assert len(times(bot.log, Kind.REBOOT_BEGAN, cause="own")) == 1

    run_skipping(story())


@pytest.mark.parametrize("protocol", ["1.6", "2.0.1"])
@pytest.mark.parametrize("name", sorted(BEHAVIOURS))
def test_every_behaviour_lives_through_a_reset_in_both_versions(name: str, protocol: str) -> None:
    seen = see(name, "Soft" if protocol == "1.6" else "OnIdle", lasts_s=100, protocol=protocol, habits=HABITS)
    assert not times(seen.bot.log, Kind.CALL_FAILED)
    assert not [e for e in seen.bot.log if e.kind is Kind.CALL_ERROR_SENT and name != "not-supported"]


def test_scaling_touches_durations_only() -> None:
    half = scaled(BEHAVIOURS["reboot-loop"], 0.5)
    assert (half.reboot_loop_every_s, half.drop_after_s, half.reboot_loop) == (4.0, 0.5, 3)


def test_unknown_names_and_fields_are_told() -> None:
    with pytest.raises(ValueError, match="no behaviour is named 'x'"):
        behaviour_named("x")
    with pytest.raises(ValueError, match="no field away"):
        tweaked(BEHAVIOURS["rejects"], {"away": 1})


def test_names_are_unique_and_explained() -> None:
    assert len(BEHAVIOURS) >= 34
    assert all(behaviour.summary.strip() for behaviour in BEHAVIOURS.values())
    assert len({behaviour.summary for behaviour in BEHAVIOURS.values()}) == len(BEHAVIOURS)
