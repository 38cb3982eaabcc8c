"""When a device changes: another one in its place, the archive and back, another organisation."""

from __future__ import annotations

from typing import Any

from litestar import Response, get, post
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

from borne.core.access import may_add_charger
from borne.core.models import CATALOGUE
from borne.engine.devices import BadCodeError, Devices, OwnChargerError
from borne.engine.onboarding import IdentityTakenError
from borne.engine.rate_limit import network_of
from borne.portal.charger_form import Entered, entered, places_to_add, problems
from borne.portal.charger_row import may_change, row_of
from borne.portal.credentials import credentials
from borne.portal.errors import PageError
from borne.portal.forms import Form, number_of, text_of
from borne.portal.frame import Page, PageView
from borne.portal.login import limits_of
from borne.store import handovers
from borne.store.chargers import Description, UnknownLocationError

CODE_BOUND = 60


def devices_of(page: PageView) -> Devices:
    """What pages do with devices."""
    services = page.services
    return Devices(services.engine, services.audit, services.charger_key)


async def _mine(page: Page, charger_id: int) -> Any:
    """The row of a charger that the visitor administers."""
    row = await row_of(page, charger_id)
    if not may_change(page, row):
        raise NotFoundException
    return row


# ---- another device in its place -----------------------------------------------------------------------------------


@get("/chargers/{charger_id:int}/replace", may="replace_chargers")
async def ask_replace(page: Page, charger_id: FromPath[int]) -> Response[str]:
    """The form of the new device: its model is that of the old one until said otherwise."""
    row = await _mine(page, charger_id)
    form = Entered(
        name=row.name, model=row.model, vendor=row.vendor, model_name=row.model_name, location_id=row.location_id
    )
    return _replace_page(page, row, form, {})


def _replace_page(page: Page, row: Any, form: Entered, found: dict[str, str], status_code: int = 200) -> Response[str]:
    return page.show(
        "charger/replace.html",
        status_code,
        row=row,
        name=row.name,
        form=form,
        problems=found,
        places=[],
        models=CATALOGUE,
    )


@post("/chargers/{charger_id:int}/replace", may="replace_chargers", status_code=200)
async def replace(page: Page, charger_id: FromPath[int], data: Form) -> Response[str]:
    """Put it there, and show once what to type into it."""
    row, form = await _mine(page, charger_id), entered(data)
    found = problems(page, form, await places_to_add(page))
    found.pop("location", None)  # it stands where the old one stood
    if found:
        return _replace_page(page, row, form, found, 422)
    what = Description(
        name=form.name,
        location_id=row.location_id,
        serial=form.serial,
        model=form.model,
        vendor=form.vendor,
        model_name=form.model_name,
    )
    try:
        made = await devices_of(page).replace(page.actor, row.organisation_id, charger_id, what)
    except (IdentityTakenError, UnknownLocationError):
        made = None
    if made is None:
        raise NotFoundException
    return page.show(
        "charger/added.html", **credentials(page, await row_of(page, charger_id), made.password), is_new=False
    )


# ---- archived ------------------------------------------------------------------------------------------------------


@get("/chargers/{charger_id:int}/archive", may="archive_chargers")
async def ask_archive(page: Page, charger_id: FromPath[int]) -> Response[str]:
    """The confirmation."""
    row = await _mine(page, charger_id)
    return page.show("charger/archive.html", row=row, name=row.name)


@post("/chargers/{charger_id:int}/archive", may="archive_chargers", status_code=200)
async def archive(page: Page, charger_id: FromPath[int]) -> Response[str]:
    """Take it out of the lists; its history stays under Archived."""
    row = await _mine(page, charger_id)
    if not await devices_of(page).archive(page.actor, row.organisation_id, charger_id):
        raise NotFoundException
    return page.go(f"/chargers/archived/{charger_id}", toast=page._("%(charger)s is archived.", charger=row.name))


# ---- handed over ---------------------------------------------------------------------------------------------------


@get("/chargers/{charger_id:int}/hand-over", may="hand_over_chargers")
async def hand_over_page(page: Page, charger_id: FromPath[int]) -> Response[str]:
    """Whether a code stands, and how to make or cancel one."""
    return await _hand_over_page(page, await _mine(page, charger_id), "")


async def _hand_over_page(page: Page, row: Any, code: str) -> Response[str]:
    now_ms = page.services.clock.now_ms()
    offer = await handovers.pending(page.services.db, row.organisation_id, row.id, now_ms)
    return page.show("charger/hand_over.html", row=row, name=row.name, offer=offer, code=code)


@post("/chargers/{charger_id:int}/hand-over", may="hand_over_chargers", status_code=200)
async def offer(page: Page, charger_id: FromPath[int]) -> Response[str]:
    """Make a code, shown once; an earlier one stops working."""
    row = await _mine(page, charger_id)
    code = await devices_of(page).offer(page.actor, row.organisation_id, charger_id)
    if code is None:
        raise NotFoundException
    return await _hand_over_page(page, row, code)


@post("/chargers/{charger_id:int}/hand-over/cancel", may="hand_over_chargers", status_code=200)
async def cancel_offer(page: Page, charger_id: FromPath[int]) -> Response[str]:
    """The code stops working."""
    row = await _mine(page, charger_id)
    await devices_of(page).cancel(page.actor, row.organisation_id, charger_id)
    return page.go(f"/chargers/{charger_id}/hand-over", toast=page._("The code no longer works."))


@get("/chargers/take", may="add_chargers")
async def take_form(page: Page) -> Response[str]:
    """The code that another organisation made, and where the charger will belong."""
    places = await places_to_add(page)
    return await _take_page(page, "", places[0].id if len(places) == 1 else None, {})


async def _take_page(
    page: Page, code: str, location_id: int | None, found: dict[str, str], status_code: int = 200
) -> Response[str]:
    places = await places_to_add(page)
    if not places:
        raise NotFoundException
    return page.show(
        "charger/take.html", status_code, code=code, location_id=location_id, problems=found, places=places
    )


@post("/chargers/take", may="add_chargers", status_code=200)
async def take(page: Page, data: Form) -> Response[str]:
    """Take it: it comes back by itself within seconds, under its new owner."""
    code, location_id = text_of(data, "code", CODE_BOUND), number_of(text_of(data, "location"))
    limit, tried = limits_of(page).handover, (f"person {page.scope.person_id}", f"network {network_of(page.address)}")
    wait_s = max(limit.wait_s(key) for key in tried)
    if wait_s:
        raise PageError(429, page._("Too many attempts from here. Wait a few minutes."), retry_after_s=wait_s)
    found: dict[str, str] = {}
    if not code:
        found["code"] = page._("Please fill this in.")
    if location_id is None or location_id not in {place.id for place in await places_to_add(page)}:
        found["location"] = page._("Choose the location where it stands.")
    if found or location_id is None or not may_add_charger(page.scope, location_id):
        return await _take_page(page, code, location_id, found, 422)
    for key in tried:
        limit.add(key)
    try:
        charger_id = await devices_of(page).take(page.actor, page.scope.organisation_id, location_id, code)
    except (BadCodeError, OwnChargerError, UnknownLocationError, IdentityTakenError) as error:
        return await _take_page(page, code, location_id, _refused(page, error), 422)
    for key in tried:
        limit.take_back(key)
    return page.go(f"/chargers/{charger_id}", toast=page._("The charger is yours. It connects again by itself."))


def _refused(page: Page, error: Exception) -> dict[str, str]:
    if isinstance(error, OwnChargerError):
        return {"code": page._("This charger is yours already.")}
    if isinstance(error, UnknownLocationError):
        return {"location": page._("Choose the location where it stands.")}
    return {"code": page._("This code does not work. It may be mistyped, used, cancelled, or older than seven days.")}


ROUTES = [
    ask_replace,
    replace,
    ask_archive,
    archive,
    hand_over_page,
    offer,
    cancel_offer,
    take_form,
    take,
]
