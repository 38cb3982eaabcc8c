"""What people choose from: chargers and users that an access group or a person has, or could get. Searched, by pages.

Every statement is bound to the organisation of the scope; chargers to its locations too. What is held is found from the rows of
the holder, what is not held by a walk along the order of names.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Literal

import msgspec
from sqlalchemy import BigInteger, ColumnElement, Select, bindparam, func, or_, select

from borne.core.scope import Scope
from borne.store.charger_list import word_values, words_like
from borne.store.db import Reader, Row
from borne.store.schema import (
    access_group_chargers,
    access_group_people,
    assignments,
    chargers,
    locations,
    memberships,
    people,
)
from borne.store.tenancy import beside

PAGE_ROWS = 50
MOST = 10_000  # "all that match" stops here
Kind = Literal["group", "person"]
Condition = ColumnElement[bool]


class Holder(msgspec.Struct, frozen=True):
    """An access group, or a person with chargers of their own."""

    kind: Kind
    id: int


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """`held`: what the holder has; else what it has not. `words` are folded (charger_list.words_of)."""

    held: bool
    words: tuple[str, ...] = ()
    location_id: int | None = None


class _Shape(msgspec.Struct, frozen=True):
    kind: Kind
    held: bool
    words: int
    location: bool
    limited: bool  # to some locations


_HELD: dict[Kind, Select[Any]] = {
    "group": select(access_group_chargers.c.charger_id).where(
        access_group_chargers.c.organisation_id == bindparam("organisation_id"),
        access_group_chargers.c.access_group_id == bindparam("holder_id"),
    ),
    "person": select(assignments.c.charger_id).where(assignments.c.person_id == bindparam("holder_id")),
}
_IN_GROUP = select(access_group_people.c.person_id).where(
    access_group_people.c.organisation_id == bindparam("organisation_id"),
    access_group_people.c.access_group_id == bindparam("holder_id"),
)
_most, _skipped = bindparam("most", type_=BigInteger), bindparam("skipped", type_=BigInteger)
_place = (locations.c.id == chargers.c.location_id) & (locations.c.organisation_id == bindparam("organisation_id"))
_elsewhere = select(func.count()).where(
    beside(chargers.c.organisation_id) == bindparam("organisation_id"),
    chargers.c.location_id.not_in(bindparam("location_ids", expanding=True)),
)
_count_elsewhere: dict[Kind, Select[Any]] = {
    kind: _elsewhere.where(chargers.c.id.in_(held)) for kind, held in _HELD.items()
}


# ---- chargers ----------------------------------------------------------------------------------------------------


def _charger_conditions(shape: _Shape) -> list[Condition]:
    held = _HELD[shape.kind]
    organisation = beside(chargers.c.organisation_id) if shape.held else chargers.c.organisation_id
    found = [
        organisation == bindparam("organisation_id"),
        chargers.c.id.in_(held) if shape.held else chargers.c.id.not_in(held),
        *words_like(chargers.c.search, shape.words),
    ]
    if shape.limited:
        found.append(chargers.c.location_id.in_(bindparam("location_ids", expanding=True)))
    if shape.location:
        found.append(chargers.c.location_id == bindparam("location_id"))
    return found


def _order(shape: _Shape) -> tuple[ColumnElement[Any], ...]:
    """By name. The few of some locations are sorted: a walk along all names would look at everything in between."""
    name = func.coalesce(chargers.c.search, "") if shape.limited or shape.location else chargers.c.search
    return name, chargers.c.id


@lru_cache(maxsize=64)
def _chargers(shape: _Shape) -> Select[Any]:
    return (
        select(chargers.c.id, chargers.c.name, chargers.c.serial, chargers.c.status, locations.c.name.label("place"))
        .select_from(chargers.outerjoin(locations, _place))
        .where(*_charger_conditions(shape))
        .order_by(*_order(shape))
        .limit(_most)
        .offset(_skipped)
    )


@lru_cache(maxsize=64)
def _charger_count(shape: _Shape) -> Select[Any]:
    return select(func.count()).select_from(chargers).where(*_charger_conditions(shape))


@lru_cache(maxsize=64)
def _charger_ids(shape: _Shape) -> Select[Any]:
    return select(chargers.c.id).where(*_charger_conditions(shape)).order_by(*_order(shape)).limit(_most)


@lru_cache(maxsize=4)
def _chosen_chargers(limited: bool) -> Select[Any]:
    found = select(chargers.c.id).where(
        beside(chargers.c.organisation_id) == bindparam("organisation_id"),
        chargers.c.id.in_(bindparam("ids", expanding=True)),
    )
    return found.where(chargers.c.location_id.in_(bindparam("location_ids", expanding=True))) if limited else found


def _charger_values(scope: Scope, holder: Holder, wanted: Wanted) -> tuple[_Shape, dict[str, Any]]:
    limited = scope.location_ids is not None
    shape = _Shape(holder.kind, wanted.held, len(wanted.words), wanted.location_id is not None, limited)
    values: dict[str, Any] = {
        "organisation_id": scope.organisation_id,
        "holder_id": holder.id,
        **word_values(wanted.words),
    }
    if scope.location_ids is not None:
        values["location_ids"] = list(scope.location_ids)
    if wanted.location_id is not None:
        values["location_id"] = wanted.location_id
    return shape, values


async def charger_rows(
    db: Reader, scope: Scope, holder: Holder, wanted: Wanted, offset: int = 0, limit: int = PAGE_ROWS
) -> list[Row]:
    """id, name, serial, status, place (its location's name) of chargers within the scope, by name."""
    shape, values = _charger_values(scope, holder, wanted)
    return await db.all(_chargers(shape), {**values, "most": limit, "skipped": offset})


async def charger_count(db: Reader, scope: Scope, holder: Holder, wanted: Wanted) -> int:
    """How many those are, in all pages."""
    shape, values = _charger_values(scope, holder, wanted)
    return int(await db.value(_charger_count(shape), values))


async def charger_ids(db: Reader, scope: Scope, holder: Holder, wanted: Wanted) -> list[int]:
    """All of them, MOST at most."""
    shape, values = _charger_values(scope, holder, wanted)
    return [row.id for row in await db.all(_charger_ids(shape), {**values, "most": MOST})]


async def chosen_chargers(db: Reader, scope: Scope, ids: Sequence[int]) -> list[int]:
    """Those of the ids that lie within the scope."""
    values: dict[str, Any] = {"organisation_id": scope.organisation_id, "ids": list(ids)}
    if scope.location_ids is not None:
        values["location_ids"] = list(scope.location_ids)
    found = await db.all(_chosen_chargers(scope.location_ids is not None), values)
    return [row.id for row in found]


async def count_elsewhere(db: Reader, scope: Scope, holder: Holder) -> int:
    """How many chargers the holder has at locations that are not the scope's."""
    if scope.location_ids is None:
        return 0
    values = {
        "organisation_id": scope.organisation_id,
        "location_ids": list(scope.location_ids),
        "holder_id": holder.id,
    }
    return int(await db.value(_count_elsewhere[holder.kind], values))


# ---- people of a group -------------------------------------------------------------------------------------------


def _person_conditions(held: bool | None, words: int) -> list[Condition]:
    found = [
        memberships.c.organisation_id == bindparam("organisation_id"),
        *words_like(memberships.c.search, words),
    ]
    if held:
        found.append(memberships.c.person_id.in_(_IN_GROUP))
    else:  # groups are for users: staff reach the chargers of their locations
        alive = or_(memberships.c.expires_ms.is_(None), memberships.c.expires_ms > bindparam("now_ms"))
        found += [memberships.c.role == "user", alive]
    if held is False:
        found.append(memberships.c.person_id.not_in(_IN_GROUP))
    return found


@lru_cache(maxsize=32)
def _people(held: bool, words: int) -> Select[Any]:
    return (
        select(people.c.id, people.c.name, people.c.email, memberships.c.role, memberships.c.expires_ms)
        .select_from(memberships.join(people, people.c.id == memberships.c.person_id))
        .where(*_person_conditions(held, words))
        .order_by(memberships.c.search, memberships.c.person_id)
        .limit(_most)
        .offset(_skipped)
    )


@lru_cache(maxsize=32)
def _person_count(held: bool, words: int) -> Select[Any]:
    return select(func.count()).select_from(memberships).where(*_person_conditions(held, words))


@lru_cache(maxsize=32)
def _person_ids(held: bool, words: int) -> Select[Any]:
    order = (memberships.c.search, memberships.c.person_id)
    return select(memberships.c.person_id).where(*_person_conditions(held, words)).order_by(*order).limit(_most)


_chosen_people = select(memberships.c.person_id).where(
    *_person_conditions(None, 0), memberships.c.person_id.in_(bindparam("ids", expanding=True))
)


def _person_values(scope: Scope, group_id: int, wanted: Wanted, now_ms: int) -> dict[str, Any]:
    values: dict[str, Any] = {
        "organisation_id": scope.organisation_id,
        "holder_id": group_id,
        **word_values(wanted.words),
    }
    return values if wanted.held else {**values, "now_ms": now_ms}


async def person_rows(
    db: Reader, scope: Scope, group_id: int, wanted: Wanted, now_ms: int, offset: int = 0, limit: int = PAGE_ROWS
) -> list[Row]:
    """id, name, email, role, expires_ms of the people of a group, or of the users that could be, by name."""
    values = {**_person_values(scope, group_id, wanted, now_ms), "most": limit, "skipped": offset}
    return await db.all(_people(wanted.held, len(wanted.words)), values)


async def person_count(db: Reader, scope: Scope, group_id: int, wanted: Wanted, now_ms: int) -> int:
    """How many those are, in all pages."""
    values = _person_values(scope, group_id, wanted, now_ms)
    return int(await db.value(_person_count(wanted.held, len(wanted.words)), values))


async def person_ids(db: Reader, scope: Scope, group_id: int, wanted: Wanted, now_ms: int) -> list[int]:
    """All of them, MOST at most."""
    values = {**_person_values(scope, group_id, wanted, now_ms), "most": MOST}
    return [row.person_id for row in await db.all(_person_ids(wanted.held, len(wanted.words)), values)]


async def chosen_people(db: Reader, scope: Scope, ids: Sequence[int], now_ms: int) -> list[int]:
    """Those of the ids that are users of the organisation now."""
    values = {"organisation_id": scope.organisation_id, "ids": list(ids), "now_ms": now_ms}
    return [row.person_id for row in await db.all(_chosen_people, values)]
