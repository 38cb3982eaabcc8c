"""Secrets of charger links: made long and random, kept as a cheap keyed hash.

A slow password hash would make every reconnect storm a denial of service; a fast one is safe here because nobody chooses
these secrets. The key lies outside the database, so that a stolen database file alone confirms no guess.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets

# No 0 o, 1 l i: these are typed into chargers by hand. 31 letters, 20 of them: 99 bits.
ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
SECRET_LENGTH = 20  # OCPP 1.6 security whitepaper: 16 to 40 characters


def new_secret() -> str:
    """A secret to type into a charger."""
    return "".join(secrets.choice(ALPHABET) for _ in range(SECRET_LENGTH))


def hash_secret(key: bytes, secret: str) -> bytes:
    """What the database knows a secret by: HMAC-SHA256, 32 bytes."""
    return hmac.digest(key, secret.encode(), hashlib.sha256)


def matches(key: bytes, secret: str, kept: bytes) -> bool:
    """Whether this is the secret of that hash, in a time that tells nothing."""
    return hmac.compare_digest(hash_secret(key, secret), kept)
