"""What the help articles say of restarting, and what Borne adds: each statement, and the browser tests that hold it.

| nr | statement |
|---|---|
| 1-17 | restarting one charger |
| 18-24 | restarting many |
| 25-32 | what Borne adds to both |
"""

from __future__ import annotations

import re
from pathlib import Path

STATEMENTS: dict[int, tuple[str, tuple[str, ...]]] = {
    # ---- restarting one charger
    1: (
        "The super-admin may, and the admin of the location that the charger belongs to",
        ("test_super_admin_and_admin_of_the_location_restart",),
    ),
    2: (
        "Nobody else: another location's admin, another organisation, an operator, a user",
        (
            "test_admin_of_another_location_does_not_find_the_charger",
            "test_another_organisation_does_not_find_the_charger",
            "test_operator_and_user_see_grey_and_why",
            "test_user_without_the_charger_does_not_find_it",
        ),
    ),
    3: ("Plan Standard or Business, not Basic", ("test_standard_plan_restarts", "test_basic_plan_does_not")),
    4: (
        "Connected to the cloud: the icon tells that a restart is available only then",
        ("test_offline_is_grey_and_connecting_makes_it_green",),
    ),
    5: ("Every model except Pulsar", ("test_pulsar_cannot_be_restarted", "test_other_models_can")),
    6: (
        "Log in; Chargers page; click the charger; the charger page shows",
        ("test_the_steps_of_the_article", "test_keyboard_alone_restarts_a_charger"),
    ),
    7: (
        "No restart available: the icon is grey. Available: it is green",
        ("test_colours_of_the_icon", "test_offline_is_grey_and_connecting_makes_it_green"),
    ),
    8: ("Hover: the tooltip", ("test_the_steps_of_the_article", "test_phone_tooltip_of_a_grey_icon_shows_by_a_tap")),
    9: (
        "Click: a modal with the details of the restart",
        ("test_the_steps_of_the_article", "test_details_of_the_modal", "test_names_and_roles_of_the_modal"),
    ),
    10: (
        "OKAY: the restart begins and the status icon turns grey",
        ("test_from_okay_to_succeeded_without_a_reload", "test_list_says_restarting_and_how_it_went"),
    ),
    11: (
        "While it restarts it is unavailable; it can be used again after it ends",
        ("test_from_okay_to_succeeded_without_a_reload",),
    ),
    12: (
        "Cancel: click outside; it disappears and nothing is sent",
        ("test_leaving_the_modal_sends_nothing", "test_click_inside_keeps_the_modal"),
    ),
    13: (
        "Esc, Back, the Cancel button, a closed tab: nothing is sent either",
        (
            "test_leaving_the_modal_sends_nothing",
            "test_leaving_the_page_sends_nothing",
            "test_back_after_cancel_leaves_the_page",
            "test_text_selected_beyond_the_edge_keeps_the_modal",
        ),
    ),
    14: ("A phone has no outside: a Cancel button", ("test_a_phone_has_no_outside_and_a_cancel_button",)),
    15: (
        "Borne knows whether a restart failed, and says how it knows",
        (
            "test_verdicts_in_a_sentence_with_their_evidence",
            "test_icon_is_green_again_at_once_after_a_refusal",
            "test_first_verdict_stays_where_a_late_return_raises_it",
        ),
    ),
    16: (
        "A running session is a warning and the choice 'when it is free', not a refusal",
        ("test_running_session_is_a_warning_not_a_refusal", "test_when_it_is_free"),
    ),
    17: (
        "Labels in the language of the browser, as the articles quote them",
        ("test_labels_of_a_restart", "test_reasons_of_grey_in_french", "test_any_other_language_gets_english"),
    ),
    # ---- restarting many
    18: (
        "By default a row has only its checkbox; actions appear once one is ticked",
        ("test_actions_appear_once_something_is_ticked", "test_icon_of_the_list_does_the_same"),
    ),
    19: (
        "Offline ones can be ticked; the confirmation leaves them out, and says why",
        ("test_offline_ones_can_be_ticked_and_are_left_out_with_the_reason",),
    ),
    20: (
        "The confirmation lists the rest; single ones can be removed there",
        ("test_single_ones_are_removed_and_cancel_sends_nothing",),
    ),
    21: ("Each restarting row is disabled and says 'Restarting'", ("test_rows_are_disabled_and_say_restarting",)),
    22: (
        "Business plan; super-admin or admin of the location",
        (
            "test_standard_plan_shows_what_it_lacks",
            "test_admin_restarts_the_chargers_of_the_own_location_only",
            "test_operator_restarts_none",
        ),
    ),
    23: ("The batch's page follows the verdicts live", ("test_batch_page_follows_the_verdicts_live",)),
    24: (
        "It pauses after three failures in a row and asks",
        ("test_pauses_after_three_failures_and_stops", "test_pauses_after_three_failures_and_continues"),
    ),
    # ---- what Borne adds to both
    25: (
        "Two people, a double click, a retry: one Reset",
        (
            "test_two_people_at_once_are_one_restart",
            "test_double_click_is_one_restart",
            "test_the_same_form_sent_again_is_one_restart",
            "test_borne_away_at_okay_says_so_and_once_is_once",
        ),
    ),
    26: (
        "A condition that lapses between modal and OKAY refuses it",
        (
            "test_plan_lapses_between_modal_and_okay",
            "test_role_is_taken_between_modal_and_okay",
            "test_model_turns_out_a_pulsar_between_modal_and_okay",
            "test_charger_leaves_between_modal_and_okay",
            "test_disabled_charger_cannot",
        ),
    ),
    27: (
        "At a time, or when it is free; a waiting one can be withdrawn",
        (
            "test_when_it_is_free",
            "test_at_a_time_and_withdrawn",
            "test_another_one_beside_a_waiting_one_is_offered_as_withdrawing",
            "test_a_time_that_is_past_is_refused_in_words",
        ),
    ),
    28: (
        "A change shows within a second, without a reload, over one stream for a browser",
        (
            "test_status_shows_within_a_second_without_a_reload",
            "test_two_tabs_share_one_stream_and_both_are_live",
            "test_hidden_tabs_have_no_stream_and_catch_up",
            "test_restart_by_somebody_else_shows_here",
        ),
    ),
    29: (
        "Keyboard and screen reader can do all of it",
        (
            "test_keyboard_alone_restarts_a_charger",
            "test_keyboard_alone_restarts_many",
            "test_focus_stays_inside_the_modal",
            "test_screen_reader_hears_the_restart",
        ),
    ),
    30: (
        "Nothing is left untranslated",
        ("test_no_text_is_left_in_english", "test_labels_of_restarting_many_in_french"),
    ),
    31: (
        "What a charger says is text, everywhere",
        ("test_lies_are_shown_as_text_everywhere", "test_names_given_by_people_are_text_too"),
    ),
    32: (
        "No other page acts in a person's name",
        ("test_a_foreign_page_restarts_nothing", "test_a_form_without_its_token_is_refused_in_words"),
    ),
}


def test_every_statement_has_its_tests():
    """A test that is renamed or removed is missed here."""
    here = Path(__file__).parent
    known = {
        name
        for file in here.glob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", file.read_text(encoding="utf-8"), re.M)
    }
    missing = {number: name for number, (_, names) in STATEMENTS.items() for name in names if name not in known}
    assert missing == {}
    assert list(STATEMENTS) == list(range(1, len(STATEMENTS) + 1))
