"""Reports on paper and in sheets: headings, facts and tables as PDF, as an Excel workbook, as CSV.

The PDF embeds the glyphs it uses of Noto Sans SC (SIL Open Font License, from the package `pylopdf-fonts-zh-cn`), so
that Chinese and English read the same on every machine and printer, without fonts of the system.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from fpdf import FPDF
from fpdf.enums import Align, TableBordersLayout, XPos, YPos
from fpdf.fonts import FontFace
from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.styles import Font
from openpyxl.utils import get_column_letter
from pylopdf_fonts_zh_cn import sans_path

Plain = str | int | Decimal | dt.date | None

FAMILY = "Noto Sans SC"
_INK = (31, 41, 43)
_FAINT = (96, 110, 113)
_HEAD_FILL = (238, 242, 242)
# The font has no signs of these currencies.
_WRITTEN_OUT = str.maketrans({"฿": "THB ", "₹": "INR ", "₽": "RUB ", "₱": "PHP ", "₪": "ILS "})
# A sheet takes no text for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True)
class Cell:
    """A value that a page links to the rows behind it.

    Attributes:
        value: The value.
        query: What the page of the rows is asked, as in an address; empty for no link.
        is_wrong: Whether it should not be there: shown in red.
    """

    value: Plain
    query: str = ""
    is_wrong: bool = False


Value = Plain | Cell


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: its heading, its share of the width, and whether it holds figures."""

    title: str
    width: int = 10
    is_number: bool = True


@dataclass(frozen=True, slots=True)
class ShownCell:
    """A value as text, with its link and how it is drawn."""

    text: str
    query: str
    is_wrong: bool
    is_number: bool


@dataclass(frozen=True, slots=True)
class ShownRow:
    """A row as a page draws it."""

    is_total: bool
    cells: list[ShownCell]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under headings; the last `totals` rows are sums."""

    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Value]]
    note: str = ""
    totals: int = 0

    @property
    def shown_rows(self) -> list[ShownRow]:
        """The rows as a page draws them."""
        first_total = len(self.rows) - self.totals
        return [
            ShownRow(
                number >= first_total,
                [_shown(value, column) for value, column in zip(row, self.columns, strict=True)],
            )
            for number, row in enumerate(self.rows)
        ]


@dataclass(frozen=True, slots=True)
class Paper:
    """A report.

    Attributes:
        title: What it is.
        facts: Label and value of what stands under the title: for whom, which period.
        tables: Its tables.
        page_label: What a page's foot says, with `{page}` and `{pages}`.
        is_wide: Whether pages lie on their side.
        notes: What stands below the tables, such as the definitions of the figures.
    """

    title: str
    facts: Sequence[tuple[str, str]]
    tables: Sequence[Table]
    page_label: str = "{page} / {pages}"
    is_wide: bool = False
    notes: Sequence[str] = field(default_factory=tuple)


class _Pages(FPDF):
    """A4 pages with the title and the page number at the foot."""

    def __init__(self, paper: Paper) -> None:
        super().__init__(orientation="landscape" if paper.is_wide else "portrait", format="A4")
        self.paper = paper
        self.add_font(FAMILY, fname=sans_path())
        self.set_margins(15, 14)
        self.set_auto_page_break(auto=True, margin=16)
        self.set_title(paper.title)
        self.set_creator("Guike")
        # Filled in when all pages are known.
        self.alias_nb_pages("{pages}")

    def footer(self) -> None:
        """Title and number of the page."""
        self.set_y(-12)
        self.set_font(FAMILY, size=8)
        self.set_text_color(*_FAINT)
        self.cell(self.epw / 2, 5, self.paper.title)
        label = self.paper.page_label.replace("{page}", str(self.page_no()))
        self.cell(self.epw / 2, 5, label, align=Align.R)


def to_pdf(paper: Paper) -> bytes:
    """The report as PDF."""
    pages = _Pages(paper)
    pages.add_page()
    _line(pages, paper.title, 17, _INK, 9)
    for label, value in paper.facts:
        pages.set_font(FAMILY, size=9)
        pages.set_text_color(*_FAINT)
        pages.cell(38, 5.5, label)
        pages.set_text_color(*_INK)
        pages.multi_cell(0, 5.5, value.translate(_WRITTEN_OUT), new_x=XPos.LMARGIN, new_y=YPos.NEXT)
    for table in paper.tables:
        pages.ln(4)
        # A heading does not stand alone at the foot of a page.
        if pages.get_y() > pages.h - 45:
            pages.add_page()
        if table.title:
            _line(pages, table.title, 12, _INK, 7)
        if table.note:
            _line(pages, table.note, 8.5, _FAINT, 5)
        _draw(pages, table)
    for note in paper.notes:
        pages.ln(2)
        _line(pages, note, 8.5, _FAINT, 5)
    return bytes(pages.output())


def _line(pages: FPDF, text: str, size: float, color: tuple[int, int, int], height: float) -> None:
    pages.set_font(FAMILY, size=size)
    pages.set_text_color(*color)
    pages.multi_cell(0, height, text.translate(_WRITTEN_OUT), new_x=XPos.LMARGIN, new_y=YPos.NEXT)


def _draw(pages: FPDF, table: Table) -> None:
    pages.set_font(FAMILY, size=8.5)
    pages.set_text_color(*_INK)
    pages.set_draw_color(215, 222, 222)
    with pages.table(
        col_widths=[column.width for column in table.columns],
        text_align=[Align.R if column.is_number else Align.L for column in table.columns],
        borders_layout=TableBordersLayout.HORIZONTAL_LINES,
        headings_style=FontFace(fill_color=_HEAD_FILL, color=_INK, emphasis=None),
        line_height=5,
        padding=(0.8, 1.2),
    ) as grid:
        grid.row([column.title for column in table.columns])
        first_total = len(table.rows) - table.totals
        for number, row in enumerate(table.rows):
            style = FontFace(fill_color=_HEAD_FILL) if number >= first_total else None
            grid.row([written(value).translate(_WRITTEN_OUT) for value in row], style=style)


def plain(value: Value) -> Plain:
    """The value without its link."""
    return value.value if isinstance(value, Cell) else value


def written(cell: Value) -> str:
    """A value as paper shows it: grouped thousands, ISO dates."""
    value = plain(cell)
    if value is None:
        return "–"
    if isinstance(value, int | Decimal):
        return f"{value:,}".replace("-", "−")
    return value.isoformat() if isinstance(value, dt.date) else value


def _shown(value: Value, column: Column) -> ShownCell:
    cell = value if isinstance(value, Cell) else Cell(value)
    return ShownCell(written(cell), cell.query, cell.is_wrong, column.is_number)


def to_workbook(paper: Paper) -> bytes:
    """The report as an Excel workbook, a sheet a table; figures stay figures."""
    book = Workbook(write_only=True)
    for number, table in enumerate(paper.tables, 1):
        sheet = book.create_sheet((table.title or paper.title)[:28].translate(_NOT_IN_TITLES) or str(number))
        for index, column in enumerate(table.columns, 1):
            sheet.column_dimensions[get_column_letter(index)].width = max(column.width * 1.4, 11)
        sheet.append([_bold(sheet, paper.title)])
        for label, value in paper.facts:
            sheet.append([label, _safe(value)])
        sheet.append([])
        sheet.append([_bold(sheet, column.title) for column in table.columns])
        for row in table.rows:
            sheet.append([_safe(value) for value in row])
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


_NOT_IN_TITLES = str.maketrans(dict.fromkeys("[]:*?/\\", " "))


def _bold(sheet: Any, text: str) -> Any:
    cell = WriteOnlyCell(sheet, value=str(_safe(text)))
    cell.font = Font(bold=True)
    return cell


def _safe(cell: Value) -> Plain:
    value = plain(cell)
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def csv_lines(table: Table) -> Iterable[str]:
    """A table as lines of CSV, the first with the mark by which Excel knows UTF-8."""
    yield "\ufeff" + _csv_line([column.title for column in table.columns])
    for row in table.rows:
        yield _csv_line([_safe(value) for value in row])


def _csv_line(values: Sequence[Plain]) -> str:
    out = io.StringIO()
    csv.writer(out).writerow(["" if value is None else value for value in values])
    return out.getvalue()
