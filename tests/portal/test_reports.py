"""The page of monthly reports: ordering, ending, asking for one now, and downloading; each in one's own scope and plan."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import func, select

from borne.engine.reports import KIND
from borne.store import organisations
from borne.store.schema import audit_log, jobs, report_rules
from tests.support.portal import Portal, log_in, post, running_portal

pytestmark = pytest.mark.anyio
CAMILLE, ALI, ZOE, EVE, BEA = "camille@a.test", "ali@a.test", "zoe@a.test", "eve@b.test", "bea@c.test"


@dataclass
class Here:
    portal: Portal
    lyon_id: int
    nantes_id: int


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Here]:
    async with running_portal(tmp_path) as portal:
        organisation_id, lyon_id = await portal.add_organisation("Atelier")
        other_id, _ = await portal.add_organisation("Other")
        plain_id, _ = await portal.add_organisation("Plain", "standard")
        async with portal.db.transaction() as tx:
            nantes_id = await organisations.create_location(
                tx, organisation_id, name="Nantes", now_ms=1, time_zone="Europe/Paris"
            )
        await portal.add_person(CAMILLE, (organisation_id, "super-admin"))
        await portal.add_person(ALI, (organisation_id, "admin"), location_ids=(nantes_id,))
        await portal.add_person(ZOE, (organisation_id, "user"))
        await portal.add_person(EVE, (other_id, "super-admin"))
        await portal.add_person(BEA, (plain_id, "super-admin"))
        yield Here(portal, lyon_id, nantes_id)


def choices(text: str) -> list[str]:
    return re.findall(r'<option value="([^"]*)">', re.findall(r'<select id="about".*?</select>', text, re.S)[0])


async def test_each_chooses_among_what_they_see(here: Here) -> None:
    expected = {
        CAMILLE: ["organisation", f"location:{here.lyon_id}", f"location:{here.nantes_id}", "person"],
        ALI: ["organisation", f"location:{here.nantes_id}", "person"],
        ZOE: ["person"],
    }
    for who, offered in expected.items():
        async with here.portal.client() as browser:
            await log_in(browser, who)
            assert choices((await browser.get("/reports")).text) == offered


async def test_a_report_is_ordered_once_shown_and_ended(here: Here) -> None:
    db = here.portal.db
    async with here.portal.client() as browser:
        await log_in(browser, ALI)
        for _ in range(2):
            answer = await post(browser, "/reports", about=f"location:{here.nantes_id}", format="pdf")
            assert answer.status_code == 303
        (rule,) = await db.all(select(report_rules))
        assert (rule.about, rule.about_id, rule.format) == ("location", here.nantes_id, "pdf")
        text = (await browser.get("/reports")).text
        assert "next on 1 Jun 2026" in text  # four o'clock UTC, six in Paris
        assert await db.value(select(jobs.c.run_at_ms).where(jobs.c.kind == KIND)) == 1_780_286_400_000 == rule.next_ms
        assert (await post(browser, f"/reports/{rule.id}/delete")).status_code == 303
        assert await db.all(select(report_rules)) == []
        assert (await post(browser, f"/reports/{rule.id}/delete")).status_code == 404
    actions = [
        row.action for row in await db.all(select(audit_log.c.action).where(audit_log.c.object_kind == "report"))
    ]
    assert actions == ["report.added", "report.removed"]


@pytest.mark.parametrize(
    ("who", "about"),
    [(ALI, "location:{lyon}"), (ZOE, "organisation"), (ZOE, "location:{nantes}"), (EVE, "location:{lyon}"),
     (CAMILLE, "location:99999999999999999999"), (CAMILLE, "\0"), (CAMILLE, "")],
)  # fmt: skip
async def test_nobody_orders_or_reads_what_they_do_not_see(here: Here, who: str, about: str) -> None:
    about = about.format(lyon=here.lyon_id, nantes=here.nantes_id)
    async with here.portal.client() as browser:
        await log_in(browser, who)
        assert (await post(browser, "/reports", about=about, format="pdf")).status_code == 422
        answer = await browser.get("/reports/month", params={"about": about, "format": "csv"})
        assert answer.status_code == 422
    assert await here.portal.db.value(select(func.count()).select_from(report_rules)) == 0


async def test_last_months_is_sent_now_and_not_twice(here: Here) -> None:
    async with here.portal.client() as browser, here.portal.client() as other:
        await log_in(browser, ZOE)
        await log_in(other, CAMILLE)
        await post(browser, "/reports", about="person", format="csv")
        for _ in range(2):
            assert (await post(browser, "/reports/1/send")).status_code == 303
        assert (await post(other, "/reports/1/send")).status_code == 404, "it is Zoé's"
    payloads = await here.portal.db.all(select(jobs.c.payload).where(jobs.c.kind == KIND).order_by(jobs.c.id))
    assert ["2026-05-01" in row.payload for row in payloads] == [True, False]
    await here.portal.services.reports.send(payloads[1].payload)
    (mail,) = here.portal.mail.sent
    assert (mail["recipient"], mail["subject"]) == (ZOE, "Zoe: charging in April 2026")


@pytest.mark.parametrize(("kind", "start"), [("pdf", b"%PDF"), ("xlsx", b"PK"), ("csv", b"\xef\xbb\xbf")])
async def test_a_month_is_downloaded(here: Here, kind: str, start: bytes) -> None:
    async with here.portal.client() as browser:
        await log_in(browser, CAMILLE)
        asked = {"about": "organisation", "format": kind, "month": "2026-02"}
        answer = await browser.get("/reports/month", params=asked)
        assert answer.status_code == 200
        assert answer.content.startswith(start)
        assert answer.headers["content-disposition"] == f'attachment; filename="charging-2026-02-atelier.{kind}"'


async def test_a_smaller_plan_says_what_it_needs(here: Here) -> None:
    async with here.portal.client() as browser:
        await log_in(browser, BEA)
        answer = await browser.get("/reports")
        assert answer.status_code == 403
        assert "Business plan" in answer.text
        assert (await post(browser, "/reports", about="person", format="pdf")).status_code == 403
