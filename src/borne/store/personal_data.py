"""All that is kept of one person, for themself: table by table, without what only Borne must know (hashes, keys)."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import BigInteger, Table, bindparam, or_, select

from borne.store import schema as s
from borne.store.db import Reader
from borne.store.tenancy import across

WHY = "a person's own data, of all organisations that they belong to"
MOST_ROWS = 50_000  # of a table: the newest

_person = bindparam("of_person_id", type_=BigInteger)


def _columns(table: Table, *names: str) -> tuple[Table, tuple[str, ...]]:
    return table, names


TABLES: dict[str, tuple[Table, tuple[str, ...]]] = {
    "memberships": _columns(s.memberships, "organisation_id", "role", "created_ms", "expires_ms", "seen_ms"),
    "locations": _columns(s.membership_locations, "organisation_id", "location_id"),
    "access_groups": _columns(s.access_group_people, "organisation_id", "access_group_id"),
    "chargers": _columns(s.assignments, "charger_id"),
    "tags": _columns(s.tags, "organisation_id", "tag", "name", "blocked", "expires_ms", "group_tag", "created_ms"),
    "vehicles": _columns(
        s.vehicles, "organisation_id", "name", "battery_wh", "wh_100km", "replaced", "replaced_ml_100km", "tag", "created_ms",
        "archived_ms",
    ),
    "logins": _columns(s.logins, "organisation_id", "created_ms", "seen_ms", "expires_ms", "address", "agent"),
    "sign_in_providers": _columns(s.identities, "provider_id", "subject", "created_ms"),
    "passkeys": _columns(s.passkeys, "name", "created_ms", "used_ms"),
    "api_tokens": _columns(
        s.api_tokens, "organisation_id", "kind", "name", "scopes", "created_ms", "expires_ms", "used_ms", "used_address"
    ),
    "sessions": _columns(
        s.sessions, "id", "organisation_id", "location_id", "charger_id", "evse", "connector", "tag", "started_ms", "ended_ms",
        "meter_start_wh", "meter_stop_wh", "energy_wh", "end_reason",
    ),
    "days": _columns(s.person_days, *(column.name for column in s.person_days.c if column.name != "person_id")),
    "months": _columns(s.person_months, *(column.name for column in s.person_months.c if column.name != "person_id")),
    "restarts": _columns(
        s.restarts, "id", "organisation_id", "charger_id", "requested_ms", "why", "kind", "verdict", "reason", "ended_ms"
    ),
    "restarts_of_many": _columns(s.batches, "id", "organisation_id", "created_ms", "why", "total"),
    "changes_of_many": _columns(s.charger_changes, "id", "organisation_id", "address", "total", "created_ms"),
    "notices": _columns(s.notices, "organisation_id", "event", "at_ms", "charger_id", "location_id", "details", "read_ms"),
    "notice_settings": _columns(s.notification_rules, "organisation_id", "event", "by_mail", "in_portal", "minutes"),
    "saved_views": _columns(s.saved_views, "organisation_id", "page", "name", "query", "created_ms"),
    "reports": _columns(s.report_rules, "organisation_id", "about", "about_id", "format", "next_ms", "sent_ms", "created_ms"),
    "invitations_sent": _columns(s.invitations, "organisation_id", "role", "created_ms", "accepted_ms", "revoked_ms"),
    "requests_to_look_in": _columns(s.consents, "organisation_id", "why", "hours", "asked_ms", "until_ms", "ended_ms"),
}  # fmt: skip
_rows = {
    name: across(
        select(*(table.c[column] for column in columns)).where(table.c.person_id == _person).limit(MOST_ROWS), WHY
    )
    for name, (table, columns) in TABLES.items()
}
P, A, V, G = s.people.c, s.audit_log.c, s.invitations.c, s.organisations.c
_profile = across(
    select(
        P.name, P.email, P.language, P.time_zone, P.quiet_from_minute, P.quiet_until_minute, P.created_ms,
        P.operates_installation,
    ).where(P.id == _person),
    WHY,
)  # fmt: skip
_invited = across(
    select(V.organisation_id, V.email, V.name, V.role, V.tags, V.created_ms, V.expires_ms, V.accepted_ms, V.revoked_ms)
    .where(V.email == bindparam("email"))
    .limit(MOST_ROWS),
    WHY,
)
_audit = across(
    select(A.at_ms, A.organisation_id, A.actor_id, A.person_id, A.action, A.object_kind, A.object_id, A.details)
    .where(or_(A.actor_id == _person, A.person_id == _person))
    .order_by(A.seq.desc())
    .limit(MOST_ROWS),
    WHY,
)
_names = across(select(G.id, G.name).where(G.id.in_(bindparam("ids", expanding=True))), WHY)


Records = list[dict[str, object]]


async def profile(db: Reader, person_id: int) -> dict[str, object] | None:
    """Who somebody is; None for nobody."""
    row = await db.first(_profile, {"of_person_id": person_id})
    return None if row is None else _record(_profile.selected_columns.keys(), row)


async def records(db: Reader, name: str, person_id: int) -> Records:
    """The rows of one of TABLES."""
    return [_record(TABLES[name][1], row) for row in await db.all(_rows[name], {"of_person_id": person_id})]


async def invitations_of(db: Reader, email: str) -> Records:
    """Invitations that went to this address."""
    columns = _invited.selected_columns.keys()
    return [_record(columns, row) for row in await db.all(_invited, {"email": email})]


async def audit_of(db: Reader, person_id: int) -> Records:
    """What the audit log says the person did, or had done to them; the newest first."""
    columns = _audit.selected_columns.keys()
    return [_record(columns, row) for row in await db.all(_audit, {"of_person_id": person_id})]


async def organisation_names(db: Reader, ids: Sequence[int]) -> dict[int, str]:
    """What the organisations of the rows are called."""
    return {row.id: row.name for row in await db.all(_names, {"ids": list(ids)})}


def _record(columns: Sequence[str], row: Sequence[object]) -> dict[str, object]:
    return dict(zip(columns, row, strict=True))
