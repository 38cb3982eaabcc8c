"""A portal to test against: the real app on a real SQLite file, with quick password hashes and a clock that tests move."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import httpx
from argon2 import PasswordHasher
from litestar import Litestar
from sqlalchemy import create_engine

from borne.bus.memory import MemoryBus
from borne.engine.audit import Audit
from borne.engine.notice_mail import NoticeMail
from borne.engine.passwords import Passwords
from borne.engine.reports import Reports
from borne.gateway.attempts import Attempts
from borne.portal import report_words
from borne.portal.app import create_app, furnish
from borne.portal.notice_words import composer
from borne.portal.services import Health, PortalSettings, Services
from borne.store import organisations, people
from borne.store.box import Box
from borne.store.db import Database, create_database
from borne.store.frame_log import FrameLog
from borne.store.schema import assignments, membership_locations, metadata

PASSWORD = "correct horse battery"
QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
SETTINGS = PortalSettings(csrf_secret="a secret of the tests", public_url="http://portal.test")
HEALTH = Health(
    started_ms=1_780_000_000_000, database="sqlite", database_bytes=4_096, free_bytes=10**10, links=7, frames_in=1_234,
    refused_links=3, facts=900, waiting=0, dead_letters=0,
)  # fmt: skip
START_MS = 1_780_000_000_000


@dataclass
class TestClock:
    __test__ = False
    at_ms: int = START_MS

    def now_ms(self) -> int:
        return self.at_ms


@dataclass
class SentMail:
    """Keeps what would be mailed."""

    sent: list[dict[str, str]] = field(default_factory=list)

    async def enqueue(
        self,
        transaction: Any,
        *,
        recipient: str,
        subject: str,
        body: str,
        key: str,
        headers: Any = None,
        attachment: Any = None,
    ) -> None:
        more = {} if attachment is None else {"attachment": attachment}
        self.sent.append(
            {"recipient": recipient, "subject": subject, "body": body, "key": key, **(headers or {}), **more}
        )


@dataclass
class Portal:
    """One running portal: `client()` is a browser with cookies of its own."""

    services: Services
    app: Litestar
    clock: TestClock
    mail: SentMail

    @property
    def db(self) -> Database:
        database: Database = self.services.db
        return database

    def client(self, **headers: str) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(app=self.app, raise_app_exceptions=False, client=("192.0.2.7", 50_000))  # type: ignore[arg-type]
        return httpx.AsyncClient(transport=transport, base_url=self.services.settings.public_url, headers=headers)

    async def add_organisation(self, name: str = "Atelier", plan: str = "business") -> tuple[int, int]:
        """The ids of an organisation and its first location."""
        async with self.db.transaction() as tx:
            organisation_id = await organisations.create(tx, name=name, plan=plan, now_ms=self.clock.at_ms)
            location_id = await organisations.create_location(
                tx, organisation_id, name=f"{name}, Lyon", now_ms=self.clock.at_ms
            )
        return organisation_id, location_id

    async def add_person(
        self,
        email: str,
        *memberships: tuple[int, str],
        operates: bool = False,
        language: str | None = None,
        location_ids: tuple[int, ...] = (),
        charger_ids: tuple[int, ...] = (),
    ) -> int:
        """A person with PASSWORD and roles in organisations; the locations are those of the first of them."""
        password_hash = QUICK.hash(PASSWORD)
        async with self.db.transaction() as tx:
            person_id = await people.add_person(
                tx,
                email=email,
                name=email.partition("@")[0].title(),
                password_hash=password_hash,
                language=language,
                operates_installation=operates,
                now_ms=self.clock.at_ms,
            )
            for organisation_id, role in memberships:
                await people.add_membership(tx, person_id=person_id, organisation_id=organisation_id, role=role)
            for location_id in location_ids:
                row = (person_id, memberships[0][0], location_id)
                await tx.insert_many(membership_locations, ("person_id", "organisation_id", "location_id"), [row])
            for charger_id in charger_ids:
                await tx.insert_many(assignments, ("person_id", "charger_id"), [(person_id, charger_id)])
        return person_id


@asynccontextmanager
async def running_portal(folder: Path, more: Any = (), **changes: Any) -> AsyncIterator[Portal]:
    """A portal on a new database. `changes` replace fields of its Services; `more`: modules with ROUTES of a test."""
    db = create_database(f"sqlite:///{folder / 'portal.sqlite3'}", durable=False)
    await prepare(folder)
    await db.open()
    bus, clock, mail, passwords = MemoryBus(), TestClock(), SentMail(), Passwords(QUICK)
    report_of = report_words.composer("http://portal.test", clock.now_ms)
    fields: dict[str, Any] = {
        "db": db,
        "bus": bus,
        "clock": clock,
        "settings": SETTINGS,
        "passwords": passwords,
        "mail": mail,
        "engine": None,  # tests that act on chargers bring their own
        "restarts": None,
        "batches": None,
        "attempts": Attempts(),
        "frame_log": FrameLog(folder / "frames"),
        "audit": Audit(b"a key of the tests", clock),
        "box": Box(b"a key of 32 bytes for the tests."),
        "notice_mail": NoticeMail(db, clock, mail, b"a key of the tests", composer("http://portal.test", clock.now_ms)),  # type: ignore[arg-type]
        "reports": Reports(db, bus, clock, mail, report_of),  # type: ignore[arg-type]
        "charger_key": b"",
        "health": lambda: HEALTH,
        "storage_failing": lambda: False,
        "setup_code": "ABCD-EFGH",
    }
    services = Services(**(fields | changes))
    with _lent_app(services, more) as app:
        try:
            yield Portal(services, app, clock, mail)
        finally:
            passwords.close()
            await db.close()


_FREE_APPS: dict[Any, list[Litestar]] = {}


@contextmanager
def _lent_app(services: Services, more: Any) -> Iterator[Litestar]:
    """Making an app costs more than most tests: one that no other test uses just now is furnished anew."""
    free = _FREE_APPS.setdefault((services.settings, tuple(more)), [])
    app = free.pop() if free else create_app(services, more)
    furnish(app, services)
    yield app
    free.append(app)


async def prepare(folder: Path) -> None:
    """Make the tables: in a copy of an empty database that each process makes once."""
    (folder / "portal.sqlite3").write_bytes(_empty_database())


@cache
def _empty_database() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "empty.sqlite3"
        engine = create_engine(f"sqlite:///{file}")
        metadata.create_all(engine)
        engine.dispose()
        return file.read_bytes()


async def csrf(client: httpx.AsyncClient, path: str = "/login") -> str:
    """The token of a client's forms, made by its first visit if it has none."""
    if not (token := _csrf_cookie(client)):
        await client.get(path, follow_redirects=False)
        token = _csrf_cookie(client)
    assert token
    return token


def _csrf_cookie(client: httpx.AsyncClient) -> str:
    return client.cookies.get("borne_csrf") or client.cookies.get("__Host-borne_csrf") or ""


async def post(client: httpx.AsyncClient, path: str, **fields: Any) -> httpx.Response:
    """Send a form as a browser would, redirects not followed."""
    data = {"_csrf_token": await csrf(client), **fields}
    return await client.post(path, data=data, follow_redirects=False)


async def log_in(client: httpx.AsyncClient, email: str, password: str = PASSWORD) -> httpx.Response:
    return await post(client, "/login", email=email, password=password)
