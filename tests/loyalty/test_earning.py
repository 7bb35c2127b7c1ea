"""Stays become points: awards, corrections, voids, claims, whole or in parts, one or many."""

import datetime as dt
import uuid
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hotels.models import ExchangeRate
from loyalty.models import Account, Lot, Membership, Posting, QualificationEntry
from loyalty.rules.earning import Bill, Charge, RuleTerms, award_stay
from loyalty.selectors.members import member_summary
from loyalty.selectors.postings import statement, stay_lines
from loyalty.services.earning import settle_stays
from loyalty.services.memberships import enrol_member
from loyalty.services.redemptions import redeem_reward
from members.models import Stay
from members.services.stays import (
    FolioLineInput,
    StayInput,
    add_folio_lines,
    claim_stay,
    post_stay,
    post_stays,
    void_stay,
)
from tests.factories import NOW, base_rule, make_guest, make_programme, make_property, make_reward, publish_rules

pytestmark = pytest.mark.django_db

ARRIVAL, DEPARTURE = dt.date(2026, 6, 13), dt.date(2026, 6, 15)
TODAY = NOW.date()


@pytest.fixture(autouse=True)
def _balances_hold():
    """Whatever a test did, the ledger's own checks pass."""
    yield
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")


@pytest.fixture
def place():
    return make_property()


def member(programme, *, tier="base", name="陈思远"):
    membership = enrol_member(actor=None, now=NOW, programme=programme, guest_id=make_guest(name).pk)
    Membership.objects.filter(pk=membership.pk).update(tier=programme.tiers.get(code=tier))
    return Membership.objects.get(pk=membership.pk)


def line(reference, amount, **facts):
    return FolioLineInput(
        line_reference=reference,
        business_date=facts.pop("business_date", ARRIVAL),
        category=facts.pop("category", "room"),
        net_amount=Decimal(amount),
        **facts,
    )


def post(membership, place, *lines, now=NOW, **facts):
    return post_stay(
        **{
            "actor": None,
            "now": now,
            "place": place,
            "source_system": "desk",
            "source_reference": "8821",
            "guest_id": membership.guest_id if membership else None,
            "arrival_date": ARRIVAL,
            "departure_date": DEPARTURE,
            "lines": lines,
            "currency": "CNY",
            **facts,
        }
    )


def balance(membership):
    account = Account.objects.get(membership=membership)
    return account.available, account.pending, account.debt


def points_of(stay):
    return sum(
        Posting.objects.filter(source_reference=f"{stay.property_id}/{stay.source_reference}").values_list(
            "points", flat=True
        )
    )


def test_a_stay_earns_by_the_rule_of_the_tier(place):
    gold = member(make_programme(), tier="gold")

    stay = post(gold, place, line("1", "428.00"), line("2", "428.00"))

    assert balance(gold) == (1284, 0, 0)
    posting = Posting.objects.get(kind="earn")
    assert (posting.source_system, posting.source_reference) == ("desk", f"{place.pk}/8821")
    assert posting.business_date == DEPARTURE
    assert posting.explanation["parts"][0]["lines"] == ["1", "2"]
    lot = Lot.objects.get()
    assert lot.funding_property == place
    assert lot.expires_on == dt.date(2028, 6, 15)
    assert points_of(stay) == 1284


def test_a_guest_who_is_no_member_earns_nothing(place):
    post(None, place, line("1", "428.00"))
    post_stay(
        actor=None,
        now=NOW,
        place=place,
        source_system="desk",
        source_reference="2",
        guest_id=make_guest().pk,
        arrival_date=ARRIVAL,
        departure_date=DEPARTURE,
        lines=[line("1", "428.00")],
        currency="CNY",
    )

    assert not Posting.objects.exists()


def test_a_suspended_member_earns_nothing(place):
    membership = member(make_programme())
    Membership.objects.filter(pk=membership.pk).update(status="suspended")

    post(membership, place, line("1", "428.00"))

    assert balance(membership) == (0, 0, 0)


def test_points_wait_for_the_dispute_window_of_the_programme(place):
    membership = member(make_programme(pending_days=3))

    post(membership, place, line("1", "428.00"))

    assert balance(membership) == (0, 428, 0)
    assert Lot.objects.get().release_on == dt.date(2026, 6, 18)


def test_a_late_posting_after_the_window_is_open_at_once(place):
    membership = member(make_programme(pending_days=3))

    post(membership, place, line("1", "428.00"), now=NOW + dt.timedelta(days=10))

    assert balance(membership) == (428, 0, 0)


def test_a_late_charge_adds_to_the_same_stay(place):
    membership = member(make_programme())
    stay = post(membership, place, line("1", "428.00"))

    add_folio_lines(actor=None, now=NOW, stay_id=stay.pk, lines=[line("2", "100.50", category="spa")])

    assert balance(membership) == (528, 0, 0)
    (row,) = stay_lines(membership=membership)
    assert (row.stay, row.points, len(row.postings)) == (stay, 528, 2)


@pytest.mark.parametrize("pending_days", [0, 3])
def test_a_rebate_takes_back_what_was_given_for_it(place, pending_days):
    membership = member(make_programme(pending_days=pending_days), tier="gold")
    stay = post(membership, place, line("1", "428.00"))

    add_folio_lines(actor=None, now=NOW, stay_id=stay.pk, lines=[line("2", "-28.00")])

    assert sum(balance(membership)) == 600
    assert Posting.objects.order_by("-pk").first().kind == "clawback"


def test_a_correction_does_not_ask_todays_rules_or_tier(place):
    programme = make_programme()
    membership = member(programme, tier="gold")
    stay = post(membership, place, line("1", "400.00"))
    publish_rules(programme, base_rule(rate="9"), start=DEPARTURE)
    Membership.objects.filter(pk=membership.pk).update(tier=programme.tiers.get(code="diamond"))

    add_folio_lines(actor=None, now=NOW, stay_id=stay.pk, lines=[line("2", "-100.00")])

    assert balance(membership) == (450, 0, 0)


def test_a_rule_counts_from_its_date(place):
    programme = make_programme()
    membership = member(programme)
    publish_rules(
        programme,
        base_rule(charges_until=dt.date(2026, 6, 14)),
        base_rule(code="summer", rate="3", charges_from=dt.date(2026, 6, 14)),
        start=dt.date(2026, 6, 14),
    )

    post(
        membership,
        place,
        line("1", "100.00", business_date=dt.date(2026, 6, 13)),
        line("2", "100.00", business_date=dt.date(2026, 6, 14)),
    )

    assert balance(membership) == (400, 0, 0)


def test_a_voided_stay_is_as_if_it_never_was(place):
    membership = member(make_programme(), tier="gold")
    stay = post(membership, place, line("1", "428.00"))
    add_folio_lines(actor=None, now=NOW, stay_id=stay.pk, lines=[line("2", "50.00"), line("3", "-10.00")])

    void_stay(actor=None, now=NOW, stay_id=stay.pk, reason="posted twice")

    assert balance(membership) == (0, 0, 0)
    assert points_of(stay) == 0
    summary = member_summary(membership=membership, today=TODAY)
    assert (summary.figures.stays, summary.figures.nights, summary.figures.amount) == (0, 0, Decimal(0))


def test_refunding_everything_is_as_if_the_guest_had_never_stayed(place):
    membership = member(make_programme(), tier="gold")
    stay = post(membership, place, line("1", "428.35"), line("2", "99.99", category="spa"))

    add_folio_lines(actor=None, now=NOW, stay_id=stay.pk, lines=[line("r1", "-428.35")])
    add_folio_lines(actor=None, now=NOW, stay_id=stay.pk, lines=[line("r2", "-99.99", category="spa")])

    assert balance(membership) == (0, 0, 0)
    assert not member_summary(membership=membership, today=TODAY).figures


@pytest.mark.parametrize("cut", [0, 1, 2, 3, 4, 5])
def test_a_stay_split_over_two_folios_brings_the_same_points(place, cut):
    membership = member(make_programme(), tier="gold")
    lines = [line(str(number), amount) for number, amount in enumerate(["0.35", "99.99", "428.50", "0.01", "33.33"])]
    stay = post(membership, place, *lines[:cut])

    add_folio_lines(actor=None, now=NOW, stay_id=stay.pk, lines=lines[cut:])

    assert balance(membership) == (843, 0, 0)  # 562.18 × 1.5 = 843.27


def test_a_split_stay_that_reaches_a_tier_in_between_brings_the_same_points(place):
    membership = member(make_programme())
    stay = post(membership, place, line("1", "12000.00"))
    assert Membership.objects.get(pk=membership.pk).tier.code == "gold"

    add_folio_lines(actor=None, now=NOW, stay_id=stay.pk, lines=[line("2", "100.00")])

    assert balance(membership) == (12100, 0, 0)


def test_points_taken_back_that_were_spent_become_a_debt(place):
    programme = make_programme()
    membership = member(programme)
    stay = post(membership, place, line("1", "428.00"))
    redeem_reward(
        actor=None,
        now=NOW,
        membership_id=membership.pk,
        reward_id=make_reward(programme, points=400).pk,
        place=place,
        idempotency_key="k",
    )

    void_stay(actor=None, now=NOW, stay_id=stay.pk, reason="posted twice")

    assert balance(membership) == (0, 0, 400)


def test_a_claimed_stay_earns_once(place):
    membership = member(make_programme())
    stay = post(None, place, line("1", "428.00"))

    claim_stay(actor=None, now=NOW, stay_id=stay.pk, guest_id=membership.guest_id)

    assert balance(membership) == (428, 0, 0)


def test_settling_again_changes_nothing(place):
    membership = member(make_programme())
    stay = post(membership, place, line("1", "428.00"))

    done = settle_stays(actor=None, now=NOW, stay_ids=[stay.pk])

    assert (done.points_given, done.points_taken, done.upgrades) == (0, 0, 0)
    assert Posting.objects.count() == 1
    assert QualificationEntry.objects.count() == 1


def test_a_negative_rate_earns_nothing_and_counts_nothing(place):
    membership = member(make_programme())

    post(membership, place, line("1", "-6.38"), line("2", "-6.38"))

    assert not Posting.objects.exists()
    assert not QualificationEntry.objects.exists()


def test_another_currency_counts_towards_the_tier_by_the_rate_of_the_day(place):
    membership = member(make_programme())
    ExchangeRate.objects.create(
        currency="EUR", to_currency="CNY", effective_from=dt.date(2026, 1, 1), rate=Decimal("7.85")
    )

    post(membership, place, line("1", "100.00"), currency="EUR")

    assert QualificationEntry.objects.get().amount == Decimal("785.00")
    assert not Posting.objects.exists()  # no rule pays for euros


def test_the_business_date_is_that_of_the_property():
    lisbon = make_property(time_zone="Europe/Lisbon")
    membership = member(make_programme())
    late_evening = dt.datetime(2026, 6, 15, 23, 30, tzinfo=ZoneInfo("Europe/Lisbon"))

    post(membership, lisbon, line("1", "100.00"), now=late_evening)

    assert Posting.objects.get().business_date == dt.date(2026, 6, 15)


def test_points_of_29_february_live_to_the_end_of_february(place):
    membership = member(make_programme(expiry_months=12))
    leap_day = dt.datetime(2028, 2, 29, 12, tzinfo=ZoneInfo("Asia/Shanghai"))

    post(
        membership,
        place,
        line("1", "100.00", business_date=dt.date(2028, 2, 28)),
        now=leap_day,
        arrival_date=dt.date(2028, 2, 28),
        departure_date=dt.date(2028, 2, 29),
    )

    assert Lot.objects.get().expires_on == dt.date(2029, 2, 28)
    assert member_summary(membership=membership, today=dt.date(2029, 2, 28)).available == 100
    assert member_summary(membership=membership, today=dt.date(2029, 3, 1)).available == 0


def bulk_row(membership, place, number, amount, day):
    return StayInput(
        place_id=place.pk,
        source_system="pms",
        source_reference=str(number),
        guest_id=membership.guest_id,
        arrival_date=day - dt.timedelta(days=1),
        departure_date=day,
        lines=[line("1", amount, business_date=day - dt.timedelta(days=1))],
        currency="CNY",
        checked_out_at=dt.datetime.combine(day, dt.time(11), ZoneInfo("Asia/Shanghai")),
    )


def test_many_stays_are_judged_as_on_their_day_of_departure(place):
    membership = member(make_programme())
    days = [dt.date(2024, 3, 1), dt.date(2024, 4, 1), dt.date(2026, 1, 1)]

    post_stays(
        actor=None,
        now=NOW,
        rows=[bulk_row(membership, place, number, "10000.00", day) for number, day in enumerate(days)],
    )

    # The first reaches gold (1.5), the second diamond (2) within a year, which then pays the third.
    assert list(Posting.objects.order_by("seq").values_list("points", "business_date")) == [
        (10000, days[0]),
        (15000, days[1]),
        (20000, days[2]),
    ]
    assert list(membership.tier_changes.order_by("pk").values_list("to_tier__code", "effective_date")) == [
        ("gold", days[0]),
        ("diamond", days[1]),
    ]


def test_many_stays_take_as_many_statements_as_few(place, django_assert_max_num_queries):
    programme = make_programme()
    members = [member(programme, name=f"客{number}") for number in range(10)]
    rows = [
        bulk_row(members[number % 10], place, number, "100.00", dt.date(2026, 6, 1) + dt.timedelta(days=number % 9))
        for number in range(200)
    ]

    with django_assert_max_num_queries(45):
        post_stays(actor=None, now=NOW, rows=rows)

    assert Posting.objects.filter(kind="earn").count() == 200
    assert Stay.objects.count() == 200


def test_the_statement_is_newest_first_and_goes_on_below_a_line(place, django_assert_num_queries):
    membership = member(make_programme())
    for number in range(5):
        post(membership, place, line("1", "100.00"), source_reference=str(number))

    with django_assert_num_queries(1):
        first = statement(membership_id=membership.pk, limit=3)
    rest = statement(membership_id=membership.pk, limit=3, before_seq=first[-1].posting.seq)

    assert [row.posting.seq for row in [*first, *rest]] == [5, 4, 3, 2, 1]
    assert first[0].sentence == (f"入住 4（{place.name}，按普通计算）：¥100.00 × 1（普通 1，每元 1 分） = 100 分。")


@pytest.mark.parametrize("count", [1, 30])
def test_one_line_a_stay_takes_as_many_queries_for_thirty_as_for_one(place, count, django_assert_num_queries):
    membership = member(make_programme())
    for number in range(count):
        post(membership, place, line("1", "100.00"), source_reference=str(number))

    with django_assert_num_queries(4):
        rows = stay_lines(membership=membership, limit=30)
    below = stay_lines(membership=membership, before=rows[0].stay, limit=30)

    assert len(rows) == count
    assert sum(row.points for row in rows) == balance(membership)[0]
    assert [row.stay.pk for row in below] == [row.stay.pk for row in rows[1:]]


cents = st.integers(-20000, 40000).map(lambda amount: Decimal(amount) / 100)
steps = st.lists(st.tuples(st.integers(0, 1), cents, st.sampled_from(["room", "food", "spa"])), min_size=1, max_size=8)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=steps, pending_days=st.sampled_from([0, 3]), voided=st.booleans())
def test_whatever_happens_to_two_stays_they_bring_what_their_folios_are_worth(place, steps, pending_days, voided):
    programme = make_programme(pending_days=pending_days)
    membership = member(programme, tier="gold")
    stays = [post(membership, place, source_reference=uuid.uuid4().hex) for _ in range(2)]

    for number, (which, amount, category) in enumerate(steps):
        extra = line(str(number), amount, category=category)
        add_folio_lines(actor=None, now=NOW, stay_id=stays[which].pk, lines=[extra])
    if voided:
        void_stay(actor=None, now=NOW, stay_id=stays[0].pk, reason="test")

    charges = [
        [
            Charge(str(number), ARRIVAL, category, amount)
            for number, (which, amount, category) in enumerate(steps)
            if which == index
        ]
        for index in range(2)
    ]
    rules = [RuleTerms(code="gold", name={"zh": "gold"}, value=Decimal("1.5"))]
    worth = [award_stay(Bill(charges=charges[index], currency="CNY"), rules).points for index in range(2)]
    if voided:
        worth[0] = 0
    assert [points_of(stay) for stay in stays] == worth
    assert sum(balance(membership)) == sum(worth)
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")
