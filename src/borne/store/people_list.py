"""The list of an organisation's people: its members and its open invitations in one order, quick at 10,000 of them.

Every order and filter walks `memberships_by_name` and `invitations_by_name` without touching their rows; only the fifty rows of
a page are read. An admin sees who touches the admin's locations: by belonging there, or by a charger they may use there.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Literal, get_args

import msgspec
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    CompoundSelect,
    Select,
    bindparam,
    case,
    func,
    literal_column,
    or_,
    select,
    union,
    union_all,
)

from borne.core.people import ROLES
from borne.core.scope import Role, Scope
from borne.store.access_groups import groups_here
from borne.store.charger_list import NAME_END, PAGE_ROWS
from borne.store.db import Reader, Row
from borne.store.invitations import is_open
from borne.store.schema import (
    access_group_chargers,
    access_group_people,
    access_groups,
    assignments,
    chargers,
    invitation_locations,
    invitations,
    locations,
    membership_locations,
    memberships,
    people,
    tags,
)
from borne.store.tenancy import beside

Sort = Literal["name", "role", "seen"]
SORTS: tuple[Sort, ...] = get_args(Sort)
# `over`: a member whose access has ended; `expired`: an invitation whose link has.
State = Literal["active", "temporary", "over", "invited", "expired"]
STATES: tuple[State, ...] = get_args(State)
OF_MEMBERS: tuple[State, ...] = ("active", "temporary", "over")

M, I = memberships.c, invitations.c  # noqa: E741 - as C of chargers elsewhere
Condition = ColumnElement[bool]
_organisation_id: ColumnElement[int] = bindparam("organisation_id")
_now_ms: ColumnElement[int] = bindparam("now_ms", type_=BigInteger)
_location_ids: Any = bindparam("location_ids", expanding=True)


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """What the list shows. All conditions hold together; `words` are folded (`charger_list.words_of`)."""

    words: tuple[str, ...] = ()
    role: Role | None = None
    location_id: int | None = None
    state: State | None = None


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the list: a member (`row`: id, name, email, role, expires_ms, seen_ms, disabled) or an invitation (id, name,
    email, role, membership_expires_ms, sent_ms, expires_ms), with the names of locations and access groups, and how many tags."""

    row: Row
    is_invitation: bool
    locations: tuple[str, ...]
    groups: tuple[str, ...]
    tags: int


class Counts(msgspec.Struct, frozen=True):
    """How many members and open invitations somebody may see."""

    members: int
    invited: int


class Page(msgspec.Struct, frozen=True):
    """`total`: how many there are in all pages; `counts`: whatever is filtered, where that was asked for."""

    entries: list[Entry]
    total: int
    counts: Counts | None = None


# ---- who touches a location ------------------------------------------------------------------------------------------

people_here = union(
    select(membership_locations.c.person_id).where(
        membership_locations.c.organisation_id == _organisation_id,
        membership_locations.c.location_id.in_(_location_ids),
    ),
    select(assignments.c.person_id)
    .join(chargers, chargers.c.id == assignments.c.charger_id)
    .where(chargers.c.organisation_id == _organisation_id, chargers.c.location_id.in_(_location_ids)),
    select(access_group_people.c.person_id).where(
        access_group_people.c.organisation_id == _organisation_id,
        access_group_people.c.access_group_id.in_(groups_here),
    ),
)


def touches(organisation_id: ColumnElement[int], person_id: ColumnElement[int]) -> Condition:
    """Whether one person does: looked up from that person, where `people_here` finds everybody."""
    there = (beside(chargers.c.organisation_id) == organisation_id, chargers.c.location_id.in_(_location_ids))
    belongs = select(_number_of(1)).where(
        membership_locations.c.organisation_id == organisation_id,
        membership_locations.c.person_id == person_id,
        membership_locations.c.location_id.in_(_location_ids),
    )
    assigned = select(_number_of(1)).where(
        assignments.c.person_id == person_id, chargers.c.id == assignments.c.charger_id, *there
    )
    grouped = select(_number_of(1)).where(
        access_group_people.c.person_id == person_id,
        beside(access_group_people.c.organisation_id) == organisation_id,
        access_group_chargers.c.access_group_id == access_group_people.c.access_group_id,
        beside(access_group_chargers.c.organisation_id) == organisation_id,
        chargers.c.id == access_group_chargers.c.charger_id,
        *there,
    )
    return or_(*(one.limit(1).scalar_subquery().is_not(None) for one in (belongs, assigned, grouped)))


def _number_of(number: int) -> ColumnElement[int]:
    """A number in the text of a statement: of a parameter a database may not know the type."""
    return literal_column(str(number), BigInteger)


_here = people_here.cte("people_here")  # once in a statement, however often it asks
_invited_here = select(invitation_locations.c.invitation_id).where(
    invitation_locations.c.organisation_id == _organisation_id, invitation_locations.c.location_id.in_(_location_ids)
)


# ---- statements ------------------------------------------------------------------------------------------------------


class _Shape(msgspec.Struct, frozen=True):
    """What a statement looks like, its values left aside: each is compiled once."""

    words: int
    role: bool
    here: bool  # only who touches some locations
    state: State | None
    sort: Sort = "name"
    descending: bool = False


def _shape(scope: Scope, chosen: Filter, sort: Sort = "name", descending: bool = False) -> _Shape:
    here = scope.location_ids is not None or chosen.location_id is not None
    return _Shape(len(chosen.words), chosen.role is not None, here, chosen.state, sort, descending)


def _values(scope: Scope, chosen: Filter, now_ms: int) -> dict[str, Any]:
    values: dict[str, Any] = {"organisation_id": scope.organisation_id, "now_ms": now_ms}
    if chosen.role is not None:
        values["role"] = chosen.role
    values |= {f"word_{n}": f"%{NAME_END}%{_escaped(word)}%" for n, word in enumerate(chosen.words)}
    here = None if scope.location_ids is None else list(scope.location_ids)
    if chosen.location_id is not None:
        here = [chosen.location_id] if here is None or chosen.location_id in here else []
    return values if here is None else values | {"location_ids": here}


def _escaped(word: str) -> str:
    return re.sub(r"([\\%_])", r"\\\1", word)


def _of_both(shape: _Shape, columns: Any) -> list[Condition]:
    found: list[Condition] = [columns.organisation_id == _organisation_id]
    if shape.role:
        found.append(columns.role == bindparam("role"))
    found += [columns.search.like(bindparam(f"word_{n}"), escape="\\") for n in range(shape.words)]
    return found


def _members(shape: _Shape) -> Select[Any]:
    conditions = _of_both(shape, M)
    if shape.here:
        conditions.append(M.person_id.in_(select(_here.c.person_id)))
    match shape.state:
        case "active":
            conditions.append(M.expires_ms.is_(None) | (M.expires_ms > _now_ms))
        case "temporary":
            conditions.append(M.expires_ms > _now_ms)
        case "over":
            conditions.append(M.expires_ms <= _now_ms)
    keys = (
        _number_of(0).label("kind"),
        M.person_id.label("id"),
        M.search,
        _rank(M.role),
        func.coalesce(M.seen_ms, _number_of(0)),
    )
    return select(*keys[:3], keys[3].label("rank"), keys[4].label("seen")).where(*conditions)


def _invitations(shape: _Shape) -> Select[Any]:
    conditions = [*_of_both(shape, I), is_open]
    if shape.here:
        conditions.append(I.id.in_(_invited_here) | I.access_group_id.in_(groups_here))
    match shape.state:
        case "invited":
            conditions.append(I.expires_ms > _now_ms)
        case "expired":
            conditions.append(I.expires_ms <= _now_ms)
    keys = (
        _number_of(1).label("kind"),
        I.id.label("id"),
        I.search,
        _rank(I.role).label("rank"),
        _number_of(0).label("seen"),
    )
    return select(*keys).where(*conditions)


def _rank(role: Any) -> ColumnElement[Any]:
    return case(*((role == one, _number_of(place)) for place, one in enumerate(ROLES)), else_=_number_of(len(ROLES)))


def _joined(parts: Sequence[Select[Any]], shape: _Shape) -> Select[Any] | CompoundSelect[Any]:
    """What a state leaves of members and invitations."""
    if shape.state in OF_MEMBERS:
        return parts[0]
    return parts[1] if shape.state else union_all(*parts)


@lru_cache(maxsize=256)
def _ids(shape: _Shape, of_all: tuple[_Shape, _Shape] | None = None) -> Select[Any]:
    parts = [_members(shape), _invitations(shape)]
    if shape.sort == "name":  # each is in this order already, as far as it is needed
        parts = [_first(part, shape.descending) for part in parts]
    found = _joined(parts, shape).subquery()
    keys = {"name": (), "role": (found.c.rank,), "seen": (found.c.seen,)}[shape.sort]
    order = [key.desc() if shape.descending else key.asc() for key in (*keys, found.c.search, found.c.kind, found.c.id)]
    totals: list[Any] = [_total(shape).label("total")]
    totals += [_total(one).label(name) for one, name in zip(of_all or (), ("members", "invited"), strict=False)]
    chosen = select(found.c.kind, found.c.id, *totals).order_by(*order)
    return chosen.limit(bindparam("most", type_=BigInteger)).offset(bindparam("skipped", type_=BigInteger))


def _first(part: Select[Any], descending: bool) -> Select[Any]:
    keys = [part.selected_columns.search, part.selected_columns.id]
    ordered = part.order_by(*(key.desc() if descending else key.asc() for key in keys))
    return select(ordered.limit(bindparam("needed", type_=BigInteger)).subquery())


def _total(shape: _Shape) -> ColumnElement[int]:
    parts = [part.with_only_columns(func.count()).scalar_subquery() for part in (_members(shape), _invitations(shape))]
    if shape.state:
        return parts[0] if shape.state in OF_MEMBERS else parts[1]
    return parts[0] + parts[1]


@lru_cache(maxsize=256)
def _count(*shapes: _Shape) -> Select[Any]:
    totals: list[Any] = [_total(shape) for shape in shapes]
    return select(*totals)


_person_ids: Any = bindparam("person_ids", expanding=True)
_invitation_ids: Any = bindparam("invitation_ids", expanding=True)
_member_rows = (
    select(people.c.id, people.c.name, people.c.email, people.c.disabled, M.role, M.expires_ms, M.seen_ms)
    .join(memberships, M.person_id == people.c.id)
    .where(beside(M.organisation_id) == _organisation_id, M.person_id.in_(_person_ids))
)
_invitation_rows = select(
    I.id, I.name, I.email, I.role, I.membership_expires_ms, I.sent_ms, I.expires_ms, I.tags, I.access_group_id,
).where(I.organisation_id == _organisation_id, I.id.in_(_invitation_ids))  # fmt: skip
_member_places = (
    select(membership_locations.c.person_id.label("id"), locations.c.id.label("location_id"), locations.c.name)
    .join(locations, locations.c.id == membership_locations.c.location_id)
    .where(
        membership_locations.c.organisation_id == _organisation_id,
        locations.c.organisation_id == _organisation_id,
        membership_locations.c.person_id.in_(_person_ids),
    )
    .order_by(locations.c.name)
)
_invitation_places = (
    select(invitation_locations.c.invitation_id.label("id"), locations.c.id.label("location_id"), locations.c.name)
    .join(locations, locations.c.id == invitation_locations.c.location_id)
    .where(
        invitation_locations.c.organisation_id == _organisation_id,
        locations.c.organisation_id == _organisation_id,
        invitation_locations.c.invitation_id.in_(_invitation_ids),
    )
    .order_by(locations.c.name)
)
_member_groups = (
    select(access_group_people.c.person_id.label("id"), access_groups.c.name)
    .join(access_groups, access_groups.c.id == access_group_people.c.access_group_id)
    .where(
        access_group_people.c.organisation_id == _organisation_id,
        access_groups.c.organisation_id == _organisation_id,
        access_group_people.c.person_id.in_(_person_ids),
    )
    .order_by(access_groups.c.name)
)
_group_names = select(access_groups.c.id, access_groups.c.name).where(
    access_groups.c.organisation_id == _organisation_id,
    access_groups.c.id.in_(bindparam("group_ids", expanding=True)),
)
_member_tags = (
    select(tags.c.person_id.label("id"), func.count().label("n"))
    .where(beside(tags.c.organisation_id) == _organisation_id, tags.c.person_id.in_(_person_ids))
    .group_by(tags.c.person_id)
)


# ---- asking ----------------------------------------------------------------------------------------------------------


async def counts(db: Reader, scope: Scope, now_ms: int) -> Counts:
    """Count the members and the open invitations that somebody may see."""
    (found,) = await db.all(_count(*_all_shapes(scope)), _values(scope, Filter(), now_ms))
    return Counts(int(found[0]), int(found[1]))


def _all_shapes(scope: Scope) -> tuple[_Shape, _Shape]:
    return _shape(scope, Filter(state="active")), _shape(scope, Filter(state="invited"))


async def page(
    db: Reader,
    scope: Scope,
    chosen: Filter,
    now_ms: int,
    *,
    sort: Sort = "name",
    descending: bool = False,
    offset: int = 0,
    with_counts: bool = False,
) -> Page:
    """Return one page of PAGE_ROWS entries, by one statement that finds once who is here."""
    values = {**_values(scope, chosen, now_ms), "most": PAGE_ROWS, "skipped": offset, "needed": offset + PAGE_ROWS}
    # Of one location alone the counts would be of that location: they are of all that the scope sees.
    of_all = _all_shapes(scope) if with_counts and chosen.location_id is None else None
    keys = await db.all(_ids(_shape(scope, chosen, sort, descending), of_all), values)
    total = keys[0].total if keys else await db.value(_count(_shape(scope, chosen)), values) if offset else 0
    known = await _member_entries(db, scope, [row.id for row in keys if not row.kind])
    invited = await _invitation_entries(db, scope, [row.id for row in keys if row.kind])
    found = [invited.get(row.id) if row.kind else known.get(row.id) for row in keys]
    counted = Counts(int(keys[0].members), int(keys[0].invited)) if of_all and keys else None
    if with_counts and counted is None:
        counted = await counts(db, scope, now_ms)
    return Page([entry for entry in found if entry is not None], int(total), counted)


async def sees(db: Reader, scope: Scope, person_id: int, now_ms: int) -> bool:
    """Whether this member may be seen: everybody by whoever reaches the whole organisation, else who touches a location."""
    shape = _shape(scope, Filter())
    statement = _sees_here if shape.here else _sees
    return bool(await db.value(statement, {**_values(scope, Filter(), now_ms), "person_id": person_id}))


_sees = select(M.person_id).where(M.organisation_id == _organisation_id, M.person_id == bindparam("person_id"))
_sees_here = _sees.where(touches(_organisation_id, M.person_id))


async def _member_entries(db: Reader, scope: Scope, ids: Sequence[int]) -> dict[int, Entry]:
    if not ids:
        return {}
    values = {"organisation_id": scope.organisation_id, "person_ids": list(ids)}
    rows = await db.all(_member_rows, values, fast=True)
    places = _places(scope, await db.all(_member_places, values))
    groups = _names(await db.all(_member_groups, values))
    tag_counts = {row.id: row.n for row in await db.all(_member_tags, values)}
    return {
        row.id: Entry(
            row=row, is_invitation=False, locations=places.get(row.id, ()), groups=groups.get(row.id, ()),
            tags=tag_counts.get(row.id, 0),
        )
        for row in rows
    }  # fmt: skip


async def _invitation_entries(db: Reader, scope: Scope, ids: Sequence[int]) -> dict[int, Entry]:
    if not ids:
        return {}
    values = {"organisation_id": scope.organisation_id, "invitation_ids": list(ids)}
    rows = await db.all(_invitation_rows, values, fast=True)
    places = _places(scope, await db.all(_invitation_places, values))
    group_ids = sorted({row.access_group_id for row in rows if row.access_group_id is not None})
    of_groups = {"organisation_id": scope.organisation_id, "group_ids": group_ids}
    names = {row.id: (row.name,) for row in await db.all(_group_names, of_groups)} if group_ids else {}
    return {
        row.id: Entry(
            row=row, is_invitation=True, locations=places.get(row.id, ()), groups=names.get(row.access_group_id, ()),
            tags=len(msgspec.json.decode(row.tags)),
        )
        for row in rows
    }  # fmt: skip


def _places(scope: Scope, rows: Sequence[Row]) -> dict[int, tuple[str, ...]]:
    """The names of locations by id of what they belong to; those that the scope does not reach are not told."""
    reached = scope.location_ids
    return _names([row for row in rows if reached is None or row.location_id in reached])


def _names(rows: Sequence[Row]) -> dict[int, tuple[str, ...]]:
    found: dict[int, tuple[str, ...]] = {}
    for row in rows:
        found[row.id] = (*found.get(row.id, ()), row.name)
    return found
