"""From a scenario to a judgement: run a world from beginning to end, and say what was wrong in it."""

from __future__ import annotations

import contextlib
import logging
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from borne.core import restart
from borne.engine import metering
from borne.sim import checks, meters, rows, virtual_loop
from borne.sim.checks import Report
from borne.sim.founding import folder, template
from borne.sim.scenario import Scenario, from_seed
from borne.sim.sun import Sun
from borne.sim.virtual_loop import Killed
from borne.sim.world import World

SHORT_DAY_MS = 30 * 60_000
METER_LOOKS_S = 5.0


@dataclass(frozen=True, slots=True)
class Result:
    """A world that was run, judged."""

    report: Report
    rows: Counter[str]
    lasted_s: float


def run_world(
    scenario: Scenario, seed: int = 0, tell: Callable[[str], None] | None = None, *, sunny: bool = False
) -> Result:
    """Run a scenario from beginning to end and judge it. `sunny`: with a roof and a market beside it (sim.sun)."""
    place = folder()
    try:
        with short_days():
            return virtual_loop.run(_run_world(scenario, place, seed, tell, sunny))
    finally:
        shutil.rmtree(place, ignore_errors=True)


async def _run_world(
    scenario: Scenario, place: Path, seed: int, tell: Callable[[str], None] | None, sunny: bool
) -> Result:
    template()
    world = World(scenario, place, seed, tell)
    sun = Sun(world) if sunny else None
    with listening(world):
        if sun is not None:
            world.spawn(sun.shine())
        await world.live()
        wrong = [] if sun is None else list(sun.wrong())
        await meters.replayed(world)
        report = checks.judge(world)
        report.violations += wrong
        rows_met = rows.met(world, report)
        lasted_s = world.now_s
        await world.end()
    report.violations += [f"afterwards: {fault}" for fault in world.faults if fault not in report.violations]
    return Result(report, rows_met, lasted_s)


def run_seed(seed: int, tell: Callable[[str], None] | None = None) -> Result:
    """Run the world of a seed."""
    return run_world(from_seed(seed), seed, tell)


class _Alarm(logging.Handler):
    """Whatever the server logs as an error is wrong: nothing in this world breaks its disk or its program."""

    def __init__(self, world: World) -> None:
        super().__init__(logging.ERROR)
        self._world = world

    def emit(self, record: logging.LogRecord) -> None:
        if isinstance((record.exc_info or (None, None))[1], Killed):
            return
        self._world.faults.append(f"logged at {self._world.now_s:.2f} s: {self.format(record)}")


@contextlib.contextmanager
def listening(world: World) -> Iterator[None]:
    """Hear what the server logs; only errors are of interest."""
    logger, alarm = logging.getLogger("borne"), _Alarm(world)
    saved = logger.level, logger.propagate
    logger.setLevel(logging.ERROR)
    logger.propagate = False
    logger.addHandler(alarm)
    try:
        yield
    finally:
        logger.removeHandler(alarm)
        logger.level, logger.propagate = saved


@contextlib.contextmanager
def short_days() -> Iterator[None]:
    """The rules' "24 hours" for a session to end last half an hour here: a day of heartbeats teaches nothing more. Nor does the
    meter's looking each second. Samples wait for their curves as in a crowd."""
    bent = {
        (restart, "SCHEDULED_WITHIN_MS"): SHORT_DAY_MS,
        (restart, "FREE_WITHIN_MS"): SHORT_DAY_MS,
        (metering, "LOOK_S"): METER_LOOKS_S,
        (metering, "REST_S"): METER_LOOKS_S,
        (metering, "FEW"): 0,
    }
    saved = {(owner, name): getattr(owner, name) for owner, name in bent}
    for (owner, name), value in bent.items():
        setattr(owner, name, value)
    try:
        yield
    finally:
        for (owner, name), value in saved.items():
            setattr(owner, name, value)


def main() -> int:
    """Tell the story of each seed that is named. 1: one of them went wrong."""
    wrong = 0
    for text in sys.argv[1:]:
        result = run_seed(int(text), print)
        for line in describe(int(text), result):
            print(line)  # noqa: T201
        wrong += bool(result.report.violations)
    return 1 if wrong else 0


def describe(seed: int, result: Result) -> Iterator[str]:
    """What the judge says, in lines."""
    yield f"seed {seed}: {result.lasted_s:.0f} virtual seconds"
    for verdict, count in sorted(result.report.verdicts.items()):
        yield f"  {count} x {verdict}"
    for name, count in sorted(result.report.excused.items()):
        yield f"  {count} x excused: {name}"
    for violation in result.report.violations:
        yield f"  WRONG: {violation}"
