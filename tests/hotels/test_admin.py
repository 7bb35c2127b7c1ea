"""The admin keeps the audit trail, the borders between properties, and masks what leaves the house."""

import csv
import io

import openpyxl
import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django_celery_beat.models import IntervalSchedule, PeriodicTask
from knox.models import AuthToken

from hotels.admin.audit import differences
from hotels.models import AuditEntry, Brand, Department, Property, Role, StaffAssignment, User
from hotels.resources import neutralize
from members.models import Guest
from members.services.guests import RevealLimitReached, create_guest, reveal_identity
from tests.factories import (
    NOW,
    PASSWORD,
    make_brand,
    make_department,
    make_group,
    make_guest,
    make_programme,
    make_property,
    make_reward,
    make_staff,
)

pytestmark = pytest.mark.django_db


def signed_in(user):
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def place():
    return make_property("SHA01")


@pytest.fixture
def manager():
    return make_staff(Role.GROUP_MANAGER, username="manager")


@pytest.fixture
def client(manager):
    return signed_in(manager)


def change_url(record):
    return reverse(f"admin:{record._meta.app_label}_{record._meta.model_name}_change", args=[record.pk])


def list_url(model):
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


def trail():
    return list(AuditEntry.objects.order_by("id").values_list("action", "before", "after"))


# The audit trail


def test_a_change_is_kept_with_the_values_before_and_after(client, manager):
    brand = make_brand("YQ")

    client.post(change_url(brand), {"group": brand.group_id, "code": "YQ", "name": "云栖", "name_en": brand.name_en})

    assert trail() == [("brand.changed", {"name": "品牌YQ"}, {"name": "云栖"})]
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.object_id, entry.object_label) == (manager, str(brand.pk), "云栖")
    assert entry.request_id


def test_saving_without_a_change_leaves_no_entry(client):
    brand = make_brand("YQ")

    client.post(
        change_url(brand), {"group": brand.group_id, "code": "YQ", "name": brand.name, "name_en": brand.name_en}
    )

    assert trail() == []


def test_adding_and_deleting_are_kept_whole(client):
    programme = make_programme()

    client.post(
        reverse("admin:loyalty_reward_add"),
        {
            "programme": programme.pk,
            "code": "tea",
            "category": "food",
            "points": 50,
            "name": "茶",
            "is_active": "on",
            "lead_hours": 0,
            "cancel_hours": 24,
            "open_days": 30,
            "fulfilment": "later",
            **{
                f"{inline}-{count}_FORMS": 0
                for inline in ("prices", "stock", "limits", "blackouts")
                for count in ("TOTAL", "INITIAL")
            },
        },
    )
    reward = programme.rewards.get()
    client.post(reverse("admin:loyalty_reward_delete", args=[reward.pk]), {"post": "yes"})

    assert [(action, (after or before)["code"]) for action, before, after in trail()] == [
        ("reward.added", "tea"),
        ("reward.deleted", "tea"),
    ]


def test_deleting_several_at_once_is_kept_one_by_one(client):
    programme = make_programme()
    rewards = [make_reward(programme), make_reward(programme)]

    client.post(
        list_url(type(rewards[0])),
        {"action": "delete_selected", "_selected_action": [r.pk for r in rewards], "post": "yes"},
    )

    assert [action for action, _before, _after in trail()] == ["reward.deleted"] * 2
    assert not programme.rewards.exists()


def test_rows_inside_a_page_are_kept_too(place):
    client = signed_in(User.objects.create_superuser("root"))
    department = make_department(place)
    form = {
        "code": place.code,
        "brand": place.brand_id,
        "name": place.name,
        "name_en": place.name_en,
        "is_active": "on",
        "country": "CN",
        "time_zone": place.time_zone,
        "currency": "CNY",
        "departments-TOTAL_FORMS": 2,
        "departments-INITIAL_FORMS": 1,
        "departments-0-id": department.pk,
        "departments-0-property": place.pk,
        "departments-0-code": "FO",
        "departments-0-name": "前台",
        "departments-0-name_en": "Front office",
        "departments-1-property": place.pk,
        "departments-1-code": "HK",
        "departments-1-name": "客房部",
        "room_types-TOTAL_FORMS": 0,
        "room_types-INITIAL_FORMS": 0,
    }

    client.post(change_url(place), form)
    second = place.departments.get(code="HK")
    client.post(
        change_url(place),
        {**form, "departments-INITIAL_FORMS": 2, "departments-1-id": second.pk, "departments-1-DELETE": "on"},
    )

    actions = [(action, (before or {}).get("code"), (after or {}).get("name")) for action, before, after in trail()]
    assert actions == [
        ("department.changed", None, "前台"),
        ("department.added", None, "客房部"),
        ("department.deleted", "HK", None),
    ]
    assert set(AuditEntry.objects.values_list("property", flat=True)) == {place.pk}


def test_a_password_set_for_somebody_is_kept_without_the_password(client):
    user = make_staff(username="forgot")
    new = "another-long-secret-9"

    client.post(reverse("admin:auth_user_password_change", args=[user.pk]), {"password1": new, "password2": new})

    assert User.objects.get(pk=user.pk).check_password(new)
    assert trail() == [("user.password_set", None, None)]


def test_a_new_user_and_role_are_kept_without_the_password(client, manager):
    role = {"role": "receptionist", "group": make_group().pk}
    rows = {"TOTAL_FORMS": 1, "INITIAL_FORMS": 0, **{f"0-{name}": value for name, value in role.items()}}
    client.post(
        reverse("admin:hotels_user_add"),
        {
            "username": "linfang",
            "password1": PASSWORD,
            "password2": PASSWORD,
            **{f"assignments-{name}": value for name, value in rows.items()},
        },
    )

    (added, _none, user), (assigned, _none, assignment) = trail()
    assert (added, user["username"], "password" in user) == ("user.added", "linfang", False)
    assert (assigned, assignment["role"]) == ("staffassignment.added", "receptionist")


def test_a_withdrawn_token_is_kept_without_its_digest(client):
    token, _secret = AuthToken.objects.create(user=make_staff(Role.INTEGRATION))

    page = client.get(list_url(AuthToken)).context["cl"]
    client.post(list_url(AuthToken), {"action": "withdraw", "_selected_action": [token.pk]})

    assert [t.token_key for t in page.result_list] == [token.token_key]
    assert client.get(change_url(token)).status_code == 302
    assert not AuthToken.objects.exists()
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.object_id) == ("token.deleted", token.token_key)
    assert token.digest not in str(vars(entry))


def test_switching_a_scheduled_task_off_is_kept(client):
    task = PeriodicTask.objects.create(
        name="t", task="x", interval=IntervalSchedule.objects.create(every=7, period="days")
    )

    client.post(list_url(PeriodicTask), {"action": "disable_tasks", "_selected_action": [task.pk]})

    task.refresh_from_db()
    assert not task.enabled
    assert trail()[0][0] == "periodictask.disabled"


def test_a_guest_is_changed_through_the_service(client, place):
    guest = create_guest(actor=None, now=NOW, name="陈思远", phone="+8613800006621", source="desk", place=place)
    form = {"name": "林芳", "gender": "", "expected_version": guest.version}

    client.post(change_url(guest), {**form, **empty_inlines()})

    guest.refresh_from_db()
    assert (guest.name, guest.name_pinyin, guest.version) == ("林芳", "linfang", 2)
    assert [action for action, _before, _after in trail()].count("guest.changed") == 1


def test_preferences_are_noted_and_taken_back_through_the_services(client, place):
    guest = create_guest(actor=None, now=NOW, name="陈思远", phone="+8613800006621", source="desk", place=place)
    form = {"name": guest.name, "gender": "", "expected_version": guest.version, **empty_inlines()}
    row = {"category": "allergy", "severity": "alert", "text": "花生"}

    client.post(
        change_url(guest), {**form, "preferences-TOTAL_FORMS": 1, **{f"preferences-0-{k}": v for k, v in row.items()}}
    )
    noted = guest.preferences.get()
    client.post(
        change_url(guest),
        {
            **form,
            "preferences-TOTAL_FORMS": 1,
            "preferences-INITIAL_FORMS": 1,
            "preferences-0-id": noted.pk,
            "preferences-0-DELETE": "on",
        },
    )

    assert (noted.text, noted.source) == ("花生", "admin")
    assert not guest.preferences.exists()
    assert [action for action, _before, _after in trail()][-2:] == ["preference.added", "preference.removed"]


def test_an_outdated_page_does_not_overwrite_a_guest(client, place):
    guest = create_guest(actor=None, now=NOW, name="陈思远", phone="+8613800006621", source="desk", place=place)
    Guest.objects.filter(pk=guest.pk).update(version=2, company="启衡科技")

    answer = client.post(change_url(guest), {"name": "林芳", "gender": "", "expected_version": 1, **empty_inlines()})

    assert answer.context["adminform"].form.non_field_errors().as_data()[0].code == "stale_record"
    assert Guest.objects.get(pk=guest.pk).name == "陈思远"


def empty_inlines():
    prefixes = ("identities", "preferences", "guest_tags", "consents")
    return {f"{p}-{name}_FORMS": 0 for p in prefixes for name in ("TOTAL", "INITIAL")}


def test_differences_are_readable():
    assert differences({"rate": "1", "same": 1}, {"rate": "2", "same": 1, "tier": None}) == [("rate", "1", "2")]
    assert differences(None, {"name": "金卡"}) == [("name", "—", "金卡")]


# Borders


def test_a_property_manager_sees_and_changes_only_the_own_property(place):
    other = make_property("HGH01")
    mine, theirs = make_department(place), make_department(other)
    client = signed_in(make_staff(Role.PROPERTY_MANAGER, place=place))
    form = {"property": place.pk, "code": "FO", "name": "前台", "name_en": "Desk"}

    listed = client.get(list_url(Department)).context["cl"].result_list
    properties = client.get(list_url(Property)).context["cl"].result_list
    hidden = client.get(change_url(theirs))
    changed = client.post(change_url(mine), form)
    moved = client.post(change_url(mine), {**form, "property": other.pk})

    assert [d.pk for d in listed] == [mine.pk]
    assert [p.pk for p in properties] == [place.pk]
    assert hidden.status_code == 302  # Django's admin: to the index, with a message
    assert changed.status_code == 302
    assert "property" in moved.context["adminform"].form.errors
    assert client.post(change_url(place), {"code": "X"}).status_code == 403


def test_a_role_elsewhere_gives_no_right_here(place):
    here = make_property("HGH01")
    user = make_staff(Role.PROPERTY_MANAGER, place=place)
    StaffAssignment.objects.create(user=user, role=Role.RECEPTIONIST, property=here)
    department = make_department(here)

    answer = signed_in(user).post(change_url(department), {"property": here.pk, "code": "FO", "name": "x"})

    assert answer.status_code == 403


def test_an_auditor_reads_and_changes_nothing(place):
    client = signed_in(make_staff(Role.AUDITOR))
    brand = make_brand("YQ")

    assert client.get(change_url(brand)).status_code == 200
    assert client.post(change_url(brand), {"name": "x"}).status_code == 403
    assert client.get(reverse("admin:hotels_brand_add")).status_code == 403


def test_a_manager_neither_makes_superusers_nor_takes_over_their_accounts(client, manager):
    root = User.objects.create_superuser("root", password=PASSWORD)
    url = reverse("admin:auth_user_password_change", args=[root.pk])

    page = client.get(change_url(manager)).content.decode()
    answer = client.post(url, {"password1": "stolen-long-secret-9", "password2": "stolen-long-secret-9"})

    assert 'name="is_superuser"' not in page
    assert answer.status_code == 403
    assert User.objects.get(pk=root.pk).check_password(PASSWORD)


def test_the_audit_trail_cannot_be_changed_here(client):
    make_group()
    client.post(reverse("admin:hotels_brand_add"), {"group": make_group().pk, "code": "N", "name": "新"})
    entry = AuditEntry.objects.get()

    assert client.get(change_url(entry)).status_code == 200
    assert client.post(change_url(entry), {"reason": "x"}).status_code == 403
    assert Brand.objects.filter(code="N").exists()


# What leaves the house


@pytest.mark.parametrize(
    ("cell", "safe"),
    [
        ("=1+1", "'=1+1"),
        ("+86 138", "'+86 138"),
        ("-cmd|x", "'-cmd|x"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\tx", "'\tx"),
        ("\rx", "'\rx"),
        ("-12.50", "-12.50"),
        ("林芳", "林芳"),
        (5, 5),
        (None, None),
    ],
)
def test_a_cell_never_runs_as_a_formula(cell, safe):
    assert neutralize(cell) == safe


def export(client, model, file_format):
    return client.post(f"{list_url(model)}export/", {"format": file_format, "resource": ""})


def test_guests_are_exported_masked_and_harmless(client, place):
    create_guest(
        actor=None, now=NOW, name="=HYPERLINK(1)", phone="+8613800006621", email="lin@example.com", source="desk"
    )

    answer = export(client, Guest, "1")

    rows = list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert rows[1][0] == "'=HYPERLINK(1)"
    assert "13800006621" not in answer.content.decode()
    assert "6621" in rows[1][2]
    assert "lin@example.com" not in answer.content.decode()


def test_a_sheet_is_exported_with_the_headings_of_the_reader(client, place):
    create_guest(actor=None, now=NOW, name="陈思远", phone="+8613800006621", source="desk")

    answer = export(client, Guest, "0")

    sheet = openpyxl.load_workbook(io.BytesIO(answer.content)).active
    assert sheet["A2"].value == "陈思远"
    assert sheet["A1"].value != "name"


def test_each_export_is_kept(client, manager):
    export(client, Guest, "1")

    entry = AuditEntry.objects.get()
    assert (entry.action, entry.actor, entry.after["rows"], entry.after["format"]) == (
        "guest.exported",
        manager,
        0,
        "csv",
    )


def test_a_list_too_long_for_a_request_is_refused_with_the_reason(client, monkeypatch):
    monkeypatch.setattr("hotels.admin.base.ExportAdminMixin.export_limit", 1)
    make_guest()
    make_guest()

    answer = export(client, Guest, "1")

    assert answer["Location"].startswith(list_url(Guest))
    assert not AuditEntry.objects.exists()


def test_only_those_who_may_export_do(place):
    client = signed_in(make_staff(Role.MARKETER))

    assert client.get(list_url(Guest)).status_code == 200
    assert export(client, Guest, "1").status_code == 403


def test_a_used_up_reveal_limit_is_told_to_managers_of_the_place(place, manager, settings):
    settings.GUIKE_REVEAL_DAILY_LIMIT = 0
    guest = create_guest(actor=None, now=NOW, name="陈思远", phone="13800138000", source="test")
    with pytest.raises(RevealLimitReached):
        reveal_identity(
            actor=make_staff(place=place),
            now=timezone.now(),
            identity_id=guest.identities.get().pk,
            place=place,
            page="card",
        )
    there = make_staff(Role.PROPERTY_MANAGER, place=place)
    elsewhere = make_staff(Role.PROPERTY_MANAGER, place=make_property("BJ01"))
    marketer = make_staff(Role.MARKETER)

    link = "?action=identity.reveal_refused"
    shown = [link in signed_in(user).get("/admin/").content.decode() for user in (manager, there, elsewhere, marketer)]
    entries = signed_in(manager).get(f"/admin/hotels/auditentry/{link}")

    assert shown == [True, True, False, False]
    assert ("identity.reveal_refused" in entries.content.decode(), "guest.enrolled" in entries.content.decode()) == (
        True,
        False,
    )
