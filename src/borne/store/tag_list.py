"""The tags of an organisation, as its admins see and change them.

An admin of locations sees the tags of the users whom they see at all (store.people_list), their own, and those that are nobody's
(which charge everywhere); and changes those whose owner has no charger anywhere else.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import msgspec
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    and_,
    bindparam,
    delete,
    literal_column,
    or_,
    select,
    update,
)

from borne.core.scope import Scope
from borne.core.tags import TagState
from borne.store.charger_list import escaped, word_values
from borne.store.db import Reader, Row, Transaction
from borne.store.people_list import people_here, touches
from borne.store.schema import (
    access_group_chargers,
    access_group_people,
    assignments,
    chargers,
    memberships,
    people,
    tags,
)
from borne.store.tenancy import beside

PAGE_ROWS = 50
OWNERS_SHOWN = 12
T, M = tags.c, memberships.c
Condition = ColumnElement[bool]
_organisation_id: ColumnElement[int] = bindparam("organisation_id")
_now_ms: ColumnElement[int] = bindparam("now_ms", type_=BigInteger)
_location_ids: Any = bindparam("location_ids", expanding=True)


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """What the list shows; `words` are folded (charger_list.words_of). They are looked for in tag, name and owner."""

    words: tuple[str, ...] = ()
    state: TagState | None = None


class NewTag(msgspec.Struct, frozen=True, kw_only=True):
    """A tag to add; `tag` is casefolded."""

    tag: str
    name: str = ""
    person_id: int | None = None
    expires_ms: int | None = None
    group_tag: str | None = None


# ---- whose tags a scope sees, and changes ----------------------------------------------------------------------------


def _no_charger(*where: Condition) -> Condition:
    """No charger of the organisation is so. As a value: PostgreSQL would else look for all the people who have one."""
    found: Select[Any] = select(literal_column("1")).where(
        beside(chargers.c.organisation_id) == _organisation_id, *where
    )
    return found.limit(1).scalar_subquery().is_(None)


_elsewhere = chargers.c.location_id.not_in(_location_ids)
_charges_nowhere_else = and_(
    _no_charger(assignments.c.person_id == M.person_id, chargers.c.id == assignments.c.charger_id, _elsewhere),
    _no_charger(
        access_group_people.c.person_id == M.person_id,
        beside(access_group_people.c.organisation_id) == _organisation_id,
        access_group_chargers.c.access_group_id == access_group_people.c.access_group_id,
        beside(access_group_chargers.c.organisation_id) == _organisation_id,
        chargers.c.id == access_group_chargers.c.charger_id,
        _elsewhere,
    ),
)
_is_own = M.person_id == bindparam("of_person_id")
_may_change = or_(_is_own, and_(M.role == "user", _charges_nowhere_else))
_is_here = M.person_id.in_(people_here)
_users = select(M.person_id).where(M.organisation_id == _organisation_id, M.role == "user")
_free_or_own = or_(T.person_id.is_(None), T.person_id == bindparam("of_person_id"))
_all_seen = or_(_free_or_own, T.person_id.in_(_users.where(_is_here)))
_one_seen = or_(  # the same for a few tags: their owners are looked up
    _free_or_own,
    and_(
        _users.where(M.person_id == T.person_id).scalar_subquery().is_not(None), touches(_organisation_id, T.person_id)
    ),
)


# ---- lists -----------------------------------------------------------------------------------------------------------


class _Shape(msgspec.Struct, frozen=True):
    words: int
    state: TagState | None
    limited: bool


def _is(state: TagState) -> Condition:
    is_over = and_(T.expires_ms.is_not(None), T.expires_ms <= _now_ms)
    counts = and_(T.blocked == 0, or_(T.expires_ms.is_(None), T.expires_ms > _now_ms))
    match state:
        case "blocked":
            return T.blocked != 0
        case "expired":
            return and_(T.blocked == 0, is_over)
        case "unassigned":
            return and_(counts, T.person_id.is_(None))
    return and_(counts, T.person_id.is_not(None))


_columns = (T.tag, T.name, T.person_id, T.blocked, T.expires_ms, T.group_tag, T.created_ms)
_in_organisation = T.organisation_id == _organisation_id


def _with_owners(found: Select[Any], *more: ColumnElement[Any]) -> Select[Any]:
    """Who owns what was found: looked up for those few alone."""
    few = found.subquery("few")
    owner = and_(M.organisation_id == _organisation_id, M.person_id == few.c.person_id)
    return (
        select(
            *few.c, people.c.name.label("owner"), people.c.email, people.c.disabled, M.role,
            M.expires_ms.label("until_ms"), *more,
        )
        .select_from(few.outerjoin(memberships, owner).outerjoin(people, people.c.id == few.c.person_id))
        .order_by(few.c.tag)
    )  # fmt: skip


def _few(limited: bool, *where: Condition) -> Select[Any]:
    mine: Any = _may_change if limited else literal_column("1")
    return _with_owners(select(*_columns).where(*where, *([_one_seen] if limited else [])), mine.label("may_change"))


def _members_named(n: int) -> Select[Any]:
    """Found once for all tags: joining each tag's owner to look at the name takes ten times as long."""
    member = memberships.alias("named").c
    return select(member.person_id).where(
        member.organisation_id == _organisation_id, member.search.like(bindparam(f"word_{n}"), escape="\\")
    )


@lru_cache(maxsize=64)
def _page(shape: _Shape) -> Select[Any]:
    where = [_in_organisation, *([] if shape.state is None else [_is(shape.state)])]
    for n in range(shape.words):
        pattern: ColumnElement[str] = bindparam(f"tag_word_{n}")
        text = or_(T.tag.like(pattern, escape="\\"), T.name.ilike(pattern, escape="\\"))
        where.append(or_(text, T.person_id.in_(_members_named(n))))
    most, skipped = bindparam("most", type_=BigInteger), bindparam("skipped", type_=BigInteger)
    if shape.limited:
        where.append(_all_seen)
    return _with_owners(select(*_columns).where(*where).order_by(T.tag).limit(most).offset(skipped))


@lru_cache(maxsize=2)
def _one(limited: bool) -> Select[Any]:
    return _few(limited, _in_organisation, T.tag == bindparam("tag"))


@lru_cache(maxsize=2)
def _of_person(limited: bool) -> Select[Any]:
    return _few(limited, beside(T.organisation_id) == _organisation_id, T.person_id == bindparam("owner_id"))


def _values(scope: Scope, **more: Any) -> dict[str, Any]:
    values: dict[str, Any] = {"organisation_id": scope.organisation_id, **more}
    if scope.location_ids is not None:
        values |= {"location_ids": list(scope.location_ids), "of_person_id": scope.person_id}
    return values


async def page(db: Reader, scope: Scope, chosen: Filter, now_ms: int, offset: int = 0) -> list[Row]:
    """Tags by their text, one more than PAGE_ROWS where there is another page.

    tag, name, person_id, blocked, expires_ms, group_tag, created_ms; owner, email, disabled (None: nobody's); role, until_ms
    (role None: no member, or nobody's).
    """
    values = _values(scope, most=PAGE_ROWS + 1, skipped=offset, **word_values(chosen.words))
    values |= {f"tag_word_{n}": f"%{escaped(word)}%" for n, word in enumerate(chosen.words)}
    if chosen.state in ("expired", "unassigned", "accepted"):
        values["now_ms"] = now_ms
    return await db.all(_page(_Shape(len(chosen.words), chosen.state, scope.location_ids is not None)), values)


async def one(db: Reader, scope: Scope, tag: str) -> Row | None:
    """A tag in any letter case, with the columns of `page` and may_change (by the scope's person); None: not seen."""
    return await db.first(_one(scope.location_ids is not None), _values(scope, tag=tag.casefold()))


async def of_person(db: Reader, scope: Scope, person_id: int) -> list[Row]:
    """Those of somebody's tags that the scope sees, with the columns of `page`."""
    return await db.all(_of_person(scope.location_ids is not None), _values(scope, owner_id=person_id))


_own = (
    select(T.tag, T.name, T.blocked, T.expires_ms)
    .where(T.organisation_id == _organisation_id, T.person_id == bindparam("person_id"))
    .order_by(T.tag)
)


async def own(db: Reader, scope: Scope) -> list[Row]:
    """tag, name, blocked, expires_ms of the tags of the scope's person."""
    return await db.all(_own, {"organisation_id": scope.organisation_id, "person_id": scope.person_id})


# ---- owners ----------------------------------------------------------------------------------------------------------


def _owners(limited: bool, here: Condition) -> Select[Any]:
    alive = or_(M.expires_ms.is_(None), M.expires_ms > _now_ms)
    theirs = [or_(_is_own, here), _may_change] if limited else []
    return (
        select(people.c.id, people.c.name, people.c.email, M.role)
        .select_from(memberships.join(people, people.c.id == M.person_id))
        .where(M.organisation_id == _organisation_id, alive, *theirs)
        .order_by(M.search, M.person_id)
    )


@lru_cache(maxsize=2)
def _by_email(limited: bool) -> Select[Any]:
    return _owners(limited, _is_here).where(people.c.email.in_(bindparam("emails", expanding=True)))


@lru_cache(maxsize=2)
def _by_id(limited: bool) -> Select[Any]:
    return _owners(limited, touches(_organisation_id, M.person_id)).where(people.c.id == bindparam("owner_id"))


@lru_cache(maxsize=16)
def _named(limited: bool, words: int) -> Select[Any]:
    found = _owners(limited, _is_here)
    for n in range(words):
        found = found.where(M.search.like(bindparam(f"word_{n}"), escape="\\"))
    return found.limit(OWNERS_SHOWN)


async def owners(db: Reader, scope: Scope, emails: Sequence[str], now_ms: int) -> dict[str, Row]:
    """Members who may be given tags by the scope's person: id, name, email, role, by e-mail (casefolded)."""
    if not emails:
        return {}
    values = _values(scope, emails=list(emails), now_ms=now_ms)
    return {row.email: row for row in await db.all(_by_email(scope.location_ids is not None), values)}


async def owner(db: Reader, scope: Scope, person_id: int, now_ms: int) -> Row | None:
    """id, name, email, role of a member who may be given tags by the scope's person."""
    values = _values(scope, owner_id=person_id, now_ms=now_ms)
    return await db.first(_by_id(scope.location_ids is not None), values)


async def named(db: Reader, scope: Scope, words: Sequence[str], now_ms: int) -> list[Row]:
    """The first OWNERS_SHOWN of them whose name or e-mail holds the words."""
    values = _values(scope, now_ms=now_ms, **word_values(words))
    return await db.all(_named(scope.location_ids is not None, len(words)), values)


# ---- changing --------------------------------------------------------------------------------------------------------

_key = (T.organisation_id == bindparam("of_organisation_id"), T.tag == bindparam("of_tag"))
_known = select(T.tag).where(T.organisation_id == _organisation_id, T.tag.in_(bindparam("tags", expanding=True)))
_change = (
    update(tags)
    .where(*_key)
    .values(
        name=bindparam("new_name"),
        person_id=bindparam("new_person_id"),
        expires_ms=bindparam("new_expires_ms"),
        group_tag=bindparam("new_group_tag"),
    )
)
_block = update(tags).where(*_key).values(blocked=bindparam("new_blocked"))
_remove = delete(tags).where(*_key)
_lock = select(T.tag).where(T.organisation_id == _organisation_id, T.tag == bindparam("tag")).with_for_update()


async def known(db: Reader, organisation_id: int, wanted: Sequence[str]) -> set[str]:
    """Those of the tags (casefolded) that the organisation has."""
    if not wanted:
        return set()
    return {row.tag for row in await db.all(_known, {"organisation_id": organisation_id, "tags": list(wanted)})}


async def hold(tx: Transaction, organisation_id: int, tag: str) -> None:
    """Nobody else changes the tag before this transaction ends. Read what decides after it."""
    await tx.first(_lock, {"organisation_id": organisation_id, "tag": tag})


async def add(tx: Transaction, organisation_id: int, new: Sequence[NewTag], now_ms: int) -> int:
    """Add tags; those that exist stay as they are. Returns how many are new."""
    rows = [(organisation_id, one.tag, one.name, one.person_id, one.expires_ms, one.group_tag, now_ms) for one in new]
    columns = ("name", "person_id", "expires_ms", "group_tag", "created_ms")
    return await tx.upsert_many(tags, ("organisation_id", "tag"), columns, rows, keep=True) if rows else 0


async def change(tx: Transaction, organisation_id: int, to: NewTag) -> None:
    """Replace what is known of a tag, but for whether it is blocked."""
    values = {
        "of_organisation_id": organisation_id, "of_tag": to.tag, "new_name": to.name, "new_person_id": to.person_id,
        "new_expires_ms": to.expires_ms, "new_group_tag": to.group_tag,
    }  # fmt: skip
    await tx.run(_change, values)


async def block(tx: Transaction, organisation_id: int, tag: str, blocked: bool) -> None:
    await tx.run(_block, {"of_organisation_id": organisation_id, "of_tag": tag, "new_blocked": int(blocked)})


async def remove(tx: Transaction, organisation_id: int, tag: str) -> None:
    """Forget a tag. Its sessions stay."""
    await tx.run(_remove, {"of_organisation_id": organisation_id, "of_tag": tag})
