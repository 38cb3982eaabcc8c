"""One takeover: the old link is probed for a moment, then the new one gets its place."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from borne.core.facts import LossHow
from borne.gateway.close_codes import POLICY

if TYPE_CHECKING:
    from borne.gateway.link import Link
    from borne.gateway.links import Links


class Takeover:
    """An old link under probe, and the new one that waits for its place."""

    __slots__ = ("_damped", "_links", "_probe", "new", "old")

    def __init__(self, links: Links, old: Link, new: Link, damped: bool) -> None:
        self._links = links
        self.old = old
        self.new = new
        self._damped = damped
        self._probe: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """Probe the old link. Any frame or pong from now on means that it still talked."""
        probe_s = self._links.settings.takeover_probe_s
        self._probe = self._links.loop.call_later(probe_s, self.end)
        self.old.transport.ping()

    def replace(self, newer: Link, damped: bool) -> None:
        """An even newer link came while this one waits."""
        older, self.new = self.new, newer
        older.close(POLICY, "taken over", "taken_over", ours=True)
        self._damped = self._damped or damped

    def end(self, talking: bool = False) -> None:
        """The probe is over: the old link showed a sign of life, or it did not in time."""
        if talking and not self.new.charger.has_secret and self.new.security != "mutual_tls":
            self._keep_old()
            return
        how: LossHow = "damped" if self._damped else "taken_over"
        self.old.close(POLICY, "taken over", how, ours=self._damped or talking)

    def _keep_old(self) -> None:
        """Nobody proved to be the charger, and the one that was there answers: it stays, and somebody should know."""
        self._forget()
        self.new.close(POLICY, "already connected", "taken_over", ours=True)
        self._links.note(self.old, "link_intruder")

    def cancel(self) -> None:
        """The new link left while it waited: the old one keeps its place."""
        self._forget()

    def finish(self) -> None:
        """The old link's end is told (by us, or because its socket ended by itself): the new one opens."""
        self._forget()
        self._links.place(self.new, self._damped)

    def _forget(self) -> None:
        if self._probe is not None:
            self._probe.cancel()
        self._links.probed.pop(self.old, None)
        self._links.taking_over.pop(self.old.charger.charger_id, None)
