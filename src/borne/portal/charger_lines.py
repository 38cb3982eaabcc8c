"""The lines of a file of chargers: what each says, and what is wrong with it, by line and column."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable

import msgspec

from borne.core.models import CATALOGUE
from borne.engine.charger_import import Line
from borne.engine.locations import plain
from borne.engine.onboarding import IDENTITY
from borne.portal.charger_form import MODEL_BOUND, NAME_BOUND, SERIAL_BOUND
from borne.portal.csv_file import columns_of, key_of, lines_of
from borne.portal.frame import Page
from borne.portal.language import N_
from borne.store.charger_list import Place

ROWS_BOUND = 5_000
PASSWORD = re.compile(r"[A-Za-z0-9][!-~]{15,39}")  # OCPP 1.6 security whitepaper: 16 to 40 characters
COLUMNS: dict[str, tuple[str, ...]] = {
    "name": ("name", "charger", "chargername", "nom", "chargeur", "nomduchargeur"),
    "serial": ("serial", "serialnumber", "sn", "serie", "numerodeserie", "ndeserie", "nodeserie", "nserie"),
    "model": ("model", "modele"),
    "location": ("location", "site", "lieu", "emplacement"),
    "vendor": ("vendor", "manufacturer", "maker", "fabricant", "marque"),
    "model_name": ("modelname", "nomdumodele", "othermodel", "autremodele"),
    "identity": ("identity", "chargepointid", "chargerid", "cpid", "identite", "identifiant"),
    "password": ("password", "motdepasse"),
}
WORDS = {
    "name": N_("Name"),
    "serial": N_("Serial number"),
    "model": N_("Model"),
    "location": N_("Location"),
    "vendor": N_("Vendor"),
    "model_name": N_("Its model"),
    "identity": N_("Identity"),
    "password": N_("Password"),
}
_BOUNDS = {"name": NAME_BOUND, "serial": SERIAL_BOUND, "vendor": MODEL_BOUND, "model_name": MODEL_BOUND}
_MODELS = {key: model.id for model in CATALOGUE for key in (key_of(model.id), key_of(model.name))} | {
    "": "other", "autre": "other", "autrechargeurocpp": "other",
}  # fmt: skip


Say = Callable[[str, str], None]  # what is wrong: the column, the sentence


class Wrong(msgspec.Struct, frozen=True):
    """What is wrong in a line (0: in the file as a whole), and in which column."""

    line: int
    column: str
    text: str


class Good(msgspec.Struct, frozen=True):
    """A line that can be taken, by its number."""

    line: int
    charger: Line


class Looked(msgspec.Struct, frozen=True):
    """What a file says."""

    good: list[Good]
    wrong: list[Wrong]

    @property
    def bad_lines(self) -> int:
        return len({one.line for one in self.wrong})


def of_file(text: str) -> Looked:
    """A file with something wrong with it as a whole."""
    return Looked([], [Wrong(0, "", text)])


def look(page: Page, text: str, places: list[Place]) -> Looked:
    """Read a whole file, without asking the database. `places`: where the visitor may add chargers."""
    try:
        lines = list(lines_of(text))
    except csv.Error:
        lines = []
    if not lines:
        return of_file(page._("There is nothing to read. Is it a CSV file?"))
    columns = columns_of(lines[0][1], COLUMNS)
    if not {"name", "serial"} & set(columns):
        return of_file(page._("The first line must name the columns: name or serial, model, location …"))
    if len(lines) - 1 > ROWS_BOUND:
        most = page.formats.number(ROWS_BOUND)
        return of_file(
            page._("A file holds %(n)s chargers at most. Split it and take one part after the other.", n=most)
        )
    if len(lines) == 1:
        return of_file(page._("The file names its columns, and no charger."))
    reader = _Reader(page, places)
    good, wrong = [], []
    for number, cells in lines[1:]:
        named = {name: cells[place] for name, place in columns.items() if place < len(cells)}
        found = reader.read(number, named)
        if isinstance(found, Good):
            good.append(found)
        else:
            wrong += found
    return Looked(good, wrong)


class _Reader:
    """Reads one line after the other; it remembers what lines before have used."""

    def __init__(self, page: Page, places: list[Place]) -> None:
        self._page = page
        self._places: dict[str, list[int]] = {}
        for place in places:
            self._places.setdefault(plain(place.name), []).append(place.id)
        self._only = places[0].id if len(places) == 1 else None
        self._used: dict[str, dict[str, int]] = {"identity": {}, "serial": {}}

    def read(self, number: int, cells: dict[str, str]) -> Good | list[Wrong]:
        """The charger of a line, or all that is wrong with it."""
        wrong: list[Wrong] = []

        def say(column: str, text: str) -> None:
            wrong.append(Wrong(number, column, text))

        line = {column: cells.get(column, "") for column in COLUMNS}
        self._check(line, say)
        for column in self._used:
            self._once(number, column, line[column], say)
        location_id = self._place(line["location"], say)
        model = _MODELS.get(key_of(line["model"]), "")
        if wrong or location_id is None:
            return wrong
        charger = Line(
            location_id=location_id,
            name=line["name"],
            serial=line["serial"],
            model=model,
            vendor=line["vendor"] if model == "other" else "",
            model_name=line["model_name"] if model == "other" else "",
            identity=line["identity"],
            password=line["password"],
        )
        return Good(number, charger)

    def _check(self, line: dict[str, str], say: Say) -> None:
        """What is wrong with the cells as they stand there."""
        page = self._page
        for column, bound in _BOUNDS.items():
            if len(line[column]) > bound:
                say(column, page._("%(bound)s characters at most.", bound=bound))
        if not line["name"] and not line["serial"]:
            say("name", page._("Give it a name, or at least its serial number."))
        if key_of(line["model"]) not in _MODELS:
            word = line["model"][:60]
            said = page._("“%(word)s” is not in the catalogue. Leave it empty for any other charger.", word=word)
            say("model", said)
        if line["identity"] and not IDENTITY.fullmatch(line["identity"]):
            say("identity", page._("1 to 48 letters, digits or one of _=:+|@.-"))
        if line["password"] and not PASSWORD.fullmatch(line["password"]):
            say("password", page._("16 to 40 letters, digits and signs, no space, a letter or digit first."))

    def _place(self, word: str, say: Say) -> int | None:
        if not word and self._only is not None:
            return self._only
        found = self._places.get(plain(word), []) if word else []
        if len(found) == 1:
            return found[0]
        if not word:
            say("location", self._page._("Name the location where it stands."))
        elif found:
            say("location", self._page._("There are several locations “%(word)s”.", word=word[:60]))
        else:
            say("location", self._page._("There is no location “%(word)s” where you may add chargers.", word=word[:60]))
        return None

    def _once(self, number: int, column: str, value: str, say: Say) -> None:
        if not value:
            return
        first = self._used[column].setdefault(value, number)
        if first != number:
            say(column, self._page._("“%(word)s” stands in line %(line)s already.", word=value[:60], line=first))
