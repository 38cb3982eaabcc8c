"""Notices by mail: one a minute for a person, after the quiet hours, only what still concerns them; and the link that ends it."""

from __future__ import annotations

import asyncio
import email
import email.policy
from datetime import UTC, datetime
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP
from sqlalchemy import delete, select, update

from borne.bus.memory import MemoryBus
from borne.core.notifications import Wish
from borne.engine.mail import KIND, Mail, MailSettings
from borne.engine.notice_mail import NoticeMail, Unsubscribe
from borne.portal.notice_words import composer
from borne.store import notices as store
from borne.store.schema import jobs, mails, memberships, notices
from tests.support.house import Small, on_both
from tests.support.notices import KEY, Desk

pytestmark = pytest.mark.anyio

NIGHT = {"time_zone": "Europe/Paris", "quiet_from_minute": 22 * 60, "quiet_until_minute": 7 * 60}


@pytest.fixture
async def desk(small: Small) -> Desk:
    one = Desk(small.house)
    await one.look()
    return one


async def fail(small: Small) -> int:
    """A restart that the charger refuses."""
    outcome = await small.house.ask(small.scope, small.charger_id)
    assert outcome.restart_id is not None
    await small.house.send(small.charger_id, small.epoch)
    await small.house.answer(small.charger_id, small.epoch, outcome.restart_id, "rejected")
    return outcome.restart_id


def move_to(small: Small, text: str) -> None:
    small.house.clock.at_ms = round(datetime.fromisoformat(text).astimezone(UTC).timestamp() * 1000)


async def waiting(desk: Desk) -> list[Any]:
    return await desk.house.db.all(select(notices).where(notices.c.mail_after_ms.is_not(None)))


@on_both
async def test_what_happens_within_a_minute_is_one_mail(small: Small, desk: Desk) -> None:
    for _ in range(3):
        await fail(small)
        small.house.clock.pass_s(5)
    await desk.look()
    assert desk.mail.sent == [], "more may come"
    await desk.wait(2)
    (mail,) = desk.mail.sent
    assert mail["recipient"] == f"super-admin-{small.organisation_id}-0@example.test"
    assert mail["subject"] == "Atelier: The restart of Charger 0 failed, and 2 more notices"
    assert mail["body"].count("Refused by the charger") == 3
    for notice in await desk.told():
        assert f"https://borne.test/notices/{notice.id}\n" in mail["body"]
    await desk.wait(10)
    assert len(desk.mail.sent) == 1
    assert await waiting(desk) == []


async def test_a_mail_speaks_the_persons_language_and_tells_their_time(small: Small, desk: Desk) -> None:
    await desk.change_person(small.person_id, language="fr", time_zone="Europe/Paris")
    move_to(small, "2026-11-22T14:00+01:00")
    await desk.look()
    await small.house.lose(small.charger_id, small.epoch)
    await desk.wait(33)
    (mail,) = desk.mail.sent
    assert mail["subject"] == "Atelier: Charger 0 est hors ligne"
    assert "depuis le 22 nov. 2026, 14:00 (Europe/Paris)" in mail["body"]


async def test_mails_wait_for_the_end_of_the_quiet_hours(small: Small, desk: Desk) -> None:
    await desk.change_person(small.person_id, **NIGHT)
    move_to(small, "2026-10-24T23:00+02:00")
    await fail(small)
    await desk.look()
    small.house.clock.pass_s(61)
    await desk.look()
    (held,) = await waiting(desk)
    assert held.mail_after_ms == round(datetime.fromisoformat("2026-10-25T07:00+01:00").timestamp() * 1000)
    assert held.in_portal, "the portal tells at once"
    move_to(small, "2026-10-25T07:00+01:00")
    await desk.look()
    assert len(desk.mail.sent) == 1


async def test_what_is_over_by_then_is_not_mailed_but_counted(small: Small, desk: Desk) -> None:
    await desk.change_person(small.person_id, **NIGHT)
    move_to(small, "2026-11-22T22:00+01:00")
    await desk.look()
    await small.house.lose(small.charger_id, small.epoch)
    await desk.wait(40)
    small.epoch = await small.house.connect(small.charger_id)
    await fail(small)
    await desk.wait(2)
    assert len(await waiting(desk)) == 2
    move_to(small, "2026-11-23T07:00+01:00")
    await desk.look()
    (mail,) = desk.mail.sent
    assert "is offline" not in mail["body"]
    assert "1 more was over before this mail was sent." in mail["body"]


async def test_all_over_is_no_mail(small: Small, desk: Desk) -> None:
    await small.house.lose(small.charger_id, small.epoch)
    await desk.wait(30)
    await small.house.connect(small.charger_id)
    await desk.wait(5)
    assert (len(await desk.told()), desk.mail.sent, await waiting(desk)) == (1, [], [])


@pytest.mark.parametrize("change", ["left", "expired", "disabled", "elsewhere", "unwanted", "read"])
async def test_what_changed_since_counts_when_the_mail_is_made(small: Small, desk: Desk, change: str) -> None:
    house = small.house
    person_id = await house.person(small.organisation_id, "admin", (small.location_id,))
    await desk.wishes(small.person_id, small.organisation_id, restart_failed=Wish(True, False))
    await fail(small)
    await desk.look()
    mine = memberships.c.person_id == person_id
    async with house.db.transaction() as tx:
        match change:
            case "left":
                await tx.run(delete(memberships).where(mine))
            case "expired":
                await tx.run(update(memberships).where(mine).values(expires_ms=house.clock.at_ms))
            case "elsewhere":
                await tx.run(update(memberships).where(mine).values(role="operator"))
                from borne.store import people

                await people.set_locations(
                    tx, person_id=person_id, organisation_id=small.organisation_id, location_ids=()
                )
            case "read":
                await tx.run(update(notices).values(read_ms=1))
    if change == "disabled":
        await desk.change_person(person_id, disabled=1)
    if change == "unwanted":
        await desk.wishes(person_id, small.organisation_id, restart_failed=Wish(True, False))
    await desk.wait(3)
    assert (desk.mail.sent, await waiting(desk)) == ([], [])


async def test_a_batch_that_runs_is_mailed_when_it_has_ended(small: Small, desk: Desk) -> None:
    house = small.house
    ids = [small.charger_id, *await house.chargers(small.organisation_id, small.location_id, 1, model="copper")]
    await house.connect(ids[1])
    await house.batches.request(small.scope, ids, why="", kind=None, idempotency_key="b")
    await house.batches.fill(await house.db.value(select(jobs.c.payload)))
    first, second = [await house.send(charger_id, 1) for charger_id in ids]
    assert first is not None
    assert second is not None
    await house.answer(ids[0], 1, first.restart_id, "rejected")
    await desk.wait(4)
    assert (len(await desk.told()), desk.mail.sent) == (1, [])
    await house.answer(ids[1], 1, second.restart_id, "rejected")
    await desk.wait(2)
    (mail,) = desk.mail.sent
    assert mail["subject"] == "Atelier: Restarting 2 chargers did not succeed everywhere"
    assert "failed: 2" in mail["body"]


async def test_a_mail_that_cannot_be_made_does_not_hold_up_the_others(small: Small, desk: Desk) -> None:
    other = await small.house.person(small.organisation_id, "admin", (small.location_id,))
    await fail(small)
    await desk.look()
    async with small.house.db.transaction() as tx:
        await tx.run(update(notices).where(notices.c.person_id == small.person_id).values(details="no JSON"))
    await desk.wait(2)
    assert [mail["recipient"] for mail in desk.mail.sent] == [f"admin-{small.organisation_id}-1@example.test"]
    assert [notice.person_id for notice in await waiting(desk)] == [small.person_id] != [other]


async def test_a_thousand_notices_are_one_mail_that_names_some(small: Small, desk: Desk) -> None:
    await fail(small)
    await desk.look()
    (one,) = await desk.told()
    columns = (*store.KEYS, *store.COLUMNS)
    rows = [tuple(f"restart:x{n}" if name == "key" else getattr(one, name) for name in columns) for n in range(999)]
    async with small.house.db.transaction() as tx:
        await store.add(tx, rows)
    await desk.wait(2)
    (mail,) = desk.mail.sent
    assert "And 970 more notices:\nhttps://borne.test/notices\n" in mail["body"]
    assert len(mail["body"]) < 10_000


# ---- the whole way, over a real mail server ------------------------------------------------------------------------------


class Inbox:
    def __init__(self) -> None:
        self.received: list[bytes] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.received.append(envelope.content)
        return "250 kept"


@on_both
async def test_a_failed_restart_arrives_as_a_mail_once_whatever_crashes(small: Small, desk: Desk) -> None:
    """The server ends between the verdict and the notice, between the notice and the mail, between the mail and its job."""
    inbox, house = Inbox(), small.house
    server = await asyncio.get_running_loop().create_server(lambda: SMTP(inbox, hostname="test"), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    settings = MailSettings(host="127.0.0.1", port=port, security="none", sender="Borne <borne@cloud.test>")
    await desk.change_person(small.person_id, language="fr")
    try:
        await fail(small)
        for _ in range(3):
            house = await house.again(30)
            after, mail = Desk(house), Mail(house.db, MemoryBus(), house.clock, settings)
            post = NoticeMail(house.db, house.clock, mail, KEY, composer("https://borne.test", house.clock.now_ms))
            await after.notifications.take_news()
            house.clock.pass_s(61)
            await post.send_due()
        for payload in await house.db.all(select(jobs.c.payload).where(jobs.c.kind == KIND)):
            await mail.deliver(payload[0])
    finally:
        server.close()
        await house.engine.stop()
    (content,) = inbox.received
    message = email.message_from_bytes(content, policy=email.policy.default)
    assert message["Subject"] == "Atelier: Le redémarrage de Charger 0 a échoué"
    assert "Refusé par le chargeur" in message.get_content()
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    token = message["List-Unsubscribe"].strip("<>").rpartition("/")[2]
    wanted = Unsubscribe(small.person_id, small.organisation_id, ("restart_failed",))
    assert post.read_token(token) == wanted
    assert await house.db.value(select(mails.c.headers)) == "{}", "the link is not kept once the mail has left"


# ---- the link --------------------------------------------------------------------------------------------------------------


async def test_a_token_does_what_it_was_made_for_and_nothing_else(small: Small, desk: Desk) -> None:
    made = Unsubscribe(7, 3, ("charger_offline", "restart_failed"))
    token = desk.post.token(made)
    assert desk.post.read_token(token) == made
    payload, _, signature = token.partition(".")
    other = desk.post.token(Unsubscribe(8, 3, made.events)).partition(".")[0]
    for forged in (
        "", ".", "a.b", payload, f"{payload}.", f"{other}.{signature}", f"{payload}.{signature[:-2]}", f"{token}x",
        "é" * 50, "\0",
        f"{payload}.{'A' * 43}", "A" * 10_000,
    ):  # fmt: skip
        assert desk.post.read_token(forged) is None, forged
    elsewhere = NoticeMail(small.house.db, small.house.clock, desk.mail, b"another key", None)  # type: ignore[arg-type]
    assert elsewhere.read_token(token) is None
