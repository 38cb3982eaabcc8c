"""How people sign in to an organisation by its own accounts: its identity providers, set up and tried by a super-admin."""

from __future__ import annotations

import secrets
from typing import Any

import msgspec
from litestar import Response, get, post
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

from borne.engine.audit import About
from borne.engine.oidc import Fault, OidcError
from borne.engine.outgoing import FetchError, Why
from borne.portal.confirm import must_be_fresh
from borne.portal.errors import PageError
from borne.portal.forms import Form, email_of, text_of
from borne.portal.frame import Page, PageView
from borne.portal.language import N_
from borne.portal.login import limits_of
from borne.portal.oidc import login_address, providers_of
from borne.store import identity_providers as store
from borne.store.db import Row, Transaction

PATH = "/organisation/sign-in"
NAME_BOUND, ISSUER_BOUND, CLIENT_BOUND = 60, 300, 300
MOST = 10
SLUG_BYTES = 16

# What a test finds, for whoever sets the provider up.
FETCH_WORDS: dict[Why, str] = {
    "address": N_(
        "This is no address that can be asked: it begins with https:// and has neither a name and password nor a #."
    ),
    "plain": N_("The address has to begin with https://."),
    "private": N_(
        "The address leads into a private network. Borne asks such addresses only where the installation’s settings allow it"
        " (portal.private_providers)."
    ),
    "name": N_("The name of the host is not known."),
    "unreachable": N_("Nobody answers there."),
    "tls": N_("The host’s certificate is not valid."),
    "slow": N_("The answer took too long."),
    "redirect": N_("It sends on to another address. Type the address where it ends."),
    "status": N_("It answered %(detail)s instead of its description. Is the issuer’s address right?"),
    "large": N_("The answer is too large."),
    "json": N_("The answer is no JSON. Is the issuer’s address right?"),
}
FAULT_WORDS: dict[Fault, str] = {
    "metadata": N_("Its description lacks something: %(detail)s."),
    "issuer": N_("It calls itself %(detail)s. Type the issuer exactly so."),
    "endpoint": N_("An address in its description cannot be asked: %(detail)s."),
    "keys": N_("It shows no key that Borne could check its signatures with."),
}


class Entered(msgspec.Struct, frozen=True, kw_only=True):
    """The form. The secret is never shown again: an empty one keeps the one that is there."""

    name: str = ""
    issuer: str = ""
    client_id: str = ""
    secret: str = ""
    covers_second_factor: bool = False


def _entered(data: Form) -> Entered:
    return Entered(
        name=text_of(data, "name", NAME_BOUND + 1),
        issuer=text_of(data, "issuer", ISSUER_BOUND + 1),
        client_id=text_of(data, "client_id", CLIENT_BOUND + 1),
        secret=text_of(data, "client_secret", CLIENT_BOUND + 1),
        covers_second_factor=text_of(data, "covers_second_factor") == "1",
    )


def _problems(page: PageView, form: Entered) -> dict[str, str]:
    found = {}
    for field, value, bound in (
        ("name", form.name, NAME_BOUND),
        ("issuer", form.issuer, ISSUER_BOUND),
        ("client_id", form.client_id, CLIENT_BOUND),
    ):
        if not value:
            found[field] = page._("Please fill this in.")
        elif len(value) > bound:
            found[field] = page._("%(bound)s characters at most.", bound=bound)
    if len(form.secret) > CLIENT_BOUND:
        found["client_secret"] = page._("%(bound)s characters at most.", bound=CLIENT_BOUND)
    if "issuer" not in found:
        try:
            parts = providers_of(page).outgoing.check(form.issuer)
            if parts.query:
                raise FetchError("address")
        except FetchError as error:
            found["issuer"] = page._(FETCH_WORDS[error.why])
    return found


async def _mine(page: PageView, provider_id: int) -> Row:
    row = await store.by_id(page.services.db, page.scope.organisation_id, provider_id)
    if row is None:
        raise NotFoundException
    return row


def _check_fresh(page: PageView, onward: str) -> None:
    """Who sets up a provider decides who gets in: not whoever finds an open browser. (A login through a provider cannot be
    confirmed by a password.)"""
    if page.person.provider_id is None:
        must_be_fresh(page, onward)


# ---- pages -------------------------------------------------------------------------------------------------------------


@get(PATH, may="change_organisation")
async def providers_page(page: Page) -> Response[str]:
    rows = await store.of_organisation(page.services.db, page.scope.organisation_id)
    return page.show("organisation/sign_in.html", rows=rows, may_add=len(rows) < MOST)


@get(PATH + "/add", may="change_organisation")
async def add_page(page: Page) -> Response[str]:
    _check_fresh(page, PATH + "/add")
    return page.show("organisation/sign_in_add.html", form=Entered(), problems={})


@post(PATH, may="change_organisation", status_code=200)
async def add(page: Page, data: Form) -> Response[str]:
    """Add a provider: nobody gets in by it before it was tried and enabled."""
    _check_fresh(page, PATH + "/add")
    form, services, organisation_id = _entered(data), page.services, page.scope.organisation_id
    if found := _problems(page, form):
        return page.show("organisation/sign_in_add.html", 422, form=form, problems=found)
    if len(await store.of_organisation(services.db, organisation_id)) >= MOST:
        raise PageError(409, page._("An organisation has %(n)s providers at most.", n=MOST))
    async with services.db.transaction() as tx:
        provider_id = await store.add(
            tx, organisation_id, slug=secrets.token_urlsafe(SLUG_BYTES), name=form.name, issuer=form.issuer,
            client_id=form.client_id, client_secret=services.box.close(form.secret) if form.secret else None,
            covers_second_factor=form.covers_second_factor, now_ms=services.clock.now_ms(),
        )  # fmt: skip
        about = About(kind="provider", id=provider_id, name=form.name)
        await page.audit(tx, "provider.added", about, issuer=form.issuer, client=form.client_id)
    return page.go(f"{PATH}/{provider_id}")


async def _show(page: PageView, row: Row, status_code: int = 200, **more: Any) -> Response[str]:
    form = Entered(
        name=row.name,
        issuer=row.issuer,
        client_id=row.client_id,
        covers_second_factor=bool(row.covers_second_factor),
    )
    context = {"form": form, "problems": {}, "found": "", "keys": 0, "forget_error": ""} | more
    address = login_address(page, row.slug)
    return page.show(
        "organisation/sign_in_edit.html",
        status_code,
        row=row,
        has_secret=row.client_secret is not None,
        address=address,
        redirect_uri=f"{address}/back",
        linked=await store.linked_count(page.services.db, row.organisation_id, row.id),
        **context,
    )


@get(PATH + "/{provider_id:int}", may="change_organisation")
async def provider(page: Page, provider_id: FromPath[int]) -> Response[str]:
    return await _show(page, await _mine(page, provider_id))


@post(PATH + "/{provider_id:int}", may="change_organisation", status_code=200)
async def save(page: Page, provider_id: FromPath[int], data: Form) -> Response[str]:
    """Change it. With another issuer or client, whom it knew is forgotten: its words mean other people now."""
    row, form, services = await _mine(page, provider_id), _entered(data), page.services
    _check_fresh(page, f"{PATH}/{provider_id}")
    if found := _problems(page, form):
        return await _show(page, row, 422, form=form, problems=found)
    secret = services.box.close(form.secret) if form.secret else row.client_secret
    is_other = (form.issuer, form.client_id) != (row.issuer, row.client_id)
    async with services.db.transaction() as tx:
        kept = await store.describe(
            tx, row.organisation_id, row.id, name=form.name, issuer=form.issuer, client_id=form.client_id,
            client_secret=secret, covers_second_factor=form.covers_second_factor,
        )  # fmt: skip
        if is_other:
            await store.end_logins(tx, row.organisation_id, row.id)
            await store.forget_all(tx, row.organisation_id, row.id)
        if kept:
            before, after = _changes(row, form)
            about = About(kind="provider", id=row.id, name=form.name)
            await page.audit(tx, "provider.changed", about, before=before, after=after)
    return page.go(f"{PATH}/{provider_id}", toast=page._("Saved."))


def _changes(row: Row, form: Entered) -> tuple[dict[str, Any], dict[str, Any]]:
    """What is different, without secrets: of a secret only that there is a new one."""
    was = {"name": row.name, "issuer": row.issuer, "client": row.client_id, "covers": bool(row.covers_second_factor)}
    now = {"name": form.name, "issuer": form.issuer, "client": form.client_id, "covers": form.covers_second_factor}
    before = {word: value for word, value in was.items() if now[word] != value}
    after: dict[str, Any] = {word: now[word] for word in before}
    return before, after | ({"new_secret": True} if form.secret else {})


@post(PATH + "/{provider_id:int}/test", may="change_organisation", status_code=200)
async def test(page: Page, provider_id: FromPath[int]) -> Response[str]:
    """Ask the provider what it says of itself, and say what is wrong with it."""
    row, limits = await _mine(page, provider_id), limits_of(page)
    key = str(row.organisation_id)
    if wait_s := limits.provider_test.wait_s(key):
        raise PageError(429, page._("That is a lot of tests. Wait a few minutes."), retry_after_s=wait_s)
    limits.provider_test.add(key)
    try:
        keys = await providers_of(page).probe(row.issuer)
    except FetchError as error:
        found = page._(FETCH_WORDS[error.why], detail=error.detail)
    except OidcError as error:
        found = page._(FAULT_WORDS.get(error.fault, FAULT_WORDS["metadata"]), detail=error.detail)
    else:
        return await _show(page, row, keys=keys)
    return await _show(page, row, found=found)


async def _set_disabled(page: PageView, provider_id: int, disabled: bool) -> Response[str]:
    row = await _mine(page, provider_id)
    _check_fresh(page, f"{PATH}/{provider_id}")
    async with page.services.db.transaction() as tx:
        await store.set_disabled(tx, row.organisation_id, row.id, disabled)
        if disabled:
            await store.end_logins(tx, row.organisation_id, row.id)
        await _record(page, tx, "provider.disabled" if disabled else "provider.enabled", row)
    said = N_("Nobody logs in with %(name)s any more.") if disabled else N_("People can log in with %(name)s now.")
    return page.go(f"{PATH}/{provider_id}", toast=page._(said, name=row.name))


async def _record(page: PageView, tx: Transaction, action: str, row: Row) -> None:
    await page.audit(tx, action, About(kind="provider", id=row.id, name=row.name))


@post(PATH + "/{provider_id:int}/enable", may="change_organisation", status_code=200)
async def enable(page: Page, provider_id: FromPath[int]) -> Response[str]:
    """Let people in by it."""
    return await _set_disabled(page, provider_id, False)


@post(PATH + "/{provider_id:int}/disable", may="change_organisation", status_code=200)
async def disable(page: Page, provider_id: FromPath[int]) -> Response[str]:
    """Nobody gets in by it, and whoever did is out."""
    return await _set_disabled(page, provider_id, True)


@post(PATH + "/{provider_id:int}/forget", may="change_organisation", status_code=200)
async def forget(page: Page, provider_id: FromPath[int], data: Form) -> Response[str]:
    """Forget whom it knows by an address: for an address that was given to somebody else there."""
    row, email = await _mine(page, provider_id), email_of(data)
    _check_fresh(page, f"{PATH}/{provider_id}")
    async with page.services.db.transaction() as tx:
        person = await store.forget(tx, row.organisation_id, row.id, email)
        if person is not None:
            about = About(kind="person", id=person.id, name=person.email, person_id=person.id)
            await page.audit(tx, "person.identity_forgotten", about, provider=row.name)
    if person is None:
        return await _show(page, row, 422, forget_error=page._("%(name)s knows nobody by this address.", name=row.name))
    return page.go(f"{PATH}/{provider_id}", toast=page._("%(person)s was forgotten.", person=person.name))


@post(PATH + "/{provider_id:int}/remove", may="change_organisation", status_code=200)
async def remove(page: Page, provider_id: FromPath[int]) -> Response[str]:
    """Delete it; whoever came in by it is out."""
    row = await _mine(page, provider_id)
    _check_fresh(page, f"{PATH}/{provider_id}")
    async with page.services.db.transaction() as tx:
        if await store.remove(tx, row.organisation_id, row.id):
            await _record(page, tx, "provider.removed", row)
    return page.go(PATH, toast=page._("%(name)s was removed.", name=row.name))


ROUTES = [providers_page, add_page, add, provider, save, test, enable, disable, forget, remove]
