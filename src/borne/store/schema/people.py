"""Organisations, locations, people: who belongs where, and what they hold before a charger."""

from __future__ import annotations

from sqlalchemy import Column, Index, PrimaryKeyConstraint, Table, Text, text

from borne.store.schema.columns import blob_, id_, int_, metadata, text_

organisations = Table(
    "organisations",
    metadata,
    id_(),
    text_("name"),
    text_("plan"),  # a key of core.plans.PLANS
    int_("created_ms"),
    text_("next_plan", null=True),  # a downgrade that was chosen
    int_("next_plan_ms", null=True),  # and when it comes
    int_("requires_second_factor", default="0"),
)

locations = Table(
    "locations",
    metadata,
    id_(),
    int_("organisation_id"),
    text_("name"),
    text_("address", default=""),
    text_("time_zone", default="UTC"),
    int_("accepts_unknown_tags", default="0"),
    int_("created_ms"),
    text_("currency", default="EUR"),  # ISO 4217
    int_("supply_a", null=True),  # the main breaker, amperes a phase
    int_("supply_phases", null=True),  # 1 or 3
    int_("site_until_ms", null=True),  # its meter gave values until here (site_slots); None: never any
    Index(None, "organisation_id", "name"),
)

people = Table(
    "people",
    metadata,
    id_(),
    text_("email"),  # casefolded
    text_("name"),
    text_("password_hash", null=True),
    text_("language", null=True),  # None: as the browser asks
    int_("operates_installation", default="0"),
    int_("disabled", default="0"),
    int_("created_ms"),
    blob_("totp_secret", null=True),  # encrypted (store.box)
    int_("totp_step", null=True),  # the last time step a code was taken for: none is taken twice
    text_("time_zone", null=True),  # of the quiet hours; None: UTC
    int_("quiet_from_minute", null=True),  # minutes after midnight
    int_("quiet_until_minute", null=True),
    int_("erased_ms", null=True),
    Index("people_email_uq", "email", unique=True),
)

memberships = Table(
    "memberships",
    metadata,
    int_("person_id"),
    int_("organisation_id"),
    text_("role"),  # super-admin, admin, operator, user
    int_("created_ms", default="0"),
    int_("expires_ms", null=True),  # temporary access: over from then on
    int_("seen_ms", null=True),  # when the person last looked at this organisation
    # As chargers.search: the name's place in the order, then the folded name and e-mail (store.people keeps it).
    Column("search", Text().with_variant(Text(collation="C"), "postgresql"), nullable=False, server_default=""),
    PrimaryKeyConstraint("person_id", "organisation_id"),
    Index(None, "organisation_id", "role"),
    # The list of people walks this index alone, without the rows (store.people_list).
    Index("memberships_by_name", "organisation_id", "search", "person_id", "role", "expires_ms", "seen_ms"),
)

# The locations of an admin (or operator) of locations. None at all: no location.
membership_locations = Table(
    "membership_locations",
    metadata,
    int_("person_id"),
    int_("organisation_id"),
    int_("location_id"),
    PrimaryKeyConstraint("person_id", "organisation_id", "location_id"),
    Index(None, "organisation_id", "location_id", "person_id"),
)

# A mail with a link that makes somebody a member, once.
invitations = Table(
    "invitations",
    metadata,
    id_(),
    int_("organisation_id"),
    text_("email"),  # casefolded
    text_("name", default=""),  # as the one who invites knows them
    Column("search", Text().with_variant(Text(collation="C"), "postgresql"), nullable=False, server_default=""),
    text_("role"),
    int_("access_group_id", null=True),
    text_("tags", default="[]"),  # JSON: RFID numbers
    text_("language", null=True),
    int_("membership_expires_ms", null=True),
    blob_("token_hash"),
    int_("person_id", null=True),  # who invites
    text_("person_name"),
    int_("created_ms"),
    int_("sent_ms", null=True),  # None: its mail is still to be written
    int_("expires_ms"),
    int_("accepted_ms", null=True),
    int_("revoked_ms", null=True),
    Index("invitations_token_uq", "token_hash", unique=True),
    Index(None, "organisation_id", "created_ms"),
    # One open invitation an address.
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
    int_("invitation_id"),
    int_("organisation_id"),
    int_("location_id"),
    PrimaryKeyConstraint("invitation_id", "location_id"),
    Index(None, "organisation_id", "location_id", "invitation_id"),
)

# The chargers a user may use and see, one by one.
assignments = Table(
    "assignments",
    metadata,
    int_("person_id"),
    int_("charger_id"),
    PrimaryKeyConstraint("person_id", "charger_id"),
    Index(None, "charger_id"),
)

# A named set of chargers that some users may use.
access_groups = Table(
    "access_groups",
    metadata,
    id_(),
    int_("organisation_id"),
    text_("name"),
    int_("created_ms"),
    Index("access_groups_name_uq", "organisation_id", "name", unique=True),
)

access_group_chargers = Table(
    "access_group_chargers",
    metadata,
    int_("organisation_id"),
    int_("access_group_id"),
    int_("charger_id"),
    PrimaryKeyConstraint("access_group_id", "charger_id"),
    Index(None, "charger_id"),
)

access_group_people = Table(
    "access_group_people",
    metadata,
    int_("organisation_id"),
    int_("access_group_id"),
    int_("person_id"),
    PrimaryKeyConstraint("access_group_id", "person_id"),
    Index(None, "person_id"),
)

tags = Table(
    "tags",
    metadata,
    int_("organisation_id"),
    text_("tag"),  # casefolded
    text_("name", default=""),
    int_("person_id", null=True),
    int_("blocked", default="0"),
    int_("expires_ms", null=True),
    text_("group_tag", null=True),  # parentIdTag, groupIdToken: tags that may end each other's sessions
    int_("created_ms", default="0"),
    PrimaryKeyConstraint("organisation_id", "tag"),
    Index(None, "person_id"),
)
