"""Mail: written in the transaction that wants it, sent after by a job; with no mail server set, kept in the embedded outbox."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime

import msgspec

from borne.bus.port import Bus, Hint
from borne.engine.clock import NowMs
from borne.store import jobs, mails
from borne.store.db import Database, Row, Transaction

log = logging.getLogger(__name__)

KIND = "mail"
TIMEOUT_S = 30.0
ATTACHMENT_BOUND_BYTES = 5_000_000


class MailSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where mails go. Without a host they stay in the embedded outbox."""

    host: str | None = None
    port: int = 587
    username: str | None = None
    password: str | None = None
    sender: str = "borne@localhost"
    security: str = "starttls"  # starttls, tls, none


class Attachment(msgspec.Struct, frozen=True):
    """A file that goes with a mail. `media_type`: like application/pdf. At most ATTACHMENT_BOUND_BYTES."""

    name: str
    media_type: str
    content: bytes


class Mail:
    """Enqueues mails, and handles the jobs that send them."""

    def __init__(self, db: Database, bus: Bus, clock: NowMs, settings: MailSettings) -> None:
        self._db = db
        self._bus = bus
        self._clock = clock
        self._settings = settings

    async def enqueue(
        self,
        transaction: Transaction,
        *,
        recipient: str,
        subject: str,
        body: str,
        key: str,
        headers: Mapping[str, str] | None = None,
        attachment: Attachment | None = None,
    ) -> None:
        """Mail `body` (plain text) once for each `key`, if the transaction commits. `headers`: more lines of its head.

        Raises ValueError for an attachment that is too large.
        """
        now_ms = self._clock.now_ms()
        recipient, subject = one_line(recipient), one_line(subject)
        more = json.dumps({name: one_line(text) for name, text in (headers or {}).items()})
        mail_id = await mails.add(
            transaction,
            recipient=recipient,
            subject=subject,
            body=body,
            now_ms=now_ms,
            headers=more,
            attachment=_checked(attachment),
        )
        payload = json.dumps({"mail_id": mail_id})
        if not await jobs.enqueue(transaction, KIND, payload, now_ms, idempotency_key=key):
            await mails.drop(transaction, mail_id)
            return
        self._bus.publish(Hint("job", mail_id))

    async def deliver(self, payload: str) -> None:
        """The handler of jobs of kind `mail`. Raises what the mail server said: the job is tried again later."""
        mail = await mails.by_id(self._db, int(json.loads(payload)["mail_id"]))
        if mail is None or mail.sent_ms is not None:
            return
        if self._settings.host is None:
            log.info("mail kept in the outbox: to %r, subject %r", mail.recipient, mail.subject)
            return
        try:
            await self._send(mail)
        except Exception as error:
            async with self._db.transaction() as tx:
                await mails.mark_failed(tx, mail.id, f"{type(error).__name__}: {error}"[:500])
            raise
        async with self._db.transaction() as tx:
            await mails.mark_sent(tx, mail.id, self._clock.now_ms())
        log.info("mail sent: to %r, subject %r", mail.recipient, mail.subject)

    async def _send(self, mail: Row) -> None:
        import aiosmtplib

        settings = self._settings
        await aiosmtplib.send(
            message_of(mail, settings.sender, self._clock.now_ms()),
            hostname=settings.host,
            port=settings.port,
            username=settings.username,
            password=settings.password,
            use_tls=settings.security == "tls",
            start_tls=settings.security == "starttls",
            timeout=TIMEOUT_S,
        )


def message_of(mail: Row, sender: str, now_ms: int) -> EmailMessage:
    """The mail on the wire. Its id is made of its row, so that a mail sent twice by a crash is seen as one."""
    message = EmailMessage()
    message["From"] = sender
    message["To"] = mail.recipient
    message["Subject"] = mail.subject
    message["Date"] = format_datetime(datetime.fromtimestamp(now_ms / 1_000, UTC))
    message["Message-ID"] = f"<mail-{mail.id}-{mail.created_ms}@{sender.rpartition('@')[2].strip('>') or 'localhost'}>"
    message["Auto-Submitted"] = "auto-generated"
    for name, text in json.loads(mail.headers).items():
        message[name] = text
    message.set_content(mail.body)
    if mail.attachment is not None:
        main, _, sub = mail.attachment_type.partition("/")
        message.add_attachment(mail.attachment, maintype=main, subtype=sub, filename=mail.attachment_name)
    return message


def _checked(attachment: Attachment | None) -> tuple[str, str, bytes] | None:
    if attachment is None:
        return None
    if len(attachment.content) > ATTACHMENT_BOUND_BYTES:
        raise ValueError(f"an attachment of {len(attachment.content)} bytes is too large for a mail")
    return one_line(attachment.name), attachment.media_type, attachment.content


def one_line(text: str) -> str:
    """No line break reaches a header: it would begin another one."""
    return " ".join(text.split())
