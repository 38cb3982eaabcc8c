"""The judge of a simulated world. The truth is in the chargers' own logs and on the wires; Borne's rows are what is judged.

Each check returns sentences; an empty list means that all is well. Where the rule of the verdict itself can be fooled, the case
stands in `EXCUSES` by name, with its reason, as narrow as it can be made; everything else is a violation.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from borne.core.restart_state import MAX_STEPS
from borne.core.verdict import HEARD_RECENTLY_MS, PROMPT_LOSS_MS
from borne.sim.journal import Kind, LogEntry, ResetStory, reset_stories
from borne.sim.kept import clicks_kept, nothing_lost
from borne.sim.meters import sessions_true
from borne.sim.recorded import all_recorded

if TYPE_CHECKING:
    from borne.sim.lossy_net import Wire
    from borne.sim.records import Charger, ResetFrame, Seen
    from borne.sim.world import World

EXCUSES = {
    "rebooted_by_itself": "the charger rebooted by itself while its verdict was due: nobody outside can tell that from the "
    "Reset's doing",
    "earlier_reboot": "the boot was that of an earlier reboot whose announcement had not been confirmed when the Reset was "
    "written: its answer was lost, or the old link was not yet noticed dead",
    "boots_at_plain_reconnect": "a charger that announces a boot at plain reconnects too did nothing and lost its network within "
    "60 s of the writing, of Accepted or of the end of the session",
    "evse_status_untold": "the EVSE came back, but the charger never said so: its link was down then, and it reports nothing on "
    "reconnect",
}

NOTICED_S = 35.0  # two ping periods and a bit: what happened later than this before the verdict could not be known
SETTLED_S = 45.0
POLL_S = 12.0  # how long a change by another process may take to reach the gateway
CALM_BEFORE_S = 250.0
SLACK_S = 8.0  # of the timers, of latency, of a commit


@dataclass(frozen=True, slots=True)
class Reboot:
    """One reboot, as the charger logged it. `done_s` None: it never came back."""

    began_s: float
    cause: str
    reset: int | None
    done_s: float | None = None


@dataclass(slots=True)
class Case:
    """A restart: what Borne says of it, and what the charger knows of it."""

    id: int
    charger: Charger
    evse: int | None
    state: dict[str, Any]
    history: list[Seen]
    frame: ResetFrame | None
    story: ResetStory | None
    reboots: list[Reboot]

    @property
    def name(self) -> str:
        return f"restart {self.id} of {self.charger.identity} ({self.charger.plan.behaviour.name}, {self.charger.plan.protocol})"

    def verdicts(self) -> Iterator[Seen]:
        """Each verdict that was shown, the first and the upgrades."""
        shown: tuple[str | None, str | None] = (None, None)
        for seen in self.history:
            if seen.verdict is not None and (seen.verdict, seen.reason) != shown:
                shown = seen.verdict, seen.reason
                yield seen

    def entries(self, *kinds: Kind, after_s: float = 0.0, before_s: float = float("inf")) -> list[LogEntry]:
        """The charger's log between two instants."""
        return [e for e in self.charger.log if e.kind in kinds and after_s < e.at_s <= before_s]


@dataclass
class Report:
    """What the judge found."""

    violations: list[str] = field(default_factory=list)
    excused: Counter[str] = field(default_factory=Counter)
    verdicts: Counter[str] = field(default_factory=Counter)
    cases: list[Case] = field(default_factory=list)


def judge(world: World) -> Report:
    """All checks. The world has settled, its last server still runs."""
    world.look_at_all()
    report = Report(cases=cases_of(world))
    report.violations += world.faults
    for case in report.cases:
        report.violations += _no_wrong_verdict(world, case, report)
        report.violations += _no_lazy_unknown(world, case)
        report.violations += _in_time(world, case)
    report.violations += _never_twice(world)
    report.violations += _all_end(world)
    for charger in world.chargers:
        report.violations += nothing_lost(world, charger)
        report.violations += _live_truth(world, charger)
    report.violations += clicks_kept(world)
    report.violations += sessions_true(world)
    report.violations += all_recorded(world)
    report.violations += _bounds(world)
    return report


def cases_of(world: World) -> list[Case]:
    """Every restart, beside what its charger knows."""
    stories = {c.id: {s.message_id: s for s in reset_stories(c.log)} for c in world.chargers}
    frames = {frame.restart: frame for frame in world.frames}
    cases = []
    for restart_id, charger_id, evse, state in world.rows(
        "SELECT id, charger_id, evse, state FROM restarts ORDER BY id"
    ):
        charger = world.by_id(charger_id)
        frame = frames.get(restart_id)
        story = stories[charger_id].get(frame.message_id) if frame is not None else None
        history = world.history.get(restart_id, [])
        cases.append(Case(restart_id, charger, evse, json.loads(state), history, frame, story, reboots_of(charger)))
    return cases


def reboots_of(charger: Charger) -> list[Reboot]:
    """The charger's reboots, in order."""
    found: list[Reboot] = []
    for entry in charger.log:
        told = entry.details
        if entry.kind is Kind.REBOOT_BEGAN:
            number = told["reset"]
            found.append(Reboot(entry.at_s, str(told["cause"]), number if isinstance(number, int) else None))
        elif entry.kind is Kind.REBOOT_DONE and found:
            last = found[-1]
            found[-1] = Reboot(last.began_s, last.cause, last.reset, entry.at_s)
    return found


# ---- (a) no wrong verdict ----------------------------------------------------------------------------------------


def _no_wrong_verdict(world: World, case: Case, report: Report) -> Iterable[str]:
    for seen in case.verdicts():
        report.verdicts[f"{seen.verdict}: {seen.reason}"] += 1
        match seen.verdict:
            case "succeeded":
                wrong = _wrong_success(world, case, seen)
            case "failed":
                wrong = _wrong_failure(case, seen)
            case "not_sent":
                wrong = "the charger was sent a Reset for it" if case.frame or case.story else None
            case _:
                wrong = None
        if wrong in EXCUSES:
            report.excused[wrong] += 1
        elif wrong is not None:
            yield f"{case.name}: {seen.verdict} ({seen.reason}) at {seen.at_s:.1f} s, but {wrong}"


def _wrong_success(world: World, case: Case, seen: Seen) -> str | None:
    """None, the name of an excuse, or what is wrong."""
    frame, story = case.frame, case.story
    if frame is None:
        return "no Reset was written"
    if seen.reason == "evse_back":
        return None if _evse_was_reset(case, seen) else "the EVSE was not reset"
    after = [r for r in case.reboots if frame.at_s <= r.began_s <= seen.at_s]
    if story is not None and any(r.reset == story.reset for r in after):
        return None
    if after:
        return "rebooted_by_itself"
    if _announced_earlier_reboot(case, seen):
        return "earlier_reboot"
    if case.charger.plan.behaviour.boots_on_plain_reconnect and _left_promptly(case, seen):
        return "boots_at_plain_reconnect"
    return "it did not reboot"


def _evse_was_reset(case: Case, seen: Seen) -> bool:
    assert case.frame is not None
    return bool(case.entries(Kind.EVSE_RESET_BEGAN, after_s=case.frame.at_s, before_s=seen.at_s))


def _announced_earlier_reboot(case: Case, seen: Seen) -> bool:
    """The last power-on before the writing was not confirmed to the charger when the Reset was written; on the same link the
    rule asks that its boot was answered there, so the charger must have sent it before."""
    frame = case.frame
    assert frame is not None
    ons = [e.at_s for e in case.entries(Kind.POWERED_ON, before_s=seen.at_s)]
    begins = [0.0, *(r.began_s for r in case.reboots)]
    began_s, on_s = begins[len(ons) - 1], ons[-1]
    if began_s > frame.at_s:
        return False
    confirmed = [e for e in case.entries(Kind.BOOT_ANSWERED, after_s=on_s) if e.details["status"] == "Accepted"]
    if confirmed and confirmed[0].at_s < frame.at_s:
        return False
    if seen.reason != "booted_same_link":
        return True
    linked = case.entries(Kind.CONNECTED, before_s=frame.at_s)
    return bool(linked and case.entries(Kind.BOOT_SENT, after_s=linked[-1].at_s - 1e-6, before_s=frame.at_s))


def _left_promptly(case: Case, seen: Seen) -> bool:
    frame, story = case.frame, case.story
    assert frame is not None
    starts = [frame.at_s]
    if story is not None and story.answered_at_s is not None:
        starts.append(story.answered_at_s)
    starts += [e.at_s for e in case.entries(Kind.TRANSACTION_ENDED, after_s=frame.at_s, before_s=seen.at_s)]
    unnoticed_s = frame.at_s - PROMPT_LOSS_MS / 1000  # it may have left before, and the news was still on its way
    ends = [e.at_s for e in case.entries(Kind.DISCONNECTED, after_s=unnoticed_s, before_s=seen.at_s)]
    ends += [at_s for at_s in case.charger.shaken if unnoticed_s <= at_s <= seen.at_s]
    return any(end - start <= PROMPT_LOSS_MS / 1000 + SLACK_S for end in ends for start in starts)


def _wrong_failure(case: Case, seen: Seen) -> str | None:
    frame, story = case.frame, case.story
    if seen.reason == "never_written":
        return "the charger received it" if story is not None else None
    if frame is None:
        return "no Reset was written"
    mine = [r for r in case.reboots if story is not None and r.reset == story.reset and r.began_s <= seen.at_s]
    match seen.reason:
        case "rejected" | "call_error":
            said = "Rejected" if seen.reason == "rejected" else "NotSupported"
            if story is None or story.answer != said:
                return f"the charger did not say {said}"
            return "it rebooted" if mine else None
        case "did_nothing":
            if story is None:
                return "the charger never received it"
            known = [r for r in case.reboots if frame.at_s <= r.began_s <= seen.at_s - NOTICED_S]
            return f"it rebooted at {known[0].began_s:.1f} s" if known else None
        case "did_not_come_back":
            return _came_back(case, seen)
        case "evse_did_not_come_back":
            done = case.entries(Kind.EVSE_RESET_DONE, after_s=frame.at_s, before_s=seen.at_s - SLACK_S)
            if not done:
                return None
            told = any(e.at_s >= done[0].at_s - 1 for e in case.entries(Kind.STATUS_SENT, before_s=seen.at_s))
            return "the EVSE came back" if told else "evse_status_untold"
    return "there is no such reason"


def _came_back(case: Case, seen: Seen) -> str | None:
    """A charger that did come back has had something confirmed on a link made after it left for the last time."""
    frame = case.frame
    assert frame is not None
    drops = case.entries(Kind.DISCONNECTED, after_s=frame.at_s, before_s=seen.at_s - SLACK_S)
    left_s = drops[-1].at_s if drops else frame.at_s
    for link in case.entries(Kind.CONNECTED, after_s=left_s, before_s=seen.at_s - SLACK_S):
        if case.entries(Kind.ACKNOWLEDGED, after_s=link.at_s, before_s=seen.at_s - SLACK_S):
            return f"it was back at {link.at_s:.1f} s"
    return None


# ---- an unknown where a proof was there --------------------------------------------------------------------------


def is_calm(world: World, case: Case, until_s: float) -> bool:
    """Nothing but the Reset touched this charger, its network, the server and its clock."""
    frame = case.frame
    if frame is None:
        return False
    since_s = frame.at_s - CALM_BEFORE_S
    touched = [*case.charger.shaken, *world.clock_steps, *(r.began_s for r in case.reboots if r.cause != "reset")]
    touched += [
        at_s for at_s, step in world.done if step.do in ("trigger", "repeat_call", "lag", "disable", "firmware")
    ]
    touched += [at_s for down in world.downs for at_s in down]
    return not any(since_s <= at_s <= until_s for at_s in touched) and not any(
        link.at_s > since_s and link.at_s < frame.at_s for link in case.entries(Kind.DISCONNECTED, before_s=frame.at_s)
    )


def expected(world: World, case: Case, seen: Seen) -> tuple[str, str] | None:
    """The verdict that the rules demand where nothing disturbed; None: an unknown is right, or it may be argued."""
    frame, story, behaviour = case.frame, case.story, case.charger.plan.behaviour
    if frame is None or story is None or not is_calm(world, case, seen.at_s):
        return None
    if story.answer == "Rejected":
        return "failed", "rejected"
    if story.answer == "NotSupported":
        return "failed", "call_error"
    if case.evse is not None:
        return ("succeeded", "evse_back") if _told_of_evse(case, seen) else None
    if story.reboot_began_at_s is None:
        return ("failed", "did_nothing") if _stayed(world, case, seen) else None
    starts = [at_s for at_s in (story.received_at_s, story.answered_at_s) if at_s is not None]
    prompt = min(abs(story.reboot_began_at_s - at_s) for at_s in starts) < PROMPT_LOSS_MS / 1000 - NOTICED_S
    if not behaviour.returns and behaviour.drop != "proxied" and story.answer == "Accepted":
        return ("failed", "did_not_come_back") if prompt else None
    booted_s = story.boot_accepted_at_s
    announced = booted_s is not None and booted_s < seen.at_s
    return ("succeeded", "") if announced and prompt and behaviour.boot == "yes" else None


def _told_of_evse(case: Case, seen: Seen) -> bool:
    """The charger said that the EVSE went, and that it came back."""
    began = case.entries(Kind.EVSE_RESET_BEGAN, after_s=case.frame.at_s if case.frame else 0.0)
    if not began:
        return False
    told = case.entries(Kind.STATUS_SENT, after_s=began[0].at_s - 1e-6, before_s=seen.at_s - SLACK_S)
    words = [entry.details["status"] for entry in told if entry.details["connector"] == case.evse]
    return "Unavailable" in words and words[-1] == "Available"


def _stayed(world: World, case: Case, seen: Seen) -> bool:
    """It accepted, and went on talking on the same link until the end."""
    frame, story, state = case.frame, case.story, case.state
    assert frame is not None
    assert story is not None
    window_ms = min(HEARD_RECENTLY_MS, (seen.at_s - frame.at_s) * 1000 / 3)
    talks = world.scenario.heartbeat_s * 1000 + 2000 < window_ms
    left = case.entries(Kind.DISCONNECTED, after_s=frame.at_s, before_s=seen.at_s)
    held_up = state.get("held_up") or state.get("idle_ms")
    booted = case.entries(Kind.BOOT_ANSWERED, before_s=frame.at_s)
    return bool(talks and not left and story.answer == "Accepted" and not held_up and booted)


def _no_lazy_unknown(world: World, case: Case) -> Iterable[str]:
    first = next(case.verdicts(), None)
    if first is None or first.verdict != "unknown":
        return
    due = expected(world, case, first)
    if due is not None:
        yield f"{case.name}: unknown ({first.reason}) at {first.at_s:.1f} s, but {' '.join(due)} was there to be proved"


# ---- (b) never twice, (d) every restart ends, (g) bounds, and in time ---------------------------------------------


def _never_twice(world: World) -> Iterable[str]:
    written = Counter(frame.restart for frame in world.frames)
    for frame in world.frames:
        if frame.restart is None:
            yield f"a Reset was sent to charger {frame.charger} at {frame.at_s:.1f} s that nobody had asked for"
        elif written[frame.restart] > 1:
            yield f"the Reset of restart {frame.restart} was written {written[frame.restart]} times"
    known = {frame.message_id for frame in world.frames}
    for charger in world.chargers:
        received = Counter(story.message_id for story in reset_stories(charger.log))
        for message_id, count in received.items():
            if message_id not in known or count > 1:
                yield f"{charger.identity} received the Reset {message_id} {count} times, from nowhere or twice"


def _all_end(world: World) -> Iterable[str]:
    for restart_id in world.open_restarts():
        yield f"restart {restart_id} has no verdict at the end: {world.history.get(restart_id, [None])[-1]}"
    shown = "SELECT c.id, status, c.restart_id, restart_verdict, verdict FROM chargers c JOIN restarts r ON r.id = c.restart_id"
    for charger_id, status, restart_id, said, verdict in world.rows(shown):
        if status == "restarting" or said != verdict:
            yield f"charger {charger_id} shows {status} and {said} for restart {restart_id}, which {verdict}"


def _in_time(world: World, case: Case) -> Iterable[str]:
    """A deadline comes neither early nor endlessly late, whatever the clock and the server did."""
    frame, first = case.frame, next(case.verdicts(), None)
    if frame is None or first is None:
        return
    least_s, most_s = world.scenario.deadline_s
    took_s = first.at_s - frame.at_s
    by_deadline = first.verdict == "unknown" or first.reason in ("did_nothing", "did_not_come_back")
    if by_deadline and took_s < least_s - 1:
        yield f"{case.name}: {first.verdict} ({first.reason}) after {took_s:.1f} s, before its deadline"
    waited = "scheduled" in {seen.phase for seen in case.history}
    down_s = sum(until_s - from_s + SLACK_S for from_s, until_s in world.downs if until_s >= frame.at_s)
    if not waited and took_s > most_s + down_s + SLACK_S * 2:
        yield f"{case.name}: {first.verdict} ({first.reason}) only after {took_s:.1f} s"


def _bounds(world: World) -> Iterable[str]:
    server = world.server
    if server is not None and server.links is not None and len(server.links) > len(world.chargers):
        yield f"{len(server.links)} links for {len(world.chargers)} chargers"
    for restart_id, state in world.rows("SELECT id, state FROM restarts"):
        if len(json.loads(state).get("steps", ())) > MAX_STEPS + 2:
            yield f"the timeline of restart {restart_id} has no bound"
    for fact, error in world.rows("SELECT fact, error FROM dead_letters"):
        yield f"a fact became a dead letter ({error}): {fact}"


# ---- (e) who is online -------------------------------------------------------------------------------------------


def _live_truth(world: World, charger: Charger) -> Iterable[str]:
    """After a calm while Borne shows online exactly the chargers that it can reach (or whose proxy answers for them)."""
    disabled = [(at_s, step) for at_s, step in world.done if step.do == "disable" and step.charger == charger.number]
    for entry in charger.log:
        http = entry.details["status"] if entry.kind is Kind.REFUSED else None
        rightly = any(at_s <= entry.at_s <= at_s + step.details["for_s"] + POLL_S for at_s, step in disabled)
        if http == 500 or (http == 401 and not rightly):
            yield f"{charger.identity} was refused with {http} at {entry.at_s:.1f} s"
    changes = [e.at_s for e in charger.log if e.kind in (Kind.CONNECTED, Kind.DISCONNECTED, Kind.REBOOT_BEGAN)]
    changes += charger.shaken
    if changes and world.now_s - max(changes) < SETTLED_S:
        return
    ((online,),) = world.rows("SELECT online FROM chargers WHERE id = ?", charger.id)
    reachable = any(_answers(wire) for wire in charger.wires)
    if bool(online) != reachable:
        yield f"{charger.identity} is shown {'online' if online else 'offline'}, but it is not so at {world.now_s:.0f} s"


def _answers(wire: Wire) -> bool:
    return wire.is_open or wire.proxy_answers
