"""The audit page: words for everything, who sees it, searching, paging, export; and what the flows record."""

from __future__ import annotations

import ast
import csv
import io
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text as sql

from borne.core.actor import Actor
from borne.engine.audit import About, Verified, verify
from borne.engine.audit_watch import AuditWatch, Looked
from borne.portal.audit_words import ACTIONS, DETAILS, KINDS, visible
from borne.store import audit as store
from borne.store import audit_list
from tests.support.portal import log_in, post
from tests.support.restart_site import Site, running_site

pytestmark = pytest.mark.anyio
SOURCE = Path(__file__).parents[2] / "src" / "borne"
ACTION = re.compile(r"[a-z]+(_[a-z]+)*\.[a-z]+(_[a-z]+)*")
FILES = (
    "html",
    "css",
    "js",
    "svg",
    "po",
    "key",
    "toml",
    "csv",
    "db",
    "json",
    "log",
    "head",
    "sqlite",
    "localhost",
    "zip",
    "pdf",
    "xlsx",
)


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with running_site(tmp_path) as running:
        yield running


@asynccontextmanager
async def browser(site: Site, who: str = "camille@a.test", **headers: str) -> AsyncIterator[Any]:
    async with site.portal.client(**headers) as client:
        await log_in(client, who)
        yield client


async def record(site: Site, name: str, action: str = "charger.changed", **details: Any) -> None:
    async with site.portal.db.transaction() as tx:
        await site.portal.services.audit.record(
            tx, Actor(5, details.pop("by", "Bo"), "192.0.2.9"), action, About(kind="charger", id=7, name=name),
            organisation_id=details.pop("organisation_id", site.organisation_id), **details,
        )  # fmt: skip


async def actions(site: Site) -> list[str]:
    return [row.action for row in await store.following(site.portal.db, 0)]


# ---- words ---------------------------------------------------------------------------------------------------------


def recorded() -> Iterator[tuple[str, str]]:
    """Every word of the code that looks like an action."""
    for file in SOURCE.rglob("*.py"):
        if "audit_words" in file.name or "sim" in file.parts:
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            value = node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
            if ACTION.fullmatch(value) and not value.endswith(FILES) and not value.startswith("borne."):
                yield value, file.name


def test_every_action_that_the_code_records_has_words() -> None:
    found = dict(recorded())
    assert len(found) > 20
    assert {action: file for action, file in found.items() if action not in ACTIONS} == {}


def test_every_word_belongs_to_an_action_that_is_recorded() -> None:
    assert set(ACTIONS) - set(dict(recorded())) == set()


def test_every_action_is_found_by_one_kind() -> None:
    prefixes = [prefix for _, several in KINDS.values() for prefix in several]
    assert len(prefixes) == len(set(prefixes))
    assert {action.partition(".")[0] for action in ACTIONS} == set(prefixes)
    assert len(DETAILS) > 5


def test_odd_characters_are_written_out() -> None:
    assert visible("a\r\nb\x1b[31mc\u202ed\u200be") == "a\\u000d\\u000ab\\u001b[31mc\\u202ed\\u200be"
    assert visible("Quai 4 – Entrepôt, 充電 ✓") == "Quai 4 – Entrepôt, 充電 ✓"


# ---- the page ------------------------------------------------------------------------------------------------------


async def test_what_was_done_stands_there_newest_first(site: Site) -> None:
    await record(site, "Quai 1", before={"name": "Old", "serial": "1"}, after={"name": "New", "serial": "1"})
    await record(site, "<b>Quai 2</b>", "charger.deleted", by="Zo\u202eé")
    async with browser(site) as camille:
        text = (await camille.get("/audit")).text
        assert text.index("&lt;b&gt;Quai 2&lt;/b&gt;") < text.index("Quai 1")
        assert "Charger deleted" in text
        assert "Zo\\u202eé" in text
        assert "192.0.2.9" in text
        assert "<bdi>Old</bdi>" in text
        assert "Serial number" not in text, "it did not change"
        french = (await camille.get("/audit", headers={"accept-language": "fr"})).text
        assert "Charger deleted" not in french


async def test_who_was_invited_as_what_is_said_in_words(site: Site) -> None:
    async with browser(site) as camille:
        answer = await post(camille, "/users/invite", emails="a@x.test\nb@x.test", role="user", language="en")
        assert answer.status_code == 303
        page = await camille.get("/audit")
        assert page.status_code == 200
        assert "User: 2" in page.text


async def test_details_of_any_shape_are_text(site: Site) -> None:
    shapes: dict[str, Any] = {
        "role": [["admin", {"user": 3}], None],
        "roles": {"gone": {"a": [1.5, True, {}]}},
        "before": {"role": {}},
    }
    await record(site, "Odd", **shapes, after={"role": [{"admin": 1}]}, n={"<b>": "<i>"})
    async with browser(site) as camille:
        page = await camille.get("/audit")
    assert page.status_code == 200
    assert "Odd" in page.text
    assert "<i>" not in page.text


async def test_other_organisations_have_their_own(site: Site) -> None:
    other, _ = await site.portal.add_organisation("Other")
    await record(site, "Theirs", organisation_id=other)
    await record(site, "Nobody's", organisation_id=None)
    async with browser(site) as camille:
        for path in ("/audit", "/audit.csv", "/audit?person=5", "/audit?q=bo"):
            text = (await camille.get(path)).text
            assert "Theirs" not in text
            assert "Nobody" not in text
    async with browser(site, "ali@a.test") as ali:
        assert (await ali.get("/audit")).status_code == 404
        assert (await ali.get("/audit.csv")).status_code == 404


async def test_filters_find_people_things_kinds_and_days(site: Site) -> None:
    await record(site, 'Quai "É"', by="Marguerite")
    await record(site, "Quai 2", "restart.requested", by="Ali")
    site.later(3 * 86_400)
    await record(site, "Quai 3", "charger.added", by="Ali")
    day = site.portal.clock.at_ms // 86_400_000
    async with browser(site) as camille:

        async def shown(query: str) -> set[str]:
            text = (await camille.get(f"/audit?{query}")).text
            return {name for name in ("Quai 2", "Quai 3", "Quai &#34;É&#34;") if name in text}

        assert await shown("q=marguer") == {"Quai &#34;É&#34;"}
        assert await shown("q=quai+3") == {"Quai 3"}
        assert await shown('q=quai+"') == {"Quai &#34;É&#34;"}
        assert await shown("q=%25") == set()
        assert await shown("q=_") == set()
        assert await shown("kind=restarts") == {"Quai 2"}
        assert await shown("kind=nonsense&from=x&older=x&person=-1") == {"Quai 2", "Quai 3", "Quai &#34;É&#34;"}
        assert await shown("person=99") == set()
        assert (await camille.get("/audit?q=%00%ED%A0%80&older=" + "9" * 30)).status_code == 200
        today = datetime.fromtimestamp(day * 86_400, UTC).date().isoformat()
        assert await shown(f"from={today}") == {"Quai 3"}
        assert await shown(f"to={today[:4]}-01-01") == set()
        assert "Nothing matches this filter" in (await camille.get("/audit?q=nothing+of+the+kind")).text


async def test_pages_follow_numbers(site: Site) -> None:
    for number in range(120):
        await record(site, f"Quai {number:03}")
    async with browser(site) as camille:
        first = (await camille.get("/audit?kind=chargers")).text
        assert "Quai 119" in first
        assert "Quai 069" not in first
        older = re.search(r'href="([^"]+)" rel="next"', first)
        assert older
        second = (await camille.get(older[1].replace("&amp;", "&"))).text
        assert "Quai 069" in second
        assert "Quai 070" not in second
        newer = re.search(r'href="([^"]+)" rel="prev"', second)
        assert newer
        assert "Quai 119" in (await camille.get(newer[1].replace("&amp;", "&"))).text


async def test_a_search_goes_back_step_by_step(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """No index knows what stands in a row: one answer reads so many, and says how far it came."""
    monkeypatch.setattr(audit_list, "LOOKED_AT", 5)
    await record(site, "Old quay")
    for number in range(12):
        await record(site, f"Quai {number}")
    async with browser(site) as camille:
        address, steps = "/audit?q=old+quay", []
        while address:
            page = (await camille.get(address)).text
            steps.append("Old quay" in page)
            older = re.search(r'href="(/audit[^"]*older=\d+)"[^>]*>Search further back', page)
            assert ("Looked back to" in page) == bool(older)
            address = unescape(older[1]) if older else ""
        assert steps[-1], "found in the end"
        assert 2 < len(steps) < 5
        newer = re.search(r'href="(/audit[^"]*newer=\d+)"', page)
        assert newer
        assert "Nothing found so far" in (await camille.get("/audit?q=old+quay")).text
        assert (await camille.get(unescape(newer[1]))).status_code == 200
        assert "Old quay" in (await camille.get("/audit.csv?q=old+quay")).text, "the export looks through all of it"
        assert "Old quay" in (await camille.get("/audit")).text, "without a search nothing is left out"


async def test_the_export_is_whole_and_harmless(site: Site) -> None:
    for number in range(600):
        await record(site, f"Quai {number:03}")
    await record(site, "=cmd|' /C calc'!A0", by="@SUM(1)\r\nfoo\u202ebar\x1b[2J", why="-1")
    async with browser(site) as camille:
        answer = await camille.get("/audit.csv?kind=chargers")
        assert answer.headers["content-disposition"] == 'attachment; filename="audit.csv"'
        rows = list(csv.DictReader(io.StringIO(answer.text)))
        assert len(rows) == 601
        assert rows[0]["object"] == "'=cmd|' /C calc'!A0"
        assert rows[0]["person"] == "'@SUM(1)\\u000d\\u000afoo\\u202ebar\\u001b[2J"
        assert "\x1b" not in answer.text
        heads = {row.seq: row.hash.hex() for row in await store.following(site.portal.db, 0)}
        assert all(heads[int(row["number"])] == row["hash"] for row in rows)
        found = list(csv.DictReader(io.StringIO((await camille.get("/audit.csv?q=quai+599")).text)))
        assert [row["object"] for row in found] == ["Quai 599"]


async def test_the_page_says_until_when_it_was_verified(site: Site, tmp_path: Path) -> None:
    services = site.portal.services
    watch = services.audit_watch = AuditWatch(services.db, services.audit, tmp_path, site.portal.clock)
    await record(site, "Quai 1")
    async with browser(site) as camille:
        assert "verified" not in (await camille.get("/audit")).text
        await watch.verify()
        assert "Nothing was changed, dropped or moved: verified" in (await camille.get("/audit")).text
        watch.last = Looked(1, Verified(4, b"", 1, 5, "the row was changed"))
        assert "The audit log is not as it was written." in (await camille.get("/audit")).text


# ---- what the flows record -----------------------------------------------------------------------------------------


async def test_restarts_are_recorded_with_the_address_they_were_asked_from(site: Site) -> None:
    charger_id = await site.online_charger("Quai 7")
    other = await site.online_charger("Quai 8")
    async with browser(site) as camille:
        await post(camille, f"/chargers/{charger_id}/restart", when="free", why="hangs")
        await post(camille, "/restarts/batch", charger=str(other), key="k")
        text = (await camille.get("/audit?kind=restarts")).text
    assert "Restart requested" in text
    assert "hangs" in text
    assert "192.0.2.7" in text
    assert "Restart of many requested" in text
    assert (await verify(site.portal.db, site.portal.services.audit)).broken_at is None


async def test_what_was_refused_is_not_recorded(site: Site) -> None:
    charger_id = await site.add_charger("Never connected")
    before = await actions(site)
    async with browser(site) as camille:
        await post(camille, f"/chargers/{charger_id}/restart", when="now")
    assert [one for one in await actions(site) if one.startswith("restart")] == [
        one for one in before if one.startswith("restart")
    ]


async def test_what_admins_change_of_a_charger_is_recorded(site: Site) -> None:
    site.portal.services.charger_key = b"k" * 32
    async with browser(site) as camille:
        place = str(site.lyon_id)
        await post(camille, "/chargers/add", name="Quai 9", model="copper", location=place)
        charger_id = await site.portal.db.value(sql("SELECT max(id) FROM chargers"))
        path = f"/chargers/{charger_id}"
        await post(camille, f"{path}/edit", name="Quai 10", model="copper", location=str(site.nantes_id))
        for what in ("password", "disable", "enable", "delete"):
            await post(camille, f"{path}/{what}")
        text = (await camille.get("/audit?kind=chargers")).text
    assert [one for one in await actions(site) if one.startswith("charger")] == [
        "charger.added", "charger.changed", "charger.password_changed", "charger.disabled", "charger.enabled", "charger.deleted",
    ]  # fmt: skip
    assert "<bdi>Nantes, Entrepôt</bdi>" in text


async def test_logins_are_recorded_and_a_flood_of_guesses_is_not(site: Site) -> None:
    async with site.portal.client() as client:
        for _ in range(12):
            await post(client, "/login", email="ali@a.test", password="wrong")
        await post(client, "/login", email="nobody@a.test", password="wrong")
    assert (await actions(site)).count("login.failed") == 5
    async with browser(site) as camille:
        await post(camille, "/account/logins/end", login="others")
        text = (await camille.get("/audit?kind=logins")).text
        assert "Login failed" in text
        assert "ali@a.test" in text
        assert "nobody@" not in text
        await post(camille, "/logout")
    assert (await actions(site))[-3:] == ["login.started", "login.others_ended", "login.ended"]


async def test_a_login_stands_in_the_log_of_each_organisation_of_the_person(site: Site) -> None:
    other, _ = await site.portal.add_organisation("Other")
    await site.portal.add_person("both@a.test", (site.organisation_id, "user"), (other, "super-admin"))
    async with browser(site, "both@a.test"):
        pass
    rows = await store.following(site.portal.db, 0)
    assert sorted(row.organisation_id for row in rows if row.action == "login.started") == [site.organisation_id, other]
