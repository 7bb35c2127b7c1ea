"""Stored value through the desk's pages and the administration."""

import datetime as dt
import io
import uuid

import openpyxl
import pytest
from django.urls import reverse
from django.utils import timezone

from hotels.models import AuditEntry, Role
from loyalty.models import StoredValueMovement, StoredValuePolicy, TopUpStep
from loyalty.selectors.wallet import stored_value
from tests.factories import make_member, make_programme, make_property, make_staff

pytestmark = pytest.mark.django_db


@pytest.fixture
def place():
    return make_property()


@pytest.fixture
def member(place):
    policy = StoredValuePolicy.objects.create(programme=make_programme(), effective_from=dt.date(2020, 1, 1))
    TopUpStep.objects.create(policy=policy, amount=100_000, gift=10_000)
    return make_member(policy.programme, place=place)


@pytest.fixture
def manager(client, place, member):
    user = make_staff(Role.PROPERTY_MANAGER, place=place)
    client.force_login(user)
    return user


@pytest.fixture
def send(client, member, manager):
    """Fill in one of the forms; the page that follows, or the form again."""

    def send(name, **data):
        url = reverse(f"loyalty:{name}", args=[member.guest.public_id])
        return client.post(url, {"request_key": str(uuid.uuid4()), **data}, follow=True)

    return send


def balance(member):
    return tuple(stored_value(membership=member, currency="CNY", on_date=timezone.localdate()))


def test_topping_up_paying_and_paying_back_show_on_the_card(send, member, client):
    page = send("top_up", amount="1000", method="wechat", reference="4200001").content.decode()
    assert "已充值 ¥1,000，赠送 ¥100。" in page
    assert "¥1,100" in page

    page = send("pay_stored_value", amount="150.50", reference="F-1").content.decode()
    assert "已用储值支付 ¥150.50。" in page
    top_up = StoredValueMovement.objects.get(kind="top_up")
    page = send(
        "refund_stored_value", top_up=top_up.public_id, amount="949.50", method="wechat", reason="离店"
    ).content.decode()

    assert "已退还 ¥949.50" in page
    assert balance(member) == (0, 0)
    audited = AuditEntry.objects.filter(action__startswith="stored_value").order_by("pk")
    assert list(audited.values_list("action", flat=True)) == [
        "stored_value.top_up",
        "stored_value.payment",
        "stored_value.refund",
    ]
    receipt = client.get(reverse("loyalty:stored_value_receipt", args=[top_up.public_id])).content.decode()
    assert "4200001" in receipt


def test_a_double_click_tops_up_once(client, member, manager):
    data = {"request_key": str(uuid.uuid4()), "amount": "1000", "method": "cash"}
    for _click in range(2):
        client.post(reverse("loyalty:top_up", args=[member.guest.public_id]), data)

    assert balance(member) == (100_000, 10_000)


def test_refusals_stand_at_the_field(send, member):
    send("top_up", amount="1000", method="cash")

    answer = send("pay_stored_value", amount="1100.01")
    assert answer.status_code == 422
    assert answer.context["form"].errors == {"amount": ["需 ¥1,100.01，可用 ¥1,100.00。"]}
    assert send("top_up", amount="-5", method="cash").context["form"].errors == {"amount": ["金额须大于零。"]}
    assert "method" in send("top_up", amount="5", method="stored_value").context["form"].errors
    assert balance(member) == (100_000, 10_000)


def test_the_notice_offers_to_undo(send, member, client):
    send("top_up", amount="1000", method="cash")
    movement = StoredValueMovement.objects.get()

    page = client.post(reverse("loyalty:undo_stored_value", args=[movement.public_id]), follow=True).content.decode()

    assert "已撤销" in page
    assert balance(member) == (0, 0)


def test_another_property_neither_undoes_nor_sees_it(send, client):
    send("top_up", amount="1000", method="cash")
    movement = StoredValueMovement.objects.get()
    client.force_login(make_staff(Role.PROPERTY_MANAGER, place=make_property()))

    assert client.post(reverse("loyalty:undo_stored_value", args=[movement.public_id])).status_code == 404
    assert client.get(reverse("loyalty:stored_value_receipt", args=[movement.public_id])).status_code == 404
    assert list(StoredValueMovement.objects.values_list("undone_at", flat=True)) == [None]


def test_the_daily_statement_is_a_page_and_a_workbook(send, client):
    send("top_up", amount="1000", method="cash")
    send("pay_stored_value", amount="150")
    url = reverse("loyalty:stored_value_statement")

    page = client.get(url).content.decode()
    book = openpyxl.load_workbook(io.BytesIO(client.get(url, {"format": "xlsx"}).content))

    assert "¥950" in page
    assert [row[1:] for row in list(book.active.values)[3:]] == [
        (0, 0, 0),
        (1000, 100, 1100),
        (-50, -100, -150),
        (0, 0, 0),
        (0, 0, 0),
        (950, 0, 950),
    ]


def test_a_manager_of_the_group_sets_gifts_in_money(client, member):
    client.force_login(make_staff(Role.GROUP_MANAGER))
    start = timezone.localdate() + dt.timedelta(days=30)
    data = {
        "programme": member.programme_id,
        "effective_from": start.isoformat(),
        "is_open": "on",
        "currency": "CNY",
        "spending_order": "gift_first",
        "gift_refund": "proportion",
        "steps-TOTAL_FORMS": 1,
        "steps-INITIAL_FORMS": 0,
        "steps-0-amount": "2000",
        "steps-0-gift": "250.50",
    }

    client.post(reverse("admin:loyalty_storedvaluepolicy_add"), data)

    step = TopUpStep.objects.get(policy__effective_from=start)
    assert (step.amount, step.gift) == (200_000, 25_050)
    page = client.get(reverse("admin:loyalty_storedvaluepolicy_change", args=[step.policy_id])).content.decode()
    assert 'value="2000' in page
    assert "满¥2,000.00送¥250.50" in client.get(reverse("admin:loyalty_storedvaluepolicy_changelist")).content.decode()
