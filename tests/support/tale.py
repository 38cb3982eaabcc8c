"""One restart told in seconds: builds the facts that a link would report and steps the restart machine with them.

Second 0 is the instant at which the Reset was handed to the socket. The Reset goes out on link 1.
"""

from __future__ import annotations

from typing import Any, Self

from msgspec.structs import replace

from borne.core import restart as machine
from borne.core.effects import Effect, TellBatch
from borne.core.facts import (
    Booted,
    BootTriggered,
    ClockStepped,
    Fact,
    LinkLost,
    LinkOpened,
    RestartAnswered,
    RestartRefused,
    RestartReleased,
    RestartRequested,
    RestartSent,
    RestartUnwritten,
    RestartWithdrawn,
    RestartWritten,
    ServerReturned,
    SessionEnded,
    SessionStarted,
    StatusChanged,
    Woke,
)
from borne.core.restart_state import RestartState

ZERO_MS = 1_790_000_000_000
CHARGER = 7
RESTART = 100
OTHER_RESTART = 101
DEADLINE_S = 300


def ms(second: float) -> int:
    """The instant in milliseconds."""
    return ZERO_MS + round(second * 1000)


class Tale:
    """A restart as it is told; `state` is what the machine made of it."""

    def __init__(self, **request: Any) -> None:
        at_ms = request.pop("at_ms", ms(-2))
        fact = RestartRequested(charger_id=CHARGER, at_ms=at_ms, restart_id=RESTART, **{"kind": "hard", **request})
        self.state: RestartState
        self.effects: list[Effect] = []
        self.state, effects = machine.start(fact)
        self.effects.extend(effects)

    def tell(self, fact: Fact) -> Self:
        """Step the machine."""
        self.state, effects = machine.step(self.state, fact)
        self.effects.extend(effects)
        return self

    # ---- until the Reset is out

    def sent(self, second: float = -0.01, *, link_age_s: float = 3600, restart_id: int = RESTART, **known: Any) -> Self:
        facts = {
            "booted_on_link": True,
            "announces_boots": True,
            "plain_reconnects_boot": False,
            "charging": False,
            "deadline_after_ms": DEADLINE_S * 1000,
            "epoch": 1,
            **known,
        }
        return self.tell(
            RestartSent(
                charger_id=CHARGER,
                at_ms=ms(second),
                restart_id=restart_id,
                link_opened_ms=ms(second - link_age_s),
                **facts,
            )
        )

    def written(self, second: float = 0, restart_id: int = RESTART) -> Self:
        return self.tell(RestartWritten(charger_id=CHARGER, at_ms=ms(second), restart_id=restart_id, epoch=1))

    def unwritten(self, second: float = 0) -> Self:
        return self.tell(RestartUnwritten(charger_id=CHARGER, at_ms=ms(second), restart_id=RESTART, epoch=1))

    def released(self, second: float) -> Self:
        return self.tell(RestartReleased(charger_id=CHARGER, at_ms=ms(second), restart_id=RESTART))

    def withdrawn(self, second: float, by: str = "Camille") -> Self:
        return self.tell(RestartWithdrawn(charger_id=CHARGER, at_ms=ms(second), restart_id=RESTART, by=by))

    def refused(self, second: float, reason: str) -> Self:
        return self.tell(RestartRefused(charger_id=CHARGER, at_ms=ms(second), restart_id=RESTART, reason=reason))

    # ---- what happens then

    def answered(
        self, second: float, status: Any = "accepted", code: str | None = None, text: str | None = None
    ) -> Self:
        return self.tell(
            RestartAnswered(
                charger_id=CHARGER, at_ms=ms(second), restart_id=RESTART, epoch=1, status=status, code=code, text=text
            )
        )

    def lost(
        self,
        second: float,
        how: Any = "dropped",
        *,
        ours: bool = False,
        epoch: int = 1,
        last_sign_s: float | None = None,
    ) -> Self:
        return self.tell(
            LinkLost(
                charger_id=CHARGER,
                at_ms=ms(second),
                epoch=epoch,
                how=how,
                ours=ours,
                last_sign_ms=None if last_sign_s is None else ms(last_sign_s),
            )
        )

    def opened(self, second: float, epoch: int = 2) -> Self:
        return self.tell(
            LinkOpened(
                charger_id=CHARGER,
                at_ms=ms(second),
                protocol="1.6",
                address="192.0.2.7",
                incarnation=1,
                new_epoch=epoch,
            )
        )

    def booted(self, second: float, epoch: int = 2, reason: str | None = None, *, solicited: bool = False) -> Self:
        return self.tell(
            Booted(
                charger_id=CHARGER,
                at_ms=ms(second),
                epoch=epoch,
                vendor="Acme",
                model="Box",
                reason=reason,
                solicited=solicited,
            )
        )

    def triggered(self, second: float, epoch: int = 1) -> Self:
        return self.tell(BootTriggered(charger_id=CHARGER, at_ms=ms(second), epoch=epoch))

    def status(self, second: float, status: Any, *, evse: int = 1, connector: int = 1, epoch: int = 2) -> Self:
        return self.tell(
            StatusChanged(
                charger_id=CHARGER, at_ms=ms(second), epoch=epoch, evse=evse, connector=connector, status=status
            )
        )

    def session_started(self, second: float, epoch: int = 1) -> Self:
        return self.tell(
            SessionStarted(
                charger_id=CHARGER, at_ms=ms(second), epoch=epoch, evse=1, connector=1, tag="AA", transaction="5"
            )
        )

    def session_ended(self, second: float, epoch: int = 1, reason: str | None = None) -> Self:
        return self.tell(
            SessionEnded(charger_id=CHARGER, at_ms=ms(second), epoch=epoch, transaction="5", reason=reason)
        )

    # ---- time

    def woke(self, second: float, heard_s: float | None = None) -> Self:
        heard_ms = None if heard_s is None else ms(heard_s)
        return self.tell(Woke(charger_id=CHARGER, at_ms=ms(second), heard_ms=heard_ms))

    def clock_stepped(self, second: float, by_s: float) -> Self:
        return self.tell(ClockStepped(charger_id=CHARGER, at_ms=ms(second), by_ms=round(by_s * 1000)))

    def returned(self, second: float, down_from_s: float) -> Self:
        return self.tell(ServerReturned(charger_id=CHARGER, at_ms=ms(second), down_from_ms=ms(down_from_s)))

    def wakes(self, heard_s: float | None = None, *, most: int = 20) -> Self:
        """Strike the machine's deadlines as they come, until there is a verdict."""
        for _ in range(most):
            if self.state.verdict is not None:
                return self
            assert self.state.wake_at_ms is not None, "a pending verdict without a deadline would never come"
            self.tell(
                Woke(charger_id=CHARGER, at_ms=self.state.wake_at_ms, heard_ms=None if heard_s is None else ms(heard_s))
            )
        raise AssertionError(f"no verdict after {most} deadlines: {self.state}")

    # ---- what came of it

    @property
    def verdict(self) -> tuple[str | None, str | None]:
        """Verdict and reason."""
        return self.state.verdict, self.state.reason

    @property
    def word(self) -> str | None:
        """The verdict's word alone."""
        return self.state.verdict

    @property
    def kinds(self) -> list[str]:
        """What the timeline shows, in order."""
        return [step.kind for step in self.state.steps]

    @property
    def wakes_s(self) -> float | None:
        """When the next deadline is, in seconds."""
        wake_at_ms = self.state.wake_at_ms
        return None if wake_at_ms is None else (wake_at_ms - ZERO_MS) / 1000

    @property
    def tells(self) -> list[TellBatch]:
        """What a batch was told."""
        return [effect for effect in self.effects if isinstance(effect, TellBatch)]

    def copy(self) -> Tale:
        """The same tale so far, to be told on in another way."""
        other = Tale.__new__(Tale)
        other.state = replace(self.state)
        other.effects = list(self.effects)
        return other


def tale(**known: Any) -> Tale:
    """A hard restart whose Reset was handed to the socket at second 0."""
    return Tale().sent(**known).written()


def accepted(**known: Any) -> Tale:
    """…and was accepted after 10 ms."""
    return tale(**known).answered(0.01)
