"""Chargers, as a program sees them."""

from __future__ import annotations

import base64
import binascii

import msgspec
from litestar import get
from litestar.exceptions import NotFoundException
from litestar.params import FromPath, FromQuery

from borne.api.problems import AnyRequest, ProblemError, responses
from borne.api.sign_in import SignedIn, services_of
from borne.api.v1.me import Named
from borne.api.v1.words import instant
from borne.core.models import model_of
from borne.core.scope import Scope
from borne.store import charger_list, charger_pages
from borne.store.db import Row

MOST = 100
USUAL = 50


class LastRestart(msgspec.Struct, frozen=True):
    """The open restart of a charger, else the newest one. `verdict`: null while it is under way."""

    id: int
    phase: str
    verdict: str | None


class ChargerOut(msgspec.Struct, frozen=True):
    """`model`: its word in the catalogue. `status`: ready, charging, waiting, fault, offline,
    restarting, updating, unavailable, reserved, never."""

    id: int
    name: str
    serial: str
    model: str
    model_name: str
    location: Named
    status: str
    online: bool
    disabled: bool
    protocol: str | None
    firmware: str
    last_seen_at: str | None
    restart: LastRestart | None


class ChargersOut(msgspec.Struct, frozen=True):
    """`next`: the address of the following page, null on the last one."""

    chargers: list[ChargerOut]
    next: str | None


@get("/chargers", scope="read", operation_id="chargers", summary="Chargers", responses=responses())
async def chargers(
    request: AnyRequest, caller: SignedIn, after: FromQuery[str | None] = None, limit: FromQuery[int] = USUAL
) -> ChargersOut:
    """The chargers that you reach, by name; `limit` of them (100 at most), then follow `next`."""
    limit = min(max(limit, 1), MOST)
    rows = await charger_pages.page(services_of(request).db, caller.scope, _place(after), limit + 1)
    more = f"/api/v1/chargers?limit={limit}&after={_cursor(rows[limit - 1])}" if len(rows) > limit else None
    return ChargersOut([charger_out(row) for row in rows[:limit]], more)


@get("/chargers/{charger_id:int}", scope="read", operation_id="charger", summary="A charger", responses=responses(404))
async def charger(request: AnyRequest, caller: SignedIn, charger_id: FromPath[int]) -> ChargerOut:
    """One charger."""
    return charger_out(await row_of(request, caller.scope, charger_id))


async def row_of(request: AnyRequest, scope: Scope, charger_id: int) -> Row:
    """The row of a charger in reach. Raises NotFoundException."""
    found = await charger_list.rows(services_of(request).db, scope, [charger_id])
    if not found:
        raise NotFoundException
    return found[0]


def charger_out(row: Row) -> ChargerOut:
    typed = f"{row.vendor} {row.model_name}".strip()
    restart = None
    if row.restart_id is not None and row.restart_phase is not None:
        restart = LastRestart(row.restart_id, row.restart_phase, row.restart_verdict)
    return ChargerOut(
        id=row.id,
        name=row.name,
        serial=row.serial,
        model=row.model,
        model_name=typed if row.model == "other" and typed else model_of(row.model).name,
        location=Named(row.location_id, row.location_name or ""),
        status=row.status,
        online=bool(row.online),
        disabled=bool(row.disabled),
        protocol=row.protocol,
        firmware=row.firmware,
        last_seen_at=instant(row.last_seen_ms),
        restart=restart,
    )


def _cursor(row: Row) -> str:
    """Where the page after this row begins: nothing to be read, only to be sent back."""
    return base64.urlsafe_b64encode(msgspec.json.encode((row.search, row.id))).rstrip(b"=").decode()


def _place(cursor: str | None) -> tuple[str, int]:
    if not cursor:
        return "", 0
    try:
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        return msgspec.json.decode(raw, type=tuple[str, int])
    except (binascii.Error, ValueError, msgspec.DecodeError):
        raise ProblemError(400, "“after” is not one that this API gave: follow “next”.") from None


ROUTES = [chargers, charger]
