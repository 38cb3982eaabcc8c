"""The API to test against, beside a portal: `client(token)` is a program."""

from __future__ import annotations

import base64
from collections.abc import Sequence

import httpx
from litestar import Litestar

from borne.api.app import create_api
from borne.api.services import ApiServices
from borne.core.api_scopes import API_SCOPES
from borne.engine.site_meter import SiteMeter
from borne.engine.tokens import hash_of, new_app_password, new_token
from borne.store import tokens
from borne.store.tokens import Kind
from tests.support.portal import Portal

URL = "http://portal.test/api/v1"


def api_of(portal: Portal) -> Litestar:
    """The API over the same services."""
    services = portal.services
    return create_api(
        ApiServices(
            db=services.db,
            clock=services.clock,
            restarts=services.restarts,
            site_meter=SiteMeter(services.db, services.bus, services.clock, services.audit),
            trusted_proxies=services.settings.trusted_proxies,
        )
    )


def client(api: Litestar, authorization: str = "", address: str = "192.0.2.7") -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=api, raise_app_exceptions=False, client=(address, 50_000))  # type: ignore[arg-type]
    headers = {b"authorization": authorization.encode()} if authorization else {}
    return httpx.AsyncClient(transport=transport, base_url=URL, headers=headers)  # type: ignore[arg-type]


def basic(email: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{email}:{password}".encode()).decode()


async def make_token(
    portal: Portal,
    person_id: int,
    organisation_id: int,
    *,
    kind: Kind = "token",
    scopes: Sequence[str] = API_SCOPES,
    days: int | None = 90,
) -> str:
    """A token, or an app password, as the account page makes them."""
    secret = new_token() if kind == "token" else new_app_password()
    now_ms = portal.clock.at_ms
    async with portal.db.transaction() as tx:
        await tokens.add(
            tx,
            person_id=person_id,
            organisation_id=organisation_id,
            kind=kind,
            name="Program",
            token_hash=hash_of(kind, secret),
            scopes=scopes,
            now_ms=now_ms,
            expires_ms=None if days is None else now_ms + days * 86_400_000,
        )
    return secret
