"""Connections of browsers, bounded in time and size.

uvicorn waits for ever for the end of a request, and keeps whatever headers come. A stranger could so use up the files and the
memory that the links of chargers need too: the portal and the gateway are one process.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

REQUEST_WITHIN_S = 20.0  # from its first byte, or from the opening of the connection, to its last
HEAD_BOUND_BYTES = 64 * 1024


class Connection(HttpToolsProtocol):
    """uvicorn's protocol, which cuts off who is too slow or sends an endless head."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._deadline: asyncio.TimerHandle | None = None
        self._requests = 0  # that came whole
        self._in_head = True
        self._head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect_request()

    def connection_lost(self, exc: Exception | None) -> None:
        self._came()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        requests = self._requests
        super().data_received(data)
        if self._requests != requests or self.transport.is_closing():
            return
        self._expect_request()  # what came was no whole request: the rest is awaited, for a while
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BOUND_BYTES:
                self.transport.abort()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._expect_request()

    def on_headers_complete(self) -> None:
        self._in_head = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._requests += 1
        self._in_head, self._head_bytes = True, 0
        self._came()
        super().on_message_complete()

    def _expect_request(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(REQUEST_WITHIN_S, self._too_late)

    def _came(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_late(self) -> None:
        self._deadline = None
        self.transport.abort()
