"""Whatever file comes, the reader gives rows or one clear sentence."""

import codecs
import datetime as dt
import io
import struct
import zipfile
import zlib

import openpyxl
import pytest

from members.rules import sheets
from members.rules.sheets import SheetError, open_sheet

TEXT = "姓名,手机号,备注\n张三,13800138000,喜欢高楼层\n李四,13900139000,\n"


def workbook(*rows, **cells) -> io.BytesIO:
    book = openpyxl.Workbook()
    page = book.active
    for row in rows:
        page.append(row)
    for address, value in cells.items():
        page[address] = value
    file = io.BytesIO()
    book.save(file)
    file.seek(0)
    return file


def refusal(content: bytes) -> SheetError:
    with pytest.raises(SheetError) as caught:
        list(open_sheet(io.BytesIO(content)).rows)
    assert caught.value.message
    return caught.value


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        (TEXT.encode(), "utf-8"),
        (codecs.BOM_UTF8 + TEXT.encode(), "utf-8-sig"),
        (TEXT.encode("gb18030"), "gb18030"),
        (TEXT.encode("utf-16"), "utf-16"),
        (codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"), "utf-16"),
    ],
)
def test_text_is_decoded_by_mark_then_utf8_then_gb18030(content, encoding):
    sheet = open_sheet(io.BytesIO(content))

    assert sheet.encoding == encoding
    assert sheet.headers == ["姓名", "手机号", "备注"]
    assert list(sheet.rows) == [(2, ["张三", "13800138000", "喜欢高楼层"]), (3, ["李四", "13900139000"])]


@pytest.mark.parametrize("mark", [",", "\t", ";", "|"])
def test_the_delimiter_is_found(mark):
    sheet = open_sheet(io.BytesIO(TEXT.replace(",", mark).encode()))

    assert sheet.headers == ["姓名", "手机号", "备注"]


def test_the_header_is_found_below_a_title_and_row_numbers_are_those_of_the_spreadsheet():
    sheet = open_sheet(io.BytesIO("宾客资料表,,\n,,\n姓名,手机号,备注\n\n张三,13800138000,\n".encode()))

    assert sheet.header_row == 3
    assert list(sheet.rows) == [(5, ["张三", "13800138000"])]


def test_a_workbook_keeps_numbers_apart_from_text_and_gives_dates_as_text():
    file = workbook([], [], B3="姓名", C3="手机", D3="生日", B5="王五", C5=13800138000.0, D5=dt.date(1990, 1, 2))

    sheet = open_sheet(file)

    assert (sheet.encoding, sheet.headers, sheet.header_row) == ("xlsx", ["", "姓名", "手机", "生日"], 3)
    ((number, cells),) = sheet.rows
    assert (number, cells[1], float(cells[2]), cells[3]) == (5, "王五", 13800138000.0, "1990-01-02")


@pytest.mark.parametrize("content", [b"", b" \r\n\t", b",,,\n,,,\n", "\ufeff".encode()])
def test_an_empty_file_is_refused(content):
    assert refusal(content).code == "empty"


def test_an_empty_workbook_is_refused():
    assert refusal(workbook().getvalue()).code == "empty"


def test_a_header_without_rows_is_refused():
    assert refusal("姓名,手机号\n".encode()).code == "header_only"


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"%PDF-1.7 ...", "wrong_type"),
        (b"\x89PNG\r\n\x1a\n", "wrong_type"),
        (b"<html><table><tr><td>1</td></tr></table>", "wrong_type"),
        (b"PK\x03\x04 not a zip", "damaged"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1 not a workbook", "damaged"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "EncryptedPackage".encode("utf-16-le"), "encrypted"),
        ("姓名,手机号\n张\x00三,1\n".encode(), "binary"),
        (b"\xff\xfe\xfd\xfc\x81\x00\xff\xff\xff", "binary"),
        (b"name,phone\n\xff\xff\xff\xff,1\n", "encoding_unknown"),
    ],
)
def test_what_is_not_a_sheet_is_named(content, code):
    assert refusal(content).code == code


def test_an_archive_of_something_else_is_refused():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("word/document.xml", "<w/>")

    assert refusal(file.getvalue()).code == "not_a_workbook"


@pytest.mark.parametrize("columns", [201, 5000])
def test_too_many_columns_are_refused(columns):
    line = ",".join(f"c{i}" for i in range(columns))

    assert refusal(f"{line}\n{line}\n".encode()).code == "too_many_columns"
    assert refusal(workbook(line.split(","), line.split(",")).getvalue()).code == "too_many_columns"


@pytest.mark.parametrize("characters", [40_000, 5_000_000])
def test_an_endless_cell_is_refused_with_its_row(characters):
    error = refusal(f'姓名,备注\n张三,好\n李四,"{"长" * characters}'.encode())

    assert (error.code, error.params["row"]) == ("cell_too_long", 3)


def test_too_many_rows_are_refused(monkeypatch):
    monkeypatch.setattr(sheets, "MAX_ROWS", 100)

    assert refusal(("姓名\n" + "张三\n" * 200).encode()).code == "too_many_rows"


def test_a_workbook_that_unpacks_beyond_measure_is_refused_whatever_its_directory_says():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
        archive.writestr("xl/worksheets/sheet1.xml", b"0" * 3_000_000)
    honest = file.getvalue()
    size = struct.pack("<I", 3_000_000)
    lying = honest.replace(size, struct.pack("<I", 10))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sheets, "MAX_UNPACKED_BYTES", 1_000_000)
        assert refusal(honest).code == "unpacks_too_large"
        assert refusal(lying).code == "unpacks_too_large"
    assert zlib.crc32(honest) != zlib.crc32(lying)


def test_a_workbook_that_spans_a_huge_empty_rectangle_is_refused():
    assert refusal(workbook(["姓名"], XFD1048576="x").getvalue()).code == "unpacks_too_large"


@pytest.mark.parametrize(("letters", "number"), [("A", 1), ("Z", 26), ("AA", 27), ("XFD", 16384)])
def test_columns_are_named_as_a_spreadsheet_names_them(letters, number):
    assert sheets.column_number(letters) == number
    assert sheets.column_letters(number - 1) == letters
