"""The list of chargers: counts, pages and matches, quick at 100,000 chargers in one organisation.

Every order and filter walks one index of `chargers` without touching its rows; only the fifty rows of a page are read. An order
that no single index gives (by status, by location) is a row of segments, each of which an index gives. A search reads the
names of a whole organisation, so it keeps the first `FEW` matches and sorts those in memory.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any, Literal, get_args

import msgspec
from sqlalchemy import BigInteger, ColumnElement, Select, bindparam, func, literal_column, or_, select

from borne.core.scope import Scope
from borne.store.db import Reader, Row
from borne.store.schema import chargers, locations
from borne.store.tenancy import beside

Sort = Literal["name", "status", "location", "last_seen", "restart"]
SORTS: tuple[Sort, ...] = get_args(Sort)
# What needs somebody comes first when people sort by status.
STATUS_ORDER = (
    "fault", "offline", "restarting", "updating", "unavailable", "charging", "waiting", "reserved", "ready", "never",
)  # fmt: skip
PAGE_ROWS = 50
FEW = 1_000  # matches of a search that are kept
MOST_IDS = 10_000  # "select all matching" stops here
MAX_WORDS = 5
MAX_WORD = 60
NAME_END = "\x1f"
Condition = ColumnElement[bool]
C = chargers.c
# Not a parameter: the partial index serves only what is known to match it.
_ONE: ColumnElement[int] = literal_column("1")


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """What the list shows. All conditions hold together; `words` are folded (see `words_of`)."""

    status: str | None = None
    attention: bool = False
    location_id: int | None = None
    words: tuple[str, ...] = ()


class Counts(msgspec.Struct, frozen=True):
    """How many chargers a scope reaches, by (location id, status, attention)."""

    by: dict[tuple[int, str, int], int]

    def of(self, chosen: Filter) -> int:
        """Count what a filter shows, its words left aside."""
        return sum(
            count
            for (location_id, status, attention), count in self.by.items()
            if chosen.location_id in (None, location_id)
            and chosen.status in (None, status)
            and (attention or not chosen.attention)
        )

    @property
    def total(self) -> int:
        return sum(self.by.values())

    @property
    def attention(self) -> int:
        return sum(count for (_, _, attention), count in self.by.items() if attention)

    def by_status(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for (_, status, _), count in self.by.items():
            found[status] = found.get(status, 0) + count
        return found

    def by_location(self, chosen: Filter | None = None) -> dict[int, int]:
        """How many at each location, of those that a filter shows."""
        chosen = chosen or Filter()
        found: dict[int, int] = {}
        for (location_id, status, attention), count in self.by.items():
            if chosen.location_id in (None, location_id) and chosen.status in (None, status):
                found[location_id] = found.get(location_id, 0) + (count if attention or not chosen.attention else 0)
        return found


class Place(msgspec.Struct, frozen=True):
    """A location that a scope reaches."""

    id: int
    name: str


class Page(msgspec.Struct, frozen=True):
    """`total` is how many there are in all pages; `capped`: a search found more than that."""

    rows: list[Row]
    total: int
    capped: bool = False


# ---- text --------------------------------------------------------------------------------------------------------


def fold(text: str) -> str:
    """Casefold and drop accents: "Entrepôt" is found by "entrepot"."""
    folded = text.casefold()
    if folded.isascii():
        return folded.replace(NAME_END, "")
    decomposed = unicodedata.normalize("NFKD", folded)
    return "".join(char for char in decomposed if not unicodedata.combining(char) and char != NAME_END)


def search_text(name: str, *others: str) -> str:
    """The value of `chargers.search`: the name's place in the order, then all words (serial, model, location, identity) folded.

    Numbers in names are ordered by value: each is preceded by how many digits it has, so that "Quai 2" comes before "Quai 10".
    """
    key = re.sub(r"[0-9]+", _number_key, fold(name))
    return key + NAME_END + fold(" ".join((name, *others)))


def _number_key(found: re.Match[str]) -> str:
    digits = found[0].lstrip("0") or "0"
    return f"{min(len(digits), 9)}{digits}"


def words_of(query: str) -> tuple[str, ...]:
    """The words of what a person typed into the search field; bounded."""
    return tuple(word[:MAX_WORD] for word in fold(query.replace("\0", "")).split()[:MAX_WORDS])


def words_like(search: ColumnElement[str], words: int) -> Iterator[Condition]:
    """Conditions that a `search` column holds so many words; `word_values` gives their values."""
    for n in range(words):
        yield search.like(bindparam(f"word_{n}"), escape="\\")


def word_values(words: Sequence[str]) -> dict[str, str]:
    """The words stand behind the mark: "12" must not find the key of "Quai 2"."""
    return {f"word_{n}": f"%{NAME_END}%{escaped(word)}%" for n, word in enumerate(words)}


# ---- conditions --------------------------------------------------------------------------------------------------


def reached(scope: Scope) -> list[Condition]:
    """The conditions that keep a query about chargers inside a scope."""
    conditions = [C.organisation_id == scope.organisation_id]
    if scope.location_ids is not None:
        conditions.append(C.location_id.in_(scope.location_ids))
    if scope.charger_ids is not None:
        conditions.append(C.id.in_(scope.charger_ids))
    return conditions


class _Shape(msgspec.Struct, frozen=True):
    """What a statement about the ids of a list looks like, its values left aside: each is compiled once."""

    key: Literal["search", "seen", "never_seen", "restart", "never_restarted"]
    descending: bool
    status: bool
    attention: bool
    location: bool
    words: int
    locations: bool  # only some of the organisation's
    chargers: bool  # only some of the organisation's


def _shape(scope: Scope, chosen: Filter, key: Any = "search", descending: bool = False) -> _Shape:
    return _Shape(
        key,
        descending,
        chosen.status is not None,
        chosen.attention,
        chosen.location_id is not None,
        len(chosen.words),
        scope.location_ids is not None,
        scope.charger_ids is not None,
    )


def _values(scope: Scope, chosen: Filter) -> dict[str, Any]:
    values: dict[str, Any] = {"organisation_id": scope.organisation_id}
    if chosen.status is not None:
        values["status"] = chosen.status
    if chosen.location_id is not None:
        values["location_id"] = chosen.location_id
    if scope.location_ids is not None:
        values["location_ids"] = list(scope.location_ids)
    if scope.charger_ids is not None:
        values["charger_ids"] = list(scope.charger_ids)
    return values | word_values(chosen.words)


def escaped(word: str) -> str:
    """A word as part of a LIKE pattern (escape: backslash)."""
    return re.sub(r"([\\%_])", r"\\\1", word)


def _conditions(shape: _Shape) -> Iterator[Condition]:
    yield C.organisation_id == bindparam("organisation_id")
    if shape.status:
        yield C.status == bindparam("status")
    if shape.attention:
        yield C.attention == _ONE
    if shape.location:
        yield C.location_id == bindparam("location_id")
    if shape.locations:
        yield C.location_id.in_(bindparam("location_ids", expanding=True))
    if shape.chargers:
        yield C.id.in_(bindparam("charger_ids", expanding=True))
    yield from words_like(C.search, shape.words)
    # NULL sorts first on one database and last on the other: such rows are asked for apart.
    if shape.key in ("seen", "never_seen"):
        yield C.last_seen_ms.is_not(None) if shape.key == "seen" else C.last_seen_ms.is_(None)
    if shape.key in ("restart", "never_restarted"):
        yield C.restart_id.is_not(None) if shape.key == "restart" else C.restart_id.is_(None)


_KEYS: dict[str, tuple[ColumnElement[Any], ...]] = {
    "search": (C.search, C.id),
    "seen": (C.last_seen_ms, C.id),
    "restart": (C.restart_id, C.id),
    "never_seen": (C.id,),
    "never_restarted": (C.id,),
}


@lru_cache(maxsize=256)
def _ids(shape: _Shape) -> Select[Any]:
    keys = [key.desc() if shape.descending else key.asc() for key in _KEYS[shape.key]]
    chosen = select(C.id).where(*_conditions(shape)).order_by(*keys)
    return chosen.limit(bindparam("most", type_=BigInteger)).offset(bindparam("skipped", type_=BigInteger))


@lru_cache(maxsize=256)
def _count(shape: _Shape) -> Select[Any]:
    return select(func.count()).select_from(chargers).where(*_conditions(shape))


@lru_cache(maxsize=256)
def _keys(shape: _Shape) -> Select[Any]:
    columns = (C.id, C.search, C.status, C.location_id, C.last_seen_ms, C.restart_id)
    return select(*columns).where(C.id.in_(_ids(shape))).order_by(C.search, C.id)


# ---- counts and places -------------------------------------------------------------------------------------------


async def counts(db: Reader, scope: Scope) -> Counts:
    """Count the chargers that a scope reaches. One walk over an index of all of them: keep the answer for a second."""
    keys = (C.location_id, C.status, C.attention)
    statement = select(*keys, func.count().label("n")).where(*reached(scope)).group_by(*keys)
    return Counts({(row[0], row[1], row[2]): row[3] for row in await db.all(statement)})


async def places(db: Reader, scope: Scope) -> list[Place]:
    """The locations that a scope reaches, by name. For the chargers assigned to a user: those where they stand."""
    statement = select(locations.c.id, locations.c.name).where(locations.c.organisation_id == scope.organisation_id)
    if scope.location_ids is not None:
        statement = statement.where(locations.c.id.in_(scope.location_ids))
    if scope.charger_ids is not None:
        statement = statement.where(locations.c.id.in_(select(C.location_id).where(*reached(scope))))
    found = [Place(row.id, row.name) for row in await db.all(statement)]
    return sorted(found, key=lambda place: search_text(place.name))


# ---- pages -------------------------------------------------------------------------------------------------------


class _Segment(msgspec.Struct, frozen=True):
    """A stretch of an order. `count` None: not known without asking."""

    chosen: Filter
    key: str
    count: int | None


async def page(
    db: Reader,
    scope: Scope,
    chosen: Filter,
    *,
    sort: Sort,
    descending: bool,
    offset: int,
    known: Counts,
    order: Sequence[Place],
    limit: int = PAGE_ROWS,
) -> Page:
    """Return one page. `known` and `order` are the scope's counts and places (a second old at most)."""
    if chosen.words or scope.charger_ids is not None:
        return await _page_of_few(db, scope, chosen, sort, descending, offset, limit, order)
    segments = list(_segments(chosen, sort, known, order))
    offset_asked = offset
    ids: list[int] = []
    for segment in reversed(segments) if descending else segments:
        if segment.count is not None and offset >= segment.count and len(segments) > 1:
            offset -= segment.count
            continue
        part = await _part(db, scope, segment, descending, offset, limit - len(ids))
        if not part and offset:
            values = _values(scope, segment.chosen)
            offset -= await db.value(_count(_shape(scope, segment.chosen, segment.key)), values)
            continue
        offset = 0
        ids += part
        if len(ids) >= limit:
            break
    return Page(await rows(db, scope, ids), max(known.of(chosen), offset_asked + len(ids) if ids else 0))


async def _part(db: Reader, scope: Scope, segment: _Segment, descending: bool, offset: int, limit: int) -> list[int]:
    """Ids of a stretch from `offset` on. What lies in its second half is reached from its end."""
    count = segment.count
    from_end = count is not None and count > offset > count // 2
    if from_end and count is not None:
        limit = min(limit, count - offset)
        offset = count - offset - limit
    shape = _shape(scope, segment.chosen, segment.key, descending != from_end)
    found = await db.all(_ids(shape), {**_values(scope, segment.chosen), "most": limit, "skipped": offset})
    ids = [row.id for row in found]
    return ids[::-1] if from_end else ids


def _segments(chosen: Filter, sort: Sort, known: Counts, order: Sequence[Place]) -> Iterator[_Segment]:
    """The stretches of an ascending order."""
    if sort == "name":
        yield _Segment(chosen, "search", known.of(chosen))
    elif sort == "status":
        for status in STATUS_ORDER if chosen.status is None else (chosen.status,):
            these = msgspec.structs.replace(chosen, status=status)
            yield _Segment(these, "search", known.of(these))
    elif sort == "location":
        counts_here = known.by_location(chosen)
        for place in order:
            here = msgspec.structs.replace(chosen, location_id=place.id)
            yield _Segment(here, "search", counts_here.get(place.id, 0))
    elif sort == "last_seen":
        yield _Segment(chosen, "never_seen", None)
        yield _Segment(chosen, "seen", None)
    else:
        yield _Segment(chosen, "never_restarted", None)
        yield _Segment(chosen, "restart", None)


async def _page_of_few(
    db: Reader,
    scope: Scope,
    chosen: Filter,
    sort: Sort,
    descending: bool,
    offset: int,
    limit: int,
    order: Sequence[Place],
) -> Page:
    values = {**_values(scope, chosen), "most": FEW + 1, "skipped": 0}
    keys = await db.all(_keys(_shape(scope, chosen)), values)
    capped = len(keys) > FEW
    keys = keys[:FEW]
    keys.sort(key=_key_of(sort, order), reverse=descending)
    ids = [row.id for row in keys[offset : offset + limit]]
    return Page(await rows(db, scope, ids), len(keys), capped)


def _key_of(sort: Sort, order: Sequence[Place]) -> Callable[[Row], tuple[Any, ...]]:
    if sort == "status":
        ranks = {status: rank for rank, status in enumerate(STATUS_ORDER)}
        return lambda row: (ranks.get(row.status, len(ranks)), row.search, row.id)
    if sort == "location":
        ranks_of = {place.id: rank for rank, place in enumerate(order)}
        return lambda row: (ranks_of.get(row.location_id, len(ranks_of)), row.search, row.id)
    if sort == "last_seen":
        return lambda row: (row.last_seen_ms or 0, row.id)
    if sort == "restart":
        return lambda row: (row.restart_id or 0, row.id)
    return lambda row: (row.search, row.id)


# ---- rows --------------------------------------------------------------------------------------------------------

COLUMNS = (
    C.id, C.organisation_id, C.location_id, C.name, C.serial, C.model, C.vendor, C.model_name, C.identity, C.disabled, C.status,
    C.attention, C.online, C.protocol, C.firmware, C.last_seen_ms, C.restart_id, C.restart_phase, C.restart_verdict,
    C.restart_ended_ms, C.state, locations.c.name.label("location_name"),
)  # fmt: skip
_ROWS = (
    select(*COLUMNS)
    .select_from(chargers.outerjoin(locations, locations.c.id == C.location_id))
    .where(beside(C.organisation_id) == bindparam("organisation_id"))
)


@lru_cache(maxsize=8)
def _rows_of(count: int) -> Select[Any]:
    return _ROWS.where(or_(*(C.id == bindparam(f"id_{n}") for n in range(count))))


async def rows(db: Reader, scope: Scope, ids: Sequence[int]) -> list[Row]:
    """The rows with these ids that the scope reaches, in the order of the ids."""
    found: dict[int, Row] = {}
    for first in range(0, len(ids), PAGE_ROWS):
        part = ids[first : first + PAGE_ROWS]
        size = next(size for size in (1, 10, PAGE_ROWS) if len(part) <= size)  # few statements, filled up with no id
        values = {f"id_{n}": part[n] if n < len(part) else 0 for n in range(size)}
        values["organisation_id"] = scope.organisation_id
        found |= {row.id: row for row in await db.all(_rows_of(size), values, fast=True)}
    reaches = scope.reaches
    return [
        row
        for charger_id in ids
        if (row := found.get(charger_id)) is not None
        and reaches(organisation_id=row.organisation_id, location_id=row.location_id, charger_id=row.id)
    ]


async def matching_ids(db: Reader, scope: Scope, chosen: Filter, limit: int = MOST_IDS) -> list[int]:
    """The ids of all chargers that a filter shows, by name, `limit` at most."""
    values = {**_values(scope, chosen), "most": limit, "skipped": 0}
    return [row.id for row in await db.all(_ids(_shape(scope, chosen)), values)]


async def reached_ids(db: Reader, scope: Scope, ids: Sequence[int]) -> list[int]:
    """Those of the ids that the scope reaches."""
    if not ids:
        return []
    return [row.id for row in await db.all(select(C.id).where(C.id.in_(ids), *reached(scope)))]
