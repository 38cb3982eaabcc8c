"""Which rows of the catalogue of faults a world met: a simulation that never meets a fault proves nothing about it.

Read from what really happened (the chargers' logs, the steps that were done), one predicate a row.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

from borne.sim.checks import Case, Report
from borne.sim.journal import Kind
from borne.sim.session_rows import SESSION_ROWS

if TYPE_CHECKING:
    from borne.sim.world import World

Meets = Callable[["World", Case], bool]


def _answer(case: Case) -> str | None:
    return case.story.answer if case.story is not None else None


def _rebooted(case: Case) -> bool:
    return case.story is not None and case.story.reboot_began_at_s is not None


def _ended_s(case: Case) -> float:
    return next((seen.at_s for seen in case.verdicts()), float("inf"))


def _left(case: Case) -> bool:
    return case.frame is not None and bool(
        case.entries(Kind.DISCONNECTED, after_s=case.frame.at_s, before_s=_ended_s(case))
    )


def _r1(world: World, case: Case) -> bool:
    return _answer(case) == "Accepted" and not _rebooted(case) and not _left(case) and case.evse is None


def _r2(world: World, case: Case) -> bool:
    plan = case.charger.plan
    return _rebooted(case) and plan.protocol == "1.6" and plan.behaviour.drop == "none" and case.state["kind"] == "soft"


def _r3(world: World, case: Case) -> bool:
    return _rebooted(case) and case.story is not None and case.story.reboot_done_at_s is None


def _r4(world: World, case: Case) -> bool:
    silent = case.charger.plan.behaviour.boot != "yes"
    return silent and case.story is not None and case.story.reboot_done_at_s is not None


def _r5(world: World, case: Case) -> bool:
    plan, story = case.charger.plan, case.story
    known = plan.protocol == "2.0.1" and plan.behaviour.boot_reason in ("PowerUp", "Watchdog")
    return known and story is not None and story.boot_accepted_at_s is not None


def _r6(world: World, case: Case) -> bool:
    asked_s = case.history[0].at_s if case.history else float("inf")
    return case.frame is None and any(asked_s <= r.began_s <= _ended_s(case) and r.cause == "own" for r in case.reboots)


def _r7(world: World, case: Case) -> bool:
    return case.story is not None and _left(case) and case.state.get("answer") in (None, "timeout")


def _r8(world: World, case: Case) -> bool:
    return _rebooted(case) and case.state.get("answer") in (None, "timeout")


def _r10(world: World, case: Case) -> bool:
    return any(c.outcome is not None and c.outcome.existing and c.outcome.restart_id == case.id for c in world.clicks)


def _r11(world: World, case: Case) -> bool:
    crashes = [from_s for from_s, _ in world.downs]
    return bool(case.history) and any(case.history[0].at_s <= at_s <= _ended_s(case) for at_s in crashes)


def _r14(world: World, case: Case) -> bool:
    return _answer(case) == "Scheduled" and any(seen.phase == "scheduled" for seen in case.history)


def _r15(world: World, case: Case) -> bool:
    return _r14(world, case) and not _rebooted(case) and case.state.get("idle_ms") is not None


def _r16(world: World, case: Case) -> bool:
    return case.story is not None and case.story.evse_reset_done_at_s is not None


def _r17(world: World, case: Case) -> bool:
    if case.frame is None or not _rebooted(case) or case.state["kind"] != "hard":
        return False
    begun = case.entries(Kind.TRANSACTION_STARTED, before_s=case.frame.at_s)
    ended = case.entries(Kind.TRANSACTION_ENDED, Kind.TRANSACTION_ORPHANED, before_s=case.frame.at_s)
    return len(begun) > len(ended)


def _r18(world: World, case: Case) -> bool:
    return case.state.get("reason") == "updating"


def _r19(world: World, case: Case) -> bool:
    return _rebooted(case) and case.charger.plan.behaviour.reboot_loop > 0 and bool(case.state.get("unstable"))


def _r20(world: World, case: Case) -> bool:
    bad = case.charger.plan.behaviour.back_status in ("Faulted", "Unavailable")
    return bad and case.story is not None and case.story.boot_accepted_at_s is not None


def _r23(world: World, case: Case) -> bool:
    return case.frame is not None and any(case.frame.at_s <= at_s <= _ended_s(case) for at_s in world.clock_steps)


def _plain_boots(world: World, case: Case) -> bool:
    return case.charger.plan.behaviour.boots_on_plain_reconnect and _left(case) and not _rebooted(case)


def _slow_first_boot(world: World, case: Case) -> bool:
    if case.frame is None or case.frame.at_s is None:
        return False
    links = case.entries(Kind.CONNECTED, before_s=case.frame.at_s)
    boots = case.entries(Kind.BOOT_SENT, after_s=case.frame.at_s)
    earlier = links and case.entries(Kind.BOOT_SENT, after_s=links[-1].at_s - 1e-6, before_s=case.frame.at_s)
    drops = case.entries(Kind.DISCONNECTED, after_s=case.frame.at_s)
    return bool(links and not earlier and boots and not (drops and drops[0].at_s < boots[0].at_s))


def _boot_repeated(world: World, case: Case) -> bool:
    return case.frame is not None and bool(
        case.entries(Kind.BOOT_ANSWER_LOST, after_s=case.frame.at_s - 10, before_s=_ended_s(case))
    )


def _dead_behind_proxy(world: World, case: Case) -> bool:
    return _rebooted(case) and case.charger.plan.behaviour.drop == "proxied"


def _borne_down(world: World, case: Case) -> bool:
    return case.frame is not None and any(case.frame.at_s <= from_s <= _ended_s(case) for from_s, _ in world.downs)


def _late_return(world: World, case: Case) -> bool:
    done_s = case.story.reboot_done_at_s if case.story is not None else None
    return done_s is not None and done_s > _ended_s(case)


def _silent_reboot(world: World, case: Case) -> bool:
    return _rebooted(case) and case.state.get("left_how") == "taken_over"


ROWS: dict[str, tuple[str, Meets]] = {
    "R1": ("accepted, never disconnects, no boot", _r1),
    "R2": ("1.6 Soft: boot on the same socket", _r2),
    "R3": ("disconnects, never returns", _r3),
    "R4": ("returns, announces no boot", _r4),
    "R5": ("boots with reason PowerUp or Watchdog", _r5),
    "R6": ("reboots by itself between click and send", _r6),
    "R7": ("socket drops after send, before the answer", _r7),
    "R8": ("answer lost, charger reboots", _r8),
    "R9": ("rejected", lambda world, case: _answer(case) == "Rejected"),
    "R10": ("two people, double click, retry with the key", _r10),
    "R11": ("server killed or stopped while it is open", _r11),
    "R14": ("Scheduled until the session ends", _r14),
    "R15": ("Scheduled, idle, then never", _r15),
    "R16": ("reset of an EVSE", _r16),
    "R17": ("hard during charging", _r17),
    "R18": ("firmware update under way", _r18),
    "R19": ("reboot loop", _r19),
    "R20": ("comes back Faulted or Unavailable", _r20),
    "R23": ("clock step on the server during the wait", _r23),
    "R24 plain": ("boots at plain reconnects", _plain_boots),
    "R24 slow": ("slow first boot after the settle time", _slow_first_boot),
    "R24 repeat": ("boot repeated, its answer was lost", _boot_repeated),
    "R24 proxy": ("proxy answers pings for a dead charger", _dead_behind_proxy),
    "R24 down": ("Borne restarts meanwhile", _borne_down),
    "R24 late": ("comes back after the verdict", _late_return),
    "R24 silent": ("reboots without closing, old link not yet noticed", _silent_reboot),
}


MEANINGS: dict[str, str] = {row: meaning for row, (meaning, _) in [*ROWS.items(), *SESSION_ROWS.items()]}


def met(world: World, report: Report) -> Counter[str]:
    """How many restarts and sessions of this world met each row."""
    found = Counter(dict.fromkeys(MEANINGS, 0))
    for charger in world.chargers:
        for session in charger.bot.sessions.past:
            for row, (_, does) in SESSION_ROWS.items():
                found[row] += does(world, charger, session)
    for case in report.cases:
        for row, (_, meets) in ROWS.items():
            found[row] += meets(world, case)
    return found
