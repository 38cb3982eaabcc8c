"""A portal with a real engine behind it, and chargers whose part a test plays by submitting what their links would say."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import select, update

from borne.core.facts import (
    Booted,
    LinkLost,
    LinkOpened,
    LinkSettled,
    RestartAnswered,
    RestartWritten,
    SessionStarted,
    StatusChanged,
    Woke,
)
from borne.core.restart_state import RestartState
from borne.core.scope import Scope
from borne.engine.apply import Engine
from borne.engine.batches import Batches
from borne.engine.restarts import NewRestart, Restarts, RestartSettings
from borne.engine.sessions import Sessions
from borne.store.charger_list import search_text
from borne.store.schema import chargers, jobs, locations, organisations, restarts
from tests.support.portal import Portal, running_portal


@dataclass
class Site:
    """One organisation with two locations, and what a test does to its chargers."""

    portal: Portal
    engine: Engine
    restarts: Restarts
    batches: Batches
    organisation_id: int
    lyon_id: int
    nantes_id: int
    camille_id: int  # super-admin
    ali_id: int  # admin of Lyon
    zoe_id: int  # user of no charger

    @property
    def now_ms(self) -> int:
        return self.portal.clock.at_ms

    def later(self, seconds: float) -> None:
        self.portal.clock.at_ms += round(seconds * 1000)

    @property
    def scope(self) -> Scope:
        """Camille's."""
        return Scope(
            person_id=self.camille_id,
            person_name="Camille",
            organisation_id=self.organisation_id,
            role="super-admin",
            plan="business",
        )

    async def add_charger(
        self, name: str = "Quai 4", *, model: str = "commander-2", location_id: int | None = None
    ) -> int:
        """A charger that has never connected."""
        location_id = location_id or self.lyon_id
        row = {
            "organisation_id": self.organisation_id,
            "location_id": location_id,
            "name": name,
            "serial": str(390000 + len(name)),
            "model": model,
            "identity": f"id-{name}-{location_id}",
            "created_ms": self.now_ms,
            "changed_ms": self.now_ms,
            "search": search_text(name),
        }
        async with self.portal.db.transaction() as tx:
            return await tx.insert(chargers, row)

    async def connect(self, charger_id: int, *, protocol: Any = "1.6", boots: bool = True, settle: bool = True) -> int:
        """Open a link; returns its epoch."""
        opened = LinkOpened(
            charger_id=charger_id, at_ms=self.now_ms, protocol=protocol, address="10.0.0.9", incarnation=1
        )
        epoch = (await self.engine.apply(opened)).epoch
        assert epoch is not None
        if boots:
            await self.boot(charger_id, epoch)
            await self.status(charger_id, epoch, "available")
        if settle:
            await self.engine.apply(LinkSettled(charger_id=charger_id, at_ms=self.now_ms, epoch=epoch, how="booted"))
        return epoch

    async def online_charger(self, name: str = "Quai 4", **options: Any) -> int:
        """A charger that is connected, has booted and is free."""
        charger_id = await self.add_charger(name, **options)
        await self.connect(charger_id)
        return charger_id

    async def boot(self, charger_id: int, epoch: int, reason: str | None = None) -> None:
        fact = Booted(
            charger_id=charger_id,
            at_ms=self.now_ms,
            epoch=epoch,
            vendor="V",
            model="M",
            firmware="6.7.17",
            reason=reason,
        )
        await self.engine.apply(fact)

    async def status(self, charger_id: int, epoch: int, status: Any, *, evse: int = 1, connector: int = 1) -> None:
        await self.engine.apply(
            StatusChanged(
                charger_id=charger_id, at_ms=self.now_ms, epoch=epoch, evse=evse, connector=connector, status=status
            )
        )

    async def start_session(self, charger_id: int, epoch: int = 1) -> None:
        started = SessionStarted(
            charger_id=charger_id, at_ms=self.now_ms, epoch=epoch, evse=1, connector=1, tag="T", transaction=None,
            new_transaction=7, meter_start_wh=0, raw="{}",
        )  # fmt: skip
        await self.engine.apply(started)
        await self.status(charger_id, epoch, "charging")

    async def request(self, charger_id: int, **options: Any) -> int:
        """Ask as Camille; the restart's id."""
        outcome = await self.restarts.request(self.scope, charger_id, NewRestart(**options))
        assert outcome.restart_id is not None, outcome
        return outcome.restart_id

    async def send(self, charger_id: int, epoch: int = 1, answer: Any = "accepted", code: str | None = None) -> int:
        """Write the Reset that is due, and answer it."""
        due = await self.restarts.take(charger_id, epoch)
        assert due is not None
        self.later(0.02)
        await self.engine.apply(
            RestartWritten(charger_id=charger_id, at_ms=self.now_ms, restart_id=due.restart_id, epoch=epoch)
        )
        if answer is not None:
            self.later(0.29)
            await self.engine.apply(
                RestartAnswered(
                    charger_id=charger_id,
                    at_ms=self.now_ms,
                    restart_id=due.restart_id,
                    epoch=epoch,
                    status=answer,
                    code=code,
                )
            )
        return due.restart_id

    async def leave(self, charger_id: int, epoch: int = 1, after_s: float = 9.8) -> None:
        self.later(after_s)
        await self.engine.apply(
            LinkLost(charger_id=charger_id, at_ms=self.now_ms, epoch=epoch, how="dropped", ours=False)
        )

    async def wake(self, charger_id: int, after_s: float, heard: bool = False) -> None:
        """Let time pass; what is due strikes."""
        self.later(after_s)
        heard_ms = self.now_ms - 1000 if heard else None
        await self.engine.apply(Woke(charger_id=charger_id, at_ms=self.now_ms, heard_ms=heard_ms))

    async def succeed(self, charger_id: int, epoch: int = 1, away_s: float = 80) -> None:
        """Leave, come back, boot, be ready."""
        await self.leave(charger_id, epoch)
        self.later(away_s)
        await self.connect(charger_id)

    async def fill(self, batch_id: int) -> None:
        """Run the job that makes a batch's restarts."""
        statement = select(jobs.c.payload).where(jobs.c.idempotency_key == str(batch_id))
        await self.batches.fill(await self.portal.db.value(statement))

    async def add_history(self, charger_id: int, count: int) -> None:
        """Made-up rows: withdrawn restarts, a minute apart."""
        names = ("charger_id", "organisation_id", "location_id", "model", "person_name", "kind", "state", "phase", "is_open",
                 "watches", "verdict", "reason", "requested_ms", "ended_ms")  # fmt: skip
        rows = []
        for number in range(count):
            at_ms = self.now_ms + number * 60_000
            state = RestartState(id=number, charger_id=charger_id, kind="soft", phase="ended", requested_ms=at_ms,
                                 verdict="not_sent", reason="withdrawn", ended_ms=at_ms, watches=False)  # fmt: skip
            rows.append((charger_id, self.organisation_id, self.lyon_id, "commander-2", f"P{number}", "soft",
                         msgspec.json.encode(state).decode(), "ended", 0, 0, "not_sent", "withdrawn", at_ms, at_ms))  # fmt: skip
        async with self.portal.db.transaction() as tx:
            await tx.insert_many(restarts, names, rows)

    async def set_plan(self, plan: str) -> None:
        async with self.portal.db.transaction() as tx:
            await tx.run(update(organisations).where(organisations.c.id == self.organisation_id).values(plan=plan))

    async def rows(self) -> Sequence[Any]:
        """All restarts, oldest first."""
        return await self.portal.db.all(select(restarts).order_by(restarts.c.id))


@asynccontextmanager
async def running_site(folder: Path) -> AsyncIterator[Site]:
    """The site on a new SQLite file."""
    async with running_portal(folder) as portal:
        services = portal.services
        settings = RestartSettings(deadline_least_s=300, deadline_most_s=1200)
        engine = Engine(
            services.db, services.bus, portal.clock, preparers=Sessions(portal.clock, lambda: 7).preparers()
        )
        made = Restarts(engine, settings, services.audit)
        batches = Batches(engine, made, settings)
        engine.after = batches.follow
        services.engine, services.restarts, services.batches = engine, made, batches
        engine.start()
        organisation_id, lyon_id = await portal.add_organisation("Atelier Lumière")
        async with portal.db.transaction() as tx:
            await tx.run(update(locations).where(locations.c.id == lyon_id).values(time_zone="Europe/Paris"))
            nantes_id = await tx.insert(
                locations,
                {
                    "organisation_id": organisation_id,
                    "name": "Nantes, Entrepôt",
                    "time_zone": "Europe/Paris",
                    "created_ms": portal.clock.at_ms,
                },
            )
        camille = await portal.add_person("camille@a.test", (organisation_id, "super-admin"))
        ali = await portal.add_person("ali@a.test", (organisation_id, "admin"), location_ids=(lyon_id,))
        zoe = await portal.add_person("zoe@a.test", (organisation_id, "user"))
        try:
            yield Site(portal, engine, made, batches, organisation_id, lyon_id, nantes_id, camille, ali, zoe)
        finally:
            await engine.stop()
