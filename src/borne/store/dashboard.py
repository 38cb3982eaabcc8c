"""What the overview asks beside the statistics: power that is drawn now, and how the restarts of the last days went."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from sqlalchemy import BindParameter, Select, and_, bindparam, case, func, select

from borne.core.scope import Scope
from borne.store.db import Reader, Row
from borne.store.schema import chargers, restarts, sessions
from borne.store.tenancy import beside

S, C, R = sessions.c, chargers.c, restarts.c
_organisation_id: BindParameter[int] = bindparam("organisation_id")
_location_ids: BindParameter[Any] = bindparam("location_ids", expanding=True)


@lru_cache(maxsize=2)
def _running(limited: bool) -> Select[Any]:
    here = and_(C.id == S.charger_id, beside(C.organisation_id) == _organisation_id)
    online = C.online == 1
    statement = (
        select(
            func.count().label("sessions"),
            func.coalesce(func.sum(case((online, 1), else_=0)), 0).label("heard"),
            func.coalesce(func.sum(case((online, S.power_w), else_=0)), 0).label("power_w"),
        )
        .select_from(sessions.outerjoin(chargers, here))
        .where(S.organisation_id == _organisation_id, S.ended_ms.is_(None))
    )
    return statement.where(S.location_id.in_(_location_ids)) if limited else statement


@lru_cache(maxsize=2)
def _verdicts(limited: bool) -> Select[Any]:
    statement = select(R.verdict, func.count().label("restarts")).where(
        R.organisation_id == _organisation_id, R.requested_ms >= bindparam("from_ms")
    )
    if limited:
        statement = statement.where(R.location_id.in_(_location_ids))
    return statement.group_by(R.verdict)


def _values(scope: Scope) -> dict[str, Any]:
    values: dict[str, Any] = {"organisation_id": scope.organisation_id}
    if scope.location_ids is not None:
        values["location_ids"] = list(scope.location_ids)
    return values


async def running(db: Reader, scope: Scope) -> Row:
    """sessions that run, those `heard` of chargers that are online, and power_w of these. Not for users: it counts everybody."""
    found = await db.first(_running(scope.location_ids is not None), _values(scope))
    assert found is not None
    return found


async def verdicts(db: Reader, scope: Scope, from_ms: int) -> dict[str | None, int]:
    """How many restarts that were asked for since then ended how; None: they are under way. Not for users, either."""
    rows = await db.all(_verdicts(scope.location_ids is not None), {**_values(scope), "from_ms": from_ms})
    return {row.verdict: row.restarts for row in rows}
