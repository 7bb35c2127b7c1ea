"""How rules go together: against a slow reference written from the definitions, and metamorphic checks."""

import datetime as dt
from decimal import ROUND_FLOOR, Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loyalty.rules.earning import Bill, Caps, Charge, Cut, RuleTerms, award_event_rules, award_stay, nights_of

FRIDAY = dt.date(2026, 6, 12)
ARRIVAL, DEPARTURE = FRIDAY, dt.date(2026, 6, 15)
CATEGORIES = ["room", "food", "spa"]


def rule(code, **terms):
    return RuleTerms(**{"code": code, "name": {"zh": code, "en": ""}, "value": Decimal(1), **terms})


def base(rate="1.5", **terms):
    return rule("base", value=Decimal(rate), is_base=True, is_qualifying=True, **terms)


def charge(reference, amount, *, category="room", day=FRIDAY, eligible=True):
    return Charge(reference, day, category, Decimal(amount), eligible)


def award(charges, *rules, unit_value="1", currency="CNY", room=None, departure=DEPARTURE):
    bill = Bill(
        charges=charges,
        currency=currency,
        nights=nights_of(ARRIVAL, departure),
        unit_value=None if unit_value is None else Decimal(unit_value),
    )
    return award_stay(bill, rules, room=room)


def points(result):
    return {part["rule"]: part["points"] for part in result.parts}


ROOM = charge("1", "680.00")
SPA = charge("2", "100.00", category="spa", day=FRIDAY + dt.timedelta(3))


def test_a_multiplier_adds_to_the_unrounded_base_of_what_it_covers():
    double = rule("weekend", result="multiplier", value=Decimal(2), weekdays=frozenset({5, 6}))

    assert points(award([ROOM, SPA], base("1.003"), double)) == {"base": 782, "weekend": 682}  # 682.04, not 682


def test_several_multipliers_add_up():
    double = rule("double", result="multiplier", value=Decimal(2))
    triple = rule("triple", result="multiplier", value=Decimal(3))

    assert award([ROOM], base(), double, triple).points == 1020 + 1020 + 2040


def test_nights_and_stays_and_fixed_points_count_only_what_was_paid_for():
    rules = [
        rule("night", basis="nights", value=Decimal(500)),
        rule("stay", basis="stays", value=Decimal(100)),
        rule("gift", basis="amount", result="fixed", value=Decimal(50), categories=frozenset({"spa"})),
    ]

    assert points(award([ROOM, SPA], *rules)) == {"night": 1500, "stay": 100, "gift": 50}
    assert points(award([ROOM], *rules)) == {"night": 1500, "stay": 100}
    assert award([ROOM, charge("r", "-680")], *rules).points == 0
    assert award([], *rules).points == 0


def test_nights_of_a_weekend_count_by_their_own_dates():
    weekend = rule("weekend", basis="nights", value=Decimal(500), weekdays=frozenset({5, 6}))

    assert award([ROOM], weekend).points == 1000
    assert award([ROOM], weekend, departure=ARRIVAL).points == 0


def test_a_multiplier_of_nights_multiplies_what_nights_bring():
    night = rule("night", basis="nights", value=Decimal(500), is_base=True)
    double = rule("double", basis="nights", result="multiplier", value=Decimal(2), weekdays=frozenset({6}))

    assert points(award([ROOM], base(), night, double)) == {"base": 1020, "night": 1500, "double": 500}


def test_of_an_exclusive_group_each_charge_goes_to_the_first_that_covers_it():
    spa = rule("spa", value=Decimal(3), categories=frozenset({"spa"}), priority=1, stacking="exclusive", group="g")
    every = rule("every", value=Decimal(1), stacking="exclusive", group="g")

    assert points(award([ROOM, SPA], spa, every)) == {"spa": 300, "every": 680}


@pytest.mark.parametrize(("priority", "expected"), [(1, {"stay": 1000}), (-1, {"every": 780})])
def test_a_rule_for_the_whole_stay_takes_its_exclusive_group_or_leaves_it(priority, expected):
    every = rule("every", stacking="exclusive", group="g")
    stay = rule("stay", basis="stays", value=Decimal(1000), priority=priority, stacking="exclusive", group="g")

    assert points(award([ROOM, SPA], every, stay)) == expected


def test_of_a_best_of_group_the_one_with_most_points_counts():
    double = rule("double", result="multiplier", value=Decimal(2), stacking="best_of", group="g")
    gift = rule("gift", basis="stays", result="fixed", value=Decimal(900), stacking="best_of", group="g")

    assert points(award([ROOM], base(), double, gift)) == {"base": 1020, "double": 1020}
    assert points(award([charge("1", "500")], base(), double, gift)) == {"base": 750, "gift": 900}


def test_of_equals_in_a_best_of_group_the_higher_priority_then_the_earlier_code_counts():
    rules = [
        rule(code, basis="stays", value=Decimal(10), stacking="best_of", group="g", priority=priority)
        for code, priority in [("c", 0), ("b", 1), ("a", 0)]
    ]

    assert points(award([ROOM], *rules)) == {"b": 10}
    assert points(award([ROOM], rules[0], rules[2])) == {"a": 10}


def test_a_cap_per_stay_counts_in_the_choice_of_the_best():
    large = rule("large", value=Decimal(10), stacking="best_of", group="g", caps=Caps(stay=100))
    small = rule("small", value=Decimal(1), stacking="best_of", group="g")

    assert points(award([ROOM], large, small)) == {"small": 680}


def test_nothing_of_lower_priority_gets_what_a_rule_stops_at():
    staff = rule("staff", value=Decimal(0), categories=frozenset({"room"}), priority=9, stops=True)
    stay = rule("stay", basis="stays", value=Decimal(100))
    equal = rule("equal", value=Decimal(2), priority=9)

    assert points(award([ROOM, SPA], staff, base(), stay, equal)) == {"staff": 0, "base": 150, "equal": 1560}


def test_a_cap_cuts_and_says_so():
    result = award([ROOM], base(caps=Caps(stay=1000)))

    assert result.points == result.qualifying_points == 1000
    assert result.parts[0]["capped"] == {"by": "stay", "limit": 1000, "wanted": 1020}


def test_counters_cut_after_the_cap_of_the_stay():
    def room(asked, wanted):
        assert (asked.code, wanted) == ("base", 1000)
        return 300, Cut("month", 2000)

    result = award([ROOM], base(caps=Caps(stay=1000, month=2000)), room=room)

    assert result.parts[0]["points"] == 300
    assert result.parts[0]["capped"] == {"by": "month", "limit": 2000, "wanted": 1020}


def test_only_qualifying_rules_count_towards_tiers():
    double = rule("double", result="multiplier", value=Decimal(2))

    result = award([ROOM], base(), double)

    assert (result.points, result.qualifying_points) == (2040, 1020)


def test_another_currency_is_converted_or_has_rules_of_its_own():
    thb = rule("thb", value=Decimal("0.5"), currency="THB", priority=1, stacking="exclusive", group="g")
    every = rule("every", stacking="exclusive", group="g")

    assert points(award([ROOM], thb, every, currency="THB", unit_value="0.21")) == {"thb": 340}
    converted = award([ROOM], thb, every, currency="EUR", unit_value="7.85")
    assert points(converted) == {"every": 5338}
    assert converted.parts[0]["unit_value"] == "7.85"
    # Without an exchange rate nobody knows what a euro is worth.
    assert award([ROOM], every, currency="EUR", unit_value=None).points == 0


def test_every_rule_for_an_event_counts_within_its_caps():
    rules = [
        rule("b", basis="event", event="birthday", result="fixed", value=Decimal(500)),
        rule("a", basis="event", event="birthday", result="fixed", value=Decimal(100), caps=Caps(member=30)),
    ]

    result = award_event_rules(rules, room=lambda _rule, _points: (30, Cut("member", 30)))

    assert [(part["rule"], part["points"]) for part in result.parts] == [("a", 30), ("b", 500)]


# A slow reference


def floor(exact):
    return max(0, int(exact.to_integral_value(rounding=ROUND_FLOOR)))


def rebated(charges):
    left = {c.reference: c.net_amount for c in charges if c.is_eligible and c.net_amount >= 0}
    newest = sorted((c for c in charges if c.reference in left), key=lambda c: (c.business_date, c.reference))[::-1]
    rebates = [c for c in charges if c.is_eligible and c.net_amount < 0]
    over = Decimal(0)
    for category in {c.category for c in rebates}:
        owed = -sum(c.net_amount for c in rebates if c.category == category)
        for c in newest:
            if c.category == category:
                taken = min(owed, left[c.reference])
                left[c.reference] -= taken
                owed -= taken
        over += owed
    for c in newest:
        taken = min(over, left[c.reference])
        left[c.reference] -= taken
        over -= taken
    return left


def reference_points(charges, nights, rules):  # noqa: C901 - every definition in one place
    """Rule → points; every definition of the package's docstring, one unit at a time."""
    left = rebated(charges)
    charge_of = {("charge", c.reference): c for c in charges if c.reference in left}
    units = [*charge_of, *(("night", night) for night in nights), ("stay",)]
    paid = sum(left.values()) > 0
    order = sorted(rules, key=lambda r: (-r.priority, r.code))

    def covers(r, unit):
        if r.basis == "stays":
            return True
        if unit[0] == "charge":
            c = charge_of[unit]
            return r.basis == "amount" and (not r.categories or c.category in r.categories) and r.is_on(c.business_date)
        return unit[0] == "night" and r.basis == "nights" and r.is_on(unit[1])

    def whole(r):
        return r.result == "fixed" or r.basis == "stays"

    def worth(r, mine, bases):
        if not mine:
            return None
        if r.result == "multiplier":
            exact = sum(
                ((r.value - 1) * b.value * count(b, unit) for b, owned in bases for unit in owned if unit in mine),
                Decimal(0),
            )
        elif r.basis == "amount":
            amount = sum(left[unit[1]] for unit in mine)
            exact = amount * r.value if r.result == "rate" else r.value * (amount > 0)
        else:
            times = len(mine) if r.basis == "nights" and r.result == "rate" else 1
            exact = r.value * times * paid
        return floor(exact) if r.caps.stay is None else min(floor(exact), r.caps.stay)

    def count(b, unit):
        if b.basis == "amount":
            return left[unit[1]] if unit[0] == "charge" else Decimal(0)
        if b.basis == "nights":
            return Decimal(paid)
        return Decimal(paid and unit == ("stay",))

    def allowed(r, applied):
        mine = [unit for unit in units if covers(r, unit)]
        stopped = {
            unit
            for s, owned in applied
            if s.stops and s.stacking != "best_of" and s.priority > r.priority
            for unit in owned
        }
        if whole(r) and stopped & set(mine):
            return []
        mine = [unit for unit in mine if unit not in stopped]
        if r.stacking == "exclusive":
            earlier = [(s, owned) for s, owned in applied if s.stacking == "exclusive" and s.group == r.group]
            if (earlier and whole(r)) or any(whole(s) for s, _owned in earlier):
                return []
            mine = [unit for unit in mine if not any(unit in owned for _s, owned in earlier)]
        return mine

    def winners(candidates, applied, bases):
        best = {}
        for r in sorted(candidates, key=lambda r: (-r.priority, r.code)):
            got = worth(r, allowed(r, applied), bases)
            if got is not None and (r.group not in best or got > best[r.group][1]):
                best[r.group] = r, got
        return [r for r, _got in best.values()]

    first = winners([r for r in order if r.stacking == "best_of" and r.is_base], [], [])
    applied = []
    for r in order:
        if r.stacking != "best_of" or r in first:
            mine = allowed(r, applied)
            if mine:
                applied.append((r, mine))
    bases = [(r, owned) for r, owned in applied if r.is_base]
    for r in winners([r for r in order if r.stacking == "best_of" and not r.is_base], applied, bases):
        applied.append((r, allowed(r, [pair for pair in applied if pair[0].stacking != "best_of"])))
    return {r.code: worth(r, owned, bases) for r, owned in applied}


amounts = st.integers(-9000, 20000).map(lambda cents: Decimal(cents) / 100)


unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def charge_lists(draw):
    rows = draw(st.lists(st.tuples(amounts, st.sampled_from(CATEGORIES), st.integers(0, 3)), max_size=7))
    return [
        charge(f"{number}", amount, category=category, day=FRIDAY + dt.timedelta(offset))
        for number, (amount, category, offset) in enumerate(rows)
    ]


@st.composite
def rule_sets(draw):
    rules = []
    for number in range(draw(st.integers(1, 6))):
        basis = draw(st.sampled_from(["amount", "amount", "nights", "stays"]))
        result = draw(st.sampled_from(["rate", "rate", "multiplier", "fixed"]))
        stacking = draw(st.sampled_from(["add", "exclusive", "best_of"]))
        is_base = result == "rate" and draw(st.booleans())
        value = {"rate": ["0.5", "1.25", "2"], "multiplier": ["1.5", "2", "3"], "fixed": ["30", "500"]}[result]
        rules.append(
            rule(
                f"r{number}",
                basis=basis,
                result=result,
                value=Decimal(draw(st.sampled_from(value))),
                categories=frozenset(
                    draw(st.sets(st.sampled_from(CATEGORIES), max_size=2)) if basis == "amount" else ()
                ),
                weekdays=frozenset(draw(st.sampled_from([(), (5, 6), (7,)])) if basis != "stays" else ()),
                is_base=is_base,
                is_qualifying=is_base,
                priority=draw(st.integers(0, 2)),
                stacking=stacking,
                # Groups are of one stacking, and base or not, as the checks demand.
                group="" if stacking == "add" else f"{stacking}-{is_base if stacking == 'best_of' else ''}",
                stops=stacking != "best_of" and draw(st.booleans()),
                caps=Caps(stay=draw(st.sampled_from([None, None, 40]))),
            )
        )
    return rules


@unhurried
@given(charges=charge_lists(), rules=rule_sets())
def test_the_award_is_that_of_the_slow_reference(charges, rules):
    expected = reference_points(charges, nights_of(ARRIVAL, DEPARTURE), rules)

    assert points(award(charges, *rules)) == expected


@unhurried
@given(charges=charge_lists(), rules=rule_sets(), random=st.randoms())
def test_neither_the_order_of_charges_nor_that_of_rules_matters(charges, rules, random):
    expected = award(charges, *rules)
    shuffled_charges, shuffled_rules = list(charges), list(rules)
    random.shuffle(shuffled_charges)
    random.shuffle(shuffled_rules)

    assert award(shuffled_charges, *shuffled_rules) == expected


@unhurried
@given(charges=charge_lists(), rules=rule_sets())
def test_refunding_everything_brings_nothing(charges, rules):
    refunds = [
        charge(f"r{c.reference}", -c.net_amount, category=c.category, day=c.business_date)
        for c in charges
        if c.net_amount > 0
    ]

    assert award([*charges, *refunds], *rules).points == 0


@unhurried
@given(charges=charge_lists(), rules=rule_sets(), rebate=st.integers(1, 30000))
def test_a_rebate_never_adds_points(charges, rules, rebate):
    # Where another base rule wins after a rebate, multipliers may find more of what they cover.
    rules = [rule for rule in rules if not (rule.is_base and rule.stacking == "best_of")]
    before = award(charges, *rules).points

    after = award([*charges, charge("rebate", -Decimal(rebate) / 100)], *rules).points

    assert 0 <= after <= before
