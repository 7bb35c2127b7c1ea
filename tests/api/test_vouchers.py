"""Vouchers at outlets and in the member's own view."""

import threading
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.db import connections

from hotels.models import Role
from loyalty.models import Voucher, VoucherEvent
from loyalty.rules.vouchers import mask_code, spell_code
from loyalty.services.vouchers import UNDO_WITHIN, issue_voucher
from tests.api.requests import client_with_token, make_guest_account
from tests.factories import NOW, make_programme, make_property, make_staff, make_voucher_type

pytestmark = pytest.mark.django_db
ADDRESS = "/api/v1/integration/vouchers/"


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(NOW.astimezone(ZoneInfo("UTC")), tick=False) as traveller:
        yield traveller


@pytest.fixture
def place():
    return make_property("SHA")


@pytest.fixture
def client(place):
    return client_with_token(make_staff(Role.INTEGRATION, place=place))


@pytest.fixture
def programme():
    return make_programme("CLUB")


@pytest.fixture
def member(programme):
    return make_guest_account("陈思远", "13800138000", programme=programme)


def issue(voucher_type, guest=None):
    membership_id = guest.memberships.get().pk if guest else None
    return issue_voucher(actor=None, now=NOW, type_id=voucher_type.pk, membership_id=membership_id)


def post(client, name, key="k-1", **body):
    headers = {"idempotency-key": key} if key else {}
    return client.post(f"{ADDRESS}{name}", body, content_type="application/json", headers=headers)


def test_an_outlet_verifies_redeems_and_gives_back(client, programme, place):
    voucher = issue(make_voucher_type(programme, kind="percent", percent=20, amount=50))
    body = {"property": "SHA", "code": spell_code(voucher.code).lower(), "spend": "199.99"}

    check = post(client, "verify", **body).json()
    used = post(client, "redeem", **body)
    again = post(client, "redeem", **body)
    other = post(client, "redeem", **{**body, "spend": "1"})
    second = post(client, "redeem", "k-2", **body)
    undone = post(client, "undo", "k-3", property="SHA", redemption_id=used.json()["redemption_id"])

    assert (check["usable"], check["refusal"], check["amount"], check["currency"]) == (True, None, "40.00", "CNY")
    assert check["voucher"]["masked_code"] == mask_code(voucher.code)
    assert (used.status_code, used.json()["amount"]) == (201, "40.00")
    assert (again.status_code, again.json()) == (201, used.json())
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_conflict")
    assert (second.status_code, second.json()["code"]) == (409, "voucher_redeemed_at")
    assert (undone.status_code, undone.json()["state"]) == (200, "issued")
    assert list(VoucherEvent.objects.order_by("id").values_list("kind", flat=True)) == ["issued", "redeemed", "undone"]


def test_each_refusal_has_a_code(client, programme, place, member):
    voucher = issue(make_voucher_type(programme), member)
    other = make_guest_account("王雨桐", "13800138001", programme=programme)
    body = {"property": "SHA", "code": voucher.code}
    number = other.memberships.get().number

    found = {
        "member": post(client, "redeem", **body),
        "foreign": post(client, "redeem", **body, membership_number=number),
        "nobody": post(client, "redeem", **body, membership_number="GK404"),
        "typo": post(client, "redeem", **{**body, "code": "0" * 14 + "1"}),
        "unknown": post(client, "redeem", **{**body, "code": "0" * 15}),
        "place": post(client, "redeem", **{**body, "property": make_property("BKK").code}),
        "key": post(client, "redeem", "", **body),
        "use": post(client, "undo", property="SHA", redemption_id="6f1d2b1e-5f0c-4a52-9d5e-3b8f5c0a7e11"),
        "negative": post(client, "redeem", **body, spend="-1"),
    }

    assert {name: (answer.status_code, answer.json()["code"]) for name, answer in found.items()} == {
        "member": (409, "voucher_member_required"),
        "foreign": (409, "voucher_foreign_member"),
        "nobody": (404, "membership_not_found"),
        "typo": (400, "invalid"),
        "unknown": (404, "voucher_unknown"),
        "place": (404, "property_not_found"),
        "key": (400, "idempotency_key_missing"),
        "use": (404, "voucher_unknown"),
        "negative": (400, "invalid"),
    }
    assert found["typo"].json()["errors"]["code"][0]["code"] == "wrong_check"
    assert post(client, "verify", **body).json()["refusal"]["code"] == "voucher_member_required"
    assert Voucher.objects.get().state == "issued"


def test_an_outlet_undoes_for_half_an_hour(client, programme, place, clock):
    voucher = issue(make_voucher_type(programme))
    used = post(client, "redeem", property="SHA", code=voucher.code).json()
    clock.shift(UNDO_WITHIN.total_seconds() + 1)

    answer = post(client, "undo", "k-2", property="SHA", redemption_id=used["redemption_id"])

    assert (answer.status_code, answer.json()["code"]) == (409, "voucher_undo_too_late")


def test_a_marketer_redeems_nothing(programme, place):
    client = client_with_token(make_staff(Role.MARKETER))

    assert post(client, "redeem", property="SHA", code="x").status_code == 403


def test_a_guest_sees_their_own_vouchers_and_nobody_elses(programme, member):
    other = make_guest_account("王雨桐", "13800138001", programme=programme)
    voucher_type = make_voucher_type(programme)
    mine = [issue(voucher_type, member) for _ in range(3)]
    issue(voucher_type, other)
    client = client_with_token(member.user, **{"accept-language": "en"})

    first = client.get("/api/v1/me/vouchers?limit=2").json()
    rest = client.get(first["next"]).json()

    codes = [row["code"] for row in first["results"] + rest["results"]]
    assert codes == [spell_code(voucher.code) for voucher in reversed(mine)]
    row = first["results"][0]
    assert (row["state"], row["type"]["worth"], row["type"]["name"]) == ("issued", "CNY 100 off", "CNY 100 voucher")
    assert client.get("/api/v1/me/vouchers?state=redeemed").json()["results"] == []


@pytest.mark.django_db(transaction=True)
def test_ten_outlets_at_once_use_a_voucher_once(client, programme, place):
    voucher = issue(make_voucher_type(programme))
    barrier = threading.Barrier(10)
    answers = []

    def send(number):
        barrier.wait()
        answer = post(client, "redeem", f"k-{number}", property="SHA", code=voucher.code)
        answers.append((answer.status_code, answer.json().get("code", "")))
        connections.close_all()

    threads = [threading.Thread(target=send, args=[number]) for number in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)

    assert sorted(answers) == [(201, "")] + [(409, "voucher_redeemed_at")] * 9
