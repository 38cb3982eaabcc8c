"""What the overview asks, on both databases: only of the scope's locations, and power of chargers that are heard alone."""

from __future__ import annotations

import pytest

from borne.core.scope import Role, Scope
from borne.store import dashboard
from borne.store.db import Database
from borne.store.schema import chargers, restarts, sessions

pytestmark = pytest.mark.anyio
MINE, THEIRS = 1, 2
LYON, NANTES, ELSEWHERE = 10, 11, 20


def scope(role: Role = "super-admin", **more: object) -> Scope:
    fields = {"person_id": 7, "person_name": "C", "organisation_id": MINE, "role": role, "plan": "business", **more}
    return Scope(**fields)  # type: ignore[arg-type]


@pytest.fixture
async def filled(database: Database) -> Database:
    async with database.transaction() as tx:
        await tx.insert_many(
            chargers,
            ("id", "organisation_id", "location_id", "name", "identity", "created_ms", "changed_ms", "online"),
            [(n, o, p, "", str(n), 1, 1, online) for n, o, p, online in
             ((1, MINE, LYON, 1), (2, MINE, LYON, 0), (3, MINE, NANTES, 1), (4, THEIRS, ELSEWHERE, 1))],
        )  # fmt: skip
        await tx.insert_many(
            sessions,
            ("charger_id", "organisation_id", "location_id", "evse", "connector", "transaction", "start_key", "started_ms",
             "ended_ms", "power_w"),
            [(c, o, p, 1, 1, str(k), str(k), 1, ended, power_w) for k, (c, o, p, ended, power_w) in enumerate((
                (1, MINE, LYON, None, 7_000), (2, MINE, LYON, None, 3_000), (3, MINE, NANTES, None, 22_000),
                (3, MINE, NANTES, None, None), (1, MINE, LYON, 5, 9_000), (4, THEIRS, ELSEWHERE, None, 50_000),
                (4, MINE, LYON, None, 90_000),  # its charger went to another organisation
            ))],
        )  # fmt: skip
        await tx.insert_many(
            restarts,
            ("charger_id", "organisation_id", "location_id", "model", "person_name", "kind", "phase", "verdict", "requested_ms"),
            [(1, o, p, "copper", "", "soft", "ended", verdict, at_ms) for o, p, verdict, at_ms in (
                (MINE, LYON, "succeeded", 100), (MINE, LYON, "failed", 99), (MINE, NANTES, "succeeded", 500),
                (MINE, NANTES, None, 500),
                (THEIRS, ELSEWHERE, "failed", 500),
            )],
        )  # fmt: skip
    return database


async def test_what_runs_and_what_it_draws(filled: Database) -> None:
    assert tuple(await dashboard.running(filled, scope())) == (5, 3, 29_000)
    assert tuple(await dashboard.running(filled, scope("admin", location_ids=(NANTES,)))) == (2, 2, 22_000)
    assert tuple(await dashboard.running(filled, scope("admin", location_ids=()))) == (0, 0, 0)


async def test_how_restarts_ended(filled: Database) -> None:
    assert await dashboard.verdicts(filled, scope(), 100) == {"succeeded": 2, None: 1}
    assert await dashboard.verdicts(filled, scope("operator", location_ids=(LYON,)), 0) == {"succeeded": 1, "failed": 1}
