"""What the operating system says about a server: CPU time and memory of a whole tree of processes."""

import os
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
BUSY_ENOUGH = 0.90


class Sample(NamedTuple):
    """CPU seconds (user and system) of some processes at an instant of the monotonic clock."""

    at_s: float
    cpu_s: float


def children_of() -> dict[int, list[int]]:
    """The children of every process that is alive."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit() and (fields := stat_fields(int(entry))):
            children.setdefault(int(fields[1]), []).append(int(entry))
    return children


def stat_fields(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the state on; empty if the process is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def tree(roots: Sequence[int]) -> list[int]:
    """The given processes and all their descendants."""
    children, found, todo = children_of(), [], list(roots)
    while todo:
        pid = todo.pop()
        found.append(pid)
        todo.extend(children.get(pid, []))
    return found


def cpu(roots: Sequence[int]) -> Sample:
    """CPU seconds used so far by the processes and their descendants, also by those children that have ended.

    From /proc/PID/stat: utime, stime, and cutime, cstime for children that were waited for (fields 14 to 17 of proc(5)).
    """
    ticks = 0
    for pid in tree(roots):
        if fields := stat_fields(pid):
            ticks += sum(int(field) for field in fields[11:15])
    return Sample(time.monotonic(), ticks / TICKS_PER_S)


def busy(before: Sample, after: Sample) -> float:
    """The share of one core used between two samples."""
    return (after.cpu_s - before.cpu_s) / (after.at_s - before.at_s)


def rss_bytes(roots: Sequence[int]) -> int:
    """Resident memory of the processes and their descendants."""
    total = 0
    for pid in tree(roots):
        if fields := stat_fields(pid):
            total += int(fields[21]) * PAGE_BYTES
    return total


def percentile(values: Sequence[float], part: float) -> float:
    """The value below which `part` (0 to 1) of all values lie; NaN of nothing."""
    ordered = sorted(values)
    return ordered[int((len(ordered) - 1) * part)] if ordered else float("nan")


def median(values: Sequence[float]) -> float:
    """The median; NaN of nothing."""
    return statistics.median(values) if values else float("nan")


def fsync_ms(folder: Path, rounds: int = 200) -> tuple[float, float]:
    """Median and p99 of writing 4 KiB and forcing it to the disk under `folder`, in milliseconds."""
    path = folder / "fsync.probe"
    times: list[float] = []
    handle = os.open(path, os.O_CREAT | os.O_WRONLY)
    try:
        for _ in range(rounds):
            os.write(handle, b"x" * 4096)
            started = time.perf_counter()
            os.fdatasync(handle)
            times.append((time.perf_counter() - started) * 1e3)
    finally:
        os.close(handle)
        path.unlink()
    return percentile(times, 0.5), percentile(times, 0.99)
