"""Saved views of the list of sessions: filters under a name, each person's own."""

from __future__ import annotations

from litestar import Response, post
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

from borne.portal import session_filter
from borne.portal.errors import PageError
from borne.portal.forms import Form, text_of
from borne.portal.frame import Page
from borne.portal.sessions import VIEWS
from borne.store import saved_views

NAME_BOUND = 60
QUERY_BOUND = 2_000


@post("/sessions/views", may="see_sessions")
async def save(page: Page, data: Form) -> Response[str]:
    """Keep the filter that is on screen under a name; one of that name is replaced."""
    name, query = text_of(data, "name", NAME_BOUND), session_filter.cleaned(text_of(data, "query", QUERY_BOUND))
    if not name:
        raise PageError(422, page._("A view needs a name."))
    db, now_ms = page.services.db, page.services.clock.now_ms()
    try:
        async with db.transaction() as tx:
            await saved_views.save(tx, page.scope, VIEWS, name, query, now_ms)
    except saved_views.TooManyError:
        text = page._("You keep %(n)s views already: delete one first.", n=saved_views.MOST)
        raise PageError(422, text) from None
    return page.go(session_filter.address("/sessions", query), toast=page._("Saved as “%(name)s”.", name=name))


@post("/sessions/views/{view_id:int}/delete", may="see_sessions")
async def delete(page: Page, view_id: FromPath[int]) -> Response[str]:
    """Forget a view of one's own."""
    async with page.services.db.transaction() as tx:
        if not await saved_views.drop(tx, page.scope, view_id):
            raise NotFoundException
    return page.go("/sessions", toast=page._("The view is deleted."))


ROUTES = [save, delete]
