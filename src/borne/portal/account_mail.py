"""The mail that tells somebody what happened to the security of their account."""

from __future__ import annotations

import secrets

from borne.portal import language as languages
from borne.portal.agents import describe_agent
from borne.portal.frame import PageView
from borne.portal.language import N_
from borne.store import people
from borne.store.db import Transaction

SUBJECT = N_("The security of your account at Borne")
BODY = N_(
    "Hello %(name)s,\n\n%(what)s\n\nWhen: %(when)s\nFrom: %(address)s, %(browser)s\n\n"
    "If that was you, there is nothing to do. If not, choose a new password now:\n\n%(link)s\n\n"
    "and tell the super-admin of your organisation.\n"
)


async def write(tx: Transaction, page: PageView, person_id: int, what: str, key: str = "") -> None:
    """Mail a sentence (translated here, into the person's language), with when and from where. `key`: at most one mail for it."""
    person = await people.by_id(tx, person_id)
    if person is None:
        return
    language = languages.known(person.language) or page.language
    say, now_ms = languages.translations(language).gettext, page.services.clock.now_ms()
    body = say(BODY) % {
        "name": person.name,
        "what": say(what),
        "when": page.frame.formats[language].absolute(now_ms),
        "address": page.address or "–",
        "browser": describe_agent(page.request.headers.get("user-agent", "")),
        "link": f"{page.services.settings.public_url}/forgotten",
    }
    subject = say(SUBJECT)
    key = key or f"security {person_id} {secrets.token_hex(8)}"
    await page.services.mail.enqueue(tx, recipient=person.email, subject=subject, body=body, key=key)
