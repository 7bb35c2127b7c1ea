"""The ledger against a second one in Python, after every step of random lives of an account.

GUIKE_LEDGER_OPERATIONS sets how many steps are taken in all (20,000 for the record, fewer by default).
"""

import datetime as dt
import os
from decimal import Decimal

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from loyalty.models import Account, Hold, Lot, Posting, Programme
from loyalty.selectors.verification import verify_ledger
from loyalty.services import ledger
from loyalty.services.ledger import LedgerError, Movement, RequestKey, Verb
from tests.factories import make_guest, make_membership, make_programme
from tests.loyalty.ledger_book import Book, Refused

OPERATIONS = int(os.environ.get("GUIKE_LEDGER_OPERATIONS", "600"))
STEPS = 50
START = dt.datetime(2026, 6, 15, 4, 0, tzinfo=dt.UTC)

amounts = st.integers(1, 200)
positions = st.integers(0, 10_000)
lives = st.one_of(st.none(), st.integers(-2, 40))


class LedgerLife(RuleBasedStateMachine):
    """One account: whatever is asked, the ledger and the book answer alike."""

    counter = 0
    operations = 0

    @initialize(
        shortfall=st.sampled_from(Programme.ShortfallPolicy.values),
        lapsed=st.sampled_from(Programme.LapsedReturnPolicy.values),
        grace=st.integers(0, 20),
    )
    def open_account(self, shortfall, lapsed, grace):
        programme = Programme.objects.filter(code__startswith="BOOK").first() or make_programme("BOOK")
        Programme.objects.filter(pk=programme.pk).update(
            shortfall_policy=shortfall, lapsed_return_policy=lapsed, lapsed_return_grace_days=grace
        )
        self.membership = make_membership(programme, make_guest())
        self.account = ledger.open_account(membership_id=self.membership.pk)
        self.book = Book(shortfall, lapsed, grace)
        self.now = START
        self.last = None

    @property
    def today(self):
        return (self.now + dt.timedelta(hours=8)).date()

    def both(self, real, booked, *, keyed=True):
        """Ask both; a refusal must have the same code, and a retry the same result."""
        LedgerLife.operations += 1
        LedgerLife.counter += 1
        request = RequestKey("book", str(LedgerLife.counter)) if keyed else None
        try:
            booked()
            expected = None
        except Refused as refusal:
            expected = refusal.code
        try:
            result = real(request)
            code = None
        except LedgerError as error:
            code = error.code
        assert code == expected
        if code is None and keyed:
            self.last = (real, request, result)

    def posting(self, position):
        ids = list(Posting.objects.filter(account=self.account).order_by("seq").values_list("pk", flat=True))
        return ids[position % len(ids)], position % len(ids)

    @rule(
        points=amounts,
        life=lives,
        wait=st.one_of(st.none(), st.integers(1, 10)),
        kind=st.sampled_from(["earn", "bonus"]),
    )
    def earn(self, points, life, wait, kind):
        expires = None if life is None else self.today + dt.timedelta(days=life)
        pending = None if wait is None else self.today + dt.timedelta(days=wait)
        self.both(
            lambda key: ledger.earn_points(
                actor=None,
                now=self.now,
                membership_id=self.membership.pk,
                points=points,
                kind=kind,
                expires_on=expires,
                pending_until=pending,
                request=key,
            ),
            lambda: self.book.earn(points, expires_on=expires, pending_until=pending, kind=kind),
        )

    @rule(points=amounts)
    def redeem(self, points):
        self.both(
            lambda key: ledger.redeem_points(
                actor=None, now=self.now, account_id=self.account, points=points, request=key
            ),
            lambda: self.book.spend(points, today=self.today),
        )

    @rule(points=amounts, sign=st.sampled_from([1, -1]), life=lives)
    def adjust(self, points, sign, life):
        expires = None if life is None else self.today + dt.timedelta(days=life)
        self.both(
            lambda key: ledger.adjust_points(
                actor=None,
                now=self.now,
                account_id=self.account,
                points=sign * points,
                expires_on=expires,
                reason="x",
                request=key,
            ),
            lambda: (
                self.book.earn(points, expires_on=expires, kind="adjust")
                if sign > 0
                else self.book.spend(points, today=self.today, kind="adjust")
            ),
        )

    @precondition(lambda self: self.book.entries)
    @rule(position=positions)
    def release_one(self, position):
        posting, number = self.posting(position)
        self.both(
            lambda key: ledger.release_pending(actor=None, now=self.now, posting_id=posting, request=key),
            lambda: self.book.release_one(number),
        )

    @rule(days=st.integers(0, 15))
    def night(self, days):
        """Days pass; the jobs release and expire, or come late."""
        self.now += dt.timedelta(days=days)
        if days % 3:
            release = Movement(verb=Verb.RELEASE, now=self.now, account_id=self.account)
            self.both(
                lambda key: ledger.post_movements([release]), lambda: self.book.release_due(self.today), keyed=False
            )
            self.both(
                lambda key: ledger.expire_lots(now=self.now, account_id=self.account),
                lambda: self.book.expire(self.today),
                keyed=False,
            )

    @precondition(lambda self: self.book.entries)
    @rule(position=positions, points=st.one_of(st.none(), amounts))
    def reverse(self, position, points):
        posting, number = self.posting(position)
        self.book.lapse(self.today)
        self.both(
            lambda key: ledger.reverse_posting(
                actor=None, now=self.now, posting_id=posting, points=points, request=key
            ),
            lambda: self.book.reverse(number, today=self.today, points=points),
        )

    @precondition(lambda self: self.book.entries)
    @rule(position=positions, refunded=st.integers(0, 300), base=st.integers(300, 400))
    def refund(self, position, refunded, base):
        posting, number = self.posting(position)
        self.book.lapse(self.today)
        share = (Decimal(refunded) / 4, Decimal(base) / 4)
        self.both(
            lambda key: ledger.refund_earning(
                actor=None, now=self.now, posting_id=posting, refunded_to_date=share[0], base=share[1], request=key
            ),
            lambda: self.book.reverse(number, today=self.today, share=share),
        )

    @rule(points=amounts, hours=st.integers(1, 100))
    def hold(self, points, hours):
        until = self.now + dt.timedelta(hours=hours)
        self.both(
            lambda key: ledger.place_hold(
                actor=None, now=self.now, account_id=self.account, points=points, hold_until=until, request=key
            ),
            lambda: self.book.spend(points, today=self.today, kind="hold", until=until),
        )

    @precondition(lambda self: self.book.holds)
    @rule(position=positions, captured=st.one_of(st.none(), amounts))
    def close_hold(self, position, captured):
        number = position % len(self.book.holds)
        hold = list(Hold.objects.filter(account=self.account).order_by("id"))[number]
        self.book.lapse(self.today)
        self.both(
            lambda key: (
                ledger.void_hold(actor=None, now=self.now, hold_id=hold.pk, request=key)
                if captured is None
                else ledger.capture_hold(actor=None, now=self.now, hold_id=hold.pk, points=captured, request=key)
            ),
            lambda: self.book.close_hold(number, now=self.now, today=self.today, captured=captured),
        )

    @rule(parts=st.lists(st.tuples(st.booleans(), amounts), min_size=2, max_size=6))
    def several_at_once(self, parts):
        """Movements of one account in one call are carried out one after the other."""
        movements = [
            Movement(
                verb=Verb.EARN if earns else Verb.REDEEM,
                now=self.now,
                account_id=self.account,
                points=points,
                expires_on=None,
            )
            for earns, points in parts
        ]
        LedgerLife.operations += len(parts)
        results = ledger.post_movements(movements, strict=False)
        for (earns, points), result in zip(parts, results, strict=True):
            try:
                if earns:
                    self.book.earn(points, expires_on=None)
                else:
                    self.book.spend(points, today=self.today)
                expected = None
            except Refused as refusal:
                expected = refusal.code
            assert (result.error and result.error.code) == expected

    @precondition(lambda self: self.last)
    @rule()
    def retry(self):
        real, request, result = self.last
        again = real(request)
        assert again.replayed
        assert (again.posting_id, again.points, again.available) == (result.posting_id, result.points, result.available)

    @invariant()
    def alike(self):
        if not hasattr(self, "book"):
            return
        account = Account.objects.get(pk=self.account)
        assert (account.available, account.pending, account.held, account.debt) == self.book.balances
        lots = Lot.objects.filter(account=self.account).order_by("id")
        assert list(lots.values_list("original", "remaining", "state", "expires_on")) == [
            (lot.original, lot.remaining, lot.state, lot.expires_on) for lot in self.book.lots
        ]
        postings = Posting.objects.filter(account=self.account).order_by("seq")
        assert list(postings.values_list("kind", "points")) == [
            (entry.kind, entry.points) for entry in self.book.entries
        ]
        holds = Hold.objects.filter(account=self.account).order_by("id")
        assert list(holds.values_list("points", "state")) == [(hold.points, hold.state) for hold in self.book.holds]


@pytest.mark.django_db
def test_ledger_and_book_agree_after_every_step():
    LedgerLife.operations = 0
    run_state_machine_as_test(
        LedgerLife,
        settings=settings(
            max_examples=max(OPERATIONS // STEPS, 1) * 3 // 2,
            stateful_step_count=STEPS,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    differences = {finding.check: finding.samples for finding in verify_ledger() if finding.differences}
    print(f"{LedgerLife.operations} operations, {Posting.objects.count()} postings, differences: {differences}")  # noqa: T201 – the record of a long run
    assert differences == {}
    assert LedgerLife.operations >= OPERATIONS * 9 // 10
