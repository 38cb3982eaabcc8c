"""Second factors: the codes of authenticator apps (TOTP, RFC 6238: SHA-1, 6 digits, 30 s) and recovery codes."""

from __future__ import annotations

import hashlib
import hmac
import secrets

STEP_MS = 30_000
DRIFT_STEPS = 1  # a code of the step before or after is taken: clocks differ
DIGITS = 6
RECOVERY_CODES = 10
# Without the letters and digits that are mistaken for others: 16 of them are 79 random bits, so that no slow hash is needed.
ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
GROUPS, GROUP = 4, 4


def new_secret() -> str:
    """A secret for an authenticator app: 160 bits in base32."""
    import pyotp

    return pyotp.random_base32()


def app_address(secret: str, email: str, issuer: str) -> str:
    """What the QR code says: otpauth://totp/…"""
    import pyotp

    return pyotp.TOTP(secret).provisioning_uri(name=email, issuer_name=issuer)


def step_of(secret: str, code: str, now_ms: int) -> int | None:
    """The time step whose code this is, now or one step beside it; None for no such code.

    Take no step that is not later than the last one taken: a code that somebody saw is worth nothing.
    """
    import pyotp

    digits = "".join(code.split())
    if len(digits) != DIGITS or not (digits.isascii() and digits.isdigit()):
        return None
    totp, now_step = pyotp.TOTP(secret), now_ms // STEP_MS
    steps = range(now_step - DRIFT_STEPS, now_step + DRIFT_STEPS + 1)
    fitting = [step for step in steps if hmac.compare_digest(totp.generate_otp(step), digits)]
    return max(fitting, default=None)


def new_recovery_codes() -> list[str]:
    """Ten codes such as `k7mq-2xvd-…`, to be shown once."""
    return [_new_code() for _ in range(RECOVERY_CODES)]


def _new_code() -> str:
    return "-".join("".join(secrets.choice(ALPHABET) for _ in range(GROUP)) for _ in range(GROUPS))


def recovery_hash(code: str) -> bytes:
    """What the database knows a recovery code by, however it was typed."""
    plain = "".join(sign for sign in code.casefold() if sign.isalnum())
    return hashlib.sha256(b"recovery code " + plain.encode()).digest()
