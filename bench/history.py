"""A year of sessions: how long statistics take, what they cost the chargers that send beside them, how fast sessions leave."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Event

from bench import measure
from bench.big import fill, found, pages
from bench.generator import Generator
from bench.portal import Browser
from bench.scenarios import RATES, Figure, Plan
from bench.stage import Running
from bench.subjects import ADMIN_EMAIL, PASSWORD, Subject, admin

LINKS = 1_000
CHUNK_BYTES = 1 << 16
DASHBOARD = ("/statistics", "/statistics?location={location}", "/statistics?period=month", "/statistics?group={group}",
             "/sessions", "/sessions?location={location}", "/sessions?q=quai")  # fmt: skip
YEAR = ("/statistics?period=12", "/statistics?period=12&location={location}", "/statistics?period=year",
        "/statistics?period=12&group={group}")  # fmt: skip


def history(subject: Subject, plan: Plan, core: int, beside: int) -> Iterator[Figure]:
    """Statistics of 30 days and of a year for a super-admin and an admin, then beside messages, then a file of all sessions."""
    with subject.start(core, LINKS) as running, Generator(beside, running.ca_file) as generator:
        admin(str(running.config), "create-user", "--email", ADMIN_EMAIL, "--password", PASSWORD, "--role", "admin")
        how_much = fill(running, "history", plan.history)
        limited = replace(running, login=(ADMIN_EMAIL, PASSWORD))
        for person, suffix in ((running, ""), (limited, "_admin")):
            browser = Browser.of(person)
            for paths, name in ((DASHBOARD, "dashboard"), (YEAR, "year")):
                for figure in pages(running, browser, paths, plan.requests // 4, f"{name}{suffix}_p99"):
                    yield replace(figure, note=f"{figure.note}; {how_much}")
        yield from messages_beside(running, generator, plan.seconds)
        yield from exported(running)


def messages_beside(running: Running, generator: Generator, seconds: float) -> Iterator[Figure]:
    """The latency of messages at 2,000 a second, alone and while one person after the other looks at statistics."""
    generator.ask("open", file=str(running.chargers_file), first=0, count=LINKS, concurrency=200)
    time.sleep(1)
    for name, is_watched in (("alone_p99", False), ("beside_p99", True)):
        over = Event()
        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(look, Browser.of(running), over) if is_watched else None
            generator.ask("pace", rate=RATES[0], seconds=seconds)
            result = generator.ask("paced")
            over.set()
            looked = f", {asked.result()} pages" if asked else ""
        note = f"p50 {result.get('p50_ms', 0):.1f}, p99.9 {result.get('p999_ms', 0):.1f}{looked}"
        yield Figure(name, running.name, result.get("p99_ms", float("inf")), "ms", note)


def look(browser: Browser, over: Event) -> int:
    """Two pages a second until it is `over`; gives how many."""
    names, count = found(browser), 0
    while not over.wait(0.5):
        browser.get((DASHBOARD + YEAR)[count % len(DASHBOARD + YEAR)].format(**names))
        count += 1
    return count


def exported(running: Running) -> Iterator[Figure]:
    """All sessions as CSV: rows a second, and how much the server grows meanwhile."""
    browser = Browser.of(running)
    program = running.pids[-1:]  # PostgreSQL's processes would count the memory that they share once each
    before = highest = measure.rss_bytes(program)
    started, lines, looked, cpu = time.monotonic(), 0, 0.0, measure.cpu(running.pids)
    cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    browser.connection.request("GET", "/sessions.csv", headers={"Cookie": cookie})
    response = browser.connection.getresponse()
    if response.status != 200:
        raise RuntimeError(f"/sessions.csv: {response.status}")
    while part := response.read(CHUNK_BYTES):
        lines += part.count(b"\n")
        if time.monotonic() - looked > 0.5:
            highest, looked = max(highest, measure.rss_bytes(program)), time.monotonic()
    spent_s = time.monotonic() - started
    cpu_s = measure.cpu(running.pids).cpu_s - cpu.cpu_s
    note = f"{lines:,} rows in {spent_s:.1f} s, {cpu_s:.1f} s of CPU: {lines / cpu_s:,.0f} rows a second of CPU"
    yield Figure("export_rate", running.name, lines / spent_s, "/s", note)
    grown = f"{before / 2**20:.0f} MiB before, {highest / 2**20:.0f} MiB at most"
    yield Figure("export_mib", running.name, (highest - before) / 2**20, "MiB", grown)
