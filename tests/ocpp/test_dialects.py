"""Both tables, message by message: whatever the standard lets a charger send has an answer that its schema allows."""

from decimal import Decimal
from typing import Any, get_args

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from borne.core.facts import (
    Booted,
    Fact,
    FirmwareStatusChanged,
    Metered,
    Noted,
    Protocol,
    SessionEnded,
    SessionStarted,
    SessionUpdated,
    StatusChanged,
)
from borne.core.tags import TagAnswer, TagStatus
from borne.gateway.schema_files import load_dialects, load_schema
from borne.ocpp.dialects import choose
from borne.ocpp.messages import Answer, Received, reset_status
from borne.ocpp.values import UnusableError
from tests.ocpp.samples import smallest

DIALECTS = load_dialects()
AT = Received(1, 2, 1_795_348_800_000, '[2,"1","X",{"as":"received"}]')
ANSWER = Answer(1_795_348_800_000, 300, "accepted", "77", TagAnswer("accepted", "FAMILY", 1_795_400_000_000))
# What each version lets a charger send (1.6 §4 with the security whitepaper; 2.0.1 part 2, messages initiated by the station).
SENT: dict[Protocol, set[str]] = {
    "1.6": {
        "Authorize", "BootNotification", "DataTransfer", "DiagnosticsStatusNotification", "FirmwareStatusNotification",
        "Heartbeat", "LogStatusNotification", "MeterValues", "SecurityEventNotification", "SignCertificate",
        "SignedFirmwareStatusNotification", "StartTransaction", "StatusNotification", "StopTransaction",
    },
    "2.0.1": {
        "Authorize", "BootNotification", "ClearedChargingLimit", "DataTransfer", "FirmwareStatusNotification",
        "Get15118EVCertificate", "GetCertificateStatus", "Heartbeat", "LogStatusNotification", "MeterValues",
        "NotifyChargingLimit", "NotifyCustomerInformation", "NotifyDisplayMessages", "NotifyEVChargingNeeds",
        "NotifyEVChargingSchedule", "NotifyEvent", "NotifyMonitoringReport", "NotifyReport",
        "PublishFirmwareStatusNotification", "ReportChargingProfiles", "ReservationStatusUpdate",
        "SecurityEventNotification", "SignCertificate", "StatusNotification", "TransactionEvent",
    },
}  # fmt: skip
EVERY = [(protocol, action) for protocol, actions in SENT.items() for action in sorted(actions)]


def request_schema(protocol: Protocol, action: str) -> dict[str, Any]:
    schema = load_schema(protocol, action if protocol == "1.6" else f"{action}Request")
    assert schema is not None
    return schema


def fact_of(protocol: Protocol, action: str, payload: dict[str, Any], at: Received = AT) -> Any:
    translate = DIALECTS[protocol].messages[action].translate
    assert translate is not None
    return translate(payload, at)


def test_the_tables_name_every_message_that_a_charger_may_send() -> None:
    assert {protocol: set(dialect.messages) for protocol, dialect in DIALECTS.items()} == SENT


@pytest.mark.parametrize(("protocol", "action"), EVERY)
def test_every_message_is_taken_and_answered_as_its_schema_asks(protocol: Protocol, action: str) -> None:
    dialect, schema = DIALECTS[protocol], request_schema(protocol, action)
    message = dialect.messages[action]
    for all_fields in (False, True):
        payload = smallest(schema, all_fields=all_fields)
        assert dialect.schemas.check(action, payload) == ()
        if message.translate is not None:
            fact = message.translate(payload, AT)
            assert fact is None or (isinstance(fact, Fact) and fact.charger_id == 1)
        if message.tag is not None:
            assert message.tag(payload)
    response = load_schema(protocol, f"{action}Response")
    assert response is not None
    tags = [
        Answer(0, tag=TagAnswer(status, "a group of more than twenty characters")) for status in get_args(TagStatus)
    ]
    answers = (ANSWER, *tags, Answer(0), Answer(0, registration="pending"), Answer(0, registration="rejected"))
    for answer in answers:
        jsonschema_rs.validate(response, message.reply(answer) if message.reply else {})


@pytest.mark.parametrize(("protocol", "action"), EVERY)
def test_replies_are_printed_in_the_order_of_the_schema(protocol: Protocol, action: str) -> None:
    message = DIALECTS[protocol].messages[action]
    response = load_schema(protocol, f"{action}Response")
    assert response is not None
    printed = list(message.reply(ANSWER)) if message.reply else []
    assert printed == [name for name in response.get("properties", {}) if name in printed]


@pytest.mark.parametrize("protocol", ["1.6", "2.0.1"])
def test_what_may_never_be_refused_is_marked(protocol: Protocol) -> None:
    kept = {a for a, m in DIALECTS[protocol].messages.items() if not m.refusable}
    expected = {
        a
        for a in SENT[protocol]
        if a in ("StopTransaction", "MeterValues", "TransactionEvent") or a.startswith("Notify")
    }
    assert kept == expected


junk = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=6)
    | st.decimals(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@pytest.mark.parametrize(("protocol", "action"), EVERY)
def test_s5_junk_in_any_field_is_a_fact_or_unusable_but_no_crash(protocol: Protocol, action: str) -> None:
    message = DIALECTS[protocol].messages[action]
    names = sorted(request_schema(protocol, action).get("properties", {})) or ["x"]

    @given(st.dictionaries(st.sampled_from(names), junk, max_size=6))
    @settings(max_examples=40, deadline=None)
    def holds(payload: dict[str, Any]) -> None:
        DIALECTS[protocol].schemas.check(action, payload)
        try:
            if message.translate is not None:
                message.translate(payload, AT)
            if message.tag is not None:
                message.tag(payload)
        except UnusableError:
            assert message.refusable

    holds()


def test_boot_of_16() -> None:
    payload = {
        "chargePointVendor": "V",
        "chargePointModel": "M",
        "chargePointSerialNumber": "S",
        "firmwareVersion": "1.2",
        "imsi": "9",
    }
    fact = fact_of("1.6", "BootNotification", payload)
    assert isinstance(fact, Booted)
    assert (fact.vendor, fact.model, fact.serial, fact.firmware, fact.imsi, fact.reason) == (
        "V",
        "M",
        "S",
        "1.2",
        "9",
        None,
    )
    assert not fact.solicited
    asked = Received(1, 2, 3, "", triggered=True)
    assert fact_of("1.6", "BootNotification", payload, asked).solicited


def test_boot_of_201_is_solicited_when_it_says_triggered() -> None:
    station = {"vendorName": "V", "model": "M", "serialNumber": "S", "modem": {"iccid": "8"}}
    fact = fact_of("2.0.1", "BootNotification", {"reason": "RemoteReset", "chargingStation": station})
    assert (fact.vendor, fact.model, fact.serial, fact.iccid, fact.reason, fact.solicited) == (
        "V",
        "M",
        "S",
        "8",
        "RemoteReset",
        False,
    )
    assert fact_of("2.0.1", "BootNotification", {"reason": "Triggered", "chargingStation": station}).solicited


@pytest.mark.parametrize(
    ("connector_id", "place"),
    [(0, (0, 0)), (1, (1, 1)), (2, (2, 1)), (-1, (-1, 1)), (99, (99, 1)), ("1", (1, 1)), (Decimal("1.0"), (1, 1))],
)
def test_s5_connectors_of_16_are_places(connector_id: Any, place: tuple[int, int]) -> None:
    fact = fact_of(
        "1.6", "StatusNotification", {"connectorId": connector_id, "errorCode": "NoError", "status": "SuspendedEV"}
    )
    assert isinstance(fact, StatusChanged)
    assert ((fact.evse, fact.connector), fact.status, fact.error) == (place, "suspended", None)


@pytest.mark.parametrize("connector_id", [None, "one", 2**64, Decimal("1.5"), [1]])
def test_f2_a_connector_that_is_no_integer_of_64_bits_is_unusable(connector_id: Any) -> None:
    with pytest.raises(UnusableError):
        fact_of(
            "1.6", "StatusNotification", {"connectorId": connector_id, "errorCode": "NoError", "status": "Available"}
        )


def test_status_of_201_knows_occupied() -> None:
    payload = {"timestamp": "2026-11-22T12:00:00Z", "connectorStatus": "Occupied", "evseId": 1, "connectorId": 2}
    fact = fact_of("2.0.1", "StatusNotification", payload)
    assert (fact.evse, fact.connector, fact.status, fact.device_ms) == (1, 2, "occupied", 1_795_348_800_000)


def test_sessions_of_16() -> None:
    start = {"connectorId": 2, "idTag": "TAG", "meterStart": 100, "timestamp": "1970-01-01T00:00:01Z"}
    fact = fact_of("1.6", "StartTransaction", start)
    assert isinstance(fact, SessionStarted)
    assert (fact.evse, fact.tag, fact.transaction, fact.meter_start_wh, fact.device_ms) == (2, "TAG", None, 100, 1000)
    assert fact.raw == '{"as":"received"}'
    stop = {
        "transactionId": 77,
        "meterStop": 250,
        "timestamp": "x",
        "reason": "SoftReset",
        "transactionData": [{"timestamp": "x", "sampledValue": [{"value": "9"}]}],
    }
    ended = fact_of("1.6", "StopTransaction", stop)
    assert isinstance(ended, SessionEnded)
    assert (ended.transaction, ended.meter_stop_wh, ended.reason, ended.device_ms, len(ended.readings)) == (
        "77",
        250,
        "SoftReset",
        None,
        1,
    )


def test_o4_a_stop_without_a_usable_transaction_is_still_a_fact() -> None:
    for odd in ({}, {"transactionId": None}, {"transactionId": []}):
        assert fact_of("1.6", "StopTransaction", odd).transaction == ""
    assert fact_of("1.6", "StopTransaction", {"transactionId": -1}).transaction == "-1"


def test_sessions_of_201() -> None:
    base = {
        "timestamp": "2026-11-22T12:00:00Z",
        "triggerReason": "CablePluggedIn",
        "seqNo": 4,
        "transactionInfo": {"transactionId": "abc", "chargingState": "Charging", "stoppedReason": "ImmediateReset"},
        "evse": {"id": 1, "connectorId": 1},
        "idToken": {"idToken": "TAG", "type": "ISO14443"},
        "meterValue": [
            {
                "timestamp": "x",
                "sampledValue": [
                    {"value": 5, "context": "Transaction.Begin"},
                    {"value": 9, "context": "Transaction.End"},
                ],
            }
        ],
    }
    started = fact_of("2.0.1", "TransactionEvent", {**base, "eventType": "Started"})
    assert isinstance(started, SessionStarted)
    assert (started.transaction, started.meter_start_wh, started.seq, started.tag, started.evse) == (
        "abc",
        5,
        4,
        "TAG",
        1,
    )
    nameless = {**base, "eventType": "Started", "transactionInfo": {"transactionId": ""}}
    assert fact_of("2.0.1", "TransactionEvent", nameless).transaction is None
    updated = fact_of("2.0.1", "TransactionEvent", {**base, "eventType": "Updated"})
    assert isinstance(updated, SessionUpdated)
    assert updated.charging is True
    ended = fact_of("2.0.1", "TransactionEvent", {**base, "eventType": "Ended"})
    assert isinstance(ended, SessionEnded)
    assert (ended.meter_stop_wh, ended.reason) == (9, "ImmediateReset")


def test_meter_values_firmware_and_security_events() -> None:
    metered = fact_of(
        "1.6",
        "MeterValues",
        {"connectorId": 1, "transactionId": 5, "meterValue": [{"timestamp": "x", "sampledValue": [{"value": "1"}]}]},
    )
    assert isinstance(metered, Metered)
    assert (metered.transaction, metered.evse, metered.readings[0].value) == ("5", 1, 1)
    firmware = fact_of("2.0.1", "FirmwareStatusNotification", {"status": "Installing"})
    assert isinstance(firmware, FirmwareStatusChanged)
    assert firmware.busy
    assert not fact_of("1.6", "FirmwareStatusNotification", {"status": "Installed"}).busy
    event = fact_of(
        "1.6", "SecurityEventNotification", {"type": "TamperDetection", "timestamp": "x", "techInfo": "<img onerror=x>"}
    )
    assert isinstance(event, Noted)
    assert event.details == {"type": "TamperDetection", "info": "<img onerror=x>", "device_ms": None}


def test_resets_and_their_answers() -> None:
    v16, v201 = DIALECTS["1.6"].table, DIALECTS["2.0.1"].table
    assert v16.reset("soft", 3) == {"type": "Soft"}
    assert v16.reset("hard", None) == {"type": "Hard"}
    assert v201.reset("soft", None) == {"type": "OnIdle"}
    assert v201.reset("hard", 3) == {"type": "Immediate", "evseId": 3}
    assert [reset_status({"status": word}) for word in ("Accepted", "Rejected", "Scheduled", "Maybe", None, [])] == [
        "accepted", "rejected", "scheduled", None, None, None,
    ]  # fmt: skip
    for protocol, payload in (
        ("1.6", v16.reset("hard", None)),
        ("2.0.1", v201.reset("hard", 3)),
        ("1.6", v16.reset("soft", None)),
    ):
        jsonschema_rs.validate(request_schema(protocol, "Reset"), payload)  # type: ignore[arg-type]
    for protocol in ("1.6", "2.0.1"):
        jsonschema_rs.validate(request_schema(protocol, "TriggerMessage"), DIALECTS[protocol].table.trigger_boot())  # type: ignore[arg-type,index]


@pytest.mark.parametrize(
    ("offered", "expected"),
    [
        ([], (None, "1.6")),
        (["ocpp1.6"], ("ocpp1.6", "1.6")),
        (["ocpp2.0.1", "ocpp1.6"], ("ocpp2.0.1", "2.0.1")),
        (["ocpp2.1", "ocpp2.0.1"], ("ocpp2.0.1", "2.0.1")),
        (["OCPP1.6"], ("OCPP1.6", "1.6")),
        (["ocpp2.0.1.1"], ("ocpp2.0.1.1", "2.0.1")),
        (["ocpp1.6j"], ("ocpp1.6j", "1.6")),
        (["ocpp2.1"], None),
        (["mqtt"], None),
    ],
)
def test_subprotocols(offered: list[str], expected: tuple[str | None, str] | None) -> None:
    assert choose(offered) == expected
