"""One link as the simulated charger talks on it, whatever the version: the `ocpp` package's endpoint plus what it lacks.

The package's endpoint handles one message at a time, waits on the system clock, and does not tell a waiting call that
its link is gone. A charger needs all three otherwise: it must answer while it waits for an answer, on the loop's time.
"""

import asyncio
import logging
import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Protocol

from borne.sim.dialling import Connection, ConnectionLost
from borne.sim.journal import Kind, Scalar
from borne.sim.ocpp_package import ChargePoint, Message, OCPPError, UnknownCallErrorCodeError, unpack

CALL_FRAME = 2
CALL_ERROR_PREFIX = "[4,"
SILENT_CALLS_BEFORE_GIVING_UP = 2

FRAMES = logging.getLogger("borne.sim.frames")
FRAMES.addHandler(logging.NullHandler())
FRAMES.propagate = False


@dataclass(frozen=True, slots=True)
class Device:
    """What the charger says it is. Lengths are limited by OCPP 1.6: vendor and model 20, serial 25, firmware 50."""

    vendor: str = "Borne"
    model: str = "Simulated"
    serial: str = "SIM-0001"
    firmware: str = "1.0.0"
    connectors: int = 1


@dataclass(frozen=True, slots=True)
class ResetRequest:
    """A Reset as received: `type` in the version's own word, `evse` only in 2.0.1, `number` counts this charger's."""

    number: int
    message_id: str
    type: str
    evse: int | None = None


@dataclass(slots=True)
class Session:
    """One charging session. `transaction` is the central system's id in 1.6 and our own in 2.0.1."""

    connector: int
    tag: str
    transaction: int | str | None
    energy_wh: int
    power_w: int
    meter_start_wh: int = 0
    seq_no: int = 0
    remote_start: int | None = None
    offered_w: int | None = None  # told with each meter value
    started_at: str = ""
    ended_at: str = ""
    stop_id: int | None = None  # what the stop names in its place (1.6)
    told_wh: int | None = None  # the register as it is told, where that is not energy_wh
    # what the charger knows of its course
    start_told: bool = False  # and confirmed
    stop_told: bool = False
    stop_wh: int | None = None  # the register of the first stop that was confirmed
    heard_wh: int | None = None  # true register of the last meter value that was confirmed
    reset_at_wh: int | None = None  # where its register fell back to nought
    is_over: bool = False


class Resets(Protocol):
    """Who takes Resets."""

    async def take(self, talk: "Talk", type: str, message_id: str, evse: int | None) -> str: ...
    def was_answered(self, message_id: str) -> None: ...


class Requests(Protocol):
    """Who takes every other request."""

    def setting_names(self) -> list[str]: ...
    def read_setting(self, key: str) -> str | None: ...
    def write_setting(self, key: str, value: str) -> bool: ...
    def remote_start(self, connector: int | None, tag: str, remote_start: int | None) -> bool: ...
    def remote_stop(self, transaction: int | str) -> bool: ...
    def change_availability(self, connector: int | None, operative: bool) -> str: ...
    async def apply_availability(self, connector: int | None, operative: bool) -> None: ...
    async def send_triggered(self, talk: "Talk", message: str, connector: int | None) -> None: ...


class Host(Protocol):
    """What a link asks of the charger that holds it."""

    @property
    def device(self) -> Device: ...
    @property
    def rng(self) -> random.Random: ...
    @property
    def resets(self) -> Resets: ...
    @property
    def requests(self) -> Requests: ...

    def note(self, kind: Kind, **details: Scalar) -> None: ...
    def timestamp(self) -> str: ...
    def next_message_id(self) -> str: ...
    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]: ...
    def spawn_until_reboot(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]: ...


class Talk(ChargePoint, ABC):
    """One link. `listen` serves it until it is gone; the other coroutines are calls, each None or False on failure."""

    def __init__(self, host: Host, identity: str, connection: Connection, answer_timeout_s: float) -> None:
        super().__init__(identity, connection, answer_timeout_s, FRAMES)
        self.host = host
        self.connection = connection
        self.gone = False
        self._unanswered = 0
        self._asked: dict[str, tuple[object, str]] = {}  # by action, the last one
        self._serving: set[asyncio.Task[None]] = set()

    # the link

    async def listen(self) -> None:
        """Serve what arrives until the link goes. Raises ConnectionLost. Each CALL is served beside the others."""
        while True:
            frame = await self.connection.recv()
            FRAMES.info("%s < %s", self.id, frame)
            if _is_call(frame):
                self._serve(self.route_message(frame))
            else:
                await self.route_message(frame)

    def _serve(self, work: Coroutine[Any, Any, None]) -> None:
        task = self.host.spawn(work)
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    def end(self) -> None:
        """The link is gone: whoever waits for an answer learns it, calls being served are dropped."""
        self.gone = True
        self._response_queue.put_nowait(None)
        for task in self._serving:
            task.cancel()

    async def _send(self, message: str) -> None:
        if self.gone:
            raise ConnectionLost
        FRAMES.info("%s > %s", self.id, message)
        if message.startswith(CALL_ERROR_PREFIX):
            self.host.note(Kind.CALL_ERROR_SENT, frame=message)
        await self.connection.send(message)

    async def _get_specific_response(self, unique_id: str, timeout: float) -> Message:
        async with asyncio.timeout(timeout):
            while True:
                message = await self._response_queue.get()
                if message is None:
                    self._response_queue.put_nowait(None)
                    raise ConnectionLost
                if message.unique_id == unique_id:
                    return message

    async def ask(self, payload: object, message_id: str | None = None) -> Any:
        """Make one call. Returns the answer's payload, None without a good one. Raises ConnectionLost.

        A charger whose calls go unanswered twice in a row takes its link for dead and drops it.
        """
        action, message_id = type(payload).__name__, message_id or self.host.next_message_id()
        self._asked[action] = payload, message_id
        try:
            answer = await self.call(payload, suppress=False, unique_id=message_id)
        except TimeoutError:
            self.host.note(Kind.CALL_TIMED_OUT, action=action, message_id=message_id)
            self._unanswered += 1
            if self._unanswered >= SILENT_CALLS_BEFORE_GIVING_UP:
                self.connection.abort()
            return None
        except OCPPError as error:
            self.host.note(
                Kind.CALL_FAILED, action=action, message_id=message_id, code=error.code, description=str(error)
            )
            return None
        except UnknownCallErrorCodeError as error:
            self.host.note(Kind.CALL_FAILED, action=action, message_id=message_id, code="?", description=str(error))
            return None
        self._unanswered = 0
        self.host.note(Kind.ACKNOWLEDGED, action=action, message_id=message_id)
        return answer

    @abstractmethod
    def invent(self) -> int | str:
        """A transaction that the central system knows nothing of."""

    async def ask_again(self, action: str, *, same_id: bool) -> None:
        """Make the last call of this kind once more, although it was answered."""
        if action in self._asked:
            payload, message_id = self._asked[action]
            await self.ask(payload, message_id if same_id else None)

    # what a charger says, each in its version's words

    @property
    @abstractmethod
    def session_actions(self) -> tuple[str, str]:
        """The calls that tell a session's start and its end."""

    @abstractmethod
    async def boot(self, reason: str) -> tuple[str, float] | None:
        """BootNotification. Returns the registration status and the interval in seconds."""

    @abstractmethod
    async def status(self, connector: int, status: str) -> None:
        """StatusNotification; `status` in the words of 1.6."""

    @abstractmethod
    async def heartbeat(self) -> None:
        """Heartbeat."""

    @abstractmethod
    async def authorize(self, tag: str) -> bool:
        """Authorize: may this tag charge?"""

    @abstractmethod
    async def start(self, session: Session) -> bool | None:
        """Tell the start of a session; fills `session.transaction`. False: not allowed; None: not confirmed."""

    @abstractmethod
    async def meter(self, session: Session) -> bool:
        """Tell the register and power of a running session."""

    @abstractmethod
    async def stop(self, session: Session, reason: str) -> bool:
        """Tell the end of a session; `reason` in the words of 1.6."""

    @abstractmethod
    def is_soft(self, type: str) -> bool:
        """True for the reset type that lets a session end (2.0.1 OnIdle); 1.6 has none."""

    @property
    @abstractmethod
    def says_scheduled(self) -> bool:
        """True where the version can answer a Reset with Scheduled."""

    @property
    @abstractmethod
    def reports_connector_0(self) -> bool:
        """True where the charger as a whole has a status of its own (1.6)."""


def _is_call(frame: str) -> bool:
    try:
        return unpack(frame).message_type_id == CALL_FRAME
    except OCPPError:
        return False


TalkMaker = Callable[[Host, str, Connection, float], Talk]
