"""A whole import taken back: what it made is gone, what it changed is as before, what was used since is kept."""

import datetime as dt
import io

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hotels.models import AuditEntry, Role
from loyalty.services.memberships import enrol_member
from members.models import Guest, GuestIdentity, ImportBatch, ImportRow, Preference, Tag
from members.services.guests import create_guest, update_guest
from members.services.imports import (
    ImportRefused,
    approve_import,
    cancel_import,
    choose_columns,
    forget_traces,
    preview_undo,
    run_import,
    runs,
    start_import,
    undo_import,
)
from members.services.preferences import add_preference, add_tag
from tests.factories import NOW, make_programme, make_property, make_staff

pytestmark = pytest.mark.django_db

HEADER = "姓名,手机号,性别,生日,邮箱,公司,备注"
LATER = NOW + dt.timedelta(hours=23)


@pytest.fixture(autouse=True)
def _media(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path / "media"


@pytest.fixture
def place():
    return make_property()


def load(place, *rows, actor=None, now=NOW):
    file = io.BytesIO("\n".join([HEADER, *rows]).encode())
    batch = start_import(actor=actor, now=now, place=place, file_name="宾客.csv", file=file)
    mapping = {int(index): name for index, name in batch.mapping.items()}
    choose_columns(actor=actor, now=now, batch_id=batch.pk, mapping=mapping)
    run_import(batch_id=batch.pk, now=now)
    batch.refresh_from_db()
    if batch.create_count + batch.update_count:
        approve_import(actor=actor, now=now, batch_id=batch.pk)
        run_import(batch_id=batch.pk, now=now)
    batch.refresh_from_db()
    return batch


def undo(batch, actor=None, now=LATER):
    undo_import(actor=actor, now=now, batch_id=batch.pk)
    assert run_import(batch_id=batch.pk, now=now)
    batch.refresh_from_db()
    return batch


def known(place, name="张三", phone="13800138000", **facts):
    return create_guest(actor=None, now=NOW, name=name, phone=phone, place=place, source="test", **facts)


def stored():
    """Everything about guests but what counts or dates a change."""
    profile = [f.name for f in Guest._meta.fields if f.name not in {"version", "updated_at"}]
    identity = [f.name for f in GuestIdentity._meta.fields if f.name not in {"value", "value_index", "last4_index"}]
    return {
        "guests": list(Guest.objects.order_by("pk").values_list(*profile)),
        "identities": [
            (*facts, bytes(index), bytes(value))
            for *facts, index, value in GuestIdentity.objects.order_by("pk").values_list(
                *identity, "value_index", "value"
            )
        ],
        "notes": list(Preference.objects.order_by("pk").values_list()),
    }


ROWS = [
    "张三,13800138000,女,1949-12-31,zhang@example.com,新公司,喜欢高楼层",
    "李四,13900139000,男,1990-06-01,,,对花生过敏",
    "王五,13600136000,,,,,",
]


def test_an_import_that_is_undone_leaves_everything_as_before(place):
    known(place, "张三丰", gender="male", birthday=dt.date(1950, 1, 1), company="旧公司")
    before = stored()

    batch = undo(load(place, *ROWS))

    assert stored() == before
    assert batch.status == ImportBatch.Status.UNDONE
    assert (batch.undone_count, batch.kept_count, batch.done_count) == (3, 0, 3)
    assert not batch.rows.filter(trace__isnull=False).exists()


PHONES = [f"1380013800{number}" for number in range(6)]
CELL = st.sampled_from(["", "甲", "乙"])
ROW = st.tuples(
    st.sampled_from(["张三", "李四", "王五"]),
    st.sampled_from(PHONES),
    st.sampled_from(["", "男", "女"]),
    st.sampled_from(["", "1990-06-01", "1985-01-02", "2999-01-01"]),
    st.sampled_from(["", "a@example.com", "b@example.com", "c@example.com", "wrong"]),
    CELL,
    CELL,
).map(",".join)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(people=st.lists(st.tuples(st.sampled_from(PHONES), CELL), unique_by=lambda p: p[0], max_size=4),
       files=st.lists(st.lists(ROW, min_size=1, max_size=6), min_size=1, max_size=3))  # fmt: skip
def test_any_files_undone_newest_first_leave_everything_as_before(place, people, files):
    Guest.objects.all().delete()
    for phone, company in people:
        known(place, "张三", phone, company=company)
    states, batches = [], []
    for rows in files:
        states.append(stored())
        batches.append(load(place, *rows))

    for batch, state in zip(reversed(batches), reversed(states), strict=True):
        if preview_undo(batch).total:
            undo(batch)
        assert stored() == state
        assert batch.kept_count == 0


def test_guests_changed_or_used_since_are_kept_with_the_reason(place):
    old = known(place, company="旧公司")
    batch = load(place, *ROWS, "赵六,13500135000,,,,,", "钱七,13400134000,,,,,", "孙八,13300133000,,,,,")
    guests = {guest.name: guest for guest in Guest.objects.all()}
    old.refresh_from_db()
    update_guest(
        actor=None, now=NOW, guest_id=old.pk, expected_version=old.version, changes={"company": "第三家"}, place=place
    )
    enrol_member(actor=None, now=NOW, programme=make_programme(), guest_id=guests["王五"].pk, place=place)
    add_preference(
        actor=None, now=NOW, guest_id=guests["赵六"].pk, category="room", text="安静", source="desk", place=place
    )
    tag = Tag.objects.create(code="vip", name="贵宾")
    add_tag(actor=None, now=NOW, guest_id=guests["钱七"].pk, tag_id=tag.pk, place=place)

    undo(batch)

    reasons = dict(batch.rows.exclude(kept_reason="").values_list("guest__name", "kept_reason"))
    assert reasons == {"张三": "changed", "王五": "used", "赵六": "used", "钱七": "used"}
    assert set(Guest.objects.values_list("name", flat=True)) == set(reasons)
    assert (batch.undone_count, batch.kept_count) == (2, 4)
    old.refresh_from_db()
    assert (old.company, old.gender) == ("第三家", "female")
    assert old.preferences.get().text == "喜欢高楼层"


def test_a_note_that_the_desk_took_over_stays(place):
    guest = known(place)
    batch = load(place, "张三,13800138000,,,,,喜欢高楼层")
    add_preference(
        actor=None, now=NOW, guest_id=guest.pk, category="other", text="喜欢高楼层", source="desk", place=place
    )

    undo(batch)

    assert guest.preferences.get().source == "desk"


def test_only_the_newer_of_two_imports_about_one_guest_is_undone(place):
    first = load(place, "张三,13800138000,,,,甲,")
    second = load(place, "张三,13800138000,,,,乙,")

    undo(first)
    assert dict(first.rows.values_list("row_number", "kept_reason")) == {2: "changed"}
    undo(second)

    assert Guest.objects.get().company == "甲"


def test_after_a_day_it_is_refused_with_the_reason_and_what_was_kept_for_it_goes(place):
    batch = load(place, *ROWS)
    day = NOW + dt.timedelta(hours=24)

    assert forget_traces(now=day - dt.timedelta(seconds=1)) == 0
    with pytest.raises(ImportRefused) as refused:
        undo_import(actor=None, now=day, batch_id=batch.pk)

    assert refused.value.code == "too_late"
    assert "24" in refused.value.message
    assert forget_traces(now=day) == 3
    assert Guest.objects.count() == 3


def test_what_was_before_is_not_readable_in_the_database(place):
    known(place, "张三丰", birthday=dt.date(1950, 1, 1), company="旧公司")
    batch = load(place, *ROWS)

    traces = b"".join(bytes(row.trace) for row in batch.rows.all())

    assert not any(text.encode() in traces for text in ("旧公司", "1950", "张三丰"))


def test_an_undo_is_audited_with_who_and_what(place):
    manager = make_staff(Role.PROPERTY_MANAGER, place=place)
    guest = known(place, company="旧公司")

    undo(load(place, *ROWS), actor=manager)

    entries = AuditEntry.objects.filter(actor=manager)
    assert entries.get(action="import.undo_requested").after == {"created": 2, "updated": 1}
    assert entries.get(action="import.undone").after == {"undone": 3, "kept": 0}
    assert entries.filter(action="guest.removed").count() == 2
    restored = entries.get(action="guest.import_undone", object_id=str(guest.pk))
    assert (restored.before["company"], restored.after["company"]) == ("新公司", "旧公司")


def test_a_second_undo_changes_nothing_and_what_was_never_applied_is_refused(place):
    batch = undo(load(place, *ROWS))
    assert undo_import(actor=None, now=LATER, batch_id=batch.pk).status == ImportBatch.Status.UNDONE
    assert not run_import(batch_id=batch.pk, now=LATER)

    file = io.BytesIO(f"{HEADER}\n{ROWS[0]}".encode())
    waiting = start_import(actor=None, now=NOW, place=place, file_name="b.csv", file=file)
    with pytest.raises(ImportRefused):
        undo_import(actor=None, now=NOW, batch_id=waiting.pk)


def test_an_undo_that_is_broken_off_goes_on_where_it_stood(place, monkeypatch):
    before = stored()
    batch = load(place, *[f"客人{number},1380013{number:04d},,,,,备注" for number in range(7)])
    monkeypatch.setattr(runs, "CHUNK_ROWS", 2)
    plain, calls = runs.undo_chunk, []

    def dies_in_the_third(*args, **kwargs):
        calls.append(1)
        done = plain(*args, **kwargs)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return done

    monkeypatch.setattr(runs, "undo_chunk", dies_in_the_third)
    undo_import(actor=None, now=LATER, batch_id=batch.pk)
    with pytest.raises(KeyboardInterrupt):
        run_import(batch_id=batch.pk, now=LATER)
    left = Guest.objects.count()
    ImportBatch.objects.filter(pk=batch.pk).update(claimed_until=None)  # as if the lease had ended
    assert run_import(batch_id=batch.pk, now=LATER)

    batch.refresh_from_db()
    assert left == 3
    assert stored() == before
    assert (batch.status, batch.undone_count) == ("undone", 7)
    assert AuditEntry.objects.filter(action="guest.removed").count() == 7


def test_a_stopped_import_is_undone_as_far_as_it_came(place, monkeypatch):
    before = stored()
    monkeypatch.setattr(runs, "CHUNK_ROWS", 2)
    file = io.BytesIO("\n".join([HEADER, *[f"客人{n},1380013{n:04d},,,,," for n in range(6)]]).encode())
    batch = start_import(actor=None, now=NOW, place=place, file_name="b.csv", file=file)
    choose_columns(actor=None, now=NOW, batch_id=batch.pk, mapping={int(i): n for i, n in batch.mapping.items()})
    run_import(batch_id=batch.pk, now=NOW)
    approve_import(actor=None, now=NOW, batch_id=batch.pk)
    plain, calls = runs._Run._apply_rows, []

    def stopped_after_two(run, *given):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        plain(run, *given)

    monkeypatch.setattr(runs._Run, "_apply_rows", stopped_after_two)
    with pytest.raises(KeyboardInterrupt):
        run_import(batch_id=batch.pk, now=NOW)
    cancel_import(actor=None, now=NOW, batch_id=batch.pk)
    batch.refresh_from_db()
    assert Guest.objects.count() == 4

    assert undo(batch).undone_count == 4
    assert stored() == before


def test_a_chunk_asks_the_database_as_often_for_one_guest_as_for_thirty(place):
    counts = []
    for number in (1, 30):
        known(place, "老客", f"1370013{number:04d}")
        rows = [f"客人{n},136{number:02d}13{n:04d},,,,,备注" for n in range(number)]
        batch = load(place, *rows, f"老客,1370013{number:04d},,,,新公司{number},备注")
        undo_import(actor=None, now=LATER, batch_id=batch.pk)
        with CaptureQueriesContext(connection) as captured:
            run_import(batch_id=batch.pk, now=LATER)
        counts.append(len(captured))

    assert counts[0] == counts[1]
    assert not ImportRow.objects.filter(trace__isnull=False).exists()


# The page


@pytest.fixture
def manager(client, place):
    user = make_staff(Role.PROPERTY_MANAGER, place=place, display_name="赵伟")
    client.force_login(user)
    return user


def url(name, batch):
    return reverse(f"members:{name}", args=[batch.public_id])


def test_the_dialog_names_the_counts_and_the_report_what_was_kept(client, manager, place):
    known(place)
    batch = load(place, *ROWS, now=timezone.now())
    used = Guest.objects.get(name="王五")
    add_preference(actor=None, now=NOW, guest_id=used.pk, category="room", text="安静", source="desk", place=place)

    report = client.get(url("import_detail", batch)).content.decode()
    dialog = client.get(url("import_undo", batch), headers={"HX-Request": "true", "HX-Target": "dialog-body"})
    answer = client.post(url("import_undo", batch), headers={"HX-Request": "true", "HX-Target": "dialog-body"})
    after = client.get(url("import_detail", batch)).content.decode()

    text = dialog.content.decode()
    assert url("import_undo", batch) in report
    assert all(words in text for words in ("新建的 2 位客人", "修改过的 1 位客人", "撤销 3 行"))
    assert answer["HX-Redirect"] == url("import_detail", batch)
    assert all(words in after for words in ("已撤回 2 行", "保留了 1 行", "王五", "已有入住、会员或备注"))
    assert url("import_undo", batch) not in after
    assert set(Guest.objects.values_list("name", flat=True)) == {"张三", "王五"}


def test_after_a_day_the_page_does_not_offer_it_and_says_why_when_asked(client, manager, place):
    batch = load(place, *ROWS, now=timezone.now() - dt.timedelta(hours=25))

    report = client.get(url("import_detail", batch)).content.decode()
    answer = client.post(url("import_undo", batch), follow=True).content.decode()

    assert url("import_undo", batch) not in report
    assert "超过 24 小时" in answer
    assert Guest.objects.count() == 3


def test_an_import_of_another_property_cannot_be_undone(client, manager):
    batch = load(make_property(), *ROWS, now=timezone.now())

    assert client.post(url("import_undo", batch)).status_code == 404
    assert Guest.objects.count() == 3
