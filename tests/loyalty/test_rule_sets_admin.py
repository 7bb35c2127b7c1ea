"""Versions of the earning rules in the administration, as a manager uses it."""

import datetime as dt

import pytest
import time_machine
from django.test import Client
from django.urls import reverse

from hotels.models import Role
from loyalty.models import EarningRuleSet
from loyalty.services.rules import create_draft, publish_rule_set
from tests.factories import NOW, make_member, make_programme, make_property, make_staff

JULY = dt.date(2026, 7, 1)
pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _now():
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def programme():
    programme = make_programme()
    make_member(programme)
    return programme


@pytest.fixture
def client():
    client = Client()
    client.force_login(make_staff(Role.GROUP_MANAGER))
    return client


def url_of(row, page="change"):
    return reverse(f"admin:loyalty_{row._meta.model_name}_{page}", args=[row.pk])


def values(**changes):
    return {
        "code": "double",
        "name": "周末双倍",
        "name_en": "",
        "basis": "amount",
        "event": "",
        "result": "multiplier",
        "value": "2",
        "currency": "",
        "categories": ["room"],
        "charge_weekdays": ["6", "7"],
        "condition": '{"all": [{"field": "stay.nights", "op": "gte", "value": 2}]}',
        "priority": "0",
        "stacking": "add",
        "group": "",
        **changes,
    }


def test_a_version_goes_from_draft_over_a_rule_to_a_date(client, programme):
    first = programme.earning_rule_sets.get()

    client.post(url_of(first, "make_draft"), {"name": "暑期"})
    draft = programme.earning_rule_sets.get(number=2)
    add = reverse("admin:loyalty_earningrule_add")
    assert f"{add}?rule_set={draft.pk}" in client.get(url_of(draft)).content.decode()
    saved = client.post(add, values(rule_set=draft.pk))
    assert saved["Location"] == url_of(draft)
    rule = draft.rules.get(code="double")
    assert (rule.charge_weekdays, rule.categories) == ([6, 7], ["room"])
    assert rule.condition == {"all": [{"field": "stay.nights", "op": "gte", "value": 2}]}
    page = client.get(url_of(draft)).content.decode()
    assert "客房消费按基础积分的 2 倍；仅限星期六、星期日；条件：" in page

    client.post(url_of(draft, "publish"), {"effective_from": "2026-07-01"})

    draft.refresh_from_db()
    assert (draft.name, draft.status, draft.effective_from) == ("暑期", "published", JULY)
    assert EarningRuleSet.objects.in_force(NOW.date()).get() == first


@pytest.mark.parametrize(
    ("changes", "field", "code"),
    [
        ({"basis": "event", "event": "birthday", "result": "fixed"}, "categories", "not_for_events"),
        ({"value": "1"}, "value", "multiplies_nothing"),
        ({"value": "-1", "result": "rate"}, "value", "min_value"),
        ({"stacking": "best_of"}, "group", "group_missing"),
        ({"charges_from": "2026-07-02", "charges_until": "2026-07-01"}, "charges_until", "until_before_from"),
        ({"code": "base-gold"}, "code", "code_taken"),
        ({"condition": '{"field": "no.such", "op": "is", "value": 1}'}, "condition", "unknown_field"),
    ],
)
def test_an_impossible_rule_is_refused_at_its_field(client, programme, changes, field, code):
    draft = create_draft(actor=None, now=NOW, programme=programme)

    answer = client.post(reverse("admin:loyalty_earningrule_add"), values(rule_set=draft.pk, **changes))

    form = answer.context["adminform"].form
    assert code in [error.code for error in form.errors.as_data()[field]]
    assert draft.rules.count() == 4


def test_a_multiple_without_base_points_is_refused_at_its_result(client, programme):
    draft = create_draft(actor=None, now=NOW, programme=programme)
    draft.rules.all().delete()

    answer = client.post(reverse("admin:loyalty_earningrule_add"), values(rule_set=draft.pk))

    assert [error.code for error in answer.context["adminform"].form.errors.as_data()["result"]] == ["no_base"]


@pytest.mark.parametrize("day", ["2026-06-15", "2020-06-01"])
def test_a_day_that_has_begun_is_refused_at_the_field(client, programme, day):
    draft = create_draft(actor=None, now=NOW, programme=programme)

    answer = client.post(url_of(draft, "publish"), {"effective_from": day})

    assert answer.status_code == 422
    assert "effective_from" in answer.context["form"].errors


def test_a_published_version_and_its_rules_are_read_only(client, programme):
    published = programme.earning_rule_sets.get()
    rule = published.rules.first()

    assert client.post(url_of(published), {"name": "x", "note": ""}).status_code == 403
    assert client.post(url_of(rule), values()).status_code == 403
    assert client.post(url_of(rule, "delete"), {"post": "yes"}).status_code == 403
    page = client.get(url_of(published)).content.decode()
    assert url_of(published, "make_draft") in page
    assert url_of(published, "publish") not in page
    assert published.rules.count() == 4


def test_a_version_to_come_is_withdrawn_and_a_draft_discarded(client, programme):
    coming = create_draft(actor=None, now=NOW, programme=programme)
    publish_rule_set(actor=None, now=NOW, rule_set_id=coming.pk, from_date=JULY)
    draft = create_draft(actor=None, now=NOW, programme=programme)
    assert url_of(coming, "withdraw") in client.get(url_of(coming)).content.decode()

    client.post(url_of(coming, "withdraw"), {"reason": "预算未批"})
    client.post(url_of(draft, "discard"), {"_do": ""})

    coming.refresh_from_db()
    assert coming.status == "withdrawn"
    assert not EarningRuleSet.objects.filter(pk=draft.pk).exists()


def test_the_list_tells_the_state_of_each_version(client, programme):
    coming = create_draft(actor=None, now=NOW, programme=programme)
    publish_rule_set(actor=None, now=NOW, rule_set_id=coming.pk, from_date=JULY)
    create_draft(actor=None, now=NOW, programme=programme)
    url = reverse("admin:loyalty_earningruleset_changelist")

    page = client.get(url).content.decode()
    assert all(word in page for word in ("生效中", "待生效", "草稿"))

    with time_machine.travel(NOW + dt.timedelta(days=30), tick=False):
        client.force_login(make_staff(Role.GROUP_MANAGER))
        assert "已被取代" in client.get(url).content.decode()


def test_a_new_version_begins_with_the_rules_in_force(client, programme):
    answer = client.post(reverse("admin:loyalty_earningruleset_add"), {"programme": programme.pk, "name": "会员日"})

    draft = programme.earning_rule_sets.get(number=2)
    assert answer["Location"] == url_of(draft)
    assert (draft.name, draft.rules.count()) == ("会员日", 4)


@pytest.mark.parametrize("page", ["make_draft", "publish", "withdraw", "discard"])
def test_only_those_who_may_change_rules_reach_the_steps(programme, page):
    draft = create_draft(actor=None, now=NOW, programme=programme)
    client = Client()
    client.force_login(make_staff(Role.PROPERTY_MANAGER, place=make_property()))

    answer = client.post(url_of(draft, page), {"effective_from": "2030-01-01", "reason": "x", "name": "x"})

    assert answer.status_code == 403
    draft.refresh_from_db()
    assert draft.is_draft
