"""The tables: one dialect-neutral schema for SQLite and PostgreSQL.

Only big integers, text and blobs, so that both databases return the same Python values and nothing needs converting: instants are
milliseconds since the epoch (`*_ms`), flags are 0 or 1, structures are JSON text. Text from chargers has been cleaned
(no NUL, no lone surrogates) before it comes here.
"""

from __future__ import annotations

from borne.store.schema.administration import (
    audit_head,
    audit_log,
    consents,
    news,
    notices,
    notification_rules,
    plan_changes,
    plan_days,
    troubles,
)
from borne.store.schema.chargers import (
    archived_chargers,
    charger_changes,
    charger_imports,
    chargers,
    events,
    handovers,
)
from borne.store.schema.columns import metadata
from borne.store.schema.costs import (
    assumptions,
    corrections,
    energy_prices,
    listed_prices,
    price_lists,
    report_rules,
    saved_views,
    site_slots,
    vehicles,
)
from borne.store.schema.house import (
    dead_letters,
    incarnations,
    jobs,
    mails,
    settings,
)
from borne.store.schema.logins import (
    api_tokens,
    identities,
    identity_providers,
    login_steps,
    logins,
    passkeys,
    password_resets,
    recovery_codes,
)
from borne.store.schema.people import (
    access_group_chargers,
    access_group_people,
    access_groups,
    assignments,
    invitation_locations,
    invitations,
    locations,
    membership_locations,
    memberships,
    organisations,
    people,
    tags,
)
from borne.store.schema.restarts import (
    batches,
    restarts,
)
from borne.store.schema.sessions import (
    PARTITIONED,
    charger_days,
    charger_months,
    location_days,
    location_hours,
    location_months,
    location_slots,
    organisation_hours,
    person_days,
    person_months,
    readings,
    session_curves,
    session_messages,
    session_slots,
    sessions,
)

__all__ = [
    "PARTITIONED",
    "access_group_chargers",
    "access_group_people",
    "access_groups",
    "api_tokens",
    "archived_chargers",
    "assignments",
    "assumptions",
    "audit_head",
    "audit_log",
    "batches",
    "charger_changes",
    "charger_days",
    "charger_imports",
    "charger_months",
    "chargers",
    "consents",
    "corrections",
    "dead_letters",
    "energy_prices",
    "events",
    "handovers",
    "identities",
    "identity_providers",
    "incarnations",
    "invitation_locations",
    "invitations",
    "jobs",
    "listed_prices",
    "location_days",
    "location_hours",
    "location_months",
    "location_slots",
    "locations",
    "login_steps",
    "logins",
    "mails",
    "membership_locations",
    "memberships",
    "metadata",
    "news",
    "notices",
    "notification_rules",
    "organisation_hours",
    "organisations",
    "passkeys",
    "password_resets",
    "people",
    "person_days",
    "person_months",
    "plan_changes",
    "plan_days",
    "price_lists",
    "readings",
    "recovery_codes",
    "report_rules",
    "restarts",
    "saved_views",
    "session_curves",
    "session_messages",
    "session_slots",
    "sessions",
    "settings",
    "site_slots",
    "tags",
    "troubles",
    "vehicles",
]

# SQLite would give the id of the newest deleted row to the next one: a new charger must not inherit the history of another.
for _table in (
    organisations, locations, people, access_groups, invitations, identity_providers, api_tokens, consents, chargers, restarts,
    batches, sessions, charger_changes, charger_imports, energy_prices, price_lists, vehicles,
):  # fmt: skip
    _table.dialect_options["sqlite"]["autoincrement"] = True
