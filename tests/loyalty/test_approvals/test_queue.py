"""The desk and the queue."""

import uuid
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone, translation

from hotels.models import Role, User
from loyalty.models import (
    ApprovalRequest,
    Redemption,
    Voucher,
)
from loyalty.services.approvals import (
    refuse_request,
)
from tests.factories import (
    make_member,
    make_property,
    make_reward,
    make_staff,
    make_voucher_type,
)
from tests.loyalty.test_approvals.acts import adjust, asked, balances, make_limit, make_rule

pytestmark = pytest.mark.django_db


@pytest.fixture
def desk(client, programme, clerk, manager):
    make_limit(programme, role="property_manager", per_movement=2000, per_day=None, approver_role="group_manager")
    make_limit(programme, kind="redeem")
    make_limit(programme, kind="issue_voucher", unit="CNY", role="property_manager", per_movement=50)
    return client


def test_the_desk_says_who_decides_and_that_nothing_moved(desk, programme, manager, place):
    member = make_member(programme, points=5000)
    desk.force_login(manager)

    page = desk.post(
        reverse("loyalty:adjust", args=[member.guest.public_id]),
        {"request_key": uuid.uuid4(), "points": "2500", "reason": "致歉"},
        follow=True,
    ).content.decode()

    request = ApprovalRequest.objects.get()
    assert "需要集团经理审批" in page
    assert f"{request.number}" in page
    assert "待审批" in page
    assert balances(member) == (5000, 0)


def test_a_reward_and_a_voucher_wait_as_well(desk, programme, clerk, manager):
    member, reward = make_member(programme, points=5000), make_reward(programme, points=4000)
    voucher_type = make_voucher_type(programme)
    desk.force_login(clerk)
    desk.post(
        reverse("loyalty:redeem", args=[member.guest.public_id]), {"request_key": uuid.uuid4(), "reward": reward.pk}
    )
    desk.force_login(manager)
    desk.post(
        reverse("loyalty:issue_voucher", args=[member.guest.public_id]),
        {"request_key": uuid.uuid4(), "type": voucher_type.pk, "source": "compensation", "reason": "致歉"},
    )

    assert sorted(ApprovalRequest.objects.values_list("kind", "unit", "value")) == [
        ("issue_voucher", "CNY", Decimal(100)),
        ("redeem", "points", Decimal(4000)),
    ]
    assert not Voucher.objects.exists()
    assert not Redemption.objects.exists()


def test_the_queue_shows_the_evidence_and_decides(desk, programme, member, clerk, manager, place):
    make_limit(programme)
    adjust(clerk, member, 700, place, now=timezone.now())
    request = asked(clerk, member, 1200, place, now=timezone.now())
    desk.force_login(manager)
    url = reverse("loyalty:approval", args=[request.public_id])

    page = desk.get(url).content.decode()
    assert "1,200" in page
    assert "700" in page
    assert "1,000 积分" in page
    answer = desk.post(url, {"request_key": uuid.uuid4(), "note": "好"})
    assert answer["Location"] == reverse("loyalty:approvals")
    assert balances(member) == (6900, 0)


def test_a_refusal_on_the_page_needs_a_reason(desk, programme, member, clerk, manager, place):
    make_limit(programme)
    request = asked(clerk, member, 1200, place, now=timezone.now())
    desk.force_login(manager)
    url = reverse("loyalty:refuse_approval", args=[request.public_id])

    assert desk.post(url, {"request_key": uuid.uuid4(), "note": ""}).status_code == 422
    desk.post(url, {"request_key": uuid.uuid4(), "note": "依据不足"})

    request.refresh_from_db()
    assert (request.state, request.note) == ("refused", "依据不足")


def test_a_receptionist_sees_only_their_own_requests(desk, programme, member, clerk, place):
    make_limit(programme)
    own = asked(clerk, member, 1200, place)
    other = asked(make_staff(place=place), member, 1300, place)
    desk.force_login(clerk)

    page = desk.get(reverse("loyalty:approvals")).content.decode()

    assert "1,200" in page
    assert "1,300" not in page
    assert desk.get(reverse("loyalty:approval", args=[own.public_id])).status_code == 200
    assert desk.get(reverse("loyalty:approval", args=[other.public_id])).status_code == 404


@pytest.mark.parametrize("tab", ["waiting", "decided", "marked", "mine"])
def test_the_list_costs_the_same_for_one_row_and_for_thirty(desk, programme, clerk, manager, place, tab):
    make_limit(programme)
    make_rule(programme, count=0, kind="adjust", outcome="flag")
    desk.force_login(manager)

    def make_rows(number):
        for _ in range(number):
            row = make_member(programme)
            request = asked(clerk, row, 1200, place, now=timezone.now())
            asked(manager, row, 2500, place, now=timezone.now())
            adjust(clerk, row, 1, place, now=timezone.now())
            if tab == "decided":
                refuse_request(actor=manager, now=timezone.now(), request_id=request.pk, note="否")

    counts = []
    for number in (1, 30):
        make_rows(number)
        desk.get(reverse("loyalty:approvals"))
        with CaptureQueriesContext(connection) as captured:
            answer = desk.get(reverse("loyalty:approvals"), {"show": tab})
        counts.append(len(captured))
    assert counts[0] == counts[1]
    assert len(answer.context["rows"]) == 20
    assert answer.context["next"]


def test_the_badge_counts_what_the_reader_may_decide(desk, programme, member, clerk, manager, place):
    make_limit(programme)
    asked(clerk, member, 1200, place)
    asked(manager, member, 2500, place)
    elsewhere = make_staff(Role.PROPERTY_MANAGER, place=make_property())

    def badge(user):
        desk.force_login(user)
        nav = desk.get(reverse("loyalty:approvals")).context["nav"]
        return next(item.count for item in nav if item.code == "approvals")

    assert (badge(manager), badge(elsewhere), badge(clerk)) == (1, 0, None)


def test_english_words_are_english(desk, programme, member, clerk, manager, place):
    make_limit(programme)
    request = asked(clerk, member, 1200, place)
    User.objects.filter(pk=manager.pk).update(language="en")
    desk.force_login(User.objects.get(pk=manager.pk))

    page = desk.get(reverse("loyalty:approval", args=[request.public_id])).content.decode()

    assert "+1,200 points" in page
    assert "1,200 points is above the limit per movement of 1,000 points" in page
    translation.activate("zh-hans")
