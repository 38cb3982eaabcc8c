#!/usr/bin/env python3
"""Draw the restart machine from its code: step it with every fact it may meet, from every state it may be in.

Writes the diagram and the table of verdicts between the marks in docs/restart-states.md. With --check it only says whether they
are current (exit 1 if not).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

from msgspec.structs import replace

from borne.core import restart as machine
from borne.core.facts import (
    Booted,
    BootTriggered,
    ChargerRemoved,
    Fact,
    LinkLost,
    LinkOpened,
    Removal,
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
    StatusChanged,
    Woke,
)
from borne.core.restart_state import BEFORE_SENDING, PHASES, RestartState

PAGE = Path(__file__).parent.parent / "docs" / "restart-states.md"
BEGIN, END = "<!-- generated: scripts/state_diagram.py -->", "<!-- end of what is generated -->"

START_MS = 1_000_000_000_000
TICK_MS = 1_000
CHARGER, RESTART = 1, 1
DEADLINE_MS = 300_000
# What the machine's next move depends on, apart from times.
KEY = (
    "phase", "evse", "when_free", "booted_on_link", "announces_boots", "plain_reconnects_boot", "charging", "held_up",
    "answer", "left_ours", "boot_doubt", "boot_triggered", "verdict", "reason", "watches",
)  # fmt: skip
TIMES = ("written_ms", "idle_ms", "left_ms", "back_ms", "booted_ms", "evse_gone_ms", "down_ms")

Edge = tuple[str, str, str]  # from, what happened, to


def requests() -> Iterator[tuple[str, RestartRequested]]:
    """How a restart may begin."""
    for kind, evse in (("soft", None), ("hard", None), ("hard", 1)):
        common = {"charger_id": CHARGER, "at_ms": START_MS, "restart_id": RESTART, "kind": kind, "evse": evse}
        yield "asked for now", RestartRequested(**common)
        yield "asked for when it is free", RestartRequested(**common, when_free=True)
        yield "asked for a time", RestartRequested(**common, not_before_ms=START_MS + 60_000)
        yield "asked for in a batch", RestartRequested(**common, in_batch=True)


def facts(state: RestartState, at_ms: int) -> Iterator[tuple[str, Fact]]:
    """What may happen next, with its words."""
    mine = {"charger_id": CHARGER, "at_ms": at_ms}
    link = {**mine, "epoch": 1}
    ours = {**mine, "restart_id": RESTART}
    if state.phase == "queued":
        yield "released by its batch", RestartReleased(**ours)
    if state.phase in BEFORE_SENDING:
        yield "withdrawn", RestartWithdrawn(**ours, by="somebody")
        yield "a condition no longer holds", RestartRefused(**ours, reason="offline")
    if state.phase == "requested":
        yield from ((("committed as sent"), sent) for sent in sendings(link))
    if state.phase == "sent" and state.written_ms is None:
        yield "handed to the socket", RestartWritten(**ours, epoch=1)
        yield "could not be written", RestartUnwritten(**ours, epoch=1)
    if state.written_ms is not None and state.answer in (None, "timeout"):
        for status, code in (("accepted", None), ("scheduled", None), ("rejected", None), ("error", "NotSupported")):
            words = "never supported" if code else status
            yield words, RestartAnswered(**ours, epoch=1, status=status, code=code)
        yield "another error", RestartAnswered(**ours, epoch=1, status="error", code="InternalError")
        yield "no answer in time", RestartAnswered(**ours, epoch=1, status="timeout")
    if state.phase == "left" or (state.verdict is not None and state.left_ms is not None and state.back_ms is None):
        yield "a new link", LinkOpened(**mine, protocol="1.6", address="", incarnation=1, new_epoch=2)
    else:
        yield from on_a_link(state, mine)
    yield "the session ends", SessionEnded(**link, transaction="1")
    for why in get_args(Removal):
        yield "the charger is taken away", ChargerRemoved(**mine, why=why)
    yield "Borne was down", ServerReturned(**mine, down_from_ms=at_ms - 1)
    if state.wake_at_ms is not None and state.phase != "ended":
        words = {"waiting": "its time comes", "requested": "two minutes pass"}.get(state.phase, "the deadline passes")
        words = "a day passes" if state.phase == "waiting" and state.when_free else words
        due_ms = max(at_ms, state.wake_at_ms)
        for heard_ms in (None, due_ms - TICK_MS):
            yield words, Woke(charger_id=CHARGER, at_ms=due_ms, heard_ms=heard_ms)


def on_a_link(state: RestartState, mine: dict[str, int]) -> Iterator[tuple[str, Fact]]:
    """What may happen while the charger is connected."""
    link = {**mine, "epoch": 1 if state.back_ms is None else 2}
    said = {**link, "vendor": "", "model": ""}
    yield "the link is lost", LinkLost(**link, how="dropped", ours=False)
    yield "the link ends through us", LinkLost(**link, how="stopped", ours=True)
    yield "boots" if state.back_ms is None else "boots on a new link", Booted(**said)
    yield "boots, saying RemoteReset", Booted(**said, reason="RemoteReset")
    yield "a boot we asked for", Booted(**said, solicited=True)
    yield "we ask for a boot", BootTriggered(**link)
    if state.evse is not None:
        yield "the EVSE goes away", StatusChanged(**link, evse=1, connector=1, status="unavailable")
        yield "the EVSE is back", StatusChanged(**link, evse=1, connector=1, status="available")


def sendings(link: dict[str, int]) -> Iterator[RestartSent]:
    """What may be known of the charger when its Reset goes out."""
    for booted, announces, plain, charging in (
        (True, True, False, False),
        (True, True, True, False),
        (False, True, None, False),
        (True, False, None, False),
        (True, True, False, True),
    ):
        yield RestartSent(
            **link,
            restart_id=RESTART,
            link_opened_ms=link["at_ms"] - TICK_MS,
            booted_on_link=booted,
            announces_boots=announces,
            plain_reconnects_boot=plain,
            charging=charging,
            deadline_after_ms=DEADLINE_MS,
        )


def key(state: RestartState) -> tuple[object, ...]:
    """States that go on in the same way are one."""
    timely = state.left_ms is not None and state.back_ms is not None and state.left_ms < (state.idle_ms or 0)
    if state.phase != "waiting":
        state = replace(state, when_free=False)
    return (*(getattr(state, name) for name in KEY), *(bool(getattr(state, name)) for name in TIMES), timely)


def name_of(state: RestartState) -> str:
    """A state's box in the diagram: its phase, or its verdict."""
    return state.verdict or state.phase


def explore() -> tuple[set[Edge], set[tuple[str, str, str]]]:
    """All edges, and every (verdict, reason, box it came from)."""
    edges: set[Edge] = set()
    reasons: set[tuple[str, str, str]] = set()
    seen: set[tuple[object, ...]] = set()
    todo: list[tuple[RestartState, int]] = []

    def reached(before: str, words: str, state: RestartState, at_ms: int) -> None:
        after = name_of(state)
        if before != after:
            edges.add((before, words, after))
        if state.verdict is not None and before != after:
            reasons.add((state.verdict, state.reason or "", before))
        if key(state) not in seen:
            seen.add(key(state))
            # once released, one of a batch goes on like any other: its slot is the batch's affair
            todo.append((replace(state, steps=(), in_batch=state.phase == "queued"), at_ms))

    for words, request in requests():
        reached("[*]", words, machine.start(request)[0], START_MS)
    while todo:
        state, now_ms = todo.pop()
        if not state.watches or state.verdict == "succeeded":
            continue
        at_ms = now_ms + TICK_MS
        for words, fact in facts(state, at_ms):
            reached(name_of(state), words, machine.step(state, fact)[0], fact.at_ms)
        if state.phase == "waiting" and state.when_free:
            free = Woke(charger_id=CHARGER, at_ms=at_ms)
            reached(name_of(state), "it is free", machine.became_free(state, free)[0], at_ms)
    return edges, reasons


def render() -> str:
    """The diagram and the table, as Markdown."""
    edges, reasons = explore()
    order = ["[*]", *(phase for phase in PHASES if phase != "ended"), "succeeded", "failed", "unknown", "not_sent"]
    joined: dict[tuple[str, str], set[str]] = {}
    for before, words, after in edges:
        joined.setdefault((before, after), set()).add(words)
    lines = ["```mermaid", "stateDiagram-v2"]
    for before, after in sorted(joined, key=lambda pair: (order.index(pair[0]), order.index(pair[1]))):
        lines.append(f"    {before} --> {after}: {'<br/>'.join(sorted(joined[before, after]))}")
    lines += ["```", "", "| verdict | reason | reached from |", "|---|---|---|"]
    for verdict, reason in sorted({(v, r) for v, r, _ in reasons}, key=lambda pair: (order.index(pair[0]), pair[1])):
        froms = sorted((b for v, r, b in reasons if (v, r) == (verdict, reason)), key=order.index)
        lines.append(f"| {verdict} | {reason} | {', '.join(froms)} |")
    return "\n".join(lines)


def page(old: str) -> str:
    """The page with what is between its marks drawn anew."""
    before, rest = old.split(BEGIN, 1)
    after = rest.split(END, 1)[1]
    return f"{before}{BEGIN}\n\n{render()}\n\n{END}{after}"


def main() -> int:
    """Write the page, or check it."""
    old = PAGE.read_text(encoding="utf-8")
    new = page(old)
    if "--check" in sys.argv[1:]:
        return int(old != new)
    PAGE.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
