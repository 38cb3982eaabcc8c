"""What the templates of restarting show: the icon, the question, the story, a line of history. Made from rows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

import msgspec

from borne.core.access import administers, may_restart
from borne.core.models import model_of
from borne.core.restart_state import BEFORE_SENDING, UNDER_WAY, RestartState
from borne.core.scope import Scope
from borne.engine.restarts import Usual
from borne.portal.charger_row import facts_of, model_name, state_of
from borne.portal.formats import Formats
from borne.portal.language import Language, translations
from borne.portal.names import shown_name
from borne.portal.reasons import reason_texts
from borne.portal.restart_story import Line, Pending, announcement, pending, status_word, story
from borne.portal.verdicts import Sentence, first_sentence, sentence

WAITING_PHASES = ("queued", "waiting", "scheduled")
AHEAD = timedelta(days=30)
LOCAL_TIME = "%Y-%m-%dT%H:%M"


class RestartIcon(msgspec.Struct, frozen=True):
    """The round icon of a charger. `reasons` are sentences, `words` the same as words of `core.access.Reason`."""

    charger_id: int
    name: str
    state: Literal["available", "grey", "turning"]
    tip: str
    reasons: Sequence[str] = ()
    words: Sequence[str] = ()


class Ask(msgspec.Struct, frozen=True):
    """What CHARGER RESTART shows. With `reasons` or `waiting` it asks nothing."""

    charger_id: int
    name: str
    model: str
    serial: str
    location: str
    zone: str
    kind: Literal["soft", "hard"]
    usual: str
    usual_source: str
    earliest: str
    latest: str
    evses: Sequence[int] = ()
    sessions: str = ""
    reasons: Sequence[str] = ()
    waiting: str = ""
    waiting_id: int | None = None


class Entered(msgspec.Struct, frozen=True):
    """What the form holds: its first values, or what a person sent and is asked to correct."""

    key: str
    when: str = "now"
    at: str = ""
    why: str = ""
    kind: str = ""
    evse: int | None = None
    problem: str = ""
    posted: bool = False


class Told(msgspec.Struct, frozen=True):
    """One restart, told: what templates/restart/panel.html shows."""

    id: int
    charger_id: int
    batch_id: int | None
    requested_ms: int
    why: str
    phase: str
    verdict: str | None
    status: str
    is_busy: bool
    counts_from_ms: int | None
    lines: Sequence[Line]
    announcement: str
    may_withdraw: bool
    sentence: Sentence | None
    first: Sentence | None
    first_ended_ms: int | None
    pending: Pending | None


class Entry(msgspec.Struct, frozen=True):
    """A line of history."""

    id: int
    charger_id: int
    charger_name: str | None
    location_name: str | None
    model: str
    batch_id: int | None
    person_name: str
    why: str
    kind: str
    requested_ms: int
    ended_ms: int | None
    duration_ms: int | None
    is_open: bool
    listens: bool  # it may still change
    title: str
    text: str
    tone: str
    first: str
    verdict: str
    reason: str


def decode_restart(text: str) -> RestartState:
    return msgspec.json.decode(text, type=RestartState)


def restart_icon(scope: Scope, row: Any, language: Language) -> RestartIcon:
    """The icon of a charger for this person: green, grey with its reasons, or turning."""
    _ = translations(language).gettext
    words = may_restart(scope, facts_of(row))
    texts = reason_texts(words, language, plan=scope.plan, model=row.model)
    if row.status == "restarting":
        return RestartIcon(row.id, row.name, "turning", " ".join(texts), texts, words)
    if words:
        return RestartIcon(row.id, row.name, "grey", " ".join(texts), texts, words)
    return RestartIcon(row.id, row.name, "available", _("Restart Available"))


def usual_source(usual: Usual, language: Language, formats: Formats) -> str:
    """Where the figure comes from, in brackets' worth of words."""
    words = translations(language)
    if not usual.n:
        return words.gettext("catalogue’s figure, too few restarts here yet")
    return words.ngettext(
        "median of the last %(n)s success here", "median of the last %(n)s successes here", usual.n
    ) % {"n": formats.number(usual.n)}


def ask(
    scope: Scope,
    row: Any,
    zone: str,
    usual: Usual,
    open_sessions: int,
    language: Language,
    formats: Formats,
    now_ms: int,
) -> Ask:
    """The question about one charger, or why it cannot be asked."""
    words = translations(language)
    charger = state_of(row)
    model = model_of(row.model)
    count = open_sessions or int(charger.shows_charging)
    running = words.ngettext("A session runs on this charger.", "%(n)s sessions run on this charger.", count)
    here = datetime.fromtimestamp(now_ms / 1000, UTC).astimezone(ZoneInfo(zone))
    evses = sorted({one.evse for one in charger.connectors if one.evse > 0}) if charger.protocol == "2.0.1" else []
    return Ask(
        charger_id=row.id,
        name=row.name,
        model=model_name(row),
        serial=row.serial,
        location=row.location_name or "–",
        zone=zone,
        kind=model.restart_kind,
        usual=formats.duration(usual.duration_ms).replace(" ", "\u00a0"),
        usual_source=usual_source(usual, language, formats),
        earliest=here.strftime(LOCAL_TIME),
        latest=(here + AHEAD).strftime(LOCAL_TIME),
        evses=evses,
        sessions=running % {"n": formats.number(count)} if count else "",
        reasons=reason_texts(may_restart(scope, facts_of(row)), language, plan=scope.plan, model=row.model),
    )


def suggested_time(zone: str, now_ms: int) -> str:
    """The next full hour but one, there: a value to start from."""
    here = datetime.fromtimestamp(now_ms / 1000, UTC).astimezone(ZoneInfo(zone))
    return (here.replace(minute=0) + timedelta(hours=2)).strftime(LOCAL_TIME)


def instant_at(text: str, zone: str) -> int | None:
    """The instant of a local day and time at a location, None if it is none. In the hour that a clock skips: the hour after."""
    try:
        local = datetime.fromisoformat(text)
    except ValueError:
        return None
    if local.tzinfo is not None:
        return None
    try:
        return round(local.replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)
    except (OverflowError, ValueError):
        return None


def tell(scope: Scope, row: Any, usual_ms: int, language: Language, formats: Formats, now_ms: int) -> Told:
    """The story of one restart, from a row of `store.restart_list`."""
    state = decode_restart(row.state)
    status = status_word(state, language)
    verdict = sentence(state, language) if state.verdict is not None else None
    started_ms = state.idle_ms or state.written_ms or state.sent_ms or state.requested_ms
    name = row.charger_name or "–"
    return Told(
        id=row.id,
        charger_id=row.charger_id,
        batch_id=row.batch_id,
        requested_ms=row.requested_ms,
        why=row.why,
        phase=state.phase,
        verdict=state.verdict,
        status=status[0] if status else "",
        is_busy=bool(status and status[1]),
        counts_from_ms=started_ms if state.verdict is None and state.phase in UNDER_WAY else None,
        lines=story(
            state,
            language,
            formats,
            person_name=shown_name(row.person_name, language),
            usual_ms=usual_ms,
            now_ms=now_ms,
        ),
        announcement=announcement(state, name, language, verdict.title if verdict else None),
        may_withdraw=may_withdraw(scope, row),
        sentence=verdict,
        first=first_sentence(state, language),
        first_ended_ms=state.first_ended_ms,
        pending=pending(state, language, formats) if verdict is None else None,
    )


def may_withdraw(scope: Scope, row: Any) -> bool:
    """Nothing was sent yet, and the person administers the charger's location."""
    waits = row.verdict is None and row.phase in BEFORE_SENDING
    here = row.location_id if row.charger_location_id is None else row.charger_location_id  # it may have moved since
    return waits and administers(scope, scope.organisation_id, here)


def entry(row: Any, language: Language, formats: Formats) -> Entry:
    """A line of history, from a row of `store.restart_list`."""
    state = decode_restart(row.state)
    status = status_word(state, language)
    if status is not None:
        waiting = pending(state, language, formats)
        title, text, tone = status[0], waiting.text, "gone"
    else:
        said = sentence(state, language)
        title, text, tone = said.title, said.text, said.tone
    first = first_sentence(state, language)
    return Entry(
        id=row.id,
        charger_id=row.charger_id,
        charger_name=row.charger_name,
        location_name=row.location_name,
        model=row.model,
        batch_id=row.batch_id,
        person_name=shown_name(row.person_name, language),
        why=row.why,
        kind=row.kind,
        requested_ms=row.requested_ms,
        ended_ms=row.ended_ms,
        duration_ms=row.duration_ms,
        is_open=bool(status and status[1]),
        listens=state.watches,
        title=title,
        text=text,
        tone=tone,
        first=f"{first.title}. {first.text}" if first else "",
        verdict=state.verdict or "",
        reason=state.reason or "",
    )
