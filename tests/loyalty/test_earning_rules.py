"""The arithmetic of earning: choice of rule, rounding, corrections."""

import datetime as dt
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from loyalty.rules.earning import (
    Bill,
    Charge,
    RuleBook,
    RuleTerms,
    RuleVersion,
    award_stay,
    ledger_reference,
    points_for,
    rules_given_before,
)

HOTEL, OTHER_HOTEL, GOLD, BASE = 1, 2, 30, 10
DAY = dt.date(2026, 6, 15)


def rule(number, *, rate="1", place=None, tier=None, category="", currency="CNY", start=None, end=None):
    """A base rate; as the dated rules of an earlier release were, the closest of them wins."""
    return RuleTerms(
        code=f"rule-{number}",
        name={"zh": f"rule {number}", "en": ""},
        matches=lambda facts: place in {None, facts["place"]} and tier in {None, facts["tier"]},
        categories=frozenset({category} if category else ()),
        currency=currency,
        value=Decimal(rate),
        charges_from=start,
        charges_until=end,
        is_base=True,
        stacking="exclusive",
        group="base",
        priority=4 * (place is not None) + 2 * (tier is not None) + bool(category),
    )


def charge(reference, amount, *, day=DAY, category="room", eligible=True):
    return Charge(reference, day, category, Decimal(amount), eligible)


def award(charges, *rules, tier=GOLD, place=HOTEL, currency="CNY"):
    version = RuleVersion(1, 1, dt.date(2020, 1, 1), rules)
    matching = version.matching({"tier": tier, "place": place})
    return award_stay(Bill(charges=charges, currency=currency), matching)


def choose(*rules, tier=GOLD, place=HOTEL, category="room", day=DAY):
    parts = award([charge("1", "1", category=category, day=day)], *rules, tier=tier, place=place).parts
    return int(parts[0]["rule"].removeprefix("rule-")) if parts else None


def test_the_rule_of_the_property_comes_before_that_of_the_tier_before_that_of_the_category():
    anywhere, category, tier = rule(1), rule(2, category="room"), rule(3, tier=GOLD)
    tier_and_category, place = rule(4, tier=GOLD, category="room"), rule(5, place=HOTEL)

    assert choose(anywhere, category) == 2
    assert choose(anywhere, category, tier) == 3
    assert choose(anywhere, category, tier, tier_and_category) == 4
    assert choose(anywhere, category, tier, tier_and_category, place) == 5


def test_a_rule_of_another_tier_property_category_or_currency_does_not_count():
    strangers = [
        rule(1, tier=BASE),
        rule(2, place=OTHER_HOTEL),
        rule(3, category="spa"),
        rule(4, currency="EUR"),
    ]

    assert choose(*strangers) is None


def test_the_rule_in_force_on_the_business_date_of_each_line_counts():
    before = rule(1, rate="1", end=dt.date(2026, 7, 1))
    after = rule(2, rate="2", start=dt.date(2026, 7, 1))
    charges = [charge("1", "100", day=dt.date(2026, 6, 30)), charge("2", "100", day=dt.date(2026, 7, 1))]

    result = award(charges, before, after)

    assert result.points == 300
    assert {part["rule"]: part["points"] for part in result.parts} == {"rule-1": 100, "rule-2": 200}


def test_fractions_are_dropped_once_for_each_rule_of_a_stay():
    result = award([charge("1", "0.60"), charge("2", "0.60")], rule(1, rate="1.5"))

    assert result.points == 1  # 1.20 × 1.5 = 1.8
    assert result.parts == [
        {
            "rule": "rule-1",
            "name": {"zh": "rule 1", "en": ""},
            "basis": "amount",
            "result": "rate",
            "rate": "1.5",
            "lines": ["1", "2"],
            "amounts": {"room": "1.20"},
            "amount": "1.20",
            "points": 1,
            "is_base": True,
        }
    ]


def test_a_negative_line_earns_nothing():
    result = award([charge("1", "-63.80")], rule(1))

    assert result.points == 0
    assert result.rebates == ["1"]


def test_a_line_that_may_not_earn_earns_nothing():
    result = award([charge("1", "100", eligible=False), charge("2", "50")], rule(1))

    assert result.points == 50
    assert result.unpaid == ["1"]


def test_a_rebate_takes_back_at_the_rate_its_category_was_given_by():
    room, spa = rule(1, rate="2", category="room"), rule(2, rate="1", category="spa")
    charges = [charge("1", "100"), charge("2", "100", category="spa")]

    assert award([*charges, charge("3", "-40")], room, spa).points == 220
    assert award([*charges, charge("3", "-40", category="spa")], room, spa).points == 260


def test_a_rebate_of_a_category_that_earned_nothing_costs_no_points():
    room = rule(1, category="room")
    charges = [charge("1", "100"), charge("2", "80", category="spa"), charge("3", "-80", category="spa")]

    assert award(charges, room).points == 100


def test_a_rebate_beyond_its_category_lowers_the_others():
    assert award([charge("1", "100"), charge("2", "-30", category="other")], rule(1)).points == 70


def test_a_correction_keeps_the_rule_of_the_lines_given_before():
    """Awards of an earlier release named a row and a rate for each line."""
    given = rules_given_before([{"rule": 1, "name": "rule 1", "rate": "2", "lines": ["1"]}], currency="CNY")

    later = award([charge("1", "100"), charge("2", "-50"), charge("3", "10")], rule(9, rate="5"), *given)

    assert {part["rule"]: part["amount"] for part in later.parts} == {"rule-9": "0.00", "given-1-2": "60.00"}
    assert later.points == 120


def test_the_version_with_the_latest_beginning_is_in_force():
    versions = [RuleVersion(pk, pk, dt.date(2026, pk, 1), ()) for pk in (3, 1, 7)]
    book = RuleBook(versions)

    assert book.in_force(dt.date(2025, 12, 31)) is None
    assert book.in_force(dt.date(2026, 2, 28)).id == 1
    assert book.in_force(dt.date(2026, 3, 1)).id == 3
    assert book.in_force(dt.date(2030, 1, 1)).id == 7
    assert book.get(1).number == 1


def test_a_long_number_still_makes_a_reference_that_the_ledger_can_keep():
    assert ledger_reference(3, "10233") == "3/10233"
    assert len(ledger_reference(3, "x" * 80)) <= 80
    assert ledger_reference(3, "x" * 80) != ledger_reference(3, "x" * 79 + "y")


amounts = st.decimals(min_value=Decimal("0.01"), max_value=Decimal("99999.99"), places=2)
categories = st.sampled_from(["room", "food", "spa"])
lines = st.lists(st.tuples(amounts, categories, st.integers(0, 9)), min_size=1, max_size=8)
rates = st.decimals(min_value=Decimal(0), max_value=Decimal(10), places=4)


def charges_of(rows):
    return [
        charge(str(number), amount, category=category, day=DAY + dt.timedelta(days=offset))
        for number, (amount, category, offset) in enumerate(rows)
    ]


@given(amount=amounts, rate=rates)
def test_points_never_exceed_the_exact_product_and_miss_it_by_less_than_one(amount, rate):
    points = points_for(amount, rate)

    assert points <= amount * rate < points + 1


@given(rows=lines, rate=rates, room_rate=rates, data=st.data())
def test_a_stay_posted_in_two_parts_brings_the_same_points(rows, rate, room_rate, data):
    rules = [rule(1, rate=str(rate)), rule(2, rate=str(room_rate), category="room")]
    charges = charges_of(rows)
    cut = data.draw(st.integers(0, len(charges)))

    whole = award(charges, *rules)
    first = award(charges[:cut], *rules)
    both = award(charges, *rules)

    assert first.points <= whole.points
    assert both.points == whole.points
    assert both.parts == whole.parts


@given(rows=lines, rate=rates, seed=st.randoms())
def test_the_order_of_lines_does_not_matter(rows, rate, seed):
    charges = [*charges_of(rows), charge("r", "-10.00", category="food")]
    shuffled = list(charges)
    seed.shuffle(shuffled)

    assert award(shuffled, rule(1, rate=str(rate))) == award(charges, rule(1, rate=str(rate)))


@given(rows=lines, rate=rates)
def test_refunding_every_line_leaves_no_points(rows, rate):
    charges = charges_of(rows)
    refunds = [charge(f"r{c.reference}", -c.net_amount, category=c.category, day=c.business_date) for c in charges]

    assert award([*charges, *refunds], rule(1, rate=str(rate)), rule(2, rate="3", category="spa")).points == 0


@given(rows=lines, rebate=amounts, rate=rates)
def test_a_rebate_never_adds_points_and_never_goes_below_nothing(rows, rebate, rate):
    charges = charges_of(rows)
    before = award(charges, rule(1, rate=str(rate)))

    after = award([*charges, charge("r", -rebate)], rule(1, rate=str(rate)))

    assert 0 <= after.points <= before.points
