"""`borne admin verify-audit`: one line, an exit status, beside whoever else writes."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from borne.admin import admin
from borne.store import audit_anchor


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with an organisation and two people, made by the shell: three rows of the log."""
    monkeypatch.setenv("BORNE_DATABASE_URL", f"sqlite:///{tmp_path / 'borne.sqlite3'}")
    monkeypatch.setenv("BORNE_DATA_FOLDER", str(tmp_path))
    assert run("create-organisation", "--name", "A").exit_code == 0
    for email in ("a@a.test", "b@a.test"):
        assert run("create-user", "--email", email, "--password", "correct horse battery").exit_code == 0
    return tmp_path


def run(*words: str) -> Result:
    return CliRunner().invoke(admin, list(words))


def change(folder: Path, *statements: str) -> None:
    with closing(sqlite3.connect(folder / "borne.sqlite3")) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def cut(folder: Path, seq: int) -> None:
    """The newest rows away, head and all."""
    change(
        folder,
        f"DELETE FROM audit_log WHERE seq > {seq}",
        f"UPDATE audit_head SET seq = {seq}, hash = (SELECT hash FROM audit_log WHERE seq = {seq})",
    )


def test_a_log_that_nobody_touched(folder: Path) -> None:
    result = run("verify-audit")
    assert result.exit_code == 0
    assert result.output.startswith("the audit log is as it was written: 3 rows, head 3:")
    assert len(result.output.splitlines()) == 1
    anchor = audit_anchor.read(folder)
    assert anchor is not None
    assert anchor.seq == 3
    assert (folder / audit_anchor.FILE).stat().st_mode & 0o077 == 0


def test_a_changed_row_is_named(folder: Path) -> None:
    change(folder, "UPDATE audit_log SET action = 'person.removed' WHERE seq = 2")
    result = run("verify-audit")
    assert result.exit_code == 1
    assert "row 2: the row was changed" in result.output


def test_newest_rows_that_were_cut_off_are_missed(folder: Path) -> None:
    assert run("verify-audit").exit_code == 0
    cut(folder, 2)
    result = run("verify-audit")
    assert result.exit_code == 1
    assert "row 3: the newest rows are missing" in result.output


def test_a_head_that_somebody_wrote_down(folder: Path) -> None:
    head = run("verify-audit").output.split()[-1]
    run("create-user", "--email", "c@a.test", "--password", "correct horse battery")
    assert run("verify-audit", "--head", head).exit_code == 0
    (folder / audit_anchor.FILE).unlink()
    cut(folder, 2)
    assert run("verify-audit", "--head", head).exit_code == 1
    assert run("verify-audit", "--head", "nonsense").exit_code == 1
    (folder / audit_anchor.FILE).unlink(missing_ok=True)
    assert run("verify-audit").exit_code == 0, "without a head outside it nobody can tell"


def test_a_restored_backup_is_accepted_once_somebody_says_so(folder: Path) -> None:
    run("verify-audit")
    cut(folder, 2)
    assert run("verify-audit").exit_code == 1
    accepted = run("verify-audit", "--accept")
    assert accepted.exit_code == 0, accepted.output
    assert "3 rows" in accepted.output
    assert run("verify-audit").exit_code == 0
    change(folder, "UPDATE audit_log SET at_ms = 1 WHERE seq = 1")
    assert run("verify-audit", "--accept").exit_code == 1, "what was changed is never accepted"


def test_it_runs_beside_somebody_who_writes(folder: Path) -> None:
    with closing(sqlite3.connect(folder / "borne.sqlite3", isolation_level=None)) as server:
        server.execute("BEGIN IMMEDIATE")
        server.execute("UPDATE audit_head SET seq = seq + 1")
        assert run("verify-audit").exit_code == 0
        server.execute("ROLLBACK")
