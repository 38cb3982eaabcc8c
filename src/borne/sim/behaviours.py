"""The named behaviours: what independent firmware was seen to do with a Reset, and what else may go wrong.

Names are those of `borne simulate --list`. Times are the measured ones; `borne.sim.behaviour.scaled` shortens them.
"""

from borne.sim.behaviour import Behaviour, scaled, tweaked

_ALL = (
    Behaviour(boot_reason="RemoteReset"),
    # seen in the field
    Behaviour(
        name="firmware-a",
        summary="1.6: Accepted, drops TCP without a close frame at 10 s, boots at 14 s; a Soft reset stops the session",
        drop="abort",
        drop_after_s=10.0,
    ),
    Behaviour(
        name="firmware-a-session",
        summary="1.6 Soft in a session: Accepted, StopTransaction(SoftReset), away 10-14 s, back Preparing: cable in",
        drop="abort",
        drop_after_s=10.0,
        back_status="Preparing",
    ),
    Behaviour(
        name="firmware-a-201",
        summary="2.0.1: Accepted, drops TCP at 10 s, boots at 14 s with reason PowerUp",
        drop="abort",
        drop_after_s=10.0,
    ),
    Behaviour(
        name="firmware-b",
        summary="1.6: no answer at all, gone at once, boots at 4 s; the session is stopped after the boot",
        answer="none",
        waits_for_session="never",
        drop="abort",
        drop_after_s=0.0,
        session_end="stopped_late",
        message_ids="counter",
    ),
    Behaviour(
        name="simulator-c-hard",
        summary="1.6 Hard: no answer, closes first, boots on a new socket 0.04 s later",
        answer="none",
        waits_for_session="never",
        drop_after_s=0.02,
        away_s=0.02,
        session_end="stopped_late",
        reconnect_min_s=0.1,
    ),
    Behaviour(
        name="simulator-c-soft",
        summary="1.6 Soft: BootNotification comes before the answer Accepted; the socket never closes",
        boot_before_answer=True,
        waits_for_session="never",
        drop="none",
        drop_after_s=0.0,
        away_s=0.02,
    ),
    Behaviour(
        name="simulator-c-201",
        summary="2.0.1: Accepted, or Scheduled while a session runs; boots with PowerUp on the same socket",
        waits_for_session="always",
        drop="none",
        drop_after_s=0.1,
        away_s=0.1,
    ),
    Behaviour(
        name="simulator-d",
        summary="Accepted, gone at 3 s, its supervisor brings it back at 6 s; a running session is orphaned",
        waits_for_session="never",
        drop="abort",
        drop_after_s=3.0,
        away_s=3.0,
        session_end="orphaned",
    ),
    Behaviour(
        name="simulator-d-unsupervised",
        summary="Accepted, gone at 3 s and never back: no supervisor starts it again; a running session is orphaned",
        waits_for_session="never",
        drop="abort",
        drop_after_s=3.0,
        session_end="orphaned",
        supervisor=False,
    ),
    Behaviour(
        name="simulator-e",
        summary="reports Unavailable, then Accepted, gone at 0.1 s, boots with PowerUp at 30 s",
        unavailable_first=True,
        drop_after_s=0.1,
        away_s=30.0,
    ),
    Behaviour(
        name="wallbox-90s",
        summary="Accepted, then about 90 s offline, then a boot",
        drop="abort",
        drop_after_s=2.0,
        away_s=90.0,
    ),
    # honest refusals
    Behaviour(name="rejects", summary="answers Rejected and goes on", answer="rejected", reboots=False, drop="none"),
    Behaviour(
        name="not-supported",
        summary="answers CALLERROR NotSupported and goes on",
        answer="callerror",
        reboots=False,
        drop="none",
    ),
    # says one thing, does another
    Behaviour(
        name="accepts-does-nothing",
        summary="answers Accepted, stays online, never reboots",
        reboots=False,
        drop="none",
    ),
    Behaviour(
        name="drops-without-reboot",
        summary="answers Accepted, loses its network for 3 s, reconnects plainly: it never rebooted",
        reboots=False,
        drop="abort",
        drop_after_s=5.0,
        away_s=3.0,
    ),
    Behaviour(
        name="never-answers",
        summary="never answers the Reset, does nothing, stays online",
        answer="none",
        reboots=False,
        drop="none",
    ),
    Behaviour(
        name="answers-late",
        summary="answers Accepted only after 40 s, then reboots",
        answer_delay_s=40.0,
        drop_after_s=42.0,
    ),
    Behaviour(
        name="schedules-and-forgets",
        summary="2.0.1: answers Scheduled and never reboots; 1.6 can only say Accepted",
        answer="scheduled",
        reboots=False,
        drop="none",
    ),
    Behaviour(
        name="waits-for-session",
        summary="a running session ends first, whatever the reset's type; 2.0.1 says Scheduled, 1.6 Accepted",
        waits_for_session="always",
        drop="abort",
    ),
    # comes back wrongly
    Behaviour(name="never-back", summary="answers Accepted, leaves and never comes back", drop="abort", back=False),
    Behaviour(
        name="late-return",
        summary="answers Accepted, leaves, comes back long after any deadline (25 min)",
        drop="abort",
        away_s=1500.0,
    ),
    Behaviour(
        name="no-boot",
        summary="really reboots, but comes back without announcing its boot",
        drop="abort",
        drop_after_s=10.0,
        away_s=78.0,
        boot="no",
    ),
    Behaviour(
        name="boots-when-triggered",
        summary="reboots, but announces a boot only when TriggerMessage asks for it",
        drop="abort",
        boot="when_triggered",
    ),
    Behaviour(
        name="boots-on-reconnect",
        summary="announces a boot at each plain reconnect too (network lost every 2 min); reboots when told",
        drop="abort",
        loses_network_every_s=120.0,
        boots_on_plain_reconnect=True,
    ),
    Behaviour(
        name="boots-on-reconnect-liar",
        summary="announces a boot at each plain reconnect (network lost every 2 min); accepts a Reset and does nothing",
        reboots=False,
        drop="none",
        loses_network_every_s=120.0,
        boots_on_plain_reconnect=True,
    ),
    Behaviour(
        name="back-faulted",
        summary="reboots and comes back Faulted",
        drop="abort",
        back_status="Faulted",
    ),
    Behaviour(
        name="back-unavailable",
        summary="reboots and comes back Unavailable",
        drop="abort",
        back_status="Unavailable",
    ),
    Behaviour(
        name="reboot-loop",
        summary="reboots, then its watchdog reboots it three more times, 8 s apart",
        drop="abort",
        reboot_loop=3,
    ),
    Behaviour(
        name="reboots-by-itself",
        summary="reboots by itself every 60 s; a Reset works too",
        drop="abort",
        reboots_by_itself_every_s=60.0,
    ),
    Behaviour(
        name="dead-behind-proxy",
        summary="answers Accepted and dies; a proxy keeps its socket open and answers pings",
        drop="proxied",
        back=False,
    ),
    Behaviour(
        name="slow-first-boot",
        summary="reboots, reconnects, and announces its boot only 35 s after connecting",
        drop="abort",
        boot_delay_s=35.0,
    ),
    Behaviour(
        name="boot-repeated",
        summary="reboots; the answer to its first BootNotification is lost, so it sends a second one",
        drop="abort",
        boot_sends=2,
    ),
    Behaviour(
        name="silent-reboot",
        summary="reboots without closing anything and is back before its old link is noticed dead",
        drop="silent",
        away_s=4.0,
    ),
    Behaviour(
        name="evse-reset",
        summary="2.0.1: a Reset of one EVSE makes it Unavailable for 2 s, then Available; no boot. Whole station: reboots",
        boot_reason="RemoteReset",
    ),
)

BEHAVIOURS: dict[str, Behaviour] = {behaviour.name: behaviour for behaviour in _ALL}
BY_THE_BOOK = BEHAVIOURS["by-the-book"]


def behaviour_named(
    name: str, scale: float = 1.0, tweaks: dict[str, str | int | float | bool] | None = None
) -> Behaviour:
    """Return a named behaviour with its durations multiplied by `scale`, then some fields replaced as they stand.

    Raises ValueError for an unknown name or field.
    """
    behaviour = BEHAVIOURS.get(name)
    if behaviour is None:
        raise ValueError(f"no behaviour is named {name!r}; `borne simulate --list` shows them")
    return tweaked(scaled(behaviour, scale), tweaks or {})
