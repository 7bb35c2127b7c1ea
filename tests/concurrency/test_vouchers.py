"""Real transactions and threads: what many may do to one voucher, one type and one batch at once."""

import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from django.db import close_old_connections, connection, connections, transaction

from loyalty.models import Voucher, VoucherBatch, VoucherEvent, VoucherType
from loyalty.services.ledger import RequestKey
from loyalty.services.vouchers import (
    VoucherRefused,
    cancel_batch,
    cancel_voucher,
    expire_vouchers,
    issue_voucher,
    order_batch,
    redeem_voucher,
    run_batch,
    transfer_voucher,
    undo_redemption,
)
from tests.factories import NOW, make_membership, make_programme, make_property, make_staff, make_voucher_type

pytestmark = pytest.mark.django_db(transaction=True)
PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture
def programme():
    return make_programme()


@pytest.fixture
def place():
    return make_property()


@pytest.fixture
def clerk(place):
    return make_staff(place=place)


def at_once(count, call):
    """Results or codes of the refusals of `call(i)` from `count` threads that start together."""
    start = threading.Barrier(count)

    def run(i):
        try:
            connection.ensure_connection()
            start.wait()
            return call(i)
        except VoucherRefused as refused:
            return refused.code
        finally:
            connections.close_all()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


def issue(voucher_type, membership=None, **facts):
    return issue_voucher(
        actor=None,
        now=NOW,
        type_id=voucher_type.pk,
        membership_id=membership.pk if membership else None,
        **facts,
    )


def redeem(voucher, place, clerk, key="", **facts):
    return redeem_voucher(
        actor=clerk,
        now=NOW,
        voucher_id=voucher.pk,
        place=place,
        request=RequestKey("test", key or str(uuid.uuid4())),
        **facts,
    )


def test_fifty_uses_of_one_voucher_give_one(programme, place, clerk):
    voucher = issue(make_voucher_type(programme))

    results = at_once(50, lambda i: redeem(voucher, place, clerk))

    assert sorted(str(result) for result in results if isinstance(result, str)) == ["redeemed_at"] * 49
    assert VoucherEvent.objects.filter(kind="redeemed").count() == 1
    assert Voucher.objects.get().redemption_id == next(r.redemption_id for r in results if not isinstance(r, str))


def test_ten_sendings_of_one_request_are_one_use(programme, place, clerk):
    voucher = issue(make_voucher_type(programme))

    results = at_once(10, lambda i: redeem(voucher, place, clerk, "k"))

    assert len({result.redemption_id for result in results}) == 1
    assert sorted(result.replayed for result in results) == [False] + [True] * 9
    assert VoucherEvent.objects.filter(kind="redeemed").count() == 1


def test_ten_sendings_of_one_issue_are_one_voucher(programme):
    voucher_type = make_voucher_type(programme, issue_limit=3)

    results = at_once(10, lambda i: issue(voucher_type, request=RequestKey("test", "k")))

    assert len({voucher.pk for voucher in results}) == 1
    assert Voucher.objects.count() == VoucherType.objects.get().issued_count == 1


def test_a_use_a_cancellation_a_transfer_and_the_expiry_race_and_one_wins(programme, place, clerk):
    member = make_membership(programme)
    voucher_type = make_voucher_type(programme, is_transferable=True)
    for _round in range(6):
        voucher = issue(voucher_type)
        attempts = [
            lambda v: redeem(v, place, clerk),
            lambda v: cancel_voucher(actor=clerk, now=NOW, voucher_id=v.pk, reason="x"),
            lambda v: expire_vouchers(now=NOW, as_of=NOW.date()),
            lambda v: transfer_voucher(actor=clerk, now=NOW, voucher_id=v.pk, to_membership_id=member.pk),
        ]
        at_once(12, lambda i, voucher=voucher, attempts=attempts: attempts[i % 4](voucher))
        closing = VoucherEvent.objects.filter(voucher=voucher, kind__in=["redeemed", "canceled", "expired"])
        assert closing.count() == 1
        assert Voucher.objects.get(pk=voucher.pk).state == closing.get().kind


def test_uses_and_undoings_in_turn_leave_state_and_history_in_step(programme, place, clerk):
    voucher = issue(make_voucher_type(programme))

    def use_and_undo(i):
        used = redeem(voucher, place, clerk)
        undo_redemption(actor=clerk, now=NOW, redemption_id=used.redemption_id, place=place)
        undo_redemption(actor=clerk, now=NOW, redemption_id=used.redemption_id, place=place)
        return "done"

    results = at_once(20, use_and_undo)

    uses = VoucherEvent.objects.filter(kind="redeemed").count()
    assert uses == VoucherEvent.objects.filter(kind="undone").count() == results.count("done") >= 1
    assert Voucher.objects.get().state == "issued"


def test_two_undoings_of_one_use_have_one_effect(programme, place, clerk):
    used = redeem(issue(make_voucher_type(programme)), place, clerk)

    at_once(10, lambda i: undo_redemption(actor=clerk, now=NOW, redemption_id=used.redemption_id, place=place))

    assert VoucherEvent.objects.filter(kind="undone").count() == 1


def test_two_vouchers_that_cannot_be_combined_do_not_meet_on_a_folio(programme, place, clerk):
    alone = make_voucher_type(programme, is_stackable=False)
    vouchers = [issue(alone) for _ in range(10)]

    results = at_once(10, lambda i: redeem(vouchers[i], place, clerk, reference="F1"))

    assert [result for result in results if isinstance(result, str)] == ["not_stackable"] * 9


def test_the_limit_of_a_type_is_never_exceeded(programme):
    voucher_type = make_voucher_type(programme, issue_limit=7)

    results = at_once(30, lambda i: issue(voucher_type))

    assert results.count("issue_limit") == 23
    assert Voucher.objects.count() == VoucherType.objects.get().issued_count == 7


def test_the_limit_of_a_member_is_never_exceeded(programme):
    voucher_type = make_voucher_type(programme, per_member_limit=2, is_transferable=True)
    member = make_membership(programme)
    others = [issue(voucher_type) for _ in range(5)]

    def give(i):
        if i % 2:
            return issue(voucher_type, member)
        return transfer_voucher(actor=None, now=NOW, voucher_id=others[i // 2].pk, to_membership_id=member.pk)

    results = at_once(10, give)

    assert results.count("member_limit") == 8
    assert Voucher.objects.filter(membership=member).count() == 2


def order(voucher_type, quantity):
    return order_batch(
        actor=None,
        now=NOW,
        type_id=voucher_type.pk,
        quantity=quantity,
        purpose="旅展",
        request_key=uuid.uuid4(),
    )


def test_workers_at_one_batch_issue_exactly_its_number(programme):
    batch = order(make_voucher_type(programme), 1000)

    issued = at_once(6, lambda i: run_batch(batch_id=batch.pk, now=NOW, chunk=70))

    assert sum(issued) == Voucher.objects.count() == 1000
    assert VoucherBatch.objects.get().status == "issued"


def test_a_batch_canceled_while_it_is_issued_leaves_no_open_voucher(programme):
    voucher_type = make_voucher_type(programme)
    batch = order(voucher_type, 2000)

    def act(i):
        if i:
            return run_batch(batch_id=batch.pk, now=NOW, chunk=50)
        time.sleep(0.05)
        return cancel_batch(actor=None, now=NOW, batch_id=batch.pk, reason="x")

    at_once(3, act)

    assert set(Voucher.objects.values_list("state", flat=True)) <= {"canceled"}
    assert VoucherType.objects.get().issued_count == Voucher.objects.count()


def test_a_worker_killed_in_mid_batch_is_replaced_and_the_number_is_exact(programme):
    batch = order(make_voucher_type(programme), 3000)
    code = (
        "import django; django.setup()\n"
        "from django.utils import timezone\n"
        "from loyalty.services.vouchers import run_batch\n"
        f"run_batch(batch_id={batch.pk}, now=timezone.now(), chunk=100)\n"
    )
    environment = {
        **os.environ,
        "DATABASE_URL": "postgres://{USER}:{PASSWORD}@{HOST}:{PORT}/{NAME}".format(**connection.settings_dict),
        "DJANGO_SETTINGS_MODULE": "config.settings.test",
    }
    process = subprocess.Popen([sys.executable, "-c", code], cwd=PROJECT, env=environment)
    deadline = time.monotonic() + 60
    # Once some chunks are in, a lock on the type's row stops the next one inside its transaction.
    while VoucherBatch.objects.get().issued_count < 300 and time.monotonic() < deadline:
        time.sleep(0.005)
    with transaction.atomic():
        VoucherBatch.objects.select_for_update().get(pk=batch.pk)
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    close_old_connections()
    issued = VoucherBatch.objects.get().issued_count
    assert 300 <= issued == Voucher.objects.count() < 3000, "the process was to be stopped in the middle"

    subprocess.run([sys.executable, "-c", code], cwd=PROJECT, env=environment, check=True)
    subprocess.run([sys.executable, "-c", code], cwd=PROJECT, env=environment, check=True)

    assert sorted(Voucher.objects.values_list("batch_number", flat=True)) == list(range(1, 3001))
    assert VoucherEvent.objects.filter(kind="issued").count() == 3000
    assert VoucherBatch.objects.get().status == "issued"
