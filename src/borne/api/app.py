"""The API as an ASGI application, under /api/v1 beside the portal. It knows no cookies, and answers no other origin (no CORS)."""

from __future__ import annotations

from litestar import Litestar, Router
from litestar.datastructures import State
from litestar.datastructures.headers import MutableScopeHeaders
from litestar.di import Provide
from litestar.enums import ScopeType
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, Reference, SecurityScheme
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from borne import __version__
from borne.api.problems import HANDLERS
from borne.api.services import ApiServices
from borne.api.sign_in import FailureLimits, caller_in, guard
from borne.api.v1 import chargers, me, restarts, site_meter

PREFIX = "/api/v1"
BODY_BOUND_BYTES = 100_000
DESCRIPTION = (
    "Your chargers, restarting them, and what the meters of your locations say, for programs.\n\n"
    "Sign in with an API token (`Authorization: Bearer borne_…`) or with your e-mail address and an app password (Basic). Both"
    " are made under “Your account”, for one organisation, with the scopes that you choose; they never may more than you, and"
    " end with your membership. Instants are RFC 3339, in UTC. Errors are `application/problem+json` (RFC 9457); what you do not"
    " reach is 404."
)


def create_api(services: ApiServices) -> Litestar:
    """Make the API."""
    handlers = [*me.ROUTES, *chargers.ROUTES, *restarts.ROUTES, *site_meter.ROUTES]
    caller = Provide(caller_in, sync_to_thread=False)
    router = Router("/", route_handlers=handlers, guards=[guard], dependencies={"caller": caller})
    return Litestar(
        path=PREFIX,
        route_handlers=[router],
        exception_handlers=HANDLERS,
        before_send=[_add_headers],
        state=State({"services": services, "limits": FailureLimits(services.clock)}),
        openapi_config=_description(),
        logging_config=None,
        request_max_body_size=BODY_BOUND_BYTES,
    )


def _description() -> OpenAPIConfig:
    schemes: dict[str, SecurityScheme | Reference] = {
        "token": SecurityScheme(type="http", scheme="bearer", description="An API token"),
        "app_password": SecurityScheme(type="http", scheme="basic", description="E-mail address and app password"),
    }
    return OpenAPIConfig(
        title="Borne",
        version=__version__,
        description=DESCRIPTION,
        path="/openapi.json",  # the document stands at the root of this path
        render_plugins=[JsonRenderPlugin(path="/")],
        components=Components(security_schemes=schemes),
        security=[{"token": []}, {"app_password": []}],
        use_handler_docstrings=True,
    )


async def _add_headers(message: Message, _scope: Scope) -> None:
    if message["type"] == "http.response.start":
        headers = MutableScopeHeaders.from_message(message)
        headers["cache-control"] = "no-store"
        headers["x-content-type-options"] = "nosniff"


def beside(portal: ASGIApp, api: ASGIApp) -> ASGIApp:
    """One application: what is asked under /api/v1 goes to the API, all else to the portal."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        is_api = scope["type"] == ScopeType.HTTP and (scope["path"] == PREFIX or scope["path"].startswith(f"{PREFIX}/"))
        await (api if is_api else portal)(scope, receive, send)

    return app
