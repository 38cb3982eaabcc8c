"""The state of one link's talk: the charger's calls in order, our one call, and what was answered lately.

Pure: instants come in as arguments. One call is outstanding each way, each way with its own slot, so neither waits for the other.
The key of a message id is (link, id): a new link has a new conversation.
"""

from __future__ import annotations

from collections import deque

import msgspec

from borne.ocpp.frames import Call

PAUSE_AT = 64  # waiting calls at which the link stops reading
RESUME_AT = 16
MAX_WAITING = 1024  # what one read from the socket may still bring after that; beyond it the link is closed
REMEMBERED_ANSWERS = 4
REMEMBERED_OVERDUE = 4


class Asked(msgspec.Struct, frozen=True, gc=False):
    """A call of ours. `restart_id` is 0 for anything but a Reset."""

    id: str
    action: str
    restart_id: int
    deadline_ms: int


class Conversation:
    """Both directions of one link."""

    __slots__ = ("_answered", "_overdue", "_waiting", "answering", "asked")

    def __init__(self) -> None:
        self.answering: Call | None = None
        self.asked: Asked | None = None
        self._waiting: deque[Call] | None = None
        self._answered: dict[str, tuple[int, str]] = {}  # id -> (hash of the call, reply)
        self._overdue: tuple[Asked, ...] = ()

    # ---- the charger's calls

    @property
    def waiting(self) -> int:
        """Calls that wait for their turn."""
        return len(self._waiting) if self._waiting else 0

    def begin(self, call: Call) -> bool:
        """Take a call at once. False: another one is before it, it has to queue (`offer`)."""
        if self.answering is not None or self._waiting:
            return False
        self.answering = call
        return True

    def offer(self, call: Call) -> bool:
        """Put a call in the queue. False: there are too many, and the call is not taken."""
        if self._waiting is None:
            self._waiting = deque()
        if len(self._waiting) >= MAX_WAITING:
            return False
        self._waiting.append(call)
        return True

    def next(self) -> Call | None:
        """The call to deal with now; None when there is none, or when the last one is not answered yet."""
        if self.answering is not None or not self._waiting:
            return None
        self.answering = self._waiting.popleft()
        if not self._waiting:
            self._waiting = None
        return self.answering

    def earlier_answer(self) -> str | None:
        """The reply that the current call had before: same id, same payload, and no other call with that id since."""
        call = self.answering
        known = self._answered.get(call.id) if call is not None else None
        return known[1] if known is not None and call is not None and known[0] == hash(call.text) else None

    def done(self, reply: str | None, *, remember: bool = True) -> None:
        """The current call was answered (None: it never will be)."""
        call, self.answering = self.answering, None
        if call is None or reply is None:
            return
        answered = self._answered
        answered.pop(call.id, None)
        if remember:
            answered[call.id] = (hash(call.text), reply)
            if len(answered) > REMEMBERED_ANSWERS:
                del answered[next(iter(answered))]

    def forget_answers(self) -> None:
        """From now on a repeated id is a new call, whatever it says."""
        self._answered = {}

    # ---- our calls

    def ask(self, asked: Asked) -> None:
        """Take the slot for a call of ours. Raises RuntimeError when another one is outstanding."""
        if self.asked is not None:
            raise RuntimeError(f"{self.asked.action} is outstanding")
        self.asked = asked

    def answer_to(self, call_id: str) -> Asked | None:
        """The call of ours that `call_id` answers. None: it is not ours, or it was answered before (the first one wins).

        Late ones are recognised too.
        """
        asked = self.asked
        if asked is not None and asked.id == call_id:
            self.asked = None
            return asked
        for overdue in self._overdue:
            if overdue.id == call_id:
                self._overdue = tuple(other for other in self._overdue if other is not overdue)
                return overdue
        return None

    def overdue(self, now_ms: int) -> Asked | None:
        """Free the slot when the answer's time has passed; a late answer is still recognised."""
        asked = self.asked
        if asked is None or now_ms < asked.deadline_ms:
            return None
        self.asked = None
        self._overdue = (*self._overdue, asked)[-REMEMBERED_OVERDUE:]
        return asked

    def clear(self) -> None:
        """The link is gone: nothing waits any more."""
        self.answering = self.asked = None
        self._waiting = None
        self._answered = {}
        self._overdue = ()
