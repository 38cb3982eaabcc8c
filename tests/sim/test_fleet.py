"""Fleets from data and files, and the demo's own."""

import asyncio
import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from borne.sim.behaviours import BEHAVIOURS, behaviour_named
from borne.sim.demo_plan import DEMO_TAG, demo_fleet_plan
from borne.sim.fleet import Fleet
from borne.sim.journal import Kind
from borne.sim.members import FleetMember, load_fleet
from tests.sim.stub_central import StubCentral, run_skipping

MEMBERS = [{"identity": f"CP-{n}", "behaviour": "rejects", "habits": {"lasts_s": 30.0}} for n in range(3)]


def test_a_fleet_starts_one_after_the_other_and_ends_with_a_goodbye() -> None:
    async def story() -> None:
        central, told = StubCentral(), []
        fleet = Fleet(
            [FleetMember(identity=f"CP-{n}") for n in range(5)],
            dial=central.dial,
            now=lambda: datetime.now(UTC),
            stagger_s=1.0,
            tell=lambda identity, entry: told.append((identity, entry.kind)),
        )
        life = asyncio.create_task(fleet.run())
        await asyncio.sleep(20)
        life.cancel()
        await asyncio.wait({life})
        assert [round(h.at_s) for h in central.of("BootNotification")] == [0, 1, 2, 3, 4]
        assert [link.ended_with for link in central.links] == ["close 1001"] * 5
        assert Counter(told)["CP-3", Kind.STOPPED] == 1

    run_skipping(story())


@pytest.mark.parametrize("suffix", ["json", "toml"])
def test_fleet_files(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"fleet.{suffix}"
    if suffix == "json":
        path.write_text(json.dumps({"members": MEMBERS}))
    else:
        rows = [f'[[members]]\nidentity = "{m["identity"]}"\nbehaviour = "rejects"\n' for m in MEMBERS]
        path.write_text("".join(f"{row}habits = {{lasts_s = 30.0}}\n" for row in rows))
    members = load_fleet(path)
    assert [m.identity for m in members] == ["CP-0", "CP-1", "CP-2"]
    assert members[0].habits is not None
    assert members[0].habits.lasts_s == 30.0


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "fleet.json: "),
        ('{"members": [{"identity": "a", "behaviour": "x"}]}', "no behaviour is named 'x'"),
        ('{"members": [{"identity": "a", "tweaks": {"away": 1}}]}', "no field away"),
        ('{"members": [{"identity": "a"}, {"identity": "a"}]}', "same identity"),
        ('{"members": [{"identity": "a", "colour": 1}]}', "colour"),
    ],
)
def test_bad_fleet_files_are_told_in_one_line(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "fleet.json"
    path.write_text(content)
    with pytest.raises(ValueError) as caught:
        load_fleet(path)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_fleet_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"none\.json"):
        load_fleet(tmp_path / "none.json")


# the demo


def test_the_demo_has_three_organisations_on_three_plans() -> None:
    plan = demo_fleet_plan()
    per_organisation = Counter((c.plan, c.organisation) for c in plan)
    assert sorted(per_organisation.values()) == [3, 5, 18]
    assert {c.location for c in plan if c.plan == "Business"} == {"Lyon, Atelier", "Nantes, Entrepôt", "Lyon, Siège"}
    assert len({c.serial for c in plan}) == len({(c.organisation, c.name) for c in plan}) == len(plan)
    assert [c.name for c in plan if not c.connects] == ["Parking 4 (never connected)"]
    assert [c.name for c in plan if c.model == "pulsar"] == ["Accueil (no remote restart)"]
    assert {c.habits.tag for c in plan if c.habits} == {DEMO_TAG}


def test_every_demo_charger_can_be_made_and_fits_what_ocpp_allows() -> None:
    for charger in demo_fleet_plan():
        member = charger.member("id", "password", "ws://127.0.0.1/ocpp")
        assert member.behaviour in BEHAVIOURS
        assert max(len(member.vendor), len(member.model)) <= 20


def test_every_demo_restart_ends_within_90_s() -> None:
    for charger in demo_fleet_plan():
        behaviour = behaviour_named(charger.behaviour, charger.scale, charger.tweaks)
        if behaviour.returns:
            waits_s = charger.habits.lasts_s if charger.habits and behaviour.waits_for_session == "always" else 0
            assert waits_s + behaviour.drop_after_s + behaviour.away_s + behaviour.boot_delay_s <= 90


def test_the_whole_demo_lives_together() -> None:
    async def story() -> None:
        central = StubCentral()
        members = [
            charger.member(f"D{number}", "password", "ws://stub/ocpp")
            for number, charger in enumerate(demo_fleet_plan())
            if charger.connects and charger.protocol == "1.6"
        ]
        fleet = Fleet(members, dial=central.dial, now=lambda: datetime.now(UTC))
        life = asyncio.create_task(fleet.run())
        await asyncio.sleep(60)
        assert len({url for url, *_ in central.dials}) == len(members)
        statuses = {status for bot in fleet.bots.values() for status in bot.statuses.values()}
        assert {"Available", "Charging", "SuspendedEV", "Preparing", "Faulted"} <= statuses
        failed = [str(e) for bot in fleet.bots.values() for e in bot.log if e.kind is Kind.CALL_FAILED]
        assert failed == []
        life.cancel()
        await asyncio.wait({life})

    run_skipping(story())
