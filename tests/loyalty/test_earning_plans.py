"""A plan gives every stay of its shape what the reckoning of the stay itself gives."""

import datetime as dt
from decimal import Decimal

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from loyalty.rules.earning import Bill, Caps, Charge, RuleTerms, award_stay
from loyalty.rules.earning.plan import CENTS, plan_stays

DAY = dt.date(2026, 6, 12)  # a Friday
NIGHTS = [DAY + dt.timedelta(days=day) for day in range(3)]
days = st.sampled_from(NIGHTS)
amounts = st.integers(0, 300_000).map(lambda cents: Decimal(cents) / 100)
lines = st.lists(st.tuples(st.sampled_from(["room", "food", "spa"]), days, amounts), max_size=6)


@st.composite
def rule_lists(draw, *, best_of=False):
    rules = []
    for number in range(draw(st.integers(0, 5))):
        basis = draw(st.sampled_from(["amount", "amount", "nights", "stays"]))
        result = draw(st.sampled_from(["rate", "rate", "multiplier", "fixed"]))
        stacking = draw(st.sampled_from(["add", "exclusive", *(["best_of"] if best_of else [])]))
        rules.append(
            RuleTerms(
                code=f"r{number}",
                name={"zh": "规则", "en": "rule"},
                value=draw(st.decimals(1, 9, places=draw(st.integers(0, 4)))),
                basis=basis,
                result=result,
                categories=frozenset(draw(st.sets(st.sampled_from(["room", "food", "spa"]), max_size=2))),
                currency=draw(st.sampled_from(["", "CNY", "THB"])),
                charges_from=draw(st.none() | days),
                weekdays=frozenset(draw(st.sets(st.sampled_from([5, 6, 7]), max_size=2))),
                is_base=result == "rate" and draw(st.booleans()),
                priority=draw(st.integers(0, 2)),
                stacking=stacking,
                group="" if stacking == "add" else draw(st.sampled_from(["a", "b"])),
                stops=draw(st.booleans()),
                caps=Caps(stay=draw(st.none() | st.integers(1, 3000))),
            )
        )
    return rules


def reckoned(rows, rules, unit_value):
    charges = [Charge(str(number), day, category, amount) for number, (category, day, amount) in enumerate(rows)]
    award = award_stay(Bill(charges=charges, currency="CNY", nights=NIGHTS, unit_value=unit_value), rules)
    return {part["rule"]: part["points"] for part in award.parts if part["points"]}


def planned(rows, rules, unit_value):
    plan = plan_stays(
        [(category, day) for category, day, _amount in rows],
        rules,
        currency="CNY",
        nights=NIGHTS,
        unit_value=unit_value,
    )
    if plan is None:
        return None
    points = plan.points([int(amount * CENTS) for _category, _day, amount in rows])
    return {rule.code: found for rule, found in points if found}


@settings(max_examples=150)
@given(lines, rule_lists(), st.sampled_from([Decimal(1), Decimal("0.2137"), None]))
def test_a_plan_gives_what_the_stay_itself_would_bring(rows, rules, unit_value):
    assert planned(rows, rules, unit_value) == reckoned(rows, rules, unit_value)


@settings(max_examples=80)
@given(lines, rule_lists(best_of=True))
def test_where_amounts_decide_there_is_no_plan_rather_than_a_wrong_one(rows, rules):
    found = planned(rows, rules, Decimal(1))
    assume(found is not None)
    assert found == reckoned(rows, rules, Decimal(1))


def test_two_rules_of_a_best_of_group_have_no_plan():
    rules = [
        RuleTerms(code=code, name={}, value=Decimal(2), stacking="best_of", group="season") for code in ("one", "two")
    ]
    assert plan_stays([("room", DAY)], rules, currency="CNY") is None
