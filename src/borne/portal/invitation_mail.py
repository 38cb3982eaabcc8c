"""The mail of an invitation: in its own language, with a link that starts with the portal's own address, whatever asked."""

from __future__ import annotations

from babel.dates import format_datetime

from borne.engine.invitations import Write
from borne.portal import language as languages
from borne.portal.formats import instant
from borne.portal.language import N_, SOURCE_LANGUAGE, translations
from borne.portal.roles import ROLE_WORDS
from borne.store.db import Row

SUBJECT = N_("%(organisation)s invites you to Borne")
BODY = N_(
    "Hello,\n\n%(person)s invites you to %(organisation)s at Borne, as: %(role)s.\n\nAccept here until %(until)s UTC:\n\n"
    "%(link)s\n\nThe link works once, and for you alone: keep it to yourself. If you do not know who this is, ignore this"
    " mail: nothing happens.\n"
)
TEMPORARY = N_("Your access lasts until %(until)s UTC.\n")


def writer(public_url: str) -> Write:
    """What writes the mails of a portal with this address."""

    def write(row: Row, token: str) -> tuple[str, str]:
        language = languages.known(row.language) or SOURCE_LANGUAGE
        say, locale = translations(language).gettext, languages.locale(language)

        def day(at_ms: int) -> str:
            return str(format_datetime(instant(at_ms), "d MMMM y, HH:mm", locale=locale))

        values = {
            "organisation": row.organisation_name,
            "person": row.person_name,
            "role": say(ROLE_WORDS[row.role]),
            "until": day(row.expires_ms),
            "link": f"{public_url}/invitations/{token}",
        }
        body = say(BODY) % values
        if row.membership_expires_ms is not None:
            body += "\n" + say(TEMPORARY) % {"until": day(row.membership_expires_ms)}
        return say(SUBJECT) % values, body

    return write
