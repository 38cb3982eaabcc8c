"""Worlds of one's own: a short scenario by hand, and what came of it."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from borne.sim import checks, virtual_loop
from borne.sim.behaviours import BEHAVIOURS
from borne.sim.checks import Case, Report
from borne.sim.founding import folder, template
from borne.sim.lossy_net import ChargerEnd
from borne.sim.records import Charger
from borne.sim.scenario import ChargerPlan, Do, Scenario, Step
from borne.sim.trial import listening, short_days
from borne.sim.world import World

NEVER_S = 1e6
CLICK_S = 60.0


def charger(behaviour: str = "by-the-book", protocol: Any = "1.6", **plan: Any) -> ChargerPlan:
    """A charger with a named behaviour; fields of the behaviour may be given beside those of the plan."""
    known = {name: plan.pop(name) for name in list(plan) if name in ChargerPlan.__dataclass_fields__}
    return ChargerPlan(replace(BEHAVIOURS[behaviour], **plan), protocol, **known)


def by_hand(**plan: Any) -> ChargerPlan:
    """A charger that does nothing by itself: the test dials and speaks for it."""
    return charger(starts_at_s=NEVER_S, **plan)


def step(at_s: float, do: Do, number: int = 0, **details: Any) -> Step:
    return Step(at_s, do, number, details)


class Tale:
    """What came of a scenario."""

    def __init__(self, world: World, report: Report) -> None:
        self.world = world
        self.report = report
        self.cases: list[Case] = report.cases
        self.verdicts = [(case.state.get("verdict"), case.state.get("reason")) for case in report.cases]
        self.first = [[(seen.verdict, seen.reason) for seen in case.verdicts()] for case in report.cases]
        self.reasons = [click.outcome.reasons for click in world.clicks if click.outcome is not None]
        self.phases = [[seen.phase for seen in case.history] for case in report.cases]

    @property
    def verdict(self) -> tuple[Any, Any]:
        """Of the only restart."""
        assert len(self.verdicts) == 1, self.verdicts
        return self.verdicts[0]

    @property
    def state(self) -> dict[str, Any]:
        return self.cases[0].state

    @property
    def took_s(self) -> float:
        """From the writing to the first verdict."""
        case = self.cases[0]
        assert case.frame is not None
        return next(case.verdicts()).at_s - case.frame.at_s

    def resets(self, number: int = 0) -> int:
        """How many Resets the charger received."""
        return sum(entry.kind == "reset_received" for entry in self.world.chargers[number].log)


def play(
    *plans: ChargerPlan,
    steps: tuple[Step, ...] = (step(CLICK_S, "click"),),
    live: Callable[[World], Awaitable[None]] | None = None,
    look: Callable[[World], None] | None = None,
    judged: bool = True,
    **scenario: Any,
) -> Tale:
    """Play a scenario to its end; nothing may be wrong in the judge's eyes. `live` happens before the steps, `look` at the end.

    `judged` False: a charger was spoken for by hand, and has no log that a verdict could be compared with.
    """
    kept = {"deadline_s": (120, 240), **scenario}
    tale = Scenario(plans or (charger(),), tuple(sorted(steps, key=lambda one: one.at_s)), **kept)
    place = folder()
    template()
    with short_days():
        return virtual_loop.run(_play(tale, place, live, look, judged))


async def _play(scenario: Scenario, place: Path, live: Any, look: Any, judged: bool) -> Tale:
    world = World(scenario, place)
    try:
        with listening(world):
            await world.begin()
            if live is not None:
                await live(world)
            await world.go_through(scenario.steps)
            await world.settle()
            report = checks.judge(world)
            if look is not None:
                look(world)
            await world.end()
        assert (report.violations if judged else []) + world.faults == []
        return Tale(world, report)
    finally:
        shutil.rmtree(place, ignore_errors=True)


class Voice:
    """A charger's voice, frame by frame."""

    def __init__(self, world: World, number: int = 0) -> None:
        self.world = world
        self.charger: Charger = world.chargers[number]
        self.end: ChargerEnd = None  # type: ignore[assignment]
        self.heard: list[list[Any]] = []
        self._count = 0

    async def connect(self, **how: Any) -> Voice:
        """Dial; raises DialRefused."""
        self.end = await self.world.dial(self.charger, **how)
        return self

    async def boot(self) -> list[Any]:
        """Announce a boot, in 1.6."""
        return await self.call("BootNotification", {"chargePointVendor": "Test", "chargePointModel": "Voice"})

    async def say(self, *frame: Any) -> None:
        await self.end.send(json.dumps(frame))

    async def call(self, action: str, payload: dict[str, Any], message_id: str | None = None) -> list[Any]:
        """Make a call and return the whole frame that answers it."""
        self._count += 1
        message_id = message_id or f"v{self._count}"
        await self.say(2, message_id, action, payload)
        return await self.hear(lambda frame: frame[0] in (3, 4) and frame[1] == message_id)

    async def hear(self, wanted: Callable[[list[Any]], bool], within_s: float = 60.0) -> list[Any]:
        """The first frame that is wanted, also of those heard before."""
        async with asyncio.timeout(within_s):
            while True:
                for frame in self.heard:
                    if wanted(frame):
                        self.heard.remove(frame)
                        return frame
                self.heard.append(json.loads(await self.end.recv()))

    async def asked_to_reset(self) -> str:
        """The message id of the next Reset."""
        return str((await self.hear(lambda frame: frame[0] == 2 and frame[2] == "Reset"))[1])
