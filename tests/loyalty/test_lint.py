"""What is odd in earning rules and thresholds: each finding where it should be, and not where it should not."""

import datetime as dt
from decimal import Decimal

import pytest
import time_machine
from django.test import Client
from django.urls import reverse
from django.utils import translation

from config.demo.programme import make_programme as make_demo_programme
from hotels.models import Role
from loyalty.models import EarningRule, Programme, TierCriteria
from loyalty.rules.earning.lint import lint_rules
from loyalty.rules.qualification import TARGET
from loyalty.rules.tier_lint import TierTerms, lint_tiers
from loyalty.selectors.findings import findings_of_rules, findings_of_tiers
from loyalty.services.rules import create_draft
from members.rules.conditions import parse, read
from tests.factories import NOW, at_least, base_rule, make_programme, make_property, make_staff

BEGINS = dt.date(2026, 7, 1)
TIERS = [("base", 0, "Member"), ("gold", 1, "Gold")]
GOLD = {"all": [{"field": "member.tier", "op": "in", "value": ["gold"]}]}
MEMBER = {"all": [{"field": "member.tier", "op": "is", "value": "base"}]}
LONG = {"field": "stay.nights", "op": "gte", "value": 3}


def rule(code="r", **terms):
    return EarningRule(**{"code": code, "name": code, "value": Decimal(1), **terms})


def base(code="b", **terms):
    return rule(code, **{"is_base": True, **terms})


def grouped(code, **terms):
    return base(code, **{"stacking": "exclusive", "group": "base", **terms})


def multiple(code="m", value=2, **terms):
    return rule(code, result="multiplier", value=Decimal(value), **terms)


def event(code, **terms):
    return rule(code, **{"basis": "event", "event": "birthday", "result": "fixed", "value": Decimal(500), **terms})


def codes(*rules, **given):
    found = lint_rules(
        rules, **{"tiers": TIERS, "currency": "CNY", "point_value": Decimal("0.02"), "begins": BEGINS, **given}
    )
    return [(finding.code, finding.about) for finding in found]


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ([grouped("a"), grouped("b")], [("same_priority", ("a", "b"))]),
        ([grouped("a"), grouped("b", condition=GOLD)], [("same_priority", ("a", "b"))]),
        ([grouped("a", categories=["room"]), grouped("b", categories=["food"])], []),
        ([grouped("a", condition=MEMBER), grouped("b", condition=GOLD)], []),
        ([grouped("a", charge_weekdays=[6]), grouped("b", charge_weekdays=[7])], []),
        ([grouped("a", charges_until=dt.date(2027, 1, 1)), grouped("b", charges_from=dt.date(2027, 1, 1))], []),
        ([grouped("a", currency="CNY"), grouped("b", currency="USD")], []),
        ([grouped("a", group="x"), grouped("b")], []),
        # The first is for all that the second is for.
        ([grouped("a", priority=1), grouped("b", condition=GOLD)], [("unreachable", ("b", "a"))]),
        ([grouped("a", priority=1, condition=GOLD), grouped("b")], []),
        (
            [
                grouped("a", priority=1, condition={"field": "member.tier", "op": "in", "value": ["base", "gold"]}),
                grouped("b", condition={"all": [*GOLD["all"], LONG]}),
            ],
            [("unreachable", ("b", "a"))],
        ),
        ([grouped("a", priority=1, categories=["room"]), grouped("b", categories=["room", "food"])], []),
        ([grouped("a", priority=1, categories=["room", "food"]), grouped("b", categories=["room"])], [("unreachable", ("b", "a"))]),
        # Without a rate of exchange only the second counts.
        ([grouped("a", priority=1), grouped("b", currency="USD")], []),
        ([base("a"), rule("stop", basis="stays", value=Decimal(9), result="fixed", priority=2, stops=True)], [("unreachable", ("a", "stop"))]),
        ([base("a", priority=2), rule("stop", basis="stays", value=Decimal(9), result="fixed", priority=2, stops=True)], []),
        ([base(), multiple(cap_stay=9, charges_until=BEGINS)], [("over", ("m",))]),
        ([base(), multiple(cap_stay=9, charges_until=BEGINS + dt.timedelta(days=1))], []),
        ([multiple(cap_stay=9)], [("no_base", ("m",))]),
        ([base(categories=["food"]), multiple(cap_stay=9, categories=["room"])], [("no_base", ("m",))]),
        ([base(basis="nights"), multiple(cap_stay=9)], [("no_base", ("m",))]),
        ([base(basis="nights"), multiple(cap_stay=9, basis="stays")], []),
        ([base(condition=GOLD)], [("tier_left_out", ("base",))]),
        ([base(condition=GOLD), base("b2", condition=MEMBER)], []),
        ([base(condition={"not": GOLD})], [("tier_left_out", ("gold",))]),
        ([base(condition={"any": [*GOLD["all"], LONG]})], []),
        ([base(), multiple("x", 3), multiple("y", 4)], [("unbounded", ("x", "y"))]),
        ([base(), multiple("x", 3), multiple("y", 3)], []),
        ([base(), multiple("x", 3), multiple("y", 4, cap_month=1000)], []),
        ([base(), multiple("x", 3, charge_weekdays=[6]), multiple("y", 4, charge_weekdays=[7])], []),
        ([base(), multiple("x", 3, condition=MEMBER), multiple("y", 4, condition=GOLD)], []),
        ([base(), *[multiple(k, 3, stacking="best_of", group="g") for k in "uvwxy"]], []),
        ([base(), multiple("x", 3), rule("more", value=Decimal(3))], [("unbounded", ("more", "x"))]),
        ([event("a"), event("b")], [("event_twice", ("a", "b"))]),
        ([event("a"), event("b", condition=GOLD)], []),
        ([event("a"), event("b", event="enrolment")], []),
        ([base(value=Decimal(16))], [("costly", ("b",))]),
        ([base(value=Decimal(15))], []),
        ([base(value=Decimal(15), point_cost=Decimal("0.03"))], [("costly", ("b",))]),
        ([base(value=Decimal(16), currency="USD")], []),
        ([base(value=Decimal(10)), multiple(value="2.6", cap_stay=9)], [("costly", ("m",))]),
        ([base(value=Decimal(10)), multiple(value="2.5", cap_stay=9)], []),
    ],
)  # fmt: skip
def test_each_finding_is_where_it_should_be(rules, expected):
    assert codes(*rules) == expected


def test_a_rule_for_the_whole_is_not_sure_to_take_what_an_earlier_one_may_have_taken():
    whole = rule("whole", basis="stays", result="fixed", stacking="exclusive", group="g", priority=1)
    last = rule("last", stacking="exclusive", group="g")
    room = rule("room", categories=["room"], stacking="exclusive", group="g", priority=2)

    assert codes(whole, last) == [("unreachable", ("last", "whole"))]
    assert codes(whole, last, room) == []


def test_many_rules_for_single_hotels_are_judged_quickly():
    hotels = [
        multiple(f"h{n:02}", 3, condition={"all": [{"field": "stay.property", "op": "in", "value": [f"H{n}"]}]})
        for n in range(60)
    ]

    assert codes(base(), *hotels) == []
    assert codes(base(), *hotels, multiple("z", 4)) == [("unbounded", ("h59", "z"))]


def tiers(*trees):
    return [
        TierTerms(code=f"t{rank}", name=f"T{rank}", rank=rank, node=None if tree is None else parse(tree, TARGET))
        for rank, tree in enumerate(trees)
    ]


@pytest.mark.parametrize(
    ("trees", "expected"),
    [
        ([None, at_least(nights=10), at_least(nights=20)], []),
        ([None, at_least(amount="5000", stays=5), at_least(amount="10000", stays=10)], []),
        ([None, at_least(nights=10), at_least(every=True, nights=10, stays=3)], []),
        ([None, at_least(nights=10), None], []),
        ([None, None, at_least(nights=20)], [("tier_gap", ("t1",))]),
        ([None, at_least(nights=20), at_least(nights=10)], [("tier_easier", ("t2", "t1"))]),
        ([None, at_least(nights=10), at_least(nights=20, stays=5)], [("tier_easier", ("t2", "t1"))]),
        ([None, at_least(nights=10), at_least(nights=10)], [("tier_equal", ("t1", "t2"))]),
        ([None, at_least(nights=10), {"all": [{"field": "nights", "op": "gt", "value": 9}]}], [("tier_equal", ("t1", "t2"))]),
        # A lifetime tier is meant to be reached past the others.
        ([None, at_least(nights=10), at_least(nights=20, lifetime_nights=100)], []),
        ([None, at_least(lifetime_nights=200), at_least(lifetime_nights=100)], [("tier_easier", ("t2", "t1"))]),
    ],
)  # fmt: skip
def test_thresholds_are_compared_at_the_figures_they_mention(trees, expected):
    assert [(finding.code, finding.about) for finding in lint_tiers(tiers(*trees))] == expected


def test_thresholds_that_cannot_be_read_any_more_stop_nothing():
    broken = {"all": [{"field": "no.such", "op": "gte", "value": "x"}]}
    terms = [TierTerms("a", "A", 0, None), TierTerms("b", "B", 1, read(broken, TARGET)), *tiers(at_least(nights=3))]

    assert isinstance(lint_tiers(terms), list)


@pytest.mark.django_db
@pytest.mark.parametrize("language", ["zh-hans", "en"])
def test_the_rules_and_tiers_of_the_demo_and_of_the_tests_are_not_odd(language):
    with translation.override(language):
        for programme in (make_programme(), make_demo_programme(today=dt.date(2026, 2, 1), places=[make_property()])):
            today = dt.date(2026, 2, 1)
            assert [findings_of_rules(version, today=today) for version in programme.earning_rule_sets.all()] == [
                [] for _version in programme.earning_rule_sets.all()
            ]
            assert findings_of_tiers(programme, today=today) == []


def page(client, name, row):
    return client.get(reverse(f"admin:loyalty_{name}", args=[row.pk])).content.decode()


@pytest.mark.django_db
@time_machine.travel(NOW, tick=False)
def test_what_is_odd_stands_above_the_rules_and_before_publishing():
    programme: Programme = make_programme()
    draft = create_draft(actor=None, now=NOW, programme=programme)
    client = Client()
    client.force_login(make_staff(Role.GROUP_MANAGER))
    assert "data-finding" not in page(client, "earningruleset_change", draft)
    assert "data-finding" not in page(client, "earningruleset_publish", draft)

    base_rule(code="all", name="全部", rule_set=draft, priority=9).save()

    for name in ("earningruleset_change", "earningruleset_publish"):
        html = page(client, name, draft)
        assert html.count('data-finding="unreachable"') == 4
        assert "“普通 1”永远不会生效：“全部”排在前面，并占去了它所针对的一切。" in html
    # It is to be read, and keeps nobody from publishing.
    client.post(reverse("admin:loyalty_earningruleset_publish", args=[draft.pk]), {"effective_from": "2026-07-01"})
    draft.refresh_from_db()
    assert draft.status == "published"


@pytest.mark.django_db
@time_machine.travel(NOW, tick=False)
def test_odd_thresholds_stand_on_the_page_of_a_tier():
    programme = make_programme()
    gold = programme.tiers.get(code="gold")
    client = Client()
    client.force_login(make_staff(Role.GROUP_MANAGER))
    assert "data-finding" not in page(client, "tier_change", gold)

    TierCriteria.objects.filter(tier=gold).update(conditions=at_least(amount="3000", stays=10))

    html = page(client, "tier_change", gold)
    assert "达到“金卡”只需" in html
    assert html.count("data-finding") == 1
