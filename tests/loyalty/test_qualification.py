"""What stays count: rooms of a booking, free nights, no-shows, carrying over, zeroing; and always again the same."""

import datetime as dt
import random
from decimal import Decimal
from functools import partial

import pytest
from django.db import DatabaseError, connection, transaction

from hotels.models import AuditEntry
from loyalty.models import Membership, QualificationEntry, TierChange, TierCriteria, TierPolicy
from loyalty.rules.tiers import Figures
from loyalty.selectors.members import member_summary
from loyalty.selectors.standing import Span, figures_between
from loyalty.services.earning import settle_stays
from loyalty.services.memberships import enrol_member
from loyalty.services.qualification import QualificationBatch, charges_of, recount_stays
from loyalty.services.tier_credits import NothingToCount, add_qualification, carry_over_excess
from loyalty.services.tiers import review_tiers
from members.models import Reservation, Stay
from members.services.reservations import ReservationInput, store_reservation
from members.services.stays import FolioLineInput, StayInput, add_folio_lines, post_stay, post_stays, void_stay
from tests.factories import (
    NOW,
    at_least,
    base_rule,
    make_guest,
    make_programme,
    make_property,
    make_staff,
    publish_rules,
)

pytestmark = pytest.mark.django_db

DAY = dt.timedelta(days=1)
TODAY = NOW.date()


@pytest.fixture
def programme():
    return make_programme()


@pytest.fixture
def place():
    return make_property()


@pytest.fixture
def membership(programme):
    return enrol_member(actor=None, now=NOW - 800 * DAY, programme=programme, guest_id=make_guest().pk)


def policy(programme, start=dt.date(2020, 1, 1), **terms):
    return TierPolicy.objects.create(programme=programme, effective_from=start, **terms)


def needs(programme, **conditions):
    """Other thresholds: tier code → tree."""
    TierCriteria.objects.filter(tier__programme=programme).delete()
    for code, tree in conditions.items():
        TierCriteria.objects.create(
            tier=programme.tiers.get(code=code), effective_from=dt.date(2020, 1, 1), conditions=tree
        )


def stay(membership, place, *, number="1", departure=TODAY, nights=2, amount="1000", now=NOW, **facts):
    arrival = departure - nights * DAY
    lines = [FolioLineInput("1", arrival, "room", Decimal(amount))] if Decimal(amount) else []
    return post_stay(
        actor=None,
        now=now,
        place=place,
        source_system="pms",
        source_reference=number,
        guest_id=membership.guest_id,
        arrival_date=arrival,
        departure_date=departure,
        lines=lines,
        currency="CNY",
        **facts,
    )


def counted(membership, start=dt.date.min, end=dt.date.max):
    return figures_between([Span(1, membership.pk, start, end)]).get(1, (Figures(), Figures()))[0]


def tier_of(membership):
    return Membership.objects.get(pk=membership.pk).tier.code


def test_s09_one_booking_of_three_rooms_counts_two_nights(programme, place, membership):
    # programmes.json, S09 (Accor): one booking, 3 rooms, 2 nights.
    policy(programme, window="calendar_year", validity="next_year", night_counting="per_booking")

    rooms = [stay(membership, place, number=f"R{room}", booking_reference="B1") for room in range(3)]
    stay(membership, place, number="R9", booking_reference="B2")

    assert (counted(membership).nights, counted(membership).stays) == (4, 2)
    assert counted(membership).amount == 4000
    void_stay(actor=None, now=NOW, stay_id=rooms[0].pk, reason="cancelled")
    assert (counted(membership).nights, counted(membership).stays, counted(membership).amount) == (4, 2, 3000)
    void_stay(actor=None, now=NOW, stay_id=rooms[2].pk, reason="cancelled")
    assert (counted(membership).nights, counted(membership).stays) == (4, 2)
    void_stay(actor=None, now=NOW, stay_id=rooms[1].pk, reason="cancelled")
    assert (counted(membership).nights, counted(membership).stays) == (2, 1)


def test_rooms_of_other_days_add_the_nights_that_are_new(programme, place, membership):
    policy(programme, night_counting="per_booking")

    stay(membership, place, number="R1", booking_reference="B1", nights=2, departure=TODAY - DAY)
    stay(membership, place, number="R2", booking_reference="B1", nights=3, departure=TODAY)

    assert counted(membership).nights == 3


def test_without_a_booking_every_room_counts(programme, place, membership):
    policy(programme, night_counting="per_booking")

    for room in range(3):
        stay(membership, place, number=f"R{room}")

    assert counted(membership).nights == 6


def test_each_room_counts_where_the_policy_says_so(programme, place, membership):
    for room in range(3):
        stay(membership, place, number=f"R{room}", booking_reference="B1")

    assert counted(membership).nights == 6


@pytest.mark.parametrize(("free_nights", "nights"), [("stay", 0), ("paid", 0), ("all", 2)])
def test_a_free_stay_counts_where_the_policy_says_so(programme, place, membership, free_nights, nights):
    # IHG: award nights count as nights.
    policy(programme, free_nights=free_nights)

    stay(membership, place, amount="0")

    assert (counted(membership).nights, counted(membership).amount) == (nights, 0)


def test_only_nights_that_were_paid_count(programme, place, membership):
    policy(programme, free_nights="paid")
    posted = stay(membership, place, nights=3)
    assert counted(membership).nights == 1

    line = FolioLineInput("2", TODAY - 2 * DAY, "room", Decimal(500))
    add_folio_lines(actor=None, now=NOW, stay_id=posted.pk, lines=[line])

    assert (counted(membership).nights, counted(membership).stays) == (2, 1)


@pytest.mark.parametrize(("limit", "nights"), [(None, 3), (1, 1), (0, 0)])
def test_a_no_show_counts_at_most_what_the_policy_says(programme, place, membership, limit, nights):
    policy(programme, no_show_nights=limit)
    row = ReservationInput(
        place_id=place.pk,
        source_system="pms",
        source_reference="N1",
        guest_id=membership.guest_id,
        arrival_date=TODAY - 3 * DAY,
        departure_date=TODAY,
        status=Reservation.Status.NO_SHOW,
        currency="CNY",
    )
    reservation = store_reservation(actor=None, now=NOW, row=row)

    stay(membership, place, nights=3, reservation=reservation)

    assert counted(membership).nights == nights


def test_s18_a_walk_in_counts_nights_and_a_stay_of_another_channel_nothing(programme, place, membership):
    # programmes.json, S18 (Gujing): a walk-in counts its night. Accor counts direct channels only.
    stay(membership, place, number="1", nights=1, channel="walk_in")
    assert counted(membership).nights == 1
    direct = {"any": [{"field": "stay.channel", "op": "is", "value": "direct"}]}
    policy(programme, stay_conditions=direct)

    stay(membership, place, number="2", nights=1, channel="ctrip")
    stay(membership, place, number="3", nights=1, channel="direct")

    assert counted(membership).nights == 2


def test_qualifying_points_are_counted_and_taken_back(programme, place, membership):
    needs(programme, silver=at_least(points=500))
    posted = stay(membership, place)
    charges = charges_of([posted.pk])[posted.pk]

    def count(points):
        posted.refresh_from_db()
        batch = QualificationBatch(actor=None, now=NOW, stays=[posted])
        batch.load()
        batch.count(posted, batch.member_of[posted.pk], charges, points=points)
        return batch.save()

    # What the rules in force gave, to begin with.
    assert counted(membership).points == 1000
    Membership.objects.filter(pk=membership.pk).update(tier=programme.tiers.get(code="base"))
    assert (count(499), counted(membership).points) == (0, 499)
    assert (count(500), counted(membership).points, tier_of(membership)) == (1, 500, "silver")
    recount_stays(actor=None, now=NOW, stay_ids=[posted.pk])
    assert counted(membership).points == 500
    Stay.objects.filter(pk=posted.pk).update(status="voided")
    assert (count(0), counted(membership)) == (0, Figures())


# A year, and the next


def test_what_exceeds_the_tier_is_carried_over_and_follows_corrections(programme, place, membership):
    # IHG: nights above the current tier and below the next roll over for Gold and higher.
    needs(programme, silver=at_least(nights=10), gold=at_least(nights=20), diamond=at_least(nights=40))
    policy(
        programme,
        window="calendar_year",
        validity="next_year",
        carry_over=["nights"],
        carry_over_tier=programme.tiers.get(code="gold"),
    )
    silver = enrol_member(actor=None, now=NOW - 800 * DAY, programme=programme, guest_id=make_guest("王芳").pk)
    last_year = dt.date(2025, 11, 1)
    then = dt.datetime(2025, 11, 1, 12, tzinfo=dt.UTC)
    stay(membership, place, number="1", departure=last_year, nights=20, now=then)
    extra = stay(membership, place, number="2", departure=last_year, nights=13, now=then)
    stay(silver, place, number="3", departure=last_year, nights=15, now=then)

    assert carry_over_excess(now=NOW, programme=programme) == 1
    assert carry_over_excess(now=NOW, programme=programme) == 0

    this_year = dt.date(2026, 1, 1)
    assert (counted(membership, this_year).nights, counted(silver, this_year).nights) == (13, 0)
    void_stay(actor=None, now=NOW, stay_id=extra.pk, reason="posted twice")
    assert carry_over_excess(now=NOW, programme=programme) == 1
    assert counted(membership, this_year).nights == 0
    kinds = QualificationEntry.objects.filter(membership=membership, kind="carry_over")
    assert list(kinds.order_by("revision").values_list("nights", "revision")) == [(13, 0), (-13, 1)]


def test_counting_begins_anew_after_a_change_of_tier(programme, place, membership):
    needs(programme, silver=at_least(nights=5), gold=at_least(nights=8))
    policy(programme, zero_on_change=True)
    yesterday = NOW - DAY
    stay(membership, place, number="1", departure=TODAY - DAY, nights=7, now=yesterday)
    assert tier_of(membership) == "silver"

    stay(membership, place, number="2", departure=TODAY, nights=7)

    assert tier_of(membership) == "silver"
    assert member_summary(membership=membership, today=TODAY).figures.nights == 7
    reset = QualificationEntry.objects.get(kind="reset")
    assert (reset.business_date, reset.nights) == (TODAY, 0)
    stay(membership, place, number="3", departure=TODAY, nights=1)
    assert tier_of(membership) == "gold"


def test_an_upgrade_of_the_next_day_begins_on_the_next_day(programme, place, membership):
    policy(programme, upgrade_timing="next_day", validity="months", validity_months=12)
    stay(membership, place, amount="5000")

    assert tier_of(membership) == "base"
    assert review_tiers(actor=None, now=NOW, programme=programme) == []

    (change,) = review_tiers(actor=None, now=NOW + DAY, programme=programme)
    assert (tier_of(membership), change.effective_date) == ("silver", TODAY + DAY)
    assert change.until_date == dt.date(2027, 6, 14)


def test_history_with_upgrades_of_the_next_day_judges_the_day_itself_by_the_old_tier(programme, place, membership):
    policy(programme, upgrade_timing="next_day")
    facts = {"place_id": place.pk, "source_system": "pms", "guest_id": membership.guest_id, "currency": "CNY"}

    def row(number, days_ago, amount):
        day = TODAY - days_ago * DAY
        lines = [FolioLineInput("1", day - DAY, "room", Decimal(amount))]
        return StayInput(
            **facts,
            source_reference=number,
            arrival_date=day - DAY,
            departure_date=day,
            lines=lines,
            checked_out_at=NOW,
        )

    post_stays(actor=None, now=NOW, rows=[row("1", 9, 12000), row("2", 9, 100), row("3", 8, 100)])

    assert tier_of(membership) == "gold"
    change = TierChange.objects.get()
    assert change.effective_date == TODAY - 8 * DAY


def test_a_tier_reached_again_in_a_new_year_lasts_longer_at_once(programme, place, membership):
    policy(programme, window="calendar_year", validity="next_february")
    then = dt.datetime(2025, 5, 1, 4, tzinfo=dt.UTC)
    stay(membership, place, number="1", departure=then.date(), amount="5000", now=then)
    assert Membership.objects.get(pk=membership.pk).tier_until_date == dt.date(2027, 2, 28)

    stay(membership, place, number="2", amount="4000")
    assert Membership.objects.get(pk=membership.pk).tier_until_date == dt.date(2027, 2, 28)
    stay(membership, place, number="3", amount="1000")

    assert Membership.objects.get(pk=membership.pk).tier_until_date == dt.date(2028, 2, 29)
    kinds = TierChange.objects.order_by("pk").values_list("kind", "until_date")
    assert list(kinds) == [("upgrade", dt.date(2027, 2, 28)), ("renewal", dt.date(2028, 2, 29))]


def test_a_tier_for_life_comes_by_itself_and_stays(programme, place, membership):
    needs(programme, silver=at_least(nights=5), diamond=at_least(lifetime_nights=12))
    policy(programme, window="calendar_year", validity="this_year")
    then = dt.datetime(2025, 5, 1, 4, tzinfo=dt.UTC)
    stay(membership, place, number="1", departure=then.date(), nights=7, now=then)

    posted = stay(membership, place, number="2", nights=5)

    member = Membership.objects.get(pk=membership.pk)
    assert (member.tier.code, member.tier_until_date, member.tier_source) == ("diamond", None, "lifetime")
    assert member.tier_grant.source == "lifetime"
    void_stay(actor=None, now=NOW, stay_id=posted.pk, reason="posted twice")
    review_tiers(actor=None, now=NOW, programme=programme)
    assert tier_of(membership) == "diamond"


# By hand


def test_what_is_counted_by_hand_has_a_reason_is_audited_and_reaches_a_tier(programme, membership):
    needs(programme, silver=at_least(nights=10, meetings=3))
    manager = make_staff("group_manager")
    facts = {"actor": manager, "now": NOW, "membership_id": membership.pk}

    entries = add_qualification(**facts, figures=Figures(meetings=2), reason="两场会议", reference="M-1")
    again = add_qualification(**facts, figures=Figures(meetings=2), reason="两场会议", reference="M-1")
    assert [entry.pk for entry in again] == [entry.pk for entry in entries]
    assert tier_of(membership) == "base"
    add_qualification(**facts, figures=Figures(meetings=1), reason="年会", reference="M-2")

    assert tier_of(membership) == "silver"
    assert AuditEntry.objects.filter(action="qualification.added").count() == 2
    with pytest.raises(NothingToCount):
        add_qualification(**facts, figures=Figures(nights=1), reason=" ")


@pytest.mark.parametrize("verb", ["UPDATE loyalty_qualificationentry SET nights = 9", "DELETE FROM loyalty_tierchange"])
def test_what_counted_cannot_be_altered(programme, place, membership, verb):
    stay(membership, place, amount="5000")

    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(verb)


# Always again the same


def sums(membership):
    return counted(membership), tier_of(membership)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("nights", ["per_room", "per_booking"])
def test_the_order_of_events_does_not_matter(place, seed, nights):
    """The same stays, late charges and voids, however they are ordered, count the same."""
    found = []
    for order in (None, seed):
        programme = make_programme()
        # The same points in every tier: otherwise a stay brings more where an earlier one had moved the member up.
        publish_rules(programme, base_rule(), start=dt.date(2021, 1, 1))
        policy(programme, night_counting=nights, free_nights="paid")
        member = enrol_member(actor=None, now=NOW - 800 * DAY, programme=programme, guest_id=make_guest().pk)
        prefix = f"{programme.code}-"
        numbers = list(range(8))
        if order is not None:
            random.Random(order).shuffle(numbers)
        posted = {}
        for number in numbers:
            posted[number] = stay(
                member,
                place,
                number=f"{prefix}{number}",
                departure=TODAY - (number // 3) * DAY,
                nights=1 + number % 3,
                amount=str(300 * (number + 1)),
                booking_reference=f"{prefix}{number // 3}",
            )
        late = FolioLineInput("9", TODAY - 2 * DAY, "room", Decimal(150))
        events = [
            partial(add_folio_lines, actor=None, now=NOW, stay_id=posted[1].pk, lines=[late]),
            partial(void_stay, actor=None, now=NOW, stay_id=posted[3].pk, reason="twice"),
            partial(void_stay, actor=None, now=NOW, stay_id=posted[6].pk, reason="twice"),
        ]
        if order is not None:
            random.Random(order).shuffle(events)
        for event in events:
            event()
        found.append(counted(member))
        before = QualificationEntry.objects.count()
        ids = [one.pk for one in posted.values()]
        assert recount_stays(actor=None, now=NOW, stay_ids=ids) == 0
        settle_stays(actor=None, now=NOW, stay_ids=ids)
        assert QualificationEntry.objects.count() == before
        for one in posted.values():
            if one.pk not in (posted[3].pk, posted[6].pk):
                void_stay(actor=None, now=NOW, stay_id=one.pk, reason="all")
        assert counted(member) == Figures()

    assert found[0] == found[1]
    assert found[0]


def test_a_recount_after_another_policy_gives_what_the_stays_say(programme, place, membership):
    rooms = [stay(membership, place, number=f"R{room}", booking_reference="B1") for room in range(3)]
    assert counted(membership).nights == 6
    policy(programme, night_counting="per_booking")

    assert recount_stays(actor=None, now=NOW, stay_ids=[room.pk for room in rooms]) == 2

    assert (counted(membership).nights, counted(membership).stays) == (2, 1)
