"""The headers, cookies and addresses that keep strangers out, and the middleware that finds the visitor."""

from __future__ import annotations

from typing import Any

from litestar.config.csrf import CSRFConfig
from litestar.connection import ASGIConnection, Request
from litestar.datastructures import Cookie, MutableScopeHeaders
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from borne.engine import addresses
from borne.portal.access import access_of
from borne.portal.services import PortalSettings

CONTENT_SECURITY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "font-src 'self'",
        "manifest-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "content-security-policy": CONTENT_SECURITY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}
STRICT_TRANSPORT = "max-age=31536000"
NO_STORE = "no-store"
YEAR_S = 31_536_000


def cookie_name(name: str, settings: PortalSettings) -> str:
    """Over https the browser itself enforces, by the prefix, that nobody but this host set the cookie."""
    return f"__Host-{name}" if settings.is_https else name


def login_cookie_name(settings: PortalSettings) -> str:
    return cookie_name("borne_login", settings)


def login_cookie(settings: PortalSettings, token: str, max_age_s: int) -> Cookie:
    """The cookie that carries a login; an age of 0 takes it away."""
    return Cookie(
        key=login_cookie_name(settings),
        value=token,
        max_age=max_age_s,
        path="/",
        httponly=True,
        samesite="lax",
        secure=settings.is_https,
    )


def browser_cookie(settings: PortalSettings, name: str, value: str, max_age_s: int | None = None) -> Cookie:
    """A cookie that keeps a choice of this browser for a year (language, theme), or a message for the next page."""
    max_age_s = YEAR_S if max_age_s is None else max_age_s
    return Cookie(
        key=name, value=value, max_age=max_age_s, path="/", httponly=True, samesite="lax", secure=settings.is_https
    )


def csrf_config(settings: PortalSettings) -> CSRFConfig:
    """Every POST, PUT, PATCH and DELETE carries the token of the cookie, as `_csrf_token` of a form or as X-CSRFToken."""
    return CSRFConfig(
        secret=settings.csrf_secret,
        cookie_name=cookie_name("borne_csrf", settings),
        cookie_secure=settings.is_https,
        cookie_httponly=True,
        cookie_samesite="lax",
    )


def address_of(request: ASGIConnection[Any, Any, Any, Any], settings: PortalSettings) -> str:
    """The address of the browser: the peer, or what a trusted proxy says of it."""
    peer = request.client.host if request.client else ""
    return addresses.address_of(peer, request.headers.get("x-forwarded-for", ""), settings.trusted_proxies)


def local_path(asked: str | None, otherwise: str = "/") -> str:
    """A path of this portal to go on to. Anything that a browser could take for another host becomes `otherwise`."""
    if not asked or not asked.startswith("/") or asked.startswith(("//", "/\\")) or len(asked) > 2_000:
        return otherwise
    if any(character < " " or character in "\\\x7f" for character in asked):
        return otherwise
    return asked


class FindVisitor:
    """Middleware before all others: puts the `Visitor` (or None) into the request's state."""

    def __init__(self, app: ASGIApp, settings: PortalSettings) -> None:
        self._app = app
        self._cookie = login_cookie_name(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == ScopeType.HTTP and not scope["path"].startswith("/static/"):
            request: Request[Any, Any, Any] = Request(scope)
            token = request.cookies.get(self._cookie)
            scope.setdefault("state", {})["visitor"] = await access_of(request).visitor(token)
        await self._app(scope, receive, send)


def add_headers(settings: PortalSettings) -> Any:
    """The hook that puts the headers on every answer, errors too."""

    async def before_send(message: Message, scope: Scope) -> None:
        if message["type"] != "http.response.start":
            return
        headers = MutableScopeHeaders.from_message(message)
        for name, value in HEADERS.items():
            headers[name] = value
        if settings.is_https:
            headers["strict-transport-security"] = STRICT_TRANSPORT
        if "cache-control" not in headers:
            headers["cache-control"] = NO_STORE

    return before_send
