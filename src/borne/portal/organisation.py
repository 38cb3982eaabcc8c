"""The organisation's own page: its name, what it asks of its people, and the way to everything else about it."""

from __future__ import annotations

import msgspec
from litestar import Response, get, post
from litestar.exceptions import NotFoundException

from borne.core import plans, policy
from borne.engine.audit import About
from borne.portal.access import May, access_of
from borne.portal.forms import Form, text_of
from borne.portal.frame import Page
from borne.portal.language import N_
from borne.store import organisations as store
from borne.store.db import Row

NAME_BOUND = 100


class Way(msgspec.Struct, frozen=True):
    """A link of the page. It shows where its page exists and to whom `may` names."""

    path: str
    label: str
    says: str
    icon: str
    may: May


WAYS = (
    Way("/plan", N_("Plan"), N_("What it includes, what it costs, and changing it."), "layers", "see_plan"),
    Way("/users", N_("Users"), N_("Who belongs to the organisation, their roles, invitations."), "circle-user", "see_people"),
    Way("/roles", N_("Roles"), N_("Who may do what: the whole table."), "table", "member"),
    Way("/access-groups", N_("Access groups"), N_("Which users may charge at which chargers."), "key-round", "manage_access"),
    Way("/tags", N_("RFID badges"), N_("Whose badge it is, until when, and those that are blocked."), "nfc", "manage_tags"),
    Way("/locations", N_("Locations"), N_("Addresses, clocks and prices for energy."), "map-pin", "see_locations"),
    Way(
        "/price-lists", N_("Price lists"), N_("Day-ahead prices that the energy price of a location follows."), "zap",
        "change_prices",
    ),
    Way(
        "/organisation/sign-in", N_("Sign-in"), N_("Let people sign in with the account of your company."), "log-in",
        "change_organisation",
    ),
    Way(
        "/organisation/consents", N_("Support access"),
        N_("Who of the installation asked to look in, and until when they may."), "life-buoy", "answer_consent",
    ),
    Way("/reports", N_("Monthly reports"), N_("A month by mail, as a file, for you."), "file-text", "manage_reports"),
    Way("/audit", N_("Audit log"), N_("Who did what to what, and from where."), "history", "see_audit"),
)  # fmt: skip


@get("/organisation", may="see_locations")
async def organisation(page: Page) -> Response[str]:
    """The settings for those who may change them; for all staff the ways they may go."""
    return await _show(page, await _row(page))


async def _row(page: Page) -> Row:
    row = await store.by_id(page.services.db, page.scope.organisation_id)
    if row is None:
        raise NotFoundException
    return row


async def _show(
    page: Page, row: Row, status_code: int = 200, name: str | None = None, error: str = ""
) -> Response[str]:
    known = plans.PLANS.get(row.plan)
    return page.show(
        "organisation/index.html",
        status_code,
        row=row,
        name=row.name if name is None else name,
        error=error,
        plan=known.name if known else row.plan,
        ways=[way for way in WAYS if way.path in page.frame.paths and page.person.may(way.may)],
        may_change=policy.permits(page.scope, "change_organisation"),
    )


@post("/organisation/settings", may="change_organisation", status_code=200)
async def save(page: Page, data: Form) -> Response[str]:
    """Its name, and whether a password alone is enough."""
    name, requires = text_of(data, "name", NAME_BOUND + 1), text_of(data, "requires_second_factor") == "1"
    if not name or len(name) > NAME_BOUND:
        said = page._("%(bound)s characters at most.", bound=NAME_BOUND) if name else page._("Please fill this in.")
        return await _show(page, await _row(page), 422, name, said)
    organisation_id = page.scope.organisation_id
    async with page.services.db.transaction() as tx:
        row = await store.hold(tx, organisation_id)
        if row is None:
            raise NotFoundException
        before = {"name": row.name, "requires_second_factor": bool(row.requires_second_factor)}
        after = {"name": name, "requires_second_factor": requires}
        if before != after:
            await store.describe(tx, organisation_id, name=name, requires_second_factor=requires)
            about = About(kind="organisation", id=organisation_id, name=name)
            was = {word: value for word, value in before.items() if after[word] != value}
            await page.audit(tx, "organisation.changed", about, before=was, after={word: after[word] for word in was})
    access_of(page.request).changed(page.person.person_id)
    return page.go("/organisation", toast=page._("Saved."))


ROUTES = [organisation, save]
