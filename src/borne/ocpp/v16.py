"""OCPP 1.6 (edition 2, with the security whitepaper): what a charger may send, and how it is taken and answered."""

from __future__ import annotations

from borne.core.facts import (
    Booted,
    ConnectorStatus,
    Metered,
    RestartKind,
    SessionEnded,
    SessionStarted,
    StatusChanged,
)
from borne.core.tags import INVALID, TagAnswer, TagStatus
from borne.ocpp.both import REGISTRATION, firmware, heartbeat_reply, log_status, security_event, trigger_boot
from borne.ocpp.frames import Payload, payload_text
from borne.ocpp.messages import Answer, Codes, Message, Received, Table
from borne.ocpp.meters import readings_v16
from borne.ocpp.times import instant_ms, print_instant
from borne.ocpp.values import UnusableError, integer, items, needed_integer, needed_text, text

_STATUS: dict[str, ConnectorStatus] = {
    "available": "available",
    "preparing": "preparing",
    "charging": "charging",
    "suspendedev": "suspended",
    "suspendedevse": "suspended",
    "finishing": "finishing",
    "reserved": "reserved",
    "unavailable": "unavailable",
    "faulted": "faulted",
    "occupied": "preparing",  # 1.5's word, still sent by some
}
_TAG_STATUS: dict[TagStatus, str] = {
    "accepted": "Accepted",
    "blocked": "Blocked",
    "expired": "Expired",
    "invalid": "Invalid",
    "not_here": "Invalid",
}
MAX_ID_TAG = 20
_FIRMWARE_BUSY = frozenset(("Downloading", "Downloaded", "Installing", "SignatureVerified", "InstallRebooting"))


def _place(connector_id: int | None) -> tuple[int, int]:
    """(EVSE, connector): connectorId n is connector 1 of EVSE n, 0 is the charger as a whole."""
    number = connector_id or 0
    return (number, 1) if number else (0, 0)


# ---- translations --------------------------------------------------------------------------------------------------


def _boot(payload: Payload, at: Received) -> Booted:
    return Booted(
        charger_id=at.charger_id,
        at_ms=at.at_ms,
        epoch=at.epoch,
        vendor=text(payload, "chargePointVendor") or "",
        model=text(payload, "chargePointModel") or "",
        serial=text(payload, "chargePointSerialNumber") or text(payload, "chargeBoxSerialNumber"),
        firmware=text(payload, "firmwareVersion"),
        iccid=text(payload, "iccid"),
        imsi=text(payload, "imsi"),
        solicited=at.triggered,
    )


def _status(payload: Payload, at: Received) -> StatusChanged:
    evse, connector = _place(needed_integer(payload, "connectorId"))
    status = _STATUS.get(needed_text(payload, "status").lower())
    if status is None:
        raise UnusableError("status")
    error = text(payload, "errorCode")
    return StatusChanged(
        charger_id=at.charger_id,
        at_ms=at.at_ms,
        epoch=at.epoch,
        evse=evse,
        connector=connector,
        status=status,
        error=None if error == "NoError" else error,
        vendor_error=text(payload, "vendorErrorCode"),
        info=text(payload, "info"),
        device_ms=instant_ms(payload.get("timestamp")),
    )


def _metered(payload: Payload, at: Received) -> Metered:
    evse, connector = _place(integer(payload, "connectorId"))
    return Metered(
        charger_id=at.charger_id,
        at_ms=at.at_ms,
        epoch=at.epoch,
        evse=evse,
        connector=connector,
        transaction=text(payload, "transactionId"),
        readings=readings_v16(items(payload, "meterValue")),
    )


def _started(payload: Payload, at: Received) -> SessionStarted:
    evse, connector = _place(needed_integer(payload, "connectorId"))
    return SessionStarted(
        charger_id=at.charger_id,
        at_ms=at.at_ms,
        epoch=at.epoch,
        evse=evse,
        connector=connector,
        tag=text(payload, "idTag"),
        transaction=None,
        meter_start_wh=integer(payload, "meterStart"),
        device_ms=instant_ms(payload.get("timestamp")),
        raw=payload_text(at.text),
    )


def _ended(payload: Payload, at: Received) -> SessionEnded:
    return SessionEnded(
        charger_id=at.charger_id,
        at_ms=at.at_ms,
        epoch=at.epoch,
        transaction=text(payload, "transactionId") or "",
        tag=text(payload, "idTag"),
        meter_stop_wh=integer(payload, "meterStop"),
        reason=text(payload, "reason"),
        device_ms=instant_ms(payload.get("timestamp")),
        raw=payload_text(at.text),
        readings=readings_v16(items(payload, "transactionData")),
    )


# ---- replies, in the order of their schemas ------------------------------------------------------------------------


def _boot_reply(answer: Answer) -> Payload:
    return {
        "status": REGISTRATION[answer.registration],
        "currentTime": print_instant(answer.now_ms),
        "interval": answer.heartbeat_s,
    }


def _id_tag_info(tag: TagAnswer) -> Payload:
    """IdTagInfo (§7.27). Whoever may not charge at this charger is Invalid: 1.6 has no better word."""
    info: Payload = {}
    if tag.until_ms is not None:
        info["expiryDate"] = print_instant(tag.until_ms)
    if tag.group is not None and len(tag.group) <= MAX_ID_TAG:
        info["parentIdTag"] = tag.group
    return {**info, "status": _TAG_STATUS[tag.status]}


def _tag_reply(answer: Answer) -> Payload:
    return {"idTagInfo": _id_tag_info(answer.tag or INVALID)}


def _started_reply(answer: Answer) -> Payload:
    number = answer.transaction or ""
    return {
        "idTagInfo": _id_tag_info(answer.tag) if answer.tag else {"status": "Accepted"},
        "transactionId": int(number) if number.isdecimal() else 0,
    }


def _ended_reply(answer: Answer) -> Payload:
    return {"idTagInfo": _id_tag_info(answer.tag)} if answer.tag else {}


def _id_tag(payload: Payload) -> str | None:
    return needed_text(payload, "idTag")


def _unknown_vendor(_answer: Answer) -> Payload:
    return {"status": "UnknownVendorId"}


def _rejected(_answer: Answer) -> Payload:
    return {"status": "Rejected"}


# ---- commands ------------------------------------------------------------------------------------------------------


def _reset(kind: RestartKind, _evse: int | None) -> Payload:
    return {"type": "Hard" if kind == "hard" else "Soft"}


TABLE = Table(
    protocol="1.6",
    request_suffix="",
    codes=Codes(format="FormationViolation", occurrence="OccurenceConstraintViolation"),
    reset=_reset,
    trigger_boot=trigger_boot,
    # 1.6 lets a pending charger answer triggers with any message; what is left of a session is never refused.
    gates_early_messages=frozenset(("rejected",)),
    messages={
        "Authorize": Message(tag=_id_tag, reply=_tag_reply),
        "BootNotification": Message(_boot, _boot_reply, before_accepted=True),
        "DataTransfer": Message(reply=_unknown_vendor),
        "DiagnosticsStatusNotification": Message(log_status),
        "FirmwareStatusNotification": Message(firmware(_FIRMWARE_BUSY)),
        "Heartbeat": Message(reply=heartbeat_reply),
        "LogStatusNotification": Message(log_status),
        "MeterValues": Message(_metered, refusable=False, before_accepted=True),
        "SecurityEventNotification": Message(security_event),
        "SignCertificate": Message(reply=_rejected),
        "SignedFirmwareStatusNotification": Message(firmware(_FIRMWARE_BUSY)),
        "StartTransaction": Message(_started, _started_reply),
        "StatusNotification": Message(_status),
        "StopTransaction": Message(_ended, _ended_reply, refusable=False, before_accepted=True),
    },
)
