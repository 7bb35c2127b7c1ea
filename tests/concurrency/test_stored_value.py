"""Real transactions and threads: one balance and many who want it."""

import datetime as dt
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, connections

from bench.spending.races import race
from loyalty.models import Account, StoredValueMovement, StoredValuePolicy, TopUpStep
from loyalty.services import wallet
from tests.factories import NOW, make_member, make_programme, make_property

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def place():
    return make_property()


@pytest.fixture
def programme():
    policy = StoredValuePolicy.objects.create(
        programme=make_programme(), effective_from=dt.date(2020, 1, 1), gift_months=1
    )
    TopUpStep.objects.create(policy=policy, amount=500, gift=50)
    return policy.programme


@pytest.fixture
def store(programme, place):
    """A member with 10.00 and a gift of 0.50."""
    member = make_member(programme)
    return wallet.top_up(
        actor=None, now=NOW, membership_id=member.pk, amount=1_000, currency="CNY", method="cash", place=place,
        idempotency_key="first",
    )  # fmt: skip


def at_once(count, call):
    """Results or codes of the refusals of `call(i)` from `count` threads that start together."""
    start = threading.Barrier(count)

    def run(i):
        try:
            connection.ensure_connection()
            start.wait()
            return call(i)
        except wallet.StoredValueError as refused:
            return refused.code
        finally:
            connections.close_all()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


def test_twenty_payments_of_a_tenth_pass_ten_times(store, place):
    results = at_once(
        20,
        lambda i: wallet.pay_from_stored_value(
            actor=None, now=NOW, membership_id=store.membership_id, amount=105, currency="CNY", place=place,
            idempotency_key=str(i),
        ),
    )  # fmt: skip

    assert results.count("insufficient_stored_value") == 10
    assert list(Account.objects.exclude(unit="points").values_list("available", flat=True)) == [0, 0]


def test_one_key_ten_times_at_once_is_one_payment(store, place):
    results = at_once(
        10,
        lambda _i: wallet.pay_from_stored_value(
            actor=None, now=NOW, membership_id=store.membership_id, amount=100, currency="CNY", place=place,
            idempotency_key="same",
        ).pk,
    )  # fmt: skip

    assert len(set(results)) == 1
    assert StoredValueMovement.objects.filter(kind="payment").count() == 1


def test_ten_full_refunds_at_once_pay_once(store, place):
    results = at_once(
        10,
        lambda i: wallet.refund_top_up(
            actor=None, now=NOW, top_up_id=store.pk, amount=1_000, method="cash", reason="x", place=place,
            idempotency_key=str(i),
        ),
    )  # fmt: skip

    assert results.count("refund_too_large") == 9


def test_a_short_race_of_everything_against_expiry_adds_up(programme, place):
    members = [make_member(programme).pk for _number in range(2)]

    counts = race(membership_ids=members, place=place, now=NOW, seconds=2.5, workers=4)

    assert counts["pay"]
    assert counts["top_up"]
    assert not Account.objects.exclude(unit="points").filter(debt__gt=0).exists()
