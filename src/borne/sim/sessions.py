"""The charging sessions of a simulated charger: by habit, by remote start, and what a reboot makes of them."""

import asyncio
import random
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from borne.sim.behaviour import Habits
from borne.sim.dialling import ConnectionLost
from borne.sim.journal import Kind, Scalar
from borne.sim.oddities import OTHER_STOP_WH, UNKNOWN_TRANSACTION, Oddities
from borne.sim.talk import Session, Talk

SECONDS_PER_HOUR = 3600
DELIVERY_TRIES = 5
RETRY_S = 1.0
STOP_IDS = {"": None, "none": -1, "zero": 0, "unknown": UNKNOWN_TRANSACTION}
OUT_OF_SERVICE = ("Faulted", "Unavailable")
FINISHING_S = 1.0


class SessionHost(Protocol):
    """What the sessions need of their charger."""

    rng: random.Random
    idle_status: str
    statuses: dict[int, str]
    oddities: Oddities

    def note(self, kind: Kind, **details: Scalar) -> None: ...
    def spawn_until_reboot(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]: ...
    def timestamp(self) -> str: ...
    def talk_if_ready(self) -> Talk | None: ...
    async def ready_talk(self) -> Talk: ...
    async def set_status(self, connector: int, status: str) -> None: ...


@dataclass(slots=True)
class _Running:
    """A session under way; `wanted_end` is set with the reason that ends it."""

    session: Session
    task: asyncio.Task[Any] | None
    wanted_end: asyncio.Future[str] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    started: bool = False


class Sessions:
    """All sessions of one charger. Registers count on through reboots, as real meters do."""

    def __init__(self, host: SessionHost, habits: Habits | None, register_wh: int) -> None:
        self._host = host
        self._habits = habits
        self._registers_wh: dict[int, int] = {}
        self._first_register_wh = register_wh
        self._running: dict[int, _Running] = {}
        self._untold: list[tuple[Session, str]] = []
        self._ended = asyncio.Event()
        self.cables: set[int] = set()
        self.past: list[Session] = []  # all that ever began, in order

    # what others see

    @property
    def any_running(self) -> bool:
        return bool(self._running)

    def is_running(self, connector: int) -> bool:
        return connector in self._running

    async def all_over(self) -> None:
        """Wait until no session runs."""
        while self._running:
            await self._ended.wait()

    async def over(self, connector: int) -> None:
        """Wait until no session runs on this connector."""
        while connector in self._running:
            await self._ended.wait()

    # starting and stopping

    def power_on(self) -> None:
        """Take up the habits again."""
        if self._habits is not None:
            for connector in self._habits.connectors:
                self._host.spawn_until_reboot(self._live_habit(connector, self._habits))

    def remote_start(self, connector: int, tag: str, remote_start: int | None) -> bool:
        """Start a session now. False: the connector is taken."""
        if connector in self._running:
            return False
        self._host.spawn_until_reboot(self._charge(connector, tag, self._habits or Habits(), remote_start))
        return True

    def end_transaction(self, transaction: int | str, reason: str) -> bool:
        """Stop the session with this id. False: there is none."""
        connectors = [n for n, running in self._running.items() if running.session.transaction == transaction]
        return any(self.end(connector, reason) for connector in connectors)

    def end(self, connector: int, reason: str) -> bool:
        """Stop the session on this connector. False: there is none."""
        running = self._running.get(connector)
        if running is None or running.wanted_end.done():
            return False
        running.wanted_end.set_result(reason)
        return True

    async def tell_meters(self) -> None:
        """Send the meter values of every running session now."""
        for running in list(self._running.values()):
            if running.started:
                await self._tell_meter(running.session)

    async def _live_habit(self, connector: int, habits: Habits) -> None:
        await asyncio.sleep(habits.first_after_s)
        while True:
            if connector not in self._running and self._host.statuses.get(connector) not in OUT_OF_SERVICE:
                await self._charge(connector, habits.tag, habits, None)
            await asyncio.sleep(habits.pause_s)

    async def _charge(self, connector: int, tag: str, habits: Habits, remote_start: int | None) -> None:
        """One whole session, from the cable to its removal."""
        register_wh = self._registers_wh.get(connector, self._first_register_wh)
        if self._host.oddities.register_resets == "session":
            register_wh = 0
        session = Session(connector, tag, None, register_wh, habits.power_w, register_wh, remote_start=remote_start)
        session.offered_w = habits.offered_w
        self.past.append(session)
        running = self._running[connector] = _Running(session, asyncio.current_task())
        self.cables.add(connector)
        try:
            await self._host.set_status(connector, "Preparing")
            if await self._begin(running, authorised=remote_start is not None):
                await self._host.set_status(connector, "Charging")
                await self._finish(session, await self._draw(running, habits))
        finally:
            self._close(running)
        self.cables.discard(connector)
        await self._host.set_status(connector, self._host.idle_status)

    def _close(self, running: _Running) -> None:
        running.session.is_over = True
        if self._running.get(running.session.connector) is running:
            del self._running[running.session.connector]
            self._tell_waiters()

    def _tell_waiters(self) -> None:
        self._ended.set()
        self._ended = asyncio.Event()

    async def _begin(self, running: _Running, authorised: bool) -> bool:
        """Ask for permission and tell the start. False: no, or nobody answers."""
        session = running.session
        session.started_at = self._host.timestamp()
        for _ in range(DELIVERY_TRIES):
            talk = await self._host.ready_talk()
            try:
                authorised = authorised or await talk.authorize(session.tag)
                if not authorised:
                    return False
                allowed = await self._tell_start(talk, session)
                if allowed is None:
                    continue
                self._log_start(running)
                if self._host.oddities.start_again and session.start_told:
                    await talk.ask_again(talk.session_actions[0], same_id=self._host.oddities.start_again == "same")
                if not allowed:
                    await self._tell_stop(session, "DeAuthorized")
            except ConnectionLost:
                await asyncio.sleep(RETRY_S)
                continue
            return allowed
        return False

    async def _tell_start(self, talk: Talk, session: Session) -> bool | None:
        odd = self._host.oddities
        if odd.start_lost or odd.ended_first:
            session.transaction = talk.invent()
            session.seq_no = 1
            return True
        allowed = await talk.start(session)
        session.start_told = allowed is not None
        return allowed

    def _log_start(self, running: _Running) -> None:
        running.started = True
        session = running.session
        self._host.note(
            Kind.TRANSACTION_STARTED,
            connector=session.connector,
            transaction=session.transaction,
            meter_start_wh=session.meter_start_wh,
        )

    async def _draw(self, running: _Running, habits: Habits) -> str:
        """Charge until it is over, told by meter values. Returns the reason of the end."""
        loop = asyncio.get_running_loop()
        ends_at_s = loop.time() + habits.lasts_s
        drawn_wh, counted_at_s = 0.0, loop.time()
        session = running.session
        while (left_s := ends_at_s - loop.time()) > 0:
            await asyncio.wait({running.wanted_end}, timeout=min(habits.meter_every_s, left_s))
            session.power_w = int(habits.power_w * self._host.rng.uniform(0.95, 1.0))
            drawn_wh += session.power_w * (loop.time() - counted_at_s) / SECONDS_PER_HOUR
            counted_at_s = loop.time()
            session.energy_wh = session.meter_start_wh + int(drawn_wh)
            self._registers_wh[session.connector] = session.energy_wh
            if running.wanted_end.done():
                return running.wanted_end.result()
            was_heard = await self._tell_meter(session)
            if was_heard and left_s < habits.lasts_s / 2:
                self._reset_register(session)
        return "Local"

    def _reset_register(self, session: Session) -> None:
        """Its meter begins anew; what it had counted was told."""
        if self._host.oddities.register_resets == "midway" and session.reset_at_wh is None:
            session.reset_at_wh = session.energy_wh

    def _register_wh(self, session: Session, at: Literal["between", "stop"]) -> int:
        """What the charger says that its register shows."""
        odd = self._host.oddities
        if at == "stop" and odd.stop_below_start:
            return session.meter_start_wh - OTHER_STOP_WH
        if at == "between" and odd.relative_between:
            return session.energy_wh - session.meter_start_wh
        return session.energy_wh - (session.reset_at_wh or 0)

    async def _tell_meter(self, session: Session) -> bool:
        """Meter values are sent where the link allows it, else forgotten. False: nobody confirmed them."""
        odd, talk = self._host.oddities, self._host.talk_if_ready()
        if talk is None or (odd.ended_first and not session.stop_told):
            return False
        register_wh = session.energy_wh
        session.told_wh = self._register_wh(session, "between")
        session.seq_no += odd.seq_gap
        self._host.note(
            Kind.METER_SENT, connector=session.connector, transaction=session.transaction, energy_wh=session.energy_wh
        )
        try:
            told = await talk.meter(session)
        except ConnectionLost:
            return False
        if told:
            session.heard_wh = register_wh
        return told

    async def _finish(self, session: Session, reason: str) -> None:
        odd = self._host.oddities
        await self._host.set_status(session.connector, "Finishing")
        if odd.stop_late_s:
            await self._host.set_status(session.connector, self._host.idle_status)
            await asyncio.sleep(odd.stop_late_s)
        if odd.forgets_stop:
            self._host.note(Kind.TRANSACTION_ORPHANED, connector=session.connector, transaction=session.transaction)
            return
        await self._tell_stop(session, reason)
        await asyncio.sleep(FINISHING_S)

    async def _tell_stop(self, session: Session, reason: str) -> None:
        """The end must be told: it is said again on the next link, a few times."""
        session.ended_at = session.ended_at or self._host.timestamp()
        session.is_over = True
        session.stop_id = STOP_IDS[self._host.oddities.stop_id]
        told = False
        for _ in range(DELIVERY_TRIES):
            talk = await self._host.ready_talk()
            try:
                told = session.stop_told or await self._stop_once(talk, session, reason)
                if told:
                    await self._tell_more(talk, session, reason)
            except ConnectionLost:
                await asyncio.sleep(RETRY_S)
                continue
            if told:
                break
        self._host.note(
            Kind.TRANSACTION_ENDED,
            connector=session.connector,
            transaction=session.transaction,
            meter_stop_wh=session.energy_wh,
            reason=reason,
            told=told,
        )

    async def _stop_once(self, talk: Talk, session: Session, reason: str) -> bool:
        odd = self._host.oddities
        if odd.ended_first and not session.stop_told:
            session.seq_no = 2
        session.told_wh = self._register_wh(session, "stop")
        session.stop_told = await talk.stop(session, reason)
        if session.stop_told:
            session.stop_wh = session.told_wh
        return session.stop_told

    async def _tell_more(self, talk: Talk, session: Session, reason: str) -> None:
        """What an odd charger says after the end was confirmed."""
        odd = self._host.oddities
        if odd.ended_first and not session.start_told:
            session.seq_no, session.told_wh = 0, session.meter_start_wh
            session.start_told = await talk.start(session) is not None
        if odd.stop_again == "same":
            await talk.ask_again(talk.session_actions[1], same_id=self._host.rng.random() < 0.5)
        elif odd.stop_again == "other":
            session.told_wh = session.energy_wh + OTHER_STOP_WH
            await talk.stop(session, reason)
        if odd.meter_after_stop:
            await self._tell_meter(session)

    # reboots

    async def stop_for_reset(self, reason: str) -> None:
        """End every session and tell it. Cancelled by the reboot's impatience, the rest is told after the boot."""
        self.cut("stopped_late", reason)
        await self.tell_untold()

    def cut(self, how: Literal["stopped", "orphaned", "stopped_late"], reason: str) -> None:
        """The power goes: sessions still running are orphaned, or told later by `tell_untold`."""
        for running in self._take_all():
            session = running.session
            if how == "orphaned":
                self._host.note(Kind.TRANSACTION_ORPHANED, connector=session.connector, transaction=session.transaction)
            else:
                self._untold.append((session, reason))

    async def tell_untold(self) -> None:
        """Tell the ends that nobody heard yet, oldest first. Call after the boot was accepted too."""
        while self._untold:
            session, reason = untold = self._untold[0]
            await self._tell_stop(session, reason)
            if untold in self._untold:
                self._untold.remove(untold)

    def _take_all(self) -> Iterable[_Running]:
        """Stop the course of all sessions; returns those that the central system knows. Cables stay in."""
        taken = list(self._running.values())
        self._running.clear()
        self._tell_waiters()
        for running in taken:
            running.session.is_over = True
            if running.task is not None:
                running.task.cancel()
        return [running for running in taken if running.started]
