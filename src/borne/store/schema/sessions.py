"""Charging sessions, their messages and readings, and the sums that statistics read."""

from __future__ import annotations

from typing import Any, cast

from sqlalchemy import DDL, Index, PrimaryKeyConstraint, Table, event, text

from borne.store.schema.columns import blob_, id_, int_, metadata, sums, text_

sessions = Table(
    "sessions",
    metadata,
    id_(),
    int_("charger_id"),
    int_("organisation_id"),  # of its time
    int_("location_id"),  # of its time
    int_("evse"),
    int_("connector"),
    text_("transaction"),  # the charger's word, as text
    text_("start_key"),  # charger's start, told apart from a retry
    text_("tag", null=True),
    int_("person_id", null=True),  # the owner of the tag at its time
    int_("started_ms"),
    int_("device_started_ms", null=True),
    int_("meter_start_wh", null=True),
    int_("ended_ms", null=True),
    int_("device_ended_ms", null=True),
    int_("meter_stop_wh", null=True),
    text_("end_reason", null=True),
    text_("conflicts", default="[]"),  # JSON: later stops with other values
    int_("start_missing", default="0"),  # 1: known from a later message alone
    # ---- measured (engine.metering writes these, from the readings)
    int_("dirty", default="1"),  # how often it changed since it was measured
    int_("measured", default="0"),  # how often it was
    int_("measured_person_id", null=True),  # whose days it was added to
    text_("zone", null=True),  # time zone of its location, of its time
    int_("begun_ms", null=True),  # by the charger's clock where that can be
    int_("over_ms", null=True),  # its end, or how far an open one is known
    int_("energy_wh", null=True),  # None: not known
    int_("charging_ms", default="0"),
    int_("peak_w", default="0"),
    int_("power_w", null=True),  # the last one said
    text_("suspects", default="[]"),  # JSON: core.metering.Suspect
    int_("cost_nanos", null=True),  # billionths of the currency; None: some of its energy has no price
    text_("currency", null=True),
    int_("vehicle_id", null=True),  # None: not known yet; 0: somebody said that it is none of those known
    int_("at_once_nanos", null=True),  # what it would have cost at full power from plug-in; once it is over
    Index("sessions_dirty", "id", sqlite_where=text("dirty > 0"), postgresql_where=text("dirty > 0")),
    Index("sessions_start_uq", "charger_id", "start_key", unique=True),
    Index("sessions_transaction", "charger_id", "transaction"),
    Index(None, "charger_id", "ended_ms"),
    Index(None, "charger_id", "id"),
    Index(None, "organisation_id", "id"),
    Index(None, "organisation_id", "ended_ms", "id"),
    Index(None, "organisation_id", "location_id", "id"),
    Index(None, "organisation_id", "location_id", "ended_ms"),
    Index(None, "organisation_id", "person_id", "id"),
    Index(None, "organisation_id", "tag", "id"),
    Index(None, "organisation_id", "started_ms"),
)

# Every message about sessions as received, also orphans: what the session rows are made from.
session_messages = Table(
    "session_messages",
    metadata,
    int_("received_ms"),
    int_("charger_id"),
    int_("idx"),
    text_("kind"),  # started, updated, ended
    text_("transaction", null=True),
    int_("seq", null=True),
    text_("raw"),
    PrimaryKeyConstraint("received_ms", "charger_id", "idx"),
    Index(None, "charger_id", "transaction", "received_ms"),
    sqlite_with_rowid=False,
    postgresql_partition_by="RANGE (received_ms)",
)

readings = Table(
    "readings",
    metadata,
    int_("received_ms"),
    int_("charger_id"),
    int_("idx"),
    int_("evse"),
    int_("connector"),
    text_("transaction", null=True),
    text_("quantity"),
    int_("value", null=True),
    int_("device_ms", null=True),
    text_("phase", null=True),
    text_("context", null=True),
    text_("location", null=True),
    text_("raw", null=True),
    PrimaryKeyConstraint("received_ms", "charger_id", "idx"),
    sqlite_with_rowid=False,
    postgresql_partition_by="RANGE (received_ms)",
)

# On PostgreSQL these two are partitioned by time of receipt (store/partitions.py). What fits in no partition lands in this one.
PARTITIONED = (session_messages, readings)


def rest_of(table: Table) -> DDL:
    """What makes a partitioned table's partition for all that fits in no other."""
    made: Any = DDL  # not typed
    return cast(DDL, made(f"CREATE TABLE {table.name}_rest PARTITION OF {table.name} DEFAULT"))


for _table in PARTITIONED:
    event.listen(_table, "after_create", rest_of(_table).execute_if(dialect="postgresql"))

# What is known of a session's meter: all its samples (core.metering.Sample), so that it can be measured anew.
session_curves = Table(
    "session_curves",
    metadata,
    int_("session_id"),
    int_("organisation_id"),
    blob_("samples"),  # msgpack
    PrimaryKeyConstraint("session_id"),
    sqlite_with_rowid=False,
)

# A session by quarters of an hour. A slot keeps the price that it was given first.
session_slots = Table(
    "session_slots",
    metadata,
    int_("session_id"),
    int_("slot_ms"),
    int_("organisation_id"),
    int_("energy_wh"),
    int_("charging_ms"),
    int_("plugged_ms"),
    int_("peak_w"),
    int_("price_micros", null=True),  # a kWh; None: no price was known yet
    int_("solar_wh", default="0"),  # of its energy, from the location's own roof
    int_("feed_in_micros", null=True),  # what a kWh of that would have earned
    int_("provisional", default="0"),  # 1: the price may still change
    PrimaryKeyConstraint("session_id", "slot_ms"),
    sqlite_with_rowid=False,
)

# Sums of the slots of all sessions, changed by the same transaction: by location and slot, by day, and by month, of which years
# are made. Days lie together by time, so that a period of an organisation is one stretch of a table, and what is measured now is
# written to few pages; the index finds those of one place, charger or person. Months of chargers and people, of which there are
# few, lie by charger and person, so that they are added up as they are read.
location_slots = Table(
    "location_slots",
    metadata,
    int_("location_id"),
    int_("slot_ms"),
    int_("organisation_id"),
    *sums(),
    PrimaryKeyConstraint("organisation_id", "location_id", "slot_ms"),
    Index(None, "organisation_id", "slot_ms"),
    sqlite_with_rowid=False,
)

location_days = Table(
    "location_days",
    metadata,
    int_("location_id"),
    int_("day"),  # days since 1970-01-01, in the location's zone
    int_("organisation_id"),
    *sums(),
    int_("peak_wh", default="0"),  # the most energy of one slot: the highest quarter-hour average
    PrimaryKeyConstraint("organisation_id", "day", "location_id"),
    Index(None, "organisation_id", "location_id", "day"),
    sqlite_with_rowid=False,
)

location_months = Table(
    "location_months",
    metadata,
    int_("location_id"),
    int_("month"),  # months since January 1970
    int_("organisation_id"),
    *sums(),
    int_("peak_wh", default="0"),
    PrimaryKeyConstraint("organisation_id", "month", "location_id"),
    Index(None, "organisation_id", "location_id", "month"),
    sqlite_with_rowid=False,
)

charger_days = Table(
    "charger_days",
    metadata,
    int_("charger_id"),
    int_("location_id"),
    int_("day"),
    int_("organisation_id"),
    *sums(),
    PrimaryKeyConstraint("organisation_id", "day", "charger_id", "location_id"),
    Index(None, "organisation_id", "charger_id", "day"),
    sqlite_with_rowid=False,
)

charger_months = Table(
    "charger_months",
    metadata,
    int_("charger_id"),
    int_("location_id"),
    int_("month"),
    int_("organisation_id"),
    *sums(),
    PrimaryKeyConstraint("organisation_id", "charger_id", "location_id", "month"),
    sqlite_with_rowid=False,
)

person_days = Table(
    "person_days",
    metadata,
    int_("person_id"),
    int_("location_id"),
    int_("day"),
    int_("organisation_id"),
    *sums(),
    PrimaryKeyConstraint("organisation_id", "day", "person_id", "location_id"),
    Index(None, "organisation_id", "person_id", "day"),
    sqlite_with_rowid=False,
)

person_months = Table(
    "person_months",
    metadata,
    int_("person_id"),
    int_("location_id"),
    int_("month"),
    int_("organisation_id"),
    *sums(),
    PrimaryKeyConstraint("organisation_id", "person_id", "location_id", "month"),
    sqlite_with_rowid=False,
)

location_hours = Table(  # of the week, by month: what the heat map shows
    "location_hours",
    metadata,
    int_("location_id"),
    int_("month"),
    int_("hour"),  # of the week, from Monday midnight
    int_("organisation_id"),
    *sums(),
    PrimaryKeyConstraint("organisation_id", "location_id", "month", "hour"),
    Index(None, "organisation_id", "month"),
    sqlite_with_rowid=False,
)

organisation_hours = Table(  # the same of all locations together
    "organisation_hours",
    metadata,
    int_("month"),
    int_("hour"),
    int_("organisation_id"),
    *sums(),
    PrimaryKeyConstraint("organisation_id", "month", "hour"),
    sqlite_with_rowid=False,
)
