"""The dated rules of an earlier release become versions that judge as they did, and back."""

import datetime as dt
from decimal import Decimal

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

BEFORE = [("loyalty", "0007_ledger_single")]
AFTER = [("loyalty", "0013_published_rules_stay")]
JULY = dt.date(2026, 7, 1)

pytestmark = pytest.mark.django_db(transaction=True)


def migrate(target):
    executor = MigrationExecutor(connection)
    executor.migrate(target)
    return MigrationExecutor(connection).loader.project_state(target).apps


@pytest.fixture
def old_apps():
    yield migrate(BEFORE)
    executor = MigrationExecutor(connection)
    executor.migrate(executor.loader.graph.leaf_nodes())


def make_flat_rules(apps):
    model = apps.get_model
    group = model("hotels", "HotelGroup").objects.create(name="集团")
    brand = model("hotels", "Brand").objects.create(group=group, code="B", name="品牌")
    place = model("hotels", "Property").objects.create(brand=brand, code="H1", name="酒店")
    programme = model("loyalty", "Programme").objects.create(code="CLUB", name="会")
    gold = model("loyalty", "Tier").objects.create(programme=programme, code="gold", name="金卡", rank=1)
    rules = model("loyalty", "EarningRule").objects
    for name, rate, start, end, scope in [
        ("基础", "1", dt.date(2020, 1, 1), None, {}),
        ("金卡", "1.5", dt.date(2020, 1, 1), JULY, {"tier": gold}),
        ("金卡", "2", JULY, None, {"tier": gold}),
        ("此店水疗", "3", dt.date(2025, 1, 1), JULY, {"property": place, "category": "spa"}),
    ]:
        rules.create(
            programme=programme,
            name=name,
            points_per_unit=Decimal(rate),
            effective_from=start,
            effective_until=end,
            **scope,
        )
    return rules


@pytest.mark.slow
def test_boundaries_become_versions_and_the_closest_the_first_of_a_group(old_apps):
    flat = make_flat_rules(old_apps)
    kept = set(flat.values_list("pk", flat=True))
    terms = sorted(flat.values_list("name", "points_per_unit", "effective_from"))

    apps = migrate(AFTER)

    sets = apps.get_model("loyalty", "EarningRuleSet").objects.order_by("number")
    assert [(s.number, s.effective_from, s.status) for s in sets] == [
        (1, dt.date(2020, 1, 1), "published"),
        (2, dt.date(2025, 1, 1), "published"),
        (3, JULY, "published"),
    ]
    rules = apps.get_model("loyalty", "EarningRule").objects
    told = [
        [
            (r.code, r.name, str(r.value), r.priority, r.categories)
            for r in rules.filter(rule_set=s).order_by("priority")
        ]
        for s in sets
    ]
    basic, gold = ("base-cny", "基础", "1.0000", 0, []), ("base-gold-cny", "金卡", "1.5000", 2, [])
    assert told == [
        [basic, gold],
        [basic, gold, ("base-h1-spa-cny", "此店水疗", "3.0000", 5, ["spa"])],
        [basic, ("base-gold-cny", "金卡", "2.0000", 2, [])],
    ]
    assert set(rules.values_list("stacking", "group", "is_base")) == {("exclusive", "base", True)}
    assert rules.get(rule_set=sets[1], code="base-h1-spa-cny").condition == {
        "all": [{"field": "stay.property", "op": "in", "value": ["H1"]}]
    }
    # Old explanations name rows: these are still there.
    assert kept <= set(rules.values_list("pk", flat=True))

    back = migrate(BEFORE).get_model("loyalty", "EarningRule").objects
    assert {(r.name, r.points_per_unit, r.effective_from) for r in back.all()} >= set(terms)
    assert set(back.filter(effective_until=None).values_list("name", "points_per_unit")) == {
        ("基础", Decimal("1.0000")),
        ("金卡", Decimal("2.0000")),
    }
