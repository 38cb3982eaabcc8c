"""What a simulated world remembers of itself: its chargers, what people clicked, what was written, what rows said and when."""

from __future__ import annotations

from dataclasses import dataclass, field

from borne.engine.outcome import Outcome
from borne.sim.charger_bot import ChargerBot
from borne.sim.journal import LogEntry
from borne.sim.lossy_net import Said, Wire
from borne.sim.scenario import ChargerPlan, Step


@dataclass(frozen=True, slots=True)
class Seen:
    """What a restart's row said from `at_s` on."""

    at_s: float
    phase: str
    verdict: str | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class ResetFrame:
    """A Reset handed to a socket. `restart`: whose it is, None if nobody asked for it."""

    at_s: float
    charger: int
    message_id: str
    restart: int | None


@dataclass(slots=True)
class Click:
    """Somebody's request, and what the server said."""

    at_s: float
    charger: int
    key: str | None
    outcome: Outcome | None = None
    failed: str | None = None


@dataclass(slots=True)
class Charger:
    """A simulated charger in its surroundings."""

    number: int
    plan: ChargerPlan
    identity: str
    id: int = 0
    bot: ChargerBot = None  # type: ignore[assignment]
    wires: list[Wire] = field(default_factory=list)
    said: list[Said] = field(default_factory=list)
    outage_until_s: float = 0.0
    cut_at_reset: Step | None = None
    shaken: list[float] = field(default_factory=list)  # when something was done to it or its network

    @property
    def log(self) -> list[LogEntry]:
        return self.bot.log

    @property
    def wire(self) -> Wire | None:
        """The newest connection, if the charger has one."""
        return self.wires[-1] if self.wires and self.wires[-1].charger.lost is None else None
