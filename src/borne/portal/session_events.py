"""What happened in a session, in order: its charger's messages, and what its connector and its link did meanwhile."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from zoneinfo import ZoneInfo

import msgspec

from borne.portal import instants
from borne.portal.frame import PageView
from borne.portal.session_words import MESSAGES
from borne.portal.statuses import event_line
from borne.store import events as store
from borne.store import session_detail
from borne.store.db import Row

KINDS = ("status", "link_opened", "link_lost", "booted", "restart_requested", "restart_ended")
AROUND_MS = 120_000  # a cable is plugged in before the start, and taken out after the end
EVENTS_MOST = 300
GAPS_SHOWN = 12
LOOKS = {"started": "charging", "updated": "charging", "ended": "gone"}


class Event(msgspec.Struct, frozen=True):
    """One thing that happened, or `count` messages of a kind in a row. `css`: classes of its dot."""

    title: str
    said: str
    at: str
    count: int
    seq: str
    css: str


class _Thing(msgspec.Struct, frozen=True):
    at_ms: int
    kind: str
    title: str
    said: str
    seq: int | None
    css: str


class Story(msgspec.Struct, frozen=True):
    """`is_cut`: there was more than is shown. `gaps`: numbers of messages that never came."""

    events: list[Event]
    is_cut: bool
    gaps: list[str]


async def of_session(page: PageView, row: Row, until_ms: int, zone: ZoneInfo) -> Story:
    """The messages of a session that `session_detail.one` gave, and the events of its charger around it."""
    db = page.services.db
    messages = await session_detail.messages(db, row)
    from_ms = min(row.started_ms, row.begun_ms or row.started_ms) - AROUND_MS
    found = await store.during(db, row.charger_id, from_ms, until_ms + AROUND_MS, KINDS, EVENTS_MOST)
    things = [
        _Thing(
            one.received_ms, one.kind, page._(MESSAGES.get(one.kind, one.kind)), "", one.seq, LOOKS.get(one.kind, "")
        )
        for one in messages
    ]
    things += [_of_charger(page, one) for one in found if _concerns(one, row)]
    things.sort(key=lambda thing: thing.at_ms)
    return Story(
        events=_told(page, things, zone),
        is_cut=len(messages) >= session_detail.MESSAGES_MOST or len(found) >= EVENTS_MOST,
        gaps=gaps([message.seq for message in messages if message.seq is not None]),
    )


def _concerns(event: Row, row: Row) -> bool:
    """A status of another connector is none of this session's business."""
    if event.kind != "status":
        return True
    details = json.loads(event.details)
    evse, connector = details.get("evse") or 0, details.get("connector") or 0
    return evse in (0, row.evse) and connector in (0, row.connector)


def _of_charger(page: PageView, event: Row) -> _Thing:
    details = json.loads(event.details)
    details.pop("address", None)
    line = event_line(event.kind, event.at_ms, details, page.language, page.formats)
    return _Thing(event.at_ms, event.kind, line.words, line.said, None, line.css)


def _told(page: PageView, things: Sequence[_Thing], zone: ZoneInfo) -> list[Event]:
    """Messages of a kind that follow each other are one."""
    groups: list[list[_Thing]] = []
    for thing in things:
        if groups and groups[-1][-1].kind == thing.kind == "updated":
            groups[-1].append(thing)
        else:
            groups.append([thing])
    days = {instants.at(page, thing.at_ms, zone, "y-MM-dd") for thing in things}
    pattern = "HH:mm:ss" if len(days) == 1 else "d MMM, HH:mm:ss"
    return [
        Event(
            title=group[0].title,
            said=group[0].said,
            at=_span([instants.at(page, one.at_ms, zone, pattern) for one in (group[0], group[-1])]),
            count=len(group),
            seq=_span([str(one.seq) for one in (group[0], group[-1]) if one.seq is not None]),
            css=group[0].css,
        )
        for group in groups
    ]


def _span(ends: list[str]) -> str:
    return " – ".join(dict.fromkeys(ends))


def gaps(numbers: Sequence[int]) -> list[str]:
    """Sequence numbers that never came, between the lowest and the highest that did: "3", "7–9". A bounded list."""
    known = sorted(set(numbers))
    found = []
    for before, after in pairwise(known):
        if after - before == 2:
            found.append(str(before + 1))
        elif after - before > 2:
            found.append(f"{before + 1}–{after - 1}")
    return found[:GAPS_SHOWN]
