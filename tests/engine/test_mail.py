"""Mail: enqueued with its transaction, sent by its job."""

import asyncio
import email
import email.policy
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiosmtplib
import pytest
from aiosmtpd.smtp import SMTP
from sqlalchemy import func, select

from borne.bus.memory import MemoryBus
from borne.engine.mail import KIND, Mail, MailSettings, message_of
from borne.store import mails
from borne.store.db import Database, create_database
from borne.store.schema import jobs
from borne.store.schema import mails as mails_table
from tests.support.portal import START_MS, TestClock, prepare

pytestmark = pytest.mark.anyio


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    await prepare(tmp_path)
    db = create_database(f"sqlite:///{tmp_path / 'portal.sqlite3'}", durable=False)
    await db.open()
    yield db
    await db.close()


def mail_of(db: Database, **settings: Any) -> Mail:
    return Mail(db, MemoryBus(), TestClock(), MailSettings(**settings))


async def enqueue(db: Database, mail: Mail, key: str = "one", subject: str = "Hello") -> None:
    async with db.transaction() as tx:
        await mail.enqueue(tx, recipient="a@b.test", subject=subject, body="A secret link\n", key=key)


async def payload(db: Database) -> str:
    return str(await db.value(select(jobs.c.payload).where(jobs.c.kind == KIND)))


async def test_a_mail_and_its_job_come_with_the_transaction_or_not_at_all(database: Database) -> None:
    mail = mail_of(database)
    with pytest.raises(RuntimeError):
        async with database.transaction() as tx:
            await mail.enqueue(tx, recipient="a@b.test", subject="s", body="b", key="k")
            raise RuntimeError
    assert await database.value(select(func.count()).select_from(mails_table)) == 0
    assert await database.value(select(func.count()).select_from(jobs)) == 0


async def test_one_key_is_one_mail(database: Database) -> None:
    mail = mail_of(database)
    await enqueue(database, mail, "one")
    await enqueue(database, mail, "one")
    await enqueue(database, mail, "two")
    assert await database.value(select(func.count()).select_from(mails_table)) == 2
    assert await database.value(select(func.count()).select_from(jobs)) == 2


async def test_without_a_server_it_stays_in_the_outbox_and_the_log_keeps_its_secret(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    mail = mail_of(database)
    await enqueue(database, mail, subject="Hello\r\nBcc: evil@x.test")
    with caplog.at_level(logging.INFO):
        await mail.deliver(await payload(database))
    kept = (await mails.newest(database, 5))[0]
    assert (kept.body, kept.sent_ms) == ("A secret link\n", None)
    assert kept.subject == "Hello Bcc: evil@x.test"
    assert "a@b.test" in caplog.text
    assert "secret" not in caplog.text


class Inbox:
    def __init__(self) -> None:
        self.received: list[bytes] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.received.append(envelope.content)
        return "250 kept"


async def test_a_mail_server_gets_it_once(database: Database) -> None:
    inbox = Inbox()
    server = await asyncio.get_running_loop().create_server(lambda: SMTP(inbox, hostname="test"), "127.0.0.1", 0)
    try:
        port = server.sockets[0].getsockname()[1]
        mail = mail_of(database, host="127.0.0.1", port=port, security="none", sender="Borne <borne@cloud.test>")
        await enqueue(database, mail, subject="Héllo")
        for _ in range(2):  # a job may run twice
            await mail.deliver(await payload(database))
    finally:
        server.close()
    assert len(inbox.received) == 1
    message = email.message_from_bytes(inbox.received[0], policy=email.policy.default)
    assert (message["To"], message["Subject"], message["From"]) == ("a@b.test", "Héllo", "Borne <borne@cloud.test>")
    assert "A secret link" in message.get_content()
    kept = (await mails.newest(database, 5))[0]
    assert (kept.sent_ms, kept.body) == (START_MS, "")


async def test_more_lines_of_the_head_are_sent_and_cannot_begin_others(database: Database) -> None:
    mail = mail_of(database)
    async with database.transaction() as tx:
        more = {"List-Unsubscribe": "<https://x.test/a>\r\nBcc: evil@x.test"}
        await mail.enqueue(tx, recipient="a@b.test", subject="s", body="b", key="k", headers=more)
    row = await mails.by_id(database, (await mails.newest(database, 1))[0].id)
    assert row is not None
    message = message_of(row, "borne@localhost", START_MS)
    assert message["List-Unsubscribe"] == "<https://x.test/a> Bcc: evil@x.test"
    assert message["Bcc"] is None


async def test_a_server_that_refuses_is_tried_again_and_its_words_are_kept(database: Database) -> None:
    mail = mail_of(database, host="127.0.0.1", port=1, security="none")
    await enqueue(database, mail)
    with pytest.raises(aiosmtplib.SMTPException):
        await mail.deliver(await payload(database))
    kept = (await mails.newest(database, 5))[0]
    assert kept.sent_ms is None
    assert "Connect" in kept.error
    assert kept.body == "A secret link\n"


async def test_old_mails_are_forgotten(database: Database) -> None:
    await enqueue(database, mail_of(database))
    async with database.transaction() as tx:
        assert await mails.prune(tx, START_MS) == 0
        assert await mails.prune(tx, START_MS + 1) == 1
