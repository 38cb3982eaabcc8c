"""Notices of people, whom they may go to, and how each person wants them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import msgspec
from sqlalchemy import (
    BigInteger,
    BindParameter,
    bindparam,
    delete,
    exists,
    func,
    or_,
    select,
    update,
)

from borne.core.scope import Scope
from borne.store.db import Reader, Row, Transaction
from borne.store.schema import (
    batches,
    membership_locations,
    memberships,
    notices,
    notification_rules,
    organisations,
    people,
    restarts,
)
from borne.store.tenancy import across

KEYS = ("person_id", "key")
CHANGE_KEYS = ("person_id", "organisation_id", "key")
COLUMNS = (
    "organisation_id", "event", "at_ms", "charger_id", "location_id", "details", "in_portal", "mail_after_ms",
)  # fmt: skip
PAGE_ROWS = 50
RETENTION = "retention is the same for every organisation"

_person_id: BindParameter[int] = bindparam("person_id")
_organisation_id: BindParameter[int] = bindparam("organisation_id")

# ---- whom -----------------------------------------------------------------------------------------------------------

_wants = exists().where(
    notification_rules.c.person_id == memberships.c.person_id,
    notification_rules.c.organisation_id == memberships.c.organisation_id,
    or_(notification_rules.c.by_mail == 1, notification_rules.c.in_portal == 1),
)
_members = (
    select(
        people.c.id, people.c.name, people.c.email, people.c.language, people.c.time_zone, people.c.quiet_from_minute,
        people.c.quiet_until_minute, memberships.c.role, organisations.c.name.label("organisation_name"),
    )
    .join(people, people.c.id == memberships.c.person_id)
    .join(organisations, organisations.c.id == memberships.c.organisation_id)
    .where(
        memberships.c.organisation_id == _organisation_id,
        people.c.disabled == 0,
        people.c.erased_ms.is_(None),
        or_(memberships.c.expires_ms.is_(None), memberships.c.expires_ms > bindparam("now_ms")),
    )
)  # fmt: skip
_listeners = _members.where(or_(memberships.c.role != "user", _wants))
_listener = _members.where(memberships.c.person_id == _person_id)
_locations = select(membership_locations.c.person_id, membership_locations.c.location_id).where(
    membership_locations.c.organisation_id == _organisation_id
)
_rules = select(notification_rules).where(notification_rules.c.organisation_id == _organisation_id)
_rules_of = _rules.where(notification_rules.c.person_id == _person_id)
_no_rules = delete(notification_rules).where(
    notification_rules.c.organisation_id == _organisation_id, notification_rules.c.person_id == _person_id
)
_batch_counts = (
    select(restarts.c.location_id, restarts.c.verdict, func.count().label("restarts"))
    .where(restarts.c.batch_id == bindparam("batch_id"), restarts.c.organisation_id == _organisation_id)
    .group_by(restarts.c.location_id, restarts.c.verdict)
)
_batch_phase = select(batches.c.phase).where(
    batches.c.id == bindparam("batch_id"), batches.c.organisation_id == _organisation_id
)
_open_of_batch = (
    select(restarts.c.id)
    .where(
        restarts.c.batch_id == bindparam("batch_id"),
        restarts.c.organisation_id == _organisation_id,
        restarts.c.is_open == 1,
    )
    .limit(1)
)
_quiet = select(people.c.time_zone, people.c.quiet_from_minute, people.c.quiet_until_minute).where(
    people.c.id == _person_id
)
_set_quiet = (
    update(people)
    .where(people.c.id == _person_id)
    .values(
        time_zone=bindparam("zone"),
        quiet_from_minute=bindparam("from_minute"),
        quiet_until_minute=bindparam("until_minute"),
    )
)

# ---- notices --------------------------------------------------------------------------------------------------------

_end = (
    update(notices)
    .where(
        notices.c.organisation_id == _organisation_id,
        notices.c.key == bindparam("the_key"),
        notices.c.ended_ms.is_(None),
    )
    .values(ended_ms=bindparam("at_ms"))
)
_mine = (notices.c.person_id == _person_id, notices.c.organisation_id == _organisation_id)
_due_people = across(
    select(notices.c.person_id, notices.c.organisation_id)
    .where(notices.c.mail_after_ms <= bindparam("now_ms"))
    .order_by(notices.c.mail_after_ms)
    .limit(bindparam("most")),
    "asks who is to be mailed, in which organisation; each mail then keeps to one",
)
_due_of = (
    select(notices).where(*_mine, notices.c.mail_after_ms <= bindparam("until_ms")).order_by(notices.c.id).limit(2_000)
)
_hold = update(notices).where(*_mine, notices.c.id.in_(bindparam("ids", expanding=True)))
_hold_until = _hold.values(mail_after_ms=bindparam("new_ms", type_=BigInteger))

_reached = (
    *_mine,
    or_(
        bindparam("all_locations", type_=BigInteger) == 1,
        notices.c.location_id.in_(bindparam("location_ids", expanding=True)),
    ),
    or_(
        bindparam("all_chargers", type_=BigInteger) == 1,
        notices.c.charger_id.in_(bindparam("charger_ids", expanding=True)),
    ),
)
_listed = (
    *_reached,
    notices.c.in_portal == 1,
    or_(bindparam("any_event", type_=BigInteger) == 1, notices.c.event == bindparam("event")),
)
_unread = select(func.count()).where(*_listed, notices.c.read_ms.is_(None))
_slice = (
    select(notices)
    .where(*_listed)
    .order_by(notices.c.id.desc())
    .limit(bindparam("most", type_=BigInteger))
    .offset(bindparam("skip", type_=BigInteger))
)
_unread_slice = _slice.where(notices.c.read_ms.is_(None))
_read_slice = _slice.where(notices.c.read_ms.is_not(None))
_one = select(notices).where(*_reached, notices.c.id == bindparam("notice_id"))
_read = update(notices).where(*_mine, notices.c.id == bindparam("notice_id"), notices.c.read_ms.is_(None))
_read_one = _read.values(read_ms=bindparam("at_ms", type_=BigInteger))
_read_all = (
    update(notices)
    .where(*_mine, notices.c.read_ms.is_(None), notices.c.id <= bindparam("newest_id"))
    .values(read_ms=bindparam("at_ms", type_=BigInteger))
)
_old = across(select(notices.c.id).where(notices.c.at_ms < bindparam("before_ms")).limit(bindparam("most")), RETENTION)
_prune = across(delete(notices).where(notices.c.id.in_(_old)), RETENTION)
_forget = delete(notices).where(*_mine)


async def listeners(db: Reader, organisation_id: int, now_ms: int) -> list[Row]:
    """Members whose access is alive, with a role that hears of things by default or a rule of their own: id, name, email,
    language, time_zone, quiet_from_minute, quiet_until_minute, role, organisation_name."""
    return await db.all(_listeners, {"organisation_id": organisation_id, "now_ms": now_ms})


async def listener(db: Reader, person_id: int, organisation_id: int, now_ms: int) -> Row | None:
    """The same of one person; None when their access is over."""
    return await db.first(_listener, {"person_id": person_id, "organisation_id": organisation_id, "now_ms": now_ms})


async def locations_of(db: Reader, organisation_id: int) -> dict[int, tuple[int, ...]]:
    """The locations of each admin and operator of an organisation, by person."""
    found: dict[int, tuple[int, ...]] = {}
    for row in await db.all(_locations, {"organisation_id": organisation_id}):
        found[row.person_id] = (*found.get(row.person_id, ()), row.location_id)
    return found


async def rules(db: Reader, organisation_id: int, person_id: int | None = None) -> list[Row]:
    """person_id, organisation_id, event, by_mail, in_portal, minutes of everybody there, or of one person."""
    if person_id is None:
        return await db.all(_rules, {"organisation_id": organisation_id})
    return await db.all(_rules_of, {"organisation_id": organisation_id, "person_id": person_id})


async def set_rules(tx: Transaction, person_id: int, organisation_id: int, rows: Sequence[Sequence[Any]]) -> None:
    """Replace somebody's rules there: rows of event, in_portal, by_mail, minutes."""
    await tx.run(_no_rules, {"person_id": person_id, "organisation_id": organisation_id})
    columns = ("person_id", "organisation_id", "event", "in_portal", "by_mail", "minutes")
    if rows:
        values = [(person_id, organisation_id, *row) for row in rows]
        await tx.upsert_many(notification_rules, columns[:3], columns[3:], values)


async def quiet_of(db: Reader, person_id: int) -> Row | None:
    """time_zone, quiet_from_minute, quiet_until_minute."""
    return await db.first(_quiet, {"person_id": person_id})


async def set_quiet(
    tx: Transaction, person_id: int, *, zone: str, from_minute: int | None, until_minute: int | None
) -> None:
    wanted = {"person_id": person_id, "zone": zone, "from_minute": from_minute, "until_minute": until_minute}
    await tx.run(_set_quiet, wanted)


async def batch_counts(db: Reader, organisation_id: int, batch_id: int) -> list[Row]:
    """How the restarts of a batch went: location_id, verdict (None: open), restarts."""
    return await db.all(_batch_counts, {"organisation_id": organisation_id, "batch_id": batch_id})


async def batch_runs(db: Reader, organisation_id: int, batch_id: int) -> bool:
    """Whether more will be known of a batch by itself: it runs, or restarts of it are under way. A paused one asks what to do."""
    wanted = {"organisation_id": organisation_id, "batch_id": batch_id}
    phase = await db.value(_batch_phase, wanted)
    if phase in ("filling", "running"):
        return True
    return phase in ("stopped", "done") and await db.first(_open_of_batch, wanted) is not None


# ---- making and mailing ----------------------------------------------------------------------------------------------


async def add(tx: Transaction, rows: Sequence[Sequence[Any]]) -> None:
    """Add notices, rows of KEYS and COLUMNS. What a person was told under a key stays as it is."""
    if rows:
        await tx.upsert_many(notices, KEYS, COLUMNS, rows, keep=True)


async def set_details(tx: Transaction, rows: Sequence[tuple[int, int, str, str]]) -> None:
    """Replace the details of notices, one a person: rows of CHANGE_KEYS and details."""
    if rows:
        await tx.update_many(notices, CHANGE_KEYS, ("details",), rows)


async def end(tx: Transaction, organisation_id: int, key: str, at_ms: int) -> None:
    """What the notices with this key tell of is over."""
    await tx.run(_end, {"organisation_id": organisation_id, "the_key": key, "at_ms": at_ms})


async def due_people(db: Reader, now_ms: int, most: int) -> list[tuple[int, int]]:
    """Who waits longest for notices by mail: persons and organisations of so many notices that are due."""
    rows = await db.all(_due_people, {"now_ms": now_ms, "most": most}, fast=True)
    return list(dict.fromkeys((row.person_id, row.organisation_id) for row in rows))


async def due_of(db: Reader, person_id: int, organisation_id: int, until_ms: int) -> list[Row]:
    """The notices of one person that wait to be mailed until then, the oldest first: whole rows."""
    wanted = {"person_id": person_id, "organisation_id": organisation_id, "until_ms": until_ms}
    return await db.all(_due_of, wanted)


async def hold_mail(
    tx: Transaction, person_id: int, organisation_id: int, ids: Collection[int], until_ms: int | None
) -> None:
    """Mail these later; None: no more (they were mailed, or need not be)."""
    if ids:
        wanted = {"person_id": person_id, "organisation_id": organisation_id, "ids": list(ids), "new_ms": until_ms}
        await tx.run(_hold_until, wanted)


# ---- reading ---------------------------------------------------------------------------------------------------------


class NoticePage(msgspec.Struct, frozen=True):
    """Rows of a page, and whether there are more."""

    rows: list[Row]
    has_more: bool


def _of(scope: Scope, event: str | None = None) -> dict[str, Any]:
    """What a person may read: their own, of what they reach today; of one event, None: of all."""
    return {
        "person_id": scope.person_id,
        "organisation_id": scope.organisation_id,
        "all_locations": int(scope.location_ids is None),
        "location_ids": list(scope.location_ids or (0,)),
        "all_chargers": int(scope.charger_ids is None),
        "charger_ids": list(scope.charger_ids or (0,)),
        "any_event": int(event is None),
        "event": event or "",
    }


async def unread(db: Reader, scope: Scope, event: str | None = None) -> int:
    """How many notices this person has not read."""
    return int(await db.value(_unread, _of(scope, event), fast=True))


async def page(db: Reader, scope: Scope, *, also_read: bool, event: str | None, skip: int) -> NoticePage:
    """A page of notices, whole rows: the unread first, then the newest first. Each half walks an index and stops."""
    wanted, most = _of(scope, event), PAGE_ROWS + 1
    rows = await db.all(_unread_slice, {**wanted, "most": most, "skip": skip})
    if also_read and len(rows) < most:
        before = max(0, skip - await unread(db, scope, event))
        rows += await db.all(_read_slice, {**wanted, "most": most - len(rows), "skip": before})
    return NoticePage(rows[:PAGE_ROWS], len(rows) > PAGE_ROWS)


async def one(db: Reader, scope: Scope, notice_id: int) -> Row | None:
    """A notice of this person, also one that was only mailed; None when there is none, or its thing is out of reach by now."""
    return await db.first(_one, {**_of(scope), "notice_id": notice_id})


async def mark_read(tx: Transaction, scope: Scope, notice_id: int, at_ms: int) -> None:
    wanted = {"person_id": scope.person_id, "organisation_id": scope.organisation_id, "notice_id": notice_id}
    await tx.run(_read_one, {**wanted, "at_ms": at_ms})


async def mark_all_read(tx: Transaction, scope: Scope, newest_id: int, at_ms: int) -> None:
    """Mark what is there up to this notice: what came since was not seen."""
    wanted = {"person_id": scope.person_id, "organisation_id": scope.organisation_id, "newest_id": newest_id}
    await tx.run(_read_all, {**wanted, "at_ms": at_ms})


async def forget(tx: Transaction, person_id: int, organisation_id: int) -> None:
    """Drop the notices and rules of somebody who leaves an organisation."""
    await tx.run(_forget, {"person_id": person_id, "organisation_id": organisation_id})
    await tx.run(_no_rules, {"person_id": person_id, "organisation_id": organisation_id})


async def prune(tx: Transaction, before_ms: int, limit: int = 2_000) -> int:
    """Forget notices of before this instant. Returns how many."""
    return await tx.run(_prune, {"before_ms": before_ms, "most": limit})
