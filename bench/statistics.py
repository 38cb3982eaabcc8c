"""Statistics of an organisation of 10,000 chargers from their sums: each question by itself, then the pages that ask them."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime

from bench import measure
from bench.big import fill, pages
from bench.portal import Browser
from bench.scenarios import Figure, Plan
from bench.stage import Running
from bench.subjects import ADMIN_EMAIL, PASSWORD, Subject, admin
from borne.core.scope import Scope
from borne.core.statistics import EPOCH, first_day, month_of
from borne.store import statistics as store
from borne.store import statistics_groups
from borne.store.db import Database, create_database
from borne.store.statistics import Chosen

Ask = Callable[[Database, Scope, Chosen], Awaitable[object]]
MONTH = ("/statistics", "/statistics?location={location}", "/statistics?group={group}", "/statistics/rankings",
         "/dashboard")  # fmt: skip
YEAR = ("/statistics?period=12", "/statistics?period=12&location={location}", "/statistics?period=12&group={group}",
        "/statistics?period=year", "/statistics/rankings?period=12")  # fmt: skip
QUESTIONS: dict[str, Ask] = {
    "sums": store.sums,
    "by_month": store.by_month,
    "by_location": store.by_location,
    "by_charger": store.by_charger,
    "by_person": store.by_person,
    "by_access_group": statistics_groups.shown_by_access_group,
    "by_hour_of_week": lambda db, scope, chosen: store.by_hour_of_week(
        db, scope, month_of(chosen.from_day), month_of(chosen.until_day) + 1
    ),
}
WHOLE = Scope(person_id=1, person_name="", organisation_id=1, role="super-admin", plan="business")


def statistics(subject: Subject, plan: Plan, core: int) -> Iterator[Figure]:
    """As the super-admin of all, and as an admin of three locations."""
    with subject.start(core, 1) as running:
        admin(str(running.config), "create-user", "--email", ADMIN_EMAIL, "--password", PASSWORD, "--role", "admin")
        how_much = fill(running, "statistics", plan.summed)
        for figure in (*questions(running, plan.requests // 3), *looked_at(running, plan.requests // 4)):
            yield replace(figure, note=f"{figure.note}; {how_much}")


def questions(running: Running, rounds: int) -> list[Figure]:
    """Each question by itself, in this process, for twelve months and for thirty days."""
    today = datetime.now(UTC).date().toordinal() - EPOCH
    periods = {"year": first_day(month_of(today) - 12), "month": today - 29}

    async def ask() -> list[Figure]:
        return [
            question
            async for question in asked(
                running, rounds, {name: Chosen(from_day=since, until_day=today + 2) for name, since in periods.items()}
            )
        ]

    return asyncio.run(ask())


async def asked(running: Running, rounds: int, periods: dict[str, Chosen]) -> AsyncIterator[Figure]:
    """For each period the slowest question; SQLite works in this process, so that its CPU can be told."""
    db = create_database(running.database_url or "", durable=False)
    await db.open()
    try:
        for name, chosen in periods.items():
            times: dict[str, list[tuple[float, float]]] = {question: [] for question in QUESTIONS}
            for number in range(rounds + 1):
                for question, ask in QUESTIONS.items():
                    started, cpu_s = time.perf_counter(), time.process_time()
                    await ask(db, WHOLE, chosen)
                    if number:
                        spent = time.perf_counter() - started, time.process_time() - cpu_s
                        times[question].append((spent[0] * 1e3, spent[1] * 1e3))
            yield slowest(f"question_{name}_p99", running.name, times, db.dialect == "sqlite")
    finally:
        await db.close()


def slowest(name: str, subject: str, times: dict[str, list[tuple[float, float]]], has_cpu: bool) -> Figure:
    p99s, told = [], []
    for question, spent in times.items():
        wall, cpu = ([one[index] for one in spent] for index in (0, 1))
        p99s.append(measure.percentile(wall, 0.99))
        more = f" (CPU {measure.percentile(cpu, 0.5):.0f})" if has_cpu else ""
        told.append(f"{question} {measure.percentile(wall, 0.5):.0f}/{p99s[-1]:.0f}{more}")
    return Figure(name, subject, max(p99s), "ms", f"the slowest of {', '.join(told)} (p50/p99)")


def looked_at(running: Running, rounds: int) -> Iterator[Figure]:
    """The pages from outside."""
    limited = replace(running, login=(ADMIN_EMAIL, PASSWORD))
    for person, suffix in ((running, ""), (limited, "_admin")):
        browser = Browser.of(person)
        for paths, name in ((MONTH, "statistics_month"), (YEAR, "statistics_year")):
            yield from pages(running, browser, paths, rounds, f"{name}{suffix}_p99")
