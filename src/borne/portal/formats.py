"""Instants, durations and numbers as people read them, in their language. Each is a filter of the templates too.

Times are shown in UTC by the server and put into the browser's own time zone by `js/times.js`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from datetime import date as Day  # noqa: N812 - `date` is a filter
from decimal import ROUND_HALF_UP, Decimal

from babel import Locale
from babel.dates import format_date, format_datetime, format_time
from babel.numbers import format_currency, format_decimal
from babel.units import format_unit
from markupsafe import Markup, escape

from borne.portal.language import Language, locale, translations

SECOND_MS, MINUTE_MS, HOUR_MS, DAY_MS = 1_000, 60_000, 3_600_000, 86_400_000
FRESH_MS = DAY_MS  # younger than this reads "12 s ago", older ones their date
NOW_MS = 5 * SECOND_MS


def instant(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1_000, UTC)


def iso(at_ms: int) -> str:
    """ISO 8601 in UTC with milliseconds: what machines and scripts read."""
    return instant(at_ms).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Formats:
    """The formats of one language. `now_ms` is asked when something relative is shown."""

    def __init__(self, language: Language, now_ms: Callable[[], int]) -> None:
        self.language = language
        self.locale: Locale = locale(language)
        self._now_ms = now_ms
        self._words = translations(language)

    def number(self, value: float | None, digits: int = 0) -> str:
        """A number with the grouping and decimal sign of the language; a dash for none."""
        if value is None:
            return "–"
        pattern = "#,##0" + ("." + "#" * digits if digits else "")
        return str(format_decimal(value, format=pattern, locale=self.locale))

    def energy(self, energy_wh: int, digits: int = 2) -> str:
        """Watt hours as `7.34 kWh`."""
        pattern = "#,##0." + "#" * digits
        unit = "energy-kilowatt-hour"
        return str(format_unit(energy_wh / 1_000, unit, length="short", format=pattern, locale=self.locale))

    def power(self, power_w: int, digits: int = 1) -> str:
        """Watts as `7.3 kW`."""
        pattern = "#,##0." + "#" * digits
        return str(format_unit(power_w / 1_000, "power-kilowatt", length="short", format=pattern, locale=self.locale))

    def money(self, nanos: int | None, currency: str) -> str:
        """Billionths of a currency as an amount, rounded to its cents; a dash for none."""
        if nanos is None:
            return "–"
        amount = (Decimal(nanos) / 1_000_000_000).quantize(Decimal("0.01"), ROUND_HALF_UP)
        return str(format_currency(amount, currency, locale=self.locale))

    def day(self, day: Day) -> str:
        """A day that is no instant."""
        return str(format_date(day, format="medium", locale=self.locale))

    def date(self, at_ms: int) -> str:
        return str(format_date(instant(at_ms), format="medium", locale=self.locale))

    def clock(self, at_ms: int) -> Markup:
        """The time of day to the second, as `<time>`: for what happens now."""
        text = format_time(instant(at_ms), format="HH:mm:ss", locale=self.locale)
        return self._time(at_ms, text, "clock")

    def absolute(self, at_ms: int) -> str:
        """Date and time to the second, UTC."""
        text = format_datetime(instant(at_ms), format="medium", locale=self.locale)
        return f"{text} UTC"

    def ago(self, at_ms: int) -> str:
        """How long since (or until) an instant, in short words."""
        delta_ms = self._now_ms() - at_ms
        if abs(delta_ms) < NOW_MS:
            return self._words.gettext("now")
        amount = self.duration(abs(delta_ms), parts=1)
        pattern = self._words.gettext("%(amount)s ago") if delta_ms > 0 else self._words.gettext("in %(amount)s")
        return pattern % {"amount": amount}

    def when(self, at_ms: int | None) -> Markup:
        """Relative while fresh, else the date; the exact instant on hover. A dash for none."""
        if at_ms is None:
            return Markup("–")
        is_fresh = abs(self._now_ms() - at_ms) < FRESH_MS
        text = self.ago(at_ms) if is_fresh else format_datetime(instant(at_ms), "d MMM, HH:mm", locale=self.locale)
        return self._time(at_ms, str(text), "when")

    def at(self, at_ms: int | None) -> Markup:
        """Date and time to the minute, as `<time>`. A dash for none."""
        if at_ms is None:
            return Markup("–")
        return self._time(at_ms, str(format_datetime(instant(at_ms), "d MMM y, HH:mm", locale=self.locale)), "at")

    def duration(self, duration_ms: int | None, parts: int = 2) -> str:
        """`1 min 32 s`, `2 h 5 min`, `0.31 s`: the largest units that say something."""
        if duration_ms is None:
            return "–"
        if 0 < duration_ms < 10 * SECOND_MS and duration_ms % SECOND_MS:
            return self._unit(max(duration_ms, 10) / 1_000, "second", "#,##0.0#" if duration_ms < SECOND_MS else "0.#")
        return " ".join(self._pieces(duration_ms)[:parts]) or self._unit(0, "second")

    def _pieces(self, duration_ms: int) -> list[str]:
        rest = round(duration_ms / SECOND_MS)
        pieces: list[str] = []
        for unit, size_s in (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1)):
            amount, rest = divmod(rest, size_s)
            if amount:
                pieces.append(self._unit(amount, unit))
            elif pieces:
                break  # "2 d 4 s" says nothing that "2 d" does not
        return pieces

    def _unit(self, amount: float, unit: str, pattern: str = "#,##0") -> str:
        text = str(format_unit(amount, f"duration-{unit}", length="short", format=pattern, locale=self.locale))
        shorten = _SHORTER.get(self.language, {}).get(unit)
        return shorten(text) if shorten else text

    def _time(self, at_ms: int, text: str, kind: str) -> Markup:
        return Markup('<time datetime="{}" data-time="{}" title="{}">{}</time>').format(
            iso(at_ms), kind, self.absolute(at_ms), escape(text)
        )


def _letter(short: str) -> Callable[[str], str]:
    """Keep the number, write the unit as engineers do: English CLDR says "12 sec" where "12 s" is meant."""

    def shorten(text: str) -> str:
        number = text.rstrip("abcdefghijklmnopqrstuvwxyz. \u00a0\u202f")
        return f"{number} {short}"

    return shorten


_SHORTER: dict[str, dict[str, Callable[[str], str]]] = {
    "en": {"second": _letter("s"), "minute": _letter("min"), "hour": _letter("h"), "day": _letter("d")},
}
