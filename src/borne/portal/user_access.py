"""What a user may use: chargers of their own, access groups, badges. Part of the page of a person, and pages to add many.

An admin gives and takes what lies in their locations alone; what the locations of others give stays.
"""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Response, get, post
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

from borne.core import policy
from borne.engine.audit import About
from borne.portal import choice, tag_form
from borne.portal.access import access_of
from borne.portal.errors import PageError
from borne.portal.forms import Form, number_of, values_of
from borne.portal.frame import Page, PageView
from borne.portal.tags import keep, look_of, pasted
from borne.store import access_groups as group_store
from borne.store import assignments, people, people_list, tag_list
from borne.store import choice as choice_store
from borne.store.choice import Holder, Wanted
from borne.store.db import Row, Transaction

SHOWN = 10  # chargers on the page of a person; the others a link away


class Membership(msgspec.Struct, frozen=True):
    """A group of somebody, or one they could be in. `is_mine`: the visitor may put them in and take them out."""

    row: Row
    counts: group_store.Counts
    holds: bool
    is_mine: bool


async def access_of_person(page: PageView, person: Row) -> dict[str, Any]:
    """What `users/access.html` shows: `access` with chargers, groups and badges of a member (store.people.member)."""
    db, scope, holder = page.services.db, page.scope, Holder("person", person.id)
    held = Wanted(held=True)
    memberships = await _groups(page, person.id)
    return {
        "access": {
            "person": person,
            "is_user": person.role == "user",
            "chargers": await choice_store.charger_rows(db, scope, holder, held, limit=SHOWN),
            "total": await choice_store.charger_count(db, scope, holder, held),
            "elsewhere": await assignments.elsewhere(db, scope, person.id),
            "groups": [one for one in memberships if one.holds],
            "tags": [(row, look_of(page, row)) for row in await tag_list.of_person(db, scope, person.id)],
            "may_assign": policy.permits(scope, "manage_access"),
            "may_group": policy.permits(scope, "manage_access_groups"),
            "needs_plan": policy.missing_feature(scope, "manage_access_groups") is not None,
            "may_tag": policy.permits(scope, "manage_tags"),
            "may_own": await tag_list.owner(db, scope, person.id, page.services.clock.now_ms()) is not None,
        }
    }


async def _user(page: PageView, person_id: int) -> Row:
    """A member whom the visitor sees. Raises NotFoundException."""
    db, scope = page.services.db, page.scope
    row = await people.member(db, scope.organisation_id, person_id)
    if row is None or not await people_list.sees(db, scope, person_id, page.services.clock.now_ms()):
        raise NotFoundException
    return row


def _only_users(page: PageView, role: str) -> None:
    if role != "user":
        raise PageError(
            409, page._("Staff use the chargers of their locations: single chargers and groups are for users.")
        )


def _about(person: Row) -> About:
    return About(kind="person", id=person.id, name=person.name, person_id=person.id)


# ---- chargers ----------------------------------------------------------------------------------------------------


@get("/users/{person_id:int}/chargers", may="manage_access")
async def chargers(page: Page, person_id: FromPath[int]) -> Response[str]:
    """Those assigned one by one."""
    return await _chargers(page, person_id, held=True)


@get("/users/{person_id:int}/chargers/add", may="manage_access")
async def choose_chargers(page: Page, person_id: FromPath[int]) -> Response[str]:
    """Those that could be."""
    return await _chargers(page, person_id, held=False)


async def _chargers(page: PageView, person_id: int, *, held: bool) -> Response[str]:
    person, path = await _user(page, person_id), f"/users/{person_id}/chargers"
    if not held:
        _only_users(page, person.role)
    found = await choice.chargers(page, Holder("person", person_id), held, path if held else f"{path}/add")
    answer: Response[str] = choice.show(
        page, "users/chargers.html", found, person=person, what="charger", do="remove" if held else "add", action=path,
        elsewhere=await assignments.elsewhere(page.services.db, page.scope, person_id), is_user=person.role == "user",
    )  # fmt: skip
    return answer


@post("/users/{person_id:int}/chargers", may="manage_access", status_code=200)
async def change_chargers(page: Page, person_id: FromPath[int], data: Form) -> Response[str]:
    """Give chargers, or take them: those of the visitor's own locations."""
    person, adds = await _user(page, person_id), data.get("do") == "add"
    ids = await choice.ticked_chargers(page, data, Holder("person", person_id), held=not adds)
    async with page.services.db.transaction() as tx:
        await _hold(page, tx, person_id, adds)
        change = assignments.add if adds else assignments.take
        count = await change(tx, page.scope.organisation_id, person_id, ids)
        if count:
            action = "person.chargers_added" if adds else "person.chargers_removed"
            await page.audit(tx, action, _about(person), count=count, chargers=ids[: choice_store.PAGE_ROWS])
    access_of(page.request).changed(person_id)
    words = (
        page.ngettext("%(n)s charger added.", "%(n)s chargers added.", count)
        if adds
        else page.ngettext("%(n)s charger removed.", "%(n)s chargers removed.", count)
    )
    return page.go(await _back(page, person_id), toast=words)


async def _hold(page: PageView, tx: Transaction, person_id: int, adds: bool) -> None:
    role = await assignments.hold(tx, page.scope.organisation_id, person_id)
    if role is None:
        raise NotFoundException
    if adds:
        _only_users(page, role)


async def _back(page: PageView, person_id: int) -> str:
    """The person's page, unless the visitor has just taken away what made them see it."""
    now_ms = page.services.clock.now_ms()
    is_seen = await people_list.sees(page.services.db, page.scope, person_id, now_ms)
    return f"/users/{person_id}" if is_seen else "/users"


# ---- groups ------------------------------------------------------------------------------------------------------


async def _groups(page: PageView, person_id: int) -> list[Membership]:
    """The groups that the visitor sees."""
    db, scope = page.services.db, page.scope
    rows = await group_store.listed(db, scope)
    counts = await group_store.counts(db, scope, [row.id for row in rows])
    holds = {row.id for row in await assignments.groups(db, scope.organisation_id, person_id)}
    return [Membership(row, counts[row.id], row.id in holds, not counts[row.id].elsewhere) for row in rows]


@get("/users/{person_id:int}/groups", may="manage_access_groups")
async def groups(page: Page, person_id: FromPath[int]) -> Response[str]:
    """All groups, those of the user ticked."""
    person = await _user(page, person_id)
    _only_users(page, person.role)
    return page.show("users/groups.html", person=person, memberships=await _groups(page, person_id))


@post("/users/{person_id:int}/groups", may="manage_access_groups", status_code=200)
async def change_groups(page: Page, person_id: FromPath[int], data: Form) -> Response[str]:
    """Put the user into what is ticked, and out of the rest; groups with chargers elsewhere stay as they are."""
    person, organisation_id = await _user(page, person_id), page.scope.organisation_id
    ticked = {number for one in values_of(data, "group") if (number := number_of(one)) is not None}
    async with page.services.db.transaction() as tx:
        role = await assignments.hold(tx, organisation_id, person_id)
        known = await _mine_of(page, tx, person_id)
        added = [row for row, holds in known if row.id in ticked and not holds]
        taken = [row for row, holds in known if row.id not in ticked and holds]
        if role is None:
            raise NotFoundException
        if added:
            _only_users(page, role)
        for rows, change, action in (
            (added, group_store.add_people, "access_group.people_added"),
            (taken, group_store.take_people, "access_group.people_removed"),
        ):
            for row in rows:
                await change(tx, organisation_id, row.id, [person_id])
                about = About(kind="access_group", id=row.id, name=row.name, person_id=person_id)
                await page.audit(tx, action, about, person=person.name)
    access_of(page.request).changed(person_id)
    return page.go(await _back(page, person_id), toast=page._("Saved."))


async def _mine_of(page: PageView, tx: Transaction, person_id: int) -> list[tuple[Row, bool]]:
    """The groups that are the visitor's to change, and whether the user is in each."""
    rows = await group_store.listed(tx, page.scope)
    counts = await group_store.counts(tx, page.scope, [row.id for row in rows])
    holds = {row.id for row in await assignments.groups(tx, page.scope.organisation_id, person_id)}
    return [(row, row.id in holds) for row in rows if not counts[row.id].elsewhere]


# ---- badges ------------------------------------------------------------------------------------------------------


@get("/users/{person_id:int}/tags", may="manage_tags")
async def tags(page: Page, person_id: FromPath[int]) -> Response[str]:
    """Give badges to somebody."""
    return _tags_page(page, await _owner(page, person_id))


async def _owner(page: PageView, person_id: int) -> Row:
    """A member who may be given badges by the visitor. Raises NotFoundException, or a PageError that says who may."""
    person = await _user(page, person_id)
    if await tag_list.owner(page.services.db, page.scope, person_id, page.services.clock.now_ms()) is None:
        text = page._(
            "Their access is over, or they charge at locations that others run, too: a super-admin gives them badges."
        )
        raise PageError(409, text)
    return person


def _tags_page(page: PageView, person: Row, status_code: int = 200, **more: Any) -> Response[str]:
    return page.show("users/tags.html", status_code, person=person, **{"text": "", "problems": [], **more})


@post("/users/{person_id:int}/tags", may="manage_tags", status_code=200)
async def add_tags(page: Page, person_id: FromPath[int], data: Form) -> Response[str]:
    """Add badges for somebody: all of them, or none."""
    person, text = await _owner(page, person_id), pasted(data)
    typed = [
        tag_form.Entered(tag=one.tag, name=one.name, email=person.email)
        for one in tag_form.lines_of(text, person.email)
    ]
    if not typed or len(typed) > tag_form.MOST_LINES:
        said = (
            page._("Please fill this in.")
            if not typed
            else page._("%(n)s lines at most at once.", n=tag_form.MOST_LINES)
        )
        return _tags_page(page, person, 422, text=text, problems=[("", said)])
    checked = await tag_form.check(page, typed, new=True)
    problems = [(one.typed.tag.upper(), said) for one in checked for said in one.problems.values()]
    if problems:
        return _tags_page(page, person, 422, text=text, problems=problems)
    count = await keep(page, checked)
    return page.go(f"/users/{person_id}", toast=page.ngettext("%(n)s badge added.", "%(n)s badges added.", count))


ROUTES = [chargers, choose_chargers, change_chargers, groups, change_groups, tags, add_tags]
