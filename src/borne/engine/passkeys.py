"""Passkeys (W3C WebAuthn): what a browser is asked for, and whether what it answers holds.

Every passkey is discoverable and verifies its user (a finger, a face, a PIN), so that it is two factors at once.
"""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Sequence
from urllib.parse import urlsplit

import msgspec

log = logging.getLogger(__name__)

TIMEOUT_MS = 300_000
USER_ID_BYTES = 8


class RelyingParty(msgspec.Struct, frozen=True):
    """Whom passkeys are for: the host (`id`) and the origin of the portal's public address."""

    id: str
    origin: str


class NewPasskey(msgspec.Struct, frozen=True):
    credential_id: bytes
    public_key: bytes
    sign_count: int


class PasskeyRefusedError(Exception):
    """What the browser sent proves nothing."""


def relying_party(public_url: str) -> RelyingParty | None:
    """None where browsers offer no passkeys: they want the name of a host, never its number."""
    parts = urlsplit(public_url)
    host = parts.hostname or ""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return RelyingParty(host, f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}") if host else None
    return None


def creation_options(
    party: RelyingParty, *, person_id: int, email: str, name: str, known: Sequence[bytes], challenge: bytes
) -> str:
    """JSON for navigator.credentials.create. `known`: ids of the passkeys that the person has already."""
    from webauthn import generate_registration_options, options_to_json
    from webauthn.helpers.structs import (
        AuthenticatorSelectionCriteria,
        PublicKeyCredentialDescriptor,
        ResidentKeyRequirement,
        UserVerificationRequirement,
    )

    options = generate_registration_options(
        rp_id=party.id,
        rp_name="Borne",
        user_id=user_id(person_id),
        user_name=email,
        user_display_name=name,
        challenge=challenge,
        timeout=TIMEOUT_MS,
        exclude_credentials=[PublicKeyCredentialDescriptor(id=one) for one in known],
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED, user_verification=UserVerificationRequirement.REQUIRED
        ),
    )
    return options_to_json(options)


def request_options(party: RelyingParty, *, known: Sequence[bytes], challenge: bytes) -> str:
    """JSON for navigator.credentials.get. Without `known` the browser offers whatever passkey it has for us."""
    from webauthn import generate_authentication_options, options_to_json
    from webauthn.helpers.structs import PublicKeyCredentialDescriptor, UserVerificationRequirement

    options = generate_authentication_options(
        rp_id=party.id,
        challenge=challenge,
        timeout=TIMEOUT_MS,
        allow_credentials=[PublicKeyCredentialDescriptor(id=one) for one in known],
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    return options_to_json(options)


def verified_creation(party: RelyingParty, credential: str, challenge: bytes) -> NewPasskey:
    """The passkey that the browser made. Raises PasskeyRefusedError."""
    from webauthn import verify_registration_response

    try:
        made = verify_registration_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=party.id,
            expected_origin=party.origin,
            require_user_verification=True,
        )
    except Exception as error:  # a parser of hostile bytes: whatever it stumbles over is a refusal
        raise _refused("registration", error) from error
    return NewPasskey(made.credential_id, made.credential_public_key, made.sign_count)


def credential_id_of(credential: str) -> bytes:
    """Which passkey the browser says it used. Raises PasskeyRefusedError."""
    from webauthn.helpers import parse_authentication_credential_json

    try:
        return bytes(parse_authentication_credential_json(credential).raw_id)
    except Exception as error:
        raise _refused("answer", error) from error


def verified_answer(
    party: RelyingParty, credential: str, challenge: bytes, *, person_id: int, public_key: bytes, sign_count: int
) -> int:
    """The new sign count of the passkey whose key this is. Raises PasskeyRefusedError, also for a count that went back."""
    from webauthn import verify_authentication_response
    from webauthn.helpers import parse_authentication_credential_json

    try:
        parsed = parse_authentication_credential_json(credential)
        if parsed.response.user_handle not in (None, b"", user_id(person_id)):
            raise ValueError("the passkey is of another account")
        answer = verify_authentication_response(
            credential=parsed,
            expected_challenge=challenge,
            expected_rp_id=party.id,
            expected_origin=party.origin,
            credential_public_key=public_key,
            credential_current_sign_count=sign_count,
            require_user_verification=True,
        )
    except Exception as error:
        raise _refused("answer", error) from error
    return answer.new_sign_count


def user_id(person_id: int) -> bytes:
    """What an authenticator knows the account by: a number, nothing about the person."""
    return person_id.to_bytes(USER_ID_BYTES, "big")


def _refused(what: str, error: Exception) -> PasskeyRefusedError:
    log.info("the %s of a passkey was refused: %s: %.200s", what, type(error).__name__, error)
    return PasskeyRefusedError(what)
