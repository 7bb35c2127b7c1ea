"""Tiers among real transactions: rooms posted and voided at once, a benefit used twice, two appliers."""

import datetime as dt
import json
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connections

from loyalty.models import Entitlement, Membership, Programme, TierBenefit, TierChange, TierPolicy
from loyalty.selectors.standing import Span, figures_between
from loyalty.services.entitlements import UsedUp, use_entitlement
from loyalty.services.memberships import enrol_member
from loyalty.services.programmes import load_programme
from loyalty.services.tier_reviews import apply_review, approve_review, build_review
from members.services.stays import FolioLineInput, post_stay, void_stay
from tests.factories import NOW, make_guest, make_programme, make_property

pytestmark = pytest.mark.django_db(transaction=True)

DAY = dt.timedelta(days=1)
TODAY = NOW.date()


def at_once(*calls):
    """Run calls in threads of their own; results or exceptions in their order."""

    def run(call):
        try:
            return call()
        except UsedUp as error:
            return error
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


@pytest.fixture
def programme():
    programme = make_programme()
    TierPolicy.objects.create(
        programme=programme,
        effective_from=dt.date(2020, 1, 1),
        night_counting="per_booking",
        validity="months",
        validity_months=12,
    )
    return programme


def test_rooms_of_a_booking_posted_and_voided_at_once_count_each_night_once(programme):
    place = make_property()
    membership = enrol_member(actor=None, now=NOW, programme=programme, guest_id=make_guest().pk)

    def room(number):
        return lambda: post_stay(
            actor=None,
            now=NOW,
            place=place,
            source_system="pms",
            source_reference=str(number),
            guest_id=membership.guest_id,
            arrival_date=TODAY - 2 * DAY,
            departure_date=TODAY,
            lines=[FolioLineInput("1", TODAY - 2 * DAY, "room", Decimal(100))],
            currency="CNY",
            booking_reference="B1",
        )

    def figures():
        return figures_between([Span(1, membership.pk, dt.date.min, TODAY)])[1][0]

    rooms = at_once(*(room(number) for number in range(4)))
    assert (figures().nights, figures().stays, figures().amount) == (2, 1, 400)

    def voided(one):
        return lambda: void_stay(actor=None, now=NOW, stay_id=one.pk, reason="twice")

    at_once(*(voided(one) for one in rooms[:3]))
    assert (figures().nights, figures().stays, figures().amount) == (2, 1, 100)


def test_a_benefit_is_never_used_more_often_than_it_is_given(programme):
    place = make_property()
    membership = enrol_member(actor=None, now=NOW, programme=programme, guest_id=make_guest().pk)
    benefit = TierBenefit.objects.create(
        tier=membership.tier, name="早餐", period="year", quantity=2, effective_from=dt.date(2020, 1, 1)
    )

    def use(key):
        return lambda: use_entitlement(
            actor=None,
            now=NOW,
            membership_id=membership.pk,
            benefit_id=benefit.pk,
            place=place,
            idempotency_key=str(key),
        )

    results = at_once(*(use(number) for number in range(6)))

    assert sum(isinstance(result, UsedUp) for result in results) == 4
    assert Entitlement.objects.get().used == 2


def test_two_who_apply_one_review_move_each_member_once(programme):
    silver = programme.tiers.get(code="silver")
    for _index in range(12):
        member = enrol_member(actor=None, now=NOW, programme=programme, guest_id=make_guest().pk)
        Membership.objects.filter(pk=member.pk).update(tier=silver, tier_until_date=TODAY - DAY)
    review = build_review(actor=None, now=NOW, programme=programme)
    approve_review(actor=None, now=NOW, review_id=review.pk)

    def applying():
        return apply_review(actor=None, now=NOW, review_id=review.pk, batch_size=2)

    reports = at_once(applying, applying)

    assert sum(report.applied for report in reports) == 12
    assert TierChange.objects.count() == 12


def test_one_programme_loaded_twice_at_once_is_made_once():
    document = json.loads(
        (Path(settings.BASE_DIR) / "docs/programmes/hyatt.json").read_text("utf-8"), parse_float=Decimal
    )

    def loading():
        return load_programme(actor=None, now=NOW, document=document)

    results = at_once(loading, loading, loading)

    assert sorted(result.outcome for result in results) == ["created", "unchanged", "unchanged"]
    assert Programme.objects.get().earning_rule_sets.count() == 1
