"""`borne demo` as a person starts it: on SQLite and on PostgreSQL, in an empty folder, beside `borne admin`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from html import unescape
from pathlib import Path

import httpx
import pytest

from borne.demo import PASSWORD, PEOPLE
from borne.demo.belongings import BUSINESS, CARS, GROUP, MARKET
from borne.sim.demo_plan import demo_fleet_plan
from tests.support.clicks import fields
from tests.support.server import free_port, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


@contextmanager
def running_demo(folder: Path, **environment: str) -> Iterator[tuple[str, dict[str, str]]]:
    """The demo inside the block: its portal's URL, and the environment it runs in."""
    port = str(free_port())
    clean = {name: value for name, value in os.environ.items() if not name.startswith("BORNE_")}
    clean |= {"BORNE_PORTAL_PORT": port, "BORNE_GATEWAY_PORT": str(free_port()), **environment}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "borne", "demo"], cwd=folder, env=clean, stdout=log, stderr=subprocess.STDOUT
        )
    try:
        wait_until(lambda: b"Ctrl-C" in (folder / "log").read_bytes() or process.poll() is not None, "the demo", 60)
        assert process.poll() is None, (folder / "log").read_text()
        yield f"http://127.0.0.1:{port}", clean
    finally:
        process.terminate()
        process.wait(20)


def seen(url: str, *paths: str) -> list[str]:
    """Pages as the Business organisation's super-admin sees them."""
    with httpx.Client(base_url=url, follow_redirects=True, timeout=20) as client:
        form = {**fields(client.get("/login").text), "email": PEOPLE[0].email, "password": PASSWORD}
        assert "/login" not in str(client.post("/login", data=form).url)
        return [client.get(path).text for path in paths]


def connected(url: str) -> int:
    """How many of the organisation's chargers are connected."""
    return seen(url, "/chargers")[0].count("OCPP ")


def expected() -> int:
    plan = demo_fleet_plan()
    return sum(charger.connects for charger in plan if charger.organisation == plan[0].organisation)


def test_on_sqlite_beside_borne_admin(tmp_path: Path) -> None:
    with running_demo(tmp_path) as (url, environment):
        said = (tmp_path / "log").read_text()
        assert all(person.email in said for person in PEOPLE)
        wait_until(lambda: connected(url) >= expected(), "the chargers connect", 40)
        vehicles, reports, groups, lists, assumed = seen(
            url, "/vehicles", "/reports", "/access-groups", "/price-lists", "/savings/assumptions"
        )
        assert all(car.name in unescape(vehicles) for car in CARS if car.organisation == BUSINESS)
        assert (reports.count("/delete"), GROUP in unescape(groups), MARKET in lists, "Ember, 2024, FR" in assumed) == (
            2, True, True, True,
        )  # fmt: skip
        environment.pop("BORNE_PORTAL_PORT")
        words = ["admin", "add-charger", "--name", "N", "--model", "pulsar-plus", "--json"]
        done = subprocess.run(
            [sys.executable, "-m", "borne", *words],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        assert set(json.loads(done.stdout)) == {"identity", "password", "url"}
        second = subprocess.run(
            [sys.executable, "-m", "borne", "demo"],
            cwd=tmp_path, env={**environment, "BORNE_PORTAL_PORT": url.rpartition(":")[2]},
            capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert second.returncode == 2
        assert "cannot listen" in second.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"log", "var"}, "nothing outside its folder"
    assert not (tmp_path / "var/demo/running.json").exists()


def test_on_postgresql(tmp_path: Path, postgres_database: str) -> None:
    with running_demo(tmp_path, BORNE_DATABASE_URL=postgres_database) as (url, _):
        wait_until(lambda: connected(url) >= expected(), "the chargers connect", 40)


def test_it_listens_on_loopback_only(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "borne", "demo"],
        cwd=tmp_path, env={**os.environ, "BORNE_PORTAL_HOST": "0.0.0.0"}, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 2
    assert "loopback" in done.stderr
