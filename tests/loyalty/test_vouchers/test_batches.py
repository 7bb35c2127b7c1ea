"""Batches."""

import uuid

import pytest

from hotels.models import AuditEntry
from loyalty.models import Voucher, VoucherEvent, VoucherType
from loyalty.services.vouchers import (
    batches,
    cancel_batch,
    run_batch,
)
from tests.factories import (
    NOW,
    make_voucher_type,
)
from tests.loyalty.test_vouchers.acts import order, redeem, refusal

pytestmark = pytest.mark.django_db


def test_a_batch_issues_exactly_what_was_ordered(voucher_type):
    batch = order(voucher_type, 250)

    assert run_batch(batch_id=batch.pk, now=NOW, chunk=100) == 250
    assert run_batch(batch_id=batch.pk, now=NOW, chunk=100) == 0
    batch.refresh_from_db()
    assert (batch.status, batch.issued_count, batch.percent_done) == ("issued", 250, 100)
    rows = Voucher.objects.filter(batch=batch)
    assert sorted(rows.values_list("batch_number", flat=True)) == list(range(1, 251))
    assert len(set(rows.values_list("code", flat=True))) == 250
    assert VoucherEvent.objects.filter(kind="issued", voucher__batch=batch).count() == 250


def test_a_form_sent_twice_orders_once(voucher_type):
    key = uuid.uuid4()

    assert order(voucher_type, 10, request_key=key) == order(voucher_type, 10, request_key=key)
    assert VoucherType.objects.get().issued_count == 10
    assert refusal(order, voucher_type, 11, request_key=key) == "request_conflict"


@pytest.mark.parametrize("quantity", [0, -1, 1_000_001])
def test_a_batch_of_no_or_too_many_vouchers_is_refused(voucher_type, quantity):
    assert refusal(order, voucher_type, quantity) == "quantity"


def test_a_batch_takes_its_whole_quantity_off_the_limit(programme):
    voucher_type = make_voucher_type(programme, issue_limit=100)
    order(voucher_type, 60)

    assert refusal(order, voucher_type, 41) == "issue_limit"
    assert order(voucher_type, 40)


def test_a_canceled_batch_gives_back_what_it_did_not_issue_and_leaves_used_vouchers(programme, place, clerk):
    voucher_type = make_voucher_type(programme, issue_limit=10)
    batch = order(voucher_type, 10)
    run_batch_once(batch, 4)
    used = Voucher.objects.get(batch_number=1)
    redeem(used, place, clerk)

    assert refusal(cancel_batch, actor=None, now=NOW, batch_id=batch.pk, reason=" ") == "reason_required"
    cancel_batch(actor=clerk, now=NOW, batch_id=batch.pk, reason="印错")
    cancel_batch(actor=clerk, now=NOW, batch_id=batch.pk, reason="印错")

    assert run_batch(batch_id=batch.pk, now=NOW) == 0
    assert sorted(Voucher.objects.values_list("batch_number", "state")) == [
        (1, "redeemed"),
        (2, "canceled"),
        (3, "canceled"),
        (4, "canceled"),
    ]
    assert VoucherType.objects.get().issued_count == 4
    assert AuditEntry.objects.get(action="voucherbatch.canceled").after == {"canceled": 3, "not_issued": 6}


def run_batch_once(batch, chunk):
    assert batches._run_chunk(batch.pk, NOW, chunk) == chunk
