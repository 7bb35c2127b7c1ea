"""Real transactions and threads: limits of transfers to the point, and no deadlock when two give each other."""

import datetime as dt
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, connections

from loyalty.models import Account, TransferPolicy
from loyalty.services.transfers import TransferError, transfer_points
from tests.factories import NOW, make_member, make_programme

pytestmark = pytest.mark.django_db(transaction=True)


def at_once(count, call):
    """Results or codes of the refusals of `call(i)` from `count` threads that start together."""
    start = threading.Barrier(count)

    def run(i):
        try:
            connection.ensure_connection()
            start.wait()
            return call(i)
        except TransferError as refused:
            return refused.code
        finally:
            connections.close_all()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


def test_many_givers_at_once_never_pass_the_receivers_limit():
    programme = make_programme()
    TransferPolicy.objects.create(programme=programme, effective_from=dt.date(2020, 1, 1), year_limit_in=550)
    receiver = make_member(programme)
    givers = [make_member(programme, points=1_000) for _number in range(10)]

    results = at_once(
        10,
        lambda i: transfer_points(
            actor=None, now=NOW, giver_id=givers[i].pk, receiver_id=receiver.pk, points=100, idempotency_key=str(i)
        ),
    )

    assert results.count("transfer_limit_reached") == 5
    assert Account.objects.get(membership=receiver).available == 500


def test_two_who_give_each_other_do_not_block():
    programme = make_programme()
    TransferPolicy.objects.create(programme=programme, effective_from=dt.date(2020, 1, 1))
    pair = [make_member(programme, points=1_000) for _number in range(2)]

    results = at_once(
        12,
        lambda i: transfer_points(
            actor=None, now=NOW, giver_id=pair[i % 2].pk, receiver_id=pair[1 - i % 2].pk, points=100,
            idempotency_key=str(i),
        ).points,
    )  # fmt: skip

    assert results == [100] * 12
    assert [Account.objects.get(membership=member).available for member in pair] == [1_000, 1_000]
