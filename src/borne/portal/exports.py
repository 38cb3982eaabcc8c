"""Files on their way to browsers: how far each is, for the page that asked for it.

A browser names its export by an id of its own; nobody else sees it. What is known is in memory, for a while, and in the process
that sends the file: a page that asks another in vain says that the browser shows the download.
"""

from __future__ import annotations

import asyncio
import re
from collections import OrderedDict
from collections.abc import AsyncIterator
from typing import Literal, cast

import msgspec
from litestar import Response, get
from litestar.params import FromQuery

from borne.portal.frame import Page

KEPT_MOST = 1_000
PDFS_AT_ONCE = 2  # each takes seconds of a core
LOOKS_MOST = 10  # for an export that is not known (yet)
_KEY = re.compile(r"[0-9a-f]{8,32}")
State = Literal["runs", "ended", "broke", "refused"]


class Export(msgspec.Struct):
    """`total`: rows when it began; some more may be in the file. "ended": all was handed to the network; "refused": `why`."""

    name: str
    total: int
    done: int = 0
    state: State = "runs"
    why: str = ""

    def tell(self, rows: int) -> None:
        """So many more rows are done."""
        self.done += rows


class Exports:
    """The exports of one process; beyond the bound the oldest are forgotten."""

    def __init__(self) -> None:
        self._by_key: OrderedDict[tuple[int, int, str], Export] = OrderedDict()
        self.pdfs = asyncio.Semaphore(PDFS_AT_ONCE)

    def begin(self, page: Page, key: str, name: str, total: int) -> Export:
        """Note an export under the browser's id, where it gave one."""
        export = Export(name, total)
        if _KEY.fullmatch(key):
            self._by_key[self._key(page, key)] = export
            while len(self._by_key) > KEPT_MOST:
                self._by_key.popitem(last=False)
        return export

    def of(self, page: Page, key: str) -> Export | None:
        """An export of this person, in this organisation."""
        return self._by_key.get(self._key(page, key))

    def _key(self, page: Page, key: str) -> tuple[int, int, str]:
        return page.scope.person_id, page.scope.organisation_id, key


def exports_of(page: Page) -> Exports:
    """Those of this app."""
    return cast(Exports, page.request.app.state.exports)


async def watched(export: Export, parts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same bytes; the export knows whether they came to their end. A connection that is cut closes what makes them."""
    try:
        async for part in parts:
            yield part
        export.state = "ended"
    finally:
        if export.state != "ended":
            export.state = "broke"
        close = getattr(parts, "aclose", None)
        if close is not None:
            await close()


@get("/sessions/exports", may="see_sessions")
async def progress(page: Page, export: FromQuery[str] = "", look: FromQuery[int] = 0) -> Response[str]:
    """How far it is, and where to ask again."""
    key = export if _KEY.fullmatch(export) else ""
    found = exports_of(page).of(page, key)
    is_sought = bool(key) and found is None and 0 <= look < LOOKS_MOST
    return page.part("sessions/export.html", export=found, key=key, look=look + 1, is_sought=is_sought)


ROUTES = [progress]
