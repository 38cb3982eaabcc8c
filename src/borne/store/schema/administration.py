"""Plans, the audit log, what the installation's operator may see, and what people are told."""

from __future__ import annotations

from sqlalchemy import Index, PrimaryKeyConstraint, Table

from borne.store.schema.columns import blob_, id_, int_, metadata, text_

plan_changes = Table(
    "plan_changes",
    metadata,
    id_(),
    int_("organisation_id"),
    int_("at_ms"),
    text_("plan"),
    text_("person_name"),
    Index(None, "organisation_id", "at_ms"),
)

plan_days = Table(  # what each day was billed by
    "plan_days",
    metadata,
    int_("organisation_id"),
    text_("day"),  # YYYY-MM-DD, UTC
    text_("plan"),
    int_("chargers"),
    int_("price_cents"),  # for a charger and a month, as it was then
    int_("late", default="0"),  # 1: written down after the day, from what was known by then
    PrimaryKeyConstraint("organisation_id", "day"),
)

# Who did what to what, from where. Each row's hash covers the one before it and the commitment to its details, whose text can
# be erased without breaking the chain (engine.audit).
audit_log = Table(
    "audit_log",
    metadata,
    int_("seq"),
    int_("at_ms"),
    int_("organisation_id", null=True),
    int_("actor_id", null=True),  # the person who did it
    text_("action"),
    text_("object_kind"),
    int_("object_id", null=True),
    int_("person_id", null=True),  # the person it was done to
    blob_("commitment"),
    blob_("hash"),
    text_("details", null=True),  # JSON: names, address, what changed; None: erased
    blob_("salt", null=True),
    PrimaryKeyConstraint("seq"),
    Index(None, "organisation_id", "seq"),
    Index(None, "organisation_id", "at_ms"),
    Index(None, "actor_id"),
    Index(None, "person_id"),
)

audit_head = Table(
    "audit_head",
    metadata,
    int_("id"),  # 1: there is one chain
    int_("seq"),
    blob_("hash"),
    PrimaryKeyConstraint("id"),
)

# The operator of the installation asks to look into an organisation; it answers.
consents = Table(
    "consents",
    metadata,
    id_(),
    int_("organisation_id"),
    int_("person_id"),  # who asks
    text_("person_name"),
    text_("why"),
    int_("hours"),
    int_("asked_ms"),
    int_("answered_by", null=True),
    text_("answered_name", null=True),
    int_("answered_ms", null=True),
    int_("until_ms", null=True),  # granted until then; None: not granted
    int_("ended_ms", null=True),
    Index(None, "organisation_id", "id"),
    Index(None, "person_id"),
)

notification_rules = Table(  # where somebody differs from what everybody gets
    "notification_rules",
    metadata,
    int_("person_id"),
    int_("organisation_id"),
    text_("event"),  # core.notifications
    int_("by_mail"),
    int_("in_portal"),
    int_("minutes", null=True),
    PrimaryKeyConstraint("person_id", "organisation_id", "event"),
)

notices = Table(
    "notices",
    metadata,
    id_(),
    int_("person_id"),
    int_("organisation_id"),
    text_("event"),
    text_("key"),  # one notice a person and key
    int_("at_ms"),
    int_("charger_id", null=True),
    int_("location_id", null=True),
    text_("details", default="{}"),  # JSON
    int_("in_portal", default="1"),
    int_("mail_after_ms", null=True),  # when it may be mailed (quiet hours); None: not by mail, or done
    int_("read_ms", null=True),
    int_("ended_ms", null=True),  # what it tells of was over then
    Index("notices_key_uq", "person_id", "key", unique=True),
    Index(None, "organisation_id", "key"),
    # The unread are counted in the index alone.
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

# What notices are made from: written with the machines' states, taken and deleted by engine.notifications.
news = Table(
    "news",
    metadata,
    id_(),
    int_("organisation_id"),
    int_("location_id"),
    int_("charger_id"),
    int_("at_ms"),
    text_("kind"),
    text_("details"),  # JSON
)

# An absence or a fault of a charger, that stands or was the last one.
troubles = Table(
    "troubles",
    metadata,
    int_("charger_id"),
    text_("kind"),  # core.notifications.Trouble
    int_("organisation_id"),
    int_("location_id"),
    int_("number"),  # tells it apart from the others of this charger
    int_("since_ms"),
    int_("counts_from_ms"),
    int_("ours"),  # 1: Borne ended the link
    text_("said", default=""),  # the error that came with a fault
    int_("many_ms", null=True),  # left with many others, who are known by this instant
    int_("told_ms", null=True),
    int_("ended_ms", null=True),
    PrimaryKeyConstraint("charger_id", "organisation_id", "kind"),
    Index(None, "kind", "counts_from_ms"),
    Index(None, "organisation_id", "location_id", "kind"),
)
