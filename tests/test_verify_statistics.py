"""`borne admin verify-statistics`: a line an organisation, an exit status."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from borne.admin import admin


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BORNE_DATABASE_URL", f"sqlite:///{tmp_path / 'borne.sqlite3'}")
    monkeypatch.setenv("BORNE_DATA_FOLDER", str(tmp_path))
    for name in ("A", "B"):
        assert run("create-organisation", "--name", name).exit_code == 0
    return tmp_path


def run(*words: str) -> Result:
    return CliRunner().invoke(admin, list(words))


def test_sums_that_are_those_of_the_sessions_and_sums_that_are_not(folder: Path) -> None:
    result = run("verify-statistics")
    assert result.exit_code == 0
    assert [line.partition(" (")[0] for line in result.output.splitlines()] == [
        "A: the statistics are those of its sessions",
        "B: the statistics are those of its sessions",
    ]
    with closing(sqlite3.connect(folder / "borne.sqlite3")) as connection, connection:
        for unit, number in (("day", 20_742), ("month", 681)):  # the 16th of October 2026
            connection.execute(
                f"INSERT INTO charger_{unit}s (organisation_id, charger_id, location_id, {unit}, energy_wh) "
                f"VALUES (2, 12, 3, {number}, 500)"
            )
    assert run("verify-statistics", "--organisation", "A").exit_code == 0
    result = run("verify-statistics")
    assert result.exit_code == 1
    assert "A: the statistics are those of its sessions" in result.output
    assert "B: 1 sums differ" in result.output
    assert "charger_days (charger 12, location 3, 2026-10-16): energy_wh +500 beside its sessions" in result.output


def test_an_organisation_that_is_not_there(folder: Path) -> None:
    result = run("verify-statistics", "--organisation", "C")
    assert result.exit_code == 1
    assert "there is no organisation named 'C'" in result.output
