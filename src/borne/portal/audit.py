"""The audit log of an organisation: who did what to what, from where; searched, paged, and exported as a CSV that streams."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlencode

import msgspec
from litestar import Response, get
from litestar.response import Stream

from borne.core.cells import neutral
from borne.core.scope import Scope
from borne.portal.audit_words import INTERNAL, KINDS, action_words, detail_words, visible
from borne.portal.formats import iso
from borne.portal.forms import number_of
from borne.portal.frame import Page, PageView
from borne.portal.language import Language
from borne.portal.restarts import csv_lines, midnight_ms
from borne.portal.roles import ROLE_WORDS
from borne.store import audit_list, organisations
from borne.store.audit_list import AuditFilter
from borne.store.db import Reader, Row

TEXT_BOUND = 100
VALUE_BOUND = 300
LISTED = 20  # of a list
CSV_COLUMNS = (
    "number", "at", "person", "person_id", "address", "action", "what", "object_kind", "object_id", "object", "details", "hash",
)  # fmt: skip
LINKED = {"charger": "/chargers/", "batch": "/batches/", "location": "/locations/"}


class Line(msgspec.Struct, frozen=True):
    """A row as the page shows it. `erased`: its texts are gone; `changes`: (what, before, after); before is "" for plain ones."""

    seq: int
    at_ms: int
    who: str
    actor_id: int | None
    address: str
    what: str
    about: str
    href: str
    changes: list[tuple[str, str, str]]
    erased: bool


@get("/audit", may="see_audit")
async def audit(page: Page) -> Response[str]:
    """The newest rows, and how to look for others."""
    wanted = await _wanted(page)
    query = page.request.query_params
    found = await audit_list.page(
        page.services.db,
        page.scope,
        wanted,
        older_than=number_of(query.get("older", "")),
        newer_than=number_of(query.get("newer", "")),
    )
    watch = page.services.audit_watch
    return page.show(
        "audit.html",
        lines=[line_of(row, page) for row in found.rows],
        asked=dict(query),
        kinds=[(key, page._(words)) for key, (words, _) in KINDS.items()],
        is_filtered=wanted != AuditFilter(),
        older=_address(page, older=found.older_than) if found.older_than is not None else "",
        newer=_address(page, newer=found.newer_than) if found.newer_than is not None else "",
        looked_to_ms=found.looked_to_ms,
        csv_address="/audit.csv" + _query(page),
        looked=watch.last if watch is not None else None,
    )


@get("/audit.csv", may="see_audit")
async def export(page: Page) -> Stream:
    """The same as CSV, whole: UTF-8, instants in ISO 8601, UTC."""
    wanted = await _wanted(page)
    rows = _csv(page.services.db, page.scope, wanted, page.language)
    headers = {"content-disposition": 'attachment; filename="audit.csv"'}
    return Stream(rows, media_type="text/csv; charset=utf-8", headers=headers)


ROUTES = [audit, export]


# ---- the filter --------------------------------------------------------------------------------------------------


async def _wanted(page: Page) -> AuditFilter:
    """The filter that the address names. What it does not understand it leaves out: an old bookmark should still open."""
    query = page.request.query_params
    text = " ".join(query.get("q", "").replace("\0", "").encode("utf-8", "ignore").decode().split())[:TEXT_BOUND]
    kind = KINDS.get(query.get("kind", ""))
    zone = await organisations.zone_of_scope(page.services.db, page.scope, None)
    return AuditFilter(
        text=text or None,
        prefixes=kind[1] if kind else None,
        person_id=number_of(query.get("person", "")),
        from_ms=midnight_ms(page, "from", 0, zone),
        to_ms=midnight_ms(page, "to", 1, zone),
    )


def _query(page: Page, **change: int | None) -> str:
    kept = {name: text for name, text in page.request.query_params.items() if name not in ("older", "newer") and text}
    kept |= {name: str(value) for name, value in change.items() if value is not None}
    return f"?{urlencode(kept)}" if kept else ""


def _address(page: Page, **change: int | None) -> str:
    return page.request.url.path + _query(page, **change)


# ---- a row in words ----------------------------------------------------------------------------------------------


def line_of(row: Row, page: PageView) -> Line:
    """A row as the page shows it. Whatever it holds becomes one line of visible text."""
    details: dict[str, Any] = msgspec.json.decode(row.details) if row.details is not None else {}
    who, address, about = (str(details.pop(name, "")) for name in ("name", "address", "object"))
    href = f"{LINKED[row.object_kind]}{row.object_id}" if row.object_kind in LINKED and row.object_id else ""
    return Line(
        row.seq,
        row.at_ms,
        visible(who),
        row.actor_id,
        visible(address),
        action_words(row.action, page.language),
        visible(about),
        href if not row.action.endswith(".deleted") else "",
        _changes(details, page),
        row.details is None,
    )


def _changes(details: dict[str, Any], page: PageView) -> list[tuple[str, str, str]]:
    before, after = details.pop("before", None), details.pop("after", None)
    found: list[tuple[str, str, str]] = []
    if isinstance(before, dict) or isinstance(after, dict):
        old, new = before or {}, after or {}
        found += [
            (detail_words(name, page.language), _said(name, old.get(name), page), _said(name, new.get(name), page))
            for name in dict.fromkeys((*old, *new))
            if old.get(name) != new.get(name)
        ]
    found += [
        (detail_words(name, page.language), "", _said(name, value, page))
        for name, value in details.items()
        if value not in ("", None) and name not in INTERNAL
    ]
    return found


def _said(name: str, value: Any, page: PageView) -> str:
    """A detail as text, bounded."""
    if value is None or value == "":
        return "–"
    if isinstance(value, bool):
        return page._("yes") if value else page._("no")
    if isinstance(value, list):
        return ", ".join(_said(name, one, page) for one in value[:LISTED])[:VALUE_BOUND] or "–"
    if name.endswith("_ms") and isinstance(value, int):
        return page.formats.absolute(value)
    if isinstance(value, dict):  # how many of each
        return (
            ", ".join(f"{_said(name, one, page)}: {_said('', n, page)}" for one, n in value.items())[:VALUE_BOUND]
            or "–"
        )
    if name in ("role", "roles") and value in ROLE_WORDS:
        return page._(ROLE_WORDS[value])
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return visible(text[:VALUE_BOUND])


# ---- CSV ---------------------------------------------------------------------------------------------------------


async def _csv(db: Reader, scope: Scope, wanted: AuditFilter, language: Language) -> AsyncIterator[bytes]:
    yield csv_lines([list(CSV_COLUMNS)])
    async for rows in audit_list.export(db, scope, wanted):
        yield csv_lines([csv_row(row, language) for row in rows])
        await asyncio.sleep(0)  # the loop also holds the sockets


def csv_row(row: Row, language: Language) -> list[str]:
    """The cells of a row, in the order of CSV_COLUMNS: one line each, and none a formula."""
    details: dict[str, Any] = msgspec.json.decode(row.details) if row.details is not None else {}
    who, address, about = (str(details.pop(name, "")) for name in ("name", "address", "object"))
    cells = (
        str(row.seq),
        iso(row.at_ms),
        who,
        "" if row.actor_id is None else str(row.actor_id),
        address,
        row.action,
        action_words(row.action, language),
        row.object_kind,
        "" if row.object_id is None else str(row.object_id),
        about,
        msgspec.json.encode(details).decode() if details else "",
        row.hash.hex(),
    )
    return [neutral(visible(cell)) for cell in cells]
