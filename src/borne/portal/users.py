"""The Users page: the people of an organisation, its open invitations, one person. The state of the list is its address."""

from __future__ import annotations

from typing import Any, cast
from urllib.parse import urlencode

import msgspec
from litestar import Response, get, post
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

from borne.core import policy
from borne.core.people import ROLES, Refusal
from borne.core.scope import Role
from borne.engine import people as engine
from borne.engine.people import Place, RefusedError
from borne.portal.access import access_of
from borne.portal.agents import describe_agent, is_phone
from borne.portal.errors import PageError
from borne.portal.forms import Form, number_of
from borne.portal.frame import Page
from borne.portal.language import N_
from borne.portal.people_form import (
    REFUSAL_WORDS,
    Choices,
    Common,
    choices,
    common,
    common_errors,
    last_day,
    role_of,
    until_ms,
)
from borne.portal.roles import ROLE_WORDS
from borne.portal.user_access import access_of_person
from borne.store import charger_list, people, people_list
from borne.store.charger_list import PAGE_ROWS
from borne.store.people_list import SORTS, STATES, Entry, Filter, Sort, State

QUERY_BOUND = 100
MAX_PAGE = 100_000
COLUMNS: tuple[tuple[Sort, str], ...] = (("name", N_("Name")), ("role", N_("Role")), ("seen", N_("Last seen")))
STATE_WORDS: dict[State, str] = {
    "active": N_("Active"),
    "temporary": N_("Temporary"),
    "over": N_("Access ended"),
    "invited": N_("Invited"),
    "expired": N_("Invitation expired"),
}


class View(msgspec.Struct, frozen=True, kw_only=True):
    """What the list shows, as its address says it."""

    q: str = ""
    role: Role | None = None
    location_id: int | None = None
    state: State | None = None
    sort: Sort = "name"
    descending: bool = False
    page: int = 1

    @property
    def filter(self) -> Filter:
        words = charger_list.words_of(self.q)
        return Filter(words=words, role=self.role, location_id=self.location_id, state=self.state)

    @property
    def is_filtered(self) -> bool:
        return bool(self.q or self.role or self.state or self.location_id is not None)

    @property
    def sort_word(self) -> str:
        return ("-" if self.descending else "") + self.sort

    def address(self, **changes: Any) -> str:
        """The address of this view with changes; a changed filter or order begins at the first page."""
        changed = msgspec.structs.replace(self, **({"page": 1} | changes))
        fields: dict[str, Any] = {
            "q": changed.q,
            "role": changed.role,
            "location": changed.location_id,
            "state": changed.state,
            "sort": changed.sort_word if changed.sort_word != "name" else None,
            "page": changed.page if changed.page > 1 else None,
        }
        query = urlencode({name: value for name, value in fields.items() if value not in (None, "")})
        return f"/users?{query}" if query else "/users"

    def sorted_by(self, column: Sort) -> str:
        """The address that a column's head leads to."""
        descending = not self.descending if column == self.sort else column == "seen"
        return self.address(sort=column, descending=descending)


def view_of(page: Page) -> View:
    """Read the address. What makes no sense in it is left aside."""
    asked = page.request.query_params
    sort, role, state = asked.get("sort", ""), asked.get("role", ""), asked.get("state", "")
    return View(
        q=" ".join(asked.get("q", "").replace("\0", "").split())[:QUERY_BOUND],
        role=cast(Role, role) if role in ROLES else None,
        location_id=number_of(asked.get("location", "")),
        state=cast(State, state) if state in STATES else None,
        sort=cast(Sort, sort.lstrip("-")) if sort.lstrip("-") in SORTS else "name",
        descending=sort.startswith("-") and sort[1:] in SORTS,
        page=min(max(number_of(asked.get("page", "")) or 1, 1), MAX_PAGE),
    )


class Line(msgspec.Struct, frozen=True):
    """What the list shows of a member or an invitation. `until_ms`: the access ends then."""

    entry: Entry
    role: str
    state: State
    word: str
    css: str
    until_ms: int | None


def line_of(page: Page, entry: Entry) -> Line:
    """One line of the list."""
    now_ms, row = page.services.clock.now_ms(), entry.row
    state: State
    if entry.is_invitation:
        until_ms = row.membership_expires_ms
        state = "invited" if row.expires_ms > now_ms else "expired"
    else:
        until_ms = row.expires_ms
        state = "active" if until_ms is None else "temporary" if until_ms > now_ms else "over"
    css = {
        "active": "ready",
        "temporary": "waiting",
        "over": "gone",
        "invited": "locked hollow",
        "expired": "gone hollow",
    }
    return Line(entry, page._(ROLE_WORDS[row.role]), state, page._(STATE_WORDS[state]), css[state], until_ms)


async def list_context(page: Page, view: View, with_counts: bool = False) -> dict[str, Any]:
    """All that the list shows, and its head where that is wanted."""
    found = await _page(page, view, with_counts)
    pages = max(1, -(-found.total // PAGE_ROWS))
    if view.page > pages:
        view = msgspec.structs.replace(view, page=pages)
        found = await _page(page, view, with_counts)
    return {
        "view": view,
        "lines": [line_of(page, entry) for entry in found.entries],
        "total": found.total,
        "pages": pages,
        "counts": found.counts,
        "first": (view.page - 1) * PAGE_ROWS + 1,
        "columns": COLUMNS,
        "may_invite": policy.permits(page.scope, "invite_people"),
    }


async def _page(page: Page, view: View, with_counts: bool) -> people_list.Page:
    return await people_list.page(
        page.services.db,
        page.scope,
        view.filter,
        page.services.clock.now_ms(),
        sort=view.sort,
        descending=view.descending,
        offset=(view.page - 1) * PAGE_ROWS,
        with_counts=with_counts,
    )


@get("/users", may="see_people")
async def users(page: Page) -> Response[str]:
    """The page, or for htmx its list."""
    view, db = view_of(page), page.services.db
    context = await list_context(page, view, not page.is_part)
    if page.is_part:
        answer = page.part("users/list.html", **context)
        answer.headers["hx-push-url"] = context["view"].address(page=context["view"].page)
        return answer
    return page.show(
        "users/index.html",
        **context,
        places=await charger_list.places(db, page.scope),
        roles=[(role, page._(ROLE_WORDS[role])) for role in ROLES],
        states=[(state, page._(word)) for state, word in STATE_WORDS.items()],
    )


# ---- one person ----------------------------------------------------------------------------------------------------------


async def member_row(page: Page, person_id: int) -> Any:
    """The row of a member that the visitor may see."""
    db, scope = page.services.db, page.scope
    row = await people.member(db, scope.organisation_id, person_id)
    if row is None or not await people_list.sees(db, scope, person_id, page.services.clock.now_ms()):
        raise NotFoundException
    return row


@get("/users/{person_id:int}", may="see_people")
async def user(page: Page, person_id: FromPath[int]) -> Response[str]:
    """Who somebody is here, and what may be changed of it."""
    row = await member_row(page, person_id)
    offered = await choices(page)
    places = await people.locations_of(page.services.db, page.scope.organisation_id, person_id)
    typed = Common(
        role=row.role,
        location_ids=tuple(place.id for place in places),
        until=last_day(row.expires_ms, offered.zone) if _is_ahead(page, row.expires_ms) else "",
    )
    return await _show(page, row, typed, offered, {})


async def _show(
    page: Page, row: Any, typed: Common, offered: Choices, errors: dict[str, str], status_code: int = 200
) -> Response[str]:
    db, scope, now_ms = page.services.db, page.scope, page.services.clock.now_ms()
    places = await people.locations_of(db, scope.organisation_id, row.id)
    reached = [place for place in places if scope.location_ids is None or place.id in scope.location_ids]
    return page.show(
        "users/person.html",
        status_code,
        row=row,
        role=page._(ROLE_WORDS[row.role]),
        role_words={role: page._(word) for role, word in ROLE_WORDS.items()},
        places=reached,
        typed=typed,
        offered=offered,
        errors=errors,
        is_me=row.id == scope.person_id,
        is_over=row.expires_ms is not None and row.expires_ms <= now_ms,
        is_ahead=_is_ahead(page, row.expires_ms),
        keep=await _kept(page, await engine.change_refusal(db, scope, row, "user", None)),
        stay=await _kept(page, await engine.removal_refusal(db, scope, row)),
        logins=await people.logins_here(db, scope.organisation_id, row.id, now_ms),
        describe=describe_agent,
        is_phone=is_phone,
        **await access_of_person(page, row),
    )


async def _kept(page: Page, refusal: Refusal | None) -> str | None:
    """Why it cannot be changed, in a sentence; "" for who has no say in it, None: it can."""
    if refusal is None:
        return None
    return "" if refusal == "role" else page._(REFUSAL_WORDS[refusal])


def _is_ahead(page: Page, expires_ms: int | None) -> bool:
    return expires_ms is not None and expires_ms > page.services.clock.now_ms()


@post("/users/{person_id:int}/role", may="change_roles", status_code=200)
async def save(page: Page, person_id: FromPath[int], data: Form) -> Response[str]:
    """Another role, other locations, another end."""
    row, typed, offered = await member_row(page, person_id), common(data), await choices(page)
    errors = common_errors(page, typed, offered)
    if errors:
        return await _show(page, row, typed, offered, errors, 422)
    now_ms = page.services.clock.now_ms()
    expires_ms = until_ms(typed.until, offered.zone, now_ms)
    place = Place(role=role_of(typed), location_ids=typed.location_ids, expires_ms=expires_ms)
    known = [one.id for one in offered.places]
    services = page.services
    try:
        kept = await engine.change(services.db, services.audit, page.actor, page.scope, person_id, place, known, now_ms)
    except RefusedError as error:
        return await _show(page, row, typed, offered, {"form": page._(REFUSAL_WORDS[error.why])}, 409)
    return _done(page, person_id, kept, page._("Saved."))


@post("/users/{person_id:int}/end", may="change_roles", status_code=200)
async def end(page: Page, person_id: FromPath[int]) -> Response[str]:
    """The access ends now; the person stays in the list, and can have it again."""
    row, services = await member_row(page, person_id), page.services
    try:
        kept = await engine.end(services.db, services.audit, page.actor, page.scope, person_id, services.clock.now_ms())
    except RefusedError as error:
        raise PageError(409, page._(REFUSAL_WORDS[error.why])) from None
    return _done(page, person_id, kept, page._("The access of %(person)s has ended.", person=row.name))


@get("/users/{person_id:int}/remove", may="remove_people")
async def ask_remove(page: Page, person_id: FromPath[int]) -> Response[str]:
    """The confirmation of removing."""
    row = await member_row(page, person_id)
    refusal = await engine.removal_refusal(page.services.db, page.scope, row)
    if refusal is not None:
        raise PageError(409, page._(REFUSAL_WORDS[refusal]))
    return page.show("users/remove.html", row=row, is_me=row.id == page.scope.person_id)


@post("/users/{person_id:int}/remove", may="remove_people", status_code=200)
async def remove(page: Page, person_id: FromPath[int]) -> Response[str]:
    """Out of the organisation, at once, in every browser."""
    row, services = await member_row(page, person_id), page.services
    try:
        kept = await engine.remove(
            services.db, services.audit, page.actor, page.scope, person_id, services.clock.now_ms()
        )
    except RefusedError as error:
        raise PageError(409, page._(REFUSAL_WORDS[error.why])) from None
    if not kept:
        raise NotFoundException
    access_of(page.request).changed(person_id)
    if person_id == page.scope.person_id:
        return page.go("/", toast=page._("You have left the organisation."))
    return page.go("/users", toast=page._("%(person)s was removed.", person=row.name))


def _done(page: Page, person_id: int, kept: bool, toast: str) -> Response[str]:
    if not kept:
        raise NotFoundException
    access_of(page.request).changed(person_id)
    return page.go(f"/users/{person_id}", toast=toast)


ROUTES = [users, user, save, end, ask_remove, remove]

assert set(STATE_WORDS) == set(STATES)
