"""The tables: one dialect-neutral schema for SQLite and PostgreSQL.

Only big integers, text and blobs, so that both databases return the same Python values and nothing needs converting: instants are
milliseconds since the epoch (`*_ms`), flags are 0 or 1, structures are JSON text. Text from chargers has been cleaned
(no NUL, no lone surrogates) before it comes here.
"""

from __future__ import annotations

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

metadata = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pk",
        "ix": "%(table_name)s_%(column_0_N_name)s",
        "uq": "%(table_name)s_%(column_0_N_name)s_uq",
    }
)

# SQLite makes only an INTEGER PRIMARY KEY its own rowid; PostgreSQL wants 64 bits.
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
    """What is added up of slots; costs in billionths of the location's currency."""
    names = ("energy_wh", "charging_ms", "plugged_ms", "cost_nanos", "unpriced_wh", "sessions", "unknown")
    return tuple(_int(name, default="0") for name in names)


# ---- organisations and people ------------------------------------------------------------------------------------

organisations = Table(
    "organisations",
    metadata,
    _id(),
    _text("name"),
    _text("plan"),  # a key of core.plans.PLANS
    _int("created_ms"),
    _text("next_plan", null=True),  # a downgrade that was chosen
    _int("next_plan_ms", null=True),  # and when it comes
    _int("requires_second_factor", default="0"),
)

locations = Table(
    "locations",
    metadata,
    _id(),
    _int("organisation_id"),
    _text("name"),
    _text("address", default=""),
    _text("time_zone", default="UTC"),
    _int("accepts_unknown_tags", default="0"),
    _int("created_ms"),
    _text("currency", default="EUR"),  # ISO 4217
    _int("supply_a", null=True),  # the main breaker, amperes a phase
    _int("supply_phases", null=True),  # 1 or 3
    Index(None, "organisation_id", "name"),
)

people = Table(
    "people",
    metadata,
    _id(),
    _text("email"),  # casefolded
    _text("name"),
    _text("password_hash", null=True),
    _text("language", null=True),  # None: as the browser asks
    _int("operates_installation", default="0"),
    _int("disabled", default="0"),
    _int("created_ms"),
    _blob("totp_secret", null=True),  # encrypted (store.box)
    _int("totp_step", null=True),  # the last time step a code was taken for: none is taken twice
    _text("time_zone", null=True),  # of the quiet hours; None: UTC
    _int("quiet_from_minute", null=True),  # minutes after midnight
    _int("quiet_until_minute", null=True),
    _int("erased_ms", null=True),
    Index("people_email_uq", "email", unique=True),
)

memberships = Table(
    "memberships",
    metadata,
    _int("person_id"),
    _int("organisation_id"),
    _text("role"),  # super-admin, admin, operator, user
    _int("created_ms", default="0"),
    _int("expires_ms", null=True),  # temporary access: over from then on
    _int("seen_ms", null=True),  # when the person last looked at this organisation
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
    _int("person_id"),
    _int("organisation_id"),
    _int("location_id"),
    PrimaryKeyConstraint("person_id", "organisation_id", "location_id"),
    Index(None, "organisation_id", "location_id", "person_id"),
)

# A mail with a link that makes somebody a member, once.
invitations = Table(
    "invitations",
    metadata,
    _id(),
    _int("organisation_id"),
    _text("email"),  # casefolded
    _text("name", default=""),  # as the one who invites knows them
    Column("search", Text().with_variant(Text(collation="C"), "postgresql"), nullable=False, server_default=""),
    _text("role"),
    _int("access_group_id", null=True),
    _text("tags", default="[]"),  # JSON: RFID numbers
    _text("language", null=True),
    _int("membership_expires_ms", null=True),
    _blob("token_hash"),
    _int("person_id", null=True),  # who invites
    _text("person_name"),
    _int("created_ms"),
    _int("sent_ms", null=True),  # None: its mail is still to be written
    _int("expires_ms"),
    _int("accepted_ms", null=True),
    _int("revoked_ms", null=True),
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
    _int("invitation_id"),
    _int("organisation_id"),
    _int("location_id"),
    PrimaryKeyConstraint("invitation_id", "location_id"),
    Index(None, "organisation_id", "location_id", "invitation_id"),
)

# The chargers a user may use and see, one by one.
assignments = Table(
    "assignments",
    metadata,
    _int("person_id"),
    _int("charger_id"),
    PrimaryKeyConstraint("person_id", "charger_id"),
    Index(None, "charger_id"),
)

# A named set of chargers that some users may use.
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

tags = Table(
    "tags",
    metadata,
    _int("organisation_id"),
    _text("tag"),  # casefolded
    _text("name", default=""),
    _int("person_id", null=True),
    _int("blocked", default="0"),
    _int("expires_ms", null=True),
    _text("group_tag", null=True),  # parentIdTag, groupIdToken: tags that may end each other's sessions
    _int("created_ms", default="0"),
    PrimaryKeyConstraint("organisation_id", "tag"),
    Index(None, "person_id"),
)

# Browser sessions ("session" means a charging session in Borne).
logins = Table(
    "logins",
    metadata,
    _blob("token_hash"),
    _int("person_id"),
    _int("organisation_id", null=True),
    _int("created_ms"),
    _int("seen_ms"),
    _int("expires_ms"),
    _text("address", default=""),
    _text("agent", default=""),
    _int("second_factor", default="0"),  # 1: it passed one
    _int("provider_id", null=True),  # it came through this identity provider, and reaches its organisation alone
    PrimaryKeyConstraint("token_hash"),
    Index(None, "person_id"),
    Index(None, "expires_ms"),
)

# A login on its way: a password that was right, a challenge to a passkey, a visit to an identity provider.
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

# What programs sign in with: API tokens, and passwords of programs that know no token.
api_tokens = Table(
    "api_tokens",
    metadata,
    _id(),
    _int("person_id"),
    _int("organisation_id"),
    _text("kind"),  # token, password
    _text("name"),
    _blob("token_hash"),
    _text("scopes", default="[]"),  # JSON
    _int("created_ms"),
    _int("expires_ms", null=True),
    _int("used_ms", null=True),
    _text("used_address", default=""),
    Index("api_tokens_hash_uq", "token_hash", unique=True),
    Index(None, "person_id"),
)

identity_providers = Table(  # OpenID Connect, each for one organisation
    "identity_providers",
    metadata,
    _id(),
    _int("organisation_id"),
    _text("slug"),  # random: the address of its login page, which strangers do not guess
    _text("name"),
    _text("issuer"),
    _text("client_id"),
    _blob("client_secret", null=True),  # encrypted (store.box)
    _int("disabled", default="0"),
    _int("covers_second_factor", default="0"),  # 1: the organisation says that it asks for one
    _int("created_ms"),
    Index(None, "organisation_id"),
    Index("identity_providers_slug_uq", "slug", unique=True),
)

identities = Table(  # whom an identity provider knows by which word
    "identities",
    metadata,
    _int("provider_id"),
    _text("subject"),
    _int("person_id"),
    _int("created_ms"),
    PrimaryKeyConstraint("provider_id", "subject"),
    Index(None, "person_id"),
)

password_resets = Table(
    "password_resets",
    metadata,
    _blob("token_hash"),
    _int("person_id"),
    _int("expires_ms"),
    _int("used_ms", null=True),
    PrimaryKeyConstraint("token_hash"),
)

# ---- plans, audit, the installation's operator, notices --------------------------------------------------------------

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

plan_days = Table(  # what each day was billed by
    "plan_days",
    metadata,
    _int("organisation_id"),
    _text("day"),  # YYYY-MM-DD, UTC
    _text("plan"),
    _int("chargers"),
    _int("price_cents"),  # for a charger and a month, as it was then
    _int("late", default="0"),  # 1: written down after the day, from what was known by then
    PrimaryKeyConstraint("organisation_id", "day"),
)

# Who did what to what, from where. Each row's hash covers the one before it and the commitment to its details, whose text can
# be erased without breaking the chain (engine.audit).
audit_log = Table(
    "audit_log",
    metadata,
    _int("seq"),
    _int("at_ms"),
    _int("organisation_id", null=True),
    _int("actor_id", null=True),  # the person who did it
    _text("action"),
    _text("object_kind"),
    _int("object_id", null=True),
    _int("person_id", null=True),  # the person it was done to
    _blob("commitment"),
    _blob("hash"),
    _text("details", null=True),  # JSON: names, address, what changed; None: erased
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
    _int("id"),  # 1: there is one chain
    _int("seq"),
    _blob("hash"),
    PrimaryKeyConstraint("id"),
)

# The operator of the installation asks to look into an organisation; it answers.
consents = Table(
    "consents",
    metadata,
    _id(),
    _int("organisation_id"),
    _int("person_id"),  # who asks
    _text("person_name"),
    _text("why"),
    _int("hours"),
    _int("asked_ms"),
    _int("answered_by", null=True),
    _text("answered_name", null=True),
    _int("answered_ms", null=True),
    _int("until_ms", null=True),  # granted until then; None: not granted
    _int("ended_ms", null=True),
    Index(None, "organisation_id", "id"),
    Index(None, "person_id"),
)

notification_rules = Table(  # where somebody differs from what everybody gets
    "notification_rules",
    metadata,
    _int("person_id"),
    _int("organisation_id"),
    _text("event"),  # core.notifications
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
    _text("key"),  # one notice a person and key
    _int("at_ms"),
    _int("charger_id", null=True),
    _int("location_id", null=True),
    _text("details", default="{}"),  # JSON
    _int("in_portal", default="1"),
    _int("mail_after_ms", null=True),  # when it may be mailed (quiet hours); None: not by mail, or done
    _int("read_ms", null=True),
    _int("ended_ms", null=True),  # what it tells of was over then
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
    _id(),
    _int("organisation_id"),
    _int("location_id"),
    _int("charger_id"),
    _int("at_ms"),
    _text("kind"),
    _text("details"),  # JSON
)

# An absence or a fault of a charger, that stands or was the last one.
troubles = Table(
    "troubles",
    metadata,
    _int("charger_id"),
    _text("kind"),  # core.notifications.Trouble
    _int("organisation_id"),
    _int("location_id"),
    _int("number"),  # tells it apart from the others of this charger
    _int("since_ms"),
    _int("counts_from_ms"),
    _int("ours"),  # 1: Borne ended the link
    _text("said", default=""),  # the error that came with a fault
    _int("many_ms", null=True),  # left with many others, who are known by this instant
    _int("told_ms", null=True),
    _int("ended_ms", null=True),
    PrimaryKeyConstraint("charger_id", "organisation_id", "kind"),
    Index(None, "kind", "counts_from_ms"),
    Index(None, "organisation_id", "location_id", "kind"),
)

# ---- chargers ----------------------------------------------------------------------------------------------------

# One row a charger: what people decided about it, and beside it the columns that the machine's state projects for
# lists (written only by engine.apply, guarded by `version`). `state` is the machine itself (core.charger.ChargerState).
chargers = Table(
    "chargers",
    metadata,
    _id(),
    _int("organisation_id"),
    _int("location_id"),
    _text("name"),
    _text("serial", default=""),
    _text("model", default="other"),  # an id of core.models
    _text("vendor", default=""),  # typed in, for models outside the catalogue
    _text("model_name", default=""),
    _text("identity"),
    _blob("secret_hash", null=True),  # keyed hash of the link password or path secret
    _int("settle_s", null=True),  # per-charger override
    _int("ping_s", null=True),
    _int("disabled", default="0"),
    _int("created_ms"),
    _int("changed_ms"),  # any change by a person: the gateway's directory follows it
    # The name's place in the order, then folded words (store.charger_list.search_text). Compared byte by byte on both databases.
    Column("search", Text().with_variant(Text(collation="C"), "postgresql"), nullable=False, server_default=""),
    # ---- projected by the machine
    _int("version", default="0"),
    _text("state", default="{}"),
    _text("status", default="never"),  # core.charger.Status
    _int("attention", default="0"),  # 1: somebody should look
    _int("online", default="0"),
    _int("epoch", default="0"),
    _text("protocol", null=True),
    _text("firmware", default=""),
    _int("last_seen_ms", null=True),
    _int("restart_id", null=True),  # the restart to show: the open one, else the newest
    _text("restart_phase", null=True),
    _text("restart_verdict", null=True),
    _int("restart_ended_ms", null=True),
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
    _text("why"),  # archived, handed_over, deleted
    _int("epoch", default="0"),  # of its last link: the next one's is larger
    PrimaryKeyConstraint("id"),
    Index(None, "organisation_id", "archived_ms"),
)

# A charger offered to another organisation, which takes it with a code.
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

# A change of many chargers at once: done by a job in slices, `position` chargers of the list are behind it.
charger_changes = Table(
    "charger_changes",
    metadata,
    _id(),
    _int("organisation_id"),
    _int("person_id"),
    _text("person_name"),
    _text("address", default=""),  # of the browser that asked
    _text("change"),  # JSON: engine.charger_changes.Change
    _text("charger_ids"),  # JSON
    _int("total"),
    _int("position", default="0"),
    _int("changed", default="0"),
    _text("left_out", default="[]"),  # JSON: [[charger_id, name, reason]…]
    _text("idempotency_key"),
    _int("created_ms"),
    _int("ended_ms", null=True),
    Index(None, "organisation_id", "id"),
    Index("charger_changes_key_uq", "organisation_id", "idempotency_key", unique=True),
)

# A file of chargers that was taken, once: a form sent twice adds them once.
charger_imports = Table(
    "charger_imports",
    metadata,
    _id(),
    _int("organisation_id"),
    _int("person_id"),
    _blob("key_hash"),  # of the form's key, which the passwords are derived from
    _text("charger_ids"),  # JSON
    _int("created_ms"),
    Index("charger_imports_key_uq", "organisation_id", "key_hash", unique=True),
)

events = Table(
    "events",
    metadata,
    _id(),
    _int("charger_id"),
    _int("at_ms"),
    _text("kind"),
    _text("details", default="{}"),
    Index(None, "charger_id", "id"),
    Index(None, "at_ms"),
)

# ---- restarts ----------------------------------------------------------------------------------------------------

restarts = Table(
    "restarts",
    metadata,
    _id(),
    _int("charger_id"),
    _int("organisation_id"),
    _int("location_id"),  # of its time
    _text("model"),  # of its time
    _int("batch_id", null=True),
    _int("person_id", null=True),
    _text("person_name"),
    _text("why", default=""),
    _text("kind"),  # soft, hard
    _int("evse", null=True),
    _text("idempotency_key", null=True),
    # ---- projected by the machine (core.restart_state.RestartState)
    _int("version", default="0"),
    _text("state", default="{}"),
    _text("phase"),  # core.restart_state.Phase
    _int("is_open", default="1"),  # no verdict yet
    _int("watches", default="1"),  # still listens (open, or may be upgraded, or may turn unstable)
    _text("verdict", null=True),
    _text("reason", null=True),
    _int("requested_ms"),
    _int("not_before_ms", null=True),
    _int("sent_ms", null=True),
    _int("ended_ms", null=True),
    _int("duration_ms", null=True),  # from the writing to the boot, of a success
    _int("wake_at_ms", null=True),
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
    _id(),
    _int("organisation_id"),
    _int("person_id", null=True),
    _text("person_name"),
    _text("why", default=""),
    _text("kind", null=True),  # None: as each model's profile says
    _text("left_out", default="[]"),  # JSON: [[charger_id, name, reasons…]…]
    _text("idempotency_key", null=True),
    _int("total"),
    _int("created_ms"),
    _int("version", default="0"),
    _text("state", default="{}"),  # core.batch.BatchState
    _text("phase"),  # core.batch.Phase
    Index(None, "organisation_id", "id"),
    Index("batches_key_uq", "organisation_id", "idempotency_key", unique=True),
)

# ---- sessions and readings ---------------------------------------------------------------------------------------

sessions = Table(
    "sessions",
    metadata,
    _id(),
    _int("charger_id"),
    _int("organisation_id"),  # of its time
    _int("location_id"),  # of its time
    _int("evse"),
    _int("connector"),
    _text("transaction"),  # the charger's word, as text
    _text("start_key"),  # charger's start, told apart from a retry
    _text("tag", null=True),
    _int("person_id", null=True),  # the owner of the tag at its time
    _int("started_ms"),
    _int("device_started_ms", null=True),
    _int("meter_start_wh", null=True),
    _int("ended_ms", null=True),
    _int("device_ended_ms", null=True),
    _int("meter_stop_wh", null=True),
    _text("end_reason", null=True),
    _text("conflicts", default="[]"),  # JSON: later stops with other values
    _int("start_missing", default="0"),  # 1: known from a later message alone
    # ---- measured (engine.metering writes these, from the readings)
    _int("dirty", default="1"),  # how often it changed since it was measured
    _int("measured", default="0"),  # how often it was
    _int("measured_person_id", null=True),  # whose days it was added to
    _text("zone", null=True),  # time zone of its location, of its time
    _int("begun_ms", null=True),  # by the charger's clock where that can be
    _int("over_ms", null=True),  # its end, or how far an open one is known
    _int("energy_wh", null=True),  # None: not known
    _int("charging_ms", default="0"),
    _int("peak_w", default="0"),
    _int("power_w", null=True),  # the last one said
    _text("suspects", default="[]"),  # JSON: core.metering.Suspect
    _int("cost_nanos", null=True),  # billionths of the currency; None: some of its energy has no price
    _text("currency", null=True),
    _int("vehicle_id", null=True),  # None: not known yet; 0: somebody said that it is none of those known
    _int("at_once_nanos", null=True),  # what it would have cost at full power from plug-in; once it is over
    Index("sessions_dirty", "id", sqlite_where=text("dirty > 0"), postgresql_where=text("dirty > 0")),
    Index("sessions_start_uq", "charger_id", "start_key", unique=True),
    Index("sessions_transaction", "charger_id", "transaction"),
    Index(None, "charger_id", "ended_ms"),
    Index(None, "charger_id", "id"),
    Index(None, "organisation_id", "id"),
    Index(None, "organisation_id", "ended_ms", "id"),
    Index(None, "organisation_id", "location_id", "id"),
    Index(None, "organisation_id", "person_id", "id"),
    Index(None, "organisation_id", "tag", "id"),
    Index(None, "organisation_id", "started_ms"),
)

# Every message about sessions as received, also orphans: what the session rows are made from.
session_messages = Table(
    "session_messages",
    metadata,
    _int("received_ms"),
    _int("charger_id"),
    _int("idx"),
    _text("kind"),  # started, updated, ended
    _text("transaction", null=True),
    _int("seq", null=True),
    _text("raw"),
    PrimaryKeyConstraint("received_ms", "charger_id", "idx"),
    Index(None, "charger_id", "transaction", "received_ms"),
    sqlite_with_rowid=False,
)

readings = Table(
    "readings",
    metadata,
    _int("received_ms"),
    _int("charger_id"),
    _int("idx"),
    _int("evse"),
    _int("connector"),
    _text("transaction", null=True),
    _text("quantity"),
    _int("value", null=True),
    _int("device_ms", null=True),
    _text("phase", null=True),
    _text("context", null=True),
    _text("location", null=True),
    _text("raw", null=True),
    PrimaryKeyConstraint("received_ms", "charger_id", "idx"),
    sqlite_with_rowid=False,
)

# What is known of a session's meter: all its samples (core.metering.Sample), so that it can be measured anew.
session_curves = Table(
    "session_curves",
    metadata,
    _int("session_id"),
    _int("organisation_id"),
    _blob("samples"),  # msgpack
    PrimaryKeyConstraint("session_id"),
    sqlite_with_rowid=False,
)

# A session by quarters of an hour. A slot keeps the price that it was given first.
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
    _int("price_micros", null=True),  # a kWh; None: no price was known yet
    PrimaryKeyConstraint("session_id", "slot_ms"),
    sqlite_with_rowid=False,
)

# Sums of the slots of all sessions, changed by the same transaction: by location and slot, and what is read for months and years.
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
    _int("day"),  # days since 1970-01-01, in the location's zone
    _int("organisation_id"),
    *_sums(),
    _int("peak_wh", default="0"),  # the most energy of one slot: the highest quarter-hour average
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

location_hours = Table(  # of the week, by month: what the heat map shows
    "location_hours",
    metadata,
    _int("location_id"),
    _int("month"),  # months since January 1970
    _int("hour"),  # of the week, from Monday midnight
    _int("organisation_id"),
    *_sums(),
    PrimaryKeyConstraint("organisation_id", "location_id", "month", "hour"),
    Index(None, "organisation_id", "month"),
    sqlite_with_rowid=False,
)

# ---- prices, vehicles, reports -----------------------------------------------------------------------------------

energy_prices = Table(  # what energy costs at a location, from an instant on
    "energy_prices",
    metadata,
    _id(),
    _int("organisation_id"),
    _int("location_id"),
    _int("from_ms"),
    _text("tariff"),  # JSON: core.tariff.Tariff
    _int("feed_in_micros", default="0"),
    _text("currency"),
    _text("person_name"),
    _int("created_ms"),
    Index("energy_prices_from_uq", "location_id", "from_ms", unique=True),
    Index(None, "organisation_id"),
)

price_lists = Table(  # day-ahead prices, from a file or an address
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
    _int("micros"),  # a kWh
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
    _text("replaced", default=""),  # the car it replaced
    _int("replaced_ml_100km", null=True),
    _text("tag", null=True),  # sessions of this tag are its own
    _int("created_ms"),
    _int("archived_ms", null=True),
    Index(None, "organisation_id", "person_id"),
)

assumptions = Table(  # figures that savings rest on, each with its date and source
    "assumptions",
    metadata,
    _id(),
    _int("organisation_id"),
    _text("kind"),  # core.savings.Assumption
    _int("value"),
    _text("currency", null=True),
    _int("from_day"),
    _text("source"),
    _text("person_name"),
    _int("created_ms"),
    Index(None, "organisation_id", "kind", "from_day"),
)

report_rules = Table(  # a report that comes by mail each month
    "report_rules",
    metadata,
    _id(),
    _int("organisation_id"),
    _int("person_id"),  # who gets it
    _text("about"),  # organisation, location, person
    _int("about_id", null=True),
    _text("format"),  # pdf, csv
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

corrections = Table(  # energy that came after its slots were closed
    "corrections",
    metadata,
    _id(),
    _int("organisation_id"),
    _int("session_id"),
    _int("at_ms"),
    _int("slot_ms"),  # the slot it was booked in
    _int("energy_wh"),
    _text("why"),
    Index(None, "organisation_id", "id"),
    Index(None, "session_id"),
)

# ---- the house itself --------------------------------------------------------------------------------------------

jobs = Table(
    "jobs",
    metadata,
    _id(),
    _text("kind"),
    _text("payload", default="{}"),
    _int("run_at_ms"),
    _int("lease_until_ms", default="0"),
    _int("attempt", default="0"),
    _int("max_attempts", default="8"),
    _text("idempotency_key", null=True),
    _int("done_ms", null=True),
    _text("error", null=True),
    Index("jobs_due", "done_ms", "run_at_ms"),
    Index("jobs_key_uq", "kind", "idempotency_key", unique=True),
)

mails = Table(
    "mails",
    metadata,
    _id(),
    _text("recipient"),
    _text("subject"),
    _text("body"),
    _int("created_ms"),
    _int("sent_ms", null=True),
    _text("error", null=True),
    _text("headers", default="{}"),  # JSON: more lines of the head
    _text("attachment_name", null=True),
    _text("attachment_type", null=True),
    _blob("attachment", null=True),
)

dead_letters = Table(
    "dead_letters",
    metadata,
    _id(),
    _int("charger_id"),
    _int("at_ms"),
    _text("fact"),
    _text("error"),
)

incarnations = Table(
    "incarnations",
    metadata,
    _id(),
    _int("started_ms"),
    _int("alive_ms"),
    _int("stopped_ms", null=True),
)

settings = Table(  # secrets made once per installation (keys outside the database live in the data folder)
    "settings",
    metadata,
    _text("name"),
    _text("value"),
    PrimaryKeyConstraint("name"),
)

# SQLite would give the id of the newest deleted row to the next one: a new charger must not inherit the history of another.
for _table in (
    organisations, locations, people, access_groups, invitations, identity_providers, api_tokens, consents, chargers, restarts,
    batches, sessions, charger_changes, charger_imports, energy_prices, price_lists, vehicles,
):  # fmt: skip
    _table.dialect_options["sqlite"]["autoincrement"] = True
