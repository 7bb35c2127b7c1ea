"""Real transactions and threads: what two callers at once may do to one account."""

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path

import pytest
from django.db import close_old_connections, connection, connections, transaction

from loyalty.models import Account, Lot, Posting
from loyalty.selectors.verification import verify_ledger
from loyalty.services import ledger
from loyalty.services.ledger import (
    AlreadyPosted,
    ExcessiveReversal,
    IdempotencyConflict,
    InsufficientPoints,
    LedgerError,
    Movement,
    RequestKey,
    SourceLine,
    Verb,
)
from tests.factories import NOW, make_guest, make_membership, make_programme

pytestmark = pytest.mark.django_db(transaction=True)
PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture
def account() -> int:
    membership = make_membership(make_programme())
    return ledger.open_account(membership_id=membership.pk)


@pytest.fixture(autouse=True)
def _adds_up():
    yield
    assert [finding for finding in verify_ledger() if finding.differences] == []


def at_once(count, call):
    """Results or refusals of `call(i)` from `count` threads that start together."""
    start = threading.Barrier(count)

    def run(i):
        try:
            connection.ensure_connection()
            start.wait()
            return call(i)
        except LedgerError as error:
            return error
        finally:
            connections.close_all()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


def kinds(results):
    return sorted(type(result).__name__ for result in results)


def test_twenty_redemptions_of_100_from_500_give_exactly_five(account):
    ledger.earn_points(actor=None, now=NOW, account_id=account, points=500)

    results = at_once(20, lambda _: ledger.redeem_points(actor=None, now=NOW, account_id=account, points=100))

    assert kinds(results) == ["InsufficientPoints"] * 15 + ["PostingResult"] * 5
    assert all(r.available == 0 for r in results if isinstance(r, InsufficientPoints))
    assert Account.objects.get(pk=account).available == 0
    assert Posting.objects.filter(account=account, kind="redeem").count() == 5


def test_twenty_redemptions_inside_callers_transactions_give_exactly_five(account):
    ledger.earn_points(actor=None, now=NOW, account_id=account, points=500)

    def redeem(_):
        with transaction.atomic():
            return ledger.redeem_points(actor=None, now=NOW, account_id=account, points=100)

    assert kinds(at_once(20, redeem)) == ["InsufficientPoints"] * 15 + ["PostingResult"] * 5


def test_ten_retries_of_one_key_have_one_effect(account):
    request = RequestKey("app", "k-1")

    results = at_once(
        10, lambda _: ledger.earn_points(actor=None, now=NOW, account_id=account, points=70, request=request)
    )

    assert len({result.posting_id for result in results}) == 1
    assert sorted(result.replayed for result in results) == [False] + [True] * 9
    assert Account.objects.get(pk=account).available == 70


def test_one_key_for_two_accounts_at_once_has_one_effect(account):
    other = ledger.open_account(
        membership_id=make_membership(Account.objects.get(pk=account).programme, make_guest()).pk
    )
    request = RequestKey("app", "k-1")

    results = at_once(
        10,
        lambda i: ledger.earn_points(
            actor=None, now=NOW, account_id=[account, other][i % 2], points=70, request=request
        ),
    )

    assert kinds(results) == ["IdempotencyConflict"] * 5 + ["PostingResult"] * 5
    assert Posting.objects.count() == 1


def test_the_same_folio_with_new_keys_is_credited_once(account):
    results = at_once(
        10,
        lambda i: ledger.earn_points(
            actor=None,
            now=NOW,
            account_id=account,
            points=70,
            source=SourceLine("pms", "F-1"),
            request=RequestKey("app", str(i)),
        ),
    )

    assert kinds(results) == ["AlreadyPosted"] * 9 + ["PostingResult"]
    assert Account.objects.get(pk=account).available == 70


def test_a_stay_line_claimed_by_two_members_goes_to_one(account):
    other = ledger.open_account(
        membership_id=make_membership(Account.objects.get(pk=account).programme, make_guest()).pk
    )

    def claim(i):
        with transaction.atomic():
            return ledger.earn_points(
                actor=None, now=NOW, account_id=[account, other][i % 2], points=70, source=SourceLine("pms", "F-1")
            )

    assert kinds(at_once(8, claim)) == ["AlreadyPosted"] * 7 + ["PostingResult"]
    assert Posting.objects.count() == 1


def test_of_two_refunds_of_sixty_percent_one_is_refused(account):
    earned = ledger.earn_points(actor=None, now=NOW, account_id=account, points=100)

    results = at_once(2, lambda _: ledger.reverse_posting(actor=None, now=NOW, posting_id=earned.posting_id, points=60))

    assert kinds(results) == [ExcessiveReversal.__name__, "PostingResult"]
    assert Account.objects.get(pk=account).available == 40


def test_one_refund_to_date_sent_twice_takes_back_once(account):
    earned = ledger.earn_points(actor=None, now=NOW, account_id=account, points=100)

    results = at_once(
        4,
        lambda _: ledger.refund_earning(
            actor=None, now=NOW, posting_id=earned.posting_id, refunded_to_date=Decimal(60), base=Decimal(100)
        ),
    )

    assert kinds(results) == ["AlreadyReversed"] * 3 + ["PostingResult"]
    assert Account.objects.get(pk=account).available == 40


def test_batches_over_the_same_members_in_any_order_do_not_deadlock():
    programme = make_programme()
    accounts = [ledger.open_account(membership_id=make_membership(programme, make_guest()).pk) for _ in range(40)]

    def earn(i):
        order = accounts if i % 2 else accounts[::-1]
        for _ in range(5):
            ledger.post_movements([Movement(verb=Verb.EARN, now=NOW, account_id=pk, points=1) for pk in order])
        return i

    assert at_once(6, earn) == list(range(6))
    assert set(Account.objects.values_list("available", flat=True)) == {30}


def test_writers_without_the_lock_cannot_both_use_a_number(account):
    ledger.earn_points(actor=None, now=NOW, account_id=account, points=10)
    head = Posting.objects.get(account=account)
    with connection.cursor() as cursor, pytest.raises(Exception, match=r"loyalty_posting_seq_unique|ledger:"):
        cursor.execute(
            "INSERT INTO loyalty_posting SELECT (jsonb_populate_record(p, jsonb_build_object('id', p.id + 1000))).*"
            " FROM loyalty_posting p WHERE p.id = %s",
            [head.pk],
        )


def test_a_refusal_leaves_the_callers_transaction_usable(account):
    with transaction.atomic():
        with pytest.raises(InsufficientPoints):
            ledger.redeem_points(actor=None, now=NOW, account_id=account, points=1)
        ledger.earn_points(actor=None, now=NOW, account_id=account, points=5)
        once = {"actor": None, "now": NOW, "account_id": account, "points": 1}
        ledger.earn_points(**once, request=RequestKey("a", "b"), source=SourceLine("a", "b"))
        with pytest.raises(IdempotencyConflict):
            ledger.earn_points(**{**once, "points": 2}, request=RequestKey("a", "b"))
        with pytest.raises(AlreadyPosted):
            ledger.earn_points(**once, source=SourceLine("a", "b"))
    assert Account.objects.get(pk=account).available == 6


def test_expiry_killed_in_mid_batch_and_run_again_loses_and_doubles_nothing(tmp_path):
    programme = make_programme(time_zone="Asia/Shanghai")
    accounts = list(
        ledger.open_accounts(membership_ids=[make_membership(programme, make_guest()).pk for _ in range(300)]).values()
    )
    ledger.post_movements(
        [
            Movement(verb=Verb.EARN, now=NOW, account_id=pk, points=points, expires_on=expires)
            for pk in accounts
            for points, expires in ((10, NOW.date()), (20, None))
        ]
    )
    command = [sys.executable, "manage.py", "expire_points", "--batch-size", "20"]
    environment = {
        **os.environ,
        "DATABASE_URL": "postgres://{USER}:{PASSWORD}@{HOST}:{PORT}/{NAME}".format(**connection.settings_dict),
        "DJANGO_SETTINGS_MODULE": "config.settings.test",
    }
    # The lock lets the first batches through and stops the process inside one.
    stopped = accounts[130]
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT FROM loyalty_lot WHERE account_id = %s FOR UPDATE", [stopped])
        process = subprocess.Popen(command, cwd=PROJECT, env=environment)
        deadline = time.monotonic() + 60
        waiting = (
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        with connection.cursor() as cursor:
            while time.monotonic() < deadline:
                # Within a transaction the view stands still otherwise.
                cursor.execute("SELECT pg_stat_clear_snapshot()")
                cursor.execute(waiting)
                if cursor.fetchone() != (0,):
                    break
                time.sleep(0.05)
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    close_old_connections()
    done = Posting.objects.filter(kind="expire").count()
    assert 0 < done < 300, "the process was to be stopped in the middle"

    subprocess.run(command, cwd=PROJECT, env=environment, check=True)
    subprocess.run(command, cwd=PROJECT, env=environment, check=True)

    assert Posting.objects.filter(kind="expire").count() == 300
    assert set(Account.objects.values_list("available", flat=True)) == {20}
    assert Lot.objects.filter(state="expired").count() == 300
