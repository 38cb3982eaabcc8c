"""Adding many chargers by a CSV file: looked at first, each bad line named; then all that was confirmed, or nothing.

The file is not kept: what was looked at comes back with the confirmation, and is looked at again.
"""

from __future__ import annotations

import asyncio
import base64
import csv
import io
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from litestar import Response, get, post
from litestar.exceptions import NotFoundException
from markupsafe import Markup

from borne.core.cells import neutral
from borne.core.models import CATALOGUE, model_of
from borne.engine.charger_import import Added, AlreadyDoneError, ChargerImport, TakenError
from borne.engine.onboarding import charger_url
from borne.portal import charger_lines as lines
from borne.portal.charger_form import places_to_add
from borne.portal.charger_lines import Looked, Wrong
from borne.portal.csv_file import uploaded
from borne.portal.frame import Page
from borne.portal.language import N_
from borne.store import charger_imports as store
from borne.store.charger_list import Place
from borne.store.chargers import UnknownLocationError

FILE_BOUND_BYTES = 1_000_000
KEY_BOUND = 64
TYPED_BOUND = 20_000  # characters that come back to be corrected; what is longer was a file
SHOWN = 100
WRONG_SHOWN = 200
EXAMPLE = (
    "name;serial;model;location;identity;password\r\n"
    "Quai 1;482113;Pulsar Max;{place};;\r\n"
    "Quai 2;482114;Commander 2;{place};;\r\n"
)
COLUMNS = (  # as the page explains them
    ("name", N_("As people on site call it. Empty: its serial number.")),
    ("serial", N_("Its serial number.")),
    ("model", N_("One of the catalogue; empty for any other charger.")),
    ("location", N_("The name of a location that is there.")),
    ("identity", N_("Optional: made up where it is empty.")),
    ("password", N_("Optional: made up where it is empty.")),
)
OUT_COLUMNS = (
    N_("Charger"), N_("Serial number"), N_("Location"), N_("Identity"), N_("Password"), N_("Address (WebSocket URL)"),
)  # fmt: skip


async def _places(page: Page) -> list[Place]:
    places = await places_to_add(page)
    if not places:
        raise NotFoundException
    return places


# ---- looking -----------------------------------------------------------------------------------------------------


@get("/chargers/import", may="add_chargers")
async def import_page(page: Page) -> Response[str]:
    """Where the file is chosen, or pasted."""
    return _begin(page, await _places(page))


def _begin(page: Page, places: Sequence[Place], error: str = "", text: str = "") -> Response[str]:
    return page.show(
        "charger_import/begin.html",
        422 if error else 200,
        error=error,
        text=_to_correct(text),
        example=EXAMPLE.format(place=places[0].name),
        models=CATALOGUE,
        columns=COLUMNS,
        rows_bound=lines.ROWS_BOUND,
    )


def _to_correct(text: str) -> str:
    return text if len(text) <= TYPED_BOUND else ""


@post("/chargers/import", may="add_chargers", status_code=200)
async def look(page: Page) -> Response[str]:
    """Look at a file and say what it would add. Nothing is added by it."""
    places, form = await _places(page), await page.request.form()
    text = await uploaded(form.get("file"), FILE_BOUND_BYTES) or _text(form)
    if text is None:
        return _begin(page, places, page._("Choose a file of one megabyte at most, or paste its lines."))
    looked = await _looked(page, text, places)
    if looked.wrong and looked.wrong[0].line == 0:
        return _begin(page, places, looked.wrong[0].text, text)
    return _show(page, looked, text, places)


def _text(form: Any) -> str | None:
    text = form.get("csv")
    if not isinstance(text, str) or not text.strip() or len(text) > FILE_BOUND_BYTES:
        return None
    return text.encode("utf-8", "ignore").decode()  # no lone surrogate reaches the database


async def _looked(page: Page, text: str, places: list[Place]) -> Looked:
    """What the file says, with what the database knows: identities and serials that are there already."""
    looked = await asyncio.to_thread(lines.look, page, text, places)
    db, organisation_id = page.services.db, page.scope.organisation_id
    identities = await store.taken_identities(db, [one.charger.identity for one in looked.good if one.charger.identity])
    serials = await store.known_serials(
        db, organisation_id, [one.charger.serial for one in looked.good if one.charger.serial]
    )
    wrong = [*looked.wrong]
    for one in looked.good:
        if one.charger.identity in identities:
            said = page._("This identity cannot be used. Choose another one, or leave it empty.")
            wrong.append(Wrong(one.line, "identity", said))
        if one.charger.serial in serials:
            wrong.append(Wrong(one.line, "serial", page._("A charger with this serial number is there already.")))
    bad = {one.line for one in wrong}
    return Looked([one for one in looked.good if one.line not in bad], sorted(wrong, key=lambda one: one.line))


def _show(page: Page, looked: Looked, text: str, places: Sequence[Place], changed: bool = False) -> Response[str]:
    return page.show(
        "charger_import/look.html",
        409 if changed else 200,
        good=looked.good[:SHOWN],
        good_count=len(looked.good),
        good_more=max(0, len(looked.good) - SHOWN),
        wrong=looked.wrong[:WRONG_SHOWN],
        wrong_more=max(0, len(looked.wrong) - WRONG_SHOWN),
        bad_lines=looked.bad_lines,
        changed=changed,
        text=Markup("\n")
        + (text if looked.good else _to_correct(text)),  # browsers leave out the first line break of a text area
        key=uuid4().hex,
        places={place.id: place.name for place in places},
        model_of=model_of,
        words=lines.WORDS,
    )


# ---- adding ------------------------------------------------------------------------------------------------------


@post("/chargers/import/add", may="add_chargers", status_code=200)
async def add(page: Page) -> Response[str]:
    """Add what was confirmed, and show, once, what to type into them."""
    places, form = await _places(page), await page.request.form()
    text, key, confirmed = _text(form), str(form.get("key", ""))[:KEY_BOUND], str(form.get("count", ""))
    if text is None or not key:
        return _begin(page, places, page._("Choose a file of one megabyte at most, or paste its lines."))
    services = page.services
    engine = ChargerImport(services.db, services.bus, services.clock, services.audit, services.charger_key)
    try:
        told = await engine.told_again(page.scope.organisation_id, page.actor, key)
        if told is None:
            looked = await _looked(page, text, places)
            if str(len(looked.good)) != confirmed or not looked.good:
                # Another press of the same button may have added them since: then this one tells the same.
                told = await engine.told_again(page.scope.organisation_id, page.actor, key)
                if told is None:
                    return _show(page, looked, text, places, changed=True)
            else:
                lines = [one.charger for one in looked.good]
                told = await engine.take(page.scope.organisation_id, page.actor, key, lines)
    except AlreadyDoneError:
        said = page._("These chargers were added already. Passwords are shown once; make new ones on their pages.")
        return page.go("/chargers", toast=said)
    except (TakenError, UnknownLocationError):
        return _show(page, await _looked(page, text, places), text, places, changed=True)
    return _added(page, told, places)


def _added(page: Page, told: Sequence[Added], places: Sequence[Place]) -> Response[str]:
    gateway_url = page.services.settings.gateway_url
    names = {place.id: place.name for place in places}
    return page.show(
        "charger_import/added.html",
        told=told[:SHOWN],
        count=len(told),
        more=max(0, len(told) - SHOWN),
        places=names,
        url_of=lambda one: charger_url(gateway_url, one.identity),
        file=_download(page, told, names),
    )


def _download(page: Page, told: Sequence[Added], names: dict[int, str]) -> str:
    """The file to keep, as an address that holds it: nothing of it stays on the server."""
    gateway_url, out = page.services.settings.gateway_url, io.StringIO()
    writer = csv.writer(out, delimiter=";" if page.language == "fr" else ",")
    writer.writerow([page._(word) for word in OUT_COLUMNS])
    for one in told:
        url = charger_url(gateway_url, one.identity)
        cells = (one.name, one.serial, names.get(one.location_id, ""), one.identity, one.password, url)
        writer.writerow([neutral(cell) for cell in cells])
    return "data:text/csv;charset=utf-8;base64," + base64.b64encode(out.getvalue().encode("utf-8-sig")).decode()


ROUTES = [import_page, look, add]
