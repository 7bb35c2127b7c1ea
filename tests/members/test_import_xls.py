"""Old Excel files (.xls): a real one comes in whole, a hostile one is refused before it costs anything."""

import datetime as dt
import io
import struct
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from members.models import Guest, ImportBatch
from members.rules import biff
from members.rules.sheets import SheetError, open_sheet
from members.services.imports import approve_import, choose_columns, run_import, start_import
from tests.factories import NOW, make_property
from tests.members import xls
from tests.members.xls import make_xls, record

HEADER = ["姓名", "手机号", "生日", "备注"]
ROWS = [
    HEADER,
    ["张三", 13800138000, dt.date(1949, 12, 31), "喜欢高楼层"],
    ["李四", "13900139000", "1990/6/1", ""],
    ["王五", 1.38e10, "", ""],
]


@pytest.fixture(autouse=True)
def _media(request, tmp_path):
    request.getfixturevalue("settings").MEDIA_ROOT = tmp_path / "media"


def refusal(content):
    with pytest.raises(SheetError) as caught:
        list(open_sheet(io.BytesIO(content)).rows)
    return caught.value.code


def test_texts_numbers_and_dates_are_read():
    sheet = open_sheet(io.BytesIO(make_xls(ROWS)))

    assert (sheet.encoding, sheet.headers, sheet.header_row) == ("xls", HEADER, 1)
    assert list(sheet.rows)[:2] == [
        (2, ["张三", 13800138000.0, "1949-12-31", "喜欢高楼层"]),
        (3, ["李四", "13900139000", "1990/6/1"]),
    ]


@pytest.mark.parametrize("count", [1, 3, 1000])
def test_small_and_large_files_have_all_their_rows(count):
    rows = [HEADER, *[[f"客人{number}", 13800000000 + number] for number in range(count)]]

    assert len(list(open_sheet(io.BytesIO(make_xls(rows))).rows)) == count


@pytest.mark.django_db
def test_an_xls_becomes_guests():
    file = io.BytesIO(make_xls(ROWS[:3]))
    batch = start_import(actor=None, now=NOW, place=make_property(), file_name="宾客.xls", file=file)
    mapping = {int(index): name for index, name in batch.mapping.items()}
    choose_columns(actor=None, now=NOW, batch_id=batch.pk, mapping=mapping)
    run_import(batch_id=batch.pk, now=NOW)
    approve_import(actor=None, now=NOW, batch_id=batch.pk)
    run_import(batch_id=batch.pk, now=NOW)

    batch.refresh_from_db()
    assert (batch.status, batch.encoding, batch.create_count) == (ImportBatch.Status.APPLIED, "xls", 2)
    guests = {guest.name: guest for guest in Guest.objects.all()}
    assert guests["张三"].birthday == dt.date(1949, 12, 31)
    assert guests["李四"].birthday == dt.date(1990, 6, 1)
    assert [guest.identities.get().masked for guest in guests.values()] == ["138 **** 8000", "139 **** 9000"]


def test_a_file_under_a_password_says_so():
    assert refusal(make_xls(ROWS, encrypted=True)) == "encrypted"


def with_cell(monkeypatch, row, column):
    """A file with one more number, wherever it pleases."""
    plain = xls.workbook_stream

    def stream(*args, **kwargs):
        cell = record(0x0203, struct.pack("<HHHd", row, column, 0, 1.0))
        return plain(*args, **kwargs)[:-4] + cell + record(0x000A)

    monkeypatch.setattr(xls, "workbook_stream", stream)
    return make_xls(ROWS)


def test_a_lone_cell_in_the_farthest_corner_is_refused_at_once(monkeypatch):
    content = with_cell(monkeypatch, 65535, 65535)
    started = time.monotonic()

    assert refusal(content) == "unpacks_too_large"
    assert time.monotonic() - started < 2


def test_the_span_is_that_of_the_last_value(monkeypatch):
    content = with_cell(monkeypatch, 9, 19)

    assert biff.spanned_cells(biff.workbook_stream(content)) == 200


def test_a_sheet_that_begins_inside_a_record_is_measured_too():
    hidden = record(0x0203, struct.pack("<HHHd", 65535, 65535, 0, 1.0))
    opening = record(0x0809, bytes(16))
    position = len(opening) + 4 + 8 + 4
    stream = opening + record(0x0085, struct.pack("<I", position) + bytes(4)) + record(0x0FFF, hidden)

    assert biff.spanned_cells(stream) == 65536 * 65536


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_a_damaged_file_is_refused_or_read_and_never_worse(data):
    content = bytearray(make_xls(ROWS))
    for _ in range(data.draw(st.integers(1, 12))):
        content[data.draw(st.integers(8, len(content) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(content[: data.draw(st.integers(8, len(content)))])

    try:
        stream = biff.workbook_stream(cut)
    except biff.NotReadable:
        return
    assert biff.spanned_cells(stream) >= 0
    assert biff.is_locked(stream) in {True, False}
