"""Changing many chargers: what to change, one confirmation (what changes, what is left out and why), then how far it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast
from uuid import uuid4

import msgspec
from litestar import Response, get, post
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

from borne.core import policy
from borne.core.charger import STATUSES
from borne.core.models import CATALOGUE, MODELS, model_of
from borne.engine.charger_changes import Change, ChargerChanges, What, left_out_of
from borne.portal.charger_form import places_to_add
from borne.portal.charger_row import model_name
from borne.portal.errors import PageError
from borne.portal.forms import Form, number_of, text_of, values_of
from borne.portal.frame import Page
from borne.portal.language import N_
from borne.store import charger_changes as store
from borne.store import charger_list
from borne.store.db import Row

MOST_CHARGERS = charger_list.MOST_IDS
CHUNK_ROWS = 500
SHOWN = 300
WHATS: dict[What, str] = {
    "move": N_("Move to another location"),
    "model": N_("Set the model"),
    "disable": N_("Disable"),
    "enable": N_("Enable"),
}
WHY: dict[str, str] = {
    "role": N_("You do not administer it there."),
    "gone": N_("It is no more."),
    "location": N_("The location is no more."),
}
SAME: dict[What, str] = {
    "move": N_("It stands there already."),
    "model": N_("It has this model already."),
    "disable": N_("It is disabled already."),
    "enable": N_("It is enabled already."),
}


class Candidate(msgspec.Struct, frozen=True):
    """A charger that was ticked. `why` says why it is left out; "": it will change."""

    id: int
    name: str
    place: str
    model: str
    is_now: str
    why: str = ""


# ---- asking ------------------------------------------------------------------------------------------------------


@post("/chargers/change", may="change_many_chargers", status_code=200)
async def choose(page: Page, data: Form) -> Response[str]:
    """What to change of the chargers that were ticked."""
    ids = await _ticked(page, data)
    if not ids:
        raise PageError(422, page._("No charger was chosen. Nothing was changed."))
    return await _choose(page, ids)


async def _choose(
    page: Page, ids: Sequence[int], error: str = "", entered: dict[str, Any] | None = None
) -> Response[str]:
    return page.show(
        "charger_changes/choose.html",
        422 if error else 200,
        ids=ids,
        capped=len(ids) >= MOST_CHARGERS,
        most=MOST_CHARGERS,
        places=await places_to_add(page),
        models=CATALOGUE,
        whats=WHATS,
        entered=entered or {"what": "", "location": None, "model": ""},
        error=error,
    )


@post("/chargers/change/review", may="change_many_chargers", status_code=200)
async def review(page: Page, data: Form) -> Response[str]:
    """The one confirmation. Nothing is changed by it."""
    ids = await _reached(page, data)
    change = await _change(page, data)
    if not ids:
        raise PageError(422, page._("No charger was chosen. Nothing was changed."))
    if change is None:
        location_id = number_of(text_of(data, "to"))
        entered = {"what": text_of(data, "what"), "location": location_id, "model": text_of(data, "model")}
        return await _choose(page, ids, page._("Choose what to change, and to what."), entered)
    found = await _candidates(page, ids, change)
    chosen, left_out = [one for one in found if not one.why], [one for one in found if one.why]
    return page.show(
        "charger_changes/review.html",
        change=change,
        will=await _will(page, change),
        chosen=chosen,
        left_out=left_out[:SHOWN],
        left_out_count=len(left_out),
        left_out_more=max(0, len(left_out) - SHOWN),
        key=uuid4().hex,
    )


@post("/chargers/changes", may="change_many_chargers", status_code=200)
async def begin(page: Page, data: Form) -> Response[str]:
    """OKAY: a job does it, and the page follows."""
    ids, change = await _reached(page, data), await _change(page, data)
    if not ids or change is None:
        raise PageError(422, page._("No charger was chosen. Nothing was changed."))
    services = page.services
    changes = ChargerChanges(services.engine, services.audit)
    key = text_of(data, "key", 64) or uuid4().hex
    change_id = await changes.request(page.scope, page.actor, change, ids, key)
    if change_id is None:
        raise NotFoundException
    return page.go(f"/chargers/changes/{change_id}")


def _ids(data: dict[str, Any]) -> list[int]:
    """The field `charger`, once for each; each at most once, in the order of the form."""
    found = [number_of(text) for text in values_of(data, "charger", MOST_CHARGERS)]
    return list(dict.fromkeys(one for one in found if one is not None))


async def _reached(page: Page, data: dict[str, Any]) -> list[int]:
    """Those of the form that the visitor reaches, in its order."""
    ids = _ids(data)
    known = set(await charger_list.reached_ids(page.services.db, page.scope, ids))
    return [one for one in ids if one in known]


async def _ticked(page: Page, data: dict[str, Any]) -> list[int]:
    """The chargers of the form: those ticked, or all that match the list's filter."""
    db, scope = page.services.db, page.scope
    if not text_of(data, "all"):
        return await _reached(page, data)
    status = text_of(data, "status")
    wanted = charger_list.Filter(
        status=status if status in STATUSES else None,
        attention=bool(text_of(data, "attention")),
        location_id=number_of(text_of(data, "location")),
        words=charger_list.words_of(text_of(data, "q")),
    )
    return await charger_list.matching_ids(db, scope, wanted, MOST_CHARGERS)


async def _change(page: Page, data: dict[str, Any]) -> Change | None:
    """The change that the form names, if it is whole and the visitor may make it."""
    what, location_id, model = text_of(data, "what"), number_of(text_of(data, "to")), text_of(data, "model")
    if what == "move":
        places = {place.id for place in await places_to_add(page)}
        return Change("move", location_id) if location_id in places else None
    if what == "model":
        return Change("model", model=model) if model in MODELS else None
    return Change(cast(What, what)) if what in ("enable", "disable") else None


async def _will(page: Page, change: Change) -> str:
    """What happens to them, in a sentence."""
    if change.what == "move":
        name = next((one.name for one in await places_to_add(page) if one.id == change.location_id), "")
        said = page._(
            "They move to %(location)s. A restart that waits ends unless whoever asked for it administers that location too.",
            location=name,
        )
    elif change.what == "model":
        name = page._("Other OCPP charger") if change.model == "other" else model_of(change.model).name
        said = page._("Their model becomes %(model)s.", model=name)
    elif change.what == "disable":
        said = page._("Their connections end and new ones are refused, until they are enabled again.")
    else:
        said = page._("They may connect again.")
    return said


async def _candidates(page: Page, ids: Sequence[int], change: Change) -> list[Candidate]:
    found: list[Candidate] = []
    for start in range(0, len(ids), CHUNK_ROWS):
        rows = await charger_list.rows(page.services.db, page.scope, ids[start : start + CHUNK_ROWS])
        found += [_candidate(page, row, change) for row in rows]
    return found


def _candidate(page: Page, row: Row, change: Change) -> Candidate:
    why = left_out_of(row, change)
    if not policy.may(page.scope, "change_chargers", row.location_id):
        why = "role"
    words = {"move": row.location_name or "–", "model": model_name(row)}
    return Candidate(
        id=row.id,
        name=row.name,
        place=row.location_name or "",
        model=model_name(row),
        is_now=words.get(change.what, ""),
        why=_why(page, change.what, why) if why else "",
    )


def _why(page: Page, what: What, why: str) -> str:
    said = SAME[what] if why == "same" else WHY[why]
    return page._(said)


# ---- following ---------------------------------------------------------------------------------------------------


@get("/chargers/changes/{change_id:int}", may="change_chargers")
async def change(page: Page, change_id: FromPath[int]) -> Response[str]:
    """How far a change is, and whom it left out. For whoever asked for it, and super-admins."""
    row = await store.seen(page.services.db, page.scope, change_id)
    if row is None:
        raise NotFoundException
    made = msgspec.json.decode(row.change, type=Change)
    left_out = msgspec.json.decode(row.left_out, type=list[tuple[int, str, str]])
    context: dict[str, Any] = {
        "row": row,
        "title": page._(WHATS[made.what]),
        "left_out": [
            (name or f"#{charger_id}", _why(page, made.what, why)) for charger_id, name, why in left_out[:SHOWN]
        ],
        "left_out_count": len(left_out),
        "left_out_more": max(0, len(left_out) - SHOWN),
    }
    if page.is_part:
        return page.part("charger_changes/progress.html", **context)
    return page.show("charger_changes/change.html", **context)


ROUTES = [choose, review, begin, change]
