"""Signs of life: they live in memory and go to the database in bulk, so that no heartbeat costs a row."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from borne.gateway.links import Links
from borne.store.chargers import LAST_SEEN_SLICE

log = logging.getLogger(__name__)

Save = Callable[[Sequence[tuple[int, int]]], Awaitable[None]]  # (charger_id, seen_ms) rows


async def flush_signs(links: Links, save: Save) -> None:
    """Save the last signs of life every `flush_s`, in slices. Runs until cancelled; a failure only costs time."""
    while True:
        await asyncio.sleep(links.settings.flush_s)
        found = links.all()
        for first in range(0, len(found), LAST_SEEN_SLICE):
            rows = [(link.charger.charger_id, links.sign_ms(link)) for link in found[first : first + LAST_SEEN_SLICE]]
            try:
                await save(rows)
            except Exception:
                log.exception("signs of life could not be saved")
                break
            await asyncio.sleep(0)
