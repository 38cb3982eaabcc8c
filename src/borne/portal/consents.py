"""Who may look into the organisation: its super-admins answer the operator of the installation, and end what they allowed."""

from __future__ import annotations

from litestar import Response, get, post
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

from borne.engine.audit import About
from borne.portal.access import access_of
from borne.portal.frame import Page
from borne.store import consents
from borne.store.db import Row, Transaction

HOUR_MS = 3_600_000


@get("/organisation/consents", may="answer_consent")
async def index(page: Page) -> Response[str]:
    """Who asked to look in, who may now, and who did."""
    rows = await consents.of_organisation(page.services.db, page.scope.organisation_id)
    return page.show("organisation/consents.html", rows=rows, state_of=state_of)


def state_of(row: Row, now_ms: int) -> str:
    """asked, allowed, refused, withdrawn or over."""
    if row.answered_ms is None:
        return "asked" if row.ended_ms is None else "withdrawn"
    if row.until_ms is None:
        return "refused"
    return "allowed" if row.ended_ms is None and row.until_ms > now_ms else "over"


@post("/organisation/consents/{consent_id:int}/allow", may="answer_consent")
async def allow(page: Page, consent_id: FromPath[int]) -> Response[str]:
    row = await _one(page, consent_id)
    until_ms = page.services.clock.now_ms() + row.hours * HOUR_MS
    return await _answer(
        page, row, until_ms, "consent.allowed", page._("%(name)s may look in now.", name=row.person_name)
    )


@post("/organisation/consents/{consent_id:int}/refuse", may="answer_consent")
async def refuse(page: Page, consent_id: FromPath[int]) -> Response[str]:
    row = await _one(page, consent_id)
    return await _answer(
        page, row, None, "consent.refused", page._("Refused: %(name)s sees nothing.", name=row.person_name)
    )


@post("/organisation/consents/{consent_id:int}/end", may="answer_consent")
async def end(page: Page, consent_id: FromPath[int]) -> Response[str]:
    """End what was allowed, at once."""
    row = await _one(page, consent_id)
    async with page.services.db.transaction() as tx:
        if await consents.end(tx, row.organisation_id, row.id, page.services.clock.now_ms()):
            await _record(page, tx, "consent.ended", row)
    return _changed(page, row, page._("%(name)s sees nothing any more.", name=row.person_name))


async def _one(page: Page, consent_id: int) -> Row:
    row = await consents.by_id(page.services.db, page.scope.organisation_id, consent_id)
    if row is None:
        raise NotFoundException
    return row


async def _answer(page: Page, row: Row, until_ms: int | None, action: str, toast: str) -> Response[str]:
    async with page.services.db.transaction() as tx:
        is_first = await consents.answer(
            tx,
            row.organisation_id,
            row.id,
            person_id=page.scope.person_id,
            person_name=page.scope.person_name,
            until_ms=until_ms,
            now_ms=page.services.clock.now_ms(),
        )
        if is_first:
            await _record(page, tx, action, row)
    return _changed(page, row, toast if is_first else page._("That was answered or withdrawn already."))


def _changed(page: Page, row: Row, toast: str) -> Response[str]:
    access_of(page.request).changed(row.person_id)
    access_of(page.request).changed(page.scope.person_id)
    return page.go("/organisation/consents", toast=toast)


async def _record(page: Page, tx: Transaction, action: str, row: Row) -> None:
    about = About(kind="person", id=row.person_id, name=row.person_name, person_id=row.person_id)
    await page.services.audit.record(
        tx, page.actor, action, about, organisation_id=row.organisation_id, hours=row.hours
    )


ROUTES = [index, allow, refuse, end]
