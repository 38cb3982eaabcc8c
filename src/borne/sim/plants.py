"""Bugs to plant: the ones that real platforms have. A simulation that does not find them soon is worth nothing.

Each is a context manager that bends the running code while it is entered. Nothing but tests enters them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from msgspec.structs import replace

from borne.core import restart
from borne.core.facts import LinkLost, RestartAnswered
from borne.core.restart import Stepped
from borne.core.restart_state import RestartState
from borne.engine.metering import Meter
from borne.gateway.calls import Calls
from borne.gateway.commands import Commands
from borne.gateway.link import Link
from borne.ocpp.messages import Received

Plant = Callable[[], contextlib.AbstractContextManager[None]]


@contextlib.contextmanager
def bent(owner: Any, name: str, crooked: Any) -> Iterator[None]:
    """`owner.name` is `crooked` for a while."""
    straight = getattr(owner, name)
    setattr(owner, name, crooked)
    try:
        yield
    finally:
        setattr(owner, name, straight)


def accepted_means_success() -> contextlib.AbstractContextManager[None]:
    """The answer Accepted is taken for a restart."""
    straight = restart._answered

    def answered(state: RestartState, fact: RestartAnswered) -> Stepped:
        if fact.status == "accepted" and state.verdict is None:
            return restart._end(state, fact, "succeeded", "booted_same_link")
        return straight(state, fact)

    return bent(restart, "_answered", answered)


def resend_on_silence() -> contextlib.AbstractContextManager[None]:
    """No answer in time: the Reset is sent again."""
    straight = Commands.expire

    def expire(commands: Commands, now_s: float) -> None:
        link = commands._link
        before = link.talk.asked
        straight(commands, now_s)
        if before is not None and before.restart_id and link.talk.asked is None:
            commands._ask("Reset", link.dialect.table.reset("hard", None), before.restart_id)

    return bent(Commands, "expire", expire)


def old_close_removes_new_link() -> contextlib.AbstractContextManager[None]:
    """The socket of a superseded link closes at last, and takes the charger's new link for its own."""
    straight = Link.on_closed

    def on_closed(link: Link, code: int | None, misbehaved: bool = False) -> None:
        was_over = link.state == "gone"
        straight(link, code, misbehaved)
        charger_id = link.charger.charger_id
        current = link.hub._links.get(charger_id)
        if was_over and current is not None and current is not link:
            del link.hub._links[charger_id]
            at_ms = link.hub.clock.now_ms()
            lost = LinkLost(charger_id=charger_id, at_ms=at_ms, epoch=current.epoch, how="dropped", ours=False)
            link.hub.engine.submit(lost)

    return bent(Link, "on_closed", on_closed)


def pong_counts_as_talk() -> contextlib.AbstractContextManager[None]:
    """Whatever keeps the socket alive counts as the charger's own word: a proxy's pong, too."""
    straight = Link.on_sign_of_life

    def on_sign_of_life(link: Link) -> None:
        straight(link)
        link.heard_s = link.hub.loop.time()

    return bent(Link, "on_sign_of_life", on_sign_of_life)


def reply_before_commit() -> contextlib.AbstractContextManager[None]:
    """Messages are confirmed when they are understood, not when they are stored."""
    straight = Calls._translate

    def translate(calls: Calls, call: Any, message: Any) -> None:
        link = calls._link
        if message.translate is None or message.reply is not None:
            straight(calls, call, message)
            return
        now_ms = link.hub.clock.now_ms()
        fact = message.translate(call.payload, Received(link.charger.charger_id, link.epoch, now_ms, call.text))
        link.hub.engine.submit(fact)
        calls._reply(call, message, None)

    return bent(Calls, "_translate", translate)


def adds_up_energy() -> contextlib.AbstractContextManager[None]:
    """What comes is added to what a session has, instead of measuring it anew: what is said twice counts twice."""
    straight = Meter._measured

    async def measured(meter: Meter, row: Any, samples: Any, before: Any) -> Any:
        done = await straight(meter, row, samples, before)
        if before and done.measured.energy_wh:
            had = {slot.slot_ms: slot.energy_wh for slot in before}
            came = await straight(meter, row, meter._samples.get(row.id, []), before)
            done.after = tuple(
                replace(slot, energy_wh=slot.energy_wh + had.get(slot.slot_ms, 0)) for slot in came.after
            )
            done.measured = replace(done.measured, energy_wh=sum(slot.energy_wh for slot in done.after))
            done.fold = None
        return done

    return bent(Meter, "_measured", measured)


PLANTS: dict[str, Plant] = {
    "accepted means success": accepted_means_success,
    "resend on silence": resend_on_silence,
    "old close event removes the new link": old_close_removes_new_link,
    "pong counts as alive": pong_counts_as_talk,
    "reply before commit": reply_before_commit,
    "adds up instead of measuring anew": adds_up_energy,
}
