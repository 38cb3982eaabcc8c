"""Chargers, those that left, and what happened to them."""

from __future__ import annotations

from sqlalchemy import Column, Index, PrimaryKeyConstraint, Table, Text, text

from borne.store.schema.columns import blob_, id_, int_, metadata, text_

# One row a charger: what people decided about it, and beside it the columns that the machine's state projects for
# lists (written only by engine.apply, guarded by `version`). `state` is the machine itself (core.charger.ChargerState).
chargers = Table(
    "chargers",
    metadata,
    id_(),
    int_("organisation_id"),
    int_("location_id"),
    text_("name"),
    text_("serial", default=""),
    text_("model", default="other"),  # an id of core.models
    text_("vendor", default=""),  # typed in, for models outside the catalogue
    text_("model_name", default=""),
    text_("identity"),
    blob_("secret_hash", null=True),  # keyed hash of the link password or path secret
    int_("settle_s", null=True),  # per-charger override
    int_("ping_s", null=True),
    int_("disabled", default="0"),
    int_("created_ms"),
    int_("changed_ms"),  # any change by a person: the gateway's directory follows it
    # The name's place in the order, then folded words (store.charger_list.search_text). Compared byte by byte on both databases.
    Column("search", Text().with_variant(Text(collation="C"), "postgresql"), nullable=False, server_default=""),
    # ---- projected by the machine
    int_("version", default="0"),
    text_("state", default="{}"),
    text_("status", default="never"),  # core.charger.Status
    int_("attention", default="0"),  # 1: somebody should look
    int_("online", default="0"),
    int_("epoch", default="0"),
    text_("protocol", null=True),
    text_("firmware", default=""),
    int_("last_seen_ms", null=True),
    int_("restart_id", null=True),  # the restart to show: the open one, else the newest
    text_("restart_phase", null=True),
    text_("restart_verdict", null=True),
    int_("restart_ended_ms", null=True),
    Index("chargers_identity_uq", "identity", unique=True),
    # Each order and filter of the list walks one index alone, without the rows (store.charger_list).
    Index("chargers_by_name", "organisation_id", "search", "id", "location_id"),
    Index("chargers_by_status", "organisation_id", "status", "search", "id", "location_id", "attention"),
    Index("chargers_by_location", "organisation_id", "location_id", "search", "id", "status", "attention"),
    Index("chargers_by_seen", "organisation_id", "last_seen_ms", "id", "location_id", "status", "attention"),
    Index("chargers_by_restart", "organisation_id", "restart_id", "id", "location_id", "status", "attention"),
    Index("chargers_counts", "organisation_id", "location_id", "status", "attention"),
    Index(
        "chargers_attention",
        "organisation_id",
        "search",
        "id",
        "location_id",
        "status",
        sqlite_where=text("attention = 1"),
        postgresql_where=text("attention = 1"),
    ),
    Index(None, "changed_ms"),
)

# Chargers that left: archived, handed over to another organisation. Their history stays under their id.
archived_chargers = Table(
    "archived_chargers",
    metadata,
    int_("id"),
    int_("organisation_id"),
    int_("location_id"),
    text_("name"),
    text_("serial"),
    text_("model"),
    text_("vendor"),
    text_("model_name"),
    text_("identity"),
    int_("created_ms"),
    int_("archived_ms"),
    text_("person_name"),
    text_("why"),  # archived, handed_over, deleted
    int_("epoch", default="0"),  # of its last link: the next one's is larger
    PrimaryKeyConstraint("id"),
    Index(None, "organisation_id", "archived_ms"),
)

# A charger offered to another organisation, which takes it with a code.
handovers = Table(
    "handovers",
    metadata,
    id_(),
    int_("organisation_id"),
    int_("charger_id"),
    blob_("code_hash"),
    text_("person_name"),
    int_("created_ms"),
    int_("expires_ms"),
    int_("taken_ms", null=True),
    int_("cancelled_ms", null=True),
    Index("handovers_code_uq", "code_hash", unique=True),
    Index(None, "charger_id"),
)

# A change of many chargers at once: done by a job in slices, `position` chargers of the list are behind it.
charger_changes = Table(
    "charger_changes",
    metadata,
    id_(),
    int_("organisation_id"),
    int_("person_id"),
    text_("person_name"),
    text_("address", default=""),  # of the browser that asked
    text_("change"),  # JSON: engine.charger_changes.Change
    text_("charger_ids"),  # JSON
    int_("total"),
    int_("position", default="0"),
    int_("changed", default="0"),
    text_("left_out", default="[]"),  # JSON: [[charger_id, name, reason]…]
    text_("idempotency_key"),
    int_("created_ms"),
    int_("ended_ms", null=True),
    Index(None, "organisation_id", "id"),
    Index("charger_changes_key_uq", "organisation_id", "idempotency_key", unique=True),
)

# A file of chargers that was taken, once: a form sent twice adds them once.
charger_imports = Table(
    "charger_imports",
    metadata,
    id_(),
    int_("organisation_id"),
    int_("person_id"),
    blob_("key_hash"),  # of the form's key, which the passwords are derived from
    text_("charger_ids"),  # JSON
    int_("created_ms"),
    Index("charger_imports_key_uq", "organisation_id", "key_hash", unique=True),
)

events = Table(
    "events",
    metadata,
    id_(),
    int_("charger_id"),
    int_("at_ms"),
    text_("kind"),
    text_("details", default="{}"),
    Index(None, "charger_id", "id"),
    Index(None, "at_ms"),
)
