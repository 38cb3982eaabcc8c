"""For who operates the installation: its organisations, a charger by its serial, and how it is.

Counts and names alone: what is inside an organisation is seen with its consent (`portal.consents`).
"""

from __future__ import annotations

from typing import Any

from litestar import Response, get
from litestar.exceptions import NotFoundException
from litestar.params import FromPath, FromQuery

from borne.core.plans import PLANS
from borne.portal.forms import number_of
from borne.portal.frame import Page
from borne.store import consents, installation
from borne.store.db import Row

HOURS = (1, 4, 24, 72)  # for which one may ask to look in
HOURS_USUAL = 4
LATE_MS = 60_000  # a job that is due for so long tells that jobs do not run


@get("/installation/organisations", may="installation")
async def organisations(
    page: Page, q: FromQuery[str | None] = None, offset: FromQuery[str | None] = None
) -> Response[str]:
    """All organisations by name, or those whose name holds the words; and the chargers whose serial begins like them."""
    db, words = page.services.db, " ".join((q or "").split())[:60]
    skipped = number_of(offset or "0", 9) or 0
    rows, total = await installation.page(db, words, skipped)
    ids = [row.id for row in rows]
    return page.show(
        "installation/organisations.html",
        rows=rows,
        total=total,
        offset=skipped,
        page_rows=installation.PAGE_ROWS,
        words=words,
        counts=await installation.charger_counts(db, ids),
        people=await installation.people_counts(db, ids),
        found=await installation.chargers_found(db, words),
        found_most=installation.FOUND_MOST,
        plans=PLANS,
    )


@get("/installation/organisations/{organisation_id:int}", may="installation")
async def organisation(page: Page, organisation_id: FromPath[int]) -> Response[str]:
    return await show_organisation(page, organisation_id)


async def organisation_row(page: Page, organisation_id: int) -> Row:
    """Raises NotFoundException."""
    row = await installation.by_id(page.services.db, organisation_id)
    if row is None:
        raise NotFoundException
    return row


async def show_organisation(
    page: Page, organisation_id: int, status_code: int = 200, entered: dict[str, Any] | None = None, problem: str = ""
) -> Response[str]:
    """One organisation: what it is, its consent, and the people who can be helped. `problem` is one of the question's."""
    db = page.services.db
    row = await organisation_row(page, organisation_id)
    return page.show(
        "installation/organisation.html",
        status_code,
        row=row,
        plan=PLANS.get(row.plan),
        counts=(await installation.charger_counts(db, [organisation_id])).get(organisation_id),
        people=(await installation.people_counts(db, [organisation_id])).get(organisation_id, 0),
        super_admins=await installation.super_admins(db, organisation_id),
        asked=await consents.open_of(db, organisation_id, page.services.clock.now_ms()),
        is_member=organisation_id in {one.id for one in page.person.organisations if not one.guest},
        hours=HOURS,
        entered=entered or {"why": "", "hours": HOURS_USUAL},
        problem=problem,
    )


@get("/installation/health", may="installation")
async def health(page: Page) -> Response[str]:
    """Whether chargers, storage, jobs and mail do what they should."""
    services = page.services
    return page.show(
        "installation/health.html",
        health=services.health(),
        jobs=await installation.jobs_state(services.db, services.clock.now_ms() - LATE_MS),
        mails_failing=await installation.mails_failing(services.db),
        failing=services.storage_failing(),
    )


ROUTES = [organisations, organisation, health]
