"""Millions of readings with their sessions, slots and sums: how fast pages are, and what ingest costs before and with them."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Event

from bench.big import fill, pages
from bench.generator import Generator
from bench.history import DASHBOARD, YEAR, look
from bench.portal import Browser
from bench.scenarios import RATES, Figure, Plan, pace, saturation
from bench.stage import Running
from bench.subjects import Subject

LINKS = 5_000
MONTH = ("/dashboard", *(path for path in DASHBOARD if path.startswith("/statistics")))
LISTS = (
    "/sessions",
    "/sessions?location={location}",
    "/sessions?person={user}",
    "/sessions?kind=ended",
    "/sessions/{session}",
)


def energy(subject: Subject, plan: Plan, core: int, beside: int) -> Iterator[Figure]:
    """Ingest on an empty database; then the past, pages of a month, a year and sessions; ingest again, then beside pages."""
    with subject.start(core, LINKS) as running, Generator(beside, running.ca_file) as generator:
        generator.ask("open", file=str(running.chargers_file), first=0, count=LINKS, concurrency=LINKS)
        yield from ingest(running, generator, plan, "empty")
        how_much = fill(running, "energy", plan.readings)
        browser = Browser.of(running)
        for paths, name in ((MONTH, "energy_month"), (YEAR, "energy_year"), (LISTS, "energy_sessions")):
            for figure in pages(running, browser, paths, plan.requests // 2, f"{name}_p99"):
                yield replace(figure, note=f"{figure.note}; {how_much}")
        yield from ingest(running, generator, plan, "past")
        yield from ingest_beside_pages(running, generator, plan)


def ingest(running: Running, generator: Generator, plan: Plan, when: str) -> Iterator[Figure]:
    """CPU a message at saturation and the latency at 2,000 messages a second."""
    time.sleep(1)
    for figure in (
        *saturation(running, generator, LINKS, plan.seconds),
        *pace(running, generator, RATES[0], plan.seconds),
    ):
        name = figure.measure.split("_")[0]
        yield replace(figure, measure=f"energy_{name}_{when}")


def ingest_beside_pages(running: Running, generator: Generator, plan: Plan) -> Iterator[Figure]:
    """The latency while somebody looks at two pages of statistics a second."""
    over = Event()
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(look, Browser.of(running), over)
        found = list(pace(running, generator, RATES[0], plan.seconds))
        over.set()
        for figure in found:
            yield replace(figure, measure="energy_p99_beside", note=f"{figure.note}, {asked.result()} pages")
