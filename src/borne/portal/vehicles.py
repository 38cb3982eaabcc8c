"""Vehicles: drivers see and change their own, staff those of the users they see; and whose session it was, chosen by hand."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import msgspec
from litestar import Response, get, post
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

from borne.core import policy
from borne.core.money import MICROS, decimal_text, micros_of
from borne.engine.audit import About
from borne.portal.errors import PageError
from borne.portal.forms import EMAIL_BOUND, Form, number_of, text_of
from borne.portal.frame import Page, PageView
from borne.store import people, people_list, session_detail, tag_list
from borne.store import vehicles as store
from borne.store.db import Row
from borne.store.vehicles import PAGE_ROWS, Details

NAME_BOUND = 60
QUERY_BOUND = 60
MAX_PAGE = 10_000
BATTERY_MOST_WH = 2_000_000
USE_MOST = 200_000  # Wh, or ml, a 100 km


class Entered(msgspec.Struct, frozen=True, kw_only=True):
    """The form, as it was typed."""

    name: str = ""
    email: str = ""
    tag: str = ""
    battery: str = ""
    use: str = ""
    replaced: str = ""
    litres: str = ""


# ---- the list ----------------------------------------------------------------------------------------------------


@get("/vehicles", may="see_vehicles")
async def vehicles(page: Page) -> Response[str]:
    """The page, or for htmx its list."""
    asked = page.request.query_params
    query = " ".join(asked.get("q", "").replace("\0", "").split())[:QUERY_BOUND]
    at = min(max(number_of(asked.get("page", ""), 6) or 1, 1), MAX_PAGE)
    rows = await store.page(page.services.db, page.scope, query, (at - 1) * PAGE_ROWS)
    context: dict[str, Any] = {
        "rows": rows[:PAGE_ROWS],
        "more": len(rows) > PAGE_ROWS,
        "at": at,
        "q": query,
        "address": lambda number: _address(query, number),
        "may_add": page.person.may("manage_vehicles"),
        "is_own": page.scope.role == "user",
    }
    return page.part("vehicles/list.html", **context) if page.is_part else page.show("vehicles/index.html", **context)


def _address(query: str, number: int) -> str:
    fields = {"q": query, "page": str(number) if number > 1 else ""}
    text = urlencode({name: value for name, value in fields.items() if value})
    return f"/vehicles?{text}" if text else "/vehicles"


# ---- adding and changing -----------------------------------------------------------------------------------------


def _entered(data: dict[str, Any]) -> Entered:
    return Entered(
        name=text_of(data, "name", NAME_BOUND + 1),
        email=text_of(data, "email", EMAIL_BOUND).casefold(),
        tag=text_of(data, "tag", 36),
        battery=text_of(data, "battery", 12),
        use=text_of(data, "use", 12),
        replaced=text_of(data, "replaced", NAME_BOUND + 1),
        litres=text_of(data, "litres", 12),
    )


def _typed(page: PageView, row: Row) -> Entered:
    sign = "," if page.language == "fr" else "."
    said = [
        "" if one is None else decimal_text(one * 1_000, sign)
        for one in (row.battery_wh, row.wh_100km, row.replaced_ml_100km)
    ]
    return Entered(
        name=row.name, email=row.email or "", tag=(row.tag or "").upper(), battery=said[0], use=said[1],
        replaced=row.replaced, litres=said[2],
    )  # fmt: skip


async def _checked(page: PageView, form: Entered, vehicle_id: int | None) -> tuple[Details, dict[str, str]]:
    """The vehicle that the form describes, and what is wrong with the form, by field."""
    found: dict[str, str] = {}
    if not form.name:
        found["name"] = page._("Please fill this in.")
    for field, text in (("name", form.name), ("replaced", form.replaced)):
        if len(text) > NAME_BOUND:
            found[field] = page._("%(bound)s characters at most.", bound=NAME_BOUND)
    numbers: dict[str, int | None] = {}
    for field, text, most in (
        ("battery", form.battery, BATTERY_MOST_WH), ("use", form.use, USE_MOST), ("litres", form.litres, USE_MOST),
    ):  # fmt: skip
        numbers[field] = _thousandths(text, most)
        if text and numbers[field] is None:
            found[field] = page._("A number like 18.5, with three decimals at most; or leave it empty.")
    person_id = page.scope.person_id if page.scope.role == "user" else await _owner(page, form, found)
    details = Details(
        person_id=person_id,
        name=form.name,
        battery_wh=numbers["battery"],
        wh_100km=numbers["use"],
        replaced=form.replaced,
        replaced_ml_100km=numbers["litres"],
        tag=await _tag(page, form, person_id, vehicle_id, found),
    )
    return details, found


async def _owner(page: PageView, form: Entered, found: dict[str, str]) -> int | None:
    if not form.email:
        return None
    row, db = await people.by_email(page.services.db, form.email), page.services.db
    if row is None or not await people_list.sees(db, page.scope, row.id, page.services.clock.now_ms()):
        found["email"] = page._("No user of yours has this e-mail.")
        return None
    return int(row.id)


async def _tag(
    page: PageView, form: Entered, person_id: int | None, vehicle_id: int | None, found: dict[str, str]
) -> str | None:
    """A badge of the owner, or of nobody; never one of somebody else."""
    if not form.tag:
        return None
    db, tag = page.services.db, form.tag.casefold()
    if page.scope.role == "user":
        known = next((row for row in await tag_list.own(db, page.scope) if row.tag == tag), None)
        is_theirs = known is not None
    else:
        known = await tag_list.one(db, page.scope, tag)
        is_theirs = known is not None and known.person_id in (None, person_id)
    if known is None:
        found["tag"] = page._("No badge of yours has this number.")
    elif not is_theirs:
        found["tag"] = page._("This badge is somebody else’s.")
    elif await store.has_tag(db, page.scope.organisation_id, tag) - {vehicle_id}:
        found["tag"] = page._("Another vehicle has this badge.")
    return tag


def _thousandths(text: str, most: int) -> int | None:
    """`18.5` is 18,500; None for what is no such number above nought."""
    try:
        micros = micros_of(text)
    except ValueError:
        return None
    number = micros * 1_000 // MICROS
    return number if 0 < number <= most and number * MICROS == micros * 1_000 else None


async def _form(
    page: PageView, form: Entered, problems: dict[str, str], row: Row | None = None, status_code: int = 200
) -> Response[str]:
    is_own = page.scope.role == "user"
    return page.show(
        "vehicles/form.html",
        status_code,
        form=form,
        problems=problems,
        row=row,
        is_own=is_own,
        tags=await tag_list.own(page.services.db, page.scope) if is_own else [],
        may_change=page.person.may("manage_vehicles"),
    )


@get("/vehicles/add", may="manage_vehicles")
async def add_form(page: Page) -> Response[str]:
    """The form of a new vehicle."""
    return await _form(page, Entered(), {})


@post("/vehicles", may="manage_vehicles", status_code=200)
async def add(page: Page, data: Form) -> Response[str]:
    """Add it; sessions that are clearly its own become so."""
    form = _entered(data)
    details, problems = await _checked(page, form, None)
    if problems:
        return await _form(page, form, problems, status_code=422)
    async with page.services.db.transaction() as tx:
        vehicle_id = await store.add(tx, page.scope.organisation_id, details, page.services.clock.now_ms())
        about = About(kind="vehicle", id=vehicle_id, name=details.name, person_id=details.person_id)
        await page.audit(tx, "vehicle.added", about)
    return page.go("/vehicles", toast=page._("%(name)s was added.", name=details.name))


async def _row(page: PageView, vehicle_id: int) -> Row:
    row = await store.one(page.services.db, page.scope, vehicle_id)
    if row is None:
        raise NotFoundException
    return row


@get("/vehicles/{vehicle_id:int}", may="see_vehicles")
async def vehicle(page: Page, vehicle_id: FromPath[int]) -> Response[str]:
    """What is known of it, to change by who may."""
    row = await _row(page, vehicle_id)
    return await _form(page, _typed(page, row), {}, row)


@post("/vehicles/{vehicle_id:int}", may="manage_vehicles", status_code=200)
async def change(page: Page, vehicle_id: FromPath[int], data: Form) -> Response[str]:
    """Keep the changes."""
    row, form = await _row(page, vehicle_id), _entered(data)
    details, problems = await _checked(page, form, vehicle_id)
    if problems:
        return await _form(page, form, problems, row, 422)
    async with page.services.db.transaction() as tx:
        if await store.one(tx, page.scope, vehicle_id) is None:
            raise NotFoundException
        await store.change(tx, page.scope.organisation_id, vehicle_id, details)
        about = About(kind="vehicle", id=vehicle_id, name=details.name, person_id=details.person_id)
        await page.audit(tx, "vehicle.changed", about)
    return page.go("/vehicles", toast=page._("Saved."))


@post("/vehicles/{vehicle_id:int}/archive", may="manage_vehicles", status_code=200)
async def archive(page: Page, vehicle_id: FromPath[int]) -> Response[str]:
    """Take it out of use; its sessions stay its own."""
    row = await _row(page, vehicle_id)
    async with page.services.db.transaction() as tx:
        if not await store.archive(tx, page.scope.organisation_id, vehicle_id, page.services.clock.now_ms()):
            raise NotFoundException
        about = About(kind="vehicle", id=vehicle_id, name=row.name, person_id=row.person_id)
        await page.audit(tx, "vehicle.archived", about)
    return page.go("/vehicles", toast=page._("%(name)s is out of use. Its sessions stay.", name=row.name))


# ---- of a session ------------------------------------------------------------------------------------------------


async def of_session(page: PageView, session: Row) -> dict[str, Any]:
    """What `vehicles/of_session.html` shows; `session`: id, person_id, vehicle_id."""
    may_choose = policy.permits(page.scope, "manage_vehicles")
    vehicle_id, db = session.vehicle_id, page.services.db
    return {
        "session_id": session.id,
        "chosen": await store.one(db, page.scope, vehicle_id, archived=True) if vehicle_id else None,
        "vehicle_id": vehicle_id,
        "choices": await store.choices(db, page.scope, session.person_id) if may_choose else [],
        "may_choose": may_choose,
    }


@post("/sessions/{session_id:int}/vehicle", may="manage_vehicles", status_code=200)
async def choose(page: Page, session_id: FromPath[int], data: Form) -> Response[str]:
    """Say by hand whose session it was: a vehicle's id, `none`, or `auto`."""
    if await session_detail.one(page.services.db, page.scope, session_id) is None:
        raise NotFoundException
    word = text_of(data, "vehicle", 18)
    vehicle_id = {"none": 0, "auto": None}.get(word, number_of(word))
    name = page._("none")
    if vehicle_id:
        row = await store.one(page.services.db, page.scope, vehicle_id)
        if row is None:
            raise PageError(409, page._("This vehicle is not there any more."))
        name = row.name
    elif word not in ("none", "auto"):
        raise PageError(422, page._("Choose a vehicle."))
    async with page.services.db.transaction() as tx:
        await store.choose(tx, page.scope.organisation_id, session_id, vehicle_id)
        about = About(kind="session", id=session_id)
        await page.audit(
            tx, "session.vehicle_chosen", about, vehicle=page._("by badge or user") if word == "auto" else name
        )
    return page.go(f"/sessions/{session_id}", toast=page._("Saved."))


ROUTES = [vehicles, add_form, add, vehicle, change, archive, choose]
