"""A person's own data: the download holds it, erasing leaves none of it, and the audit log can still be verified."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text

from borne.core.actor import ERASED, SHELL, Actor
from borne.engine.audit import About, verify
from borne.engine.erasure import KIND, Erasure
from borne.store import audit as audit_store
from borne.store import mails, tags
from borne.store.db import Database
from borne.store.erasure import RULES
from borne.store.personal_data import TABLES
from borne.store.schema import batches, jobs, memberships, metadata, people, restarts, sessions
from tests.support.portal import PASSWORD, log_in, post
from tests.support.restart_site import Site, running_site

pytestmark = pytest.mark.anyio
NAME, EMAIL = "Quintilia Vexworth", "quintilia.vexworth@a.test"


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with running_site(tmp_path) as running:
        yield running


@asynccontextmanager
async def browser(site: Site, who: str, **headers: str) -> AsyncIterator[Any]:
    async with site.portal.client(**headers) as client:
        await log_in(client, who)
        yield client


async def quintilia(site: Site, role: str = "admin", **more: Any) -> int:
    """Somebody who has done a little of everything."""
    person_id = await site.portal.add_person(EMAIL, (site.organisation_id, role), location_ids=(site.lyon_id,), **more)
    async with site.portal.db.transaction() as tx:
        await tx.run(text("UPDATE people SET name = :name WHERE id = :id"), {"name": NAME, "id": person_id})
        await tags.put(tx, site.organisation_id, "04A1", name=NAME, person_id=person_id)
        await mails.add(tx, recipient=EMAIL, subject="Hello", body=f"Hello {NAME}", now_ms=1)
        await mails.add(tx, recipient="x@y.test", subject=f"About {EMAIL}", body=f"{NAME} <{EMAIL}> left", now_ms=1)
        await tx.run(
            text(
                "INSERT INTO invitations (organisation_id, email, name, search, role, token_hash, person_name, created_ms,"
                " expires_ms) VALUES (:org, :email, :name, '', 'user', x'00', 'Camille', 1, 2)"
            ),
            {"org": site.organisation_id, "email": EMAIL, "name": NAME},
        )
    return person_id


async def live_a_little(site: Site) -> int:
    """Restarts (asked for, withdrawn, many), changes of a charger, a session with the own tag. The charger's id."""
    charger_id = await site.online_charger("Quai 4")
    await site.start_session(charger_id)
    async with site.portal.db.transaction() as tx:
        person_id = await tx.value(text("SELECT id FROM people WHERE email = :email"), {"email": EMAIL})
        own = "UPDATE sessions SET tag = '04A1', start_key = 's|04a1', person_id = :id"
        await tx.run(text(own), {"id": person_id})
    async with browser(site, EMAIL) as client:
        await post(client, f"/chargers/{charger_id}/edit", name="Quai 5", model="copper", location=str(site.lyon_id))
        await post(client, f"/chargers/{charger_id}/restart", when="free", why="hangs")
        (row,) = await site.rows()
        await post(client, f"/restarts/{row.id}/withdraw")
        await post(client, "/restarts/batch", charger=str(charger_id), key="k")
        batch_id = await site.portal.db.value(select(batches.c.id))
        await site.fill(batch_id)
        await post(client, "/login", email=EMAIL, password="wrong")
    return charger_id


async def run_the_job(site: Site) -> None:
    services = site.portal.services
    payload = await services.db.value(select(jobs.c.payload).where(jobs.c.kind == KIND))
    erasure = Erasure(services.db, services.bus, services.clock, services.audit, services.engine)
    await erasure.follow_traces(payload)


async def texts(db: Database) -> str:
    """Every value of every table."""
    found = []
    for table in metadata.sorted_tables:
        found += [f"{table.name}: {tuple(row)!r}" for row in await db.all(select(table))]
    return "\n".join(found)


def raw(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.glob("portal.sqlite3*"))


# ---- no table is forgotten -----------------------------------------------------------------------------------------

TELLING = ("person", "email", "recipient", "agent", "actor")


def test_every_table_that_knows_people_has_its_rule() -> None:
    knows = {
        table.name
        for table in metadata.sorted_tables
        if any(word in column.name for column in table.c for word in TELLING)
        and table.name not in ("identity_providers", "organisations")
    }
    assert knows - set(RULES) == set(), "say in store.erasure what happens to it"
    assert set(RULES) - knows == set()


def test_what_belongs_to_a_person_is_downloaded() -> None:
    mine = {table.name for table in metadata.sorted_tables if "person_id" in table.c}
    exported = {table.name for table, _ in TABLES.values()}
    internal = {"login_steps", "password_resets", "recovery_codes", "charger_imports"}
    assert mine - exported - internal - {"audit_log"} == set()
    secret = ("hash", "secret", "credential_id", "public_key", "search")
    assert [name for _, columns in TABLES.values() for name in columns if any(word in name for word in secret)] == []


# ---- the download --------------------------------------------------------------------------------------------------


async def test_the_download_holds_what_is_known_and_nothing_of_others(site: Site) -> None:
    await quintilia(site)
    await live_a_little(site)
    async with browser(site, EMAIL) as client:
        answer = await post(client, "/account/data/download")
        assert answer.headers["content-disposition"] == 'attachment; filename="borne-my-data.json"'
        found = json.loads(answer.text)
    assert found["profile"]["email"] == EMAIL
    assert found["memberships"][0]["role"] == "admin"
    assert found["tags"][0]["tag"] == "04a1"
    assert found["sessions"][0]["tag"] == "04A1"
    assert {row["why"] for row in found["restarts"]} == {"hangs", ""}
    assert {"login.started", "charger.changed", "login.failed"} <= {row["action"] for row in found["audit_log"]}
    assert found["invitations_received"][0]["email"] == EMAIL
    assert found["organisations"][0]["name"] == "Atelier Lumière"
    for foreign in ("camille@", "ali@", "password_hash", "argon2"):
        assert foreign not in answer.text


async def test_a_login_that_is_not_fresh_is_asked_who_it_is(site: Site) -> None:
    await quintilia(site)
    async with browser(site, EMAIL) as client:
        site.later(3_600)
        for method, path in (("POST", "/account/data/download"), ("GET", "/account/erase"), ("POST", "/account/erase")):
            answer = await (post(client, path, email=EMAIL) if method == "POST" else client.get(path))
            assert answer.headers["location"].startswith("/account/confirm?next=/account/"), path
        await post(client, "/account/confirm", password=PASSWORD, next="/account/data")
        assert (await post(client, "/account/data/download")).status_code == 200


# ---- erasing -------------------------------------------------------------------------------------------------------


async def test_nothing_of_an_erased_person_is_left(site: Site, tmp_path: Path) -> None:
    person_id = await quintilia(site)
    charger_id = await live_a_little(site)
    async with browser(site, EMAIL) as client:
        assert (await post(client, "/account/erase", email="wrong@a.test")).status_code == 422
        answer = await post(client, "/account/erase", email=EMAIL.upper())
        assert answer.headers["location"] == "/login"
        assert (await client.get("/account")).status_code in (303, 401)
    await run_the_job(site)
    db = site.portal.db
    left = await texts(db)
    for canary in (NAME, EMAIL, "Quintilia", "04A1", "04a1"):
        assert [line for line in left.splitlines() if canary in line and not line.startswith("tags: ")] == [], canary
    assert (await verify(db, site.portal.services.audit)).broken_at is None
    assert await db.value(text("PRAGMA wal_checkpoint(TRUNCATE)")) is not None
    async with browser(site, EMAIL) as client:
        assert (await client.get("/account")).headers["location"].startswith("/login")
    assert {row.person_name for row in await site.rows()} == {ERASED}
    row = await db.first(select(people).where(people.c.id == person_id))
    assert row is not None
    assert (row.email, row.name, row.password_hash, row.disabled) == (f"erased-{person_id}", ERASED, None, 1)
    session = await db.first(select(sessions))
    assert session is not None
    assert (session.tag, session.person_id, session.meter_start_wh, session.charger_id) == (None, None, 0, charger_id)
    assert await db.value(text("SELECT blocked FROM tags")) == 1, "a badge without an owner would open every charger"
    async with browser(site, "camille@a.test") as camille:
        for path in ("/audit", "/restarts", f"/chargers/{charger_id}", "/audit.csv"):
            page = (await camille.get(path)).text
            assert "Quintilia" not in page, path
        assert "Person erased" in (await camille.get("/audit")).text
    await db.close()
    assert NAME.encode() not in raw(tmp_path)
    assert EMAIL.encode() not in raw(tmp_path)
    await db.open()


async def test_the_last_super_admin_and_the_last_operator_stay(site: Site) -> None:
    async with browser(site, "camille@a.test") as camille:
        answer = await post(camille, "/account/erase", email="camille@a.test")
        assert answer.status_code == 409
        assert "left without a super-admin" in answer.text
        assert (await camille.get("/account")).status_code == 200
    await site.portal.add_person("op@c.test", operates=True)
    async with browser(site, "op@c.test") as operator:
        assert (await post(operator, "/account/erase", email="op@c.test")).status_code == 409


async def test_a_super_admin_erases_who_belongs_to_them_alone(site: Site) -> None:
    person_id = await quintilia(site, "user")
    other, _ = await site.portal.add_organisation("Other")
    elsewhere = await site.portal.add_person("both@a.test", (site.organisation_id, "user"), (other, "user"))
    operator = await site.portal.add_person("op@a.test", (site.organisation_id, "user"), operates=True)
    stranger = await site.portal.add_person("far@b.test", (other, "user"))
    async with browser(site, "camille@a.test") as camille:
        assert (await post(camille, f"/users/{elsewhere}/erase", email="both@a.test")).status_code == 409
        assert (await post(camille, f"/users/{operator}/erase", email="op@a.test")).status_code == 409
        assert (await post(camille, f"/users/{stranger}/erase", email="far@b.test")).status_code == 404
        assert (await post(camille, f"/users/{site.camille_id}/erase", email="camille@a.test")).status_code == 404
        assert (await post(camille, f"/users/{person_id}/erase", email="camille@a.test")).status_code == 422
        assert (await post(camille, f"/users/{person_id}/erase", email=EMAIL)).headers["location"] == "/users"
        assert (await post(camille, f"/users/{person_id}/erase", email=EMAIL)).status_code == 404
    async with browser(site, "ali@a.test") as ali:
        assert (await ali.get(f"/users/{site.zoe_id}/erase")).status_code == 404
    db = site.portal.db
    assert await db.value(select(people.c.erased_ms).where(people.c.id == person_id)) is not None
    assert await db.value(select(people.c.erased_ms).where(people.c.id == elsewhere)) is None
    assert await db.first(select(memberships).where(memberships.c.person_id == person_id)) is None
    assert (await verify(db, site.portal.services.audit)).broken_at is None


async def test_a_namesake_keeps_the_name(site: Site) -> None:
    """Lines are told apart by the person's number, not by the name."""
    await quintilia(site)
    await live_a_little(site)
    other_id, _ = await site.portal.add_organisation("Other")
    namesake = await site.portal.add_person("other.quintilia@a.test", (site.organisation_id, "admin"))
    async with site.portal.db.transaction() as tx:
        await tx.run(text("UPDATE people SET name = :n WHERE id = :id"), {"n": NAME, "id": namesake})
        line = json.dumps({"by": NAME, "by_id": namesake}, separators=(",", ":"))
        await tx.run(
            text("INSERT INTO events (charger_id, at_ms, kind, details) VALUES (1, 1, 'edited', :d)"), {"d": line}
        )
    async with site.portal.db.transaction() as tx:  # of another organisation; of a badge that changed hands
        audit, about = site.portal.services.audit, About(kind="tag", name="77")
        await audit.record(tx, Actor(namesake, NAME), "tag.changed", about, organisation_id=other_id, owner=NAME)
        await audit.record(tx, SHELL, "tag.changed", about, organisation_id=site.organisation_id, owner=NAME)
    async with browser(site, EMAIL) as client:
        await post(client, "/account/erase", email=EMAIL)
    await run_the_job(site)
    left = await texts(site.portal.db)
    rows = [row.details for row in await audit_store.following(site.portal.db, 0) if row.action == "tag.changed"]
    assert [row is None for row in rows] == [False, True]
    assert (await verify(site.portal.db, site.portal.services.audit)).broken_at is None
    assert left.count(NAME) >= 3
    assert EMAIL not in left.replace("other.quintilia@a.test", "")
    assert [row.person_name for row in await site.portal.db.all(select(restarts.c.person_name))].count(ERASED) > 0
