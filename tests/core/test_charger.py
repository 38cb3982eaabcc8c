"""The charger machine: links and epochs, what is learnt of its boots, its one word."""

from __future__ import annotations

from typing import Any

import pytest

from borne.core import charger as machine
from borne.core.charger import MAX_CONNECTORS, STATUSES, UPDATING_AT_MOST_MS, ChargerState
from borne.core.effects import CloseLink, Effect, Record
from borne.core.facts import (
    Booted,
    ClockStepped,
    Fact,
    FirmwareStatusChanged,
    LinkLost,
    LinkOpened,
    LinkSettled,
    Noted,
    ServerReturned,
    StatusChanged,
)
from tests.support.tale import CHARGER, ms


class Box:
    """A charger as its facts tell it."""

    def __init__(self) -> None:
        self.state = ChargerState()
        self.effects: list[Effect] = []

    def tell(self, fact: Fact) -> Box:
        self.state, effects = machine.step(self.state, fact)
        self.effects.extend(effects)
        return self

    def opened(self, second: float, protocol: Any = "1.6") -> Box:
        return self.tell(
            LinkOpened(charger_id=CHARGER, at_ms=ms(second), protocol=protocol, address="192.0.2.1", incarnation=3)
        )

    def lost(self, second: float, how: Any = "dropped", *, ours: bool = False, epoch: int | None = None) -> Box:
        epoch = self.state.epoch if epoch is None else epoch
        return self.tell(LinkLost(charger_id=CHARGER, at_ms=ms(second), epoch=epoch, how=how, ours=ours))

    def booted(self, second: float, *, epoch: int | None = None, **said: Any) -> Box:
        epoch = self.state.epoch if epoch is None else epoch
        said = {"vendor": "Acme", "model": "Box", **said}
        return self.tell(Booted(charger_id=CHARGER, at_ms=ms(second), epoch=epoch, **said))

    def settled(self, second: float, how: Any = "heard") -> Box:
        return self.tell(LinkSettled(charger_id=CHARGER, at_ms=ms(second), epoch=self.state.epoch, how=how))

    def status(self, second: float, status: Any, evse: int = 1, connector: int = 1, **said: Any) -> Box:
        epoch = said.pop("epoch", self.state.epoch)
        return self.tell(
            StatusChanged(
                charger_id=CHARGER, at_ms=ms(second), epoch=epoch, evse=evse, connector=connector, status=status, **said
            )
        )

    def word(self, second: float = 1000, *, restarting: bool = False) -> str:
        return machine.status(self.state, ms(second), restarting=restarting)


def online() -> Box:
    return Box().opened(0).booted(1)


# ---- links and epochs ---------------------------------------------------------------------------------------------


def test_each_link_has_a_greater_epoch() -> None:
    box = Box()
    epochs = [box.opened(second).state.epoch for second in range(4)]
    assert epochs == [1, 2, 3, 4]


def test_the_close_event_of_an_old_link_does_not_touch_the_new_one() -> None:
    box = online().opened(10)
    before = box.state
    assert box.lost(11, epoch=1).state is before
    assert box.state.online


def test_a_takeover_ends_the_old_link() -> None:
    box = online().opened(10)
    assert CloseLink(1, "taken_over") in box.effects


def test_a_reconnect_after_a_loss_closes_nothing() -> None:
    box = online().lost(5).opened(10)
    assert not [effect for effect in box.effects if isinstance(effect, CloseLink)]


@pytest.mark.parametrize("play", ["booted", "status", "lost"])
def test_facts_of_an_older_epoch_are_ignored(play: str) -> None:
    box = online().opened(10)
    before = box.state
    if play == "booted":
        box.booted(11, epoch=1, firmware="old")
    elif play == "status":
        box.status(11, "faulted", epoch=1)
    else:
        box.lost(11, epoch=1)
    assert box.state == before


def test_the_version_is_bound_to_the_link_not_to_the_charger() -> None:
    box = Box().opened(0, "1.6").lost(1).opened(2, "2.0.1")
    assert box.state.protocol == "2.0.1"


def test_registration_belongs_to_the_charger_not_to_the_link() -> None:
    box = online()
    assert box.lost(5).opened(6).state.registration == "accepted"


def test_a_lost_link_is_said_with_how_and_how_long() -> None:
    box = online().lost(60, "silent")
    record = [effect for effect in box.effects if isinstance(effect, Record)][-1]
    assert record.kind == "link_lost"
    assert (record.details["how"], record.details["lasted_ms"]) == ("silent", 60_000)


def test_the_end_of_borne_ended_its_links_at_the_time_it_ended_and_the_loss_is_ours() -> None:
    box = online().tell(ServerReturned(charger_id=CHARGER, at_ms=ms(100), down_from_ms=ms(40)))
    assert not box.state.online
    assert (box.state.link_lost_ms, box.state.loss_ours, box.state.loss_how) == (ms(40), True, "crashed")


def test_the_end_of_borne_says_nothing_of_a_charger_that_was_away() -> None:
    box = online().lost(5)
    before = box.state
    assert box.tell(ServerReturned(charger_id=CHARGER, at_ms=ms(100), down_from_ms=ms(40))).state == before


# ---- what is learnt of its boots ----------------------------------------------------------------------------------


def test_a_boot_answered_on_this_link_is_known_until_the_link_ends() -> None:
    box = Box().opened(0)
    assert not box.state.booted_on_link
    assert box.booted(1).state.booted_on_link
    assert not box.lost(2).opened(3).state.booted_on_link


def test_boots_that_were_asked_for_do_not_count_as_announced() -> None:
    assert Box().opened(0).booted(1, solicited=True).state.boots == 0
    assert Box().opened(0).booted(1).state.boots == 1


def test_nothing_is_known_of_plain_reconnects_at_first_nor_after_losses_of_its_own() -> None:
    box = online()
    assert box.state.plain_reconnects_boot is None
    box.lost(5).opened(10).booted(11).lost(20, "silent").opened(30).settled(31)
    assert box.state.plain_reconnects_boot is None


@pytest.mark.parametrize("how", ["stopped", "taken_over", "damped"])
def test_a_boot_after_a_loss_of_our_making_shows_that_it_boots_at_plain_reconnects(how: str) -> None:
    box = online().lost(5, how, ours=True).opened(6).booted(7)
    assert box.state.plain_reconnects_boot is True
    assert box.state.boots_at_plain_reconnects == 1


def test_a_silent_plain_reconnect_shows_that_it_does_not() -> None:
    assert online().lost(5, "stopped", ours=True).opened(6).settled(7).state.plain_reconnects_boot is False


def test_one_boot_at_a_plain_reconnect_outweighs_silent_ones() -> None:
    box = online()
    for second in (10, 20, 30):
        box.lost(second, "stopped", ours=True).opened(second + 1).settled(second + 2)
    box.lost(40, "stopped", ours=True).opened(41).booted(42)
    assert box.state.plain_reconnects_boot is True


def test_a_triggered_boot_shows_nothing_of_plain_reconnects() -> None:
    box = online().lost(5, "stopped", ours=True).opened(6).booted(7, solicited=True)
    assert box.state.plain_reconnects_boot is None


def test_a_boot_repeated_on_one_link_counts_as_one_plain_reconnect() -> None:
    box = online().lost(5, "stopped", ours=True).opened(6).booted(7).booted(8).booted(9)
    assert box.state.boots_at_plain_reconnects == 1


def test_what_a_boot_says_is_kept_and_what_it_leaves_out_stays() -> None:
    box = Box().opened(0).booted(1, serial="S1", firmware="1.2").booted(2, reason="PowerUp")
    state = box.state
    assert (state.vendor, state.model, state.serial, state.firmware) == ("Acme", "Box", "S1", "1.2")
    assert (state.boot_reason, state.booted_ms) == ("PowerUp", ms(2))


# ---- connectors ---------------------------------------------------------------------------------------------------


def test_a_status_repeated_changes_nothing() -> None:
    box = online().status(5, "charging")
    before, count = box.state, len(box.effects)
    assert box.status(6, "charging").state is before
    assert len(box.effects) == count


def test_the_status_tells_since_when() -> None:
    box = online().status(5, "charging").status(9, "charging", error="OverCurrent")
    (connector,) = box.state.connectors
    assert (connector.since_ms, connector.error) == (ms(5), "OverCurrent")


@pytest.mark.parametrize(("evse", "connector"), [(-1, 1), (1, -1), (10**6, 1), (1, 10**6)])
def test_an_impossible_connector_is_noted_and_not_kept(evse: int, connector: int) -> None:
    box = online().status(5, "faulted", evse, connector)
    assert box.state.connectors == ()
    assert [effect.kind for effect in box.effects if isinstance(effect, Record)][-1] == "odd_connector"


def test_connectors_are_bounded() -> None:
    box = online()
    for evse in range(1, 200):
        box.status(5, "available", evse)
    assert len(box.state.connectors) == MAX_CONNECTORS
    assert box.status(6, "faulted", 1).word() == "fault"  # those it has go on


def test_a_new_connector_in_mid_life_is_taken_in_its_place() -> None:
    box = online().status(5, "available", 2).status(6, "available", 1).status(7, "available", 1, 2)
    assert [(c.evse, c.connector) for c in box.state.connectors] == [(1, 1), (1, 2), (2, 1)]


# ---- its one word -------------------------------------------------------------------------------------------------


def test_never_offline_ready() -> None:
    assert Box().word() == "never"
    assert online().word() == "ready"
    assert online().lost(5).word() == "offline"


@pytest.mark.parametrize(
    ("connectors", "word"),
    [
        (["available"], "ready"),
        (["available", "charging"], "charging"),
        (["charging", "faulted"], "fault"),
        (["preparing", "available"], "waiting"),
        (["suspended"], "waiting"),
        (["finishing"], "waiting"),
        (["occupied"], "waiting"),
        (["unavailable", "unavailable"], "unavailable"),
        (["unavailable", "available"], "ready"),
        (["reserved"], "reserved"),
        (["reserved", "available"], "ready"),
        (["charging", "suspended"], "charging"),
    ],
)
def test_the_word_follows_the_connectors(connectors: list[str], word: str) -> None:
    box = online()
    for number, status in enumerate(connectors, 1):
        box.status(5, status, number)
    assert box.word() == word


def test_the_charger_as_a_whole_may_be_unavailable_or_faulted() -> None:
    assert online().status(5, "available", 1).status(6, "unavailable", 0, 0).word() == "unavailable"
    assert online().status(5, "available", 1).status(6, "faulted", 0, 0).word() == "fault"


def test_restarting_outranks_everything() -> None:
    box = online().status(5, "faulted")
    assert box.word(restarting=True) == "restarting"
    assert box.lost(6).word(restarting=True) == "restarting"


def test_updating_ends_with_the_update_with_a_boot_or_after_an_hour() -> None:
    def updating() -> Box:
        return online().tell(
            FirmwareStatusChanged(charger_id=CHARGER, at_ms=ms(10), epoch=1, status="Installing", busy=True)
        )

    assert updating().word(11) == "updating"
    done = FirmwareStatusChanged(charger_id=CHARGER, at_ms=ms(20), epoch=1, status="Installed", busy=False)
    assert updating().tell(done).word(21) == "ready"
    assert updating().booted(20).word(21) == "ready"
    assert updating().word(10 + UPDATING_AT_MOST_MS / 1000) == "ready"


def test_what_is_measured_by_the_clock_moves_with_it() -> None:
    box = online().tell(FirmwareStatusChanged(charger_id=CHARGER, at_ms=ms(10), epoch=1, status="x", busy=True))
    box.tell(ClockStepped(charger_id=CHARGER, at_ms=ms(20 + 7200), by_ms=7_200_000))
    assert box.state.link_opened_ms == ms(7200)
    assert box.word(7230) == "updating"


def test_anything_else_becomes_a_line_and_nothing_more() -> None:
    box = online()
    before = box.state
    box.tell(Noted(charger_id=CHARGER, at_ms=ms(5), epoch=1, kind="security_event", details={"type": "Tamper"}))
    assert box.state is before
    assert box.effects[-1] == Record("security_event", {"type": "Tamper"})


def test_every_status_has_a_case_here() -> None:
    assert set(STATUSES) == {
        "never", "offline", "restarting", "updating", "fault", "charging", "waiting", "unavailable", "reserved", "ready",
    }  # fmt: skip
