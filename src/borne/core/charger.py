"""The charger machine: who is connected, what it says of itself, what its connectors do.

`step(state, fact)` is the whole machine; facts of an older epoch change nothing. The columns of the chargers table
that lists and filters use are projected from the state by `engine.room`.
"""

from __future__ import annotations

from typing import Literal, get_args

import msgspec
from msgspec.structs import replace

from borne.core.effects import CloseLink, Details, Effect, Record
from borne.core.facts import (
    Booted,
    ChargerReplaced,
    ClockStepped,
    ConnectorStatus,
    Fact,
    FirmwareStatusChanged,
    LinkLost,
    LinkOpened,
    LinkSettled,
    Noted,
    Protocol,
    Registration,
    ServerReturned,
    StatusChanged,
)

Status = Literal[
    "never", "offline", "restarting", "updating", "fault", "charging", "waiting", "unavailable", "reserved", "ready"
]
STATUSES: tuple[Status, ...] = get_args(Status)

MAX_CONNECTORS = 32  # a charger that names more is lying; the rest is counted, not kept
MAX_EVSE = 1000
UPDATING_AT_MOST_MS = 60 * 60_000

# The first of these that any connector shows is the charger's status.
_RANK: tuple[tuple[Status, frozenset[str]], ...] = (
    ("fault", frozenset(("faulted",))),
    ("charging", frozenset(("charging",))),
    ("waiting", frozenset(("preparing", "suspended", "finishing", "occupied"))),
)


class Connector(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A connector of an EVSE, as last reported."""

    evse: int
    connector: int
    status: ConnectorStatus
    since_ms: int
    error: str | None = None
    vendor_error: str | None = None
    info: str | None = None


class ChargerState(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is known of one charger."""

    epoch: int = 0
    before_epoch: int = 0  # links up to this one were those of a device that stood here before
    online: bool = False
    incarnation: int = 0
    protocol: Protocol | None = None
    address: str = ""
    security: str = "none"
    link_opened_ms: int = 0
    link_lost_ms: int = 0
    loss_how: str | None = None
    loss_ours: bool = False
    settled: bool = False
    booted_on_link: bool = False  # a boot on this link was answered Accepted
    boots: int = 0
    # reconnects after losses of our making, when the charger surely had not rebooted: without, and with a boot announced
    silent_plain_reconnects: int = 0
    boots_at_plain_reconnects: int = 0
    registration: Registration = "accepted"
    vendor: str = ""
    model: str = ""
    serial: str = ""
    firmware: str = ""
    boot_reason: str | None = None
    booted_ms: int | None = None
    updating_until_ms: int = 0
    connectors: tuple[Connector, ...] = ()

    @property
    def plain_reconnects_boot(self) -> bool | None:
        """Whether it announces a boot at plain reconnects too; None while no plain reconnect was seen."""
        if self.boots_at_plain_reconnects:
            return True
        return False if self.silent_plain_reconnects else None

    @property
    def shows_charging(self) -> bool:
        """A connector says that a car is charging, or paused in the middle of it."""
        return any(c.status in ("charging", "suspended") for c in self.connectors)


Stepped = tuple[ChargerState, tuple[Effect, ...]]
NONE: tuple[Effect, ...] = ()


def step(state: ChargerState, fact: Fact) -> Stepped:
    """The state after the fact, and what it asks for."""
    epoch = getattr(fact, "epoch", None)
    if epoch is not None and epoch != state.epoch:
        return state, NONE
    match fact:
        case StatusChanged():
            return _status(state, fact)
        case LinkOpened():
            return _opened(state, fact)
        case LinkSettled():
            silent = state.loss_ours and not state.booted_on_link and not state.settled
            return replace(state, settled=True, silent_plain_reconnects=state.silent_plain_reconnects + silent), NONE
        case LinkLost() if state.online:
            return _lost(state, fact)
        case Booted():
            return _booted(state, fact)
        case FirmwareStatusChanged():
            return _firmware(state, fact)
        case Noted():
            return state, (Record(fact.kind, fact.details),)
        case ChargerReplaced():
            return _replaced(state)
        case ServerReturned() if state.online:
            return _server_returned(state, fact)
        case ClockStepped():
            return _clock_stepped(state, fact), NONE
    return state, NONE


def _opened(state: ChargerState, fact: LinkOpened) -> Stepped:
    effects: tuple[Effect, ...] = ()
    if state.online:  # the gateway ends the old link first; if it could not say so, its epoch is over all the same
        effects = (CloseLink(state.epoch, "taken_over"),)
    after = replace(
        state,
        epoch=state.epoch + 1,
        online=True,
        incarnation=fact.incarnation,
        protocol=fact.protocol,
        address=fact.address,
        security=fact.security,
        link_opened_ms=fact.at_ms,
        settled=False,
        booted_on_link=False,
    )
    return after, (*effects, Record("link_opened", {"protocol": fact.protocol, "address": fact.address}))


def _lost(state: ChargerState, fact: LinkLost) -> Stepped:
    after = replace(state, online=False, settled=False, link_lost_ms=fact.at_ms, loss_how=fact.how, loss_ours=fact.ours)
    details: Details = {"how": fact.how, "code": fact.close_code, "lasted_ms": fact.at_ms - state.link_opened_ms}
    return after, (Record("link_lost", details),)


def _booted(state: ChargerState, fact: Booted) -> Stepped:
    plain = state.loss_ours and not state.booted_on_link and not fact.solicited
    after = replace(
        state,
        settled=True,
        booted_on_link=state.booted_on_link or state.registration == "accepted",
        boots=state.boots + (not fact.solicited),
        boots_at_plain_reconnects=state.boots_at_plain_reconnects + plain,
        vendor=fact.vendor,
        model=fact.model,
        serial=fact.serial or state.serial,
        firmware=fact.firmware or state.firmware,
        boot_reason=fact.reason,
        booted_ms=fact.at_ms,
        updating_until_ms=0,
    )
    details: Details = {"firmware": fact.firmware, "reason": fact.reason, "solicited": int(fact.solicited)}
    return after, (Record("booted", details),)


def _status(state: ChargerState, fact: StatusChanged) -> Stepped:
    if not (0 <= fact.evse <= MAX_EVSE and 0 <= fact.connector <= MAX_EVSE):
        return state, (Record("odd_connector", {"evse": fact.evse, "connector": fact.connector}),)
    old = next((c for c in state.connectors if c.evse == fact.evse and c.connector == fact.connector), None)
    if old is not None and (old.status, old.error, old.vendor_error, old.info) == (
        fact.status,
        fact.error,
        fact.vendor_error,
        fact.info,
    ):
        return state, NONE
    if old is None and len(state.connectors) >= MAX_CONNECTORS:
        return state, NONE
    since_ms = old.since_ms if old is not None and old.status == fact.status else fact.at_ms
    new = Connector(fact.evse, fact.connector, fact.status, since_ms, fact.error, fact.vendor_error, fact.info)
    if old is None:
        connectors = tuple(sorted((*state.connectors, new), key=lambda c: (c.evse, c.connector)))
    else:
        connectors = tuple(new if c is old else c for c in state.connectors)
    details: Details = {"evse": fact.evse, "connector": fact.connector, "status": fact.status, "error": fact.error}
    return replace(state, connectors=connectors), (Record("status", details),)


def _firmware(state: ChargerState, fact: FirmwareStatusChanged) -> Stepped:
    until_ms = fact.at_ms + UPDATING_AT_MOST_MS if fact.busy else 0
    return replace(state, updating_until_ms=until_ms), (Record("firmware", {"status": fact.status}),)


def _replaced(state: ChargerState) -> Stepped:
    """Nothing is known of the new device but that no older link is its own: the old one may still be open, and is over."""
    effects = (CloseLink(state.epoch, "replaced"),) if state.online else ()
    return ChargerState(epoch=state.epoch + 1, before_epoch=state.epoch + 1), effects


def _server_returned(state: ChargerState, fact: ServerReturned) -> Stepped:
    lost = LinkLost(charger_id=fact.charger_id, at_ms=fact.down_from_ms, epoch=state.epoch, how="crashed", ours=True)
    return _lost(state, lost)


def _clock_stepped(state: ChargerState, fact: ClockStepped) -> ChargerState:
    return replace(
        state,
        link_opened_ms=state.link_opened_ms + fact.by_ms,
        updating_until_ms=state.updating_until_ms + fact.by_ms if state.updating_until_ms else 0,
    )


# ---- what lists show ---------------------------------------------------------------------------------------------


def status(state: ChargerState, at_ms: int, *, restarting: bool) -> Status:
    """The one word for the charger, from what is known."""
    if restarting:
        return "restarting"
    if not state.online:
        return "offline" if state.epoch > state.before_epoch else "never"
    if state.updating_until_ms > at_ms:
        return "updating"
    words = {
        c.status
        for c in state.connectors
        if c.connector or c.evse or len(state.connectors) == 1 or c.status == "faulted"
    }
    for word, shown in _RANK:
        if words & shown:
            return word
    if any(c.status == "unavailable" for c in state.connectors if not (c.evse or c.connector)):
        return "unavailable"
    if words and words <= {"unavailable"}:
        return "unavailable"
    if words and words <= {"reserved", "unavailable"}:
        return "reserved"
    return "ready"
