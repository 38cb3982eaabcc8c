"""Facts: what happened, in domain words.

A fact is immutable, names its charger and its instant of receipt (`at_ms`, milliseconds since the epoch, UTC, read
from Borne's own clock), and carries everything a rule needs, so that `step` never asks anybody anything. Facts of a
link carry the link's epoch: the rules ignore those of an older one. Device times are kept beside the time of receipt,
never instead of it.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from borne.core.readings import Reading

Protocol = Literal["1.6", "2.0.1"]
RestartKind = Literal["soft", "hard"]
Registration = Literal["accepted", "pending", "rejected"]
ConnectorStatus = Literal[
    "available", "preparing", "charging", "suspended", "finishing", "reserved", "unavailable", "faulted", "occupied"
]
LossHow = Literal[
    "close_frame",  # the charger said goodbye
    "dropped",  # the socket ended without a close frame
    "silent",  # nothing heard for two ping periods
    "taken_over",  # a newer authenticated link of the same charger
    "misbehaved",  # we closed it: limits, bad frames, slow reader
    "damped",  # we closed it: too many links a minute
    "removed",  # we closed it: charger deleted, disabled or moved
    "stopped",  # Borne stopped
    "crashed",  # Borne ended without saying so; found at the next start
]
AnswerStatus = Literal["accepted", "rejected", "scheduled", "error", "timeout"]


class Fact(msgspec.Struct, frozen=True, gc=False, tag=True, kw_only=True):
    """Something that happened to one charger."""

    charger_id: int
    at_ms: int


# ---- links -------------------------------------------------------------------------------------------------------


class LinkOpened(Fact, frozen=True, gc=False, kw_only=True):
    """A charger authenticated and its socket is open. The step gives the link its epoch (`Outcome.epoch`)."""

    protocol: Protocol
    address: str
    incarnation: int
    security: Literal["none", "tls", "mutual_tls"] = "none"
    new_epoch: int = 0  # filled in once the charger's machine has given it


class LinkSettled(Fact, frozen=True, gc=False, kw_only=True):
    """The link may be spoken to: a boot was answered, something else was heard, or the settle time passed in silence."""

    epoch: int
    how: Literal["booted", "heard", "silence"]


class LinkLost(Fact, frozen=True, gc=False, kw_only=True):
    """The link is gone. `ours`: we caused it (our stop, damping, removal, or a takeover while the old link still talked)."""

    epoch: int
    how: LossHow
    ours: bool
    close_code: int | None = None
    last_sign_ms: int | None = None  # the last traffic or pong on it: when it really left, if nobody said so


# ---- what chargers say -------------------------------------------------------------------------------------------


class Booted(Fact, frozen=True, gc=False, kw_only=True):
    """BootNotification (1.6 §4.2, 2.0.1 B01). `reason` is the 2.x boot reason, None in 1.6.

    `solicited`: its reason is Triggered, or we wrote a TriggerMessage for it on this link.
    """

    epoch: int
    vendor: str
    model: str
    serial: str | None = None
    firmware: str | None = None
    iccid: str | None = None
    imsi: str | None = None
    reason: str | None = None
    solicited: bool = False


class StatusChanged(Fact, frozen=True, gc=False, kw_only=True):
    """StatusNotification. Connector 0 of EVSE 0 is the charger as a whole (1.6 connectorId 0)."""

    epoch: int
    evse: int
    connector: int
    status: ConnectorStatus
    error: str | None = None  # 1.6 errorCode when it is not NoError
    vendor_error: str | None = None
    info: str | None = None
    device_ms: int | None = None


class FirmwareStatusChanged(Fact, frozen=True, gc=False, kw_only=True):
    """FirmwareStatusNotification. `status` is the dialect's own word; `busy` says that an update is under way."""

    epoch: int
    status: str
    busy: bool


class Metered(Fact, frozen=True, gc=False, kw_only=True):
    """Readings of one message, in its order. `transaction` is the charger's word for the session, as text."""

    epoch: int
    evse: int
    connector: int
    transaction: str | None
    readings: tuple[Reading, ...]


class SessionStarted(Fact, frozen=True, gc=False, kw_only=True):
    """StartTransaction, or TransactionEvent Started. `raw` is the payload as received (JSON text, lossless).

    1.6 leaves `transaction` None: the step takes `new_transaction` (a random positive 31-bit number, made by the engine).
    """

    epoch: int
    evse: int
    connector: int
    tag: str | None
    transaction: str | None
    new_transaction: int = 0
    meter_start_wh: int | None = None
    device_ms: int | None = None
    seq: int | None = None
    raw: str = ""
    readings: tuple[Reading, ...] = ()


class SessionUpdated(Fact, frozen=True, gc=False, kw_only=True):
    """TransactionEvent Updated (2.x)."""

    epoch: int
    evse: int
    connector: int
    transaction: str
    tag: str | None = None
    charging: bool | None = None
    device_ms: int | None = None
    seq: int | None = None
    raw: str = ""
    readings: tuple[Reading, ...] = ()


class SessionEnded(Fact, frozen=True, gc=False, kw_only=True):
    """StopTransaction, or TransactionEvent Ended. Evse and connector are 0 where the message does not say (1.6)."""

    epoch: int
    transaction: str
    evse: int = 0
    connector: int = 0
    tag: str | None = None
    meter_stop_wh: int | None = None
    reason: str | None = None
    device_ms: int | None = None
    seq: int | None = None
    raw: str = ""
    readings: tuple[Reading, ...] = ()


class Noted(Fact, frozen=True, gc=False, kw_only=True):
    """Any other message worth a line in the timeline (security events, diagnostics, data transfer)."""

    epoch: int
    kind: str
    details: dict[str, str | int | None]


# ---- restarts ----------------------------------------------------------------------------------------------------


class RestartRequested(Fact, frozen=True, gc=False, kw_only=True):
    """A person (or a program) confirmed a restart. The conditions held when this was made."""

    restart_id: int
    kind: RestartKind
    evse: int | None = None  # an EVSE-level reset (2.x), None for the whole charger
    when_free: bool = False
    not_before_ms: int | None = None
    in_batch: bool = False  # waits for its batch to release it


class RestartReleased(Fact, frozen=True, gc=False, kw_only=True):
    """The batch gave this restart a slot."""

    restart_id: int


class RestartWithdrawn(Fact, frozen=True, gc=False, kw_only=True):
    """A person withdrew a waiting restart, or its batch was stopped."""

    restart_id: int
    by: str
    by_id: int | None = None


class RestartRefused(Fact, frozen=True, gc=False, kw_only=True):
    """A condition no longer held when the command was due: `reason` is a word of `core.access.Reason`."""

    restart_id: int
    reason: str


class RestartSent(Fact, frozen=True, gc=False, kw_only=True):
    """Committed before the Reset is written, with what is known of the charger at that instant.

    `booted_on_link`: a boot on this link was answered Accepted before. `announces_boots`: it has announced one ever.
    `plain_reconnects_boot`: True/False once learnt whether it boots at a plain reconnect too, None while unknown.
    `charging`: a session runs now. `deadline_after_ms`: how long the verdict may take from now.
    """

    restart_id: int
    epoch: int
    link_opened_ms: int
    booted_on_link: bool
    announces_boots: bool
    plain_reconnects_boot: bool | None
    charging: bool
    deadline_after_ms: int


class RestartWritten(Fact, frozen=True, gc=False, kw_only=True):
    """The Reset was handed to the socket: from here on evidence counts. Submitted right after the write, so that
    whatever the charger says after it comes after it here too."""

    restart_id: int
    epoch: int


class RestartUnwritten(Fact, frozen=True, gc=False, kw_only=True):
    """The frame was never written: the link ended, or the charger booted, between the commit and the write."""

    restart_id: int
    epoch: int


class RestartAnswered(Fact, frozen=True, gc=False, kw_only=True):
    """The answer to our Reset. `code` and `text` come from a CALLERROR. A late one (after `timeout`) comes here too."""

    restart_id: int
    epoch: int
    status: AnswerStatus
    code: str | None = None
    text: str | None = None


class BootTriggered(Fact, frozen=True, gc=False, kw_only=True):
    """We wrote a TriggerMessage(BootNotification): boots on this link prove nothing from here on."""

    epoch: int


Removal = Literal["deleted", "archived", "handed_over", "replaced"]


class ChargerRemoved(Fact, frozen=True, gc=False, kw_only=True):
    """Whatever the charger does from now on will not be seen: somebody deletes, archives or hands it over, or puts another
    device in its place."""

    why: Removal = "deleted"


class ChargerReplaced(Fact, frozen=True, gc=False, kw_only=True):
    """Another device stands in the charger's place from now on: what was learnt of the old one says nothing of it."""


# ---- time --------------------------------------------------------------------------------------------------------


class Woke(Fact, frozen=True, gc=False, kw_only=True):
    """A machine's deadline is due. `heard_ms`: when the charger's own last message (no pong) came on the link that is
    open now, None if none did; from the gateway's memory."""

    heard_ms: int | None = None


class ClockStepped(Fact, frozen=True, gc=False, kw_only=True):
    """The wall clock jumped by `by_ms` (positive: forward) while Borne ran. `at_ms` is in the new time."""

    by_ms: int


class ServerReturned(Fact, frozen=True, gc=False, kw_only=True):
    """Borne was down from `down_from_ms` to `at_ms`; links of older incarnations are over, and the loss is ours."""

    down_from_ms: int
