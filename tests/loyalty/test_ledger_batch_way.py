"""The batch way of the jobs through the ledger writes what the general way writes."""

import datetime as dt

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loyalty.models import Account, Lot, LotMove, Posting
from loyalty.services import jobs, ledger
from loyalty.services.ledger import Movement, Verb
from tests.factories import NOW, make_guest, make_membership, make_programme

pytestmark = pytest.mark.django_db
DAY = NOW.date()
LATER = NOW + dt.timedelta(days=20)

LOTS = st.lists(
    st.tuples(
        st.integers(1, 50),
        # Days until the release (0 opens at once) and until the expiry (None never).
        st.integers(0, 30),
        st.none() | st.integers(0, 30),
    ),
    min_size=1,
    max_size=4,
)


def make_life(programme, lots, debt):
    """An account with these lots, and a debt of so many points."""
    account = ledger.open_account(membership_id=make_membership(programme, make_guest()).pk)
    if debt:
        earned = ledger.earn_points(
            actor=None, now=NOW, account_id=account, points=debt, expires_on=None, pending_until=None
        )
        ledger.redeem_points(actor=None, now=NOW, account_id=account, points=debt)
        ledger.reverse_posting(actor=None, now=NOW, posting_id=earned.posting_id)
    for points, pending, expires in lots:
        ledger.earn_points(
            actor=None,
            now=NOW,
            account_id=account,
            points=points,
            pending_until=DAY + dt.timedelta(days=pending) if pending else None,
            expires_on=DAY + dt.timedelta(days=expires) if expires is not None else None,
        )
    return account


def told(account):
    """All that was written of an account, without ids and hashes."""
    lots = list(Lot.objects.filter(account=account).order_by("id"))
    number = {lot.pk: n for n, lot in enumerate(lots)}
    postings = list(Posting.objects.filter(account=account).order_by("seq"))
    return (
        Account.objects.filter(pk=account).values_list("available", "pending", "held", "debt", "last_seq").get(),
        [(lot.original, lot.remaining, lot.state, lot.release_on, lot.expires_on) for lot in lots],
        [
            {
                f.attname: getattr(p, f.attname)
                for f in Posting._meta.concrete_fields
                if f.attname not in {"id", "account_id", "hash", "previous_hash", "reverses_id"}
            }
            for p in postings
        ],
        [
            sorted(
                (number[m.lot_id], m.pending_delta, m.open_delta) for m in LotMove.objects.filter(posting_id=posting.pk)
            )
            for posting in postings
        ],
    )


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lives=st.lists(st.tuples(LOTS, st.sampled_from([0, 0, 7, 60])), min_size=1, max_size=3))
def test_release_and_expiry_in_a_batch_are_those_of_the_general_way(db, lives):
    programme = make_programme(expiry_months=None)
    by_batch = [make_life(programme, *life) for life in lives]
    one_by_one = [make_life(programme, *life) for life in lives]
    for verb in (Verb.RELEASE, Verb.EXPIRE):
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT done, points, skipped, busy, inactive FROM loyalty_post_due(%s, %s, %s, %s)",
                [verb.value, by_batch, LATER, LATER.date()],
            )
            done, points, skipped, busy, inactive = cursor.fetchone()
        results = ledger.post_movements(
            [Movement(verb=verb, now=LATER, account_id=pk, business_date=LATER.date()) for pk in one_by_one],
            strict=False,
        )
        posted = [result for result in results if result.error is None]
        assert (done, points) == (len(posted), sum(abs(result.points) for result in posted))
        assert (skipped, busy, inactive) == (len(lives) - len(posted), 0, 0)
        assert [told(pk) for pk in by_batch] == [told(pk) for pk in one_by_one]


def test_a_batch_costs_no_more_for_the_accounts_beside_it():
    """Rows read do not grow with what is due beyond the batch."""
    programme = make_programme()
    accounts = sorted(
        ledger.open_accounts(membership_ids=[make_membership(programme, make_guest()).pk for _ in range(300)]).values()
    )
    ledger.post_movements(
        [Movement(verb=Verb.EARN, now=NOW, account_id=pk, points=5, pending_until=DAY) for pk in accounts]
    )
    read = "SELECT sum(seq_tup_read) + sum(idx_tup_fetch) FROM pg_stat_xact_user_tables WHERE relname LIKE 'loyalty_%'"
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE loyalty_lot, loyalty_account, loyalty_posting")
        cursor.execute(read)
        before = cursor.fetchone()[0]
        cursor.execute("SELECT done FROM loyalty_post_due('release', %s, %s, %s)", [accounts[140:160], NOW, DAY])
        assert cursor.fetchone() == (20,)
        cursor.execute(read)
        assert (cursor.fetchone()[0] - before) / 20 < 40


def test_an_empty_batch_and_unknown_accounts_are_nothing():
    with connection.cursor() as cursor:
        for ids in ([], [999_999_999]):
            cursor.execute(
                "SELECT done, points, skipped, busy FROM loyalty_post_due('expire', %s, %s, %s)", [ids, NOW, DAY]
            )
            assert cursor.fetchone() == (0, 0, 0, len(ids))
    assert jobs.expire_lapsed_points(now=NOW) == jobs.JobReport()
