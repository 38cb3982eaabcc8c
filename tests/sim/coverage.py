"""How often the simulation met each row of the catalogue of faults, gathered from all test processes.

The hooks stand in tests/conftest.py: pytest asks only there, where the reports of all workers come together.
"""

from collections import Counter

import pytest

ENOUGH_WORLDS = 500  # from here on a row that was never met is a hole in the simulation

_worlds = 0
_rows: Counter[str] = Counter()
_seen: Counter[str] = Counter()
_planted: list[tuple[str, int, str]] = []


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Take in what a test of worlds recorded."""
    global _worlds
    if report.when != "call":
        return
    for name, value in report.user_properties:
        match name:
            case "worlds" if isinstance(value, int):
                _worlds += value
            case "rows" if isinstance(value, dict):
                _rows.update(value)  # a Counter keeps the rows that were met 0 times
            case "seen" if isinstance(value, dict):
                _seen.update(value)
            case "planted" if isinstance(value, list):
                _planted.append((value[0], value[1], value[2]))


def never_met() -> list[str]:
    """Rows that no world met, if there were enough worlds to tell."""
    return [row for row, met in _rows.items() if not met] if _worlds >= ENOUGH_WORLDS else []


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A simulation that never meets a fault proves nothing about it: fail."""
    if not hasattr(session.config, "workerinput") and never_met() and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The table at the end of the run."""
    if not _worlds:
        return
    from borne.sim.rows import MEANINGS  # not while pytest starts: every test run loads this file

    write = terminalreporter.write_line
    terminalreporter.section(f"simulated worlds: {_worlds}")
    for row, meaning in MEANINGS.items():
        write(f"  {row:11} {_rows[row]:6}  {meaning}")
    for word, count in sorted(_seen.items()):
        write(f"  {count:6} x {word}")
    for name, seed, violation in sorted(_planted):
        write(f"  planted: {name}: found by seed {seed}: {violation}")
    for row in never_met():
        write(f"  NEVER MET: {row} {MEANINGS[row]}", red=True)
