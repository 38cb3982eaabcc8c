"""Our calls over one link: at most one outstanding, and none before the link is settled.

A Reset is taken from the engine (which commits that it is sent), written, and never written again. What became of it is told
as facts.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from borne.core.facts import AnswerStatus, BootTriggered, RestartAnswered, RestartUnwritten, RestartWritten
from borne.ocpp import frames
from borne.ocpp.conversation import Asked
from borne.ocpp.frames import Error, Payload, Result
from borne.ocpp.messages import reset_status

if TYPE_CHECKING:
    from borne.gateway.link import Link
    from borne.gateway.ports import Due

log = logging.getLogger(__name__)


class Commands:
    """The calls of one link."""

    __slots__ = ("_link", "_taking", "_wants_restart", "triggered")

    def __init__(self, link: Link) -> None:
        self._link = link
        self._taking = False
        self._wants_restart = False
        self.triggered = False  # a boot was asked for: boots on this link prove nothing from then on

    @property
    def _is_idle(self) -> bool:
        """Whether a call may go out now. A boot that waits for its answer comes first."""
        link = self._link
        may_speak = link.state == "open" and link.settled and link.calls.boots_waiting == 0
        return may_speak and not self._taking and link.talk.asked is None

    def restart_due(self) -> None:
        """A restart may be due: take it as soon as the link is idle."""
        self._wants_restart = True
        self.go_on()

    def go_on(self) -> None:
        """The link became idle, perhaps."""
        if self._wants_restart and self._is_idle:
            self._wants_restart = False
            self._taking = True
            self._link.hub.start(self._take_restart())

    async def _take_restart(self) -> None:
        link = self._link
        charger_id, epoch, boots = link.charger.charger_id, link.epoch, link.calls.boots
        try:
            due = await link.hub.take_restart(charger_id, epoch)
        except Exception:
            log.exception("a restart of charger %d could not be taken", charger_id)
            return
        finally:
            self._taking = False
        if due is None:
            self.go_on()
        elif link.state != "open" or link.calls.boots != boots:  # it left, or booted by itself: its moment is over
            at_ms = link.hub.clock.now_ms()
            link.hub.tell(RestartUnwritten(charger_id=charger_id, at_ms=at_ms, restart_id=due.restart_id, epoch=epoch))
        else:
            self._write_reset(due)

    def _write_reset(self, due: Due) -> None:
        link = self._link
        link.talk.forget_answers()  # it may reboot on this very link, and count its message ids from "1" again
        self._ask("Reset", link.dialect.table.reset(due.kind, due.evse), due.restart_id)
        at_ms = link.hub.clock.now_ms()
        fact = RestartWritten(
            charger_id=link.charger.charger_id, at_ms=at_ms, restart_id=due.restart_id, epoch=link.epoch
        )
        link.hub.tell(fact)

    def trigger_boot(self) -> bool:
        """Ask the charger to announce itself. False: not settled, or another call of ours is outstanding."""
        link = self._link
        if not self._is_idle:
            return False
        self.triggered = True
        at_ms = link.hub.clock.now_ms()
        link.hub.tell(BootTriggered(charger_id=link.charger.charger_id, at_ms=at_ms, epoch=link.epoch))
        self._ask("TriggerMessage", link.dialect.table.trigger_boot(), 0)
        return True

    def _ask(self, action: str, payload: Payload, restart_id: int) -> None:
        link = self._link
        deadline_s = link.hub.loop.time() + link.hub.settings.answer_timeout_s
        call_id = link.hub.new_id()
        link.talk.ask(Asked(call_id, action, restart_id, int(deadline_s * 1000)))
        link.come_by(deadline_s)
        link.send(frames.print_call(call_id, action, payload))

    def answered(self, frame: Result | Error) -> None:
        """An answer came; what it answers decides whether it means anything."""
        link = self._link
        asked = link.talk.answer_to(frame.id)
        if asked is None:
            link.hub.counts.stray_answers += 1
            return
        if not asked.restart_id:
            self.go_on()
            return
        status = None if isinstance(frame, Error) else reset_status(frame.payload)
        if isinstance(frame, Error):
            self._tell(asked, "error", frame.code, frame.text or frame.details)
        elif status is None:
            self._tell(asked, "error", link.dialect.codes.format, "an answer without a known status")
        else:
            self._tell(asked, status)
        self.go_on()

    def expire(self, now_s: float) -> None:
        """Give up on an answer whose time has passed."""
        asked = self._link.talk.overdue(int(now_s * 1000) + 1)
        if asked is not None:
            if asked.restart_id:
                self._tell(asked, "timeout")
            self.go_on()

    def _tell(self, asked: Asked, status: AnswerStatus, code: str | None = None, text: str | None = None) -> None:
        link = self._link
        fact = RestartAnswered(
            charger_id=link.charger.charger_id,
            at_ms=link.hub.clock.now_ms(),
            restart_id=asked.restart_id,
            epoch=link.epoch,
            status=status,
            code=code,
            text=text,
        )
        link.hub.tell(fact)
