"""The installation's operator asks to look into an organisation, and leaves it. Audited there, and told to its super-admins."""

from __future__ import annotations

from litestar import Response, post
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

from borne.engine.audit import About
from borne.portal import language as languages
from borne.portal.access import access_of
from borne.portal.forms import Form, number_of, text_of
from borne.portal.frame import Page
from borne.portal.installation import HOURS, HOURS_USUAL, organisation_row, show_organisation
from borne.portal.language import N_
from borne.store import consents, installation
from borne.store.db import Row, Transaction

ASK_SUBJECT = N_("Support asks to look into %(organisation)s")
ASK_BODY = N_(
    "Hello,\n\n%(operator)s, who operates this installation, asks to look into %(organisation)s.\n\n"
    "Why: %(why)s\n\nNothing can be changed that way, and you can end it at any time. Allow or refuse it here:\n\n%(link)s\n"
)


@post("/installation/organisations/{organisation_id:int}/ask", may="installation")
async def ask(page: Page, organisation_id: FromPath[int], data: Form) -> Response[str]:
    """Ask an organisation to be let in for some hours."""
    row, why, hours = (
        await organisation_row(page, organisation_id),
        text_of(data, "why", 300),
        number_of(text_of(data, "hours")),
    )
    if not why or hours not in HOURS:
        entered = {"why": why, "hours": hours or HOURS_USUAL}
        return await show_organisation(page, organisation_id, 422, entered, page._("Say why, so that they can decide."))
    now_ms, person = page.services.clock.now_ms(), page.person
    async with page.services.db.transaction() as tx:
        for open_one in await consents.open_of(tx, organisation_id, now_ms):
            if open_one.person_id == person.person_id:
                return page.go(_theirs(organisation_id), toast=page._("You have asked already."))
        consent_id = await consents.ask(
            tx,
            organisation_id,
            person_id=person.person_id,
            person_name=person.name,
            why=why,
            hours=hours,
            now_ms=now_ms,
        )
        about = About(kind="organisation", id=organisation_id, name=row.name)
        await page.services.audit.record(
            tx, page.actor, "consent.asked", about, organisation_id=organisation_id, why=why, hours=hours
        )
        await tell_super_admins(
            page, tx, row, f"consent {consent_id}", ASK_SUBJECT, ASK_BODY, "/organisation/consents", why=why
        )
    return page.go(_theirs(organisation_id), toast=page._("%(organisation)s was asked.", organisation=row.name))


@post("/installation/organisations/{organisation_id:int}/leave", may="installation")
async def leave(page: Page, organisation_id: FromPath[int]) -> Response[str]:
    """Withdraw one's question, or end looking in before its time."""
    now_ms, ended = page.services.clock.now_ms(), False
    async with page.services.db.transaction() as tx:
        for row in await consents.open_of(tx, organisation_id, now_ms):
            if row.person_id == page.person.person_id and await consents.end(tx, organisation_id, row.id, now_ms):
                ended = True
                await _record(page, tx, "consent.left", row)
    if not ended:
        raise NotFoundException
    access_of(page.request).changed(page.person.person_id)
    return page.go(_theirs(organisation_id), toast=page._("You no longer look into it."))


def _theirs(organisation_id: int) -> str:
    return f"/installation/organisations/{organisation_id}"


async def _record(page: Page, tx: Transaction, action: str, row: Row) -> None:
    about = About(kind="person", id=row.person_id, name=row.person_name, person_id=row.person_id)
    await page.services.audit.record(
        tx, page.actor, action, about, organisation_id=row.organisation_id, hours=row.hours
    )


async def tell_super_admins(
    page: Page, tx: Transaction, organisation: Row, key: str, subject: str, body: str, path: str, **values: str
) -> None:
    """Mail every super-admin of an organisation, each in their language, what the operator of the installation does."""
    for person in await installation.super_admins(tx, organisation.id):
        words = languages.translations(languages.known(person.language) or page.language)
        filled = {
            **values,
            "organisation": organisation.name,
            "operator": page.person.name,
            "link": f"{page.services.settings.public_url}{path}",
        }
        await page.services.mail.enqueue(
            tx,
            recipient=person.email,
            subject=words.gettext(subject) % filled,
            body=words.gettext(body) % filled,
            key=f"{key} {person.id}",
        )


ROUTES = [ask, leave]
