"""The simulated world: chargers, people, a network and a server that all fail, in virtual time, from one seed.

    .venv/bin/python -m borne.sim.world SEED        tell the story of a seed, and what the judge says of it

Everything that may happen is a `Step` of a `Scenario`. What really happened stands in the chargers' own logs and on the wires; only
`borne.sim.checks` compares it with what Borne says.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import json
import logging
import random
import shutil
import sqlite3
import sys
import tempfile
from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import Context
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

from borne.core import restart
from borne.core.scope import Scope
from borne.engine import onboarding
from borne.engine.outcome import Due, Outcome
from borne.engine.restarts import NewRestart, RestartSettings
from borne.gateway.settings import GatewaySettings
from borne.sim import checks, rows, virtual_loop
from borne.sim.charger_bot import ChargerBot
from borne.sim.checks import Report
from borne.sim.crashing_server import KEY, CrashingServer, Knock
from borne.sim.dialling import Connection, ConnectionLost, DialRefused
from borne.sim.journal import LogEntry
from borne.sim.lossy_net import ChargerEnd, Said, Wire
from borne.sim.ocpp_package import call16, call201
from borne.sim.scenario import ChargerPlan, Scenario, Step, from_seed
from borne.sim.talk import Device, Talk
from borne.sim.virtual_loop import Killed, VirtualLoop
from borne.store import people, secrets
from borne.store import chargers as charger_store
from borne.store import organisations as organisation_store
from borne.store.chargers import Description, NewCharger
from borne.store.db import create_database
from borne.store.migrate import migrate

EPOCH = datetime(2026, 3, 1, 6, tzinfo=UTC)
EPOCH_MS = int(EPOCH.timestamp() * 1000)
SHARED_MEMORY = Path("/dev/shm")
LOOK_EVERY_S = 5.0
SHORT_DAY_MS = 30 * 60_000
CALM_S = 100.0  # after the last verdict: every half-open link must have been found out by then
LONGEST_S = 2 * 3600.0
RETRY_CLICK_S = 3.0
URL = "ws://borne.test/ocpp"
PASSWORD = "a-simulated-secret"
PEOPLE = ("Ada", "Ben")  # super-admin; admin of the first location, who may lose the role


@dataclass(frozen=True, slots=True)
class Seen:
    """What a restart's row said from `at_s` on."""

    at_s: float
    phase: str
    verdict: str | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class ResetFrame:
    """A Reset handed to a socket. `restart`: whose it is, None if nobody asked for it."""

    at_s: float
    charger: int
    message_id: str
    restart: int | None


@dataclass(slots=True)
class Click:
    """Somebody's request, and what the server said."""

    at_s: float
    charger: int
    key: str | None
    outcome: Outcome | None = None
    failed: str | None = None


@dataclass(slots=True)
class Charger:
    """A simulated charger in its surroundings."""

    number: int
    plan: ChargerPlan
    identity: str
    id: int = 0
    bot: ChargerBot = None  # type: ignore[assignment]
    wires: list[Wire] = field(default_factory=list)
    said: list[Said] = field(default_factory=list)
    outage_until_s: float = 0.0
    cut_at_reset: Step | None = None
    shaken: list[float] = field(default_factory=list)  # when something was done to it or its network

    @property
    def log(self) -> list[LogEntry]:
        return self.bot.log

    @property
    def wire(self) -> Wire | None:
        """The newest connection, if the charger has one."""
        return self.wires[-1] if self.wires and self.wires[-1].charger.lost is None else None


class World:
    """One run. `live()` is the whole of it; afterwards `checks.judge(world)` says what was wrong."""

    def __init__(self, scenario: Scenario, folder: Path, seed: int = 0, tell: Callable[[str], None] | None = None) -> None:
        self.scenario = scenario
        self.seed = seed
        self.path = folder / f"world-{seed}.sqlite"
        self.loop: VirtualLoop = asyncio.get_running_loop()  # type: ignore[assignment]
        self.rng = random.Random(f"world {seed}")
        self.stepped_ms = 0
        self.chargers = [Charger(n, plan, f"CP-{n}") for n, plan in enumerate(scenario.chargers)]
        self.server: CrashingServer | None = None
        self.runs = 0
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
        self._armed: list[tuple[Step, list[int]]] = []
        self._before_crash: dict[int, tuple[Seen, list[Any]]] | None = None
        self._eyes: sqlite3.Connection | None = None
        self._background: set[asyncio.Task[Any]] = set()

    # ---- the whole of it -----------------------------------------------------------------------------------------

    async def live(self) -> None:
        """Run the scenario until every restart has its verdict, then a calm while more."""
        await self.begin()
        await self.go_through(self.scenario.steps)
        await self.settle()

    async def begin(self) -> None:
        """Make the installation, start the server, and the chargers at their times."""
        await self._found()
        self._start_server()
        while not self.is_up:
            await asyncio.sleep(0.01)
        for charger in self.chargers:
            self._make_bot(charger)
            self.loop.call_later(charger.plan.starts_at_s, charger.bot.start)

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
        self._armed.clear()
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

    # ---- the beginning -------------------------------------------------------------------------------------------

    async def _found(self) -> None:
        """One organisation with two locations and two people, and its chargers."""
        shutil.copy(template(), self.path)
        db = create_database(f"sqlite:///{self.path}", threads=False, durable=False)
        await db.open()
        async with db.transaction() as tx:
            organisation = await organisation_store.create(tx, name="World", plan="business", now_ms=EPOCH_MS)
            self.organisation_id = organisation
            self.locations = [
                await organisation_store.create_location(
                    tx, organisation, name=name, now_ms=EPOCH_MS, accepts_unknown_tags=True
                )
                for name in ("Here", "There")
            ]
            self.people = []
            for name, role in zip(PEOPLE, ("super-admin", "admin"), strict=True):
                person = await people.add_person(
                    tx, email=f"{name}@world.test".lower(), name=name, password_hash=None, language=None,
                    operates_installation=False, now_ms=EPOCH_MS,
                )  # fmt: skip
                await people.add_membership(tx, person_id=person, organisation_id=organisation, role=role)
                self.people.append(person)
            await people.set_locations(
                tx, person_id=self.people[1], organisation_id=organisation, location_ids=self.locations[:1]
            )
            for charger in self.chargers:
                charger.id = await charger_store.create(tx, self._row_of(charger), EPOCH_MS)
        await db.close()

    def _row_of(self, charger: Charger) -> NewCharger:
        plan = charger.plan
        return NewCharger(
            organisation_id=self.organisation_id,
            location_id=self.locations[0],
            name=charger.identity,
            identity=charger.identity,
            secret_hash=secrets.hash_secret(KEY, PASSWORD) if plan.has_secret else None,
            model=plan.model,
            ping_s=plan.ping_s,
        )

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

    def _down(self, for_s: float) -> None:
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
        self._down(step.details.get("down_s", 1.0))

    def _at(self, where: str) -> None:
        """A point of the server's own run at which it may have to die."""
        for armed in self._armed:
            step, left = armed
            if step.details["where"] == where and self.server is not None and self.server.alive:
                left[0] -= 1
                if left[0] <= 0:
                    self._armed.remove(armed)
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
        return {
            row[0]: (Seen(self.now_s, row[1], row[2], row[3]), json.loads(row[4]).get("steps", [])) for row in rows
        }

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
        elif said.text.startswith("[3,") and any(said.text.startswith(f'[3,"{frame.message_id}"') for frame in self.frames):
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
                self._cut(charger, step)
            else:
                self.loop.call_soon(self._cut, charger, step, context=Context())

    def _cut(self, charger: Charger, step: Step) -> None:
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
        charger = self.chargers[step.charger]
        getattr(self, f"_do_{step.do}")(charger, step)

    def spawn(self, work: Any) -> None:
        """Something that goes on beside."""
        task = self.loop.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    def scope(self, person: int) -> Scope:
        """What this person's login may do."""
        return Scope(
            person_id=self.people[person],
            person_name=PEOPLE[person],
            organisation_id=self.organisation_id,
            role="super-admin" if person == 0 else "admin",
            plan="business",
            location_ids=None if person == 0 else (self.locations[0],),
        )

    def _do_click(self, charger: Charger, step: Step) -> None:
        self.spawn(self._click(charger, step.details))

    async def _click(self, charger: Charger, details: Mapping[str, Any]) -> None:
        for _ in range(40):
            click = Click(self.now_s, charger.id, details.get("key"))
            if self.is_up:
                self.clicks.append(click)
                self._ask(charger, click, details)
            await asyncio.sleep(RETRY_CLICK_S)
            if click.outcome is not None or click.failed or not (details.get("retry") and click.key):
                return

    def _ask(self, charger: Charger, click: Click, details: Mapping[str, Any]) -> None:
        server = self.server
        assert server is not None
        when = details.get("when", "now")
        new = NewRestart(
            kind=details.get("kind"),
            evse=details.get("evse"),
            when=when if isinstance(when, str) else server.clock.now_ms() + int(when * 1000),
            idempotency_key=click.key,
        )
        task = server.run(server.restarts.request(self.scope(details.get("person", 0)), charger.id, new))

        def answered(task: asyncio.Task[Outcome]) -> None:
            if task.cancelled() or (error := task.exception()) is not None:
                click.failed = "cancelled" if task.cancelled() else repr(error)
                return
            click.outcome = task.result()
            self.say("click", f"on {charger.identity}: {told(click.outcome)}")

        task.add_done_callback(answered)

    def _do_withdraw(self, charger: Charger, step: Step) -> None:
        rows = self.rows("SELECT id FROM restarts WHERE charger_id = ? AND verdict IS NULL", charger.id)
        if rows and self.is_up:
            assert self.server is not None
            self.server.run(self.server.restarts.withdraw(charger.id, rows[0][0], PEOPLE[step.details.get("person", 0)]))

    def _do_batch(self, charger: Charger, step: Step) -> None:
        if self.is_up:
            assert self.server is not None
            scope, ids = self.scope(step.details.get("person", 0)), [other.id for other in self.chargers]
            work = self.server.batches.request(scope, ids, why="", kind=None, idempotency_key=None)
            self.server.run(work)

    def _do_demote(self, charger: Charger, step: Step) -> None:
        change = "UPDATE memberships SET role = ? WHERE person_id = ?"
        self._for_a_while(step, lambda: self.write(change, "user", self.people[1]), lambda: self.write(change, "admin", self.people[1]))

    def _do_plan(self, charger: Charger, step: Step) -> None:
        change = "UPDATE organisations SET plan = ?"
        self._for_a_while(step, lambda: self.write(change, "basic"), lambda: self.write(change, "business"))

    def _do_disable(self, charger: Charger, step: Step) -> None:
        charger.shaken.append(self.now_s)
        self._for_a_while(step, lambda: self._set_disabled(charger, True), lambda: self._set_disabled(charger, False))

    def _set_disabled(self, charger: Charger, disabled: bool) -> None:
        server = self.server
        if server is None or not server.listening:
            change = "UPDATE chargers SET disabled = ?, changed_ms = ? WHERE id = ?"
            self.write(change, int(disabled), self.wall_ns() // 1_000_000, charger.id)
            return
        work = onboarding.set_disabled(
            server.db, server.bus, organisation_id=self.organisation_id, charger_id=charger.id, disabled=disabled,
            now_ms=server.clock.now_ms(), by=PEOPLE[0],
        )  # fmt: skip
        server.run(work)

    def _do_move(self, charger: Charger, step: Step) -> None:
        server = self.server
        if server is not None and server.listening:
            there = Description(name=charger.identity, location_id=self.locations[1], model=charger.plan.model)
            work = onboarding.describe(
                server.db, server.bus, organisation_id=self.organisation_id, charger_id=charger.id, what=there,
                now_ms=server.clock.now_ms(), by=PEOPLE[0],
            )  # fmt: skip
            server.run(work)

    def _do_trigger(self, charger: Charger, step: Step) -> None:
        server = self.server
        if server is not None and server.links is not None and (link := server.links.of(charger.id)) is not None:

            self.loop.call_soon(link.commands.trigger_boot, context=server.process.context)

    def _do_firmware(self, charger: Charger, step: Step) -> None:
        self._for_a_while(step, lambda: self._firmware(charger, "Installing"), lambda: self._firmware(charger, "Installed"))

    def _firmware(self, charger: Charger, status: str) -> None:
        talk = charger.bot.talk_if_ready()
        if talk is not None:
            words = call16 if charger.plan.protocol == "1.6" else call201
            charger.bot.spawn(_tell_firmware(talk, words, status))

    def _do_reboot(self, charger: Charger, step: Step) -> None:
        charger.shaken.append(self.now_s)
        charger.bot.reboot("own")

    def _do_power_cut(self, charger: Charger, step: Step) -> None:
        charger.shaken.append(self.now_s)
        if charger.wire is not None:
            charger.wire.cut(charger_learns_s=None, server_learns_s=None)
        charger.bot.reboot("own")

    def _do_lose_network(self, charger: Charger, step: Step) -> None:
        charger.shaken.append(self.now_s)
        charger.bot.lose_network("abort", step.details.get("away_s"))

    def _do_cut(self, charger: Charger, step: Step) -> None:
        self._cut(charger, step)

    def _do_cut_at_reset(self, charger: Charger, step: Step) -> None:
        charger.cut_at_reset = step

    def _do_lag(self, charger: Charger, step: Step) -> None:
        charger.shaken.append(self.now_s)
        wire, usual_s = charger.wire, charger.plan.latency_s
        if wire is not None:
            self._for_a_while(step, lambda: wire.lag(step.details["latency_s"]), lambda: wire.lag(usual_s))

    def _do_outage(self, charger: Charger, step: Step) -> None:
        charger.shaken.append(self.now_s)
        charger.outage_until_s = self.now_s + step.details["for_s"]

    def _do_repeat_call(self, charger: Charger, step: Step) -> None:
        wire = charger.wire
        calls = [said.text for said in charger.said[-40:] if said.direction == "sent" and said.text.startswith("[2,")]
        if wire is None or not calls or charger.bot.talk_if_ready() is None:
            return
        frame = json.loads(calls[-1])
        if frame[2] == "BootNotification":  # that would be another boot, which the charger's log does not know
            return
        if step.details.get("fresh"):
            frame[1] = f"again-{self.rng.getrandbits(32):x}"
        self.spawn(_send(wire.charger, json.dumps(frame, separators=(",", ":"))))

    def _do_kill(self, charger: Charger, step: Step) -> None:
        if step.details.get("where", "now") != "now":
            self._armed.append((step, [step.details.get("nth", 1)]))
        elif self.server is not None and self.server.alive:
            self.die(step)

    def _do_stop(self, charger: Charger, step: Step) -> None:
        if self.is_up:
            self.spawn(self._stop(step.details["down_s"]))

    async def _stop(self, down_s: float) -> None:
        server = self.server
        assert server is not None
        task = server.run(server.stop())
        while not task.done() and server.alive:
            await asyncio.sleep(0.05)
        if server.alive:  # else it was killed while it stopped
            server.kill()
            self._down(down_s)

    def _do_clock_step(self, charger: Charger, step: Step) -> None:
        self.stepped_ms += int(step.details["by_s"] * 1000)
        self.clock_steps.append(self.now_s)

    def _for_a_while(self, step: Step, begin: Callable[[], None], finish: Callable[[], None]) -> None:
        begin()
        self.loop.call_later(step.details.get("for_s", 10.0), finish, context=Context())


async def _send(connection: Connection, text: str) -> None:
    try:
        await connection.send(text)
    except ConnectionLost:
        return


async def _tell_firmware(talk: Talk, words: Any, status: str) -> None:
    await talk.ask(words.FirmwareStatusNotification(status=status))


def told(outcome: Outcome) -> str:
    """An outcome in few words."""
    if outcome.restart_id is not None:
        return f"restart {outcome.restart_id}{' (followed already)' if outcome.existing else ''}"
    return "ignored" if outcome.ignored else f"refused: {', '.join(outcome.reasons)}"


def folder() -> Path:
    """Where a world's database lives: in memory where that is possible."""
    return Path(tempfile.mkdtemp(prefix="borne-world-", dir=SHARED_MEMORY if SHARED_MEMORY.is_dir() else None))


@lru_cache
def template() -> Path:
    """An empty database, migrated once a process."""
    place = folder()
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    path = place / "empty.sqlite"
    migrate(f"sqlite:///{path}")
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    return path


@dataclass(frozen=True, slots=True)
class Result:
    """A world that was run, judged."""

    report: Report
    rows: Counter[str]
    lasted_s: float


def run_world(scenario: Scenario, seed: int = 0, tell: Callable[[str], None] | None = None) -> Result:
    """Run a scenario from beginning to end and judge it."""
    place = folder()
    try:
        with short_days():
            return virtual_loop.run(_run_world(scenario, place, seed, tell))
    finally:
        shutil.rmtree(place, ignore_errors=True)


async def _run_world(scenario: Scenario, place: Path, seed: int, tell: Callable[[str], None] | None) -> Result:
    template()
    world = World(scenario, place, seed, tell)
    with listening(world):
        await world.live()
        report = checks.judge(world)
        rows_met = rows.met(world, report)
        lasted_s = world.now_s
        await world.end()
    report.violations += [f"afterwards: {fault}" for fault in world.faults if fault not in report.violations]
    return Result(report, rows_met, lasted_s)


def run_seed(seed: int, tell: Callable[[str], None] | None = None) -> Result:
    """Run the world of a seed."""
    return run_world(from_seed(seed), seed, tell)


class _Alarm(logging.Handler):
    """Whatever the server logs as an error is wrong: nothing in this world breaks its disk or its program."""

    def __init__(self, world: World) -> None:
        super().__init__(logging.ERROR)
        self._world = world

    def emit(self, record: logging.LogRecord) -> None:
        if isinstance((record.exc_info or (None, None))[1], Killed):
            return
        self._world.faults.append(f"logged at {self._world.now_s:.2f} s: {self.format(record)}")


@contextlib.contextmanager
def listening(world: World) -> Iterator[None]:
    """Hear what the server logs; only errors are of interest."""
    logger, alarm = logging.getLogger("borne"), _Alarm(world)
    saved = logger.level, logger.propagate
    logger.setLevel(logging.ERROR)
    logger.propagate = False
    logger.addHandler(alarm)
    try:
        yield
    finally:
        logger.removeHandler(alarm)
        logger.level, logger.propagate = saved


@contextlib.contextmanager
def short_days() -> Iterator[None]:
    """The rules' "24 hours" for a session to end last half an hour here: a day of heartbeats teaches nothing more."""
    saved = {name: getattr(restart, name) for name in ("SCHEDULED_WITHIN_MS", "FREE_WITHIN_MS")}
    for name in saved:
        setattr(restart, name, SHORT_DAY_MS)
    try:
        yield
    finally:
        for name, value in saved.items():
            setattr(restart, name, value)


def main() -> int:
    """Tell the story of each seed that is named. 1: one of them went wrong."""
    wrong = 0
    for text in sys.argv[1:]:
        result = run_seed(int(text), lambda line: print(line))  # noqa: T201 - it is what this command is for
        for line in describe(int(text), result):
            print(line)  # noqa: T201
        wrong += bool(result.report.violations)
    return 1 if wrong else 0


def describe(seed: int, result: Result) -> Iterator[str]:
    """What the judge says, in lines."""
    yield f"seed {seed}: {result.lasted_s:.0f} virtual seconds"
    for verdict, count in sorted(result.report.verdicts.items()):
        yield f"  {count} x {verdict}"
    for name, count in sorted(result.report.excused.items()):
        yield f"  {count} x excused: {name}"
    for violation in result.report.violations:
        yield f"  WRONG: {violation}"


if __name__ == "__main__":
    sys.exit(main())
