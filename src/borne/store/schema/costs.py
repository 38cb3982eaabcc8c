"""What energy costs, what it saves, and reports of both."""

from __future__ import annotations

from sqlalchemy import Index, PrimaryKeyConstraint, Table

from borne.store.schema.columns import id_, int_, metadata, text_

energy_prices = Table(  # what energy costs at a location, from an instant on
    "energy_prices",
    metadata,
    id_(),
    int_("organisation_id"),
    int_("location_id"),
    int_("from_ms"),
    text_("tariff"),  # JSON: core.tariff.Tariff
    int_("feed_in_micros", default="0"),
    text_("currency"),
    text_("person_name"),
    int_("created_ms"),
    Index("energy_prices_from_uq", "location_id", "from_ms", unique=True),
    Index(None, "organisation_id"),
)

price_lists = Table(  # day-ahead prices, from a file or an address
    "price_lists",
    metadata,
    id_(),
    int_("organisation_id"),
    text_("name"),
    text_("currency"),
    text_("url", null=True),
    int_("fetched_ms", null=True),
    text_("error", null=True),
    int_("created_ms"),
    Index("price_lists_name_uq", "organisation_id", "name", unique=True),
)

listed_prices = Table(
    "listed_prices",
    metadata,
    int_("price_list_id"),
    int_("slot_ms"),
    int_("organisation_id"),
    int_("micros"),  # a kWh
    PrimaryKeyConstraint("price_list_id", "slot_ms"),
    sqlite_with_rowid=False,
)

# What the meter of a location says of each quarter of an hour: from the grid, into it, and what its own roof gave.
site_slots = Table(
    "site_slots",
    metadata,
    int_("location_id"),
    int_("slot_ms"),
    int_("organisation_id"),
    int_("import_wh"),
    int_("export_wh"),
    int_("solar_wh"),
    PrimaryKeyConstraint("organisation_id", "location_id", "slot_ms"),
    Index(None, "organisation_id", "slot_ms"),  # for what is too old
    sqlite_with_rowid=False,
)

vehicles = Table(
    "vehicles",
    metadata,
    id_(),
    int_("organisation_id"),
    int_("person_id", null=True),
    text_("name"),
    int_("battery_wh", null=True),
    int_("wh_100km", null=True),
    text_("replaced", default=""),  # the car it replaced
    int_("replaced_ml_100km", null=True),
    text_("tag", null=True),  # sessions of this tag are its own
    int_("created_ms"),
    int_("archived_ms", null=True),
    Index(None, "organisation_id", "person_id"),
)

assumptions = Table(  # figures that savings rest on, each with its date and source
    "assumptions",
    metadata,
    id_(),
    int_("organisation_id"),
    text_("kind"),  # core.savings.Assumption
    int_("value"),
    text_("currency", null=True),
    int_("from_day"),
    text_("source"),
    text_("person_name"),
    int_("created_ms"),
    Index(None, "organisation_id", "kind", "from_day"),
)

report_rules = Table(  # a report that comes by mail each month
    "report_rules",
    metadata,
    id_(),
    int_("organisation_id"),
    int_("person_id"),  # who gets it
    text_("about"),  # organisation, location, person
    int_("about_id", null=True),
    text_("format"),  # pdf, csv
    int_("next_ms"),
    int_("sent_ms", null=True),
    int_("created_ms"),
    Index(None, "organisation_id"),
    Index(None, "next_ms"),
)

saved_views = Table(
    "saved_views",
    metadata,
    id_(),
    int_("organisation_id"),
    int_("person_id"),
    text_("page"),
    text_("name"),
    text_("query"),
    int_("created_ms"),
    Index("saved_views_name_uq", "person_id", "organisation_id", "page", "name", unique=True),
)

corrections = Table(  # energy that came after its slots were closed
    "corrections",
    metadata,
    id_(),
    int_("organisation_id"),
    int_("session_id"),
    int_("at_ms"),
    int_("slot_ms"),  # the slot it was booked in
    int_("energy_wh"),
    text_("why"),
    Index(None, "organisation_id", "id"),
    Index(None, "session_id"),
)
