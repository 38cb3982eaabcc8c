"""Links, frames and messages as no well-behaved charger would send them, said by hand to a whole server in virtual time."""

import asyncio
import json
from typing import Any

import pytest

from borne.core.facts import StatusChanged
from borne.engine.reactions import react
from borne.sim.dialling import ConnectionLost, DialRefused
from borne.sim.world import World
from tests.sim.tales import Tale, Voice, by_hand, play, step

START = {"connectorId": 1, "idTag": "TAG", "meterStart": 100, "timestamp": "2026-03-01T06:00:10Z"}


def stop(transaction: int, meter: int = 900) -> dict[str, Any]:
    return {"transactionId": transaction, "meterStop": meter, "timestamp": "2026-03-01T06:10:00Z"}


def status(word: str, **more: Any) -> dict[str, Any]:
    return {"connectorId": 1, "errorCode": "NoError", "status": word, **more}


def talk(live: Any, *plans: Any, **scenario: Any) -> Tale:
    """A world in which only the test speaks."""
    return play(*(plans or (by_hand(),)), steps=(), live=live, **scenario)


def online(world: World) -> bool:
    return bool(world.rows("SELECT online FROM chargers WHERE id = 1")[0][0])


def events(world: World) -> list[str]:
    return [row[0] for row in world.rows("SELECT kind FROM events ORDER BY id")]


async def is_over(voice: Voice, within_s: float) -> ConnectionLost:
    """Wait until the connection has ended."""
    async with asyncio.timeout(within_s):
        while True:
            try:
                await voice.end.recv()
            except ConnectionLost as loss:
                return loss


async def sent(world: World, voice: Voice, **click: Any) -> str:
    """Somebody restarts the charger; the id of the Reset that it receives."""
    world.do(step(world.now_s, "click", voice.charger.number, **click))
    return await voice.asked_to_reset()


# ---- links -------------------------------------------------------------------------------------------------------


def test_t2_t4_the_newest_link_wins_and_the_old_ones_end_does_not_touch_it() -> None:
    async def live(world: World) -> None:
        old, new = await Voice(world).connect(), Voice(world)
        await old.boot()
        await new.connect()
        assert (await is_over(old, 5)).code == 1008
        await asyncio.sleep(2)
        assert online(world)
        assert (await new.call("Heartbeat", {}))[0] == 3
        assert events(world).count("link_opened") == 2

    talk(live)


def test_t2_without_a_secret_a_link_that_answers_is_kept() -> None:
    async def live(world: World) -> None:
        owner, stranger = await Voice(world).connect(), Voice(world)
        await owner.boot()
        await stranger.connect()
        assert (await is_over(stranger, 5)).code == 1008
        assert (await owner.call("Heartbeat", {}))[0] == 3
        assert "link_intruder" in events(world)

    talk(live, by_hand(has_secret=False))


def test_t3_a_half_open_link_locks_nobody_out() -> None:
    async def live(world: World) -> None:
        old = await Voice(world).connect()
        await old.boot()
        wire = world.chargers[0].wires[-1]
        wire.cut(charger_learns_s=0.0, server_learns_s=None)
        began_s = world.now_s
        new = await Voice(world).connect()
        await new.boot()
        assert world.now_s - began_s < 5
        await asyncio.sleep(120)
        assert online(world)

    talk(live)


def test_t1_a_silent_death_is_noticed_within_two_pings() -> None:
    async def live(world: World) -> None:
        voice = await Voice(world).connect()
        await voice.boot()
        world.chargers[0].wires[-1].cut(charger_learns_s=None, server_learns_s=None)
        await asyncio.sleep(31)
        assert not online(world)

    talk(live)


def test_t7_a_charger_that_flaps_has_to_wait_and_somebody_can_see_why() -> None:
    async def live(world: World) -> None:
        for _ in range(7):
            voice = await Voice(world).connect()
            await voice.boot()
            voice.end.abort()
            await asyncio.sleep(1)
        with pytest.raises(DialRefused) as refusal:
            await Voice(world).connect()
        assert refusal.value.status == 503
        assert "link_storm" in events(world)
        await asyncio.sleep(70)
        await (await Voice(world).connect()).boot()

    talk(live)


@pytest.mark.parametrize("lost", [True, False])
def test_t14_a_message_that_is_cut_off_is_absent_or_whole(lost: bool) -> None:
    async def live(world: World) -> None:
        voice = await Voice(world).connect()
        await voice.boot()
        await voice.say(2, "s", "StatusNotification", status("Faulted"))
        await asyncio.sleep(0.01 if lost else 0.03)  # it takes 20 ms
        world.chargers[0].wires[-1].cut(charger_learns_s=0.0, server_learns_s=0.0)
        await asyncio.sleep(1)
        assert ("status" in events(world)) == (not lost)

    talk(live)


def test_t16_a_disabled_charger_is_gone_within_a_second() -> None:
    async def live(world: World) -> None:
        voice = await Voice(world).connect()
        await voice.boot()
        world.do(step(world.now_s, "disable", for_s=30.0))
        await is_over(voice, 1.0)
        with pytest.raises(DialRefused) as refusal:
            await Voice(world).connect()
        assert refusal.value.status == 401

    talk(live)


def test_t5_a_wrong_password_disturbs_nobody() -> None:
    async def live(world: World) -> None:
        voice = await Voice(world).connect()
        await voice.boot()
        with pytest.raises(DialRefused) as refusal:
            await Voice(world).connect(password="guessed-wrongly")
        assert refusal.value.status == 401
        assert (await voice.call("Heartbeat", {}))[0] == 3

    talk(live)


# ---- frames ------------------------------------------------------------------------------------------------------


def test_f3_f6_an_answer_that_nobody_asked_this_link_for_means_nothing() -> None:
    """Also when its id is that of another charger's Reset."""

    async def live(world: World) -> None:
        mine, other = await Voice(world, 0).connect(), await Voice(world, 1).connect()
        await mine.boot()
        await other.boot()
        reset = await sent(world, mine)
        await other.say(3, reset, {"status": "Rejected"})
        await other.say(3, "nobody-asked", {"status": "Accepted"})
        await asyncio.sleep(1)
        assert world.open_restarts() == [1]
        assert world.server is not None
        assert world.server.links is not None
        assert world.server.links.counts.stray_answers == 2
        await mine.say(3, reset, {"status": "Rejected"})
        await asyncio.sleep(1)
        assert world.open_restarts() == []

    play(by_hand(), by_hand(), steps=(), live=live, judged=False)


def test_f4_a_late_answer_belongs_to_its_own_reset() -> None:
    async def live(world: World) -> None:
        voice = await Voice(world).connect()
        await voice.boot()
        first = await sent(world, voice)
        await asyncio.sleep(35)  # 30 s are over
        assert kinds(world) == ["requested", "sent", "answered"]
        await voice.say(3, first, {"status": "Accepted"})
        await asyncio.sleep(1)
        assert kinds(world)[-1] == "answered_late"
        await keep_alive(voice, world, 200)

    tale = talk_blind(live)
    assert tale["answer"] == "accepted"


def test_f5_of_two_answers_the_first_counts() -> None:
    async def live(world: World) -> None:
        voice = await Voice(world).connect()
        await voice.boot()
        reset = await sent(world, voice)
        await voice.say(3, reset, {"status": "Accepted"})
        await voice.say(3, reset, {"status": "Rejected"})
        await keep_alive(voice, world, 200)

    assert talk_blind(live)["answer"] == "accepted"


def test_f7_a_repeated_id_gets_its_answer_again_only_for_the_same_words() -> None:
    async def live(world: World) -> None:
        voice = await Voice(world).connect()
        await voice.boot()
        first = await voice.call("StartTransaction", START, "7")
        again = await voice.call("StartTransaction", START, "7")
        other = await voice.call("StartTransaction", {**START, "meterStart": 200}, "7")
        assert first == again
        assert other[2]["transactionId"] != first[2]["transactionId"]

    talk(live)


def test_f8_many_calls_at_once_are_answered_in_order() -> None:
    async def live(world: World) -> None:
        voice = await Voice(world).connect()
        for number in range(300):
            word = ("Available", "Preparing", "Charging")[number % 3]
            await voice.say(2, f"n{number}", "StatusNotification", status(word))
        heard = [await voice.hear(lambda frame: frame[0] == 3) for _ in range(300)]
        assert [frame[1] for frame in heard] == [f"n{number}" for number in range(300)]

    talk(live)


def test_f9_one_call_of_ours_at_a_time() -> None:
    async def live(world: World) -> None:
        voice = await Voice(world).connect()
        await voice.boot()
        await sent(world, voice)
        link = world.server.links.of(voice.charger.id)  # type: ignore[union-attr]
        assert link is not None
        assert link.commands.trigger_boot() is False
        await keep_alive(voice, world, 200)

    talk_blind(live)


def test_f10_calls_that_cross_do_not_wait_for_each_other() -> None:
    async def live(world: World) -> None:
        voice = await Voice(world).connect()
        await voice.boot()
        reset = await sent(world, voice)
        before_s = world.now_s
        assert (await voice.call("Heartbeat", {}))[0] == 3
        assert world.now_s - before_s < 0.1
        await voice.say(3, reset, {"status": "Accepted"})
        await keep_alive(voice, world, 200)

    talk_blind(live)


# ---- registration, sessions, storage -----------------------------------------------------------------------------


def test_s1_words_before_the_boot_are_taken() -> None:
    async def live(world: World) -> None:
        voice = await Voice(world).connect()
        for action, payload in (
            ("Heartbeat", {}),
            ("StatusNotification", status("Available")),
            ("StartTransaction", START),
        ):
            assert (await voice.call(action, payload))[0] == 3

    talk(live)


@pytest.mark.parametrize(("registration", "answer"), [("pending", 3), ("rejected", 4)])
def test_s2_a_charger_that_is_not_accepted_is_told_so(registration: str, answer: int) -> None:
    """1.6 §4.2: what a pending charger says may be taken, a rejected one has to wait."""

    async def live(world: World) -> None:
        world.write("UPDATE chargers SET state = ?", json.dumps({"registration": registration}))
        voice = await Voice(world).connect()
        assert (await voice.boot())[2]["status"] == registration.capitalize()
        said = await voice.call("StatusNotification", status("Available"))
        assert said[0] == answer
        assert answer == 3 or said[2] == "SecurityError"

    talk(live)


@pytest.mark.parametrize("message_id", ["7", "8"])
def test_o1_a_start_told_twice_is_one_transaction(message_id: str) -> None:
    async def live(world: World) -> None:
        voice = await Voice(world).connect()
        await voice.boot()
        first = await voice.call("StartTransaction", START, "7")
        voice.end.abort()
        await asyncio.sleep(1)
        again = await (await Voice(world).connect()).call("StartTransaction", START, message_id)
        assert again[2]["transactionId"] == first[2]["transactionId"]
        assert world.rows("SELECT count(*) FROM sessions") == [(1,)]

    talk(live)


def test_o2_o3_a_stop_told_twice_is_one_stop_and_a_contradiction_is_kept() -> None:
    async def live(world: World) -> None:
        voice = await Voice(world).connect()
        await voice.boot()
        transaction = (await voice.call("StartTransaction", START))[2]["transactionId"]
        for meter in (900, 900, 950):
            assert (await voice.call("StopTransaction", stop(transaction, meter)))[0] == 3
        ((meter_stop_wh, conflicts),) = world.rows("SELECT meter_stop_wh, conflicts FROM sessions")
        assert meter_stop_wh == 900
        assert [json.loads(text)["meterStop"] for text in json.loads(conflicts)] == [950]

    talk(live)


@pytest.mark.parametrize("transaction", [-1, 0, 4711])
def test_o4_a_stop_of_nothing_we_know_is_confirmed_and_kept(transaction: int) -> None:
    async def live(world: World) -> None:
        voice = await Voice(world).connect()
        await voice.boot()
        assert (await voice.call("StopTransaction", stop(transaction)))[0] == 3
        assert len(world.rows("SELECT raw FROM session_messages WHERE kind = 'ended'")) == 1
        assert world.rows("SELECT start_missing, end_reason, meter_start_wh FROM sessions") == [(1, "", None)]

    talk(live)


def test_d0_a_fact_that_cannot_be_applied_takes_nobody_with_it() -> None:
    """Both arrive in one commit group; the poison goes to the dead letters, its neighbour is kept, both are answered."""

    async def live(world: World) -> None:
        poisoned, healthy = await Voice(world, 0).connect(), await Voice(world, 1).connect()
        assert world.server is not None
        preparers = world.server.engine._preparers

        async def poison(tx: Any, room: Any, writes: Any, fact: StatusChanged) -> Any:
            if fact.info == "poison":
                raise ValueError("this cannot be stored")
            return react(room, fact, writes)

        preparers[StatusChanged] = poison
        bad = poisoned.call("StatusNotification", status("Charging", info="poison"))
        good = healthy.call("StatusNotification", status("Charging"))
        assert [answer[0] for answer in await asyncio.gather(bad, good)] == [3, 3]
        assert world.rows("SELECT charger_id FROM dead_letters") == [(poisoned.charger.id,)]
        kept = world.rows("SELECT charger_id FROM events WHERE kind = 'status'")
        assert kept == [(healthy.charger.id,)]
        world.faults.clear()  # it was logged as an error, and rightly so

    play(by_hand(), by_hand(), steps=(), live=live, judged=False)


# ---- what the judge cannot judge ---------------------------------------------------------------------------------


def kinds(world: World) -> list[str]:
    """The steps of the only restart so far."""
    ((state,),) = world.rows("SELECT state FROM restarts")
    return [told["kind"] for told in json.loads(state)["steps"]]


async def keep_alive(voice: Voice, world: World, for_s: float) -> None:
    """Go on talking."""
    until_s = world.now_s + for_s
    while world.now_s < until_s:
        await voice.call("Heartbeat", {})
        await asyncio.sleep(20)


def talk_blind(live: Any) -> dict[str, Any]:
    """The state of the only restart. The judge reads a bot's log, and by hand there is none: what it says is not asserted."""
    found: list[dict[str, Any]] = []

    def look(world: World) -> None:
        found.extend(json.loads(row[0]) for row in world.rows("SELECT state FROM restarts"))

    play(by_hand(), steps=(), live=live, look=look, judged=False)
    assert len(found) == 1
    return found[0]
