"""Vehicles: whose they are, what they use, and which sessions are theirs.

A user has their own. Staff see those of the users whom they see, and those that are nobody's (a pool car). Sessions name their
vehicle: found by the tag, by the person who has just one, or chosen by hand (0: none of those known).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Select, and_, bindparam, case, func, or_, select, update

from borne.core.scope import Scope
from borne.store.db import Reader, Row, Transaction
from borne.store.people_list import people_here
from borne.store.schema import people, sessions, vehicles
from borne.store.tenancy import across

PAGE_ROWS = 50
CHOICES_MOST = 200
V, S = vehicles.c, sessions.c
_FIELDS = ("person_id", "name", "battery_wh", "wh_100km", "replaced", "replaced_ml_100km", "tag")
_organisation_id: ColumnElement[int] = bindparam("organisation_id")


class Details(msgspec.Struct, frozen=True, kw_only=True):
    """What people say of a vehicle. `tag` is casefolded; None: not known."""

    person_id: int | None
    name: str
    battery_wh: int | None = None
    wh_100km: int | None = None
    replaced: str = ""
    replaced_ml_100km: int | None = None
    tag: str | None = None


class Shape(msgspec.Struct, frozen=True):
    """Which conditions a statement has."""

    own: bool
    limited: bool
    archived: bool


def _shape(scope: Scope, archived: bool = False) -> Shape:
    return Shape(scope.role == "user", scope.role != "user" and scope.location_ids is not None, archived)


def _values(scope: Scope) -> dict[str, Any]:
    values: dict[str, Any] = {"organisation_id": scope.organisation_id}
    if scope.role == "user":
        values["own_id"] = scope.person_id
    elif scope.location_ids is not None:
        values["location_ids"] = list(scope.location_ids)
    return values


def _conditions(shape: Shape) -> list[ColumnElement[bool]]:
    found = [V.organisation_id == _organisation_id]
    if shape.own:
        found.append(V.person_id == bindparam("own_id"))
    if shape.limited:
        found.append(or_(V.person_id.is_(None), V.person_id.in_(people_here)))
    if not shape.archived:
        found.append(V.archived_ms.is_(None))
    return found


@lru_cache(maxsize=16)
def _rows(shape: Shape) -> Select[Any]:
    return (
        select(vehicles, people.c.name.label("owner"), people.c.email)
        .select_from(vehicles.outerjoin(people, people.c.id == V.person_id))
        .where(*_conditions(shape))
    )


@lru_cache(maxsize=16)
def _page(shape: Shape) -> Select[Any]:
    text = func.lower(V.name + " " + func.coalesce(people.c.name, "") + " " + func.coalesce(people.c.email, ""))
    return (
        _rows(shape)
        .where(text.contains(bindparam("query"), autoescape=False))
        .order_by(V.name, V.id)
        .limit(PAGE_ROWS + 1)
        .offset(bindparam("first"))
    )


@lru_cache(maxsize=16)
def _one(shape: Shape) -> Select[Any]:
    return _rows(shape).where(V.id == bindparam("vehicle_id"))


@lru_cache(maxsize=16)
def _choices(shape: Shape) -> Select[Any]:
    mine_first = case((V.person_id == bindparam("for_person_id"), 0), else_=1)
    return _rows(shape).order_by(mine_first, V.name, V.id).limit(CHOICES_MOST)


async def page(db: Reader, scope: Scope, query: str = "", first: int = 0) -> list[Row]:
    """Vehicles whose name or owner holds the text, by name, with `owner` and `email`. PAGE_ROWS and one: there is more."""
    return await db.all(_page(_shape(scope)), {**_values(scope), "query": query.lower(), "first": first})


async def one(db: Reader, scope: Scope, vehicle_id: int, archived: bool = False) -> Row | None:
    """A vehicle in the scope."""
    return await db.first(_one(_shape(scope, archived)), {**_values(scope), "vehicle_id": vehicle_id})


async def choices(db: Reader, scope: Scope, person_id: int | None) -> list[Row]:
    """What a session may be given by hand: those of its person first."""
    return await db.all(_choices(_shape(scope)), {**_values(scope), "for_person_id": person_id or 0})


_same_tag = select(V.id).where(
    V.organisation_id == _organisation_id, V.tag == bindparam("tag"), V.archived_ms.is_(None)
)
_describe = (
    update(vehicles)
    .where(V.organisation_id == bindparam("of_organisation_id"), V.id == bindparam("of_id"))
    .values({name: bindparam(f"new_{name}") for name in _FIELDS})
)
_archive = (
    update(vehicles)
    .where(V.organisation_id == bindparam("of_organisation_id"), V.id == bindparam("of_id"), V.archived_ms.is_(None))
    .values(archived_ms=bindparam("new_archived_ms"))
)
_of_person = select(V.id).where(
    V.organisation_id == _organisation_id, V.person_id == bindparam("person_id"), V.archived_ms.is_(None)
)
_not_assigned = (S.organisation_id == bindparam("of_organisation_id"), S.vehicle_id.is_(None))
_give_by_tag = (
    update(sessions)
    .where(*_not_assigned, func.lower(S.tag) == bindparam("of_tag"))
    .values(vehicle_id=bindparam("new_vehicle_id"))
)
_give_by_person = (
    update(sessions)
    .where(*_not_assigned, S.person_id == bindparam("of_person_id"))
    .values(vehicle_id=bindparam("new_vehicle_id"))
)
_give_by_both = _give_by_tag.where(S.person_id == bindparam("of_person_id"))
_choose = (
    update(sessions)
    .where(S.organisation_id == bindparam("of_organisation_id"), S.id == bindparam("of_id"))
    .values(vehicle_id=bindparam("new_vehicle_id"), dirty=S.dirty + 1)
)


async def has_tag(db: Reader, organisation_id: int, tag: str) -> set[int]:
    """The vehicles whose sessions are those of this tag."""
    return {row.id for row in await db.all(_same_tag, {"organisation_id": organisation_id, "tag": tag})}


async def add(tx: Transaction, organisation_id: int, details: Details, now_ms: int) -> int:
    """Add a vehicle; sessions that are clearly its own, and nobody chose otherwise, become so."""
    values = {"organisation_id": organisation_id, "created_ms": now_ms, **msgspec.structs.asdict(details)}
    vehicle_id = await tx.insert(vehicles, values)
    await give_sessions(tx, organisation_id, vehicle_id, details)
    return vehicle_id


async def change(tx: Transaction, organisation_id: int, vehicle_id: int, details: Details) -> None:
    """Replace what people say of it. Sessions that are its own stay so, and more may become so."""
    new = {f"new_{name}": value for name, value in msgspec.structs.asdict(details).items()}
    await tx.run(_describe, {"of_organisation_id": organisation_id, "of_id": vehicle_id, **new})
    await give_sessions(tx, organisation_id, vehicle_id, details)


async def archive(tx: Transaction, organisation_id: int, vehicle_id: int, now_ms: int) -> bool:
    """Take it out of use: no session is given to it any more, those it has stay. False: it is not there (any more)."""
    wanted = {"of_organisation_id": organisation_id, "of_id": vehicle_id, "new_archived_ms": now_ms}
    return await tx.run(_archive, wanted) == 1


async def give_sessions(tx: Transaction, organisation_id: int, vehicle_id: int, details: Details) -> int:
    """Sessions without a vehicle that this one's tag or person says. Returns how many."""
    wanted: dict[str, Any] = {"of_organisation_id": organisation_id, "new_vehicle_id": vehicle_id}
    given = 0
    if details.tag is not None and details.person_id is None:
        given += await tx.run(_give_by_tag, {**wanted, "of_tag": details.tag})
    elif details.tag is not None:
        given += await tx.run(_give_by_both, {**wanted, "of_tag": details.tag, "of_person_id": details.person_id})
    if details.person_id is not None:
        mine = await tx.all(_of_person, {"organisation_id": organisation_id, "person_id": details.person_id})
        if len(mine) == 1:
            given += await tx.run(_give_by_person, {**wanted, "of_person_id": details.person_id})
    return given


async def choose(tx: Transaction, organisation_id: int, session_id: int, vehicle_id: int | None) -> bool:
    """Say whose session it is; 0: of none that is known; None: as its tag and person say, which measuring finds."""
    wanted = {"of_organisation_id": organisation_id, "of_id": session_id, "new_vehicle_id": vehicle_id}
    return await tx.run(_choose, wanted) == 1


# ---- what measuring asks -------------------------------------------------------------------------------------------

_wanted = across(
    select(V.id, V.organisation_id, V.person_id, V.tag)
    .where(
        V.archived_ms.is_(None),
        and_(
            V.organisation_id.in_(bindparam("organisation_ids", expanding=True)),
            or_(
                V.person_id.in_(bindparam("person_ids", expanding=True)),
                V.tag.in_(bindparam("tags", expanding=True)),
            ),
        ),
    )
    .order_by(V.id),
    "measuring follows the sessions of all organisations; a vehicle is given only to those of its own",
)


async def of_sessions(db: Reader, rows: Sequence[Row]) -> dict[int, int]:
    """The vehicle that tag or person say, by session; `rows`: id, organisation_id, person_id, tag."""
    if not rows:
        return {}
    wanted = {
        "organisation_ids": sorted({row.organisation_id for row in rows}),
        "person_ids": sorted({row.person_id or 0 for row in rows}),
        "tags": sorted({(row.tag or "").casefold() for row in rows}),
    }
    known = await db.all(_wanted, wanted)
    found = {row.id: _vehicle_of(row, known) for row in rows} if known else {}
    return {session_id: vehicle_id for session_id, vehicle_id in found.items() if vehicle_id is not None}


def _vehicle_of(session: Row, known: Sequence[Row]) -> int | None:
    here = [one for one in known if one.organisation_id == session.organisation_id]
    tag = (session.tag or "").casefold()
    for one in here:
        if tag and one.tag == tag and one.person_id in (None, session.person_id):
            return int(one.id)
    mine = [one.id for one in here if session.person_id is not None and one.person_id == session.person_id]
    return int(mine[0]) if len(mine) == 1 else None
