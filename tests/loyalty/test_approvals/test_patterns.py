"""Patterns."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from loyalty.services.approvals import (
    NotTheApprover,
    OwnMovement,
    Performed,
    approve_request,
    review_movement,
)
from members.models import Guest
from members.services.guests import update_guest
from tests.factories import (
    NOW,
    make_member,
    make_reward,
    make_staff,
)
from tests.loyalty.test_approvals.acts import LATER, adjust, asked, balances, make_limit, make_rule, redeem

pytestmark = pytest.mark.django_db


def test_a_held_movement_waits_with_its_evidence(programme, member, clerk, place):
    make_rule(programme, count=2)
    records = [adjust(clerk, member, 10, place).record.pk for _ in range(2)]

    request = asked(clerk, member, 10, place)

    (ground,) = request.grounds
    assert (ground["check"], ground["seen"], ground["movements"]) == ("same_pair", 3, sorted(records))
    assert isinstance(adjust(make_staff(place=place), member, 10, place), Performed)


def test_a_marked_movement_is_carried_out_and_reviewed_by_somebody_else(programme, member, clerk, manager, place):
    make_rule(programme, count=0, outcome="flag")

    record = adjust(clerk, member, 10, place).record

    assert balances(member) == (5010, 0)
    assert [flag["check"] for flag in record.flags] == ["same_pair"]
    with pytest.raises(OwnMovement):
        review_movement(actor=clerk, now=LATER, record_id=record.pk)
    with pytest.raises(NotTheApprover):
        review_movement(actor=make_staff(place=place), now=LATER, record_id=record.pk)
    assert review_movement(actor=manager, now=LATER, record_id=record.pk).reviewed_by == manager


def test_adjustments_just_under_the_limit_are_held(programme, member, clerk, place):
    make_limit(programme, per_day=None)
    make_rule(programme, "near_limit")
    adjust(clerk, member, 990, place)

    assert isinstance(adjust(clerk, member, 899, place), Performed)
    assert [g["check"] for g in asked(clerk, make_member(programme), 950, place).grounds] == ["near_limit"]


def test_redemptions_after_a_change_of_telephone_are_held(programme, clerk, place):
    make_rule(programme, "after_phone_change", kind="redeem", count=1, hours=48)
    member = make_member(programme, points=5000, phone="13800000001")
    reward = make_reward(programme, points=10)
    assert isinstance(redeem(clerk, member, reward, place), Performed)
    update_guest(
        actor=clerk,
        now=NOW,
        guest_id=member.guest_id,
        expected_version=Guest.objects.get(pk=member.guest_id).version,
        changes={"phone": "13800000002"},
        place=place,
    )

    assert isinstance(redeem(clerk, member, reward, place, now=LATER), Performed)
    outcome = redeem(clerk, member, reward, place, now=LATER)

    assert [g["check"] for g in outcome.request.grounds] == ["after_phone_change"]


def test_a_member_alone_has_no_limits_but_is_counted(programme, member, manager, place):
    make_limit(programme, kind="redeem", per_movement=1)
    make_rule(programme, "member_count", kind="redeem", count=1)
    reward = make_reward(programme, points=100)

    assert isinstance(redeem(None, member, reward, place), Performed)
    request = redeem(None, member, reward, place).request
    assert (request.requested_by, request.approver_role) == (None, "property_manager")
    assert approve_request(actor=manager, now=LATER, request_id=request.pk).state == "approved"


def test_the_own_account_is_known_by_login_and_by_mail(programme, member, place):
    make_rule(programme, "own_account")
    by_login = make_staff(place=place)
    Guest.objects.filter(pk=member.guest_id).update(user=by_login)
    update_guest(
        actor=None,
        now=NOW,
        guest_id=member.guest_id,
        expected_version=Guest.objects.get(pk=member.guest_id).version,
        changes={"email": "lin@example.com"},
    )
    by_mail = make_staff(place=place, email="Lin@Example.com")

    for owner in (by_login, by_mail):
        assert [g["check"] for g in asked(owner, member, 10, place).grounds] == ["own_account"]
    assert isinstance(adjust(make_staff(place=place, email="nobody"), member, 10, place), Performed)


def test_a_rule_that_is_switched_off_from_today_holds_nothing(programme, member, clerk, place):
    make_rule(programme, count=0)
    make_rule(programme, count=0, is_active=False, effective_from=NOW.date())

    assert isinstance(adjust(clerk, member, 10, place), Performed)


def statements(captured):
    return [query["sql"] for query in captured if not query["sql"].startswith(("SAVEPOINT", "RELEASE"))]


def test_the_check_costs_the_same_for_many_movements(programme, member, clerk, place):
    make_limit(programme, per_day=None)
    make_rule(programme, count=500)
    make_rule(programme, "near_limit", count=500)
    counts = []
    for _ in range(2):
        with CaptureQueriesContext(connection) as captured:
            adjust(clerk, member, 10, place)
        counts.append(len(statements(captured)))
        for _ in range(10):
            adjust(clerk, member, 10, place)
    looks = [sql for sql in statements(captured) if "hotels_auditentry" in sql and sql.lstrip().startswith("(SELECT")]
    assert counts[0] == counts[1] + 1  # the clerk's assignments, read once for each loaded user
    assert len(looks) == 1
