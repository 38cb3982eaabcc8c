"""Adding a charger: a short form, then what to type into the charger, shown once, and a panel that waits for it to connect."""

from __future__ import annotations

import difflib

import msgspec
from litestar import Response, get, post
from litestar.exceptions import NotFoundException
from litestar.params import FromPath, FromQuery

from borne.core.access import may_add_charger
from borne.core.models import CATALOGUE
from borne.engine import onboarding
from borne.engine.onboarding import IDENTITY, IdentityTakenError, new_identity
from borne.portal.charger_form import Entered, entered, places_to_add, problems
from borne.portal.charger_row import may_change, row_of, state_of
from borne.portal.credentials import credentials
from borne.portal.forms import Form
from borne.portal.frame import Page
from borne.portal.language import N_
from borne.portal.services import Attempt
from borne.store import charger_list
from borne.store import chargers as store
from borne.store.chargers import UnknownLocationError

MISTAKES_SHOWN = 4
LOOK_BACK_MS = 15 * 60_000
LIKE = 0.75  # of an identity's letters: a typing mistake, not another charger's identity

# What a refused connection means for somebody who stands beside the charger, and what helps.
MISTAKES: dict[str, str] = {
    "path": N_("It reached Borne, but under a wrong path. The address must end with the identity, as shown above."),
    "identity": N_("It named the identity “%(identity)s”, which is not this charger’s. Look for a typing mistake."),
    "no_password": N_("It sent no password. Type the password, or use the address with the secret in it."),
    "password": N_("The password was wrong. Type it again: it has no capitals, no 0, 1, i, l or o."),
    "subprotocol": N_("It offered no OCPP version that Borne speaks. Choose OCPP 1.6J or 2.0.1 in the charger’s settings."),
    "no_subprotocol": N_("It named no OCPP version; Borne takes it for 1.6J. This works, but choose the version if you can."),
    "disabled": N_("The charger is disabled in Borne. Enable it first."),
    "certificate": N_("Its certificate was not accepted."),
    "limit": N_("Too many attempts within a minute. It is told to wait; nothing to do."),
    "busy": N_("Borne was busy and told it to come back in a moment."),
    "not_websocket": N_("It was an ordinary web request, not a charger’s connection. The address begins with ws:// or wss://."),
}  # fmt: skip
HARMLESS = ("no_subprotocol", "limit", "busy")


class Mistake(msgspec.Struct, frozen=True):
    """A refused connection, in words."""

    at_ms: int
    text: str
    address: str
    harmless: bool


# ---- the form ----------------------------------------------------------------------------------------------------


async def _form_page(page: Page, form: Entered, found: dict[str, str], status_code: int = 200) -> Response[str]:
    places = await places_to_add(page)
    if not places:
        raise NotFoundException
    return page.show("charger/add.html", status_code, form=form, problems=found, places=places, models=CATALOGUE)


@get("/chargers/add", may="add_chargers")
async def add_form(page: Page, location: FromQuery[int | None] = None) -> Response[str]:
    """The form. The identity is made here, so that a form sent twice adds one charger."""
    places = await places_to_add(page)
    only = places[0].id if len(places) == 1 else location
    return await _form_page(page, Entered(location_id=only, identity=new_identity()), {})


@post("/chargers/add", may="add_chargers", status_code=200)
async def add(page: Page, data: Form) -> Response[str]:
    """Add the charger and show, once, what to type into it."""
    form = entered(data)
    if not IDENTITY.fullmatch(form.identity):
        form = msgspec.structs.replace(form, identity=new_identity())
    found = problems(page, form, await places_to_add(page))
    if found or form.location_id is None:
        return await _form_page(page, form, found, 422)
    if not may_add_charger(page.scope, form.location_id):
        raise NotFoundException
    services = page.services
    try:
        added = await onboarding.add_charger(
            services.db, services.bus, services.charger_key, organisation_id=page.scope.organisation_id,
            location_id=form.location_id, name=form.name, serial=form.serial, model=form.model, vendor=form.vendor,
            model_name=form.model_name, identity=form.identity, now_ms=services.clock.now_ms(), audit=services.audit,
            by=page.actor,
        )  # fmt: skip
    except IdentityTakenError:
        return await _taken(page, form)
    except UnknownLocationError:
        raise NotFoundException from None
    row = await row_of(page, added.charger_id)
    return page.show("charger/added.html", **credentials(page, row, added.password), is_new=True)


async def _taken(page: Page, form: Entered) -> Response[str]:
    """The form of a charger that was added already: go there. Somebody else's identity: try again with another."""
    known = await store.by_identity(page.services.db, form.identity)
    if known is not None and await charger_list.reached_ids(page.services.db, page.scope, [known.id]):
        text = page._("This charger was added already. Its password is shown once; you can make a new one below.")
        return page.go(f"/chargers/{known.id}/edit", toast=text)
    again = msgspec.structs.replace(form, identity=new_identity())
    found = {"name": page._("The identity was just taken by another charger. Press Add again.")}
    return await _form_page(page, again, found, 409)


# ---- waiting for it ----------------------------------------------------------------------------------------------


@get("/chargers/{charger_id:int}/waiting", may="add_chargers")
async def waiting(page: Page, charger_id: FromPath[int], since: FromQuery[int] = 0) -> Response[str]:
    """Whether it has connected, and what went wrong on its way so far."""
    row = await row_of(page, charger_id)
    if not may_change(page, row):
        raise NotFoundException
    state = state_of(row)
    return page.part(
        "charger/waiting.html",
        row=row,
        name=row.name,
        connected=bool(row.online) and state.link_opened_ms >= since,
        link_opened_ms=state.link_opened_ms,
        mistakes=mistakes(page, row.id, row.identity, since),
        since_ms=since,
    )


def mistakes(page: Page, charger_id: int, identity: str, since_ms: int) -> list[Mistake]:
    """The newest refused connections that were meant for this charger, each kind once."""
    oldest_ms = max(since_ms, page.services.clock.now_ms() - LOOK_BACK_MS)
    found: dict[str, Mistake] = {}
    for attempt in page.services.attempts.recent():
        if attempt.at_ms < oldest_ms:
            break
        if attempt.reason in MISTAKES and attempt.reason not in found and _is_meant(attempt, charger_id, identity):
            text = page._(MISTAKES[attempt.reason], identity=attempt.identity)
            found[attempt.reason] = Mistake(attempt.at_ms, text, attempt.address, attempt.reason in HARMLESS)
    return list(found.values())[:MISTAKES_SHOWN]


def _is_meant(attempt: Attempt, charger_id: int, identity: str) -> bool:
    """It named this identity, or one with a typing mistake in it. Another charger, however alike, is not this page's business."""
    if attempt.charger_id not in (0, charger_id):
        return False
    named, own = attempt.identity.casefold().strip(), identity.casefold()
    return named == own or (bool(named) and difflib.SequenceMatcher(None, named, own).ratio() >= LIKE)


ROUTES = [add_form, add, waiting]
