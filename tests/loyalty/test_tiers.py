"""Members move up as soon as a threshold in force is reached, and never down."""

import datetime as dt
from decimal import Decimal

import pytest

from loyalty.models import Membership, QualificationEntry, TierBenefit, TierChange, TierCriteria
from loyalty.selectors.members import member_summaries, member_summary
from loyalty.services.memberships import enrol_member
from loyalty.services.tiers import review_tiers
from loyalty.signals import tier_changed
from members.services.stays import FolioLineInput, add_folio_lines, post_stay, void_stay
from tests.factories import NOW, at_least, make_guest, make_programme, make_property

pytestmark = pytest.mark.django_db

TODAY = NOW.date()


@pytest.fixture
def programme():
    return make_programme()


@pytest.fixture
def place():
    return make_property()


@pytest.fixture
def membership(programme):
    return enrol_member(actor=None, now=NOW, programme=programme, guest_id=make_guest().pk)


def stay(membership, place, amount, *, number="1", departure=TODAY, nights=1, now=NOW):
    return post_stay(
        actor=None,
        now=now,
        place=place,
        source_system="desk",
        source_reference=number,
        guest_id=membership.guest_id,
        arrival_date=departure - dt.timedelta(days=nights),
        departure_date=departure,
        lines=[FolioLineInput("1", departure - dt.timedelta(days=nights), "room", Decimal(amount))],
        currency="CNY",
    )


def tier_of(membership):
    return Membership.objects.get(pk=membership.pk).tier.code


@pytest.mark.parametrize(
    ("amount", "tier"), [("4999.99", "base"), ("5000.00", "silver"), ("10000.00", "gold"), ("25000.00", "diamond")]
)
def test_spend_moves_a_member_up_at_once(membership, place, amount, tier):
    stay(membership, place, amount)

    assert tier_of(membership) == tier


def test_the_fifth_stay_moves_a_member_up_and_the_change_keeps_the_figures(membership, place):
    heard = []
    tier_changed.connect(listener := lambda **facts: heard.append(facts), weak=False)

    for number in range(5):
        stay(membership, place, "100.00", number=str(number), nights=2)
    tier_changed.disconnect(listener)

    change = TierChange.objects.select_related("from_tier", "to_tier").get()
    assert (change.from_tier.code, change.to_tier.code, change.effective_date) == ("base", "silver", TODAY)
    assert change.figures == {
        "nights": 10,
        "stays": 5,
        "amount": "500.00",
        "points": 500,
        "criteria": TierCriteria.objects.get(tier=change.to_tier).pk,
    }
    assert Membership.objects.get(pk=membership.pk).tier_since_date == TODAY
    assert [(facts["membership_id"], facts["tier_change_id"]) for facts in heard] == [(membership.pk, change.pk)]


def test_nights_count_where_a_threshold_names_them(membership, place, programme):
    TierCriteria.objects.filter(tier__code="silver").update(conditions=at_least(nights=7))

    stay(membership, place, "10.00", nights=7)

    assert tier_of(membership) == "silver"


def test_what_lies_before_the_window_does_not_count(membership, place):
    first_day = dt.date(2025, 6, 16)
    stay(membership, place, "4000.00", number="1", departure=first_day - dt.timedelta(days=1))
    stay(membership, place, "2000.00", number="2")
    assert tier_of(membership) == "base"

    stay(membership, place, "3000.00", number="3", departure=first_day)

    assert tier_of(membership) == "silver"


def test_a_threshold_counts_from_its_date(membership, place, programme):
    silver = programme.tiers.get(code="silver")
    TierCriteria.objects.create(
        tier=silver, effective_from=TODAY + dt.timedelta(days=1), conditions=at_least(amount="1000")
    )

    stay(membership, place, "1000.00")
    assert tier_of(membership) == "base"
    assert review_tiers(actor=None, now=NOW, programme=programme) == []

    tomorrow = NOW + dt.timedelta(days=1)
    changes = review_tiers(actor=None, now=tomorrow, programme=programme)

    assert [change.to_tier_id for change in changes] == [silver.pk]
    assert tier_of(membership) == "silver"


def test_a_review_moves_many_up_in_as_many_statements_as_one(programme, place, django_assert_max_num_queries):
    members = [
        enrol_member(actor=None, now=NOW, programme=programme, guest_id=make_guest(f"客{number}").pk)
        for number in range(12)
    ]
    QualificationEntry.objects.bulk_create(
        QualificationEntry(
            membership=member, kind="manual", business_date=TODAY, stays=4 + number % 3, amount=Decimal(100)
        )
        for number, member in enumerate(members)
    )

    with django_assert_max_num_queries(11):
        changes = review_tiers(actor=None, now=NOW, programme=programme)

    assert len(changes) == 8
    assert review_tiers(actor=None, now=NOW, programme=programme) == []


def test_a_late_charge_can_reach_a_tier_and_a_refund_does_not_take_it_away(membership, place):
    posted = stay(membership, place, "4900.00")
    add_folio_lines(
        actor=None, now=NOW, stay_id=posted.pk, lines=[FolioLineInput("2", TODAY, "spa", Decimal("100.00"))]
    )
    assert tier_of(membership) == "silver"

    void_stay(actor=None, now=NOW, stay_id=posted.pk, reason="posted twice")

    assert tier_of(membership) == "silver"
    summary = member_summary(membership=membership, today=TODAY)
    assert (summary.figures.stays, summary.figures.amount) == (0, Decimal(0))


def test_the_summary_says_how_far_the_next_tier_is(membership, place):
    stay(membership, place, "1200.00")

    summary = member_summary(membership=membership, today=TODAY)

    assert summary.next_tier.tier.code == "silver"
    assert [(measure.kind, measure.done, measure.missing) for measure in summary.next_tier.measures] == [
        ("amount", Decimal("1200.00"), Decimal("3800.00")),
        ("stays", Decimal(1), Decimal(4)),
    ]
    assert summary.next_tier.percent == 24
    assert summary.next_tier.sentence == "再消费 ¥3,800.00或入住 4 次即可升为银卡。"


def test_the_highest_tier_has_no_next(membership, place):
    stay(membership, place, "25000.00")

    assert member_summary(membership=membership, today=TODAY).next_tier is None


def test_benefits_are_those_in_force_at_the_property(membership, place, programme):
    tier = programme.tiers.get(code="base")
    facts = {"tier": tier, "effective_from": dt.date(2020, 1, 1)}
    TierBenefit.objects.create(name="欢迎水果", **facts)
    TierBenefit.objects.create(name="免费停车", property=place, **facts)
    TierBenefit.objects.create(name="别处", property=make_property(), **facts)
    TierBenefit.objects.create(name="过去", effective_until=TODAY, **facts)
    TierBenefit.objects.create(name="将来", tier=tier, effective_from=TODAY + dt.timedelta(days=1))

    here = member_summary(membership=membership, today=TODAY, place=place)
    anywhere = member_summary(membership=membership, today=TODAY)

    assert [benefit.name for benefit in here.benefits] == ["欢迎水果", "免费停车"]
    assert [benefit.name for benefit in anywhere.benefits] == ["欢迎水果"]


@pytest.mark.parametrize("count", [1, 30])
def test_summaries_of_many_guests_take_as_many_queries_as_of_one(programme, place, count, django_assert_num_queries):
    guests = [make_guest(f"客{number}") for number in range(count)]
    for guest in guests:
        enrol_member(actor=None, now=NOW, programme=programme, guest_id=guest.pk)
    stranger = make_guest("路人")

    with django_assert_num_queries(8):
        summaries = member_summaries(guest_ids=[*(guest.pk for guest in guests), stranger.pk], today=TODAY)

    assert set(summaries) == {guest.pk for guest in guests}
