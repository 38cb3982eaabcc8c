"""Nothing that was confirmed may be lost: what chargers were answered for, and what people were promised, is in the database."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from borne.sim.records import Charger
    from borne.sim.world import World


@dataclass(frozen=True, slots=True)
class Confirmed:
    """A call that the charger made, and the answer that reached it."""

    at_s: float
    text: str
    action: str
    payload: dict[str, Any]
    answer: dict[str, Any]


def confirmed_calls(charger: Charger) -> list[Confirmed]:
    """What the charger was answered for, in order of the answers. A message id names the newest call that had it."""
    calls: dict[str, tuple[str, list[Any]]] = {}
    found: list[Confirmed] = []
    for said in charger.said:
        frame = json.loads(said.text)
        if said.direction == "sent" and frame[0] == 2:
            calls[frame[1]] = said.text, frame
        elif said.direction == "received" and frame[0] == 3 and frame[1] in calls:
            text, call = calls[frame[1]]
            found.append(Confirmed(said.at_s, text, call[2], call[3], frame[2]))
    return found


def nothing_lost(world: World, charger: Charger) -> Iterable[str]:
    calls = confirmed_calls(charger)
    sessions = dict(world.rows('SELECT start_key, "transaction" FROM sessions WHERE charger_id = ?', charger.id))
    raws = {row[0] for row in world.rows("SELECT raw FROM session_messages WHERE charger_id = ?", charger.id)}
    readings = set(world.rows("SELECT value, device_ms FROM readings WHERE charger_id = ?", charger.id))
    kinds = Counter(row[0] for row in world.rows("SELECT kind FROM events WHERE charger_id = ?", charger.id))
    started: dict[str, Any] = {}
    for call in calls:
        lost = f"{charger.identity}: {call.action} confirmed at {call.at_s:.2f} s is lost: {call.text}"
        match call.action:
            case "StartTransaction":
                transaction = call.answer["transactionId"]
                if str(transaction) not in sessions.values():
                    yield lost
                if started.setdefault(json.dumps(call.payload), transaction) != transaction:
                    yield f"{charger.identity}: one start got two transactions: {call.text}"
            case "StopTransaction" | "TransactionEvent":
                if _raw(call) not in raws:
                    yield lost
            case "MeterValues":
                if not _sampled(call.payload) <= readings:
                    yield lost
            case _:
                pass
    for action, kind in (("BootNotification", "booted"), ("FirmwareStatusNotification", "firmware")):
        told = len({call.text for call in calls if call.action == action})
        if kinds[kind] < told:
            yield f"{charger.identity}: {told} {action} confirmed, {kinds[kind]} kept"
    yield from _statuses_kept(world, charger, calls)


def _raw(call: Confirmed) -> str:
    """The payload as it stood in the frame."""
    return call.text[call.text.index("{") : call.text.rindex("]")]


def _sampled(payload: dict[str, Any]) -> set[tuple[int, int]]:
    return {
        (int(sample["value"]), int(datetime.fromisoformat(group["timestamp"]).timestamp() * 1000 + 0.5))
        for group in payload["meterValue"]
        for sample in group["sampledValue"]
    }


def _statuses_kept(world: World, charger: Charger, calls: list[Confirmed]) -> Iterable[str]:
    """The last status told of each connector is the one that is shown, if it was confirmed."""
    last: dict[tuple[int, int], tuple[str, dict[str, Any]]] = {}
    for said in charger.said:
        if said.direction == "sent" and '"StatusNotification"' in said.text[:80]:
            payload = json.loads(said.text)[3]
            last[_place(payload)] = said.text, payload
    answered = {call.text for call in calls}
    ((state,),) = world.rows("SELECT state FROM chargers WHERE id = ?", charger.id)
    shown = {(row[0], row[1]): row[2] for row in json.loads(state).get("connectors", ())}
    for place, (text, payload) in last.items():
        status = (payload.get("status") or payload["connectorStatus"]).lower().removesuffix("evse").removesuffix("ev")
        if text in answered and shown.get(place) != status:
            yield f"{charger.identity}: connector {place} said {status}, which was confirmed, but {shown.get(place)} is shown"


def _place(payload: dict[str, Any]) -> tuple[int, int]:
    if "evseId" in payload:
        return payload["evseId"], payload["connectorId"]
    number = payload["connectorId"]
    return (number, 1) if number else (0, 0)


def clicks_kept(world: World) -> Iterable[str]:
    known = {row[0] for row in world.rows("SELECT id FROM restarts")}
    for click in world.clicks:
        if click.failed is not None:
            yield f"a click at {click.at_s:.1f} s failed: {click.failed}"
        elif (
            click.outcome is not None and click.outcome.restart_id is not None and click.outcome.restart_id not in known
        ):
            yield f"restart {click.outcome.restart_id}, which was promised at {click.at_s:.1f} s, is lost"
    keys: dict[str, int] = {}
    for click in world.clicks:
        promised = click.outcome.restart_id if click.outcome is not None else None
        if click.key is not None and promised is not None and keys.setdefault(click.key, promised) != promised:
            yield f"the key {click.key} made two restarts"
