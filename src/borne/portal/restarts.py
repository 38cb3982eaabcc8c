"""The restart history: of the organisation and of one charger, with filters, paging by id, and a CSV that streams."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import AsyncIterator
from datetime import date, datetime, timedelta
from typing import Any, cast
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from litestar import Response, get
from litestar.exceptions import NotFoundException
from litestar.params import FromPath
from litestar.response import Stream
from markupsafe import Markup

from borne.core.cells import neutral
from borne.core.models import model_of
from borne.core.scope import Scope
from borne.engine.restarts import usual as usual_restart
from borne.portal import restart_view as view
from borne.portal.batches import PHASES
from borne.portal.charger_row import row_of
from borne.portal.formats import iso
from borne.portal.forms import number_of
from borne.portal.frame import Page
from borne.portal.verdicts import verdict_word
from borne.store import batch_list, charger_list, organisations, restart_list
from borne.store.db import Reader
from borne.store.restart_list import OUTCOMES, PAGE_ROWS, Outcome, RestartFilter

MODELS_SHOWN = 8
COLUMNS = ("all", "charger", "batch")  # the tables in which a restart is a row
CSV_COLUMNS = (
    "requested_at", "charger_id", "charger", "location", "model", "requested_by", "why", "kind", "verdict", "reason", "ended_at",
    "duration_s", "evidence", "first_verdict", "batch_id",
)  # fmt: skip


@get("/restarts", may="see_restarts")
async def restarts(page: Page) -> Response[str]:
    """All restarts that this person reaches, newest first."""
    return await _history(page, None)


@get("/chargers/{charger_id:int}/restarts", may="see_restarts")
async def charger_restarts(page: Page, charger_id: FromPath[int]) -> Response[str]:
    """The restarts of one charger."""
    return await _history(page, await row_of(page, charger_id))


@get("/restarts/rows/{columns:str}", may="see_restarts")
async def rows(page: Page, columns: FromPath[str]) -> Response[str]:
    """Rows that changed, each to be put into its place: those of the query's `ids`, with the columns of their table."""
    if columns not in COLUMNS:
        raise NotFoundException
    asked = page.request.query_params.get("ids", "").split(",")
    ids = [one for word in asked if (one := number_of(word)) is not None]
    found = await restart_list.rows(page.services.db, page.scope, ids[:PAGE_ROWS])
    entries = [view.entry(row, page.language, page.formats) for row in found]
    address = f"/restarts/rows/{columns}"
    return page.part("restarts/rows_again.html", entries=entries, columns=columns, rows_address=address, swap=True)


@get("/restarts.csv", may="see_restarts")
async def export(page: Page) -> Stream:
    """The same as CSV, whole: UTF-8 without a byte order mark, instants in ISO 8601, UTC."""
    wanted = await _wanted(page, _number(page, "charger"))
    rows = _csv(page.services.db, page.scope, wanted, page)
    headers = {"content-disposition": 'attachment; filename="restarts.csv"'}
    return Stream(rows, media_type="text/csv; charset=utf-8", headers=headers)


ROUTES = [restarts, charger_restarts, rows, export]


async def _history(page: Page, charger: Any | None) -> Response[str]:
    db, scope = page.services.db, page.scope
    wanted = await _wanted(page, charger.id if charger is not None else None)
    found = await restart_list.page(
        db, scope, wanted, older_than=_number(page, "older"), newer_than=_number(page, "newer")
    )
    entries = [view.entry(row, page.language, page.formats) for row in found.rows]
    context: dict[str, Any] = {
        "entries": entries,
        "charger": charger,
        "columns": "charger" if charger is not None else "all",
        "rows_address": "/restarts/rows/" + ("all" if charger is None else "charger"),
        "older": _address(page, older=found.older_than) if found.older_than is not None else "",
        "newer": _address(page, newer=found.newer_than) if found.newer_than is not None else "",
        "is_filtered": wanted != RestartFilter(charger_id=wanted.charger_id),
    }
    if page.is_part and page.request.headers.get("hx-target", "").endswith("#restart-rows"):
        return page.part("restarts/rows.html", **context)
    return page.show(
        "restarts/index.html",
        **context,
        filter=wanted,
        asked=dict(page.request.query_params),
        outcomes=_outcomes(page),
        places=await charger_list.places(db, scope),
        requesters=await restart_list.requesters(db, scope),
        usuals=await _usuals(page, charger),
        batches=await batch_list.recent(db, scope) if charger is None else [],
        batch_words=PHASES,
        csv_address=_csv_address(page, wanted.charger_id),
    )


# ---- the filter --------------------------------------------------------------------------------------------------


async def _wanted(page: Page, charger_id: int | None) -> RestartFilter:
    """The filter that the address names. What it does not understand it leaves out: an old bookmark should still open."""
    outcome = page.request.query_params.get("verdict")
    location_id = _number(page, "location")
    zone = await organisations.zone_of_scope(page.services.db, page.scope, location_id)
    return RestartFilter(
        charger_id=charger_id,
        location_id=location_id,
        batch_id=_number(page, "batch"),
        person_id=_number(page, "person"),
        outcome=cast(Outcome, outcome) if outcome in OUTCOMES else None,
        from_ms=midnight_ms(page, "from", 0, zone),
        to_ms=midnight_ms(page, "to", 1, zone),
    )


def _number(page: Page, name: str) -> int | None:
    return number_of(page.request.query_params.get(name, ""))


def midnight_ms(page: Page, name: str, days: int, zone: str) -> int | None:
    """The start of a day there, `days` later. Nothing for what is no day."""
    try:
        day = date.fromisoformat(page.request.query_params.get(name, "")) + timedelta(days=days)
    except (ValueError, OverflowError):
        return None
    if not 1970 < day.year < 9000:
        return None
    return round(datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone)).timestamp() * 1000)


def _address(page: Page, **change: int | None) -> str:
    """This page's address with another page of rows."""
    kept = {
        name: value for name, value in page.request.query_params.items() if name not in ("older", "newer") and value
    }
    return f"{page.request.url.path}?{urlencode(kept | {name: value for name, value in change.items() if value is not None})}"


def _csv_address(page: Page, charger_id: int | None) -> str:
    kept = {
        name: value for name, value in page.request.query_params.items() if name not in ("older", "newer") and value
    }
    if charger_id is not None:
        kept["charger"] = str(charger_id)
    return "/restarts.csv" + (f"?{urlencode(kept)}" if kept else "")


def _outcomes(page: Page) -> list[tuple[str, str]]:
    words = {name: verdict_word(name, page.language)[0] for name in OUTCOMES if name != "open"}
    return [*words.items(), ("open", page._("Under way or waiting"))]


async def _usuals(page: Page, charger: Any | None) -> list[tuple[str, str, str]]:
    """For each model: its name, how long it usually takes here, and where the figure comes from."""
    if charger is not None:
        models = [charger.model]
    else:
        models = await restart_list.models(page.services.db, page.scope, MODELS_SHOWN)
    found = []
    for model in models:
        usual = await usual_restart(page.services.db, page.scope.organisation_id, model)
        source = view.usual_source(usual, page.language, page.formats)
        found.append((model_of(model).name, page.formats.duration(usual.duration_ms), source))
    return found


# ---- CSV ---------------------------------------------------------------------------------------------------------


async def _csv(db: Reader, scope: Scope, wanted: RestartFilter, page: Page) -> AsyncIterator[bytes]:
    yield csv_lines([list(CSV_COLUMNS)])
    async for rows in restart_list.export(db, scope, wanted):
        yield csv_lines([csv_row(view.entry(row, page.language, page.formats)) for row in rows])
        await asyncio.sleep(0)  # the loop also holds the sockets


def csv_row(entry: view.Entry) -> list[str]:
    """The cells of one restart, in the order of CSV_COLUMNS."""
    cells = (
        iso(entry.requested_ms),
        str(entry.charger_id),
        entry.charger_name or "",
        entry.location_name or "",
        entry.model,
        entry.person_name,
        entry.why,
        entry.kind,
        entry.verdict,
        entry.reason,
        iso(entry.ended_ms) if entry.ended_ms is not None else "",
        f"{entry.duration_ms / 1000:.3f}" if entry.duration_ms is not None else "",
        _plain(f"{entry.title}. {entry.text}"),
        entry.first,
        str(entry.batch_id) if entry.batch_id is not None else "",
    )
    return [neutral(cell) for cell in cells]


def _plain(text: str) -> str:
    """Sentences of restarts under way may hold `<time>` elements."""
    return Markup(text).striptags() if "<time" in text else text


def csv_lines(rows: list[list[str]]) -> bytes:
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerows(rows)
    return out.getvalue().encode("utf-8")
