"""The charger's calls over one link: one at a time, in order, each answered when its fact is committed.

Nothing waits inside the reading of the socket: what cannot be dealt with now queues, and beyond a bound nothing more is read.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from borne.gateway.close_codes import GOING_AWAY, POLICY
from borne.gateway.metrics import count
from borne.ocpp import frames
from borne.ocpp.conversation import PAUSE_AT, RESUME_AT
from borne.ocpp.frames import Call, Payload
from borne.ocpp.messages import Answer, Message, Received
from borne.ocpp.values import UnusableError

if TYPE_CHECKING:
    from borne.core.tags import TagAnswer
    from borne.gateway.link import Link
    from borne.gateway.ports import Outcome

log = logging.getLogger(__name__)

BOOT = "BootNotification"


class Calls:
    """What the charger asks on one link."""

    __slots__ = ("_going", "_link", "boots", "boots_waiting", "is_paused")

    def __init__(self, link: Link) -> None:
        self._link = link
        self._going = False
        self.is_paused = False  # the socket is not read at the moment
        self.boots = 0  # announced on this link
        self.boots_waiting = 0  # of these, not answered yet

    def take(self, call: Call) -> None:
        """A call came."""
        link = self._link
        if call.action == BOOT:
            self.boots += 1
            self.boots_waiting += 1
        if link.state == "open" and not self._going and not link.hub.engine.full and link.talk.begin(call):
            self._going = True  # the usual case: nothing is before it
            try:
                self._deal(call)
            finally:
                self._going = False
            if link.talk.waiting:
                self.go_on()
            return
        if not link.talk.offer(call):
            link.close(POLICY, "too many calls at once", "misbehaved", ours=True)
            return
        if link.talk.waiting >= PAUSE_AT:
            self._pause()
        self.go_on()

    def go_on(self) -> None:
        """Deal with the calls that wait, as far as it goes without waiting for a commit."""
        if self._going:
            return
        link = self._link
        self._going = True
        try:
            while link.state == "open":
                if link.hub.engine.full:
                    self._stall()
                    break
                call = link.talk.next()
                if call is None:
                    break
                self._deal(call)
        finally:
            self._going = False
        if self.is_paused and link.talk.waiting <= RESUME_AT and not link.hub.engine.full:
            self._resume()

    def _stall(self) -> None:
        """The engine is full: read no more until it has room again."""
        link = self._link
        if link.talk.waiting:
            self._pause()
            link.hub.stall(link)

    def _pause(self) -> None:
        if not self.is_paused:
            self.is_paused = True
            self._link.transport.pause_reading()

    def _resume(self) -> None:
        link = self._link
        if link.state != "gone":
            self.is_paused = False
            link.sign_s = link.hub.loop.time()
            link.transport.resume_reading()

    # ---- one call

    def _deal(self, call: Call) -> None:
        link = self._link
        earlier = link.talk.earlier_answer()
        if earlier is not None:
            link.hub.counts.replayed += 1
            link.send(earlier)
            self._over(call, earlier)
            return
        if call.action == BOOT:
            link.talk.forget_answers()  # it counts its message ids anew
        dialect = link.dialect
        message = dialect.messages.get(call.action)
        if message is None:
            known = call.action.isalnum() and dialect.schemas.knows(call.action)
            self._refuse(
                call, dialect.codes.not_supported if known else dialect.codes.not_implemented, "not taken here"
            )
        elif not dialect.may_send(link.registration, message):
            self._refuse(call, dialect.codes.security, "not accepted yet")
        elif self._is_acceptable(call, message):
            if not link.settled and call.action != BOOT:
                link.settle("heard")
            self._translate(call, message)

    def _is_acceptable(self, call: Call, message: Message) -> bool:
        """Check the payload; deviations of the declared list are counted and accepted, others refused where that is allowed."""
        dialect, tolerated, code, why = self._link.dialect, self._link.hub.counts.tolerated, "", ""
        for flag in call.flags:
            count(tolerated, flag)
            if flag == "duplicate_key":
                code, why = dialect.codes.format, "duplicate keys"
        for violation in dialect.schemas.check(call.action, call.payload):
            count(tolerated, violation.tolerance or violation.kind)
            if violation.tolerance is None and not code:
                code, why = dialect.codes.of(violation), violation.message
        if code and message.refusable:
            self._refuse(call, code, why)
            return False
        return True

    def _translate(self, call: Call, message: Message) -> None:
        link = self._link
        hub = link.hub
        try:
            if message.tag is not None:
                self._authorise(message.tag(call.payload) or "")
                return
            fact = None
            if message.translate is not None:
                at_ms = hub.clock.now_ms()
                received = Received(link.charger.charger_id, link.epoch, at_ms, call.text, link.commands.triggered)
                fact = message.translate(call.payload, received)
        except UnusableError as error:
            self._refuse(call, link.dialect.codes.property, f"{error.field} is missing or unusable")
            return
        if fact is not None:
            hub.engine.submit(fact, self._committed)
        else:
            self._reply(call, message, Answer(hub.clock.now_ms(), hub.settings.heartbeat_s, link.registration))

    def _committed(self, outcome: Outcome | BaseException) -> None:
        """The fact of the call being answered is on disk, or it failed."""
        link = self._link
        call = link.talk.answering
        if call is None or link.state == "gone":
            return
        message = link.dialect.messages[call.action]
        if isinstance(outcome, BaseException):
            self._failed(call, message, outcome)
            return
        if outcome.ignored:  # somebody else holds the charger by now: nothing that came here counts
            link.close(GOING_AWAY, "superseded", "taken_over", ours=True)
            return
        if message.reply is None:
            self._reply(call, message, None)
        else:
            self._reply(call, message, self._answer(outcome))
        if call.action == BOOT:
            link.registration = outcome.registration
            link.settle("booted")
        self.go_on()

    def _answer(self, outcome: Outcome) -> Answer:
        hub = self._link.hub
        now_ms, heartbeat_s = hub.clock.now_ms(), hub.settings.heartbeat_s
        return Answer(now_ms, heartbeat_s, outcome.registration, outcome.transaction, outcome.tag)

    def _failed(self, call: Call, message: Message, error: BaseException) -> None:
        """It could not be stored. What must not be lost stays unanswered, so that the charger keeps it and tries again."""
        link = self._link
        log.warning("%s of charger %d was not stored: %r", call.action, link.charger.charger_id, error)
        if message.refusable:
            self._refuse(call, link.dialect.codes.internal, "not stored; try again")
        else:
            self._over(call, None)
        self.go_on()

    def _authorise(self, tag: str) -> None:
        hub = self._link.hub
        task = hub.start(hub.authorise(self._link.charger.charger_id, tag))
        task.add_done_callback(self._authorised)

    def _authorised(self, task: asyncio.Task[TagAnswer]) -> None:
        link = self._link
        call = link.talk.answering
        if call is None or link.state == "gone" or task.cancelled():
            return
        message = link.dialect.messages[call.action]
        error = task.exception()
        if error is not None:
            self._failed(call, message, error)
            return
        self._reply(call, message, Answer(link.hub.clock.now_ms(), tag=task.result()))
        self.go_on()

    def _reply(self, call: Call, message: Message, answer: Answer | None) -> None:
        payload: Payload = {} if message.reply is None or answer is None else message.reply(answer)
        text = frames.print_result(call.id, payload)
        self._link.send(text)
        # A heartbeat changes nothing and its answer grows old: a repeated one is answered anew.
        self._over(call, text, remember=message.translate is not None)

    def _refuse(self, call: Call, code: str, why: str) -> None:
        self._over(call, self._link.send_error(call.id, code, why), remember=False)

    def _over(self, call: Call, reply: str | None, *, remember: bool = True) -> None:
        """A call is dealt with (None: unanswered)."""
        link = self._link
        link.talk.done(reply, remember=remember)
        if call.action == BOOT:
            self.boots_waiting -= 1
            link.commands.go_on()
