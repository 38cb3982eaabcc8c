"""The `ocpp` package as an independent charge point: it validates every frame of ours with its own code."""

import asyncio
from typing import Any

import pytest
from ocpp.routing import on
from ocpp.v16 import ChargePoint as ChargePoint16
from ocpp.v16 import call as call16
from ocpp.v16 import call_result as result16
from ocpp.v201 import ChargePoint as ChargePoint201
from ocpp.v201 import call as call201
from ocpp.v201 import call_result as result201

from borne.core.facts import LinkSettled, RestartAnswered, SessionEnded, SessionStarted
from borne.core.tags import TagAnswer
from borne.engine.outcome import Due, Outcome
from tests.gateway.fakes import house
from tests.gateway.peers import dial

pytestmark = pytest.mark.anyio
AT = "2026-11-22T12:00:00Z"


class Peer16(ChargePoint16):  # type: ignore[misc]
    @on("Reset")  # type: ignore[untyped-decorator]
    async def reset(self, type: str, **_: Any) -> result16.Reset:
        assert type == "Soft"
        return result16.Reset(status="Accepted")


class Peer201(ChargePoint201):  # type: ignore[misc]
    @on("Reset")  # type: ignore[untyped-decorator]
    async def reset(self, type: str, **_: Any) -> result201.Reset:
        assert type == "OnIdle"
        return result201.Reset(status="Scheduled")


async def test_a_16_charge_point_lives_through_a_session_and_a_reset() -> None:
    async with house() as it, dial(it) as socket:
        it.engine.outcomes[SessionStarted] = Outcome(transaction="99", tag=TagAnswer("accepted"))
        it.engine.tags["TAG"] = "accepted"
        peer = Peer16("CP1", socket)
        running = asyncio.create_task(peer.start())
        boot = await peer.call(call16.BootNotification(charge_point_model="M", charge_point_vendor="V"))
        assert (boot.status, boot.interval) == ("Accepted", 300)
        await peer.call(call16.StatusNotification(connector_id=1, error_code="NoError", status="Preparing"))
        tag = await peer.call(call16.Authorize(id_tag="TAG"))
        assert tag.id_tag_info["status"] == "Accepted"
        started = await peer.call(call16.StartTransaction(connector_id=1, id_tag="TAG", meter_start=5, timestamp=AT))
        assert started.transaction_id == 99
        values = [{"timestamp": AT, "sampledValue": [{"value": "7", "unit": "Wh"}]}]
        await peer.call(call16.MeterValues(connector_id=1, transaction_id=99, meter_value=values))
        await peer.call(call16.StopTransaction(meter_stop=9, timestamp=AT, transaction_id=99))
        transfer = await peer.call(call16.DataTransfer(vendor_id="v"))
        assert transfer.status == "UnknownVendorId"
        assert (await it.engine.wait_for(SessionEnded))[0].meter_stop_wh == 9
        it.engine.due.append(Due(7, "soft", None))
        link = it.links.of(1)
        assert link is not None
        link.restart_due()
        assert (await it.engine.wait_for(RestartAnswered))[0].status == "accepted"
        running.cancel()


async def test_a_201_charging_station_lives_through_a_session_and_a_reset() -> None:
    async with house() as it, dial(it, subprotocols=["ocpp2.0.1"]) as socket:
        it.engine.outcomes[SessionStarted] = Outcome(tag=TagAnswer("accepted"))
        peer = Peer201("CP1", socket)
        running = asyncio.create_task(peer.start())
        station = {"model": "M", "vendor_name": "V"}
        boot = await peer.call(call201.BootNotification(charging_station=station, reason="PowerUp"))
        assert boot.status == "Accepted"
        await peer.call(
            call201.StatusNotification(timestamp=AT, connector_status="Occupied", evse_id=1, connector_id=1)
        )
        event: dict[str, Any] = {
            "timestamp": AT,
            "trigger_reason": "CablePluggedIn",
            "transaction_info": {"transaction_id": "t"},
        }
        token = {"id_token": "TAG", "type": "ISO14443"}
        started = await peer.call(call201.TransactionEvent(event_type="Started", seq_no=0, id_token=token, **event))
        assert started.id_token_info["status"] == "Accepted"
        await peer.call(call201.TransactionEvent(event_type="Ended", seq_no=1, **event))
        await peer.call(call201.NotifyReport(request_id=1, generated_at=AT, seq_no=0))
        await it.engine.wait_for(LinkSettled)
        it.engine.due.append(Due(7, "soft", None))
        link = it.links.of(1)
        assert link is not None
        link.restart_due()
        assert (await it.engine.wait_for(RestartAnswered))[0].status == "scheduled"
        running.cancel()
