"""One small story for each row of the catalogue of restart faults, told with simulated chargers; each has its exact verdict."""

import json

import pytest

from borne.sim.behaviour import Habits
from borne.sim.journal import Kind
from borne.sim.world import World
from tests.sim.tales import CLICK_S, charger, play, step

DONE = ("succeeded", "booted_after_loss")
DOWN = ("unknown", "borne_was_down")
CHARGES = Habits(first_after_s=5, lasts_s=200, pause_s=10_000, meter_every_s=30)


@pytest.mark.parametrize(
    ("row", "plan", "kind", "verdict"),
    [
        ("R1", charger("accepts-does-nothing"), "soft", ("failed", "did_nothing")),
        ("R1, never answers", charger("never-answers"), "soft", ("unknown", "no_answer")),
        ("R2", charger("simulator-c-soft"), "soft", ("succeeded", "booted_same_link")),
        ("R2, 2.x", charger("simulator-c-201", "2.0.1"), "hard", ("succeeded", "booted_same_link")),
        ("R3", charger("never-back"), "soft", ("failed", "did_not_come_back")),
        ("R4", charger("no-boot"), "soft", ("unknown", "back_without_boot")),
        ("R5", charger("firmware-a-201", "2.0.1"), "soft", DONE),
        ("R5, Watchdog", charger("firmware-a-201", "2.0.1", boot_reason="Watchdog"), "soft", DONE),
        ("R5, RemoteReset", charger("by-the-book", "2.0.1"), "soft", DONE),
        ("R8", charger("firmware-b"), "hard", DONE),
        ("R8, 0.04 s", charger("simulator-c-hard"), "hard", DONE),
        ("R9", charger("rejects"), "soft", ("failed", "rejected")),
        ("R9, error", charger("not-supported"), "soft", ("failed", "call_error")),
        ("R20", charger("back-faulted"), "soft", DONE),
        ("R24, plain reconnects", charger("boots-on-reconnect", loses_network_every_s=50.0), "soft", DONE),
        ("R24, proxy", charger("dead-behind-proxy"), "soft", ("unknown", "no_sign")),
        ("R24, silent", charger("silent-reboot"), "soft", DONE),
        ("a network loss is no restart", charger("drops-without-reboot"), "soft", ("unknown", "back_without_boot")),
        ("90 s", charger("wallbox-90s"), "soft", DONE),
        ("answers late", charger("answers-late"), "soft", DONE),
        ("Unavailable first", charger("simulator-e"), "soft", DONE),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_what_a_charger_does_decides(row, plan, kind, verdict):
    tale = play(plan, steps=(step(CLICK_S, "click", kind=kind),))
    assert tale.verdict == verdict
    assert tale.resets() == 1


def test_r4_a_triggered_boot_is_no_proof():
    steps = (step(CLICK_S, "click"), step(CLICK_S + 30, "trigger"))
    tale = play(charger("boots-when-triggered"), steps=steps)
    assert tale.verdict == ("unknown", "boot_proves_nothing")
    assert tale.state["boot_doubt"] == "solicited"


def test_r5_the_reason_of_a_boot_is_kept():
    tale = play(charger("firmware-a-201", "2.0.1", boot_reason="Watchdog"))
    assert tale.state["boot_reason"] == "Watchdog"


def test_r6_a_charger_that_reboots_first_is_sent_nothing():
    """Its link is not settled yet when the restart is asked for; then it announces a boot of its own."""
    tale = play(charger(boot_delay_s=10.0), steps=(step(5, "click"),))
    assert tale.verdict == ("not_sent", "booted_first")
    assert tale.resets() == 0


@pytest.mark.parametrize("when", ["leaves", "arrives", "answered"])
def test_r7_the_socket_drops_before_the_answer(when):
    """Nobody knows whether it got the Reset; it came back and announced no boot, because it had done nothing."""
    steps = (step(CLICK_S - 1, "cut_at_reset", when=when, charger_s=0.0, server_s=0.0), step(CLICK_S, "click"))
    assert play(charger("accepts-does-nothing"), steps=steps).verdict == ("unknown", "back_without_boot")


def test_r8_the_answer_is_lost_and_it_reboots():
    steps = (step(CLICK_S - 1, "cut_at_reset", when="answered", charger_s=0.0, server_s=0.0), step(CLICK_S, "click"))
    tale = play(charger("firmware-a"), steps=steps)
    assert tale.verdict == DONE
    assert tale.state.get("answer") is None


def test_r9_a_refusal_shows_at_once_and_another_restart_may_follow():
    tale = play(charger("rejects"), steps=(step(CLICK_S, "click"), step(CLICK_S + 1, "click")))
    assert tale.verdicts == [("failed", "rejected")] * 2
    assert tale.took_s < 0.2


def test_r10_two_people_a_double_click_and_a_retry_are_one_restart():
    clicks = (
        step(CLICK_S, "click", key="a", person=0),
        step(CLICK_S, "click", key="a", person=0),
        step(CLICK_S, "click", key="b", person=1),
        step(CLICK_S + 1, "click", person=1),
    )
    tale = play(steps=clicks)
    assert tale.verdict == DONE
    seen = [click.outcome.restart_id for click in tale.world.clicks if click.outcome is not None]
    assert seen == [1, 1, 1, 1]
    assert tale.resets() == 1


@pytest.mark.parametrize("down_s", [0.05, 60.0])
@pytest.mark.parametrize(
    ("where", "verdict", "resets"),
    [
        ("before_commit", DONE, 1),  # the request was not kept: the person asks again
        ("after_commit", DONE, 1),  # it was kept, and is sent after the start
        ("after_taken", DOWN, 0),  # committed as sent, never written: a true unknown
        ("before_reset", DOWN, 0),
        ("after_reset", DOWN, 1),
        ("after_answer", None, 1),  # it leaves 1 s later: after a blink of Borne that is its own doing
    ],
)
def test_r11_a_crash_at_each_point_changes_nothing_and_sends_nothing_twice(where, verdict, resets, down_s):
    """The judge compares the restart's phase before and after; here: never two Resets, and no verdict that nobody can know."""
    kill = step(CLICK_S, "kill", where=where, nth=1, down_s=down_s)
    tale = play(steps=(kill, step(CLICK_S, "click", key="k", retry=True)))
    assert tale.verdict == (verdict or (DONE if down_s < 1 else DOWN))
    assert tale.resets() == resets


@pytest.mark.parametrize("nth", range(1, 9))
@pytest.mark.parametrize("where", ["before_commit", "after_commit"])
def test_r11_a_crash_at_each_commit(where, nth):
    kill = step(CLICK_S, "kill", where=where, nth=nth, down_s=20.0)
    tale = play(steps=(kill, step(CLICK_S, "click", key="k", retry=True)))
    assert tale.resets() <= 1
    assert tale.verdicts in ([DONE], [DOWN], [])
    if not tale.verdicts:  # the request was lost with the server, and its repetition came before the charger was back
        assert tale.reasons == [("offline",)]


def test_r14_scheduled_until_the_session_ends():
    plan = charger("waits-for-session", "2.0.1", habits=CHARGES)
    tale = play(plan, steps=(step(CLICK_S, "click", kind="soft"),))
    assert tale.verdict == DONE
    assert "scheduled" in tale.phases[0]
    assert tale.took_s > 140  # the session had that long to go


def test_r15_scheduled_idle_and_then_nothing():
    plan = charger("schedules-and-forgets", "2.0.1", habits=CHARGES)
    tale = play(plan, steps=(step(CLICK_S, "click", kind="soft"),), heartbeat_s=20)
    assert tale.verdict == ("failed", "did_nothing")
    assert tale.took_s > 140 + 180  # the clock started at the end of the session


def test_r16_one_evse_needs_no_boot():
    tale = play(charger("evse-reset", "2.0.1", connectors=2), steps=(step(CLICK_S, "click", evse=2),))
    assert tale.verdict == ("succeeded", "evse_back")
    assert not [entry for entry in tale.world.chargers[0].log if entry.kind is Kind.REBOOT_BEGAN]


@pytest.mark.parametrize(
    ("end", "reason"), [("stopped", "HardReset"), ("stopped_late", "Reboot"), ("orphaned", "no stop received")]
)
def test_r17_hard_during_charging_closes_the_session_once(end, reason):
    closed: list[tuple[int | None, str]] = []

    def look(world: World) -> None:
        closed.extend(world.rows("SELECT ended_ms, end_reason, conflicts FROM sessions ORDER BY id"))

    plan = charger("simulator-d", habits=CHARGES, session_end=end)
    tale = play(plan, steps=(step(CLICK_S, "click", kind="hard"),), look=look)
    assert tale.verdict == DONE
    assert closed[0][0] is not None
    assert closed[0][1:] == (reason, "[]")


def test_r18_no_restart_during_a_firmware_update():
    tale = play(steps=(step(CLICK_S - 5, "firmware", for_s=60.0), step(CLICK_S, "click")))
    assert tale.verdicts == []
    assert tale.reasons == [("updating",)]


def test_r19_a_reboot_loop_is_one_success_and_unstable():
    tale = play(charger("reboot-loop", reboot_loop=4, reboot_loop_every_s=20.0), until_s=400)
    assert tale.verdict == DONE
    assert tale.state["unstable"] is True


@pytest.mark.parametrize("status", ["Faulted", "Unavailable"])
def test_r20_back_but_not_ready(status):
    tale = play(charger("back-faulted", back_status=status))
    assert tale.verdict == DONE
    assert tale.state["ready_status"] == status.lower()
    assert "ready_ms" not in tale.state


@pytest.mark.parametrize(("change", "expected"), [("demote", "role"), ("disable", "disabled")])
def test_r21_what_changes_between_the_click_and_the_sending_counts(change, expected):
    """The charger's new link is silent for a while: the restart waits for it to settle, and is looked at again then."""
    plan = charger("by-the-book", boot="when_triggered", statuses_on_reconnect=False)
    tale = play(plan, steps=(step(5, "click", person=1), step(6, change, for_s=100.0)))
    assert tale.verdict[0] == "not_sent"
    assert tale.verdict[1] == (expected if change == "demote" else "link_busy")
    assert tale.resets() == 0


@pytest.mark.parametrize("by_s", [-7200, -90, 90, 7200])
def test_r23_a_clock_step_makes_no_deadline_early_or_endless(by_s):
    plan = charger("accepts-does-nothing")
    still = play(plan)
    moved = play(plan, steps=(step(CLICK_S, "click"), step(CLICK_S + 40, "clock_step", by_s=by_s)))
    assert moved.verdict == still.verdict == ("failed", "did_nothing")
    assert abs(moved.took_s - still.took_s) < 2.5


def test_r24_a_liar_that_boots_at_plain_reconnects_convinces_nobody():
    """It accepts, does nothing, and loses its network more than a minute later."""
    plan = charger("boots-on-reconnect-liar", loses_network_every_s=150.0)
    tale = play(plan, steps=(step(CLICK_S, "click"),))
    assert tale.verdict == ("unknown", "boot_proves_nothing")
    doubts = [told["details"].get("doubt") for told in tale.state["steps"] if told["kind"] == "booted"]
    assert doubts[0] == "late_loss"


def test_r24_a_slow_first_boot_after_the_fallback_proves_nothing():
    plan = charger("accepts-does-nothing", boot_delay_s=35.0)
    tale = play(plan, steps=(step(5, "click"),), heartbeat_s=20)
    assert tale.verdict == ("unknown", "boot_proves_nothing")
    assert tale.state["boot_doubt"] == "first_boot_of_link"


def test_r24_a_boot_repeated_after_a_real_restart_is_one_restart():
    tale = play(charger("boot-repeated"))
    assert tale.verdict == DONE
    assert not tale.state.get("unstable")


def test_r24_borne_restarts_meanwhile():
    tale = play(charger("firmware-a"), steps=(step(CLICK_S, "click"), step(CLICK_S + 2, "stop", down_s=30.0)))
    assert tale.verdict == ("unknown", "borne_was_down")


def test_r24_it_comes_back_after_the_verdict():
    tale = play(charger("late-return", away_s=400.0), until_s=CLICK_S + 450)
    assert tale.verdict == ("succeeded", "came_back_late")
    assert tale.first[0][0] == ("failed", "did_not_come_back")
    assert tale.state["first_verdict"] == "failed"


def test_when_free_waits_and_a_withdrawn_one_is_not_sent():
    plan = charger(habits=CHARGES)
    free = play(plan, steps=(step(CLICK_S, "click", when="free"),))
    assert free.verdict == DONE
    assert free.cases[0].frame is not None
    assert free.cases[0].frame.at_s > 200
    gone = play(plan, steps=(step(CLICK_S, "click", when="free"), step(CLICK_S + 5, "withdraw", person=0)))
    assert gone.verdict == ("not_sent", "withdrawn")


def test_at_a_time_means_then_and_offline_then_means_not_sent():
    then = play(steps=(step(CLICK_S, "click", when=90.0),))
    assert then.verdict == DONE
    assert then.cases[0].frame is not None
    assert abs(then.cases[0].frame.at_s - CLICK_S - 90) < 2
    away = play(steps=(step(CLICK_S, "click", when=90.0), step(CLICK_S + 80, "lose_network", away_s=60.0)))
    assert away.verdict == ("not_sent", "offline")


def test_a_batch_restarts_one_after_the_other_and_survives_a_crash():
    plans = [charger() for _ in range(5)]
    steps = (step(CLICK_S, "batch", person=0), step(CLICK_S + 2, "kill", where="now", down_s=5.0))
    tale = play(*plans, steps=steps, at_once=2)
    words = [verdict for verdict, _ in tale.verdicts]
    assert len(words) == 5
    assert words.count("succeeded") >= 3  # the two under way were lost sight of
    assert [tale.resets(number) for number in range(5)] == [1] * 5


def test_the_whole_timeline_stays():
    tale = play(charger("firmware-a"))
    kinds = [told["kind"] for told in tale.state["steps"]]
    assert kinds == ["requested", "sent", "answered", "left", "back", "booted", "verdict", "ready"]
    assert all(told["at_ms"] > 0 for told in json.loads(json.dumps(tale.state["steps"])))


# ---- what seeds have found, told plainly -------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", ["1.6", "2.0.1"])
def test_a_boot_on_the_same_socket_that_counts_its_ids_anew_is_a_boot(protocol):
    """Same link, same message id, same words as the first boot: an answer from memory would hide the restart."""
    plan = charger("simulator-c-soft", protocol, message_ids="counter", boot_reason="PowerUp")
    tale = play(plan, steps=(step(CLICK_S, "click", kind="hard"),))
    assert tale.verdict == ("succeeded", "booted_same_link")


def test_a_clock_set_back_while_borne_is_away_makes_no_deadline_endless():
    steps = (
        step(CLICK_S, "click"),
        step(CLICK_S + 5, "stop", down_s=20.0),
        step(CLICK_S + 15, "clock_step", by_s=-3600.0),
    )
    tale = play(charger("accepts-does-nothing"), steps=steps)
    assert tale.verdict == DOWN
    assert tale.took_s < 240


def test_a_clock_set_back_makes_no_dead_charger_look_as_if_it_had_just_spoken():
    steps = (step(CLICK_S, "click"), step(CLICK_S + 5, "clock_step", by_s=-3600.0))
    assert play(charger("dead-behind-proxy"), steps=steps).verdict == ("unknown", "no_sign")


def test_a_charger_that_leaves_in_the_session_that_held_its_restart_up_shall_be_back_in_time():
    plan = charger("simulator-d-unsupervised", "2.0.1", habits=CHARGES, waits_for_session="never")
    tale = play(plan, steps=(step(CLICK_S, "click", kind="soft"),))
    assert tale.verdict == ("failed", "did_not_come_back")
    assert tale.took_s < 240


def test_an_evse_that_waits_for_its_session_is_not_back_before_it_has_gone():
    """It shows Unavailable before it answers Scheduled, and Occupied when the session ends."""
    plan = charger("simulator-e", "2.0.1", habits=CHARGES, waits_for_session="on_idle")
    tale = play(plan, steps=(step(CLICK_S, "click", kind="soft", evse=1),))
    assert tale.verdict == ("succeeded", "evse_back")
    assert tale.took_s > 140
