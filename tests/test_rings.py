"""The rings' import contract holds for the real code, and each of its rules catches a violation planted for it."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SETTINGS = ROOT / "pyproject.toml"
RINGS = ("core", "ocpp", "store", "bus", "engine", "gateway", "portal", "api", "sim")
# Modules that a contract names, so that the planted tree has them too.
NAMED = ("core/charger.py", "core/restart.py", "core/session.py", "ocpp/dialects.py", "ocpp/v16.py", "ocpp/v201.py")

PLANTED = [
    ("rings", "core/planted.py", "import borne.engine"),
    ("rings", "engine/planted.py", "import borne.gateway"),
    ("rings", "store/planted.py", "import borne.bus"),
    ("rings", "api/planted.py", "import borne.portal"),
    ("rings", "portal/planted.py", "import borne.gateway"),
    ("rings", "planted.py", ""),
    ("pure", "core/planted.py", "import time"),
    ("pure", "ocpp/planted.py", "from asyncio import sleep"),
    ("pure", "core/planted.py", "def now() -> float:\n    import time\n    return time.time()"),
    ("gateway-speaks", "portal/planted.py", "import borne.ocpp.dialects"),
    ("dialects", "gateway/planted.py", "from borne.ocpp import v16"),
    ("dialects", "ocpp/v201.py", "from borne.ocpp import v16"),
    ("machines", "core/restart.py", "import borne.core.charger"),
    ("web", "engine/planted.py", "import litestar"),
    ("sql", "engine/planted.py", "from sqlalchemy import select"),
    ("sql", "portal/planted.py", "import alembic"),
]


def lint(source: Path, contract: str | None = None) -> subprocess.CompletedProcess[str]:
    """Check the package `borne` in the folder `source` against the project's own contracts."""
    command = [Path(sys.executable).with_name("lint-imports"), "--config", SETTINGS, "--no-cache", "--no-logo"]
    only = ["--contract", contract] if contract else []
    environment = {**os.environ, "PYTHONPATH": str(source)}
    return subprocess.run(
        [*command, *only], cwd=source, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def bare_tree(source: Path) -> Path:
    """Make a package with empty rings that breaks no rule."""
    package = source / "borne"
    for name in ("__init__.py", *(f"{ring}/__init__.py" for ring in RINGS), *NAMED):
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).touch()
    return package


def contract_ids() -> set[str]:
    contracts = tomllib.loads(SETTINGS.read_text())["tool"]["importlinter"]["contracts"]
    return {contract["id"] for contract in contracts}


def test_code_keeps_every_contract() -> None:
    report = lint(ROOT / "src")
    assert report.returncode == 0, report.stdout + report.stderr


def test_bare_tree_keeps_every_contract(tmp_path: Path) -> None:
    bare_tree(tmp_path)
    report = lint(tmp_path)
    assert report.returncode == 0, report.stdout + report.stderr


@pytest.mark.parametrize(("contract", "file", "text"), PLANTED)
def test_planted_violation_is_caught(tmp_path: Path, contract: str, file: str, text: str) -> None:
    (bare_tree(tmp_path) / file).write_text(text)
    report = lint(tmp_path, contract)
    assert report.returncode == 1, report.stdout + report.stderr
    assert "planted" in report.stdout or file.removesuffix(".py").replace("/", ".") in report.stdout


def test_every_contract_has_a_planted_violation() -> None:
    assert contract_ids() == {contract for contract, _, _ in PLANTED}


def test_every_dialect_is_protected() -> None:
    """Dialects are reached through `ocpp.dialects` only: a new one must be named in the contract."""
    settings = tomllib.loads(SETTINGS.read_text())["tool"]["importlinter"]["contracts"]
    protected = {name for contract in settings for name in contract.get("protected_modules", ())}
    dialects = {f"borne.ocpp.{path.stem}" for path in (ROOT / "src/borne/ocpp").glob("v[0-9]*")}
    assert dialects <= protected
