"""The engine's day: a new incarnation at the start (links of older ones are over, and the loss is ours), an orderly end."""

from __future__ import annotations

import asyncio
import logging

from borne.core.facts import ServerReturned
from borne.engine.apply import Engine
from borne.engine.timers import step_clock
from borne.store import incarnations
from borne.store import rooms as store

log = logging.getLogger(__name__)


async def begin(engine: Engine) -> int:
    """Take the next incarnation number and tell the machines how long Borne was away. Before any link opens."""
    now_ms = engine.clock.now_ms()
    async with engine.db.transaction() as tx:
        last = await incarnations.last(tx)
        engine.incarnation = await incarnations.begin(tx, now_ms)
    if last is None:
        return engine.incarnation
    down_from_ms = last.stopped_ms or last.alive_ms
    # A clock that was set back meanwhile shows itself, by this much at least; one set forward looks like absence.
    if now_ms < down_from_ms:
        log.warning("the system's clock was set back while Borne was away; deadlines move with it")
        await step_clock(engine, now_ms - down_from_ms)
        down_from_ms = now_ms - 1  # for how long, nobody knows
    after_id, count = 0, 0
    while ids := await store.unsettled_chargers(engine.db, after_id):
        facts = [ServerReturned(charger_id=c, at_ms=now_ms, down_from_ms=down_from_ms) for c in ids]
        await asyncio.gather(*(engine.apply(fact) for fact in facts))
        after_id, count = ids[-1], count + len(ids)
    if last.stopped_ms is None:
        log.warning("the last run ended without saying so; %d chargers were connected or restarting then", count)
    return engine.incarnation


async def end(engine: Engine) -> None:
    """Say that this end is orderly. After the last link closed."""
    async with engine.db.transaction() as tx:
        await incarnations.end(tx, engine.incarnation, engine.clock.now_ms())
