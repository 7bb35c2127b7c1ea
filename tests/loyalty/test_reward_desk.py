"""Rewards through the desk's pages, the administration and the members' API."""

import datetime as dt
import io
import uuid
from decimal import Decimal

import openpyxl
import pytest
import time_machine
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from hotels.models import AuditEntry, Role
from loyalty.models import Account, ApprovalRequest, Redemption, RewardPrice, RewardStock, VelocityRule
from loyalty.services.approvals import approve_request
from loyalty.services.ledger import earn_points
from loyalty.services.redemptions import redeem_reward
from tests.api.requests import client_with_token, make_guest_account
from tests.factories import NOW, make_member, make_programme, make_property, make_reward, make_staff

pytestmark = pytest.mark.django_db
IN_DIALOG = {"HX-Request": "true", "HX-Target": "dialog-body", "HX-Current-URL": "http://testserver/"}
TODAY = NOW.date()
PNG = b"\x89PNG\r\n\x1a\n" + bytes(40)


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(NOW.astimezone(dt.UTC), tick=False) as traveller:
        yield traveller


@pytest.fixture
def place():
    return make_property("SHA")


@pytest.fixture
def programme():
    return make_programme("CLUB")


@pytest.fixture
def member(programme, place):
    return make_member(programme, points=5000, place=place)


@pytest.fixture
def reward(programme):
    return make_reward(programme, points=2000, code="tea")


@pytest.fixture
def receptionist(client, place):
    user = make_staff(place=place)
    client.force_login(user)
    return user


def take(member, reward, place, key="k", **facts):
    return redeem_reward(
        actor=None, now=NOW, membership_id=member.pk, reward_id=reward.pk, place=place, idempotency_key=key, **facts
    )


def sent(**data):
    return {"request_key": str(uuid.uuid4()), **data}


def test_the_sheet_prices_the_chosen_day_and_greys_what_cannot_be_had(client, receptionist, member, reward, programme):
    RewardPrice.objects.create(reward=reward, points=2600, weekdays=[6, 7], effective_from=TODAY)
    gone = make_reward(programme, points=10)
    RewardStock.objects.create(reward=gone, total=0)
    url = reverse("loyalty:redeem", args=[member.guest.public_id])

    weekday = client.get(url, headers=IN_DIALOG).content.decode()
    saturday = client.get(url, {"for_date": "2026-06-20"}, headers=IN_DIALOG).content.decode()

    assert "2,000" in weekday
    assert "2,600" in saturday
    assert weekday.index("2,000") < weekday.index("已兑完")


def test_what_was_shown_is_what_is_charged(client, receptionist, member, reward, place):
    url = reverse("loyalty:redeem", args=[member.guest.public_id])

    stale = client.post(url, sent(reward=f"{reward.pk}:0:1500:0"), headers=IN_DIALOG)
    done = client.post(url, sent(reward=f"{reward.pk}:0:2000:0", for_date="2026-06-18", quantity="2", note="15:00"))

    assert (stale.status_code, done.status_code) == (422, 302)
    redemption = Redemption.objects.get()
    assert (redemption.points, redemption.quantity, redemption.for_date, redemption.note) == (
        4000,
        2,
        dt.date(2026, 6, 18),
        "15:00",
    )
    assert client.post(url, sent(reward="x:1")).status_code == 404


def test_rewards_are_handed_over_from_the_list(client, receptionist, member, reward, place):
    today = take(member, reward, place)
    take(member, reward, place, "later", for_date=TODAY + dt.timedelta(days=3))
    page = reverse("loyalty:fulfilments")

    def listed(**query):
        return [row.pk for row in client.get(page, query).context["rows"]]

    assert listed() == [today.pk]
    assert len(listed(show="later")) == 1
    assert listed(category="spa") == []
    client.post(reverse("loyalty:fulfil_redemption", args=[today.public_id]))
    assert (listed(), listed(show="done")) == ([], [today.pk])
    client.post(reverse("loyalty:reopen_redemption", args=[today.public_id]))
    client.post(reverse("loyalty:no_show", args=[today.public_id]))
    today.refresh_from_db()
    assert today.status == "no_show"


def test_the_list_is_paged_by_day_with_a_fixed_number_of_queries(
    client, receptionist, member, reward, place, django_assert_max_num_queries
):
    template = take(member, reward, place)
    rows = [
        Redemption(
            membership=member,
            reward=reward,
            property=place,
            points=1,
            for_date=TODAY - dt.timedelta(days=i % 3),
            redeemed_at=NOW,
        )
        for i in range(34)
    ]
    Redemption.objects.bulk_create(rows)
    page = reverse("loyalty:fulfilments")

    with django_assert_max_num_queries(8):
        first = client.get(page)
    second = client.get(page, {"after": first.context["next"]})

    found = [*first.context["rows"], *second.context["rows"]]
    assert (len(first.context["rows"]), len(found), second.context["next"]) == (30, 35, "")
    assert found == sorted(found, key=lambda row: (row.for_date, row.pk))
    assert template in found


def test_a_manager_cancels_what_the_desk_may_not(client, receptionist, member, reward, place):
    type(reward).objects.filter(pk=reward.pk).update(cancel_hours=24)
    redemption = take(member, reward, place)
    Redemption.objects.filter(pk=redemption.pk).update(status="fulfilled")
    url = reverse("loyalty:give_back", args=[redemption.public_id])

    with time_machine.travel(NOW + dt.timedelta(hours=3), tick=False):
        refused = client.post(url, sent(reason="change of mind"), headers=IN_DIALOG)
        client.force_login(make_staff(Role.PROPERTY_MANAGER, place=place))
        done = client.post(url, sent(reason="change of mind"), headers=IN_DIALOG)

    assert (refused.status_code, done.status_code) == (422, 204)
    assert "经理" in refused.content.decode()
    redemption.refresh_from_db()
    assert redemption.status == "canceled"
    assert AuditEntry.objects.get(action="redemption.canceled").reason == "change of mind"


def test_another_property_sees_neither_receipt_nor_list(client, member, reward, place):
    redemption = take(member, reward, place)
    client.force_login(make_staff(place=make_property()))

    assert client.get(reverse("loyalty:receipt", args=[redemption.public_id])).status_code == 404
    assert client.post(reverse("loyalty:fulfil_redemption", args=[redemption.public_id])).status_code == 404
    assert client.get(reverse("loyalty:fulfilments")).context["rows"] == []


def test_the_receipt_names_reward_day_points_and_money(client, receptionist, member, reward, place):
    RewardPrice.objects.create(reward=reward, points=900, cash=Decimal(80), currency="CNY", effective_from=TODAY)
    redemption = take(member, reward, place, note="15:00")

    html = client.get(reverse("loyalty:receipt", args=[redemption.public_id])).content.decode()

    for text in (reward.name, "900", "¥80", "15:00", member.number, "2026-06-15"):
        assert text in html


def test_demand_stands_on_the_page_and_in_the_workbook(client, receptionist, member, reward, place):
    Redemption.objects.bulk_create(
        Redemption(
            membership=member,
            reward=reward,
            property=place,
            points=1,
            quantity=3,
            for_date=TODAY - dt.timedelta(weeks=week),
            redeemed_at=NOW,
        )
        for week in range(1, 9)
    )

    (row,) = client.get(reverse("loyalty:demand")).context["rows"]
    book = openpyxl.load_workbook(io.BytesIO(client.get(reverse("loyalty:demand_xlsx")).content))

    assert [count for _week, count in row.history] == [3] * 8
    assert [expected for _week, expected, _most, _booked in row.next_weeks] == [3] * 4
    assert [cells[3:] for cells in book.active.iter_rows(min_row=2, values_only=True)][-1] == (None, 3, 3)
    assert AuditEntry.objects.filter(action="redemption.demand_exported").exists()


# Administration


@pytest.fixture
def manager():
    client = Client()
    client.force_login(make_staff(Role.GROUP_MANAGER))
    return client


def reward_form(reward, **changes):
    rows = {}
    for prefix in ("prices", "stock", "limits", "blackouts"):
        rows |= {f"{prefix}-TOTAL_FORMS": "0", f"{prefix}-INITIAL_FORMS": "0"}
    fields = {name: getattr(reward, name) for name in ("code", "name", "name_en", "category", "points", "fulfilment")}
    return {**fields, "is_active": "on", "lead_hours": "0", **rows, **changes}


def test_a_picture_is_a_picture_whatever_it_is_called(manager, reward, client, settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path
    url = reverse("admin:loyalty_reward_change", args=[reward.pk])
    picture = reverse("loyalty:reward_picture", args=[reward.pk])

    script = manager.post(url, reward_form(reward, picture=SimpleUploadedFile("a.png", b"<svg onload=alert(1)>")))
    none_yet = client.get(picture).status_code
    saved = manager.post(url, reward_form(reward, picture=SimpleUploadedFile("a.png", PNG)))
    shown = client.get(picture)

    assert "PNG、JPEG" in script.content.decode()
    assert (none_yet, saved.status_code) == (404, 302)
    assert (shown["Content-Type"], shown["X-Content-Type-Options"]) == ("image/png", "nosniff")
    assert b"".join(shown.streaming_content) == PNG


def test_prices_and_stock_are_checked_at_their_rows(manager, reward, place):
    url = reverse("admin:loyalty_reward_change", args=[reward.pk])
    price = {"prices-0-points": "10", "prices-0-cash": "5", "prices-0-effective_from": "2026-06-01"}
    other = {**price, "prices-0-currency": "THB", "prices-0-property": place.pk}

    missing = manager.post(url, reward_form(reward, **{"prices-TOTAL_FORMS": "1", **price}))
    foreign = manager.post(url, reward_form(reward, **{"prices-TOTAL_FORMS": "1", **other}))
    stock = {"stock-TOTAL_FORMS": "1", "stock-0-total": "7"}
    done = manager.post(
        url, reward_form(reward, **{"prices-TOTAL_FORMS": "1", **other, "prices-0-currency": "CNY", **stock})
    )

    assert "币种" in missing.content.decode()
    assert "CNY" in foreign.content.decode()
    assert done.status_code == 302
    assert (RewardPrice.objects.get().cash, RewardStock.objects.get().total) == (5, 7)
    assert AuditEntry.objects.filter(action="rewardstock.added").exists()


def test_a_manager_sets_a_price_ahead_and_looks_through_a_guests_eyes(manager, reward, programme, place):
    gold = programme.tiers.get(code="gold")
    type(reward).objects.filter(pk=reward.pk).update(min_tier=gold)
    done = manager.post(
        reverse("admin:loyalty_reward_change_price", args=[reward.pk]),
        {"points": "2500", "effective_from": "2026-07-01"},
    )
    preview = reverse("admin:loyalty_reward_preview", args=[reward.pk])
    query = {"place": place.pk, "for_date": "2026-06-20"}

    low = manager.get(preview, {**query, "tier": programme.tiers.get(code="base").pk}).content.decode()
    high = manager.get(preview, {**query, "tier": gold.pk})

    assert done.status_code == 302
    assert RewardPrice.objects.get().effective_from == dt.date(2026, 7, 1)
    assert "金卡" in low
    assert [offer.can_be_taken for offer in high.context["offers"]] == [True]


# API

HELD = "酒店将先审核此项兑换，审核期间相应积分暂时冻结。"


@pytest.fixture
def account(programme):
    guest = make_guest_account("陈思远", "13800138000", programme=programme)
    earn_points(actor=None, now=NOW, points=5000, membership_id=guest.memberships.get().pk)
    return guest


@pytest.fixture
def api(account):
    return client_with_token(account.user)


def post(api, path, key="k-1", **body):
    return api.post(f"/api/v1/{path}", body, content_type="application/json", headers={"idempotency-key": key})


def test_a_member_redeems_once_and_gives_back(api, account, reward, place):
    offer = api.get("/api/v1/rewards", {"property": "SHA"}).json()[0]
    body = {"reward": "tea", "property": "SHA", "points": offer["options"][0]["points"]}

    first = post(api, "me/redemptions", **body)
    again = post(api, "me/redemptions", **body)
    listed = api.get("/api/v1/me/redemptions").json()["results"]
    path = f"me/redemptions/{first.json()['id']}/cancel"
    canceled = post(api, path, "k-2", reason="travel plans")

    assert (offer["code"], offer["can_be_taken"], offer["refusal"]) == ("tea", True, None)
    assert (first.status_code, again.json()) == (201, first.json())
    assert [row["id"] for row in listed] == [first.json()["id"]]
    assert (canceled.status_code, canceled.json()["status"]) == (200, "canceled")
    assert Redemption.objects.count() == 1


def test_the_api_says_why_not(api, account, reward, place, programme):
    make_reward(programme, points=9000, code="far")
    other = make_guest_account("王雨桐", "13800138001", programme=programme)
    earn_points(actor=None, now=NOW, points=10, membership_id=other.memberships.get().pk)
    theirs = take(other.memberships.get(), make_reward(programme, points=1), place)
    type(reward).objects.filter(pk=reward.pk).update(cancel_hours=24)
    body = {"reward": "tea", "property": "SHA"}
    mine = post(api, "me/redemptions", **body).json()

    found = {
        "insufficient_points": post(api, "me/redemptions", "1", **{**body, "reward": "far"}),
        "price_changed": post(api, "me/redemptions", "2", **body, points=1),
        "reward_not_found": post(api, "me/redemptions", "3", **{**body, "reward": "none"}),
        "property_not_found": post(api, "me/redemptions", "4", **{**body, "property": "NONE"}),
        "idempotency_conflict": post(api, "me/redemptions", **body, quantity=2),
        "redemption_not_found": post(api, f"me/redemptions/{theirs.public_id}/cancel", "6", reason="no"),
        "too_late": post(api, f"me/redemptions/{mine['id']}/cancel", "5", reason="no"),
    }

    assert {code: answer.json()["code"] for code, answer in found.items()} == {code: code for code in found}


def test_a_redemption_that_a_rule_holds_waits_for_the_hotel(api, account, reward, place, programme):
    VelocityRule.objects.create(
        programme=programme, check_code="member_count", kind="redeem", count=1, hours=24, outcome="hold",
        effective_from=dt.date(2020, 1, 1),
    )  # fmt: skip
    member, body = account.memberships.get(), {"reward": "tea", "property": "SHA"}

    first = post(api, "me/redemptions", "k-1", **body)
    held = post(api, "me/redemptions", "k-2", **body)
    again = post(api, "me/redemptions", "k-2", **body)

    request = ApprovalRequest.objects.get()
    assert (first.status_code, held.status_code) == (201, 202)
    assert held.json() == again.json() == {"request": str(request.number), "message": HELD}
    account_row = Account.objects.get(membership=member)
    assert (account_row.available, account_row.held) == (5000 - 2 * reward.points, reward.points)
    assert len(api.get("/api/v1/me/redemptions").json()["results"]) == 1

    manager = make_staff(Role.PROPERTY_MANAGER, place=place)
    assert approve_request(actor=manager, now=NOW, request_id=request.pk).state == "approved"
    assert len(api.get("/api/v1/me/redemptions").json()["results"]) == 2
