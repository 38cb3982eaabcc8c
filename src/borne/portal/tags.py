"""Badges: all RFID tags of the organisation, whose they are, and whether chargers accept them.

A tag is known by its text, letter case aside, in one organisation. A change counts at once: chargers are answered from the
database.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlencode

from litestar import Response, get, post
from litestar.datastructures import UploadFile
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

from borne.core.tags import TAG_STATES, TagState, state
from borne.engine.audit import About
from borne.portal import tag_form as forms
from borne.portal.csv_file import uploaded
from borne.portal.errors import PageError
from borne.portal.forms import EMAIL_BOUND, Form, number_of, text_of
from borne.portal.frame import Page, PageView
from borne.portal.language import N_
from borne.portal.sessions import zone_of
from borne.portal.statuses import Look
from borne.portal.tag_form import MOST_LINES, Checked, Entered
from borne.store import charger_list, organisations
from borne.store import tag_list as store
from borne.store.db import Row, Transaction
from borne.store.tag_list import PAGE_ROWS, Filter

QUERY_BOUND = 100
MAX_PAGE = 10_000
SAMPLE = ("04A1B2C3D4;%;zoe@example.org;2027-12-31;FLEET", "04A1B2C3D5;;ali@example.org")
TOLD_EACH = 50  # lines of the audit log; more tags at once share one
LOOKS: dict[TagState, Look] = {
    "accepted": Look(N_("Accepted"), "ready"),
    "blocked": Look(N_("Blocked"), "fault"),
    "expired": Look(N_("Expired"), "gone hollow"),
    "unassigned": Look(N_("Of nobody"), "waiting"),
}


# ---- the list ----------------------------------------------------------------------------------------------------


@get("/tags", may="manage_tags")
async def tags(page: Page) -> Response[str]:
    """The page, or for htmx its list."""
    context = await _list(page)
    return page.part("tags/list.html", **context) if page.is_part else page.show("tags/index.html", **context)


async def _list(page: PageView) -> dict[str, Any]:
    asked, now_ms = page.request.query_params, page.services.clock.now_ms()
    query = " ".join(asked.get("q", "").replace("\0", "").split())[:QUERY_BOUND]
    chosen = next((one for one in TAG_STATES if one == asked.get("state")), None)
    at = min(max(number_of(asked.get("page", ""), 6) or 1, 1), MAX_PAGE)
    wanted = Filter(words=charger_list.words_of(query), state=chosen)
    rows = await store.page(page.services.db, page.scope, wanted, now_ms, (at - 1) * PAGE_ROWS)
    return {
        "lines": [(row, look_of(page, row), quote(row.tag, safe="")) for row in rows[:PAGE_ROWS]],
        "q": query,
        "chosen": chosen,
        "states": [(one, page._(look.word)) for one, look in LOOKS.items()],
        "at": at,
        "more": len(rows) > PAGE_ROWS,
        "is_limited": page.scope.location_ids is not None,
        "address": lambda **change: _address({"q": query, "state": chosen, **change}),
    }


def _address(fields: dict[str, Any]) -> str:
    query = urlencode({name: value for name, value in fields.items() if value})
    return f"/tags?{query}" if query else "/tags"


def look_of(page: PageView, row: Row) -> Look:
    """The word and the dot of a tag. Of somebody who left it says so: it is refused."""
    now_ms = page.services.clock.now_ms()
    word = state(blocked=bool(row.blocked), expires_ms=row.expires_ms, person_id=row.person_id, now_ms=now_ms)
    is_over = row.role is None or row.disabled or (row.until_ms is not None and row.until_ms <= now_ms)
    if word == "accepted" and is_over:
        return Look(page._("Owner left"), "fault hollow")
    return Look(page._(LOOKS[word].word), LOOKS[word].css)


@get("/tags/owners", may="manage_tags")
async def owners(page: Page) -> Response[str]:
    """Members whose name or e-mail holds what is being typed, to choose from."""
    words = charger_list.words_of(page.request.query_params.get("email", "")[:QUERY_BOUND])
    now_ms = page.services.clock.now_ms()
    found = await store.named(page.services.db, page.scope, words, now_ms) if words else []
    return page.part("tags/owners.html", people=found)


# ---- adding ------------------------------------------------------------------------------------------------------


@get("/tags/add", may="manage_tags")
async def add_form(page: Page) -> Response[str]:
    """One tag, many tags, or a table of them."""
    return _add_page(page)


def _add_page(
    page: PageView,
    status_code: int = 200,
    *,
    text: str = "",
    email: str = "",
    checked: list[Checked] | None = None,
    problem: str = "",
) -> Response[str]:
    return page.show(
        "tags/add.html",
        status_code,
        text=text,
        email=email,
        checked=checked,
        bad=sum(bool(one.problems) for one in checked or ()),
        problem=problem,
        sample=[line.replace("%", page._("Blue badge")) for line in SAMPLE],
    )


@post("/tags/add", may="manage_tags", status_code=200)
async def add(page: Page) -> Response[str]:
    """Check what was pasted or what a file holds, and add all of it, or nothing."""
    data = dict(await page.request.form())
    email, file = text_of(data, "email", EMAIL_BOUND).casefold(), data.get("file")
    text = await uploaded(file, forms.TEXT_BOUND) or pasted(data)
    typed = forms.lines_of(text, email)
    is_too_large = isinstance(file, UploadFile) and bool(file.filename) and not text
    problem = _too_many(page) if is_too_large else _paste_problem(page, typed)
    if problem:
        return _add_page(page, 422, text=text, email=email, problem=problem)
    checked = await forms.check(page, typed, new=True)
    if any(one.problems for one in checked):
        return _add_page(page, 422, text=text, email=email, checked=checked)
    if text_of(data, "step") != "add":
        return _add_page(page, text=text, email=email, checked=checked)
    count = await keep(page, checked)
    return page.go("/tags", toast=page.ngettext("%(n)s badge added.", "%(n)s badges added.", count))


def pasted(data: dict[str, Any]) -> str:
    """The field `tags` as it was typed, cut at its bound."""
    text = data.get("tags", "")
    return text[: forms.TEXT_BOUND] if isinstance(text, str) else ""


def _paste_problem(page: PageView, typed: list[Entered]) -> str:
    if not typed:
        return page._("Please fill this in.")
    return _too_many(page) if len(typed) > MOST_LINES else ""


def _too_many(page: PageView) -> str:
    return page._("%(n)s lines at most at once.", n=MOST_LINES)


async def keep(page: PageView, checked: list[Checked]) -> int:
    """Add the tags of lines without a problem; returns how many were new."""
    new = [one.new for one in checked if one.new is not None]
    services, organisation_id = page.services, page.scope.organisation_id
    async with services.db.transaction() as tx:
        known = await store.known(tx, organisation_id, [one.tag for one in new])
        new = [one for one in new if one.tag not in known]
        count = await store.add(tx, organisation_id, new, services.clock.now_ms())
        for one in new[:TOLD_EACH]:
            await page.audit(tx, "tag.added", About(kind="tag", name=one.tag, person_id=one.person_id), label=one.name)
        if len(new) > TOLD_EACH:
            names = [one.tag for one in new[TOLD_EACH:]]
            await page.audit(tx, "tags.added", About(kind="tag"), count=len(names), tags=names)
    return count


# ---- one tag -----------------------------------------------------------------------------------------------------


async def _seen(page: PageView, tag: str) -> Row:
    row = await store.one(page.services.db, page.scope, tag)
    if row is None:
        raise NotFoundException
    return row


async def _held(page: PageView, tx: Transaction, tag: str) -> Row:
    """Lock a tag that the visitor may change. Raises NotFoundException, or a PageError that says who may."""
    await store.hold(tx, page.scope.organisation_id, tag.casefold())
    row = await store.one(tx, page.scope, tag)
    if row is None:
        raise NotFoundException
    if not row.may_change:
        raise PageError(409, _not_yours(page, row))
    return row


def _not_yours(page: PageView, row: Row) -> str:
    if row.person_id is None:
        return page._("A badge of nobody charges at every location: only a super-admin changes it.")
    return page._("Its owner charges at locations that others run, too: only a super-admin changes it.")


@get("/tags/{tag_id:str}", may="manage_tags")
async def tag(page: Page, tag_id: FromPath[str]) -> Response[str]:
    """What is known of it, and the form that changes it."""
    row = await _seen(page, tag_id)
    zone = zone_of(await organisations.zone_of_scope(page.services.db, page.scope, None))
    typed = Entered(
        tag=row.tag, name=row.name, email=row.email or "", expires=forms.day_of(row.expires_ms, zone), group=row.group_tag or ""
    )  # fmt: skip
    return _tag_page(page, row, typed, {})


def _tag_page(
    page: PageView, row: Row, typed: Entered, problems: dict[str, str], status_code: int = 200
) -> Response[str]:
    return page.show(
        "tags/tag.html",
        status_code,
        row=row,
        path="/tags/" + quote(row.tag, safe=""),
        look=look_of(page, row),
        form=typed,
        problems=problems,
        refusal="" if row.may_change else _not_yours(page, row),
        is_limited=page.scope.location_ids is not None,
    )


@post("/tags/{tag_id:str}", may="manage_tags", status_code=200)
async def change(page: Page, tag_id: FromPath[str], data: Form) -> Response[str]:
    """Name, owner, last day, group."""
    row = await _seen(page, tag_id)
    if not row.may_change:
        raise PageError(409, _not_yours(page, row))
    (checked,) = await forms.check(page, [forms.entered(data, row.tag)], new=False)
    checked.problems.pop("tag", None)
    if checked.problems or checked.new is None:
        return _tag_page(page, row, checked.typed, checked.problems, 422)
    async with page.services.db.transaction() as tx:
        before = await _held(page, tx, tag_id)
        await store.change(tx, page.scope.organisation_id, checked.new)
        about = About(kind="tag", name=row.tag, person_id=checked.new.person_id or before.person_id)
        was = {"name": before.name, "owner": before.owner or "", "group": before.group_tag or ""}
        now = {"name": checked.new.name, "owner": checked.owner, "group": checked.new.group_tag or ""}
        await page.audit(tx, "tag.changed", about, before=was, after=now)
    return page.go(f"/tags/{quote(row.tag, safe='')}", toast=page._("Saved."))


async def _set_blocked(page: PageView, tag: str, blocked: bool) -> Response[str]:
    async with page.services.db.transaction() as tx:
        row = await _held(page, tx, tag)
        await store.block(tx, page.scope.organisation_id, row.tag, blocked)
        about = About(kind="tag", name=row.tag, person_id=row.person_id)
        await page.audit(tx, "tag.blocked" if blocked else "tag.unblocked", about)
    said = page._("Blocked: chargers refuse it from now on.") if blocked else page._("Chargers accept it again.")
    return page.go(f"/tags/{quote(row.tag, safe='')}", toast=said)


@post("/tags/{tag_id:str}/block", may="manage_tags", status_code=200)
async def block(page: Page, tag_id: FromPath[str]) -> Response[str]:
    """Refuse it, as for a badge that is lost."""
    return await _set_blocked(page, tag_id, True)


@post("/tags/{tag_id:str}/unblock", may="manage_tags", status_code=200)
async def unblock(page: Page, tag_id: FromPath[str]) -> Response[str]:
    """Accept it again."""
    return await _set_blocked(page, tag_id, False)


@get("/tags/{tag_id:str}/delete", may="manage_tags")
async def ask_delete(page: Page, tag_id: FromPath[str]) -> Response[str]:
    """What removing it means."""
    row = await _seen(page, tag_id)
    if not row.may_change:
        raise PageError(409, _not_yours(page, row))
    return page.show("tags/delete.html", row=row, path="/tags/" + quote(row.tag, safe=""))


@post("/tags/{tag_id:str}/delete", may="manage_tags", status_code=200)
async def delete(page: Page, tag_id: FromPath[str]) -> Response[str]:
    """Forget it. Its sessions stay."""
    async with page.services.db.transaction() as tx:
        row = await _held(page, tx, tag_id)
        await store.remove(tx, page.scope.organisation_id, row.tag)
        await page.audit(tx, "tag.deleted", About(kind="tag", name=row.tag, person_id=row.person_id))
    return page.go("/tags", toast=page._("%(tag)s was removed.", tag=row.name or row.tag.upper()))


ROUTES = [tags, owners, add_form, add, tag, change, block, unblock, ask_delete, delete]
