"""What else a central system may ask of a simulated charger: settings, availability, remote start and stop, triggers."""

from typing import Protocol

from borne.sim.journal import Kind, Scalar
from borne.sim.sessions import Sessions
from borne.sim.talk import Device, Talk


class RequestHost(Protocol):
    """What the answers need of the charger."""

    device: Device
    sessions: Sessions
    statuses: dict[int, str]

    def note(self, kind: Kind, **details: Scalar) -> None: ...
    async def send_boot(self, talk: Talk, reason: str) -> tuple[str, float] | None: ...
    async def send_status(self, talk: Talk, connector: int, status: str) -> None: ...
    async def report_statuses(self, talk: Talk) -> None: ...
    async def set_status(self, connector: int, status: str) -> None: ...


class RequestDesk:
    """Answers the requests that are no Reset."""

    def __init__(self, host: RequestHost) -> None:
        self._host = host
        self._settings = {
            "HeartbeatInterval": "300",
            "MeterValueSampleInterval": "30",
            "NumberOfConnectors": str(host.device.connectors),
            "WebSocketPingInterval": "0",
        }

    def setting_names(self) -> list[str]:
        return list(self._settings)

    def read_setting(self, key: str) -> str | None:
        """None: no such setting."""
        return self._settings.get(key)

    def write_setting(self, key: str, value: str) -> bool:
        """False: no such setting."""
        if key not in self._settings:
            return False
        self._settings[key] = value
        return True

    def remote_start(self, connector: int | None, tag: str, remote_start: int | None) -> bool:
        """Start a session on this connector, or on a free one. False: none is free."""
        wanted = [connector] if connector is not None else list(self._host.statuses)
        return any(self._is_usable(n) and self._host.sessions.remote_start(n, tag, remote_start) for n in wanted)

    def _is_usable(self, connector: int) -> bool:
        return self._host.statuses.get(connector) in ("Available", "Preparing")

    def remote_stop(self, transaction: int | str) -> bool:
        """False: no such session runs."""
        return self._host.sessions.end_transaction(transaction, "Remote")

    def change_availability(self, connector: int | None, operative: bool) -> str:
        """Returns the status to answer; None is the whole charger. `apply_availability` follows the answer."""
        if connector is not None and connector not in self._host.statuses:
            return "Rejected"
        return "Scheduled" if any(self._host.sessions.is_running(n) for n in self._named(connector)) else "Accepted"

    async def apply_availability(self, connector: int | None, operative: bool) -> None:
        """Change what was asked for, each connector once its session is over."""
        for number in self._named(connector):
            await self._host.sessions.over(number)
            await self._host.set_status(number, "Available" if operative else "Unavailable")

    def _named(self, connector: int | None) -> list[int]:
        return [n for n in self._host.statuses if connector in (None, n)]

    async def send_triggered(self, talk: Talk, message: str, connector: int | None) -> None:
        """Send what TriggerMessage asked for."""
        self._host.note(Kind.TRIGGERED, message=message, connector=connector)
        match message:
            case "BootNotification":
                await self._host.send_boot(talk, "Triggered")
            case "StatusNotification" if connector in self._host.statuses:
                await self._host.send_status(talk, connector, self._host.statuses[connector])
            case "StatusNotification":
                await self._host.report_statuses(talk)
            case "Heartbeat":
                self._host.note(Kind.HEARTBEAT_SENT)
                await talk.heartbeat()
            case _:
                await self._host.sessions.tell_meters()
