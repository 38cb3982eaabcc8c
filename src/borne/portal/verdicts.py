"""How a restart went, as a person says it: a title, and a sentence with the evidence.

Every pair of verdict and reason of `core.verdict` has its sentence here, in every language of the pages; what was not seen is
not claimed. Numbers come from the machine's own state, never from its columns.
"""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec.structs import replace

from borne.core.restart_state import RestartState
from borne.portal.formats import Formats
from borne.portal.language import N_, Language, translations

Tone = Literal["ready", "fault", "locked", "gone"]  # the colours of base.css; never without their word


class Sentence(msgspec.Struct, frozen=True):
    """`title` in a word or two, `text` one or two full sentences, `tone` a class of base.css."""

    title: str
    text: str
    tone: Tone


_TITLES: dict[str, tuple[str, Tone]] = {
    "succeeded": (N_("Succeeded"), "ready"),
    "failed": (N_("Failed"), "fault"),
    "unknown": (N_("Unknown"), "gone"),
    "not_sent": (N_("Not sent"), "gone"),
}
# Titles that say more than the verdict does.
_SHARPER: dict[tuple[str, str], str] = {
    ("failed", "rejected"): N_("Refused by the charger"),
    ("failed", "did_not_come_back"): N_("Did not come back"),
    ("failed", "did_nothing"): N_("Accepted, but did not restart"),
    ("unknown", "came_back_late"): N_("Came back late"),
    ("unknown", "back_without_boot"): N_("Unknown, probably restarted"),
    ("not_sent", "withdrawn"): N_("Withdrawn"),
}

TEXTS: dict[tuple[str, str], str] = {
    ("succeeded", "booted_same_link"): N_(
        "It announced a boot %(boot_after)s after the command, without leaving its connection."
    ),
    ("succeeded", "booted_after_loss"): N_(
        "It left its connection %(left_after)s after the command and announced a boot after %(boot_after)s."
    ),
    ("succeeded", "boot_reason"): N_(
        "It announced a boot %(boot_after)s after the command and named the reset as its cause."
    ),
    ("succeeded", "evse_back"): N_(
        "The outlet went out of service and was back %(boot_after)s after the command. A single outlet announces no boot."
    ),
    ("succeeded", "came_back_late"): N_(
        "It came back and announced a boot %(boot_after)s after the command, later than the verdict could wait."
    ),
    ("failed", "rejected"): N_("The charger answered “Rejected”. It did not restart."),
    ("failed", "call_error"): N_("The charger answered with the error “%(code)s”: it does not support this command."),
    ("failed", "never_written"): N_(
        "The command never reached the charger: its connection ended at the moment of sending."
    ),
    ("failed", "did_nothing"): N_(
        "It accepted, but neither left its connection nor announced a boot within %(waited)s, though it kept talking."
    ),
    ("failed", "did_not_come_back"): N_(
        "It accepted, left its connection %(left_after)s after the command and was not back after %(waited)s."
    ),
    ("failed", "evse_did_not_come_back"): N_("The outlet went out of service and was not back after %(waited)s."),
    ("unknown", "back_without_boot"): N_(
        "It left its connection %(left_after)s after the command, was away for %(away)s and announced no boot when it came back:"
        " probably restarted."
    ),
    ("unknown", "boot_proves_nothing"): N_("It announced a boot, but this one proves nothing: %(doubt)s"),
    ("unknown", "borne_was_down"): N_(
        "Borne itself was down for %(down)s meanwhile: what the charger did then was not seen."
    ),
    ("unknown", "left_unanswered"): N_(
        "It left its connection %(left_after)s after the command, without having accepted it, and was not back after %(waited)s."
    ),
    ("unknown", "no_answer"): N_("It neither answered the command nor left its connection within %(waited)s."),
    ("unknown", "no_sign"): N_(
        "It accepted, but within %(waited)s nothing was seen that proves a restart, or that there was none."
    ),
    ("unknown", "error_answered"): N_("It answered with the error “%(code)s”, and no boot was seen within %(waited)s."),
    ("unknown", "never_idle"): N_(
        "It accepted to restart once its session ends. The session did not end within a day; it may still restart by itself."
    ),
    ("unknown", "evse_not_seen"): N_("The outlet was not seen out of service within %(waited)s after the command."),
    ("unknown", "came_back_late"): N_(
        "It came back after %(away)s, later than the verdict could wait, and has announced no boot."
    ),
    ("unknown", "deleted"): N_("The charger was deleted before it was known how the restart went."),
    ("not_sent", "deleted"): N_("The charger was deleted before anything was sent to it."),
    ("unknown", "archived"): N_("The charger was archived before it was known how the restart went."),
    ("not_sent", "archived"): N_("The charger was archived before anything was sent to it."),
    ("unknown", "handed_over"): N_("The charger was handed over before it was known how the restart went."),
    ("not_sent", "handed_over"): N_("The charger was handed over before anything was sent to it."),
    ("unknown", "replaced"): N_("Another device took the charger’s place before it was known how the restart went."),
    ("not_sent", "replaced"): N_("Another device took the charger’s place before anything was sent to the old one."),
    ("not_sent", "withdrawn"): N_("It was withdrawn before anything was sent to the charger."),
    ("not_sent", "booted_first"): N_(
        "The charger booted by itself before the command was sent: there was nothing left to do."
    ),
    ("not_sent", "offline"): N_(
        "The charger was offline when the command was due. A restart is not kept for when it returns."
    ),
    ("not_sent", "link_busy"): N_("The charger’s connection did not come free for the command within two minutes."),
    ("not_sent", "never_free"): N_("The charger was not free within a day."),
    ("not_sent", "role"): N_("Whoever asked may no longer restart this charger."),
    ("not_sent", "plan"): N_("The organisation’s plan no longer includes remote restarts."),
    ("not_sent", "model"): N_("This model cannot be restarted remotely."),
    ("not_sent", "never_connected"): N_("The charger has never been connected."),
    ("not_sent", "restarting"): N_("Another restart was already under way."),
    ("not_sent", "updating"): N_("The charger was updating its firmware when the command was due."),
    ("not_sent", "disabled"): N_("The charger was disabled when the command was due."),
    ("not_sent", "stopped"): N_("Its batch was stopped before its turn came."),
}

# What a variant says better than the sentence of its reason, where the evidence is another.
_CUT_BY_US = N_("Borne itself ended the charger’s connection meanwhile, so its return proves nothing.")

DOUBTS: dict[str, str] = {
    "solicited": N_("Borne had asked for it."),
    "not_written": N_("the command had not reached the charger yet."),
    "first_boot_of_link": N_("it may be the first one of a connection that had only just begun."),
    "loss_ours": N_("Borne itself had ended the connection, and chargers may announce a boot whenever they reconnect."),
    "no_loss": N_("no end of the connection was seen before it."),
    "late_loss": N_("the charger left too long after the command, and announces a boot whenever it reconnects."),
    "too_late": N_("it came too long after the charger was back."),
}

_HOW: dict[str, str] = {
    "close_frame": N_("said goodbye"),
    "dropped": N_("connection cut without a goodbye"),
    "silent": N_("fell silent"),
    "taken_over": N_("opened a new connection"),
    "misbehaved": N_("connection closed by Borne: unreadable messages"),
    "damped": N_("connection closed by Borne: too many in a minute"),
    "removed": N_("connection closed by Borne: charger disabled or removed"),
    "stopped": N_("connection closed by Borne: it was stopped"),
    "crashed": N_("connection ended with Borne itself"),
}

NOT_READY: dict[str, str] = {
    "faulted": N_("It restarted, but came back with a fault on connector %(where)s."),
    "unavailable": N_("It restarted, but connector %(where)s came back out of service."),
}


def sentence(state: RestartState, language: Language) -> Sentence:
    """The verdict of an ended restart. Raises KeyError for a pair that has no sentence (a test knows them all)."""
    _ = translations(language).gettext
    formats = Formats(language, lambda: state.ended_ms or state.requested_ms)
    verdict, reason = state.verdict or "unknown", state.reason or ""
    title, tone = _TITLES[verdict]
    text = _text(state, (verdict, reason), language, formats)
    if verdict == "succeeded":
        return _after_success(state, Sentence(_(title), text, tone), language, formats)
    return Sentence(_(_SHARPER.get((verdict, reason), title)), text, tone)


def first_sentence(state: RestartState, language: Language) -> Sentence | None:
    """What was said at the deadline, where a later return has raised the verdict since."""
    if state.first_verdict is None:
        return None
    before = replace(
        state,
        verdict=state.first_verdict,
        reason=state.first_reason,
        ended_ms=state.first_ended_ms,
        first_verdict=None,
        unstable=False,
        not_ready=(),
    )
    return sentence(before, language)


def verdict_word(verdict: str, language: Language) -> tuple[str, Tone]:
    """The one-word title of a verdict and its tone, for lists and counts."""
    title, tone = _TITLES[verdict]
    return translations(language).gettext(title), tone


def leaving_word(how: str, language: Language) -> str:
    """How a link ended, in a few words."""
    return translations(language).gettext(_HOW[how]) if how in _HOW else how


def _text(state: RestartState, pair: tuple[str, str], language: Language, formats: Formats) -> str:
    _ = translations(language).gettext
    message = TEXTS[pair]
    cut_by_us = state.left_ours and not state.down_ms
    if cut_by_us and pair[1] in ("borne_was_down", "back_without_boot"):
        message = _CUT_BY_US
    text = _(message) % _evidence(state, language, formats)
    if pair[0] != "succeeded":
        return text
    if state.boot_reason:
        text += " " + _("Boot reason: %(reason)s.") % {"reason": state.boot_reason}
    if state.answer in (None, "timeout") and pair[1] != "evse_back":
        text += " " + _("It never answered the command; the boot is the proof.")
    return text


def _evidence(state: RestartState, language: Language, formats: Formats) -> dict[str, str]:
    """What the sentences may quote, as words. A dash where the state knows nothing, which no sentence should then quote."""
    _ = translations(language).gettext
    start_ms = state.idle_ms or state.written_ms or state.sent_ms

    def between(from_ms: int | None, to_ms: int | None) -> str:
        return "–" if from_ms is None or to_ms is None else formats.duration(max(0, to_ms - from_ms))

    judged_ms = state.deadline_ms or state.ended_ms
    return {
        "boot_after": between(start_ms, _came_ms(state)),
        "left_after": between(start_ms, state.left_ms),
        "away": between(state.left_ms, state.back_ms),
        "waited": between(start_ms, judged_ms),
        "down": formats.duration(state.down_ms),
        "code": state.answer_code or "–",
        "doubt": _(DOUBTS[state.boot_doubt]) if state.boot_doubt in DOUBTS else "–",
    }


def _came_ms(state: RestartState) -> int | None:
    return state.ready_ms if state.reason == "evse_back" else (state.boots[0] if state.boots else state.booted_ms)


def _after_success(state: RestartState, plain: Sentence, language: Language, formats: Formats) -> Sentence:
    """A success may end badly: a loop of boots, or a charger that is back but cannot be used."""
    words = translations(language)
    if state.unstable:
        boots = len(state.boots)
        said = words.ngettext(
            "It has booted %(count)s time within ten minutes since: it may be caught in a loop.",
            "It has booted %(count)s times within ten minutes since: it may be caught in a loop.",
            boots,
        ) % {"count": formats.number(boots)}
        return Sentence(words.gettext("Restarted, unstable"), f"{said} {plain.text}", "locked")
    if state.not_ready:
        where = ", ".join(_connector(place) for place in state.not_ready)
        template = NOT_READY.get(state.ready_status or "", NOT_READY["unavailable"])
        said = words.gettext(template) % {"where": where}
        return Sentence(words.gettext("Restarted, not ready"), f"{said} {plain.text}", "locked")
    return plain


def _connector(place: str) -> str:
    """`1.0` is a 1.6 connector or a whole EVSE, `1.2` the second connector of a 2.x EVSE."""
    evse, _, connector = place.partition(".")
    if evse == "0":
        return connector
    return evse if connector in ("0", evse) else place
