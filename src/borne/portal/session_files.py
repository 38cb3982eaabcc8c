"""Sessions as files: what the list's filter finds, as CSV that streams, as a spreadsheet made on disk, or as a PDF to read.

Nothing here holds more than a page of sessions, but the PDF, whose rows are bounded; and no slice of work holds the loop for
longer than some milliseconds.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from litestar import Response, get
from litestar.response import Stream

from borne.core import policy
from borne.core.scope import Scope
from borne.engine.report_files import pdf as write_pdf
from borne.portal import session_filter, session_report
from borne.portal.errors import PageError
from borne.portal.exports import Export, exports_of, watched
from borne.portal.frame import Page
from borne.portal.session_cells import TIDY_COLUMNS, Cell, Teller, sheet_cells
from borne.portal.session_lines import Lines, PortalLines, TidyLines
from borne.store import session_count, session_export
from borne.store.db import Reader, Row
from borne.store.session_list import Filter

SLICE = 200  # rows: a few milliseconds
LINES = 500  # the same of a CSV
CHUNK_BYTES = 262_144
SHEET_ROWS = 1_000_000  # of data: a sheet holds 1,048,576
SHEET_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
Tell = Callable[[int], None]  # hears of each slice of rows that is done
LAYOUTS: dict[str, Callable[[Teller], Lines]] = {"portal": PortalLines, "tidy": TidyLines}


@get("/sessions.csv", may="see_sessions")
async def portal_csv(page: Page) -> Stream:
    """In 26 columns."""
    return await _csv_answer(page, "portal", "sessions.csv")


@get("/sessions/tidy.csv", may="see_sessions")
async def tidy_csv(page: Page) -> Stream:
    """For programs: one fact a column."""
    return await _csv_answer(page, "tidy", "sessions-tidy.csv")


@get("/sessions.xlsx", may="see_sessions")
async def xlsx(page: Page) -> Stream:
    """The tidy columns as a spreadsheet."""
    wanted = await session_filter.wanted(page)
    export = await _begun(page, wanted, "sessions.xlsx")
    return _answer(export, sheet(page.services.db, page.scope, wanted, export.tell), SHEET_TYPE)


@get("/sessions.pdf", may="see_sessions")
async def pdf(page: Page) -> Response[str] | Stream:
    """To read and to print. Larger ones are refused with what to do instead: where the page follows it, there."""
    wanted = await session_filter.wanted(page)
    total = await session_count.count(page.services.db, page.scope, wanted)
    if total > session_report.ROWS_MOST:
        said = page._(
            "A PDF holds %(most)s sessions at most, and these are %(n)s. Narrow the list, or take the CSV or the spreadsheet.",
            most=page.formats.number(session_report.ROWS_MOST),
            n=page.formats.number(total),
        )
        if not _key(page):
            raise PageError(413, said)
        refused = exports_of(page).begin(page, _key(page), "sessions.pdf", total)
        refused.state, refused.why = "refused", said
        return Response("", status_code=204)
    export = exports_of(page).begin(page, _key(page), "sessions.pdf", total)
    return _answer(export, _pdf(page, wanted, export), "application/pdf")


ROUTES = [portal_csv, tidy_csv, xlsx, pdf]


async def _csv_answer(page: Page, layout: str, name: str) -> Stream:
    wanted = await session_filter.wanted(page)
    export = await _begun(page, wanted, name)
    return _answer(export, csv(page.services.db, page.scope, wanted, layout, export.tell), "text/csv; charset=utf-8")


def _key(page: Page) -> str:
    """The browser's name for this export, "" where it does not follow it."""
    return str(page.request.query_params.get("export", ""))


async def _begun(page: Page, wanted: Filter, name: str) -> Export:
    """Rows are counted for who follows alone."""
    key = _key(page)
    total = await session_count.count(page.services.db, page.scope, wanted) if key else 0
    return exports_of(page).begin(page, key, name, total)


def _answer(export: Export, parts: AsyncIterator[bytes], media_type: str) -> Stream:
    headers = {"content-disposition": f'attachment; filename="{export.name}"', "cache-control": "no-store"}
    return Stream(watched(export, parts), media_type=media_type, headers=headers)


async def _teller(db: Reader, scope: Scope) -> Teller:
    name = await session_export.organisation_name(db, scope)
    return Teller(name, sees_people=policy.permits(scope, "see_people"))


def _nobody(_rows: int) -> None:
    """Hears of rows where nobody follows."""


async def _pdf(page: Page, wanted: Filter, export: Export) -> AsyncIterator[bytes]:
    rows: list[Row] = []
    async for some in session_export.pages(page.services.db, page.scope, wanted):
        rows += some
        if len(rows) >= session_report.ROWS_MOST:  # some came since they were counted
            break
    async with exports_of(page).pdfs:
        rows = rows[: session_report.ROWS_MOST]
        document = await session_report.document(page, wanted, rows)
        content = await asyncio.to_thread(write_pdf, document)
    export.tell(len(rows))
    yield content


async def csv(db: Reader, scope: Scope, wanted: Filter, layout: str, tell: Tell = _nobody) -> AsyncIterator[bytes]:
    """The lines of a CSV, UTF-8: its header, then its rows in slices."""
    lines = LAYOUTS[layout](await _teller(db, scope))
    yield lines.header
    async for rows, names in session_export.bare_pages(db, scope, wanted):
        for start in range(0, len(rows), LINES):
            some = rows[start : start + LINES]
            yield lines.of(some, names)
            tell(len(some))
            await asyncio.sleep(0)  # the loop also holds the sockets


# ---- the spreadsheet -------------------------------------------------------------------------------------------------------


class _Book:
    """A workbook that keeps one row in memory. It works on threads: XlsxWriter writes to files."""

    def __init__(self, folder: Path) -> None:
        from xlsxwriter import Workbook

        self.file = folder / "sessions.xlsx"
        options = {
            "constant_memory": True, "tmpdir": str(folder), "strings_to_formulas": False, "strings_to_urls": False,
            "default_date_format": "yyyy-mm-dd hh:mm:ss",
        }  # fmt: skip
        self._book: Any = Workbook(str(self.file), options)
        self._bold = self._book.add_format({"bold": True})
        self._sheet: Any = None
        self._next = 0
        self._open_sheet()

    def _open_sheet(self) -> None:
        self._sheet = self._book.add_worksheet()
        self._sheet.set_column(0, len(TIDY_COLUMNS) - 1, 14)
        self._sheet.freeze_panes(1, 0)
        for column, name in enumerate(TIDY_COLUMNS):
            self._sheet.write_string(0, column, name, self._bold)
        self._next = 1

    def add(self, rows: Sequence[Sequence[Cell | datetime]]) -> None:
        for cells in rows:
            if self._next > SHEET_ROWS:
                self._open_sheet()
            for column, cell in enumerate(cells):
                self._put(column, cell)
            self._next += 1

    def _put(self, column: int, cell: Cell | datetime) -> None:
        if isinstance(cell, datetime):
            self._sheet.write_datetime(self._next, column, cell)
        elif not isinstance(cell, str):
            self._sheet.write_number(self._next, column, cell)
        elif cell:
            self._sheet.write_string(self._next, column, cell)

    def close(self) -> None:
        self._book.close()


async def sheet(db: Reader, scope: Scope, wanted: Filter, tell: Tell = _nobody) -> AsyncIterator[bytes]:
    """The bytes of an XLSX file."""
    teller = await _teller(db, scope)
    with tempfile.TemporaryDirectory(prefix="borne-") as folder:
        book = await asyncio.to_thread(_Book, Path(folder))
        async for rows in session_export.pages(db, scope, wanted):
            for start in range(0, len(rows), SLICE):
                cells = [sheet_cells(row, teller) for row in rows[start : start + SLICE]]
                await asyncio.to_thread(book.add, cells)
                tell(len(cells))
        await asyncio.to_thread(book.close)
        with book.file.open("rb") as file:
            while chunk := await asyncio.to_thread(file.read, CHUNK_BYTES):
                yield chunk
