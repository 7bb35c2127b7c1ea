"""Points from one member to another: limits, what the points keep, undo, refusals."""

import datetime as dt

import pytest
from django.db import DatabaseError, connection, transaction
from django.utils import translation
from hypothesis import given, settings
from hypothesis import strategies as st

from loyalty.models import Account, Lot, Membership, PointsTransfer, Posting, TransferPolicy
from loyalty.selectors.postings import sentence_of
from loyalty.services import transfers
from loyalty.services.ledger import (
    IdempotencyConflict,
    InsufficientPoints,
    MembershipInactive,
    earn_points,
    redeem_points,
)
from tests.factories import NOW, make_member, make_membership, make_programme, make_property

pytestmark = pytest.mark.django_db

TODAY = NOW.date()
NEXT_MONTH = TODAY + dt.timedelta(days=30)


def earn(member, points, *, expires_on=None, place=None, lot_class="earned"):
    earn_points(
        actor=None,
        now=NOW,
        points=points,
        membership_id=member.pk,
        lot_class=lot_class,
        pending_until=None,
        expires_on=expires_on,
        property_id=place.pk if place else None,
    )


def available(member):
    return sum(Account.objects.filter(membership=member).values_list("available", flat=True))


def lots_of(member):
    return list(
        Lot.objects.filter(account__membership=member, state="open")
        .order_by("expires_on", "pk")
        .values_list("remaining", "expires_on", "funding_property", "lot_class")
    )


@pytest.fixture
def place():
    return make_property()


@pytest.fixture
def policy():
    return TransferPolicy.objects.create(
        programme=make_programme(), effective_from=dt.date(2020, 1, 1), min_points=100, max_points=5_000
    )


@pytest.fixture
def giver(policy, place):
    member = make_member(policy.programme)
    earn(member, 1_000, expires_on=NEXT_MONTH, place=place)
    earn(member, 2_000, lot_class="bonus")
    return member


@pytest.fixture
def receiver(policy):
    return make_member(policy.programme, name="林芳")


@pytest.fixture
def give(giver, receiver):
    """Pass points from the giver."""

    def give(points, *, key="transfer", now=NOW, **fields):
        return transfers.transfer_points(
            **{
                "actor": None,
                "now": now,
                "giver_id": giver.pk,
                "receiver_id": receiver.pk,
                "points": points,
                "idempotency_key": key,
                **fields,
            }
        )

    return give


def check_now():
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")


def test_points_keep_their_last_day_their_class_and_who_funds_them(give, giver, receiver, place):
    give(1_500)
    check_now()

    assert lots_of(giver) == [(1_500, None, None, "bonus")]
    assert lots_of(receiver) == [(1_000, NEXT_MONTH, place.pk, "earned"), (500, None, None, "bonus")]


def test_the_fee_is_the_givers_and_counts(give, policy, giver, receiver):
    policy.fee_points = 50
    policy.save()

    give(2_900)
    with pytest.raises(InsufficientPoints):
        give(100, key="again")

    assert (available(giver), available(receiver)) == (50, 2_900)


def test_both_sides_say_what_happened(give, giver, receiver):
    made = give(100)
    out, into = Posting.objects.filter(source_reference=str(made.public_id)).order_by("pk")

    assert sentence_of(out) == f"转赠 100 积分给会员 •••• {receiver.number[-4:]}。"
    with translation.override("en"):
        assert sentence_of(into) == f"100 points received from member •••• {giver.number[-4:]}."


def test_undoing_restores_both_sides(give, giver, receiver):
    before = lots_of(giver)
    made = give(1_500)

    for _time in range(2):
        transfers.undo_transfer(actor=None, now=NOW, transfer_id=made.pk, reason="wrong member")
    check_now()

    assert (lots_of(giver), lots_of(receiver)) == (before, [])


def test_what_is_used_or_of_yesterday_is_not_undone(give, receiver):
    made = give(1_500)
    with pytest.raises(transfers.TransferUndoRefused):
        transfers.undo_transfer(actor=None, now=NOW + dt.timedelta(days=1), transfer_id=made.pk, reason="x")
    redeem_points(actor=None, now=NOW, points=1, membership_id=receiver.pk)

    with pytest.raises(transfers.TransferUndoRefused):
        transfers.undo_transfer(actor=None, now=NOW, transfer_id=made.pk, reason="x")


def test_a_retry_passes_nothing_again(give, giver):
    assert give(100).pk == give(100).pk
    with pytest.raises(IdempotencyConflict):
        give(101)

    assert available(giver) == 2_900


@pytest.mark.parametrize(("points", "error"), [
    (0, transfers.TransferOutOfRange),
    (-100, transfers.TransferOutOfRange),
    (99, transfers.TransferOutOfRange),
    (5_001, transfers.TransferOutOfRange),
    (3_001, InsufficientPoints),
])  # fmt: skip
def test_points_out_of_range_stay(give, giver, receiver, points, error):
    with pytest.raises(error):
        give(points)

    assert (available(giver), available(receiver)) == (3_000, 0)


def test_nobody_passes_to_themselves_to_strangers_or_while_suspended(give, policy, giver, receiver):
    with pytest.raises(transfers.TransferToSelf):
        give(100, receiver_id=giver.pk)
    with pytest.raises(transfers.TransferToSelf):
        give(100, receiver_id=make_membership(make_programme(), giver.guest).pk)
    with pytest.raises(transfers.TransferOtherProgramme):
        give(100, receiver_id=make_member(make_programme(number_prefix="ZZ")).pk)
    with pytest.raises(transfers.TransferClosed):
        give(100, now=NOW - dt.timedelta(days=4_000))
    Membership.objects.filter(pk=receiver.pk).update(status="suspended")
    with pytest.raises(MembershipInactive):
        give(100)

    assert available(giver) == 3_000


def test_the_limits_of_a_year_are_exact_and_undone_ones_do_not_count(give, policy, giver, receiver):
    policy.year_limit_out, policy.year_limit_in = 1_000, 700
    policy.save()
    other = make_member(policy.programme)

    made = give(700)
    with pytest.raises(transfers.TransferLimitReached) as refused:
        give(100, key="receiver is full")
    assert (refused.value.side, refused.value.left) == ("receiver", 0)
    with pytest.raises(transfers.TransferLimitReached) as refused:
        give(301, key="giver is full", receiver_id=other.pk)
    assert (refused.value.side, refused.value.left) == ("giver", 300)
    transfers.undo_transfer(actor=None, now=NOW, transfer_id=made.pk, reason="x")
    give(700, key="after undoing")
    give(300, key="the rest", receiver_id=other.pk)

    assert available(giver) == 2_000


def test_the_database_refuses_self_and_rewriting(give, giver):
    made = give(100)

    for change in (
        lambda: PointsTransfer.objects.filter(pk=made.pk).update(points=1),
        lambda: PointsTransfer.objects.filter(pk=made.pk)._raw_delete("default"),
        lambda: PointsTransfer.objects.create(
            giver=giver, receiver=giver, policy=made.policy, points=1, fee_points=0, made_on=TODAY, made_at=NOW
        ),
    ):
        with pytest.raises(DatabaseError), transaction.atomic():
            change()


@settings(max_examples=12, deadline=None)
@given(
    lots=st.lists(st.tuples(st.integers(1, 2_000), st.sampled_from([None, NEXT_MONTH, TODAY])), min_size=1, max_size=4),
    share=st.fractions(0, 1),
    fee=st.integers(0, 300),
)
def test_every_undo_restores(lots, share, fee):
    with transaction.atomic():
        programme = make_programme()
        TransferPolicy.objects.create(programme=programme, effective_from=dt.date(2020, 1, 1), fee_points=fee)
        giver, receiver = make_member(programme), make_member(programme)
        for points, expires_on in lots:
            earn(giver, points, expires_on=expires_on)
        before = lots_of(giver)
        points = int(share * (available(giver) - fee))
        if points > 0:
            made = transfers.transfer_points(
                actor=None, now=NOW, giver_id=giver.pk, receiver_id=receiver.pk, points=points, idempotency_key="x"
            )
            assert (available(giver), available(receiver)) == (sum(p for p, _day in lots) - points - fee, points)
            transfers.undo_transfer(actor=None, now=NOW, transfer_id=made.pk, reason="x")
        check_now()

        assert (lots_of(giver), lots_of(receiver)) == (before, [])
        transaction.set_rollback(True)
