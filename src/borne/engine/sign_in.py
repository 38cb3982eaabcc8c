"""Who gets in through an organisation's identity provider: members, and whoever it has invited. The provider alone makes nobody
a member, and opens nothing but that organisation."""

from __future__ import annotations

from typing import Literal

import msgspec

from borne.core.actor import Actor
from borne.engine.audit import About, Audit
from borne.engine.clock import NowMs
from borne.engine.invitations import Invitations, NewAccount
from borne.engine.oidc import Claims
from borne.store import identity_providers as store
from borne.store import people
from borne.store.db import Database, Row, Transaction

Refusal = Literal["no_email", "unverified", "stranger", "linked"]


class NotAdmittedError(Exception):
    """The provider knows them; the organisation does not let them in."""

    def __init__(self, why: Refusal) -> None:
        super().__init__(why)
        self.why = why


class Admitted(msgspec.Struct, frozen=True):
    """Whom the provider's word stands for. `joined`: they accepted their invitation by it."""

    person_id: int
    joined: bool = False


class SignIn:
    """Decides, and keeps whom a provider knows by which word."""

    def __init__(self, db: Database, clock: NowMs, audit: Audit, invitations: Invitations) -> None:
        self._db = db
        self._clock = clock
        self._audit = audit
        self._invitations = invitations

    async def admit(self, provider: Row, claims: Claims, language: str | None, address: str) -> Admitted:
        """The person whom these claims name. Raises NotAdmittedError, and NoRoomError for an invitation."""
        organisation_id = provider.organisation_id
        known = await store.by_subject(self._db, organisation_id, provider.id, claims.subject)
        if known is not None:
            if known.disabled:
                raise NotAdmittedError("stranger")
            if await self._is_member(organisation_id, known.id):
                return Admitted(known.id)
        if claims.email is None:
            raise NotAdmittedError("unverified" if claims.unverified_email else "no_email")
        if known is not None and known.email != claims.email:
            raise NotAdmittedError("stranger")
        person = await people.by_email(self._db, claims.email)
        if person is not None and person.disabled:
            raise NotAdmittedError("stranger")
        if person is not None and await self._is_member(organisation_id, person.id):
            await self._link(provider, claims.subject, person.id, address)
            return Admitted(person.id)
        new = NewAccount(claims.name or claims.email.partition("@")[0][:100], None, language)
        accepted = await self._invitations.accept_for(organisation_id, claims.email, new, address)
        if accepted is None:
            raise NotAdmittedError("stranger")
        await self._link(provider, claims.subject, accepted.person_id, address)
        return Admitted(accepted.person_id, joined=True)

    async def _is_member(self, organisation_id: int, person_id: int) -> bool:
        member = await people.member(self._db, organisation_id, person_id)
        return member is not None and (member.expires_ms is None or member.expires_ms > self._clock.now_ms())

    async def _link(self, provider: Row, subject: str, person_id: int, address: str) -> None:
        """Keep that the provider knows this person by this word. It knows nobody by two: an address that was given to somebody
        else there must not open what the one before them had."""
        async with self._db.transaction() as tx:
            await people.lock_members(tx, provider.organisation_id)
            known = await store.by_subject(tx, provider.organisation_id, provider.id, subject)
            if known is not None and known.id == person_id:
                return
            if known is not None or await store.is_linked(tx, provider.organisation_id, provider.id, person_id):
                raise NotAdmittedError("linked")
            await store.link(tx, provider.id, subject, person_id, self._clock.now_ms())
            await self._record(tx, provider, person_id, address)

    async def _record(self, tx: Transaction, provider: Row, person_id: int, address: str) -> None:
        person = await people.by_id(tx, person_id)
        if person is not None:
            about = About(kind="person", id=person_id, name=person.email, person_id=person_id)
            actor, organisation_id = Actor(person_id, person.name, address), provider.organisation_id
            await self._audit.record(
                tx, actor, "person.identity_linked", about, organisation_id=organisation_id, provider=provider.name
            )
