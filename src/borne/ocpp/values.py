"""Single values out of payloads, tolerantly: chargers send empty strings, nulls, numbers as text and text as numbers."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from borne.ocpp.frames import Payload

MAX_INTEGER = 2**63 - 1
MAX_TEXT = 500  # of one word kept in a fact; frames and raw session messages keep it whole


class UnusableError(Exception):
    """A field without which the message means nothing. Refused with a CALLERROR where that is allowed."""

    def __init__(self, field: str) -> None:
        super().__init__(field)
        self.field = field


def text(payload: Payload, key: str) -> str | None:
    """The text under `key`; None when absent, null or empty."""
    value = payload.get(key)
    if type(value) is str:
        return value[:MAX_TEXT] or None
    if type(value) is int or type(value) is Decimal:
        return str(value)[:MAX_TEXT]
    return None


def integer(payload: Payload, key: str) -> int | None:
    """The integer under `key`, of 64 bits; None when absent, null, not whole or too large. Text of digits will do."""
    value = payload.get(key)
    if type(value) is str and len(value) <= 20 and value.isascii():
        try:
            value = int(value)
        except ValueError:
            return None
    elif type(value) is Decimal:
        if not value.is_finite() or value.adjusted() > 18 or value != value.to_integral_value():
            return None
        value = int(value)
    if type(value) is not int or not -MAX_INTEGER <= value <= MAX_INTEGER:
        return None
    return value


def needed_text(payload: Payload, key: str) -> str:
    """As `text`. Raises UnusableError when there is none."""
    value = text(payload, key)
    if value is None:
        raise UnusableError(key)
    return value


def needed_integer(payload: Payload, key: str) -> int:
    """As `integer`. Raises UnusableError when there is none."""
    value = integer(payload, key)
    if value is None:
        raise UnusableError(key)
    return value


def mapping(payload: Payload, key: str) -> Payload:
    """The object under `key`; empty when it is anything else."""
    value = payload.get(key)
    return value if type(value) is dict else {}


def items(payload: Payload, key: str) -> list[Any]:
    """The array under `key`; empty when it is anything else."""
    value = payload.get(key)
    return value if type(value) is list else []
