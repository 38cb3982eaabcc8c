"""One link: a charger's socket seen as a conversation. No sockets here: the transport stands behind a seam.

A link's life: opening (its epoch is being committed; frames wait), open, settled (it may be spoken to), gone. Facts go to the
engine; the charger is answered when they are committed. Nothing here waits inside the reading of the socket.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from msgspec.structs import replace

from borne.core.facts import LinkLost, LinkOpened, LinkSettled, LossHow
from borne.gateway.calls import Calls
from borne.gateway.close_codes import TRY_LATER
from borne.gateway.commands import Commands
from borne.gateway.masking import masked
from borne.gateway.metrics import count
from borne.ocpp import frames
from borne.ocpp.conversation import Conversation
from borne.ocpp.frames import Bad, Call, Error, Result

if TYPE_CHECKING:
    from borne.gateway.directory import Entry
    from borne.gateway.links import Links
    from borne.gateway.ports import Outcome, Transport
    from borne.ocpp.messages import Dialect

# The usual talk, in which no secret has a place: not searched for one before it is recorded.
NO_SECRETS = frozenset(("Heartbeat", "MeterValues", "StatusNotification"))
SILENCE_SLACK_S = 0.25  # the wheel's tick (a tenth of a period at most): two periods are not two and a bit

Security = Literal["none", "tls", "mutual_tls"]
State = Literal["waiting", "opening", "open", "gone"]


class _Gone:
    """The transport of a link that is over. It lets the socket go although something still holds the link."""

    def _nothing(self, *_args: object) -> None:
        return None

    send = ping = close = abort = pause_reading = resume_reading = _nothing


GONE = _Gone()


class Link:
    """A charger's link. `hub` holds what all links share."""

    __slots__ = (
        "_pinged",
        "_settle_at_s",
        "_tick_s",
        "address",
        "calls",
        "charger",
        "commands",
        "dialect",
        "epoch",
        "heard_s",
        "hub",
        "loss",
        "noted",
        "registration",
        "security",
        "settled",
        "sign_s",
        "state",
        "talk",
        "transport",
    )

    def __init__(
        self, hub: Links, charger: Entry, dialect: Dialect, transport: Transport, address: str, security: Security
    ) -> None:
        self.hub = hub
        self.charger = charger
        self.dialect = dialect
        self.transport = transport
        self.address = address
        self.security: Security = security
        self.state: State = "waiting"
        self.epoch = 0
        self.registration = "accepted"
        self.settled = False
        self.talk = Conversation()
        self.sign_s = hub.loop.time()
        self.heard_s: float | None = None  # its own last message; loop time, so that no clock step moves it
        self.loss: LinkLost | None = None
        self.noted = ""  # a line for the timeline, told once the epoch is known
        self._settle_at_s = 0.0
        self._tick_s = 0.0
        self._pinged = False
        self.calls = Calls(self)
        self.commands = Commands(self)

    # ---- life

    def open(self) -> None:
        """Ask for an epoch. Until it is committed, frames wait in the queue."""
        self.state = "opening"
        self.hub.opening += 1
        fact = LinkOpened(
            charger_id=self.charger.charger_id,
            at_ms=self.hub.clock.now_ms(),
            protocol=self.dialect.protocol,
            address=self.address,
            incarnation=self.hub.incarnation,
            security=self.security,
        )
        self.hub.engine.submit(fact, self._opened)

    def _opened(self, outcome: Outcome | BaseException) -> None:
        self.hub.opening -= 1
        if isinstance(outcome, BaseException) or outcome.epoch is None:
            self.close(TRY_LATER, "try again later", "stopped", ours=True)
            self.loss = None  # the engine knows nothing of this link
            self.hub.on_loss_told(self)
            return
        self.epoch = outcome.epoch
        self.registration = outcome.registration
        if self.state == "gone":  # it ended while its opening was on the way to the disk
            self._submit_loss()
            return
        self.state = "open"
        now_s = self.hub.loop.time()
        self._settle_at_s = now_s + self.settle_s
        self.come_by(min(now_s + self.ping_s, self._settle_at_s))
        self.hub.on_open(self)
        self.calls.go_on()

    @property
    def ping_s(self) -> float:
        """Seconds of silence after which the charger is pinged."""
        return float(self.charger.ping_s or self.hub.settings.ping_s)

    @property
    def settle_s(self) -> float:
        """Seconds of silence after which a new link may be spoken to."""
        own_s = self.charger.settle_s
        return float(own_s if own_s is not None else self.hub.settings.settle_s)

    def on_closed(self, code: int | None, misbehaved: bool = False) -> None:
        """The socket ended. `code` is that of the charger's close frame, None without one."""
        how: LossHow = "misbehaved" if misbehaved else "dropped" if code is None else "close_frame"
        self._end(how, ours=misbehaved, code=code)
        self.transport = GONE

    def close(self, code: int, reason: str, how: LossHow, *, ours: bool) -> None:
        """End the link from our side: the fact goes in now, whatever the socket still does."""
        if self.state != "gone":
            self._end(how, ours=ours)
            self.transport.close(code, reason)
            self.transport = GONE

    def _end(self, how: LossHow, *, ours: bool, code: int | None = None) -> None:
        if self.state == "gone":
            return
        was, self.state = self.state, "gone"
        count(self.hub.counts.closed, how)
        if was != "waiting":
            self.loss = LinkLost(
                charger_id=self.charger.charger_id,
                at_ms=self.hub.clock.now_ms(),
                epoch=self.epoch,
                how=how,
                ours=ours,
                close_code=code,
                last_sign_ms=self.hub.sign_ms(self),
            )
            if self.epoch:
                self._submit_loss()
        self.talk.clear()
        self.hub.on_gone(self)

    def _submit_loss(self) -> None:
        loss, self.loss = self.loss, None
        if loss is not None:
            self.hub.tell(loss if loss.epoch else replace(loss, epoch=self.epoch), urgent=False)
        self.hub.on_loss_told(self)

    # ---- what comes in

    def on_sign_of_life(self) -> None:
        """Any frame, ping or pong came."""
        self.sign_s = self.hub.loop.time()
        self._pinged = False
        if self.hub.probed:
            self.hub.on_sign(self)

    def on_text(self, text: str) -> None:
        """A text frame came (after `on_sign_of_life`)."""
        if self.state == "gone":
            return
        hub = self.hub
        hub.counts.frames_in += 1
        frame = frames.parse(text)
        if hub.record is not None:
            harmless = type(frame) is Call and frame.action in NO_SECRETS
            hub.record(self.charger.charger_id, hub.clock.now_ms(), "in", text if harmless else masked(text))
        if type(frame) is Bad:
            self._bad(frame)
            return
        self.heard_s = hub.loop.time()
        if type(frame) is Call:
            self.calls.take(frame)
        elif type(frame) is Result or type(frame) is Error:
            self.commands.answered(frame)

    def _bad(self, frame: Bad) -> None:
        count(self.hub.counts.bad_frames, frame.why)
        if frame.id is not None and self.state != "gone":
            codes = self.dialect.codes
            code = codes.message_type if frame.why == "message_type" else codes.format
            self.send_error(frame.id, code, frame.why)

    # ---- what goes out

    def send_error(self, call_id: str, code: str, why: str) -> str:
        """Refuse a call; gives the text of the answer."""
        count(self.hub.counts.refused_calls, code)
        text = frames.print_error(call_id, code, why)
        self.send(text)
        return text

    def send(self, text: str) -> None:
        """Write a frame, and record it."""
        hub = self.hub
        hub.counts.frames_out += 1
        if hub.record is not None:
            hub.record(self.charger.charger_id, hub.clock.now_ms(), "out", masked(text))
        self.transport.send(text)

    # ---- settling

    def settle(self, how: Literal["booted", "heard", "silence"]) -> None:
        """The link may be spoken to from now on."""
        if self.settled:
            return
        self.settled = True
        fact = LinkSettled(charger_id=self.charger.charger_id, at_ms=self.hub.clock.now_ms(), epoch=self.epoch, how=how)
        self.hub.tell(fact, self.restart_due, urgent=False)

    def restart_due(self) -> None:
        """The engine says that a restart may be due."""
        self.commands.restart_due()

    # ---- time

    def come_by(self, at_s: float) -> None:
        """Come by at `at_s`, unless that happens earlier anyway."""
        if not self._tick_s or at_s < self._tick_s:
            self._tick_s = at_s
            self.hub.wheel.add(self, at_s)

    def on_tick(self, now_s: float) -> float | None:
        """Do what is due: ping, give up on silence, settle, give up on an answer. Returns when to come again."""
        if self.state == "gone" or now_s < self._tick_s:  # the latter: an earlier visit has planned the next one
            return None
        if self.calls.is_paused:
            self.sign_s = now_s
        ping_s, quiet_s = self.ping_s, now_s - self.sign_s
        if quiet_s >= 2 * ping_s - min(SILENCE_SLACK_S, ping_s / 10):
            self._end("silent", ours=False)
            self.transport.abort()
            self.transport = GONE
            return None
        if quiet_s >= ping_s and not self._pinged:
            self._pinged = True
            self.transport.ping()
        if not self.settled and now_s >= self._settle_at_s:
            self.settle("silence")
        self.commands.expire(now_s)
        self._tick_s = self._next_tick_s(now_s)
        return self._tick_s

    def _next_tick_s(self, now_s: float) -> float:
        ping_s = self.ping_s
        next_s = self.sign_s + (2 * ping_s - min(SILENCE_SLACK_S, ping_s / 10) if self._pinged else ping_s)
        if not self.settled:
            next_s = min(next_s, self._settle_at_s)
        if self.talk.asked is not None:
            next_s = min(next_s, self.talk.asked.deadline_ms / 1000)
        return max(next_s, now_s + 0.01)
