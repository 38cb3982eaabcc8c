"""Organisations that administer themselves: people, access, plans, audit, notices.

A frozen copy of what `borne.store.schema` gained.
"""

from __future__ import annotations

from typing import Any

from alembic import op
from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    text,
)

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

metadata = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pk",
        "ix": "%(table_name)s_%(column_0_N_name)s",
        "uq": "%(table_name)s_%(column_0_N_name)s_uq",
    }
)

Id = BigInteger().with_variant(Integer, "sqlite")


def _int(name: str, *, null: bool = False, default: str | None = None) -> Column[int]:
    return Column(name, BigInteger, nullable=null, server_default=default)


def _text(name: str, *, null: bool = False, default: str | None = None) -> Column[str]:
    return Column(name, Text, nullable=null, server_default=default)


def _blob(name: str, *, null: bool = False) -> Column[bytes]:
    return Column(name, LargeBinary, nullable=null)


def _id() -> Column[int]:
    return Column("id", Id, primary_key=True, autoincrement=True)


def _sums() -> tuple[Column[int], ...]:
    names = ("energy_wh", "charging_ms", "plugged_ms", "cost_nanos", "unpriced_wh", "sessions", "unknown")
    return tuple(_int(name, default="0") for name in names)


invitations = Table(
    "invitations",
    metadata,
    _id(),
    _int("organisation_id"),
    _text("email"),
    _text("name", default=""),
    Column("search", Text().with_variant(Text(collation="C"), "postgresql"), nullable=False, server_default=""),
    _text("role"),
    _int("access_group_id", null=True),
    _text("tags", default="[]"),
    _text("language", null=True),
    _int("membership_expires_ms", null=True),
    _blob("token_hash"),
    _int("person_id", null=True),
    _text("person_name"),
    _int("created_ms"),
    _int("sent_ms", null=True),
    _int("expires_ms"),
    _int("accepted_ms", null=True),
    _int("revoked_ms", null=True),
    Index("invitations_token_uq", "token_hash", unique=True),
    Index(None, "organisation_id", "created_ms"),
    Index(
        "invitations_open_uq",
        "organisation_id",
        "email",
        unique=True,
        sqlite_where=text("accepted_ms IS NULL AND revoked_ms IS NULL"),
        postgresql_where=text("accepted_ms IS NULL AND revoked_ms IS NULL"),
    ),
    Index(
        "invitations_by_name",
        "organisation_id",
        "search",
        "id",
        "role",
        "expires_ms",
        "accepted_ms",
        "revoked_ms",
        "access_group_id",
        sqlite_where=text("accepted_ms IS NULL AND revoked_ms IS NULL"),
        postgresql_where=text("accepted_ms IS NULL AND revoked_ms IS NULL"),
    ),
)

invitation_locations = Table(
    "invitation_locations",
    metadata,
    _int("invitation_id"),
    _int("organisation_id"),
    _int("location_id"),
    PrimaryKeyConstraint("invitation_id", "location_id"),
    Index(None, "organisation_id", "location_id", "invitation_id"),
)

access_groups = Table(
    "access_groups",
    metadata,
    _id(),
    _int("organisation_id"),
    _text("name"),
    _int("created_ms"),
    Index("access_groups_name_uq", "organisation_id", "name", unique=True),
)

access_group_chargers = Table(
    "access_group_chargers",
    metadata,
    _int("organisation_id"),
    _int("access_group_id"),
    _int("charger_id"),
    PrimaryKeyConstraint("access_group_id", "charger_id"),
    Index(None, "charger_id"),
)

access_group_people = Table(
    "access_group_people",
    metadata,
    _int("organisation_id"),
    _int("access_group_id"),
    _int("person_id"),
    PrimaryKeyConstraint("access_group_id", "person_id"),
    Index(None, "person_id"),
)

login_steps = Table(
    "login_steps",
    metadata,
    _blob("token_hash"),
    _text("kind"),
    _int("person_id", null=True),
    _text("payload", default="{}"),
    _int("expires_ms"),
    PrimaryKeyConstraint("token_hash"),
    Index(None, "expires_ms"),
)

passkeys = Table(
    "passkeys",
    metadata,
    _blob("credential_id"),
    _int("person_id"),
    _blob("public_key"),
    _int("sign_count"),
    _text("name"),
    _int("created_ms"),
    _int("used_ms", null=True),
    PrimaryKeyConstraint("credential_id"),
    Index(None, "person_id"),
)

recovery_codes = Table(
    "recovery_codes",
    metadata,
    _int("person_id"),
    _blob("code_hash"),
    _int("used_ms", null=True),
    PrimaryKeyConstraint("person_id", "code_hash"),
)

api_tokens = Table(
    "api_tokens",
    metadata,
    _id(),
    _int("person_id"),
    _int("organisation_id"),
    _text("kind"),
    _text("name"),
    _blob("token_hash"),
    _text("scopes", default="[]"),
    _int("created_ms"),
    _int("expires_ms", null=True),
    _int("used_ms", null=True),
    _text("used_address", default=""),
    Index("api_tokens_hash_uq", "token_hash", unique=True),
    Index(None, "person_id"),
)

identity_providers = Table(
    "identity_providers",
    metadata,
    _id(),
    _int("organisation_id"),
    _text("slug"),
    _text("name"),
    _text("issuer"),
    _text("client_id"),
    _blob("client_secret", null=True),
    _int("disabled", default="0"),
    _int("covers_second_factor", default="0"),
    _int("created_ms"),
    Index(None, "organisation_id"),
    Index("identity_providers_slug_uq", "slug", unique=True),
)

identities = Table(
    "identities",
    metadata,
    _int("provider_id"),
    _text("subject"),
    _int("person_id"),
    _int("created_ms"),
    PrimaryKeyConstraint("provider_id", "subject"),
    Index(None, "person_id"),
)

plan_changes = Table(
    "plan_changes",
    metadata,
    _id(),
    _int("organisation_id"),
    _int("at_ms"),
    _text("plan"),
    _text("person_name"),
    Index(None, "organisation_id", "at_ms"),
)

plan_days = Table(
    "plan_days",
    metadata,
    _int("organisation_id"),
    _text("day"),
    _text("plan"),
    _int("chargers"),
    _int("price_cents"),
    _int("late", default="0"),
    PrimaryKeyConstraint("organisation_id", "day"),
)

audit_log = Table(
    "audit_log",
    metadata,
    _int("seq"),
    _int("at_ms"),
    _int("organisation_id", null=True),
    _int("actor_id", null=True),
    _text("action"),
    _text("object_kind"),
    _int("object_id", null=True),
    _int("person_id", null=True),
    _blob("commitment"),
    _blob("hash"),
    _text("details", null=True),
    _blob("salt", null=True),
    PrimaryKeyConstraint("seq"),
    Index(None, "organisation_id", "seq"),
    Index(None, "organisation_id", "at_ms"),
    Index(None, "actor_id"),
    Index(None, "person_id"),
)

audit_head = Table(
    "audit_head",
    metadata,
    _int("id"),
    _int("seq"),
    _blob("hash"),
    PrimaryKeyConstraint("id"),
)

consents = Table(
    "consents",
    metadata,
    _id(),
    _int("organisation_id"),
    _int("person_id"),
    _text("person_name"),
    _text("why"),
    _int("hours"),
    _int("asked_ms"),
    _int("answered_by", null=True),
    _text("answered_name", null=True),
    _int("answered_ms", null=True),
    _int("until_ms", null=True),
    _int("ended_ms", null=True),
    Index(None, "organisation_id", "id"),
    Index(None, "person_id"),
)

notification_rules = Table(
    "notification_rules",
    metadata,
    _int("person_id"),
    _int("organisation_id"),
    _text("event"),
    _int("by_mail"),
    _int("in_portal"),
    _int("minutes", null=True),
    PrimaryKeyConstraint("person_id", "organisation_id", "event"),
)

notices = Table(
    "notices",
    metadata,
    _id(),
    _int("person_id"),
    _int("organisation_id"),
    _text("event"),
    _text("key"),
    _int("at_ms"),
    _int("charger_id", null=True),
    _int("location_id", null=True),
    _text("details", default="{}"),
    _int("in_portal", default="1"),
    _int("mail_after_ms", null=True),
    _int("read_ms", null=True),
    _int("ended_ms", null=True),
    Index("notices_key_uq", "person_id", "key", unique=True),
    Index(None, "organisation_id", "key"),
    Index(
        "notices_unread",
        "person_id",
        "organisation_id",
        "read_ms",
        "id",
        "in_portal",
        "location_id",
        "charger_id",
        "event",
    ),
    Index(None, "person_id", "organisation_id", "id"),
    Index(None, "mail_after_ms"),
    Index(None, "at_ms"),
)

news = Table(
    "news",
    metadata,
    _id(),
    _int("organisation_id"),
    _int("location_id"),
    _int("charger_id"),
    _int("at_ms"),
    _text("kind"),
    _text("details"),
)

troubles = Table(
    "troubles",
    metadata,
    _int("charger_id"),
    _text("kind"),
    _int("organisation_id"),
    _int("location_id"),
    _int("number"),
    _int("since_ms"),
    _int("counts_from_ms"),
    _int("ours"),
    _text("said", default=""),
    _int("many_ms", null=True),
    _int("told_ms", null=True),
    _int("ended_ms", null=True),
    PrimaryKeyConstraint("charger_id", "organisation_id", "kind"),
    Index(None, "kind", "counts_from_ms"),
    Index(None, "organisation_id", "location_id", "kind"),
)

archived_chargers = Table(
    "archived_chargers",
    metadata,
    _int("id"),
    _int("organisation_id"),
    _int("location_id"),
    _text("name"),
    _text("serial"),
    _text("model"),
    _text("vendor"),
    _text("model_name"),
    _text("identity"),
    _int("created_ms"),
    _int("archived_ms"),
    _text("person_name"),
    _text("why"),
    _int("epoch", default="0"),
    PrimaryKeyConstraint("id"),
    Index(None, "organisation_id", "archived_ms"),
)

handovers = Table(
    "handovers",
    metadata,
    _id(),
    _int("organisation_id"),
    _int("charger_id"),
    _blob("code_hash"),
    _text("person_name"),
    _int("created_ms"),
    _int("expires_ms"),
    _int("taken_ms", null=True),
    _int("cancelled_ms", null=True),
    Index("handovers_code_uq", "code_hash", unique=True),
    Index(None, "charger_id"),
)

charger_changes = Table(
    "charger_changes",
    metadata,
    _id(),
    _int("organisation_id"),
    _int("person_id"),
    _text("person_name"),
    _text("address", default=""),
    _text("change"),
    _text("charger_ids"),
    _int("total"),
    _int("position", default="0"),
    _int("changed", default="0"),
    _text("left_out", default="[]"),
    _text("idempotency_key"),
    _int("created_ms"),
    _int("ended_ms", null=True),
    Index(None, "organisation_id", "id"),
    Index("charger_changes_key_uq", "organisation_id", "idempotency_key", unique=True),
)

charger_imports = Table(
    "charger_imports",
    metadata,
    _id(),
    _int("organisation_id"),
    _int("person_id"),
    _blob("key_hash"),
    _text("charger_ids"),
    _int("created_ms"),
    Index("charger_imports_key_uq", "organisation_id", "key_hash", unique=True),
)

session_curves = Table(
    "session_curves",
    metadata,
    _int("session_id"),
    _int("organisation_id"),
    _blob("samples"),
    PrimaryKeyConstraint("session_id"),
    sqlite_with_rowid=False,
)

session_slots = Table(
    "session_slots",
    metadata,
    _int("session_id"),
    _int("slot_ms"),
    _int("organisation_id"),
    _int("energy_wh"),
    _int("charging_ms"),
    _int("plugged_ms"),
    _int("peak_w"),
    _int("price_micros", null=True),
    PrimaryKeyConstraint("session_id", "slot_ms"),
    sqlite_with_rowid=False,
)

location_slots = Table(
    "location_slots",
    metadata,
    _int("location_id"),
    _int("slot_ms"),
    _int("organisation_id"),
    *_sums(),
    PrimaryKeyConstraint("organisation_id", "location_id", "slot_ms"),
    Index(None, "organisation_id", "slot_ms"),
    sqlite_with_rowid=False,
)

location_days = Table(
    "location_days",
    metadata,
    _int("location_id"),
    _int("day"),
    _int("organisation_id"),
    *_sums(),
    _int("peak_wh", default="0"),
    PrimaryKeyConstraint("organisation_id", "location_id", "day"),
    Index(None, "organisation_id", "day"),
    sqlite_with_rowid=False,
)

charger_days = Table(
    "charger_days",
    metadata,
    _int("charger_id"),
    _int("location_id"),
    _int("day"),
    _int("organisation_id"),
    *_sums(),
    PrimaryKeyConstraint("organisation_id", "charger_id", "location_id", "day"),
    Index(None, "organisation_id", "day"),
    sqlite_with_rowid=False,
)

person_days = Table(
    "person_days",
    metadata,
    _int("person_id"),
    _int("location_id"),
    _int("day"),
    _int("organisation_id"),
    *_sums(),
    PrimaryKeyConstraint("organisation_id", "person_id", "location_id", "day"),
    Index(None, "organisation_id", "day"),
    sqlite_with_rowid=False,
)

location_hours = Table(
    "location_hours",
    metadata,
    _int("location_id"),
    _int("month"),
    _int("hour"),
    _int("organisation_id"),
    *_sums(),
    PrimaryKeyConstraint("organisation_id", "location_id", "month", "hour"),
    Index(None, "organisation_id", "month"),
    sqlite_with_rowid=False,
)

energy_prices = Table(
    "energy_prices",
    metadata,
    _id(),
    _int("organisation_id"),
    _int("location_id"),
    _int("from_ms"),
    _text("tariff"),
    _int("feed_in_micros", default="0"),
    _text("currency"),
    _text("person_name"),
    _int("created_ms"),
    Index("energy_prices_from_uq", "location_id", "from_ms", unique=True),
    Index(None, "organisation_id"),
)

price_lists = Table(
    "price_lists",
    metadata,
    _id(),
    _int("organisation_id"),
    _text("name"),
    _text("currency"),
    _text("url", null=True),
    _int("fetched_ms", null=True),
    _text("error", null=True),
    _int("created_ms"),
    Index("price_lists_name_uq", "organisation_id", "name", unique=True),
)

listed_prices = Table(
    "listed_prices",
    metadata,
    _int("price_list_id"),
    _int("slot_ms"),
    _int("organisation_id"),
    _int("micros"),
    PrimaryKeyConstraint("price_list_id", "slot_ms"),
    sqlite_with_rowid=False,
)

vehicles = Table(
    "vehicles",
    metadata,
    _id(),
    _int("organisation_id"),
    _int("person_id", null=True),
    _text("name"),
    _int("battery_wh", null=True),
    _int("wh_100km", null=True),
    _text("replaced", default=""),
    _int("replaced_ml_100km", null=True),
    _text("tag", null=True),
    _int("created_ms"),
    _int("archived_ms", null=True),
    Index(None, "organisation_id", "person_id"),
)

assumptions = Table(
    "assumptions",
    metadata,
    _id(),
    _int("organisation_id"),
    _text("kind"),
    _int("value"),
    _text("currency", null=True),
    _int("from_day"),
    _text("source"),
    _text("person_name"),
    _int("created_ms"),
    Index(None, "organisation_id", "kind", "from_day"),
)

report_rules = Table(
    "report_rules",
    metadata,
    _id(),
    _int("organisation_id"),
    _int("person_id"),
    _text("about"),
    _int("about_id", null=True),
    _text("format"),
    _int("next_ms"),
    _int("sent_ms", null=True),
    _int("created_ms"),
    Index(None, "organisation_id"),
    Index(None, "next_ms"),
)

saved_views = Table(
    "saved_views",
    metadata,
    _id(),
    _int("organisation_id"),
    _int("person_id"),
    _text("page"),
    _text("name"),
    _text("query"),
    _int("created_ms"),
    Index("saved_views_name_uq", "person_id", "organisation_id", "page", "name", unique=True),
)

corrections = Table(
    "corrections",
    metadata,
    _id(),
    _int("organisation_id"),
    _int("session_id"),
    _int("at_ms"),
    _int("slot_ms"),
    _int("energy_wh"),
    _text("why"),
    Index(None, "organisation_id", "id"),
    Index(None, "session_id"),
)

for _table in (
    invitations, access_groups, api_tokens, identity_providers, consents, charger_changes, charger_imports,
    energy_prices, price_lists, vehicles,
):  # fmt: skip
    _table.dialect_options["sqlite"]["autoincrement"] = True

COLUMNS: tuple[tuple[str, Column[Any]], ...] = (
    ("organisations", _text("next_plan", null=True)),
    ("organisations", _int("next_plan_ms", null=True)),
    ("organisations", _int("requires_second_factor", default="0")),
    ("locations", _text("currency", default="EUR")),
    ("locations", _int("supply_a", null=True)),
    ("locations", _int("supply_phases", null=True)),
    ("people", _blob("totp_secret", null=True)),
    ("people", _int("totp_step", null=True)),
    ("people", _text("time_zone", null=True)),
    ("people", _int("quiet_from_minute", null=True)),
    ("people", _int("quiet_until_minute", null=True)),
    ("people", _int("erased_ms", null=True)),
    ("memberships", _int("created_ms", default="0")),
    ("memberships", _int("expires_ms", null=True)),
    ("memberships", _int("seen_ms", null=True)),
    (
        "memberships",
        Column("search", Text().with_variant(Text(collation="C"), "postgresql"), nullable=False, server_default=""),
    ),
    ("tags", _text("group_tag", null=True)),
    ("tags", _int("created_ms", default="0")),
    ("logins", _int("second_factor", default="0")),
    ("logins", _int("provider_id", null=True)),
    ("sessions", _int("person_id", null=True)),
    ("sessions", _int("start_missing", default="0")),
    ("sessions", _int("dirty", default="1")),
    ("sessions", _int("measured", default="0")),
    ("sessions", _int("measured_person_id", null=True)),
    ("sessions", _text("zone", null=True)),
    ("sessions", _int("begun_ms", null=True)),
    ("sessions", _int("over_ms", null=True)),
    ("sessions", _int("energy_wh", null=True)),
    ("sessions", _int("charging_ms", default="0")),
    ("sessions", _int("peak_w", default="0")),
    ("sessions", _int("power_w", null=True)),
    ("sessions", _text("suspects", default="[]")),
    ("sessions", _int("cost_nanos", null=True)),
    ("sessions", _text("currency", null=True)),
    ("sessions", _int("vehicle_id", null=True)),
    ("sessions", _int("at_once_nanos", null=True)),
    ("mails", _text("headers", default="{}")),
    ("mails", _text("attachment_name", null=True)),
    ("mails", _text("attachment_type", null=True)),
    ("mails", _blob("attachment", null=True)),
)
INDEXES: tuple[tuple[str, str, list[str], bool, str | None], ...] = (
    (
        "memberships_by_name",
        "memberships",
        ["organisation_id", "search", "person_id", "role", "expires_ms", "seen_ms"],
        False,
        None,
    ),
    (
        "membership_locations_organisation_id_location_id_person_id",
        "membership_locations",
        ["organisation_id", "location_id", "person_id"],
        False,
        None,
    ),
    ("tags_person_id", "tags", ["person_id"], False, None),
    ("sessions_dirty", "sessions", ["id"], False, "dirty > 0"),
    ("sessions_organisation_id_location_id_id", "sessions", ["organisation_id", "location_id", "id"], False, None),
    ("sessions_charger_id_ended_ms", "sessions", ["charger_id", "ended_ms"], False, None),
    ("sessions_organisation_id_person_id_id", "sessions", ["organisation_id", "person_id", "id"], False, None),
    ("sessions_charger_id_id", "sessions", ["charger_id", "id"], False, None),
    ("sessions_organisation_id_tag_id", "sessions", ["organisation_id", "tag", "id"], False, None),
    ("sessions_organisation_id_started_ms", "sessions", ["organisation_id", "started_ms"], False, None),
    ("sessions_organisation_id_ended_ms_id", "sessions", ["organisation_id", "ended_ms", "id"], False, None),
    (
        "session_messages_charger_id_transaction_received_ms",
        "session_messages",
        ["charger_id", "transaction", "received_ms"],
        False,
        None,
    ),
)


def upgrade() -> None:
    """Make the new tables, columns and indexes."""
    metadata.create_all(op.get_bind(), checkfirst=False)
    for table, column in COLUMNS:
        op.add_column(table, column)
    for name, table, columns, unique, where in INDEXES:
        some = text(where) if where else None
        op.create_index(name, table, columns, unique=unique, sqlite_where=some, postgresql_where=some)
