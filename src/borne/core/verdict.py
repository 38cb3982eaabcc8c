"""What counts as proof that a charger restarted, and what is said at the deadline. Never a guess dressed as a
verdict.

Evidence counts only after the Reset was handed to the socket. A boot proves a restart when it is unsolicited and comes
1. on the link that carried the Reset, if a boot had been answered on it before, or it had been open for two minutes: a first boot
   that is merely slow proves nothing;
2. on a newer link after a loss that was not ours. A charger that announces a boot at plain reconnects too, or that we never saw
   reconnect plainly, must have left within 60 s of the writing, of its Accepted or of the end of the session that held it up;
3. with a reason that names a reset (2.x RemoteReset, ScheduledReset).
"""

from __future__ import annotations

from typing import Literal, get_args

from borne.core.facts import Booted, RestartAnswered
from borne.core.restart_state import RestartState, Verdict

RESET_REASONS = frozenset(("RemoteReset", "ScheduledReset"))
# CALLERRORs that say "I never do this"; the others say only that something went wrong.
FINAL_ERRORS = frozenset(("NotImplemented", "NotSupported", "FormationViolation", "FormatViolation"))
LINK_OLD_ENOUGH_MS = 120_000
PROMPT_LOSS_MS = 60_000
SLOW_FIRST_BOOT_MS = 120_000
HEARD_RECENTLY_MS = 90_000

Doubt = Literal["solicited", "not_written", "first_boot_of_link", "loss_ours", "no_loss", "late_loss", "too_late"]
DOUBTS: tuple[Doubt, ...] = get_args(Doubt)

SUCCESS_REASONS = ("booted_same_link", "booted_after_loss", "boot_reason", "evse_back", "came_back_late")
FAILED_REASONS = (
    "rejected",
    "call_error",
    "never_written",
    "did_nothing",
    "did_not_come_back",
    "evse_did_not_come_back",
)
UNKNOWN_REASONS = (
    "back_without_boot", "boot_proves_nothing", "borne_was_down", "left_unanswered", "no_answer", "no_sign", "error_answered",
    "never_idle", "evse_not_seen", "came_back_late", "deleted", "archived", "handed_over",
    "replaced",
)  # fmt: skip
NOT_SENT_REASONS = (
    "withdrawn", "booted_first", "offline", "link_busy", "never_free", "role", "plan", "model", "never_connected", "restarting",
    "updating", "disabled", "stopped", "deleted", "archived", "handed_over", "replaced",
)  # fmt: skip


def refusal(fact: RestartAnswered) -> str | None:
    """The reason of a failure that the answer alone proves, or None."""
    if fact.status == "rejected":
        return "rejected"
    if fact.status == "error" and fact.code in FINAL_ERRORS:
        return "call_error"
    return None


def doubt(state: RestartState, boot: Booted) -> Doubt | None:
    """Why this boot does not prove that the Reset restarted the charger; None when it does."""
    if boot.solicited or boot.reason == "Triggered" or state.boot_triggered:
        return "solicited"
    if state.written_ms is None and not (boot.reason in RESET_REASONS and state.down_ms):
        return "not_written"  # unless Borne itself ended between the writing and its record
    if boot.reason in RESET_REASONS:
        return None
    if state.verdict in ("unknown", "failed"):
        return _late_doubt(state, boot)
    return _link_doubt(state) if boot.epoch == state.epoch else _loss_doubt(state)


def _link_doubt(state: RestartState) -> Doubt | None:
    """A boot on the link that carried the Reset: it may be the slow first one of that link."""
    old_enough = state.written_ms is not None and state.written_ms - state.link_opened_ms > LINK_OLD_ENOUGH_MS
    return None if state.booted_on_link or old_enough else "first_boot_of_link"


def _loss_doubt(state: RestartState) -> Doubt | None:
    if state.left_ms is None:
        return "no_loss"
    if state.left_ours:
        return "loss_ours"
    if state.plain_reconnects_boot is False:
        return None
    starts = (state.written_ms, state.answered_ms if state.answer in ("accepted", "scheduled") else None, state.idle_ms)
    prompt = any(at is not None and 0 <= state.left_ms - at <= PROMPT_LOSS_MS for at in starts)
    return None if prompt else "late_loss"


def _late_doubt(state: RestartState, boot: Booted) -> Doubt | None:
    """After a verdict only the first return from a loss that began before it may still prove the restart."""
    first_return = boot.epoch == state.back_epoch and state.back_ms is not None
    if not first_return or boot.at_ms - (state.back_ms or 0) > SLOW_FIRST_BOOT_MS:
        return "too_late"
    return _loss_doubt(state)


def success_reason(state: RestartState, boot: Booted) -> str:
    """How the restart was proved."""
    if state.verdict is not None:
        return "came_back_late"
    if boot.epoch == state.epoch:
        return "boot_reason" if _link_doubt(state) is not None else "booted_same_link"
    return "boot_reason" if _loss_doubt(state) is not None else "booted_after_loss"


def at_deadline(state: RestartState) -> tuple[Verdict, str]:
    """The verdict when time is up and nothing proved a success."""
    if state.held_up and state.phase != "left":
        return "unknown", "never_idle"
    if state.evse is not None:
        return _evse_at_deadline(state)
    if state.left_ms is None:
        return _still_there(state)
    if state.boot_doubt is not None:
        unseen = state.down_ms and state.boot_doubt in ("loss_ours", "not_written")
        return "unknown", "borne_was_down" if unseen else "boot_proves_nothing"
    if state.phase == "back" or state.back_ms is not None:
        return "unknown", "borne_was_down" if state.left_ours and state.down_ms else "back_without_boot"
    if state.left_ours:
        return "unknown", "borne_was_down"
    agreed = state.answer in ("accepted", "scheduled")
    return ("failed", "did_not_come_back") if agreed else ("unknown", "left_unanswered")


def _evse_at_deadline(state: RestartState) -> tuple[Verdict, str]:
    if state.down_ms:
        return "unknown", "borne_was_down"
    if state.answer not in ("accepted", "scheduled"):
        return "unknown", "error_answered" if state.answer == "error" else "no_answer"
    return ("unknown", "evse_not_seen") if state.evse_gone_ms is None else ("failed", "evse_did_not_come_back")


def _still_there(state: RestartState) -> tuple[Verdict, str]:
    if state.boot_doubt is not None:
        return "unknown", "boot_proves_nothing"
    if state.answer == "error":
        return "unknown", "error_answered"
    if state.answer != "accepted" and state.idle_ms is None:
        return "unknown", "no_answer"
    if state.announces_boots and _heard_to_the_end(state):
        return "failed", "did_nothing"
    return "unknown", "no_sign"


def _heard_to_the_end(state: RestartState) -> bool:
    """Its own messages came until shortly before the deadline; pongs do not count, a proxy answers those."""
    if state.heard_ms is None or state.deadline_ms is None or state.written_ms is None:
        return False
    window_ms = state.deadline_ms - (state.idle_ms or state.written_ms)
    return state.heard_ms >= state.deadline_ms - min(HEARD_RECENTLY_MS, window_ms // 3)
