"""What a simulated charger does with a Reset, as its behaviour says."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Literal, Protocol

from borne.sim.behaviour import Behaviour
from borne.sim.journal import Kind, Scalar
from borne.sim.ocpp_package import NotSupportedError
from borne.sim.sessions import Sessions
from borne.sim.talk import Device, ResetRequest, Talk

GENTLE_TYPES = ("Soft", "OnIdle")


class ResetHost(Protocol):
    """What resetting needs of the charger."""

    behaviour: Behaviour
    device: Device
    sessions: Sessions
    boot_left: asyncio.Event

    def note(self, kind: Kind, **details: Scalar) -> None: ...
    def spawn_until_reboot(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]: ...
    def reboot(self, cause: Literal["reset", "own", "supervisor"], reset: int | None = None) -> None: ...
    def lose_network(self, how: Literal["close_frame", "abort"], away_s: float | None) -> None: ...
    async def send_status(self, talk: Talk, connector: int, status: str) -> None: ...
    async def set_status(self, connector: int, status: str) -> None: ...


class ResetDesk:
    """Takes Resets, one promise at a time: while a promised reboot is due, another Reset is Rejected."""

    def __init__(self, host: ResetHost) -> None:
        self._host = host
        self._count = 0
        self._promised: int | None = None
        self._answers: dict[str, tuple[int, str]] = {}
        self._loops_left = 0

    async def take(self, talk: Talk, type: str, message_id: str, evse: int | None) -> str:
        """Returns the status to answer. Raises NotSupportedError, or never returns, where the behaviour says so."""
        self._count += 1
        request = ResetRequest(self._count, message_id, type, evse)
        self._host.note(Kind.RESET_RECEIVED, reset=request.number, type=type, message_id=message_id, evse=evse)
        status = await self._decide(talk, request)
        self._answers[message_id] = (request.number, status)
        return status

    def was_answered(self, message_id: str) -> None:
        """The answer to this Reset has been handed to the socket."""
        number, status = self._answers.pop(message_id)
        self._host.note(Kind.RESET_ANSWERED, reset=number, status=status)

    def power_off(self, reset: int | None) -> None:
        """The device goes down because of `reset`, or of something else: then an older promise is forgotten."""
        if self._promised is not None and self._promised != reset:
            self._host.note(Kind.RESET_FORGOTTEN, reset=self._promised)
        self._promised = None

    def power_on(self, after_reset: bool) -> None:
        """The device is up; in a reboot loop it will not stay so."""
        if after_reset:
            self._loops_left = self._host.behaviour.reboot_loop
        if self._loops_left > 0:
            self._loops_left -= 1
            self._host.spawn_until_reboot(self._crash())

    async def _crash(self) -> None:
        await asyncio.sleep(self._host.behaviour.reboot_loop_every_s)
        self._host.reboot("supervisor")

    async def _decide(self, talk: Talk, request: ResetRequest) -> str:
        behaviour = self._host.behaviour
        if behaviour.answer == "callerror":
            self._host.note(Kind.RESET_ANSWERED, reset=request.number, status="NotSupported")
            raise NotSupportedError(details={"cause": "Reset"})
        if self._must_reject(request):
            await asyncio.sleep(behaviour.answer_delay_s)
            return "Rejected"
        if behaviour.unavailable_first:
            for connector in range(1, self._host.device.connectors + 1):
                await self._host.send_status(talk, connector, "Unavailable")
        waits = self._waits(talk, request)
        self._promise(request, waits)
        return await self._answer(talk, waits)

    def _must_reject(self, request: ResetRequest) -> bool:
        unknown_evse = request.evse is not None and not 1 <= request.evse <= self._host.device.connectors
        return self._host.behaviour.answer == "rejected" or unknown_evse or self._promised is not None

    def _waits(self, talk: Talk, request: ResetRequest) -> bool:
        """True when a running session ends first."""
        rule, sessions = self._host.behaviour.waits_for_session, self._host.sessions
        running = sessions.any_running if request.evse is None else sessions.is_running(request.evse)
        return running and (rule == "always" or (rule == "on_idle" and talk.is_soft(request.type)))

    def _promise(self, request: ResetRequest, waits: bool) -> None:
        """Set in motion what follows the answer; it follows even when the link goes meanwhile."""
        behaviour = self._host.behaviour
        self._host.boot_left.clear()
        if request.evse is not None and behaviour.reboots:
            self._host.spawn_until_reboot(self._reset_evse(request, request.evse, waits))
        elif behaviour.reboots or behaviour.drop != "none":
            self._promised = request.number
            self._host.spawn_until_reboot(self._depart(request, waits))

    async def _answer(self, talk: Talk, waits: bool) -> str:
        behaviour = self._host.behaviour
        if behaviour.answer == "none":
            await asyncio.Event().wait()
        if behaviour.boot_before_answer:
            await self._host.boot_left.wait()
        await asyncio.sleep(behaviour.answer_delay_s)
        return "Scheduled" if talk.says_scheduled and (waits or behaviour.answer == "scheduled") else "Accepted"

    async def _depart(self, request: ResetRequest, waits: bool) -> None:
        """After the answer: let the session end, then go down or lose the network at its time."""
        behaviour, loop = self._host.behaviour, asyncio.get_running_loop()
        leaves_at_s = loop.time() + behaviour.drop_after_s
        await self._let_answer_leave()
        if waits:
            await self._host.sessions.all_over()
            leaves_at_s = loop.time() + behaviour.drop_after_s
        elif behaviour.reboots and behaviour.session_end == "stopped":
            await self._stop_sessions(request, leaves_at_s)
        await asyncio.sleep(max(0.0, leaves_at_s - loop.time()))
        if behaviour.reboots:
            self._host.reboot("reset", request.number)
        else:
            self._promised = None
            self._host.lose_network("close_frame" if behaviour.drop == "close_frame" else "abort", behaviour.away_s)

    async def _let_answer_leave(self) -> None:
        behaviour = self._host.behaviour
        if behaviour.answer != "none" and not behaviour.boot_before_answer:
            await asyncio.sleep(behaviour.answer_delay_s)

    async def _stop_sessions(self, request: ResetRequest, at_latest_s: float) -> None:
        """Tell the end of running sessions; what is not confirmed in time is told after the boot."""
        try:
            async with asyncio.timeout_at(at_latest_s):
                await self._host.sessions.stop_for_reset(_stop_reason(request))
        except TimeoutError:
            return

    async def _reset_evse(self, request: ResetRequest, evse: int, waits: bool) -> None:
        """One EVSE goes Unavailable for a while; nothing reboots, no boot is announced."""
        await self._let_answer_leave()
        if not waits:
            self._host.sessions.end(evse, _stop_reason(request))
        await self._host.sessions.over(evse)
        self._host.note(Kind.EVSE_RESET_BEGAN, reset=request.number, evse=evse)
        await self._host.set_status(evse, "Unavailable")
        await asyncio.sleep(self._host.behaviour.evse_reset_s)
        await self._host.set_status(evse, "Available")
        self._host.note(Kind.EVSE_RESET_DONE, reset=request.number, evse=evse)


def _stop_reason(request: ResetRequest) -> str:
    return "SoftReset" if request.type in GENTLE_TYPES else "HardReset"
