"""What is said of a restart: each rule of the verdict, told as a charger would play it."""

from __future__ import annotations

import pytest

from borne.core.restart_state import UNDER_WAY
from borne.core.restart_times import MINUTE_MS
from tests.support.tale import DEADLINE_S, OTHER_RESTART, Tale, accepted, ms, tale

HOUR_S = 3600
DAY_S = 24 * HOUR_S


# ---- evidence counts only after the Reset was handed to the socket ------------------------------------------------


def test_a_boot_before_the_writing_is_no_evidence() -> None:
    restart = Tale().sent(-1).booted(-0.5, epoch=1).unwritten()
    assert restart.word == "not_sent"


def test_a_boot_on_its_way_while_the_reset_was_written_proves_nothing_by_itself() -> None:
    restart = Tale().sent(-1).booted(-0.5, epoch=1, reason="RemoteReset").written()
    assert restart.word is None
    assert restart.answered(0.01).wakes(heard_s=DEADLINE_S).word != "succeeded"


def test_a_boot_that_names_the_reset_counts_where_borne_ended_before_it_could_record_the_writing() -> None:
    def crashed() -> Tale:
        return Tale().sent(-0.01).returned(60, down_from_s=0.01).opened(70)

    assert crashed().booted(71, reason="RemoteReset").verdict == ("succeeded", "boot_reason")
    assert crashed().booted(71, reason="PowerUp").wakes(heard_s=DEADLINE_S).word == "unknown"


def test_a_loss_before_the_writing_means_that_it_was_never_written() -> None:
    restart = Tale().sent(-1).lost(-0.5).unwritten()
    assert restart.verdict == ("failed", "never_written")
    assert restart.opened(10).booted(11).word == "failed"


# ---- ours, or the charger's own loss ------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["stopped", "damped", "taken_over", "removed", "misbehaved", "crashed"])
def test_a_boot_after_a_loss_of_our_making_proves_nothing(how: str) -> None:
    restart = accepted().lost(10, how, ours=True).opened(14).booted(15, reason="PowerUp")
    assert restart.word is None
    assert restart.wakes(heard_s=DEADLINE_S).word == "unknown"


def test_taking_over_a_link_that_had_gone_silent_is_the_chargers_own_loss() -> None:
    restart = accepted().lost(20, "taken_over", last_sign_s=9).opened(20).booted(21)
    assert restart.verdict == ("succeeded", "booted_after_loss")


def test_the_loss_of_an_older_link_is_not_its_loss() -> None:
    restart = accepted(epoch=3).lost(5, epoch=2)
    assert (restart.state.phase, restart.state.left_ms) == ("accepted", None)


# ---- succeeded ----------------------------------------------------------------------------------------------------


def test_a_boot_on_the_same_link_where_a_boot_was_answered_before_is_success() -> None:
    restart = accepted(booted_on_link=True, link_age_s=5).booted(8, epoch=1)
    assert restart.verdict == ("succeeded", "booted_same_link")


def test_a_boot_on_the_same_link_that_was_open_for_more_than_two_minutes_is_success() -> None:
    restart = accepted(booted_on_link=False, link_age_s=121).booted(8, epoch=1)
    assert restart.verdict == ("succeeded", "booted_same_link")


def test_a_slow_first_boot_of_a_young_link_is_no_success() -> None:
    restart = accepted(booted_on_link=False, link_age_s=35).booted(20, epoch=1, reason="PowerUp")
    assert restart.word is None
    assert restart.wakes(heard_s=DEADLINE_S).word == "unknown"


def test_a_boot_answered_after_the_reset_makes_the_next_one_no_proof() -> None:
    """The earlier boot must have been answered before the Reset: a first boot may come more than once."""
    restart = accepted(booted_on_link=False, link_age_s=35).booted(5, epoch=1).booted(60, epoch=1)
    assert restart.word is None


def test_a_first_boot_repeated_because_its_answer_was_lost_is_no_success() -> None:
    restart = accepted(booted_on_link=False, link_age_s=35).booted(5, epoch=1).booted(6, epoch=1)
    assert restart.word is None


def test_a_boot_on_a_newer_link_after_a_loss_is_success() -> None:
    assert accepted().lost(10).opened(14).booted(15).verdict == ("succeeded", "booted_after_loss")


@pytest.mark.parametrize("how", ["close_frame", "dropped", "silent"])
def test_how_the_charger_left_does_not_matter(how: str) -> None:
    assert accepted().lost(10, how).opened(14).booted(15).word == "succeeded"


def test_a_charger_known_not_to_boot_at_plain_reconnects_may_leave_late() -> None:
    assert accepted(plain_reconnects_boot=False).lost(200).opened(230).booted(231).word == "succeeded"


@pytest.mark.parametrize("known", [True, None])
def test_a_plain_booter_must_have_left_within_60_s_of_accepted(known: bool | None) -> None:
    """Until a plain reconnect of a charger was seen, it counts as one that boots at them."""
    prompt = accepted(plain_reconnects_boot=known).lost(60).opened(70).booted(71)
    assert prompt.word == "succeeded"
    late = accepted(plain_reconnects_boot=known).lost(61).opened(70).booted(71)
    assert late.word is None
    assert late.wakes(heard_s=DEADLINE_S).verdict == ("unknown", "boot_proves_nothing")


@pytest.mark.parametrize("known", [True, None])
def test_a_plain_booter_that_left_within_60_s_of_a_late_accepted_succeeded(known: bool | None) -> None:
    restart = tale(plain_reconnects_boot=known).answered(55).lost(100).opened(110).booted(111)
    assert restart.word == "succeeded"


def test_a_plain_booter_that_never_answered_counts_from_the_writing() -> None:
    assert tale(plain_reconnects_boot=True).lost(59).opened(70).booted(71).word == "succeeded"
    assert tale(plain_reconnects_boot=True).lost(62).opened(70).booted(71).word is None


def test_when_a_silent_link_was_given_up_its_last_sign_tells_when_the_charger_left() -> None:
    restart = accepted(plain_reconnects_boot=True).lost(70, "silent", last_sign_s=40).opened(80).booted(81)
    assert restart.word == "succeeded"


@pytest.mark.parametrize("reason", ["RemoteReset", "ScheduledReset"])
@pytest.mark.parametrize("ours", [True, False])
def test_a_boot_whose_reason_names_a_reset_is_success_after_any_loss(reason: str, ours: bool) -> None:
    restart = (
        accepted(plain_reconnects_boot=True).lost(200, "dropped", ours=ours).opened(210).booted(211, reason=reason)
    )
    assert restart.verdict[0] == "succeeded"


def test_a_boot_whose_reason_names_a_reset_is_success_on_a_young_link() -> None:
    restart = accepted(booted_on_link=False, link_age_s=5).booted(8, epoch=1, reason="RemoteReset")
    assert restart.verdict == ("succeeded", "boot_reason")


@pytest.mark.parametrize("reason", [None, "PowerUp", "Watchdog", "Unknown", "LocalReset", "FirmwareUpdate"])
def test_any_other_reason_is_kept_as_evidence_and_changes_nothing(reason: str | None) -> None:
    restart = accepted().lost(10).opened(14).booted(15, reason=reason)
    assert (restart.word, restart.state.boot_reason) == ("succeeded", reason)


# ---- a boot that somebody asked for -------------------------------------------------------------------------------


def test_a_triggered_boot_is_no_proof() -> None:
    restart = accepted().lost(10).opened(98).booted(120, solicited=True, reason="Triggered")
    assert restart.word is None
    assert restart.wakes(heard_s=DEADLINE_S).word == "unknown"


@pytest.mark.parametrize("reason", [None, "RemoteReset"])
def test_after_our_trigger_message_no_boot_is_proof(reason: str | None) -> None:
    restart = accepted().triggered(5).booted(6, epoch=1, reason=reason)
    assert restart.word is None
    assert restart.wakes(heard_s=DEADLINE_S).word == "unknown"


# ---- failed, with proof -------------------------------------------------------------------------------------------


def test_rejected_is_a_failure_at_once() -> None:
    restart = tale().answered(0.02, "rejected")
    assert restart.verdict == ("failed", "rejected")
    assert restart.state.ended_ms == ms(0.02)


@pytest.mark.parametrize("code", ["NotImplemented", "NotSupported", "FormationViolation"])
def test_a_call_error_that_says_never_is_a_failure(code: str) -> None:
    restart = tale().answered(0.02, "error", code, "no such thing")
    assert restart.verdict == ("failed", "call_error")
    assert (restart.state.answer_code, restart.state.answer_text) == (code, "no such thing")


@pytest.mark.parametrize("code", ["InternalError", "GenericError", "SecurityError", "ProtocolError", "OddVendorCode"])
def test_any_other_call_error_is_no_failure(code: str) -> None:
    restart = tale().answered(0.02, "error", code)
    assert restart.word is None
    assert restart.copy().lost(10).opened(14).booted(15).word == "succeeded"
    assert restart.wakes(heard_s=DEADLINE_S).word == "unknown"


def test_never_written_is_a_failure() -> None:
    assert Tale().sent().unwritten().verdict == ("failed", "never_written")


def test_accepted_but_nothing_done_is_a_failure_at_the_deadline() -> None:
    restart = accepted(announces_boots=True)
    restart.woke(200, heard_s=199)
    assert restart.word is None
    assert restart.wakes(heard_s=DEADLINE_S - 5).verdict == ("failed", "did_nothing")
    assert restart.state.ended_ms == ms(DEADLINE_S)


def test_pongs_alone_do_not_show_that_it_did_nothing() -> None:
    assert accepted(announces_boots=True).wakes(heard_s=None).word == "unknown"


def test_messages_of_long_ago_do_not_show_that_it_did_nothing() -> None:
    assert accepted(announces_boots=True).wakes(heard_s=3).word == "unknown"


def test_a_charger_that_never_announced_a_boot_is_not_blamed_for_announcing_none() -> None:
    assert accepted(announces_boots=False).wakes(heard_s=DEADLINE_S).word == "unknown"


def test_a_charger_that_never_answered_is_not_blamed_for_staying() -> None:
    assert tale().wakes(heard_s=DEADLINE_S).verdict == ("unknown", "no_answer")


def test_accepted_left_and_not_back_is_a_failure_at_the_deadline() -> None:
    restart = accepted().lost(10).wakes()
    assert restart.verdict == ("failed", "did_not_come_back")
    assert (restart.state.left_ms, restart.state.ended_ms) == (ms(10), ms(DEADLINE_S))


def test_left_without_having_accepted_and_not_back_is_unknown() -> None:
    assert tale().lost(10).wakes().verdict == ("unknown", "left_unanswered")


def test_left_through_our_own_doing_and_not_back_is_not_blamed_on_the_charger() -> None:
    assert accepted().lost(10, "stopped", ours=True).wakes().word == "unknown"


def test_back_for_a_moment_and_gone_again_is_not_back_at_the_deadline() -> None:
    assert accepted().lost(10).opened(14).lost(16, epoch=2).wakes().verdict == ("failed", "did_not_come_back")


# ---- unknown, in a sentence that says what was seen ---------------------------------------------------------------


def test_left_and_back_without_a_boot_is_unknown_with_its_times() -> None:
    restart = accepted().lost(10).opened(98).wakes(heard_s=DEADLINE_S)
    assert restart.verdict == ("unknown", "back_without_boot")
    assert (restart.state.left_ms, restart.state.back_ms) == (ms(10), ms(98))


def test_borne_was_down_meanwhile_is_unknown() -> None:
    restart = accepted().returned(130, down_from_s=10)
    assert restart.wakes().verdict == ("unknown", "borne_was_down")


# ---- not sent -----------------------------------------------------------------------------------------------------


def test_a_charger_that_booted_by_itself_first_is_sent_nothing() -> None:
    restart = Tale().booted(-1, epoch=1)
    assert restart.verdict == ("not_sent", "booted_first")
    assert restart.sent().written().verdict == ("not_sent", "booted_first")


@pytest.mark.parametrize("reason", ["role", "plan", "model", "offline", "updating", "disabled"])
def test_a_condition_that_no_longer_held_is_not_sent(reason: str) -> None:
    assert Tale().refused(-1, reason).verdict == ("not_sent", reason)


def test_withdrawn_by_a_person_is_not_sent() -> None:
    restart = Tale(not_before_ms=ms(HOUR_S)).withdrawn(5, by="Ali")
    assert restart.verdict == ("not_sent", "withdrawn")
    assert any(step.details.get("by") == "Ali" for step in restart.state.steps)


def test_what_was_handed_to_the_socket_can_no_longer_be_withdrawn_or_refused() -> None:
    assert tale().withdrawn(1).refused(2, "role").word is None


def test_a_boot_that_we_asked_for_is_no_boot_by_itself() -> None:
    assert Tale().booted(-1, epoch=1, solicited=True).word is None


def test_a_boot_after_a_loss_of_our_making_is_no_boot_by_itself() -> None:
    """Many chargers boot at each reconnect: Borne's own restart must not cancel what waits for them."""
    restart = Tale(at_ms=ms(-100), when_free=True).returned(-50, down_from_s=-60).opened(-40).booted(-39)
    assert restart.word is None
    assert restart.booted(-10).verdict == ("not_sent", "booted_first")


# ---- deadline -----------------------------------------------------------------------------------------------------


def test_the_deadline_counts_from_the_writing() -> None:
    assert Tale().sent(-30).written(0).answered(0.01).wakes_s == DEADLINE_S
    assert accepted().lost(10).woke(DEADLINE_S - 0.001).word is None
    assert accepted().lost(10).woke(DEADLINE_S).word == "failed"


def test_the_deadline_is_extended_by_our_own_downtime() -> None:
    restart = accepted().returned(130, down_from_s=10)
    assert restart.wakes_s == DEADLINE_S + 120
    assert restart.woke(DEADLINE_S + 119).word is None


@pytest.mark.parametrize("by_s", [-HOUR_S, HOUR_S])
def test_the_deadline_moves_with_the_clock(by_s: int) -> None:
    restart = accepted().lost(10).clock_stepped(100 + by_s, by_s)
    assert restart.wakes_s == DEADLINE_S + by_s
    assert restart.copy().woke(DEADLINE_S + by_s - 1).word is None
    assert restart.woke(DEADLINE_S + by_s).word == "failed"


def test_a_clock_step_makes_no_loss_late_or_early() -> None:
    """The chargers that must have left within 60 s are measured on the same clock before and after a step."""
    restart = accepted(plain_reconnects_boot=True).clock_stepped(HOUR_S + 5, HOUR_S)
    assert restart.copy().lost(HOUR_S + 30).opened(HOUR_S + 40).booted(HOUR_S + 41).word == "succeeded"
    assert restart.lost(HOUR_S + 90).opened(HOUR_S + 95).booted(HOUR_S + 96).word is None


# ---- scheduled ----------------------------------------------------------------------------------------------------


def scheduled() -> Tale:
    return tale(charging=True).answered(0.01, "scheduled")


def test_scheduled_stands_beside_the_chargers_real_status() -> None:
    restart = scheduled()
    assert restart.state.phase == "scheduled"
    assert restart.state.phase not in UNDER_WAY


def test_soft_while_a_session_runs_is_scheduled_too() -> None:
    restart = Tale(kind="soft").sent(charging=True).written().answered(0.01)
    assert restart.state.phase == "scheduled"
    assert restart.woke(DEADLINE_S, heard_s=DEADLINE_S).word is None


def test_hard_while_a_session_runs_does_not_wait() -> None:
    assert Tale(kind="hard").sent(charging=True).written().answered(0.01).state.phase == "accepted"


def test_no_deadline_strikes_while_the_session_runs() -> None:
    restart = scheduled().woke(DEADLINE_S, heard_s=DEADLINE_S).woke(20 * HOUR_S, heard_s=20 * HOUR_S)
    assert restart.word is None


def test_the_clock_of_a_scheduled_one_starts_at_the_sessions_end() -> None:
    restart = scheduled().session_ended(2 * HOUR_S)
    assert restart.wakes_s == 2 * HOUR_S + DEADLINE_S
    assert restart.wakes(heard_s=2 * HOUR_S + DEADLINE_S).word == "failed"


def test_a_scheduled_one_that_restarts_after_the_session_succeeds() -> None:
    restart = scheduled().session_ended(HOUR_S).lost(HOUR_S + 3).opened(HOUR_S + 30).booted(HOUR_S + 31)
    assert restart.word == "succeeded"


def test_a_plain_booter_must_have_left_within_60_s_of_the_sessions_end() -> None:
    def ended() -> Tale:
        return tale(charging=True, plain_reconnects_boot=True).answered(0.01, "scheduled").session_ended(HOUR_S)

    assert ended().lost(HOUR_S + 50).opened(HOUR_S + 60).booted(HOUR_S + 61).word == "succeeded"
    assert ended().lost(HOUR_S + 70).opened(HOUR_S + 80).booted(HOUR_S + 81).word is None


def test_a_session_that_never_ends_makes_it_unknown_after_a_day() -> None:
    restart = scheduled()
    assert restart.copy().woke(DAY_S - 60, heard_s=DAY_S - 60).word is None
    assert restart.wakes(heard_s=DAY_S).verdict == ("unknown", "never_idle")
    assert restart.state.ended_ms == pytest.approx(ms(DAY_S), abs=MINUTE_MS)


def test_a_short_absence_during_the_session_leaves_it_scheduled() -> None:
    restart = tale(charging=True, plain_reconnects_boot=None).answered(0.01, "scheduled")
    restart.lost(HOUR_S).opened(HOUR_S + 20)
    assert restart.state.phase == "scheduled"
    restart.session_ended(2 * HOUR_S).lost(2 * HOUR_S + 3, epoch=2).opened(2 * HOUR_S + 20, epoch=3)
    assert restart.booted(2 * HOUR_S + 21, epoch=3).word == "succeeded"


def test_scheduled_by_the_charger_waits_for_a_session_that_we_did_not_know() -> None:
    restart = tale(charging=False).answered(0.01, "scheduled").session_ended(HOUR_S)
    assert restart.wakes_s == HOUR_S + DEADLINE_S


# ---- upgrades -----------------------------------------------------------------------------------------------------


def did_not_come_back() -> Tale:
    return accepted().lost(10).wakes()


def test_did_not_come_back_is_upgraded_when_it_comes_back_and_boots() -> None:
    restart = did_not_come_back().opened(41 * 60).booted(41 * 60 + 1)
    assert restart.word == "succeeded"
    assert (restart.state.first_verdict, restart.state.first_reason) == ("failed", "did_not_come_back")
    assert restart.state.first_ended_ms == ms(DEADLINE_S)


def test_did_not_come_back_is_no_longer_said_of_one_that_came_back_without_boot() -> None:
    restart = did_not_come_back().opened(41 * 60)
    assert restart.verdict == ("unknown", "came_back_late")
    assert restart.state.first_reason == "did_not_come_back"
    assert restart.state.back_ms == ms(41 * 60)


def test_an_unknown_is_upgraded_by_a_late_proof() -> None:
    restart = tale().lost(10).wakes()
    assert restart.word == "unknown"
    restart.opened(600).booted(601)
    assert restart.word == "succeeded"
    assert (restart.state.first_verdict, restart.state.first_reason) == ("unknown", "left_unanswered")


def test_an_upgrade_comes_within_a_day_only() -> None:
    assert did_not_come_back().opened(DAY_S - HOUR_S).booted(DAY_S - HOUR_S + 1).word == "succeeded"
    late = did_not_come_back().opened(DAY_S + 2 * HOUR_S).booted(DAY_S + 2 * HOUR_S + 1)
    assert late.verdict == ("failed", "did_not_come_back")


def test_an_upgrade_comes_before_the_next_reset_only() -> None:
    restart = did_not_come_back().sent(900, restart_id=OTHER_RESTART).written(901, restart_id=OTHER_RESTART)
    assert restart.lost(910).opened(920).booted(921).verdict == ("failed", "did_not_come_back")


@pytest.mark.parametrize("answer", [("rejected", None), ("error", "NotSupported")])
def test_other_failures_are_final(answer: tuple[str, str | None]) -> None:
    restart = tale().answered(0.02, answer[0], answer[1])
    before = restart.verdict
    assert restart.lost(10).opened(14).booted(15, reason="RemoteReset").verdict == before


def test_did_nothing_is_final() -> None:
    restart = accepted().wakes(heard_s=DEADLINE_S)
    assert restart.lost(400).opened(410).booted(411).verdict == ("failed", "did_nothing")


def test_not_sent_is_final() -> None:
    restart = Tale().withdrawn(-1)
    assert restart.sent().written().answered(0.1).lost(10).opened(14).booted(15).verdict == ("not_sent", "withdrawn")


# ---- after a success ----------------------------------------------------------------------------------------------


def success() -> Tale:
    return accepted().lost(10).opened(14).booted(15)


def test_three_boots_within_ten_minutes_of_a_success_are_unstable() -> None:
    restart = success()
    for number, second in enumerate((100, 200, 300)):
        restart.lost(second, epoch=2 + number).opened(second + 10, epoch=3 + number).booted(
            second + 11, epoch=3 + number
        )
    assert restart.word == "succeeded"
    assert restart.state.unstable


def test_one_more_boot_is_not_unstable() -> None:
    assert not success().lost(100, epoch=2).opened(110, epoch=3).booted(111, epoch=3).state.unstable


def test_boots_after_ten_minutes_are_not_unstable() -> None:
    restart = success()
    for number, second in enumerate((700, 800, 900)):
        restart.lost(second, epoch=2 + number).opened(second + 10, epoch=3 + number).booted(
            second + 11, epoch=3 + number
        )
    assert not restart.state.unstable


def test_a_boot_repeated_because_its_answer_was_lost_is_one_boot() -> None:
    restart = success()
    for second in (16, 17, 18, 19):
        restart.booted(second)
    assert not restart.state.unstable


@pytest.mark.parametrize("status", ["faulted", "unavailable"])
def test_back_faulted_or_unavailable_is_restarted_but_not_ready(status: str) -> None:
    restart = success().status(16, status)
    assert restart.word == "succeeded"
    assert restart.state.not_ready
    assert restart.state.ready_ms is None


def test_back_available_is_ready() -> None:
    restart = success().status(16, "available")
    assert restart.state.ready_ms == ms(16)
    assert not restart.state.not_ready


def test_firmware_that_says_unavailable_while_it_starts_is_ready_in_the_end() -> None:
    restart = success().status(16, "unavailable").status(20, "available")
    assert restart.state.ready_ms == ms(20)
    assert not restart.state.not_ready


# ---- what is no failure -------------------------------------------------------------------------------------------


def test_no_answer_is_no_failure() -> None:
    restart = tale().answered(30, "timeout")
    assert restart.word is None
    assert restart.copy().lost(40).opened(60).booted(61).word == "succeeded"
    assert restart.wakes(heard_s=DEADLINE_S).word == "unknown"


def test_a_late_answer_still_belongs_to_this_restart() -> None:
    restart = tale().answered(30, "timeout").answered(45, "rejected")
    assert restart.verdict == ("failed", "rejected")


def test_a_reset_is_never_asked_for_twice() -> None:
    restart = Tale()
    asked = len(restart.effects)
    restart.sent().written().answered(30, "timeout").lost(40).opened(50).returned(100, 60).opened(110, epoch=3)
    restart.wakes(heard_s=DEADLINE_S)
    assert not [effect for effect in restart.effects[asked:] if type(effect).__name__ == "SendRestart"]


# ---- one EVSE -----------------------------------------------------------------------------------------------------


def evse() -> Tale:
    return Tale(evse=2).sent().written().answered(0.01)


def test_an_evse_is_judged_by_its_status_and_no_boot_is_due() -> None:
    restart = evse().status(1, "unavailable", evse=2, epoch=1).status(20, "available", evse=2, epoch=1)
    assert restart.verdict == ("succeeded", "evse_back")


def test_the_status_of_another_evse_says_nothing() -> None:
    restart = evse().status(1, "unavailable", evse=1, epoch=1).status(20, "available", evse=1, epoch=1)
    assert restart.word is None
    assert restart.wakes(heard_s=DEADLINE_S).word == "unknown"


def test_an_evse_whose_status_never_moved_is_unknown() -> None:
    assert evse().wakes(heard_s=DEADLINE_S).verdict == ("unknown", "evse_not_seen")


def test_an_evse_that_stayed_away_did_not_come_back() -> None:
    restart = evse().status(1, "unavailable", evse=2, epoch=1).wakes(heard_s=DEADLINE_S)
    assert restart.verdict == ("failed", "evse_did_not_come_back")


def test_an_unknown_evse_is_rejected() -> None:
    assert Tale(evse=9).sent().written().answered(0.01, "rejected").verdict == ("failed", "rejected")


def test_an_evse_that_stayed_away_while_borne_was_down_is_unknown() -> None:
    restart = evse().status(1, "unavailable", evse=2, epoch=1).returned(100, down_from_s=20).wakes()
    assert restart.verdict == ("unknown", "borne_was_down")


def test_an_evse_that_stayed_away_without_having_accepted_is_unknown() -> None:
    restart = Tale(evse=2).sent().written().status(1, "unavailable", evse=2, epoch=1).wakes(heard_s=DEADLINE_S)
    assert restart.verdict == ("unknown", "no_answer")
