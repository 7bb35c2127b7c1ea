"""A file of guests from upload to report, through the services and the command."""

import csv
import datetime as dt
import io
import threading
from pathlib import Path

import pytest
from django.core.files.storage import default_storage
from django.core.management import CommandError, call_command
from django.db import connection, connections
from django.utils import translation

from hotels.models import AuditEntry
from members.models import Guest, GuestIdentity, ImportBatch, ImportRow, Preference
from members.rules.sheets import SheetError
from members.selectors.imports import problems_of, progress_of, wrong_rows, wrong_rows_table
from members.services.imports import (
    ColumnsWrong,
    ImportRefused,
    approve_import,
    cancel_import,
    choose_columns,
    discard_stale_imports,
    due_imports,
    run_import,
    runs,
    start_import,
)
from tests.factories import NOW, make_property

HEADER = "姓名,手机号,身份证号,性别,生日,国籍,邮箱,公司,备注,会员等级"
GOOD = [
    "张三,13800138000,11010519491231002X,女,1949年12月31日,中国,zhang@example.com,云栖科技,喜欢高楼层,金卡",
    "李四,13900139000.0,,男,1990/6/1,美国,,,对花生过敏,",
    "王五,１３６００１３６０００,,,,,,,,",
]
WRONG = [
    "赵六,1.38E+10,,,,,,,,",
    "钱七,13700137000,,未定,2026-11-31,,,,,",
    ",13500135000,,,,,,,,",
]


@pytest.fixture(autouse=True)
def _media(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path / "media"


def sheet(*rows, encoding="utf-8"):
    return io.BytesIO("\n".join([HEADER, *rows]).encode(encoding))


def upload(file, *, place=None, actor=None):
    return start_import(actor=actor, now=NOW, place=place or make_property(), file_name="宾客.csv", file=file)


def check(batch, **mapping):
    guessed = {int(index): name for index, name in batch.mapping.items()}
    choose_columns(actor=batch.created_by, now=NOW, batch_id=batch.pk, mapping={**guessed, **mapping})
    assert run_import(batch_id=batch.pk, now=NOW)
    batch.refresh_from_db()
    return batch


def apply(batch):
    approve_import(actor=batch.created_by, now=NOW, batch_id=batch.pk)
    assert run_import(batch_id=batch.pk, now=NOW)
    batch.refresh_from_db()
    return batch


def counts(batch):
    return (batch.create_count, batch.update_count, batch.unchanged_count, batch.error_count)


def load(*rows, place=None, encoding="utf-8"):
    return apply(check(upload(sheet(*rows, encoding=encoding), place=place)))


@pytest.mark.django_db
def test_the_check_counts_and_writes_no_guest():
    batch = check(upload(sheet(*GOOD, *WRONG)))

    assert batch.status == ImportBatch.Status.CHECKED
    assert (batch.row_count, batch.done_count, counts(batch)) == (6, 6, (3, 0, 0, 3))
    assert not Guest.objects.exists()
    assert not Preference.objects.exists()


@pytest.mark.django_db
def test_good_rows_become_guests_and_wrong_rows_do_not_stop_them():
    place = make_property()
    batch = load(*GOOD, *WRONG, place=place, encoding="gb18030")

    assert batch.status == ImportBatch.Status.APPLIED
    assert (batch.done_count, counts(batch)) == (6, (3, 0, 0, 3))
    guest = Guest.objects.get(name="张三")
    assert (guest.gender, str(guest.birthday), guest.nationality, guest.company) == (
        "female",
        "1949-12-31",
        "CN",
        "云栖科技",
    )
    assert {(i.kind, i.masked) for i in guest.identities.all()} == {
        ("phone", "138 **** 8000"),
        ("email", "z***@example.com"),
        ("document", "110***********002X"),
    }
    assert AuditEntry.objects.filter(action="guest.enrolled", property=place).count() == 3
    assert AuditEntry.objects.filter(action="import.applied", after__error_count=3).count() == 1


@pytest.mark.django_db
def test_a_remark_becomes_a_note_and_an_allergy_an_alert():
    load(*GOOD)

    notes = set(Preference.objects.values_list("guest__name", "category", "severity", "text"))
    assert notes == {
        ("张三", "other", "notice", "喜欢高楼层"),
        ("李四", "allergy", "alert", "对花生过敏"),
    }


@pytest.mark.django_db
def test_the_same_file_again_changes_nothing():
    load(*GOOD, *WRONG)
    before = [list(model.objects.order_by("pk").values()) for model in (Guest, GuestIdentity, Preference)]

    batch = check(upload(sheet(*GOOD, *WRONG)))

    assert counts(batch) == (0, 0, 3, 3)
    with pytest.raises(ImportRefused):
        apply(batch)
    assert before == [list(model.objects.order_by("pk").values()) for model in (Guest, GuestIdentity, Preference)]


@pytest.mark.django_db
def test_a_known_guest_is_brought_up_to_date():
    load(*GOOD)

    batch = load("王五,13600136000,,男,,,,新公司,要静音,")

    assert counts(batch) == (0, 1, 0, 0)
    guest = Guest.objects.get(name="王五")
    assert (guest.gender, guest.company, guest.preferences.get().text) == ("male", "新公司", "要静音")
    assert Guest.objects.count() == 3


@pytest.mark.django_db
def test_a_remark_alone_is_a_change():
    load(*GOOD)

    assert counts(check(upload(sheet("王五,13600136000,,,,,,,要静音,")))) == (0, 1, 0, 0)


@pytest.mark.django_db
def test_of_two_rows_with_one_phone_the_second_is_refused_with_the_number_of_the_first():
    batch = load("张三,13800138000,,,,,,,,", "张三丰,138 0013 8000,,,,,,,,")

    assert counts(batch) == (1, 0, 0, 1)
    (problem,) = problems_of(ImportRow.objects.get(row_number=3))
    assert (problem.column, "2" in problem.message) == ("手机号", True)
    assert Guest.objects.get().name == "张三"


@pytest.mark.django_db
def test_a_wrong_row_does_not_block_a_right_one_with_the_same_phone():
    batch = load("张三,13800138000,,未定,,,,,,", "张三,13800138000,,,,,,,,")

    assert counts(batch) == (1, 0, 0, 1)


@pytest.mark.django_db
def test_identities_of_two_guests_in_one_row_are_refused():
    load(*GOOD)

    batch = check(upload(sheet("张三,13800138000,,,,,,,,", "李四,13800138000,,,,,li@example.com,,,")))

    assert counts(batch) == (0, 0, 1, 1)


@pytest.mark.django_db
def test_a_row_with_more_cells_than_the_header_is_refused():
    batch = check(upload(sheet("张三,13800138000,,,,,,,,金卡,多一格")))

    assert [e["code"] for e in batch.rows.get().errors] == ["too_many_cells"]


@pytest.mark.django_db
def test_the_wrong_rows_can_be_corrected_and_uploaded_again():
    batch = load(*GOOD, "=cmd|' /C calc'!A0,+86 137,,,,,,,,", "赵六,1.38E+10,,,,,,,,")
    table = list(wrong_rows_table(batch))

    assert table[1][0].startswith("'=")
    assert [row[len(HEADER.split(","))] for row in table[1:]] == ["5", "6"]
    table[1][:2] = ["孙八", "13700137000"]
    table[2][1] = "13800138001"
    file = io.StringIO()
    csv.writer(file).writerows(table)

    again = apply(check(upload(io.BytesIO(file.getvalue().encode("utf-8-sig")))))

    assert counts(again) == (2, 0, 0, 0)


@pytest.mark.django_db
def test_personal_data_is_kept_encrypted_and_given_up_when_it_is_not_needed_any_more():
    batch = upload(sheet(*GOOD, *WRONG))
    stored = default_storage.path(batch.file.name)
    assert b"13800138000" not in Path(stored).read_bytes()
    assert "138****" in str(batch.samples) or "138" in str(batch.samples)
    assert "13800138000" not in str(batch.samples)

    apply(check(batch))

    assert not Path(stored).exists() or connection.in_atomic_block
    assert all(not bytes(row.cells) for row in batch.rows.filter(row_number__lt=5))
    assert all(b"13700137000" not in bytes(row.cells) for row in batch.rows.all())
    (shown, *_rest) = wrong_rows(batch)
    assert shown.number == 5


@pytest.mark.django_db
def test_problems_are_told_in_the_readers_language():
    batch = check(upload(sheet(*WRONG)))

    with translation.override("en"):
        english = [p.message for row in wrong_rows(batch) for p in row.problems]

    assert "There is no such day in the calendar." in english
    assert all(message.isascii() or "男" in message for message in english)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("mapping", "wrong"),
    [({0: ""}, None), ({1: "", 2: "", 6: ""}, None), ({9: "phone"}, 9)],
)
def test_a_choice_of_columns_that_cannot_work_is_refused(mapping, wrong):
    batch = upload(sheet(*GOOD))
    guessed = {int(index): name for index, name in batch.mapping.items()}

    with pytest.raises(ColumnsWrong) as caught:
        choose_columns(actor=None, now=NOW, batch_id=batch.pk, mapping={**guessed, **mapping})

    assert list(caught.value.errors) == [wrong]


@pytest.mark.django_db
def test_a_file_above_the_limit_is_refused_before_it_is_read(settings):
    settings.GUIKE_IMPORT_MAX_BYTES = 10

    with pytest.raises(SheetError) as caught:
        upload(sheet(*GOOD))

    assert caught.value.code == "too_large"
    assert not ImportBatch.objects.exists()


@pytest.mark.django_db
def test_a_file_of_data_without_a_header_is_refused():
    with pytest.raises(SheetError) as caught:
        upload(io.BytesIO("张三,13800138000\n李四,13900139000\n".encode()))

    assert caught.value.code == "header_missing"


@pytest.mark.django_db
def test_a_canceled_import_stays_canceled():
    batch = check(upload(sheet(*GOOD)))

    cancel_import(actor=None, now=NOW, batch_id=batch.pk)
    cancel_import(actor=None, now=NOW, batch_id=batch.pk)

    assert not run_import(batch_id=batch.pk, now=NOW)
    with pytest.raises(ImportRefused):
        approve_import(actor=None, now=NOW, batch_id=batch.pk)
    assert not Guest.objects.exists()


@pytest.mark.django_db
def test_a_file_that_nobody_goes_on_with_is_given_up_after_a_week():
    stale, fresh = check(upload(sheet(*GOOD))), check(upload(sheet(*GOOD)))
    ImportBatch.objects.filter(pk=stale.pk).update(created_at=NOW - dt.timedelta(days=8))
    ImportBatch.objects.filter(pk=fresh.pk).update(created_at=NOW - dt.timedelta(days=6))

    assert discard_stale_imports(now=NOW) == 1

    assert not stale.rows.exists()
    assert fresh.rows.count() == 3
    assert ImportBatch.objects.get(status="canceled").pk == stale.pk


@pytest.mark.django_db
def test_a_second_worker_leaves_a_running_import_alone_until_its_lease_ends():
    batch = upload(sheet(*GOOD))
    choose_columns(actor=None, now=NOW, batch_id=batch.pk, mapping={0: "name", 1: "phone"})
    assert due_imports() == [batch.pk]
    with connection.cursor() as cursor:
        cursor.execute("UPDATE members_importbatch SET claimed_until = now() + interval '30 seconds'")

    assert due_imports() == []
    assert not run_import(batch_id=batch.pk, now=NOW)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE members_importbatch SET claimed_until = now() - interval '1 second'")
    assert run_import(batch_id=batch.pk, now=NOW)


class WorkerDied(BaseException):
    """Stands for kill -9: nothing after it runs."""


@pytest.mark.django_db(transaction=True)
def test_a_worker_that_dies_in_the_middle_loses_nothing_and_repeats_nothing(monkeypatch):
    monkeypatch.setattr(runs, "CHUNK_ROWS", 2)
    rows = [f"客人{i},138{i + 12345:08d},,,,,,,高楼层{i}," for i in range(9)]
    batch = check(upload(sheet(*rows)))
    approve_import(actor=None, now=NOW, batch_id=batch.pk)
    real = runs._update_rows
    calls = []

    def dying(rows):
        real(rows)
        calls.append(1)
        if len(calls) == 3:
            raise WorkerDied

    monkeypatch.setattr(runs, "_update_rows", dying)
    with pytest.raises(WorkerDied):
        run_import(batch_id=batch.pk, now=NOW)

    batch.refresh_from_db()
    assert (batch.status, batch.done_count, Guest.objects.count()) == ("applying", 4, 4)
    assert progress_of(batch, NOW).percent == 44
    assert not run_import(batch_id=batch.pk, now=NOW)
    ImportBatch.objects.update(claimed_until=NOW)
    assert run_import(batch_id=batch.pk, now=NOW)
    batch.refresh_from_db()
    assert (batch.status, counts(batch), Guest.objects.count()) == ("applied", (9, 0, 0, 0), 9)
    assert Preference.objects.count() == 9
    assert AuditEntry.objects.filter(action="guest.enrolled").count() == 9


@pytest.mark.django_db(transaction=True)
def test_canceling_stops_between_two_chunks(monkeypatch):
    monkeypatch.setattr(runs, "CHUNK_ROWS", 2)
    batch = check(upload(sheet(*(f"客人{i},138{i + 12345:08d},,,,,,,," for i in range(6)))))
    approve_import(actor=None, now=NOW, batch_id=batch.pk)
    real = runs._Run._chunk
    calls = []

    def chunk(run):
        calls.append(1)
        if len(calls) == 2:
            cancel_import(actor=None, now=NOW, batch_id=batch.pk)
        return real(run)

    monkeypatch.setattr(runs._Run, "_chunk", chunk)

    assert not run_import(batch_id=batch.pk, now=NOW)

    batch.refresh_from_db()
    assert (batch.status, Guest.objects.count(), batch.done_count) == ("canceled", 2, 2)
    assert counts(batch) == (2, 0, 0, 0)
    assert batch.rows.count() == 2


@pytest.mark.django_db(transaction=True)
def test_two_workers_at_once_do_the_work_once():
    batch = check(upload(sheet(*(f"客人{i},138{i + 12345:08d},,,,,,,," for i in range(50)))))
    approve_import(actor=None, now=NOW, batch_id=batch.pk)
    barrier = threading.Barrier(4)
    done = []

    def work():
        barrier.wait()
        done.append(run_import(batch_id=batch.pk, now=NOW))
        connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(done) == [False, False, False, True]
    assert Guest.objects.count() == 50


@pytest.mark.django_db
def test_a_fault_of_ours_is_shown_as_failed(monkeypatch):
    batch = check(upload(sheet(*GOOD)))
    approve_import(actor=None, now=NOW, batch_id=batch.pk)
    monkeypatch.setattr(runs, "create_guests", lambda **_facts: 1 / 0)

    with pytest.raises(ZeroDivisionError):
        run_import(batch_id=batch.pk, now=NOW)

    batch.refresh_from_db()
    assert (batch.status, batch.failure) == ("failed", "fault: ZeroDivisionError")


# The command


def call(tmp_path, content, *options):
    path = tmp_path / "宾客.csv"
    path.write_bytes(content)
    out = io.StringIO()
    call_command("import_guests", str(path), *options, stdout=out)
    return out.getvalue()


@pytest.mark.django_db
def test_the_command_checks_first_and_applies_on_demand(tmp_path):
    make_property("SHA")
    content = sheet(*GOOD, *WRONG).getvalue()
    errors = tmp_path / "wrong.csv"

    call(tmp_path, content, "--property", "SHA")
    assert not Guest.objects.exists()
    call(tmp_path, content, "--property", "SHA", "--apply", "--errors", str(errors))

    assert Guest.objects.count() == 3
    assert errors.read_bytes().startswith(b"\xef\xbb\xbf")
    assert len(errors.read_text("utf-8-sig").splitlines()) == 4


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("content", "options"),
    [
        (b"%PDF-1.7", ["--property", "SHA"]),
        (b"", ["--property", "SHA"]),
        ("姓名,手机号\n".encode(), ["--property", "SHA"]),
        (b"a,b\nc,d\n", ["--property", "SHA"]),
        ("姓名,手机号,手机号\n张三,13800138000,\n".encode(), ["--property", "SHA"]),
        ("姓名,手机号\n张三,13800138000\n".encode(), ["--property", "NOWHERE"]),
        ("姓名,手机号\n张三,13800138000\n".encode(), ["--property", "SHA", "--column", "foo=name"]),
        ("姓名,手机号\n张三,13800138000\n".encode(), ["--property", "SHA", "--column", "姓名=foo"]),
        ("姓名,手机号\n张三,13800138000\n".encode(), ["--property", "SHA", "--errors", "/nowhere/wrong.csv"]),
    ],
)
def test_the_command_says_why_it_cannot(tmp_path, content, options):
    make_property("SHA")

    with pytest.raises(CommandError) as caught:
        call(tmp_path, content, "--apply", *options)

    assert str(caught.value)
    assert not Guest.objects.exists()
    assert not ImportBatch.objects.exclude(status="canceled").exists()


@pytest.mark.django_db
def test_applying_twice_does_not_ask_to_apply(tmp_path):
    make_property("SHA")
    content = "姓名,手机号\n张三,13800138000\n".encode()
    call(tmp_path, content, "--property", "SHA", "--apply")

    said = call(tmp_path, content, "--property", "SHA", "--apply")

    assert "--apply" not in said
    assert Guest.objects.count() == 1


@pytest.mark.django_db
def test_the_command_lets_columns_be_corrected(tmp_path):
    make_property("SHA")

    call(
        tmp_path,
        "a,b\n张三,13800138000\n".encode(),
        "--property",
        "SHA",
        "--apply",
        "--column",
        "a=name",
        "--column",
        "b=phone",
    )

    assert Guest.objects.get().name == "张三"


@pytest.mark.slow
@pytest.mark.django_db
def test_ten_thousand_rows_are_checked_and_applied_within_a_minute():
    rows = [f"客人{i},138{i + 12345:08d},,,,,g{i}@example.com,,备注{i}," for i in range(10_000)]

    batch = load(*rows)

    assert counts(batch) == (10_000, 0, 0, 0)
    assert Guest.objects.count() == 10_000
