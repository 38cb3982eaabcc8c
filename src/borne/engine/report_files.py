"""Documents as files: PDF to read, CSV and spreadsheets to reckon with. Words and numbers come ready; texts are only texts."""

from __future__ import annotations

import csv
import io
import unicodedata
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

import msgspec
from msgspec.structs import replace

from borne.core.cells import neutral

if TYPE_CHECKING:
    from fpdf import FPDF

Format = Literal["pdf", "csv", "xlsx"]
FORMATS: tuple[Format, ...] = get_args(Format)
MEDIA_TYPES: dict[Format, str] = {
    "pdf": "application/pdf",
    "csv": "text/csv",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
Cell: TypeAlias = str | int | Decimal

PDF_CELL_BOUND = 80  # characters of a cell that are looked at
FIGURES_A_ROW = 3


class Table(msgspec.Struct, frozen=True):
    """A table of a PDF. `widths`: shares of the page's width; the first `texts` columns are texts, the others numbers.

    `note`: a sentence below it, "" for none.
    """

    title: str
    widths: tuple[int, ...]
    texts: int
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


class Sheet(msgspec.Struct, frozen=True):
    """A table for programs: one line a session. Numbers are numbers."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""  # a last line, where sessions are left out


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """A report in words: its mail, and what its files hold. `page`: a pattern with %(n)s and %(total)s; `left_out`: the
    sentence where sessions are missing."""

    language: str
    organisation: str
    subject: str
    body: str
    file_name: str  # without its ending
    made_ms: int
    title: str
    lines: tuple[str, ...]
    figures: tuple[tuple[str, str], ...]  # label, value
    notes: tuple[str, ...]
    tables: tuple[Table, ...]
    sheet: Sheet
    page: str
    left_out: str

    def with_sessions(self, most: int) -> Document:
        """The same with fewer lines of sessions, which it says."""
        return replace(self, sheet=replace(self.sheet, rows=self.sheet.rows[:most], note=self.left_out))


def write(document: Document, kind: Format) -> bytes:
    """The file. It may take a second: call it in a thread."""
    return {"pdf": pdf, "csv": csv_file, "xlsx": spreadsheet}[kind](document)


# ---- for programs --------------------------------------------------------------------------------------------------------


def csv_file(document: Document) -> bytes:
    """UTF-8 with a byte order mark, so that spreadsheets read accents; commas; no cell is a formula."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow([neutral(cell) for cell in document.sheet.head])
    for row in document.sheet.rows:
        writer.writerow([neutral(_clean(cell)) if isinstance(cell, str) else str(cell) for cell in row])
    if document.sheet.note:
        writer.writerow([document.sheet.note])
    return b"\xef\xbb\xbf" + out.getvalue().encode()


def spreadsheet(document: Document) -> bytes:
    """A workbook with one sheet; texts are written as texts, whatever they look like."""
    import xlsxwriter

    out, sheet = io.BytesIO(), document.sheet
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    with xlsxwriter.Workbook(out, options) as book:
        book.set_properties({"created": datetime.fromtimestamp(document.made_ms / 1_000, UTC).replace(tzinfo=None)})
        page, bold = book.add_worksheet(_sheet_name(sheet.title)), book.add_format({"bold": True})
        page.freeze_panes(1, 0)
        for column, text in enumerate(sheet.head):
            page.set_column(column, column, max(12, min(30, len(text) + 2)))
            page.write_string(0, column, text, bold)
        for number, row in enumerate(sheet.rows, 1):
            for column, cell in enumerate(row):
                if isinstance(cell, str):
                    page.write_string(number, column, _clean(cell))
                else:
                    page.write_number(number, column, cell)
        if sheet.note:
            page.write_string(len(sheet.rows) + 1, 0, sheet.note)
    return out.getvalue()


def _sheet_name(text: str) -> str:
    """As spreadsheets allow it: 31 characters, without some signs."""
    return "".join(sign for sign in text if sign not in "[]:*?/\\'")[:31] or "1"


def _clean(text: str) -> str:
    """Without control characters, which no spreadsheet reads."""
    return "".join(sign for sign in text if sign >= " " and sign != "\x7f")


# ---- to read -------------------------------------------------------------------------------------------------------------

INK, QUIET, LINE, BAND = (24, 28, 32), (96, 104, 112), (208, 213, 218), (243, 245, 247)
MARGIN_MM = 15
ROW_MM = 5.4
CP1252 = "cp1252"  # what the fonts that every reader has can show: Western European
_REPLACED = str.maketrans(
    {"\u202f": "\u00a0", "\u2009": " ", "\u2212": "-", "ł": "l", "Ł": "L", "đ": "d", "Đ": "D", "ı": "i"}
)


def shown(text: str) -> str:
    """A text as the PDF's fonts can show it: accents they lack are left off, signs they lack are a question mark."""
    known = []
    for sign in _clean(text).translate(_REPLACED):
        if _has(sign):
            known.append(sign)
            continue
        plain = "".join(one for one in unicodedata.normalize("NFKD", sign) if not unicodedata.combining(one))
        known.append(
            plain if plain and all(_has(one) for one in plain) else "?" if not unicodedata.combining(sign) else ""
        )
    return "".join(known)


def _has(sign: str) -> bool:
    try:
        sign.encode(CP1252)
    except UnicodeEncodeError:
        return False
    return True


def pdf(document: Document) -> bytes:
    """A4 pages: title, figures, tables. Its size is bounded by the tables, which are."""
    paper = _paper(document)
    paper.add_page()
    _heading(paper, document)
    _figures(paper, document.figures)
    for note in document.notes:
        _sentence(paper, note)
    for table in document.tables:
        _table(paper, table)
    return bytes(paper.output())


def _paper(document: Document) -> FPDF:
    from fpdf import FPDF

    page = document.page

    class Paper(FPDF):
        """With the number of each page at its foot."""

        def footer(self) -> None:
            self.set_y(-12)
            self.set_font("Helvetica", size=8)
            self.set_text_color(*QUIET)
            self.cell(0, 5, shown(document.organisation[:PDF_CELL_BOUND]))
            said = page % {"n": self.page_no(), "total": "{nb}"}
            self.set_x(MARGIN_MM)
            self.cell(0, 5, shown(said), align="R")

    paper = Paper(format="A4")
    paper.core_fonts_encoding = CP1252
    paper.set_margins(MARGIN_MM, MARGIN_MM)
    paper.set_auto_page_break(True, margin=18)
    paper.set_title(document.title)
    paper.set_author(document.organisation)
    paper.set_lang(document.language)
    paper.set_creation_date(datetime.fromtimestamp(document.made_ms / 1_000, UTC))
    return paper


def _heading(paper: FPDF, document: Document) -> None:
    paper.set_text_color(*INK)
    paper.set_font("Helvetica", "B", 18)
    paper.multi_cell(0, 8, shown(document.title), align="L", new_x="LMARGIN", new_y="NEXT")
    paper.set_font("Helvetica", size=10)
    paper.set_text_color(*QUIET)
    for line in document.lines:
        paper.multi_cell(0, 5, shown(line), align="L", new_x="LMARGIN", new_y="NEXT")
    paper.ln(4)


def _figures(paper: FPDF, figures: tuple[tuple[str, str], ...]) -> None:
    """Boxes, three in a row."""
    gap, height = 3, 15
    width = (paper.epw - gap * (FIGURES_A_ROW - 1)) / FIGURES_A_ROW
    top = paper.get_y()
    for index, (label, value) in enumerate(figures):
        x = MARGIN_MM + index % FIGURES_A_ROW * (width + gap)
        y = top + index // FIGURES_A_ROW * (height + gap)
        paper.set_fill_color(*BAND)
        paper.rect(x, y, width, height, style="F")
        paper.set_xy(x + 2, y + 2)
        paper.set_font("Helvetica", size=8)
        paper.set_text_color(*QUIET)
        paper.cell(width - 4, 4, _fitting(paper, label, width - 4))
        paper.set_xy(x + 2, y + 7)
        paper.set_font("Helvetica", "B", 13)
        paper.set_text_color(*INK)
        paper.cell(width - 4, 6, _fitting(paper, value, width - 4))
    rows = -(-len(figures) // FIGURES_A_ROW)
    paper.set_xy(MARGIN_MM, top + rows * (height + gap) + 1)


def _sentence(paper: FPDF, text: str) -> None:
    paper.set_font("Helvetica", size=9)
    paper.set_text_color(*QUIET)
    paper.multi_cell(0, 4.6, shown(text), align="L", new_x="LMARGIN", new_y="NEXT")


def _table(paper: FPDF, table: Table) -> None:
    """Title, head and rows; the head again on each page."""
    paper.ln(5)
    if paper.will_page_break(6 + 3 * ROW_MM):
        paper.add_page()
    paper.set_font("Helvetica", "B", 12)
    paper.set_text_color(*INK)
    paper.cell(0, 7, shown(table.title), new_x="LMARGIN", new_y="NEXT")
    widths = [paper.epw * share / sum(table.widths) for share in table.widths]
    _row(paper, table, widths, table.head, is_head=True)
    for row in table.rows:
        if paper.will_page_break(ROW_MM):
            paper.add_page()
            _row(paper, table, widths, table.head, is_head=True)
        _row(paper, table, widths, row)
    if table.note:
        paper.ln(1)
        _sentence(paper, table.note)


def _row(paper: FPDF, table: Table, widths: list[float], cells: tuple[str, ...], *, is_head: bool = False) -> None:
    paper.set_font("Helvetica", "B" if is_head else "", 8.5)
    paper.set_text_color(*(QUIET if is_head else INK))
    paper.set_draw_color(*LINE)
    for index, (width, text) in enumerate(zip(widths, cells, strict=True)):
        align = "L" if index < table.texts else "R"
        paper.cell(width, ROW_MM, _fitting(paper, text, width - 2), border="B", align=align)
    paper.ln(ROW_MM)


def _fitting(paper: FPDF, text: str, width_mm: float) -> str:
    """As much of a text as fits, with an ellipsis where some does not."""
    text = shown(text[:PDF_CELL_BOUND])
    if paper.get_string_width(text) <= width_mm:
        return text
    while text and paper.get_string_width(text + "…") > width_mm:
        text = text[:-1]
    return text + "…"
