"""Restarts through the engine: one for two clicks, conditions at OKAY and again at sending, verdicts kept."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
from sqlalchemy import func, select, update

from borne.core.actor import Actor
from borne.core.facts import RestartUnwritten, RestartWritten, SessionEnded, SessionStarted, StatusChanged
from borne.core.restart_state import RestartState
from borne.core.scope import Role
from borne.engine.outcome import Due
from borne.engine.restarts import NewRestart, usual
from borne.store import people
from borne.store.db import Row
from borne.store.schema import chargers, memberships, organisations, restarts, sessions
from tests.support.house import DEADLINE_S, START_MS, House, Small, on_both, scope_of, until


async def row_of(house: House, restart_id: int | None) -> Row:
    row = await house.db.first(select(restarts).where(restarts.c.id == restart_id))
    assert row is not None
    return row


async def verdict_of(house: House, restart_id: int | None) -> tuple[str | None, str | None]:
    row = await row_of(house, restart_id)
    return row.verdict, row.reason


def state_of(row: Row) -> RestartState:
    return msgspec.json.decode(row.state, type=RestartState)


async def count_restarts(house: House) -> int:
    return int(await house.db.value(select(func.count()).select_from(restarts)))


# ---- the whole way ------------------------------------------------------------------------------------------------


@on_both
async def test_a_click_becomes_a_reboot_and_a_verdict(small: Small) -> None:
    house = small.house
    asked = await house.ask(small.scope, small.charger_id, why="stuck")
    assert asked.restart_id is not None
    assert not asked.existing
    await until(lambda: any(hint.topic == "restart_due" for hint in house.hints))
    assert await house.send(small.charger_id, small.epoch) == Due(asked.restart_id, "soft", None)
    await house.reboot(small.charger_id, small.epoch, asked.restart_id)
    row = await row_of(house, asked.restart_id)
    assert (row.verdict, row.reason, row.phase, row.is_open) == ("succeeded", "booted_after_loss", "ended", 0)
    assert (row.person_name, row.why, row.duration_ms) == ("Camille", "stuck", 14_000)
    kinds = [step.kind for step in state_of(row).steps]
    assert kinds == ["requested", "sent", "answered", "left", "back", "booted", "verdict"]
    shown = await house.db.first(select(chargers).where(chargers.c.id == small.charger_id))
    assert shown is not None
    assert (shown.restart_id, shown.restart_verdict, shown.status) == (asked.restart_id, "succeeded", "ready")


async def test_while_it_restarts_the_charger_says_so(small: Small) -> None:
    house = small.house
    status = select(chargers.c.status).where(chargers.c.id == small.charger_id)
    asked = await house.ask(small.scope, small.charger_id)
    assert await house.db.value(status) == "restarting"
    await house.send(small.charger_id, small.epoch)
    await house.lose(small.charger_id, small.epoch)
    assert await house.db.value(status) == "restarting"
    epoch = await house.connect(small.charger_id)
    assert await house.db.value(status) == "ready"
    assert (await verdict_of(house, asked.restart_id))[0] == "succeeded"
    assert epoch == small.epoch + 1


async def test_sent_is_committed_before_the_link_may_write(small: Small) -> None:
    asked = await small.house.ask(small.scope, small.charger_id)
    due = await small.house.restarts.take(small.charger_id, small.epoch)
    assert due is not None
    row = await row_of(small.house, asked.restart_id)
    assert row.phase == "sent"
    assert state_of(row).written_ms is None


# ---- once ---------------------------------------------------------------------------------------------------------


@on_both
async def test_two_people_click_and_it_is_one_restart_that_both_see(small: Small) -> None:
    house = small.house
    ali = scope_of(
        await house.person(small.organisation_id, "admin", (small.location_id,)), small.organisation_id, "admin"
    )
    outcomes = await asyncio.gather(
        *(house.ask(scope, small.charger_id) for scope in (small.scope, ali, small.scope, ali, small.scope))
    )
    assert len({outcome.restart_id for outcome in outcomes}) == 1
    assert sum(not outcome.existing for outcome in outcomes) == 1
    assert await count_restarts(house) == 1


@on_both
async def test_the_same_key_is_the_same_restart_even_after_its_end(small: Small) -> None:
    house = small.house
    first, again = await asyncio.gather(
        house.ask(small.scope, small.charger_id, idempotency_key="k1"),
        house.ask(small.scope, small.charger_id, idempotency_key="k1"),
    )
    assert {first.existing, again.existing} == {False, True}
    assert first.restart_id is not None
    await house.send(small.charger_id, small.epoch)
    await house.reboot(small.charger_id, small.epoch, first.restart_id)
    late = await house.ask(small.scope, small.charger_id, idempotency_key="k1")
    assert (late.restart_id, late.existing) == (first.restart_id, True)
    other = await house.ask(small.scope, small.charger_id, idempotency_key="k2")
    assert not other.existing


async def test_a_key_is_of_its_organisation(small: Small) -> None:
    house = small.house
    first = await house.ask(small.scope, small.charger_id, idempotency_key="same")
    organisation_id, (location_id,) = await house.organisation()
    (charger_id,) = await house.chargers(organisation_id, location_id)
    await house.connect(charger_id)
    theirs = scope_of(await house.person(organisation_id), organisation_id)
    second = await house.ask(theirs, charger_id, idempotency_key="same")
    assert not second.existing
    assert second.restart_id != first.restart_id


async def test_it_is_taken_once_however_often_the_link_asks(small: Small) -> None:
    await small.house.ask(small.scope, small.charger_id)
    taken = await asyncio.gather(*(small.house.restarts.take(small.charger_id, small.epoch) for _ in range(5)))
    assert sum(due is not None for due in taken) == 1


async def test_a_link_of_an_older_epoch_takes_nothing(small: Small) -> None:
    house = small.house
    await house.ask(small.scope, small.charger_id)
    assert await house.restarts.take(small.charger_id, small.epoch - 1) is None
    assert await house.restarts.take(small.charger_id, small.epoch + 1) is None
    assert await house.restarts.take(small.charger_id, small.epoch) is not None


# ---- conditions at OKAY -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("role", "plan", "expected"),
    [
        ("super-admin", "standard", ()),
        ("super-admin", "business", ()),
        ("super-admin", "basic", ("plan",)),
        ("admin", "standard", ()),
        ("operator", "business", ("role",)),
        ("user", "business", ("role",)),
        ("user", "basic", ("role", "plan")),
    ],
)
async def test_role_and_plan_count_at_okay(house: House, role: Role, plan: str, expected: tuple[str, ...]) -> None:
    organisation_id, (location_id,) = await house.organisation(plan)
    (charger_id,) = await house.chargers(organisation_id, location_id)
    await house.connect(charger_id)
    outcome = await house.ask(scope_of(1, organisation_id, role), charger_id)
    assert outcome.reasons == expected
    assert (outcome.restart_id is None) == bool(expected)
    assert await count_restarts(house) == (not expected)


@on_both
async def test_a_plan_that_lapsed_while_the_modal_was_open_counts(small: Small) -> None:
    async with small.house.db.transaction() as tx:
        await tx.run(update(organisations).values(plan="basic"))
    assert (await small.house.ask(small.scope, small.charger_id)).reasons == ("plan",)


async def test_pulsar_offline_never_connected_updating_disabled(small: Small) -> None:
    house, where = small.house, (small.organisation_id, small.location_id)
    (pulsar,) = await house.chargers(*where, model="pulsar")
    await house.connect(pulsar)
    assert (await house.ask(small.scope, pulsar)).reasons == ("model",)
    (never,) = await house.chargers(*where, model="copper")
    assert (await house.ask(small.scope, never)).reasons == ("never_connected",)
    await house.lose(small.charger_id, small.epoch)
    assert (await house.ask(small.scope, small.charger_id)).reasons == ("offline",)
    assert await count_restarts(house) == 0


@pytest.mark.parametrize("more", [{"charger_ids": (999,)}, {"location_ids": ()}])
async def test_a_charger_out_of_reach_is_as_if_it_were_not_there(
    small: Small, more: dict[str, tuple[int, ...]]
) -> None:
    hidden = msgspec.structs.replace(small.scope, **more)
    seen = await small.house.ask(hidden, small.charger_id)
    gone = await small.house.ask(small.scope, 424242)
    assert seen.ignored
    assert (seen.restart_id, seen.reasons) == (gone.restart_id, gone.reasons) == (None, ())


async def test_another_organisation_sees_nothing_of_it(small: Small) -> None:
    stranger = scope_of(5, small.organisation_id + 1)
    outcome = await small.house.ask(stranger, small.charger_id)
    assert (outcome.restart_id, outcome.reasons) == (None, ())


# ---- conditions again at sending ----------------------------------------------------------------------------------


async def planned(small: Small) -> int:
    asked = await small.house.ask(small.scope, small.charger_id, when=START_MS + 3_600_000)
    assert asked.restart_id is not None
    return asked.restart_id


async def strike(small: Small) -> None:
    small.house.clock.at_ms = START_MS + 3_600_001
    await small.house.timers._strike()


@on_both
@pytest.mark.parametrize("change", [{"role": "user"}, {"expires_ms": 1}])
async def test_a_role_taken_away_before_the_sending_counts(small: Small, change: dict[str, object]) -> None:
    restart_id = await planned(small)
    async with small.house.db.transaction() as tx:
        await tx.run(update(memberships).values(**change))
    await strike(small)
    assert await small.house.restarts.take(small.charger_id, small.epoch) is None
    assert await verdict_of(small.house, restart_id) == ("not_sent", "role")


async def test_an_admin_who_lost_the_location_counts(small: Small) -> None:
    house = small.house
    person_id = await house.person(small.organisation_id, "admin", (small.location_id,))
    ali = scope_of(person_id, small.organisation_id, "admin", location_ids=(small.location_id,))
    kept = await house.ask(ali, small.charger_id, when=START_MS + 3_600_000)
    async with house.db.transaction() as tx:
        await people.set_locations(tx, person_id=person_id, organisation_id=small.organisation_id, location_ids=())
    await strike(small)
    assert await house.send(small.charger_id, small.epoch) is None
    assert await verdict_of(house, kept.restart_id) == ("not_sent", "role")


async def test_a_charger_moved_to_another_organisation_is_not_restarted_by_the_old_one(small: Small) -> None:
    restart_id = await planned(small)
    other, (place,) = await small.house.organisation()
    async with small.house.db.transaction() as tx:  # even when who asked administers both
        await people.add_membership(tx, person_id=small.person_id, organisation_id=other, role="super-admin")
        await tx.run(
            update(chargers).where(chargers.c.id == small.charger_id).values(organisation_id=other, location_id=place)
        )
    small.house.engine.forget(small.charger_id)
    await strike(small)
    assert await small.house.send(small.charger_id, small.epoch) is None
    assert await verdict_of(small.house, restart_id) == ("not_sent", "role")


async def test_the_plan_counted_at_okay(small: Small) -> None:
    await planned(small)
    async with small.house.db.transaction() as tx:
        await tx.run(update(organisations).values(plan="basic"))
    await strike(small)
    assert await small.house.send(small.charger_id, small.epoch) is not None


async def test_a_charger_disabled_since_is_not_restarted(small: Small) -> None:
    restart_id = await planned(small)
    async with small.house.db.transaction() as tx:
        await tx.run(update(chargers).values(disabled=1))
    small.house.engine.forget(small.charger_id)
    await strike(small)
    assert await small.house.send(small.charger_id, small.epoch) is None
    assert await verdict_of(small.house, restart_id) == ("not_sent", "disabled")


async def test_a_reset_for_a_charger_that_left_is_never_queued(small: Small) -> None:
    asked = await small.house.ask(small.scope, small.charger_id)
    await small.house.lose(small.charger_id, small.epoch)
    assert await verdict_of(small.house, asked.restart_id) == ("not_sent", "offline")
    epoch = await small.house.connect(small.charger_id)
    assert await small.house.send(small.charger_id, epoch) is None


async def test_it_booted_by_itself_before_the_sending(small: Small) -> None:
    asked = await small.house.ask(small.scope, small.charger_id)
    await small.house.boot(small.charger_id, small.epoch)
    assert await small.house.send(small.charger_id, small.epoch) is None
    assert await verdict_of(small.house, asked.restart_id) == ("not_sent", "booted_first")


async def test_what_could_not_be_written_failed(small: Small) -> None:
    house = small.house
    asked = await house.ask(small.scope, small.charger_id)
    due = await house.restarts.take(small.charger_id, small.epoch)
    assert due is not None
    await house.lose(small.charger_id, small.epoch)
    await house.engine.apply(
        house.fact(RestartUnwritten, small.charger_id, restart_id=due.restart_id, epoch=small.epoch)
    )
    assert await verdict_of(house, asked.restart_id) == ("failed", "never_written")


# ---- now, when free, at a time, withdrawn -------------------------------------------------------------------------


async def start_session(small: Small, transaction: str = "T1", connector: int = 1) -> None:
    fact = small.house.fact(
        SessionStarted,
        small.charger_id,
        epoch=small.epoch,
        evse=1,
        connector=connector,
        tag=None,
        transaction=transaction,
    )
    await small.house.engine.apply(fact)


async def end_session(small: Small, transaction: str = "T1") -> None:
    await small.house.engine.apply(
        small.house.fact(SessionEnded, small.charger_id, epoch=small.epoch, transaction=transaction)
    )


async def test_when_free_is_now_for_a_charger_that_is_free(small: Small) -> None:
    asked = await small.house.ask(small.scope, small.charger_id, when="free")
    assert (await row_of(small.house, asked.restart_id)).phase == "requested"


async def test_when_free_waits_for_the_last_sessions_end(small: Small) -> None:
    await start_session(small, "T1")
    await start_session(small, "T2", connector=2)
    asked = await small.house.ask(small.scope, small.charger_id, when="free")
    assert (await row_of(small.house, asked.restart_id)).phase == "waiting"
    await end_session(small, "T1")
    assert await small.house.send(small.charger_id, small.epoch) is None
    await end_session(small, "T2")
    assert await small.house.send(small.charger_id, small.epoch) is not None


async def test_when_free_waits_for_what_the_connector_says_too(small: Small) -> None:
    house = small.house

    def said(word: str) -> StatusChanged:
        return house.fact(StatusChanged, small.charger_id, epoch=small.epoch, evse=1, connector=1, status=word)  # type: ignore[return-value]

    await house.engine.apply(said("charging"))
    asked = await house.ask(small.scope, small.charger_id, when="free")
    assert (await row_of(house, asked.restart_id)).phase == "waiting"
    await house.engine.apply(said("finishing"))
    assert (await row_of(house, asked.restart_id)).phase == "requested"


async def test_scheduled_waits_until_the_last_session_has_ended(small: Small) -> None:
    """With two cars charging, the end of the first one starts no clock."""
    house = small.house
    await start_session(small, "T1")
    await start_session(small, "T2", connector=2)
    asked = await house.ask(small.scope, small.charger_id)
    assert asked.restart_id is not None
    await house.send(small.charger_id, small.epoch)
    await house.answer(small.charger_id, small.epoch, asked.restart_id, "scheduled")
    await end_session(small, "T1")
    assert (await row_of(house, asked.restart_id)).phase == "scheduled"
    await end_session(small, "T2")
    assert (await row_of(house, asked.restart_id)).phase == "accepted"


async def test_at_a_time_may_be_asked_of_a_charger_that_is_away_now(small: Small) -> None:
    house = small.house
    await house.lose(small.charger_id, small.epoch)
    restart_id = await planned(small)
    epoch = await house.connect(small.charger_id)
    assert await house.send(small.charger_id, epoch) is None
    await strike(small)
    assert (await row_of(house, restart_id)).phase == "requested"
    assert await house.send(small.charger_id, epoch) is not None


async def test_at_its_time_the_charger_must_be_there(small: Small) -> None:
    restart_id = await planned(small)
    await small.house.lose(small.charger_id, small.epoch)
    await strike(small)
    assert await verdict_of(small.house, restart_id) == ("not_sent", "offline")


def asking(small: Small) -> Actor:
    """Whoever asks for restarts here."""
    return Actor(small.scope.person_id, "Ali")


@on_both
async def test_a_waiting_one_can_be_withdrawn(small: Small) -> None:
    restart_id = await planned(small)
    assert not (await small.house.restarts.withdraw(small.charger_id, restart_id, asking(small))).ignored
    assert await verdict_of(small.house, restart_id) == ("not_sent", "withdrawn")
    assert (await small.house.restarts.withdraw(small.charger_id, restart_id, asking(small))).ignored
    assert not (await small.house.ask(small.scope, small.charger_id)).existing


async def test_what_was_sent_can_no_longer_be_withdrawn(small: Small) -> None:
    asked = await small.house.ask(small.scope, small.charger_id)
    assert asked.restart_id is not None
    await small.house.send(small.charger_id, small.epoch)
    assert (await small.house.restarts.withdraw(small.charger_id, asked.restart_id, asking(small))).ignored
    assert await verdict_of(small.house, asked.restart_id) == (None, None)


# ---- what is known of the charger at sending ----------------------------------------------------------------------


async def test_what_is_known_when_it_is_sent(small: Small) -> None:
    asked = await small.house.ask(small.scope, small.charger_id, kind="hard")
    await small.house.send(small.charger_id, small.epoch)
    state = state_of(await row_of(small.house, asked.restart_id))
    assert (state.booted_on_link, state.announces_boots, state.plain_reconnects_boot, state.charging) == (
        True,
        True,
        None,
        False,
    )
    assert state.deadline_after_ms == DEADLINE_S * 1000
    assert state.kind == "hard"


async def test_the_next_reset_ends_what_the_last_one_may_still_claim(small: Small) -> None:
    house = small.house
    first = await house.ask(small.scope, small.charger_id)
    assert first.restart_id is not None
    await house.send(small.charger_id, small.epoch)
    await house.answer(small.charger_id, small.epoch, first.restart_id)
    await house.lose(small.charger_id, small.epoch)
    house.clock.pass_s(DEADLINE_S + 1)
    await house.timers._strike()
    assert await verdict_of(house, first.restart_id) == ("failed", "did_not_come_back")
    epoch = await house.connect(small.charger_id, boots=False)
    assert await verdict_of(house, first.restart_id) == ("unknown", "came_back_late")
    second = await house.ask(small.scope, small.charger_id)
    assert second.restart_id is not None
    await house.send(small.charger_id, epoch)
    await house.reboot(small.charger_id, epoch, second.restart_id)
    assert await verdict_of(house, first.restart_id) == ("unknown", "came_back_late")
    assert (await verdict_of(house, second.restart_id))[0] == "succeeded"


async def test_how_long_it_usually_takes_is_learnt_from_five_successes(small: Small) -> None:
    house = small.house
    assert await usual(house.db, small.organisation_id, "pulsar-plus") == await usual(house.db, 999, "pulsar-plus")
    epoch = small.epoch
    for number in range(5):
        assert (await usual(house.db, small.organisation_id, "pulsar-plus")).n == 0, number
        asked = await house.ask(small.scope, small.charger_id)
        assert asked.restart_id is not None
        await house.send(small.charger_id, epoch)
        epoch = await house.reboot(small.charger_id, epoch, asked.restart_id)
        house.clock.pass_s(3600)
    found = await usual(house.db, small.organisation_id, "pulsar-plus")
    assert (found.duration_ms, found.n) == (14_000, 5)


async def test_a_restart_closes_the_session_that_never_got_its_stop(small: Small) -> None:
    house = small.house
    await start_session(small)
    asked = await house.ask(small.scope, small.charger_id, kind="hard")
    assert asked.restart_id is not None
    await house.send(small.charger_id, small.epoch)
    await house.reboot(small.charger_id, small.epoch, asked.restart_id)
    row = await house.db.first(select(sessions))
    assert row is not None
    assert row.end_reason == "no stop received"
    assert (await house.ask(small.scope, small.charger_id, when="free")).restart_id is not None
    due = await house.restarts.take(small.charger_id, small.epoch + 1)
    assert due is not None  # it is free


# ---- the server restarts in the middle ----------------------------------------------------------------------------


@on_both
@pytest.mark.parametrize("moment", ["requested", "sent", "written", "accepted", "left", "back", "ended"])
async def test_killed_at_each_step_it_goes_on_with_the_same_state_and_no_second_reset(
    small: Small, moment: str
) -> None:
    house = small.house
    asked = await house.ask(small.scope, small.charger_id)
    restart_id, sent = asked.restart_id, 0
    assert restart_id is not None
    epoch = small.epoch
    if moment != "requested":
        sent += (await house.restarts.take(small.charger_id, epoch)) is not None
    if moment in ("written", "accepted", "left", "back", "ended"):
        await house.engine.apply(house.fact(RestartWritten, small.charger_id, restart_id=restart_id, epoch=epoch))
    if moment in ("accepted", "left", "back", "ended"):
        await house.answer(small.charger_id, epoch, restart_id)
    if moment in ("left", "back", "ended"):
        house.clock.pass_s(5)
        await house.lose(small.charger_id, epoch)
    if moment in ("back", "ended"):
        epoch = await house.connect(small.charger_id, boots=moment == "ended")
    before = state_of(await row_of(house, restart_id))
    house = await house.again(down_s=60)
    try:
        kept = state_of(await row_of(house, restart_id))
        assert (kept.sent_ms, kept.written_ms, kept.answered_ms) == (
            before.sent_ms,
            before.written_ms,
            before.answered_ms,
        )
        epoch = await house.connect(small.charger_id)
        sent += (await house.send(small.charger_id, epoch)) is not None
        assert sent == 1
        if moment == "requested":
            await house.reboot(small.charger_id, epoch, restart_id)
        house.clock.pass_s(DEADLINE_S + 120)
        await house.timers._strike()
        word, _ = await verdict_of(house, restart_id)
        assert word == {"sent": "unknown", "written": "unknown", "accepted": "unknown"}.get(moment, "succeeded")
    finally:
        await house.engine.stop()


@on_both
async def test_who_comes_back_after_the_verdict_and_after_our_own_restart_is_upgraded(small: Small) -> None:
    house = small.house
    asked = await house.ask(small.scope, small.charger_id)
    assert asked.restart_id is not None
    await house.send(small.charger_id, small.epoch)
    await house.answer(small.charger_id, small.epoch, asked.restart_id)
    house.clock.pass_s(10)
    await house.lose(small.charger_id, small.epoch)
    house.clock.pass_s(DEADLINE_S)
    await house.timers._strike()
    assert await verdict_of(house, asked.restart_id) == ("failed", "did_not_come_back")
    house = await house.again(down_s=60)
    await house.connect(small.charger_id)
    row = await row_of(house, asked.restart_id)
    assert (row.verdict, row.reason) == ("succeeded", "came_back_late")
    assert state_of(row).first_reason == "did_not_come_back"
    await house.engine.stop()


async def test_two_chargers_do_not_disturb_each_other(small: Small) -> None:
    house = small.house
    (other,) = await house.chargers(small.organisation_id, small.location_id, model="copper")
    other_epoch = await house.connect(other)
    first, second = await asyncio.gather(
        house.restarts.request(small.scope, small.charger_id, NewRestart()),
        house.restarts.request(small.scope, other, NewRestart()),
    )
    assert second.restart_id is not None
    await house.send(other, other_epoch)
    await house.answer(other, other_epoch, second.restart_id, "rejected")
    assert await verdict_of(house, second.restart_id) == ("failed", "rejected")
    assert await verdict_of(house, first.restart_id) == (None, None)
