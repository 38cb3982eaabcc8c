"""Live pages: GET /live?topics=charger:1,restart:5,batch:3,chargers is a stream of "look again" for what is on screen.

The stream carries ids only (`event: changed`, `data: charger:1 chargers`); the page fetches the fragments it shows. Hints are
gathered to one message a second and to the ids asked for, each of which is checked against the visitor's scope at the start. The
login is looked at again every second: a stream ends with it. What happened between the making of the page and the opening of its
stream is told at once (`since`), from a short memory of hints.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncIterator, Sequence
from typing import Any, Literal, cast

import msgspec
from litestar import Response, get
from litestar.exceptions import ClientException, TooManyRequestsException
from litestar.params import FromQuery
from litestar.response import Stream

from borne.bus.port import Bus, Hint
from borne.core.scope import Scope
from borne.portal.access import Access, access_of
from borne.portal.forms import number_of
from borne.portal.frame import AnyRequest, Page
from borne.portal.security import login_cookie_name
from borne.store import batch_list, charger_list, restarts, session_list
from borne.store.db import Database

Noun = Literal["charger", "restart", "batch", "session"]
Asked = Noun | Literal["chargers", "sessions", "notices"]
NOUNS: tuple[Noun, ...] = ("charger", "restart", "batch", "session")
# Topics of counts: any charger or session of the scope changed. Sessions are for staff: users see their own alone.
LISTS: dict[str, Literal["chargers", "sessions"]] = {"charger": "chargers", "session": "sessions"}
OWN: Literal["notices"] = "notices"  # the visitor's own: nobody can name another's

MAX_TOPICS = 500
MAX_STREAMS = 2_000
MAX_STREAMS_A_PERSON = 10
GATHER_S = 0.9  # so that a change shows within a second, even behind another one
LOOK_S = 1.0
HEARTBEAT_S = 15.0
RETRY_MS = 2_000
MEMORY_MS = 15_000
MEMORY_BOUND = 20_000
CLOCKS_DIFFER_MS = 2_000  # between the processes of a cluster


class LiveStream:
    """One browser that listens."""

    def __init__(self, scope: Scope, topics: frozenset[str]) -> None:
        self.scope = scope
        self.topics = topics
        self.changed: set[str] = set()
        self.woken = asyncio.Event()
        self.doubted = False  # its login changed: look at it before anything else
        self.ended = False

    def concerns(self, hint: Hint) -> bool:
        """Whether a hint about any charger or session is about one of the list's scope."""
        scope = self.scope
        charger_id = hint.id if hint.topic == "charger" else hint.charger_id
        if scope.charger_ids is not None and charger_id not in scope.charger_ids:
            return False
        if scope.location_ids is not None and hint.location_id not in (0, *scope.location_ids):
            return False
        return hint.organisation_id == scope.organisation_id

    def tell(self, topic: str) -> None:
        if not self.changed:  # otherwise it is awake already, until its second is over
            self.woken.set()
        self.changed.add(topic)

    def doubt(self) -> None:
        self.doubted = True
        self.woken.set()

    def end(self) -> None:
        self.ended = True
        self.woken.set()


class Live:
    """All streams of this process: who listens to what. One listener on the bus for each noun."""

    def __init__(self, bus: Bus) -> None:
        self._by_topic: dict[str, set[LiveStream]] = {}
        self._lists: dict[tuple[str, int], set[LiveStream]] = {}
        self._owners: dict[int, set[LiveStream]] = {}
        self._streams: set[LiveStream] = set()
        self._memory: deque[tuple[int, Hint]] = deque(maxlen=MEMORY_BOUND)
        self._since_ms = _now_ms()
        self._is_closed = False
        self._stops = [bus.listen(noun, self._heard) for noun in (*NOUNS, OWN)]
        self._stops.append(bus.listen("login", self._doubted))

    def check_room(self, person_id: int) -> None:
        """Raises TooManyRequestsException at the bounds."""
        mine = sum(1 for other in self._streams if other.scope.person_id == person_id)
        if mine >= MAX_STREAMS_A_PERSON or len(self._streams) >= MAX_STREAMS:
            raise TooManyRequestsException("too many live pages are open")

    def add(self, stream: LiveStream, since_ms: int | None) -> None:
        """Begin to listen."""
        if self._is_closed:
            stream.end()
        self._streams.add(stream)
        for topic in stream.topics:
            self._by_topic.setdefault(topic, set()).add(stream)
        for word in LISTS.values():
            if word in stream.topics:
                self._lists.setdefault((word, stream.scope.organisation_id), set()).add(stream)
        if OWN in stream.topics:
            self._owners.setdefault(stream.scope.person_id, set()).add(stream)
        if since_ms is not None:
            self._remind(stream, since_ms)

    def remove(self, stream: LiveStream) -> None:
        self._streams.discard(stream)
        for topic in stream.topics:
            _discard(self._by_topic, topic, stream)
        for word in LISTS.values():
            _discard(self._lists, (word, stream.scope.organisation_id), stream)
        _discard(self._owners, stream.scope.person_id, stream)

    def close(self) -> None:
        """End all streams, so that the server can stop without waiting for browsers."""
        self._is_closed = True
        for stop in self._stops:
            stop()
        for stream in self._streams:
            stream.end()

    @property
    def count(self) -> int:
        return len(self._streams)

    def _doubted(self, hint: Hint) -> None:
        for stream in self._streams:
            if stream.scope.person_id == hint.id:
                stream.doubt()

    def _heard(self, hint: Hint) -> None:
        now_ms = _now_ms()
        while self._memory and self._memory[0][0] < now_ms - MEMORY_MS:
            self._memory.popleft()
        self._memory.append((now_ms, hint))
        topic = f"{hint.topic}:{hint.id}"
        for stream in self._by_topic.get(topic, ()):
            stream.tell(topic)
        if word := LISTS.get(hint.topic):
            for stream in self._lists.get((word, hint.organisation_id), ()):
                if stream.concerns(hint):
                    stream.tell(word)
        if hint.topic == OWN:
            for stream in self._owners.get(hint.id, ()):
                stream.tell(OWN)

    def _remind(self, stream: LiveStream, since_ms: int) -> None:
        """Tell what happened since then; all that it asked for where the memory does not reach back so far."""
        oldest_ms = max(self._since_ms, _now_ms() - MEMORY_MS)
        if len(self._memory) == MEMORY_BOUND:
            oldest_ms = max(oldest_ms, self._memory[0][0])
        if since_ms < oldest_ms:
            for topic in stream.topics:
                stream.tell(topic)
            return
        for at_ms, hint in self._memory:
            if at_ms < since_ms - CLOCKS_DIFFER_MS:
                continue
            if (topic := f"{hint.topic}:{hint.id}") in stream.topics:
                stream.tell(topic)
            word = LISTS.get(hint.topic)
            if word is not None and word in stream.topics and stream.concerns(hint):
                stream.tell(word)
            if hint.topic == OWN and OWN in stream.topics and hint.id == stream.scope.person_id:
                stream.tell(OWN)


def _discard(where: dict[Any, set[LiveStream]], key: Any, stream: LiveStream) -> None:
    if key in where:
        where[key].discard(stream)
        if not where[key]:
            del where[key]


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def live_of(request: AnyRequest) -> Live:
    """The streams of an app."""
    return cast(Live, request.app.state.live)


def close_streams(app: Any) -> None:
    """Call this before the server stops: it waits for open answers, and streams never end by themselves."""
    live = getattr(app.state, "live", None)
    if live is not None:
        live.close()


# ---- what may be listened to -------------------------------------------------------------------------------------


def parsed(asked: str) -> dict[Asked, list[int]]:
    """Ids by noun. Raises ClientException for what is no list of topics, or too long a one."""
    found: dict[Asked, list[int]] = {}
    words = [word for word in asked.split(",") if word]
    if len(words) > MAX_TOPICS:
        raise ClientException(f"{MAX_TOPICS} topics at most")
    for word in words:
        noun, _, number = word.partition(":")
        if word in LISTS.values():
            found[cast(Asked, word)] = []
        elif word == OWN:
            found["notices"] = []
        elif noun in NOUNS and (one := number_of(number)) is not None:
            found.setdefault(noun, []).append(one)
        else:
            raise ClientException(f"no topic {word[:40]}")
    return found


async def allowed(db: Database, scope: Scope, asked: dict[Asked, list[int]]) -> frozenset[str]:
    """The topics of what the scope reaches; the others are left out, as if they did not exist."""
    topics: set[str] = {word for word in (*LISTS.values(), OWN) if word in asked}
    if scope.role == "user":
        topics.discard("sessions")
    topics |= {f"charger:{one}" for one in await charger_list.reached_ids(db, scope, asked.get("charger", []))}
    if asked.get("restart"):
        for row in await restarts.owners(db, scope.organisation_id, asked["restart"]):
            if scope.reaches(
                organisation_id=row.organisation_id, location_id=row.location_id, charger_id=row.charger_id
            ):
                topics.add(f"restart:{row.id}")
    if asked.get("batch"):
        topics |= {f"batch:{one}" for one in await batch_list.reached(db, scope, asked["batch"])}
    if asked.get("session"):
        topics |= {f"session:{one}" for one in await session_list.reached_ids(db, scope, asked["session"])}
    return frozenset(topics)


# ---- the stream --------------------------------------------------------------------------------------------------


class _Login(msgspec.Struct):
    """The login that a stream stands on."""

    access: Access
    token: str | None
    scope: Scope

    async def holds(self) -> bool:
        """Still logged in, with the same reach."""
        visitor = await self.access.visitor(self.token)
        return visitor is not None and visitor.scope == self.scope


def message(topics: Sequence[str]) -> bytes:
    """A message of the stream. Its id is the instant: a browser that returns says since when it has heard nothing."""
    return f"id: {_now_ms()}\nevent: changed\ndata: {' '.join(topics)}\n\n".encode()


async def told(live: Live, stream: LiveStream, login: _Login, since_ms: int | None) -> AsyncIterator[bytes]:
    """The bytes of a stream, until its login, its browser or the server ends."""
    live.add(stream, since_ms)
    try:
        yield f"retry: {RETRY_MS}\nid: {_now_ms()}\nevent: hello\ndata: {len(stream.topics)}\n\n".encode()
        said_s = looked_s = time.monotonic()
        sent_s = said_s - GATHER_S
        while not stream.ended:
            now_s = time.monotonic()
            if stream.doubted or now_s - looked_s >= LOOK_S:  # before anything is told: it may be no more theirs
                looked_s, stream.doubted = now_s, False
                if not await login.holds():
                    yield b"event: bye\ndata: login\n\n"
                    return
            if stream.changed and now_s - sent_s >= GATHER_S:
                topics, stream.changed = sorted(stream.changed), set()
                sent_s = said_s = now_s
                yield message(topics)
                continue
            if now_s - said_s >= HEARTBEAT_S:
                said_s = now_s
                yield f"id: {_now_ms()}\nevent: beat\ndata:\n\n".encode()
            await _wait(stream, min(looked_s + LOOK_S, sent_s + GATHER_S if stream.changed else looked_s + LOOK_S))
    finally:
        live.remove(stream)


async def _wait(stream: LiveStream, until_s: float) -> None:
    """Sleep until something changes or it is time (monotonic). What changed already waits for its second."""
    if stream.ended or stream.doubted:
        return
    stream.woken.clear()
    wait_s = max(until_s - time.monotonic(), 0.01)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(wait_s):  # wait_for may swallow the cancellation that ends the stream
            await stream.woken.wait()


@get("/live", may="member")
async def live(page: Page, topics: FromQuery[str] = "", since: FromQuery[int | None] = None) -> Response[Any] | Stream:
    """The stream of one browser."""
    scope, request = page.scope, page.request
    streams = live_of(request)
    streams.check_room(scope.person_id)
    stream = LiveStream(scope, await allowed(page.services.db, scope, parsed(topics)))
    last_id = request.headers.get("last-event-id", "")
    heard_ms = number_of(last_id)
    since_ms = heard_ms if heard_ms is not None else since
    login = _Login(access_of(request), request.cookies.get(login_cookie_name(page.services.settings)), scope)
    return Stream(
        told(streams, stream, login, since_ms),
        media_type="text/event-stream",
        headers={"cache-control": "no-store", "x-accel-buffering": "no"},
    )


ROUTES = [live]
