"""The import through the staff pages."""

import csv
import datetime as dt
import io
import time

import openpyxl
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from hotels.models import AuditEntry, Role
from members.models import Guest, ImportBatch
from members.services import imports as services
from members.views import imports as views
from tests.factories import make_property, make_staff

HEADER = "姓名,手机号,身份证号,备注,会员等级,神秘列"
GOOD = ["张三,13800138000,11010519491231002X,喜欢高楼层,金卡,x", "李四,13900139000,,,,"]
WRONG = ["赵六,1.38E+10,,,,", "=cmd|' /C calc'!A0,13700137000,,,,"]


@pytest.fixture(autouse=True)
def _media(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path / "media"


@pytest.fixture
def place(db):
    return make_property("SHA")


@pytest.fixture
def desk(place):
    return sign_in(make_staff(Role.PROPERTY_MANAGER, place=place))


def sign_in(user):
    client = Client(headers={"accept-language": "en"})
    client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


def sheet(*rows):
    return "\n".join([HEADER, *rows]).encode()


def upload(client, content, *, name="guests.csv", place="SHA", **extra):
    data = {"property": place, "file": SimpleUploadedFile(name, content)}
    return client.post(reverse("members:import_upload"), data, **extra)


def columns(client, batch, **changes):
    data = {f"column-{index}": name for index, name in batch.mapping.items()} | changes
    return client.post(reverse("members:import_columns", args=[batch.public_id]), data)


def at(name, batch):
    return reverse(f"members:{name}", args=[batch.public_id])


def checked(client, *rows):
    assert upload(client, sheet(*rows)).status_code == 302
    batch = ImportBatch.objects.latest("pk")
    columns(client, batch)
    batch.refresh_from_db()
    assert batch.status == "checked"
    return batch


def test_from_upload_to_report(desk):
    response = upload(desk, sheet(*GOOD, *WRONG))
    batch = ImportBatch.objects.get()
    assert response["Location"] == at("import_detail", batch)

    page = desk.get(response["Location"]).content.decode()
    assert "tier is not imported yet" in page
    assert "not recognized" in page
    assert "13800138000" not in page
    assert "11010519491231002X" not in page

    assert columns(desk, batch).status_code == 302
    page = desk.get(at("import_detail", batch)).content.decode()
    assert "Import 2 rows" in page
    assert "The spreadsheet rounded this number" in page
    assert "13800138000" not in page
    assert not Guest.objects.exists()

    desk.post(at("import_apply", batch))
    page = desk.get(at("import_detail", batch)).content.decode()
    assert "Imported" in page
    assert set(Guest.objects.values_list("name", flat=True)) == {"张三", "李四"}
    assert AuditEntry.objects.filter(action="guest.enrolled").exclude(actor=None).count() == 2


def test_the_wrong_rows_come_as_files_in_which_nothing_runs(desk):
    batch = checked(desk, *GOOD, *WRONG)

    text = desk.get(at("import_errors_csv", batch))
    book = desk.get(at("import_errors_xlsx", batch))

    assert text.content.startswith(b"\xef\xbb\xbf")
    rows = list(csv.reader(io.StringIO(text.content.decode("utf-8-sig"))))
    assert len(rows) == 3
    assert rows[2][0].startswith("'=cmd")
    assert not any(cell.startswith(("=", "@", "\t")) for row in rows for cell in row)
    cells = [cell for row in openpyxl.load_workbook(io.BytesIO(book.content)).active.iter_rows() for cell in row]
    assert {cell.data_type for cell in cells if cell.value} == {"s"}
    assert "attachment" in book["Content-Disposition"]
    assert AuditEntry.objects.filter(action="import.errors_downloaded", after__rows=2).count() == 2


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("a.xlsx", b"%PDF-1.7 x", "This is a PDF file"),
        ("a.csv", b"", "empty"),
        ("a.csv", b"\n\n", "empty"),
        ("a.csv", HEADER.encode(), "no rows below"),
        ("a.csv", (",".join(["a"] * 5000) + "\n" + ",".join(["b"] * 5000)).encode(), "5000 columns"),
        ("a.csv", sheet('张三,13800138000,,"' + "长" * 3_000_000), "more than 32767 characters"),
        ("a.xlsx", b"PK\x03\x04rubbish", "damaged"),
        ("a.csv", b"name,phone\n\x00\x01,2\n", "NUL"),
        ("a.csv", "张三,13800138000\n李四,13900139000\n".encode(), "not a header"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_with_one_sentence(desk, name, content, sentence):
    response = upload(desk, content, name=name)

    assert response.status_code == 422
    assert sentence in response.content.decode()
    assert not ImportBatch.objects.exists()


def test_a_file_above_the_limit_is_refused_before_it_is_received(desk, settings):
    settings.GUIKE_IMPORT_MAX_BYTES = 1024**2

    class NeverRead(io.RawIOBase):
        def readable(self):
            return True

        def readinto(self, _buffer):
            raise AssertionError

    response = desk.post(
        reverse("members:import_upload"),
        content_type="multipart/form-data; boundary=x",
        CONTENT_LENGTH=str(2 * 1024**3),
        **{"wsgi.input": NeverRead()},
    )

    assert response.status_code == 413
    assert "larger than 1 MB" in response.content.decode()


@pytest.mark.parametrize("data", [{}, {"property": "SHA"}, {"property": "NOWHERE"}])
def test_an_upload_without_file_or_property_is_refused(desk, data):
    assert desk.post(reverse("members:import_upload"), data).status_code == 422


def test_the_upload_is_protected_against_forged_requests(place):
    user = make_staff(Role.PROPERTY_MANAGER, place=place)
    client = Client(enforce_csrf_checks=True)
    client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")

    assert upload(client, sheet(*GOOD)).status_code == 403
    assert not ImportBatch.objects.exists()


def test_unknown_headers_only_can_be_matched_by_hand(desk):
    upload(desk, b"a,b\nAnna Smith,13800138000\n")
    batch = ImportBatch.objects.get()

    refused = desk.post(at("import_columns", batch), {})
    assert refused.status_code == 422
    assert "Choose the column that holds the guest" in refused.content.decode()
    columns(desk, batch, **{"column-0": "name", "column-1": "phone"})
    batch.refresh_from_db()
    assert (batch.status, batch.create_count) == ("checked", 1)


def test_two_columns_for_one_field_are_refused_beside_the_column(desk):
    upload(desk, "姓名,手机号,手机号\n张三,13800138000,13900139000\n".encode())
    batch = ImportBatch.objects.get()
    assert "another column already holds this" in desk.get(at("import_detail", batch)).content.decode()

    response = columns(desk, batch, **{"column-2": "phone"})

    assert response.status_code == 422
    assert 'id="column-2-error"' in response.content.decode()


def test_columns_can_be_changed_after_the_check(desk):
    batch = checked(desk, *GOOD)
    assert "What does each column hold?" in desk.get(at("import_detail", batch) + "?columns").content.decode()

    columns(desk, batch, **{"column-3": ""})

    batch.refresh_from_db()
    assert (batch.status, "3" in batch.mapping, batch.rows.count()) == ("checked", False, 2)


def test_an_import_of_another_property_does_not_exist(desk):
    other = sign_in(make_staff(Role.PROPERTY_MANAGER, place=make_property("BJS")))
    upload(other, sheet(*GOOD), place="BJS")
    batch = ImportBatch.objects.get()

    assert upload(desk, sheet(*GOOD), place="BJS").status_code == 422
    assert str(batch.public_id) not in desk.get(reverse("members:imports")).content.decode()
    for name in ("import_detail", "import_progress", "import_errors_csv", "import_errors_xlsx"):
        assert desk.get(at(name, batch)).status_code == 404
    for name in ("import_columns", "import_apply", "import_cancel"):
        assert desk.post(at(name, batch)).status_code == 404
    batch.refresh_from_db()
    assert batch.status == "uploaded"


@pytest.mark.parametrize("role", [Role.RECEPTIONIST, Role.GUEST_SERVICE, Role.MARKETER, Role.AUDITOR])
def test_roles_without_the_right_are_kept_out(place, role):
    client = sign_in(make_staff(role, place=place))

    assert client.get(reverse("members:imports")).status_code == 403
    assert upload(client, sheet(*GOOD)).status_code == 403


def test_the_list_has_pages_and_a_fixed_number_of_queries(desk, place):
    assert "No imports yet" in desk.get(reverse("members:imports")).content.decode()

    def make(count):
        user = make_staff(place=place)
        ImportBatch.objects.bulk_create(
            ImportBatch(property=place, file_name=f"f{i}.csv", file_sha256="0", created_by=user) for i in range(count)
        )

    def queries():
        with CaptureQueriesContext(connection) as captured:
            page = desk.get(reverse("members:imports")).content.decode()
        return len(captured), page

    make(1)
    at_one, _page = queries()
    make(29)
    at_thirty, page = queries()
    assert at_one == at_thirty
    assert page.count("row-link") == 20
    oldest = list(ImportBatch.objects.order_by("-pk"))[19]
    assert desk.get(reverse("members:imports"), {"before": oldest.pk}).content.decode().count("row-link") == 10


def running(desk, monkeypatch, *, at_row=0):
    monkeypatch.setattr(views, "SMALL_ROWS", 0)
    monkeypatch.setattr(views.tasks.run_import, "apply_async", lambda **_facts: None)
    upload(desk, sheet(*GOOD, *WRONG))
    batch = ImportBatch.objects.get()
    columns(desk, batch)
    ImportBatch.objects.update(done_count=at_row)
    batch.refresh_from_db()
    return batch


def test_progress_is_polled_until_the_end(desk, monkeypatch):
    batch = running(desk, monkeypatch, at_row=1)

    page = desk.get(at("import_detail", batch)).content.decode()
    fragment = desk.get(at("import_progress", batch), headers={"hx-request": "true"})
    assert "25%" in page
    assert "You may leave this page" in page
    assert "load delay:1s" in fragment.content.decode()
    assert "does not answer" not in page

    services.run_import(batch_id=batch.pk, now=timezone.now())
    ended = desk.get(at("import_progress", batch), headers={"hx-request": "true"})
    assert (ended.status_code, ended["HX-Refresh"]) == (204, "true")
    assert desk.get(at("import_progress", batch)).status_code == 302


def test_a_worker_that_is_away_is_told_and_work_goes_on_when_it_is_back(desk, monkeypatch):
    batch = running(desk, monkeypatch)
    ImportBatch.objects.update(started_at=timezone.now() - dt.timedelta(seconds=11))

    assert "does not answer" in desk.get(at("import_detail", batch)).content.decode()

    assert services.due_imports() == [batch.pk]


def test_a_broker_that_is_away_does_not_fail_the_page(desk, monkeypatch, settings):
    def unreachable(**_facts):
        raise views.OperationalError

    batch = running(desk, monkeypatch)
    desk.post(at("import_cancel", batch))
    monkeypatch.setattr(views.tasks.run_import, "apply_async", unreachable)
    upload(desk, sheet(*GOOD))
    batch = ImportBatch.objects.latest("pk")

    assert columns(desk, batch).status_code == 302


def test_an_import_can_be_stopped(desk, monkeypatch):
    batch = running(desk, monkeypatch)

    desk.post(at("import_cancel", batch))
    page = desk.get(at("import_detail", batch)).content.decode()

    assert "Stopped" in page
    assert not services.run_import(batch_id=batch.pk, now=timezone.now())
    assert desk.post(at("import_apply", batch)).status_code == 302
    batch.refresh_from_db()
    assert batch.status == "canceled"


def test_an_import_can_be_paused_and_goes_on_from_the_page(desk, monkeypatch):
    batch = running(desk, monkeypatch)
    services.run_import(batch_id=batch.pk, now=timezone.now())
    desk.post(at("import_apply", batch))

    desk.post(at("import_pause", batch))
    page = desk.get(at("import_detail", batch)).content.decode()
    assert "Paused" in page
    assert at("import_resume", batch) in page
    assert "load delay:1s" not in page
    assert not services.run_import(batch_id=batch.pk, now=timezone.now())

    desk.post(at("import_resume", batch))
    assert at("import_pause", batch) in desk.get(at("import_detail", batch)).content.decode()
    assert services.run_import(batch_id=batch.pk, now=timezone.now())
    assert Guest.objects.count() == 2


def test_the_name_of_the_source_is_offered_the_next_time(desk):
    data = {"property": "SHA", "source": "OPERA", "file": SimpleUploadedFile("a.csv", sheet(*GOOD))}
    desk.post(reverse("members:import_upload"), data)

    assert ImportBatch.objects.get().source.name == "OPERA"
    assert '<option value="OPERA">' in desk.get(reverse("members:import_upload")).content.decode()


def test_nothing_new_leaves_nothing_to_press(desk):
    first = checked(desk, *GOOD)
    desk.post(at("import_apply", first))
    again = checked(desk, *GOOD)

    page = desk.get(at("import_detail", again)).content.decode()

    assert "There is nothing to import" in page
    assert at("import_apply", again) not in page
    assert desk.post(at("import_apply", again)).status_code == 302


@pytest.mark.django_db(transaction=True)
def test_a_real_worker_checks_and_applies(place, running_worker, monkeypatch):
    monkeypatch.setattr(views, "SMALL_ROWS", 0)
    client = sign_in(make_staff(Role.PROPERTY_MANAGER, place=place))
    upload(client, sheet(*GOOD, *WRONG))
    batch = ImportBatch.objects.get()

    def wait_for(status):
        end = time.monotonic() + 30
        while time.monotonic() < end:
            batch.refresh_from_db()
            if batch.status == status:
                return True
            time.sleep(0.1)
        return False

    columns(client, batch)
    assert wait_for("checked")
    client.post(at("import_apply", batch))
    assert wait_for("applied")
    assert Guest.objects.count() == 2
