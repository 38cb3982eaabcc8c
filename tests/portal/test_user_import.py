"""Inviting by a file: looked at first, each bad line named, all or nothing."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from html import unescape
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select

from borne.store import organisations
from borne.store.schema import access_groups, invitation_locations, invitations
from tests.support.portal import START_MS, Portal, csrf, log_in, post, running_portal

pytestmark = pytest.mark.anyio
CAMILLE = "camille@a.test"


@dataclass
class Place:
    portal: Portal
    browser: httpx.AsyncClient
    organisation_id: int
    places: dict[str, int]
    group: int

    async def look(self, raw: bytes) -> httpx.Response:
        """Choose a file."""
        form = {"_csrf_token": await csrf(self.browser)}
        return await self.browser.post("/users/import", data=form, files={"file": ("people.csv", raw, "text/csv")})

    async def confirm(self, page: httpx.Response) -> httpx.Response:
        """Press the button of the page that a file made."""
        found = re.search(r'<textarea name="csv"[^>]*>\n(.*?)</textarea>', page.text, re.S)
        assert found, page.text
        return await post(self.browser, "/users/import", csv=unescape(found[1]))

    async def invited(self) -> list[str]:
        return [row.email for row in await self.portal.db.all(select(invitations.c.email).order_by(invitations.c.id))]


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    async with running_portal(tmp_path) as portal, portal.client() as browser:
        own, _ = await portal.add_organisation()
        async with portal.db.transaction() as tx:
            places = {
                name: await organisations.create_location(tx, own, name=name, now_ms=START_MS)
                for name in ("Lyon", "Nantes", "Orléans", "Twin", "twin")
            }
            group = await tx.insert(access_groups, {"organisation_id": own, "name": "Équipe", "created_ms": 0})
        await portal.add_person(CAMILLE, (own, "super-admin"), language="en")
        await log_in(browser, CAMILLE)
        yield Place(portal, browser, own, places, group)


FILES = {
    "english": "email,name,role,locations,access group,tags\n"
    "MARIE@x.test,Marie Roux,Operator,Lyon|Orléans,équipe,04AB|04CD\nli@x.test,,,,,\n",
    "french": "Adresse e-mail;Nom;Rôle;Sites;Groupe d’accès;Badges\n\n"
    "marie@x.test;Marie Roux;Opérateur;lyon | orleans;EQUIPE;04ab | 04cd\nli@x.test;;Utilisateur;;;\n",
    "tabs": "Name\temail\trole\tlocations\tgroup\ttags\tother\n"
    "Marie Roux\tmarie@x.test\toperator\tOrléans|Lyon\tÉquipe\t04AB|04CD\tx\n\tli@x.test\n",
}


@pytest.mark.parametrize(
    ("file", "encoding"), [("english", "utf-8"), ("english", "utf-16"), ("french", "utf-8-sig"), ("tabs", "cp1252")]
)
async def test_a_file_of_any_spreadsheet(place: Place, file: str, encoding: str) -> None:
    page = await place.look(FILES[file].replace("\n", "\r\n").encode(encoding))
    assert page.status_code == 200, page.text
    assert "2 people can be invited" in page.text
    assert await place.invited() == [], "looking invites nobody"
    done = await place.confirm(page)
    assert (done.status_code, done.headers["location"]) == (303, "/users?state=invited")
    rows = await place.portal.db.all(select(invitations).order_by(invitations.c.id))
    assert [(row.email, row.name, row.role, row.tags) for row in rows] == [
        ("marie@x.test", "Marie Roux", "operator", '["04ab","04cd"]'),
        ("li@x.test", "", "user", "[]"),
    ]
    assert rows[0].access_group_id == place.group
    places = await place.portal.db.all(select(invitation_locations.c.location_id))
    assert {row.location_id for row in places} == {place.places["Lyon"], place.places["Orléans"]}
    assert len(place.portal.mail.sent) == 2


async def test_each_bad_line_is_named_and_nothing_is_half_done(place: Place) -> None:
    file = (
        "email;name;role;locations;access group;tags;until\n"
        "good@x.test;;;;;;\n"
        "nobody;;;;;;\n"
        "a@x.test;;owner;;;;\n"
        "b@x.test;;admin;;;;\n"
        "c@x.test;;admin;Atlantis;;;\n"
        "d@x.test;;admin;Twin;;;\n"
        "e@x.test;;;;Nobodies;;\n"
        "f@x.test;;;;;ä;\n"
        "\n"
        f"{CAMILLE};;;;;;\n"
        "g@x.test;;;;;;\n"
        "g@x.test;;;;;;\n"
        "h@x.test;;;;;;31/12/2001\n"
        "i@x.test;;;;;01|02;24/12/2026\n"
    )
    page = await place.look(file.encode())
    assert page.status_code == 422
    cells = re.findall(r'<td class="num">(\d+)</td><td class="wrap">(.*?)</td>', unescape(page.text))
    assert [int(line) for line, _ in cells] == [3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14]
    words = dict(cells)
    assert "“nobody” is no e-mail address." in words["3"]
    assert "Atlantis" in words["6"]
    assert "several locations" in words["7"]
    assert "already a member" in words["11"]
    assert 'name="csv"' not in page.text
    assert (await post(place.browser, "/users/import", csv=file)).status_code == 422
    assert await place.invited() == []
    assert place.portal.mail.sent == []


async def test_what_is_no_list_is_refused_in_words(place: Place) -> None:
    for raw, said in (
        (b"", "one megabyte at most"),
        (b"x" * 1_000_001, "one megabyte at most"),
        (b"\n\n", "The file is empty."),
        (b"email\n", "and nobody"),
        (b"name;role\nA;user\n", "must name the columns"),
        (b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "must name the columns"),
        (b"email\n" + b"".join(b"p%d@x.test\n" % n for n in range(2_001)), "A file holds 2,000 people at most."),
        (b"email,name\n" + b"a" * 200_000 + b",x\n", "must name the columns"),
    ):
        page = await place.look(raw)
        assert page.status_code == 422
        assert said in unescape(page.text)
    assert await place.invited() == []


async def test_what_changed_since_the_look_counts(place: Place) -> None:
    page = await place.look(b"email\nmarie@x.test\nli@x.test\n")
    await post(place.browser, "/users/invite", emails="li@x.test", role="user")
    again = await place.confirm(page)
    assert again.status_code == 422
    assert "li@x.test is already invited" in again.text
    assert await place.invited() == ["li@x.test"]


async def test_no_file_and_a_form_without_its_token(place: Place) -> None:
    assert (await post(place.browser, "/users/import")).status_code == 422
    bare = await place.browser.post("/users/import", files={"file": ("a.csv", b"email\na@x.test\n", "text/csv")})
    assert bare.status_code == 403


async def test_hostile_names_are_text(place: Place) -> None:
    page = await place.look(b"email;name\na@x.test;<img src=x onerror=alert(1)>\n")
    assert page.status_code == 200
    assert "<img" not in page.text
    page = await place.look(b"email;name\na@x.test;</textarea><script>alert(1)</script>\n")
    assert "<script>alert" not in page.text
