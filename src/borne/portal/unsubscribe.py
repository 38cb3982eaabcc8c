"""The link at the end of a mail, which turns such mails off without a login.

Looking at it changes nothing: mail scanners look at every link. A mail program's own button posts (RFC 8058), without cookies;
the signed token is all that it needs, and all that it can do is turn these mails off.
"""

from __future__ import annotations

from litestar import Response, get, post
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

from borne.core.actor import Actor
from borne.core.notifications import Wish
from borne.engine.audit import About
from borne.engine.notice_mail import Unsubscribe
from borne.engine.recipients import recipient
from borne.portal.frame import Page
from borne.portal.notice_words import EVENTS
from borne.store import notices as store
from borne.store.db import Row

TOKEN_BOUND = 500


def _asked(page: Page, token: str) -> Unsubscribe:
    what = page.services.notice_mail.read_token(token) if len(token) <= TOKEN_BOUND else None
    if what is None:
        raise NotFoundException
    return what


@get("/unsubscribe/{token:str}", may="anyone")
async def ask(page: Page, token: FromPath[str]) -> Response[str]:
    """What the link turns off, and the button that does."""
    what = _asked(page, token)
    found = await recipient(page.services.db, what.person_id, what.organisation_id, page.services.clock.now_ms())
    return _show(page, token, what, found[1] if found else None, is_done=False)


@post("/unsubscribe/{token:str}", may="anyone", exclude_from_csrf=True)
async def unsubscribe(page: Page, token: FromPath[str]) -> Response[str]:
    """Turn the mails off. What is told in the portal stays as it is. Once more changes nothing."""
    what, services = _asked(page, token), page.services
    async with services.db.transaction() as tx:
        found = await recipient(tx, what.person_id, what.organisation_id, services.clock.now_ms())
        if found is not None:
            person, row = found
            rules = {event: (one.in_portal, one.by_mail, one.minutes) for event, one in person.own.items()}
            off = [event for event in what.events if person.wish(event).by_mail]
            for event in off:
                wish: Wish = person.wish(event)
                rules[event] = (wish.in_portal, False, wish.minutes)
            if off:
                rows = [(event, int(portal), int(mail), minutes) for event, (portal, mail, minutes) in rules.items()]
                await store.set_rules(tx, what.person_id, what.organisation_id, rows)
                await services.audit.record(
                    tx,
                    Actor(what.person_id, row.name, page.address),
                    "person.unsubscribed",
                    About(kind="person", id=what.person_id, name=row.name, person_id=what.person_id),
                    organisation_id=what.organisation_id,
                    events=off,
                )
    return _show(page, token, what, found[1] if found else None, is_done=True)


def _show(page: Page, token: str, what: Unsubscribe, row: Row | None, *, is_done: bool) -> Response[str]:
    return page.show(
        "notices/unsubscribe.html",
        token=token,
        events=[page._(EVENTS[event][0]) for event in what.events],
        organisation=row.organisation_name if row is not None else "",
        is_done=is_done,
    )


ROUTES = [ask, unsubscribe]
