"""A restart as a story: what happened at which second, what is expected next and by when.

`story` turns the machine's state into lines for templates/restart/panel.html; it decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec
from markupsafe import Markup

from borne.core.facts import RestartKind
from borne.core.restart_state import BEFORE_SENDING, UNDER_WAY, RestartState, Step
from borne.core.restart_times import FREE_WITHIN_MS
from borne.portal.formats import Formats
from borne.portal.language import N_, Language, translations
from borne.portal.verdicts import DOUBTS, leaving_word

LINES_BOUND = 16  # a reboot loop has more to tell than anybody reads
SHOWN_ABSOLUTE_AFTER_MS = 10 * 60_000

Say = Callable[[str], str]


class Line(msgspec.Struct, frozen=True):
    """`title` is one strong word, `said` what was seen; `at` is a clock time or `+0.3 s`, ready for the page."""

    title: str
    said: str = ""
    at: str = ""
    state: Literal["done", "now", "next"] = "done"
    tone: str = ""


class Pending(msgspec.Struct, frozen=True):
    """The box of a restart without a verdict. `tone` is a class of base.css."""

    title: str
    text: str


_TITLES: dict[str, str] = {
    "requested": N_("Requested"),
    "withdrawn": N_("Withdrawn"),
    "sent": N_("Sent"),
    "answered": N_("Answered"),
    "answered_late": N_("Answered late"),
    "answered_again": N_("Answered again"),
    "idle": N_("Session ended"),
    "left": N_("Left"),
    "back": N_("Came back"),
    "booted": N_("Booted"),
    "booted_by_itself": N_("Booted by itself"),
    "evse_gone": N_("Out of service"),
    "ready": N_("Ready"),
    "not_ready": N_("Not ready"),
    "borne_down": N_("Borne was down"),
    "clock_stepped": N_("Clock corrected"),
}
_ANSWERS: dict[str, tuple[str, str]] = {
    "accepted": (N_("Accepted"), N_("by the charger")),
    "rejected": (N_("Refused"), N_("by the charger")),
    "scheduled": (N_("Accepted"), N_("for when its session ends")),
    "error": (N_("Error answered"), ""),
    "timeout": (N_("No answer"), N_("within its time")),
}
_TONES = {"rejected": "fault", "error": "fault", "not_ready": "locked", "borne_down": "gone", "clock_stepped": "gone"}
KINDS: dict[RestartKind, str] = {"soft": N_("soft"), "hard": N_("hard")}

_STATUS_WORDS: dict[str, str] = {
    "queued": N_("Waits for its turn"),
    "waiting": N_("Restart planned"),
    "scheduled": N_("Restart scheduled"),
    "requested": N_("Restarting"),
    "sent": N_("Restarting"),
    "accepted": N_("Restarting"),
    "left": N_("Restarting"),
    "back": N_("Restarting"),
}


def status_word(state: RestartState, language: Language) -> tuple[str, bool] | None:
    """What stands beside the heading while there is no verdict, and whether the charger is restarting right now."""
    if state.verdict is not None:
        return None
    return translations(language).gettext(_STATUS_WORDS[state.phase]), state.phase in UNDER_WAY


def story(
    state: RestartState, language: Language, formats: Formats, *, person_name: str, usual_ms: int, now_ms: int
) -> list[Line]:
    """What happened, then what is expected."""
    lines = _past(state, language, formats, person_name)
    if state.verdict is None or _not_ready_yet(state, now_ms):
        lines += _future(state, language, formats, usual_ms)
    return lines


def pending(state: RestartState, language: Language, formats: Formats) -> Pending:
    """What is being waited for, and until when at most."""
    _ = translations(language).gettext
    if state.phase == "queued":
        return Pending(_("In a batch."), _("It starts when its turn comes. Nothing has been sent yet."))
    if state.phase == "waiting" and state.not_before_ms is not None:
        text = _("It will be sent at %(at)s, if the charger can be restarted then. Nothing has been sent yet.")
        return Pending(_("Planned."), _fill(text, at=formats.at(state.not_before_ms)))
    if state.phase == "waiting":
        text = _("It will be sent as soon as no session runs, until %(at)s at the latest. Nothing has been sent yet.")
        return Pending(
            _("Waits until the charger is free."), _fill(text, at=formats.at(state.requested_ms + FREE_WITHIN_MS))
        )
    if state.phase == "requested":
        return Pending(_("On its way."), _("It is sent as soon as the charger’s connection is free for it."))
    deadline = formats.at(state.deadline_ms) if state.phase == "scheduled" else formats.clock(state.deadline_ms or 0)
    if state.phase == "scheduled":
        text = _(
            "The charger restarts once its session ends and can no longer be called back. Verdict on %(at)s at the latest."
        )
        return Pending(_("Scheduled."), _fill(text, at=deadline))
    if state.phase == "left" and state.answer == "accepted" and not state.left_ours:
        text = _("Verdict at %(at)s at the latest. Without a sign until then: “did not come back”.")
    else:
        text = _("Verdict at %(at)s at the latest.")
    return Pending(_("Under way."), _fill(text, at=deadline))


def announcement(state: RestartState, charger_name: str, language: Language, verdict_title: str | None) -> str:
    """What a screen reader is told when the restart moved on."""
    _ = translations(language).gettext
    if verdict_title is not None:
        return _("Restart of %(charger)s: %(what)s") % {"charger": charger_name, "what": verdict_title}
    lines = _past(state, language, Formats(language, lambda: state.requested_ms), "")
    return _("Restart of %(charger)s: %(what)s") % {"charger": charger_name, "what": lines[-1].title}


def _fill(message: str, **values: str) -> Markup:
    """A message of ours with values that may be `<time>` elements; any other value is escaped."""
    return Markup(message) % values


# ---- the past ----------------------------------------------------------------------------------------------------


def _past(state: RestartState, language: Language, formats: Formats, person_name: str) -> list[Line]:
    _ = translations(language).gettext
    lines: list[Line] = []
    base_ms = state.requested_ms
    shown = [step for step in state.steps if step.kind in _TITLES]
    for step in shown[:LINES_BOUND]:
        at_ms = _instant_of(state, step)
        if step.kind in ("sent", "idle") and at_ms - base_ms > SHOWN_ABSOLUTE_AFTER_MS:
            base_ms = at_ms  # what waited for hours starts counting when it starts
        at = formats.clock(at_ms) if at_ms == base_ms else f"+{formats.duration(max(0, at_ms - base_ms))}"
        lines.append(_line(state, step, language, person_name, at))
    if (left_out := len(shown) - LINES_BOUND) > 0:
        words = translations(language).ngettext("and %(count)s more step", "and %(count)s more steps", left_out)
        lines.append(Line(title="…", said=words % {"count": formats.number(left_out)}))
    return lines or [Line(title=_("Requested"), at=formats.clock(base_ms))]


def _instant_of(state: RestartState, step: Step) -> int:
    """A loss that was noticed late happened when the charger was last heard."""
    if step.kind == "left" and state.left_ms is not None and step.details.get("how") == state.left_how:
        return min(step.at_ms, state.left_ms)
    return step.at_ms


def _line(state: RestartState, step: Step, language: Language, person_name: str, at: str) -> Line:
    _ = translations(language).gettext
    word = str(step.details.get("status", ""))
    if step.kind == "answered" and word in _ANSWERS:
        title, said = _ANSWERS[word]
        told = " ".join(str(step.details[part]) for part in ("code", "text") if step.details.get(part))
        return Line(_(title), told or (_(said) if said else ""), at, tone=_TONES.get(word, ""))
    return Line(_(_TITLES[step.kind]), _said(state, step, language, person_name), at, tone=_TONES.get(step.kind, ""))


def _said(state: RestartState, step: Step, language: Language, person_name: str) -> str:
    _ = translations(language).gettext
    details = step.details
    match step.kind:
        case "requested":
            return _("by %(person)s") % {"person": person_name} if person_name else ""
        case "sent":
            return _("Reset, %(kind)s") % {"kind": _(KINDS[state.kind])} + _evse(state, _)
        case "left":
            return leaving_word(str(details.get("how", "")), language)
        case "back":
            return _("new connection")
        case "booted" if details.get("doubt"):
            return _("this boot proves nothing: %(doubt)s") % {"doubt": _(DOUBTS.get(str(details["doubt"]), "–"))}
        case "booted" if details.get("reason"):
            return _("reason %(reason)s") % {"reason": details["reason"]}
        case "withdrawn":
            return _("by %(person)s") % {"person": details.get("by", "–")}
        case "not_ready":
            told = (details.get("where"), details.get("status"), details.get("error"))
            return " · ".join(str(part) for part in told if part)
        case "answered_late" | "answered_again":
            word = str(details.get("status", ""))
            return _(_ANSWERS[word][0]) if word in _ANSWERS else word
    return ""


def _evse(state: RestartState, _: Say) -> str:
    return ", " + _("outlet %(number)s") % {"number": state.evse} if state.evse is not None else ""


# ---- the future --------------------------------------------------------------------------------------------------


def _not_ready_yet(state: RestartState, now_ms: int) -> bool:
    """A success whose charger has not yet said that it is ready: still expected, for as long as the machine listens."""
    waits = state.verdict == "succeeded" and state.ready_ms is None and not state.not_ready and not state.unstable
    return waits and state.watches and state.evse is None and (state.wake_at_ms or 0) > now_ms


def _future(state: RestartState, language: Language, formats: Formats, usual_ms: int) -> list[Line]:
    _ = translations(language).gettext
    if state.verdict is not None:
        return [Line(_("Ready"), state="next")]
    if state.phase in BEFORE_SENDING:
        return [Line(_("Sent"), _when_sent(state, _), _planned(state, formats), state="now")]
    lines: list[Line] = []
    if state.answer is None and state.phase == "sent":
        lines.append(Line(_("Answered"), state="now"))
    if state.phase == "scheduled":
        lines.append(Line(_("Session ended"), state="now"))
    if state.evse is not None:
        return [
            *lines,
            *([] if state.evse_gone_ms else [Line(_("Out of service"), state="next")]),
            Line(_("Ready"), state="next"),
        ]
    if state.left_ms is None:
        lines.append(Line(_("Left"), state="now" if state.phase == "accepted" else "next"))
    title = _("Booted") if state.phase == "back" else _("Back and booted")
    lines.append(
        Line(
            title,
            at=_expected(state, _, formats, usual_ms),
            state="now" if state.phase in ("left", "back") else "next",
        )
    )
    return [*lines, Line(_("Ready"), state="next")]


def _when_sent(state: RestartState, _: Say) -> str:
    if state.phase == "queued":
        return _("when its turn in the batch comes")
    if state.phase == "requested":
        return _("at once")
    return "" if state.not_before_ms is not None else _("when it is free")


def _planned(state: RestartState, formats: Formats) -> str:
    return formats.at(state.not_before_ms) if state.phase == "waiting" and state.not_before_ms is not None else ""


def _expected(state: RestartState, _: Say, formats: Formats, usual_ms: int) -> str:
    if state.phase == "scheduled":
        return ""
    start_ms = state.idle_ms or state.written_ms or state.sent_ms or state.requested_ms
    return _fill(_("expected about %(at)s"), at=formats.clock(start_ms + usual_ms))
