"""Inviting, and the link: accepted once, by whoever has the address."""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from html import unescape
from pathlib import Path

import httpx
import pytest
from sqlalchemy import func, select, text

from borne.engine.invitations import JOB_KIND, SENT_AT_ONCE
from borne.portal.invitations import invitations_of
from borne.store import organisations, people, tags
from borne.store.schema import (
    access_group_people,
    access_groups,
    audit_log,
    invitations,
    jobs,
    logins,
    membership_locations,
    memberships,
)
from borne.store.schema import people as people_table
from tests.support.portal import PASSWORD, START_MS, Portal, log_in, post, running_portal

pytestmark = pytest.mark.anyio
DAY_MS = 86_400_000
CAMILLE, MONA = "camille@a.test", "mona@new.test"
NEW = {"name": "Mona Roux", "password": "a password of mine"}


@dataclass
class Place:
    """An organisation whose super-admin is logged in."""

    portal: Portal
    browser: httpx.AsyncClient
    organisation_id: int
    lyon: int
    nantes: int

    async def invite(self, emails: str = MONA, **fields: object) -> httpx.Response:
        return await post(self.browser, "/users/invite", **{"emails": emails, "role": "user", **fields})

    @property
    def link(self) -> str:
        """Where the last mail leads."""
        found = re.search(r"http://portal\.test(/invitations/[\w-]+)\n", self.portal.mail.sent[-1]["body"])
        assert found
        return found[1]

    async def count(self, table: object) -> int:
        return int(await self.portal.db.value(select(func.count()).select_from(table)))  # type: ignore[arg-type]

    async def member(self, email: str) -> object:
        person = await people.by_email(self.portal.db, email)
        assert person is not None
        return await people.member(self.portal.db, self.organisation_id, person.id)

    async def invitation_id(self, email: str = MONA) -> int:
        return int(await self.portal.db.value(select(func.max(invitations.c.id)).where(invitations.c.email == email)))


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    async with running_portal(tmp_path) as portal, portal.client() as browser:
        organisation_id, lyon = await portal.add_organisation()
        async with portal.db.transaction() as tx:
            nantes = await organisations.create_location(tx, organisation_id, name="Nantes", now_ms=START_MS)
        await portal.add_person(CAMILLE, (organisation_id, "super-admin"), language="en")
        await log_in(browser, CAMILLE)
        yield Place(portal, browser, organisation_id, lyon, nantes)


# ---- inviting ----------------------------------------------------------------------------------------------------------


async def test_several_at_once_each_with_a_mail_of_their_own(place: Place) -> None:
    emails = f"{MONA} 04A1B2 04:C3\nBea Blanc <BEA@new.test>, 99FF\n\n  li@new.test\n"
    answer = await place.invite(emails, role="operator", location=[str(place.lyon), str(place.nantes)], language="fr")
    assert (answer.status_code, answer.headers["location"]) == (303, "/users?state=invited")
    mails = place.portal.mail.sent
    assert [mail["recipient"] for mail in mails] == [MONA, "bea@new.test", "li@new.test"]
    assert len({re.findall(r"/invitations/\S+", mail["body"])[0] for mail in mails}) == 3
    assert all(mail["subject"] == "Atelier vous invite sur Borne" and "Opérateur" in mail["body"] for mail in mails)
    rows = await place.portal.db.all(select(invitations.c.name, invitations.c.tags, invitations.c.token_hash))
    assert [(row.name, row.tags) for row in rows] == [("", '["04a1b2","04:c3"]'), ("Bea Blanc", '["99ff"]'), ("", "[]")]
    everything = str(await place.portal.db.all(select(invitations))) + str(await place.portal.db.all(select(audit_log)))
    assert place.link.rpartition("/")[2] not in everything, "the database knows hashes of tokens alone"
    listed = (await place.browser.get("/users?state=invited")).text
    assert all(email in listed for email in (MONA, "bea@new.test", "li@new.test"))


WRONG: list[tuple[str, dict[str, str], str]] = [
    ("", {}, "one e-mail address at least"),
    ("mona", {}, "“mona” does not begin with an e-mail address."),
    ("<mona@new.test", {}, "does not begin with an e-mail address"),
    (CAMILLE, {}, f"{CAMILLE} is already a member."),
    (f"{MONA}\n{MONA.upper()}", {}, f"{MONA} is here twice."),
    (f"{MONA} ä", {}, "is no RFID number"),
    (f"{MONA} {'a' * 37}", {}, "is no RFID number"),
    (f"{MONA} 01\nbea@new.test 01", {}, "is here twice"),
    ("\n".join(f"p{n}@new.test" for n in range(101)), {}, "a file may hold more"),
    (MONA, {"role": "owner"}, "Choose a role."),
    (MONA, {"role": ""}, "Choose a role."),
    (MONA, {"role": "operator"}, "Choose one location at least"),
    (MONA, {"location": "999999"}, "is not there any more"),
    (MONA, {"group": "999999"}, "access group is not there any more"),
    (MONA, {"until": "2001-01-01"}, "Choose a day from today on"),
    (MONA, {"until": "9999-12-31"}, "Choose a day from today on"),
    (MONA, {"until": "tomorrow"}, "Choose a day from today on"),
]


async def test_what_is_wrong_is_said_and_nobody_is_invited(place: Place) -> None:
    for emails, fields, said in WRONG:
        answer = await place.invite(emails, **fields)
        assert answer.status_code == 422, emails
        assert said in unescape(answer.text)
        assert emails.split("\n")[0] in unescape(answer.text), "what was typed is kept"
    assert await place.count(invitations) == await place.count(jobs) == len(place.portal.mail.sent) == 0


async def test_one_bad_line_invites_nobody(place: Place) -> None:
    answer = await place.invite(f"{MONA}\n{CAMILLE}\nbea@new.test")
    assert answer.status_code == 422
    assert await place.count(invitations) == 0


async def test_hostile_input_is_text(place: Place) -> None:
    for emails in (
        "\0" * 50,
        "a" * 1_000_000,
        "<img src=x onerror=alert(1)>@x.test",
    ):
        answer = await place.invite(emails, location=["10" * 40, "-1", "1e3"], group="9" * 30)  # type: ignore[arg-type]
        assert answer.status_code == 422
        assert "<img" not in answer.text
    assert await place.count(invitations) == 0


async def test_who_is_invited_already_is_told_so_and_an_expired_one_is_replaced(place: Place) -> None:
    assert (await place.invite()).status_code == 303
    old = place.link
    again = await place.invite()
    assert again.status_code == 422
    assert f"{MONA} is already invited" in again.text
    place.portal.clock.at_ms += 8 * DAY_MS
    assert "is too old" in (await place.browser.get(old)).text
    await log_in(place.browser, CAMILLE)
    assert (await place.invite()).status_code == 303
    assert place.link != old
    assert "was taken back" in (await place.browser.get(old)).text


async def test_a_tag_of_somebody_else_is_not_given(place: Place) -> None:
    person_id = await place.portal.add_person("uma@a.test", (place.organisation_id, "user"))
    async with place.portal.db.transaction() as tx:
        await tags.put(tx, place.organisation_id, "04AA", person_id=person_id)
    answer = await place.invite(f"{MONA} 04aa")
    assert answer.status_code == 422
    assert "somebody else’s" in answer.text


async def test_the_plan_has_room_for_so_many(tmp_path: Path) -> None:
    async with running_portal(tmp_path) as portal, portal.client() as browser:
        organisation_id, _ = await portal.add_organisation(plan="basic")
        await portal.add_person(CAMILLE, (organisation_id, "super-admin"))
        await log_in(browser, CAMILLE)
        emails = "\n".join(f"p{n}@new.test" for n in range(10))
        answer = await post(browser, "/users/invite", emails=emails, role="user")
        assert answer.status_code == 422
        assert "room for 10 people" in answer.text
        assert (
            await post(browser, "/users/invite", emails=emails[: emails.rindex("\n")], role="user")
        ).status_code == 303


async def test_a_long_list_is_mailed_by_a_job(place: Place) -> None:
    total = 2 * SENT_AT_ONCE + 3
    assert (await place.invite("\n".join(f"p{n}@new.test" for n in range(total)))).status_code == 303
    assert len(place.portal.mail.sent) == SENT_AT_ONCE
    (job,) = await place.portal.db.all(select(jobs))
    assert job.kind == JOB_KIND
    for _ in range(2):  # a job may run twice
        await invitations_of(place.portal.services).deliver(job.payload)
    assert len({mail["recipient"] for mail in place.portal.mail.sent}) == len(place.portal.mail.sent) == total
    recorded = await place.portal.db.all(select(audit_log.c.actor_id).where(audit_log.c.action == "person.invited"))
    assert len(recorded) == total
    assert {row.actor_id for row in recorded} == {(await people.by_email(place.portal.db, CAMILLE)).id}  # type: ignore[union-attr]


async def test_a_link_starts_with_the_portal_whatever_host_was_asked(place: Place) -> None:
    token = {"_csrf_token": place.browser.cookies["borne_csrf"]}
    forged = {
        "host": "evil.test",
        "x-forwarded-host": "evil.test",
        "x-forwarded-proto": "https",
        "forwarded": "host=evil.test",
    }
    answer = await place.browser.post(
        "/users/invite", data={"emails": MONA, "role": "user", **token}, headers=forged, follow_redirects=False
    )
    assert answer.status_code == 303
    assert "evil" not in str(place.portal.mail.sent)
    assert place.link


# ---- again, and back ---------------------------------------------------------------------------------------------------


async def test_a_new_link_ends_the_old_one_and_not_too_often(place: Place) -> None:
    await place.invite()
    old, path = place.link, f"/users/invitations/{await place.invitation_id()}/resend"
    hasty = await post(place.browser, path)
    assert (hasty.status_code, len(place.portal.mail.sent)) == (429, 1)
    assert int(hasty.headers["retry-after"]) == 120
    place.portal.clock.at_ms += 8 * DAY_MS
    await log_in(place.browser, CAMILLE)
    assert (await post(place.browser, path)).status_code == 303
    assert len(place.portal.mail.sent) == 2
    async with place.portal.client() as other:
        assert (await other.get(old)).status_code == 404
        assert "not known" in (await other.get(old)).text
        assert (await other.get(place.link)).status_code == 200


async def test_a_revoked_link_does_nothing(place: Place) -> None:
    await place.invite()
    path = f"/users/invitations/{await place.invitation_id()}"
    assert (await post(place.browser, f"{path}/revoke")).status_code == 303
    async with place.portal.client() as other:
        for answer in (await other.get(place.link), await post(other, place.link, **NEW)):
            assert answer.status_code == 404
            assert "was taken back" in answer.text
    await place.browser.get("/users")  # it brings the toast
    assert MONA not in (await place.browser.get("/users")).text
    for what in ("revoke", "resend"):
        assert (await post(place.browser, f"{path}/{what}")).status_code == 404
    assert await people.by_email(place.portal.db, MONA) is None


async def test_invitations_of_others_are_not_there(place: Place) -> None:
    await place.invite()
    other_id, _ = await place.portal.add_organisation("Other")
    await place.portal.add_person("eve@b.test", (other_id, "super-admin"))
    async with place.portal.client() as eve:
        await log_in(eve, "eve@b.test")
        for what in ("revoke", "resend"):
            path = f"/users/invitations/{await place.invitation_id()}/{what}"
            assert (await post(eve, path)).status_code == 404
        assert MONA not in (await eve.get("/users")).text


# ---- the link ----------------------------------------------------------------------------------------------------------


async def test_an_address_without_an_account_makes_one(place: Place) -> None:
    own = place.organisation_id
    async with place.portal.db.transaction() as tx:
        group = await tx.insert(access_groups, {"organisation_id": own, "name": "Fleet", "created_ms": 0})
        await tags.put(tx, own, "99ff")
    answer = await place.invite(
        f"{MONA} 04AB 99FF", role="operator", location=str(place.nantes), group=str(group), until="2026-06-10"
    )
    assert answer.status_code == 303
    async with place.portal.client() as browser:
        page = (await browser.get(place.link)).text
        assert "Join Atelier" in page
        assert "Nantes" in page
        for fields, said in (({"password": "short"}, "at least 10 characters"), ({"name": ""}, "Please fill this in.")):
            refused = await post(browser, place.link, **{**NEW, **fields})
            assert refused.status_code == 422
            assert said in refused.text
        assert (await post(browser, place.link, **NEW, role="super-admin", email="x@y.z")).status_code == 303
        assert (await browser.get("/account")).status_code == 200, "who made an account is logged in"
    row = await place.member(MONA)
    assert (row.name, row.role, row.email) == ("Mona Roux", "operator", MONA)  # type: ignore[attr-defined]
    assert row.expires_ms == 1_781_136_000_000  # type: ignore[attr-defined]  # 2026-06-11 00:00 UTC
    person_id = row.id  # type: ignore[attr-defined]
    places = await place.portal.db.all(
        select(membership_locations.c.location_id).where(membership_locations.c.person_id == person_id)
    )
    assert [one.location_id for one in places] == [place.nantes]
    assert await place.portal.db.value(select(access_group_people.c.person_id)) == person_id
    for tag in ("04ab", "99ff"):
        assert (await tags.find(place.portal.db, own, tag)).person_id == person_id  # type: ignore[union-attr]
    async with place.portal.client() as browser:
        assert (await log_in(browser, MONA, NEW["password"])).status_code == 303


async def test_an_existing_account_logs_in_and_accepts(place: Place) -> None:
    other_id, _ = await place.portal.add_organisation("Other")
    await place.portal.add_person(MONA, (other_id, "user"))
    await place.invite(role="admin", location=str(place.lyon))
    async with place.portal.client() as browser:
        page = (await browser.get(place.link)).text
        assert f'href="/login?next={place.link}"' in page
        assert 'name="password"' not in page
        stolen = await post(browser, place.link, **NEW)
        assert stolen.status_code == 409, "no account is made or taken over"
        assert (await post(browser, "/login", email=MONA, password=PASSWORD, next=place.link)).headers[
            "location"
        ] == place.link
        assert (await post(browser, place.link)).status_code == 303
        chosen = await place.portal.db.value(select(func.max(logins.c.organisation_id)))
        assert chosen == place.organisation_id, "they see the organisation that they joined"
        assert "accepted already" in (await browser.get(place.link)).text
    assert (await place.member(MONA)).role == "admin"  # type: ignore[attr-defined]


async def test_somebody_else_is_told_to_switch(place: Place) -> None:
    await place.invite()
    page = (await place.browser.get(place.link)).text
    assert f"You are logged in as {CAMILLE}" in page
    assert (await post(place.browser, place.link)).status_code == 409
    assert await people.by_email(place.portal.db, MONA) is None
    gone = await post(place.browser, f"{place.link}/switch")
    assert (gone.status_code, gone.headers["location"]) == (303, place.link)
    assert 'name="password"' in (await place.browser.get(place.link)).text
    assert (await post(place.browser, place.link, **NEW)).status_code == 303


async def test_two_browsers_at_once_make_one_member(place: Place) -> None:
    await place.invite(f"{MONA} 04AB")
    async with place.portal.client() as one, place.portal.client() as two:
        await one.get(place.link)
        await two.get(place.link)
        answers = await asyncio.gather(*(post(browser, place.link, **NEW) for browser in (one, two, one, two)))
    assert sorted(answer.status_code for answer in answers)[0] == 303
    assert [answer.status_code for answer in answers].count(303) == 1
    assert await place.count(people_table) == 2
    assert await place.count(memberships) == 2
    joined = select(func.count()).select_from(audit_log).where(audit_log.c.action == "person.joined")
    assert await place.portal.db.value(joined) == 1


async def test_an_account_made_meanwhile_is_not_taken_over(place: Place) -> None:
    """Between the page and the button somebody made an account with this address."""
    await place.invite()
    service = invitations_of(place.portal.services)
    from borne.engine.invitations import AccountExistsError, NewAccount

    await place.portal.add_person(MONA)
    with pytest.raises(AccountExistsError):
        await service.accept(place.link.rpartition("/")[2], NewAccount("Mallory", "hash", None), "")
    assert (await people.by_email(place.portal.db, MONA)).name == "Mona"  # type: ignore[union-attr]
    async with place.portal.client() as browser:
        assert (await browser.get(place.link)).status_code == 200, "the link still works"


async def test_links_that_never_were(place: Place) -> None:
    async with place.portal.client() as browser:
        for token in ("x", "a" * 5_000, "%00", "..%2F..", "é"):
            assert (await browser.get(f"/invitations/{token}")).status_code == 404
            assert (await post(browser, f"/invitations/{token}", **NEW)).status_code == 404


async def test_a_location_and_a_group_that_are_gone_are_left_out(place: Place) -> None:
    await place.invite(role="operator", location=[str(place.lyon), str(place.nantes)])
    async with place.portal.db.transaction() as tx:
        await tx.run(text(f"DELETE FROM locations WHERE id = {place.nantes}"))
    async with place.portal.client() as browser:
        assert (await post(browser, place.link, **NEW)).status_code == 303
    places = await place.portal.db.all(select(membership_locations.c.location_id))
    assert [row.location_id for row in places] == [place.lyon]


async def test_who_was_demoted_a_moment_ago_invites_nobody(place: Place) -> None:
    """The rights of a browser are a second old at most; what they do is looked at again where it is written."""
    await place.browser.get("/users")
    async with place.portal.db.transaction() as tx:
        await tx.run(text("UPDATE memberships SET role = 'admin'"))
    answer = await place.invite()
    assert answer.status_code in {404, 422}
    assert await place.count(invitations) == 0
