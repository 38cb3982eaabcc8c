"""Who owns the charger: takeover, storms, removal, and what the old link can no longer do."""

import asyncio
import json

import pytest
from msgspec.structs import replace
from websockets.exceptions import ConnectionClosed, InvalidStatus

from borne.bus.port import Hint
from borne.core.facts import Booted, LinkLost, LinkOpened, Noted
from tests.gateway.fakes import SETTINGS, FakeRow, house
from tests.gateway.peers import BOOT, Raw, call, dial

pytestmark = pytest.mark.anyio


async def test_t2_the_newest_link_wins_and_the_old_one_that_talks_was_ended_by_us() -> None:
    async with house() as it, dial(it) as old:  # the client answers pings: it still talks
        await call(old, "BootNotification", BOOT)
        async with dial(it) as new:
            await call(new, "BootNotification", BOOT)
            with pytest.raises(ConnectionClosed):
                await asyncio.wait_for(old.recv(), 2)
            (lost,) = it.engine.of(LinkLost)
            assert (lost.epoch, lost.how, lost.ours) == (1, "taken_over", True)
            order = [type(fact) for fact in it.engine.facts if isinstance(fact, LinkOpened | LinkLost)]
            assert order == [LinkOpened, LinkLost, LinkOpened]
            assert (await call(new, "Heartbeat", {}, "2"))[0] == 3
            assert len(it.links) == 1


async def test_t3_a_charger_that_left_without_a_word_is_back_in_time_and_the_loss_is_its_own() -> None:
    async with house() as it:
        old = await Raw.connect(it)  # answers no ping
        await old.upgrade()
        await it.engine.wait_for(LinkOpened)
        async with asyncio.timeout(5), dial(it) as new:
            assert (await call(new, "BootNotification", BOOT))[0] == 3
        lost = it.engine.of(LinkLost)[0]
        assert (lost.epoch, lost.how, lost.ours) == (1, "taken_over", False)
        old.close()


async def test_what_the_old_link_said_before_the_takeover_does_not_make_it_talking() -> None:
    async with house() as it:
        old = await Raw.connect(it)
        await old.upgrade()
        old.send(json.dumps([2, "1", "BootNotification", BOOT]).encode())
        await it.engine.wait_for(Booted)
        async with dial(it) as new:
            await call(new, "BootNotification", BOOT)
        assert not it.engine.of(LinkLost)[0].ours
        old.close()


async def test_an_old_link_that_ends_by_itself_under_the_probe_keeps_its_own_reason() -> None:
    async with house(replace(SETTINGS, takeover_probe_s=5)) as it:
        old = await Raw.connect(it)
        await old.upgrade()
        await it.engine.wait_for(LinkOpened)
        async with dial(it) as new:
            await asyncio.sleep(0.05)
            old.close()
            async with asyncio.timeout(1):
                await call(new, "BootNotification", BOOT)
        lost = it.engine.of(LinkLost)[0]
        assert (lost.epoch, lost.how, lost.ours) == (1, "dropped", False)


async def test_t4_the_close_of_an_old_link_touches_its_own_epoch_only() -> None:
    async with house() as it:
        old = await Raw.connect(it)
        await old.upgrade()
        await it.engine.wait_for(LinkOpened)
        async with dial(it) as new:
            await call(new, "BootNotification", BOOT)
            old.close()
            await old.ended()
            await asyncio.sleep(0.05)
            assert [lost.epoch for lost in it.engine.of(LinkLost)] == [1]
            link = it.links.of(1)
            assert link is not None
            assert link.epoch == 2
            assert (await call(new, "Heartbeat", {}, "2"))[0] == 3


async def test_a_takeover_while_the_old_links_opening_is_not_committed_keeps_the_order() -> None:
    async with house() as it:
        it.engine.hold()
        old = await Raw.connect(it)
        await old.upgrade()
        async with dial(it) as new:
            await asyncio.sleep(0.5)
            it.engine.release()
            await call(new, "BootNotification", BOOT)
        order = [(type(f), getattr(f, "epoch", None)) for f in it.engine.facts if isinstance(f, LinkOpened | LinkLost)]
        assert order[:3] == [(LinkOpened, None), (LinkLost, 1), (LinkOpened, None)]
        old.close()


async def test_of_several_newcomers_under_one_probe_the_last_one_stays() -> None:
    async with house() as it:
        old = await Raw.connect(it)
        await old.upgrade()
        await it.engine.wait_for(LinkOpened)
        async with dial(it) as second, dial(it) as third:
            with pytest.raises(ConnectionClosed):
                await asyncio.wait_for(second.recv(), 2)
            await call(third, "BootNotification", BOOT)
            assert len(it.engine.of(LinkOpened)) == 2
        old.close()


async def test_a_newcomer_that_leaves_under_the_probe_changes_nothing() -> None:
    async with house(replace(SETTINGS, takeover_probe_s=0.2)) as it:
        old = await Raw.connect(it)
        await old.upgrade()
        await it.engine.wait_for(LinkOpened)
        new = await Raw.connect(it)
        await new.upgrade()
        new.close()
        await asyncio.sleep(0.4)
        assert it.engine.of(LinkLost) == []
        link = it.links.of(1)
        assert link is not None
        assert link.epoch == 1
        old.close()


async def test_t2_without_any_credentials_the_one_that_answers_stays_and_somebody_is_told() -> None:
    async with house(rows=[FakeRow(1, "CP1", secret_hash=None)]) as it, dial(it, secret=None) as old:
        await call(old, "BootNotification", BOOT)
        async with dial(it, secret=None) as new:
            with pytest.raises(ConnectionClosed):
                await asyncio.wait_for(new.recv(), 2)
        (noted,) = await it.engine.wait_for(Noted)
        assert (noted.kind, noted.epoch) == ("link_intruder", 1)
        assert (await call(old, "Heartbeat", {}, "2"))[0] == 3


async def test_t2_without_any_credentials_a_silent_one_is_taken_over() -> None:
    async with house(rows=[FakeRow(1, "CP1", secret_hash=None)]) as it:
        old = await Raw.connect(it)
        assert (await old.request(b"/ocpp/CP1"))[0] == 101
        async with dial(it, secret=None) as new:
            assert (await call(new, "BootNotification", BOOT))[0] == 3
        old.close()


async def test_t7_a_storm_is_damped_the_newest_stays_and_the_loss_is_ours() -> None:
    async with house(replace(SETTINGS, opens_a_minute=3, takeover_probe_s=0.05)) as it:
        raws = []
        for _ in range(4):
            raw = await Raw.connect(it)
            await raw.upgrade()
            raws.append(raw)
            await it.engine.wait_for(LinkOpened, len(raws))
        assert [lost.how for lost in it.engine.of(LinkLost)] == ["taken_over", "taken_over", "damped"]
        assert it.engine.of(LinkLost)[-1].ours
        (noted,) = await it.engine.wait_for(Noted)
        assert (noted.kind, noted.epoch) == ("link_storm", 4)
        with pytest.raises(InvalidStatus) as caught:
            async with dial(it):
                pass
        assert caught.value.response.status_code == 503
        assert 50 <= int(caught.value.response.headers["Retry-After"]) <= 61
        link = it.links.of(1)
        assert link is not None
        assert link.epoch == 4
        async with dial(it, identity="CP2") as other:  # nobody else is damped
            assert (await call(other, "BootNotification", BOOT))[0] == 3
        for raw in raws:
            raw.close()


async def test_t7_the_penalty_ends() -> None:
    settings = replace(SETTINGS, opens_a_minute=1, penalty_s=0.5, takeover_probe_s=0.05)
    async with house(settings) as it:
        for _ in range(2):
            raw = await Raw.connect(it)
            await raw.upgrade()
            raw.close()
        with pytest.raises(InvalidStatus):
            async with dial(it):
                pass
        await asyncio.sleep(0.6)
        async with dial(it) as socket:
            assert (await call(socket, "BootNotification", BOOT))[0] == 3


@pytest.mark.parametrize(
    "change",
    [
        {"disabled": 1},
        {"organisation_id": 2},
        {"secret_hash": b"x" * 32},
        {"identity": "CP1-renamed"},
        None,
    ],
    ids=["disabled", "moved", "new secret", "renamed", "deleted"],
)
async def test_t16_a_charger_that_is_gone_loses_its_link_within_a_second(change: dict[str, object] | None) -> None:
    async with house() as it, dial(it) as socket:
        await call(socket, "BootNotification", BOOT)
        if change is None:
            it.directory.drop(1)
        else:
            it.directory.take([FakeRow(1, **{"identity": "CP1", **change})])  # type: ignore[arg-type]
        async with asyncio.timeout(1):
            with pytest.raises(ConnectionClosed):
                while True:
                    await socket.recv()
        (lost,) = await it.engine.wait_for(LinkLost)
        assert (lost.how, lost.ours) == ("removed", True)
        if change is not None and "organisation_id" in change:
            return  # it may come back, as a charger of its new organisation
        with pytest.raises(InvalidStatus) as caught:
            async with dial(it):
                pass
        assert caught.value.response.status_code == 401


async def test_t16_late_frames_of_a_removed_charger_count_for_nothing() -> None:
    async with house() as it:
        raw = await Raw.connect(it)
        await raw.upgrade()
        await it.engine.wait_for(LinkOpened)
        it.directory.drop(1)
        raw.send(json.dumps([2, "1", "BootNotification", BOOT]).encode())
        await raw.close_code()
        assert it.engine.of(Booted) == []
        raw.close()


async def test_a_change_that_matters_to_nobody_leaves_the_link_alone() -> None:
    async with house() as it, dial(it) as socket:
        await call(socket, "BootNotification", BOOT)
        it.directory.take([FakeRow(1, "CP1", location_id=9, ping_s=7)])
        assert (await call(socket, "Heartbeat", {}, "2"))[0] == 3
        link = it.links.of(1)
        assert link is not None
        assert link.ping_s == 7


async def test_the_engine_may_close_a_link_by_its_epoch_only() -> None:
    async with house() as it, dial(it) as socket:
        await call(socket, "BootNotification", BOOT)
        it.bus.publish(Hint("close_link", 99, charger_id=1, detail="old"))
        assert (await call(socket, "Heartbeat", {}, "2"))[0] == 3
        it.bus.publish(Hint("close_link", 1, charger_id=1, detail="enough"))
        with pytest.raises(ConnectionClosed):
            await asyncio.wait_for(socket.recv(), 2)


async def test_stopping_ends_every_link_and_says_that_it_was_us() -> None:
    async with house() as it, dial(it) as one, dial(it, identity="CP2") as two:
        await call(one, "BootNotification", BOOT)
        await call(two, "BootNotification", BOOT)
        await it.gateway.stop()
        lost = await it.engine.wait_for(LinkLost, 2)
        assert {(one.charger_id, one.how, one.ours) for one in lost} == {(1, "stopped", True), (2, "stopped", True)}


async def test_a_loss_that_could_not_be_stored_is_told_again() -> None:
    async with house() as it:
        async with dial(it) as socket:
            await call(socket, "BootNotification", BOOT)
            it.engine.failing = OSError("disk full")
        await asyncio.sleep(0.3)
        assert it.engine.of(LinkLost) == []
        it.engine.failing = None
        (lost,) = await it.engine.wait_for(LinkLost)
        assert lost.how == "close_frame"


async def test_an_opening_that_could_not_be_stored_closes_the_link_and_the_charger_may_come_again() -> None:
    async with house() as it:
        it.engine.failing = OSError("disk full")
        async with dial(it) as socket:
            with pytest.raises(ConnectionClosed):
                await asyncio.wait_for(socket.recv(), 2)
        assert len(it.links) == 0
        it.engine.failing = None
        async with dial(it) as again:
            assert (await call(again, "BootNotification", BOOT))[0] == 3
        assert [lost.epoch for lost in await it.engine.wait_for(LinkLost)] == [1]


async def test_signs_of_life_are_given_for_the_flush() -> None:
    async with house() as it, dial(it) as socket:
        await call(socket, "Heartbeat", {})
        (link,) = it.links.all()
        seen_ms = it.links.sign_ms(link)
        assert abs(seen_ms - it.engine.clock.now_ms()) < 1000
        heard_ms = it.links.heard_ms(1)
        assert heard_ms is not None
        assert abs(heard_ms - seen_ms) < 1000
        assert it.links.heard_ms(2) is None
