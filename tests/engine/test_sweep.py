"""Sweeping goes on, whatever fails: what nobody needs would else grow until the next start."""

from __future__ import annotations

import asyncio

import pytest

from borne.engine import sweep
from borne.engine.sweep import Sweep
from tests.support.house import Small

pytestmark = pytest.mark.anyio


async def test_what_fails_unforeseen_is_tried_again(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "EVERY_S", 0.0)
    tries = 0
    again = asyncio.Event()

    async def fails() -> None:
        nonlocal tries
        tries += 1
        if tries > 1:
            again.set()
        raise ZeroDivisionError

    runs = Sweep(small.house.db, small.house.clock, [fails])
    runs.start()
    try:
        await asyncio.wait_for(again.wait(), 10)
    finally:
        await runs.stop()
