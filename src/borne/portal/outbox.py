"""The mails of the embedded outbox, for whoever operates this installation: with no mail server set, links are read here."""

from __future__ import annotations

from litestar import Response, get

from borne.portal.frame import Page
from borne.store import mails

SHOWN = 200


@get("/installation/outbox", may="installation")
async def outbox(page: Page) -> Response[str]:
    return page.show("outbox.html", mails=await mails.newest(page.services.db, SHOWN), shown=SHOWN)


ROUTES = [outbox]
