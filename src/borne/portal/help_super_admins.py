"""The installation's operator helps super-admins who are locked out. Audited in their organisation, and told to all of them."""

from __future__ import annotations

from litestar import Response, post
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

from borne.engine.audit import About
from borne.portal.access import access_of
from borne.portal.errors import PageError
from borne.portal.frame import Page
from borne.portal.installation import organisation_row
from borne.portal.language import N_
from borne.portal.login import offer_reset
from borne.portal.looking_in import tell_super_admins
from borne.store import installation, logins, second_factor
from borne.store.db import Row, Transaction

FACTORS_SUBJECT = N_("A second factor was removed at %(organisation)s")
FACTORS_BODY = N_(
    "Hello,\n\n%(operator)s, who operates this installation, removed the second factors of %(name)s, super-admin of"
    " %(organisation)s. Until a new one is set up, the password alone logs in.\n\n"
    "If nobody of you asked for this, change the password and call them: %(link)s\n"
)


async def _super_admin(page: Page, organisation_id: int, person_id: int) -> Row:
    for row in await installation.super_admins(page.services.db, organisation_id):
        if row.id == person_id:
            return row
    raise NotFoundException


@post("/installation/organisations/{organisation_id:int}/people/{super_admin_id:int}/reset", may="installation")
async def send_reset(page: Page, organisation_id: FromPath[int], super_admin_id: FromPath[int]) -> Response[str]:
    """Mail a super-admin the link to choose a new password: to their own address, so that nobody else gets in."""
    person = await _super_admin(page, organisation_id, super_admin_id)
    async with page.services.db.transaction() as tx:
        await offer_reset(page, tx, person)
        await _record(page, tx, "person.reset_sent", organisation_id, person)
    toast = page._("A link to choose a new password is on its way to %(email)s.", email=person.email)
    return page.go(f"/installation/organisations/{organisation_id}", toast=toast)


@post("/installation/organisations/{organisation_id:int}/people/{super_admin_id:int}/factors", may="installation")
async def remove_factors(page: Page, organisation_id: FromPath[int], super_admin_id: FromPath[int]) -> Response[str]:
    """Take away the second factors of a super-admin who lost them, and end their logins."""
    person, row = (
        await _super_admin(page, organisation_id, super_admin_id),
        await organisation_row(page, organisation_id),
    )
    if not person.has_factor:
        raise PageError(409, page._("%(name)s has no second factor.", name=person.name))
    async with page.services.db.transaction() as tx:
        await second_factor.remove_all(tx, person.id)
        await logins.end_others(tx, person.id, b"")
        await _record(page, tx, "person.factors_removed", organisation_id, person)
        key = f"factors {person.id} {page.services.clock.now_ms()}"
        await tell_super_admins(page, tx, row, key, FACTORS_SUBJECT, FACTORS_BODY, "/account", name=person.name)
    access_of(page.request).changed(person.id)
    toast = page._(
        "%(name)s logs in with the password alone now, and can set up a new second factor.", name=person.name
    )
    return page.go(f"/installation/organisations/{organisation_id}", toast=toast)


async def _record(page: Page, tx: Transaction, action: str, organisation_id: int, person: Row) -> None:
    about = About(kind="person", id=person.id, name=person.name, person_id=person.id)
    await page.services.audit.record(tx, page.actor, action, about, organisation_id=organisation_id)


ROUTES = [send_reset, remove_factors]
