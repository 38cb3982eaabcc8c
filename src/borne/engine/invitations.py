"""Invitations: made (all or none), mailed, sent again, revoked, accepted once.

A link's token is made when its mail is written; the database keeps its hash alone. The first mails are part of the
transaction that makes the invitations; those of a long list follow, a few at a time, by a job.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Literal

import msgspec

from borne.bus.port import Bus, Hint
from borne.core.actor import Actor
from borne.core.people import may_give
from borne.core.scope import Scope
from borne.engine import plans
from borne.engine.audit import About, Audit
from borne.engine.clock import NowMs
from borne.engine.mail import Mail
from borne.engine.people import RefusedError, hold
from borne.store import invitations as store
from borne.store import jobs, organisations, people
from borne.store.db import Conflict, Database, Reader, Row, Transaction
from borne.store.invitations import NewInvitation

JOB_KIND = "invitations"  # mails of an organisation's invitations are to be written: {"organisation_id": …}
DAY_MS = 86_400_000
MINUTE_MS = 60_000
LINK_DAYS = 7
DAY_BOUND = 5_000  # invitations of one organisation in a day
RESEND_EVERY_MS = 2 * MINUTE_MS
SENT_AT_ONCE = 25  # mails in one transaction
KEPT_DAYS = 90  # those that are open no more
TOKEN_BYTES = 32

Problem = Literal["role", "member", "over", "invited", "twice", "tag", "tag_twice", "location", "group"]
Over = Literal["unknown", "accepted", "revoked", "expired"]
Write = Callable[[Row, str], tuple[str, str]]  # an invitation and its token -> subject and body of its mail


class TooManyError(Exception):
    """The organisation has invited as many as it may in a day. Nothing was done."""


class Wait(msgspec.Struct, frozen=True):
    """It was sent a moment ago: how long to wait."""

    wait_ms: int


class OverError(Exception):
    """The link does nothing (any more); `why` says what became of the invitation."""

    def __init__(self, why: Over) -> None:
        super().__init__(why)
        self.why = why


class AccountExistsError(Exception):
    """Somebody has an account with this address: they log in to accept."""


class NewAccount(msgspec.Struct, frozen=True):
    """What somebody without an account chose."""

    name: str
    password_hash: str | None  # None: they log in otherwise
    language: str | None


class NewOrganisation(msgspec.Struct, frozen=True, kw_only=True):
    """An organisation to be hosted, with its first location and whom to invite as its super-admin."""

    name: str
    plan: str
    location: str
    time_zone: str
    email: str
    language: str | None


class Accepted(msgspec.Struct, frozen=True):
    """Who accepted, and where they belong now."""

    person_id: int
    organisation_id: int


def token_hash(token: str) -> bytes:
    """What the database knows a token by: it is 256 random bits, so that no slow hash is needed."""
    return hashlib.sha256(token.encode()).digest()


def state_of(row: Row | None, now_ms: int) -> Over | None:
    """Why an invitation cannot be accepted; None: it can."""
    if row is None:
        return "unknown"
    if row.accepted_ms is not None:
        return "accepted"
    if row.revoked_ms is not None:
        return "revoked"
    return "expired" if row.expires_ms <= now_ms else None


async def problems(
    db: Reader, scope: Scope, wanted: Sequence[NewInvitation], places: Sequence[int], now_ms: int
) -> dict[int, Problem]:
    """What stands in the way of inviting each, by its place in the list; empty: nothing does.

    `places`: the locations that the one who invites may give.
    """
    organisation_id = scope.organisation_id
    emails = Counter(one.email for one in wanted)
    all_tags = Counter(tag for one in wanted for tag in set(one.tags))
    members = await store.members_with(db, organisation_id, emails)
    invited = await store.open_to(db, organisation_id, emails)
    owned = await store.owned_tags(db, organisation_id, all_tags)
    groups = await store.groups(db, organisation_id)

    def of(one: NewInvitation) -> Problem | None:
        if not may_give(scope, one.role):
            return "role"
        if (member := members.get(one.email)) is not None:
            return "over" if member.expires_ms is not None and member.expires_ms <= now_ms else "member"
        if (open_one := invited.get(one.email)) is not None and open_one.expires_ms > now_ms:
            return "invited"
        if emails[one.email] > 1:
            return "twice"
        if not set(one.location_ids) <= set(places):
            return "location"
        if one.access_group_id is not None and one.access_group_id not in groups:
            return "group"
        if owned & set(one.tags):
            return "tag"
        return "tag_twice" if any(all_tags[tag] > 1 for tag in one.tags) else None

    return {n: problem for n, one in enumerate(wanted) if (problem := of(one)) is not None}


class Invitations:
    """Makes and mails invitations. It keeps nothing itself: as many as one likes may be made."""

    def __init__(self, db: Database, bus: Bus, clock: NowMs, mail: Mail, audit: Audit, write: Write) -> None:
        self._db = db
        self._bus = bus
        self._clock = clock
        self._mail = mail
        self._audit = audit
        self._write = write

    async def invite(
        self, actor: Actor, scope: Scope, wanted: Sequence[NewInvitation], places: Sequence[int]
    ) -> dict[int, Problem]:
        """Invite all, or none: then what stands in the way of whom. Raises RefusedError, NoRoomError, TooManyError."""
        now_ms, organisation_id = self._clock.now_ms(), scope.organisation_id
        async with self._db.transaction() as tx:
            await hold(tx, scope, now_ms)
            found = await problems(tx, scope, wanted, places, now_ms)
            if found or not wanted:
                return found
            await plans.room_for(tx, organisation_id, "people", len(wanted), now_ms=now_ms)
            if await store.count_since(tx, organisation_id, now_ms - DAY_MS) + len(wanted) > DAY_BOUND:
                raise TooManyError
            await store.forget(tx, organisation_id, now_ms - KEPT_DAYS * DAY_MS)
            nobodys = [secrets.token_bytes(TOKEN_BYTES) for _ in wanted]
            await store.add_many(
                tx, organisation_id, wanted, nobodys, person_id=actor.person_id, person_name=actor.name, now_ms=now_ms,
                expires_ms=now_ms + LINK_DAYS * DAY_MS,
            )  # fmt: skip
            roles = dict(Counter(one.role for one in wanted))
            about = About(kind="organisation", id=organisation_id)
            await self._audit.record(
                tx, actor, "people.invited", about, organisation_id=organisation_id, count=len(wanted), roles=roles
            )
            if await self._send_some(tx, organisation_id, actor):
                payload = json.dumps({"organisation_id": organisation_id, "name": actor.name, "address": actor.address})
                await jobs.enqueue(tx, JOB_KIND, payload, now_ms)
                self._bus.publish(Hint("job", organisation_id))
        return {}

    async def found(self, actor: Actor, new: NewOrganisation) -> int:
        """Make an organisation and invite its super-admin; returns its id. For who operates the installation."""
        now_ms = self._clock.now_ms()
        first = NewInvitation(email=new.email, role="super-admin", language=new.language)
        async with self._db.transaction() as tx:
            made = await organisations.create(tx, name=new.name, plan=new.plan, now_ms=now_ms)
            await organisations.create_location(tx, made, name=new.location, time_zone=new.time_zone, now_ms=now_ms)
            about = About(kind="organisation", id=made, name=new.name)
            await self._audit.record(tx, actor, "organisation.created", about, organisation_id=made, plan=new.plan)
            await store.add_many(
                tx, made, [first], [secrets.token_bytes(TOKEN_BYTES)], person_id=actor.person_id,
                person_name=actor.name, now_ms=now_ms, expires_ms=now_ms + LINK_DAYS * DAY_MS,
            )  # fmt: skip
            await self._send_some(tx, made, actor)
        return made

    async def deliver(self, payload: str) -> None:
        """The handler of jobs: write the mails that are still to be written."""
        told = json.loads(payload)
        organisation_id = int(told["organisation_id"])
        more = True
        while more:
            async with self._db.transaction() as tx:
                more = await self._send_some(tx, organisation_id, None, told["address"])

    async def _send_some(self, tx: Transaction, organisation_id: int, actor: Actor | None, address: str = "") -> bool:
        """Write some of the mails; whether there may be more."""
        rows = await store.unsent(tx, organisation_id, SENT_AT_ONCE)
        for row in rows:
            is_theirs = actor is not None and actor.person_id == row.person_id
            by = actor if actor and is_theirs else Actor(row.person_id, row.person_name, address)
            await self._send(tx, by, row, row.expires_ms, "person.invited")
        return len(rows) == SENT_AT_ONCE

    async def _send(self, tx: Transaction, actor: Actor, row: Row, expires_ms: int, action: str) -> None:
        """Make a token and mail it: the link before, if there was one, stops working."""
        token, now_ms = secrets.token_urlsafe(TOKEN_BYTES), self._clock.now_ms()
        await store.send(tx, row.organisation_id, row.id, token_hash(token), now_ms, expires_ms)
        subject, body = self._write(row, token)
        key = f"invitation {token_hash(token).hex()}"
        await self._mail.enqueue(tx, recipient=row.email, subject=subject, body=body, key=key)
        known = await people.by_email(tx, row.email)
        about = About(kind="invitation", id=row.id, name=row.email, person_id=known.id if known else None)
        await self._audit.record(tx, actor, action, about, organisation_id=row.organisation_id, role=row.role)

    async def resend(self, actor: Actor, scope: Scope, invitation_id: int) -> Row | Wait | None:
        """Mail a new link for as long as a first one; the invitation, or how long to wait, or None: it is not open.

        Raises RefusedError, NoRoomError.
        """
        now_ms = self._clock.now_ms()
        async with self._db.transaction() as tx:
            await hold(tx, scope, now_ms)
            row = await store.by_id(tx, scope.organisation_id, invitation_id)
            state = state_of(row, now_ms)
            if row is None or state not in (None, "expired") or not may_give(scope, row.role):
                return None
            until_ms = store.link_until(now_ms + LINK_DAYS * DAY_MS, row.membership_expires_ms)
            if until_ms <= now_ms:
                return None
            if row.sent_ms is not None and row.sent_ms + RESEND_EVERY_MS > now_ms:
                return Wait(row.sent_ms + RESEND_EVERY_MS - now_ms)
            if state == "expired":
                await plans.room_for(tx, scope.organisation_id, "people", now_ms=now_ms)
            await self._send(tx, actor, row, until_ms, "invitation.resent")
        return row

    async def revoke(self, actor: Actor, scope: Scope, invitation_id: int) -> Row | None:
        """Take an invitation back: its link stops working. None: it is not open. Raises RefusedError."""
        now_ms = self._clock.now_ms()
        async with self._db.transaction() as tx:
            await hold(tx, scope, now_ms)
            row = await store.by_id(tx, scope.organisation_id, invitation_id)
            if row is None or not may_give(scope, row.role):
                return None
            if not await store.revoke(tx, scope.organisation_id, invitation_id, now_ms):
                return None
            about = About(kind="invitation", id=row.id, name=row.email)
            await self._audit.record(tx, actor, "invitation.revoked", about, organisation_id=scope.organisation_id)
        return row

    async def accept(self, token: str, who: int | NewAccount, address: str) -> Accepted:
        """Make a member of the person with this id, or of a new account. Of two at once one wins.

        Raises OverError, AccountExistsError, NoRoomError, and RefusedError for the person of another address.
        """
        return await self._accept(token_hash(token), who, address)

    async def accept_for(self, organisation_id: int, email: str, new: NewAccount, address: str) -> Accepted | None:
        """Accept the open invitation to an address that the organisation's identity provider vouches for, for whoever has it
        here, or for a new account. None: there is no invitation (any more). Raises NoRoomError."""
        key = await store.open_key(self._db, organisation_id, email)
        person = await people.by_email(self._db, email)
        try:
            return await self._accept(key, person.id if person else new, address) if key else None
        except (OverError, AccountExistsError, RefusedError):
            return None

    async def _accept(self, key: bytes, who: int | NewAccount, address: str) -> Accepted:
        now_ms = self._clock.now_ms()
        try:
            async with self._db.transaction() as tx:
                row = await store.by_token(tx, key)
                if row is None:
                    raise OverError("unknown")
                await people.lock_members(tx, row.organisation_id)
                if not await store.take(tx, key, now_ms):
                    raise OverError(state_of(await store.by_token(tx, key), now_ms) or "unknown")
                person_id, name = await self._person(tx, row, who, now_ms)
                if await people.member(tx, row.organisation_id, person_id) is None:
                    await plans.room_for(tx, row.organisation_id, "people", now_ms=now_ms, invited=False)
                    await self._join(tx, row, person_id, now_ms)
                await self._give(tx, row, person_id, name, now_ms)
                about = About(kind="person", id=person_id, name=f"{name} <{row.email}>", person_id=person_id)
                await self._audit.record(
                    tx, Actor(person_id, name, address), "person.joined", about, organisation_id=row.organisation_id,
                    role=row.role,
                )  # fmt: skip
        except Conflict:
            raise AccountExistsError from None
        return Accepted(person_id, row.organisation_id)

    async def _person(self, tx: Transaction, row: Row, who: int | NewAccount, now_ms: int) -> tuple[int, str]:
        if isinstance(who, NewAccount):
            made = await people.add_person(
                tx, email=row.email, name=who.name, password_hash=who.password_hash, language=who.language,
                operates_installation=False, now_ms=now_ms,
            )  # fmt: skip
            return made, who.name
        person = await people.by_id(tx, who)
        if person is None or person.email != row.email or person.disabled:
            raise RefusedError("role")
        return person.id, person.name

    async def _join(self, tx: Transaction, row: Row, person_id: int, now_ms: int) -> None:
        await people.add_membership(
            tx, person_id=person_id, organisation_id=row.organisation_id, role=row.role, now_ms=now_ms,
            expires_ms=row.membership_expires_ms,
        )  # fmt: skip
        places = await store.locations_of(tx, row.organisation_id, row.id)
        await people.set_locations(
            tx,
            person_id=person_id,
            organisation_id=row.organisation_id,
            location_ids=[place.id for place in places] if row.role != "super-admin" else [],
        )

    async def _give(self, tx: Transaction, row: Row, person_id: int, name: str, now_ms: int) -> None:
        """What comes with it: an access group, tags."""
        if row.access_group_id is not None:
            await store.join_group(tx, row.organisation_id, row.access_group_id, person_id)
        wanted = msgspec.json.decode(row.tags, type=list[str])
        await store.give_tags(tx, row.organisation_id, wanted, person_id, name, now_ms)
