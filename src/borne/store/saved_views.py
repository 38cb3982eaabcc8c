"""Saved views: filters of a page that a person keeps under a name, in one organisation. Nobody sees another's."""

from __future__ import annotations

from sqlalchemy import bindparam, func, select

from borne.core.scope import Scope
from borne.store.db import Reader, Row, Transaction
from borne.store.schema import saved_views

MOST = 30  # of a person and page
V = saved_views.c
_own = (V.organisation_id == bindparam("organisation_id"), V.person_id == bindparam("of_person_id"))
_of_page = select(V.id, V.name, V.query).where(*_own, V.page == bindparam("page")).order_by(func.lower(V.name), V.id)
_drop = saved_views.delete().where(*_own, V.id == bindparam("view_id"))


class TooManyError(Exception):
    """The person keeps as many views of the page as anybody may."""


def _values(scope: Scope, **more: object) -> dict[str, object]:
    return {"organisation_id": scope.organisation_id, "of_person_id": scope.person_id, **more}


async def of_page(db: Reader, scope: Scope, page: str) -> list[Row]:
    """id, name, query of the views of this person, by name."""
    return await db.all(_of_page, _values(scope, page=page))


async def save(tx: Transaction, scope: Scope, page: str, name: str, query: str, now_ms: int) -> None:
    """Keep a query under a name; one of that name is replaced. Raises TooManyError."""
    known = await of_page(tx, scope, page)
    if len(known) >= MOST and name not in {row.name for row in known}:
        raise TooManyError
    row = (scope.person_id, scope.organisation_id, page, name, query, now_ms)
    keys = ("person_id", "organisation_id", "page", "name")
    await tx.upsert_many(saved_views, keys, ("query", "created_ms"), [row])


async def drop(tx: Transaction, scope: Scope, view_id: int) -> bool:
    """Forget a view of this person. False: there is none."""
    return await tx.run(_drop, _values(scope, view_id=view_id)) > 0
