"""The restart machine: as chargers really do it, the fault catalogue's group R, phases, deadlines, timeline and slots."""

from __future__ import annotations

import msgspec
import pytest

from borne.core.effects import SendRestart, TellBatch
from borne.core.restart_state import MAX_STEPS, PHASES, UNDER_WAY, RestartState
from tests.support.tale import DEADLINE_S, Tale, accepted, ms, tale

HOUR_S = 3600


# ---- the table: as chargers really do it --------------------------------------------------------------------------


def test_firmware_a_16_drops_without_a_close_frame_and_is_back_after_14_s() -> None:
    restart = tale().answered(0.01).lost(10, "dropped").opened(14).booted(14.1)
    assert restart.word == "succeeded"
    assert restart.state.duration_ms == 14_100


def test_firmware_a_16_soft_during_a_session_stops_it_and_comes_back_with_the_cable_in() -> None:
    restart = Tale(kind="soft").sent(charging=True).written().answered(0.01)
    restart.session_ended(0.02, reason="SoftReset").lost(10).opened(14).booted(14.1).status(14.2, "preparing")
    assert restart.word == "succeeded"
    assert restart.state.ready_status == "preparing"


def test_firmware_a_201_says_power_up() -> None:
    restart = tale().answered(0.01).lost(10).opened(14).booted(14.1, reason="PowerUp")
    assert (restart.word, restart.state.boot_reason) == ("succeeded", "PowerUp")


def test_firmware_b_never_answers_and_is_gone_at_once() -> None:
    restart = tale().lost(0.01).opened(4).booted(4.1)
    assert (restart.word, restart.state.answer) == ("succeeded", None)


def test_simulator_c_16_hard_closes_before_it_could_answer() -> None:
    assert tale().lost(0.04, "close_frame").opened(0.04).booted(0.05).word == "succeeded"


def test_simulator_c_16_soft_boots_before_its_answer_on_the_same_socket() -> None:
    restart = Tale(kind="soft").sent().written().booted(0.02, epoch=1)
    assert restart.word == "succeeded"
    restart.answered(0.03)
    assert (restart.word, restart.state.answer, restart.state.answered_ms) == ("succeeded", "accepted", ms(0.03))


def test_simulator_c_2x_boots_on_the_same_socket() -> None:
    assert tale().answered(0.01).booted(3, epoch=1, reason="PowerUp").verdict == ("succeeded", "booted_same_link")


def test_simulator_c_2x_schedules_while_a_session_runs() -> None:
    restart = tale(charging=True).answered(0.01, "scheduled").session_ended(600).booted(602, epoch=1, reason="PowerUp")
    assert restart.word == "succeeded"
    assert restart.state.duration_ms == 2_000


def test_simulator_c_2x_rejects_an_unknown_evse() -> None:
    assert Tale(evse=7).sent().written().answered(0.01, "rejected").word == "failed"


def test_simulator_d_leaves_at_3_s_and_is_back_at_6_s() -> None:
    assert tale(charging=True).answered(0.01).lost(3).opened(6).booted(6.1, reason="PowerUp").word == "succeeded"


def test_simulator_d_never_comes_back_when_its_supervisor_is_off() -> None:
    assert tale(charging=True).answered(0.01).lost(3).wakes().verdict == ("failed", "did_not_come_back")


def test_simulator_e_says_unavailable_first_and_takes_30_s() -> None:
    restart = (
        tale().status(0.01, "unavailable", epoch=1).answered(0.02).lost(0.1).opened(30).booted(30.1, reason="PowerUp")
    )
    assert restart.status(30.2, "available").word == "succeeded"
    assert not restart.state.not_ready


@pytest.mark.parametrize("known", [True, False, None])
def test_a_real_wallbox_is_offline_for_90_s(known: bool | None) -> None:
    assert accepted(plain_reconnects_boot=known).lost(5).opened(95).booted(96).word == "succeeded"


# ---- group R ------------------------------------------------------------------------------------------------------


def test_r1_accepted_never_disconnects_no_boot() -> None:
    assert accepted().wakes(heard_s=DEADLINE_S - 1).verdict == ("failed", "did_nothing")


def test_r2_boot_on_the_same_socket() -> None:
    assert accepted().booted(2, epoch=1).word == "succeeded"


def test_r3_disconnects_and_never_returns() -> None:
    restart = accepted().lost(30, "silent", last_sign_s=4).wakes()
    assert restart.verdict == ("failed", "did_not_come_back")
    assert restart.state.left_ms == ms(4)  # last seen


def test_r4_returns_without_a_boot() -> None:
    restart = accepted().lost(10).opened(98).wakes(heard_s=DEADLINE_S)
    assert restart.verdict == ("unknown", "back_without_boot")


@pytest.mark.parametrize("reason", ["PowerUp", "Watchdog"])
def test_r5_boots_with_another_reason(reason: str) -> None:
    assert accepted().lost(10).opened(14).booted(15, reason=reason).word == "succeeded"


def test_r6_reboots_by_itself_between_click_and_send() -> None:
    left = Tale().lost(-1.5)
    assert left.verdict == ("not_sent", "offline")
    assert left.opened(-1).sent().written().word == "not_sent"
    assert Tale().booted(-1, epoch=1).verdict == ("not_sent", "booted_first")


def test_r7_socket_drops_after_send_before_answer() -> None:
    restart = tale().lost(0.5).wakes()
    assert restart.word == "unknown"
    assert restart.opened(900).booted(901).word == "succeeded"
    assert restart.state.first_verdict == "unknown"


def test_r8_answer_lost_charger_reboots() -> None:
    assert tale().answered(30, "timeout").lost(31).opened(45).booted(46).word == "succeeded"


def test_r9_rejected_is_shown_at_once_and_the_charger_is_free_again() -> None:
    restart = tale().answered(0.02, "rejected")
    assert restart.verdict == ("failed", "rejected")
    assert restart.state.phase not in UNDER_WAY


@pytest.mark.parametrize("down_from_s", [-1.5, -0.005, 0.005, 5, 12, 14.5])
def test_r11_the_server_is_killed_at_each_step_and_no_second_reset_is_asked_for(down_from_s: float) -> None:
    """Everything received before the server ended is stored; what happened while it was down never reached it."""
    script = [
        (-0.01, lambda t: t.sent(-0.01)),
        (0, lambda t: t.written(0)),
        (0.01, lambda t: t.answered(0.01)),
        (10, lambda t: t.lost(10)),
        (14, lambda t: t.opened(14)),
        (15, lambda t: t.booted(15)),
    ]
    restart = Tale()
    for second, play in script:
        if second < down_from_s:
            play(restart)
    stored = msgspec.json.encode(restart.state)
    restart.state = msgspec.json.decode(stored, type=RestartState)
    restart.returned(60, down_from_s=down_from_s)
    if restart.state.sent_ms is not None:
        sent_before = sum(isinstance(effect, SendRestart) for effect in restart.effects)
        restart.opened(70, epoch=5).booted(71, epoch=5).wakes(heard_s=DEADLINE_S)
        assert sum(isinstance(effect, SendRestart) for effect in restart.effects) == sent_before == 1
        own_loss = down_from_s > 10
        assert restart.word == ("succeeded" if own_loss else "unknown")
    else:
        assert restart.state.phase == "requested"  # not sent yet: the link that comes back takes it
        assert restart.wakes_s == 60 + 120


def test_r14_scheduled_has_no_failure_timer_while_the_session_lasts_hours() -> None:
    restart = tale(charging=True).answered(0.01, "scheduled")
    for hour in range(1, 23):
        restart.woke(hour * HOUR_S, heard_s=hour * HOUR_S)
    assert restart.word is None
    assert restart.state.phase == "scheduled"


def test_r14_a_scheduled_one_can_no_longer_be_withdrawn() -> None:
    assert tale(charging=True).answered(0.01, "scheduled").withdrawn(60).word is None


def test_r15_scheduled_then_never_happens_after_idle() -> None:
    restart = tale(charging=True).answered(0.01, "scheduled").session_ended(HOUR_S)
    assert restart.wakes(heard_s=HOUR_S + DEADLINE_S - 1).verdict == ("failed", "did_nothing")


def test_r16_an_evse_reset_is_judged_by_its_status_not_by_a_disconnect() -> None:
    restart = Tale(evse=1).sent().written().answered(0.01).lost(20).opened(25)
    assert restart.word is None
    assert restart.wakes(heard_s=DEADLINE_S).word == "unknown"


@pytest.mark.parametrize("stop_s", [0.02, 200, None])
def test_r17_immediate_during_charging_with_the_stop_before_after_or_never(stop_s: float | None) -> None:
    restart = tale(charging=True).answered(0.01)
    if stop_s is not None and stop_s < 10:
        restart.session_ended(stop_s)
    restart.lost(10).opened(14).booted(15)
    if stop_s is not None and stop_s > 10:
        restart.session_ended(stop_s, epoch=2)
    assert restart.word == "succeeded"


def test_r18_refused_while_updating() -> None:
    assert Tale().refused(-1, "updating").verdict == ("not_sent", "updating")


def test_r19_a_reboot_loop_is_success_once_then_unstable() -> None:
    restart = accepted()
    for number in range(6):
        second = 10 + number * 40
        restart.lost(second, epoch=1 + number).opened(second + 14, epoch=2 + number).booted(
            second + 15, epoch=2 + number
        )
    assert restart.verdict == ("succeeded", "booted_after_loss")
    assert restart.state.unstable
    assert restart.kinds.count("verdict") == 1


@pytest.mark.parametrize("status", ["faulted", "unavailable"])
def test_r20_comes_back_not_ready(status: str) -> None:
    restart = accepted().lost(10).opened(14).booted(15).status(16, status)
    assert (restart.word, restart.state.ready_status) == ("succeeded", status)
    assert restart.state.not_ready


@pytest.mark.parametrize("by_s", [-HOUR_S, -90, 90, HOUR_S])
def test_r23_a_clock_step_makes_the_deadline_neither_early_nor_endless(by_s: int) -> None:
    restart = accepted().lost(10).clock_stepped(50 + by_s, by_s)
    assert restart.woke(DEADLINE_S + by_s - 1).word is None
    assert restart.woke(DEADLINE_S + by_s).word == "failed"
    assert restart.state.ended_ms is not None
    assert restart.state.written_ms is not None
    assert restart.state.ended_ms - restart.state.written_ms == DEADLINE_S * 1000


@pytest.mark.parametrize("by_s", [-HOUR_S, HOUR_S])
def test_r23_a_clock_step_before_sending_keeps_the_bound_and_the_chosen_time(by_s: int) -> None:
    assert Tale(at_ms=ms(0)).clock_stepped(1 + by_s, by_s).wakes_s == 120 + by_s
    assert Tale(at_ms=ms(0), not_before_ms=ms(HOUR_S)).clock_stepped(1 + by_s, by_s).wakes_s == HOUR_S
    due = Tale(at_ms=ms(0), not_before_ms=ms(HOUR_S)).woke(HOUR_S)
    assert due.clock_stepped(HOUR_S + 1 + by_s, by_s).wakes_s == HOUR_S + 120 + by_s


def test_r24_announces_a_boot_at_each_plain_reconnect() -> None:
    restart = accepted(plain_reconnects_boot=True).lost(120).opened(125).booted(126)
    assert restart.wakes(heard_s=DEADLINE_S).verdict == ("unknown", "boot_proves_nothing")


def test_r24_slow_first_boot_after_the_30_s_fallback() -> None:
    restart = accepted(booted_on_link=False, link_age_s=31).booted(3, epoch=1)
    assert restart.wakes(heard_s=DEADLINE_S).verdict == ("unknown", "boot_proves_nothing")


def test_r24_boot_repeated_because_its_answer_was_lost() -> None:
    restart = accepted().lost(10).opened(14).booted(15).lost(16, epoch=2).opened(17, epoch=3).booted(17.5, epoch=3)
    assert restart.word == "succeeded"
    assert not restart.state.unstable


def test_r24_a_proxy_answers_pings_for_a_dead_charger() -> None:
    assert accepted().wakes(heard_s=0.01).word == "unknown"


def test_r24_borne_restarts_meanwhile() -> None:
    restart = accepted().returned(40, down_from_s=5).opened(42).booted(43)
    assert restart.wakes(heard_s=DEADLINE_S).verdict == ("unknown", "borne_was_down")


def test_r24_comes_back_after_the_verdict() -> None:
    restart = accepted().lost(10).wakes().opened(41 * 60).booted(41 * 60 + 1)
    assert restart.verdict == ("succeeded", "came_back_late")


def test_r24_reboots_without_closing_and_is_back_before_the_old_link_is_noticed_dead() -> None:
    restart = accepted(plain_reconnects_boot=None).lost(14, "taken_over", last_sign_s=0.01).opened(14).booted(14.5)
    assert restart.word == "succeeded"


# ---- before sending -----------------------------------------------------------------------------------------------


def test_now_asks_for_the_link_at_once() -> None:
    restart = Tale()
    assert restart.state.phase == "requested"
    assert [type(effect) for effect in restart.effects] == [SendRestart]


def test_a_time_waits_for_it() -> None:
    restart = Tale(at_ms=ms(0), not_before_ms=ms(HOUR_S))
    assert (restart.state.phase, restart.wakes_s) == ("waiting", HOUR_S)
    assert not restart.effects
    assert restart.woke(HOUR_S - 1).state.phase == "waiting"
    assert restart.woke(HOUR_S).state.phase == "requested"
    assert [type(effect) for effect in restart.effects] == [SendRestart]


def test_when_free_waits_a_day_at_most() -> None:
    restart = Tale(at_ms=ms(0), when_free=True)
    assert restart.state.phase == "waiting"
    assert restart.wakes().verdict == ("not_sent", "never_free")
    assert restart.state.ended_ms == ms(24 * HOUR_S)


def test_a_boot_does_not_cancel_what_was_asked_for_a_time() -> None:
    assert Tale(at_ms=ms(0), not_before_ms=ms(HOUR_S)).booted(60, epoch=1).word is None


def test_a_link_that_never_comes_free_is_given_up_after_two_minutes() -> None:
    restart = Tale(at_ms=ms(0)).wakes()
    assert restart.verdict == ("not_sent", "link_busy")
    assert restart.state.ended_ms == ms(120)


def test_our_own_stop_before_sending_does_not_end_it() -> None:
    restart = Tale(at_ms=ms(0)).lost(1, "stopped", ours=True).returned(30, down_from_s=1)
    assert restart.word is None
    assert restart.wakes_s == 150


def test_only_its_own_facts_move_it() -> None:
    restart = Tale().sent(restart_id=999)
    assert restart.state.phase == "requested"
    assert restart.written(restart_id=999).state.written_ms is None


def test_it_is_sent_once() -> None:
    restart = Tale().sent(-1).sent(5)
    assert restart.state.sent_ms == ms(-1)


# ---- timeline -----------------------------------------------------------------------------------------------------


def test_the_whole_timeline_stays_each_step_with_its_time() -> None:
    restart = accepted().lost(10).opened(14).booted(15).status(16, "available")
    times = {step.kind: (step.at_ms - ms(0)) / 1000 for step in restart.state.steps}
    assert [*times] == ["requested", "sent", "answered", "left", "back", "booted", "verdict", "ready"]
    assert times == {
        "requested": -2, "sent": 0, "answered": 0.01, "left": 10, "back": 14, "booted": 15, "verdict": 15, "ready": 16,
    }  # fmt: skip


def test_the_timeline_is_bounded_and_still_has_the_verdict() -> None:
    restart = accepted()
    for number in range(200):
        restart.lost(1 + number / 10, epoch=1 + number, ours=True).opened(1.05 + number / 10, epoch=2 + number)
    restart.wakes(heard_s=DEADLINE_S)
    assert len(restart.state.steps) <= MAX_STEPS + 5
    assert restart.kinds[-1] == "verdict"


def test_every_phase_has_its_place() -> None:
    assert set(UNDER_WAY) < set(PHASES)
    assert not {"queued", "waiting", "scheduled", "ended"} & set(UNDER_WAY)


# ---- in a batch ---------------------------------------------------------------------------------------------------


def batched() -> Tale:
    return Tale(at_ms=ms(-60), in_batch=True)


def test_in_a_batch_it_waits_to_be_released() -> None:
    restart = batched()
    assert (restart.state.phase, restart.wakes_s, restart.effects) == ("queued", None, [])
    assert restart.released(-1).state.phase == "requested"
    assert [type(effect) for effect in restart.effects] == [SendRestart]


def test_a_queued_one_that_is_withdrawn_never_had_a_slot() -> None:
    assert batched().withdrawn(-5).tells == [TellBatch(100, slot_freed=False, verdict="not_sent", left_queue=True)]


def test_a_slot_frees_when_the_charger_is_back_and_once_only() -> None:
    restart = batched().released(-1).sent().written().answered(0.01).lost(10)
    assert restart.tells == []
    restart.opened(14)
    assert restart.tells == [TellBatch(100, slot_freed=True)]
    restart.booted(15)
    assert restart.tells[1:] == [TellBatch(100, slot_freed=False, verdict="succeeded")]


def test_a_slot_frees_at_the_verdict() -> None:
    restart = batched().released(-1).sent().written().answered(0.01, "rejected")
    assert restart.tells == [TellBatch(100, slot_freed=True, verdict="failed")]


def test_a_slot_frees_after_five_minutes() -> None:
    restart = batched().released(-1).sent(0, deadline_after_ms=1_200_000).written().answered(0.01)
    assert restart.wakes_s == 300
    restart.woke(300)
    assert restart.tells == [TellBatch(100, slot_freed=True)]
    assert restart.wakes_s == 1200
    restart.wakes()
    assert restart.tells[1:] == [TellBatch(100, slot_freed=False, verdict="unknown")]


def test_an_upgrade_tells_the_batch_nothing_twice() -> None:
    restart = batched().released(-1).sent().written().answered(0.01).lost(10).wakes().opened(900).booted(901)
    assert sum(tell.verdict is not None for tell in restart.tells) == 1
