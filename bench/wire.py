"""The charger's side of OCPP 1.6J, as cheap as it can be: one socket, one outstanding call, prepared texts.

The load generator must not be what is measured, so a charger here builds its frames from templates and only looks at
the first bytes of an answer. Framing, masking and TLS are those of `picows`.
"""

from __future__ import annotations

import time
from array import array
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime

import msgspec
from picows import WSFrame, WSListener, WSMsgType, WSTransport

METER_VALUES, HEARTBEAT, STATUS = 0, 1, 2
# 80 % meter values, 10 % heartbeats, 10 % status notifications, in an order that mixes them.
MIX = (METER_VALUES, METER_VALUES, METER_VALUES, METER_VALUES, HEARTBEAT) + (METER_VALUES,) * 4 + (STATUS,)
STATUSES = ("Available", "Preparing")

BOOT = (
    '[2,"{id}","BootNotification",{{"chargePointVendor":"Bench","chargePointModel":"Generator",'
    '"chargePointSerialNumber":"{identity}","firmwareVersion":"1.0.0"}}]'
)
METER = (
    '[2,"{id}","MeterValues",{{"connectorId":1,"meterValue":[{{"timestamp":"{at}","sampledValue":['
    '{{"value":"{energy_wh}","context":"Sample.Periodic","measurand":"Energy.Active.Import.Register","unit":"Wh"}},'
    '{{"value":"{current_a}","context":"Sample.Periodic","measurand":"Current.Import","unit":"A"}}]}}]}}]'
)
METER_IN = METER.replace('"connectorId":1,', '"connectorId":1,"transactionId":{transaction},')
START = '[2,"{id}","StartTransaction",{{"connectorId":1,"idTag":"BENCH","meterStart":0,"timestamp":"{at}"}}]'
BEAT = '[2,"{id}","Heartbeat",{{}}]'
STATE = (
    '[2,"{id}","StatusNotification",{{"connectorId":1,"errorCode":"NoError","status":"{status}","timestamp":"{at}"}}]'
)


class Credentials(msgspec.Struct, frozen=True):
    """What one charger needs to connect: as printed by `borne admin add-chargers`; other fields are ignored."""

    identity: str
    password: str
    url: str


def utc_text() -> str:
    """The present as OCPP writes it, with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Tally:
    """What all chargers of one generator have seen; times are nanoseconds of the system's monotonic clock."""

    def __init__(self) -> None:
        self.keep_sending = False
        self.answered = 0
        self.refused = 0
        self.lost = 0
        self.latencies_ns: array[int] | None = None
        self.resets: list[tuple[str, int]] = []
        self.at = utc_text()
        self.at_ns = time.monotonic_ns()

    def timestamp(self) -> str:
        """The present as text, renewed every 10 ms at most: formatting dates is dear."""
        now_ns = time.monotonic_ns()
        if now_ns - self.at_ns > 10_000_000:
            self.at, self.at_ns = utc_text(), now_ns
        return self.at


class Charger(WSListener):
    """One simulated charger on one socket."""

    __slots__ = ("tally", "identity", "transport", "serial", "expected", "due_ns", "queue", "booted", "on_boot",
                 "gone", "on_start", "transaction")  # fmt: skip

    def __init__(self, tally: Tally, identity: str, serial: int, on_boot: Callable[[], None]) -> None:
        self.tally = tally
        self.identity = identity
        self.serial = serial
        self.expected = b""
        self.due_ns = 0
        self.queue: deque[int] = deque()
        self.booted = False
        self.on_boot = on_boot
        self.gone = False
        self.on_start: Callable[[], None] | None = None  # a StartTransaction waits for its answer
        self.transaction: int | None = None

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Announce the boot at once, as a charger does."""
        self.transport = transport
        self.call(BOOT.format(id=self.next_id(), identity=self.identity))

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """Nothing comes back: a lost link is counted, and the run that sees one says so."""
        self.gone = True
        self.tally.lost += 1

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """An answer to the outstanding call, or a call of the server."""
        if frame.msg_type is not WSMsgType.TEXT:
            if frame.msg_type is WSMsgType.CLOSE:
                transport.disconnect()
            return
        text = frame.get_payload_as_bytes()
        if self.expected and text.startswith(self.expected):
            if self.on_start is not None:
                self.on_started(text)
                return
            self.on_answer()
        elif text.startswith(b"[2"):
            self.on_call(text)
        else:
            self.tally.refused += 1
            self.on_answer()

    def on_answer(self) -> None:
        """Count it, then send what is next."""
        self.expected = b""
        if not self.booted:
            self.booted = True
            self.on_boot()
            return
        tally = self.tally
        tally.answered += 1
        if tally.keep_sending:
            self.send_next()
            return
        if tally.latencies_ns is not None and self.due_ns:
            tally.latencies_ns.append(time.monotonic_ns() - self.due_ns)
        self.due_ns = 0
        if self.queue:
            self.due_ns = self.queue.popleft()
            self.send_next()

    def start(self, on_start: Callable[[], None]) -> None:
        """Begin a session, whose transaction all meter values name from then on."""
        self.on_start = on_start
        self.call(START.format(id=self.next_id(), at=self.tally.timestamp()))

    def on_started(self, text: bytes) -> None:
        """The session runs."""
        self.expected = b""
        self.transaction = int(msgspec.json.decode(text)[2]["transactionId"])
        started, self.on_start = self.on_start, None
        if started is not None:
            started()

    def on_call(self, text: bytes) -> None:
        """Accept a Reset and boot again on the same link; whatever else the server asks is not implemented here."""
        at_ns = time.monotonic_ns()
        call = msgspec.json.decode(text, type=list)
        if call[2] != "Reset":
            self.send(f'[4,"{call[1]}","NotImplemented","",{{}}]')
            return
        self.tally.resets.append((self.identity, at_ns))
        self.send(f'[3,"{call[1]}",{{"status":"Accepted"}}]')

    def boot_again(self) -> None:
        """What follows an accepted Reset on firmware that keeps its socket."""
        self.call(BOOT.format(id=self.next_id(), identity=self.identity))

    def send_due(self, due_ns: int) -> None:
        """Send the next message of the mix, or queue it behind the outstanding one; latency counts from `due_ns`."""
        if self.expected:
            self.queue.append(due_ns)
        else:
            self.due_ns = due_ns
            self.send_next()

    def send_next(self) -> None:
        """Send the next message of the mix."""
        message_id = self.next_id()
        kind = MIX[self.serial % 10]
        if kind == METER_VALUES:
            text, said = (METER, {}) if self.transaction is None else (METER_IN, {"transaction": self.transaction})
            at, energy_wh = self.tally.timestamp(), self.serial * 7
            self.call(text.format(id=message_id, at=at, energy_wh=energy_wh, current_a="16.0", **said))
        elif kind == HEARTBEAT:
            self.call(BEAT.format(id=message_id))
        else:
            status = STATUSES[self.serial // 10 % 2]
            self.call(STATE.format(id=message_id, status=status, at=self.tally.timestamp()))

    def next_id(self) -> str:
        """A message id that this link has not used yet."""
        self.serial += 1
        return str(self.serial)

    def call(self, text: str) -> None:
        """Send a call and expect its answer."""
        self.expected = f'[3,"{self.serial}"'.encode()
        self.send(text)

    def send(self, text: str) -> None:
        """Write one text frame, unless the link is gone."""
        if not self.gone:
            self.transport.send(WSMsgType.TEXT, text.encode())
