"""Access groups, single assignments and badges: what admins give, and never take from each other."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from borne.store import people, tags
from borne.store.schema import access_group_chargers, access_group_people, access_groups, assignments, audit_log
from borne.store.schema import tags as tag_table
from tests.support.portal import csrf, log_in, post
from tests.support.restart_site import Site, running_site

pytestmark = pytest.mark.anyio
OLD_TEN_DIGITS = 10**30


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with running_site(tmp_path) as one:
        yield one


async def browser(site: Site, email: str = "camille@a.test") -> httpx.AsyncClient:
    client = site.portal.client()
    assert (await log_in(client, email)).status_code == 303
    return client


async def told(site: Site) -> list[str]:
    """The actions of the audit log, those of logins left aside."""
    rows = await site.portal.db.all(select(audit_log.c.action).order_by(audit_log.c.seq))
    return [row.action for row in rows if not row.action.startswith("login.")]


async def in_group(site: Site, group_id: int) -> tuple[set[int], set[int]]:
    db = site.portal.db
    chargers = await db.all(
        select(access_group_chargers.c.charger_id).where(access_group_chargers.c.access_group_id == group_id)
    )
    persons = await db.all(
        select(access_group_people.c.person_id).where(access_group_people.c.access_group_id == group_id)
    )
    return {row.charger_id for row in chargers}, {row.person_id for row in persons}


async def add_group(client: httpx.AsyncClient, name: str) -> int:
    answer = await post(client, "/access-groups", name=name)
    assert answer.status_code == 303, answer.text
    return int(answer.headers["location"].rpartition("/")[2])


# ---- groups -------------------------------------------------------------------------------------------------------


async def test_a_group_from_its_name_to_its_end(site: Site) -> None:
    client = await browser(site)
    first, second = await site.add_charger("Quai 1"), await site.add_charger("Quai 2", location_id=site.nantes_id)
    group = await add_group(client, "Field sales")
    page = (await client.get(f"/access-groups/{group}/chargers/add?q=quai")).text
    assert "Quai 1" in page
    assert "Quai 2" in page
    path = f"/access-groups/{group}/chargers"
    assert (await post(client, path, do="add", charger=[str(first), str(second)])).status_code == 303
    assert (await post(client, f"/access-groups/{group}/people", do="add", person=str(site.zoe_id))).status_code == 303
    assert await in_group(site, group) == ({first, second}, {site.zoe_id})
    zoe = await browser(site, "zoe@a.test")
    assert "Quai 1" in (await zoe.get("/chargers")).text
    assert "Quai 1" not in (await client.get(f"/access-groups/{group}/chargers/add")).text
    ask = (await client.get(f"/access-groups/{group}/delete")).text
    assert "Zoe" in ask
    assert "loses the chargers" in ask
    assert (await post(client, f"/access-groups/{group}/delete")).status_code == 303
    assert await in_group(site, group) == (set(), set())
    assert (await client.get(f"/access-groups/{group}")).status_code == 404
    assert "Quai 1" not in (await zoe.get("/chargers")).text
    assert await told(site) == [
        "access_group.added", "access_group.chargers_added", "access_group.people_added", "access_group.deleted",
    ]  # fmt: skip


async def test_all_that_a_search_finds_at_once(site: Site) -> None:
    client = await browser(site)
    ids = {await site.add_charger(f"Dock {number}") for number in range(60)}
    await site.add_charger("Gate")
    group = await add_group(client, "Docks")
    await post(client, f"/access-groups/{group}/chargers", do="add", all="1", q="dock")
    assert (await in_group(site, group))[0] == ids
    page = await client.get(f"/access-groups/{group}?page=2")
    assert page.text.count('name="charger"') == 10
    part = await client.get(f"/access-groups/{group}?q=dock+59", headers={"HX-Request": "true"})
    assert "<html" not in part.text
    assert part.text.count('name="charger"') == 1


async def test_names_are_wanted_and_single(site: Site) -> None:
    client = await browser(site)
    group = await add_group(client, "One")
    other = await add_group(client, "Two")
    for name, words in (
        ("", "Please fill this in."),
        ("x" * 61, "60 characters at most."),
        ("One", "Another group has"),
    ):
        assert words in (await post(client, "/access-groups", name=name)).text
    answer = await post(client, f"/access-groups/{other}", name="One")
    assert (answer.status_code, "Another group has" in answer.text) == (422, True)
    assert (await post(client, f"/access-groups/{group}", name="Uno")).status_code == 303
    names = await site.portal.db.all(select(access_groups.c.name).order_by(access_groups.c.id))
    assert [row.name for row in names] == ["Uno", "Two"]


async def test_an_admin_changes_what_lies_in_their_locations_alone(site: Site) -> None:
    """Ali runs Lyon. A group also holds a charger of Nantes: he gives and takes those of Lyon, and nothing of the whole."""
    camille, ali = await browser(site), await browser(site, "ali@a.test")
    lyon, nantes = await site.add_charger("Lyon 1"), await site.add_charger("Nantes 1", location_id=site.nantes_id)
    group = await add_group(camille, "Both")
    path = f"/access-groups/{group}"
    await post(camille, f"{path}/chargers", do="add", charger=[str(lyon), str(nantes)])
    await post(camille, f"{path}/people", do="add", person=str(site.zoe_id))
    page = (await ali.get(path)).text
    assert "Lyon 1" in page
    assert "Nantes 1" not in page
    assert "1 charger of this group is at a location that others run" in page
    before = await in_group(site, group)
    for refused, form in (
        (path, {"name": "Mine"}), (f"{path}/people", {"do": "remove", "person": str(site.zoe_id)}),
        (f"{path}/people", {"do": "add", "all": "1"}), (f"{path}/delete", {}),
    ):  # fmt: skip
        assert (await post(ali, refused, **form)).status_code == 409, refused
    await post(ali, f"{path}/chargers", do="remove", charger=str(nantes))
    await post(ali, f"{path}/chargers", do="add", all="1")
    assert await in_group(site, group) == before
    answer = await post(ali, f"{path}/chargers", do="remove", charger=[str(lyon), str(nantes)])
    assert answer.headers["location"] == "/access-groups"
    assert await in_group(site, group) == ({nantes}, {site.zoe_id})
    assert (await ali.get(path)).status_code == 404, "nothing of his is in it any more"
    assert "Both" not in (await ali.get("/access-groups")).text


async def test_an_admin_makes_groups_of_their_own(site: Site) -> None:
    ali = await browser(site, "ali@a.test")
    lyon = await site.add_charger("Lyon 1")
    group = await add_group(ali, "Mine")
    path = f"/access-groups/{group}"
    await post(ali, f"{path}/chargers", do="add", charger=str(lyon))
    await post(
        ali, f"{path}/people", do="add", person=[str(site.zoe_id), str(site.ali_id), "999", str(OLD_TEN_DIGITS), "x"]
    )
    assert await in_group(site, group) == ({lyon}, {site.zoe_id}), "users of the organisation alone"
    assert (await post(ali, path, name="Still mine")).status_code == 303


async def test_the_plan_may_lack_groups(site: Site) -> None:
    client = await browser(site)
    await site.set_plan("basic")
    site.portal.app.state.access.changed(site.camille_id)
    answer = await client.get("/access-groups")
    assert answer.status_code == 403
    assert "Standard" in answer.text


# ---- chargers of a user ---------------------------------------------------------------------------------------------


async def assigned(site: Site, person_id: int) -> set[int]:
    rows = await site.portal.db.all(select(assignments.c.charger_id).where(assignments.c.person_id == person_id))
    return {row.charger_id for row in rows}


async def test_chargers_are_given_to_a_user_and_taken(site: Site) -> None:
    client, path = await browser(site), f"/users/{site.zoe_id}/chargers"
    ids = [await site.add_charger(f"Quai {number}") for number in range(3)]
    assert "Quai 2" in (await client.get(f"{path}/add?q=quai")).text
    await post(client, path, do="add", charger=[str(one) for one in ids])
    assert await assigned(site, site.zoe_id) == set(ids)
    assert "Quai 2" in (await client.get(f"/users/{site.zoe_id}")).text
    zoe = await browser(site, "zoe@a.test")
    assert "Quai 2" in (await zoe.get("/home")).text
    await post(client, path, do="remove", charger=str(ids[2]))
    assert await assigned(site, site.zoe_id) == set(ids[:2])
    assert "Quai 2" not in (await zoe.get("/home")).text
    assert (await told(site))[-2:] == ["person.chargers_added", "person.chargers_removed"]


async def test_staff_get_no_single_chargers(site: Site) -> None:
    client = await browser(site)
    charger = await site.add_charger()
    for path in (f"/users/{site.ali_id}/chargers", f"/users/{site.ali_id}/groups"):
        answer = await post(client, path, do="add", charger=str(charger))
        assert answer.status_code == (409 if path.endswith("chargers") else 303)
    assert await assigned(site, site.ali_id) == set()


async def test_an_admin_takes_nothing_that_another_gives(site: Site) -> None:
    ali = await browser(site, "ali@a.test")
    lyon, nantes = await site.add_charger("Lyon 1"), await site.add_charger("Nantes 1", location_id=site.nantes_id)
    async with site.portal.db.transaction() as tx:
        await people.assign(tx, person_id=site.zoe_id, charger_ids=[lyon, nantes])
    path = f"/users/{site.zoe_id}/chargers"
    page = (await ali.get(path)).text
    assert "Nantes 1" not in page
    assert "1 charger at locations that others run" in page
    await post(ali, path, do="remove", all="1")
    assert await assigned(site, site.zoe_id) == {nantes}
    assert (await post(ali, path, do="add", charger=str(nantes))).status_code == 404, "she is out of his sight now"


async def test_groups_of_a_user(site: Site) -> None:
    camille, ali = await browser(site), await browser(site, "ali@a.test")
    lyon, nantes = await site.add_charger("Lyon 1"), await site.add_charger("Nantes 1", location_id=site.nantes_id)
    mine, both = await add_group(camille, "Mine"), await add_group(camille, "Both")
    await post(camille, f"/access-groups/{mine}/chargers", do="add", charger=str(lyon))
    await post(camille, f"/access-groups/{both}/chargers", do="add", charger=[str(lyon), str(nantes)])
    path = f"/users/{site.zoe_id}/groups"
    await post(camille, path, group=[str(mine), str(both)])
    assert [(await in_group(site, one))[1] for one in (mine, both)] == [{site.zoe_id}, {site.zoe_id}]
    page = (await ali.get(path)).text
    assert page.count("disabled") == 1
    await post(ali, path)  # nothing ticked
    assert [(await in_group(site, one))[1] for one in (mine, both)] == [set(), {site.zoe_id}]
    await post(ali, path, group=str(mine))
    assert [(await in_group(site, one))[1] for one in (mine, both)] == [{site.zoe_id}, {site.zoe_id}]


# ---- badges ---------------------------------------------------------------------------------------------------------


async def stored(site: Site) -> dict[str, Any]:
    rows = await site.portal.db.all(select(tag_table).order_by(tag_table.c.tag))
    return {row.tag: (row.name, row.person_id, row.blocked, row.expires_ms is not None, row.group_tag) for row in rows}


async def test_badges_are_checked_then_added_all_or_nothing(site: Site) -> None:
    client = await browser(site)
    text = "tag;name;email;until;group\n04 A1 B2;Blue;ZOE@a.test;2099-12-31;FLEET\n04A1B3\n"
    answer = await post(client, "/tags/add", tags=text, email="ali@a.test", step="check")
    assert (answer.status_code, "04A1B2" in answer.text, "Add 2 badges" in answer.text) == (200, True, True)
    assert await stored(site) == {}
    assert (await post(client, "/tags/add", tags=text, email="ali@a.test", step="add")).status_code == 303
    assert await stored(site) == {
        "04a1b2": ("Blue", site.zoe_id, 0, True, "FLEET"),
        "04a1b3": ("", site.ali_id, 0, False, None),
    }
    files = [("cards.csv", "tag;name\nAB01;Pool\n".encode("utf-16")), ("large.csv", b"x\n" * 300_000)]
    sent = {"_csrf_token": await csrf(client), "tags": "", "step": "check"}
    answers = [await client.post("/tags/add", data=sent, files={"file": file}) for file in files]
    assert [(one.status_code, "AB01" in one.text) for one in answers] == [(200, True), (422, False)]
    assert "2000 lines at most" in answers[1].text
    bad = "04A1B2\nNEW1\nnew1\nsp/ace\n" + "x" * 37 + "\nOK1;n;nobody@a.test\nOK2;n;;31.12.2027\nadd"
    answer = await post(client, "/tags/add", tags=bad, step="add")
    assert answer.status_code == 422
    for words in (
        "The organisation has this badge already.", "It stands here twice.", "Only letters, digits", "36 characters at most.",
        "No member of the organisation", "YYYY-MM-DD", "cannot be a badge", "7 lines need your look",
    ):  # fmt: skip
        assert words in answer.text, words
    assert len(await stored(site)) == 2


@pytest.mark.parametrize("text", ["", "\0", " \n ", "\n" * 5, 'a"' + "b" * 200_000, ";;;;\n" * 2001])
async def test_pastes_that_make_no_sense_add_nothing(site: Site, text: str) -> None:
    answer = await post(await browser(site), "/tags/add", tags=text, step="add")
    assert answer.status_code == 422
    assert await stored(site) == {}


async def test_a_badge_is_changed_blocked_and_removed(site: Site) -> None:
    client = await browser(site)
    async with site.portal.db.transaction() as tx:
        await tags.put(tx, site.organisation_id, "AB12")
    assert "AB12" in (await client.get("/tags?state=unassigned&q=b1")).text
    form = {"name": "Card", "email": "zoe@a.test", "expires": "2099-01-31", "group": "G"}
    assert (await post(client, "/tags/AB12", **form)).status_code == 303
    assert await stored(site) == {"ab12": ("Card", site.zoe_id, 0, True, "G")}
    assert 'value="2099-01-31"' in (await client.get("/tags/ab12")).text
    answer = await post(client, "/tags/ab12", **(form | {"email": "eve@x.test", "expires": "never"}))
    assert (answer.status_code, 'value="eve@x.test"' in answer.text) == (422, True)
    await post(client, "/tags/ab12/block")
    assert "Card" in (await client.get("/tags?state=blocked&q=zoe")).text
    assert (await stored(site))["ab12"][2] == 1
    await post(client, "/tags/ab12/unblock")
    assert "Card" not in (await client.get("/tags?state=blocked")).text
    assert "Zoe can no longer charge" in (await client.get("/tags/ab12/delete")).text
    await post(client, "/tags/ab12/delete")
    assert await stored(site) == {}
    assert await told(site) == ["tag.changed", "tag.blocked", "tag.unblocked", "tag.deleted"]


async def test_badges_of_another_organisation_do_not_exist(site: Site) -> None:
    client = await browser(site)
    other, _ = await site.portal.add_organisation("Other")
    async with site.portal.db.transaction() as tx:
        await tags.put(tx, other, "THEIRS", name="Secret")
    assert "Secret" not in (await client.get("/tags?q=theirs")).text
    missing = await client.get("/tags/MISSING")
    assert (await client.get("/tags/THEIRS")).text.replace("THEIRS", "MISSING") == missing.text
    for path in ("", "/block", "/delete"):
        assert (await post(client, f"/tags/THEIRS{path}", name="x")).status_code == 404
    assert (await post(client, "/tags/add", tags="theirs", step="add")).status_code == 303, "the number is free here"
    rows = await site.portal.db.all(select(tag_table.c.organisation_id, tag_table.c.name, tag_table.c.blocked))
    assert sorted(tuple(row) for row in rows) == [(site.organisation_id, "", 0), (other, "Secret", 0)]


async def test_an_admin_changes_badges_of_their_own_users_alone(site: Site) -> None:
    ali = await browser(site, "ali@a.test")
    portal, here = site.portal, site.organisation_id
    lyon, nantes = await site.add_charger("Lyon 1"), await site.add_charger("Nantes 1", location_id=site.nantes_id)
    mine = await portal.add_person("mia@a.test", (here, "user"), charger_ids=(lyon,))
    both = await portal.add_person("bo@a.test", (here, "user"), charger_ids=(lyon, nantes))
    theirs = await portal.add_person("nils@a.test", (here, "user"), charger_ids=(nantes,))
    unseen = await portal.add_person("nora@a.test", (here, "user"))
    owners = {"MINE": mine, "BOTH": both, "ELSEWHERE": theirs, "BOSS": site.camille_id, "OWN": site.ali_id,
              "NOBODY": None, "FRESH": site.zoe_id, "UNSEEN": unseen}  # fmt: skip
    async with portal.db.transaction() as tx:
        await people.set_locations(tx, person_id=site.zoe_id, organisation_id=here, location_ids=[site.lyon_id])
        for tag, person_id in owners.items():
            await tags.put(tx, here, tag, person_id=person_id)
    before = await stored(site)
    answers = {tag: (await post(ali, f"/tags/{tag}/block")).status_code for tag in owners}
    assert answers == {"MINE": 303, "BOTH": 409, "ELSEWHERE": 404, "BOSS": 404, "OWN": 303, "NOBODY": 409, "FRESH": 303,
                       "UNSEEN": 404}  # fmt: skip
    changed = {tag for tag, row in (await stored(site)).items() if row != before[tag]}
    assert changed == {"mine", "own", "fresh"}
    listed = (await ali.get("/tags")).text
    assert [tag for tag in owners if f"/tags/{tag.casefold()}" in listed] == ["MINE", "BOTH", "OWN", "NOBODY", "FRESH"]
    for tag in ("both", "nobody"):
        assert (await post(ali, f"/tags/{tag}", email="mia@a.test")).status_code == 409
        assert (await post(ali, f"/tags/{tag}/delete")).status_code == 409
    for email in ("", "bo@a.test", "nils@a.test", "nora@a.test", "camille@a.test"):
        assert (await post(ali, "/tags/add", tags="N1", email=email, step="add")).status_code == 422, email
        assert (await post(ali, "/tags/mine", email=email)).status_code == 422, email
    assert "nils" not in (await ali.get("/tags/owners?email=n")).text
    assert "mia@a.test" in (await ali.get("/tags/owners?email=mia")).text
    assert (await post(ali, "/tags/add", tags="N1", email="mia@a.test", step="add")).status_code == 303


async def test_badges_of_a_user(site: Site) -> None:
    client, path = await browser(site), f"/users/{site.zoe_id}/tags"
    assert (await post(client, path, tags="A1,Blue\nA2")).headers["location"] == f"/users/{site.zoe_id}"
    assert [row[:2] for row in (await stored(site)).values()] == [("Blue", site.zoe_id), ("", site.zoe_id)]
    answer = await post(client, path, tags="A2\nA3")
    assert (answer.status_code, "has this badge already" in answer.text) == (422, True)
    assert len(await stored(site)) == 2
    assert "Blue" in (await client.get(f"/users/{site.zoe_id}")).text


async def test_ten_thousand_badges_and_users_stay_quick(site: Site) -> None:
    client, here = await browser(site), site.organisation_id
    rows = [(here, f"tag{number:05}", "", None, 0, None) for number in range(10_000)]
    async with site.portal.db.transaction() as tx:
        columns = ("organisation_id", "tag", "name", "person_id", "blocked", "expires_ms")
        await tx.insert_many(tag_table, columns, rows)
    page = await client.get("/tags?page=200")
    assert "TAG09999" in page.text
    assert 'rel="next"' not in page.text
    assert "TAG07777" in (await client.get("/tags?q=07777")).text
