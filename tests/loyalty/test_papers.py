"""Reports as PDF, as workbook, as CSV: what they hold, and what a sheet must not take for a formula."""

import csv
import datetime as dt
import io
from decimal import Decimal

from openpyxl import load_workbook
from pypdf import PdfReader

from loyalty.rules.papers import Cell, Column, Paper, Table, csv_lines, to_pdf, to_workbook

COLUMNS = [Column("日期", 20, is_number=False), Column("说明", 60, is_number=False), Column("积分", 20)]


def paper(rows, **fields):
    return Paper(
        "积分明细", [("会员", "陈思远")], [Table("明细", COLUMNS, rows, **fields)], page_label="第 {page}/{pages} 页"
    )


def text_of(page):
    return "".join(page.extract_text().replace("\0", "").split())


def test_every_page_has_the_headings_and_its_number():
    rows = [[dt.date(2026, 6, 15), "在云栖上海入住", number] for number in range(80)]

    pages = PdfReader(io.BytesIO(to_pdf(paper(rows)))).pages

    assert len(pages) == 3
    for number, page in enumerate(pages, 1):
        assert "日期说明积分" in text_of(page)
        assert f"第{number}/3页" in text_of(page)


def test_the_glyphs_are_in_the_file():
    reader = PdfReader(io.BytesIO(to_pdf(paper([[None, "曼谷 ฿9,726.00", -1000]]))))

    (font,) = reader.pages[0]["/Resources"]["/Font"].values()
    assert "/FontFile3" in font.get_object()["/DescendantFonts"][0].get_object()["/FontDescriptor"]
    # The font has no sign of the baht.
    assert "曼谷THB9,726.00−1,000" in text_of(reader.pages[0])


def test_figures_of_a_workbook_are_figures_and_text_is_no_formula():
    rows = [[dt.date(2026, 6, 15), "=HYPERLINK(1)", Cell(-1000, "of=lots")], ["合计", None, Decimal("9.50")]]

    sheet = load_workbook(io.BytesIO(to_workbook(paper(rows, totals=1)))).active

    values = list(sheet.values)
    assert values[3][:3] == ("日期", "说明", "积分")
    assert values[4][0].date() == dt.date(2026, 6, 15)
    assert values[4][1:] == ("'=HYPERLINK(1)", -1000)
    assert values[5] == ("合计", None, 9.5)


def test_a_csv_is_read_back():
    table = paper([["2026-06-15", '+1, "zwei"', -1000]]).tables[0]

    rows = list(csv.reader(io.StringIO("".join(csv_lines(table)).lstrip("\ufeff"))))

    assert rows == [["日期", "说明", "积分"], ["2026-06-15", '\'+1, "zwei"', "-1000"]]
