"""A charger's row of `store.charger_list`, as every page about a charger needs it: reached, and read."""

from __future__ import annotations

import msgspec
from litestar.exceptions import NotFoundException

from borne.core.access import ChargerFacts, administers
from borne.core.charger import ChargerState
from borne.core.models import model_of
from borne.portal.frame import Page
from borne.store import charger_list
from borne.store.db import Row

_decode = msgspec.json.Decoder(ChargerState).decode


async def row_of(page: Page, charger_id: int) -> Row:
    """The row of a charger in reach. Raises NotFoundException."""
    found = await charger_list.rows(page.services.db, page.scope, [charger_id])
    if not found:
        raise NotFoundException
    return found[0]


def may_change(page: Page, row: Row) -> bool:
    """Whether the visitor may edit, disable and delete this charger."""
    return administers(page.scope, row.organisation_id, row.location_id)


def state_of(row: Row) -> ChargerState:
    """The machine's state."""
    return _decode(row.state)


def facts_of(row: Row) -> ChargerFacts:
    """What the rules ask of a charger, from a row of `store.charger_list`."""
    return ChargerFacts(
        organisation_id=row.organisation_id,
        location_id=row.location_id,
        charger_id=row.id,
        restarts=model_of(row.model).restarts,
        status=row.status,
        online=bool(row.online),
        disabled=bool(row.disabled),
    )


def model_name(row: Row) -> str:
    """The catalogue's name, or what was typed in for a charger outside it."""
    typed = f"{getattr(row, 'vendor', '')} {getattr(row, 'model_name', '')}".strip()
    return typed if row.model == "other" and typed else model_of(row.model).name
