"""Restarting one charger: the icon, the modal CHARGER RESTART, OKAY, the live story, withdrawing.

What may be asked is judged by `core.access`: for the icon, for the modal, and again, in the transaction, by the engine at OKAY.
A charger or restart out of a person's reach looks like one that does not exist.
"""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from litestar import Response, get, post
from litestar.exceptions import NotFoundException
from litestar.params import FromPath
from msgspec.structs import replace

from borne.core.scope import Scope
from borne.engine.restarts import NewRestart, When
from borne.engine.restarts import usual as usual_restart
from borne.portal import restart_view as view
from borne.portal.charger_row import row_of
from borne.portal.forms import Form, number_of, text_of
from borne.portal.frame import Page
from borne.portal.reasons import reason_text, reason_texts
from borne.portal.restart_story import pending
from borne.store import charger_list, organisations, restart_list, rooms, sessions

LAST_SHOWN = 5
WHY_BOUND = 500
KEY_BOUND = 80
KEY_PREFIX = "okay-"  # keys of forms and of batches are told apart


# ---- what other pages include ------------------------------------------------------------------------------------


async def told(page: Page, restart_id: int) -> view.Told | None:
    """One restart for templates/restart/panel.html, None out of reach."""
    row = await restart_list.row(page.services.db, page.scope, restart_id)
    if row is None:
        return None
    usual = await usual_restart(page.services.db, page.scope.organisation_id, row.model)
    now_ms = page.services.clock.now_ms()
    return view.tell(page.scope, row, usual.duration_ms, page.language, page.formats, now_ms)


async def last_restarts(page: Page, charger_id: int) -> list[view.Entry]:
    """The newest restarts of a charger for templates/restart/last.html."""
    wanted = restart_list.RestartFilter(charger_id=charger_id)
    found = await restart_list.page(page.services.db, page.scope, wanted, limit=LAST_SHOWN)
    return [view.entry(row, page.language, page.formats) for row in found.rows]


# ---- the modal ---------------------------------------------------------------------------------------------------


@get("/chargers/{charger_id:int}/restart", may="see_chargers")
async def modal(page: Page, charger_id: FromPath[int]) -> Response[str]:
    """CHARGER RESTART: a dialog for htmx, a page of its own for whoever opens its address."""
    _, question = await _question(page, charger_id)
    when = "free" if question.sessions else "now"
    at = view.suggested_time(question.zone, page.services.clock.now_ms())
    return _asked(page, question, view.Entered(key=uuid4().hex, when=when, at=at))


@post("/chargers/{charger_id:int}/restart", may="member", status_code=200)
async def okay(page: Page, charger_id: FromPath[int], data: Form) -> Response[str]:
    """OKAY. The key of the form makes a second click, or a retry, the same restart."""
    row, question = await _question(page, charger_id)
    entered = _entered(data)
    is_repeat = row.restart_id is not None and await _is_repeat(page, charger_id, row.restart_id, entered.key)
    if question.waiting and not is_repeat:
        return _asked(page, question, entered, 409)
    now_ms = page.services.clock.now_ms()
    when, problem = _when(entered, question.zone, now_ms)
    if entered.evse is not None and entered.evse not in question.evses:
        problem = "evse"
    if when is None or problem:
        words = reason_text(problem or "time_missing", page.language)
        return _asked(page, question, replace(entered, problem=words), 422)
    new = NewRestart(
        kind="hard" if entered.kind == "hard" else "soft" if entered.kind == "soft" else None,
        evse=entered.evse,
        when=when,
        why=entered.why,
        idempotency_key=_key(charger_id, entered.key),
        address=page.address,
    )
    outcome = await page.services.restarts.request(page.scope, charger_id, new)
    if outcome.reasons:
        plan = await rooms.plan_of(page.services.db, row.organisation_id)  # it may have changed since the page began
        texts = reason_texts(outcome.reasons, page.language, plan=plan, model=row.model)
        return _asked(page, replace(question, reasons=texts), entered, 409)
    if outcome.restart_id is None:
        raise NotFoundException
    return _accepted(page, charger_id, row.name, existing=outcome.existing and not is_repeat)


def _asked(page: Page, question: view.Ask, entered: view.Entered, status_code: int = 200) -> Response[str]:
    if not page.is_part:
        return page.show("restart/page.html", status_code, ask=question, entered=entered)
    template = "restart/body.html" if entered.posted else "restart/modal.html"
    return page.part(template, status_code, ask=question, entered=entered)


def _accepted(page: Page, charger_id: int, name: str, *, existing: bool) -> Response[str]:
    if existing:
        say = page._("A restart of %(charger)s was under way already: you follow the same one.", charger=name)
    else:
        say = page._("Restart of %(charger)s requested.", charger=name)
    if not page.is_part:
        return page.go(f"/chargers/{charger_id}", toast=say)
    return page.part("restart/done.html", toast=say, charger_id=charger_id, say=say)


async def _question(page: Page, charger_id: int) -> tuple[Any, view.Ask]:
    """The charger's row and what the modal says of it. Raises NotFoundException out of reach."""
    db, scope = page.services.db, page.scope
    row = await row_of(page, charger_id)
    zone = await organisations.time_zone_of(db, scope.organisation_id, row.location_id)
    usual = await usual_restart(db, scope.organisation_id, row.model)
    open_sessions = await sessions.count_open(db, scope.organisation_id, [charger_id])
    now_ms = page.services.clock.now_ms()
    question = view.ask(scope, row, zone, usual, open_sessions.get(charger_id, 0), page.language, page.formats, now_ms)
    if row.restart_phase in view.WAITING_PHASES and row.restart_id is not None:
        question = await _with_waiting(page, scope, question, row.restart_id)
    return row, question


async def _with_waiting(page: Page, scope: Scope, question: view.Ask, restart_id: int) -> view.Ask:
    row = await restart_list.row(page.services.db, scope, restart_id)
    if row is None or row.verdict is not None:
        return question
    waiting = pending(view.decode_restart(row.state), page.language, page.formats)
    may = view.may_withdraw(scope, row)
    return replace(question, waiting=waiting.text, waiting_id=restart_id if may else None)


async def _is_repeat(page: Page, charger_id: int, restart_id: int, key: str) -> bool:
    """Whether the charger's restart is this very request, sent again."""
    return await restart_list.key_of(page.services.db, page.scope, restart_id) == _key(charger_id, key)


def _key(charger_id: int, key: str) -> str:
    """The idempotency key of a form: the same one for another charger is another request."""
    return f"{KEY_PREFIX}{charger_id}-{key}"


def _entered(form: dict[str, Any]) -> view.Entered:
    kind, evse = text_of(form, "kind"), text_of(form, "evse")
    return view.Entered(
        key=text_of(form, "key", KEY_BOUND) or uuid4().hex,
        when=text_of(form, "when") or "now",
        at=text_of(form, "at"),
        why=text_of(form, "why", WHY_BOUND),
        kind=kind if kind in ("soft", "hard") else "",
        evse=number_of(evse, 4),
        posted=True,
    )


def _when(entered: view.Entered, zone: str, now_ms: int) -> tuple[When | None, str]:
    """When to send it, or the word of what is wrong with the time."""
    if entered.when == "free":
        return "free", ""
    if entered.when == "now":
        return "now", ""
    if entered.when != "at":
        return None, "time_missing"
    at_ms = view.instant_at(entered.at, zone)
    if at_ms is None:
        return None, "time_missing"
    if at_ms < now_ms:
        return None, "time_past"
    if at_ms > now_ms + round(view.AHEAD.total_seconds() * 1000):
        return None, "time_far"
    return at_ms, ""


# ---- the live pieces ---------------------------------------------------------------------------------------------


@get("/chargers/{charger_id:int}/restart/icon", may="see_chargers")
async def icon(page: Page, charger_id: FromPath[int]) -> Response[str]:
    """The icon alone, drawn anew when its charger changed."""
    row = await row_of(page, charger_id)
    return page.part("restart/icon.html", restart_icon=view.restart_icon(page.scope, row, page.language))


@get("/restarts/{restart_id:int}/panel", may="see_chargers")
async def panel(page: Page, restart_id: FromPath[int]) -> Response[str]:
    """The story of one restart."""
    shown = await told(page, restart_id)
    if shown is None:
        raise NotFoundException
    return page.part("restart/panel.html", told=shown)


@get("/chargers/{charger_id:int}/restarts/last", may="see_chargers")
async def last(page: Page, charger_id: FromPath[int]) -> Response[str]:
    """The newest restarts of a charger."""
    if not await charger_list.reached_ids(page.services.db, page.scope, [charger_id]):
        raise NotFoundException
    return page.part("restart/last.html", last_restarts=await last_restarts(page, charger_id), charger_id=charger_id)


@post("/restarts/{restart_id:int}/withdraw", may="withdraw_restarts", status_code=200)
async def withdraw(page: Page, restart_id: FromPath[int]) -> Response[str]:
    """Withdraw a restart that has not been sent. One that has been cannot be called back, and says so."""
    row = await restart_list.row(page.services.db, page.scope, restart_id)
    if row is None:
        raise NotFoundException
    if view.may_withdraw(page.scope, row):
        await page.services.restarts.withdraw(row.charger_id, restart_id, page.actor)
    shown = await told(page, restart_id)
    if shown is None:
        raise NotFoundException
    withdrawn = shown.verdict == "not_sent"
    say = page._("Withdrawn. Nothing was sent to the charger.") if withdrawn else page._("Too late: it has been sent.")
    if not page.is_part:
        return page.go(f"/chargers/{row.charger_id}", toast=say)
    if page.request.headers.get("hx-target", "").endswith("#restart-body"):
        return page.part("restart/done.html", toast=say, charger_id=row.charger_id, say=say)
    return page.part("restart/panel.html", toast=say, told=shown)


ROUTES = [modal, okay, icon, panel, last, withdraw]
