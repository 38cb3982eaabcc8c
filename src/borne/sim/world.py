"""The simulated world: chargers, people, a network and a server that all fail, in virtual time, from one seed.

    .venv/bin/python -m borne.sim.world SEED        tell the story of a seed, and what the judge says of it

Everything that may happen is a `Step` of a `Scenario`. What really happened stands in the chargers' own logs and on the wires;
only `borne.sim.checks` compares it with what Borne says.
"""

from __future__ import annotations

import asyncio
import json
import random
import sqlite3
import sys
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from contextvars import Context
from datetime import timedelta
from pathlib import Path
from typing import Any

from borne.engine.outcome import Due
from borne.engine.restarts import RestartSettings
from borne.gateway.settings import GatewaySettings
from borne.sim import happenings, meters
from borne.sim.charger_bot import ChargerBot
from borne.sim.crashing_server import CrashingServer, Knock
from borne.sim.dialling import Connection, DialRefused
from borne.sim.founding import EPOCH, EPOCH_MS, PASSWORD, found
from borne.sim.lossy_net import ChargerEnd, Said, Wire
from borne.sim.records import Charger, Click, ResetFrame, Seen
from borne.sim.scenario import Scenario, Step
from borne.sim.talk import Device
from borne.sim.virtual_loop import Killed, VirtualLoop

LOOK_EVERY_S = 5.0
SUMS_EVERY_S = 11.0
CALM_S = 100.0  # after the last verdict: every half-open link must have been found out by then
LONGEST_S = 2 * 3600.0
URL = "ws://borne.test/ocpp"


class World:
    """One run. `live()` is the whole of it; afterwards `checks.judge(world)` says what was wrong."""

    def __init__(
        self, scenario: Scenario, folder: Path, seed: int = 0, tell: Callable[[str], None] | None = None
    ) -> None:
        self.scenario = scenario
        self.seed = seed
        self.path = folder / f"world-{seed}.sqlite"
        self.loop: VirtualLoop = asyncio.get_running_loop()  # type: ignore[assignment]
        self.rng = random.Random(f"world {seed}")
        self.stepped_ms = 0
        self.chargers = [Charger(n, plan, f"CP-{n}") for n, plan in enumerate(scenario.chargers)]
        self.server: CrashingServer | None = None
        self.runs = 0
        self.organisation_id = 0
        self.locations: list[int] = []
        self.people: list[int] = []
        self.clicks: list[Click] = []
        self.frames: list[ResetFrame] = []
        self.taken: dict[int, int] = {}  # charger id -> the restart that the next Reset to it is for
        self.taken_at: dict[int, float] = {}
        self.history: dict[int, list[Seen]] = {}
        self.charger_of: dict[int, int] = {}  # restart -> charger id
        self.downs: list[tuple[float, float]] = []  # from, until
        self.clock_steps: list[float] = []
        self.faults: list[str] = []
        self.done: list[tuple[float, Step]] = []
        self._tell = tell
        self.armed: list[tuple[Step, list[int]]] = []
        self._before_crash: dict[int, tuple[Seen, list[Any]]] | None = None
        self._eyes: sqlite3.Connection | None = None
        self._background: set[asyncio.Task[Any]] = set()

    # ---- the whole of it -----------------------------------------------------------------------------------------

    async def live(self) -> None:
        """Run the scenario until every restart has its verdict, then a calm while more."""
        await self.begin()
        looking = self.loop.create_task(self._look_at_sums())
        await self.go_through(self.scenario.steps)
        await self.settle()
        looking.cancel()

    async def begin(self) -> None:
        """Make the installation, start the server, and the chargers at their times."""
        await found(self)
        self._start_server()
        while not self.is_up:
            await asyncio.sleep(0.01)
        for charger in self.chargers:
            self._make_bot(charger)
            self.loop.call_later(charger.plan.starts_at_s, charger.bot.start)

    async def _look_at_sums(self) -> None:
        """Statistics are the sums of the sessions at any time, not only at the end."""
        while True:
            await asyncio.sleep(SUMS_EVERY_S)
            if self.is_up and not self.faults:
                self.faults += [f"at {self.now_s:.0f} s: {wrong}" for wrong in meters.sums_hold(self)]

    async def settle(self) -> None:
        """Wait for all verdicts, then until the network has been calm for a while."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            while self.now_s < self.scenario.until_s or self._goes_on():
                await asyncio.sleep(LOOK_EVERY_S)
            await asyncio.sleep(CALM_S)
            if not self._goes_on():
                return

    def _goes_on(self) -> bool:
        busy = not self.is_up or self._background or self.open_restarts()
        return bool(busy) and self.now_s < LONGEST_S

    async def end(self) -> None:
        """Stop everything in good order, and clean up."""
        self.armed.clear()
        for charger in self.chargers:
            await charger.bot.stop()
        server = self.server
        if server is not None and server.listening:
            await server.run(server.stop())
        self._close_eyes()
        self.faults += self.loop.faults
        for end in ("", "-wal", "-shm"):
            self.path.with_name(self.path.name + end).unlink(missing_ok=True)

    async def go_through(self, steps: Sequence[Step]) -> None:
        """Let each step happen at its time."""
        for step in steps:
            await asyncio.sleep(max(0.0, step.at_s - self.now_s))
            self.do(step)

    @property
    def now_s(self) -> float:
        return self.loop.time()

    @property
    def is_up(self) -> bool:
        return self.server is not None and self.server.listening

    def wall_ns(self) -> int:
        """The server's system clock."""
        return (EPOCH_MS + self.stepped_ms) * 1_000_000 + int(self.now_s * 1_000_000_000)

    def say(self, who: str, what: object) -> None:
        """A line of the story."""
        if self._tell is not None:
            self._tell(f"{self.now_s:9.3f}  {who:8} {what}")

    def _make_bot(self, charger: Charger) -> None:
        plan = charger.plan

        async def dial(url: str, subprotocols: Sequence[str], headers: Mapping[str, str]) -> Connection:
            return await self._dial(charger, url, subprotocols, headers)

        charger.bot = ChargerBot(
            identity=charger.identity,
            url=URL,
            dial=dial,
            now=lambda: EPOCH + timedelta(seconds=self.now_s),
            rng=random.Random(f"charger {self.seed} {charger.number}"),
            password=PASSWORD if plan.has_secret else "",
            protocol=plan.protocol,
            behaviour=plan.behaviour,
            device=Device(connectors=plan.connectors),
            habits=plan.habits,
            oddities=plan.oddities,
            tell=lambda entry: self.say(charger.identity, entry),
        )

    # ---- the server ----------------------------------------------------------------------------------------------

    def _start_server(self) -> None:
        self.runs += 1
        for charger in self.chargers:
            for wire in charger.wires:
                wire.server_is_lost = True
        least_s, most_s = self.scenario.deadline_s
        self.server = CrashingServer(
            self.loop,
            self.path,
            name=f"run {self.runs}",
            wall_ns=self.wall_ns,
            rng=random.Random(f"server {self.seed} {self.runs}"),
            gateway=GatewaySettings(heartbeat_s=self.scenario.heartbeat_s, directory_poll_s=10.0),
            restarts=RestartSettings(deadline_least_s=least_s, deadline_most_s=most_s, at_once=self.scenario.at_once),
            watch=self,
        )
        self.say("server", f"starts, run {self.runs}")
        self.server.start()

    def go_down(self, for_s: float) -> None:
        """There is no server for a while, then a new one."""
        self._close_eyes()
        self.downs.append((self.now_s, self.now_s + for_s))
        self.loop.call_later(for_s, self._start_server, context=Context())

    def die(self, step: Step) -> None:
        """The server's process ends at this line. Raises Killed when the line is its own."""
        server = self.server
        assert server is not None
        self.say("server", f"is killed ({step.details.get('where', 'now')})")
        server.kill()
        self._before_crash = self._snapshot()
        for charger in self.chargers:
            for wire in charger.wires:
                if wire.process is server.process:
                    wire.server_died(says_so=step.details.get("says_so", True))
        self.go_down(step.details.get("down_s", 1.0))

    def _at(self, where: str) -> None:
        """A point of the server's own run at which it may have to die."""
        for armed in self.armed:
            step, left = armed
            if step.details["where"] == where and self.server is not None and self.server.alive:
                left[0] -= 1
                if left[0] <= 0:
                    self.armed.remove(armed)
                    self.die(step)
                    raise Killed

    def before_commit(self) -> None:
        self._at("before_commit")

    def after_commit(self) -> None:
        self._at("after_commit")

    def on_taken(self, charger_id: int, due: Due) -> None:
        self.taken[charger_id] = due.restart_id
        self.taken_at.setdefault(due.restart_id, self.now_s)
        self._at("after_taken")

    def on_begun(self) -> None:
        """A new run has told the machines of its absence."""
        before, self._before_crash = self._before_crash, None
        if before is not None:
            self.compare_phases(before, self._snapshot())

    def compare_phases(
        self, before: dict[int, tuple[Seen, list[Any]]], after: dict[int, tuple[Seen, list[Any]]]
    ) -> None:
        """A crash changes no restart, but for the link that ended with it."""
        for restart_id, (was, steps) in before.items():
            now, steps_now = after[restart_id]
            followed = now.phase == was.phase or (was.phase in ("sent", "accepted", "back") and now.phase == "left")
            if not followed or now.verdict != was.verdict or steps_now[: len(steps)] != steps:
                self.faults.append(f"restart {restart_id} was {was} before the crash and is {now} after it")

    def _snapshot(self) -> dict[int, tuple[Seen, list[Any]]]:
        rows = self.rows("SELECT id, phase, verdict, reason, state FROM restarts")
        return {row[0]: (Seen(self.now_s, row[1], row[2], row[3]), json.loads(row[4]).get("steps", [])) for row in rows}

    # ---- looking at the database ---------------------------------------------------------------------------------

    def rows(self, sql: str, *arguments: object) -> list[Any]:
        """What is committed."""
        if self._eyes is None:
            self._eyes = sqlite3.connect(self.path, isolation_level=None)
        return self._eyes.execute(sql, arguments).fetchall()

    def write(self, sql: str, *arguments: object) -> None:
        """What somebody changes beside the server (`borne admin`)."""
        self.rows(sql, *arguments)

    def _close_eyes(self) -> None:
        if self._eyes is not None:
            self._eyes.close()
            self._eyes = None

    def open_restarts(self) -> list[int]:
        return [row[0] for row in self.rows("SELECT id FROM restarts WHERE verdict IS NULL")]

    def on_restart_changed(self, restart_id: int) -> None:
        """Remember when a restart's row began to say something."""
        for charger_id, phase, verdict, reason in self.rows(
            "SELECT charger_id, phase, verdict, reason FROM restarts WHERE id = ?", restart_id
        ):
            self.charger_of[restart_id] = charger_id
            seen = Seen(self.now_s, phase, verdict, reason)
            history = self.history.setdefault(restart_id, [])
            if not history or (history[-1].phase, history[-1].verdict, history[-1].reason) != (phase, verdict, reason):
                history.append(seen)
                told = f"{phase} {verdict or ''} {reason or ''}".rstrip()
                self.say("restart", f"{restart_id} of CP-{self.by_id(charger_id).number}: {told}")

    def look_at_all(self) -> None:
        """Catch up with what was committed while nobody told."""
        for (restart_id,) in self.rows("SELECT id FROM restarts ORDER BY id"):
            self.on_restart_changed(restart_id)

    def by_id(self, charger_id: int) -> Charger:
        return next(charger for charger in self.chargers if charger.id == charger_id)

    # ---- the network ---------------------------------------------------------------------------------------------

    async def dial(self, charger: Charger, *, password: str | None = None) -> ChargerEnd:
        """Dial by hand, as this charger (or as somebody who pretends to be it)."""
        secret = password if password is not None else PASSWORD if charger.plan.has_secret else ""
        token = b64encode(f"{charger.identity}:{secret}".encode()).decode()
        headers = {"Authorization": f"Basic {token}"} if secret else {}
        return await self._dial(charger, f"{URL}/{charger.identity}", (f"ocpp{charger.plan.protocol}",), headers)

    async def _dial(
        self, charger: Charger, url: str, subprotocols: Sequence[str], headers: Mapping[str, str]
    ) -> ChargerEnd:
        await asyncio.sleep(2 * charger.plan.latency_s)
        if self.now_s < charger.outage_until_s:
            await asyncio.sleep(3.0)
            raise DialRefused(None, "no network")
        server = self.server
        if server is None or not server.listening:
            raise DialRefused(None, "connection refused")
        wire = Wire(
            self.loop,
            charger.identity,
            server.process,
            latency_s=charger.plan.latency_s,
            say=lambda said: self._on_said(charger, said),
            on_frame=lambda wire, text, write: self._on_frame(charger, wire, text, write),
        )
        knock = Knock(url, subprotocols, headers, f"10.0.0.{charger.number + 1}")
        server.process.context.copy().run(server.open_door, knock, wire)
        charger.wires.append(wire)
        return wire.charger

    def _on_frame(self, charger: Charger, wire: Wire, text: str, write: Callable[[], None]) -> None:
        """The gateway hands a frame to its socket."""
        if not (text.startswith("[2,") and '"Reset"' in text[:60]):
            write()
            return
        message_id = json.loads(text)[1]
        self._at("before_reset")
        self.frames.append(ResetFrame(self.now_s, charger.id, message_id, self.taken.pop(charger.id, None)))
        self.say("server", f"sends Reset {message_id} to {charger.identity}")
        self._cut_at_reset(charger, "leaves")
        write()
        self._at("after_reset")

    def _on_said(self, charger: Charger, said: Said) -> None:
        """A frame left or reached the charger's own end."""
        charger.said.append(said)
        if said.direction == "received":
            if said.text.startswith("[2,") and '"Reset"' in said.text[:60]:
                self._cut_at_reset(charger, "arrives")
        elif said.text.startswith("[3,") and any(
            said.text.startswith(f'[3,"{frame.message_id}"') for frame in self.frames
        ):
            self._cut_at_reset(charger, "answered")
            arrives_s = charger.plan.latency_s + self.rng.choice((-0.0005, 0.0005))
            self.loop.call_later(arrives_s, self._answer_came, context=Context())

    def _answer_came(self) -> None:
        try:
            self._at("after_answer")
        except Killed:
            return

    def _cut_at_reset(self, charger: Charger, when: str) -> None:
        step = charger.cut_at_reset
        if step is not None and step.details["when"] == when:
            charger.cut_at_reset = None
            if when == "leaves":
                self.cut(charger, step)
            else:
                self.loop.call_soon(self.cut, charger, step, context=Context())

    def cut(self, charger: Charger, step: Step) -> None:
        """Nothing comes through any more on the charger's connection."""
        if charger.wire is not None:
            self.say("network", f"of {charger.identity} is cut {step.details}")
            charger.shaken.append(self.now_s)
            charger.wire.cut(
                charger_learns_s=step.details.get("charger_s"),
                server_learns_s=step.details.get("server_s"),
                proxied=step.details.get("proxied", False),
            )

    # ---- steps ---------------------------------------------------------------------------------------------------

    def do(self, step: Step) -> None:
        """Let a step happen now."""
        self.done.append((self.now_s, step))
        self.say("world", step)
        happenings.happen(self, step)

    def spawn(self, work: Any) -> None:
        """Something that goes on beside."""
        task = self.loop.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)


if __name__ == "__main__":
    from borne.sim.trial import main

    sys.exit(main())
