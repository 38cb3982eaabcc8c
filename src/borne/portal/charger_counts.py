"""Counts and places of a scope, kept for a second: many browsers that look at one organisation count it once."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from typing import Any, cast

import msgspec

from borne.core.scope import Scope
from borne.portal.frame import Page
from borne.store import charger_list
from borne.store.charger_list import Counts, Place
from borne.store.db import Reader

KEPT_S = 1.0
BOUND = 200


class Overview(msgspec.Struct, frozen=True):
    """What tiles and filters show of a scope."""

    counts: Counts
    places: list[Place]


class Overviews:
    """The newest overview of each scope; one count of a scope at a time."""

    def __init__(self, db: Reader) -> None:
        self._db = db
        self._kept: OrderedDict[Any, tuple[float, asyncio.Task[Overview]]] = OrderedDict()

    async def of(self, scope: Scope) -> Overview:
        """The scope's overview, a second old at most."""
        key = (scope.organisation_id, scope.location_ids, scope.charger_ids)
        now_s = time.monotonic()
        known = self._kept.get(key)
        if known is None or known[0] + KEPT_S < now_s or (known[1].done() and known[1].exception() is not None):
            known = (now_s, asyncio.create_task(self._count(scope)))
            self._kept[key] = known
            self._kept.move_to_end(key)
            while len(self._kept) > BOUND:
                self._kept.popitem(last=False)
        return await asyncio.shield(known[1])

    async def _count(self, scope: Scope) -> Overview:
        counts, places = await asyncio.gather(
            charger_list.counts(self._db, scope), charger_list.places(self._db, scope)
        )
        return Overview(counts, places)


async def overview(page: Page) -> Overview:
    """The overview of the visitor's scope."""
    state = page.request.app.state
    if not hasattr(state, "charger_overviews"):
        state.charger_overviews = Overviews(page.services.db)
    return await cast(Overviews, state.charger_overviews).of(page.scope)
