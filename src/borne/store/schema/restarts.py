"""Restarts, and batches of them."""

from __future__ import annotations

from sqlalchemy import Index, Table

from borne.store.schema.columns import id_, int_, metadata, text_

restarts = Table(
    "restarts",
    metadata,
    id_(),
    int_("charger_id"),
    int_("organisation_id"),
    int_("location_id"),  # of its time
    text_("model"),  # of its time
    int_("batch_id", null=True),
    int_("person_id", null=True),
    text_("person_name"),
    text_("why", default=""),
    text_("kind"),  # soft, hard
    int_("evse", null=True),
    text_("idempotency_key", null=True),
    # ---- projected by the machine (core.restart_state.RestartState)
    int_("version", default="0"),
    text_("state", default="{}"),
    text_("phase"),  # core.restart_state.Phase
    int_("is_open", default="1"),  # no verdict yet
    int_("watches", default="1"),  # still listens (open, or may be upgraded, or may turn unstable)
    text_("verdict", null=True),
    text_("reason", null=True),
    int_("requested_ms"),
    int_("not_before_ms", null=True),
    int_("sent_ms", null=True),
    int_("ended_ms", null=True),
    int_("duration_ms", null=True),  # from the writing to the boot, of a success
    int_("wake_at_ms", null=True),
    Index(None, "charger_id", "id"),
    Index(None, "organisation_id", "id"),
    Index(None, "batch_id", "id"),
    Index(None, "organisation_id", "verdict", "id"),
    Index(None, "organisation_id", "location_id", "id"),
    Index(None, "organisation_id", "person_id", "id"),
    Index(None, "organisation_id", "requested_ms"),
    Index(None, "organisation_id", "model", "verdict", "ended_ms"),
    Index("restarts_wake", "wake_at_ms"),
    Index("restarts_key_uq", "organisation_id", "idempotency_key", unique=True),
    Index("restarts_open", "charger_id", "watches"),
)

batches = Table(
    "batches",
    metadata,
    id_(),
    int_("organisation_id"),
    int_("person_id", null=True),
    text_("person_name"),
    text_("why", default=""),
    text_("kind", null=True),  # None: as each model's profile says
    text_("left_out", default="[]"),  # JSON: [[charger_id, name, reasons…]…]
    text_("idempotency_key", null=True),
    int_("total"),
    int_("created_ms"),
    int_("version", default="0"),
    text_("state", default="{}"),  # core.batch.BatchState
    text_("phase"),  # core.batch.Phase
    Index(None, "organisation_id", "id"),
    Index("batches_key_uq", "organisation_id", "idempotency_key", unique=True),
)
