"""Who a program speaks for: a Bearer token, or Basic with an e-mail address and an app password.

Never the cookie of a browser, never a person's own password. Every route names the scope that it needs, `scope="read"`; one
that names none is closed.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import Any, TypeAlias, cast

from litestar.connection import ASGIConnection
from litestar.di import NamedDependency
from litestar.handlers import BaseRouteHandler

from borne.api.problems import AnyRequest, ProblemError
from borne.api.services import ApiServices
from borne.core.api_scopes import API_SCOPES
from borne.engine.addresses import address_of
from borne.engine.clock import NowMs
from borne.engine.rate_limit import MINUTE_MS, Counter, network_of
from borne.engine.tokens import Caller, SecondFactorMissingError, caller_of
from borne.store.tokens import Kind

AnyConnection = ASGIConnection[Any, Any, Any, Any]
LONGEST = 500  # characters of a token, or of an e-mail address and a password
CHALLENGE = 'Bearer realm="Borne", Basic realm="Borne", charset="UTF-8"'


class FailureLimits:
    """Failures of signing in: of an address, and of an address with one token or e-mail.

    What an address repeats with the same token or e-mail counts as one for the address: one program whose token is over does
    not shut out its neighbours.
    """

    def __init__(self, clock: NowMs) -> None:
        self.address = Counter(60, 5 * MINUTE_MS, clock.now_ms)
        self.pair = Counter(10, 10 * MINUTE_MS, clock.now_ms)

    def wait_s(self, network: str, who: str) -> int:
        return max(self.address.wait_s(network), self.pair.wait_s(f"{network} {who}"))

    def failed(self, network: str, who: str) -> None:
        if self.pair.add(f"{network} {who}") == 1:
            self.address.add(network)


def services_of(connection: AnyConnection) -> ApiServices:
    return cast(ApiServices, connection.app.state.services)


def address_in(connection: AnyConnection) -> str:
    """The address of the program."""
    peer = connection.client.host if connection.client else ""
    return address_of(peer, connection.headers.get("x-forwarded-for", ""), services_of(connection).trusted_proxies)


async def guard(connection: AnyConnection, handler: BaseRouteHandler) -> None:
    """Find the caller, and refuse whoever may not. Raises ProblemError."""
    scope = handler.opt.get("scope")
    if scope not in API_SCOPES:
        raise ProblemError(404, "")
    caller = await _caller(connection)
    if scope not in caller.scopes:
        challenge = f'Bearer realm="Borne", error="insufficient_scope", scope="{scope}"'
        detail = f"This needs the scope “{scope}”; yours: {', '.join(caller.scopes)}."
        raise ProblemError(403, detail, headers={"www-authenticate": challenge})
    connection.scope.setdefault("state", {})["caller"] = caller


async def _caller(connection: AnyConnection) -> Caller:
    services, limits = services_of(connection), cast(FailureLimits, connection.app.state.limits)
    kind, email, secret = credentials_of(connection.headers.get("authorization", ""))
    address = address_in(connection)
    network, who = network_of(address), email or hashlib.sha256(secret.encode()).hexdigest()[:16]
    if wait_s := limits.wait_s(network, who):
        raise ProblemError(429, "Too many failures from here.", headers={"retry-after": str(wait_s)})
    try:
        caller = await caller_of(services.db, services.clock, kind, secret, address, email)
    except SecondFactorMissingError:
        raise ProblemError(
            403, "The organisation asks for a second factor: set one up in your account first."
        ) from None
    if caller is None:
        limits.failed(network, who)
        raise _unknown()
    return caller


def credentials_of(header: str) -> tuple[Kind, str, str]:
    """Kind, e-mail and secret of an Authorization header. Raises ProblemError for none."""
    scheme, _, rest = header.strip().partition(" ")
    rest = rest.strip()
    if not rest or len(rest) > LONGEST * 2:
        raise _unknown(is_missing=True)
    if scheme.lower() == "bearer":
        return "token", "", rest
    if scheme.lower() != "basic":
        raise _unknown(is_missing=True)
    try:
        email, colon, password = base64.b64decode(rest, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise _unknown() from None
    email = email.strip().casefold()
    if not (colon and email and password) or "\0" in email or len(email) > LONGEST:
        raise _unknown()
    return "password", email, password


def _unknown(*, is_missing: bool = False) -> ProblemError:
    challenge = CHALLENGE if is_missing else CHALLENGE.replace("Basic", 'error="invalid_token", Basic', 1)
    detail = (
        "" if is_missing else "This token or app password is unknown, over or revoked. It is never your own password."
    )
    return ProblemError(401, detail, headers={"www-authenticate": challenge})


def caller_in(request: AnyRequest) -> Caller:
    """The caller that the guard found."""
    return cast(Caller, request.scope["state"]["caller"])


SignedIn: TypeAlias = NamedDependency[Caller]  # how handlers ask for it
