"""One link's talk: order, the slot of our call, late and foreign answers, repeated ids."""

import pytest

from borne.ocpp.conversation import MAX_WAITING, REMEMBERED_ANSWERS, Asked, Conversation
from borne.ocpp.frames import Call


def a_call(call_id: str, payload: str = "{}") -> Call:
    return Call(call_id, "StatusNotification", {}, f'[2,"{call_id}","StatusNotification",{payload}]')


def answer(talk: Conversation, call: Call, reply: str) -> None:
    assert talk.begin(call)
    talk.done(reply)


def test_f8_calls_are_dealt_with_one_by_one_in_order() -> None:
    talk = Conversation()
    for number in range(3):
        assert talk.offer(a_call(str(number)))
    order = []
    while (call := talk.next()) is not None:
        assert talk.next() is None
        assert not talk.begin(a_call("x"))
        order.append(call.id)
        talk.done("reply")
    assert order == ["0", "1", "2"]
    assert talk.begin(a_call("4"))


def test_f8_the_queue_is_bounded() -> None:
    talk = Conversation()
    assert all(talk.offer(a_call(str(number))) for number in range(MAX_WAITING))
    assert not talk.offer(a_call("more"))


def test_f9_one_call_of_ours_at_a_time() -> None:
    talk = Conversation()
    talk.ask(Asked("a", "Reset", 1, 100))
    with pytest.raises(RuntimeError):
        talk.ask(Asked("b", "Reset", 2, 100))


def test_f3_an_answer_to_nothing_is_nothing() -> None:
    talk = Conversation()
    assert talk.answer_to("a") is None
    talk.ask(Asked("a", "Reset", 1, 100))
    assert talk.answer_to("b") is None
    assert talk.asked is not None


def test_f4_a_late_answer_belongs_to_the_call_that_timed_out() -> None:
    talk = Conversation()
    first, second = Asked("a", "Reset", 1, 100), Asked("b", "Reset", 2, 200)
    talk.ask(first)
    assert talk.overdue(99) is None
    assert talk.overdue(100) is first
    talk.ask(second)
    assert talk.answer_to("a") == first
    assert talk.asked is second
    assert talk.answer_to("b") == second


def test_f5_the_first_of_two_answers_wins() -> None:
    talk = Conversation()
    talk.ask(Asked("a", "Reset", 1, 100))
    assert talk.answer_to("a") is not None
    assert talk.answer_to("a") is None


def test_f7_a_repeated_id_gets_its_answer_again_only_for_the_same_payload() -> None:
    talk = Conversation()
    answer(talk, a_call("1", '{"a":1}'), "first")
    assert talk.begin(a_call("1", '{"a":1}'))
    assert talk.earlier_answer() == "first"
    talk.done("first")
    assert talk.begin(a_call("1", '{"a":2}'))
    assert talk.earlier_answer() is None
    talk.done("second")
    # the id was used for something else since: the old answer no longer counts
    assert talk.begin(a_call("1", '{"a":1}'))
    assert talk.earlier_answer() is None


def test_f7_a_refused_or_unanswered_call_is_dealt_with_anew() -> None:
    talk = Conversation()
    assert talk.begin(a_call("1"))
    talk.done("error", remember=False)
    assert talk.begin(a_call("1"))
    assert talk.earlier_answer() is None
    talk.done(None)
    assert talk.begin(a_call("1"))
    assert talk.earlier_answer() is None


def test_only_the_last_answers_are_remembered() -> None:
    talk = Conversation()
    for number in range(REMEMBERED_ANSWERS + 1):
        answer(talk, a_call(str(number)), f"reply {number}")
    assert talk.begin(a_call("0"))
    assert talk.earlier_answer() is None
    talk.done(None)
    assert talk.begin(a_call("1"))
    assert talk.earlier_answer() == "reply 1"


def test_f10_both_directions_have_their_own_slot() -> None:
    talk = Conversation()
    talk.ask(Asked("a", "Reset", 1, 100))
    assert talk.begin(a_call("1"))
    assert talk.answer_to("a") is not None
    talk.done("reply")


def test_nothing_is_left_of_a_link_that_is_gone() -> None:
    talk = Conversation()
    talk.ask(Asked("a", "Reset", 1, 100))
    talk.offer(a_call("1"))
    talk.clear()
    assert talk.next() is None
    assert talk.answer_to("a") is None
