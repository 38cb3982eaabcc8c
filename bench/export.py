"""A million sessions as a file: from the running server and from `borne export sessions`, with the memory that takes."""

import resource
import subprocess
import time
from collections.abc import Iterator

from bench import measure
from bench.big import fill
from bench.history import exported
from bench.scenarios import Figure, Plan
from bench.stage import Running
from bench.subjects import BORNE, Subject

CHUNK_BYTES = 1 << 16


def export(subject: Subject, plan: Plan, core: int, beside: int) -> Iterator[Figure]:
    """Rows a second and how much memory grows."""
    with subject.start(core, 1) as running:
        fill(running, "sessions", plan.exported)
        yield from exported(running)
        for layout in ("portal", "tidy"):
            yield from by_command(running, layout, core)


def by_command(running: Running, layout: str, core: int) -> Iterator[Figure]:
    """The command on the server's core: rows a second of its whole life, and the most memory it had."""
    command = [
        "taskset",
        "-c",
        str(core),
        BORNE,
        "export",
        "sessions",
        "--layout",
        layout,
        "--config",
        str(running.config),
    ]
    started, lines, looked, highest = time.monotonic(), 0, 0.0, 0
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        while part := process.stdout.read(CHUNK_BYTES):
            lines += part.count(b"\n")
            if time.monotonic() - looked > 0.5:
                highest, looked = max(highest, measure.rss_bytes([process.pid])), time.monotonic()
    spent_s, after = time.monotonic() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    if process.returncode:
        raise RuntimeError(f"borne export sessions: {process.returncode}")
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    note = f"{lines:,} rows in {spent_s:.1f} s, {cpu_s:.1f} s of CPU: {lines / cpu_s:,.0f} rows a second of CPU"
    yield Figure(f"command_rate_{layout}", running.name, lines / spent_s, "/s", note)
    yield Figure(f"command_mib_{layout}", running.name, highest / 2**20, "MiB", "resident, looked at twice a second")
