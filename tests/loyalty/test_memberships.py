"""Enrolment: number, first tier, account, and one membership however often it is asked for."""

import datetime as dt
import threading

import pytest
from django.db import connection

from hotels.models import AuditEntry
from loyalty.models import Account, Membership, Programme
from loyalty.rules.numbers import is_well_formed
from loyalty.services.memberships import AlreadyMember, ProgrammeWithoutTiers, enrol_member, enrol_members
from members.models import GuestIdentity
from tests.factories import NOW, make_guest, make_programme, make_property, make_staff

pytestmark = pytest.mark.django_db


def test_an_enrolled_guest_has_number_tier_account_and_identity():
    programme, guest, place, clerk = make_programme(), make_guest(), make_property(), make_staff()

    membership = enrol_member(actor=clerk, now=NOW, programme=programme, guest_id=guest.pk, place=place)

    assert is_well_formed(membership.number, "GK")
    assert (membership.tier.rank, membership.tier_since_date) == (0, NOW.date())
    assert (membership.enrolled_by, membership.enrolled_property, membership.enrolled_at) == (clerk, place, NOW)
    assert Account.objects.get(membership=membership).available == 0
    identity = GuestIdentity.objects.get(guest=guest, kind="membership")
    assert (identity.issuer, bytes(identity.value).decode()) == (programme.code, membership.number)
    assert AuditEntry.objects.get(action="membership.enrolled").object_label == membership.number


def test_a_member_is_not_enrolled_twice():
    programme, guest = make_programme(), make_guest()
    membership = enrol_member(actor=None, now=NOW, programme=programme, guest_id=guest.pk)

    with pytest.raises(AlreadyMember) as caught:
        enrol_member(actor=None, now=NOW, programme=programme, guest_id=guest.pk)

    assert caught.value.membership == membership


def test_a_programme_without_tiers_takes_nobody():
    programme = Programme.objects.create(code="EMPTY", name="空")

    with pytest.raises(ProgrammeWithoutTiers):
        enrol_member(actor=None, now=NOW, programme=programme, guest_id=make_guest().pk)


def test_many_are_enrolled_in_as_many_statements_as_few(django_assert_max_num_queries):
    programme = make_programme()
    guests = [make_guest(f"客{number}") for number in range(60)]
    known = enrol_member(actor=None, now=NOW, programme=programme, guest_id=guests[3].pk)
    earlier = NOW - dt.timedelta(days=400)

    with django_assert_max_num_queries(20):
        memberships = enrol_members(
            actor=None,
            now=NOW,
            programme=programme,
            guest_ids=[guest.pk for guest in guests],
            enrolled_at={guests[0].pk: earlier},
        )

    assert [membership.guest_id for membership in memberships] == [guest.pk for guest in guests]
    assert memberships[3] == known
    assert (memberships[0].enrolled_at, memberships[0].tier_since_date) == (earlier, earlier.date())
    assert len({membership.number for membership in memberships}) == 60
    assert Account.objects.count() == 60


def test_a_number_brought_from_elsewhere_is_passed_over():
    programme = make_programme()
    first = enrol_member(actor=None, now=NOW, programme=programme, guest_id=make_guest().pk)
    digits = f"{first.pk + 1:08d}"
    taken = [f"GK{digits}{check}" for check in range(10)]
    for number in taken:
        Membership.objects.create(
            id=10**9 + int(number[-1]),
            programme=programme,
            guest=make_guest(),
            number=number,
            tier=first.tier,
            tier_since_date=NOW.date(),
            enrolled_at=NOW,
        )

    membership = enrol_member(actor=None, now=NOW, programme=programme, guest_id=make_guest().pk)

    assert membership.number not in taken


@pytest.mark.django_db(transaction=True)
def test_eight_desks_that_enrol_one_guest_at_once_make_one_member():
    programme, guest = make_programme(), make_guest()
    barrier, outcomes = threading.Barrier(8), []

    def enrol():
        barrier.wait()
        try:
            outcomes.append(enrol_members(actor=None, now=NOW, programme=programme, guest_ids=[guest.pk])[0].pk)
        finally:
            connection.close()

    threads = [threading.Thread(target=enrol) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(outcomes) == 8
    assert len(set(outcomes)) == 1
    assert Membership.objects.count() == Account.objects.count() == 1
