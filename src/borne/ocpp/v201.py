"""OCPP 2.0.1 (edition 3): what a charging station may send, and how it is taken and answered."""

from __future__ import annotations

from typing import Any

from borne.core.facts import (
    Booted,
    ConnectorStatus,
    Fact,
    Metered,
    RestartKind,
    SessionEnded,
    SessionStarted,
    SessionUpdated,
    StatusChanged,
)
from borne.core.tags import INVALID, MAX_TAG, TagAnswer, TagStatus
from borne.ocpp.both import REGISTRATION, firmware, heartbeat_reply, log_status, security_event, trigger_boot
from borne.ocpp.frames import Payload, payload_text
from borne.ocpp.messages import Answer, Codes, Message, Received, Table
from borne.ocpp.meters import readings_v201, register_wh
from borne.ocpp.times import instant_ms, print_instant
from borne.ocpp.values import UnusableError, integer, items, mapping, needed_integer, needed_text, text

_STATUS: dict[str, ConnectorStatus] = {
    "available": "available",
    "occupied": "occupied",
    "reserved": "reserved",
    "unavailable": "unavailable",
    "faulted": "faulted",
}
_TAG_STATUS: dict[TagStatus, str] = {
    "accepted": "Accepted",
    "blocked": "Blocked",
    "expired": "Expired",
    "invalid": "Invalid",
    "not_here": "NotAtThisLocation",
}
_FIRMWARE_BUSY = frozenset(
    ("Downloading", "Downloaded", "DownloadPaused", "SignatureVerified", "Installing", "InstallRebooting")
)


# ---- translations --------------------------------------------------------------------------------------------------


def _boot(payload: Payload, at: Received) -> Booted:
    station, reason = mapping(payload, "chargingStation"), text(payload, "reason")
    modem = mapping(station, "modem")
    return Booted(
        charger_id=at.charger_id,
        at_ms=at.at_ms,
        epoch=at.epoch,
        vendor=text(station, "vendorName") or "",
        model=text(station, "model") or "",
        serial=text(station, "serialNumber"),
        firmware=text(station, "firmwareVersion"),
        iccid=text(modem, "iccid"),
        imsi=text(modem, "imsi"),
        reason=reason,
        solicited=at.triggered or reason == "Triggered",
    )


def _status(payload: Payload, at: Received) -> StatusChanged:
    status = _STATUS.get(needed_text(payload, "connectorStatus").lower())
    if status is None:
        raise UnusableError("connectorStatus")
    return StatusChanged(
        charger_id=at.charger_id,
        at_ms=at.at_ms,
        epoch=at.epoch,
        evse=needed_integer(payload, "evseId"),
        connector=needed_integer(payload, "connectorId"),
        status=status,
        device_ms=instant_ms(payload.get("timestamp")),
    )


def _metered(payload: Payload, at: Received) -> Metered:
    return Metered(
        charger_id=at.charger_id,
        at_ms=at.at_ms,
        epoch=at.epoch,
        evse=integer(payload, "evseId") or 0,
        connector=0,
        transaction=None,
        readings=readings_v201(items(payload, "meterValue")),
    )


def _transaction(payload: Payload, at: Received) -> Fact:
    """TransactionEvent (E02 to E06). An event of unknown type is kept as an update: it is never refused.

    One that names no transaction, against the schema, says "" like a stop of 1.6 without one; a start gets a name from us.
    """
    info, evse = mapping(payload, "transactionInfo"), mapping(payload, "evse")
    readings = readings_v201(items(payload, "meterValue"))
    common: dict[str, Any] = {
        "charger_id": at.charger_id,
        "at_ms": at.at_ms,
        "epoch": at.epoch,
        "evse": integer(evse, "id") or 0,
        "connector": integer(evse, "connectorId") or 0,
        "transaction": text(info, "transactionId") or "",
        "tag": text(mapping(payload, "idToken"), "idToken"),
        "device_ms": instant_ms(payload.get("timestamp")),
        "seq": integer(payload, "seqNo"),
        "raw": payload_text(at.text),
        "readings": readings,
    }
    match payload.get("eventType"):
        case "Started":
            named = {**common, "transaction": common["transaction"] or None}
            return SessionStarted(meter_start_wh=register_wh(readings, "Transaction.Begin"), **named)
        case "Ended":
            stop_wh = register_wh(readings, "Transaction.End")
            return SessionEnded(meter_stop_wh=stop_wh, reason=text(info, "stoppedReason"), **common)
    state = text(info, "chargingState")
    return SessionUpdated(charging=None if state is None else state == "Charging", **common)


# ---- replies, in the order of their schemas ------------------------------------------------------------------------


def _boot_reply(answer: Answer) -> Payload:
    return {
        "currentTime": print_instant(answer.now_ms),
        "interval": answer.heartbeat_s,
        "status": REGISTRATION[answer.registration],
    }


def _token_info(tag: TagAnswer) -> Payload:
    """IdTokenInfoType (§2.31), with the group of the token (C09)."""
    info: Payload = {"status": _TAG_STATUS[tag.status]}
    if tag.until_ms is not None:
        info["cacheExpiryDateTime"] = print_instant(tag.until_ms)
    if tag.group is not None and len(tag.group) <= MAX_TAG:
        info["groupIdToken"] = {"idToken": tag.group, "type": "Central"}
    return info


def _token_reply(answer: Answer) -> Payload:
    return {"idTokenInfo": _token_info(answer.tag or INVALID)}


def _transaction_reply(answer: Answer) -> Payload:
    return {"idTokenInfo": _token_info(answer.tag)} if answer.tag else {}


def _id_token(payload: Payload) -> str | None:
    return needed_text(mapping(payload, "idToken"), "idToken")


def _status_reply(word: str, **more: Any) -> Any:
    def reply(_answer: Answer) -> Payload:
        return {"status": word, **more}

    return reply


# ---- commands ------------------------------------------------------------------------------------------------------


def _reset(kind: RestartKind, evse: int | None) -> Payload:
    payload: Payload = {"type": "Immediate" if kind == "hard" else "OnIdle"}
    if evse is not None:
        payload["evseId"] = evse
    return payload


_NOTICE = Message(refusable=False)  # taken, answered, and (for now) not kept beyond the raw frames

TABLE = Table(
    protocol="2.0.1",
    request_suffix="Request",
    codes=Codes(
        format="FormatViolation", occurrence="OccurrenceConstraintViolation", message_type="MessageTypeNotSupported"
    ),
    reset=_reset,
    trigger_boot=trigger_boot,
    gates_early_messages=frozenset(("pending", "rejected")),
    messages={
        "Authorize": Message(tag=_id_token, reply=_token_reply),
        "BootNotification": Message(_boot, _boot_reply, before_accepted=True),
        "ClearedChargingLimit": Message(),
        "DataTransfer": Message(reply=_status_reply("UnknownVendorId")),
        "FirmwareStatusNotification": Message(firmware(_FIRMWARE_BUSY)),
        "Get15118EVCertificate": Message(reply=_status_reply("Failed", exiResponse="")),
        "GetCertificateStatus": Message(reply=_status_reply("Failed")),
        "Heartbeat": Message(reply=heartbeat_reply),
        "LogStatusNotification": Message(log_status),
        "MeterValues": Message(_metered, refusable=False),
        "NotifyChargingLimit": _NOTICE,
        "NotifyCustomerInformation": _NOTICE,
        "NotifyDisplayMessages": _NOTICE,
        "NotifyEVChargingNeeds": Message(reply=_status_reply("Rejected"), refusable=False),
        "NotifyEVChargingSchedule": Message(reply=_status_reply("Accepted"), refusable=False),
        "NotifyEvent": _NOTICE,
        "NotifyMonitoringReport": _NOTICE,
        "NotifyReport": _NOTICE,
        "PublishFirmwareStatusNotification": Message(),
        "ReportChargingProfiles": Message(),
        "ReservationStatusUpdate": Message(),
        "SecurityEventNotification": Message(security_event),
        "SignCertificate": Message(reply=_status_reply("Rejected")),
        "StatusNotification": Message(_status),
        "TransactionEvent": Message(_transaction, _transaction_reply, refusable=False),
    },
)
