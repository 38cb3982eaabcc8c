"""Consents: the operator of the installation asks to look into an organisation, and one of its super-admins answers."""

from __future__ import annotations

from sqlalchemy import bindparam, select, update

from borne.store.db import Reader, Row, Transaction
from borne.store.schema import consents

SHOWN = 50

_is_open = consents.c.ended_ms.is_(None) & (
    consents.c.answered_ms.is_(None) | (consents.c.until_ms > bindparam("now_ms"))
)
_open = (
    select(consents)
    .where(consents.c.organisation_id == bindparam("organisation_id"), _is_open)
    .order_by(consents.c.id)
    .limit(SHOWN)
)
_all = (
    select(consents)
    .where(consents.c.organisation_id == bindparam("organisation_id"))
    .order_by(consents.c.id.desc())
    .limit(SHOWN)
)
_one = select(consents).where(
    consents.c.id == bindparam("consent_id"), consents.c.organisation_id == bindparam("organisation_id")
)
_answer = (
    update(consents)
    .where(
        consents.c.id == bindparam("consent_id"),
        consents.c.organisation_id == bindparam("of_organisation_id"),
        consents.c.answered_ms.is_(None),
        consents.c.ended_ms.is_(None),
    )
    .values(
        answered_by=bindparam("person_id"),
        answered_name=bindparam("person_name"),
        answered_ms=bindparam("now_ms"),
        until_ms=bindparam("new_until_ms"),
    )
)
_end = (
    update(consents)
    .where(
        consents.c.id == bindparam("consent_id"),
        consents.c.organisation_id == bindparam("of_organisation_id"),
        consents.c.ended_ms.is_(None),
    )
    .values(ended_ms=bindparam("now_ms"))
)


async def ask(
    tx: Transaction, organisation_id: int, *, person_id: int, person_name: str, why: str, hours: int, now_ms: int
) -> int:
    """Ask to look in for so many hours; returns the consent's id."""
    values = {
        "organisation_id": organisation_id,
        "person_id": person_id,
        "person_name": person_name,
        "why": why,
        "hours": hours,
        "asked_ms": now_ms,
    }
    return await tx.insert(consents, values)


async def open_of(db: Reader, organisation_id: int, now_ms: int) -> list[Row]:
    """Questions that wait for an answer, and consents that hold now."""
    return await db.all(_open, {"organisation_id": organisation_id, "now_ms": now_ms}, fast=True)


async def of_organisation(db: Reader, organisation_id: int) -> list[Row]:
    """The last ones, newest first, those that are over too."""
    return await db.all(_all, {"organisation_id": organisation_id})


async def by_id(db: Reader, organisation_id: int, consent_id: int) -> Row | None:
    return await db.first(_one, {"organisation_id": organisation_id, "consent_id": consent_id}, fast=True)


async def answer(
    tx: Transaction,
    organisation_id: int,
    consent_id: int,
    *,
    person_id: int,
    person_name: str,
    until_ms: int | None,
    now_ms: int,
) -> bool:
    """Grant until an instant, or refuse (None). False: answered or withdrawn before; of two at once one is told True."""
    wanted = {
        "consent_id": consent_id,
        "of_organisation_id": organisation_id,
        "person_id": person_id,
        "person_name": person_name,
        "new_until_ms": until_ms,
        "now_ms": now_ms,
    }
    return await tx.run(_answer, wanted) == 1


async def end(tx: Transaction, organisation_id: int, consent_id: int, now_ms: int) -> bool:
    """Withdraw a question, or end a consent, from either side. False: it was over."""
    wanted = {"consent_id": consent_id, "of_organisation_id": organisation_id, "now_ms": now_ms}
    return await tx.run(_end, wanted) == 1
