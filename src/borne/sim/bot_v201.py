"""How a simulated charger speaks OCPP 2.0.1. Each EVSE has one connector, number 1; connector n is EVSE n."""

from typing import Any

from borne.sim.ocpp_package import ChargePoint201, after, call201, on, result201
from borne.sim.talk import Session, Talk

TAG_TYPE = "ISO14443"
STATUS_WORDS = {
    "Preparing": "Occupied",
    "Charging": "Occupied",
    "SuspendedEV": "Occupied",
    "SuspendedEVSE": "Occupied",
    "Finishing": "Occupied",
}
"""1.6 word -> 2.0.1 word, where they differ."""
STOP_WORDS = {
    # reason in 1.6: stoppedReason, triggerReason
    "Local": ("Local", "StopAuthorized"),
    "Remote": ("Remote", "RemoteStop"),
    "SoftReset": ("ImmediateReset", "ResetCommand"),
    "HardReset": ("ImmediateReset", "ResetCommand"),
    "Reboot": ("Reboot", "AbnormalCondition"),
    "DeAuthorized": ("DeAuthorized", "Deauthorized"),
}
TRIGGERS = {"BootNotification", "StatusNotification", "Heartbeat", "MeterValues", "TransactionEvent"}


class TalkV201(Talk, ChargePoint201):
    """One OCPP 2.0.1 link."""

    says_scheduled = True
    session_actions = "TransactionEvent", "TransactionEvent"
    reports_connector_0 = False

    def is_soft(self, type: str) -> bool:
        return type == "OnIdle"

    async def boot(self, reason: str) -> tuple[str, float] | None:
        device = self.host.device
        station = {
            "model": device.model,
            "vendor_name": device.vendor,
            "serial_number": device.serial,
            "firmware_version": device.firmware,
        }
        answer = await self.ask(call201.BootNotification(charging_station=station, reason=reason))
        return None if answer is None else (str(answer.status), float(answer.interval))

    async def status(self, connector: int, status: str) -> None:
        await self.ask(
            call201.StatusNotification(
                timestamp=self.host.timestamp(),
                connector_status=STATUS_WORDS.get(status, status),
                evse_id=connector,
                connector_id=1,
            )
        )

    async def heartbeat(self) -> None:
        await self.ask(call201.Heartbeat())

    async def authorize(self, tag: str) -> bool:
        answer = await self.ask(call201.Authorize(id_token=_token(tag)))
        return answer is not None and answer.id_token_info["status"] == "Accepted"

    def invent(self) -> int | str:
        return f"T{self.host.rng.getrandbits(64):016x}"

    async def start(self, session: Session) -> bool | None:
        session.transaction = session.transaction or self.invent()
        trigger = "Authorized" if session.remote_start is None else "RemoteStart"
        return await self._tell(
            session,
            "Started",
            trigger,
            session.started_at,
            {"charging_state": "Charging", "remote_start_id": session.remote_start},
            id_token=_token(session.tag),
            evse={"id": session.connector, "connector_id": 1},
        )

    async def meter(self, session: Session) -> bool:
        info = {"charging_state": "Charging"}
        told = await self._tell(session, "Updated", "MeterValuePeriodic", self.host.timestamp(), info)
        return told is not None

    async def stop(self, session: Session, reason: str) -> bool:
        stopped_reason, trigger = STOP_WORDS[reason]
        told = await self._tell(session, "Ended", trigger, session.ended_at, {"stopped_reason": stopped_reason})
        return told is not None

    async def _tell(
        self, session: Session, event: str, trigger: str, at: str, info: dict[str, Any], **more: Any
    ) -> bool | None:
        """Send one TransactionEvent. None: not confirmed, the same seqNo is due again; False: the tag may not charge."""
        answer = await self.ask(
            call201.TransactionEvent(
                event_type=event,
                timestamp=at,
                trigger_reason=trigger,
                seq_no=session.seq_no,
                transaction_info={"transaction_id": session.transaction, **info},
                meter_value=[{"timestamp": at, "sampled_value": _sampled_values(session)}],
                **more,
            )
        )
        if answer is None:
            return None
        session.seq_no += 1
        return answer.id_token_info is None or answer.id_token_info["status"] == "Accepted"

    # what the central system asks

    @on("Reset")
    async def on_reset(self, type: str, call_unique_id: str, evse_id: int | None = None, **_: Any) -> Any:
        return result201.Reset(status=await self.host.resets.take(self, type, call_unique_id, evse_id))

    @after("Reset")
    def after_reset(self, call_unique_id: str, **_: Any) -> None:
        self.host.resets.was_answered(call_unique_id)

    @on("TriggerMessage")
    def on_trigger(self, requested_message: str, **_: Any) -> Any:
        return result201.TriggerMessage(status="Accepted" if requested_message in TRIGGERS else "NotImplemented")

    @after("TriggerMessage")
    def after_trigger(self, requested_message: str, evse: dict[str, int] | None = None, **_: Any) -> None:
        self.host.spawn(self.host.requests.send_triggered(self, requested_message, _evse_id(evse)))

    @on("ChangeAvailability")
    def on_change_availability(self, operational_status: str, evse: dict[str, int] | None = None, **_: Any) -> Any:
        status = self.host.requests.change_availability(_evse_id(evse), operational_status == "Operative")
        return result201.ChangeAvailability(status=status)

    @after("ChangeAvailability")
    def after_change_availability(self, operational_status: str, evse: dict[str, int] | None = None, **_: Any) -> None:
        work = self.host.requests.apply_availability(_evse_id(evse), operational_status == "Operative")
        self.host.spawn_until_reboot(work)

    @on("RequestStartTransaction")
    def on_request_start(
        self, id_token: dict[str, str], remote_start_id: int, evse_id: int | None = None, **_: Any
    ) -> Any:
        started = self.host.requests.remote_start(evse_id, id_token["id_token"], remote_start_id)
        return result201.RequestStartTransaction(status="Accepted" if started else "Rejected")

    @on("RequestStopTransaction")
    def on_request_stop(self, transaction_id: str, **_: Any) -> Any:
        stopped = self.host.requests.remote_stop(transaction_id)
        return result201.RequestStopTransaction(status="Accepted" if stopped else "Rejected")

    @on("UnlockConnector")
    def on_unlock(self, evse_id: int, **_: Any) -> Any:
        known = 1 <= evse_id <= self.host.device.connectors
        return result201.UnlockConnector(status="Unlocked" if known else "UnknownConnector")

    @on("GetVariables")
    def on_get_variables(self, get_variable_data: list[dict[str, Any]], **_: Any) -> Any:
        return result201.GetVariables(get_variable_result=[self._read_variable(asked) for asked in get_variable_data])

    def _read_variable(self, asked: dict[str, Any]) -> dict[str, Any]:
        value = self.host.requests.read_setting(asked["variable"]["name"])
        result = {"component": asked["component"], "variable": asked["variable"]}
        if value is None:
            return {"attribute_status": "UnknownVariable", **result}
        return {"attribute_status": "Accepted", "attribute_value": value, **result}

    @on("SetVariables")
    def on_set_variables(self, set_variable_data: list[dict[str, Any]], **_: Any) -> Any:
        return result201.SetVariables(
            set_variable_result=[
                {
                    "attribute_status": "Accepted" if self._write_variable(wanted) else "UnknownVariable",
                    "component": wanted["component"],
                    "variable": wanted["variable"],
                }
                for wanted in set_variable_data
            ]
        )

    def _write_variable(self, wanted: dict[str, Any]) -> bool:
        return self.host.requests.write_setting(wanted["variable"]["name"], wanted["attribute_value"])


def _evse_id(evse: dict[str, int] | None) -> int | None:
    """The EVSE that a request names; 0 and absence are the whole station."""
    return None if evse is None else evse["id"] or None


def _token(tag: str) -> dict[str, str]:
    return {"id_token": tag, "type": TAG_TYPE}


def _sampled_values(session: Session) -> list[dict[str, Any]]:
    return [
        {
            "value": session.energy_wh if session.told_wh is None else session.told_wh,
            "context": "Sample.Periodic",
            "measurand": "Energy.Active.Import.Register",
            "unit_of_measure": {"unit": "Wh"},
        },
        {
            "value": session.power_w,
            "context": "Sample.Periodic",
            "measurand": "Power.Active.Import",
            "unit_of_measure": {"unit": "W"},
        },
        *_offered(session),
    ]


def _offered(session: Session) -> list[dict[str, Any]]:
    if session.offered_w is None:
        return []
    return [{"value": session.offered_w, "measurand": "Power.Offered", "unit_of_measure": {"unit": "W"}}]
