"""Who a token speaks for."""

from __future__ import annotations

import msgspec
from litestar import get

from borne.api.problems import responses
from borne.api.sign_in import SignedIn
from borne.api.v1.words import instant
from borne.core.api_scopes import ApiScope
from borne.core.scope import Role


class Named(msgspec.Struct, frozen=True):
    id: int
    name: str


class Person(msgspec.Struct, frozen=True):
    id: int
    name: str
    email: str


class Me(msgspec.Struct, frozen=True):
    """`expires_at`: null for a token that works until it is revoked."""

    person: Person
    organisation: Named
    role: Role
    plan: str
    scopes: list[ApiScope]
    token: Named
    expires_at: str | None


@get("/me", scope="read", operation_id="me", summary="Who am I", responses=responses())
async def me(caller: SignedIn) -> Me:
    """Whom this token speaks for, in which organisation, and what it may."""
    scope = caller.scope
    return Me(
        person=Person(scope.person_id, scope.person_name, caller.email),
        organisation=Named(scope.organisation_id, caller.organisation_name),
        role=scope.role,
        plan=scope.plan,
        scopes=list(caller.scopes),
        token=Named(caller.token_id, caller.token_name),
        expires_at=instant(caller.expires_ms),
    )


ROUTES = [me]
