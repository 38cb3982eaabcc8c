"""Messages of chargers in which one field has a value that no specification foresees."""

from __future__ import annotations

from collections.abc import Iterator

AT = '"2026-11-22T12:00:00Z"'
SAMPLE = '[{"timestamp":"2026-11-22T12:00:00Z","sampledValue":[{"value":"1"}]}]'
SAMPLE_V201 = '[{"timestamp":"2026-11-22T12:00:00Z","sampledValue":[{"value":1}]}]'
# As JSON text: much of it no encoder would write.
ODD = (
    "NaN", "-Infinity", "-1", "0", "9223372036854775808", "18446744073709551616", "9" * 5_000, "1e30", "1e400", "0.5",
    "true", "null", '""', '"\\u0000"', '"\\ud800"', '"' + "x" * 50_000 + '"', "[]", "{}", '{"a":{"a":1,"a":2}}',
    "[" * 500 + "]" * 500,
    "[" * 20_000 + "]" * 20_000, '"<img src=x onerror=alert(1)>"', '"\\u202egnp.exe"', '"9999-12-31T23:59:59-14:00"',
    '"222222017-01-01T00:00:00Z"', '"1970-01-01T00:00:00Z"', '"\\r\\n\\u001b[31m"', '"\u0661"', "-9223372036854775809",
)  # fmt: skip
Messages = dict[str, dict[str, str]]

V16: Messages = {
    "BootNotification": {"chargePointVendor": '"V"', "chargePointModel": '"M"', "firmwareVersion": '"1"', "imsi": '"1"'},
    "StatusNotification": {
        "connectorId": "1", "status": '"Available"', "errorCode": '"NoError"', "info": '"i"', "timestamp": AT,
    },
    "MeterValues": {"connectorId": "1", "transactionId": "1", "meterValue": SAMPLE},
    "StartTransaction": {"connectorId": "1", "idTag": '"T"', "meterStart": "1", "timestamp": AT},
    "StopTransaction": {"transactionId": "1", "meterStop": "2", "timestamp": AT, "idTag": '"T"', "transactionData": "[]"},
    "Authorize": {"idTag": '"T"'},
    "DataTransfer": {"vendorId": '"v"', "data": '"d"'},
    "FirmwareStatusNotification": {"status": '"Idle"'},
    "SecurityEventNotification": {"type": '"t"', "timestamp": AT, "techInfo": '"i"'},
    "DiagnosticsStatusNotification": {"status": '"Uploading"'},
}  # fmt: skip
V201: Messages = {
    "BootNotification": {"reason": '"PowerUp"', "chargingStation": '{"model":"M","vendorName":"V"}'},
    "StatusNotification": {"timestamp": AT, "connectorStatus": '"Available"', "evseId": "1", "connectorId": "1"},
    "MeterValues": {"evseId": "1", "meterValue": SAMPLE_V201},
    "TransactionEvent": {
        "eventType": '"Started"', "timestamp": AT, "triggerReason": '"Authorized"', "seqNo": "0",
        "transactionInfo": '{"transactionId":"abc"}', "evse": '{"id":1,"connectorId":1}', "meterValue": SAMPLE_V201,
    },
    "Authorize": {"idToken": '{"idToken":"T","type":"Central"}'},
    "NotifyEvent": {"generatedAt": AT, "seqNo": "0", "eventData": "[]"},
    "SecurityEventNotification": {"type": '"t"', "timestamp": AT, "techInfo": '"i"'},
    "FirmwareStatusNotification": {"status": '"Idle"', "requestId": "1"},
}  # fmt: skip
# (action, payload with one hole): what lies deeper in the message.
HOLE = "?"
_SAMPLED_V16 = f'{{"connectorId":1,"meterValue":[{{"timestamp":{AT},"sampledValue":[{{"value":"1","NAME":?}}]}}]}}'
_SAMPLED_V201 = f'{{"evseId":1,"meterValue":[{{"timestamp":{AT},"sampledValue":[{{"value":1,"NAME":?}}]}}]}}'
_EVENT = (
    f'{{"eventType":"KIND","timestamp":{AT},"triggerReason":"Authorized","seqNo":1,"transactionInfo":{{"transactionId":ID}},'
    '"evse":{"id":EVSE,"connectorId":1}}'
)
Deeper = tuple[tuple[str, str], ...]
DEEPER_V16: Deeper = tuple(
    ("MeterValues", _SAMPLED_V16.replace("NAME", name)) for name in ("value", "unit", "measurand", "phase")
)
DEEPER_V201: Deeper = (
    *(("MeterValues", _SAMPLED_V201.replace("NAME", name)) for name in ("value", "measurand", "unitOfMeasure")),
    *(
        ("TransactionEvent", _EVENT.replace("KIND", kind).replace("ID", number).replace("EVSE", evse))
        for kind in ("Started", "Updated", "Ended")
        for number, evse in ((HOLE, "1"), ('"t"', HOLE))
    ),
)
AT_ONCE = 40


def frames_v16() -> Iterator[list[str]]:
    """Frames of 1.6, some at a time."""
    return _frames(V16, DEEPER_V16)


def frames_v201() -> Iterator[list[str]]:
    """Frames of 2.0.1, some at a time."""
    return _frames(V201, DEEPER_V201)


def _frames(messages: Messages, deeper: Deeper) -> Iterator[list[str]]:
    batch: list[str] = []
    for number, (action, payload) in enumerate(_payloads(messages, deeper)):
        batch.append(f'[2,"{number}","{action}",{payload}]')
        if len(batch) == AT_ONCE:
            yield batch
            batch = []
    yield batch


def _payloads(messages: Messages, deeper: Deeper) -> Iterator[tuple[str, str]]:
    for action, fields in messages.items():
        for odd_one in fields:
            for odd in ODD:
                filled = {name: odd if name == odd_one else value for name, value in fields.items()}
                yield action, "{" + ",".join(f'"{name}":{value}' for name, value in filled.items()) + "}"
    for action, template in deeper:
        for odd in ODD:
            yield action, template.replace(HOLE, odd)
