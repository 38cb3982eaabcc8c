"""Logs: one line an event, for people or as JSON. Whatever others wrote into it cannot break a line or colour a terminal."""

from __future__ import annotations

import logging
import sys
from typing import Literal

import structlog
from structlog.typing import EventDict, WrappedLogger

_VISIBLE = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0)) if code != 0x0A}
_VISIBLE |= {code: f"\\u{code:04x}" for code in (0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))}
_ONE_LINE = _VISIBLE | {0x0A: "\\n"}


def configure(level: str, form: Literal["text", "json"]) -> None:
    """Send all logs to standard error."""
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _escape,
    ]
    last: structlog.typing.Processor = structlog.processors.JSONRenderer() if form == "json" else _line
    handler = logging.StreamHandler(sys.stderr)
    remove = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=[remove, last]))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for noisy in ("uvicorn", "alembic", "websockets", "picows", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def _escape(logger: WrappedLogger, name: str, event: EventDict) -> EventDict:
    """Show control and direction characters instead of obeying them; a traceback keeps its own lines."""
    return {
        key: value.translate(_VISIBLE if key == "exception" else _ONE_LINE) if isinstance(value, str) else value
        for key, value in event.items()
    }


def _line(logger: WrappedLogger, name: str, event: EventDict) -> str:
    text = f"{event['timestamp'][:19]}Z {event['level']:<7} {event['event']}"
    return f"{text}\n{event['exception']}" if event.get("exception") else text
