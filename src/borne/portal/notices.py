"""A person's notices: the list, the bell, and what one of them tells of."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from litestar import Response, get, post
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

from borne.core.notifications import Event, offered
from borne.portal.forms import Form, number_of, text_of
from borne.portal.frame import Page
from borne.portal.notice_words import EVENTS, line_of, place_of
from borne.store import notices as store

PAGES_MOST = 1_000


@get("/notices", may="see_notices")
async def notices(page: Page) -> Response[str]:
    """The unread first, then the newest first; or one event's, or the unread alone."""
    scope, asked = page.scope, page.request.query_params
    event = _event(page, asked.get("event", ""))
    unread_only = asked.get("show") == "unread"
    number = min(number_of(asked.get("page", "")) or 1, PAGES_MOST)
    skip = (number - 1) * store.PAGE_ROWS
    found = await store.page(page.services.db, scope, also_read=not unread_only, event=event, skip=skip)
    context: dict[str, Any] = {
        "entries": [(row, line_of(row, page.language, page.formats)) for row in found.rows],
        "unread": await page.frame.bells.count(scope),
        "newest_id": max((row.id for row in found.rows), default=0),
        "event": event,
        "unread_only": unread_only,
        "chips": _chips(page, event, unread_only),
        "newer": _address(event, unread_only, number - 1) if number > 1 else "",
        "older": _address(event, unread_only, number + 1) if found.has_more else "",
        "here": _address(event, unread_only, number),
    }
    if page.is_part:
        return page.part("notices/list.html", **context)
    return page.show("notices/index.html", **context)


def _event(page: Page, asked: str) -> Event | None:
    return next((event for event in offered(page.scope.role) if event == asked), None)


def _chips(page: Page, event: Event | None, unread_only: bool) -> list[tuple[str, str, bool]]:
    """The filters: words, address, whether it is the one."""
    found = [
        (page._("All"), _address(event=None, unread_only=False), event is None and not unread_only),
        (page._("Unread"), _address(event=event, unread_only=not unread_only), unread_only),
    ]
    for one in offered(page.scope.role):
        chosen = one == event
        found.append((page._(EVENTS[one][0]), _address(None if chosen else one, unread_only), chosen))
    return found


def _address(event: Event | None, unread_only: bool, number: int = 1) -> str:
    fields = {"event": event or "", "show": "unread" if unread_only else "", "page": str(number) if number > 1 else ""}
    query = urlencode({name: value for name, value in fields.items() if value})
    return f"/notices?{query}" if query else "/notices"


@get("/notices/bell", may="see_notices")
async def bell(page: Page) -> Response[str]:
    """How many are not read, for the frame."""
    return page.part("notices/bell_part.html", bell=await page.frame.bells.count(page.scope))


@get("/notices/{notice_id:int}", may="see_notices")
async def notice(page: Page, notice_id: FromPath[int]) -> Response[str]:
    """Go to what it tells of. It counts as read from then on."""
    scope, services = page.scope, page.services
    row = await store.one(services.db, scope, notice_id)
    if row is None:
        raise NotFoundException
    if row.read_ms is None:
        async with services.db.transaction() as tx:
            await store.mark_read(tx, scope, notice_id, services.clock.now_ms())
        page.frame.bells.changed(scope.person_id)
    return page.go(place_of(row))


@post("/notices/{notice_id:int}/read", may="see_notices")
async def read(page: Page, notice_id: FromPath[int], data: Form) -> Response[str]:
    """Mark one as read."""
    scope, services = page.scope, page.services
    if await store.one(services.db, scope, notice_id) is None:
        raise NotFoundException
    async with services.db.transaction() as tx:
        await store.mark_read(tx, scope, notice_id, services.clock.now_ms())
    page.frame.bells.changed(scope.person_id)
    return page.go(_back(data))


@post("/notices/read", may="see_notices")
async def read_all(page: Page, data: Form) -> Response[str]:
    """Mark all as read that were there when the page was made."""
    scope, services = page.scope, page.services
    newest_id = number_of(text_of(data, "newest"))
    if newest_id is None:
        raise NotFoundException
    async with services.db.transaction() as tx:
        await store.mark_all_read(tx, scope, newest_id, services.clock.now_ms())
    page.frame.bells.changed(scope.person_id)
    return page.go(_back(data), toast=page._("All are marked as read."))


def _back(data: Form) -> str:
    """The list as it was filtered."""
    path = text_of(data, "here", 300)
    return path if path.partition("?")[0] == "/notices" else "/notices"


ROUTES = [notices, bell, notice, read, read_all]
