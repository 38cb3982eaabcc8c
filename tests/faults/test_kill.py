"""kill -9 of the real server (D1, R11, D9): what it confirmed is there after the start, and no Reset is sent twice."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from borne.sim.journal import Kind
from tests.support.clicks import fields, log_in, restart
from tests.support.server import Charger, Site, Yard, charger_yard, running_site, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

SLOW_VERDICT: dict[str, dict[str, Any]] = {"restarts": {"deadline_least_s": 8, "deadline_most_s": 8}}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with running_site(tmp_path / "site", **SLOW_VERDICT) as running:
        running.add_organisation("Lumen", "business")
        running.add_person("boss@test.example", "super-admin", "Lumen")
        yield running


@pytest.fixture
def yard(site: Site) -> Iterator[Yard]:
    with charger_yard(site) as one:
        yield one


@pytest.fixture
def boss(site: Site) -> httpx.Client:
    return log_in(site, "boss@test.example")


def state_of(site: Site, charger: Charger) -> dict[str, Any]:
    """The restart machine as stored."""
    rows = site.sql("SELECT state FROM restarts WHERE charger_id = ?", charger.id)
    assert len(rows) == 1, "one click, one restart"
    found: dict[str, Any] = json.loads(rows[0][0])
    return found


def kill(site: Site) -> None:
    assert site.process is not None
    site.process.kill()
    site.process.wait(10)


# step at which the server dies: the behaviour that holds the restart there, its session, the verdicts that are true then
STEPS = {
    "sent": ("never-answers", {"unknown"}),
    "accepted": ("accepts-does-nothing", {"unknown", "failed"}),
    "left": ("late-return", {"succeeded", "unknown", "failed"}),
    "back": ("no-boot", {"unknown"}),
    "scheduled": ("waits-for-session", {None, "succeeded", "unknown"}),
    "ended": ("rejects", {"failed"}),
}


@pytest.mark.parametrize("step", STEPS)
def test_r11_killed_at_each_step_of_a_restart(step: str, site: Site, yard: Yard, boss: httpx.Client) -> None:
    behaviour, verdicts = STEPS[step]
    scale = 0.05 if step == "back" else 0.25
    charger = yard.connect(site.add_charger(f"Dies when {step}", "Lumen"), behaviour, scale=scale)
    if step == "scheduled":
        charger.begin_session()
    assert restart(boss, charger.id).status_code == 200
    wait_until(lambda: site.sql("SELECT phase FROM restarts") == [(step,)], "the step")
    before = state_of(site, charger)
    kill(site)
    time.sleep(0.5)
    site.start()
    after = state_of(site, charger)
    kept = ("sent_ms", "written_ms", "answered_ms", "answer", "left_ms", "back_ms", "verdict", "reason", "requested_ms")
    assert {key: before.get(key) for key in kept if key in before} == {
        key: after.get(key) for key in kept if key in before
    }
    if before.get("verdict") is None and step != "scheduled":
        assert after["deadline_ms"] > before["deadline_ms"], "our absence extends the deadline"
    assert after["steps"][: len(before["steps"])] == before["steps"]
    if step == "scheduled":
        charger.end_session()
    elif step != "ended":
        wait_until(lambda: state_of(site, charger).get("verdict"), "a verdict", 40)
    assert state_of(site, charger).get("verdict") in verdicts
    # What was committed as sent may not have left any more when the server was killed; it is never sent again.
    assert charger.resets == 1 or (step == "sent" and charger.resets == 0), "never a second Reset"


def test_killed_while_a_batch_runs(site: Site, yard: Yard, boss: httpx.Client) -> None:
    chargers = [yard.connect(site.add_charger(f"Batch {n}", "Lumen"), "firmware-a", scale=0.1) for n in range(8)]
    ids = [str(charger.id) for charger in chargers]
    token = fields(boss.get("/account").text)["_csrf_token"]
    page = boss.post("/restarts/batch/new", data={"charger": ids, "_csrf_token": token})
    assert page.status_code == 200, page.text
    form: dict[str, Any] = {**fields(page.text), "charger": ids}
    assert boss.post("/restarts/batch", data=form).status_code == 200
    wait_until(lambda: site.sql("SELECT count(*) FROM restarts WHERE sent_ms IS NOT NULL")[0][0] >= 3, "some are sent")
    kill(site)
    site.start()
    done = "SELECT phase FROM batches"
    wait_until(lambda: site.sql(done) == [("done",)], "the batch ends", 60)
    assert site.sql("SELECT count(*) FROM restarts WHERE phase != 'ended'") == [(0,)]
    assert all(charger.resets <= 1 for charger in chargers), "never a second Reset"


def test_d1_what_was_confirmed_is_there(site: Site, yard: Yard) -> None:
    """Sessions are confirmed while the server is killed again and again; none that was confirmed is missing."""
    chargers = [yard.connect(site.add_charger(f"Charges {n}", "Lumen")) for n in range(4)]
    for round_ in range(3):
        for charger in chargers:
            wait_until(lambda c=charger, n=round_: len(c.entries(Kind.CONNECTED)) > n, "it is connected again")
            charger.wait_online()
            charger.begin_session()
        time.sleep(0.3)
        for charger in chargers:
            charger.end_session()
        time.sleep(0.05)
        kill(site)
        site.start()
    for charger in chargers:
        confirmed = [e for e in charger.entries(Kind.ACKNOWLEDGED) if e.details.get("action") == "StartTransaction"]
        kept = site.sql("SELECT count(*) FROM session_messages WHERE charger_id = ? AND kind = 'started'", charger.id)
        assert kept[0][0] >= len(confirmed) >= 3
        stops = [e for e in charger.entries(Kind.ACKNOWLEDGED) if e.details.get("action") == "StopTransaction"]
        kept = site.sql("SELECT count(*) FROM session_messages WHERE charger_id = ? AND kind = 'ended'", charger.id)
        assert kept[0][0] >= len(stops)


def test_r11_killed_on_postgresql(tmp_path: Path, postgres_database: str) -> None:
    """The same on PostgreSQL, at the most delicate step: the Reset is sent and not answered."""
    with running_site(tmp_path / "site", postgres_database, **SLOW_VERDICT) as site, charger_yard(site) as yard:
        site.add_organisation("Lumen", "business")
        site.add_person("boss@test.example", "super-admin", "Lumen")
        charger = yard.connect(site.add_charger("Dies", "Lumen"), "never-answers")
        assert restart(log_in(site, "boss@test.example"), charger.id).status_code == 200
        wait_until(lambda: charger.resets, "the Reset is there")
        before = state_of(site, charger)
        kill(site)
        site.start()
        assert state_of(site, charger)["sent_ms"] == before["sent_ms"]
        wait_until(lambda: state_of(site, charger).get("verdict"), "a verdict", 40)
        assert (state_of(site, charger)["verdict"], charger.resets) == ("unknown", 1)


def test_d9_a_second_server_is_refused_with_a_sentence(site: Site) -> None:
    second = site.folder / "second.toml"
    text = (site.folder / "borne.toml").read_text()
    second.write_text(text.replace(str(site.portal_port), "0").replace(str(site.gateway_port), "0"))
    lines = text.replace(f"port = {site.portal_port}", "port = 18999").replace(
        f"port = {site.gateway_port}", "port = 18998"
    )
    second.write_text(lines)
    done = subprocess.run(
        [sys.executable, "-m", "borne", "serve", "--config", str(second)], capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 2
    last = done.stderr.strip().splitlines()[-1]
    assert "another" in last.lower()
    assert "Traceback" not in done.stderr
    site.admin("add-charger", "--name", "Beside", "--json")


def test_a_taken_port_is_said(site: Site) -> None:
    clash = site.folder / "clash.toml"
    clash.write_text(f'data_folder = "{site.folder / "other"}"\n[portal]\nport = {site.portal_port}\n')
    done = subprocess.run(
        [sys.executable, "-m", "borne", "serve", "--config", str(clash)], capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 2
    assert str(site.portal_port) in done.stderr.strip().splitlines()[-1]
    assert "Traceback" not in done.stderr
