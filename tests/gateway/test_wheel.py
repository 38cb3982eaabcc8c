"""The timer that all links share."""

import asyncio

import pytest

from borne.gateway import wheel
from borne.gateway.wheel import Wheel

pytestmark = pytest.mark.anyio


class Spoke:
    def __init__(self, *again_s: float | None) -> None:
        self.ticks: list[float] = []
        self.again_s = list(again_s)

    def on_tick(self, now_s: float) -> float | None:
        self.ticks.append(now_s)
        step_s = self.again_s.pop(0) if self.again_s else None
        if step_s is not None and step_s < 0:
            raise ValueError("broken")
        return None if step_s is None else now_s + step_s


async def test_a_spoke_is_visited_at_its_time_and_again_when_it_asks() -> None:
    loop = asyncio.get_running_loop()
    it, spoke = Wheel(loop, 0.02), Spoke(0.1)
    started_s = loop.time()
    it.add(spoke, started_s + 0.1)
    await asyncio.sleep(0.4)
    first_s, second_s = (tick - started_s for tick in spoke.ticks)
    assert 0.1 <= first_s < 0.2
    assert 0.2 <= second_s < 0.4
    assert it._timer is None  # nothing hangs on it: it does not turn
    it.stop()


async def test_many_spokes_are_visited_in_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wheel, "SLICE", 10)
    loop = asyncio.get_running_loop()
    it, spokes = Wheel(loop, 0.02), [Spoke() for _ in range(95)]
    for spoke in spokes:
        it.add(spoke, loop.time())
    await asyncio.sleep(0.15)
    assert all(len(spoke.ticks) == 1 for spoke in spokes)
    it.stop()


async def test_a_spoke_that_breaks_harms_no_other() -> None:
    loop = asyncio.get_running_loop()
    it, broken, fine = Wheel(loop, 0.02), Spoke(-1), Spoke()
    it.add(broken, loop.time())
    it.add(fine, loop.time())
    await asyncio.sleep(0.1)
    assert len(fine.ticks) == 1
    it.stop()


async def test_nothing_ticks_after_the_stop() -> None:
    loop = asyncio.get_running_loop()
    it, spoke = Wheel(loop, 0.02), Spoke()
    it.add(spoke, loop.time())
    it.stop()
    await asyncio.sleep(0.1)
    assert spoke.ticks == []
