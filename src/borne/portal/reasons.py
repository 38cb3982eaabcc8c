"""Why a restart is not available, in a sentence that says what would help. One for each word of `core.access.Reason`."""

from __future__ import annotations

from collections.abc import Sequence

from borne.core import plans
from borne.core.models import model_of
from borne.portal.language import N_, Language, translations

REASON_TEXTS: dict[str, str] = {
    "role": N_("Only the super-admin, or an admin of this charger’s location, can restart it."),
    "plan": N_("The %(plan)s plan does not include remote restarts. The %(needed)s plan does."),
    "model": N_("The %(model)s cannot be restarted remotely."),
    "disabled": N_("This charger is disabled: it is not allowed to connect."),
    "never_connected": N_("This charger has never connected to Borne."),
    "offline": N_("This charger is offline. It can be restarted once it is connected again."),
    "updating": N_("This charger is updating its firmware. It can be restarted once that is done."),
    "restarting": N_("This charger is restarting already."),
}

# Reasons of a request itself: what was asked cannot be done, whoever asks.
REQUEST_TEXTS: dict[str, str] = {
    "time_missing": N_("Choose the day and time of the restart."),
    "time_past": N_("That time is already past. Choose a later one."),
    "time_far": N_("A restart can be planned up to 30 days ahead."),
    "waiting": N_("A restart of this charger is waiting already."),
    "evse": N_("This outlet cannot be restarted alone."),
}
MANY_TEXT = N_("Restarting many chargers at once comes with the %(needed)s plan.")
MANY_ROLE_TEXT = N_("Restarting many chargers at once is for super-admins and for admins of a location.")


def reason_text(reason: str, language: Language, *, plan: str = "", model: str = "other") -> str:
    """The sentence of one reason. `plan` and `model` are ids; an unknown reason is said as the word it is."""
    message = REASON_TEXTS.get(reason) or REQUEST_TEXTS.get(reason)
    if message is None:
        return reason
    known = plans.PLANS.get(plan)
    return translations(language).gettext(message) % {
        "plan": known.name if known else plan,
        "needed": plans.cheapest_with("RESTART").name,
        "model": model_of(model).name,
    }


def reason_texts(reasons: Sequence[str], language: Language, *, plan: str = "", model: str = "other") -> list[str]:
    """The sentences of several reasons, in the order in which they should be dealt with."""
    return [reason_text(reason, language, plan=plan, model=model) for reason in reasons]


def many_text(role: str, language: Language) -> str:
    """Why somebody cannot restart many, where the action would be."""
    _ = translations(language).gettext
    if role not in ("super-admin", "admin"):
        return _(MANY_ROLE_TEXT)
    return _(MANY_TEXT) % {"needed": plans.cheapest_with("BULK_ACTIONS").name}
