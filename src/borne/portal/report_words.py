"""Reports of a month in words: the mail, the pages of the PDF, and the lines for spreadsheets.

Names in them come from people and chargers: they are text, on one line, in all of these.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal

import msgspec
from babel.dates import format_date, format_datetime

from borne.engine.mail import one_line
from borne.engine.notice_mail import zone_of
from borne.engine.report_files import Cell, Document, Sheet, Table
from borne.engine.reports import MOST_PLACES, Compose, Line, Part, Report, Sums, next_month
from borne.portal import language as languages
from borne.portal.formats import Formats
from borne.portal.language import LANGUAGES, Language

HOUR_MS = 3_600_000
PDF_SESSIONS = 500  # listed in a PDF; the other files have all
NANOS = 1_000_000_000


def composer(public_url: str, now_ms: Callable[[], int]) -> Compose:
    """What puts reports into words, in the language of who gets them."""
    formats = {language: Formats(language, now_ms) for language in LANGUAGES}

    def compose(report: Report, language: str | None, name: str) -> Document:
        known = languages.known(language) or languages.SOURCE_LANGUAGE
        return _Words(report, known, formats[known]).document(public_url, name)

    return compose


def month_text(month: date, formats: Formats) -> str:
    """The month and the year."""
    return str(format_date(month, "MMMM y", locale=formats.locale))


class _Words:
    """One report in one language."""

    def __init__(self, report: Report, language: Language, formats: Formats) -> None:
        self.report = report
        self.language = language
        self.formats = formats
        self.words = languages.translations(language)
        self._ = self.words.gettext
        self.has_costs = len(report.currencies) == 1

    def document(self, public_url: str, name: str) -> Document:
        """The whole of it."""
        report, _ = self.report, self._
        month, about = month_text(report.wanted.month, self.formats), self.about()
        left_out = _("More sessions took place; the sessions page of Borne shows them all.")
        return Document(
            language=self.language,
            organisation=one_line(report.organisation),
            subject=_("%(about)s: charging in %(month)s") % {"about": about, "month": month},
            body=self.body(name, about, month, public_url),
            file_name=file_name(f"{_('charging')}-{report.wanted.month:%Y-%m}-{about}"),
            made_ms=report.made_ms,
            title=_("Charging in %(month)s") % {"month": month},
            lines=self.lines(about),
            figures=self.figures(),
            notes=self.notes(),
            tables=tuple(table for table in self.tables() if table.rows),
            sheet=self.sheet(left_out),
            page=_("Page %(n)s of %(total)s"),
            left_out=left_out,
        )

    def about(self) -> str:
        """What the report is about, by its name."""
        return one_line(self.report.name or self.report.organisation)

    def lines(self, about: str) -> tuple[str, ...]:
        report, _ = self.report, self._
        first, last = report.wanted.month, date.fromordinal(next_month(report.wanted.month).toordinal() - 1)
        lines = [about]
        if report.name:
            lines.append(one_line(report.organisation))
        if not report.is_whole:
            lines.append(_("Your locations alone"))
        period = f"{self.formats.day(first)} – {self.formats.day(last)} ({report.zone})"
        made = _("made on %(at)s") % {"at": self.at(report.made_ms, report.zone)}
        return (*lines, f"{period}, {made}")

    def body(self, name: str, about: str, month: str, public_url: str) -> str:
        _, sums = self._, self.report.sums
        said = [_("%(label)s: %(value)s") % {"label": label, "value": value} for label, value in self.figures()]
        paragraphs = [
            _("Hello %(name)s,") % {"name": one_line(name)},
            _("here is what was charged in %(month)s: %(about)s.") % {"month": month, "about": about},
            "\n".join(said) if sums.plugged_ms or sums.sessions else _("Nothing was charged in this month."),
            *self.notes(),
            _("You get this report each month because you asked for it. Change that here:") + f"\n{public_url}/reports",
        ]
        return "\n\n".join(paragraphs) + "\n"

    # ---- sums ------------------------------------------------------------------------------------------------------------

    def figures(self) -> tuple[tuple[str, str], ...]:
        _, sums = self._, self.report.sums
        return (
            (_("Sessions"), self.formats.number(sums.sessions)),
            (_("Energy"), self.formats.energy(sums.energy_wh)),
            (_("Cost of energy"), self.cost()),
            (_("Charging"), self.hours(sums.charging_ms)),
            (_("Plugged in, not charging"), self.hours(sums.plugged_ms - sums.charging_ms)),
        )

    def cost(self) -> str:
        """Of everything; where several currencies are paid, each by itself."""
        if self.has_costs:
            return self.money(self.report.sums)
        sums = dict.fromkeys(self.report.currencies, 0)
        for part in self.report.parts:
            if part.currency in sums:
                sums[part.currency] += part.cost_nanos
        return " + ".join(self.formats.money(nanos, currency) for currency, nanos in sums.items())

    def money(self, sums: Sums) -> str:
        """A dash where none of the energy has a price."""
        if sums.energy_wh and sums.unpriced_wh == sums.energy_wh:
            return "–"
        return self.formats.money(sums.cost_nanos, self.report.currencies[0])

    def hours(self, duration_ms: int) -> str:
        return self._("%(n)s h") % {"n": self.formats.number(duration_ms / HOUR_MS, 1)}

    def notes(self) -> tuple[str, ...]:
        """What the figures leave out."""
        _, sums = self._, self.report.sums
        notes = []
        if sums.unpriced_wh:
            said = _("%(energy)s has no price: it is not in the costs.")
            notes.append(said % {"energy": self.formats.energy(sums.unpriced_wh)})
        if sums.unknown:
            said = self.words.ngettext(
                "%(n)s session whose energy the charger did not say is not in the energy.",
                "%(n)s sessions whose energy the charger did not say are not in the energy.",
                sums.unknown,
            )
            notes.append(said % {"n": self.formats.number(sums.unknown)})
        if not self.has_costs:
            notes.append(
                _("Costs are in several currencies: they are summed for each of them, and left out of some tables.")
            )
        return tuple(notes)

    # ---- tables ------------------------------------------------------------------------------------------------------------

    def tables(self) -> Sequence[Table]:
        _, report = self._, self.report
        days = msgspec.structs.replace(
            self.summed(_("By day"), _("Day"), report.by_day),
            rows=tuple((self.day(line), *self.cells(line.sums)) for line in report.by_day),
        )
        by_location = self.summed(_("By location"), _("Location"), report.by_location, _("gone"))
        by_charger = self.summed(_("By charger"), _("Charger"), report.by_charger, _("a charger that is gone"))
        if len(report.by_location) < 2:
            return (days, by_charger, self.sessions())
        return (days, by_location, by_charger, self.sessions())

    def day(self, line: Line) -> str:
        assert isinstance(line.key, date)
        return str(format_date(line.key, "EEE d MMM", locale=self.formats.locale))

    def summed(self, title: str, what: str, lines: Sequence[Line], gone: str = "") -> Table:
        """A table of sums by something."""
        _ = self._
        costs = (_("Cost"),) if self.has_costs else ()
        note = ""
        if len(lines) == MOST_PLACES:
            note = _("The %(n)s with the most energy.") % {"n": self.formats.number(MOST_PLACES)}
        return Table(
            title=title,
            widths=(38, 14, 18, 18, 18, *(18,) * len(costs)),
            texts=1,
            head=(what, _("Sessions"), _("Energy"), _("Charging"), _("Not charging"), *costs),
            rows=tuple((one_line(str(line.key or gone)), *self.cells(line.sums)) for line in lines),
            note=note,
        )

    def cells(self, sums: Sums) -> tuple[str, ...]:
        found = (
            self.formats.number(sums.sessions),
            self.formats.energy(sums.energy_wh),
            self.hours(sums.charging_ms),
            self.hours(sums.plugged_ms - sums.charging_ms),
        )
        return (*found, self.money(sums)) if self.has_costs else found

    def sessions(self) -> Table:
        """The first of the sessions."""
        _, report = self._, self.report
        has_person, has_place = report.wanted.about != "person", report.wanted.about != "location"
        texts = (
            _("Begin"),
            *((_("Location"),) if has_place else ()),
            _("Charger"),
            *((_("User"),) if has_person else ()),
        )
        rows = tuple(
            (
                self.at(part.begun_ms, part.zone, year=False),
                *((one_line(part.location or ""),) if has_place else ()),
                one_line(part.charger or _("gone")),
                *((one_line(part.person or part.tag or "–"),) if has_person else ()),
                self.formats.duration(part.plugged_ms),
                "–" if part.is_unknown else self.formats.energy(part.energy_wh),
                self.part_cost(part),
            )
            for part in report.parts[:PDF_SESSIONS]
        )
        note = _(
            "Times are those of each location. Of a session that goes over the turn of the month, this month’s part counts."
        )
        if report.left_out or len(report.parts) > PDF_SESSIONS:
            shown = {"n": self.formats.number(PDF_SESSIONS)}
            note += (
                " " + _("The first %(n)s sessions. The CSV report and the sessions page of Borne have more.") % shown
            )
        return Table(
            title=_("Sessions"),
            widths=(26, *(28,) * (len(texts) - 1), 20, 18, 16),
            texts=len(texts),
            head=(*texts, _("Plugged in"), _("Energy"), _("Cost")),
            rows=rows,
            note=note,
        )

    def part_cost(self, part: Part) -> str:
        if part.currency is None or (part.energy_wh and part.unpriced_wh == part.energy_wh):
            return "–"
        return self.formats.money(part.cost_nanos, part.currency)

    def sheet(self, left_out: str) -> Sheet:
        """A line for each session. Costs are exact, so that lines add up to the sums."""
        _, report = self._, self.report
        head = (
            _("Begin"), _("Ended at"), _("Time zone"), _("Location"), _("Charger"), _("User"), _("Badge"),
            _("Energy (kWh)"), _("Charging (h)"), _("Not charging (h)"), _("Cost"), _("Currency"),
            _("Energy without a price (kWh)"),
            _("Remark"),
        )  # fmt: skip
        return Sheet(
            title=month_text(report.wanted.month, self.formats),
            head=head,
            rows=tuple(self.sheet_row(part) for part in report.parts),
            note=left_out if report.left_out else "",
        )

    def sheet_row(self, part: Part) -> tuple[Cell, ...]:
        return (
            _iso(part.begun_ms, part.zone),
            "" if part.is_open else _iso(part.over_ms, part.zone),
            part.zone,
            one_line(part.location or ""),
            one_line(part.charger or ""),
            one_line(part.person or ""),
            one_line(part.tag or "").upper(),
            "" if part.is_unknown else Decimal(part.energy_wh) / 1_000,
            _hours(part.charging_ms),
            _hours(part.plugged_ms - part.charging_ms),
            "" if part.currency is None else Decimal(part.cost_nanos) / NANOS,
            part.currency or "",
            Decimal(part.unpriced_wh) / 1_000,
            self.remark(part),
        )

    def remark(self, part: Part) -> str:
        _ = self._
        said = (
            (part.is_earlier, _("began before this month")),
            (part.is_open, _("not over yet")),
            (part.is_unknown, _("energy not known")),
        )
        return "; ".join(words for holds, words in said if holds)

    def at(self, at_ms: int, zone: str, *, year: bool = True) -> str:
        there = datetime.fromtimestamp(at_ms / 1_000, UTC).astimezone(zone_of(zone))
        return str(format_datetime(there, "d MMM y, HH:mm" if year else "d MMM, HH:mm", locale=self.formats.locale))


def file_name(text: str) -> str:
    """Letters without accents, digits and hyphens: a name that every system takes."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:80] or "report"


def _iso(at_ms: int, zone: str) -> str:
    """Local date and time with its offset, to the second."""
    return datetime.fromtimestamp(at_ms // 1_000, UTC).astimezone(zone_of(zone)).isoformat(sep=" ")


def _hours(duration_ms: int) -> Decimal:
    """To four digits, a third of a second."""
    return round(Decimal(duration_ms) / HOUR_MS, 4)
