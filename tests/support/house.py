"""The engine on a real database, without sockets and pages: what wiring builds, with a clock that tests move."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from borne.bus.memory import MemoryBus
from borne.bus.port import Hint
from borne.core.facts import Booted, Fact, LinkLost, LinkOpened, LinkSettled, RestartAnswered, RestartWritten
from borne.core.scope import Role, Scope
from borne.engine import batches as batches_module
from borne.engine import house
from borne.engine.apply import Engine
from borne.engine.audit import Audit
from borne.engine.batches import Batches
from borne.engine.jobs import Jobs
from borne.engine.outcome import Due, Outcome
from borne.engine.restarts import NewRestart, Restarts, RestartSettings
from borne.engine.sessions import Sessions
from borne.engine.timers import Timers
from borne.store import chargers as charger_store
from borne.store import organisations, people
from borne.store.chargers import NewCharger
from borne.store.db import Database, create_database

START_MS = 1_790_000_000_000
DEADLINE_S = 300

# The main paths run on both databases.
on_both = pytest.mark.parametrize("database_url", ["sqlite", "postgresql"], indirect=True)


class TestClock:
    """A clock that stands still until a test moves it; `step_ms` is what the next `check_step` reports."""

    __test__ = False

    def __init__(self) -> None:
        self.at_ms = START_MS
        self.step_ms = 0

    def now_ms(self) -> int:
        return self.at_ms

    def check_step(self) -> int:
        by_ms, self.step_ms = self.step_ms, 0
        self.at_ms += by_ms
        return by_ms

    def pass_s(self, seconds: float) -> None:
        self.at_ms += round(seconds * 1000)


class House:
    """One run of the engine. `again` ends it without a word and begins the next run on the same database."""

    def __init__(self, db: Database, clock: TestClock | None = None) -> None:
        self.db = db
        self.clock = clock or TestClock()
        self.bus = MemoryBus()
        self.hints: list[Hint] = []
        self.broken: list[BaseException] = []
        numbers = itertools.count(7_000_001)
        self.sessions = Sessions(self.clock, lambda: next(numbers))
        self.engine = Engine(
            db, self.bus, self.clock, preparers=self.sessions.preparers(), on_broken=self.broken.append
        )
        self.audit = Audit(b"a key of the tests", self.clock)
        settings = RestartSettings(deadline_least_s=DEADLINE_S, deadline_most_s=1200, at_once=5)
        self.restarts = Restarts(self.engine, settings, self.audit)
        self.batches = Batches(self.engine, self.restarts, settings)
        self.engine.after = self.batches.follow
        self.jobs = Jobs(db, self.bus, self.clock, {batches_module.JOB_KIND: self.batches.fill})
        self.heard_ms: dict[int, int | None] = {}
        self.timers = Timers(self.engine, self.clock, self.heard_ms.get)
        for topic in ("charger", "restart", "batch", "restart_due", "close_link", "job"):
            self.bus.listen(topic, self.hints.append)  # type: ignore[arg-type]

    async def begin(self) -> int:
        """Start the engine as wiring does; the number of this run."""
        self.engine.start()
        return await house.begin(self.engine)

    async def crash(self) -> None:
        """End as a killed process does: nothing more is applied, nobody is told."""
        self.engine._inbox.clear()
        await self.engine.stop()

    async def end(self) -> None:
        """End in good order."""
        await self.engine.stop()
        await house.end(self.engine)

    async def again(self, down_s: float = 60) -> House:
        """Crash, stay away, and begin anew."""
        await self.crash()
        self.clock.pass_s(down_s)
        other = House(self.db, self.clock)
        await other.begin()
        return other

    # ---- who and what there is

    async def organisation(self, plan: str = "business", locations: int = 1) -> tuple[int, list[int]]:
        """The ids of an organisation and of its locations."""
        async with self.db.transaction() as tx:
            organisation_id = await organisations.create(tx, name="Atelier", plan=plan, now_ms=START_MS)
            ids = [
                await organisations.create_location(tx, organisation_id, name=f"Place {number}", now_ms=START_MS)
                for number in range(locations)
            ]
        return organisation_id, ids

    async def person(self, organisation_id: int, role: Role = "super-admin", location_ids: tuple[int, ...] = ()) -> int:
        """Somebody with a role."""
        async with self.db.transaction() as tx:
            person_id = await people.add_person(
                tx,
                email=f"{role}-{organisation_id}-{len(location_ids)}@example.test",
                name=role.title(),
                password_hash=None,
                language=None,
                operates_installation=False,
                now_ms=START_MS,
            )
            await people.add_membership(tx, person_id=person_id, organisation_id=organisation_id, role=role)
            await people.set_locations(
                tx, person_id=person_id, organisation_id=organisation_id, location_ids=location_ids
            )
        return person_id

    async def chargers(
        self, organisation_id: int, location_id: int, count: int = 1, model: str = "pulsar-plus"
    ) -> list[int]:
        """Chargers that have not connected yet."""
        async with self.db.transaction() as tx:
            return [
                await charger_store.create(
                    tx,
                    NewCharger(
                        organisation_id=organisation_id,
                        location_id=location_id,
                        name=f"Charger {number}",
                        identity=f"C-{organisation_id}-{location_id}-{number}-{model}",
                        model=model,
                    ),
                    START_MS,
                )
                for number in range(count)
            ]

    # ---- what chargers do

    def fact(self, of: type[Fact], charger_id: int, /, **said: Any) -> Fact:
        """A fact of now."""
        return of(charger_id=charger_id, at_ms=self.clock.at_ms, **said)

    async def connect(self, charger_id: int, *, boots: bool = True) -> int:
        """Open a link and settle it; its epoch."""
        opened = self.fact(LinkOpened, charger_id, protocol="1.6", address="192.0.2.9", incarnation=1)
        epoch = (await self.engine.apply(opened)).epoch
        assert epoch is not None
        if boots:
            await self.boot(charger_id, epoch)
        how = "booted" if boots else "heard"
        await self.engine.apply(self.fact(LinkSettled, charger_id, epoch=epoch, how=how))
        return epoch

    async def boot(self, charger_id: int, epoch: int, **said: Any) -> Outcome:
        """A BootNotification."""
        return await self.engine.apply(self.fact(Booted, charger_id, epoch=epoch, vendor="Acme", model="Box", **said))

    async def lose(self, charger_id: int, epoch: int, how: str = "dropped", *, ours: bool = False) -> None:
        """The link is gone."""
        await self.engine.apply(self.fact(LinkLost, charger_id, epoch=epoch, how=how, ours=ours))

    async def send(self, charger_id: int, epoch: int) -> Due | None:
        """What the link does when it is free: take the restart and write it."""
        due = await self.restarts.take(charger_id, epoch)
        if due is not None:
            written = self.fact(RestartWritten, charger_id, restart_id=due.restart_id, epoch=epoch)
            await self.engine.apply(written)
        return due

    async def answer(self, charger_id: int, epoch: int, restart_id: int, status: str = "accepted") -> None:
        """The charger's answer to the Reset."""
        await self.engine.apply(
            self.fact(RestartAnswered, charger_id, restart_id=restart_id, epoch=epoch, status=status)
        )

    async def reboot(self, charger_id: int, epoch: int, restart_id: int) -> int:
        """A whole restart, as most chargers do it; the new epoch."""
        await self.answer(charger_id, epoch, restart_id)
        self.clock.pass_s(10)
        await self.lose(charger_id, epoch)
        self.clock.pass_s(4)
        return await self.connect(charger_id)

    # ---- what people ask for

    async def ask(self, scope: Scope, charger_id: int, **new: Any) -> Outcome:
        """OKAY."""
        return await self.restarts.request(scope, charger_id, NewRestart(**new))


def scope_of(person_id: int, organisation_id: int, role: Role = "super-admin", **more: Any) -> Scope:
    """A logged-in person."""
    return Scope(
        person_id=person_id,
        person_name="Camille",
        organisation_id=organisation_id,
        role=role,
        plan=more.pop("plan", "business"),
        **more,
    )


class Small:
    """A house with one organisation, one super-admin and one connected charger: where most tests begin."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.organisation_id = self.location_id = self.charger_id = self.person_id = self.epoch = 0
        self.scope: Scope

    async def fill(self, **model: Any) -> Small:
        house = self.house
        self.organisation_id, (self.location_id,) = await house.organisation()
        self.person_id = await house.person(self.organisation_id)
        (self.charger_id,) = await house.chargers(self.organisation_id, self.location_id, **model)
        self.epoch = await house.connect(self.charger_id)
        self.scope = scope_of(self.person_id, self.organisation_id)
        return self


async def until(held: Callable[[], bool] | Callable[[], Awaitable[bool]], timeout_s: float = 20) -> None:
    """Wait until something holds."""
    async with asyncio.timeout(timeout_s):
        while True:
            result = held()
            if (await result) if isinstance(result, Awaitable) else result:
                return
            await asyncio.sleep(0.005)


def open_database(url: str) -> Database:
    """A database as a server opens it."""
    return create_database(url)
