"""What a draft would have given: equal to what the same rules give real stays, and told by property, tier and rule."""

import datetime as dt
import random
from decimal import Decimal

import pytest
from django.db.models import Sum

from hotels.models import ExchangeRate
from loyalty.models import EarningRule, EarningRuleSet, Membership, Posting, TierChange
from loyalty.selectors.backtest import compare_rule_sets
from loyalty.services.memberships import enrol_member
from members.models import Stay
from members.services.stays import FolioLineInput, StayInput, post_stays
from tests.factories import NOW, base_rule, make_guest, make_programme, make_property, publish_rules

pytestmark = pytest.mark.django_db

SINCE, UNTIL = dt.date(2025, 6, 15), dt.date(2026, 6, 15)
CATEGORIES = ("room", "food", "spa")
# Tiers, rates, tier changes, rules of both versions, stays, lines; the folios of stays with rebates; and policies, tiers
# and thresholds, which ask for no points here.
QUERIES = 10


@pytest.fixture
def programme():
    return make_programme()


@pytest.fixture
def places():
    ExchangeRate.objects.create(
        currency="THB", to_currency="CNY", effective_from=dt.date(2020, 1, 1), rate=Decimal("0.2137")
    )
    return [make_property("SH1"), make_property("BK1", currency="THB")]


def members(programme, count=4):
    enrolled_at = NOW - dt.timedelta(days=700)
    return [
        enrol_member(actor=None, now=enrolled_at, programme=programme, guest_id=make_guest(f"客人{number}").pk)
        for number in range(count)
    ]


def invent(dice, memberships, places, count):
    """Stays of the last year, some with rebates, unpaid lines, or more than one charge a day."""
    rows = []
    # A day of departure for each: which of two stays of a day moved the member up is not told afterwards.
    days = dice.sample(range(365), count)
    for number in range(count):
        place = dice.choice(places)
        nights = dice.randint(1, 4)
        departure = SINCE + dt.timedelta(days=days[number])
        arrival = departure - dt.timedelta(days=nights)
        lines = [
            FolioLineInput(
                line_reference=str(index),
                business_date=arrival + dt.timedelta(days=dice.randint(0, nights - 1)),
                category=dice.choice(CATEGORIES),
                net_amount=Decimal(dice.randint(-5000 if dice.random() < 0.2 else 0, 90_000)) / 100,
                is_eligible=dice.random() < 0.9,
            )
            for index in range(dice.randint(0, 5))
        ]
        rows.append(
            StayInput(
                place_id=place.pk,
                source_system="pms",
                source_reference=f"{number}",
                guest_id=dice.choice(memberships).guest_id,
                arrival_date=arrival,
                departure_date=departure,
                lines=lines,
                currency=place.currency,
                rate_plan=dice.choice(["BAR", "CORP"]),
                channel=dice.choice(["direct", "ota"]),
            )
        )
    post_stays(actor=None, now=NOW, rows=rows)


def rule(code, **fields):
    return EarningRule(
        **{"code": code, "name": code, "value": Decimal(1), "condition": {"all": []}, "result": "rate", **fields}
    )


def draft(programme, *rules):
    rule_set = EarningRuleSet.objects.create(
        programme=programme, number=programme.earning_rule_sets.count() + 1, name="draft", created_at=NOW
    )
    for row in rules:
        row.rule_set = rule_set
        row.full_clean()
        row.save()
    return rule_set


def compare(programme, after, before=None):
    return compare_rule_sets(programme=programme, before=before, after=after, since=SINCE, until=UNTIL, today=UNTIL)


def rich_rules():
    """Every kind of result, basis and stacking, with conditions on the stay and on the member."""
    direct = {"field": "stay.channel", "op": "is", "value": "direct"}
    gold = {"field": "member.tier_rank", "op": "gte", "value": 2}
    return [
        base_rule("base", "1", currency=""),
        base_rule("silver", "1.25", currency=""),
        base_rule("gold", "1.5", currency=""),
        base_rule("diamond", "2", currency=""),
        base_rule("", "3", code="spa", currency="", categories=["spa"], priority=5),
        rule("weekend", result="multiplier", value=Decimal("1.5"), charge_weekdays=[6, 7]),
        rule(
            "winter", result="multiplier", value=2, charges_from=dt.date(2025, 12, 1), charges_until=dt.date(2026, 2, 1)
        ),
        rule("nights", basis="nights", value=50, condition={"all": [direct, {"not": gold}]}),
        rule("welcome", basis="stays", result="fixed", value=200, condition={"any": [gold, direct]}, cap_month=400),
        rule("dinner", result="fixed", value=Decimal(80), categories=["food"], stacking="best_of", group="treat"),
        rule(
            "dine",
            value=Decimal("0.7"),
            currency="CNY",
            categories=["food"],
            stacking="best_of",
            group="treat",
            cap_stay=300,
            condition={"all": [direct]},
        ),
    ]


@pytest.mark.parametrize("seed", range(4))
def test_the_rules_in_force_give_in_a_back_test_what_they_gave(programme, places, seed):
    dice = random.Random(seed)
    publish_rules(programme, *rich_rules(), start=dt.date(2021, 1, 1))
    in_force = programme.earning_rule_sets.get(effective_from=dt.date(2021, 1, 1))
    invent(dice, members(programme), places, 60)
    given = Posting.objects.filter(account__membership__programme=programme, source_system="pms")

    found = compare(programme, in_force, before=in_force)

    assert found.total.stays == Stay.objects.count() == 60
    assert found.total.before == found.total.after == given.aggregate(total=Sum("points"))["total"]
    for place in places:
        total = given.filter(property=place).aggregate(total=Sum("points"))["total"] or 0
        assert found.by_property[place.pk].after == total
    # The year moved members up: stays before and after the change were judged by other tiers.
    assert TierChange.objects.exists()
    assert len(found.by_tier) > 1
    assert found.members_more == found.members_fewer == 0
    assert not found.largest
    assert 0 < found.reckoned_singly < 60


def test_a_draft_is_told_by_property_rule_and_member(programme, places):
    invent(random.Random(9), members(programme), places, 40)
    in_force = programme.earning_rule_sets.get()
    doubled = [
        base_rule(code, str(2 * Decimal(rate)))
        for code, rate in [("base", "1"), ("silver", "1"), ("gold", "1.5"), ("diamond", "2")]
    ]
    after = draft(programme, *doubled, rule("gift", basis="stays", result="fixed", value=100, currency=""))

    found = compare(programme, after, before=in_force)

    assert found.by_rule["gift"].before == 0
    assert found.by_rule["gift"].after == 100 * found.by_rule["gift"].stays_after
    base = [
        found.by_rule[f"base-{tier}"]
        for tier in ("base", "silver", "gold", "diamond")
        if f"base-{tier}" in found.by_rule
    ]
    assert all(2 * one.before <= one.after < 2 * one.before + one.stays_after for one in base)
    assert found.total.after == sum(one.after for one in found.by_rule.values())
    assert sum(one.after for one in found.by_property.values()) == found.total.after
    # Stays in baht earn nothing by the rules in yuan but get the gift.
    assert found.by_property[places[1].pk].before == 0
    assert found.by_property[places[1].pk].after > 0
    assert found.members_more == found.members == 4
    differences = [one.difference for one in found.largest]
    assert differences == sorted(differences, reverse=True)
    assert sum(found.qualifying.values()) == sum(one.after - one.before for one in base)


def test_the_largest_differences_are_fifty_and_in_both_directions(programme, places):
    invent(random.Random(3), members(programme), places[:1], 70)
    after = draft(programme, rule("gift", basis="stays", result="fixed", value=400))

    found = compare(programme, after, before=programme.earning_rule_sets.get(status="published"))

    assert len(found.largest) == 50
    sizes = [abs(one.difference) for one in found.largest]
    assert sizes == sorted(sizes, reverse=True)
    assert {one.difference > 0 for one in found.largest} == {True, False}
    assert found.members_fewer + found.members_more <= found.members


def test_budgets_and_caps_are_kept_in_the_order_of_departure(programme, places):
    invent(random.Random(5), members(programme), places[:1], 30)
    after = draft(
        programme,
        rule("budget", basis="stays", result="fixed", value=100, budget_points=950),
        rule("monthly", basis="stays", result="fixed", value=70, cap_month=100),
    )

    found = compare(programme, after)

    assert found.by_rule["budget"].after == 950
    assert found.by_rule["budget"].stays_after == 10
    months = {}
    for guest_id, departure in (
        Stay.objects.filter(folio_lines__net_amount__gt=0, folio_lines__is_eligible=True)
        .distinct()
        .values_list("guest_id", "departure_date")
    ):
        months.setdefault((guest_id, departure.year, departure.month), []).append(departure)
    assert found.by_rule["monthly"].after <= sum(min(100, 70 * len(days)) for days in months.values())
    assert found.by_rule["monthly"].after % 10 == 0


def test_only_finished_stays_of_active_members_in_the_period_count(programme, places):
    some = members(programme, 2)
    invent(random.Random(1), some, places[:1], 12)
    in_force = programme.earning_rule_sets.get()
    Membership.objects.filter(pk=some[0].pk).update(status=Membership.Status.SUSPENDED)
    others = Stay.objects.filter(guest=some[1].guest_id)
    others.filter(pk=others.first().pk).update(status=Stay.Status.VOIDED)
    others.filter(pk=others.last().pk).update(departure_date=UNTIL)

    found = compare(programme, in_force)

    assert found.total.stays == others.count() - 2
    assert found.members == 1


def test_the_number_of_queries_does_not_grow_with_the_stays(programme, places, django_assert_num_queries):
    in_force = programme.earning_rule_sets.get()
    people = members(programme)
    invent_more(people, places, 3)
    with django_assert_num_queries(QUERIES):
        compare(programme, in_force)
    invent_more(people, places, 30)
    with django_assert_num_queries(QUERIES):
        compare(programme, in_force)


def invent_more(people, places, count):
    dice = random.Random(2)
    rows = [
        StayInput(
            place_id=places[0].pk,
            source_system=f"more{count}",
            source_reference=str(number),
            guest_id=dice.choice(people).guest_id,
            arrival_date=SINCE,
            departure_date=SINCE + dt.timedelta(days=1),
            currency="CNY",
            lines=[
                FolioLineInput(line_reference="1", business_date=SINCE, category="room", net_amount=Decimal(100)),
                FolioLineInput(line_reference="2", business_date=SINCE, category="room", net_amount=Decimal(-10)),
            ],
        )
        for number in range(count)
    ]
    post_stays(actor=None, now=NOW, rows=rows)
