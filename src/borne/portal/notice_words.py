"""Notices as a person reads them, on the page and in a mail.

Names in notices are those of their time, and text from chargers: text on pages, one line in mails.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
from babel.dates import format_datetime

from borne.core.notifications import Event
from borne.engine.mail import one_line
from borne.engine.notice_mail import Compose, Letter, zone_of
from borne.portal import language as languages
from borne.portal.formats import Formats
from borne.portal.language import LANGUAGES, N_, Language
from borne.store.db import Row

SAID_BOUND = 120

EVENTS: dict[Event, tuple[str, str, str]] = {  # its name, when it is told, its icon
    "many_offline": (
        N_("Many chargers offline at once"),
        N_("One message when three or more, and at least a fifth of a location, are lost within two minutes."),
        "unplug",
    ),
    "charger_offline": (
        N_("Charger offline"),
        N_("Once for each absence that lasts as long as you say, and at most once an hour for a charger."),
        "wifi-off",
    ),
    "charger_faulted": (N_("Charger faulted"), N_("When a fault has stood for a minute."), "triangle-alert"),
    "restart_failed": (
        N_("Restart failed or unknown"),
        N_("When a restart did not succeed, or nobody can tell. One message for a batch."),
        "rotate-cw",
    ),
}
REASONS: dict[str, str] = {  # of restarts, where they say more than the verdict
    "rejected": N_("Refused by the charger"),
    "did_not_come_back": N_("Did not come back"),
    "did_nothing": N_("Accepted, but did not restart"),
    "back_without_boot": N_("Unknown, probably restarted"),
    "borne_was_down": N_("Borne itself was down meanwhile"),
}


class Line(msgspec.Struct, frozen=True):
    """A notice in words. `text`: where, and what was said; `since_ms` and `ended_ms`: from when to when it was so."""

    title: str
    text: str
    tone: str  # a class of base.css
    icon: str
    since_ms: int | None
    ended_ms: int | None


def line_of(notice: Row, language: Language, formats: Formats) -> Line:
    """The words of a notice (a row of store.notices)."""
    details: dict[str, Any] = msgspec.json.decode(notice.details)
    title, said, tone = _SAY[notice.event](details, notice.ended_ms is not None, language, formats)
    where = "" if notice.event == "many_offline" else details.get("location", "")  # its title says it
    text = " · ".join(part for part in (where, said) if part)
    tone = "gone" if notice.ended_ms is not None else tone
    return Line(title, text, tone, EVENTS[notice.event][2], details.get("since_ms"), notice.ended_ms)


Said = tuple[str, str, str]


def _many(details: dict[str, Any], over: bool, language: Language, formats: Formats) -> Said:
    ngettext = languages.translations(language).ngettext
    n = details["count"]
    values = {"n": formats.number(n), "total": formats.number(details["total"]), "location": details["location"]}
    title = ngettext(
        "%(n)s of %(total)s chargers at %(location)s went offline",
        "%(n)s of %(total)s chargers at %(location)s went offline at once",
        n,
    )
    return title % values, "", "fault"


def _offline(details: dict[str, Any], over: bool, language: Language, formats: Formats) -> Said:
    _ = languages.translations(language).gettext
    title = _("%(charger)s was offline") if over else _("%(charger)s is offline")
    return title % {"charger": details["charger"]}, "", "fault"


def _faulted(details: dict[str, Any], over: bool, language: Language, formats: Formats) -> Said:
    _ = languages.translations(language).gettext
    title = _("%(charger)s had a fault") if over else _("%(charger)s has a fault")
    return title % {"charger": details["charger"]}, str(details.get("said") or "")[:SAID_BOUND], "fault"


def _restart(details: dict[str, Any], over: bool, language: Language, formats: Formats) -> Said:
    words = languages.translations(language)
    _ = words.gettext
    if "batch_id" in details:
        n = details["total"]
        title = words.ngettext(
            "Restarting %(n)s charger did not succeed",
            "Restarting %(n)s chargers did not succeed everywhere",
            n,
        ) % {"n": formats.number(n)}
        return title, _batch_counts(details, language, formats), "fault"
    failed = details["verdict"] == "failed"
    title = _("The restart of %(charger)s failed") if failed else _("Nobody knows whether %(charger)s restarted")
    if over:
        title = _("%(charger)s restarted, later than expected")
    reason = REASONS.get(details["reason"], "")
    return title % {"charger": details["charger"]}, _(reason) if reason else "", "fault" if failed else "locked"


def _batch_counts(details: dict[str, Any], language: Language, formats: Formats) -> str:
    _ = languages.translations(language).gettext
    parts = []
    if details["failed"]:
        parts.append(_("failed: %(n)s") % {"n": formats.number(details["failed"])})
    if details["unknown"]:
        parts.append(_("not known: %(n)s") % {"n": formats.number(details["unknown"])})
    return ", ".join(parts)


_SAY: dict[str, Callable[[dict[str, Any], bool, Language, Formats], Said]] = {
    "many_offline": _many,
    "charger_offline": _offline,
    "charger_faulted": _faulted,
    "restart_failed": _restart,
}


def place_of(notice: Row) -> str:
    """The page of what a notice tells of."""
    if notice.key.startswith("batch:"):
        return f"/batches/{int(notice.key.removeprefix('batch:'))}"
    if notice.charger_id is not None:
        return f"/chargers/{notice.charger_id}"
    return f"/chargers?location={notice.location_id}&status=offline"


# ---- mail ----------------------------------------------------------------------------------------------------------


def composer(public_url: str, now_ms: Callable[[], int]) -> Compose:
    """What makes mails of notices: subject, body, and the lines of the head that turn such mails off (RFC 8058)."""
    formats = {language: Formats(language, now_ms) for language in LANGUAGES}

    def compose(letter: Letter) -> tuple[str, str, dict[str, str]]:
        language = languages.known(letter.language) or languages.SOURCE_LANGUAGE
        off = f"{public_url}/unsubscribe/{letter.unsubscribe}"
        headers = {"List-Unsubscribe": f"<{off}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}
        return *_mail(letter, language, formats[language], public_url, off), headers

    return compose


def _mail(letter: Letter, language: Language, formats: Formats, public_url: str, off: str) -> tuple[str, str]:
    words = languages.translations(language)
    _ = words.gettext
    lines = [line_of(notice, language, formats) for notice in letter.notices]
    others = len(lines) + letter.more - 1
    title = f"{letter.organisation}: {lines[0].title}"
    if others:
        more = words.ngettext("and %(n)s more", "and %(n)s more notices", others) % {"n": formats.number(others)}
        title = f"{title}, {more}"
    paragraphs = [_("Hello %(name)s,") % {"name": one_line(letter.name)}]
    for notice, line in zip(letter.notices, lines, strict=True):
        paragraphs.append(_paragraph(line, f"{public_url}/notices/{notice.id}", letter, language, formats))
    if letter.more:
        said = words.ngettext("And %(n)s more notice:", "And %(n)s more notices:", letter.more)
        paragraphs.append(f"{said % {'n': formats.number(letter.more)}}\n{public_url}/notices")
    if letter.over:
        said = words.ngettext(
            "%(n)s more was over before this mail was sent.",
            "%(n)s more were over before this mail was sent.",
            letter.over,
        )
        paragraphs.append(said % {"n": formats.number(letter.over)})
    paragraphs.append(_("What you hear of, and when:") + f"\n{public_url}/notices/settings")
    paragraphs.append(_("No more mails like this one from %(organisation)s:") % {"organisation": one_line(letter.organisation)}
                      + f"\n{off}")  # fmt: skip
    return title, "\n\n".join(paragraphs) + "\n"


def _paragraph(line: Line, address: str, letter: Letter, language: Language, formats: Formats) -> str:
    _ = languages.translations(language).gettext
    said = one_line(line.text)
    if line.since_ms is not None:
        since = _("since %(when)s") % {"when": local(line.since_ms, letter.zone, formats)}
        said = f"{said} · {since}" if said else since
    return "\n".join(part for part in (one_line(line.title), said, address) if part)


def local(at_ms: int, zone: str, formats: Formats) -> str:
    """Date and time to the minute in somebody's time zone, which is named."""
    instant = datetime.fromtimestamp(at_ms / 1_000, UTC)
    text = format_datetime(instant, "d MMM y, HH:mm", tzinfo=zone_of(zone), locale=formats.locale)
    return f"{text} ({zone})"
