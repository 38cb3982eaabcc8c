"""What the admins of a charger change: its description, its password, whether it may connect; and deleting it."""

from __future__ import annotations

from typing import Any

from litestar import Response, get, post
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

from borne.core import policy
from borne.core.access import may_add_charger
from borne.core.models import CATALOGUE
from borne.engine import onboarding
from borne.portal.charger_device import devices_of
from borne.portal.charger_form import Entered, entered, places_to_add, problems
from borne.portal.charger_row import may_change, row_of
from borne.portal.credentials import credentials
from borne.portal.forms import Form
from borne.portal.frame import Page
from borne.portal.language import N_
from borne.store.chargers import Description, UnknownLocationError


async def _mine(page: Page, charger_id: int) -> Any:
    """The row of a charger that the visitor administers."""
    row = await row_of(page, charger_id)
    if not may_change(page, row):
        raise NotFoundException
    return row


async def _edit_page(
    page: Page, row: Any, form: Entered, found: dict[str, str], status_code: int = 200
) -> Response[str]:
    return page.show(
        "charger/edit.html",
        status_code,
        row=row,
        name=row.name,
        form=form,
        problems=found,
        places=await places_to_add(page),
        models=CATALOGUE,
        may_hand_over=policy.may(page.scope, "hand_over_chargers", row.location_id),
    )


@get("/chargers/{charger_id:int}/edit", may="change_chargers")
async def edit(page: Page, charger_id: FromPath[int]) -> Response[str]:
    """What people say of a charger, and what else its admins may do with it."""
    row = await _mine(page, charger_id)
    form = Entered(
        name=row.name,
        serial=row.serial,
        model=row.model,
        vendor=row.vendor,
        model_name=row.model_name,
        location_id=row.location_id,
    )
    return await _edit_page(page, row, form, {})


@post("/chargers/{charger_id:int}/edit", may="change_chargers", status_code=200)
async def save(page: Page, charger_id: FromPath[int], data: Form) -> Response[str]:
    """Keep the changes, or show the form again with what is wrong."""
    row, form = await _mine(page, charger_id), entered(data)
    found = problems(page, form, await places_to_add(page))
    if found or form.location_id is None:
        return await _edit_page(page, row, form, found, 422)
    if not may_add_charger(page.scope, form.location_id):
        raise NotFoundException
    what = Description(
        name=form.name,
        location_id=form.location_id,
        serial=form.serial,
        model=form.model,
        vendor=form.vendor,
        model_name=form.model_name,
    )
    try:
        kept = await onboarding.describe(
            page.services.engine, audit=page.services.audit, by=page.actor, organisation_id=row.organisation_id,
            charger_id=charger_id, what=what,
        )  # fmt: skip
    except UnknownLocationError:
        kept = False
    if not kept:
        raise NotFoundException
    return page.go(f"/chargers/{charger_id}", toast=page._("Saved."))


@post("/chargers/{charger_id:int}/password", may="change_chargers", status_code=200)
async def password(page: Page, charger_id: FromPath[int]) -> Response[str]:
    """A new password, shown once. The old one stops working at once, and an open connection ends."""
    row = await _mine(page, charger_id)
    services = page.services
    made = await onboarding.new_password(
        services.db, services.bus, services.charger_key, organisation_id=row.organisation_id, charger_id=charger_id,
        now_ms=services.clock.now_ms(), audit=services.audit, by=page.actor,
    )  # fmt: skip
    if made is None:
        raise NotFoundException
    return page.show("charger/added.html", **credentials(page, row, made), is_new=False)


async def _set_disabled(page: Page, charger_id: int, disabled: bool) -> Response[str]:
    row = await _mine(page, charger_id)
    await onboarding.set_disabled(
        page.services.db, page.services.bus, organisation_id=row.organisation_id, charger_id=charger_id, disabled=disabled,
        now_ms=page.services.clock.now_ms(), audit=page.services.audit, by=page.actor,
    )  # fmt: skip
    said = N_("%(charger)s is disabled.") if disabled else N_("%(charger)s is enabled: it may connect.")
    return page.go(f"/chargers/{charger_id}", toast=page._(said, charger=row.name))


@post("/chargers/{charger_id:int}/disable", may="change_chargers", status_code=200)
async def disable(page: Page, charger_id: FromPath[int]) -> Response[str]:
    """Refuse its connections; an open one ends."""
    return await _set_disabled(page, charger_id, True)


@post("/chargers/{charger_id:int}/enable", may="change_chargers", status_code=200)
async def enable(page: Page, charger_id: FromPath[int]) -> Response[str]:
    """Take its connections again."""
    return await _set_disabled(page, charger_id, False)


@get("/chargers/{charger_id:int}/delete", may="change_chargers")
async def ask_delete(page: Page, charger_id: FromPath[int]) -> Response[str]:
    """The confirmation of deleting."""
    row = await _mine(page, charger_id)
    return page.show("charger/delete.html", row=row, name=row.name)


@post("/chargers/{charger_id:int}/delete", may="change_chargers", status_code=200)
async def delete(page: Page, charger_id: FromPath[int]) -> Response[str]:
    """Delete it. Its restarts and sessions stay in the history."""
    row = await _mine(page, charger_id)
    await devices_of(page).archive(page.actor, row.organisation_id, charger_id, "deleted")
    return page.go("/chargers", toast=page._("%(charger)s was deleted.", charger=row.name))


ROUTES = [edit, save, password, disable, enable, ask_delete, delete]
