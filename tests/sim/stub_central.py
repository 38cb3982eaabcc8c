"""A tiny central system in raw JSON, and a clock that skips waiting: what the simulated chargers are tested against.

It shares no code with Borne's gateway nor with the package that the chargers are built on.
"""

import asyncio
import json
import random
import selectors
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from borne.sim.behaviour import Behaviour
from borne.sim.charger_bot import ChargerBot
from borne.sim.dialling import ConnectionLost, DialRefused
from borne.sim.journal import Kind, LogEntry

Result = TypeVar("Result")
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
STAMP = "2026-01-01T00:00:00Z"


class SkippingSelector(selectors.DefaultSelector):
    """Instead of sleeping, moves the clock."""

    now_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        assert timeout is not None, "everybody waits for ever"
        self.now_s += max(0.0, timeout)
        return super().select(0)


class SkippingLoop(asyncio.SelectorEventLoop):
    """An event loop whose sleeps take no time."""

    def __init__(self) -> None:
        self.clock = SkippingSelector()
        super().__init__(self.clock)

    def time(self) -> float:
        return self.clock.now_s

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:
        raise AssertionError("a simulated charger used a thread")


def run_skipping(work: Coroutine[Any, Any, Result]) -> Result:
    """Run under the skipping clock."""
    with asyncio.Runner(loop_factory=SkippingLoop) as runner:
        return runner.run(work)


class MemoryConnection:
    """The charger's end of an in-memory link; the central system holds the queues."""

    def __init__(self) -> None:
        self.to_central: asyncio.Queue[str | None] = asyncio.Queue()
        self.to_charger: asyncio.Queue[str | ConnectionLost] = asyncio.Queue()
        self.lost: ConnectionLost | None = None
        self.ended_with: str | None = None
        self.frozen = False

    async def recv(self) -> str:
        if self.lost is not None:
            raise self.lost
        frame = await self.to_charger.get()
        if isinstance(frame, ConnectionLost):
            self.lost = frame
            raise frame
        return frame

    async def send(self, text: str) -> None:
        if self.lost is not None:
            raise self.lost
        self.to_central.put_nowait(text)

    async def close(self, code: int = 1000, reason: str = "") -> None:
        self._end(f"close {code}", ConnectionLost(code, reason))

    def abort(self) -> None:
        self._end("abort", ConnectionLost())

    def freeze(self) -> None:
        self.frozen = True

    def _end(self, how: str, loss: ConnectionLost) -> None:
        if self.lost is None:
            self.lost, self.ended_with = loss, how
            self.to_charger.put_nowait(loss)
            self.to_central.put_nowait(None)


@dataclass
class Heard:
    """One CALL that the central system received."""

    at_s: float
    link: int
    action: str
    payload: dict[str, Any]
    message_id: str


@dataclass
class StubCentral:
    """Answers everything the plain way. `mute` names actions left unanswered, `refuse` the HTTP status of a refusal."""

    boot_statuses: list[str] = field(default_factory=list)
    interval_s: int = 60
    mute: set[str] = field(default_factory=set)
    refuse: int | None = None
    id_status: str = "Accepted"
    links: list[MemoryConnection] = field(default_factory=list)
    heard: list[Heard] = field(default_factory=list)
    frames: list[tuple[float, list[Any]]] = field(default_factory=list)
    dials: list[tuple[str, tuple[str, ...], dict[str, str]]] = field(default_factory=list)
    version: str = "1.6"
    _answers: dict[str, asyncio.Future[list[Any]]] = field(default_factory=dict)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)
    _transactions: int = 0

    async def dial(self, url: str, subprotocols: Sequence[str], headers: Mapping[str, str]) -> MemoryConnection:
        self.dials.append((url, tuple(subprotocols), dict(headers)))
        if self.refuse is not None:
            raise DialRefused(self.refuse)
        link = MemoryConnection()
        self.links.append(link)
        self._tasks.append(asyncio.create_task(self._serve(len(self.links) - 1, link)))
        return link

    async def _serve(self, number: int, link: MemoryConnection) -> None:
        while (text := await link.to_central.get()) is not None:
            frame = json.loads(text)
            self.frames.append((_now(), frame))
            if frame[0] != 2:
                if (waiting := self._answers.pop(frame[1], None)) is not None:
                    waiting.set_result(frame)
                continue
            self.heard.append(Heard(_now(), number, frame[2], frame[3], frame[1]))
            if frame[2] not in self.mute:
                link.to_charger.put_nowait(json.dumps([3, frame[1], self._confirm(frame[2], frame[3])]))

    def _confirm(self, action: str, payload: dict[str, Any]) -> dict[str, Any]:
        key = "idTagInfo" if self.version == "1.6" else "idTokenInfo"
        match action:
            case "BootNotification":
                status = self.boot_statuses.pop(0) if self.boot_statuses else "Accepted"
                return {"status": status, "interval": self.interval_s, "currentTime": STAMP}
            case "Heartbeat":
                return {"currentTime": STAMP}
            case "Authorize":
                return {key: {"status": self.id_status}}
            case "StartTransaction":
                self._transactions += 1
                return {"transactionId": self._transactions, key: {"status": self.id_status}}
            case _:
                return {}

    def send(self, action: str, payload: dict[str, Any]) -> asyncio.Future[list[Any]]:
        """Send a CALL on the newest link; the future holds the whole answering frame."""
        message_id = f"c{len(self._answers)}-{len(self.frames)}"
        waiting = self._answers[message_id] = asyncio.get_running_loop().create_future()
        self.links[-1].to_charger.put_nowait(json.dumps([2, message_id, action, payload]))
        return waiting

    async def call(self, action: str, payload: dict[str, Any]) -> list[Any]:
        """Send a CALL and wait for its answer, at most 300 s."""
        return await asyncio.wait_for(self.send(action, payload), 300)

    def close(self, code: int = 1001) -> None:
        """Close the newest link from this side."""
        self.links[-1].to_charger.put_nowait(ConnectionLost(code, "bye"))

    def of(self, action: str) -> list[Heard]:
        return [heard for heard in self.heard if heard.action == action]


def _now() -> float:
    return asyncio.get_running_loop().time()


def make_bot(central: StubCentral, behaviour: Behaviour | None = None, **options: Any) -> ChargerBot:
    """A charger on the stub, on the loop's clock, with chance of seed 1."""
    central.version = options.get("protocol", "1.6")
    if behaviour is not None:
        options["behaviour"] = behaviour
    options = {"identity": "CP-1", "url": "ws://stub/ocpp", "password": "secret", **options}
    return ChargerBot(dial=central.dial, now=lambda: EPOCH + timedelta(seconds=_now()), rng=random.Random(1), **options)


def times(log: list[LogEntry], kind: Kind, **details: Any) -> list[float]:
    """When entries of this kind (and these details) were written."""
    return [e.at_s for e in log if e.kind is kind and details.items() <= e.details.items()]
