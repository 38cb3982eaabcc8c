"""Who is asking: from the cookie to a `Visitor`, and the guard that every route stands behind.

Each handler declares who may use it, `@get("/chargers", may="member")`; the words are those of `May`. Denied looks like
not found. A login is looked up at most once a second for each browser; one that ended is refused within that second, and
at once on the node where it ended.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections import OrderedDict
from typing import Any, Literal, cast

import msgspec
from litestar.connection import ASGIConnection, Request
from litestar.exceptions import NotFoundException
from litestar.handlers import BaseRouteHandler
from msgspec.structs import replace

from borne.bus.port import Hint
from borne.core import policy
from borne.core.actor import Actor
from borne.core.plans import Feature
from borne.core.policy import ACTIONS, Action
from borne.core.scope import Scope
from borne.engine import addresses
from borne.engine.audit import About
from borne.engine.visitors import Organisation, organisations_of, scope_in
from borne.portal.services import Services
from borne.store import consents, logins, people, plans
from borne.store.db import Row

log = logging.getLogger(__name__)

May = Literal[
    "anyone",  # also without a login
    "person",  # logged in, even without an organisation
    "member",  # logged in to an organisation, any role
    "installation",  # operates this installation
    Action,  # what core.policy says of it
]

OPEN: tuple[May, ...] = ("anyone", "person", "member", "installation")
MAY: tuple[May, ...] = (*OPEN, *ACTIONS)

CACHE_S = 1.0
CACHE_BOUND = 10_000
SEEN_EVERY_MS = 60_000
LONGEST_LOGIN_DAYS = 90  # whatever the visits
DAY_MS = 86_400_000


class LookingIn(msgspec.Struct, frozen=True):
    """The operator of the installation asks to look into the organisation (`until_ms` None), or may until then."""

    name: str
    until_ms: int | None


class Visitor(msgspec.Struct, frozen=True, kw_only=True):
    """A logged-in person. `scope` is None for somebody who belongs to no organisation, or to one that shows nothing before
    this login has passed a second factor (`needs_second_factor`)."""

    token_hash: bytes
    since_ms: int  # when this login began
    second_factor: bool  # it passed one
    has_second_factor: bool  # the person has one here (an identity provider may have asked for another)
    person_id: int
    name: str
    email: str
    language: str | None
    operates_installation: bool
    organisations: tuple[Organisation, ...]
    organisation: Organisation | None
    scope: Scope | None
    looked_into: tuple[LookingIn, ...] = ()  # for those who may answer
    provider_id: int | None = (
        None  # it came through this identity provider of the organisation, and reaches nothing else
    )

    @property
    def needs_second_factor(self) -> bool:
        """The organisation requires a second factor, and this login has passed none."""
        return self.organisation is not None and self.organisation.requires_second_factor and not self.second_factor

    def may(self, level: May) -> bool:
        if level in {"anyone", "person"}:
            return True
        if level == "installation":
            return self.operates_installation
        if self.scope is None:
            return False
        return level == "member" or policy.permits(self.scope, cast(Action, level))


class LoginNeededError(Exception):
    """Nobody is logged in where somebody has to be."""


class SecondFactorNeededError(Exception):
    """The organisation shows nothing to a login that has passed no second factor."""


class OwnLoginNeededError(Exception):
    """A login through an organisation's identity provider is not enough for what is the person's own: their account, and
    other organisations. Whoever runs the provider must not get there."""


class ConfirmationNeededError(Exception):
    """Only somebody who has just shown who they are may do this. `onward`: the page to come back to then."""

    def __init__(self, onward: str) -> None:
        super().__init__(onward)
        self.onward = onward


class PlanNeededError(Exception):
    """The organisation's plan lacks a feature that the page is for. `ask`: the super-admin to ask for it, "" for none."""

    def __init__(self, feature: Feature, ask: str = "") -> None:
        super().__init__(feature)
        self.feature = feature
        self.ask = ask


class SetupNeededError(Exception):
    """The database has no people yet: every page leads to the setup."""


def token_hash(token: str) -> bytes:
    """What the database knows a token by. The token itself is 256 random bits, so that no slow hash is needed."""
    return hashlib.sha256(token.encode()).digest()


class Access:
    """Finds visitors, with a cache of a second; one for each app."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._cache: OrderedDict[bytes, tuple[float, Visitor | None]] = OrderedDict()
        self._installed = False
        services.bus.listen("login", self._changed)

    def _changed(self, hint: Hint) -> None:
        self.forget_person(hint.id)

    def forget_person(self, person_id: int) -> None:
        """Look again at the next request: a login of this person began, ended or changed."""
        stale = [key for key, (_, visitor) in self._cache.items() if visitor and visitor.person_id == person_id]
        for key in stale:
            del self._cache[key]

    def changed(self, person_id: int) -> None:
        """Tell every node that the logins or rights of a person changed."""
        self.forget_person(person_id)
        self._services.bus.publish(Hint("login", person_id))

    async def is_installed(self) -> bool:
        """Whether anybody has an account. Once true, never asked again."""
        if not self._installed:
            self._installed = await people.exist(self._services.db)
        return self._installed

    async def visitor(self, token: str | None) -> Visitor | None:
        """Whose token this is, None for nobody's."""
        if not token:
            return None
        key = token_hash(token)
        now_s = time.monotonic()
        cached = self._cache.get(key)
        if cached and cached[0] > now_s:
            return cached[1]
        visitor = await self._load(key)
        self._cache[key] = (now_s + CACHE_S, visitor)
        self._cache.move_to_end(key)
        while len(self._cache) > CACHE_BOUND:
            self._cache.popitem(last=False)
        return visitor

    async def _load(self, key: bytes) -> Visitor | None:
        db, now_ms = self._services.db, self._services.clock.now_ms()
        login = await logins.by_token(db, key, now_ms)
        if login is None:
            return None
        operates = bool(login.operates_installation) and login.provider_id is None
        organisations = await organisations_of(db, login.person_id, operates, now_ms)
        if login.provider_id is not None:
            if login.provider_organisation_id is None:
                return None
            organisations = tuple(one for one in organisations if one.id == login.provider_organisation_id)
        organisation = next((one for one in organisations if one.id == login.organisation_id), None)
        organisation = organisation or next((one for one in organisations if not one.guest), None)
        if now_ms - login.seen_ms >= SEEN_EVERY_MS or login.seen_ms == login.created_ms:
            await self._prolong(key, login, organisation, now_ms)
        visitor = Visitor(
            token_hash=key,
            since_ms=login.created_ms,
            second_factor=bool(login.second_factor),
            has_second_factor=bool(login.has_second_factor),
            person_id=login.person_id,
            name=login.name,
            email=login.email,
            language=login.language,
            operates_installation=operates,
            organisations=organisations,
            organisation=organisation,
            scope=None,
            provider_id=login.provider_id,
        )
        if organisation is None or visitor.needs_second_factor:
            return visitor  # without a scope nothing of an organisation can be asked for
        scope = await scope_in(db, login.person_id, login.name, organisation)
        return replace(visitor, scope=scope, looked_into=await self._looked_into(scope, now_ms))

    async def _looked_into(self, scope: Scope, now_ms: int) -> tuple[LookingIn, ...]:
        """Who asks to look in, or may now: what the banner tells those who may answer."""
        if scope.guest or not policy.may(scope, "answer_consent"):
            return ()
        rows = await consents.open_of(self._services.db, scope.organisation_id, now_ms)
        return tuple(LookingIn(row.person_name, row.until_ms) for row in rows)

    async def owner_name(self, scope: Scope) -> str:
        """The super-admin to ask for what only one may decide."""
        return await plans.owner_name(self._services.db, scope)

    async def _prolong(self, key: bytes, login: Row, organisation: Organisation | None, now_ms: int) -> None:
        """Slide the expiry, and note the look at the organisation. A database that cannot write now must not keep people from
        looking."""
        idle_ms = self._services.settings.login_days * DAY_MS
        expires_ms = min(now_ms + idle_ms, login.created_ms + LONGEST_LOGIN_DAYS * DAY_MS)
        try:
            async with self._services.db.transaction() as tx:
                await logins.seen(tx, key, now_ms, expires_ms)
                if organisation is not None and not organisation.guest:
                    await people.saw(tx, organisation.id, login.person_id, now_ms)
        except Exception:
            log.exception("a login could not be prolonged")


def access_of(connection: ASGIConnection[Any, Any, Any, Any]) -> Access:
    return cast(Access, connection.app.state.access)


def visitor_of(connection: ASGIConnection[Any, Any, Any, Any]) -> Visitor | None:
    """Whom the middleware found, None before it ran (an address that no route knows)."""
    return cast("Visitor | None", connection.scope.get("state", {}).get("visitor"))


def scope_of(request: Request[Any, Any, Any]) -> Scope:
    """The scope of a request behind a guard of "member" or stricter."""
    visitor = visitor_of(request)
    if visitor is None or visitor.scope is None:
        raise NotFoundException
    return visitor.scope


async def guard(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Refuse whoever the route's `may` does not name. A route that names nobody is closed to all.

    Raises PlanNeededError for who may, once the organisation's plan includes it. A handler for a `person` that a login through
    an identity provider may use too says `by_provider=True`.
    """
    may = handler.opt.get("may")
    if may not in MAY:
        raise NotFoundException
    if not handler.opt.get("before_setup") and not await access_of(connection).is_installed():
        raise SetupNeededError
    if may == "anyone":
        return
    visitor = visitor_of(connection)
    if visitor is None:
        raise LoginNeededError
    is_own = may == "person" or connection.scope["path"].startswith("/account/")
    if visitor.provider_id is not None and is_own and not handler.opt.get("by_provider"):
        raise OwnLoginNeededError
    if visitor.needs_second_factor and may not in {"person", "installation"}:
        raise SecondFactorNeededError
    if not visitor.may(may) or (visitor.scope and visitor.scope.guest and not _only_looks(connection, may)):
        raise NotFoundException
    if may in ACTIONS and visitor.scope and (feature := policy.missing_feature(visitor.scope, may)):
        raise PlanNeededError(feature, await access_of(connection).owner_name(visitor.scope))
    if visitor.scope and visitor.scope.guest and may not in OPEN:
        await _note_visit(connection, visitor.scope)


async def _note_visit(connection: ASGIConnection[Any, Any, Any, Any], scope: Scope) -> None:
    """What a guest looks at is in the audit log of the organisation: whole pages, not the fragments that keep them fresh."""
    if connection.headers.get("hx-request") == "true":
        return
    services = cast(Services, connection.app.state.frame.services)
    peer = connection.client.host if connection.client else ""
    address = addresses.address_of(
        peer, connection.headers.get("x-forwarded-for", ""), services.settings.trusted_proxies
    )
    actor, path = Actor(scope.person_id, scope.person_name, address), connection.scope["path"][:200]
    about = About(kind="page", name=path)
    async with services.db.transaction() as tx:
        await services.audit.record(tx, actor, "consent.looked", about, organisation_id=scope.organisation_id)


def _only_looks(connection: ASGIConnection[Any, Any, Any, Any], may: May) -> bool:
    """A guest changes nothing of the organisation; what is the guest's own (`person`, `installation`) is no part of it."""
    looks = isinstance(connection, Request) and connection.method in {"GET", "HEAD"}
    return looks or may in {"person", "installation"}
