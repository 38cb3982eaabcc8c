"""What measuring costs: a session alone, and messages of chargers that all charge, beside a server that measures nothing.

`python -m bench.metering FOLDER` measures sessions in a database of its own and prints milliseconds of CPU as JSON.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.generator import Generator
from bench.scenarios import RATES, WARM_UP_S, Figure, Plan, pace, saturation
from bench.stage import scratch_folder
from bench.subjects import Subject

SESSIONS = 400
HOURS, SAMPLES = 3, 180  # one a minute
AGAIN = 5
MINUTE_MS = 60_000


def charging(subject: Subject, plan: Plan, core: int, beside: int) -> Iterator[Figure]:
    """Saturation and a fixed rate while every charger has a session: the same mix, meter values name their transaction."""
    with subject.start(core, plan.large) as running, Generator(beside, running.ca_file) as generator:
        generator.ask("open", file=str(running.chargers_file), first=0, count=plan.large, concurrency=plan.large)
        generator.ask("charge")
        time.sleep(WARM_UP_S)
        for figure in (*saturation(running, generator, plan.large, plan.seconds),
                       *pace(running, generator, RATES[0], plan.seconds * 2)):  # fmt: skip
            name = {"cpu": "cpu_charging", "rate": "rate_charging", "p99": "p99_charging"}[figure.measure.split("_")[0]]
            yield Figure(name, figure.subject, figure.value, figure.unit, figure.note)


def sessions(subject: Subject, core: int) -> Iterator[Figure]:
    """CPU of engine.metering for a session of three hours with 180 samples: the whole, and once more for a new sample."""
    with tempfile.TemporaryDirectory(dir=scratch_folder()) as folder:
        command = ["taskset", "-c", str(core), sys.executable, "-m", "bench.metering", folder]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"nothing was measured: {done.stderr[-2000:]}")
        found = json.loads(done.stdout)
    note = f"{SESSIONS} sessions with {SAMPLES} samples and {HOURS * 4} slots each"
    yield Figure("session_cpu", subject.name, found["whole_ms"], "ms", note)
    yield Figure("session_again_cpu", subject.name, found["again_ms"], "ms", "after one more sample")


async def measured(folder: Path) -> dict[str, float]:
    """Fill, then measure: milliseconds of CPU a session."""
    from borne.bus.memory import MemoryBus
    from borne.engine.clock import Clock
    from borne.engine.metering import Meter
    from borne.engine.prices import Prices
    from borne.store.db import create_database

    db, clock = create_database(f"sqlite:///{folder / 'metering.sqlite3'}"), Clock()
    await db.open()
    try:
        start_ms = clock.now_ms() - (HOURS + 1) * 60 * MINUTE_MS
        await add_sessions(db, start_ms)
        meter = Meter(db, MemoryBus(), clock, Prices(db, clock))
        for charger in range(1, SESSIONS + 1):
            meter.take([reading(charger, start_ms, minute) for minute in range(SAMPLES)])
        started_s = time.process_time()
        await meter.once(all_of_them=True)
        whole_s, started_s = time.process_time() - started_s, time.process_time()
        for more in range(AGAIN):
            meter.take([reading(charger, start_ms, SAMPLES + more) for charger in range(1, SESSIONS + 1)])
            await meter.once(all_of_them=True)
        again_s = (time.process_time() - started_s) / AGAIN
        await check(db)
    finally:
        await db.close()
    return {"whole_ms": whole_s / SESSIONS * 1e3, "again_ms": again_s / SESSIONS * 1e3}


async def add_sessions(db: Any, start_ms: int) -> None:
    """An organisation, a location with a price, and a session on each of its chargers."""
    from borne.core.tariff import EnergyPrice, Fixed
    from borne.store import energy_prices, schema

    async with db.transaction() as tx:
        await tx.insert_many(
            schema.organisations, ("id", "name", "plan", "created_ms"), [(1, "Bench", "business", start_ms)]
        )
        place = ("id", "organisation_id", "name", "time_zone", "created_ms")
        await tx.insert_many(schema.locations, place, [(1, 1, "Lyon", "Europe/Paris", start_ms)])
        price = EnergyPrice(0, Fixed(250_000))
        await energy_prices.add(tx, 1, 1, price, currency="EUR", person_name="Bench", now_ms=start_ms)
        columns = (
            "id", "charger_id", "organisation_id", "location_id", "evse", "connector", "transaction", "start_key",
            "started_ms", "meter_start_wh",
        )  # fmt: skip
        rows = [(n, n, 1, 1, 1, 1, str(n), str(n), start_ms, 0) for n in range(1, SESSIONS + 1)]
        await tx.insert_many(schema.sessions, columns, rows)


def reading(charger: int, start_ms: int, minute: int) -> tuple[Any, ...]:
    """A value of the meter, one a minute, in the order of engine.writes.READING_COLUMNS."""
    at_ms = start_ms + (minute + 1) * MINUTE_MS
    return at_ms, charger, 0, 1, 1, str(charger), "energy_import_wh", (minute + 1) * 120, at_ms, None, None, None, None


async def check(db: Any) -> None:
    """What was measured is what was said. Raises RuntimeError otherwise: a fast wrong sum is no figure."""
    from sqlalchemy import func, select

    from borne.store.schema import location_days

    expected = SESSIONS * (SAMPLES + AGAIN) * 120
    found = await db.value(select(func.sum(location_days.c.energy_wh)).where(location_days.c.organisation_id == 1))
    if found != expected:
        raise RuntimeError(f"{found} Wh were counted, {expected} were said")


def main() -> None:
    """Make the tables, measure, print."""
    from borne.store.migrate import migrate

    folder = Path(sys.argv[1])
    migrate(f"sqlite:///{folder / 'metering.sqlite3'}")
    print(json.dumps(asyncio.run(measured(folder))))


if __name__ == "__main__":
    main()
