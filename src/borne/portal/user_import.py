"""Inviting people by a CSV file: looked at first, each bad line named, then all of it or nothing.

The file itself is not kept: what was looked at comes back with the confirmation, and is looked at again.
"""

from __future__ import annotations

import asyncio
import csv
import re
from typing import Any

import msgspec
from litestar import Response, get, post

from borne.core.people import OF_LOCATIONS, ROLES, may_give
from borne.core.scope import Role
from borne.engine.invitations import problems
from borne.portal import language as languages
from borne.portal.csv_file import columns_of, key_of, lines_of, uploaded
from borne.portal.forms import EMAIL_BOUND, is_email
from borne.portal.frame import Page
from borne.portal.invitations import send, sent_text
from borne.portal.language import LANGUAGES, N_, translations
from borne.portal.people_form import NAME_BOUND, Choices, choices, problem_text, tags_of, until_ms
from borne.portal.roles import ROLE_WORDS
from borne.store.charger_list import fold
from borne.store.invitations import NewInvitation

ROWS_BOUND = 2_000
FILE_BOUND_BYTES = 1_000_000
SHOWN = 100
COLUMNS: dict[str, tuple[str, ...]] = {
    "email": ("email", "mail", "emailaddress", "courriel", "adressecourriel", "adresseemail", "adressemail"),
    "name": ("name", "fullname", "nom", "nomcomplet", "prenomnom"),
    "role": ("role",),
    "locations": ("locations", "location", "sites", "site", "lieux", "lieu"),
    "group": ("accessgroup", "group", "groupedacces", "groupe"),
    "tags": ("tags", "tag", "rfid", "badges", "badge", "rfidtags", "badgesrfid", "badgerfid"),
    "until": ("until", "accessuntil", "lastday", "jusquau", "dernierjour", "fin"),
    "language": ("language", "langue"),
}  # fmt: skip
EXAMPLE = (N_("email"), N_("name"), N_("role"), N_("locations"), N_("access group"), N_("badges"))


class Wrong(msgspec.Struct, frozen=True):
    """A line that cannot be taken; 0: the file as a whole."""

    line: int
    text: str


class Parsed(msgspec.Struct, frozen=True):
    """What a file says: whom to invite, with the number of the line; and what is wrong."""

    wanted: list[tuple[int, NewInvitation]]
    wrong: list[Wrong]


# ---- reading -----------------------------------------------------------------------------------------------------------


class Reader:
    """Makes invitations of lines: what words mean to this visitor in this organisation."""

    def __init__(self, page: Page, offered: Choices) -> None:
        self._page = page
        self._offered = offered
        self._now_ms = page.services.clock.now_ms()
        self._roles = {
            key_of(word): role
            for role in ROLES
            for word in (role, *(translations(language).gettext(ROLE_WORDS[role]) for language in LANGUAGES))
        }
        self._places: dict[str, list[int]] = {}
        for place in offered.places:
            self._places.setdefault(fold(place.name), []).append(place.id)
        self._groups = {fold(name): group_id for group_id, name in offered.groups.items()}

    def parse(self, text: str) -> Parsed:
        """Read a whole file."""
        try:
            rows = list(lines_of(text))
        except csv.Error:
            return self._not_readable()
        if not rows:
            return Parsed([], [Wrong(0, self._page._("The file is empty."))])
        columns = columns_of(rows[0][1], COLUMNS)
        if "email" not in columns:
            return self._not_readable()
        if len(rows) - 1 > ROWS_BOUND:
            text = self._page._("A file holds %(n)s people at most.", n=self._page.formats.number(ROWS_BOUND))
            return Parsed([], [Wrong(0, text)])
        wanted: list[tuple[int, NewInvitation]] = []
        wrong: list[Wrong] = []
        for number, row in rows[1:]:
            cells = {name: row[place] for name, place in columns.items() if place < len(row)}
            try:
                wanted.append((number, self._invitation(cells)))
            except ValueError as error:
                wrong.append(Wrong(number, str(error)))
        if not wanted and not wrong:
            wrong.append(Wrong(0, self._page._("The file names its columns, and nobody.")))
        return Parsed(wanted, wrong)

    def _not_readable(self) -> Parsed:
        say = self._page._
        return Parsed(
            [], [Wrong(0, say("The first line must name the columns, “email” among them. Is it a CSV file?"))]
        )

    def _invitation(self, cells: dict[str, str]) -> NewInvitation:
        """Raises ValueError with what is wrong, in a sentence."""
        say, email = self._page._, cells.get("email", "").casefold()
        if not is_email(email) or len(email) > EMAIL_BOUND:
            raise ValueError(say("“%(word)s” is no e-mail address.", word=email[:80]))
        role = self._role(cells.get("role", ""))
        location_ids = tuple(dict.fromkeys(map(self._place, _split(cells.get("locations", "")))))
        if role in OF_LOCATIONS and not location_ids:
            raise ValueError(say("%(email)s needs a location: without one they would see nothing.", email=email))
        return NewInvitation(
            email=email,
            name=cells.get("name", "")[:NAME_BOUND],
            role=role,
            location_ids=() if role == "super-admin" else location_ids,
            access_group_id=self._group(cells.get("group", "")),
            tags=tags_of(self._page, _split(cells.get("tags", ""))),
            language=languages.known(cells.get("language", "")[:2].casefold()) or self._page.language,
            membership_expires_ms=self._until(cells.get("until", "")),
        )

    def _role(self, word: str) -> Role:
        role = self._roles.get(key_of(word)) if word else "user"
        if role is None:
            raise ValueError(self._page._("“%(word)s” is no role.", word=word[:80]))
        if not may_give(self._page.scope, role):
            raise ValueError(self._page._("You cannot give this role."))
        return role

    def _place(self, word: str) -> int:
        found = self._places.get(fold(word), [])
        if not found:
            raise ValueError(self._page._("There is no location “%(word)s”.", word=word[:80]))
        if len(found) > 1:
            raise ValueError(self._page._("There are several locations “%(word)s”.", word=word[:80]))
        return found[0]

    def _group(self, word: str) -> int | None:
        if word and fold(word) not in self._groups:
            raise ValueError(self._page._("There is no access group “%(word)s”.", word=word[:80]))
        return self._groups[fold(word)] if word else None

    def _until(self, word: str) -> int | None:
        french = re.fullmatch(r"(\d{1,2})[/.](\d{1,2})[/.](\d{4})", word)  # 24/12/2026
        day = f"{french[3]}-{int(french[2]):02}-{int(french[1]):02}" if french else word
        try:
            return until_ms(day, self._offered.zone, self._now_ms)
        except ValueError:
            raise ValueError(
                self._page._(
                    "“%(word)s” is no last day of access: a day from today on, within five years.", word=word[:40]
                )
            ) from None


def _split(cell: str) -> list[str]:
    return [part.strip() for part in cell.split("|") if part.strip()]


# ---- pages ---------------------------------------------------------------------------------------------------------------


@get("/users/import", may="invite_people")
async def import_page(page: Page) -> Response[str]:
    """Where the file is chosen."""
    return _show(page, Parsed([], []), "")


@post("/users/import", may="invite_people", status_code=200)
async def import_file(page: Page) -> Response[str]:
    """Look at a file and say what it would do; or, confirmed, do it."""
    form: Any = await page.request.form()
    confirmed = form.get("csv")
    text = confirmed if isinstance(confirmed, str) else await uploaded(form.get("file"), FILE_BOUND_BYTES)
    if text is None or len(text.encode("utf-8", "ignore")) > 2 * FILE_BOUND_BYTES:
        why = page._("Choose a file of one megabyte at most.")
        return _show(page, Parsed([], [Wrong(0, why)]), "", 422)
    text = text.encode("utf-8", "ignore").decode()
    offered = await choices(page)
    parsed = await asyncio.to_thread(Reader(page, offered).parse, text)
    parsed = await _checked(page, parsed, offered)
    if parsed.wrong:
        return _show(page, parsed, "", 422)
    if not isinstance(confirmed, str):
        return _show(page, parsed, text)
    wanted = [one for _, one in parsed.wanted]
    found = await send(page, wanted, offered)
    if found:
        return _show(page, Parsed(parsed.wanted, [Wrong(0, sentence) for sentence in found]), "", 422)
    return page.go("/users?state=invited", toast=sent_text(page, len(wanted)))


async def _checked(page: Page, parsed: Parsed, offered: Choices) -> Parsed:
    """Add what the database knows: who is a member, who is invited, whose tags those are."""
    places = [place.id for place in offered.places]
    wanted = [one for _, one in parsed.wanted]
    now_ms = page.services.clock.now_ms()
    found = await problems(page.services.db, page.scope, wanted, places, now_ms)
    wrong = [Wrong(parsed.wanted[n][0], problem_text(page, problem, wanted[n])) for n, problem in found.items()]
    return Parsed(parsed.wanted, sorted([*parsed.wrong, *wrong], key=lambda one: one.line))


def _show(page: Page, parsed: Parsed, text: str, status_code: int = 200) -> Response[str]:
    return page.show(
        "users/import.html",
        status_code,
        wrong=parsed.wrong,
        wanted=parsed.wanted,
        text=text,
        shown=SHOWN,
        example=_example(page),
        rows_bound=ROWS_BOUND,
        role_words={role: page._(word) for role, word in ROLE_WORDS.items()},
    )


def _example(page: Page) -> str:
    operator: Role = "operator"
    role = page._(ROLE_WORDS[operator]).casefold()
    return ";".join(map(page._, EXAMPLE)) + f"\nmarie@example.com;Marie Roux;{role};Lyon|Nantes;;04A1B2C3D4\n"


ROUTES = [import_page, import_file]
