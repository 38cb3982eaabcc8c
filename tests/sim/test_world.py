"""Whole worlds from seeds: no wrong verdict, no second Reset, nothing confirmed lost. And proof that the judge is not blind."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from borne.sim.plants import PLANTS
from borne.sim.rows import MEANINGS
from borne.sim.trial import Result, describe, run_seed

Record = Callable[[str, object], None]
SEEDS = int(os.environ.get("BORNE_SEEDS", "100"))
CHUNK = 20
PLANTED_SEEDS = 500
KEPT = [
    int(line.split()[0])
    for line in Path(__file__).with_name("seeds.txt").read_text().splitlines()
    if line.strip() and not line.startswith("#")
]


def failure(seed: int, result: Result) -> str:
    """What a person needs to see: what was wrong, and how to see it again."""
    return "\n".join([*describe(seed, result), f"replay: .venv/bin/python -m borne.sim.world {seed}"])


def run_all(seeds: list[int], record_property: Record) -> None:
    """Run worlds and fail with all that was wrong in them; how often each row was met goes into the report."""
    wrong, rows, seen = [], Counter(dict.fromkeys(MEANINGS, 0)), Counter[str]()
    for seed in seeds:
        result = run_seed(seed)
        rows.update(result.rows)
        seen.update({f"verdict {word}": count for word, count in result.report.verdicts.items()})
        seen.update({f"excused {name}": count for name, count in result.report.excused.items()})
        if result.report.violations:
            wrong.append(failure(seed, result))
    record_property("worlds", len(seeds))
    record_property("rows", dict(rows))
    record_property("seen", dict(seen))
    assert not wrong, "\n\n" + "\n\n".join(wrong)


@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
def test_worlds_hold_their_promises(first: int, record_property: Record) -> None:
    """Seeds first … first + CHUNK - 1."""
    run_all(list(range(first, min(first + CHUNK, SEEDS))), record_property)


def test_seeds_that_once_failed(record_property: Record) -> None:
    run_all(KEPT, record_property)


@pytest.mark.parametrize("name", PLANTS)
def test_a_planted_bug_is_found(name: str, record_property: Record) -> None:
    """Each of the bugs that real platforms have shows within a few hundred seeds."""
    with PLANTS[name]():
        for seed in range(PLANTED_SEEDS):
            violations = run_seed(seed).report.violations
            if violations:
                record_property("planted", [name, seed, violations[0]])
                return
    pytest.fail(f"{name}: not found within {PLANTED_SEEDS} seeds")


def test_a_seed_replays() -> None:
    """The same seed tells the same story in another process, whatever order hashes have there."""
    command = [sys.executable, "-m", "borne.sim.world", "7"]
    stories = [
        subprocess.run(
            command, env={**os.environ, "PYTHONHASHSEED": salt}, capture_output=True, text=True, check=True
        ).stdout
        for salt in ("1", "2")
    ]
    assert stories[0] == stories[1]
    assert len(stories[0].splitlines()) > 100
