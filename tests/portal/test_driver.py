"""The home of users and the list of sessions: their own chargers, their own sessions, nobody else's."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from html import unescape
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import update

from borne.bus.memory import MemoryBus
from borne.core.facts import SessionEnded, SessionStarted
from borne.engine.metering import Meter
from borne.engine.prices import Prices
from borne.store import people, tags
from borne.store.schema import chargers, locations
from tests.support.portal import log_in
from tests.support.restart_site import Site, running_site

pytestmark = pytest.mark.anyio
NOW = datetime(2026, 11, 22, 15, tzinfo=UTC)


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with running_site(tmp_path) as one:
        one.portal.clock.at_ms = round(NOW.timestamp() * 1000)
        yield one


async def browser(site: Site, email: str = "zoe@a.test", **headers: str) -> httpx.AsyncClient:
    client = site.portal.client(**headers)
    assert (await log_in(client, email)).status_code == 303
    return client


async def give(site: Site, charger_id: int, person_id: int | None = None) -> None:
    async with site.portal.db.transaction() as tx:
        await people.assign(tx, person_id=person_id or site.zoe_id, charger_ids=[charger_id])


async def tag(site: Site, text: str, person_id: int | None, **known: Any) -> None:
    async with site.portal.db.transaction() as tx:
        await tags.put(tx, site.organisation_id, text, person_id=person_id, **known)


async def session(
    site: Site, charger_id: int, text: str, start_wh: int = 0, stop_wh: int | None = None, minutes: int = 60
) -> None:
    """A session, over after so many minutes when `stop_wh` is given, with the clock put back after it."""
    before_ms = site.portal.clock.at_ms
    common = {"charger_id": charger_id, "epoch": 1, "evse": 1, "connector": 1, "tag": text, "raw": "{}"}
    started = SessionStarted(
        at_ms=before_ms,
        transaction=f"t{charger_id}.{before_ms}",
        meter_start_wh=start_wh,
        device_ms=before_ms,
        **common,
    )
    await site.engine.apply(started)
    if stop_wh is not None:
        site.later(minutes * 60)
        ended = SessionEnded(
            at_ms=site.now_ms, transaction=f"t{charger_id}.{before_ms}", meter_stop_wh=stop_wh, **common
        )
        await site.engine.apply(ended)
        site.portal.clock.at_ms = before_ms
    else:
        await site.status(charger_id, 1, "charging")
    db, clock = site.portal.db, site.portal.clock
    await Meter(db, MemoryBus(), clock, Prices(db, clock)).once()


def words(page: httpx.Response) -> str:
    """The text of a page."""
    text = re.sub(r"(?s)<(style|script|svg).*?</\1>", "", page.text)
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", text))).replace("\u202f", " ").replace("\xa0", " ")


def cards(page: httpx.Response) -> dict[str, str]:
    """What each charger's card says, by the charger's name."""
    found = re.findall(r'(?s)<a class="card my-charger.*?</a>', page.text)
    texts = [re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", one))).strip() for one in found]
    return {" ".join(text.split()[:2]): text for text in texts}


# ---- home ---------------------------------------------------------------------------------------------------------


async def test_a_user_lands_there_and_staff_on_the_list(site: Site) -> None:
    zoe, ali = await browser(site), await browser(site, "ali@a.test")
    assert (await zoe.get("/")).headers["location"] == "/home"
    assert (await ali.get("/")).headers["location"] == "/chargers"
    assert (await ali.get("/home")).headers["location"] == "/chargers"
    page = await zoe.get("/home")
    assert "No charger yet" in page.text
    assert "No badge is yours yet" in page.text
    assert 'href="/home" aria-current="page"' in page.text
    assert 'href="/home"' not in (await ali.get("/chargers")).text


async def test_what_they_may_do_at_each_charger_and_why_not(site: Site) -> None:
    names = ("Free A", "Mine A", "Taken A", "Gone A", "Shut A", "Plug A")
    ids = {name: await site.online_charger(name) for name in names}
    other = await site.online_charger("Other A")
    for charger_id in ids.values():
        await give(site, charger_id)
    await tag(site, "CARD", site.zoe_id)
    await tag(site, "THEIRS", site.camille_id)
    await session(site, ids["Mine A"], "card")
    await session(site, ids["Taken A"], "theirs")
    await site.leave(ids["Gone A"], 1)
    await site.status(ids["Plug A"], 1, "preparing")
    async with site.portal.db.transaction() as tx:
        await tx.run(update(chargers).where(chargers.c.id == ids["Shut A"]).values(disabled=1))
    client = await browser(site)
    found = cards(await client.get("/home"))
    said = {
        "Mine A": "You are charging here", "Free A": "You can charge here", "Plug A": "A car is plugged in",
        "Taken A": "In use by somebody else", "Gone A": "Out of reach", "Shut A": "Locked",
    }  # fmt: skip
    assert {name: text for name, text in said.items() if text not in found[name]} == {}
    assert list(found)[:2] == ["Mine A", "Free A"]
    page = await client.get("/home")
    for secret in ("Camille", "THEIRS", "Other A"):
        assert secret not in page.text
    part = await client.get("/home/chargers?q=tak", headers={"HX-Request": "true"})
    assert list(cards(part)) == ["Taken A"]
    assert other not in ids.values()


async def test_without_a_badge_that_is_accepted_a_free_charger_is_of_no_use(site: Site) -> None:
    charger_id = await site.online_charger("Free A")
    await give(site, charger_id)
    await tag(site, "CARD", site.zoe_id, blocked=True)
    client = await browser(site)
    page = await client.get("/home")
    assert "None of your badges is accepted" in page.text
    assert "You have no badge for it" in cards(page)["Free A"]
    async with site.portal.db.transaction() as tx:
        await tx.run(update(locations).values(accepts_unknown_tags=1))
    assert "You can charge here" in cards(await client.get("/home"))["Free A"]


async def test_consumption_of_this_month_and_the_last(site: Site) -> None:
    charger_id = await site.online_charger("Free A")
    await give(site, charger_id)
    await tag(site, "CARD", site.zoe_id)
    await tag(site, "THEIRS", site.camille_id)
    clock = site.portal.clock
    now_ms = clock.at_ms
    for days, text, start, stop in (
        (1, "card", 1_000, 8_500), (2, "CARD", 0, 500), (3, "card", 900, 600), (4, "theirs", 0, 99_000), (30, "card", 0, 12_000),
        (70, "card", 0, 77_000),
    ):  # fmt: skip
        clock.at_ms = now_ms - days * 86_400_000
        await session(site, charger_id, text, start, stop)
    clock.at_ms = now_ms
    said = words(await (await browser(site)).get("/home"))
    assert "November 2026 8 kWh 3 sessions the energy of 1 is not known" in said
    assert "October 2026 12 kWh 1 session" in said
    french = words(await (await browser(site, **{"accept-language": "fr"})).get("/home"))
    assert "novembre 2026 8 kWh 3 sessions" in french


# ---- sessions -------------------------------------------------------------------------------------------------------


async def test_everybody_sees_the_sessions_that_are_theirs_to_see(site: Site) -> None:
    lyon, nantes = (
        await site.online_charger("Lyon 1"),
        await site.online_charger("Nantes 1", location_id=site.nantes_id),
    )
    await tag(site, "CARD", site.zoe_id, name="Blue")
    await tag(site, "THEIRS", site.camille_id)
    for charger_id in (lyon, nantes):
        await session(site, charger_id, "card", 0, 7_340)
        site.later(60)
    await session(site, lyon, "theirs")
    camille, ali, zoe = await browser(site, "camille@a.test"), await browser(site, "ali@a.test"), await browser(site)
    everything = words(await camille.get("/sessions"))
    for text in ("Lyon 1", "Nantes 1", "Zoe", "Blue", "7.34 kWh", "1 h", "Camille", "THEIRS", "Runs"):
        assert text in everything, text
    assert everything.index("Runs") < everything.index("7.34 kWh")
    mine = words(await zoe.get("/sessions"))
    assert "Nantes 1" in mine
    assert "Blue" in mine
    assert "THEIRS" not in mine
    assert "Runs" not in mine
    of_lyon = words(await ali.get("/sessions"))
    assert "Lyon 1" in of_lyon
    assert "Nantes 1" not in of_lyon
    assert "No session matches" in words(await zoe.get(f"/sessions?person={site.camille_id}&charger=1&q=zzz"))


async def test_a_badge_that_changes_hands_takes_no_sessions_along(site: Site) -> None:
    charger_id = await site.online_charger("Lyon 1")
    bo = await site.portal.add_person("bo@a.test", (site.organisation_id, "user"), charger_ids=(charger_id,))
    await tag(site, "CARD", site.zoe_id, name="Blue of Zoe")
    await session(site, charger_id, "card", 0, 5_000)
    await tag(site, "CARD", bo, name="Now of Bo")
    assert "Lyon 1" not in words(await (await browser(site, "bo@a.test")).get("/sessions"))
    mine = words(await (await browser(site)).get("/sessions"))
    assert "Lyon 1" in mine
    assert "Now of Bo" not in mine


async def test_a_filter_and_pages_of_fifty(site: Site) -> None:
    charger_id = await site.online_charger("Lyon 1")
    await site.online_charger("Quai 2")
    await tag(site, "CARD", site.zoe_id)
    for _ in range(52):
        await session(site, charger_id, "card", 0, 1_000, minutes=1)
        site.later(3_600)
    client = await browser(site, "camille@a.test")
    page = await client.get("/sessions")
    assert page.text.count('id="session-') >= 50
    (older,) = re.findall(r'rel="next" href="([^"]+)"', page.text)
    second = await client.get(unescape(older))
    assert len(re.findall(r'<tr id="session-', page.text)) == 50
    assert len(re.findall(r'<tr id="session-', second.text)) == 2
    for query, count in (
        ("q=lyon", 50),
        ("q=quai", 0),
        ("from=2026-11-25", 0),
        ("to=2026-11-22", 8),
        ("from=x&to=9999-99-99", 50),
    ):
        part = await client.get(f"/sessions?{query}", headers={"HX-Request": "true"})
        assert "<html" not in part.text
        assert len(re.findall(r'<tr id="session-', part.text)) == count, query


@pytest.mark.parametrize(
    "query", ["older=r" + "9" * 30, "older=x", "charger=" + "9" * 30, "location=%00", "q=" + "a" * 5_000]
)
async def test_what_makes_no_sense_is_left_aside(site: Site, query: str) -> None:
    client = await browser(site, "camille@a.test")
    assert (await client.get(f"/sessions?{query}")).status_code == 200


async def test_times_are_those_of_the_location(site: Site) -> None:
    charger_id = await site.online_charger("Lyon 1")
    async with site.portal.db.transaction() as tx:
        await tx.run(update(locations).where(locations.c.id == site.lyon_id).values(time_zone="Asia/Tokyo"))
    await session(site, charger_id, "any", 0, 1_000)
    assert "23 Nov 2026, 00:00" in words(await (await browser(site, "camille@a.test")).get("/sessions"))
