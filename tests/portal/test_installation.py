"""The installation's operator: what organisations tell, looking into one with its consent, helping its super-admins."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select

from borne.store import chargers, second_factor
from borne.store.chargers import NewCharger
from borne.store.schema import audit_log, logins
from borne.store.schema import chargers as charger_rows
from tests.support.portal import Portal, csrf, log_in, post, running_portal

pytestmark = pytest.mark.anyio
HOUR_MS = 3_600_000
INES, CAMILLE, ALI = "ines@host.test", "camille@a.test", "ali@a.test"


@dataclass
class Two:
    """An organisation with a charger, its super-admin's browser, and the operator's."""

    portal: Portal
    organisation_id: int
    camille_id: int
    ines: httpx.AsyncClient
    camille: httpx.AsyncClient

    @property
    def address(self) -> str:
        return f"/installation/organisations/{self.organisation_id}"

    def forget(self) -> None:
        """A second goes by: what was known of visitors is looked up again."""
        self.portal.app.state.access._cache.clear()

    async def allowed(self, hours: int = 4) -> None:
        assert (await post(self.ines, f"{self.address}/ask", why="Bay 3", hours=str(hours))).status_code == 303
        assert (await post(self.camille, "/organisation/consents/1/allow")).status_code == 303
        await post(self.ines, "/organisation", organisation_id=str(self.organisation_id))

    async def actions(self) -> list[str]:
        rows = await self.portal.db.all(
            select(audit_log.c.action)
            .where(audit_log.c.organisation_id == self.organisation_id)
            .order_by(audit_log.c.seq)
        )
        return [row.action for row in rows if not row.action.startswith("login")]


@pytest.fixture
async def two(tmp_path: Path) -> AsyncIterator[Two]:
    async with running_portal(tmp_path) as portal, portal.client() as ines, portal.client() as camille:
        organisation_id, location_id = await portal.add_organisation("Atelier")
        await portal.add_organisation("Zebra_100%")
        camille_id = await portal.add_person(CAMILLE, (organisation_id, "super-admin"), language="fr")
        await portal.add_person(ALI, (organisation_id, "admin"), location_ids=(location_id,))
        await portal.add_person(INES, operates=True)
        new = NewCharger(
            organisation_id=organisation_id,
            location_id=location_id,
            name="Secret bay",
            identity="K7QM-3XWA",
            serial="700100",
        )
        async with portal.db.transaction() as tx:
            await chargers.create(tx, new, 1)
        await log_in(ines, INES)
        await log_in(camille, CAMILLE)
        yield Two(portal, organisation_id, camille_id, ines, camille)


async def test_organisations_are_counted_and_found_by_name_or_serial(two: Two) -> None:
    everything = (await two.ines.get("/installation/organisations")).text
    assert "Atelier" in everything
    assert "Zebra_100%" in everything
    for words in ("7001", "k7qm", "ATEL"):
        found = (await two.ines.get("/installation/organisations", params={"q": words})).text
        assert two.address in found, words
        assert "Zebra" not in found
    assert two.address not in (await two.ines.get("/installation/organisations?q=00100")).text, "from its beginning"
    assert "Atelier" not in (await two.ines.get("/installation/organisations", params={"q": "%"})).text, "no pattern"
    assert "Secret bay" not in everything + (await two.ines.get(two.address)).text, "names of chargers stay inside"


async def test_nothing_inside_is_seen_before_the_organisation_allows_it(two: Two) -> None:
    await post(two.ines, f"{two.address}/ask", why="Bay 3", hours="4")
    assert (await post(two.ines, "/organisation", organisation_id=str(two.organisation_id))).status_code == 404
    assert (await two.ines.get("/chargers")).status_code == 404
    (mail,) = two.portal.mail.sent
    assert mail["recipient"] == CAMILLE
    assert "Bay 3" in mail["body"]
    assert "Bonjour" in mail["body"], "in her language"
    two.forget()
    assert "Ines" in (await two.camille.get("/account")).text, "the banner tells who asks"


async def test_a_guest_sees_changes_nothing_and_is_written_down(two: Two) -> None:
    await two.allowed()
    page = await two.ines.get("/chargers")
    assert "Secret bay" in page.text
    assert "You look into Atelier" in page.text
    (row,) = await two.portal.db.all(select(charger_rows.c.id))
    token = {"x-csrftoken": await csrf(two.ines)}
    for path in (
        f"/chargers/{row.id}/disable",
        f"/chargers/{row.id}/edit",
        f"/chargers/{row.id}/restart",
        "/chargers/add",
    ):
        answer = await two.ines.post(path, data={"name": "Mine", "when": "now"}, headers=token, follow_redirects=False)
        assert answer.status_code == 404, path
    assert await two.actions() == ["consent.asked", "consent.allowed", "consent.looked"]


async def test_it_ends_by_time_by_the_organisation_and_by_the_guest(two: Two) -> None:
    await two.allowed(hours=1)
    assert (await two.ines.get("/chargers")).status_code == 200
    two.portal.clock.at_ms += HOUR_MS
    two.forget()
    assert (await two.ines.get("/chargers")).status_code == 404
    for path, who in (("/organisation/consents/{}/end", two.camille), (f"{two.address}/leave", two.ines)):
        await post(two.ines, f"{two.address}/ask", why="Again", hours="4")
        consent_id = 2 if who is two.camille else 3
        await post(two.camille, f"/organisation/consents/{consent_id}/allow")
        await post(two.ines, "/organisation", organisation_id=str(two.organisation_id))
        assert (await two.ines.get("/chargers")).status_code == 200
        assert (await post(who, path.format(consent_id))).status_code == 303
        assert (await two.ines.get("/chargers")).status_code == 404, path


async def test_only_a_super_admin_answers_and_once(two: Two) -> None:
    await post(two.ines, f"{two.address}/ask", why="Bay 3", hours="4")
    async with two.portal.client() as ali:
        await log_in(ali, ALI)
        for path in ("allow", "refuse", "end"):
            assert (await post(ali, f"/organisation/consents/1/{path}")).status_code == 404
    await post(two.camille, "/organisation/consents/1/refuse")
    await post(two.camille, "/organisation/consents/1/allow")
    assert (await post(two.ines, "/organisation", organisation_id=str(two.organisation_id))).status_code == 404
    assert await two.actions() == ["consent.asked", "consent.refused"]


@pytest.mark.parametrize(("why", "hours"), [("", "4"), ("Bay", "5"), ("Bay", ""), ("Bay", "9" * 30)])
async def test_a_question_says_why_and_for_how_long(two: Two, why: str, hours: str) -> None:
    assert (await post(two.ines, f"{two.address}/ask", why=why, hours=hours)).status_code == 422
    assert two.portal.mail.sent == []


async def test_a_locked_out_super_admin_gets_a_link_to_her_own_address(two: Two) -> None:
    assert (await post(two.ines, f"{two.address}/people/{two.camille_id}/reset")).status_code == 303
    (mail,) = two.portal.mail.sent
    assert mail["recipient"] == CAMILLE
    assert "/reset/" in mail["body"]
    assert await two.actions() == ["person.reset_sent"]


async def test_lost_second_factors_are_removed_and_all_super_admins_told(two: Two) -> None:
    async with two.portal.db.transaction() as tx:
        assert await second_factor.set_totp(tx, two.camille_id, b"closed", 1)
    assert (await post(two.ines, f"{two.address}/people/{two.camille_id}/factors")).status_code == 303
    assert not await second_factor.has(two.portal.db, two.camille_id)
    assert [mail["recipient"] for mail in two.portal.mail.sent] == [CAMILLE]
    assert await two.portal.db.all(select(logins.c.token_hash).where(logins.c.person_id == two.camille_id)) == []
    assert await two.actions() == ["person.factors_removed"]
    assert (await post(two.ines, f"{two.address}/people/{two.camille_id}/factors")).status_code == 409


async def test_nobody_but_super_admins_is_helped_that_way(two: Two) -> None:
    other_id = await two.portal.add_person("uma@a.test", (two.organisation_id, "user"))
    for path in ("reset", "factors"):
        assert (await post(two.ines, f"{two.address}/people/{other_id}/{path}")).status_code == 404
    assert two.portal.mail.sent == []


async def test_health_says_what_the_server_counts(two: Two) -> None:
    text = (await two.ines.get("/installation/health")).text
    assert "1,234" in text
    assert "SQLite" in text


async def test_another_organisation_is_hosted_and_its_super_admin_invited(two: Two) -> None:
    values = {
        "name": "Garage Bleu",
        "plan": "standard",
        "location": "",
        "time_zone": "Europe/Paris",
        "email": "Zoe@B.test",
    }
    made = await post(two.ines, "/installation/organisations/new", **values, language="fr")
    assert made.status_code == 303
    (mail,) = two.portal.mail.sent
    assert mail["recipient"] == "zoe@b.test"
    assert "/invitations/" in mail["body"]
    assert "Garage Bleu" in (await two.ines.get("/installation/organisations")).text
    assert (await two.ines.get("/chargers")).status_code == 404, "hosting is not belonging"


@pytest.mark.parametrize("wrong", [{"name": " "}, {"plan": "gold"}, {"time_zone": "Mars/Olympus"}, {"email": "nobody"}])
async def test_what_is_wrong_with_a_new_organisation_is_said_and_nothing_made(two: Two, wrong: dict[str, str]) -> None:
    values = {"name": "Garage", "plan": "basic", "time_zone": "UTC", "email": "zoe@b"} | wrong
    assert (await post(two.ines, "/installation/organisations/new", **values)).status_code == 422
    assert "Garage" not in (await two.ines.get("/installation/organisations")).text
    assert two.portal.mail.sent == []
