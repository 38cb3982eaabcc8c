"""The PyPI `ocpp` package, seen through types: the only file that imports it.

The package carries no type information, so a type checker is told here what is used of it. Its schema validation runs
in a thread pool by default; chargers must also live on a virtual clock, where there are no threads, so it is done in
place.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import asyncio
    import logging

    from borne.sim.dialling import Connection

    Handler = TypeVar("Handler", bound=Callable[..., Any])

    def on(action: str, *, skip_schema_validation: bool = False) -> Callable[[Handler], Handler]:
        """Mark a method as the answer to `action`."""

    def after(action: str) -> Callable[[Handler], Handler]:
        """Mark a method as what happens once `action` has been answered."""

    class Message:
        """A parsed CALL, CALLRESULT or CALLERROR."""

        message_type_id: int
        unique_id: str

    def unpack(text: str) -> Message:
        """Parse one frame. Raises OCPPError."""

    class OCPPError(Exception):
        """A CALLERROR as an exception."""

        code: str
        description: str

        def __init__(self, description: str | None = None, details: dict[str, Any] | None = None) -> None: ...

    class NotSupportedError(OCPPError):
        """CALLERROR NotSupported."""

    class UnknownCallErrorCodeError(Exception):
        """The peer sent a CALLERROR whose code OCPP does not know."""

    class ChargePoint:
        """The package's two-way OCPP-J endpoint."""

        id: str
        _connection: Connection
        _response_queue: asyncio.Queue[Message | None]

        def __init__(
            self, id: str, connection: Connection, response_timeout: float = 30, logger: logging.Logger = ...
        ) -> None: ...

        async def route_message(self, raw_msg: str) -> None: ...

        async def call(
            self,
            payload: object,
            suppress: bool = True,
            unique_id: str | None = None,
            skip_schema_validation: bool = False,
        ) -> Any: ...

        async def _send(self, message: str) -> None: ...

    class ChargePoint16(ChargePoint):
        """The endpoint for OCPP 1.6."""

    class ChargePoint201(ChargePoint):
        """The endpoint for OCPP 2.0.1."""

    call16: Any
    call201: Any
    result16: Any
    result201: Any
else:
    import ocpp.messages
    from ocpp.charge_point import ChargePoint
    from ocpp.exceptions import NotSupportedError, OCPPError, UnknownCallErrorCodeError
    from ocpp.messages import Call as Message
    from ocpp.messages import unpack
    from ocpp.routing import after, on
    from ocpp.v16 import ChargePoint as ChargePoint16
    from ocpp.v16 import call as call16
    from ocpp.v16 import call_result as result16
    from ocpp.v201 import ChargePoint as ChargePoint201
    from ocpp.v201 import call as call201
    from ocpp.v201 import call_result as result201

    ocpp.messages.ASYNC_VALIDATION = False

__all__ = [
    "ChargePoint",
    "ChargePoint16",
    "ChargePoint201",
    "Message",
    "NotSupportedError",
    "OCPPError",
    "UnknownCallErrorCodeError",
    "after",
    "call16",
    "call201",
    "on",
    "result16",
    "result201",
    "unpack",
]
