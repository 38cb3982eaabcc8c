"""A missing server or browser is a counted skip at a desk and a failure in CI, whichever way it was skipped."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.policy import require

ROOT = Path(__file__).parent.parent
SKIPPING = """
import pytest
from tests.support.policy import require

def test_requires():
    require(None, "there is no such server")

@pytest.mark.skip(reason="a quiet skip")
def test_skipped():
    pass

@pytest.mark.xfail(reason="known")
def test_expected_to_fail():
    raise AssertionError
"""


def run_pytest(folder: Path, ci: str) -> subprocess.CompletedProcess[str]:
    (folder / "test_skipping.py").write_text(SKIPPING)
    command = [sys.executable, "-m", "pytest", "-ra", "-c", os.devnull, "--rootdir", folder, "-p", "tests.conftest"]
    environment = {**os.environ, "CI": ci, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [*command, folder], cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def test_skips_are_counted_with_their_reasons_at_a_desk(tmp_path: Path) -> None:
    report = run_pytest(tmp_path, ci="")
    assert report.returncode == 0, report.stdout
    assert "2 skipped, 1 xfailed" in report.stdout
    assert "there is no such server" in report.stdout


def test_skips_are_failures_in_ci(tmp_path: Path) -> None:
    report = run_pytest(tmp_path, ci="true")
    assert report.returncode == 1, report.stdout
    assert "1 failed, 1 xfailed, 1 error" in report.stdout
    assert "there is no such server" in report.stdout
    assert "a quiet skip" in report.stdout


def test_require_goes_on_when_the_condition_holds() -> None:
    require(object(), "never said")


def test_require_skips_or_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no browser"):
        require(False, "no browser")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="no browser"):
        require(False, "no browser")
