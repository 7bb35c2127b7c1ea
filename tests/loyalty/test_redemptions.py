"""Rewards for points, undoing them, and corrections by hand."""

import datetime as dt

import pytest
from django.db import connection

from loyalty.models import Account, Lot, Posting, Redemption, Reward
from loyalty.selectors.members import member_summary
from loyalty.services import ledger
from loyalty.services.ledger import IdempotencyConflict, InsufficientPoints
from loyalty.services.memberships import enrol_member
from loyalty.services.redemptions import (
    ReasonRequired,
    RewardUnavailable,
    adjust_points,
    cancel_redemption,
    redeem_reward,
)
from tests.factories import NOW, make_guest, make_programme, make_property, make_reward, make_staff

pytestmark = pytest.mark.django_db

TODAY = NOW.date()


@pytest.fixture(autouse=True)
def _balances_hold():
    yield
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")


@pytest.fixture
def place():
    return make_property()


@pytest.fixture
def reward():
    return make_reward(make_programme(), points=2000)


@pytest.fixture
def membership(reward):
    return enrol_member(actor=None, now=NOW, programme=reward.programme, guest_id=make_guest().pk)


def earn(membership, points, *, expires_on=None):
    return ledger.earn_points(actor=None, now=NOW, points=points, membership_id=membership.pk, expires_on=expires_on)


def redeem(membership, reward, place, *, key="k1", now=NOW, actor=None):
    return redeem_reward(
        actor=actor,
        now=now,
        membership_id=membership.pk,
        reward_id=reward.pk,
        place=place,
        idempotency_key=key,
    )


def test_a_reward_costs_its_points(membership, reward, place):
    earn(membership, 2500)
    clerk = make_staff(place=place)

    redemption = redeem(membership, reward, place, actor=clerk)

    assert (redemption.points, redemption.status, redemption.actor) == (2000, "redeemed", clerk)
    assert member_summary(membership=membership, today=TODAY).available == 500
    posting = Posting.objects.get(kind="redeem")
    assert (posting.source_system, posting.source_reference) == ("redemption", str(redemption.public_id))


def test_the_same_key_is_the_same_redemption(membership, reward, place):
    earn(membership, 5000)
    first = redeem(membership, reward, place)
    Reward.objects.filter(pk=reward.pk).update(points=2500, is_active=False)

    assert redeem(membership, reward, place) == first
    assert Redemption.objects.count() == 1
    assert Posting.objects.filter(kind="redeem").count() == 1


def test_the_same_key_for_another_reward_is_refused(membership, reward, place):
    earn(membership, 5000)
    redeem(membership, reward, place)
    other = make_reward(reward.programme, points=2000)

    with pytest.raises(IdempotencyConflict):
        redeem(membership, other, place)

    assert Redemption.objects.count() == 1


def test_too_few_points_buy_nothing(membership, reward, place):
    earn(membership, 1999)

    with pytest.raises(InsufficientPoints) as caught:
        redeem(membership, reward, place)

    assert (caught.value.needed, caught.value.available) == (2000, 1999)
    assert not Redemption.objects.exists()


def test_lapsed_points_buy_nothing_though_the_expiry_is_late(membership, reward, place):
    earn(membership, 2000, expires_on=TODAY - dt.timedelta(days=1))

    with pytest.raises(InsufficientPoints):
        redeem(membership, reward, place)

    assert member_summary(membership=membership, today=TODAY).available == 0


def test_a_reward_switched_off_or_of_another_programme_is_refused(membership, reward, place):
    earn(membership, 5000)
    foreign = make_reward(make_programme())

    with pytest.raises(RewardUnavailable):
        redeem(membership, foreign, place)
    Reward.objects.filter(pk=reward.pk).update(is_active=False)
    with pytest.raises(RewardUnavailable):
        redeem(membership, reward, place)


def test_an_undone_redemption_gives_the_points_back_to_their_lots(membership, reward, place):
    soon, later = TODAY + dt.timedelta(days=10), TODAY + dt.timedelta(days=400)
    earn(membership, 1500, expires_on=soon)
    earn(membership, 1500, expires_on=later)
    redemption = redeem(membership, reward, place)

    cancel_redemption(actor=None, now=NOW, redemption_id=redemption.pk, reason="closed today")
    again = cancel_redemption(actor=None, now=NOW, redemption_id=redemption.pk, reason="closed today")

    assert (again.status, again.canceled_at) == ("canceled", NOW)
    assert list(Lot.objects.order_by("expires_on").values_list("remaining", "expires_on")) == [
        (1500, soon),
        (1500, later),
    ]
    assert Posting.objects.filter(kind="refund").count() == 1
    summary = member_summary(membership=membership, today=TODAY)
    assert (summary.available, summary.expiring_points, summary.expiring_on) == (3000, 1500, soon)


def test_an_undo_needs_a_reason(membership, reward, place):
    earn(membership, 2000)
    redemption = redeem(membership, reward, place)

    with pytest.raises(ReasonRequired):
        cancel_redemption(actor=None, now=NOW, redemption_id=redemption.pk, reason=" ")


def test_points_are_corrected_by_hand_with_a_reason(membership, place):
    manager = make_staff("property_manager", place=place)

    def adjust(points, key, reason="goodwill"):
        return adjust_points(
            actor=manager,
            now=NOW,
            membership_id=membership.pk,
            points=points,
            reason=reason,
            place=place,
            idempotency_key=key,
        )

    adjust(300, "a")
    adjust(300, "a")
    adjust(-100, "b")

    assert Account.objects.get(membership=membership).available == 200
    with pytest.raises(InsufficientPoints):
        adjust(-201, "c")
    with pytest.raises(ReasonRequired):
        adjust(1, "d", reason="")
