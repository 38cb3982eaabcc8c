"""The form that describes a charger: what was typed, and what is wrong with it. For adding and for editing."""

from __future__ import annotations

from typing import Any

import msgspec

from borne.core.access import may_add_charger
from borne.core.models import MODELS
from borne.portal.forms import number_of, text_of
from borne.portal.frame import Page
from borne.store import charger_list
from borne.store.charger_list import Place

NAME_BOUND = 100
SERIAL_BOUND = 60
MODEL_BOUND = 60


class Entered(msgspec.Struct, frozen=True, kw_only=True):
    """What a person typed; longer than allowed where it was."""

    name: str = ""
    serial: str = ""
    model: str = ""
    vendor: str = ""
    model_name: str = ""
    location_id: int | None = None
    identity: str = ""


def entered(form: dict[str, Any]) -> Entered:
    """Read the form. A vendor and its model belong to chargers outside the catalogue alone."""
    location, model = text_of(form, "location"), text_of(form, "model")
    is_other = model == "other"
    return Entered(
        name=text_of(form, "name", NAME_BOUND + 1),
        serial=text_of(form, "serial", SERIAL_BOUND + 1),
        model=model,
        vendor=text_of(form, "vendor", MODEL_BOUND + 1) if is_other else "",
        model_name=text_of(form, "model_name", MODEL_BOUND + 1) if is_other else "",
        location_id=number_of(location),
        identity=text_of(form, "identity", 48),
    )


async def places_to_add(page: Page) -> list[Place]:
    """The locations where the visitor may add chargers."""
    found = await charger_list.places(page.services.db, page.scope)
    return [place for place in found if may_add_charger(page.scope, place.id)]


def problems(page: Page, form: Entered, places: list[Place]) -> dict[str, str]:
    """What is wrong, by field, in words that say what to do."""
    found: dict[str, str] = {}
    if not form.name and not form.serial:
        found["name"] = page._("Give it a name, or at least its serial number.")
    for field, value, bound in (("name", form.name, NAME_BOUND), ("serial", form.serial, SERIAL_BOUND)):
        if len(value) > bound:
            found[field] = page._("%(bound)s characters at most.", bound=bound)
    if form.model not in MODELS:
        found["model"] = page._("Choose the model. One that is not listed is “Other OCPP charger”.")
    for field, value in (("vendor", form.vendor), ("model_name", form.model_name)):
        if len(value) > MODEL_BOUND:
            found[field] = page._("%(bound)s characters at most.", bound=MODEL_BOUND)
    if form.location_id not in {place.id for place in places}:
        found["location"] = page._("Choose the location where it stands.")
    return found
