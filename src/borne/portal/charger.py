"""One charger: what it is doing, what it did, what it said; and what its admins may change."""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec
from litestar import Response, get
from litestar.exceptions import NotFoundException
from litestar.params import FromPath, FromQuery

from borne.core import policy
from borne.core.access import may_see_frames
from borne.core.charger import ChargerState, Connector
from borne.engine.restarts import usual as usual_restart
from borne.portal import restart_view
from borne.portal.charger_row import may_change, model_name, row_of, state_of
from borne.portal.frame import Page
from borne.portal.restart import last_restarts, told
from borne.portal.statuses import EventLine, Look, connector_look, event_line, security_word, status_look
from borne.store import archived_chargers, events
from borne.store.frame_log import NEWEST_MS

TIMELINE_LINES = 20
TIMELINE_MOST = 300  # lines that a page left open gathers
FRAMES_SHOWN = 100
FRAME_BOUND = 20_000
FRAME_DEPTH = 12  # brackets within each other; real messages have half as many
TELL_RESTART_MS = 86_400_000  # how long the story of an ended restart stays in full
FULL_TURN = 100  # the wheel's circle has this path length
Fact = tuple[str, Any]
_BRACKETS = re.compile(r"[\[\]{}]")
_raw_parts = msgspec.json.Decoder(list[msgspec.Raw]).decode


class ConnectorLine(msgspec.Struct, frozen=True):
    """A connector as the page shows it."""

    title: str
    look: Look
    since_ms: int
    said: str


class Wheel(msgspec.Struct, frozen=True):
    """The status wheel: since when, how far round (of 100), and for a restart how long it usually takes."""

    look: Look
    since_ms: int | None
    arc: int
    usual_ms: int | None
    says: str


class FrameLine(msgspec.Struct, frozen=True):
    """A frame in the log: its kind in a word, and its payload, indented where it is JSON."""

    at_ms: int
    direction: str
    kind: str
    text: str


# ---- what templates get ------------------------------------------------------------------------------------------


async def top_context(page: Page, row: Any) -> dict[str, Any]:
    """What the live top of the page shows."""
    state = state_of(row)
    now_ms = page.services.clock.now_ms()
    recent = row.restart_ended_ms is None or now_ms - row.restart_ended_ms < TELL_RESTART_MS
    story = await told(page, row.restart_id) if row.restart_id is not None and recent else None
    return {
        "row": row,
        "name": row.name,
        "wheel": await _wheel(page, row, state, story),
        "connectors": _connectors(page, state),
        "facts": _facts(page, row, state),
        "restart_icon": restart_view.restart_icon(page.scope, row, page.language),
        "told": story,
        "may_change": may_change(page, row),
    }


async def _wheel(page: Page, row: Any, state: ChargerState, story: restart_view.Told | None) -> Wheel:
    look = status_look(row.status, page.language)
    if row.status == "restarting":
        usual = await usual_restart(page.services.db, row.organisation_id, row.model)
        since_ms = story.counts_from_ms if story else None
        usually = page.formats.duration(usual.duration_ms)
        says = page._("Unavailable. This model usually comes back within %(duration)s.", duration=usually)
        spent_ms = page.services.clock.now_ms() - since_ms if since_ms else 0
        arc = max(1, min(FULL_TURN - 3, FULL_TURN * spent_ms // usual.duration_ms))
        return Wheel(look, since_ms, arc, usual.duration_ms, says)
    arc = 0 if row.status in ("offline", "never") else FULL_TURN
    return Wheel(look, _since(row, state), arc, None, _what_it_means(page, row, state))


def _since(row: Any, state: ChargerState) -> int | None:
    """Since when the charger's word holds, as far as is known."""
    if row.status == "never":
        return None
    if row.status == "offline":
        return state.link_lost_ms or row.last_seen_ms
    shown = {
        "fault": ("faulted",),
        "charging": ("charging",),
        "waiting": ("preparing", "suspended", "finishing", "occupied"),
    }
    words = shown.get(row.status)
    moments = [one.since_ms for one in state.connectors if words is None or one.status in words]
    return max([state.link_opened_ms, *moments]) if words is None else min(moments, default=state.link_opened_ms)


def _what_it_means(page: Page, row: Any, state: ChargerState) -> str:
    if row.disabled:
        return page._("Disabled: it is not allowed to connect until an admin enables it again.")
    if row.status == "never":
        return page._("It has not connected yet.")
    if row.status == "offline":
        how = event_line("link_lost", 0, {"how": state.loss_how or "dropped"}, page.language, page.formats).said
        return page._("No connection: %(how)s.", how=how)
    if row.status == "fault":
        faults = [_said(one) for one in state.connectors if one.status == "faulted"]
        return "; ".join(filter(None, faults)) or page._("The charger reports a fault without naming it.")
    if row.status == "updating":
        return page._("It is updating its firmware and may be unavailable for a while.")
    return ""


def _connectors(page: Page, state: ChargerState) -> list[ConnectorLine]:
    """The connectors, numbered as on the charger: by EVSE where each has one plug, else EVSE and plug."""
    shown = [one for one in state.connectors if one.evse or one.connector]
    plain = len({one.evse or one.connector for one in shown}) == len(shown)
    found = []
    for one in shown:
        number = str(one.evse or one.connector) if plain else f"{one.evse}.{one.connector}"
        look = connector_look(one.status, page.language)
        found.append(ConnectorLine(page._("Connector %(number)s", number=number), look, one.since_ms, _said(one)))
    return found


def _said(one: Connector) -> str:
    """The charger's own words beside a status."""
    return " · ".join(filter(None, (one.error, one.vendor_error, one.info)))


def _facts(page: Page, row: Any, state: ChargerState) -> list[Fact]:
    """The table of facts: (label, value), those not known left out."""
    is_admin = policy.permits(page.scope, "change_chargers")
    said = f"{state.vendor} {state.model}".strip()
    facts: list[Fact] = [
        (page._("Model"), model_name(row)),
        (page._("Says it is"), said if said and said != model_name(row) else ""),
        (page._("Serial number"), row.serial or state.serial),
        (page._("Identity"), row.identity if page.scope.role != "user" else ""),
        (page._("Location"), row.location_name or "–"),
        (page._("Firmware"), row.firmware),
        (
            page._("Protocol"),
            f"OCPP {row.protocol} · {security_word(state.security, page.language)}" if row.protocol else "",
        ),
        (page._("Connected"), page.formats.when(state.link_opened_ms) if row.online else ""),
        (page._("Last seen"), page.formats.when(row.last_seen_ms) if row.last_seen_ms and not row.online else ""),
        (page._("Last boot"), page.formats.when(state.booted_ms) if state.booted_ms else ""),
        (page._("Address"), state.address if is_admin and row.online else ""),
    ]
    return [(label, value) for label, value in facts if value]


async def timeline(page: Page, charger_id: int, before_id: int | None) -> dict[str, Any]:
    """A page of the timeline, newest first, and where the next one begins."""
    db, organisation_id = page.services.db, page.scope.organisation_id
    found = await events.of_charger(
        db, organisation_id, charger_id, before_id=before_id or events.NEWEST, limit=TIMELINE_LINES + 1
    )
    shown = found[:TIMELINE_LINES]
    return {
        "lines": [_event(page, row) for row in shown],
        "oldest": shown[-1].id if shown else 0,
        "older_than": shown[-1].id if len(found) > TIMELINE_LINES else None,
        "charger_id": charger_id,
        "is_first": before_id is None,
    }


async def timeline_since(page: Page, charger_id: int, oldest: int) -> dict[str, Any]:
    """The lines from an id on: what the newest page becomes when there is more, so that nothing of it is pushed out."""
    db, organisation_id = page.services.db, page.scope.organisation_id
    found = await events.of_charger(db, organisation_id, charger_id, limit=TIMELINE_MOST)
    lines = [_event(page, row) for row in found if row.id >= oldest]
    return {
        "lines": lines,
        "oldest": oldest or (found[-1].id if found else 0),
        "charger_id": charger_id,
        "is_first": True,
    }


def _event(page: Page, row: Any) -> EventLine:
    details = json.loads(row.details)
    if not policy.permits(page.scope, "change_chargers"):
        details.pop("address", None)  # as in the table of facts
    return event_line(row.kind, row.at_ms, details, page.language, page.formats)


# ---- looking -----------------------------------------------------------------------------------------------------


@get("/chargers/{charger_id:int}", may="see_chargers")
async def charger(page: Page, charger_id: FromPath[int], before: FromQuery[int | None] = None) -> Response[str]:
    """The page of one charger; of one that left, the page of its history."""
    try:
        row = await row_of(page, charger_id)
    except NotFoundException:
        if page.scope.role != "user" and await archived_chargers.by_id(page.services.db, page.scope, charger_id):
            return page.go(f"/chargers/archived/{charger_id}")
        raise
    return page.show(
        "charger/index.html",
        **await top_context(page, row),
        **await timeline(page, charger_id, before),
        last_restarts=await last_restarts(page, charger_id),
        may_see_frames=may_see_frames(page.scope),
    )


@get("/chargers/{charger_id:int}/top", may="see_chargers")
async def top(page: Page, charger_id: FromPath[int]) -> Response[str]:
    """Wheel, facts, connectors and the story of a restart, when the charger changed."""
    return page.part("charger/top.html", **await top_context(page, await row_of(page, charger_id)))


@get("/chargers/{charger_id:int}/timeline", may="see_chargers")
async def timeline_part(
    page: Page, charger_id: FromPath[int], before: FromQuery[int | None] = None, oldest: FromQuery[int] = 0
) -> Response[str]:
    """The lines older than `before`, or the newest ones back to `oldest`."""
    await row_of(page, charger_id)
    if before is not None:
        return page.part("charger/timeline_older.html", **await timeline(page, charger_id, before))
    return page.part("charger/timeline_newest.html", **await timeline_since(page, charger_id, oldest))


@get("/chargers/{charger_id:int}/frames", may="see_frames")
async def frames(
    page: Page, charger_id: FromPath[int], before: FromQuery[int | None] = None, kind: FromQuery[str] = ""
) -> Response[str]:
    """Raw OCPP frames, newest first, for those who run chargers. Secrets were masked when they were kept."""
    if not may_see_frames(page.scope):
        raise NotFoundException
    await row_of(page, charger_id)
    found = await page.services.frame_log.read(charger_id, before or NEWEST_MS, FRAMES_SHOWN)
    wanted = kind.casefold().strip()[:60]
    lines = [frame_line(frame.at_ms, frame.direction, frame.text) for frame in found]
    shown = [line for line in lines if wanted in f"{line.kind} {line.text}".casefold()]
    older = lines[-1].at_ms if len(lines) >= FRAMES_SHOWN else None
    template = "charger/frames.html" if before is None else "charger/frames_more.html"
    return page.part(template, lines=shown, charger_id=charger_id, older_than=older, kind=kind[:60], read=len(lines))


def frame_line(at_ms: int, direction: str, text: str) -> FrameLine:
    """A frame in words: the action of a call; result or error of an answer; anything else as it came."""
    try:
        said = _said_by(text)
    except (msgspec.DecodeError, UnicodeError):
        said = None
    if said is None:
        return FrameLine(at_ms, direction, "?", text[:FRAME_BOUND])
    return FrameLine(at_ms, direction, *said)


def _said_by(text: str) -> tuple[str, str] | None:
    """Kind and indented payload; None for what is no frame, or nested so deep that indenting would blow it up."""
    depth = deepest = 0
    for bracket in _BRACKETS.findall(text):
        depth += 1 if bracket in "[{" else -1
        deepest = max(deepest, depth)
    if deepest > FRAME_DEPTH:
        return None
    parts = _raw_parts(text)
    number = msgspec.json.decode(parts[0]) if len(parts) > 2 else None
    if type(number) is not int or number not in (2, 3, 4):
        return None
    frame_id, word = (str(msgspec.json.decode(part)) for part in parts[1:3])
    kind = {2: word, 3: "CALLRESULT", 4: f"CALLERROR {word}"}[number]
    payload = parts[2:] if number == 3 else parts[3:]
    body = msgspec.json.format(msgspec.json.encode(payload[0] if len(payload) == 1 else payload), indent=2)
    return f"{kind} · {frame_id}"[:FRAME_BOUND], body.decode()[:FRAME_BOUND]


ROUTES = [charger, top, timeline_part, frames]
