"""Reports of a month: what is in them, the files, when they are sent and to whom."""

from __future__ import annotations

import asyncio
import csv
import email
import email.policy
import io
import zipfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from aiosmtpd.smtp import SMTP
from sqlalchemy import delete, func, select, update

from borne.bus.memory import MemoryBus
from borne.core.scope import Scope
from borne.core.tariff import EnergyPrice, Fixed
from borne.engine import reports as engine
from borne.engine.mail import ATTACHMENT_BOUND_BYTES, Attachment, Mail, MailSettings
from borne.engine.mail import KIND as MAIL
from borne.engine.metering import Meter
from borne.engine.prices import Prices
from borne.engine.report_files import shown
from borne.engine.reports import KIND, Report, Reports, Wanted, last_month, month_due, sent_ms
from borne.portal.report_words import composer
from borne.store import chargers, energy_prices, organisations
from borne.store import reports as store
from borne.store.chargers import NewCharger
from borne.store.schema import jobs, mails, memberships, report_rules, sessions
from borne.store.schema import organisations as organisations_table
from tests.support.pdf import words_of
from tests.support.portal import Portal, running_portal

pytestmark = pytest.mark.anyio
PARIS = ZoneInfo("Europe/Paris")
MARCH = date(2026, 3, 1)  # in Paris it has 743 hours: the clocks go forward on the 29th
PRICE = 200_000  # millionths of a euro a kWh
HOUR_MS = 3_600_000


def paris_ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=PARIS).timestamp() * 1_000)


@dataclass
class Month:
    """An organisation whose March was reckoned by hand."""

    portal: Portal
    organisation_id: int
    location_id: int
    camille_id: int
    zoe_id: int
    reports: Reports

    def scope(self, **changes: Any) -> Scope:
        said: dict[str, Any] = {
            "person_id": self.camille_id, "person_name": "Camille", "organisation_id": self.organisation_id,
            "role": "super-admin", "plan": "business",
        }  # fmt: skip
        return Scope(**(said | changes))

    async def read(
        self, scope: Scope | None = None, about: Any = "organisation", about_id: int | None = None
    ) -> Report:
        wanted = Wanted(about, about_id, MARCH)
        report = await engine.read(self.portal.db, scope or self.scope(), wanted, self.portal.clock.at_ms)
        assert report is not None
        return report

    async def file(self, kind: Any, language: str = "en", **asked: Any) -> bytes:
        document = await self.reports.document(await self.read(**asked), language, "Camille")
        return await self.reports.written(document, kind)

    async def rule(self, person_id: int | None = None, about: str = "organisation", about_id: int | None = None) -> int:
        async with self.portal.db.transaction() as tx:
            return await store.add(
                tx, self.organisation_id, person_id or self.camille_id, about=about, about_id=about_id, kind="pdf",
                next_ms=sent_ms(MARCH, PARIS), now_ms=1,
            )  # fmt: skip

    async def run(self) -> int:
        """Run the jobs of reports that are due once; how many there were."""
        due = await self.portal.db.all(
            select(jobs.c.id, jobs.c.payload).where(
                jobs.c.kind == KIND, jobs.c.done_ms.is_(None), jobs.c.run_at_ms <= self.portal.clock.at_ms
            )
        )
        for job in due:
            await self.reports.send(job.payload)
            async with self.portal.db.transaction() as tx:
                await tx.run(update(jobs).where(jobs.c.id == job.id).values(done_ms=1))
        return len(due)

    async def mailed(self) -> list[Any]:
        return await self.portal.db.all(select(mails).order_by(mails.c.id))


# begin, end (local), Wh at a steady rate, charger, of Zoé. By hand: what lies in March.
PAST = [
    ("2026-02-28T22:00", "2026-03-01T02:00", 8_000, 0, True),  # 2 of 4 hours: 4 kWh
    ("2026-03-10T10:00", "2026-03-10T12:00", 14_000, 0, False),
    ("2026-03-29T00:00", "2026-03-29T06:00", 10_000, 1, True),  # five hours, as two o'clock is left out
    ("2026-03-31T23:00", "2026-04-01T01:00", 6_000, 1, False),  # 1 of 2 hours: 3 kWh
]
ENERGY_WH = 4_000 + 14_000 + 10_000 + 3_000


@pytest.fixture
async def month(tmp_path: Path) -> AsyncIterator[Month]:
    async with running_portal(tmp_path) as portal:
        organisation_id, _ = await portal.add_organisation("Atelier")
        async with portal.db.transaction() as tx:
            location_id = await organisations.create_location(
                tx, organisation_id, name="=Quai d’Été", now_ms=1, time_zone="Europe/Paris"
            )
            price = EnergyPrice(0, Fixed(PRICE))
            await energy_prices.add(tx, organisation_id, location_id, price, currency="EUR", person_name="C", now_ms=1)
            names = ("=HYPERLINK(1)", "Łódź 漢")
            ids = [
                await chargers.create(
                    tx,
                    NewCharger(organisation_id=organisation_id, location_id=location_id, name=name, identity=name),
                    1,
                )
                for name in names
            ]
        camille_id = await portal.add_person("camille@a.test", (organisation_id, "super-admin"), language="fr")
        zoe_id = await portal.add_person("zoe@a.test", (organisation_id, "user"))
        async with portal.db.transaction() as tx:
            for number, (begin, end, wh, charger, is_zoes) in enumerate(PAST):
                began_ms, ended_ms = paris_ms(begin), paris_ms(end)
                row = {
                    "charger_id": ids[charger], "organisation_id": organisation_id, "location_id": location_id, "evse": 1,
                    "connector": 1, "transaction": str(number), "start_key": str(number), "tag": "ab12",
                    "person_id": zoe_id if is_zoes else camille_id, "started_ms": began_ms, "device_started_ms": began_ms,
                    "ended_ms": ended_ms, "device_ended_ms": ended_ms, "meter_start_wh": 0, "meter_stop_wh": wh,
                }  # fmt: skip
                await tx.insert(sessions, row)
        portal.clock.at_ms = paris_ms("2026-04-01T06:00")
        await Meter(portal.db, MemoryBus(), portal.clock, Prices(portal.db, portal.clock)).once(all_of_them=True)
        mail = Mail(portal.db, MemoryBus(), portal.clock, MailSettings())
        words = composer("http://portal.test", portal.clock.now_ms)
        made = Reports(portal.db, MemoryBus(), portal.clock, mail, words)
        yield Month(portal, organisation_id, location_id, camille_id, zoe_id, made)


# ---- what is in it -------------------------------------------------------------------------------------------------------


async def test_a_month_reckoned_by_hand(month: Month) -> None:
    report = await month.read()
    assert report.sums.energy_wh == ENERGY_WH
    assert report.sums.cost_nanos == ENERGY_WH * PRICE
    assert report.sums.plugged_ms == (2 + 2 + 5 + 1) * HOUR_MS
    assert report.sums.sessions == 3, "the first began in February"
    assert {line.key: line.sums.energy_wh for line in report.by_day} == {
        date(2026, 3, 1): 4_000, date(2026, 3, 10): 14_000, date(2026, 3, 29): 10_000, date(2026, 3, 31): 3_000,
    }  # fmt: skip
    assert [(part.energy_wh, part.is_earlier) for part in report.parts] == [
        (4_000, True), (14_000, False), (10_000, False), (3_000, False),
    ]  # fmt: skip


async def test_the_sessions_add_up_to_the_statistics_for_whoever_asks(month: Month) -> None:
    user = month.scope(person_id=month.zoe_id, person_name="Zoe", role="user", charger_ids=())
    admin = month.scope(role="admin", location_ids=(month.location_id,))
    nobody = month.scope(role="admin", location_ids=())
    asked = [
        (await month.read(), ENERGY_WH),
        (await month.read(about="location", about_id=month.location_id), ENERGY_WH),
        (await month.read(admin), ENERGY_WH),
        (await month.read(nobody), 0),
        (await month.read(user, "person"), 14_000),
        (await month.read(about="person"), 17_000),
    ]
    for report, energy_wh in asked:
        assert report.sums.energy_wh == sum(part.energy_wh for part in report.parts) == energy_wh
        assert report.sums.cost_nanos == sum(part.cost_nanos for part in report.parts)
        assert report.sums.plugged_ms == sum(part.plugged_ms for part in report.parts)


async def test_the_csv_adds_up_and_no_cell_is_a_formula(month: Month) -> None:
    raw = await month.file("csv")
    assert raw.startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(io.StringIO(raw.decode("utf-8-sig"))))
    assert sum(Decimal(row["Energy (kWh)"]) for row in rows) == Decimal(ENERGY_WH) / 1_000
    assert sum(Decimal(row["Cost"]) for row in rows) == Decimal("6.2")
    assert rows[2]["Begin"] == "2026-03-29 00:00:00+01:00"
    assert rows[2]["Ended at"] == "2026-03-29 06:00:00+02:00"
    assert {row["Charger"] for row in rows} == {"'=HYPERLINK(1)", "Łódź 漢"}
    assert {row["Location"] for row in rows} == {"'=Quai d’Été"}
    assert rows[0]["Remark"] == "began before this month"


async def test_a_spreadsheet_holds_texts_and_numbers_but_no_formula(month: Month) -> None:
    with zipfile.ZipFile(io.BytesIO(await month.file("xlsx"))) as book:
        sheet, strings = book.read("xl/worksheets/sheet1.xml").decode(), book.read("xl/sharedStrings.xml").decode()
    assert "<f>" not in sheet
    assert "=HYPERLINK(1)" in strings
    assert "Łódź 漢" in strings
    assert "<v>14</v>" in sheet


async def test_a_pdf_in_french_with_its_accents(month: Month) -> None:
    pdf = await month.file("pdf", "fr")
    assert pdf.startswith(b"%PDF")
    text = words_of(pdf).replace("\xa0", " ")
    for words in (
        "Recharge de mars 2026",
        "=Quai d’Été",
        "Énergie",
        "31 kWh",
        "6,20 €",
        "Lódz ?",
        "dim. 29 mars",
        "Page 1 sur",
    ):
        assert words in text, words
    assert len(pdf) < 100_000


async def test_a_pdf_and_its_paper_are_bounded(month: Month) -> None:
    report = await month.read()
    many = engine.msgspec.structs.replace(report, parts=report.parts * 2_000)
    document = await month.reports.document(many, "en", "Camille")
    assert len(document.tables[-1].rows) == 500
    assert "first 500 sessions" in document.tables[-1].note
    assert len(document.sheet.rows) == 8_000
    assert len(await month.reports.written(document, "pdf")) < 200_000


def test_signs_that_the_font_lacks() -> None:
    assert shown("Zoë’s café — 5 €\u202f漢\x00\ud800ž") == "Zoë’s café — 5 €\xa0??ž"
    assert shown("ősz Čá") == "osz Cá"


# ---- when, and to whom ---------------------------------------------------------------------------------------------------


def test_reports_are_sent_at_six_local_time_on_the_first() -> None:
    for name in ("Europe/Paris", "Pacific/Kiritimati", "Etc/GMT+12", "UTC"):
        zone = ZoneInfo(name)
        at_ms = sent_ms(MARCH, zone)
        assert datetime.fromtimestamp(at_ms / 1_000, UTC).astimezone(zone).isoformat()[:16] == "2026-04-01T06:00"
        assert month_due(at_ms) == MARCH
        assert last_month(at_ms, zone) == MARCH
    assert sent_ms(date(2025, 12, 1), ZoneInfo("UTC")) == datetime(2026, 1, 1, 6, tzinfo=UTC).timestamp() * 1_000


async def test_it_is_mailed_once_and_the_next_is_planned(month: Month) -> None:
    rule_id = await month.rule()
    await month.reports.begin()
    await month.reports.begin()  # a second start plans nothing twice
    assert await month.run() == 1
    assert await month.run() == 0
    (mail,) = await month.mailed()
    assert mail.recipient == "camille@a.test"
    assert mail.subject == "Atelier : recharge de mars 2026"
    assert mail.attachment_name == "recharge-2026-03-atelier.pdf"
    assert mail.attachment.startswith(b"%PDF")
    assert "Énergie : 31 kWh" in mail.body.replace("\xa0", " ").replace("\u202f", " ")
    rule = await store.rule(month.portal.db, month.organisation_id, rule_id)
    assert rule is not None
    assert rule.next_ms == sent_ms(date(2026, 4, 1), PARIS)
    assert rule.sent_ms == month.portal.clock.at_ms


async def test_running_twice_after_a_crash_mails_once(month: Month) -> None:
    await month.rule()
    await month.reports.begin()
    payload = await month.portal.db.value(select(jobs.c.payload).where(jobs.c.kind == KIND))
    await month.reports.send(payload)
    await month.reports.send(payload)
    assert len(await month.mailed()) == 1
    assert await month.portal.db.value(select(func.count()).where(jobs.c.kind == KIND)) == 2


async def test_after_a_long_absence_every_month_comes(month: Month) -> None:
    await month.rule()
    month.portal.clock.at_ms = paris_ms("2026-06-15T12:00")
    await month.reports.begin()
    while await month.run():
        pass
    assert [mail.subject.rpartition("de ")[2] for mail in await month.mailed()] == [
        "mars 2026",
        "avril 2026",
        "mai 2026",
    ]


@pytest.mark.parametrize("lost", ["membership", "role", "plan", "location", "rule"])
async def test_whoever_lost_access_gets_none(month: Month, lost: str) -> None:
    await month.rule(about="location", about_id=month.location_id)
    await month.reports.begin()
    changes: dict[str, Any] = {
        "membership": delete(memberships).where(memberships.c.person_id == month.camille_id),
        "role": update(memberships).where(memberships.c.person_id == month.camille_id).values(role="user"),
        "plan": update(organisations_table).values(plan="standard"),
        "location": update(memberships).where(memberships.c.person_id == month.camille_id).values(role="admin"),
        "rule": delete(report_rules),
    }
    async with month.portal.db.transaction() as tx:
        await tx.run(changes[lost])
    assert await month.run() == 1
    assert await month.mailed() == []
    planned = await month.portal.db.value(select(func.count()).where(jobs.c.kind == KIND, jobs.c.done_ms.is_(None)))
    assert planned == (0 if lost == "rule" else 1), "with access again, the next one comes"


async def test_what_was_asked_for_now_is_sent_once_an_hour(month: Month) -> None:
    rule_id = await month.rule()
    for expected in (True, False):
        async with month.portal.db.transaction() as tx:
            assert await month.reports.ask(tx, month.organisation_id, rule_id, MARCH) is expected
    assert await month.run() == 1
    assert len(await month.mailed()) == 1
    rule = await store.rule(month.portal.db, month.organisation_id, rule_id)
    assert rule is not None
    assert rule.next_ms == sent_ms(MARCH, PARIS), "the monthly one still comes"


class Inbox:
    def __init__(self) -> None:
        self.received: list[bytes] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.received.append(envelope.content)
        return "250 kept"


async def test_a_mail_server_gets_the_file(month: Month) -> None:
    await month.rule()
    await month.reports.begin()
    await month.run()
    inbox = Inbox()
    server = await asyncio.get_running_loop().create_server(lambda: SMTP(inbox, hostname="test"), "127.0.0.1", 0)
    try:
        port = server.sockets[0].getsockname()[1]
        settings = MailSettings(host="127.0.0.1", port=port, security="none")
        payload = await month.portal.db.value(select(jobs.c.payload).where(jobs.c.kind == MAIL))
        await Mail(month.portal.db, MemoryBus(), month.portal.clock, settings).deliver(payload)
    finally:
        server.close()
    message = email.message_from_bytes(inbox.received[0], policy=email.policy.default)
    (attached,) = message.iter_attachments()
    assert (attached.get_filename(), attached.get_content_type()) == ("recharge-2026-03-atelier.pdf", "application/pdf")
    assert "Recharge de mars 2026" in words_of(attached.get_content())
    (kept,) = await month.mailed()
    assert kept.attachment is None, "what left is not kept"


async def test_a_file_that_no_mail_carries_is_refused(month: Month) -> None:
    mail = Mail(month.portal.db, MemoryBus(), month.portal.clock, MailSettings())
    with pytest.raises(ValueError, match="too large"):
        async with month.portal.db.transaction() as tx:
            await mail.enqueue(
                tx, recipient="a@b.test", subject="s", body="b", key="k",
                attachment=Attachment("a.pdf", "application/pdf", bytes(ATTACHMENT_BOUND_BYTES + 1)),
            )  # fmt: skip
    assert await month.mailed() == []
