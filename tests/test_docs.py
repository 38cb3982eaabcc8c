"""What the documents name exists, and every decision says what enforces it."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DECISIONS = sorted((ROOT / "docs/decisions").glob("*.md"))
PAGES = [ROOT / "docs/architecture.md", *DECISIONS]
ROOMS = (ROOT, ROOT / "src/borne", ROOT / "src/borne/portal", ROOT / "src/borne/ocpp")
DECISION_LINES = 40


def paths_in(text: str) -> set[str]:
    """`store/schema.py`, `gateway/links`, `tests/portal`; of `engine/restarts.take` the file."""
    named = re.findall(r"`([\w.-]+(?:/[\w.-]+)+|\w+\.py)`", text)
    return {
        name if name.endswith((".py", ".js", ".md", ".txt", ".html")) else re.sub(r"\.\w+$", "", name) for name in named
    }


def exists(name: str) -> bool:
    return any((room / name).exists() or (room / f"{name}.py").exists() for room in ROOMS)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_that_a_page_names_is_there(page: Path) -> None:
    named = paths_in(page.read_text())
    assert {name for name in named if not exists(name)} == set()


def test_names_of_files_are_found_in_pages() -> None:
    assert paths_in("`engine/restarts.take` and `v201.py`, `static/js/live.js`, not `may_restart`") == {
        "engine/restarts", "v201.py", "static/js/live.js",
    }  # fmt: skip
    assert not exists("engine/nothing")


@pytest.mark.parametrize("decision", DECISIONS, ids=lambda page: page.name)
def test_a_decision_is_short_and_says_what_enforces_it(decision: Path) -> None:
    text = decision.read_text()
    assert "**Enforced by**" in text
    assert len(text.splitlines()) <= DECISION_LINES
