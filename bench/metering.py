"""What measuring costs: a session alone, and messages of chargers that all charge, beside a server that measures nothing.

`python -m bench.metering URL SAMPLES DATABASE_PID` measures sessions in an empty database (0: one without a process of its own)
and prints milliseconds of CPU as JSON.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from bench import measure
from bench.generator import Generator
from bench.scenarios import Figure, Plan, pace, saturation
from bench.stage import Running, scratch_folder
from bench.subjects import POSTGRESQL, Subject
from tests.support.postgres import running_server

SESSIONS, LOCATIONS, PEOPLE = 400, 20, 200
SAMPLES = (100, 500)  # of a session, one a minute
AGAIN = 5
EVERY_S = 10
LONGER = 5  # than other loads: at these rates some thousand messages are to be seen
MINUTE_MS = 60_000


def charging(subject: Subject, plan: Plan, core: int, beside: int) -> Iterator[Figure]:
    """Every charger has a session, which its meter values name: as often as chargers say them, and as often as they can."""
    for count in (plan.small, plan.large):
        with subject.start(core, count) as running, Generator(beside, running.ca_file) as generator:
            generator.ask("open", file=str(running.chargers_file), first=0, count=count, concurrency=count)
            generator.ask("charge")
            generator.ask("pace", rate=count / EVERY_S, seconds=EVERY_S)  # each session has a value, and is followed
            generator.ask("paced")
            yield from _as_often_as_chargers_do(running, generator, count, plan.seconds * LONGER)
            if count == plan.large:
                for figure in saturation(running, generator, count, plan.seconds):
                    yield replace(figure, measure=f"{figure.measure.split('_')[0]}_charging")


def _as_often_as_chargers_do(running: Running, generator: Generator, count: int, seconds: float) -> Iterator[Figure]:
    """Latency and CPU a message where each charger says something every EVERY_S, four of five times what its meter says."""
    before, rate = measure.cpu(running.pids), count // EVERY_S
    (latency,) = pace(running, generator, rate, seconds)
    used_s = measure.cpu(running.pids).cpu_s - before.cpu_s
    yield replace(latency, measure=f"p99_charging_{count}")
    note = f"of all its processes, at {rate} messages a second"
    yield Figure(f"cpu_charging_{count}", running.name, used_s / (rate * seconds) * 1e6, "us", note)


def sessions(subject: Subject, core: int) -> Iterator[Figure]:
    """CPU of engine.metering for a session: measured as a whole, and once more for a new sample, here and in the database."""
    for samples in SAMPLES:
        with tempfile.TemporaryDirectory(dir=scratch_folder()) as folder, ExitStack() as exits:
            url, pids = f"sqlite:///{folder}/metering.sqlite3", [0]
            if subject.name == POSTGRESQL.name:
                server = exits.enter_context(running_server(durable=True))
                url, pids = exits.enter_context(server.database()), [server.pid]
            found = _alone(url, samples, core, pids[0])
        note = f"{SESSIONS} sessions at {LOCATIONS} locations, curves written every {AGAIN} times"
        if samples == SAMPLES[0]:
            yield Figure("session_cpu", subject.name, found["whole_ms"], "ms", f"{samples} samples, {note}")
        beside = f", {found['beside_ms']:.2f} of it in the database's processes" if pids[0] else ""
        yield Figure(f"session_again_cpu_{samples}", subject.name, found["again_ms"], "ms", note + beside)


def _alone(url: str, samples: int, core: int, database_pid: int) -> dict[str, float]:
    """Measure in a process of its own on a core."""
    command = ["taskset", "-c", str(core), sys.executable, "-m", "bench.metering", url, str(samples), str(database_pid)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"nothing was measured: {done.stderr[-2000:]}")
    return dict(json.loads(done.stdout))


class Used:
    """CPU seconds of this process, and of a database's beside it."""

    def __init__(self, database_pid: int) -> None:
        self._database_pid = database_pid
        self.own_s, self.beside_s = self._now()

    def _now(self) -> tuple[float, float]:
        beside_s = measure.cpu([self._database_pid]).cpu_s if self._database_pid else 0.0
        return time.process_time(), beside_s

    def since(self) -> tuple[float, float]:
        """What was used since the last time that somebody asked."""
        before, (self.own_s, self.beside_s) = (self.own_s, self.beside_s), self._now()
        return self.own_s - before[0], self.beside_s - before[1]


async def measured(url: str, samples: int, database_pid: int) -> dict[str, float]:
    """Fill, then measure: milliseconds of CPU a session."""
    from borne.bus.memory import MemoryBus
    from borne.engine.clock import Clock
    from borne.engine.metering import Meter
    from borne.engine.prices import Prices
    from borne.store.db import create_database

    db, clock = create_database(url), Clock()
    await db.open()
    try:
        start_ms = clock.now_ms() - (samples + 2 * AGAIN) * MINUTE_MS
        await add_sessions(db, start_ms)
        meter = Meter(db, MemoryBus(), clock, Prices(db, clock))
        for charger in range(1, SESSIONS + 1):
            meter.take([reading(charger, start_ms, minute) for minute in range(samples)])
        used = Used(database_pid)
        await meter.once(all_of_them=True)
        whole_s = sum(used.since())
        for more in range(AGAIN):
            meter.take([reading(charger, start_ms, samples + more) for charger in range(1, SESSIONS + 1)])
            await meter.once(all_of_them=True)
        await meter.write_curves(range(1, SESSIONS + 1))
        again_s = used.since()
        await check(db, samples + AGAIN)
    finally:
        await db.close()
    again_ms, beside_ms = (1e3 * seconds / SESSIONS / AGAIN for seconds in (sum(again_s), again_s[1]))
    return {"whole_ms": whole_s / SESSIONS * 1e3, "again_ms": again_ms, "beside_ms": beside_ms}


async def add_sessions(db: Any, start_ms: int) -> None:
    """An organisation, locations with a price, and a session of a known person on each of their chargers."""
    from borne.core.tariff import EnergyPrice, Fixed
    from borne.store import energy_prices, schema

    async with db.transaction() as tx:
        await tx.insert_many(
            schema.organisations, ("id", "name", "plan", "created_ms"), [(1, "Bench", "business", start_ms)]
        )
        columns = ("id", "organisation_id", "name", "time_zone", "created_ms")
        places = [(one, 1, f"Lyon {one}", "Europe/Paris", start_ms) for one in range(1, LOCATIONS + 1)]
        await tx.insert_many(schema.locations, columns, places)
        price = EnergyPrice(0, Fixed(250_000))
        for location_id in range(1, LOCATIONS + 1):
            await energy_prices.add(tx, 1, location_id, price, currency="EUR", person_name="Bench", now_ms=start_ms)
        columns = (
            "id", "charger_id", "organisation_id", "location_id", "evse", "connector", "transaction", "start_key",
            "started_ms", "meter_start_wh", "person_id",
        )  # fmt: skip
        rows = [
            (n, n, 1, 1 + n % LOCATIONS, 1, 1, str(n), str(n), start_ms, 0, 1 + n % PEOPLE)
            for n in range(1, SESSIONS + 1)
        ]
        await tx.insert_many(schema.sessions, columns, rows)


def reading(charger: int, start_ms: int, minute: int) -> tuple[Any, ...]:
    """A value of the meter, one a minute, in the order of engine.writes.READING_COLUMNS."""
    at_ms = start_ms + (minute + 1) * MINUTE_MS
    return at_ms, charger, 0, 1, 1, str(charger), "energy_import_wh", (minute + 1) * 120, at_ms, None, None, None, None


async def check(db: Any, samples: int) -> None:
    """What was measured is what was said. Raises RuntimeError otherwise: a fast wrong sum is no figure."""
    from sqlalchemy import func, select

    from borne.store.schema import location_days

    expected = SESSIONS * samples * 120
    found = await db.value(select(func.sum(location_days.c.energy_wh)).where(location_days.c.organisation_id == 1))
    if found != expected:
        raise RuntimeError(f"{found} Wh were counted, {expected} were said")


def main() -> None:
    """Make the tables, measure, print."""
    from borne.store.migrate import migrate

    url, samples, database_pid = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    migrate(url)
    print(json.dumps(asyncio.run(measured(url, samples, database_pid))))


if __name__ == "__main__":
    main()
