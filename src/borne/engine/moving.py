"""A charger that stands at another location: what waits for it is looked at again, in its turn."""

from __future__ import annotations

from borne.core.facts import RestartRefused
from borne.core.restart_state import BEFORE_SENDING
from borne.engine.reactions import react
from borne.engine.restarts import administers_now
from borne.engine.room import Room
from borne.engine.writes import Writes
from borne.store import charger_places
from borne.store import restarts as restart_store
from borne.store.db import Transaction


async def moved(tx: Transaction, room: Room, writes: Writes, location_id: int, now_ms: int) -> None:
    """The charger was moved in this transaction. A restart that has not been sent goes with it while whoever asked
    administers the new location too, and ends otherwise; in a batch it keeps the place in its old location's queue."""
    room.location_id = location_id
    held = room.open_restart
    if held is None or held.state.phase not in BEFORE_SENDING:
        return
    asked = await restart_store.requester(tx, held.state.id)
    if (
        asked is None
        or asked.person_id is None
        or not await administers_now(tx, asked.person_id, room.organisation_id, location_id, now_ms)
    ):
        refused = RestartRefused(charger_id=room.charger_id, at_ms=now_ms, restart_id=held.state.id, reason="role")
        react(room, refused, writes)
    elif held.batch_id is None:
        await charger_places.follow(tx, room.organisation_id, held.state.id, location_id)
        held.location_id = location_id
