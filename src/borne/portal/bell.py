"""The bell of the frame: how many notices somebody has not read, from memory, so that a page needs not ask for it."""

from __future__ import annotations

import time
from collections import OrderedDict

from borne.bus.port import Bus, Hint
from borne.core.scope import Scope
from borne.store import notices
from borne.store.db import Database

KNOWN_S = 60.0
BOUND = 10_000


class Bells:
    """Counts by person and organisation, dropped when a notice of the person comes or is read."""

    def __init__(self, db: Database, bus: Bus) -> None:
        self._db = db
        self._bus = bus
        self._changes = 0
        self._known: OrderedDict[int, dict[int, tuple[float, Scope, int]]] = OrderedDict()
        bus.listen("notices", lambda hint: self._forget(hint.id))

    def known(self, scope: Scope) -> int | None:
        """The count, None when it has to be asked for."""
        found = self._known.get(scope.person_id, {}).get(scope.organisation_id)
        if found is None or found[0] < time.monotonic() or found[1] != scope:
            return None
        return found[2]

    async def count(self, scope: Scope) -> int:
        """The count as it is now."""
        changes = self._changes
        unread = await notices.unread(self._db, scope)
        if self._changes != changes:  # it may be another one by now
            return unread
        kept = self._known.setdefault(scope.person_id, {})
        kept[scope.organisation_id] = (time.monotonic() + KNOWN_S, scope, unread)
        self._known.move_to_end(scope.person_id)
        while len(self._known) > BOUND:
            self._known.popitem(last=False)
        return unread

    def changed(self, person_id: int) -> None:
        """Tell every page of this person, wherever it is open."""
        self._forget(person_id)
        self._bus.publish(Hint("notices", person_id))

    def _forget(self, person_id: int) -> None:
        self._changes += 1
        self._known.pop(person_id, None)
