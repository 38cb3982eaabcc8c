"""OCPP-J frames: strict parsing and printing (OCPP 1.6J §4, 2.0.1 part 4 §4).

One policy for hostile and broken text, applied before anything is stored, so that both databases see the same:

- NaN, Infinity, control characters, anything else that is not JSON, and nesting deeper than the interpreter allows: refused.
- NUL and lone surrogates inside strings: replaced by U+FFFD and flagged.
- Duplicate keys: flagged; the caller refuses them (or, for messages that are never refused, goes on with the last value).
- Numbers with a fraction or an exponent become `Decimal`, as written. Integers keep their size here; `values` bounds them.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any

import msgspec

Payload = dict[str, Any]

MAX_ID = 128  # the standard says 36; longer ones are answered all the same
MAX_ACTION = 64
MAX_ERROR_TEXT = 255

_decode = msgspec.json.Decoder(float_hook=Decimal).decode
_decode_parts = msgspec.json.Decoder(list[msgspec.Raw]).decode
_encode = msgspec.json.Encoder(decimal_format="number").encode

_CALL_HEAD = re.compile(r'\s*\[\s*2\s*,\s*"([^"\\\x00-\x1f]{1,128})"\s*,')
# An escape that stands for NUL or for half a surrogate pair, behind an even number of backslashes.
_BAD_ESCAPE = re.compile(
    r"(?<!\\)(?P<even>(?:\\\\)*)(?:(?P<pair>\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})"
    r"|\\u0000|\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
)


class Call(msgspec.Struct, frozen=True, gc=False):
    """A request of the charger. `text` is the frame as received; `flags` name what was odd in it."""

    id: str
    action: str
    payload: Payload
    text: str
    flags: tuple[str, ...] = ()


class Result(msgspec.Struct, frozen=True, gc=False):
    """An answer to a call of ours."""

    id: str
    payload: Payload


class Error(msgspec.Struct, frozen=True, gc=False):
    """A CALLERROR to a call of ours. Codes and details are whatever the charger made of them."""

    id: str
    code: str
    text: str
    details: str


class Bad(msgspec.Struct, frozen=True, gc=False):
    """Not a frame. `id` is known when a CALLERROR can be sent for it; `why` is a word for the counters."""

    why: str
    id: str | None = None


Frame = Call | Result | Error | Bad


def parse(text: str) -> Frame:
    """The frame in `text`; never raises."""
    received: str = text
    flags: tuple[str, ...] = ()
    if "\\" in text:
        text, flags = _clean(text)
    try:
        parts = _decode(text)
        if type(parts) is not list or len(parts) < 2:
            return Bad("not_a_frame")
        if parts[0] == 2 and type(parts[0]) is int:
            return _call(parts, text, received, flags)
        return _other(parts)
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        head = _CALL_HEAD.match(text)
        return Bad("not_json", head.group(1) if head else None)


def _call(parts: list[Any], text: str, received: str, flags: tuple[str, ...]) -> Frame:
    call_id = _id(parts[1])
    if call_id is None:
        return Bad("bad_id")
    if len(parts) != 4:
        return Bad("arity", call_id)
    action, payload = parts[2], parts[3]
    if type(action) is not str or not 0 < len(action) <= MAX_ACTION:
        return Bad("bad_action", call_id)
    if payload is None:
        payload, flags = {}, (*flags, "null_payload")
    if type(payload) is not dict:
        return Bad("bad_payload", call_id)
    # A lost duplicate takes its colon along; an escaped colon (backslash, u003a) could make up for it.
    suspicious = _encode(parts).count(b":") != text.count(":") or ("\\" in text and "\\u003" in text)
    if suspicious and _has_duplicate_keys(text):
        flags = (*flags, "duplicate_key")
    return Call(call_id, action, payload, received, flags)


def _other(parts: list[Any]) -> Frame:
    kind, frame_id = parts[0], _id(parts[1])
    if frame_id is None:
        return Bad("bad_id")
    if kind == 3 and type(kind) is int:
        if len(parts) != 3:
            return Bad("arity")
        return Result(frame_id, parts[2] if type(parts[2]) is dict else {})
    if kind == 4 and type(kind) is int:
        code, text, details = (*parts[2:5], "", "", "")[:3]
        shown = _encode(details).decode() if details not in ("", {}, None) else ""
        return Error(frame_id, _word(code) or "GenericError", _word(text), shown[:MAX_ERROR_TEXT])
    return Bad("message_type", frame_id)


def _id(value: Any) -> str | None:
    return value if type(value) is str and 0 < len(value) <= MAX_ID else None


def _word(value: Any) -> str:
    return (value if type(value) is str else "" if value is None else str(value))[:MAX_ERROR_TEXT]


def _clean(text: str) -> tuple[str, tuple[str, ...]]:
    """Replace escapes of NUL and of lone surrogates by U+FFFD."""
    replaced = 0

    def fix(found: re.Match[str]) -> str:
        nonlocal replaced
        if found.group("pair"):
            return found.group()
        replaced += 1
        return found.group("even") + "\ufffd"

    text = _BAD_ESCAPE.sub(fix, text)
    return text, ("replaced_text",) if replaced else ()


def _has_duplicate_keys(text: str) -> bool:
    """The precise check. It runs only when re-encoding lost a colon, or when escapes could hide one."""
    found = False

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal found
        unique = dict(items)
        found = found or len(unique) != len(items)
        return unique

    json.loads(text, object_pairs_hook=pairs)
    return found


def payload_text(frame_text: str) -> str:
    """The payload of a call exactly as received (it may hold escapes that `parse` replaced)."""
    try:
        return bytes(_decode_parts(frame_text)[3]).decode()
    except (msgspec.DecodeError, IndexError, UnicodeError):
        return frame_text


def print_call(call_id: str, action: str, payload: Payload) -> str:
    """`[2,id,action,payload]`. Keys are printed in the order of the dict: builders keep the schema's."""
    return _encode([2, call_id, action, payload]).decode()


def print_result(call_id: str, payload: Payload) -> str:
    """`[3,id,payload]`."""
    return _encode([3, call_id, payload]).decode()


def print_error(call_id: str, code: str, text: str = "") -> str:
    """`[4,id,code,text,{}]`."""
    return _encode([4, call_id, code, text[:MAX_ERROR_TEXT], {}]).decode()
