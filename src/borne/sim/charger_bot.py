"""One simulated charger: its power, its link, its registration. An independent second opinion on Borne's gateway.

It lives on the running asyncio loop alone (loop time, no threads), so it runs as well on a virtual clock. Everything
else comes in: the network (`dial`), the wall clock (`now`), chance (`rng`). What it went through stands in `log`.
"""

import asyncio
import random
from base64 import b64encode
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal
from urllib.parse import quote

from borne.sim.behaviour import Behaviour, Habits
from borne.sim.behaviours import BY_THE_BOOK
from borne.sim.bot_v16 import TalkV16
from borne.sim.bot_v201 import TalkV201
from borne.sim.dialling import CanFreeze, Connection, ConnectionLost, Dial, DialRefused
from borne.sim.journal import Journal, Kind, LogEntry, Scalar
from borne.sim.oddities import BY_THE_BOOK as NOTHING_ODD
from borne.sim.oddities import Oddities
from borne.sim.requests import RequestDesk
from borne.sim.resets import ResetDesk
from borne.sim.sessions import Sessions
from borne.sim.talk import Device, Talk, TalkMaker
from borne.sim.tasks import cancel, within

Protocol16or201 = Literal["1.6", "2.0.1"]
Cause = Literal["reset", "own", "supervisor"]
TALKS: dict[str, tuple[str, TalkMaker]] = {"1.6": ("ocpp1.6", TalkV16), "2.0.1": ("ocpp2.0.1", TalkV201)}
DEFAULT_INTERVAL_S = 300.0
BOOT_REASONS: dict[Cause, str] = {"own": "LocalReset", "supervisor": "Watchdog"}
FIRST_BOOT_REASON = "PowerUp"
STEADY_LINK_S = 10.0
GOODBYE_S = 2.0
CONNECTED_STATUSES = ("Preparing", "Charging", "SuspendedEV", "Finishing")


@dataclass(frozen=True, slots=True)
class Reboot:
    """The device goes down, because of `cause` (a Reset has its number in `reset`)."""

    cause: Cause
    reset: int | None = None


class ChargerBot:
    """One charger. `await run()` lives for ever (or `start()` and `await stop()`)."""

    def __init__(
        self,
        *,
        identity: str,
        url: str,
        dial: Dial,
        now: Callable[[], datetime],
        rng: random.Random,
        password: str = "",
        protocol: Protocol16or201 = "1.6",
        behaviour: Behaviour = BY_THE_BOOK,
        device: Device | None = None,
        habits: Habits | None = None,
        oddities: Oddities = NOTHING_ODD,
        idle_status: str = "Available",
        offers: Sequence[str] | None = None,
        answer_timeout_s: float = 30.0,
        tell: Callable[[LogEntry], None] | None = None,
    ) -> None:
        """Describe the charger; nothing happens yet.

        `url` is the endpoint without the identity; a secret in the path stands there (…/ocpp/{secret}) with an empty
        password. `idle_status` is what a connector without a session shows. `offers` replaces the subprotocols offered.
        """
        subprotocol, self._make_talk = TALKS[protocol]
        self.identity = identity
        self.behaviour = behaviour
        self.oddities = oddities
        self.device = device or Device()
        self.protocol = protocol
        self.rng = rng
        self.journal = Journal(lambda: asyncio.get_running_loop().time(), tell)
        self.statuses = dict.fromkeys(range(1, self.device.connectors + 1), idle_status)
        self.sessions = Sessions(self, habits, register_wh=rng.randrange(10_000, 5_000_000))
        self.resets = ResetDesk(self)
        self.requests = RequestDesk(self)
        self._url = f"{url.rstrip('/')}/{quote(identity, safe='')}"
        self._headers = {"Authorization": _basic(identity, password)} if password else {}
        self._offers = tuple(offers) if offers is not None else (subprotocol,)
        self._dial, self._now = dial, now
        self.idle_status = idle_status
        self._answer_timeout_s = answer_timeout_s
        self._interval_s = DEFAULT_INTERVAL_S
        self._boot_due: str | None = None
        self._boot_sends_left = 0
        self._next_counter = 1
        self._link_pause_s: float | None = None
        self._parting = "network"
        self._talk: Talk | None = None
        self._frozen: list[Connection] = []
        self._orders: asyncio.Queue[Reboot | BaseException] = asyncio.Queue()
        self._up = asyncio.Event()
        self._ready = asyncio.Event()
        self.boot_left = asyncio.Event()
        """Set when a BootNotification has left since it was last cleared."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._until_reboot: set[asyncio.Task[None]] = set()
        self._link_task: asyncio.Task[None] | None = None
        self._life_task: asyncio.Task[None] | None = None
        self._main: asyncio.Task[None] | None = None

    # for whoever runs it

    @property
    def log(self) -> list[LogEntry]:
        """What happened, in order; append-only."""
        return self.journal.entries

    def start(self) -> asyncio.Task[None]:
        """Begin to live, as a task."""
        self._main = asyncio.create_task(self.run())
        return self._main

    async def stop(self) -> None:
        """End the life that `start` began, with a close frame where there is a link. Raises what the life died of."""
        if self._main is not None:
            self._main.cancel()
            await asyncio.gather(self._main, return_exceptions=True)
            if not self._main.cancelled() and (fault := self._main.exception()) is not None:
                raise fault

    async def run(self) -> None:
        """Live: power on, stay connected, reboot when told or by itself. Ends when cancelled."""
        self._power_on(FIRST_BOOT_REASON)
        try:
            while True:
                order = await self._orders.get()
                if isinstance(order, BaseException):
                    raise order
                await self._reboot(order)
        finally:
            await self._end()

    def reboot(self, cause: Cause = "own", reset: int | None = None) -> None:
        """Make the device go down and come back, now."""
        self._orders.put_nowait(Reboot(cause, reset))

    def lose_network(self, how: Literal["close_frame", "abort"] = "abort", away_s: float | None = None) -> None:
        """Drop the link without rebooting; dial again after `away_s` (None: the usual back-off)."""
        if self._talk is None:
            return
        self._link_pause_s, self._parting = away_s, how
        if how == "abort":
            self._talk.connection.abort()
        else:
            self.spawn(self._talk.connection.close(1000, "network change"))

    # power

    def _power_on(self, boot_reason: str | None, reboot: Reboot | None = None) -> None:
        self.note(Kind.POWERED_ON)
        behaviour = self.behaviour
        self._boot_due = None if behaviour.boot == "when_triggered" else boot_reason
        self._boot_sends_left = behaviour.boot_sends
        self._next_counter = 1
        self._up.set()
        if self._link_task is None:
            self._link_task = self.spawn(self._stay_connected())
        elif self._talk is not None:
            self._begin_life(self._talk)
        self.sessions.power_on()
        for every_s, work in (
            (behaviour.reboots_by_itself_every_s, lambda: self.reboot("own")),
            (behaviour.loses_network_every_s, self.lose_network),
        ):
            if every_s:
                self.spawn_until_reboot(self._repeat(every_s, work))
        self.resets.power_on(after_reset=reboot is not None and reboot.cause == "reset")

    async def _repeat(self, every_s: float, work: Callable[[], None]) -> None:
        while True:
            await asyncio.sleep(every_s)
            work()

    async def _reboot(self, order: Reboot) -> None:
        """Go down and, unless it is the end, come back."""
        behaviour, by_reset = self.behaviour, order.cause == "reset"
        leaves = behaviour.drop if by_reset else "abort"
        self.note(Kind.REBOOT_BEGAN, cause=order.cause, reset=order.reset, leaves=leaves)
        self._up.clear()
        self._ready.clear()
        self.boot_left.clear()
        self.resets.power_off(order.reset)
        self.sessions.cut(behaviour.session_end, "Reboot")
        await cancel(self._until_reboot)
        await self._end_life()
        if leaves != "none":
            await self._leave(leaves)
        if by_reset and not behaviour.returns:
            await asyncio.Event().wait()
        await asyncio.sleep(behaviour.away_s if by_reset else behaviour.own_away_s)
        self._settle_statuses(behaviour.back_status if by_reset else "")
        self.note(Kind.REBOOT_DONE, cause=order.cause, reset=order.reset)
        silent = by_reset and behaviour.boot == "no"
        self._power_on(None if silent else BOOT_REASONS.get(order.cause, behaviour.boot_reason), order)

    def _settle_statuses(self, forced: str) -> None:
        """What the connectors show after a reboot: Unavailable persists, a cable still in shows."""
        for connector, status in self.statuses.items():
            if forced:
                self.statuses[connector] = forced
            elif connector in self.sessions.cables:
                self.statuses[connector] = "Preparing"
            elif status in CONNECTED_STATUSES:
                self.statuses[connector] = self.idle_status

    async def _leave(self, how: str) -> None:
        """The device lets go of its link."""
        talk, self._talk = self._talk, None
        if self._link_task is not None:
            await cancel({self._link_task})
            self._link_task = None
        if talk is None:
            return
        talk.end()
        self.note(Kind.DISCONNECTED, how=how, by="own")
        if how == "close_frame":
            await within(GOODBYE_S, talk.connection.close(1000, "rebooting"))
        elif how == "abort":
            talk.connection.abort()
        else:
            if how == "silent" and isinstance(talk.connection, CanFreeze):
                talk.connection.freeze()
            self._frozen.append(talk.connection)

    async def _end(self) -> None:
        talk = self._talk
        await cancel({*self._tasks, *self._until_reboot})
        if talk is not None and not talk.gone:
            talk.end()
            await within(GOODBYE_S, talk.connection.close(1001, "stopped"))
        for connection in self._frozen:
            connection.abort()
        self.note(Kind.STOPPED)

    # the link

    async def _stay_connected(self) -> None:
        """Dial, hold the link until it goes, wait, dial again. A link that did not last does not shorten the wait."""
        loop = asyncio.get_running_loop()
        wait_s = self.behaviour.reconnect_min_s
        while True:
            began_at_s = loop.time()
            connection = await self._dial_once()
            if connection is not None:
                await self._hold(connection)
            if loop.time() - began_at_s >= STEADY_LINK_S:
                wait_s = self.behaviour.reconnect_min_s
            pause_s, self._link_pause_s = self._link_pause_s, None
            await asyncio.sleep(wait_s * self.rng.uniform(0.8, 1.2) if pause_s is None else pause_s)
            wait_s = min(wait_s * 2, self.behaviour.reconnect_max_s)

    async def _dial_once(self) -> Connection | None:
        self.note(Kind.DIALLED, url=self._url, subprotocols=",".join(self._offers))
        try:
            return await self._dial(self._url, self._offers, self._headers)
        except DialRefused as refusal:
            self.note(Kind.REFUSED, status=refusal.status, reason=refusal.reason)
            return None

    async def _hold(self, connection: Connection) -> None:
        """Talk on one connection until it is gone."""
        self.note(Kind.CONNECTED, protocol=self.protocol)
        talk = self._talk = self._make_talk(self, self.identity, connection, self._answer_timeout_s)
        self._parting = "network"
        self._begin_life(talk)
        try:
            await talk.listen()
        except ConnectionLost as loss:
            how = self._parting if loss.code is None or self._parting != "network" else "close_frame"
            by = "own" if self._parting != "network" else "network" if loss.code is None else "peer"
            self.note(Kind.DISCONNECTED, how=how, by=by, code=loss.code, reason=loss.reason)
            self._ready.clear()
            self._talk = None
            talk.end()
            await self._end_life()

    def _begin_life(self, talk: Talk) -> None:
        self._life_task = self.spawn(self._live(talk))

    async def _end_life(self) -> None:
        if self._life_task is not None:
            await cancel({self._life_task})

    async def _live(self, talk: Talk) -> None:
        """What a charger says on a link by itself: its boot, its statuses, heartbeats."""
        await self._up.wait()
        reconnected = self._boot_due is None
        if reconnected and self.behaviour.boots_on_plain_reconnect:
            self._boot_due = FIRST_BOOT_REASON
        if self._boot_due is not None:
            await asyncio.sleep(self.behaviour.boot_delay_s)
            await self._announce_boot(talk, self._boot_due)
            self._boot_due = None
        if not reconnected or self.behaviour.statuses_on_reconnect:
            await self.report_statuses(talk)
        self._ready.set()
        self.spawn_until_reboot(self.sessions.tell_untold())
        while True:
            await asyncio.sleep(self._interval_s)
            self.note(Kind.HEARTBEAT_SENT)
            await talk.heartbeat()

    async def _announce_boot(self, talk: Talk, reason: str) -> None:
        """Send BootNotification until it is Accepted; Pending and Rejected say when to try again."""
        while True:
            answer = await self.send_boot(talk, reason)
            if answer is not None and answer[0] == "Accepted":
                return
            await asyncio.sleep(self.behaviour.boot_retry_s if answer is None else self._interval_s)

    async def send_boot(self, talk: Talk, reason: str) -> tuple[str, float] | None:
        """Send one BootNotification. Returns status and interval, None when no answer reached the charger."""
        self.note(Kind.BOOT_SENT, reason=reason)
        self.boot_left.set()
        answer = await talk.boot(reason)
        self._boot_sends_left -= 1
        if answer is not None and self._boot_sends_left > 0:
            self.note(Kind.BOOT_ANSWER_LOST)
            return None
        if answer is not None:
            status, interval_s = answer
            self.note(Kind.BOOT_ANSWERED, status=status, interval_s=interval_s, reason=reason)
            self._interval_s = interval_s or DEFAULT_INTERVAL_S
        return answer

    async def report_statuses(self, talk: Talk) -> None:
        """Send the status of every connector; in 1.6 also of the charger itself, connector 0."""
        whole = {0: "Available"} if talk.reports_connector_0 else {}
        for connector, status in {**whole, **self.statuses}.items():
            await self.send_status(talk, connector, status)

    async def send_status(self, talk: Talk, connector: int, status: str) -> None:
        """Send one StatusNotification, as it is."""
        self.note(Kind.STATUS_SENT, connector=connector, status=status)
        await talk.status(connector, status)

    async def set_status(self, connector: int, status: str) -> None:
        """A connector changes; it is told where the link allows it, else at the next report."""
        self.statuses[connector] = status
        talk = self.talk_if_ready()
        if talk is not None:
            try:
                await self.send_status(talk, connector, status)
            except ConnectionLost:
                return

    # what the charger's parts need of it

    def note(self, kind: Kind, **details: Scalar) -> None:
        """Write one entry of the log."""
        self.journal.write(kind, **details)

    def timestamp(self) -> str:
        """The device's own idea of the time, as OCPP writes it."""
        return self._now().astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def next_message_id(self) -> str:
        if self.behaviour.message_ids == "random":
            return f"{self.rng.getrandbits(64):016x}"
        self._next_counter += 1
        return str(self._next_counter - 1)

    def talk_if_ready(self) -> Talk | None:
        """The link, once the charger is registered on it."""
        return self._talk if self._ready.is_set() else None

    async def ready_talk(self) -> Talk:
        """Wait for a link on which the charger is registered."""
        while (talk := self.talk_if_ready()) is None:
            await self._ready.wait()
        return talk

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run something beside; a lost link ends it quietly, any other error ends the charger."""
        return self._spawn_in(self._tasks, work)

    def spawn_until_reboot(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """The same, for what the device has in its head: a reboot ends it."""
        return self._spawn_in(self._until_reboot, work)

    def _spawn_in(self, tasks: set[asyncio.Task[None]], work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        task.add_done_callback(self._look_at_end)
        return task

    def _look_at_end(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, ConnectionLost):
            self._orders.put_nowait(error)


def _basic(identity: str, password: str) -> str:
    return "Basic " + b64encode(f"{identity}:{password}".encode()).decode()
