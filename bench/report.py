"""Figures as a table beside their aims, on the terminal and in docs/benchmarks.md."""

import os
import platform
import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from bench import measure
from bench.scenarios import Figure

BEGIN, END = "<!-- figures: written by python -m bench -->", "<!-- end of figures -->"
OBVIOUS, PLAIN, POSTGRESQL = "obvious", "borne", "borne-postgresql"
UNMETERED = "borne-unmetered"
Medians = dict[tuple[str, str], float]


@dataclass(frozen=True)
class Row:
    """One line of the table: a measure, its unit, what is aimed at, and how to judge it."""

    measure: str
    title: str
    unit: str
    aim: str
    judge: Callable[[Medians], bool | None]


def at_most(name: str, limit: float, subject: str = PLAIN) -> Callable[[Medians], bool | None]:
    """Judge a measure of one subject by a limit; None when it was not measured."""

    def judge(medians: Medians) -> bool | None:
        value = medians.get((name, subject))
        return None if value is None else value <= limit

    return judge


def at_least(name: str, limit: float, subject: str = PLAIN) -> Callable[[Medians], bool | None]:
    """Judge a measure of one subject by what it must reach; None when it was not measured."""

    def judge(medians: Medians) -> bool | None:
        value = medians.get((name, subject))
        return None if value is None else value >= limit

    return judge


def as_unmetered(name: str) -> Callable[[Medians], bool | None]:
    """Judge a measure by the server that measures no session: a tenth more at most."""

    def judge(medians: Medians) -> bool | None:
        own, other = medians.get((name, PLAIN)), medians.get((name, UNMETERED))
        return None if own is None or other is None else own <= 1.1 * other

    return judge


def cpu(name: str) -> Callable[[Medians], bool | None]:
    """CPU a message: 50 us at most, a tenth of the obvious server's in the same run; 75 us with PostgreSQL."""

    def judge(medians: Medians) -> bool | None:
        own, other = medians.get((name, PLAIN)), medians.get((name, OBVIOUS))
        if own is None or other is None:
            return None
        return own <= 50 and other >= 10 * own and medians.get((name, POSTGRESQL), 0.0) <= 75

    return judge


CPU_AIM = "<= 50, and 10 times less; PostgreSQL <= 75"
ROWS = (
    Row("cpu_1000", "CPU a message at saturation, 1,000 chargers", "us", CPU_AIM, cpu("cpu_1000")),
    Row("cpu_5000", "CPU a message at saturation, 5,000 chargers", "us", CPU_AIM, cpu("cpu_5000")),
    Row("rate_1000", "messages a second at saturation, 1,000 chargers", "/s", "", lambda _: None),
    Row("rate_5000", "messages a second at saturation, 5,000 chargers", "/s", "", lambda _: None),
    Row("p99_2000", "latency p99 at 2,000 messages a second", "ms", "<= 10", at_most("p99_2000", 10)),
    Row("p99_5000", "latency p99 at 5,000 messages a second", "ms", "<= 20", at_most("p99_5000", 20)),
    *(
        row
        for count in (1_000, 5_000)
        for row in (
            Row(
                f"p99_charging_{count}",
                f"latency p99, {count:,} charging, each a message every 10 s",
                "ms",
                "<= 1.1 unmetered",
                as_unmetered(f"p99_charging_{count}"),
            ),
            Row(f"cpu_charging_{count}", "CPU a message of these", "us", "", lambda _: None),
        )
    ),
    Row("rate_charging", "messages a second at saturation, 5,000 charging", "/s", "", lambda _: None),
    Row("cpu_charging", "CPU a message of these", "us", "<= 1.1 unmetered", as_unmetered("cpu_charging")),
    Row("session_cpu", "CPU to measure a session of 100 samples anew", "ms", "", lambda _: None),
    *(
        Row(
            f"session_again_cpu_{samples}",
            f"the same after one more sample, of {samples}",
            "ms",
            "<= 0.4",
            at_most(f"session_again_cpu_{samples}", 0.4),
        )
        for samples in (100, 500)
    ),
    Row("link_kib", "memory a link at 10,000", "KiB", "<= 18", at_most("link_kib", 18)),
    Row("storm_5000", "5,000 chargers connect and boot", "s", "<= 2.5", at_most("storm_5000", 2.5)),
    Row("storm_cpu_5000", "the same, CPU a charger", "ms", "<= 0.40", at_most("storm_cpu_5000", 0.40)),
    Row("okay_p99", "OKAY to Reset frame, p99, 1,000 links", "ms", "<= 5", at_most("okay_p99", 5)),
    Row("pages_p99", "Chargers page and fragments, p99", "ms", "<= 50", at_most("pages_p99", 50)),
    Row("pages_loaded_p99", "the same beside 2,000 messages a second", "ms", "", lambda _: None),
    Row("big_p99", "pages of an organisation of 10,000 people, p99", "ms", "<= 50", at_most("big_p99", 50)),
    Row("big_admin_p99", "the same for an admin of 3 locations", "ms", "<= 50", at_most("big_admin_p99", 50)),
    Row("dashboard_p99", "statistics of 30 days and sessions, p99", "ms", "<= 100", at_most("dashboard_p99", 100)),
    Row("dashboard_admin_p99", "the same for an admin", "ms", "<= 100", at_most("dashboard_admin_p99", 100)),
    Row("year_p99", "statistics of a year, p99", "ms", "<= 300", at_most("year_p99", 300)),
    Row("year_admin_p99", "the same for an admin", "ms", "<= 300", at_most("year_admin_p99", 300)),
    Row(
        "question_year_p99",
        "slowest question, 12 months of 10,000 chargers, p99",
        "ms",
        "<= 100",
        at_most("question_year_p99", 100),
    ),
    Row("question_month_p99", "the same of 30 days", "ms", "<= 100", at_most("question_month_p99", 100)),
    Row(
        "statistics_year_p99",
        "pages of statistics of these 12 months, p99",
        "ms",
        "<= 300",
        at_most("statistics_year_p99", 300),
    ),
    Row(
        "statistics_year_admin_p99", "the same for an admin", "ms", "<= 300", at_most("statistics_year_admin_p99", 300)
    ),
    Row("statistics_month_p99", "the same of 30 days", "ms", "<= 100", at_most("statistics_month_p99", 100)),
    Row(
        "statistics_month_admin_p99",
        "the same for an admin",
        "ms",
        "<= 100",
        at_most("statistics_month_admin_p99", 100),
    ),
    Row("alone_p99", "latency p99 at 2,000 messages a second, with that year", "ms", "<= 10", at_most("alone_p99", 10)),
    Row("beside_p99", "the same beside statistics", "ms", "<= 10", at_most("beside_p99", 10)),
    Row("export_rate", "sessions as CSV", "rows/s", ">= 50,000", at_least("export_rate", 50_000)),
    Row(
        "command_rate_portal",
        "a million sessions by borne export sessions",
        "rows/s",
        ">= 50,000",
        at_least("command_rate_portal", 50_000),
    ),
    Row("command_rate_tidy", "the same, tidy", "rows/s", ">= 50,000", at_least("command_rate_tidy", 50_000)),
    Row("command_mib_portal", "memory of that command", "MiB", "", lambda _: None),
    Row(
        "energy_month_p99",
        "statistics of 30 days beside 50 million readings, p99",
        "ms",
        "<= 100",
        at_most("energy_month_p99", 100),
    ),
    Row("energy_year_p99", "the same of a year", "ms", "<= 300", at_most("energy_year_p99", 300)),
    Row("energy_sessions_p99", "sessions there, p99", "ms", "<= 100", at_most("energy_sessions_p99", 100)),
    Row("energy_cpu_empty", "CPU a message before that past", "us", "", lambda _: None),
    Row("energy_cpu_past", "CPU a message with that past", "us", "", lambda _: None),
    Row(
        "energy_p99_empty",
        "latency p99 at 2,000 messages a second before it",
        "ms",
        "<= 10",
        at_most("energy_p99_empty", 10),
    ),
    Row("energy_p99_past", "the same with it", "ms", "<= 10", at_most("energy_p99_past", 10)),
    Row("energy_p99_beside", "the same with it, beside statistics", "ms", "<= 10", at_most("energy_p99_beside", 10)),
    Row("export_mib", "memory that takes", "MiB", "<= 50", at_most("export_mib", 50)),
)
VERDICTS = {True: "met", False: "MISSED", None: ""}


def medians_of(figures: Iterable[Figure]) -> Medians:
    """The median of each measure of each subject over all rounds."""
    values: dict[tuple[str, str], list[float]] = {}
    for figure in figures:
        values.setdefault((figure.measure, figure.subject), []).append(figure.value)
    return {key: measure.median(found) for key, found in values.items()}


def shown(value: float | None) -> str:
    """A value with three digits that count; a dash when there is none."""
    if value is None:
        return "-"
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def table(figures: list[Figure]) -> str:
    """The figures as a Markdown table: one column a subject, the ratio to the obvious server, the aim, the verdict."""
    medians = medians_of(figures)
    subjects = list(dict.fromkeys(figure.subject for figure in figures))
    head = ["measure", *subjects, "ratio", "aim", "verdict"]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for row in ROWS:
        found = [medians.get((row.measure, subject)) for subject in subjects]
        if not any(value is not None for value in found):
            continue
        cells = [f"{row.title}, {row.unit}", *map(shown, found), ratio(medians, row.measure), row.aim]
        lines.append(f"| {' | '.join([*cells, VERDICTS[row.judge(medians)]])} |")
    return "\n".join(lines)


def ratio(medians: Medians, name: str) -> str:
    """How many times the obvious server's figure is Borne's; a dash when one of them is missing."""
    own, other = medians.get((name, PLAIN)), medians.get((name, OBVIOUS))
    return f"{other / own:.1f}" if own and other else "-"


def notes(figures: Iterable[Figure]) -> str:
    """Every single figure with its remark, as a list."""
    return "\n".join(f"- {f.subject} {f.measure}: {shown(f.value)} {f.unit}; {f.note}" for f in figures)


def machine(folder: Path) -> str:
    """Where the figures come from: processor, versions, the disk's answer to an fsync, the day."""
    model = "unknown processor"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    half_ms, slow_ms = measure.fsync_ms(folder)
    packages = ", ".join(f"{name} {version(name)}" for name in ("picows", "uvloop", "msgspec", "ocpp", "websockets"))
    return "\n".join(
        [
            f"- {datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, {model}, {platform.system()} {platform.release()}",
            f"- Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {packages}",
            f"- writing 4 KiB durably: {half_ms:.2f} ms median, {slow_ms:.2f} ms p99",
        ]
    )


def write(path: Path, text: str) -> None:
    """Put `text` between the marks of the document, in place of the figures of an older run."""
    old = path.read_text(encoding="utf-8")
    head, _, rest = old.partition(BEGIN)
    _, _, tail = rest.partition(END)
    path.write_text(f"{head}{BEGIN}\n\n{text}\n\n{END}{tail}", encoding="utf-8")
