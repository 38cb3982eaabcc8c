"""kill -9 between a verdict and its notice: after the start it is told, once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.clicks import log_in, restart
from tests.support.server import charger_yard, running_site, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


def test_a_failed_restart_is_told_once_after_a_kill(tmp_path: Path) -> None:
    with running_site(tmp_path / "site") as site, charger_yard(site) as yard:
        site.add_organisation("Lumen", "business")
        site.add_person("boss@test.example", "super-admin", "Lumen")
        charger = yard.connect(site.add_charger("Dies", "Lumen"), "rejects")
        assert restart(log_in(site, "boss@test.example"), charger.id).status_code == 200
        wait_until(lambda: site.verdicts(charger.id) == [("failed", "rejected")], "the verdict")
        assert site.process is not None
        site.process.kill()
        site.process.wait(10)
        told = "SELECT event, charger_id FROM notices"
        before = site.sql(told)
        assert site.sql("SELECT count(*) FROM news")[0][0] or before, "it is kept with the verdict"
        site.start()
        wait_until(lambda: site.sql(told) == [("restart_failed", charger.id)], "the notice", 20)
        wait_until(lambda: site.sql("SELECT count(*) FROM news") == [(0,)], "all news are taken", 20)
        assert site.sql(told) == [("restart_failed", charger.id)]
