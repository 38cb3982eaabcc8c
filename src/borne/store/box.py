"""Secrets that Borne must read again (a second factor, an identity provider): encrypted with a key outside the database."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.fernet import Fernet


class Box:
    """AES-128-CBC with HMAC-SHA256 (Fernet of `cryptography`), with a key of 32 bytes."""

    def __init__(self, key: bytes) -> None:
        self._key = base64.urlsafe_b64encode(key)

    def close(self, secret: str) -> bytes:
        """Encrypt."""
        return self._fernet().encrypt(secret.encode())

    def open(self, closed: bytes) -> str | None:
        """Decrypt; None when it was closed with another key, or changed."""
        from cryptography.fernet import InvalidToken

        try:
            return self._fernet().decrypt(closed).decode()
        except InvalidToken:
            return None

    def _fernet(self) -> Fernet:
        from cryptography.fernet import Fernet

        return Fernet(self._key)
