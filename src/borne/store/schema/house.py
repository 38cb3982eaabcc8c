"""The house itself: jobs, mails, marks."""

from __future__ import annotations

from sqlalchemy import Index, PrimaryKeyConstraint, Table

from borne.store.schema.columns import blob_, id_, int_, metadata, text_

jobs = Table(
    "jobs",
    metadata,
    id_(),
    text_("kind"),
    text_("payload", default="{}"),
    int_("run_at_ms"),
    int_("lease_until_ms", default="0"),
    int_("attempt", default="0"),
    int_("max_attempts", default="8"),
    text_("idempotency_key", null=True),
    int_("done_ms", null=True),
    text_("error", null=True),
    Index("jobs_due", "done_ms", "run_at_ms"),
    Index("jobs_key_uq", "kind", "idempotency_key", unique=True),
)

mails = Table(
    "mails",
    metadata,
    id_(),
    text_("recipient"),
    text_("subject"),
    text_("body"),
    int_("created_ms"),
    int_("sent_ms", null=True),
    text_("error", null=True),
    text_("headers", default="{}"),  # JSON: more lines of the head
    text_("attachment_name", null=True),
    text_("attachment_type", null=True),
    blob_("attachment", null=True),
)

dead_letters = Table(
    "dead_letters",
    metadata,
    id_(),
    int_("charger_id"),
    int_("at_ms"),
    text_("fact"),
    text_("error"),
)

incarnations = Table(
    "incarnations",
    metadata,
    id_(),
    int_("started_ms"),
    int_("alive_ms"),
    int_("stopped_ms", null=True),
)

settings = Table(  # secrets made once per installation (keys outside the database live in the data folder)
    "settings",
    metadata,
    text_("name"),
    text_("value"),
    PrimaryKeyConstraint("name"),
)
