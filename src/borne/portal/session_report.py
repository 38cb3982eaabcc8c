"""Sessions as a PDF to read: what the filter asked for, sums, and a row a session."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from zoneinfo import ZoneInfo

from borne.core.metering_slots import HOUR_MS
from borne.engine.mail import one_line
from borne.engine.report_files import Document, Sheet, Table
from borne.portal import instants
from borne.portal.frame import Page
from borne.portal.session_words import KIND_WORDS
from borne.portal.sessions import zone_of
from borne.store import organisations, session_export
from borne.store.db import Row
from borne.store.session_list import Filter

ROWS_MOST = 5_000  # some seconds of a thread, and half a megabyte
WIDTHS = (27, 25, 27, 26, 17, 17, 15)
TEXTS = 4


async def document(page: Page, wanted: Filter, rows: Sequence[Row]) -> Document:
    """The whole of it, in the language of the page. Rows as `session_export.pages` gives them; words are found on a thread."""
    db, scope = page.services.db, page.scope
    organisation = one_line(await session_export.organisation_name(db, scope))
    zone = zone_of(await organisations.zone_of_scope(db, scope, wanted.location_id))
    return await asyncio.to_thread(_document, page, wanted, rows, organisation, zone)


def _document(page: Page, wanted: Filter, rows: Sequence[Row], organisation: str, zone: ZoneInfo) -> Document:
    now_ms = page.services.clock.now_ms()
    made = page._("made on %(at)s", at=instants.at(page, now_ms, zone, "d MMM y, HH:mm"))
    return Document(
        language=page.language,
        organisation=organisation,
        subject="",
        body="",
        file_name="sessions",
        made_ms=now_ms,
        title=page._("Charging sessions"),
        lines=(organisation, *_asked(page, wanted, rows, zone), f"{made} ({zone.key})"),
        figures=_figures(page, rows),
        notes=_notes(page, rows),
        tables=(_table(page, rows),) if rows else (),
        sheet=Sheet("", (), ()),
        page=page._("Page %(n)s of %(total)s"),
        left_out="",
    )


def _asked(page: Page, wanted: Filter, rows: Sequence[Row], zone: ZoneInfo) -> list[str]:
    """The filter in words. Names are those of the sessions that it found."""
    asked = page.request.query_params
    first = rows[0] if rows else None
    known = (
        (page._("Since"), _day(page, wanted.from_ms, zone)),
        (page._("Until"), "" if wanted.to_ms is None else _day(page, wanted.to_ms - 1, zone)),
        (page._("Location"), first.location if first and wanted.location_id is not None else ""),
        (page._("Charger"), asked.get("q", "") or (first.charger if first and asked.get("charger") else "")),
        (page._("User or badge"), asked.get("who", "")),
        (page._("User"), first.person if first and wanted.person_id is not None else ""),
        (page._("State"), page._(KIND_WORDS[wanted.kind]) if wanted.kind else ""),
    )
    said = [
        page._("%(label)s: %(value)s", label=label, value=one_line(str(value))[:100]) for label, value in known if value
    ]
    return [" · ".join(said)] if said else []


def _day(page: Page, at_ms: int | None, zone: ZoneInfo) -> str:
    return "" if at_ms is None else instants.at(page, at_ms, zone, "d MMM y")


def _plugged_ms(row: Row) -> int | None:
    begun_ms = row.started_ms if row.begun_ms is None else row.begun_ms
    over_ms = row.ended_ms if row.over_ms is None else row.over_ms
    return None if over_ms is None else max(0, over_ms - begun_ms)


def _figures(page: Page, rows: Sequence[Row]) -> tuple[tuple[str, str], ...]:
    costs: dict[str, int] = {}
    for row in rows:
        if row.cost_nanos is not None and row.currency:
            costs[row.currency] = costs.get(row.currency, 0) + row.cost_nanos
    charging_ms, plugged_ms = sum(row.charging_ms for row in rows), sum(_plugged_ms(row) or 0 for row in rows)
    cost = " + ".join(page.formats.money(nanos, currency) for currency, nanos in sorted(costs.items()))
    return (
        (page._("Sessions"), page.formats.number(len(rows))),
        (page._("Energy"), page.formats.energy(sum(row.energy_wh or 0 for row in rows))),
        (page._("Cost of energy"), cost or "–"),
        (page._("Charging"), _hours(page, charging_ms)),
        (page._("Plugged in, not charging"), _hours(page, max(0, plugged_ms - charging_ms))),
    )


def _hours(page: Page, duration_ms: int) -> str:
    return page._("%(n)s h", n=page.formats.number(duration_ms / HOUR_MS, 1))


def _notes(page: Page, rows: Sequence[Row]) -> tuple[str, ...]:
    """What the figures leave out."""
    unknown = sum(1 for row in rows if row.energy_wh is None)
    unpriced = sum(1 for row in rows if row.energy_wh and row.cost_nanos is None)
    notes = [page._("No session matches")] if not rows else []
    if unknown:
        notes.append(
            page.ngettext(
                "The energy of %(n)s session is not known (yet): it is not in the sums.",
                "The energy of %(n)s sessions is not known (yet): it is not in the sums.",
                unknown,
            )
        )
    if unpriced:
        notes.append(
            page.ngettext(
                "%(n)s session has energy without a price: it is not in the cost.",
                "%(n)s sessions have energy without a price: they are not in the cost.",
                unpriced,
            )
        )
    return tuple(notes)


def _table(page: Page, rows: Sequence[Row]) -> Table:
    head = (
        page._("Begin"), page._("Location"), page._("Charger"), page._("Who"), page._("Plugged in"), page._("Energy"),
        page._("Cost"),
    )  # fmt: skip
    return Table(
        title=page._("Sessions"),
        widths=WIDTHS,
        texts=TEXTS,
        head=head,
        rows=tuple(_cells(page, row) for row in rows),
        note=page._("Times are those of each location."),
    )


def _cells(page: Page, row: Row) -> tuple[str, ...]:
    begun_ms, plugged_ms = row.started_ms if row.begun_ms is None else row.begun_ms, _plugged_ms(row)
    return (
        instants.at(page, begun_ms, zone_of(row.zone), "d MMM y, HH:mm"),
        one_line(row.location or "–"),
        one_line(row.charger or page._("gone")),
        one_line(row.person or (row.tag or "").upper() or "–"),
        page._("Runs") if row.ended_ms is None else page.formats.duration(plugged_ms),
        "–" if row.energy_wh is None else page.formats.energy(row.energy_wh),
        "–" if row.cost_nanos is None else page.formats.money(row.cost_nanos, row.currency or "EUR"),
    )
