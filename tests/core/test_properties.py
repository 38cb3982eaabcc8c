"""What holds for every sequence of facts, sensible or not."""

from __future__ import annotations

from typing import Any, get_args

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from borne.core import charger as charger_machine
from borne.core import restart as restart_machine
from borne.core.charger import ChargerState
from borne.core.effects import SendRestart, TellBatch
from borne.core.facts import (
    AnswerStatus,
    Booted,
    BootTriggered,
    ClockStepped,
    ConnectorStatus,
    Fact,
    FirmwareStatusChanged,
    LinkLost,
    LinkOpened,
    LinkSettled,
    LossHow,
    Noted,
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
from borne.core.restart_state import BEFORE_SENDING, MAX_STEPS, RestartState, Verdict
from borne.core.verdict import FAILED_REASONS, NOT_SENT_REASONS, SUCCESS_REASONS, UNKNOWN_REASONS
from tests.support.tale import CHARGER, OTHER_RESTART, RESTART, ms

REASONS = {
    "succeeded": SUCCESS_REASONS, "failed": FAILED_REASONS, "unknown": UNKNOWN_REASONS, "not_sent": NOT_SENT_REASONS,
}  # fmt: skip
BOOT_REASONS = (None, "PowerUp", "RemoteReset", "ScheduledReset", "Triggered", "Watchdog")
OURS = ("stopped", "damped", "crashed", "misbehaved", "removed")


def epochs() -> st.SearchStrategy[int]:
    return st.integers(1, 4)


def facts_of_links() -> st.SearchStrategy[dict[str, Any]]:
    lost = st.builds(
        lambda how, ours, epoch: {"fact": LinkLost, "epoch": epoch, "how": how, "ours": how in OURS or ours},
        st.sampled_from(get_args(LossHow)),
        st.booleans(),
        epochs(),
    )
    opened = st.builds(
        lambda epoch: {"fact": LinkOpened, "protocol": "1.6", "address": "", "incarnation": 1, "new_epoch": epoch},
        epochs(),
    )
    booted = st.builds(
        lambda epoch, reason, solicited: {
            "fact": Booted, "epoch": epoch, "vendor": "", "model": "", "reason": reason, "solicited": solicited,
        },
        epochs(),
        st.sampled_from(BOOT_REASONS),
        st.booleans(),
    )  # fmt: skip
    status = st.builds(
        lambda epoch, evse, word: {"fact": StatusChanged, "epoch": epoch, "evse": evse, "connector": 1, "status": word},
        epochs(),
        st.integers(-1, 2),
        st.sampled_from(get_args(ConnectorStatus)),
    )
    others = st.one_of(
        st.builds(lambda e: {"fact": SessionEnded, "epoch": e, "transaction": "5"}, epochs()),
        st.builds(lambda e: {"fact": BootTriggered, "epoch": e}, epochs()),
        st.builds(lambda e: {"fact": LinkSettled, "epoch": e, "how": "heard"}, epochs()),
        st.builds(
            lambda e, b: {"fact": FirmwareStatusChanged, "epoch": e, "status": "x", "busy": b}, epochs(), st.booleans()
        ),
        st.builds(lambda e: {"fact": Noted, "epoch": e, "kind": "x", "details": {}}, epochs()),
    )
    return st.one_of(lost, opened, booted, status, others)


def facts_of_restarts() -> st.SearchStrategy[dict[str, Any]]:
    ids = st.sampled_from([RESTART, RESTART, RESTART, OTHER_RESTART])
    sent = st.builds(
        lambda restart_id, on_link, announces, plain, charging: {
            "fact": RestartSent, "restart_id": restart_id, "epoch": 1, "link_opened_ms": ms(-200), "booted_on_link": on_link,
            "announces_boots": announces, "plain_reconnects_boot": plain, "charging": charging, "deadline_after_ms": 300_000,
        },
        ids,
        st.booleans(),
        st.booleans(),
        st.sampled_from([None, True, False]),
        st.booleans(),
    )  # fmt: skip
    answered = st.builds(
        lambda status, code: {
            "fact": RestartAnswered,
            "restart_id": RESTART,
            "epoch": 1,
            "status": status,
            "code": code,
        },
        st.sampled_from(get_args(AnswerStatus)),
        st.sampled_from([None, "NotSupported", "InternalError"]),
    )
    rest = st.one_of(
        st.just({"fact": RestartReleased, "restart_id": RESTART}),
        st.just({"fact": RestartWithdrawn, "restart_id": RESTART, "by": "x"}),
        st.just({"fact": RestartRefused, "restart_id": RESTART, "reason": "offline"}),
        st.just({"fact": RestartWritten, "restart_id": RESTART, "epoch": 1}),
        st.just({"fact": RestartWritten, "restart_id": RESTART, "epoch": 1}),
        st.just({"fact": RestartUnwritten, "restart_id": RESTART, "epoch": 1}),
    )
    return st.one_of(sent, sent, answered, rest)


def facts_of_time() -> st.SearchStrategy[dict[str, Any]]:
    return st.one_of(
        st.builds(lambda heard: {"fact": Woke, "heard": heard}, st.sampled_from([None, 0, 5_000, 200_000])),
        st.just({"fact": Woke, "heard": 0, "due": True}),
        st.builds(lambda by_ms: {"fact": ClockStepped, "by_ms": by_ms}, st.integers(-4_000_000, 4_000_000)),
        st.builds(lambda down_ms: {"fact": ServerReturned, "down": down_ms}, st.integers(0, 4_000_000)),
    )


sequences = st.lists(
    st.tuples(
        st.one_of(facts_of_links(), facts_of_restarts(), facts_of_restarts(), facts_of_time()),
        st.sampled_from([0, 1, 10, 900, 9_000, 61_000, 130_000, 3_600_000]),
    ),
    max_size=40,
)
requests = st.builds(
    lambda kind, evse, in_batch, when: RestartRequested(
        charger_id=CHARGER, at_ms=ms(0), restart_id=RESTART, kind=kind, evse=evse, in_batch=in_batch,
        when_free=when == "free", not_before_ms=ms(50) if when == "time" else None,
    ),
    st.sampled_from(["soft", "hard"]),
    st.sampled_from([None, None, 1]),
    st.booleans(),
    st.sampled_from(["now", "now", "free", "time"]),
)  # fmt: skip


def fact_of(said: dict[str, Any], at_ms: int, state: RestartState) -> Fact:
    """The fact that a draw stands for, at its instant."""
    said = dict(said)
    kind = said.pop("fact")
    if kind is Woke:
        if said.pop("due", False) and state.wake_at_ms is not None:
            at_ms = max(at_ms, state.wake_at_ms)
        heard = said.pop("heard")
        return Woke(charger_id=CHARGER, at_ms=at_ms, heard_ms=None if heard is None else at_ms - heard)
    if kind is ServerReturned:
        return ServerReturned(charger_id=CHARGER, at_ms=at_ms, down_from_ms=at_ms - said["down"])
    made: Fact = kind(charger_id=CHARGER, at_ms=at_ms, **said)
    return made


def through_json(state: RestartState) -> RestartState:
    return msgspec.json.decode(msgspec.json.encode(state), type=RestartState)


def upgrades(before: RestartState, verdict: Verdict | None) -> bool:
    """What may become of a verdict: an unknown may be proved, who did not come back may come back."""
    if before.verdict == "unknown":
        return verdict == "succeeded"
    return before.reason == "did_not_come_back" and verdict in ("unknown", "succeeded")


def check_step(before: RestartState, after: RestartState, fact: Fact, evidence: bool) -> None:
    assert len(after.steps) <= MAX_STEPS + 4
    assert after.steps[: len(before.steps)] == before.steps
    assert (after.verdict is None) == (after.phase != "ended")
    if after.verdict is None:
        if after.phase != "queued":
            assert after.wake_at_ms is not None, "nobody would ever end it"
        return
    assert after.reason in REASONS[after.verdict]
    assert after.ended_ms is not None
    assert after.wake_at_ms is None or after.watches
    if before.verdict is None:
        if after.verdict == "succeeded":
            assert evidence, fact
            assert isinstance(fact, Booted | StatusChanged)
        if after.verdict == "not_sent":
            assert after.written_ms is None
        return
    if (after.verdict, after.reason) != (before.verdict, before.reason):
        assert upgrades(before, after.verdict), (before.verdict, before.reason, after.verdict)
        assert isinstance(fact, Booted | LinkOpened)
        assert after.first_verdict == (before.first_verdict or before.verdict)
        assert after.first_reason == (before.first_reason or before.reason)


@settings(max_examples=600, deadline=None)
@given(request=requests, sequence=sequences)
def test_whatever_comes_the_restart_machine_keeps_its_promises(
    request: RestartRequested, sequence: list[tuple[dict[str, Any], int]]
) -> None:
    state, effects = restart_machine.start(request)
    at_ms, written, boot_after, evse_after = ms(0), False, False, False
    sends, slots, verdicts = sum(isinstance(e, SendRestart) for e in effects), 0, 0
    for said, passed_ms in sequence:
        fact = fact_of(said, at_ms + passed_ms, state)
        at_ms = fact.at_ms
        down = state.down_ms > 0  # it may have been written although nobody could say so
        boot_after = isinstance(fact, Booted) and (written or (down and state.sent_ms is not None))
        evse_after = isinstance(fact, StatusChanged) and written and state.evse is not None
        after, effects = restart_machine.step(state, fact)
        check_step(state, after, fact, boot_after or evse_after)
        assert through_json(after) == after
        written = written or after.written_ms is not None
        sends += sum(isinstance(e, SendRestart) for e in effects)
        tells = [e for e in effects if isinstance(e, TellBatch)]
        slots += sum(tell.slot_freed for tell in tells)
        verdicts += sum(tell.verdict is not None for tell in tells)
        if isinstance(fact, RestartSent) and fact.restart_id != RESTART and state.verdict is not None:
            assert not after.watches
        if state.sent_ms is not None:
            assert not any(isinstance(e, SendRestart) for e in effects), "a second Reset was asked for"
        state = after
    assert sends <= 1
    assert slots <= 1
    assert verdicts == (state.verdict is not None and state.in_batch)


@settings(max_examples=300, deadline=None)
@given(request=requests, sequence=sequences)
def test_time_alone_ends_every_restart_that_is_not_queued(
    request: RestartRequested, sequence: list[tuple[dict[str, Any], int]]
) -> None:
    """From wherever chance led: striking the deadlines brings a verdict, and then silence."""
    state, _ = restart_machine.start(request)
    at_ms = ms(0)
    for said, passed_ms in sequence:
        fact = fact_of(said, at_ms + passed_ms, state)
        at_ms, (state, _) = fact.at_ms, restart_machine.step(state, fact)
    if state.phase == "queued":
        state, _ = restart_machine.step(state, RestartReleased(charger_id=CHARGER, at_ms=at_ms, restart_id=RESTART))
    for _ in range(8):
        if state.wake_at_ms is None:
            break
        at_ms = max(at_ms, state.wake_at_ms)
        state, _ = restart_machine.step(state, Woke(charger_id=CHARGER, at_ms=at_ms))
        assert state.wake_at_ms is None or state.wake_at_ms > at_ms, "it would be struck again and again"
    assert state.verdict is not None
    assert state.wake_at_ms is None
    assert not state.watches


@settings(max_examples=300, deadline=None)
@given(sequence=sequences)
def test_whatever_comes_the_charger_machine_keeps_its_promises(sequence: list[tuple[dict[str, Any], int]]) -> None:
    state, at_ms = ChargerState(), ms(0)
    nothing = restart_machine.start(RestartRequested(charger_id=CHARGER, at_ms=at_ms, restart_id=1, kind="hard"))[0]
    for said, passed_ms in sequence:
        fact = fact_of(said, at_ms + passed_ms, nothing)
        at_ms = fact.at_ms
        before = state
        state, _ = charger_machine.step(state, fact)
        assert state.epoch - before.epoch == isinstance(fact, LinkOpened)
        epoch = getattr(fact, "epoch", None)
        if epoch is not None and epoch != before.epoch:
            assert state == before
        assert charger_machine.status(state, at_ms, restarting=False) in charger_machine.STATUSES
        assert msgspec.json.decode(msgspec.json.encode(state), type=ChargerState) == state
        if state.online:
            assert state.epoch > 0


@settings(max_examples=200, deadline=None)
@given(request=requests, sequence=sequences, name=st.sampled_from(sorted(BEFORE_SENDING)))
def test_before_the_reset_is_sent_no_evidence_counts(
    request: RestartRequested, sequence: list[tuple[dict[str, Any], int]], name: Any
) -> None:
    state = replace(restart_machine.start(request)[0], phase=name, wake_at_ms=ms(120))
    at_ms = ms(0)
    for said, passed_ms in sequence:
        if said["fact"] is RestartSent:
            continue
        fact = fact_of(said, at_ms + passed_ms, state)
        at_ms, (state, _) = fact.at_ms, restart_machine.step(state, fact)
        assert state.verdict in (None, "not_sent", "failed")
        assert state.verdict != "failed" or state.reason == "never_written"
