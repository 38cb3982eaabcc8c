"""The loads: each takes a running subject and a generator, and gives figures."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

from bench import measure
from bench.generator import Generator
from bench.portal import Browser
from bench.stage import Running
from bench.subjects import Subject

WARM_UP_S = 2.0
RATES = (2_000, 5_000)


@dataclass(frozen=True)
class Figure:
    """One measured value; `note` says what a reader must know to believe it."""

    measure: str
    subject: str
    value: float
    unit: str
    note: str = ""


@dataclass(frozen=True)
class Plan:
    """How much to measure: seconds a load lasts, links of each size, requests of each page."""

    seconds: float = 6.0
    rounds: int = 1
    small: int = 1_000
    large: int = 5_000
    idle: int = 10_000
    warm: int = 500
    resets: int = 300
    chargers: int = 100_000
    requests: int = 60
    share: float = 1.0  # of the sizes of bench.fill
    history: int = 500  # chargers with a year of sessions
    summed: int = 10_000  # chargers with a year of sums
    readings: int = 50_000_000  # of the load `energy`
    exported: int = 1_000_000  # sessions of the load `export`


QUICK = Plan(
    seconds=4.0,
    rounds=1,
    resets=60,
    chargers=20_000,
    requests=15,
    share=0.2,
    history=100,
    readings=1_000_000,
    exported=100_000,
)


def links(subject: Subject, plan: Plan, core: int, beside: int, count: int, paced: bool) -> Iterator[Figure]:
    """Storm, saturation and, where asked for, fixed rates with `count` chargers."""
    with subject.start(core, count) as running, Generator(beside, running.ca_file) as generator:
        yield from storm(running, generator, count)
        with subject.company(running, beside):
            yield from saturation(running, generator, count, plan.seconds)
            for rate in RATES if paced else ():
                yield from pace(running, generator, rate, plan.seconds)


def storm(running: Running, generator: Generator, count: int) -> Iterator[Figure]:
    """All chargers connect and boot at once; ends when the last boot is answered."""
    before = measure.cpu(running.pids)
    result = generator.ask("open", file=str(running.chargers_file), first=0, count=count, concurrency=count)
    used_s = measure.cpu(running.pids).cpu_s - before.cpu_s
    note = f"generator {result['busy']:.0%} busy, {result['retries']} dials refused and repeated"
    yield Figure(f"storm_{count}", running.name, result["seconds"], "s", note)
    yield Figure(f"storm_cpu_{count}", running.name, used_s / count * 1e3, "ms", note)


def saturation(running: Running, generator: Generator, count: int, seconds: float) -> Iterator[Figure]:
    """Every charger always has one call under way: the server is never without work."""
    generator.ask("saturate")
    time.sleep(WARM_UP_S)
    cpu_before, before = measure.cpu(running.pids), generator.ask("count")
    time.sleep(seconds)
    cpu_after, after = measure.cpu(running.pids), generator.ask("count")
    end = generator.ask("pause")
    answered = after["answered"] - before["answered"]
    busy = measure.busy(cpu_before, cpu_after)
    spent_s = (after["at_ns"] - before["at_ns"]) / 1e9
    generator_busy = (after["cpu_s"] - before["cpu_s"]) / spent_s
    note = f"server {busy:.0%} of its core, generator {generator_busy:.0%}"
    if busy < measure.BUSY_ENOUGH:
        note += ", NOT SATURATED" if generator_busy > measure.BUSY_ENOUGH else ", waits for its disk"
    if end["refused"] or end["lost"]:
        note += f", {end['refused']} refused, {end['lost']} links lost"
    cpu_us = (cpu_after.cpu_s - cpu_before.cpu_s) / max(answered, 1) * 1e6
    yield Figure(f"cpu_{count}", running.name, cpu_us, "us", note)
    yield Figure(f"rate_{count}", running.name, answered / spent_s, "/s", note)


def pace(running: Running, generator: Generator, rate: int, seconds: float) -> Iterator[Figure]:
    """A fixed rate, latency from the instant each message was due."""
    before = measure.cpu(running.pids)
    generator.ask("pace", rate=rate, seconds=seconds)
    result = generator.ask("paced")
    busy = measure.busy(before, measure.cpu(running.pids))
    missing = result["sent"] - result["answered"]
    note = f"p50 {result.get('p50_ms', 0):.1f}, p99.9 {result.get('p999_ms', 0):.1f}, server {busy:.0%}"
    note += f", generator late by {result['worst_lag_ms']:.1f} ms at worst"
    if missing:
        note += f", {missing} of {result['sent']} never answered"
    value = result["p99_ms"] if not missing else float("inf")
    yield Figure(f"p99_{rate}", running.name, value, "ms", note)


def memory(subject: Subject, plan: Plan, core: int, beside: int) -> Iterator[Figure]:
    """What one more idle link costs, once the server is warm."""
    with subject.start(core, plan.warm + plan.idle) as running, Generator(beside, running.ca_file) as generator:
        file = str(running.chargers_file)
        generator.ask("open", file=file, first=0, count=plan.warm, concurrency=plan.warm)
        time.sleep(1)
        before = measure.rss_bytes(running.pids)
        generator.ask("open", file=file, first=plan.warm, count=plan.idle, concurrency=200)
        time.sleep(3)
        after = measure.rss_bytes(running.pids)
        note = f"{before / 2**20:.0f} MiB with {plan.warm} links, {after / 2**20:.0f} MiB with {plan.idle} more"
        yield Figure("link_kib", running.name, (after - before) / plan.idle / 1024, "KiB", note)


def restarts(subject: Subject, plan: Plan, core: int, beside: int) -> Iterator[Figure]:
    """From the click on OKAY in the portal to the Reset frame at the charger, with all links of the small size open."""
    with subject.start(core, plan.small) as running, Generator(beside, running.ca_file) as generator:
        generator.ask("open", file=str(running.chargers_file), first=0, count=plan.small, concurrency=200)
        browser = Browser.of(running)
        times_ms: list[float] = []
        missed = 0
        for charger_id in browser.charger_ids(plan.resets):
            at_ns = browser.restart(charger_id)
            arrived = generator.ask("resets", count=1, timeout_s=5.0)["resets"]
            if arrived:
                times_ms.append((arrived[0][1] - at_ns) / 1e6)
            missed += not arrived
        note = f"p50 {measure.percentile(times_ms, 0.5):.1f}, {len(times_ms)} restarts, {missed} without a frame"
        yield Figure("okay_p99", running.name, measure.percentile(times_ms, 0.99), "ms", note)
