"""How one simulated charger behaves, as data. The named ones are in `borne.sim.behaviours`."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """What a charger does with a Reset, and with its network. Times in seconds, counted from the receipt of the Reset.

    The defaults describe a charger by the book: it answers Accepted, says goodbye, reboots, announces its boot.
    """

    name: str = "by-the-book"
    summary: str = "answers Accepted, closes its socket, is back after 5 s and announces its boot"

    # the answer
    answer: Literal["accepted", "rejected", "scheduled", "none", "callerror"] = "accepted"
    answer_delay_s: float = 0.01
    boot_before_answer: bool = False
    """The reboot happens, and its BootNotification leaves, before the Reset is answered."""
    unavailable_first: bool = False
    """StatusNotification Unavailable for every connector comes before the answer."""
    waits_for_session: Literal["never", "on_idle", "always"] = "on_idle"
    """A running session ends first: never, when the Reset says OnIdle (2.0.1), or always. 2.0.1 answers Scheduled
    while it waits."""

    # leaving
    reboots: bool = True
    """False: the device stays up whatever it answered; `drop` then is a mere network loss of `away_s`."""
    drop: Literal["close_frame", "abort", "none", "silent", "proxied"] = "close_frame"
    """none: the socket stays and serves after the reboot too. silent: the socket stays open but dead, not even pings are
    answered. proxied: the same, but something in between goes on answering pings."""
    drop_after_s: float = 1.0
    session_end: Literal["stopped", "orphaned", "stopped_late"] = "stopped"
    """A running session is stopped before the reboot, never mentioned again, or stopped after the boot."""

    # coming back
    back: bool = True
    supervisor: bool = True
    """False: the program ends at a reboot and nobody starts it again."""
    away_s: float = 4.0
    boot: Literal["yes", "no", "when_triggered"] = "yes"
    """Announced after a reboot; no: not after one that a Reset caused; when_triggered: only when asked, ever."""
    boot_reason: str = "PowerUp"
    """2.0.1 only: the reason given after a Reset. No independent stack seen in the field says RemoteReset."""
    boot_delay_s: float = 0.0
    boot_sends: int = 1
    """2: the answer to the first BootNotification after each power-on is lost on its way, so it is sent again."""
    boot_retry_s: float = 5.0
    back_status: Literal["", "Available", "Faulted", "Unavailable", "Preparing"] = ""
    """Connector status after a Reset's reboot; empty: Preparing where a cable is still in, else what it was."""
    reboot_loop: int = 0
    """How many more reboots follow a Reset's, `reboot_loop_every_s` apart (cause: supervisor)."""
    reboot_loop_every_s: float = 8.0

    # life without Reset
    reboots_by_itself_every_s: float = 0.0
    own_away_s: float = 4.0
    loses_network_every_s: float = 0.0
    boots_on_plain_reconnect: bool = False
    statuses_on_reconnect: bool = True
    reconnect_min_s: float = 1.0
    reconnect_max_s: float = 30.0
    message_ids: Literal["random", "counter"] = "random"
    """counter: message ids restart at "1" after each power-on, as some firmware does."""

    # reset of one EVSE (2.0.1)
    evse_reset_s: float = 2.0

    @property
    def returns(self) -> bool:
        """True: the device comes back after a reboot."""
        return self.back and self.supervisor


@dataclass(frozen=True, slots=True)
class Habits:
    """When somebody charges here by habit: on each of `connectors`, again and again. Durations in seconds."""

    connectors: tuple[int, ...] = (1,)
    first_after_s: float = 5.0
    lasts_s: float = 600.0
    pause_s: float = 60.0
    meter_every_s: float = 30.0
    power_w: int = 7400
    offered_w: int | None = None  # None: it says nothing of what it offers
    tag: str = "DEMO-TAG"


def scaled(behaviour: Behaviour, factor: float) -> Behaviour:
    """Return the same behaviour with every duration multiplied by `factor`."""
    return replace(
        behaviour,
        **{f.name: getattr(behaviour, f.name) * factor for f in fields(behaviour) if f.name.endswith("_s")},
    )


def tweaked(behaviour: Behaviour, tweaks: Mapping[str, Any]) -> Behaviour:
    """Return the behaviour with some fields replaced. Raises ValueError naming a field that does not exist."""
    unknown = set(tweaks) - {f.name for f in fields(behaviour)}
    if unknown:
        raise ValueError(f"a behaviour has no field {', '.join(sorted(unknown))}")
    return replace(behaviour, **tweaks)
