"""Logins: browser sessions, second factors, what programs sign in with, providers of identities."""

from __future__ import annotations

from sqlalchemy import Index, PrimaryKeyConstraint, Table

from borne.store.schema.columns import blob_, id_, int_, metadata, text_

# Browser sessions ("session" means a charging session in Borne).
logins = Table(
    "logins",
    metadata,
    blob_("token_hash"),
    int_("person_id"),
    int_("organisation_id", null=True),
    int_("created_ms"),
    int_("seen_ms"),
    int_("expires_ms"),
    text_("address", default=""),
    text_("agent", default=""),
    int_("second_factor", default="0"),  # 1: it passed one
    int_("provider_id", null=True),  # it came through this identity provider, and reaches its organisation alone
    PrimaryKeyConstraint("token_hash"),
    Index(None, "person_id"),
    Index(None, "expires_ms"),
)

# A login on its way: a password that was right, a challenge to a passkey, a visit to an identity provider.
login_steps = Table(
    "login_steps",
    metadata,
    blob_("token_hash"),
    text_("kind"),
    int_("person_id", null=True),
    text_("payload", default="{}"),
    int_("expires_ms"),
    PrimaryKeyConstraint("token_hash"),
    Index(None, "expires_ms"),
)

passkeys = Table(
    "passkeys",
    metadata,
    blob_("credential_id"),
    int_("person_id"),
    blob_("public_key"),
    int_("sign_count"),
    text_("name"),
    int_("created_ms"),
    int_("used_ms", null=True),
    PrimaryKeyConstraint("credential_id"),
    Index(None, "person_id"),
)

recovery_codes = Table(
    "recovery_codes",
    metadata,
    int_("person_id"),
    blob_("code_hash"),
    int_("used_ms", null=True),
    PrimaryKeyConstraint("person_id", "code_hash"),
)

# What programs sign in with: API tokens, and passwords of programs that know no token.
api_tokens = Table(
    "api_tokens",
    metadata,
    id_(),
    int_("person_id"),
    int_("organisation_id"),
    text_("kind"),  # token, password
    text_("name"),
    blob_("token_hash"),
    text_("scopes", default="[]"),  # JSON
    int_("created_ms"),
    int_("expires_ms", null=True),
    int_("used_ms", null=True),
    text_("used_address", default=""),
    Index("api_tokens_hash_uq", "token_hash", unique=True),
    Index(None, "person_id"),
)

identity_providers = Table(  # OpenID Connect, each for one organisation
    "identity_providers",
    metadata,
    id_(),
    int_("organisation_id"),
    text_("slug"),  # random: the address of its login page, which strangers do not guess
    text_("name"),
    text_("issuer"),
    text_("client_id"),
    blob_("client_secret", null=True),  # encrypted (store.box)
    int_("disabled", default="0"),
    int_("covers_second_factor", default="0"),  # 1: the organisation says that it asks for one
    int_("created_ms"),
    Index(None, "organisation_id"),
    Index("identity_providers_slug_uq", "slug", unique=True),
)

identities = Table(  # whom an identity provider knows by which word
    "identities",
    metadata,
    int_("provider_id"),
    text_("subject"),
    int_("person_id"),
    int_("created_ms"),
    PrimaryKeyConstraint("provider_id", "subject"),
    Index(None, "person_id"),
)

password_resets = Table(
    "password_resets",
    metadata,
    blob_("token_hash"),
    int_("person_id"),
    int_("expires_ms"),
    int_("used_ms", null=True),
    PrimaryKeyConstraint("token_hash"),
)
