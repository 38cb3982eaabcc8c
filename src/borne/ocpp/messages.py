"""What the tables of the dialects are made of: one row for each message that a charger may send."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from borne.core.facts import AnswerStatus, Fact, Protocol, RestartKind
from borne.core.tags import TagAnswer
from borne.ocpp.frames import Payload
from borne.ocpp.schemas import Load, Schemas, Violation


class Received(msgspec.Struct, frozen=True, gc=False):
    """Where and when a message came in. `text` is the frame; `triggered`: we wrote a TriggerMessage for a boot on this link."""

    charger_id: int
    epoch: int
    at_ms: int
    text: str
    triggered: bool = False


class Answer(msgspec.Struct, frozen=True, gc=False):
    """What the reply is made of, in core words. Only some of it matters to each message."""

    now_ms: int
    heartbeat_s: int = 300
    registration: str = "accepted"
    transaction: str | None = None
    tag: TagAnswer | None = None


Translate = Callable[[Payload, Received], Fact | None]
Build = Callable[[Answer], Payload]


class Message(msgspec.Struct, frozen=True):
    """How a charger's message is taken and answered.

    `translate` gives the fact to store before the answer leaves (None: nothing to store, answer at once). It raises
    UnusableError where the message means nothing. `refusable` False: its content never earns a CALLERROR, because the
    charger would send it for ever. `tag` reads the id tag of a message that asks for authorisation.
    """

    translate: Translate | None = None
    reply: Build | None = None  # None: the empty payload
    refusable: bool = True
    tag: Callable[[Payload], str | None] | None = None
    before_accepted: bool = False  # may be sent although the charger is not accepted (yet)


class Codes(msgspec.Struct, frozen=True):
    """The words of a version for the errors of a CALLERROR."""

    format: str
    occurrence: str
    property: str = "PropertyConstraintViolation"
    type: str = "TypeConstraintViolation"
    not_implemented: str = "NotImplemented"
    not_supported: str = "NotSupported"
    internal: str = "InternalError"
    security: str = "SecurityError"
    message_type: str = "FormationViolation"

    def of(self, violation: Violation) -> str:
        """The code for a violation that is not tolerated."""
        match violation.kind:
            case "type":
                return self.type
            case "missing" | "count":
                return self.occurrence
            case "enum" | "range" | "length":
                return self.property
        return self.format


class Table(msgspec.Struct, frozen=True):
    """One version of OCPP, as data and small functions."""

    protocol: Protocol
    request_suffix: str
    messages: dict[str, Message]
    codes: Codes
    reset: Callable[[RestartKind, int | None], Payload]
    trigger_boot: Callable[[], Payload]
    gates_early_messages: frozenset[str]  # registrations under which other messages are refused


class Dialect:
    """A version's table together with its schemas."""

    __slots__ = ("codes", "messages", "protocol", "schemas", "table")

    def __init__(self, table: Table, load: Load) -> None:
        self.table = table
        self.protocol: Protocol = table.protocol
        self.messages = table.messages
        self.codes = table.codes
        self.schemas = Schemas(load, table.request_suffix)

    def may_send(self, registration: str, message: Message) -> bool:
        """Whether a charger of this registration may send the message (1.6 §4.2, 2.0.1 B02.FR.09, B03.FR.07)."""
        return message.before_accepted or registration not in self.table.gates_early_messages


_ANSWERS: dict[Any, AnswerStatus] = {"Accepted": "accepted", "Rejected": "rejected", "Scheduled": "scheduled"}


def reset_status(payload: Payload) -> AnswerStatus | None:
    """The status in a Reset's answer; None when it holds none that is known."""
    word = payload.get("status")
    return _ANSWERS.get(word) if type(word) is str else None
