"""Frames without their secrets, for whoever may read the raw talk of a charger."""

from __future__ import annotations

from typing import Any

import msgspec

MASK = "***"
# A frame without any of these words holds no secret, and is kept as it is.
_SUSPICIOUS = ("assword", "PASSWORD", "uthorizationKey", "AUTHORIZATIONKEY", "authorizationkey", "ecret", "rivateKey")
_SECRET_WORDS = ("password", "authorizationkey", "secret", "privatekey")
_NAMES = ("key", "name")  # fields that name a setting


def masked(text: str) -> str:
    """`text` with the values of passwords and keys replaced."""
    for word in _SUSPICIOUS:
        if word in text:
            return _masked(text)
    return text


def _masked(text: str) -> str:
    try:
        frame = msgspec.json.decode(text)
        return msgspec.json.encode(_walk(frame)).decode()
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return f"{text[:24]}… {MASK}"


def _walk(value: Any) -> Any:
    if isinstance(value, list):
        return [_walk(item) for item in value]
    if isinstance(value, dict):
        return _object(value)
    # A text inside may hold JSON or settings of its own (DataTransfer).
    return MASK if isinstance(value, str) and len(value) > 20 and _is_secret(value) else value


def _object(found: dict[str, Any]) -> dict[str, Any]:
    names_secret = any(isinstance(found.get(name), str) and _is_secret(found[name]) for name in _NAMES)
    # 2.0.1: {"variable": {"name": "BasicAuthPassword"}, "attributeValue": "…"}
    variable = found.get("variable")
    if isinstance(variable, dict) and isinstance(variable.get("name"), str):
        names_secret = names_secret or _is_secret(variable["name"])
    out: dict[str, Any] = {}
    for key, value in found.items():
        is_secret = _is_secret(key) and isinstance(value, str)
        if is_secret or (names_secret and key in ("value", "attributeValue")):
            out[key] = MASK
        else:
            out[key] = value if key in _NAMES and isinstance(value, str) else _walk(value)
    return out


def _is_secret(text: str) -> bool:
    lowered = text.lower()
    return any(word in lowered for word in _SECRET_WORDS)
