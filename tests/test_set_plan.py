"""`borne admin set-plan`: any plan, at once, kept in the history and in the audit log."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from borne.admin import admin


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An organisation on Business."""
    monkeypatch.setenv("BORNE_DATABASE_URL", f"sqlite:///{tmp_path / 'borne.sqlite3'}")
    monkeypatch.setenv("BORNE_DATA_FOLDER", str(tmp_path))
    assert run("create-organisation", "--name", "A", "--plan", "business").exit_code == 0
    return tmp_path / "borne.sqlite3"


def run(*words: str) -> Result:
    return CliRunner().invoke(admin, list(words))


def rows(database: Path, statement: str) -> list[Any]:
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute(statement).fetchall()


def test_a_smaller_plan_counts_at_once_and_what_it_ends_is_left_to_the_server(database: Path) -> None:
    assert run("set-plan", "basic").output == "A is on Basic\n"
    assert rows(database, "SELECT plan FROM organisations") == [("basic",)]
    assert rows(database, "SELECT plan, person_name FROM plan_changes") == [("basic", "borne admin")]
    ((kind, payload),) = rows(database, "SELECT kind, payload FROM jobs")
    assert (kind, json.loads(payload)) == ("plan", {"organisation_id": 1})
    assert rows(database, "SELECT action FROM audit_log ORDER BY seq DESC LIMIT 1") == [("plan.changed",)]
    assert run("verify-audit").exit_code == 0


def test_the_same_plan_is_no_change(database: Path) -> None:
    assert run("set-plan", "business", "--organisation", "A").output == "A is on Business already\n"
    assert rows(database, "SELECT count(*) FROM plan_changes") == [(0,)]


@pytest.mark.parametrize("words", [("gold",), ("basic", "--organisation", "nobody"), ()])
def test_what_there_is_not(database: Path, words: tuple[str, ...]) -> None:
    assert run("set-plan", *words).exit_code != 0
    assert rows(database, "SELECT plan FROM organisations") == [("business",)]
