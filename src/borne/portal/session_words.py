"""What is said of sessions: why they ended, and what is suspect about their data, in whole sentences."""

from __future__ import annotations

import json

from borne.core.metering import DOUBTFUL, Suspect
from borne.core.session import NO_STOP_RECEIVED
from borne.portal.frame import PageView
from borne.portal.language import N_
from borne.store.session_list import Kind

KIND_WORDS: dict[Kind, str] = {
    "running": N_("Running"),
    "ended": N_("Ended"),
    "no_stop": N_("Ended without a stop"),
    "doubtful": N_("Energy in doubt"),
}
SUSPECTS: dict[Suspect, str] = {
    "stop_below_start": N_(
        "The meter’s last value lies below its first, and nothing explains it: how much energy was taken is not known."
    ),
    "register_reset": N_("The meter began again from nought during the session: what it counted since was added."),
    "register_fell": N_(
        "The meter fell to a lower value, which is no new beginning: how much energy was taken is not known."
    ),
    "leap": N_(
        "The meter grew by more than the charger can give in that time: how much energy was taken is not known."
    ),
    "outlier": N_("One value of the meter lay far off between others that fit: it was left out."),
    "relative_register": N_(
        "Between its ends the meter counted from the session’s start: those values were raised by the first one."
    ),
    "intervals": N_("The charger gave no meter reading: its energies of short intervals were added up."),
    "estimated": N_("The charger gave its power only: the energy is computed from power and time."),
    "no_energy_value": N_("The charger gave no value from which an energy could be found."),
    "clock": N_("The charger’s clock was wrong: the time at which its messages came is used."),
    "no_stop": N_("The charger never told the end: the session was closed when it was clear that it was over."),
    "no_start": N_("The start of the session never came: it is known from a later message alone."),
}
# OCPP 1.6 §7.36 and OCPP 2.0.1 part 2 §3.78, without capitals.
REASONS: dict[str, str] = {
    NO_STOP_RECEIVED: N_("The charger never told the end."),
    "deauthorized": N_("The badge was not accepted."),
    "emergencystop": N_("Somebody pressed the emergency stop."),
    "energylimitreached": N_("The energy that was wanted had been charged."),
    "evdisconnected": N_("The cable was unplugged."),
    "groundfault": N_("The charger noticed a fault to earth."),
    "hardreset": N_("The charger was restarted at once."),
    "immediatereset": N_("The charger was restarted at once."),
    "local": N_("It was ended at the charger."),
    "localoutofcredit": N_("The credit was used up."),
    "masterpass": N_("A master badge ended it."),
    "other": N_("The charger gave no closer reason."),
    "overcurrentfault": N_("The car drew more current than allowed."),
    "powerloss": N_("The charger lost its power."),
    "powerquality": N_("The quality of the supply was too poor."),
    "reboot": N_("The charger restarted by itself."),
    "remote": N_("It was ended from afar."),
    "soclimitreached": N_("The battery had reached the level that was wanted."),
    "softreset": N_("The charger was asked to restart."),
    "stoppedbyev": N_("The car ended it."),
    "timelimitreached": N_("The time that was wanted had passed."),
    "timeout": N_("No car was plugged in, or no badge was held, in time."),
    "unlockcommand": N_("The connector was unlocked from afar."),
}
MESSAGES = {
    "started": N_("The charger told the start"),
    "updated": N_("The charger told how it goes"),
    "ended": N_("The charger told the end"),
}


def suspects_of(stored: str) -> tuple[Suspect, ...]:
    """The words of a session's row; those of a newer Borne are left out."""
    return tuple(word for word in json.loads(stored or "[]") if word in SUSPECTS)


def is_doubtful(suspects: tuple[Suspect, ...]) -> bool:
    return not DOUBTFUL.isdisjoint(suspects)


def reason(page: PageView, stored: str | None) -> str:
    """Why a session ended, as a sentence; "" where nothing was said. A word that no standard knows is shown as it is."""
    if not stored:
        return ""
    words = REASONS.get(stored.replace("-", "").casefold()) or REASONS.get(stored)
    return page._(words) if words else stored
