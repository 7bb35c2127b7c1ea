"""The condition tree over plain facts: what is refused and where, what holds, why not, in words."""

import datetime as dt
from decimal import Decimal

import pytest
from django.utils import translation
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from members.rules.conditions import (
    ChoiceLists,
    Field,
    InvalidCondition,
    Kind,
    Target,
    compile_condition,
    failing,
    fields_of,
    has_problem,
    matches,
    parse,
    read,
    register_field_source,
    register_fields,
    register_target,
    sentence,
    tree_of,
    unregister,
    used_fields,
)
from members.rules.conditions import fields as registry
from members.rules.conditions.fields import OPERATORS
from members.rules.conditions.tree import MAX_DEPTH, MAX_NODES
from tests.members.condition_trees import trees

TODAY = dt.date(2026, 6, 15)
# The machine may be busy with other tests.
patient = settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
FIELDS = [
    Field("ship.masts", "ship", Kind.NUMBER, "number of masts", unit="masts"),
    Field("ship.price", "ship", Kind.MONEY, "price"),
    Field("ship.name", "ship", Kind.TEXT, "name"),
    Field("ship.launched", "ship", Kind.DATE, "launch"),
    Field("ship.is_fast", "ship", Kind.BOOLEAN, "fast", when_true="it is fast", when_false="it is slow"),
    Field("ship.port", "ship", Kind.CHOICE, "port", choices=[("SHA", "Shanghai"), ("HGH", "Hangzhou")]),
    Field("ship.cargo", "ship", Kind.CHOICES, "goods", choices=[("tea", "tea"), ("silk", "silk"), ("oil", "oil")]),
    Field("ship.month", "ship", Kind.MONTH, "month of the launch"),
    Field("ship.weekday", "ship", Kind.WEEKDAY, "day of the launch"),
]
OPTIONS = {"ship.port": ["SHA", "HGH"], "ship.cargo": ["tea", "silk", "oil"]}


@pytest.fixture(autouse=True, scope="module")
def _ships():
    """A target that stands in no table."""
    register_target(Target("ship", "ship"))
    register_fields(*FIELDS)
    yield
    unregister("ship")


def ask(op, value=None, field="ship.masts"):
    tree = {"field": field, "op": op}
    return tree if value is None else {**tree, "value": value}


def holds(tree, **facts):
    facts = {f"ship.{name}": value for name, value in facts.items()}
    return matches(parse(tree, "ship"), facts, today=TODAY)


def errors(tree):
    with pytest.raises(InvalidCondition) as caught:
        parse(tree, "ship")
    return [(path, code) for path, code, _message in caught.value.errors]


# What is refused


@pytest.mark.parametrize(
    ("tree", "expected"),
    [
        (None, [("", "shape")]),
        ([], [("", "shape")]),
        ({}, [("", "shape")]),
        ({"all": [], "any": []}, [("", "shape")]),
        ({"all": {}}, [("all", "shape")]),
        ({"any": []}, [("any", "empty_group")]),
        ({"all": [{"all": []}]}, [("all.0.all", "empty_group")]),
        ({"not": 3}, [("not", "shape")]),
        ({"field": "ship.masts", "op": "gte", "value": 3, "more": 1}, [("", "shape")]),
        ({"field": "ship.keel", "op": "is", "value": 1}, [("field", "unknown_field")]),
        ({"field": ["x"], "op": "is", "value": 1}, [("field", "no_field")]),
        ({"field": "ship.masts", "op": "contains", "value": 1}, [("op", "unknown_operator")]),
        ({"field": "ship.masts", "op": ["is"], "value": 1}, [("op", "unknown_operator")]),
        ({"field": "ship.masts", "value": 1}, [("op", "unknown_operator")]),
        (ask("gte", "3"), [("value", "not_a_number")]),
        (ask("gte", True), [("value", "not_a_number")]),
        (ask("gte", 3.0), [("value", "not_a_number")]),
        (ask("gte", 10**10), [("value", "out_of_range")]),
        (ask("gte"), [("value", "no_value")]),
        (ask("between", [3]), [("value", "no_value")]),
        (ask("between", [3, None]), [("value", "no_value")]),
        (ask("between", [4, 3]), [("value", "reversed")]),
        (ask("is_set", 1), [("value", "unexpected_value")]),
        (ask("gte", 9.5, "ship.price"), [("value", "not_an_amount")]),
        (ask("gte", "1e3", "ship.price"), [("value", "not_an_amount")]),
        (ask("gte", "NaN", "ship.price"), [("value", "not_an_amount")]),
        (ask("is", "a\0b", "ship.name"), [("value", "not_a_text")]),
        (ask("is", "\ud800", "ship.name"), [("value", "not_a_text")]),
        (ask("is", "  ", "ship.name"), [("value", "not_a_text")]),
        (ask("is", "a" * 201, "ship.name"), [("value", "too_long")]),
        (ask("before", "2026-02-30", "ship.launched"), [("value", "not_a_date")]),
        (ask("before", "20260201", "ship.launched"), [("value", "not_a_date")]),
        (ask("within_last_days", -1, "ship.launched"), [("value", "out_of_range")]),
        (ask("is", 1, "ship.is_fast"), [("value", "not_yes_or_no")]),
        (ask("is", "PEK", "ship.port"), [("value", "unknown_choice")]),
        (ask("in", "SHA", "ship.port"), [("value", "not_a_list")]),
        (ask("in", [], "ship.port"), [("value", "no_value")]),
        (ask("has_any", ["tea", "gold"], "ship.cargo"), [("value", "unknown_choice")]),
        (ask("in", [13], "ship.month"), [("value", "not_a_month")]),
        (ask("in", [0], "ship.weekday"), [("value", "not_a_weekday")]),
        (
            {"all": [ask("gte", "x"), {"any": [ask("gte", 1), {"not": ask("is", "PEK", "ship.port")}]}]},
            [("all.0.value", "not_a_number"), ("all.1.any.1.not.value", "unknown_choice")],
        ),
    ],
)
def test_what_is_wrong_is_refused_at_its_place(tree, expected):
    assert errors(tree) == expected


def test_a_tree_may_be_as_deep_and_as_large_as_the_limits_and_no_larger():
    deepest = ask("gte", 1)
    for _level in range(MAX_DEPTH - 1):
        deepest = {"not": deepest}

    assert parse(deepest, "ship")
    assert errors({"not": deepest})[0][1] == "too_deep"
    assert parse({"all": [ask("gte", 1)] * (MAX_NODES - 1)}, "ship")
    assert [code for _path, code in errors({"all": [ask("gte", 1)] * MAX_NODES})] == ["too_many"]


def test_nesting_without_end_is_refused_before_it_is_walked():
    bottomless: dict = {}
    bottomless["not"] = bottomless

    assert errors(bottomless)[0][1] == "too_deep"


def test_a_target_that_nobody_registered_is_a_mistake_of_the_program():
    with pytest.raises(LookupError, match="sheep"):
        parse({"all": []}, "sheep")


def test_a_field_cannot_ask_what_its_kind_does_not_know():
    with pytest.raises(ValueError, match="contains"):
        Field("ship.x", "ship", Kind.NUMBER, "x", operators=("contains",))


# What holds


@pytest.mark.parametrize(
    ("field", "op", "value", "yes", "no"),
    [
        ("masts", "is", 3, [3], [2]),
        ("masts", "gte", 3, [3, 4], [2]),
        ("masts", "gt", 3, [4], [3]),
        ("masts", "lte", 3, [3, 2], [4]),
        ("masts", "lt", 3, [2], [3]),
        ("masts", "between", [2, 4], [2, 3, 4], [1, 5]),
        ("price", "gte", "100.00", [Decimal(100), Decimal("100.01")], [Decimal("99.99")]),
        ("name", "is", "Morning", ["morning", "MORNING"], ["Morning ", "mornin"]),
        ("name", "in", ["a", "B"], ["A", "b"], ["c"]),
        ("name", "contains", "%", ["50% off"], ["50 off"]),
        ("name", "starts_with", "mor", ["Morning"], ["Tomorrow"]),
        ("name", "is", "É", ["É"], ["é"]),
        ("launched", "on_or_after", "2026-06-15", [TODAY], [dt.date(2026, 6, 14)]),
        ("launched", "before", "2026-06-15", [dt.date(2026, 6, 14)], [TODAY]),
        (
            "launched",
            "within_last_days",
            3,
            [dt.date(2026, 6, 12), TODAY],
            [dt.date(2026, 6, 11), dt.date(2026, 6, 16)],
        ),
        (
            "launched",
            "within_next_days",
            3,
            [TODAY, dt.date(2026, 6, 18)],
            [dt.date(2026, 6, 14), dt.date(2026, 6, 19)],
        ),
        ("is_fast", "is", True, [True], [False]),
        ("is_fast", "is", False, [False], [True]),
        ("port", "in", ["SHA"], ["SHA"], ["HGH"]),
        ("cargo", "has_any", ["tea", "oil"], [{"tea"}, {"oil", "silk"}], [{"silk"}]),
        ("cargo", "has_all", ["tea", "oil"], [{"tea", "oil", "silk"}], [{"tea"}]),
        ("month", "in", [1, 12], [1, 12], [6]),
        ("weekday", "in", [6, 7], [6], [5]),
    ],
)
def test_comparisons(field, op, value, yes, no):
    tree = ask(op, value, f"ship.{field}")

    assert [holds(tree, **{field: fact}) for fact in yes] == [True] * len(yes)
    assert [holds(tree, **{field: fact}) for fact in no] == [False] * len(no)
    assert [holds({"not": tree}, **{field: fact}) for fact in [*yes, *no]] == [False] * len(yes) + [True] * len(no)


@pytest.mark.parametrize("missing", [None, "", frozenset()])
@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.name)
def test_a_missing_fact_satisfies_only_what_asks_for_no_fact(field, missing):
    values = {
        "number": 1,
        "money": "1",
        "text": "a",
        "date": "2026-06-15",
        "boolean": False,
        "choice": "SHA",
        "choices": "tea",
        "month": 1,
        "weekday": 1,
    }
    one = values[field.kind]
    shapes = {"in": [one], "not_in": [one], "has_any": [one], "has_all": [one], "has_none": [one]}
    shapes |= {"between": [one, one], "is_set": None, "is_not_set": None, "within_last_days": 1, "within_next_days": 1}
    missing = missing or (frozenset() if field.kind == Kind.CHOICES else None)
    satisfied = {
        op
        for op in OPERATORS[field.kind]
        if matches(parse(ask(op, shapes.get(op, one), field.name), "ship"), {field.name: missing}, today=TODAY)
    }

    assert satisfied == {"is_not", "not_in", "has_none", "is_not_set"} & set(OPERATORS[field.kind])
    assert matches(parse(ask("is_not_set", None, field.name), "ship"), {})


def test_groups():
    big, cheap = ask("gte", 3), ask("lt", "10", "ship.price")

    assert holds({"all": []})
    assert holds({"all": [big, cheap]}, masts=3, price=Decimal(1))
    assert not holds({"all": [big, cheap]}, masts=3, price=Decimal(10))
    assert holds({"any": [big, cheap]}, masts=3, price=Decimal(10))
    assert not holds({"not": {"any": [big, cheap]}}, masts=3, price=Decimal(10))


def test_days_from_today_need_a_today():
    with pytest.raises(ValueError, match="today"):
        compile_condition(parse(ask("within_last_days", 3, "ship.launched"), "ship"))


FACTS = st.fixed_dictionaries(
    {
        "ship.masts": st.none() | st.integers(-1, 60),
        "ship.price": st.none() | st.sampled_from([Decimal(0), Decimal(100), Decimal("99.99"), Decimal(2000)]),
        "ship.name": st.none() | st.sampled_from(["web", "Web Direct", "%", "émile", "ß", ""]),
        "ship.launched": st.none() | st.dates(dt.date(2024, 1, 28), dt.date(2026, 7, 5)),
        "ship.is_fast": st.none() | st.booleans(),
        "ship.port": st.none() | st.sampled_from(["SHA", "HGH"]),
        "ship.cargo": st.frozensets(st.sampled_from(["tea", "silk", "oil"])),
        "ship.month": st.none() | st.integers(1, 12),
        "ship.weekday": st.none() | st.integers(1, 7),
    }
)


@patient
@given(trees(FIELDS, OPTIONS), FACTS)
def test_not_is_the_complement_and_writing_a_tree_back_changes_nothing(tree, facts):
    node = parse(tree, "ship")
    found = matches(node, facts, today=TODAY)

    assert matches(parse({"not": tree}, "ship"), facts, today=TODAY) is not found
    assert matches(parse(tree_of(node), "ship"), facts, today=TODAY) is found
    assert tree_of(read(tree_of(node), "ship")) == tree_of(node)


@patient
@given(trees(FIELDS, OPTIONS), FACTS)
def test_the_failing_leaves_are_why_a_tree_does_not_hold(tree, facts):
    node = parse(tree, "ship")
    named = failing(node, facts, today=TODAY)

    assert bool(named) is not matches(node, facts, today=TODAY)
    assert all(matches(leaf, facts, today=TODAY) is leaf.negated for leaf in named)


@patient
@given(trees(FIELDS, OPTIONS), st.sampled_from(["zh-hans", "en"]))
def test_every_tree_has_a_sentence_that_names_its_fields(tree, language):
    with translation.override(language):
        node = parse(tree, "ship")
        text = sentence(node)

    assert text
    assert "%(" not in text
    labels = {field.name: field.when_true or field.label for field in FIELDS}
    assert all(str(labels[name]) in text for name in used_fields(node) - {"ship.is_fast"})


def test_failing_names_the_leaf_that_should_have_been_false():
    node = parse({"all": [ask("gte", 3), {"not": ask("in", ["SHA"], "ship.port")}]}, "ship")

    named = failing(node, {"ship.masts": 4, "ship.port": "SHA"})

    assert [(leaf.name, leaf.negated, leaf.path) for leaf in named] == [("ship.port", True, "all.1.not")]
    with translation.override("en"):
        assert sentence(named[0]) == "not (port is Shanghai)"


# Trees that were stored when the fields were others


@pytest.mark.parametrize(
    "leaf",
    [
        {"field": "ship.keel", "op": "is", "value": 1},
        {"field": "ship.masts", "op": "gone", "value": 1},
        {"field": "ship.masts", "op": "is", "value": "three"},
        {"field": 3},
        "nonsense",
        None,
    ],
)
def test_what_cannot_be_understood_any_more_is_read_and_matches_nothing(leaf):
    for tree in (leaf, {"not": leaf}, {"any": [ask("gte", 1), leaf]}):
        node = read(tree, "ship")

        assert has_problem(node)
        assert not matches(node, {"ship.masts": 5})
        assert failing(node, {"ship.masts": 5})
        assert sentence(node)


def test_an_unregistered_field_is_named_in_the_sentence():
    with translation.override("en"):
        assert sentence(read(ask("is", 1, "ship.keel"), "ship")) == "unknown condition (ship.keel)"


def test_a_choice_that_is_gone_still_matches_and_shows_its_code():
    node = read(ask("in", ["PEK", "SHA"], "ship.port"), "ship")

    assert matches(node, {"ship.port": "PEK"})
    with translation.override("en"):
        assert sentence(node) == "port is PEK or Shanghai"


# In words


@pytest.mark.parametrize(
    ("tree", "english", "chinese"),
    [
        ({"all": []}, "always", "不限条件"),
        (ask("gte", 3), "number of masts is at least 3 masts", "number of masts不少于 3 masts"),
        (ask("between", ["1000", "2000.50"], "ship.price"), "price is between 1,000 and 2,000.50", None),
        (ask("is", True, "ship.is_fast"), "it is fast", "it is fast"),
        (ask("in", [12, 1, 2], "ship.month"), "month of the launch is December, January or February", None),
        (ask("not_in", [6, 7], "ship.weekday"), "day of the launch is not Saturday or Sunday", None),
        (ask("has_all", ["tea", "oil"], "ship.cargo"), "goods include tea and oil", None),
        (ask("within_last_days", 1, "ship.launched"), "launch lies within the last 1 day", None),
        (
            {"any": [ask("is", "Dawn", "ship.name"), {"all": [ask("gte", 3), ask("is_set", None, "ship.port")]}]},
            "name is “Dawn” or (number of masts is at least 3 masts and port is known)",
            "name为“Dawn”，或（number of masts不少于 3 masts，且port有记录）",
        ),
        ({"not": {"any": [ask("lt", 2), ask("gt", 5)]}}, "not (number of masts is less than 2 masts or number of masts is more than 5 masts)", None),
    ],
)  # fmt: skip
def test_a_tree_reads_as_a_sentence(tree, english, chinese):
    node = parse(tree, "ship")

    with translation.override("en"):
        assert sentence(node) == english
    if chinese:
        assert sentence(node) == chinese


# The registry


def test_choices_are_read_once_for_many_trees():
    read_times = []

    def ports():
        read_times.append(1)
        return [("SHA", "Shanghai")]

    register_fields(Field("ship.home", "ship", Kind.CHOICE, "home", choices=ports))
    lists = ChoiceLists()
    tree = {"any": [ask("is", "SHA", "ship.home"), ask("in", ["SHA"], "ship.home")]}

    nodes = [parse(tree, "ship", choices=lists) for _time in range(3)]
    assert [sentence(node, choices=lists) for node in nodes]

    assert len(read_times) == 1
    unregister("ship", "ship.home")


def test_fields_of_an_included_target_and_of_a_source_are_found(monkeypatch):
    monkeypatch.setattr(registry, "_sources", [])
    register_target(Target("fleet", "fleet", includes={"ship": "flagship__"}))
    register_fields(Field("fleet.size", "fleet", Kind.NUMBER, "size"))

    def custom_fields(target):
        return [Field("custom.colour", "ship", Kind.TEXT, "colour")] if target == "ship" else []

    register_field_source(custom_fields)
    names = [field.name for field in fields_of("fleet")]

    assert names == ["fleet.size", *[field.name for field in FIELDS], "custom.colour"]
    leaf = parse(ask("is", "red", "custom.colour"), "fleet")
    assert (leaf.name, leaf.prefix) == ("custom.colour", "flagship__")
    assert matches(leaf, {"custom.colour": "Red"})
    unregister("fleet")
