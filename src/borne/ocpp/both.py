"""What OCPP 1.6 and 2.0.1 say in the same words: shared by their tables."""

from __future__ import annotations

from borne.core.effects import Details
from borne.core.facts import FirmwareStatusChanged, Noted
from borne.ocpp.frames import Payload
from borne.ocpp.messages import Answer, Received, Translate
from borne.ocpp.times import instant_ms, print_instant
from borne.ocpp.values import needed_text, text

REGISTRATION = {"accepted": "Accepted", "pending": "Pending", "rejected": "Rejected"}


def firmware(busy: frozenset[str]) -> Translate:
    """FirmwareStatusNotification; `busy` are the version's words for an update under way."""

    def translate(payload: Payload, at: Received) -> FirmwareStatusChanged:
        status = needed_text(payload, "status")
        return FirmwareStatusChanged(
            charger_id=at.charger_id, at_ms=at.at_ms, epoch=at.epoch, status=status, busy=status in busy
        )

    return translate


def log_status(payload: Payload, at: Received) -> Noted | None:
    """Diagnostics (1.6) or a log (both) on their way; Idle, the answer to a trigger, says nothing."""
    status = text(payload, "status")
    if status in (None, "Idle"):
        return None
    return Noted(
        charger_id=at.charger_id, at_ms=at.at_ms, epoch=at.epoch, kind="diagnostics", details={"status": status}
    )


def security_event(payload: Payload, at: Received) -> Noted:
    """SecurityEventNotification (1.6: security whitepaper)."""
    details: Details = {
        "type": text(payload, "type"),
        "info": text(payload, "techInfo"),
        "device_ms": instant_ms(payload.get("timestamp")),
    }
    return Noted(charger_id=at.charger_id, at_ms=at.at_ms, epoch=at.epoch, kind="security_event", details=details)


def heartbeat_reply(answer: Answer) -> Payload:
    return {"currentTime": print_instant(answer.now_ms)}


def trigger_boot() -> Payload:
    return {"requestedMessage": "BootNotification"}
