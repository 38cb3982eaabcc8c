"""A story for the simulated world, made from a seed: who the chargers are, what people click, what breaks and when.

A scenario is data and can be written by hand as well. Times are virtual seconds since the world began.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from borne.sim.behaviour import Behaviour, Habits
from borne.sim.behaviours import BEHAVIOURS
from borne.sim.oddities import BY_THE_BOOK, Oddities

Do = Literal[
    "click",  # a restart is asked for [person, when: now|free|seconds from now, kind, evse, key, retry]
    "withdraw",  # the charger's open restart is withdrawn [person]
    "batch",  # every charger is ticked and restarted [person]
    "demote",  # the second person loses the role, for a while [for_s]
    "plan",  # the organisation's plan lapses, for a while [for_s]
    "disable",  # the charger is disabled, for a while [for_s]
    "move",  # the charger goes to another location
    "trigger",  # we ask the charger to announce itself
    "firmware",  # the charger updates its firmware [for_s]
    "reboot",  # the charger reboots by itself
    "power_cut",  # the charger loses its power; its network stack says nothing
    "lose_network",  # the charger notices that its network is gone [away_s]
    "cut",  # nothing comes through any more [charger_s, server_s: when each side learns of it, None: never]
    "cut_at_reset",  # the same, at the next Reset [when: leaves|arrives|answered, charger_s, server_s]
    "lag",  # everything takes long, for a while [latency_s, for_s]
    "outage",  # nobody can dial, for a while [for_s]
    "repeat_call",  # the charger sends its last confirmed message again [fresh: with a new message id]
    "kill",  # the server dies [where, nth, down_s, says_so]
    "stop",  # the server is stopped in good order and started again [down_s]
    "clock_step",  # somebody sets the server's clock [by_s]
]
KillPoint = Literal[
    "now", "before_commit", "after_commit", "after_taken", "before_reset", "after_reset", "after_answer"
]
KILL_POINTS: tuple[KillPoint, ...] = KillPoint.__args__  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class Step:
    """Something that somebody does, at `at_s`, to the charger number `charger` (where it concerns one)."""

    at_s: float
    do: Do
    charger: int = 0
    details: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        told = " ".join(f"{name}={value}" for name, value in self.details.items())
        return f"{self.do} charger {self.charger} {told}".rstrip()


@dataclass(frozen=True, slots=True)
class ChargerPlan:
    """One simulated charger."""

    behaviour: Behaviour
    protocol: Literal["1.6", "2.0.1"] = "1.6"
    starts_at_s: float = 0.0
    latency_s: float = 0.02
    connectors: int = 1
    habits: Habits | None = None
    oddities: Oddities = BY_THE_BOOK
    model: str = "other"
    has_secret: bool = True
    ping_s: int | None = None


@dataclass(frozen=True, slots=True)
class Scenario:
    """A whole story. `deadline_s`: bounds of the time until a verdict. `until_s`: the world goes on at least that long."""

    chargers: tuple[ChargerPlan, ...]
    steps: tuple[Step, ...] = ()
    deadline_s: tuple[int, int] = (300, 1200)
    heartbeat_s: int = 40
    until_s: float = 60.0
    at_once: int = 5


# A reboot that leaves no trace at all (the socket stays, nothing is announced) is in nobody's behaviour: no rule could see it.
_ANY: tuple[str, ...] = tuple(BEHAVIOURS)
_WEIGHTS = {"by-the-book": 3.0, "firmware-a-session": 0.3, "evse-reset": 2.0, "boot-repeated": 1.5, "late-return": 1.5}
_ONLY_201 = ("firmware-a-201", "simulator-c-201", "evse-reset", "schedules-and-forgets")
_ONLY_16 = ("firmware-a", "firmware-a-session", "simulator-c-soft", "simulator-c-hard", "firmware-b")
_WITH_SESSIONS = ("waits-for-session", "schedules-and-forgets", "simulator-c-201", "firmware-a-session", "firmware-b")
_REASONS = ("PowerUp", "PowerUp", "RemoteReset", "Watchdog", "Unknown", "ScheduledReset")
_FIRST_CLICK_S = 45.0
_PEOPLE = 2


def from_seed(seed: int) -> Scenario:
    """The scenario of a seed; always the same one."""
    rng = random.Random(f"scenario {seed}")
    chargers = tuple(_charger(rng) for _ in range(rng.choice((2, 2, 3, 3, 4, 5, 6))))
    odd_rng = random.Random(f"oddities {seed}")
    chargers = tuple(replace(plan, oddities=_oddities(odd_rng, plan)) for plan in chargers)
    steps: list[Step] = []
    for number, plan in enumerate(chargers):
        steps += _clicks(rng, number, plan)
    for _ in range(rng.choice((0, 0, 1, 1, 2, 3, 5))):
        steps.append(_trouble(rng, len(chargers)))
    for _ in range(rng.choice((0, 0, 0, 1, 1, 2, 3))):
        steps.append(_server_trouble(rng, steps))
    if rng.random() < 0.1:
        steps.append(Step(_FIRST_CLICK_S + rng.uniform(0, 300), "batch", 0, {"person": 0}))
    steps.sort(key=lambda step: step.at_s)
    deadline_s = rng.choice(((120, 240), (120, 240), (150, 300), (300, 1200)))
    return Scenario(
        chargers, tuple(steps), deadline_s, heartbeat_s=rng.choice((20, 40, 40, 120)), at_once=rng.choice((1, 2, 5))
    )


def _charger(rng: random.Random) -> ChargerPlan:
    name = rng.choices(_ANY, [_WEIGHTS.get(known, 1.0) for known in _ANY])[0]
    protocol: Literal["1.6", "2.0.1"] = (
        "2.0.1" if name in _ONLY_201 else "1.6" if name in _ONLY_16 else rng.choice(("1.6", "2.0.1"))
    )
    behaviour = BEHAVIOURS[name]
    changes: dict[str, Any] = {"reconnect_max_s": 10.0}
    if name == "late-return":
        changes["away_s"] = rng.uniform(260, 700)
    if name == "reboots-by-itself":
        changes["reboots_by_itself_every_s"] = rng.uniform(60, 200)
    if behaviour.loses_network_every_s:
        changes["loses_network_every_s"] = rng.uniform(40, 200)
    if behaviour.boot_reason == "PowerUp":
        changes["boot_reason"] = rng.choice(_REASONS)
    if rng.random() < 0.15:
        changes["statuses_on_reconnect"] = False
    if rng.random() < 0.1 and behaviour.boot == "yes" and not behaviour.boot_delay_s:
        changes["boot_delay_s"] = rng.uniform(1, 40)
    if rng.random() < 0.15:
        changes["message_ids"] = "counter"
    if rng.random() < 0.15 and behaviour.reboots:
        changes["session_end"] = rng.choice(("stopped", "orphaned", "stopped_late"))
    connectors = rng.choice((1, 1, 2))
    charges = rng.random() < (0.9 if name in _WITH_SESSIONS else 0.3)
    habits = Habits(
        connectors=tuple(range(1, rng.randint(1, connectors) + 1)),
        first_after_s=rng.uniform(5, 60),
        lasts_s=rng.uniform(40, 400),
        pause_s=rng.uniform(10, 200),
        meter_every_s=rng.choice((15.0, 30.0)),
    )
    return ChargerPlan(
        replace(behaviour, **changes),
        protocol,
        starts_at_s=rng.choice((0.0, rng.uniform(0, 30))),
        latency_s=rng.choice((0.001, 0.02, 0.02, 0.3, 1.5)),
        connectors=connectors,
        habits=habits if charges else None,
        model=rng.choice(("other", "other", "pulsar-plus", "commander-2")),
        has_secret=rng.random() < 0.85,
    )


def _oddities(rng: random.Random, plan: ChargerPlan) -> Oddities:
    """One oddity at most: what two make together is nothing that anybody promised."""
    known: list[Oddities] = [
        *(Oddities(start_again=how) for how in ("same", "fresh")),
        *(Oddities(stop_again=how) for how in ("same", "other")),
        *(Oddities(register_resets=how) for how in ("session", "midway")),
        Oddities(start_lost=True),
        Oddities(stop_late_s=rng.uniform(2, 60)),
        Oddities(stop_below_start=True),
        Oddities(forgets_stop=True),
        Oddities(meter_after_stop=True),
    ]
    if plan.protocol == "1.6":
        known += (Oddities(stop_id=how) for how in ("none", "zero", "unknown"))
        known += (Oddities(relative_between=True), Oddities(relative_between=True))
    else:
        known += (Oddities(ended_first=True), Oddities(ended_first=True), Oddities(seq_gap=True))
    return rng.choice(known) if rng.random() < 0.5 else BY_THE_BOOK


def _clicks(rng: random.Random, number: int, plan: ChargerPlan) -> list[Step]:
    steps: list[Step] = []
    early = (
        3 if plan.behaviour.boot_sends > 1 or plan.behaviour.boot_delay_s else 1
    )  # while its first boot is still in doubt
    first = [rng.uniform(0.05, 5 * early) for _ in range(2 * early - 1)] + [
        rng.uniform(_FIRST_CLICK_S, 240) for _ in range(5)
    ]
    at_s = plan.starts_at_s + rng.choice(first)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        details = _click(rng, plan)
        steps.append(Step(at_s, "click", number, details))
        match rng.random():
            case chance if chance < 0.15:  # a double click, or somebody else's
                again = details if rng.random() < 0.5 else {**details, "person": rng.randrange(_PEOPLE), "key": None}
                steps.append(Step(at_s + rng.choice((0.0, 0.002, 0.1, 2.0)), "click", number, again))
            case chance if chance < 0.22 and details["when"] != "now":
                steps.append(Step(at_s + rng.uniform(1, 60), "withdraw", number, {"person": 0}))
            case chance if chance < 0.27:
                steps.append(
                    Step(max(0.0, at_s + rng.uniform(-5, 5)), "firmware", number, {"for_s": rng.uniform(5, 60)})
                )
            case chance if chance < 0.37:
                steps.append(Step(at_s - 0.001, "cut_at_reset", number, _cut_at_reset(rng)))
            case chance if chance < 0.41:
                steps.append(Step(at_s + rng.choice((0.0, rng.uniform(0, 3), rng.uniform(0, 60))), "reboot", number))
            case chance if chance < 0.45:
                steps.append(Step(at_s + rng.uniform(-20, 20), "power_cut", number))
            case _:
                pass
        at_s += rng.choice((rng.uniform(5, 60), rng.uniform(60, 400)))
    return steps


def _click(rng: random.Random, plan: ChargerPlan) -> dict[str, Any]:
    by_evse = plan.protocol == "2.0.1" and (plan.behaviour.name == "evse-reset" or rng.random() < 0.1)
    when: Any = rng.choices(("now", "free", rng.uniform(1, 120)), (8, 2 if plan.habits else 0.3, 1))[0]
    return {
        "person": rng.choices((0, 1), (3, 1))[0],
        "when": when,
        "kind": rng.choice((None, "soft", "hard")),
        "evse": rng.randint(1, plan.connectors) if by_evse and rng.random() < 0.8 else None,
        "key": f"k{rng.getrandbits(32)}" if rng.random() < 0.7 else None,
        "retry": rng.random() < 0.5,
    }


def _cut_at_reset(rng: random.Random) -> dict[str, Any]:
    return {"when": rng.choice(("leaves", "arrives", "answered")), **_learning(rng)}


def _learning(rng: random.Random) -> dict[str, Any]:
    """When the two sides of a cut learn of it."""
    return {
        "charger_s": rng.choice((0.0, rng.uniform(0, 5), rng.uniform(5, 90))),
        "server_s": rng.choice((0.0, None, None, rng.uniform(0, 40))),
        "proxied": rng.random() < 0.15,
    }


def _trouble(rng: random.Random, chargers: int) -> Step:
    at_s, number = rng.uniform(5, 600), rng.randrange(chargers)
    do = rng.choice(
        ("lose_network", "cut", "cut", "lag", "outage", "power_cut", "reboot", "firmware", "trigger", "demote", "plan", "disable",
         "move", "repeat_call", "repeat_call")
    )  # fmt: skip
    details: dict[str, Any] = {}
    match do:
        case "lose_network":
            details = {"away_s": rng.choice((None, rng.uniform(0.5, 30), rng.uniform(100, 300)))}
        case "cut":
            details = _learning(rng)
        case "lag":
            details = {"latency_s": rng.uniform(1, 12), "for_s": rng.uniform(5, 60)}
        case "outage" | "firmware" | "demote" | "plan" | "disable":
            details = {"for_s": rng.choice((rng.uniform(1, 30), rng.uniform(30, 200)))}
        case "repeat_call":
            details = {"fresh": rng.random() < 0.5}
    return Step(at_s, do, number, details)  # type: ignore[arg-type]


def _server_trouble(rng: random.Random, steps: list[Step]) -> Step:
    """The server's own misfortune, mostly near a click: there is most to lose."""
    clicks = [step.at_s for step in steps if step.do == "click"]
    at_s = max(
        0.5, rng.choice(clicks) + rng.choice((-0.01, 0.0, rng.uniform(0, 2), rng.uniform(0, 60), rng.uniform(0, 300)))
    )
    match rng.random():
        case chance if chance < 0.15:
            return Step(at_s, "stop", 0, {"down_s": _downtime(rng)})
        case chance if chance < 0.3:
            by_s = rng.choice((-1, 1)) * rng.choice((rng.uniform(2, 60), rng.uniform(60, 7200)))
            return Step(at_s, "clock_step", 0, {"by_s": by_s})
    where = rng.choice(KILL_POINTS)
    nth = rng.randint(1, 30) if where in ("before_commit", "after_commit") else 1
    return Step(at_s, "kill", 0, {"where": where, "nth": nth, "down_s": _downtime(rng), "says_so": rng.random() < 0.7})


def _downtime(rng: random.Random) -> float:
    return rng.choice((0.05, rng.uniform(0.5, 5), rng.uniform(5, 40), rng.uniform(40, 240)))
