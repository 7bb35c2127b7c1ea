"""Real transactions and threads: the last pieces, limits, and two desks that cancel."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, connections

from loyalty.models import Account, Posting, Redemption, RewardLimit, RewardStock, RewardUse
from loyalty.services.ledger import earn_points
from loyalty.services.memberships import enrol_member
from loyalty.services.redemptions import RewardRefused, cancel_redemption, redeem_reward
from tests.factories import NOW, make_guest, make_programme, make_property, make_reward

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def programme():
    return make_programme()


@pytest.fixture
def place():
    return make_property()


@pytest.fixture
def reward(programme):
    return make_reward(programme, points=100)


def make_members(programme, count):
    members = [enrol_member(actor=None, now=NOW, programme=programme, guest_id=make_guest().pk) for _ in range(count)]
    for member in members:
        earn_points(actor=None, now=NOW, points=1000, membership_id=member.pk)
    return members


def at_once(count, call):
    """Results or codes of the refusals of `call(i)` from threads that start together."""
    start = threading.Barrier(count)

    def run(i):
        try:
            connection.ensure_connection()
            start.wait()
            return call(i)
        except RewardRefused as refused:
            return refused.code
        finally:
            connections.close_all()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


def redeem(member, reward, place, key, **facts):
    return redeem_reward(
        actor=None,
        now=NOW,
        membership_id=member.pk,
        reward_id=reward.pk,
        place=place,
        idempotency_key=key,
        **facts,
    )


def test_fifty_who_want_the_last_three_pieces_get_three(programme, reward, place):
    RewardStock.objects.create(reward=reward, total=3)
    members = make_members(programme, 10)

    outcomes = at_once(50, lambda i: redeem(members[i % 10], reward, place, f"k{i}"))

    assert sum(isinstance(outcome, Redemption) for outcome in outcomes) == 3
    assert outcomes.count("sold_out") == 47
    assert RewardStock.objects.get().taken == Redemption.objects.count() == 3
    assert Posting.objects.filter(kind="redeem").count() == 3
    assert sum(Account.objects.values_list("available", flat=True)) == 10 * 1000 - 300


def test_limits_are_never_exceeded_by_one(programme, reward, place):
    RewardLimit.objects.create(reward=reward, scope="property", period="day", maximum=7)
    RewardLimit.objects.create(reward=reward, scope="member", period="month", maximum=3)
    members = make_members(programme, 3)

    outcomes = at_once(30, lambda i: redeem(members[i % 3], reward, place, f"k{i}"))

    assert sum(isinstance(outcome, Redemption) for outcome in outcomes) == 7
    assert set(map(str, outcomes)) >= {"limit_property"}
    assert RewardUse.objects.get(scope="property").used == 7
    assert all(use.used <= 3 for use in RewardUse.objects.filter(scope="member"))
    assert Posting.objects.filter(kind="redeem").count() == 7


def test_two_desks_that_cancel_give_back_once(programme, reward, place):
    RewardStock.objects.create(reward=reward, total=3)
    (member,) = make_members(programme, 1)
    redemption = redeem(member, reward, place, "k", quantity=2)

    outcomes = at_once(
        2,
        lambda _i: cancel_redemption(actor=None, now=NOW, redemption_id=redemption.pk, reason="closed").status,
    )

    assert outcomes == ["canceled", "canceled"]
    assert RewardStock.objects.get().taken == 0
    assert Posting.objects.filter(kind="refund").count() == 1
    assert Account.objects.get().available == 1000


def test_one_key_sent_by_ten_is_one_redemption(programme, reward, place):
    RewardStock.objects.create(reward=reward, total=3)
    (member,) = make_members(programme, 1)

    outcomes = at_once(10, lambda _i: redeem(member, reward, place, "same").pk)

    assert len(set(outcomes)) == 1
    assert RewardStock.objects.get().taken == 1
