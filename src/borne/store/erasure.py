"""Taking a person out of the database. What happens to each table that knows people stands in one place: a test looks that none
is forgotten.

What others did stays: a restart keeps its verdict, a session its energy. They lose the name.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from sqlalchemy import BigInteger, ColumnElement, Table, bindparam, delete, func, or_, select, update

from borne.core.actor import ERASED
from borne.store import schema as s
from borne.store.db import Reader, Row, Transaction
from borne.store.tenancy import across

WHY = "a person is erased in all organisations at once"
Rule = Literal["deleted", "named", "named by name", "own"]

# deleted: rows of the person. named: rows that stay, without the name. named by name: rows that hold only a name, of the person's
# organisations. own: what this file, or engine.erasure, does by a statement of its own.
RULES: dict[str, Rule] = {
    "access_group_people": "deleted",
    "api_tokens": "deleted",
    "archived_chargers": "named by name",
    "assignments": "deleted",
    "assumptions": "named by name",
    "audit_log": "own",
    "batches": "named",
    "charger_changes": "named",
    "charger_imports": "own",  # a number of nobody from then on
    "consents": "own",
    "energy_prices": "named by name",
    "handovers": "named by name",
    "identities": "deleted",
    "invitations": "own",
    "login_steps": "deleted",
    "logins": "deleted",
    "mails": "own",
    "membership_locations": "deleted",
    "memberships": "deleted",
    "notices": "deleted",
    "notification_rules": "deleted",
    "passkeys": "deleted",
    "password_resets": "deleted",
    "people": "own",
    "person_days": "deleted",
    "person_months": "deleted",
    "plan_changes": "named by name",
    "recovery_codes": "deleted",
    "report_rules": "deleted",
    "restarts": "named",
    "saved_views": "deleted",
    "sessions": "own",
    "tags": "own",
    "vehicles": "deleted",
}

_person = bindparam("of_person_id", type_=BigInteger)
_deletes = [
    across(delete(table).where(table.c.person_id == _person), WHY)
    for name, table in s.metadata.tables.items()
    if RULES.get(name) == "deleted"
]


def _without_name(table: Table) -> dict[str, object]:
    values: dict[str, object] = {"person_name": ERASED}
    if table.c.person_id.nullable:
        values["person_id"] = None
    if "address" in table.c:
        values["address"] = ""
    return values


_names = [
    across(update(table).where(table.c.person_id == _person).values(_without_name(table)), WHY)
    for name, table in s.metadata.tables.items()
    if RULES.get(name) == "named"
]
_by_name = [
    across(
        update(table)
        .where(
            table.c.organisation_id.in_(bindparam("organisation_ids", expanding=True)),
            table.c.person_name == bindparam("old_name"),
        )
        .values(person_name=ERASED),
        WHY,
    )
    for name, table in s.metadata.tables.items()
    if RULES.get(name) == "named by name"
]
_consents = [
    across(update(s.consents).where(s.consents.c.person_id == _person).values(person_name=ERASED), WHY),
    across(
        update(s.consents).where(s.consents.c.answered_by == _person).values(answered_by=None, answered_name=ERASED),
        WHY,
    ),
]
_invitations = [
    across(delete(s.invitations).where(s.invitations.c.email == bindparam("email")), WHY),
    across(
        update(s.invitations).where(s.invitations.c.person_id == _person).values(person_id=None, person_name=ERASED),
        WHY,
    ),
]
_mails_to = delete(s.mails).where(s.mails.c.recipient == bindparam("email"))
_mails_about = (
    update(s.mails)
    .where(or_(s.mails.c.body.contains(bindparam("email")), s.mails.c.subject.contains(bindparam("email"))))
    .values(
        body=func.replace(func.replace(s.mails.c.body, bindparam("email"), ERASED), bindparam("old_name"), ERASED),
        subject=func.replace(s.mails.c.subject, bindparam("email"), ERASED),
    )
)
# A tag that belongs to nobody would open every charger: it is blocked.
_tags = across(
    update(s.tags).where(s.tags.c.person_id == _person).values(person_id=None, name="", blocked=1),
    WHY,
)
_own_tags = across(select(s.tags.c.organisation_id, s.tags.c.tag).where(s.tags.c.person_id == _person), WHY)
S = s.sessions.c
_sessions = across(
    select(S.id, S.charger_id, S.tag, S.started_ms, S.ended_ms)
    .where(or_(S.person_id == _person, S.measured_person_id == _person))
    .order_by(S.id),
    WHY,
)
_sessions_of_tag = (
    select(S.id, S.charger_id, S.tag, S.started_ms, S.ended_ms)
    .where(S.organisation_id == bindparam("organisation_id"), func.lower(S.tag) == bindparam("tag"))
    .order_by(S.id)
)
_bare_session = across(
    update(s.sessions)
    .where(S.id == bindparam("session_id"))
    .values(
        tag=None,
        person_id=None,
        measured_person_id=None,
        dirty=S.dirty + 1,  # whoever measures it at this moment, for the person still, does so again
        vehicle_id=None,
        start_key=bindparam("bare_key"),
        conflicts=func.replace(S.conflicts, bindparam("old_tag"), ERASED),
    ),
    WHY,
)
M = s.session_messages.c
_bare_message = across(
    update(s.session_messages)
    .where(M.charger_id == bindparam("of_charger_id"), M.received_ms == bindparam("at_ms"))
    .values(raw=func.replace(M.raw, bindparam("old_tag"), ERASED)),
    WHY,
)
P = s.people.c
_bare_person = across(
    update(s.people)
    .where(P.id == _person)
    .values(
        email=bindparam("bare_email"), name=ERASED, password_hash=None, language=None, operates_installation=0, disabled=1,
        totp_secret=None, totp_step=None, time_zone=None, quiet_from_minute=None, quiet_until_minute=None,
        erased_ms=bindparam("now_ms"),
    ),
    WHY,
)  # fmt: skip
_person_row = across(
    select(P.id, P.name, P.email, P.operates_installation).where(P.id == _person, P.erased_ms.is_(None)), WHY
)
_other_operators = across(
    select(P.id).where(P.operates_installation == 1, P.disabled == 0, P.id != _person).limit(1),
    "who operates the installation belongs to no organisation",
)
_memberships = across(select(s.memberships.c.organisation_id).where(s.memberships.c.person_id == _person), WHY)
_acted_in = across(
    select(s.audit_log.c.organisation_id)
    .where(or_(s.audit_log.c.actor_id == _person, s.audit_log.c.person_id == _person))
    .distinct(),
    WHY,
)


async def person(db: Reader, person_id: int) -> Row | None:
    """Who is to be erased: id, name, email, operates_installation; None: nobody, or erased already."""
    return await db.first(_person_row, {"of_person_id": person_id})


async def organisations_of(db: Reader, person_id: int) -> list[int]:
    """The organisations that somebody is a member of, also where the access is over."""
    return [row.organisation_id for row in await db.all(_memberships, {"of_person_id": person_id})]


async def acted_in(db: Reader, person_id: int) -> set[int]:
    """The organisations where somebody ever did something, or had something done to."""
    rows = await db.all(_acted_in, {"of_person_id": person_id})
    return {row.organisation_id for row in rows if row.organisation_id is not None}


async def is_last_operator(db: Reader, person_id: int) -> bool:
    """Whether nobody else would operate the installation."""
    return await db.first(_other_operators, {"of_person_id": person_id}) is None


async def erase(tx: Transaction, row: Row, organisation_ids: Sequence[int], now_ms: int) -> None:
    """Take the person (a row of `person`) out of every table but the audit log."""
    of_person = {"of_person_id": row.id}
    await _sessions_lose_them(tx, row.id)
    for statement in (*_deletes, *_names, *_consents, _tags):
        await tx.run(statement, of_person)
    if organisation_ids:
        for statement in _by_name:
            await tx.run(statement, {"organisation_ids": list(organisation_ids), "old_name": row.name})
    await tx.run(_invitations[0], {"email": row.email})
    await tx.run(_invitations[1], of_person)
    await tx.run(_mails_to, {"email": row.email})
    await tx.run(_mails_about, {"email": row.email, "old_name": row.name})
    await tx.run(_bare_person, {**of_person, "bare_email": f"erased-{row.id}", "now_ms": now_ms})


async def _sessions_lose_them(tx: Transaction, person_id: int) -> None:
    found = {one.id: one for one in await tx.all(_sessions, {"of_person_id": person_id})}
    for tag in await tx.all(_own_tags, {"of_person_id": person_id}):
        wanted = {"organisation_id": tag.organisation_id, "tag": tag.tag}
        found |= {one.id: one for one in await tx.all(_sessions_of_tag, wanted)}
    bare, messages = [], []
    for one in found.values():
        old_tag = one.tag or ERASED
        bare.append({"session_id": one.id, "bare_key": f"erased {one.id}", "old_tag": old_tag})
        for at_ms in (one.started_ms, one.ended_ms):
            if at_ms is not None:
                messages.append({"of_charger_id": one.charger_id, "at_ms": at_ms, "old_tag": old_tag})
    await tx.run_many(_bare_session, bare)
    await tx.run_many(_bare_message, messages)


# ---- traces in texts: lines of timelines, steps of restarts ------------------------------------------------------


class Traced:
    """A table of which rows name people in a JSON text, beside their id: read and written by slices of ids."""

    def __init__(self, table: Table, column: str, *more: str) -> None:
        ids, text = table.c.id, table.c[column]
        found: ColumnElement[bool] = or_(*(text.contains(bindparam(f"mark_{n}"), autoescape=False) for n in range(2)))
        self.newest = across(select(func.max(ids)), WHY)
        self.slice = across(
            select(ids, text.label("text"), *(table.c[name] for name in more)).where(
                ids > bindparam("after_id"), ids <= bindparam("until_id"), found
            ),
            WHY,
        )
        self.write = across(
            update(table).where(ids == bindparam("row_id")).values({column: bindparam("new_text")}), WHY
        )


EVENTS = Traced(s.events, "details")
RESTARTS = Traced(s.restarts, "state", "charger_id", "watches")
JOBS = Traced(s.jobs, "payload")
DEAD_LETTERS = Traced(s.dead_letters, "fact")


async def newest_id(db: Reader, traced: Traced) -> int:
    """Up to where there is something to look through."""
    return int(await db.value(traced.newest) or 0)


async def traces(db: Reader, traced: Traced, marks: tuple[str, str], after_id: int, until_id: int) -> list[Row]:
    """Rows of a slice that hold one of two texts: id, text, and what else the table gives."""
    wanted = {"mark_0": marks[0], "mark_1": marks[1], "after_id": after_id, "until_id": until_id}
    return await db.all(traced.slice, wanted)


async def rewrite(tx: Transaction, traced: Traced, rows: Sequence[tuple[int, str]]) -> None:
    """Put other texts into rows."""
    await tx.run_many(traced.write, [{"row_id": row_id, "new_text": text} for row_id, text in rows])
