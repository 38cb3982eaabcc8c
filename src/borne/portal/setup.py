"""The first account of an empty installation, made in the browser with the one-time code that the log prints."""

from __future__ import annotations

import hmac
from typing import Any

from litestar import Response, get, post

from borne.core.actor import Actor
from borne.engine.audit import About
from borne.engine.passwords import SHORTEST, is_acceptable
from borne.engine.rate_limit import network_of
from borne.portal.access import access_of
from borne.portal.errors import PageError
from borne.portal.forms import Form, email_of, is_email, password_of, text_of
from borne.portal.frame import Page
from borne.portal.login import limits_of, password_words, start_login
from borne.store import organisations, people
from borne.store.db import Conflict


@get("/setup", may="anyone", before_setup=True)
async def setup_page(page: Page) -> Response[str]:
    if await access_of(page.request).is_installed():
        return page.go("/")
    return _show(page, {}, {})


@post("/setup", may="anyone", before_setup=True)
async def set_up(page: Page, data: Form) -> Response[str]:
    if await access_of(page.request).is_installed():
        return page.go("/login")
    limit, network = limits_of(page).setup, network_of(page.address)
    wait_s = limit.wait_s(network)
    if wait_s:
        raise PageError(429, page._("Too many attempts from here. Wait a few minutes."), retry_after_s=wait_s)
    values = {name: text_of(data, name, 100) for name in ("organisation", "name", "location")}
    values |= {"email": email_of(data)}
    password = password_of(data)
    errors = _errors(page, values, password)
    if not _is_code(page, text_of(data, "code", 100)):
        limit.add(network)
        errors["code"] = page._("This is not the code that the log shows.")
    if errors:
        return _show(page, values, errors, 422)
    person_id = await _make(page, values, await page.services.passwords.hash(password))
    if person_id is None:
        return page.go("/login", toast=page._("Somebody else was faster: this installation has its first account."))
    page.services.setup_code = None
    return page.go("/", toast=page._("Welcome to Borne."), cookies=[await start_login(page, person_id)])


def _is_code(page: Page, code: str) -> bool:
    expected = page.services.setup_code
    return expected is not None and hmac.compare_digest(_plain(code).encode(), _plain(expected).encode())


def _plain(code: str) -> str:
    """A code however it was typed: without its dashes and spaces, in small letters."""
    return code.replace("-", "").replace(" ", "").casefold()


def _errors(page: Page, values: dict[str, str], password: str) -> dict[str, str]:
    errors = {name: page._("Please fill this in.") for name in ("organisation", "name") if not values[name]}
    if not is_email(values["email"]):
        errors["email"] = page._("This does not look like an e-mail address.")
    if not is_acceptable(password):
        errors["password"] = password_words(page)
    return errors


async def _make(page: Page, values: dict[str, str], password_hash: str) -> int | None:
    """Organisation, location, super-admin; None when another setup won."""
    now_ms = page.services.clock.now_ms()
    plan = page.services.settings.default_plan
    try:
        async with page.services.db.transaction() as tx:
            await people.mark_installed(tx, now_ms)
            if await people.exist(tx):
                return None
            organisation_id = await organisations.create(tx, name=values["organisation"], plan=plan, now_ms=now_ms)
            location = values["location"] or page._("Main location")
            await organisations.create_location(tx, organisation_id, name=location, now_ms=now_ms)
            person_id = await people.add_person(
                tx,
                email=values["email"],
                name=values["name"],
                password_hash=password_hash,
                language=None,
                operates_installation=True,
                now_ms=now_ms,
            )
            await people.add_membership(tx, person_id=person_id, organisation_id=organisation_id, role="super-admin")
            actor = Actor(person_id, values["name"], page.address)
            about = About(kind="organisation", id=organisation_id, name=values["organisation"])
            await page.services.audit.record(
                tx, actor, "organisation.created", about, organisation_id=organisation_id, plan=plan
            )
            return person_id
    except Conflict:
        return None


def _show(page: Page, values: dict[str, str], errors: dict[str, Any], status_code: int = 200) -> Response[str]:
    blank = dict.fromkeys(("organisation", "name", "location", "email"), "")
    return page.show("setup.html", status_code, values=blank | values, errors=errors, shortest=SHORTEST)


ROUTES = [setup_page, set_up]
