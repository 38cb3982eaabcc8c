"""Values of a location's meter from a program: kept whole or not at all, once however often they come."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from borne.engine import measure_again
from borne.store.schema import audit_log, jobs, locations, site_slots
from tests.support.api import api_of, client, make_token
from tests.support.restart_site import Site, running_site

pytestmark = pytest.mark.anyio
T0 = "2026-03-01T10:00:00+01:00"


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with running_site(tmp_path) as one:
        yield one


@pytest.fixture
async def program(site: Site) -> AsyncIterator[httpx.AsyncClient]:
    token = await make_token(site.portal, site.camille_id, site.organisation_id)
    async with client(api_of(site.portal), f"Bearer {token}") as one:
        yield one


def value(start: str = T0, import_wh: Any = 1_000, solar_wh: Any = 500, **more: Any) -> dict[str, Any]:
    return {"start": start, "import_wh": import_wh, "solar_wh": solar_wh, **more}


async def send(site: Site, program: httpx.AsyncClient, *values: Any) -> httpx.Response:
    return await program.post(f"/locations/{site.lyon_id}/site-meter", json={"values": list(values)})


async def kept(site: Site) -> list[tuple[int, int, int]]:
    columns = (site_slots.c.import_wh, site_slots.c.export_wh, site_slots.c.solar_wh)
    return [tuple(row) for row in await site.portal.db.all(select(*columns).order_by(site_slots.c.slot_ms))]


async def counts(site: Site) -> tuple[int, int]:
    """Jobs that measure again, and rows of the audit log."""
    db = site.portal.db
    jobs_there = await db.value(select(func.count()).where(jobs.c.kind == measure_again.KIND))
    rows = await db.value(select(func.count()).where(audit_log.c.action == "location.site_meter"))
    return jobs_there, rows


async def test_the_same_again_changes_nothing_and_other_values_replace(site: Site, program: httpx.AsyncClient) -> None:
    first = await send(site, program, value(), value("2026-03-01T09:15:00Z", 0, 2_000, export_wh=1_500))
    assert first.status_code == 200, first.text
    assert first.json() == {"new": 2, "replaced": 0, "same": 0, "until": "2026-03-01T09:30:00.000Z"}
    assert await kept(site) == [(1_000, 0, 500), (0, 1_500, 2_000)]
    assert await counts(site) == (1, 1), "the first values of a location are noted"
    again = await send(site, program, value(), value("2026-03-01T09:15:00Z", 0, 2_000, export_wh=1_500))
    assert (again.json()["new"], again.json()["same"]) == (0, 2)
    more = await send(site, program, value("2026-03-01T09:30:00Z"))
    assert more.json()["new"] == 1
    assert await counts(site) == (2, 1), "a repeat measures nothing; one more quarter of an hour is not worth a note"
    assert (await send(site, program, value(import_wh=7))).json()["replaced"] == 1
    assert (await kept(site))[0] == (7, 0, 500)
    assert await counts(site) == (3, 2)
    until = await site.portal.db.value(select(locations.c.site_until_ms).where(locations.c.id == site.lyon_id))
    assert until == 1_772_358_300_000  # 09:45 UTC


async def test_finer_values_are_added_up(site: Site, program: httpx.AsyncClient) -> None:
    fives = [value(f"2026-03-01T09:{minute:02}:00Z", 100 + minute, 3.4, minutes=5) for minute in (10, 0, 5)]
    assert (await send(site, program, *fives)).json()["new"] == 1
    assert await kept(site) == [(315, 0, 9)]


NOT_SO: list[tuple[str, tuple[Any, ...]]] = [
    ("negative", (value(), value("2026-03-01T11:00:00Z", -1))),
    ("more than 25 MWh", (value(solar_wh=10**30),)),
    ("More was fed in", (value(export_wh=1_000),)),
    ("no multiple", (value("2026-03-01T09:07:00Z"),)),
    ("no offset", (value("2026-03-01T09:00:00"),)),
    ("no instant", (value("noon"),)),
    ("not over yet", (value("2027-03-01T09:00:00Z"),)),
    ("before 2020", (value("2010-03-01T09:00:00Z"),)),
    ("something else", (value(), value(import_wh=5))),
    ("something else", (value(), value(minutes=5))),
    ("not whole", (value(minutes=5), value("2026-03-01T09:05:00Z", minutes=5))),
    ("1, 3, 5 or 15", (value(minutes=7),)),
]


async def test_values_that_cannot_be_are_named_and_nothing_is_kept(site: Site, program: httpx.AsyncClient) -> None:
    for said, values in NOT_SO:
        answer = await send(site, program, value("2026-02-01T09:00:00Z"), *values)
        assert answer.status_code == 422, said
        (fault,) = answer.json()["errors"]
        assert said in fault["fault"]
        assert fault["at"].startswith("values/")
        assert not fault["at"].startswith("values/0/")
    assert await kept(site) == []
    assert await counts(site) == (0, 0)


async def test_bodies_that_are_none(site: Site, program: httpx.AsyncClient) -> None:
    bodies: tuple[list[Any], ...] = (
        [],
        [{}],
        [value(solar="1")],
        [value(import_wh="x")],
        [value(import_wh=None)],
        [5],
        [value()] * 701,
    )
    for values in bodies:
        assert (await send(site, program, *values)).status_code in {400, 413}, values[:1]
    for body in (b"", b"[]", b'{"values": NaN}', b'{"values": [' + b"[" * 5_000):
        answer = await program.post(f"/locations/{site.lyon_id}/site-meter", content=body)
        assert answer.status_code == 400
    assert await kept(site) == []


async def test_a_week_is_one_request(site: Site, program: httpx.AsyncClient) -> None:
    begun = datetime(2026, 3, 1, tzinfo=UTC)
    week = [
        value((begun + timedelta(minutes=15 * n)).isoformat(), 20_000_000, 20_000_000, export_wh=1) for n in range(672)
    ]
    assert (await send(site, program, *week)).json()["new"] == 672
