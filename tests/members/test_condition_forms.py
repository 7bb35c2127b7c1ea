"""The form field for conditions: what the builder sends is the tree, and what is wrong stands at its row."""

from html.parser import HTMLParser

import pytest
from django import forms
from django.http import QueryDict
from django.urls import reverse
from django.utils import translation
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hotels.models import Role
from members.forms import ConditionField
from members.models import Tag
from members.rules.conditions import EVERYTHING, fields_of, matches, parse, tree_of
from members.rules.conditions.draft import Group, Row, change, draft_of, tree_from
from tests.factories import make_property, make_room_type, make_staff
from tests.members.condition_trees import trees
from tests.members.test_conditions_queries import OPTIONS, TODAY

pytestmark = pytest.mark.django_db


class RuleForm(forms.Form):
    title = forms.CharField(required=False)
    conditions = ConditionField(target="stay")


@pytest.fixture
def house():
    bund = make_property("BUND", city="上海")
    make_property("WEST", city="杭州", currency="USD", brand=None)
    make_room_type(bund)
    make_room_type(bund, "TWIN")
    for code in OPTIONS["guest.tags"]:
        Tag.objects.create(code=code, name=code)


class Inputs(HTMLParser):
    """Collects what a browser with JavaScript would send of the builder."""

    def __init__(self, html):
        super().__init__()
        self.data = QueryDict(mutable=True)
        self.select = self.area = self.chosen = None
        self.in_builder = False
        self.attributes = []
        self.feed(str(html))

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.attributes.append(attrs)
        self.in_builder |= "conditions-builder" in (attrs.get("class") or "")
        if not self.in_builder:
            return
        if tag == "select":
            self.select, self.chosen = attrs["name"], None
        elif tag == "option" and (self.chosen is None or "selected" in attrs):
            self.chosen = attrs["value"]
        elif tag == "input" and (attrs.get("type") != "checkbox" or "checked" in attrs):
            self.data.appendlist(attrs["name"], attrs["value"])
        elif tag == "textarea":
            self.area = attrs["name"]
            self.data[self.area] = ""

    def handle_endtag(self, tag):
        if tag == "select" and self.select:
            self.data.appendlist(self.select, self.chosen or "")
            self.select = None
        elif tag == "textarea":
            self.area = None

    def handle_data(self, data):
        if self.area:
            self.data[self.area] += data.replace("\n", "\r\n")


def sent(form):
    return Inputs(form["conditions"].as_widget()).data


# There and back


@settings(max_examples=60, suppress_health_check=list(HealthCheck), deadline=None)
@given(st.data())
def test_a_tree_shown_and_sent_back_asks_the_same(house, data):
    fields = [
        field
        for field in fields_of("stay")
        if field.name not in {"stay.brand", "stay.currency"} and not field.name.startswith("member.")
    ]
    tree = tree_of(parse(data.draw(trees(fields, OPTIONS)), "stay"))
    form = RuleForm(sent(RuleForm(initial={"conditions": tree})))

    assert form.is_valid(), (tree, form.errors)
    back = form.cleaned_data["conditions"]
    # Groups of “not” are laid out anew once; after that nothing changes.
    assert RuleForm(sent(RuleForm(initial={"conditions": back}))).fields["conditions"].clean(draft_of(back)) == back
    same = [{}, {"stay.nights": 3, "guest.tags": {"vip"}, "stay.channel": "web", "stay.is_group": True}]
    for facts in same:
        before, after = parse(tree, "stay"), parse(back, "stay")
        assert matches(before, facts, today=TODAY) is matches(after, facts, today=TODAY)


@pytest.mark.parametrize(
    "tree",
    [
        {"all": []},
        {"any": [{"field": "stay.nights", "op": "gte", "value": 3}]},
        {"not": {"any": [{"field": "stay.nights", "op": "gte", "value": 3}]}},
        {"not": {"all": [{"field": "stay.nights", "op": "gte", "value": 3}, {"field": "guest.age", "op": "is_set"}]}},
        {"all": [{"any": [{"field": "stay.is_group", "op": "is", "value": False}]}]},
        {"all": [{"field": "stay.rate_plan", "op": "in", "value": ["BAR, flexible", "CORP"]}]},
        {"all": [{"field": "stay.net_total", "op": "between", "value": ["100.00", "5000"]}]},
        {"all": [{"field": "stay.arrival_month", "op": "in", "value": [1, 12]}]},
        {"all": [{"field": "stay.booked_on_date", "op": "within_last_days", "value": 30}]},
    ],
)
def test_a_tree_of_the_builder_comes_back_as_it_was(house, tree):
    form = RuleForm(sent(RuleForm(initial={"conditions": tree})), initial={"conditions": tree})

    assert form.is_valid(), form.errors
    assert form.cleaned_data["conditions"] == tree
    assert not form.has_changed()


def test_nothing_asked_is_everything_unless_something_must_be_asked(house):
    class Strict(forms.Form):
        conditions = ConditionField(target="stay", required=True)

    assert RuleForm(sent(RuleForm())).fields["conditions"].clean(Group("any")) == EVERYTHING
    assert RuleForm(sent(RuleForm())).is_valid()
    assert RuleForm({}).is_valid()
    assert Strict(sent(Strict())).errors.as_data()["conditions"][0].code == "required"


def test_numbers_may_be_typed_as_people_type_them(house):
    data = QueryDict(mutable=True)
    data.update({"conditions--mode": "all", "conditions-0-field": "stay.net_total", "conditions-0-op": "gte"})
    data.update({"conditions-0-value": " 5,000.50 ", "conditions-1-field": "stay.nights", "conditions-1-op": "gte"})
    data["conditions-1-value"] = "３"

    assert [leaf["value"] for leaf in RuleForm(data).fields["conditions"].clean(
        RuleForm(data).fields["conditions"].widget.value_from_datadict(data, {}, "conditions")
    )["all"]] == ["5000.50", 3]  # fmt: skip


# What is wrong


def test_each_mistake_stands_at_its_row_with_what_was_typed(house):
    data = QueryDict(
        "conditions--mode=all&conditions-0-field=stay.nights&conditions-0-op=gte&conditions-0-value=three"
        "&conditions-1-mode=any&conditions-1.0-field=&conditions-2-mode=none"
    )
    form = RuleForm(data)
    with translation.override("en"):
        html = form["conditions"].as_widget()
        errors = [str(error) for error in form.errors["conditions"]]

    assert errors == [
        "Condition 1: Enter a whole number.",
        "Condition 2.1: Choose what to ask about.",
        "Condition 3: Add a condition to this group, or remove the group.",
    ]
    assert [error.params["path"] for error in form.errors.as_data()["conditions"]] == [
        "all.0.value",
        "all.1.any.0.field",
        "all.2.not.any",
    ]
    wrong = {a["id"]: a["aria-describedby"] for a in Inputs(html).attributes if a.get("aria-invalid") == "true"}
    assert wrong == {
        "id_conditions_0_value": "id_conditions_0_problem",
        "id_conditions_1_0_field": "id_conditions_1_0_problem",
        "id_conditions_2": "id_conditions_2_problem",
    }
    assert set(wrong.values()) <= {a.get("id") for a in Inputs(html).attributes}
    assert 'value="three"' in html


@pytest.mark.parametrize(
    ("leaf", "shown"),
    [
        ({"field": "stay.keel", "op": "is", "value": 1}, "stay.keel"),
        ({"field": "stay.property", "op": "in", "value": ["GONE"]}, "GONE"),
        ("nonsense", "nonsense"),
        ({"field": "stay.nights", "op": "is", "value": 1, "more": 2}, "stay.nights"),
    ],
)
def test_what_is_no_condition_any_more_is_shown_and_refused(house, leaf, shown):
    unbound = RuleForm(initial={"conditions": {"all": [leaf]}})

    assert shown in unbound["conditions"].as_widget()
    if leaf != {"field": "stay.nights", "op": "is", "value": 1, "more": 2}:
        assert not RuleForm(sent(unbound)).is_valid()


@pytest.mark.parametrize("text", ["{", "[]", '{"all": 3}', "[" * 100_000, '{"all": [{"field": "x"}]}'])
def test_a_text_that_is_no_tree_is_refused_and_kept(house, text):
    form = RuleForm({"conditions": text})

    assert not form.is_valid()
    assert form["conditions"].value() == text
    assert form["conditions"].as_widget()


def test_a_tree_may_be_written_as_text(house):
    form = RuleForm({"conditions": ' {"all": [{"field": "stay.nights", "op": "gte", "value": 3}]} '})

    assert form.is_valid()
    assert form.cleaned_data["conditions"] == {"all": [{"field": "stay.nights", "op": "gte", "value": 3}]}


# What the buttons do


def test_the_buttons_change_the_draft_and_say_where_to_go_on():
    draft = Group(parts=[Row("stay.nights", "gte", ["3"])])

    assert change(draft, "add", "", "stay") == "1"
    assert change(draft, "add_group", "", "stay") == "2.0"
    assert change(draft, "add", "2", "stay") == "2.1"
    assert change(draft, "remove", "0", "stay") == ""
    assert draft == Group(parts=[Row(), Group("any", [Row(), Row()])])
    before = tree_from(draft, "stay")
    for action, path in [("add", "9"), ("remove", ""), ("remove", "7"), ("remove", "0.0"), ("field", "1"), ("x", "")]:
        change(draft, action, path, "stay")
    assert tree_from(draft, "stay") == before


# The address behind the buttons


@pytest.fixture
def press(client, house):
    client.force_login(make_staff(Role.MARKETER))

    def press(action, path="", **data):
        facts = {"name": "conditions", "target": "stay", "id": "id_conditions", "action": action, "path": path}
        facts = {f"conditions-{key}": data.pop(f"_{key}", value) for key, value in facts.items()}
        return client.post(reverse("members:condition_builder"), {**facts, "conditions--mode": "all", **data})

    return press


def test_a_button_redraws_the_builder_with_what_was_typed(press):
    answer = press("add", **{"conditions-0-field": "stay.nights", "conditions-0-op": "lte", "conditions-0-value": "7"})
    html = f'<div class="conditions-builder">{answer.text}</div>'

    assert Inputs(html).data.dict() == {
        "conditions--mode": "all",
        "conditions-0-field": "stay.nights",
        "conditions-0-op": "lte",
        "conditions-0-value": "7",
        "conditions-1-field": "",
    }
    assert "入住晚数不超过 7 晚" in answer.text
    assert "aria-invalid" not in answer.text


def test_another_field_brings_its_own_comparisons_and_an_empty_value(press):
    answer = press(
        "field", "0", **{"conditions-0-field": "guest.tags", "conditions-0-op": "lte", "conditions-0-value": "7"}
    )
    html = f'<div class="conditions-builder">{answer.text}</div>'

    assert Inputs(html).data.dict() == {
        "conditions--mode": "all",
        "conditions-0-field": "guest.tags",
        "conditions-0-op": "has_any",
    }
    assert "noisy" in answer.text


@pytest.mark.parametrize("facts", [{"_target": "sheep"}, {"_name": "a b"}, {"_id": '"><script>'}, {"_name": ""}])
def test_a_builder_of_something_else_is_not_there(press, facts):
    assert press("add", **facts).status_code == 404


def test_what_was_typed_is_escaped(press):
    row = {"conditions-0-field": '"><script>', "conditions-0-op": "is", "conditions-0-value": "<script>"}

    assert "<script>" not in press("refresh", **row).text


def test_the_builder_costs_one_query_for_each_list_it_shows(press, django_assert_num_queries):
    def rows(count):
        names = {f"conditions-{n}-field": "stay.property" for n in range(count)}
        return {**names, **{f"conditions-{n}-op": "in" for n in range(count)}}

    # Session and user, the roles, the properties of the user, the currencies of the revenue, the list.
    with django_assert_num_queries(5):
        press("refresh", **rows(1))
    with django_assert_num_queries(5):
        press("refresh", **rows(30))
