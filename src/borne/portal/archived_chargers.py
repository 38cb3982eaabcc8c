"""Chargers that left: a list, the history of each, and how an archived one comes back."""

from __future__ import annotations

import json
from typing import Any

from litestar import Response, get, post
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

from borne.core import policy
from borne.core.access import administers, may_add_charger
from borne.engine.onboarding import IdentityTakenError
from borne.portal.charger_device import devices_of
from borne.portal.charger_form import places_to_add
from borne.portal.charger_row import model_name, row_of
from borne.portal.credentials import credentials
from borne.portal.forms import Form, number_of, text_of
from borne.portal.frame import Page
from borne.portal.language import N_
from borne.portal.restart import last_restarts
from borne.portal.statuses import event_line
from borne.store import archived_chargers as store
from borne.store.chargers import UnknownLocationError

WHY = {"archived": N_("Archived"), "handed_over": N_("Handed over"), "deleted": N_("Deleted")}
TEXT_BOUND = 100


@get("/chargers/archived", may="see_chargers")
async def archived(page: Page) -> Response[str]:
    """Those that left, the latest first."""
    _staff_alone(page)
    query = page.request.query_params
    words = " ".join(query.get("q", "").replace("\0", "").encode("utf-8", "ignore").decode().split())[:TEXT_BOUND]
    at = number_of(query.get("page", ""), 4) or 1
    found = await store.page(page.services.db, page.scope, at, words)
    return page.show(
        "chargers/archived.html",
        rows=found.rows,
        more=found.more,
        at=at,
        words=words,
        why={word: page._(text) for word, text in WHY.items()},
        model_name=model_name,
    )


def _staff_alone(page: Page) -> None:
    """A driver's chargers are those assigned now: those that left are nobody's."""
    if page.scope.role == "user":
        raise NotFoundException


async def _row(page: Page, charger_id: int) -> Any:
    _staff_alone(page)
    row = await store.by_id(page.services.db, page.scope, charger_id)
    if row is None:
        raise NotFoundException
    return row


@get("/chargers/archived/{archived_id:int}", may="see_chargers")
async def archived_charger(page: Page, archived_id: FromPath[int]) -> Response[str]:
    """What it was, and its history."""
    return await _show(page, await _row(page, archived_id), "")


async def _show(page: Page, row: Any, problem: str, status_code: int = 200) -> Response[str]:
    events = await store.events_of(page.services.db, row.organisation_id, row.id)
    return page.show(
        "charger/archived.html",
        status_code,
        row=row,
        name=row.name,
        why=page._(WHY[row.why]),
        model=model_name(row),
        lines=[
            event_line(one.kind, one.at_ms, _details(page, one.details), page.language, page.formats) for one in events
        ],
        last_restarts=await last_restarts(page, row.id),
        places=await places_to_add(page) if _may_restore(page, row) else [],
        problem=problem,
    )


def _details(page: Page, text: str) -> dict[str, Any]:
    details: dict[str, Any] = json.loads(text)
    if not policy.permits(page.scope, "change_chargers"):
        details.pop("address", None)
    return details


def _may_restore(page: Page, row: Any) -> bool:
    return row.why == "archived" and administers(page.scope, row.organisation_id, row.location_id)


@post("/chargers/archived/{archived_id:int}/restore", may="archive_chargers", status_code=200)
async def restore(page: Page, archived_id: FromPath[int], data: Form) -> Response[str]:
    """Bring it back; its new password is shown once."""
    row = await _row(page, archived_id)
    location_id = number_of(text_of(data, "location"))
    if not _may_restore(page, row):
        raise NotFoundException
    if location_id is None or location_id not in {place.id for place in await places_to_add(page)}:
        return await _show(page, row, page._("Choose the location where it stands."), 422)
    if not may_add_charger(page.scope, location_id):
        raise NotFoundException
    try:
        made = await devices_of(page).restore(page.actor, row, location_id)
    except (UnknownLocationError, IdentityTakenError):
        made = None
    if made is None:
        raise NotFoundException
    return page.show(
        "charger/added.html", **credentials(page, await row_of(page, archived_id), made.password), is_new=True
    )


ROUTES = [archived, archived_charger, restore]
