"""Restarting many: one confirmation (what will restart; apart, what is left out and why), then a page that follows it live."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast
from uuid import uuid4

import msgspec
from litestar import Response, get, post
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

from borne.core import plans, policy
from borne.core.access import may_restart, may_restart_many
from borne.core.batch import PAUSE_AFTER_FAILURES, BatchState
from borne.core.charger import STATUSES
from borne.core.scope import Scope
from borne.portal import restart_view as view
from borne.portal.access import PlanNeededError, access_of
from borne.portal.charger_row import facts_of, model_name, state_of
from borne.portal.errors import PageError
from borne.portal.forms import Form, number_of, text_of, values_of
from borne.portal.frame import Page
from borne.portal.language import N_
from borne.portal.reasons import many_text, reason_texts
from borne.portal.restart import KEY_BOUND, WHY_BOUND
from borne.portal.verdicts import verdict_word
from borne.store import batch_list, charger_list, sessions
from borne.store.batch_list import BUCKETS, Bucket

MOST_CHARGERS = charger_list.MOST_IDS
CHUNK_ROWS = 500
LEFT_OUT_SHOWN = 300
PHASES = {
    "filling": N_("Being prepared"),
    "running": N_("Under way"),
    "paused": N_("Paused"),
    "stopped": N_("Stopped"),
    "done": N_("Done"),
}
_BUCKET_WORDS = {"running": N_("Restarting"), "queued": N_("Waiting for their turn")}
_BUCKET_TONES = {"running": "charging", "queued": "waiting"}


class Candidate(msgspec.Struct, frozen=True):
    """A charger that was ticked. `reasons` say why it is left out; none: it will restart."""

    id: int
    name: str
    place: str
    model: str
    has_session: bool
    reasons: Sequence[str] = ()


class Tile(msgspec.Struct, frozen=True):
    """A count of the batch page. `x` and `width` are its part of the stripe, in chargers."""

    bucket: str
    word: str
    tone: str
    count: int
    x: int
    width: int


# ---- asking ------------------------------------------------------------------------------------------------------


@post("/restarts/batch/new", may="member", status_code=200)
async def confirm(page: Page, data: Form) -> Response[str]:
    """The one confirmation. Nothing is sent by it."""
    if policy.permits(page.scope, "restart_many") and (missing := policy.missing_feature(page.scope, "restart_many")):
        raise PlanNeededError(missing, await access_of(page.request).owner_name(page.scope))
    if not may_restart_many(page.scope):
        return page.show(
            "batches/refused.html", 403, text=many_text(page.scope.role, page.language), plan_needed=_plan_needed()
        )
    candidates = await _candidates(page, await _ticked(page, data))
    chosen = [one for one in candidates if not one.reasons]
    left_out = [one for one in candidates if one.reasons]
    return page.show(
        "batches/confirm.html",
        chosen=chosen,
        left_out=left_out[:LEFT_OUT_SHOWN],
        left_out_more=max(0, len(left_out) - LEFT_OUT_SHOWN),
        left_out_count=len(left_out),
        sessions=sum(one.has_session for one in chosen),
        key=uuid4().hex,
        capped=len(candidates) >= MOST_CHARGERS,
        most=MOST_CHARGERS,
    )


@post("/restarts/batch", may="member", status_code=200)
async def begin(page: Page, data: Form) -> Response[str]:
    """OKAY. Whoever cannot be restarted any more is left out by the engine, and the batch's page says why."""
    ids = await charger_list.reached_ids(page.services.db, page.scope, _ids(data)[:MOST_CHARGERS])
    if not ids:
        raise PageError(422, page._("No charger was chosen. Nothing was sent."))
    batch_id = await page.services.batches.request(
        page.scope,
        ids,
        why=text_of(data, "why", WHY_BOUND),
        kind=None,
        idempotency_key=text_of(data, "key", KEY_BOUND) or uuid4().hex,
        address=page.address,
    )
    if batch_id is None:
        text = many_text(page.scope.role, page.language)
        raise PageError(403, page._("Nothing was sent.") + " " + text)
    return page.go(f"/batches/{batch_id}")


async def _ticked(page: Page, data: dict[str, Any]) -> list[int]:
    """The chargers of the form: those ticked, or all that match the list's filter."""
    db, scope = page.services.db, page.scope
    if not text_of(data, "all"):
        return _ids(data)[:MOST_CHARGERS]
    status, location = text_of(data, "status"), text_of(data, "location")
    wanted = charger_list.Filter(
        status=status if status in STATUSES else None,
        attention=bool(text_of(data, "attention")),
        location_id=number_of(location),
        words=charger_list.words_of(text_of(data, "q")),
    )
    return await charger_list.matching_ids(db, scope, wanted, MOST_CHARGERS)


def _ids(data: dict[str, Any]) -> list[int]:
    """The field `charger`, once for each; each at most once, in the order of the form."""
    found = [number_of(text) for text in values_of(data, "charger", MOST_CHARGERS)]
    return list(dict.fromkeys(one for one in found if one is not None))


async def _candidates(page: Page, ids: Sequence[int]) -> list[Candidate]:
    found: list[Candidate] = []
    for start in range(0, len(ids), CHUNK_ROWS):
        rows = await charger_list.rows(page.services.db, page.scope, ids[start : start + CHUNK_ROWS])
        open_sessions = await sessions.count_open(
            page.services.db, page.scope.organisation_id, [row.id for row in rows]
        )
        found += [_candidate(page, row, open_sessions.get(row.id, 0)) for row in rows]
    return found


def _candidate(page: Page, row: Any, open_sessions: int) -> Candidate:
    words: tuple[str, ...] = may_restart(page.scope, facts_of(row))
    if not words and row.restart_phase in view.WAITING_PHASES:
        words = ("waiting",)
    return Candidate(
        id=row.id,
        name=row.name,
        place=row.location_name or "",
        model=model_name(row),
        has_session=not words and (open_sessions > 0 or state_of(row).shows_charging),
        reasons=reason_texts(words, page.language, plan=page.scope.plan, model=row.model),
    )


def _plan_needed() -> str:
    return plans.cheapest_with("BULK_ACTIONS").name


# ---- following ---------------------------------------------------------------------------------------------------


@get("/batches/{batch_id:int}", may="see_restarts")
async def batch(page: Page, batch_id: FromPath[int]) -> Response[str]:
    """A batch, live: counts, the stripe, its restarts by pages."""
    return page.show("batches/index.html", **await _summary(page, batch_id), **await _items(page, batch_id))


@get("/batches/{batch_id:int}/summary", may="see_restarts")
async def summary(page: Page, batch_id: FromPath[int]) -> Response[str]:
    """What changes at every step: the counts, and the question when it paused."""
    return page.part("batches/summary.html", **await _summary(page, batch_id))


@get("/batches/{batch_id:int}/items", may="see_restarts")
async def items(page: Page, batch_id: FromPath[int]) -> Response[str]:
    """The rows of one page."""
    row = await _row(page, batch_id)
    return page.part("batches/items.html", batch=row, **await _items(page, batch_id))


@post("/batches/{batch_id:int}/answer", may="withdraw_restarts", status_code=200)
async def answer(page: Page, batch_id: FromPath[int], data: Form) -> Response[str]:
    """Continue a paused batch, or stop it: what has not been sent is withdrawn."""
    row = await _row(page, batch_id)
    word = text_of(data, "answer")
    if word not in ("continue", "stop") or not _may_answer(page.scope, row):
        raise NotFoundException
    if not await page.services.batches.answer(page.scope, batch_id, go_on=word == "continue", address=page.address):
        raise NotFoundException
    if not page.is_part:
        return page.go(f"/batches/{batch_id}")
    return page.part("batches/summary.html", **await _summary(page, batch_id))


ROUTES = [confirm, begin, batch, summary, items, answer]


async def _row(page: Page, batch_id: int) -> Any:
    row = await batch_list.row(page.services.db, page.scope, batch_id)
    if row is None:
        raise NotFoundException
    return row


def _may_answer(scope: Scope, row: Any) -> bool:
    """Whoever began it, or a super-admin: others reach only a part of it."""
    return scope.role == "super-admin" or (scope.role == "admin" and row.person_id == scope.person_id)


async def _summary(page: Page, batch_id: int) -> dict[str, Any]:
    row = await _row(page, batch_id)
    counts = await batch_list.counts(page.services.db, page.scope, batch_id)
    state = msgspec.json.decode(row.state, type=BatchState)
    left_out = _left_out(page, row)
    return {
        "batch": row,
        "phase": row.phase,
        "phase_word": page._(PHASES[row.phase]),
        "tiles": _tiles(page, counts),
        "total": sum(counts.values()),
        "ended": sum(count for bucket, count in counts.items() if bucket not in ("running", "queued")),
        "at_once": state.at_once,
        "failures": PAUSE_AFTER_FAILURES,
        "may_answer": _may_answer(page.scope, row),
        "left_out": left_out[:LEFT_OUT_SHOWN],
        "left_out_count": len(left_out),
    }


def _tiles(page: Page, counts: dict[str, int]) -> list[Tile]:
    """The counts in the order of the page; the finished ones lie first on the stripe."""
    tiles, x = [], 0
    for bucket in ("succeeded", "failed", "unknown", "not_sent", "running", "queued"):
        count = counts.get(bucket, 0)
        if bucket in _BUCKET_WORDS:
            word, tone = page._(_BUCKET_WORDS[bucket]), _BUCKET_TONES[bucket]
        else:
            word, tone = verdict_word(bucket, page.language)
        tiles.append(Tile(bucket, word, tone, count, x, count))
        x += count
    return tiles


def _left_out(page: Page, row: Any) -> list[tuple[str, list[str]]]:
    """Whom the engine left out at OKAY: name and sentences. Only for those who reach the whole organisation, or made it."""
    if page.scope.location_ids is not None and row.person_id != page.scope.person_id:
        return []
    found = msgspec.json.decode(row.left_out, type=list[tuple[int, str, list[str]]])
    plan = page.scope.plan
    return [
        (name or f"#{charger_id}", reason_texts(words, page.language, plan=plan)) for charger_id, name, words in found
    ]


async def _items(page: Page, batch_id: int) -> dict[str, Any]:
    asked = page.request.query_params
    bucket = asked.get("show")
    at = number_of(asked.get("page", ""), 4) or 1
    chosen = cast(Bucket, bucket) if bucket in BUCKETS else None
    rows, has_more = await batch_list.items(page.services.db, page.scope, batch_id, bucket=chosen, page=at)
    return {
        "entries": [view.entry(row, page.language, page.formats) for row in rows],
        "columns": "batch",
        "rows_address": "/restarts/rows/batch",
        "show": chosen or "",
        "at": at,
        "has_more": has_more,
    }
