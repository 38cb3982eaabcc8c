"""The list of sessions: those that run first, then the newest. Pages follow ids, never offsets.

A session belongs to the organisation, the location and the owner of its tag, all of its time. Users see the sessions of tags that
were theirs then; staff those of their locations.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Literal

import msgspec
from sqlalchemy import BigInteger, ColumnElement, Select, and_, bindparam, func, or_, select

from borne.core.scope import Scope
from borne.core.session import NO_STOP_RECEIVED
from borne.store.charger_list import word_values, words_like
from borne.store.db import Reader, Row
from borne.store.schema import archived_chargers, chargers, locations, memberships, people, sessions, tags
from borne.store.tenancy import beside

PAGE_ROWS = 50
MOST_OF_A_PERSON = 5_000  # sessions that a sum of two months reads
S = sessions.c
Condition = ColumnElement[bool]
Kind = Literal["running", "ended", "no_stop", "doubtful"]
KINDS: tuple[Kind, ...] = ("running", "ended", "no_stop", "doubtful")
_organisation_id: ColumnElement[int] = bindparam("organisation_id")


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """What the list shows; None does not filter. `from_ms` <= start < `to_ms`. `charger_ids`: those of a search.

    `tags` as chargers may have said them, `people_ids` beside them: sessions of one of either. `kind` "ended": with a stop;
    "doubtful": measured, and its energy is not known.
    """

    charger_ids: tuple[int, ...] | None = None
    location_id: int | None = None
    person_id: int | None = None
    tags: tuple[str, ...] | None = None
    people_ids: tuple[int, ...] = ()
    kind: Kind | None = None
    from_ms: int | None = None
    to_ms: int | None = None


class Page(msgspec.Struct, frozen=True):
    """`older`: where the next page begins (to be handed back as it is), None at the end."""

    rows: list[Row]
    older: str | None


class Shape(msgspec.Struct, frozen=True):
    """Which conditions a statement has; `runs` None: those that run and those that are over."""

    runs: bool | None
    own: bool  # of the scope's person alone
    limited: bool  # to some locations
    chargers: bool
    location: bool
    person: bool
    tags: bool
    kind: Kind | None
    since: bool
    until: bool
    before: bool


_KINDS: dict[Kind, Condition] = {
    "running": S.ended_ms.is_(None),
    "ended": S.ended_ms.is_not(None) & or_(S.end_reason.is_(None), S.end_reason != NO_STOP_RECEIVED),
    "no_stop": S.end_reason == NO_STOP_RECEIVED,
    "doubtful": S.ended_ms.is_not(None) & S.energy_wh.is_(None) & (S.measured > 0),
}


def conditions(shape: Shape) -> list[Condition]:
    """What a statement about the list's sessions asks, with the names of `asked_of` for its values."""
    wanted: tuple[tuple[bool, Condition], ...] = (
        (shape.own, S.person_id == bindparam("own_id")),
        (shape.limited, S.location_id.in_(bindparam("location_ids", expanding=True))),
        (shape.chargers, S.charger_id.in_(bindparam("charger_ids", expanding=True))),
        (shape.location, S.location_id == bindparam("location_id")),
        (shape.person, S.person_id == bindparam("person_id")),
        (
            shape.tags,
            or_(
                S.tag.in_(bindparam("tags", expanding=True)),
                S.person_id.in_(bindparam("people_ids", expanding=True)),
            ),
        ),
        (shape.since, S.started_ms >= bindparam("from_ms")),
        (shape.until, S.started_ms < bindparam("to_ms")),
        (shape.before, S.id < bindparam("before_id")),
    )
    organisation = beside(S.organisation_id) if shape.chargers else S.organisation_id
    found = [organisation == _organisation_id, *(condition for holds, condition in wanted if holds)]
    if shape.runs is not None:
        found.append(S.ended_ms.is_(None) if shape.runs else S.ended_ms.is_not(None))
    if shape.kind is not None:
        found.append(_KINDS[shape.kind])
    return found


@lru_cache(maxsize=256)
def _ids(shape: Shape) -> Select[Any]:
    most = bindparam("most", type_=BigInteger)
    return select(S.id).where(*conditions(shape)).order_by(S.id.desc()).limit(most)


@lru_cache(maxsize=16)
def _named(shape: Shape) -> Select[Any]:
    return select(S.id).where(*conditions(shape), S.id.in_(bindparam("ids", expanding=True)))


_rows = (
    select(
        S.id, S.charger_id, S.location_id, S.evse, S.connector, S.tag, S.person_id, S.started_ms, S.ended_ms,
        S.meter_start_wh, S.meter_stop_wh, S.end_reason, S.energy_wh, S.cost_nanos, S.currency, S.power_w, S.charging_ms,
        S.begun_ms, S.over_ms, S.suspects, S.measured,
        func.coalesce(chargers.c.name, archived_chargers.c.name).label("charger_name"),  # also of one that left
        locations.c.name.label("location_name"),
        func.coalesce(S.zone, locations.c.time_zone).label("time_zone"),
        people.c.name.label("person_name"),
    )
    .select_from(
        sessions.outerjoin(chargers, and_(chargers.c.id == S.charger_id, chargers.c.organisation_id == _organisation_id))
        .outerjoin(
            archived_chargers,
            and_(archived_chargers.c.id == S.charger_id, archived_chargers.c.organisation_id == _organisation_id),
        )
        .outerjoin(locations, and_(locations.c.id == S.location_id, locations.c.organisation_id == _organisation_id))
        .outerjoin(people, people.c.id == S.person_id)
    )
    .where(S.organisation_id == _organisation_id, S.id.in_(bindparam("ids", expanding=True)))
    .order_by(S.ended_ms.is_not(None), S.id.desc())
)  # fmt: skip
_months = (
    select(S.started_ms, S.ended_ms, S.energy_wh, func.coalesce(S.zone, locations.c.time_zone).label("time_zone"))
    .select_from(
        sessions.outerjoin(
            locations, and_(locations.c.id == S.location_id, locations.c.organisation_id == _organisation_id)
        )
    )
    .where(
        S.organisation_id == _organisation_id,
        S.person_id == bindparam("own_id"),
        beside(S.started_ms) >= bindparam("from_ms"),
    )
    .order_by(S.id.desc())
    .limit(MOST_OF_A_PERSON)
)
_tag_names = select(tags.c.tag, tags.c.name, tags.c.person_id).where(
    tags.c.organisation_id == _organisation_id, tags.c.tag.in_(bindparam("tags", expanding=True)), tags.c.name != ""
)
_running = (
    select(S.charger_id, S.evse, S.connector, S.started_ms)
    .where(S.organisation_id == _organisation_id, S.person_id == bindparam("own_id"), S.ended_ms.is_(None))
    .order_by(S.id.desc())
    .limit(PAGE_ROWS)
)


def asked_of(scope: Scope, wanted: Filter) -> tuple[Shape, dict[str, Any]]:
    """The statement's shape and values for what this scope wants to see, of those that run."""
    values: dict[str, Any] = {"organisation_id": scope.organisation_id}
    own = scope.role == "user"
    more = {
        "own_id": scope.person_id if own else None,
        "location_ids": None if own or scope.location_ids is None else list(scope.location_ids),
        "charger_ids": None if wanted.charger_ids is None else list(wanted.charger_ids),
        "location_id": wanted.location_id,
        "person_id": wanted.person_id,
        "tags": None if wanted.tags is None else list(wanted.tags),
        "people_ids": None if wanted.tags is None else list(wanted.people_ids),
        "from_ms": wanted.from_ms,
        "to_ms": wanted.to_ms,
    }
    values |= {name: value for name, value in more.items() if value is not None}
    has = values.keys().__contains__
    shape = Shape(
        runs=True, own=own, limited=has("location_ids"), chargers=has("charger_ids"), location=has("location_id"),
        person=has("person_id"), tags=has("tags"), kind=wanted.kind, since=has("from_ms"), until=has("to_ms"), before=False,
    )  # fmt: skip
    return shape, values


async def page(db: Reader, scope: Scope, wanted: Filter, older: str = "", limit: int = PAGE_ROWS) -> Page:
    """One page: the columns of _rows; charger_name None: it is gone."""
    shape, values = asked_of(scope, wanted)
    runs, before_id = _place(older)
    ids: list[int] = []
    running = 0
    for part in _parts(wanted.kind, runs):
        if before_id is not None:
            values["before_id"] = before_id
        asked = msgspec.structs.replace(shape, runs=part, before=before_id is not None)
        found = await db.all(_ids(asked), {**values, "most": limit + 1 - len(ids)})
        ids += [row.id for row in found]
        if len(ids) > limit:
            last_runs = part or limit <= running
            return Page(await _read(db, scope, ids[:limit]), f"{'r' if last_runs else 'e'}{ids[limit - 1]}")
        running = len(ids)
        values.pop("before_id", None)
        before_id = None
    return Page(await _read(db, scope, ids), None)


def _parts(kind: Kind | None, runs: bool) -> tuple[bool, ...]:
    """Which parts can hold such sessions: those that run, those that are over. To look for one where none is reads them all."""
    if kind is None:
        return (True, False) if runs else (False,)
    return (True,) if kind == "running" else (False,)


def _place(older: str) -> tuple[bool, int | None]:
    """Among those that run (True) or those that are over, and before which id. The first page for what makes no sense."""
    kind, number = older[:1], older[1:]
    if kind in ("r", "e") and number.isascii() and number.isdigit() and len(number) <= 18:
        return kind == "r", int(number)
    return True, None


@lru_cache(maxsize=256)
def _newer(shape: Shape) -> Select[Any]:
    return select(S.id).where(*conditions(shape), S.id > bindparam("after_id")).limit(1)


async def has_newer(db: Reader, scope: Scope, wanted: Filter, after_id: int) -> bool:
    """Whether a session that the filter finds came after this one."""
    shape, values = asked_of(scope, wanted)
    statement = _newer(msgspec.structs.replace(shape, runs=None))
    return await db.value(statement, {**values, "after_id": after_id}) is not None


async def reached_ids(db: Reader, scope: Scope, ids: Sequence[int]) -> list[int]:
    """Those of these sessions that the scope reaches."""
    shape, values = asked_of(scope, Filter())
    statement = _named(msgspec.structs.replace(shape, runs=None))
    return [row.id for row in await db.all(statement, {**values, "ids": list(ids)})] if ids else []


async def rows(db: Reader, scope: Scope, ids: Sequence[int]) -> list[Row]:
    """Those of these sessions that the scope reaches, as a page has them."""
    return await _read(db, scope, await reached_ids(db, scope, ids))


async def _read(db: Reader, scope: Scope, ids: Sequence[int]) -> list[Row]:
    return await db.all(_rows, {"organisation_id": scope.organisation_id, "ids": list(ids)}) if ids else []


@lru_cache(maxsize=8)
def _people(words: int) -> Select[Any]:
    found = memberships.c
    here = found.organisation_id == _organisation_id
    return select(found.person_id).where(here, *words_like(found.search, words)).limit(PAGE_ROWS)


async def people_called(db: Reader, scope: Scope, words: Sequence[str]) -> tuple[int, ...]:
    """Ids of members whose name or e-mail holds all these words (of `words_of`); some, where there are many."""
    values = {"organisation_id": scope.organisation_id, **word_values(words)}
    return tuple(row.person_id for row in await db.all(_people(len(words)), values))


async def tag_names(db: Reader, scope: Scope, rows: Sequence[Row]) -> dict[tuple[str, int | None], str]:
    """What the tags of sessions are called, by tag (casefolded) and owner: a tag given to somebody else has another name."""
    wanted = sorted({row.tag.casefold() for row in rows if row.tag})
    if not wanted:
        return {}
    found = await db.all(_tag_names, {"organisation_id": scope.organisation_id, "tags": wanted})
    return {(row.tag, row.person_id): row.name for row in found}


async def running(db: Reader, scope: Scope) -> list[Row]:
    """charger_id, evse, connector, started_ms of the sessions of the scope's person that run."""
    return await db.all(_running, {"organisation_id": scope.organisation_id, "own_id": scope.person_id})


async def since(db: Reader, scope: Scope, from_ms: int) -> list[Row]:
    """started_ms, ended_ms, energy_wh, time_zone of the sessions of the scope's person, newest first."""
    values = {"organisation_id": scope.organisation_id, "own_id": scope.person_id, "from_ms": from_ms}
    return await db.all(_months, values)
