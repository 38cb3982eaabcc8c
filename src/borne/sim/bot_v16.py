"""How a simulated charger speaks OCPP 1.6J."""

from typing import Any

from borne.sim.ocpp_package import ChargePoint16, after, call16, on, result16
from borne.sim.talk import Session, Talk

FAULT_CODE = "InternalError"
NO_FAULT_CODE = "NoError"


class TalkV16(Talk, ChargePoint16):
    """One OCPP 1.6J link."""

    says_scheduled = False
    session_actions = "StartTransaction", "StopTransaction"
    reports_connector_0 = True

    def is_soft(self, type: str) -> bool:
        # Soft asks to stop sessions gracefully (1.6, 5.14), not to wait for their natural end.
        return False

    async def boot(self, reason: str) -> tuple[str, float] | None:
        device = self.host.device
        answer = await self.ask(
            call16.BootNotification(
                charge_point_vendor=device.vendor,
                charge_point_model=device.model,
                charge_point_serial_number=device.serial,
                firmware_version=device.firmware,
            )
        )
        return None if answer is None else (str(answer.status), float(answer.interval))

    async def status(self, connector: int, status: str) -> None:
        await self.ask(
            call16.StatusNotification(
                connector_id=connector,
                error_code=FAULT_CODE if status == "Faulted" else NO_FAULT_CODE,
                status=status,
                timestamp=self.host.timestamp(),
            )
        )

    async def heartbeat(self) -> None:
        await self.ask(call16.Heartbeat())

    async def authorize(self, tag: str) -> bool:
        answer = await self.ask(call16.Authorize(id_tag=tag))
        return answer is not None and answer.id_tag_info["status"] == "Accepted"

    def invent(self) -> int | str:
        return self.host.rng.randrange(2**30, 2**31)

    async def start(self, session: Session) -> bool | None:
        answer = await self.ask(
            call16.StartTransaction(
                connector_id=session.connector,
                id_tag=session.tag,
                meter_start=session.meter_start_wh,
                timestamp=session.started_at,
            )
        )
        if answer is None:
            return None
        session.transaction = answer.transaction_id
        return bool(answer.id_tag_info["status"] == "Accepted")

    async def meter(self, session: Session) -> bool:
        reading = {"timestamp": self.host.timestamp(), "sampled_value": _sampled_values(session)}
        answer = await self.ask(
            call16.MeterValues(
                connector_id=session.connector, transaction_id=session.transaction, meter_value=[reading]
            )
        )
        return answer is not None

    async def stop(self, session: Session, reason: str) -> bool:
        answer = await self.ask(
            call16.StopTransaction(
                transaction_id=session.transaction if session.stop_id is None else session.stop_id,
                id_tag=session.tag,
                meter_stop=session.energy_wh if session.told_wh is None else session.told_wh,
                timestamp=session.ended_at,
                reason=reason,
            )
        )
        return answer is not None

    # what the central system asks

    @on("Reset")
    async def on_reset(self, type: str, call_unique_id: str, **_: Any) -> Any:
        return result16.Reset(status=await self.host.resets.take(self, type, call_unique_id, None))

    @after("Reset")
    def after_reset(self, call_unique_id: str, **_: Any) -> None:
        self.host.resets.was_answered(call_unique_id)

    @on("TriggerMessage")
    def on_trigger(self, requested_message: str, **_: Any) -> Any:
        known = requested_message in {"BootNotification", "StatusNotification", "Heartbeat", "MeterValues"}
        return result16.TriggerMessage(status="Accepted" if known else "NotImplemented")

    @after("TriggerMessage")
    def after_trigger(self, requested_message: str, connector_id: int | None = None, **_: Any) -> None:
        self.host.spawn(self.host.requests.send_triggered(self, requested_message, connector_id))

    @on("ChangeAvailability")
    def on_change_availability(self, connector_id: int, type: str, **_: Any) -> Any:
        status = self.host.requests.change_availability(connector_id or None, type == "Operative")
        return result16.ChangeAvailability(status=status)

    @after("ChangeAvailability")
    def after_change_availability(self, connector_id: int, type: str, **_: Any) -> None:
        work = self.host.requests.apply_availability(connector_id or None, type == "Operative")
        self.host.spawn_until_reboot(work)

    @on("RemoteStartTransaction")
    def on_remote_start(self, id_tag: str, connector_id: int | None = None, **_: Any) -> Any:
        started = self.host.requests.remote_start(connector_id, id_tag, None)
        return result16.RemoteStartTransaction(status="Accepted" if started else "Rejected")

    @on("RemoteStopTransaction")
    def on_remote_stop(self, transaction_id: int, **_: Any) -> Any:
        stopped = self.host.requests.remote_stop(transaction_id)
        return result16.RemoteStopTransaction(status="Accepted" if stopped else "Rejected")

    @on("UnlockConnector")
    def on_unlock(self, connector_id: int, **_: Any) -> Any:
        known = 1 <= connector_id <= self.host.device.connectors
        return result16.UnlockConnector(status="Unlocked" if known else "NotSupported")

    @on("GetConfiguration")
    def on_get_configuration(self, key: list[str] | None = None, **_: Any) -> Any:
        asked = key or self.host.requests.setting_names()
        values = {name: self.host.requests.read_setting(name) for name in asked}
        return result16.GetConfiguration(
            configuration_key=[
                {"key": name, "readonly": False, "value": value} for name, value in values.items() if value is not None
            ],
            unknown_key=[name for name, value in values.items() if value is None],
        )

    @on("ChangeConfiguration")
    def on_change_configuration(self, key: str, value: str, **_: Any) -> Any:
        known = self.host.requests.write_setting(key, value)
        return result16.ChangeConfiguration(status="Accepted" if known else "NotSupported")


def _sampled_values(session: Session) -> list[dict[str, str]]:
    return [
        {
            "value": str(session.energy_wh if session.told_wh is None else session.told_wh),
            "context": "Sample.Periodic",
            "measurand": "Energy.Active.Import.Register",
            "unit": "Wh",
        },
        {
            "value": str(session.power_w),
            "context": "Sample.Periodic",
            "measurand": "Power.Active.Import",
            "unit": "W",
        },
        *_offered(session),
    ]


def _offered(session: Session) -> list[dict[str, str]]:
    if session.offered_w is None:
        return []
    return [{"value": str(session.offered_w), "measurand": "Power.Offered", "unit": "W"}]
