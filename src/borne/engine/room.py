"""A room: one charger's machines in memory, and what lists show of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from borne.core import charger as charger_machine
from borne.core.charger import ChargerState
from borne.core.effects import Details
from borne.core.restart_state import UNDER_WAY, RestartState
from borne.store import rooms as store
from borne.store.db import Reader, Row

_charger_state = msgspec.json.Decoder(ChargerState)
_restart_state = msgspec.json.Decoder(RestartState)
_encode = msgspec.json.Encoder().encode


class Held:
    """A restart in a room."""

    __slots__ = ("batch_id", "location_id", "state", "version")

    def __init__(self, state: RestartState, version: int, batch_id: int | None, location_id: int) -> None:
        self.state = state
        self.version = version
        self.batch_id = batch_id
        self.location_id = location_id  # of its time


class Room:
    """One charger. The states are immutable; the room holds the newest. Dropped, not repaired, when a commit fails."""

    __slots__ = (
        "_listed", "charger_id", "disabled", "last_seen_ms", "location_id", "model", "open_sessions", "organisation_id",
        "restarts", "shown", "state", "version",
    )  # fmt: skip

    def __init__(self, row: Row) -> None:
        self.charger_id: int = row.id
        self.organisation_id: int = row.organisation_id
        self.location_id: int = row.location_id
        self.model: str = row.model
        self.disabled = bool(row.disabled)
        self.version: int = row.version
        self.state = _charger_state.decode(row.state)
        self.last_seen_ms: int | None = row.last_seen_ms
        # the restart that the charger's row shows: id, phase, verdict, instant of the verdict
        self.shown: tuple[int | None, str | None, str | None, int | None] = (
            row.restart_id, row.restart_phase, row.restart_verdict, row.restart_ended_ms,
        )  # fmt: skip
        self._listed = (row.status, row.attention, self.shown)  # as it is saved
        self.restarts: dict[int, Held] = {}
        self.open_sessions = 0

    @property
    def charging(self) -> bool:
        """A session runs, by its own messages or by what a connector says."""
        return self.open_sessions > 0 or self.state.shows_charging

    @property
    def open_restart(self) -> Held | None:
        """The restart without a verdict, if there is one (there is never more than one)."""
        return next((held for held in self.restarts.values() if held.state.verdict is None), None)

    @property
    def restarting(self) -> bool:
        held = self.open_restart
        return held is not None and held.state.phase in UNDER_WAY

    def status(self, at_ms: int) -> charger_machine.Status:
        """The charger's one word now."""
        return charger_machine.status(self.state, at_ms, restarting=self.restarting)

    def status_without_restart(self, at_ms: int) -> charger_machine.Status:
        """What the charger's word would be if nobody restarted it."""
        return charger_machine.status(self.state, at_ms, restarting=False)

    @property
    def listed_status(self) -> str:
        """The charger's one word as its row has it."""
        word: str = self._listed[0]
        return word

    def charger_row(self, at_ms: int) -> tuple[tuple[Any, ...], bool]:
        """The row for `store.save_chargers`, and whether it has what the list shows, too. The version counts on."""
        state = self.state
        row = (
            self.charger_id, self.version, self.version + 1, _encode(state).decode(), int(state.online), state.epoch,
            state.protocol, state.firmware,
        )  # fmt: skip
        self.version += 1
        status = self.status(at_ms)
        attention = status in ("fault", "offline") or self.shown[2] in ("failed", "unknown")
        listed = (status, int(attention), self.shown)
        if listed == self._listed:
            return row, False
        self._listed = listed
        return (*row, status, int(attention), self.last_seen_ms, *self.shown), True

    def trouble(self) -> Details:
        """The charger's word as it is saved, with what notices say of it."""
        state = self.state
        faulted = next((c for c in state.connectors if c.status == "faulted"), None)
        said = (faulted.vendor_error or faulted.error or faulted.info) if faulted is not None else None
        return {
            "status": self.listed_status,
            "epoch": state.epoch,
            "lost_ms": state.link_lost_ms,
            "ours": int(state.loss_ours),
            "said": said,
        }

    def restart_row(self, held: Held) -> tuple[Any, ...]:
        """The row for `store.save_restarts`; the version counts on."""
        state = held.state
        row = (
            state.id, held.version, held.version + 1, _encode(state).decode(), state.phase, int(state.verdict is None),
            int(state.watches), state.verdict, state.reason, state.not_before_ms, state.written_ms or
            state.sent_ms, state.ended_ms,
            state.duration_ms, state.wake_at_ms,
        )  # fmt: skip
        held.version += 1
        return row

    def show(self, state: RestartState) -> None:
        """Let the charger's row show this restart, unless a newer one is shown."""
        if self.shown[0] is None or state.id >= self.shown[0]:
            self.shown = (state.id, state.phase, state.verdict, state.ended_ms)


async def load(db: Reader, ids: Sequence[int]) -> list[Room]:
    """Load rooms; a charger that does not exist has none."""
    found = {row.id: Room(row) for row in await store.load_chargers(db, ids)}
    if not found:
        return []
    for row in await store.load_restarts(db, list(found)):
        found[row.charger_id].restarts[row.id] = Held(
            _restart_state.decode(row.state), row.version, row.batch_id, row.location_id
        )
    for charger_id, count in (await store.count_open_sessions(db, list(found))).items():
        found[charger_id].open_sessions = count
    return list(found.values())
