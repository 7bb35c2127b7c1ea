"""Vouchers through the desk's pages and the administration."""

import csv
import io
import uuid
from decimal import Decimal

import openpyxl
import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from hotels.models import AuditEntry, Role
from loyalty.models import Voucher, VoucherBatch, VoucherEvent, VoucherType
from loyalty.rules.vouchers import mask_code, spell_code
from loyalty.services.vouchers import issue_voucher, order_batch, run_batch
from tests.factories import make_guest, make_member, make_programme, make_property, make_staff, make_voucher_type

pytestmark = pytest.mark.django_db
IN_DIALOG = {"HX-Request": "true", "HX-Target": "dialog-body", "HX-Current-URL": "http://testserver/"}


@pytest.fixture
def place():
    return make_property()


@pytest.fixture
def programme():
    return make_programme()


@pytest.fixture
def member(programme, place):
    return make_member(programme, place=place)


@pytest.fixture
def receptionist(client, place):
    user = make_staff(place=place)
    client.force_login(user)
    return user


def issue(voucher_type, member=None):
    return issue_voucher(
        actor=None, now=timezone.now(), type_id=voucher_type.pk, membership_id=member.pk if member else None
    )


def use_url(voucher, guest=None):
    url = reverse("loyalty:use_voucher", args=[voucher.public_id])
    return f"{url}?guest={guest.public_id}" if guest else url


def sent(**data):
    return {"request_key": str(uuid.uuid4()), **data}


def test_a_code_typed_badly_leads_to_the_voucher(client, receptionist, programme):
    voucher = issue(make_voucher_type(programme))
    typed = spell_code(voucher.code).lower().replace("-", " ").replace("0", "O")

    answer = client.post(reverse("loyalty:verify_voucher"), sent(code=typed), headers=IN_DIALOG)

    assert (answer.status_code, answer["Location"]) == (302, use_url(voucher))
    page = client.get(use_url(voucher), headers=IN_DIALOG).content.decode()
    assert "可以使用" in page
    assert "立减 ¥100" in page
    assert "持券即可用" in page
    assert mask_code(voucher.code) in page
    assert voucher.code not in page


@pytest.mark.parametrize(
    ("code", "words"), [("", "请输入或扫描券码"), ("ABC", "应为 15 位"), ("0" * 15, "没有这个券码对应的券")]
)
def test_what_is_no_voucher_is_refused_beside_the_field(client, receptionist, code, words):
    answer = client.post(reverse("loyalty:verify_voucher"), sent(code=code), headers=IN_DIALOG)

    assert answer.status_code == 422
    assert words in answer.content.decode()


def test_a_voucher_is_used_from_the_card_and_undone_from_the_toast(client, receptionist, programme, member, place):
    voucher = issue(make_voucher_type(programme, is_stackable=False), member)
    card = client.get(reverse("members:guest", args=[member.guest.public_id])).content.decode()
    assert use_url(voucher) in card
    assert mask_code(voucher.code) in card
    assert voucher.code not in card
    data = sent(spend="80", reference="F-1")

    for _ in range(2):
        answer = client.post(use_url(voucher, member.guest), data, headers=IN_DIALOG)
        assert answer["Location"] == reverse("members:guest", args=[member.guest.public_id])
    page = client.get(answer["Location"]).content.decode()

    assert VoucherEvent.objects.filter(kind="redeemed").count() == 1
    voucher.refresh_from_db()
    assert (voucher.amount_applied, voucher.redeemed_by, voucher.redeemed_property) == (80, receptionist, place)
    undo = reverse("loyalty:undo_voucher", args=[voucher.redemption_id])
    assert f'action="{undo}"' in page
    assert "已核销，抵扣 ¥80" in page
    client.post(undo)
    voucher.refresh_from_db()
    assert voucher.state == "issued"


def test_a_bearer_voucher_is_used_over_the_open_page(client, receptionist, programme):
    voucher = issue(make_voucher_type(programme))

    answer = client.post(use_url(voucher), sent(), headers=IN_DIALOG)

    assert (answer.status_code, answer["HX-Reswap"], answer["HX-Trigger-After-Settle"]) == (200, "none", "guike:done")
    assert "hx-swap-oob" in answer.content.decode()
    assert "hx-post" not in answer.content.decode(), "there may be no card to put an answer into"
    assert Voucher.objects.get().state == "redeemed"
    again = client.get(use_url(voucher), headers=IN_DIALOG).content.decode()
    assert "不可使用" in again
    assert f"由{receptionist}核销" in again


def test_what_is_missing_is_asked_for_beside_the_field(client, receptionist, programme):
    voucher = issue(make_voucher_type(programme, min_spend=Decimal(500), is_stackable=False))
    opened = client.get(use_url(voucher)).content.decode()
    short = client.post(use_url(voucher), sent(spend="380", reference="F1"))
    without = client.post(use_url(voucher), sent(spend="500"))

    assert "可以使用" in opened
    assert (short.status_code, without.status_code) == (422, 422)
    assert "还差 ¥120.00" in short.content.decode()
    assert "账单号" in str(without.context["form"].errors["reference"])
    assert Voucher.objects.get().state == "issued"


def test_a_foreign_member_is_refused(client, receptionist, programme, member, place):
    voucher = issue(make_voucher_type(programme), member)
    other = make_member(programme, name="王雨桐", place=place)

    answer = client.get(use_url(voucher, other.guest)).content.decode()
    posted = client.post(use_url(voucher, other.guest), sent())

    assert "属于另一位会员" in answer
    assert posted.status_code == 422
    assert "属于另一位会员" in posted.content.decode()
    assert "限本人使用" in client.get(use_url(voucher)).content.decode()


def test_a_voucher_is_passed_on(client, receptionist, programme, member, place):
    voucher = issue(make_voucher_type(programme, is_transferable=True), member)
    other = make_member(programme, name="王雨桐", place=place)
    url = reverse("loyalty:transfer_voucher", args=[voucher.public_id])

    unknown = client.post(url, sent(number="GK404"))
    own = client.post(url, sent(number=member.number))
    answer = client.post(url, sent(number=other.number.lower(), reason="夫妻"))

    assert (unknown.status_code, own.status_code) == (422, 422)
    assert "本就属于这位会员" in own.content.decode()
    assert answer["Location"] == reverse("members:guest", args=[other.guest.public_id])
    assert Voucher.objects.get().membership == other


def test_a_manager_issues_prints_and_cancels(client, programme, member, place):
    user = make_staff(Role.PROPERTY_MANAGER, place=place)
    client.force_login(user)
    voucher_type = make_voucher_type(programme, description="不找零")
    url = reverse("loyalty:issue_voucher", args=[member.guest.public_id])
    data = sent(type=voucher_type.pk, source="compensation", reason="空调故障")

    for _ in range(2):
        assert client.post(url, data)["Location"] == reverse("members:guest", args=[member.guest.public_id])
    voucher = Voucher.objects.get()
    paper = client.get(reverse("loyalty:print_voucher", args=[voucher.public_id])).content.decode()
    page = client.get(reverse("loyalty:voucher", args=[voucher.public_id])).content.decode()
    client.post(reverse("loyalty:cancel_voucher", args=[voucher.public_id]), sent(reason="发错人"))

    assert (voucher.source, voucher.membership) == ("compensation", member)
    assert spell_code(voucher.code) in paper
    assert "<svg" in paper
    assert "不找零" in paper
    assert spell_code(voucher.code) not in page
    assert "空调故障" in page
    assert AuditEntry.objects.get(action="voucher.code_shown").actor == user
    assert Voucher.objects.get().state == "canceled"


def test_a_guest_who_is_no_member_gets_none(client, programme, place):
    client.force_login(make_staff(Role.PROPERTY_MANAGER, place=place))
    guest = make_guest()

    answer = client.get(reverse("loyalty:issue_voucher", args=[guest.public_id]), follow=True)

    assert "只有会员可以领券" in answer.content.decode()
    assert not Voucher.objects.exists()


def test_another_property_cannot_undo(client, receptionist, programme, place):
    voucher = issue(make_voucher_type(programme))
    client.post(use_url(voucher), sent())
    voucher.refresh_from_db()
    other = Client()
    other.force_login(make_staff(place=make_property()))

    assert other.post(reverse("loyalty:undo_voucher", args=[voucher.redemption_id])).status_code == 404
    assert Voucher.objects.get().state == "redeemed"


# The administration


@pytest.fixture
def marketer(client):
    user = make_staff(Role.MARKETER)
    client.force_login(user)
    return user


def test_a_type_is_made_previewed_and_fixed_with_its_first_voucher(client, marketer, programme):
    data = {
        "programme": programme.pk,
        "code": "spring",
        "name": "春季八折",
        "kind": "percent",
        "percent": "20",
        "amount": "100",
        "currency": "CNY",
        "weekdays": ["1", "2"],
        "valid_days": "30",
        "unit_cost": "0",
        "is_active": "on",
        "blackouts-TOTAL_FORMS": "1",
        "blackouts-INITIAL_FORMS": "0",
        "blackouts-0-first_date": "2026-10-01",
        "blackouts-0-last_date": "2026-10-07",
    }
    answer = client.post(reverse("admin:loyalty_vouchertype_add"), data)
    assert answer.status_code == 302, answer.context["errors"]
    voucher_type = VoucherType.objects.get()
    preview = client.get(reverse("admin:loyalty_vouchertype_preview", args=[voucher_type.pk])).content.decode()
    change = reverse("admin:loyalty_vouchertype_change", args=[voucher_type.pk])
    assert 'name="percent"' in client.get(change).content.decode()
    issue(voucher_type)
    fixed = client.get(change).content.decode()

    assert voucher_type.weekdays == [1, 2]
    assert voucher_type.blackouts.count() == 1
    assert "立减 20%，最高 ¥100" in preview
    assert "<svg" in preview
    assert 'name="percent"' not in fixed
    assert 'name="reminder_days"' in fixed
    assert AuditEntry.objects.filter(action="vouchertype.added", actor=marketer).exists()


def test_a_batch_is_ordered_exported_and_canceled(client, marketer, programme):
    voucher_type = make_voucher_type(programme, issue_limit=100)
    url = reverse("admin:loyalty_vouchertype_order", args=[voucher_type.pk])
    data = {"quantity": "40", "purpose": "=旅展", "request_key": str(uuid.uuid4())}

    too_many = client.post(url, {**data, "quantity": "101"})
    for _ in range(2):
        client.post(url, data)
    batch = VoucherBatch.objects.get()
    sheet = client.get(reverse("admin:loyalty_voucherbatch_export_csv", args=[batch.pk]))
    rows = list(csv.reader(io.StringIO(b"".join(sheet.streaming_content).decode("utf-8-sig"))))
    book = client.get(reverse("admin:loyalty_voucherbatch_export_xlsx", args=[batch.pk]))
    cells = list(openpyxl.load_workbook(io.BytesIO(book.content)).active.values)
    page = client.get(reverse("admin:loyalty_voucherbatch_change", args=[batch.pk]))
    client.post(reverse("admin:loyalty_voucherbatch_cancel", args=[batch.pk]), {"reason": "印错"})

    assert too_many.status_code == 422
    assert "还可发放 100 张" in too_many.content.decode()
    assert (batch.status, batch.issued_count) == ("issued", 40)
    codes = [spell_code(code) for code in batch.vouchers.order_by("batch_number").values_list("code", flat=True)]
    assert [row[1] for row in rows[1:]] == [row[1] for row in cells[1:]] == codes
    assert "Refresh" not in page
    assert AuditEntry.objects.filter(action="voucherbatch.exported").count() == 2
    assert set(Voucher.objects.values_list("state", flat=True)) == {"canceled"}


def test_a_running_batch_is_shown_anew(client, marketer, programme):
    batch = order_batch(
        actor=None,
        now=timezone.now(),
        type_id=make_voucher_type(programme).pk,
        quantity=3,
        purpose="x",
        request_key=uuid.uuid4(),
    )
    page = client.get(reverse("admin:loyalty_voucherbatch_change", args=[batch.pk]))

    assert page["Refresh"] == "3"
    run_batch(batch_id=batch.pk, now=timezone.now())


def test_codes_leave_the_house_only_with_the_right(client, programme, place):
    voucher_type = make_voucher_type(programme)
    batch = order_batch(
        actor=None,
        now=timezone.now(),
        type_id=voucher_type.pk,
        quantity=3,
        purpose="x",
        request_key=uuid.uuid4(),
    )
    run_batch(batch_id=batch.pk, now=timezone.now())
    code = spell_code(Voucher.objects.first().code)
    lists = {}
    for role in (Role.AUDITOR, Role.MARKETER):
        client.force_login(make_staff(role))
        lists[role] = client.get(reverse("admin:loyalty_voucher_changelist"), {"q": code.lower()}).content.decode()
        answer = client.get(reverse("admin:loyalty_voucherbatch_export_csv", args=[batch.pk]))
        assert answer.status_code == (200 if role == Role.MARKETER else 403)

    assert code in lists[Role.MARKETER]
    # The search box repeats what the auditor typed in small letters.
    assert code not in lists[Role.AUDITOR]
    assert mask_code(code.replace("-", "")) in lists[Role.AUDITOR]
    assert not AuditEntry.objects.filter(action="voucherbatch.exported", actor__assignments__role="auditor").exists()
