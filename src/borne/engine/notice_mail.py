"""Notices by mail: what one person waits for goes into one mail, after the quiet hours, if it still concerns them then.

Access, wishes and whether it is over are asked when the mail is made, not when the notice was. The mail and the mark that its
notices were mailed are one transaction.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import logging
from collections.abc import Callable, Sequence
from datetime import tzinfo
from typing import cast, get_args
from zoneinfo import ZoneInfo

import msgspec

from borne.core.notifications import EVENTS, MAIL_GATHER_MS, Event, Recipient, quiet_until_ms, reaches
from borne.engine.beside import Beside
from borne.engine.clock import NowMs
from borne.engine.mail import Mail
from borne.engine.recipients import recipient
from borne.store import notices as store
from borne.store.db import Database, Row, StoreError, Transaction

log = logging.getLogger(__name__)

LOOK_S = 5.0
NOTICES_AT_ONCE = 100
SHOWN_MOST = 30  # notices that a mail tells of one by one
TROUBLE_AGAIN_MS = 600_000
BATCH_AGAIN_MS = 60_000  # a batch that runs is told of when it has ended


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """What a mail is made from. `more`: how many are left to the portal; `over`: those that were over before the mail."""

    name: str
    language: str | None
    zone: str
    organisation: str
    notices: Sequence[Row]
    more: int
    over: int
    unsubscribe: str  # the token of the link


class Unsubscribe(msgspec.Struct, frozen=True):
    """What a link of a mail turns off: these events by mail, for one person in one organisation."""

    person_id: int
    organisation_id: int
    events: tuple[Event, ...]


Compose = Callable[[Letter], tuple[str, str, dict[str, str]]]  # subject, body, more lines of the head


class NoticeMail(Beside):
    """Mails what is due. `compose` knows the words (the portal's); `key` signs the links and lies outside the database."""

    task_name = "notice-mail"

    def __init__(self, db: Database, clock: NowMs, mail: Mail, key: bytes, compose: Compose) -> None:
        self._db = db
        self._clock = clock
        self._mail = mail
        self._key = key
        self._compose = compose

    async def _run(self) -> None:
        while True:
            try:
                await self.send_due()
            except StoreError as error:
                log.warning("mails of notices wait for the store: %s", error)
            except Exception:
                log.exception("mails of notices could not be made, they are tried again")
            await asyncio.sleep(LOOK_S)

    async def send_due(self) -> None:
        """Mail what waits until now, person by person."""
        while people := await store.due_people(self._db, self._clock.now_ms(), NOTICES_AT_ONCE):
            for person_id, organisation_id in people:  # each time nothing of theirs stays due
                await self._send_to(person_id, organisation_id)

    async def _send_to(self, person_id: int, organisation_id: int) -> None:
        """Mail what one person waits for. Where that cannot be made it is put off, and the others get theirs."""
        try:
            async with self._db.transaction() as tx:
                await self._send(tx, person_id, organisation_id)
        except StoreError:
            raise
        except Exception:
            log.exception("a mail of notices for person %d could not be made; it is put off", person_id)
            now_ms = self._clock.now_ms()
            async with self._db.transaction() as tx:
                waiting = await store.due_of(tx, person_id, organisation_id, now_ms)
                ids = [notice.id for notice in waiting]
                await store.hold_mail(tx, person_id, organisation_id, ids, now_ms + TROUBLE_AGAIN_MS)

    async def _send(self, tx: Transaction, person_id: int, organisation_id: int) -> None:
        now_ms = self._clock.now_ms()
        waiting = await store.due_of(tx, person_id, organisation_id, now_ms + MAIL_GATHER_MS)
        ids = [notice.id for notice in waiting]
        found = await recipient(tx, person_id, organisation_id, now_ms)
        if found is None:
            await store.hold_mail(tx, person_id, organisation_id, ids, None)
            return
        person, row = found
        quiet_ms = quiet_until_ms(now_ms, zone_of(person.zone), person.quiet_from, person.quiet_until)
        if quiet_ms is not None:
            await store.hold_mail(tx, person_id, organisation_id, ids, quiet_ms)
            return
        running = [notice.id for notice in waiting if await _runs(tx, organisation_id, notice)]
        wanted = [notice for notice in waiting if notice.id not in running and _concerns(person, notice)]
        news = [notice for notice in wanted if notice.ended_ms is None]
        await store.hold_mail(tx, person_id, organisation_id, running, now_ms + BATCH_AGAIN_MS)
        await store.hold_mail(tx, person_id, organisation_id, [one for one in ids if one not in running], None)
        if news:
            await self._post(tx, person, row, news, len(wanted) - len(news))

    async def _post(self, tx: Transaction, person: Recipient, row: Row, news: Sequence[Row], over: int) -> None:
        scope = person.scope
        events = tuple(event for event in EVENTS if any(notice.event == event for notice in news))
        letter = Letter(
            name=row.name,
            language=person.language,
            zone=person.zone,
            organisation=row.organisation_name,
            notices=news[:SHOWN_MOST],
            more=max(0, len(news) - SHOWN_MOST),
            over=over,
            unsubscribe=self.token(Unsubscribe(scope.person_id, scope.organisation_id, events)),
        )
        subject, body, headers = self._compose(letter)
        key = f"notices {scope.person_id} {news[0].id}-{news[-1].id}"
        await self._mail.enqueue(tx, recipient=person.email, subject=subject, body=body, key=key, headers=headers)

    # ---- links that turn mails off -----------------------------------------------------------------------------------

    def token(self, what: Unsubscribe) -> str:
        """A link's token: what it turns off, signed. It does nothing else, and never expires."""
        payload = f"{what.person_id}.{what.organisation_id}.{'+'.join(what.events)}".encode()
        return _text(payload) + "." + _text(self._signature(payload))

    def read_token(self, token: str) -> Unsubscribe | None:
        """What a token turns off; None for one that was not made here."""
        payload_text, _, signature_text = token.partition(".")
        payload, signature = _bytes(payload_text), _bytes(signature_text)
        if payload is None or signature is None or not hmac.compare_digest(signature, self._signature(payload)):
            return None
        person, organisation, events = payload.decode().split(".")
        known = tuple(cast(Event, event) for event in events.split("+") if event in get_args(Event))
        return Unsubscribe(int(person), int(organisation), known)

    def _signature(self, payload: bytes) -> bytes:
        return hmac.digest(self._key, b"unsubscribe\0" + payload, hashlib.sha256)


def zone_of(name: str) -> tzinfo:
    """The time zone of this name; UTC for one that is not known here."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return ZoneInfo("UTC")


def _concerns(person: Recipient, notice: Row) -> bool:
    """Whether it is still to be mailed: reached, wanted and not read."""
    reached = reaches(person.scope, location_id=notice.location_id, charger_id=notice.charger_id)
    return reached and person.wish(notice.event).by_mail and notice.read_ms is None


async def _runs(tx: Transaction, organisation_id: int, notice: Row) -> bool:
    """Whether it tells of a batch that goes on: its mail waits until it has ended, or asks what to do."""
    if not notice.key.startswith("batch:"):
        return False
    return await store.batch_runs(tx, organisation_id, int(notice.key.removeprefix("batch:")))


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _bytes(text: str) -> bytes | None:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
