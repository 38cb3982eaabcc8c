"""The Chargers page and its fragments, with very many chargers: how long the server takes, alone and under load."""

import time
from collections.abc import Iterator

from bench import measure
from bench.generator import Generator
from bench.portal import Browser
from bench.scenarios import Figure, Plan
from bench.stage import Running
from bench.subjects import Subject

LOAD_RATE = 2_000
LOAD_LINKS = 2_000
IDLE_S = 0.01
TABLE = "charger-list"

# What people ask of the list. The letters of the searches occur in many, in few and in no charger.
QUERIES = {
    "first page": "",
    "page 40": "page=40",
    "page 900": "page=900",
    "by status": "status=ready",
    "never connected": "status=never",
    "sorted by last seen": "sort=-last_seen",
    "sorted by status": "sort=status",
    "one charger by name": "q=bench-0777",
    "a common word": "q=bench",
    "found nowhere": "q=zebra",
    "filtered, sorted, page 3": "status=never&sort=-name&page=3",
}


def pages(subject: Subject, plan: Plan, core: int, beside: int) -> Iterator[Figure]:
    """The p99 of all requests, and of the slowest kind; then the same while chargers send 2,000 messages a second."""
    with subject.start(core, plan.chargers) as running, Generator(beside, running.ca_file) as generator:
        browser = Browser.of(running)
        yield from asked(running, browser, plan.requests, "pages_p99")
        count = min(LOAD_LINKS, plan.chargers)
        generator.ask("open", file=str(running.chargers_file), first=0, count=count, concurrency=100)
        generator.ask("pace", rate=LOAD_RATE, seconds=plan.seconds * 2)
        yield from asked(running, browser, plan.requests, "pages_loaded_p99", for_s=plan.seconds * 2)
        generator.ask("paced")


def asked(running: Running, browser: Browser, rounds: int, name: str, for_s: float = 600.0) -> Iterator[Figure]:
    """Ask for every page and fragment in turn, `rounds` times but not longer than `for_s`, with a little rest between."""
    times: dict[str, list[float]] = {}
    until = time.monotonic() + for_s
    browser.get("/chargers")
    for _ in range(rounds):
        for kind, query in QUERIES.items():
            for fragment in (None, TABLE):
                started = time.perf_counter()
                browser.get(f"/chargers?{query}", fragment_of=fragment)
                spent_ms = (time.perf_counter() - started) * 1e3
                times.setdefault(kind + (" (fragment)" if fragment else ""), []).append(spent_ms)
                time.sleep(IDLE_S)
        if time.monotonic() > until:
            break
    every = [value for values in times.values() for value in values]
    slowest = max(times, key=lambda kind: measure.percentile(times[kind], 0.99))
    note = f"p50 {measure.percentile(every, 0.5):.1f}, {len(every)} requests, slowest kind: {slowest}, "
    note += f"p99 {measure.percentile(times[slowest], 0.99):.1f}"
    yield Figure(name, running.name, measure.percentile(every, 0.99), "ms", note)
