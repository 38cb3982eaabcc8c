"""The declared tolerances: what real chargers do is counted and accepted, the rest is named for the CALLERROR."""

from typing import Any

import pytest

from borne.gateway.schema_files import load_dialects, load_schema
from borne.ocpp.schemas import Schemas

DIALECTS = load_dialects()
STATUS = {"connectorId": 1, "errorCode": "NoError", "status": "Available"}
BOOT = {"chargePointVendor": "V", "chargePointModel": "M"}


def kinds(action: str, payload: dict[str, Any], protocol: Any = "1.6") -> list[tuple[str, str, str | None]]:
    return [(v.kind, v.field, v.tolerance) for v in DIALECTS[protocol].schemas.check(action, payload)]


@pytest.mark.parametrize(
    ("action", "payload", "expected"),
    [
        ("StatusNotification", STATUS, []),
        ("StatusNotification", {**STATUS, "odd": 1}, [("extra", "", "extra_field")]),
        ("StatusNotification", {**STATUS, "info": "x" * 51}, [("length", "info", "over_long")]),
        ("StatusNotification", {**STATUS, "info": None}, [("type", "info", "null_field")]),
        ("StatusNotification", {**STATUS, "errorCode": ""}, [("enum", "errorCode", "empty_string")]),
        ("StatusNotification", {**STATUS, "connectorId": "1"}, [("type", "connectorId", "number_as_text")]),
        ("StatusNotification", {**STATUS, "timestamp": "not a time"}, []),  # format checks are off
        ("BootNotification", {**BOOT, "chargePointVendor": "x" * 21}, [("length", "chargePointVendor", "over_long")]),
        ("StatusNotification", {**STATUS, "status": "Sleeping"}, [("enum", "status", None)]),
        ("StatusNotification", {**STATUS, "connectorId": [1]}, [("type", "connectorId", None)]),
        ("StatusNotification", {"connectorId": 1, "errorCode": "NoError"}, [("missing", "status", None)]),
    ],
)
def test_f12_declared_deviations(
    action: str, payload: dict[str, Any], expected: list[tuple[str, str, str | None]]
) -> None:
    assert kinds(action, payload) == expected


def test_a_status_of_201_without_timestamp_is_tolerated() -> None:
    found = kinds("StatusNotification", {"connectorStatus": "Available", "evseId": 1, "connectorId": 1}, "2.0.1")
    assert found == [("missing", "timestamp", "no_timestamp")]


def test_the_code_for_a_violation_is_the_versions_own() -> None:
    (violation,) = DIALECTS["1.6"].schemas.check("StatusNotification", {"connectorId": 1, "errorCode": "NoError"})
    assert DIALECTS["1.6"].codes.of(violation) == "OccurenceConstraintViolation"
    assert DIALECTS["2.0.1"].codes.of(violation) == "OccurrenceConstraintViolation"


def test_messages_of_the_standard_are_known_whoever_sends_them() -> None:
    assert DIALECTS["1.6"].schemas.knows("Reset")
    assert not DIALECTS["1.6"].schemas.knows("MakeCoffee")
    assert load_schema("1.6", "../v201/schemas/ResetRequest") is None


def test_a_validator_is_compiled_once() -> None:
    loads: list[str] = []

    def load(name: str) -> dict[str, Any] | None:
        loads.append(name)
        return load_schema("1.6", name)

    schemas = Schemas(load, "")
    for _ in range(3):
        assert schemas.check("Heartbeat", {}) == ()
    assert loads == ["Heartbeat"]


def test_numbers_that_the_validator_cannot_hold_are_a_violation() -> None:
    assert kinds("DataTransfer", {"vendorId": "x", "data": "y", "odd": 10**400})
