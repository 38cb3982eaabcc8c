"""The portal as an ASGI application. Each page's module lists its handlers in `ROUTES`; this one puts them together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from litestar import Litestar, MediaType, Response, get, post
from litestar.di import Provide
from litestar.enums import ScopeType
from litestar.exceptions import HTTPException, NotFoundException
from litestar.middleware import DefineMiddleware
from litestar.params import FromPath
from litestar.types import ASGIApp, Receive, Scope, Send
from litestar.utils import normalize_path

from borne.engine.oidc import Providers
from borne.engine.outgoing import Outgoing
from borne.portal import (
    access_groups,
    account,
    account_passkeys,
    account_security,
    account_tokens,
    account_totp,
    add_charger,
    archived_chargers,
    attempts,
    audit,
    batches,
    charger,
    charger_changes,
    charger_device,
    charger_edit,
    charger_import,
    chargers,
    confirm,
    consents,
    dashboard,
    dashboard_savings,
    driver,
    errors,
    exports,
    help_super_admins,
    installation,
    invitations,
    live,
    locations,
    login,
    looking_in,
    new_organisation,
    notice_settings,
    notices,
    oidc,
    organisation,
    outbox,
    passkeys,
    personal_data,
    plan,
    price_lists,
    prices,
    reports,
    restart,
    restarts,
    roles,
    savings,
    second_factor,
    session,
    session_files,
    session_views,
    sessions,
    setup,
    sign_in,
    site_meter,
    statistics,
    statistics_files,
    tags,
    unsubscribe,
    user_access,
    user_import,
    users,
    vehicles,
)
from borne.portal.access import Access, guard
from borne.portal.assets import bundled
from borne.portal.charger_counts import Overviews
from borne.portal.frame import AnyRequest, Frame, Page, page_of
from borne.portal.rate_limit import Limits
from borne.portal.security import YEAR_S, FindVisitor, add_headers, csrf_config
from borne.portal.services import Services

# The modules of the portal, each with its handlers in ROUTES.
MODULES: tuple[Any, ...] = (
    login, second_factor, passkeys, setup, account, account_security, account_totp, account_passkeys, account_tokens, confirm,
    attempts, outbox, live, add_charger, chargers, charger, charger_edit, restart, restarts, batches,
    prices, price_lists, site_meter, vehicles, savings, reports,
    locations, organisation, charger_import, charger_changes,
    audit, charger_device, archived_chargers, personal_data,
    new_organisation, installation, looking_in, help_super_admins, consents,
    plan, oidc, sign_in,
    users, invitations, user_import, roles,
    notices, notice_settings, unsubscribe,
    access_groups, tags, user_access, driver, sessions, session, session_files, session_views, exports,
    dashboard, statistics, statistics_files,
)  # fmt: skip

BODY_BOUND_BYTES = 2_000_000
NOWHERE = "/nothing-has-this-address"


@get("/", may="person", by_provider=True)
async def home(page: Page) -> Response[str]:
    """The first page of the menu that this person has."""
    scope = page.person.scope
    if page.person.organisation is None:
        return page.go("/account")
    return page.go("/home" if scope and scope.role == "user" else "/chargers")


@get("/static/{tree:str}/{path:path}", may="anyone", before_setup=True)
async def static(request: AnyRequest, tree: FromPath[str], path: FromPath[str]) -> Response[bytes]:
    """A static file. Under the address of this very build it may be kept for a year, under another it is asked again."""
    assets = cast(Frame, request.app.state.frame).assets
    asset = assets.get(path.lstrip("/"))
    if asset is None:
        raise NotFoundException
    is_current = tree == assets.hash
    headers = {"cache-control": f"public, max-age={YEAR_S}, immutable" if is_current else "no-cache"}
    body = asset.body
    if asset.gzipped is not None:
        headers["vary"] = "Accept-Encoding"
        if "gzip" in request.headers.get("accept-encoding", ""):
            headers["content-encoding"] = "gzip"
            body = asset.gzipped
    return Response(body, media_type=asset.media_type, headers=headers)


@get("/favicon.ico", may="anyone", before_setup=True)
async def favicon(request: AnyRequest) -> Response[bytes]:
    asset = cast(Frame, request.app.state.frame).assets.get("mark.svg")
    assert asset is not None
    return Response(asset.body, media_type=asset.media_type, headers={"cache-control": "public, max-age=86400"})


@get("/healthz", may="anyone", before_setup=True)
async def healthz(page: Page) -> Response[str]:
    """200 "ok" while what people and chargers say can be stored, else 503 "not ready"."""
    is_ready = not page.services.storage_failing()
    return Response("ok" if is_ready else "not ready", media_type=MediaType.TEXT, status_code=200 if is_ready else 503)


@get("/{path:path}", may="anyone")
async def nothing(path: FromPath[str]) -> None:
    """Any other address: the page that says so, in the visitor's frame."""
    raise NotFoundException


@post("/{path:path}", may="anyone")
async def nothing_to_do(path: FromPath[str]) -> None:
    """A form of any other address: as one that is denied."""
    raise NotFoundException


def create_app(services: Services, more: Sequence[Any] = ()) -> Litestar:
    """Make the portal. `more`: modules with ROUTES beside its own."""
    handlers: list[Any] = [home, static, favicon, healthz, nothing, nothing_to_do]
    for module in (*MODULES, *more):
        handlers.extend(module.ROUTES)
    app = Litestar(
        route_handlers=handlers,
        guards=[guard],
        dependencies={"page": Provide(page_of)},
        middleware=[DefineMiddleware(FindVisitor, settings=services.settings)],
        csrf_config=csrf_config(services.settings),
        exception_handlers=errors.HANDLERS,
        before_send=[add_headers(services.settings)],
        openapi_config=None,
        logging_config=None,
        request_max_body_size=BODY_BOUND_BYTES,
    )
    app.asgi_handler = _with_a_page_for_nothing(app)
    furnish(app, services)
    return app


def furnish(app: Litestar, services: Services) -> None:
    """Let an app work with these services, which have the settings that it was made with. What it knew of others is gone."""
    frame = Frame(services, bundled())
    frame.paths = frozenset(route.path for route in app.routes)
    app.state.clear()
    app.state.update(
        {
            "frame": frame,
            "access": Access(services),
            "limits": Limits(services.clock.now_ms),
            "live": live.Live(services.bus),
            "overviews": Overviews(services.db, services.bus),
            "exports": exports.Exports(),
            "dashboard_savings": dashboard_savings.Kept(),
            "providers": Providers(Outgoing(services.settings.private_providers), services.clock),
        }
    )


def _with_a_page_for_nothing(app: Litestar) -> ASGIApp:
    """Lead addresses that no route knows to `nothing`, so that they look exactly like what is denied: the router itself would
    refuse those below a known one (/chargers/x) before anybody has looked who asks."""
    handle, routed = app.asgi_handler, app.asgi_router.handle_routing

    async def everywhere(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == ScopeType.HTTP and scope["method"] in {"GET", "HEAD"}:
            try:
                routed(path=normalize_path(scope["path"]), method=scope["method"])
            except NotFoundException:
                scope.setdefault("state", {})["asked_path"] = scope["path"]
                scope["path"] = NOWHERE
            except HTTPException:
                pass  # another method than that address has: the router says so
        await handle(scope, receive, send)

    return everywhere
