"""Who holds what: the links of this node, takeover, damping, signs of life.

Authenticate first; then the newest link of a charger wins. Before the old one is ended it is probed for a moment, because what
follows depends on it: a link that was silent was left by the charger, one that still talked was ended by us. The end of an old
link never touches a newer one: links are compared, not chargers.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine
from random import Random
from typing import TYPE_CHECKING, Any

from borne.core.facts import Fact, Noted
from borne.gateway.close_codes import GOING_AWAY, POLICY
from borne.gateway.link import Link
from borne.gateway.metrics import Counts
from borne.gateway.ports import Authorise, Engine, Outcome, Recorder, TakeRestart
from borne.gateway.settings import GatewaySettings
from borne.gateway.takeover import Takeover
from borne.gateway.wheel import Wheel

if TYPE_CHECKING:
    from borne.bus.port import Bus, Hint

log = logging.getLogger(__name__)

STALL_S = 0.05
RETRY_S = 1.0
MAX_UNTOLD = 200_000  # facts that the engine could not store yet; beyond it the oldest are dropped, and logged
STOP_SLICE = 500


class Links:
    """All links of this node, and what they share. `rng` makes ids and jitter: a seed makes a run repeatable."""

    def __init__(
        self,
        engine: Engine,
        take_restart: TakeRestart,
        authorise: Authorise,
        settings: GatewaySettings,
        *,
        incarnation: int,
        rng: Random,
        loop: asyncio.AbstractEventLoop,
        record: Recorder | None = None,
        tick_s: float = 0.25,
    ) -> None:
        self.engine = engine
        self.clock = engine.clock
        self.take_restart = take_restart
        self.authorise = authorise
        self.settings = settings
        self.incarnation = incarnation
        self.rng = rng
        self.loop = loop
        self.record = record
        self.counts = Counts()
        self.wheel = Wheel(loop, tick_s)
        self.opening = 0  # links whose epoch is on its way to the disk
        self.probed: dict[Link, Takeover] = {}  # by the old link, which is under probe
        self.taking_over: dict[int, Takeover] = {}  # the same by their chargers
        self.stopping = False
        self._links: dict[int, Link] = {}  # charger -> the link that is open or opening
        self._opens: dict[int, deque[float]] = {}  # charger -> instants of its opens within the last minute
        self._penalties: dict[int, float] = {}  # charger -> until when (loop time)
        self._stalled: list[Link] = []
        self._tasks: set[asyncio.Task[Any]] = set()
        self._untold: deque[Told] = deque()
        self._sweep = loop.call_later(60, self._forget_old_opens)

    # ---- coming and going

    def retry_after_s(self, charger_id: int) -> int:
        """Seconds after which this charger may come again; 0: now. For the handshake, before a link is made."""
        if self.stopping or self.opening >= self.settings.max_opening or self.engine.full:
            return 1 + self.rng.randrange(5)
        until_s = self._penalties.get(charger_id, 0.0)
        return max(0, int(until_s - self.loop.time()) + 1) if until_s > self.loop.time() else 0

    def admit(self, link: Link) -> None:
        """Take an authenticated link. It opens at once, or after the probe of the one it takes over."""
        charger_id = link.charger.charger_id
        self.counts.opened += 1
        damped = self._is_storm(charger_id)
        waiting = self.taking_over.get(charger_id)
        if waiting is not None:  # even newer: it takes the place of the one that waits
            waiting.replace(link, damped)
            return
        old = self._links.get(charger_id)
        if old is None:
            self.place(link, damped)
            return
        takeover = Takeover(self, old, link, damped)
        self.taking_over[charger_id] = self.probed[old] = takeover
        takeover.begin()

    def place(self, link: Link, damped: bool) -> None:
        """Make this the charger's link, and open it."""
        if link.state == "gone":
            return
        self._links[link.charger.charger_id] = link
        self.counts.links = len(self._links)
        link.noted = "link_storm" if damped else ""
        link.open()

    def _is_storm(self, charger_id: int) -> bool:
        """Count an open. True: one too many within a minute; the charger is now under a penalty."""
        now_s = self.loop.time()
        opens = self._opens.setdefault(charger_id, deque(maxlen=self.settings.opens_a_minute + 1))
        opens.append(now_s)
        if len(opens) <= self.settings.opens_a_minute or now_s - opens[0] > 60:
            return False
        self._penalties[charger_id] = now_s + self.settings.penalty_s
        self.counts.damped += 1
        opens.clear()
        return True

    def _forget_old_opens(self) -> None:
        now_s = self.loop.time()
        self._opens = {c: opens for c, opens in self._opens.items() if opens and now_s - opens[-1] < 60}
        self._penalties = {c: until_s for c, until_s in self._penalties.items() if until_s > now_s}
        self._sweep = self.loop.call_later(60, self._forget_old_opens)

    # ---- what links report

    def on_open(self, link: Link) -> None:
        """Its epoch is committed."""
        if link.noted:
            self.note(link, link.noted)
            link.noted = ""

    def note(self, link: Link, kind: str) -> None:
        """A line for the charger's timeline."""
        details: dict[str, str | int | None] = {"address": link.address}
        self.tell(
            Noted(
                charger_id=link.charger.charger_id,
                at_ms=self.clock.now_ms(),
                epoch=link.epoch,
                kind=kind,
                details=details,
            )
        )

    def on_sign(self, link: Link) -> None:
        """Something came on a link while some are probed."""
        takeover = self.probed.get(link)
        if takeover is not None:
            takeover.end(talking=True)

    def on_gone(self, link: Link) -> None:
        """A link ended. Only its own place is cleared: a newer link of the charger keeps its own."""
        charger_id = link.charger.charger_id
        if self._links.get(charger_id) is link:
            del self._links[charger_id]
            self.counts.links = len(self._links)
        takeover = self.taking_over.get(charger_id)
        if takeover is not None and takeover.new is link:
            takeover.cancel()

    def on_loss_told(self, link: Link) -> None:
        """The loss of a link is on its way: who waits for its place may open."""
        takeover = self.probed.get(link)
        if takeover is not None:
            takeover.finish()

    # ---- for the rest of the house

    def of(self, charger_id: int) -> Link | None:
        """The open link of a charger."""
        link = self._links.get(charger_id)
        return link if link is not None and link.state == "open" else None

    def __len__(self) -> int:
        return len(self._links)

    def heard_ms(self, charger_id: int) -> int | None:
        """When the charger's own last message came on the link that is open now."""
        link = self.of(charger_id)
        if link is None or link.heard_s is None:
            return None
        return self.clock.now_ms() - int((self.loop.time() - link.heard_s) * 1000)

    def listen(self, bus: Bus) -> Callable[[], None]:
        """Follow the engine's hints; returns the function that ends it."""
        ends = (bus.listen("restart_due", self._on_restart_due), bus.listen("close_link", self._on_close_link))

        def stop() -> None:
            for end in ends:
                end()

        return stop

    def _on_restart_due(self, hint: Hint) -> None:
        link = self.of(hint.charger_id)
        if link is not None:
            link.restart_due()

    def _on_close_link(self, hint: Hint) -> None:
        link = self.of(hint.charger_id)
        if link is not None and link.epoch == hint.id:
            link.close(POLICY, hint.detail or "closed", "removed", ours=True)

    def remove(self, charger_id: int, reason: str) -> None:
        """The charger was deleted, disabled, moved or given another secret: whoever holds a link of it loses it."""
        takeover = self.taking_over.get(charger_id)
        if takeover is not None:
            takeover.new.close(POLICY, reason, "removed", ours=True)
        link = self._links.get(charger_id)
        if link is not None:
            link.close(POLICY, reason, "removed", ours=True)

    async def stop(self) -> None:
        """End every link: the loss is ours. Their facts are with the engine when this returns."""
        self.stopping = True
        for takeover in list(self.taking_over.values()):
            takeover.new.close(GOING_AWAY, "stopping", "stopped", ours=True)
        for count, link in enumerate(list(self._links.values())):
            link.close(GOING_AWAY, "stopping", "stopped", ours=True)
            if count % STOP_SLICE == STOP_SLICE - 1:
                await asyncio.sleep(0)
        self.wheel.stop()
        self._sweep.cancel()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def all(self) -> list[Link]:
        """The links of this moment."""
        return list(self._links.values())

    def sign_ms(self, link: Link) -> int:
        """When the last sign of life came on a link: a frame, a ping or a pong."""
        return self.clock.now_ms() - int((self.loop.time() - link.sign_s) * 1000)

    # ---- tools of the links

    def start(self, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """A task that is kept alive until its end."""
        task = self.loop.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def new_id(self) -> str:
        """A message id of ours: nobody can guess the next one."""
        return f"{self.rng.getrandbits(64):016x}"

    def stall(self, link: Link) -> None:
        """The engine is full: come back to this link when it has room."""
        if not self._stalled:
            self.loop.call_later(STALL_S, self._unstall)
        self._stalled.append(link)

    def _unstall(self) -> None:
        if self.engine.full:
            self.loop.call_later(STALL_S, self._unstall)
            return
        links, self._stalled = self._stalled, []
        for link in links:
            link.calls.go_on()

    def tell(self, fact: Fact, then: Callable[[], None] | None = None, *, urgent: bool = True) -> None:
        """Submit a fact that nobody would repeat: it is kept and tried again while the engine cannot store it.

        `then` is called after the commit.
        """
        told = Told(self, fact, then)
        if self._untold:
            self.keep(told)
        else:
            self.engine.submit(fact, told, urgent=urgent)

    def keep(self, told: Told) -> None:
        """Try again in a moment."""
        if not self._untold:
            self.loop.call_later(RETRY_S, self._tell_again)
        self._untold.append(told)
        if len(self._untold) > MAX_UNTOLD:
            log.error("dropped %r: too many facts wait for the store", self._untold.popleft().fact)

    def _tell_again(self) -> None:
        waiting, self._untold = self._untold, deque()
        for told in waiting:
            self.engine.submit(told.fact, told, urgent=True)


class Told:
    """A fact on its way by `Links.tell`."""

    __slots__ = ("_links", "_then", "fact")

    def __init__(self, links: Links, fact: Fact, then: Callable[[], None] | None) -> None:
        self._links = links
        self._then = then
        self.fact = fact

    def __call__(self, outcome: Outcome | BaseException) -> None:
        if isinstance(outcome, BaseException):
            self._links.keep(self)
        elif self._then is not None:
            self._then()
