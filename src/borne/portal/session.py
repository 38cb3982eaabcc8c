"""The page of one session: who, where, when; energy and power over time; what each quarter of an hour cost; what is suspect."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from babel.dates import format_datetime
from babel.numbers import format_currency
from litestar import Response, get
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

from borne.core import metering, tariff
from borne.core.statistics import PricedSlot
from borne.engine.metering import metering_of
from borne.portal import line_chart
from borne.portal.frame import Page, PageView
from borne.portal.session_words import MESSAGES, SUSPECTS, is_doubtful, reason, suspects_of
from borne.portal.sessions import Line, lines, zone_of
from borne.portal.vehicles import of_session
from borne.store import session_detail
from borne.store.db import Row

DAY_MS = 86_400_000
SHORT_MS = 600_000
CENTS_A_UNIT = Decimal(100)
GAPS_SHOWN = 12


class Quarter(msgspec.Struct, frozen=True):
    """A slot in words. The costs of all of them, as they stand here, add up to the total that is shown."""

    time: str
    energy_wh: int
    peak_w: int
    price: str
    cost: str


class Event(msgspec.Struct, frozen=True):
    """One message of the charger, or several of a kind in a row: `count`."""

    title: str
    at: str
    count: int
    seq: str


@get("/sessions/{session_id:int}", may="see_sessions")
async def session(page: Page, session_id: FromPath[int]) -> Response[str]:
    """The page, or for htmx what changes of it while it runs."""
    db, scope = page.services.db, page.scope
    row = await session_detail.one(db, scope, session_id)
    if row is None:
        raise NotFoundException
    zone = zone_of(row.time_zone)
    slots = await session_detail.slots(db, scope, session_id)
    samples = await session_detail.samples(db, scope, session_id)
    messages = await session_detail.messages(db, row)
    (line,) = await lines(page, [row])
    context: dict[str, Any] = {
        "session": row,
        "line": line,
        "zone": zone.key,
        **_times(page, row, line, zone),
        "chart": line_chart.draw(metering.curve(metering_of(row), samples), _clock(page, row, zone)),
        "quarters": quarters(page, slots, row.currency or "EUR", zone),
        "is_priced": row.cost_nanos is not None,
        "events": _events(page, messages, zone),
        "gaps": gaps([message.seq for message in messages if message.seq is not None]),
        "is_cut": len(messages) >= session_detail.MESSAGES_MOST,
        "reason": reason(page, row.end_reason),
        "doubtful": is_doubtful(suspects_of(row.suspects)),
        "suspects": [page._(SUSPECTS[word]) for word in suspects_of(row.suspects)],
        "conflicts": json.loads(row.conflicts),
        "is_own": scope.role == "user",
    }
    if page.is_part:
        return page.part("sessions/body.html", **context)
    return page.show("sessions/session.html", **context, vehicle=await of_session(page, row))


ROUTES = [session]


# ---- time ----------------------------------------------------------------------------------------------------------------


def _at(page: PageView, at_ms: int, zone: ZoneInfo, pattern: str) -> str:
    instant = datetime.fromtimestamp(at_ms / 1_000, UTC).astimezone(zone)
    return str(format_datetime(instant, pattern, locale=page.formats.locale))


def _times(page: PageView, row: Row, line: Line, zone: ZoneInfo) -> dict[str, Any]:
    """Start and end, how long it charged, and how long a car stood there without charging."""
    end_ms = row.over_ms if row.over_ms is not None else row.ended_ms
    plugged_ms = max(0, (end_ms or line.started_ms) - line.started_ms)
    pattern = "d MMM y, HH:mm:ss"
    return {
        "began": _at(page, line.started_ms, zone, pattern),
        "ended": "" if row.ended_ms is None else _at(page, end_ms or row.ended_ms, zone, pattern),
        "measured_until": "" if row.over_ms is None else _at(page, row.over_ms, zone, "HH:mm:ss"),
        "charging_ms": min(row.charging_ms, plugged_ms),
        "idle_ms": max(0, plugged_ms - row.charging_ms) // 1_000 * 1_000,
    }


def _clock(page: PageView, row: Row, zone: ZoneInfo) -> Any:
    """Names an instant of the session's chart: with its day when it is longer than one, with seconds when it is short."""
    length_ms = (row.over_ms or 0) - (row.begun_ms or 0)
    pattern = "d MMM, HH:mm" if length_ms > DAY_MS else "HH:mm:ss" if length_ms < SHORT_MS else "HH:mm"
    return lambda at_ms: _at(page, at_ms, zone, pattern)


# ---- costs ---------------------------------------------------------------------------------------------------------------


def quarters(page: PageView, slots: Sequence[PricedSlot], currency: str, zone: ZoneInfo) -> list[Quarter]:
    """The slots with their costs. Each is rounded so that those until it add up to what they cost together, to the cent."""
    made: list[Quarter] = []
    sum_nanos = shown_cents = 0
    days = {_at(page, slot.slot_ms, zone, "y-MM-dd") for slot in slots}
    for slot in slots:
        cost = ""
        if slot.price_micros is not None:
            sum_nanos += tariff.cost_nanos(slot.energy_wh, slot.price_micros)
            cents = tariff.rounded(sum_nanos, tariff.NANOS_A_CENT)
            cost = _currency(page, Decimal(cents - shown_cents) / CENTS_A_UNIT, currency)
            shown_cents = cents
        made.append(
            Quarter(
                time=_at(page, slot.slot_ms, zone, "HH:mm" if len(days) == 1 else "d MMM, HH:mm"),
                energy_wh=slot.energy_wh,
                peak_w=slot.peak_w,
                price="" if slot.price_micros is None else _price(page, slot.price_micros, currency),
                cost=cost,
            )
        )
    return made


def _currency(page: PageView, amount: Decimal, currency: str) -> str:
    return str(format_currency(amount, currency, locale=page.formats.locale))


def _price(page: PageView, micros: int, currency: str) -> str:
    """A price of a kWh, with all digits that it has."""
    amount, locale = Decimal(micros).scaleb(-6), page.formats.locale
    pattern = locale.currency_formats["standard"].pattern.partition(";")[0].replace("0.00", "0.00####")
    return str(format_currency(amount, currency, format=pattern, locale=locale, currency_digits=False))


# ---- messages --------------------------------------------------------------------------------------------------------------


def _events(page: PageView, messages: Sequence[Row], zone: ZoneInfo) -> list[Event]:
    """Messages in the order of their receipt; those of a kind that follow each other are one."""
    groups: list[list[Row]] = []
    for message in messages:
        if groups and groups[-1][-1].kind == message.kind == "updated":
            groups[-1].append(message)
        else:
            groups.append([message])
    days = {_at(page, message.received_ms, zone, "y-MM-dd") for message in messages}
    pattern = "HH:mm:ss" if len(days) == 1 else "d MMM, HH:mm:ss"
    return [
        Event(
            title=page._(MESSAGES.get(group[0].kind, group[0].kind)),
            at=_span([_at(page, one.received_ms, zone, pattern) for one in (group[0], group[-1])]),
            count=len(group),
            seq=_span([str(one.seq) for one in (group[0], group[-1]) if one.seq is not None]),
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
