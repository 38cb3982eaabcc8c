"""The simulated charger's own account of what happened to it: the only thing a simulation's judge may read."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

Scalar = str | int | float | bool | None


class Kind(StrEnum):
    """What a log entry tells. The details of each are named in brackets."""

    POWERED_ON = "powered_on"
    DIALLED = "dialled"  # [url, subprotocols]
    CONNECTED = "connected"  # [protocol]
    REFUSED = "refused"  # [status: HTTP status or None, reason]
    DISCONNECTED = "disconnected"  # [how: network|close_frame|abort|silent|proxied, by: peer|own|network, code, reason]
    BOOT_SENT = "boot_sent"  # [reason]
    BOOT_ANSWERED = "boot_answered"  # [status, interval_s, reason]
    BOOT_ANSWER_LOST = "boot_answer_lost"
    STATUS_SENT = "status_sent"  # [connector, status]
    HEARTBEAT_SENT = "heartbeat_sent"
    TRIGGERED = "triggered"  # [message, connector]
    RESET_RECEIVED = "reset_received"  # [reset, type, message_id, evse]
    RESET_ANSWERED = "reset_answered"  # [reset, status]
    RESET_FORGOTTEN = "reset_forgotten"  # [reset]: another reboot came before the one this Reset had promised
    EVSE_RESET_BEGAN = "evse_reset_began"  # [reset, evse]
    EVSE_RESET_DONE = "evse_reset_done"  # [reset, evse]
    REBOOT_BEGAN = "reboot_began"  # [cause: reset|own|supervisor, reset: its number or None, leaves]
    REBOOT_DONE = "reboot_done"  # [cause, reset]
    TRANSACTION_STARTED = "transaction_started"  # [connector, transaction, meter_start_wh]
    TRANSACTION_ENDED = "transaction_ended"  # [connector, transaction, meter_stop_wh, reason]
    TRANSACTION_ORPHANED = "transaction_orphaned"  # [connector, transaction]: it ended, nobody will be told
    METER_SENT = "meter_sent"  # [connector, transaction, energy_wh]
    ACKNOWLEDGED = "acknowledged"  # [action, message_id]: the central system confirmed one of our calls
    CALL_TIMED_OUT = "call_timed_out"  # [action, message_id]
    CALL_FAILED = "call_failed"  # [action, message_id, code, description]: CALLERROR, or an answer against the schema
    CALL_ERROR_SENT = "call_error_sent"  # [frame]
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One thing that happened, at the loop's time `at_s`."""

    at_s: float
    kind: Kind
    details: Mapping[str, Scalar] = field(default_factory=dict)

    def __str__(self) -> str:
        told = " ".join(f"{name}={value}" for name, value in self.details.items() if value is not None)
        return f"{self.kind.value.replace('_', ' '):20} {told}".rstrip()


class Journal:
    """Append-only log. `tell` hears each entry as it is written."""

    def __init__(self, clock: Callable[[], float], tell: Callable[[LogEntry], None] | None = None) -> None:
        self.entries: list[LogEntry] = []
        self._clock = clock
        self._tell = tell

    def write(self, kind: Kind, **details: Scalar) -> None:
        entry = LogEntry(self._clock(), kind, details)
        self.entries.append(entry)
        if self._tell is not None:
            self._tell(entry)


@dataclass(slots=True)
class ResetStory:
    """All that the charger knows of one Reset: was it answered, did it really reboot because of it, and when.

    `boot_accepted_at_s` is the first accepted boot after that reboot. None: it did not happen (yet).
    """

    reset: int
    message_id: str
    type: str
    evse: int | None
    received_at_s: float
    answer: str | None = None
    answered_at_s: float | None = None
    reboot_began_at_s: float | None = None
    reboot_done_at_s: float | None = None
    boot_accepted_at_s: float | None = None
    evse_reset_done_at_s: float | None = None
    forgotten: bool = False


def reset_stories(log: Iterable[LogEntry]) -> list[ResetStory]:
    """Retell a log as one story for each Reset, in order of receipt."""
    stories: dict[Scalar, ResetStory] = {}
    rebooted: ResetStory | None = None
    for entry in log:
        if entry.kind is Kind.RESET_RECEIVED:
            story = _new_story(entry)
            stories[story.reset] = story
        elif _is_accepted_boot(entry):
            if rebooted is not None and rebooted.boot_accepted_at_s is None:
                rebooted.boot_accepted_at_s = entry.at_s
        elif entry.kind is Kind.REBOOT_BEGAN and entry.details["reset"] is None:
            rebooted = None
        elif (known := stories.get(entry.details.get("reset"))) is not None:
            _add_to_story(known, entry)
            rebooted = known if entry.kind is Kind.REBOOT_DONE else rebooted
    return list(stories.values())


def _is_accepted_boot(entry: LogEntry) -> bool:
    """True for a boot that the charger announced by itself and that was accepted."""
    told = entry.details
    return entry.kind is Kind.BOOT_ANSWERED and told["status"] == "Accepted" and told["reason"] != "Triggered"


def _new_story(entry: LogEntry) -> ResetStory:
    told = entry.details
    number, evse = told["reset"], told.get("evse")
    assert isinstance(number, int)
    return ResetStory(
        reset=number,
        message_id=str(told["message_id"]),
        type=str(told["type"]),
        evse=evse if isinstance(evse, int) else None,
        received_at_s=entry.at_s,
    )


def _add_to_story(story: ResetStory, entry: LogEntry) -> None:
    match entry.kind:
        case Kind.RESET_ANSWERED:
            story.answer, story.answered_at_s = str(entry.details["status"]), entry.at_s
        case Kind.REBOOT_BEGAN:
            story.reboot_began_at_s = entry.at_s
        case Kind.REBOOT_DONE:
            story.reboot_done_at_s = entry.at_s
        case Kind.EVSE_RESET_DONE:
            story.evse_reset_done_at_s = entry.at_s
        case Kind.RESET_FORGOTTEN:
            story.forgotten = True
        case _:
            pass
