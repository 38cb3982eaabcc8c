"""Links over real sockets: boot, status, reset, order of talk, replay, silence."""

import asyncio
import json

import pytest

from borne.bus.port import Hint
from borne.core.facts import (
    Booted,
    LinkLost,
    LinkOpened,
    LinkSettled,
    RestartAnswered,
    RestartWritten,
    StatusChanged,
)
from borne.engine.outcome import Due
from tests.gateway.fakes import house
from tests.gateway.peers import BOOT, call, dial, next_call

pytestmark = pytest.mark.anyio


async def test_a_charger_connects_boots_and_tells_its_status() -> None:
    async with house() as it, dial(it) as socket:
        assert socket.subprotocol == "ocpp1.6"
        answer = await call(socket, "BootNotification", BOOT)
        assert answer[0] == 3
        assert answer[2]["status"] == "Accepted"
        assert answer[2]["currentTime"].endswith("Z")
        status = {"connectorId": 1, "errorCode": "NoError", "status": "Charging"}
        assert (await call(socket, "StatusNotification", status, "2"))[2] == {}
        kinds = [type(fact) for fact in it.engine.facts]
        assert kinds == [LinkOpened, Booted, LinkSettled, StatusChanged]
        assert (it.engine.facts[3].evse, it.engine.facts[3].connector) == (1, 1)  # type: ignore[attr-defined]


async def test_a_reset_goes_out_once_the_boot_is_answered_and_its_answer_comes_back() -> None:
    async with house() as it:
        it.engine.due.append(Due(7, "soft", None))
        async with dial(it) as socket:
            await call(socket, "BootNotification", BOOT)
            frame = await next_call(socket)
            assert frame[2:] == ["Reset", {"type": "Soft"}]
            await socket.send(json.dumps([3, frame[1], {"status": "Accepted"}]))
            (answered,) = await it.engine.wait_for(RestartAnswered)
            assert (answered.restart_id, answered.status, answered.epoch) == (7, "accepted", 1)
            (written,) = it.engine.of(RestartWritten)
            assert it.engine.facts.index(written) < it.engine.facts.index(answered)


async def test_a_hint_makes_a_settled_link_take_the_restart() -> None:
    async with house() as it, dial(it) as socket:
        await call(socket, "BootNotification", BOOT)
        await it.engine.wait_for(LinkSettled)
        it.engine.due.append(Due(8, "hard", None))
        it.bus.publish(Hint("restart_due", 8, charger_id=1))
        assert (await next_call(socket))[2:] == ["Reset", {"type": "Hard"}]


async def test_the_end_of_a_link_is_told_with_its_close_code() -> None:
    async with house() as it:
        async with dial(it) as socket:
            await call(socket, "BootNotification", BOOT)
        (lost,) = await it.engine.wait_for(LinkLost)
        assert (lost.epoch, lost.how, lost.ours, lost.close_code) == (1, "close_frame", False, 1000)
        assert len(it.links) == 0


async def test_nothing_is_answered_before_its_commit() -> None:
    async with house() as it, dial(it) as socket:
        await call(socket, "BootNotification", BOOT)
        it.engine.hold()
        asking = asyncio.create_task(
            call(socket, "StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": "Available"}, "2")
        )
        done, _ = await asyncio.wait([asking], timeout=0.2)
        assert not done
        it.engine.release()
        assert (await asking)[0] == 3
