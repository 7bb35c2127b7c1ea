"""Merges that meet: of A into B and B into A at the same moment, one happens."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.db import connection

from loyalty.selectors.verification import verify_ledger
from members.models import Guest, GuestMerge
from members.services.merges import MergeRefused, merge_guests, undo_merge
from tests.factories import NOW, make_member, make_programme

pytestmark = pytest.mark.django_db(transaction=True)


def together(*calls):
    """Run calls in threads of their own, begun at one moment; returns results and refusals in order."""
    barrier = Barrier(len(calls))

    def run(call):
        try:
            barrier.wait()
            return call()
        except MergeRefused as error:
            return error.code
        finally:
            connection.close()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def test_a_into_b_and_b_into_a_have_one_effect():
    programme = make_programme()
    first = make_member(programme, phone="13800000001", points=100)
    second = make_member(programme, phone="13800000002", points=20)

    def merge(kept, gone):
        return lambda: merge_guests(actor=None, now=NOW, survivor_id=kept.guest_id, merged_id=gone.guest_id)

    answers = together(merge(first, second), merge(second, first), merge(first, second), merge(second, first))

    assert GuestMerge.objects.count() == 1
    assert answers.count("merged_already") == 2
    assert Guest.objects.exclude(merged_into=None).count() == 1
    assert sorted(m.accounts.get().available for m in (first, second)) == [0, 120]
    assert [finding for finding in verify_ledger() if finding.differences] == []


def test_two_undo_one_merge_once():
    programme = make_programme()
    kept = make_member(programme, phone="13800000001", points=100)
    gone = make_member(programme, phone="13800000002", points=20)
    row = merge_guests(actor=None, now=NOW, survivor_id=kept.guest_id, merged_id=gone.guest_id)

    together(*[lambda: undo_merge(actor=None, now=NOW, merge_id=row.pk)] * 3)

    assert [m.accounts.get().available for m in (kept, gone)] == [100, 20]
    assert [finding for finding in verify_ledger() if finding.differences] == []
