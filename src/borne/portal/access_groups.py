"""Access groups: which users may charge at which chargers.

An admin of locations gives and takes the chargers of those. What concerns a whole group (its name, its people, its end) is theirs
as long as all its chargers are: nobody takes away, or gives, what lies at the locations of another admin.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from litestar import Response, get, post
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

from borne.engine.audit import About
from borne.portal import choice
from borne.portal.access import access_of
from borne.portal.errors import PageError
from borne.portal.forms import Form, number_of, text_of
from borne.portal.frame import Page, PageView
from borne.store import access_groups as store
from borne.store import charger_list
from borne.store.access_groups import Counts
from borne.store.choice import Holder
from borne.store.db import Conflict, Row, Transaction

NAME_BOUND = 60
PAGE_ROWS = 50
TOLD_AT_ONCE = 200  # people whose pages follow at once; those of more follow within a second
NAMES_SHOWN = 20


# ---- the list ----------------------------------------------------------------------------------------------------


@get("/access-groups", may="manage_access_groups")
async def groups(page: Page) -> Response[str]:
    """The page, or for htmx its list."""
    context = await _list(page)
    if page.is_part:
        return page.part("access_groups/list.html", **context)
    return page.show("access_groups/index.html", **context)


async def _list(page: Page) -> dict[str, Any]:
    asked = page.request.query_params
    query = " ".join(asked.get("q", "").replace("\0", "").split())[: choice.QUERY_BOUND]
    words = charger_list.words_of(query)
    known = await store.listed(page.services.db, page.scope)
    found = [row for row in known if all(word in charger_list.fold(row.name) for word in words)]
    found.sort(key=lambda row: charger_list.search_text(row.name))
    pages = max(1, -(-len(found) // PAGE_ROWS))
    at = min(max(number_of(asked.get("page", ""), 6) or 1, 1), pages)
    shown = found[(at - 1) * PAGE_ROWS : at * PAGE_ROWS]
    counts = await store.counts(page.services.db, page.scope, [row.id for row in shown])
    return {
        "lines": [(row, counts[row.id]) for row in shown],
        "known": len(known),
        "total": len(found),
        "q": query,
        "at": at,
        "pages": pages,
        "problem": "",
        "name": "",
    }


@post("/access-groups", may="manage_access_groups", status_code=200)
async def add(page: Page, data: Form) -> Response[str]:
    """A new group, empty."""
    name, services = text_of(data, "name", NAME_BOUND + 1), page.services
    problem = _name_problem(page, name)
    if not problem:
        try:
            async with services.db.transaction() as tx:
                group_id = await store.add(tx, page.scope.organisation_id, name, services.clock.now_ms())
                await page.audit(tx, "access_group.added", _about(group_id, name))
        except Conflict:
            problem = page._("Another group has this name.")
        else:
            toast = page._("%(group)s is made: choose its chargers.", group=name)
            return page.go(f"/access-groups/{group_id}", toast=toast)
    return page.show("access_groups/index.html", 422, **(await _list(page) | {"problem": problem, "name": name}))


def _name_problem(page: PageView, name: str) -> str:
    if not name:
        return page._("Please fill this in.")
    return page._("%(bound)s characters at most.", bound=NAME_BOUND) if len(name) > NAME_BOUND else ""


def _about(group_id: int, name: str) -> About:
    return About(kind="access_group", id=group_id, name=name)


# ---- one group ---------------------------------------------------------------------------------------------------


async def _group(page: Page, group_id: int) -> dict[str, Any]:
    """The group, and what is in it. Raises NotFoundException for one out of sight."""
    row = await store.one(page.services.db, page.scope, group_id)
    if row is None:
        raise NotFoundException
    counts = (await store.counts(page.services.db, page.scope, [group_id]))[group_id]
    return {"group": row, "counts": counts, "is_mine": not counts.elsewhere, "problem": ""}


@get("/access-groups/{access_group_id:int}", may="manage_access_groups")
async def group(page: Page, access_group_id: FromPath[int]) -> Response[str]:
    """Its chargers."""
    return await _chargers(page, access_group_id)


async def _chargers(page: Page, group_id: int, status_code: int = 200, **problem: str) -> Response[str]:
    context = await _group(page, group_id) | problem
    found = await choice.chargers(page, Holder("group", group_id), True, f"/access-groups/{group_id}")
    answer: Response[str] = choice.show(
        page, "access_groups/group.html", found, **context, tab="chargers", what="charger", do="remove",
        action=f"/access-groups/{group_id}/chargers",
    )  # fmt: skip
    answer.status_code = status_code
    return answer


@get("/access-groups/{access_group_id:int}/chargers/add", may="manage_access_groups")
async def choose_chargers(page: Page, access_group_id: FromPath[int]) -> Response[str]:
    """The chargers that could be in it."""
    context, path = await _group(page, access_group_id), f"/access-groups/{access_group_id}"
    found = await choice.chargers(page, Holder("group", access_group_id), False, f"{path}/chargers/add")
    answer: Response[str] = choice.show(
        page, "access_groups/choose.html", found, **context, what="charger", do="add", action=f"{path}/chargers",
        back=path,
    )  # fmt: skip
    return answer


@get("/access-groups/{access_group_id:int}/people", may="manage_access_groups")
async def people(page: Page, access_group_id: FromPath[int]) -> Response[str]:
    """Who is in it."""
    context, path = await _group(page, access_group_id), f"/access-groups/{access_group_id}/people"
    found = await choice.people(page, access_group_id, True, path)
    answer: Response[str] = choice.show(
        page, "access_groups/group.html", found, **context, tab="people", what="person", do="remove", action=path,
        locked=not context["is_mine"],
    )  # fmt: skip
    return answer


@get("/access-groups/{access_group_id:int}/people/add", may="manage_access_groups")
async def choose_people(page: Page, access_group_id: FromPath[int]) -> Response[str]:
    """The users that could be in it."""
    context, path = await _group(page, access_group_id), f"/access-groups/{access_group_id}/people"
    _check_mine(page, context["counts"])
    found = await choice.people(page, access_group_id, False, f"{path}/add")
    answer: Response[str] = choice.show(
        page, "access_groups/choose.html", found, **context, what="person", do="add", action=path, back=path
    )
    return answer


def _check_mine(page: PageView, counts: Counts) -> None:
    if counts.elsewhere:
        text = page.ngettext(
            "%(n)s charger of this group is at a location that others run: only a super-admin changes its name and its people.",
            "%(n)s chargers of this group are at locations that others run: only a super-admin changes its name and its people.",
            counts.elsewhere,
        )
        raise PageError(409, text)


# ---- changing ----------------------------------------------------------------------------------------------------


async def _hold(page: Page, tx: Transaction, group_id: int, *, whole: bool) -> Row:
    """Lock a group that the visitor sees. `whole`: what follows concerns all of it."""
    if await store.one(tx, page.scope, group_id) is None:
        raise NotFoundException
    row = await store.hold(tx, page.scope.organisation_id, group_id)
    if row is None:
        raise NotFoundException
    if whole:
        _check_mine(page, (await store.counts(tx, page.scope, [group_id]))[group_id])
    return row


def _tell(page: PageView, person_ids: Sequence[int]) -> None:
    for person_id in person_ids[:TOLD_AT_ONCE]:
        access_of(page.request).changed(person_id)


@post("/access-groups/{access_group_id:int}", may="manage_access_groups", status_code=200)
async def rename(page: Page, access_group_id: FromPath[int], data: Form) -> Response[str]:
    """Give it another name."""
    name, organisation_id = text_of(data, "name", NAME_BOUND + 1), page.scope.organisation_id
    problem = _name_problem(page, name)
    if problem:
        return await _chargers(page, access_group_id, 422, problem=problem, typed=name)
    try:
        async with page.services.db.transaction() as tx:
            row = await _hold(page, tx, access_group_id, whole=True)
            await store.rename(tx, organisation_id, access_group_id, name)
            about = _about(access_group_id, name)
            await page.audit(tx, "access_group.renamed", about, before={"name": row.name}, after={"name": name})
    except Conflict:
        problem = page._("Another group has this name.")
        return await _chargers(page, access_group_id, 422, problem=problem, typed=name)
    return page.go(f"/access-groups/{access_group_id}", toast=page._("Saved."))


@post("/access-groups/{access_group_id:int}/chargers", may="manage_access_groups", status_code=200)
async def change_chargers(page: Page, access_group_id: FromPath[int], data: Form) -> Response[str]:
    """Put chargers in, or take them out: those of the visitor's own locations."""
    organisation_id, adds = page.scope.organisation_id, text_of(data, "do") == "add"
    await _group(page, access_group_id)
    ids = await choice.ticked_chargers(page, data, Holder("group", access_group_id), held=not adds)
    async with page.services.db.transaction() as tx:
        row = await _hold(page, tx, access_group_id, whole=False)
        change = store.add_chargers if adds else store.take_chargers
        count = await change(tx, organisation_id, access_group_id, ids)
        if count:
            action = "access_group.chargers_added" if adds else "access_group.chargers_removed"
            await page.audit(tx, action, _about(access_group_id, row.name), count=count, chargers=ids[:NAMES_SHOWN])
        affected = await store.people_of(tx, organisation_id, access_group_id)
    _tell(page, affected if count else ())
    words = (
        page.ngettext("%(n)s charger added.", "%(n)s chargers added.", count)
        if adds
        else page.ngettext("%(n)s charger removed.", "%(n)s chargers removed.", count)
    )
    # An admin who took out the last charger of their own sees the group no more.
    is_seen = await store.one(page.services.db, page.scope, access_group_id) is not None
    return page.go(f"/access-groups/{access_group_id}" if is_seen else "/access-groups", toast=words)


@post("/access-groups/{access_group_id:int}/people", may="manage_access_groups", status_code=200)
async def change_people(page: Page, access_group_id: FromPath[int], data: Form) -> Response[str]:
    """Let users in, or out."""
    organisation_id, adds = page.scope.organisation_id, text_of(data, "do") == "add"
    await _group(page, access_group_id)
    ids = await choice.ticked_people(page, data, access_group_id, held=not adds)
    async with page.services.db.transaction() as tx:
        row = await _hold(page, tx, access_group_id, whole=True)
        change = store.add_people if adds else store.take_people
        count = await change(tx, organisation_id, access_group_id, ids)
        if count:
            action = "access_group.people_added" if adds else "access_group.people_removed"
            await page.audit(tx, action, _about(access_group_id, row.name), count=count, people=ids[:NAMES_SHOWN])
    _tell(page, ids)
    words = (
        page.ngettext("%(n)s user added.", "%(n)s users added.", count)
        if adds
        else page.ngettext("%(n)s user removed.", "%(n)s users removed.", count)
    )
    return page.go(f"/access-groups/{access_group_id}/people", toast=words)


@get("/access-groups/{access_group_id:int}/delete", may="manage_access_groups")
async def ask_delete(page: Page, access_group_id: FromPath[int]) -> Response[str]:
    """Who loses access to what."""
    context = await _group(page, access_group_id)
    _check_mine(page, context["counts"])
    found = await choice.people(page, access_group_id, True, "")
    return page.show("access_groups/delete.html", **context, people=found.rows[:NAMES_SHOWN])


@post("/access-groups/{access_group_id:int}/delete", may="manage_access_groups", status_code=200)
async def delete(page: Page, access_group_id: FromPath[int]) -> Response[str]:
    """Delete it. Who is in it keeps what they may use otherwise."""
    organisation_id = page.scope.organisation_id
    async with page.services.db.transaction() as tx:
        row = await _hold(page, tx, access_group_id, whole=True)
        affected = await store.people_of(tx, organisation_id, access_group_id)
        await store.remove(tx, organisation_id, access_group_id)
        await page.audit(tx, "access_group.deleted", _about(access_group_id, row.name), people=len(affected))
    _tell(page, affected)
    return page.go("/access-groups", toast=page._("%(group)s was deleted.", group=row.name))


ROUTES = [
    groups, add, group, choose_chargers, people, choose_people, rename, change_chargers, change_people, ask_delete, delete,
]  # fmt: skip
