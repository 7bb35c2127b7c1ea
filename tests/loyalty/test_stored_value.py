"""Stored value at the services: gifts, what pays first, refunds, undo, the statement, refusals."""

import datetime as dt

import pytest
from django.db import DatabaseError, connection, transaction
from django.utils import translation
from hypothesis import given, settings
from hypothesis import strategies as st

from loyalty.models import Account, Lot, Membership, Posting, StoredValueMovement, StoredValuePolicy, TopUpStep
from loyalty.rules.wallet import (
    GIFT_FIRST,
    GIFT_IN_PROPORTION,
    GIFT_WHOLLY,
    PRINCIPAL_FIRST,
    PROPORTIONAL,
    Parts,
    gift_for,
    gift_taken_back,
    split_payment,
)
from loyalty.selectors.postings import sentence_of
from loyalty.selectors.wallet import daily_statement, stored_value
from loyalty.services import wallet
from loyalty.services.ledger import IdempotencyConflict, MembershipInactive, expire_lots
from tests.factories import NOW, make_brand, make_member, make_programme, make_property

pytestmark = pytest.mark.django_db

TODAY = NOW.date()
DAY = dt.timedelta(days=1)


@pytest.fixture
def place():
    return make_property("SV")


@pytest.fixture
def policy(place):
    policy = StoredValuePolicy.objects.create(
        programme=make_programme("SV"), effective_from=dt.date(2020, 1, 1), gift_months=12
    )
    TopUpStep.objects.create(policy=policy, amount=100_000, gift=10_000)
    TopUpStep.objects.create(policy=policy, amount=500_000, gift=80_000)
    return policy


@pytest.fixture
def member(policy):
    return make_member(policy.programme)


@pytest.fixture
def store(member, place):
    """Top up for the member."""

    def store(amount=100_000, *, key="top-up", now=NOW, **fields):
        return wallet.top_up(
            **{
                "actor": None,
                "now": now,
                "membership_id": member.pk,
                "amount": amount,
                "currency": "CNY",
                "method": "cash",
                "reference": "R1",
                "place": place,
                "idempotency_key": key,
                **fields,
            }
        )

    return store


@pytest.fixture
def pay(member, place):
    """Pay for the member."""

    def pay(amount, *, key="pay", now=NOW, **fields):
        return wallet.pay_from_stored_value(
            **{
                "actor": None,
                "now": now,
                "membership_id": member.pk,
                "amount": amount,
                "currency": "CNY",
                "place": place,
                "idempotency_key": key,
                **fields,
            }
        )

    return pay


@pytest.fixture
def refund(place):
    """Pay a top-up back."""

    def refund(top_up, amount, *, key="refund", now=NOW, **fields):
        return wallet.refund_top_up(
            **{
                "actor": None,
                "now": now,
                "top_up_id": top_up.pk,
                "amount": amount,
                "method": "cash",
                "reason": "leaving town",
                "place": place,
                "idempotency_key": key,
                **fields,
            }
        )

    return refund


def balance(member, on_date=TODAY):
    member = Membership.objects.select_related("programme").get(pk=member.pk)
    return tuple(stored_value(membership=member, currency="CNY", on_date=on_date))


def nothing_moved():
    return not StoredValueMovement.objects.exists() and not Posting.objects.exists()


def check_now():
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")


def test_a_thousand_gets_a_hundred_kept_apart(store, member):
    movement = store(100_000)
    check_now()

    assert (movement.principal, movement.gift, balance(member)) == (100_000, 10_000, (100_000, 10_000))
    assert set(Lot.objects.values_list("lot_class", "remaining", "expires_on")) == {
        ("principal", 100_000, None),
        ("gift", 10_000, dt.date(2027, 6, 15)),
    }


def test_the_sentence_speaks_of_money_in_both_languages(store):
    store(123_450)
    posting = Posting.objects.select_related("account").get(account__unit="CNY")

    assert sentence_of(posting) == "在酒店SV充值¥1,234.50。"
    with translation.override("en"):
        assert sentence_of(posting) == "CNY 1,234.50 topped up at Hotel SV."


@pytest.mark.parametrize(
    ("order", "left"),
    [(GIFT_FIRST, (98_000, 0)), (PRINCIPAL_FIRST, (88_000, 10_000)), (PROPORTIONAL, (89_090, 8_910))],
)
def test_the_policy_says_what_pays_first(store, pay, policy, member, order, left):
    store()
    policy.spending_order = order
    policy.save()

    pay(12_000)

    assert balance(member) == left


def test_no_more_is_paid_than_there_is(store, pay, member):
    store()

    with pytest.raises(wallet.InsufficientStoredValue, match=r"需 ¥1,100\.01，可用 ¥1,100\.00。"):
        pay(110_001)

    assert balance(member) == (100_000, 10_000)


def test_a_lapsed_gift_does_not_pay_even_if_the_night_is_late(store, pay, member):
    store()
    later = NOW + dt.timedelta(days=400)

    with pytest.raises(wallet.InsufficientStoredValue):
        pay(105_000, now=later)
    pay(100_000, now=later)

    assert balance(member, later.date()) == (0, 0)


def test_a_retry_moves_nothing_again(store, pay, member):
    assert store().pk == store().pk
    assert pay(1_000).pk == pay(1_000).pk
    with pytest.raises(IdempotencyConflict):
        pay(1_001)

    assert balance(member) == (100_000, 9_000)


@pytest.mark.parametrize(("policy_choice", "left"), [(GIFT_IN_PROPORTION, 7_000), (GIFT_WHOLLY, 0)])
def test_a_refund_takes_the_gift_back_as_the_policy_says(store, refund, policy, member, policy_choice, left):
    policy.gift_refund = policy_choice
    policy.save()

    refund(store(), 30_000)
    check_now()

    assert balance(member) == (70_000, left)


def test_only_what_is_unspent_of_the_top_up_is_paid_back(store, pay, refund, member):
    first, _second = store(), store(50_000, key="second")
    pay(30_000)

    with pytest.raises(wallet.RefundTooLarge, match=r"¥800\.00"):
        refund(first, 80_001)
    refund(first, 80_000)

    assert balance(member) == (50_000, 0)
    assert not Account.objects.filter(debt__gt=0).exists()


def test_a_top_up_is_undone_on_its_day_and_only_whole(store, pay, member):
    movement = store()
    paid = pay(5_000)
    undo = {"actor": None, "reason": "wrong guest"}

    with pytest.raises(wallet.UndoRefused):
        wallet.undo_stored_value(now=NOW, movement_id=movement.pk, **undo)
    wallet.undo_stored_value(now=NOW, movement_id=paid.pk, **undo)
    assert balance(member) == (100_000, 10_000)
    with pytest.raises(wallet.UndoRefused):
        wallet.undo_stored_value(now=NOW + DAY, movement_id=movement.pk, **undo)
    wallet.undo_stored_value(now=NOW, movement_id=movement.pk, **undo)
    wallet.undo_stored_value(now=NOW, movement_id=movement.pk, **undo)
    check_now()

    assert balance(member) == (0, 0)


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"amount": 0}, wallet.AmountNotPositive),
        ({"amount": -100}, wallet.AmountNotPositive),
        ({"currency": "USD"}, wallet.CurrencyRefused),
        ({"method": "stored_value"}, wallet.MethodRefused),
        ({"now": NOW - dt.timedelta(days=4_000)}, wallet.TopUpsClosed),
    ],
)
def test_what_a_top_up_refuses_moves_nothing(store, fields, error):
    with pytest.raises(error):
        store(**fields)

    assert nothing_moved()


def test_a_suspended_member_neither_tops_up_nor_pays_but_is_paid_back(store, pay, refund, member):
    movement = store()
    Membership.objects.update(status=Membership.Status.SUSPENDED)

    with pytest.raises(MembershipInactive):
        store(key="again")
    with pytest.raises(MembershipInactive):
        pay(100)
    refund(movement, 100_000)

    assert balance(member) == (0, 0)


def test_a_refund_says_why_and_is_not_undone(store, refund):
    movement = store()

    with pytest.raises(wallet.ReasonRequired):
        refund(movement, 100, reason=" ")
    paid_back = refund(movement, 100)
    with pytest.raises(wallet.UndoRefused):
        wallet.undo_stored_value(actor=None, now=NOW, movement_id=paid_back.pk, reason="oops")
    with pytest.raises(wallet.NotATopUp):
        refund(paid_back, 100, key="refund of a refund")


def test_the_narrowest_policy_in_force_counts(policy, place):
    def of(on_date):
        return StoredValuePolicy.objects.in_force(programme_id=policy.programme_id, place=place, on_date=on_date)

    brand = StoredValuePolicy.objects.create(
        programme=policy.programme, brand=place.brand, effective_from=TODAY - 2 * DAY
    )
    own = StoredValuePolicy.objects.create(programme=policy.programme, property=place, effective_from=TODAY)
    StoredValuePolicy.objects.create(programme=policy.programme, brand=make_brand("ZZ"), effective_from=TODAY)

    assert [of(day) for day in (TODAY - 3 * DAY, TODAY - DAY, TODAY)] == [policy, brand, own]


def test_the_statement_ties_to_the_postings(store, pay, refund, member, place, policy):
    other = make_property("SW")
    first = store()
    second = store(key="second", now=NOW + DAY)
    pay(12_000, now=NOW + DAY, place=other)
    undone = pay(1_000, key="undone", now=NOW + DAY)
    wallet.undo_stored_value(actor=None, now=NOW + DAY, movement_id=undone.pk, reason="wrong bill")
    refund(second, 50_000, now=NOW + DAY)
    expire_lots(now=NOW + 400 * DAY, account_id=Account.objects.get(unit="CNY:gift").pk)

    def of(on_date, where=place):
        return daily_statement(programme_id=policy.programme_id, property_id=where.pk, currency="CNY", on_date=on_date)

    day = of(TODAY + DAY)
    assert vars_of(day.principal) == (100_000, 100_000, 0, -50_000, 0, 150_000)
    assert vars_of(day.gift) == (10_000, 10_000, -12_000, -5_000, 0, 3_000)
    assert day.total.closing == 153_000
    assert of((NOW + 400 * DAY).date()).gift.expired == -3_000
    assert of(TODAY + DAY, other).total.closing == 0
    assert first.pk != second.pk


def vars_of(column):
    return (column.opening, column.topped_up, column.spent, column.refunded, column.expired, column.closing)


def test_the_database_keeps_what_happened(store):
    movement = store()

    for change in (
        lambda: StoredValueMovement.objects.update(principal=1),
        lambda: StoredValueMovement.objects.filter(pk=movement.pk)._raw_delete("default"),
    ):
        with pytest.raises(DatabaseError), transaction.atomic():
            change()


# Rules


def test_a_gift_is_that_of_the_highest_step_once():
    steps = [(500_000, 80_000), (100_000, 10_000)]

    assert [gift_for(amount, steps) for amount in (99_999, 100_000, 499_999, 500_000, 9_000_000)] == [
        0,
        10_000,
        10_000,
        80_000,
        80_000,
    ]


@given(
    principal=st.integers(0, 10**9),
    gift=st.integers(0, 10**9),
    share=st.fractions(0, 1),
    order=st.sampled_from([PRINCIPAL_FIRST, GIFT_FIRST, PROPORTIONAL]),
)
def test_a_payment_never_overdraws_a_part(principal, gift, share, order):
    amount = int((principal + gift) * share)
    if not amount:
        return

    parts = split_payment(amount, Parts(principal, gift), order)

    assert parts.total == amount
    assert 0 <= parts.principal <= principal
    assert 0 <= parts.gift <= gift


@given(principal=st.integers(1, 10**6), gift=st.integers(0, 10**6), cuts=st.lists(st.integers(1, 10**6), max_size=5))
def test_refunds_in_parts_take_the_whole_gift_and_no_more(principal, gift, cuts):
    taken = paid = 0
    for cut in [*cuts, principal]:
        paid = min(paid + cut, principal)
        taken += gift_taken_back(
            refunded_to_date=paid,
            topped_up=Parts(principal, gift),
            taken_before=taken,
            left=gift - taken,
            policy=GIFT_IN_PROPORTION,
        )

    assert taken == gift


@settings(max_examples=12, deadline=None)
@given(steps=st.lists(st.tuples(st.sampled_from("tpru"), st.integers(1, 150_000)), min_size=1, max_size=6))
def test_random_histories_never_overdraw(steps):
    with transaction.atomic():
        _history(steps)
        transaction.set_rollback(True)


def _history(steps):
    place = make_property()
    policy = StoredValuePolicy.objects.create(programme=make_programme(), effective_from=dt.date(2020, 1, 1))
    TopUpStep.objects.create(policy=policy, amount=50_000, gift=5_001)
    member = make_member(policy.programme)
    common = {"actor": None, "now": NOW}
    expected = [0, 0]
    for number, (what, amount) in enumerate(steps):
        before = balance(member)
        try:
            if what == "t":
                moved = wallet.top_up(
                    **common, membership_id=member.pk, amount=amount, currency="CNY", method="card", place=place,
                    idempotency_key=str(number),
                )  # fmt: skip
                expected = [expected[0] + moved.principal, expected[1] + moved.gift]
            elif what == "p":
                moved = wallet.pay_from_stored_value(
                    **common, membership_id=member.pk, amount=amount, currency="CNY", place=place,
                    idempotency_key=str(number),
                )  # fmt: skip
                expected = [expected[0] - moved.principal, expected[1] - moved.gift]
            elif top_up := StoredValueMovement.objects.filter(kind="top_up", membership=member).first():
                if what == "r":
                    moved = wallet.refund_top_up(
                        **common, top_up_id=top_up.pk, amount=amount, method="card", reason="x", place=place,
                        idempotency_key=str(number),
                    )  # fmt: skip
                    expected = [expected[0] - moved.principal, expected[1] - moved.gift]
                else:
                    stood = top_up.undone_at is None
                    moved = wallet.undo_stored_value(**common, movement_id=top_up.pk, reason="x")
                    if stood:
                        expected = [expected[0] - moved.principal, expected[1] - moved.gift]
        except wallet.StoredValueError:
            assert balance(member) == before
        assert balance(member) == tuple(expected)
        assert min(expected) >= 0
    check_now()
