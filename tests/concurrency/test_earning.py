"""Several desks at once: nothing is given twice, nothing is lost."""

import datetime as dt
import threading
from decimal import Decimal

import pytest
from django.db import connection

from loyalty.models import Account, Membership, Posting, QualificationEntry, Redemption, TierChange
from loyalty.services import ledger
from loyalty.services.ledger import InsufficientPoints
from loyalty.services.memberships import enrol_member
from loyalty.services.redemptions import cancel_redemption, redeem_reward
from members.models import Reservation, Stay
from members.services.stays import FolioLineInput, StayInputError, add_folio_lines, claim_stay, post_stay, void_stay
from tests.factories import NOW, make_guest, make_programme, make_property, make_reward

pytestmark = pytest.mark.django_db(transaction=True)

ARRIVAL, DEPARTURE = dt.date(2026, 6, 13), dt.date(2026, 6, 15)


def at_once(number, work):
    """Call `work(index)` at the same moment in several threads; returns results or exceptions."""
    barrier, outcomes = threading.Barrier(number), [None] * number

    def run(index):
        barrier.wait()
        try:
            outcomes[index] = work(index)
        except Exception as error:  # noqa: BLE001
            outcomes[index] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(index,)) for index in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


@pytest.fixture
def place():
    return make_property()


@pytest.fixture
def membership():
    return enrol_member(actor=None, now=NOW, programme=make_programme(), guest_id=make_guest().pk)


def line(reference, amount):
    return FolioLineInput(reference, ARRIVAL, "room", Decimal(amount))


def post(place, guest_id, number="1", amount="1000.00", reservation=None):
    return post_stay(
        actor=None,
        now=NOW,
        place=place,
        source_system="desk",
        source_reference=number,
        guest_id=guest_id,
        arrival_date=ARRIVAL,
        departure_date=DEPARTURE,
        lines=[line("1", amount)],
        currency="CNY",
        reservation=reservation,
    )


def available(membership):
    return Account.objects.get(membership=membership).available


def test_one_stay_posted_ten_times_at_once_earns_once(place, membership):
    outcomes = at_once(10, lambda _index: post(place, membership.guest_id).pk)

    assert len(set(outcomes)) == 1
    assert available(membership) == 1000
    assert Posting.objects.count() == QualificationEntry.objects.count() == 1


def test_ten_stays_of_one_member_at_once_all_count_and_move_up_once(place, membership):
    outcomes = at_once(10, lambda index: post(place, membership.guest_id, str(index)).pk)

    assert len(set(outcomes)) == 10
    assert QualificationEntry.objects.count() == 10
    assert Membership.objects.get(pk=membership.pk).tier.code == "gold"
    assert list(TierChange.objects.order_by("pk").values_list("to_tier__code", flat=True)) == ["silver", "gold"]
    # Five at 1, then silver, which pays 1 as well: the tenth stay reaches gold and is the last.
    assert available(membership) == 10000


def test_of_two_desks_that_post_one_booking_at_once_one_does(place, membership):
    booking = Reservation.objects.create(
        property=place,
        guest_id=membership.guest_id,
        source_system="pms",
        source_reference="R1",
        arrival_date=ARRIVAL,
        departure_date=DEPARTURE,
        status="in_house",
        currency="CNY",
    )

    outcomes = at_once(6, lambda index: post(place, membership.guest_id, str(index), reservation=booking))

    assert sum(isinstance(outcome, StayInputError) for outcome in outcomes) == 5
    assert Stay.objects.get().reservation == booking
    assert available(membership) == 1000


def test_late_charges_and_a_void_at_once_leave_nothing(place, membership):
    stay = post(place, membership.guest_id)

    def work(index):
        if index == 3:
            return void_stay(actor=None, now=NOW, stay_id=stay.pk, reason="posted twice")
        return add_folio_lines(actor=None, now=NOW, stay_id=stay.pk, lines=[line(f"late{index}", "10.00")])

    at_once(6, work)

    assert available(membership) == 0
    assert not sum(QualificationEntry.objects.values_list("stays", flat=True))


def test_of_two_members_who_claim_one_stay_one_gets_the_points(place, membership):
    other = enrol_member(actor=None, now=NOW, programme=membership.programme, guest_id=make_guest("周丽").pk)
    stay = post(place, None)
    claimants = [membership.guest_id, other.guest_id] * 4

    at_once(8, lambda index: claim_stay(actor=None, now=NOW, stay_id=stay.pk, guest_id=claimants[index]))

    assert sorted([available(membership), available(other)]) == [0, 1000]


def test_twenty_desks_that_redeem_100_of_500_points_give_five_rewards(place, membership):
    reward = make_reward(membership.programme, points=100)
    ledger.earn_points(actor=None, now=NOW, points=500, membership_id=membership.pk)

    outcomes = at_once(
        20,
        lambda index: redeem_reward(
            actor=None,
            now=NOW,
            membership_id=membership.pk,
            reward_id=reward.pk,
            place=place,
            idempotency_key=f"key {index}",
        ),
    )

    assert sum(isinstance(outcome, Redemption) for outcome in outcomes) == 5
    assert sum(isinstance(outcome, InsufficientPoints) for outcome in outcomes) == 15
    assert available(membership) == 0
    assert Redemption.objects.count() == 5


def test_one_request_sent_ten_times_at_once_is_one_redemption_and_one_undo(place, membership):
    reward = make_reward(membership.programme, points=100)
    ledger.earn_points(actor=None, now=NOW, points=500, membership_id=membership.pk)

    outcomes = at_once(
        10,
        lambda _index: (
            redeem_reward(
                actor=None,
                now=NOW,
                membership_id=membership.pk,
                reward_id=reward.pk,
                place=place,
                idempotency_key="same",
            ).pk
        ),
    )
    assert len(set(outcomes)) == 1
    assert available(membership) == 400

    at_once(
        10,
        lambda _index: cancel_redemption(actor=None, now=NOW, redemption_id=outcomes[0], reason="closed"),
    )
    assert available(membership) == 500
    assert Posting.objects.filter(kind="refund").count() == 1
