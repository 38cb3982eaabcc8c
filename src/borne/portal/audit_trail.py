"""Audit rows about logins and accounts: they belong to a person, and are shown to each organisation the person is a member of."""

from __future__ import annotations

from borne.core.actor import Actor
from borne.engine.audit import About
from borne.portal.frame import Page
from borne.store import logins, people
from borne.store.db import Transaction

FAILURES_RECORDED = 5  # of one account in a window of its limit: a flood of guesses makes no flood of rows


async def record_of_person(
    page: Page, tx: Transaction, action: str, person_id: int, *, by_themself: bool = True, **details: object
) -> None:
    """Write a row for each organisation of the person. `by_themself` False: nobody knows who it was."""
    person = await people.by_id(tx, person_id)
    if person is None:
        return
    services = page.services
    actor = Actor(person_id, person.name, page.address) if by_themself else Actor(None, "", page.address)
    about = About(kind="person", id=person_id, name=person.email, person_id=person_id)
    rows = await logins.memberships_of(tx, person_id, services.clock.now_ms())
    for organisation_id in [row.organisation_id for row in rows] or [None]:
        await services.audit.record(tx, actor, action, about, organisation_id=organisation_id, **details)


async def record_in_organisation(
    page: Page, tx: Transaction, action: str, person_id: int, organisation_id: int, **details: object
) -> None:
    """Write a row for one organisation: what somebody did there concerns no other one."""
    person = await people.by_id(tx, person_id)
    if person is not None:
        actor = Actor(person_id, person.name, page.address)
        about = About(kind="person", id=person_id, name=person.email, person_id=person_id)
        await page.services.audit.record(tx, actor, action, about, organisation_id=organisation_id, **details)


async def record_failed_login(page: Page, person_id: int) -> None:
    """A wrong password for an account that exists. After the answer: it must not take longer than for one that does not."""
    async with page.services.db.transaction() as tx:
        await record_of_person(page, tx, "login.failed", person_id, by_themself=False)
