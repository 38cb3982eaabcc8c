"""An organisation with everybody in it, logged in, and a thing of each kind to ask for."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import select, text, update

from borne.core.actor import Actor
from borne.core.tariff import EnergyPrice, Fixed
from borne.engine.charger_changes import Change, ChargerChanges
from borne.engine.devices import Devices
from borne.store import access_groups, consents, energy_prices, identity_providers, invitations, reports, tags, vehicles
from borne.store.db import Transaction
from borne.store.invitations import NewInvitation
from borne.store.schema import (
    metadata,
    notices,
    organisations,
    people,
    restarts,
    saved_views,
    sessions,
)
from tests.support.portal import csrf, log_in, post
from tests.support.restart_site import Site, running_site
from tests.support.routes import (
    ADMIN_ELSEWHERE,
    ANONYMOUS,
    ASSIGNED,
    EVERYBODY,
    FIRST_ID,
    GUEST,
    INSTALLER,
    NOBODY,
    OPERATOR,
    OPERATOR_ELSEWHERE,
    POLICY,
    STRANGER,
)  # fmt: skip
from tests.support.tenants import TABLES

NUMBERED = ("energy_prices", "price_lists", "vehicles")
LOOKING = ("logins", "audit_log")  # a look is noted there


@dataclass
class Estate:
    """An organisation with everybody in it, and things to ask for."""

    site: Site
    other_organisation_id: int
    other_location_id: int
    _clients: dict[str, httpx.AsyncClient]
    _names: Iterator[int] = field(default_factory=itertools.count)
    _looks_in: bool = False

    async def thing(self, location_id: int | None = None) -> dict[str, int]:
        """A new charger with a restart that waits for tomorrow and a batch of it, all of them Camille's doing."""
        site = self.site
        location_id = location_id or site.lyon_id
        charger_id = await site.online_charger(f"Zebra {next(self._names)}", location_id=location_id)
        restart_id = await site.request(charger_id, when=site.now_ms + 86_400_000)
        batch_id = await site.batches.request(
            site.scope, [charger_id], why="", kind=None, idempotency_key=str(charger_id)
        )
        assert batch_id is not None
        async with site.portal.db.transaction() as tx:  # the batch follows the restart that is there
            await tx.run(update(restarts).where(restarts.c.id == restart_id).values(batch_id=batch_id))
        await self.assign(charger_id)
        return {
            "charger_id": charger_id,
            "restart_id": restart_id,
            "batch_id": batch_id,
            "location_id": location_id,
            "home_id": location_id,  # a charger's own, named in forms
            "organisation_id": site.organisation_id,
            "super_admin_id": site.camille_id,
            "consent_id": await self.consent(),
            "notice_id": await self.notice(charger_id, location_id),
            "report_id": await self.report(location_id),
            "archived_id": await self.archived(location_id),
            "provider_id": await self.provider(),
            "change_id": await self.change(charger_id),
            **await self.driver(charger_id),
            "invitation_id": await self.invitation(location_id),
            "session_id": await self.session(charger_id, location_id),
            "view_id": await self.view(),
            **await self.energy_price(location_id),
        }

    async def energy_price(self, location_id: int) -> dict[str, int]:
        """A price that counts from some hour of the next days, and a list of prices with an address that nobody answers."""
        site, number = self.site, next(self._names)
        here, now_ms = site.organisation_id, site.now_ms
        planned = EnergyPrice(now_ms + (number + 1) * 3_600_000, Fixed(number))
        async with site.portal.db.transaction() as tx:
            price_id = await energy_prices.add(
                tx, here, location_id, planned, currency="EUR", person_name="Camille", now_ms=now_ms
            )
            list_id = await energy_prices.add_list(
                tx, here, name=f"Zebra list {number}", currency="EUR", url="https://10.0.0.1/", now_ms=now_ms
            )
        return {"price_id": price_id, "price_list_id": list_id}

    async def session(self, charger_id: int, location_id: int) -> int:
        """A session that is over, of nobody."""
        site, number = self.site, FIRST_ID + 70_000 + next(self._names)
        row = (number, charger_id, site.organisation_id, location_id, 1, 1, f"zebra{number}", str(number), 1, 2)
        columns = (
            "id", "charger_id", "organisation_id", "location_id", "evse", "connector", "transaction", "start_key", "started_ms",
            "ended_ms",
        )  # fmt: skip
        async with site.portal.db.transaction() as tx:
            await tx.insert_many(sessions, columns, [row])
        return number

    async def view(self) -> int:
        """A view of some page that Camille keeps."""
        site, number = self.site, FIRST_ID + 80_000 + next(self._names)
        columns = ("id", "person_id", "organisation_id", "page", "name", "query", "created_ms")
        row = (number, site.camille_id, site.organisation_id, "zebras", f"Zebra view {number}", "kind=running", 1)
        async with site.portal.db.transaction() as tx:
            await tx.insert_many(saved_views, columns, [row])
        return number

    async def invitation(self, location_id: int) -> int:
        """An open invitation whose mail is still to be written."""
        site, number = self.site, next(self._names)
        wanted = [NewInvitation(email=f"zebra{number}@new.test", role="operator", location_ids=(location_id,))]
        async with site.portal.db.transaction() as tx:
            (invitation_id,) = await invitations.add_many(
                tx, site.organisation_id, wanted, [b"%d" % number], person_id=site.camille_id, person_name="Camille",
                now_ms=site.now_ms, expires_ms=site.now_ms + 86_400_000,
            )  # fmt: skip
        return invitation_id

    async def driver(self, charger_id: int) -> dict[str, int]:
        """A user with this charger, assigned and by a group, and a badge."""
        here, number = self.site.organisation_id, FIRST_ID + 50_000 + next(self._names)
        person_id = await self.site.portal.add_person(
            f"driver{number}@a.test", (here, "user"), charger_ids=(charger_id,)
        )
        async with self.site.portal.db.transaction() as tx:
            group_id = await access_groups.add(tx, here, f"Zebra group {number}", self.site.now_ms)
            await access_groups.add_chargers(tx, here, group_id, [charger_id])
            await access_groups.add_people(tx, here, group_id, [person_id])
            await tags.put(tx, here, str(number), name="Zebra badge", person_id=person_id)
            car = vehicles.Details(person_id=person_id, name="Zebra car")
            vehicle_id = await vehicles.add(tx, here, car, self.site.now_ms)
        return {"vehicle_id": vehicle_id, "person_id": person_id, "access_group_id": group_id, "tag_id": number}

    async def change(self, charger_id: int) -> int:
        """A change of many that Camille asked for; its job has not run."""
        site, services = self.site, self.site.portal.services
        by = Actor(site.camille_id, "Camille")
        changes = ChargerChanges(services.engine, services.audit)
        change_id = await changes.request(site.scope, by, Change("enable"), [charger_id], str(next(self._names)))
        assert change_id is not None
        return change_id

    async def provider(self) -> int:
        """An identity provider that nobody logs in with."""
        async with self.site.portal.db.transaction() as tx:
            return await identity_providers.add(
                tx, self.site.organisation_id, slug=f"zebra{next(self._names)}", name="Zebra login",
                issuer="https://id.invalid", client_id="c", client_secret=None, covers_second_factor=False,
                now_ms=self.site.now_ms,
            )  # fmt: skip

    async def archived(self, location_id: int) -> int:
        """A charger that Camille put into the archive."""
        site, services = self.site, self.site.portal.services
        charger_id = await site.add_charger(f"Zebra archived {next(self._names)}", location_id=location_id)
        by = Actor(site.camille_id, "Camille")
        devices = Devices(services.engine, services.audit, services.charger_key)
        assert await devices.archive(by, site.organisation_id, charger_id)
        return charger_id

    async def notice(self, charger_id: int, location_id: int) -> int:
        """Camille is told that a charger is offline."""
        site, number = self.site, FIRST_ID + 60_000 + next(self._names)
        told = '{"charger": "Zebra", "location": "Lyon"}'
        here, now_ms = site.organisation_id, site.now_ms
        row = (number, site.camille_id, str(number), here, "charger_offline", now_ms, charger_id, location_id, told)
        columns = (
            "id",
            "person_id",
            "key",
            "organisation_id",
            "event",
            "at_ms",
            "charger_id",
            "location_id",
            "details",
        )
        async with site.portal.db.transaction() as tx:
            await tx.insert_many(notices, columns, [row])
        return number

    async def report(self, location_id: int) -> int:
        """A report about the location that comes to Camille each month."""
        site = self.site
        async with site.portal.db.transaction() as tx:
            return await reports.add(
                tx, site.organisation_id, site.camille_id, about="location", about_id=location_id, kind="pdf",
                next_ms=site.now_ms + 86_400_000, now_ms=site.now_ms,
            )  # fmt: skip

    async def consent(self) -> int:
        """The installation's operator asks to look in; nobody has answered."""
        site = self.site
        async with site.portal.db.transaction() as tx:
            person_id = await tx.value(select(people.c.id).where(people.c.email == INSTALLER))
            return await consents.ask(
                tx,
                site.organisation_id,
                person_id=person_id,
                person_name="Ines",
                why="help",
                hours=4,
                now_ms=site.now_ms,
            )

    async def assign(self, charger_id: int) -> None:
        async with self.site.portal.db.transaction() as tx:
            person_id = await tx.value(select(people.c.id).where(people.c.email == ASSIGNED))
            await tx.run(text(f"INSERT INTO assignments (person_id, charger_id) VALUES ({person_id}, {charger_id})"))
        self.site.portal.app.state.access.changed(person_id)

    async def set_plan(self, plan: str) -> None:
        """Of both organisations."""
        async with self.site.portal.db.transaction() as tx:
            await tx.run(update(organisations).values(plan=plan))
        for (person_id,) in await self.site.portal.db.all(select(people.c.id)):
            self.site.portal.app.state.access.changed(person_id)

    async def client(self, who: str) -> httpx.AsyncClient:
        """Their browser, logged in."""
        client = self._clients[who]
        if not client.cookies:
            await csrf(client)
            assert who == ANONYMOUS or (await log_in(client, who)).status_code == 303
        if who == GUEST and not self._looks_in:
            self._looks_in = True
            answer = await post(client, "/organisation", organisation_id=str(self.site.organisation_id))
            assert answer.status_code == 303
        return client

    async def ask(self, who: str, name: str, ids: dict[str, int]) -> httpx.Response:
        method, path = name.split(" ", 1)
        rule, client = POLICY[name], await self.client(who)
        address = (
            path.format(**{"columns": "all", "token": "x", "slug": "x", "tree": "x", "path": "x", **ids}) + rule.query
        )
        if method == "GET":
            return await client.get(address, follow_redirects=False)
        form = {key: value.format(**ids) for key, value in rule.form.items()}
        return await client.request(
            method, address, data=form, headers={"x-csrftoken": await csrf(client)}, follow_redirects=False
        )

    async def snapshot(self) -> dict[str, Any]:
        """All that a denied request might have changed: the rows of tenants and of people, by table."""
        kept = {
            table.name: [column for column in table.c if column.name not in ("seen_ms", "read_ms")]
            for table in metadata.sorted_tables
            if table in TABLES and table.name not in LOOKING
        }
        db = self.site.portal.db
        return {name: [tuple(row) for row in await db.all(select(*columns))] for name, columns in kept.items()}


async def let_in(tx: Transaction, organisation_id: int, person_id: int, site: Site) -> None:
    """Camille lets the operator of the installation look in for a day."""
    consent_id = await consents.ask(
        tx, organisation_id, person_id=person_id, person_name="Greta", why="help", hours=24, now_ms=site.now_ms
    )
    await consents.answer(
        tx, organisation_id, consent_id, person_id=site.camille_id, person_name="Camille", until_ms=site.now_ms + 86_400_000,
        now_ms=site.now_ms,
    )  # fmt: skip


@asynccontextmanager
async def running_estate(folder: Path) -> AsyncIterator[Estate]:
    async with running_site(folder) as site:
        portal, here = site.portal, site.organisation_id
        other_id, other_place = await portal.add_organisation("Other")
        await portal.add_person(ADMIN_ELSEWHERE, (here, "admin"), location_ids=(site.nantes_id,))
        await portal.add_person(OPERATOR, (here, "operator"), location_ids=(site.lyon_id,))
        await portal.add_person(OPERATOR_ELSEWHERE, (here, "operator"), location_ids=(site.nantes_id,))
        await portal.add_person(ASSIGNED, (here, "user"))
        await portal.add_person(STRANGER, (other_id, "super-admin"))
        await portal.add_person(NOBODY)
        await portal.add_person(INSTALLER, operates=True)
        guest_id = await portal.add_person(GUEST, operates=True)
        async with portal.db.transaction() as tx:
            for table in (
                "chargers",
                "restarts",
                "batches",
                "consents",
                "identity_providers",
                "invitations",
                *NUMBERED,
            ):
                await tx.run(text(f"INSERT INTO sqlite_sequence (name, seq) VALUES ('{table}', {FIRST_ID})"))
            await let_in(tx, here, guest_id, site)
        clients = {who: portal.client() for who in (*EVERYBODY, GUEST)}
        try:
            yield Estate(site, other_id, other_place, clients)
        finally:
            for client in clients.values():
                await client.aclose()
