"""API tokens and app passwords of an account: what its programs sign in with, for the organisation that is shown."""

from __future__ import annotations

import json
from typing import Any

from litestar import Response, get, post
from litestar.exceptions import NotFoundException

from borne.core.api_scopes import API_SCOPES, ApiScope, known_scopes
from borne.engine.audit import About
from borne.engine.tokens import hash_of, new_app_password, new_token
from borne.portal import account_mail
from borne.portal.confirm import must_be_fresh
from borne.portal.forms import Form, number_of, text_of, values_of
from borne.portal.frame import Page, PageView
from borne.portal.language import N_
from borne.store import tokens as store

PATH = "/account/tokens"
DAY_MS = 86_400_000
LIFETIMES_DAYS = (30, 90, 365, 0)  # 0: without end
USUAL_DAYS = 90
MOST = 50
NAME_BOUND = 60
SCOPES: dict[ApiScope, tuple[str, str]] = {
    "read": (N_("Read"), N_("See what you see: chargers and restarts.")),
    "restart": (N_("Restart chargers"), N_("Where you may restart them yourself.")),
    "meter": (N_("Give meter values"), N_("Those of a location’s own meter, where you may change its prices.")),
}


@get(PATH, may="person")
async def tokens_page(page: Page) -> Response[str]:
    must_be_fresh(page, PATH)
    return await _show(page)


async def _show(page: PageView, status_code: int = 200, **entered: Any) -> Response[str]:
    blank = {"name": "", "kind": "token", "days": USUAL_DAYS, "chosen": ("read",), "problem": ""}
    rows = await store.of_person(page.services.db, page.person.person_id)
    return page.show(
        "account/tokens.html",
        status_code,
        rows=rows,
        scopes_of=lambda row: known_scopes(json.loads(row.scopes)),
        scopes=SCOPES,
        lifetimes=LIFETIMES_DAYS,
        name_bound=NAME_BOUND,
        **(blank | entered),
    )


@post(PATH, may="member", status_code=200)
async def make(page: Page, data: Form) -> Response[str]:
    """Make one, and show it once."""
    must_be_fresh(page, PATH)
    person_id, now_ms = page.person.person_id, page.services.clock.now_ms()
    name, kind = text_of(data, "name", NAME_BOUND), text_of(data, "kind")
    days, chosen = number_of(text_of(data, "days"), 4), known_scopes(values_of(data, "scope", len(API_SCOPES)))
    entered = {"name": name, "kind": kind, "days": days, "chosen": chosen}
    if kind not in ("token", "password") or days not in LIFETIMES_DAYS:
        raise NotFoundException
    if not name:
        return await _show(page, 422, **entered, problem=page._("Please fill this in."))
    if await store.count(page.services.db, person_id) >= MOST:
        return await _show(page, 422, **entered, problem=page._("You have as many as there may be. Revoke some first."))
    secret = new_app_password() if kind == "password" else new_token()
    async with page.services.db.transaction() as tx:
        token_id = await store.add(
            tx,
            person_id=person_id,
            organisation_id=page.scope.organisation_id,
            kind="password" if kind == "password" else "token",
            name=name,
            token_hash=hash_of("password" if kind == "password" else "token", secret),
            scopes=chosen,
            now_ms=now_ms,
            expires_ms=now_ms + days * DAY_MS if days else None,
        )
        about = About(kind="token", id=token_id, name=name, person_id=person_id)
        await page.audit(tx, "token.made", about, scopes=list(chosen), days=days)
        what = N_("A token or an app password was made for a program.")
        await account_mail.write(tx, page, person_id, what)
    api_url = f"{page.services.settings.public_url}/api/v1"
    return page.show(
        "account/token.html",
        secret=secret,
        name=name,
        kind=kind,
        command=f'curl -H "Authorization: Bearer {secret}" {api_url}/me',
        description_url=f"{api_url}/openapi.json",
    )


@post("/account/tokens/revoke", may="person")
async def revoke(page: Page, data: Form) -> Response[str]:
    """End one. To end something nobody has to show again who they are."""
    token_id = number_of(text_of(data, "token", 20))
    async with page.services.db.transaction() as tx:
        row = None if token_id is None else await store.revoke(tx, page.person.person_id, token_id)
        if row is None:
            raise NotFoundException
        about = About(kind="token", id=token_id, name=row.name, person_id=page.person.person_id)
        actor, organisation_id = page.actor, row.organisation_id
        await page.services.audit.record(tx, actor, "token.revoked", about, organisation_id=organisation_id)
    return page.go(PATH, toast=page._("It no longer works."))


ROUTES = [tokens_page, make, revoke]
