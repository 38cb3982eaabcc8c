"""Validation of payloads against the official JSON schemas, and the deviations that Borne lives with.

The schema files come with the package `ocpp`; whoever wires this ring passes a function that loads them. Format checks are off:
common real-world timestamps would be refused, and `borne.ocpp.times` reads them anyway. A validator is compiled at its first use.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import jsonschema_rs
import msgspec

from borne.ocpp.frames import Payload

Schema = dict[str, Any]
Load = Callable[[str], Schema | None]  # name of a schema file without its ending -> the schema, None when there is none

MAX_VIOLATIONS = 50  # looked at in one message

ViolationKind = Literal["extra", "length", "enum", "type", "missing", "range", "count", "other"]
_KINDS: dict[str, ViolationKind] = {
    "additionalProperties": "extra",
    "maxLength": "length",
    "minLength": "length",
    "enum": "enum",
    "type": "type",
    "required": "missing",
    "minimum": "range",
    "maximum": "range",
    "multipleOf": "range",
    "minItems": "count",
    "maxItems": "count",
}


class Violation(msgspec.Struct, frozen=True):
    """One way in which a payload breaks its schema. `tolerance` names the declared deviation it is, None when it is none."""

    kind: ViolationKind
    field: str
    message: str
    tolerance: str | None


# What real chargers do and Borne accepts, counted by the word on the right. Message "*" is any; field "*" is any.
TOLERATED_FIELDS: dict[tuple[str, ViolationKind, str], str] = {
    ("*", "extra", "*"): "extra_field",
    ("*", "length", "*"): "over_long",
    ("StatusNotification", "missing", "timestamp"): "no_timestamp",
    ("StatusNotification", "missing", "errorCode"): "no_error_code",
    ("StatusNotification", "enum", "errorCode"): "odd_word",
    ("BootNotification", "enum", "reason"): "odd_word",
    ("BootNotification", "missing", "reason"): "no_boot_reason",
    ("FirmwareStatusNotification", "enum", "status"): "odd_word",
    ("SignedFirmwareStatusNotification", "enum", "status"): "odd_word",
    ("DiagnosticsStatusNotification", "enum", "status"): "odd_word",
    ("LogStatusNotification", "enum", "status"): "odd_word",
    ("Authorize", "enum", "type"): "odd_word",
}


def _tolerance(message: str, kind: ViolationKind, field: str, instance: Any) -> str | None:
    """The declared deviation that this violation is. The last word is the translator's: what it cannot do without is refused."""
    if instance is None and kind in ("type", "enum"):
        return "null_field"
    if instance == "" and kind in ("enum", "length"):
        return "empty_string"
    if kind == "type" and type(instance) is str and instance.lstrip("-").isdecimal():
        return "number_as_text"
    if kind == "type" and type(instance) is int:
        return "text_as_number"
    for key in ((message, kind, field), ("*", kind, field), ("*", kind, "*")):
        if key in TOLERATED_FIELDS:
            return TOLERATED_FIELDS[key]
    return None


class Schemas:
    """The schemas of one version. `suffix` is what a request's file name ends with ("" in 1.6, "Request" in 2.0.1)."""

    __slots__ = ("_checks", "_load", "_suffix")

    def __init__(self, load: Load, suffix: str) -> None:
        self._load = load
        self._suffix = suffix
        self._checks: dict[str, Callable[[Any], bool]] = {}

    def check(self, action: str, payload: Payload) -> tuple[Violation, ...]:
        """What is wrong with the payload of a request; empty when nothing is (the fast and usual case)."""
        check = self._checks.get(action) or self._compile(action)
        try:
            if check(payload):
                return ()
            return self._violations(action, payload)
        except (ValueError, OverflowError, RecursionError) as error:
            # Numbers and depths that the validator cannot hold.
            return (Violation("other", "", str(error)[:200], None),)

    def knows(self, action: str) -> bool:
        """Whether the standard knows this message, whoever may send it."""
        return action in self._checks or self._load(action + self._suffix) is not None

    def _validator(self, action: str) -> Any:
        schema = self._load(action + self._suffix)
        if schema is None:
            raise KeyError(action)
        return jsonschema_rs.validator_for(schema, validate_formats=False)

    def _compile(self, action: str) -> Callable[[Any], bool]:
        check: Callable[[Any], bool] = self._validator(action).is_valid
        self._checks[action] = check
        return check

    def _violations(self, action: str, payload: Payload) -> tuple[Violation, ...]:
        found: list[Violation] = []
        for error in self._validator(action).iter_errors(payload):
            keyword = next((str(part) for part in reversed(error.schema_path) if isinstance(part, str)), "")
            kind = _KINDS.get(keyword, "other")
            field = str(error.kind.property) if kind == "missing" else _last_name(error.instance_path)
            message = str(error.message)[:200]
            found.append(Violation(kind, field, message, _tolerance(action, kind, field, error.instance)))
            if len(found) == MAX_VIOLATIONS:
                break
        return tuple(found)


def _last_name(path: list[str | int]) -> str:
    return next((part for part in reversed(path) if isinstance(part, str)), "")
