"""The Users page, and one person's: who sees whom, what may be changed, and what an organisation is never without."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select, text

from borne.store import organisations, people
from borne.store.schema import assignments, audit_log, invitations, membership_locations, memberships, tags
from tests.support.portal import START_MS, Portal, log_in, post, running_portal

pytestmark = pytest.mark.anyio
DAY_MS = 86_400_000
CAMILLE, SAM, ALI, UMA, ZOE = "camille@a.test", "sam@a.test", "ali@a.test", "uma@a.test", "zoe@a.test"


@dataclass
class Place:
    """An organisation with two super-admins, an admin of Lyon, a driver of each location."""

    portal: Portal
    browser: httpx.AsyncClient
    organisation_id: int
    lyon: int
    nantes: int
    ids: dict[str, int]

    async def role(self, email: str) -> tuple[str, int | None] | None:
        row = await people.member(self.portal.db, self.organisation_id, self.ids[email])
        return None if row is None else (row.role, row.expires_ms)

    async def change(self, email: str, browser: httpx.AsyncClient | None = None, **fields: object) -> httpx.Response:
        path = f"/users/{self.ids[email]}/role"
        return await post(browser or self.browser, path, **{"role": "user", **fields})

    async def actions(self) -> list[str]:
        return [row.action for row in await self.portal.db.all(select(audit_log.c.action).order_by(audit_log.c.seq))]

    async def super_admins(self) -> int:
        found = await self.portal.db.all(
            select(memberships.c.person_id).where(
                memberships.c.organisation_id == self.organisation_id,
                memberships.c.role == "super-admin",
                memberships.c.expires_ms.is_(None),
            )
        )
        return len(found)


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    async with running_portal(tmp_path) as portal, portal.client() as browser:
        own, lyon = await portal.add_organisation()
        async with portal.db.transaction() as tx:
            nantes = await organisations.create_location(tx, own, name="Nantes", now_ms=START_MS)
        ids = {
            CAMILLE: await portal.add_person(CAMILLE, (own, "super-admin")),
            SAM: await portal.add_person(SAM, (own, "super-admin")),
            ALI: await portal.add_person(ALI, (own, "admin"), location_ids=(lyon,)),
            UMA: await portal.add_person(UMA, (own, "user"), location_ids=(lyon,)),
            ZOE: await portal.add_person(ZOE, (own, "user"), location_ids=(nantes,)),
        }
        await log_in(browser, CAMILLE)
        yield Place(portal, browser, own, lyon, nantes, ids)


# ---- the list ----------------------------------------------------------------------------------------------------------


async def test_the_list_is_found_by_words_role_location_and_state(place: Place) -> None:
    async def shown(query: str) -> set[str]:
        answer = await place.browser.get(f"/users?{query}", headers={"HX-Request": "true"})
        assert answer.status_code == 200
        assert answer.headers["hx-push-url"].startswith("/users")
        return {email for email in place.ids if email in answer.text}

    assert await shown("") == set(place.ids)
    assert await shown("q=ZOÉ") == {ZOE}
    assert await shown("role=super-admin&sort=-name") == {CAMILLE, SAM}
    assert await shown(f"location={place.lyon}") == {ALI, UMA}
    assert await shown("state=temporary") == set()
    assert "Nobody matches" in (await place.browser.get("/users?q=nothing%25_")).text
    for nonsense in (
        "page=99999999999999",
        "role=owner&state=x",
        "sort=__class__",
        "location=" + "9" * 40,
        "q=" + "x" * 5_000,
    ):
        assert (await place.browser.get(f"/users?{nonsense}")).status_code == 200


async def test_pages_of_fifty(place: Place) -> None:
    for n in range(50):
        await place.portal.add_person(f"p{n}@a.test", (place.organisation_id, "user"))
    first, second = (await place.browser.get("/users")).text, (await place.browser.get("/users?page=2")).text
    assert first.count('class="name"') == 50
    assert second.count('class="name"') == 5
    assert "51 to 55 of 55" in second
    assert "51 to 55 of 55" in (await place.browser.get("/users?page=7")).text


async def test_an_admin_sees_people_of_the_own_locations_and_changes_nobody(place: Place) -> None:
    async with place.portal.client() as ali:
        await log_in(ali, ALI)
        listed = (await ali.get("/users")).text
        assert [email for email in (CAMILLE, ALI, UMA, ZOE) if email in listed] == [ALI, UMA]
        assert "/users/invite" not in listed
        assert "Nantes" not in listed
        for email, status in ((UMA, 200), (ALI, 200), (ZOE, 404), (CAMILLE, 404)):
            assert (await ali.get(f"/users/{place.ids[email]}")).status_code == status, email
        assert "/role" not in (await ali.get(f"/users/{place.ids[UMA]}")).text
        for email in (UMA, ALI, CAMILLE):
            assert (await place.change(email, ali, role="super-admin")).status_code == 404
            for what in ("end", "remove"):
                assert (await post(ali, f"/users/{place.ids[email]}/{what}")).status_code == 404
    assert await place.role(UMA) == ("user", None)
    assert await place.role(ALI) == ("admin", None)


async def test_the_list_says_when_somebody_was_here(place: Place) -> None:
    row = await people.member(place.portal.db, place.organisation_id, place.ids[CAMILLE])
    assert row is None or row.seen_ms is None
    await place.browser.get("/users")
    row = await people.member(place.portal.db, place.organisation_id, place.ids[CAMILLE])
    assert row is not None
    assert row.seen_ms == START_MS
    page = (await place.browser.get(f"/users/{place.ids[CAMILLE]}")).text
    assert "Where they are logged in" in page


# ---- roles, locations, the end of access ---------------------------------------------------------------------------------


async def test_role_locations_and_end_are_changed_and_recorded(place: Place) -> None:
    both = [str(place.lyon), str(place.nantes), str(place.nantes)]
    assert (await place.change(UMA, role="operator", location=both, until="2026-06-10")).status_code == 303
    assert await place.role(UMA) == ("operator", 1_781_136_000_000)
    page = (await place.browser.get(f"/users/{place.ids[UMA]}")).text
    assert 'value="2026-06-10"' in page
    rows = await place.portal.db.all(
        select(membership_locations.c.location_id).where(membership_locations.c.person_id == place.ids[UMA])
    )
    assert {row.location_id for row in rows} == {place.lyon, place.nantes}
    (row,) = await place.portal.db.all(select(audit_log).where(audit_log.c.action == "person.changed"))
    assert (row.actor_id, row.person_id) == (place.ids[CAMILLE], place.ids[UMA])
    assert '"before":{"role":"user"' in row.details
    assert (await place.change(UMA, role="operator", location=both, until="2026-06-10")).status_code == 303
    assert (await place.actions()).count("person.changed") == 1, "what changes nothing is no change"


async def test_what_is_wrong_is_said_at_the_field(place: Place) -> None:
    for fields, said in (
        ({"role": "owner"}, "Choose a role."),
        ({"role": "admin"}, "Choose one location at least"),
        ({"role": "admin", "location": "999999"}, "is not there any more"),
        ({"until": "2020-02-30"}, "Choose a day from today on"),
    ):
        answer = await place.change(UMA, **fields)
        assert answer.status_code == 422
        assert said in answer.text
    assert await place.role(UMA) == ("user", None)


async def test_nobody_changes_their_own_role(place: Place) -> None:
    page = (await place.browser.get(f"/users/{place.ids[CAMILLE]}")).text
    assert "Nobody changes their own role" in page
    assert "/role" not in page
    for fields in ({"role": "user"}, {"role": "super-admin"}, {"role": "super-admin", "until": "2026-06-10"}):
        answer = await place.change(CAMILLE, **fields)
        assert answer.status_code == 409
    assert (await post(place.browser, f"/users/{place.ids[CAMILLE]}/end")).status_code == 409
    assert await place.role(CAMILLE) == ("super-admin", None)


async def test_temporary_access_ends_within_a_second_and_is_prolonged(place: Place) -> None:
    assert (await place.change(UMA, location=str(place.lyon), until="2026-06-10")).status_code == 303
    async with place.portal.client() as uma:
        await log_in(uma, UMA)
        assert (await uma.get("/roles")).status_code == 200
        assert "Temporary" in (await place.browser.get("/users?state=temporary")).text
        place.portal.clock.at_ms = 1_781_136_000_000 - 1
        await log_in(uma, UMA)
        await log_in(place.browser, CAMILLE)
        place.portal.app.state.access._cache.clear()
        assert (await uma.get("/roles")).status_code == 200
        place.portal.clock.at_ms += 1
        place.portal.app.state.access._cache.clear()  # what a second does
        assert (await uma.get("/roles")).status_code == 404
        assert (await uma.get("/account")).status_code == 200
        assert UMA in (await place.browser.get("/users?state=over")).text
        assert "The access ended" in (await place.browser.get(f"/users/{place.ids[UMA]}")).text
        assert (await place.change(UMA, until="2026-07-01")).status_code == 303
        assert (await uma.get("/roles")).status_code == 200


async def test_access_is_ended_now(place: Place) -> None:
    async with place.portal.client() as uma:
        await log_in(uma, UMA)
        assert (await uma.get("/roles")).status_code == 200
        assert (await post(place.browser, f"/users/{place.ids[UMA]}/end")).status_code == 303
        assert (await uma.get("/roles")).status_code == 404, "at once on the node where it ended"
    assert await place.role(UMA) == ("user", START_MS)
    assert "person.access_ended" in await place.actions()


# ---- leaving -----------------------------------------------------------------------------------------------------------


async def test_who_is_removed_loses_this_organisation_at_once_and_no_other(place: Place) -> None:
    other_id, _ = await place.portal.add_organisation("Other")
    async with place.portal.db.transaction() as tx:
        await people.add_membership(tx, person_id=place.ids[UMA], organisation_id=other_id, role="user")
        await tx.insert_many(
            tags, ("organisation_id", "tag", "person_id"), [(place.organisation_id, "04ab", place.ids[UMA])]
        )
    async with place.portal.client() as uma:
        await log_in(uma, UMA)
        assert "Atelier" in (await uma.get("/roles")).text
        assert "loses everything here" in (await place.browser.get(f"/users/{place.ids[UMA]}/remove")).text
        assert (await post(place.browser, f"/users/{place.ids[UMA]}/remove")).status_code == 303
        left = await uma.get("/roles")
        assert left.status_code == 200
        assert "Atelier" not in left.text
    assert await place.role(UMA) is None
    remaining = await place.portal.db.all(select(memberships).where(memberships.c.person_id == place.ids[UMA]))
    assert [row.organisation_id for row in remaining] == [other_id]
    places = select(membership_locations).where(membership_locations.c.person_id == place.ids[UMA])
    assert await place.portal.db.all(places) == []
    assert (await place.browser.get(f"/users/{place.ids[UMA]}")).status_code == 404
    assert (await post(place.browser, f"/users/{place.ids[UMA]}/remove")).status_code == 404
    assert await people.by_id(place.portal.db, place.ids[UMA]) is not None
    assert await place.portal.db.value(select(tags.c.tag)) == "04ab", "the history still knows whose it was"


async def test_who_belongs_nowhere_is_told_so(tmp_path: Path) -> None:
    async with running_portal(tmp_path) as portal, portal.client() as browser:
        organisation_id, _ = await portal.add_organisation()
        await portal.add_person("camille@a.test", (organisation_id, "super-admin"))
        await portal.add_person("noor@c.test")
        await log_in(browser, "noor@c.test")
        assert "You belong to no organisation" in (await browser.get("/", follow_redirects=True)).text
    async with running_portal(tmp_path) as portal, portal.client() as browser:
        organisation_id, _ = await portal.add_organisation()
        await portal.add_person("camille@a.test", (organisation_id, "super-admin"))
        await log_in(browser, "camille@a.test")
        assert "You belong to no organisation" not in (await browser.get("/account")).text


async def test_members_of_other_organisations_are_not_there(place: Place) -> None:
    other_id, _ = await place.portal.add_organisation("Other")
    eve = await place.portal.add_person("eve@b.test", (other_id, "super-admin"))
    assert (await place.browser.get(f"/users/{eve}")).status_code == 404
    for what, fields in (("role", {"role": "user"}), ("end", {}), ("remove", {})):
        assert (await post(place.browser, f"/users/{eve}/{what}", **fields)).status_code == 404
    assert (await place.browser.get(f"/users/{10**30}")).status_code == 404


async def test_the_last_super_admin_stays(place: Place) -> None:
    assert (await place.change(SAM, role="admin", location=str(place.lyon))).status_code == 303
    page = (await place.browser.get(f"/users/{place.ids[CAMILLE]}")).text
    assert "the only super-admin" in page
    assert (await post(place.browser, f"/users/{place.ids[CAMILLE]}/remove")).status_code == 409
    assert (await place.browser.get(f"/users/{place.ids[CAMILLE]}/remove")).status_code == 409
    assert await place.role(CAMILLE) == ("super-admin", None)
    assert (await place.change(SAM, role="super-admin")).status_code == 303
    gone = await post(place.browser, f"/users/{place.ids[CAMILLE]}/remove")
    assert (gone.status_code, gone.headers["location"]) == (303, "/"), "who is not the last may leave"


@pytest.mark.parametrize(
    "ways", [("role", "role"), ("remove", "remove"), ("end", "role"), ("end", "remove"), ("leave", "leave")]
)
async def test_two_super_admins_at_once_never_leave_none(place: Place, ways: tuple[str, str]) -> None:
    """Each takes the other away (or leaves) at the same moment: one of the two requests is refused."""
    async with place.portal.client() as sam:
        await log_in(sam, SAM)
        await asyncio.gather(sam.get("/users"), place.browser.get("/users"))
        paths = [
            f"/users/{place.ids[mine if way == 'leave' else other]}/{'remove' if way == 'leave' else way}"
            for way, mine, other in ((ways[0], CAMILLE, SAM), (ways[1], SAM, CAMILLE))
        ]
        browsers = (place.browser, sam)
        answers = await asyncio.gather(
            *(post(browser, path, role="user") for browser, path in zip(browsers, paths, strict=True))
        )
    assert sorted(answer.status_code for answer in answers) in ([303, 404], [303, 409])
    assert await place.super_admins() == 1


async def test_who_was_removed_a_moment_ago_removes_nobody(place: Place) -> None:
    """What a browser may is a second old at most; it is looked at again where it is written."""
    async with place.portal.client() as sam:
        await log_in(sam, SAM)
        await sam.get("/users")
        async with place.portal.db.transaction() as tx:
            await tx.run(text(f"UPDATE memberships SET role = 'operator' WHERE person_id = {place.ids[SAM]}"))
        answer = await post(sam, f"/users/{place.ids[UMA]}/remove")
        assert answer.status_code in {404, 409}
    assert await place.role(UMA) == ("user", None)


async def test_fields_that_the_form_has_not_change_nothing(place: Place) -> None:
    extra = {
        "person_id": str(place.ids[CAMILLE]),
        "organisation_id": "2",
        "email": "x@y.z",
        "operates_installation": "1",
    }
    before = [tuple(row) for row in await place.portal.db.all(text("SELECT * FROM people"))]
    assert (await post(place.browser, f"/users/{place.ids[UMA]}/role", role="user", **extra)).status_code == 303
    assert [tuple(row) for row in await place.portal.db.all(text("SELECT * FROM people"))] == before
    assert await place.portal.db.all(select(invitations)) == await place.portal.db.all(select(assignments)) == []
