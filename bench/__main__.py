"""`python -m bench`: run all loads on all subjects in turn, print the table, write it to docs/benchmarks.md."""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path

from bench import metering, report, subjects
from bench.big import big
from bench.energy import energy
from bench.export import export
from bench.history import history
from bench.pages import pages
from bench.scenarios import QUICK, Figure, Plan, links, memory, restarts
from bench.stage import scratch_folder
from bench.statistics import statistics
from bench.subjects import Subject

DOCUMENT = Path("docs/benchmarks.md")
SERVER_CORE, GENERATOR_CORE = 0, 1
LONG = ("export", "export-postgresql", "energy", "energy-postgresql")  # run only where they are named
Load = tuple[str, Subject, Callable[[], Iterator[Figure]]]


def loads(plan: Plan) -> Iterator[Load]:
    """Everything to run, in order: subjects alternate within a round, so that a slow minute of the machine hits all."""
    cores = (SERVER_CORE, GENERATOR_CORE)
    for _ in range(plan.rounds):
        for count in (plan.large, plan.small):
            for subject in subjects.SUBJECTS:
                if count == plan.large or subject in (subjects.OBVIOUS, subjects.PLAIN, subjects.POSTGRESQL):
                    paced = count == plan.large and subject is not subjects.OBVIOUS
                    name = f"links-{count}"
                    yield name, subject, lambda s=subject, c=count, p=paced: links(s, plan, *cores, c, p)
        for subject in (subjects.OBVIOUS, subjects.PLAIN):
            yield "memory", subject, lambda s=subject: memory(s, plan, *cores)
        for subject in (subjects.UNMETERED, subjects.PLAIN):
            yield "charging", subject, lambda s=subject: metering.charging(s, plan, *cores)
        yield "restarts", subjects.PLAIN, lambda: restarts(subjects.PLAIN, plan, *cores)
    for subject in (subjects.PLAIN, subjects.POSTGRESQL):
        yield "sessions", subject, lambda s=subject: metering.sessions(s, SERVER_CORE)
    yield "pages", subjects.PLAIN, lambda: pages(subjects.PLAIN, plan, *cores)
    for subject in (subjects.PLAIN, subjects.POSTGRESQL):
        yield "big", subject, lambda s=subject: big(s, plan, *cores)
    for subject in (subjects.PLAIN, subjects.POSTGRESQL):
        yield "statistics", subject, lambda s=subject: statistics(s, plan, SERVER_CORE)
    yield "history", subjects.PLAIN, lambda: history(subjects.PLAIN, plan, *cores)
    for subject, suffix in ((subjects.PLAIN, ""), (subjects.POSTGRESQL, "-postgresql")):
        yield f"export{suffix}", subject, lambda s=subject: export(s, plan, *cores)
        yield f"energy{suffix}", subject, lambda s=subject: energy(s, plan, *cores)


def run(plan: Plan, only: list[str]) -> list[Figure]:
    """Run the loads whose name or subject is in `only` (all when empty); one that fails is reported and left out."""
    figures: list[Figure] = []
    for name, subject, start in loads(plan):
        if only and not {name, subject.name} & set(only):
            continue
        if name in LONG and name not in only:
            continue
        print(f"{time.strftime('%H:%M:%S')} {name} {subject.name}", flush=True)
        try:
            for figure in start():
                figures.append(figure)
                print(f"  {figure.measure}: {report.shown(figure.value)} {figure.unit} ({figure.note})", flush=True)
        except (RuntimeError, OSError) as error:
            print(f"  failed: {error}", flush=True)
    return figures


def main() -> None:
    """Read the arguments, run, print and write."""
    names = [
        "links-1000",
        "links-5000",
        "memory",
        "restarts",
        "pages",
        "big",
        "statistics",
        "history",
        "charging",
        "sessions",
    ]
    names += LONG
    names += [s.name for s in (*subjects.SUBJECTS, subjects.UNMETERED)]
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short round: to see that it runs, not to quote")
    parser.add_argument(
        "--only", action="append", default=[], choices=names, help="a load or a subject; may be repeated"
    )
    parser.add_argument("--rounds", type=int, help="how often everything is measured in turn (1)")
    parser.add_argument("--seconds", type=float, help="how long each load lasts (6)")
    parser.add_argument(
        "--history", type=int, help="how many chargers have a year of sessions (500; the aim names 10,000)"
    )
    parser.add_argument("--readings", type=int, help="how many readings the load energy has (50,000,000: half an hour)")
    parser.add_argument("--json", type=Path, help="write all figures to this file too")
    arguments = parser.parse_args()
    if (os.cpu_count() or 1) < 2:
        parser.error("the server and the load generator need a core each")
    tempfile.tempdir = scratch_folder()
    os.sched_setaffinity(0, {GENERATOR_CORE})
    plan = QUICK if arguments.quick else Plan()
    plan = replace(plan, rounds=arguments.rounds or plan.rounds, seconds=arguments.seconds or plan.seconds)
    plan = replace(plan, history=arguments.history or plan.history, readings=arguments.readings or plan.readings)
    figures = run(plan, arguments.only)
    table = report.table(figures)
    print("\n" + table)
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(figure) for figure in figures], indent=1), encoding="utf-8")
    if not arguments.only and not arguments.quick:
        machine = report.machine(Path(scratch_folder()))
        report.write(DOCUMENT, f"{machine}\n\n{table}\n\nEach figure of each round:\n\n{report.notes(figures)}")


if __name__ == "__main__":
    main()
