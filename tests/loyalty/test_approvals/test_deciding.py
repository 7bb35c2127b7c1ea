"""Deciding."""

import json

import pytest
from django.db import IntegrityError, connection, transaction

from hotels.models import AuditEntry, Role
from loyalty.models import (
    ApprovalRequest,
    Membership,
    MovementRecord,
    Redemption,
)
from loyalty.services.approvals import (
    AlreadyDecided,
    NotTheApprover,
    OwnRequest,
    PayloadChanged,
    ReasonMissing,
    Requested,
    RequestExpired,
    approve_request,
    expire_requests,
    refuse_request,
    withdraw_request,
)
from loyalty.services.ledger import InsufficientPoints, redeem_points
from tests.factories import (
    NOW,
    make_property,
    make_reward,
    make_staff,
)
from tests.loyalty.test_approvals.acts import LATER, asked, balances, make_limit, redeem

pytestmark = pytest.mark.django_db


def test_an_approval_carries_it_out_once_and_says_who(programme, member, clerk, manager, place):
    make_limit(programme)
    request = asked(clerk, member, 2000, place)

    done = approve_request(actor=manager, now=LATER, request_id=request.pk, note="同意")

    assert (done.state, done.decided_by, done.note) == ("approved", manager, "同意")
    assert balances(member) == (7000, 0)
    record = MovementRecord.objects.get()
    assert (record.request, record.actor, record.counted_on, record.reference) == (request, clerk, None, done.reference)
    with pytest.raises(AlreadyDecided):
        approve_request(actor=manager, now=LATER, request_id=request.pk)
    with pytest.raises(AlreadyDecided):
        refuse_request(actor=manager, now=LATER, request_id=request.pk, note="不")
    with pytest.raises(AlreadyDecided):
        withdraw_request(actor=clerk, now=LATER, request_id=request.pk)
    assert balances(member) == (7000, 0)


def test_nobody_approves_their_own_request(programme, member, place):
    make_limit(programme, role="property_manager")
    boss = make_staff(Role.PROPERTY_MANAGER, place=place)
    request = asked(boss, member, 2000, place)

    with pytest.raises(OwnRequest):
        approve_request(actor=boss, now=LATER, request_id=request.pk)
    with pytest.raises(IntegrityError, match="loyalty_approvalrequest_four_eyes"), transaction.atomic():
        ApprovalRequest.objects.filter(pk=request.pk).update(state="approved", decided_by=boss, decided_at=LATER)
    assert balances(member) == (5000, 0)


def test_only_the_named_role_or_a_higher_one_at_that_property_decides(programme, member, clerk, place):
    make_limit(programme)
    make_limit(programme, role="property_manager", per_movement=3000, approver_role="group_manager")
    small, large = asked(clerk, member, 2000, place), asked(clerk, member, 3001, place)
    elsewhere = make_staff(Role.PROPERTY_MANAGER, place=make_property())
    auditor = make_staff(Role.AUDITOR)
    for nobody in (elsewhere, auditor, make_staff(place=place)):
        with pytest.raises(NotTheApprover):
            approve_request(actor=nobody, now=LATER, request_id=small.pk)
    with pytest.raises(NotTheApprover):
        approve_request(actor=make_staff(Role.PROPERTY_MANAGER, place=place), now=LATER, request_id=large.pk)
    assert balances(member) == (5000, 0)

    group = make_staff(Role.GROUP_MANAGER)
    assert approve_request(actor=group, now=LATER, request_id=small.pk).state == "approved"
    assert approve_request(actor=group, now=LATER, request_id=large.pk).state == "approved"


def test_a_refusal_says_why_and_moves_nothing(programme, member, clerk, manager, place):
    make_limit(programme)
    request = asked(clerk, member, -2000, place)
    assert balances(member) == (3000, 2000)

    with pytest.raises(ReasonMissing):
        refuse_request(actor=manager, now=LATER, request_id=request.pk, note=" ")
    refuse_request(actor=manager, now=LATER, request_id=request.pk, note="依据不足")

    assert balances(member) == (5000, 0)
    assert ApprovalRequest.objects.get().state == "refused"


def test_who_asked_may_withdraw_and_nobody_else(programme, member, clerk, manager, place):
    make_limit(programme)
    request = asked(clerk, member, -2000, place)

    with pytest.raises(NotTheApprover):
        withdraw_request(actor=manager, now=LATER, request_id=request.pk)
    assert withdraw_request(actor=clerk, now=LATER, request_id=request.pk).state == "withdrawn"
    assert balances(member) == (5000, 0)


def test_an_expired_request_is_ended_by_who_finds_it(programme, member, clerk, manager, place):
    make_limit(programme)
    request = asked(clerk, member, -2000, place)

    with pytest.raises(RequestExpired):
        approve_request(actor=manager, now=request.expires_at, request_id=request.pk)

    assert ApprovalRequest.objects.get().state == "expired"
    assert balances(member) == (5000, 0)


def test_the_job_ends_what_is_due_and_nothing_else(programme, member, clerk, place):
    make_limit(programme)
    old = asked(clerk, member, -2000, place)
    new = asked(clerk, member, -1001, place, now=LATER)

    assert expire_requests(now=old.expires_at) == 1
    assert expire_requests(now=old.expires_at) == 0

    assert dict(ApprovalRequest.objects.values_list("pk", "state")) == {old.pk: "expired", new.pk: "pending"}
    assert balances(member) == (3999, 1001)


def test_points_to_be_spent_stay_there_until_the_approval(programme, member, clerk, manager, place):
    make_limit(programme, kind="redeem")
    reward = make_reward(programme, points=4000)
    outcome = redeem(clerk, member, reward, place)
    assert isinstance(outcome, Requested)
    assert balances(member) == (1000, 4000)
    with pytest.raises(InsufficientPoints):
        redeem_points(actor=None, now=NOW, points=1001, membership_id=member.pk)

    approve_request(actor=manager, now=LATER, request_id=outcome.request.pk)

    assert balances(member) == (1000, 0)
    assert Redemption.objects.get().actor == clerk
    assert redeem(clerk, member, reward, place, key=outcome.request.idempotency_key).request.state == "approved"
    assert Redemption.objects.count() == 1


def test_a_request_that_cannot_be_held_is_refused_at_once(programme, member, clerk, place):
    make_limit(programme, kind="redeem")

    with pytest.raises(InsufficientPoints):
        redeem(clerk, member, make_reward(programme, points=5001), place)

    assert not ApprovalRequest.objects.exists()


def change_price(member, reward):
    reward.points = 4001
    reward.save(update_fields=["points"])


def switch_off(member, reward):
    reward.is_active = False
    reward.save(update_fields=["is_active"])


def suspend(member, reward):
    Membership.objects.filter(pk=member.pk).update(status="suspended")


@pytest.mark.parametrize(
    ("change", "failure"),
    [(change_price, "price_changed"), (switch_off, "reward_unavailable"), (suspend, "membership_inactive")],
)
def test_what_has_changed_meanwhile_ends_the_request_with_nothing_half_done(
    programme, member, clerk, manager, place, change, failure
):
    make_limit(programme, kind="redeem")
    reward = make_reward(programme, points=4000)
    request = redeem(clerk, member, reward, place).request
    change(member, reward)

    done = approve_request(actor=manager, now=LATER, request_id=request.pk)

    assert (done.state, done.failure) == ("failed", failure)
    assert balances(member) == (5000, 0)
    assert not Redemption.objects.exists()
    assert not MovementRecord.objects.exists()


def test_the_database_refuses_an_edited_request(programme, member, clerk, place):
    make_limit(programme)
    request = asked(clerk, member, 2000, place)

    for change in ({"payload": {"membership_id": member.pk, "points": 9}}, {"value": 9}, {"reason": "x"}):
        with pytest.raises(IntegrityError, match="cannot be altered"), transaction.atomic():
            ApprovalRequest.objects.filter(pk=request.pk).update(**change)


def test_content_edited_behind_the_database_is_found_by_its_signature(programme, member, clerk, manager, place):
    make_limit(programme)
    request = asked(clerk, member, 2000, place)
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(
            "UPDATE loyalty_approvalrequest SET payload = %s",
            [json.dumps({"membership_id": member.pk, "points": 1_000_000})],
        )
        cursor.execute("SET LOCAL session_replication_role = origin")

    with pytest.raises(PayloadChanged):
        approve_request(actor=manager, now=LATER, request_id=request.pk)

    assert balances(member) == (5000, 0)
    assert AuditEntry.objects.filter(action="approval.content_changed").exists()
