"""What the cells of one row say; lost digits are never guessed."""

import datetime as dt
import json
from pathlib import Path

import pytest
from django.conf import settings

from members.rules.cells import read_row
from members.rules.headers import (
    FIELDS,
    NOT_IMPORTED,
    duplicated_headers,
    find_header_row,
    guess_columns,
    recognize,
)

TODAY = dt.date(2026, 6, 15)
OFFICIAL_ID = "11010519491231002X"


def read(*, is_workbook=False, **cells):
    cells = {"name": "张三", "phone": "13800138000", **cells}
    columns = {name: position for position, name in enumerate(cells)}
    return read_row(list(cells.values()), columns, today=TODAY, is_workbook=is_workbook)


def codes(row):
    return [(error.field, error.code) for error in row.errors]


@pytest.mark.parametrize(
    "cell",
    [
        "13800138000",
        "13800138000.0",
        13800138000.0,
        13800138000,
        "１３８００１３８０００",
        "+86 138-0013-8000",
        '="13800138000"',
        "'13800138000",
    ],
)
def test_a_phone_is_read_through_the_dirt(cell):
    assert read(phone=cell).phone == "+8613800138000"


@pytest.mark.parametrize(
    ("cell", "code"),
    [
        ("1.38E+10", "phone_rounded"),
        ("1391881227", "phone_length"),
        ("138001380001", "phone_length"),
        ("=A1&B1", "formula"),
        ("#N/A", "excel_error"),
        ("abc", "phone_invalid"),
    ],
)
def test_a_damaged_phone_is_named(cell, code):
    assert codes(read(phone=cell)) == [("phone", code)]


@pytest.mark.parametrize("cell", ["-", "/", "无", "NULL", "", "  ", "N/A"])
def test_ways_of_writing_nothing_are_nothing(cell):
    row = read(email=cell, gender=cell, birthday=cell, nationality=cell, remark=cell)

    assert not row.errors
    assert (row.email, row.gender, row.birthday, row.nationality, row.remark) == ("", "", None, "", "")


@pytest.mark.parametrize(
    "cell",
    [
        "1990年06月01日",
        "1990年6月1日",
        "1990/6/1",
        "1990-06-01",
        "1990.6.1",
        "19900601",
        19900601,
        "33025",
        33025.0,
        "１９９０-06-01",
        "1990-06-01 00:00:00",
    ],
)
def test_a_birthday_is_read_in_every_way_of_writing(cell):
    assert read(birthday=cell).birthday == dt.date(1990, 6, 1)


@pytest.mark.parametrize(
    ("cell", "code"),
    [
        ("2026-11-31", "date_missing"),
        ("1990年06月", "date_invalid"),
        ("06/01/1990", "date_invalid"),
        ("90-06-01", "date_invalid"),
        ("2030-01-01", "birthday_impossible"),
        ("1850-01-01", "birthday_impossible"),
    ],
)
def test_a_birthday_that_cannot_be_is_named(cell, code):
    assert codes(read(birthday=cell)) == [("birthday", code)]


@pytest.mark.parametrize(
    ("cell", "gender"), [("男", "male"), ("女士", "female"), ("F", "female"), ("Male", "male"), ("保密", "")]
)
def test_gender(cell, gender):
    assert read(gender=cell).gender == gender


@pytest.mark.parametrize(
    ("cell", "code"),
    [
        ("中国", "CN"),
        ("CN", "CN"),
        ("美国", "US"),
        ("法国籍", "FR"),
        ("香港", "HK"),
        ("Germany", "DE"),
        ("United States", "US"),
        ("韩国", "KR"),
    ],
)
def test_nationality(cell, code):
    assert read(nationality=cell).nationality == code


def test_the_official_id_number_is_read_in_both_spellings():
    assert read(id_card=OFFICIAL_ID).document_number == OFFICIAL_ID
    assert read(id_card=OFFICIAL_ID.lower()).document_number == OFFICIAL_ID
    assert read(document_number=OFFICIAL_ID).document_type == "id_card"
    assert read(document_number="E12345678", document_type="护照").document_type == "passport"


@pytest.mark.parametrize(
    ("cell", "is_workbook"),
    [("110105194912310000", False), (1.1010519491231e17, True), (110105194912310020, True), ("5.10322E+17", False)],
)
def test_an_id_number_that_lost_digits_is_refused_and_never_guessed(cell, is_workbook):
    row = read(id_card=cell, is_workbook=is_workbook)

    assert codes(row) == [("id_card", "document_rounded")]
    assert row.document_number == ""


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ({"id_card": "110105194912310021"}, ("id_card", "id_card_checksum")),
        ({"id_card": "1101051949123100"}, ("id_card", "id_card_length")),
        ({"document_number": "E1234567"}, ("document_number", "document_type_missing")),
        ({"document_type": "学生证", "document_number": "1"}, ("document_type", "document_type_unknown")),
        ({"id_card": OFFICIAL_ID, "passport": "E12345678"}, ("document_number", "two_documents")),
        ({"name": ""}, ("name", "name_missing")),
        ({"name": "13800138000"}, ("name", "name_invalid")),
        ({"name": "张" * 121}, ("name", "too_long")),
        ({"gender": "非男"}, ("gender", "gender_unknown")),
        ({"nationality": "火星"}, ("nationality", "country_unknown")),
        ({"remark": "长" * 201}, ("remark", "too_long")),
        ({"phone": ""}, ("", "identity_missing")),
    ],
)
def test_what_is_wrong_is_named_with_its_column(cells, expected):
    assert expected in codes(read(**cells))


def test_a_neutralized_cell_of_our_own_report_is_read_back():
    row = read(name="张三", phone="'+8613800138000", remark="'=不吃辣")

    assert row.phone == "+8613800138000"
    assert codes(row) == [("remark", "formula")]


@pytest.mark.parametrize(
    ("header", "field"),
    [
        ("* 手机号（必填）", "phone"),
        ("客户姓名", "name"),
        ("Date of Birth", "birthday"),
        ("CRS订单号", "order_no"),
        ("身份证号码", "id_card"),
        ("E-mail", "email"),
        ("籍贯", ""),
        ("foo", ""),
    ],
)
def test_headers_are_recognized(header, field):
    assert recognize(header) == field


def test_the_first_of_two_columns_for_a_field_gets_it():
    first, second, third = guess_columns(["联系电话", "手机号", "会员等级"])

    assert (first.field, second.field, second.known_as) == ("phone", "", "phone")
    assert (third.field, third.known_as) == ("", "tier")


def test_repeated_headers_are_found():
    assert duplicated_headers(["姓名", "手机号", " 姓名*", "", ""]) == ["姓名"]


def test_without_any_known_name_the_first_row_is_the_header():
    assert find_header_row([["a", "b"], ["c", "d"]]) == 0


@pytest.mark.real_inputs
def test_every_alias_seen_in_real_sheets_is_recognized():
    path = Path(settings.GUIKE_REAL_INPUTS) / "chinese" / "header_aliases.json"
    if not path.exists():
        pytest.skip(f"the header aliases are not at {path}; GUIKE_REAL_INPUTS may name their folder")
    names = {"guest_name": "name", "mobile": "phone", "id_type": "document_type"}
    # A native place is no nationality; the others say themselves which document they hold.
    others = {"籍贯": "", "身份证": "id_card", "身份证号": "id_card", "身份证号码": "id_card", "护照号码": "passport"}

    for field, aliases in json.loads(path.read_text()).items():
        expected = names.get(field, field.replace("id_number", "document_number"))
        for alias in aliases:
            assert recognize(alias) == others.get(alias, expected), alias
            assert not expected or expected in FIELDS or expected in NOT_IMPORTED
