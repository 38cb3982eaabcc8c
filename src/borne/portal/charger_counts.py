"""Counts and places of a scope, kept for a second: many browsers that look at one organisation count it once."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from typing import Any, cast

import msgspec

from borne.bus.port import Bus, Hint
from borne.core.scope import Scope
from borne.portal.frame import Page
from borne.store import charger_list
from borne.store.charger_list import Counts, Place
from borne.store.db import Reader

KEPT_S = 1.0
RENEWED_S = 0.5  # asked for after this it is counted anew in the background, so that who keeps asking never waits
SETTLED_S = 0.3  # who was told of a change gets a count begun after it, but no more than one in this time
BOUND = 200


class Overview(msgspec.Struct, frozen=True):
    """What tiles and filters show of a scope."""

    counts: Counts
    places: list[Place]


class _Kept:
    """The newest overview of a scope, and the count under way, if there is one."""

    def __init__(self) -> None:
        self.overview: Overview | None = None
        self.counted_s = 0.0
        self.task: asyncio.Task[Overview] | None = None


class Overviews:
    """The newest overview of each scope; one count of a scope at a time."""

    def __init__(self, db: Reader, bus: Bus) -> None:
        self._db = db
        self._kept: OrderedDict[Any, _Kept] = OrderedDict()
        self._moved_s: dict[int, float] = {}  # organisation: when one of its chargers changed last
        bus.listen("directory", self._changed)
        bus.listen("location", self._changed)
        bus.listen("charger", self._moved)

    def _moved(self, hint: Hint) -> None:
        self._moved_s[hint.organisation_id] = time.monotonic()

    def _changed(self, hint: Hint) -> None:
        """Somebody added, moved or deleted a charger or a location, and wants to see it."""
        for key in [key for key in self._kept if key[0] == hint.organisation_id]:
            del self._kept[key]

    async def of(self, scope: Scope) -> Overview:
        """The scope's overview, a second old at most."""
        key = (scope.organisation_id, scope.location_ids, scope.charger_ids)
        kept = self._kept.setdefault(key, _Kept())
        self._kept.move_to_end(key)
        while len(self._kept) > BOUND:
            self._kept.popitem(last=False)
        age_s = time.monotonic() - kept.counted_s
        if kept.task is None and (kept.overview is None or age_s > RENEWED_S):
            kept.task = asyncio.create_task(self._count(scope, kept))
        if kept.overview is not None and age_s <= KEPT_S:
            return kept.overview
        assert kept.task is not None
        return await asyncio.shield(kept.task)

    async def newest(self, scope: Scope) -> Overview:
        """The same for a page that was told of a change, and may be told of no other: counted after that change."""
        kept = self._kept.get((scope.organisation_id, scope.location_ids, scope.charger_ids))
        moved_s = self._moved_s.get(scope.organisation_id, 0.0)
        while kept is not None and kept.counted_s <= moved_s:
            await asyncio.sleep(max(0.0, kept.counted_s + SETTLED_S - time.monotonic()))
            if kept.task is None and kept.counted_s <= moved_s:
                kept.task = asyncio.create_task(self._count(scope, kept))
            if kept.task is not None:
                await asyncio.shield(kept.task)
        return await self.of(scope)

    async def _count(self, scope: Scope, kept: _Kept) -> Overview:
        begun_s = time.monotonic()
        try:
            counts, places = await asyncio.gather(
                charger_list.counts(self._db, scope), charger_list.places(self._db, scope)
            )
            kept.overview, kept.counted_s = Overview(counts, places), begun_s
            return kept.overview
        finally:
            kept.task = None


async def overview(page: Page, *, newest: bool = False) -> Overview:
    """The overview of the visitor's scope; `newest` counts what changed up to now."""
    overviews = cast(Overviews, page.request.app.state.overviews)
    return await (overviews.newest(page.scope) if newest else overviews.of(page.scope))
