"""Thresholds and benefits change from a date on, not before, and leave an audit entry."""

import datetime as dt
import json

import pytest
import time_machine
from django.test import Client
from django.urls import reverse

from hotels.models import AuditEntry, Role
from loyalty.models import TierBenefit, TierCriteria
from loyalty.services.rules import (
    RuleChangeRefused,
    last_begun_date,
)
from loyalty.services.tier_terms import change_tier_benefit, change_tier_criteria
from tests.factories import NOW, at_least, make_member, make_programme, make_property, make_staff

JULY = dt.date(2026, 7, 1)
pytestmark = pytest.mark.django_db


@pytest.fixture
def manager():
    return make_staff(Role.GROUP_MANAGER)


@pytest.fixture
def programme():
    return make_programme()


@pytest.fixture
def benefit(programme):
    """Of the gold tier, in force since 2024."""
    gold = programme.tiers.get(code="gold")
    return TierBenefit.objects.create(tier=gold, name="欢迎水果", effective_from=dt.date(2024, 1, 1))


@pytest.fixture
def manager_client(manager):
    client = Client()
    client.force_login(manager)
    return client


def form_of(benefit, **changes):
    return {
        "tier": benefit.tier_id,
        "name": benefit.name,
        "name_en": benefit.name_en,
        "property": benefit.property_id or "",
        "effective_from": benefit.effective_from,
        "effective_until": benefit.effective_until or "",
        "kind": benefit.kind,
        "period": benefit.period,
        "quantity": benefit.quantity or "",
        **changes,
    }


def url_of(rule, page="change"):
    return reverse(f"admin:loyalty_{rule._meta.model_name}_{page}", args=[rule.pk])


@pytest.mark.parametrize("from_date", [dt.date(2020, 1, 1), NOW.date()])
def test_a_change_may_not_begin_on_a_day_that_has_begun(manager, benefit, from_date):
    with pytest.raises(RuleChangeRefused) as refused:
        change_tier_benefit(actor=manager, now=NOW, benefit_id=benefit.pk, from_date=from_date, name="行政酒廊")

    assert (refused.value.code, refused.value.field) == ("not_future", "effective_from")
    assert TierBenefit.objects.get(pk=benefit.pk).effective_until is None
    assert not AuditEntry.objects.exists()


def test_a_day_has_begun_where_it_begins_first(programme):
    make_property(time_zone="Pacific/Auckland")

    # 22:00 in Shanghai is 02:00 of the next day in Auckland.
    evening = dt.datetime(2026, 6, 15, 14, tzinfo=dt.UTC)

    assert last_begun_date(programme, evening) == dt.date(2026, 6, 16)


def test_a_change_after_the_end_of_the_benefit_is_refused(manager, benefit):
    benefit.effective_until = JULY
    benefit.save()

    with pytest.raises(RuleChangeRefused) as refused:
        change_tier_benefit(actor=manager, now=NOW, benefit_id=benefit.pk, from_date=JULY, name="行政酒廊")

    assert refused.value.code == "ends_before"


def test_thresholds_and_benefits_change_from_a_date(manager, programme, benefit):
    gold = programme.tiers.get(code="gold")

    criteria = change_tier_criteria(
        actor=manager, now=NOW, criteria_id=gold.criteria.get().pk, from_date=JULY, conditions=at_least(nights=12)
    )
    successor = change_tier_benefit(actor=manager, now=NOW, benefit_id=benefit.pk, from_date=JULY, name="行政酒廊")

    benefit.refresh_from_db()
    assert (criteria.effective_from, criteria.conditions) == (JULY, at_least(nights=12))
    assert (benefit.effective_until, successor.name) == (JULY, "行政酒廊")
    assert set(AuditEntry.objects.values_list("action", flat=True)) == {
        "tiercriteria.changed_from",
        "tierbenefit.ended",
        "tierbenefit.changed_from",
    }


@time_machine.travel(NOW, tick=False)
def test_the_form_refuses_to_alter_a_benefit_in_force_and_says_why_at_the_field(manager_client, benefit):
    answer = manager_client.post(url_of(benefit), form_of(benefit, name="行政酒廊"))

    assert answer.context["adminform"].form.errors.as_data()["name"][0].code == "in_force"
    assert TierBenefit.objects.get(pk=benefit.pk).name == "欢迎水果"
    assert url_of(benefit, "change_from") in answer.content.decode()


@time_machine.travel(NOW, tick=False)
def test_a_benefit_to_come_is_edited_and_deleted_freely_and_audited(manager_client, manager, benefit):
    coming = change_tier_benefit(actor=manager, now=NOW, benefit_id=benefit.pk, from_date=JULY, name="行政酒廊")

    manager_client.post(url_of(coming), form_of(coming, name="下午茶"))
    coming.refresh_from_db()
    manager_client.post(url_of(coming, "delete"), {"post": "yes"})

    assert coming.name == "下午茶"
    assert not TierBenefit.objects.filter(pk=coming.pk).exists()
    changed, deleted = AuditEntry.objects.order_by("id")[2:]
    assert (changed.action, changed.before, changed.after) == (
        "tierbenefit.changed",
        {"name": "行政酒廊"},
        {"name": "下午茶"},
    )
    assert (deleted.action, deleted.before["name"]) == ("tierbenefit.deleted", "下午茶")


@time_machine.travel(NOW, tick=False)
def test_a_benefit_in_force_is_not_deleted(manager_client, benefit):
    answer = manager_client.post(url_of(benefit, "delete"), {"post": "yes"})

    assert answer.status_code == 403
    assert TierBenefit.objects.filter(pk=benefit.pk).exists()


@time_machine.travel(NOW, tick=False)
def test_a_new_benefit_of_a_programme_with_members_begins_in_the_future(manager_client, programme, benefit):
    make_member(programme)
    url = reverse("admin:loyalty_tierbenefit_add")

    answer = manager_client.post(url, form_of(benefit, effective_from="2026-01-01"))
    accepted = manager_client.post(url, form_of(benefit, effective_from="2026-07-01"))

    assert answer.context["adminform"].form.errors.as_data()["effective_from"][0].code == "not_future"
    assert accepted.status_code == 302


@time_machine.travel(NOW, tick=False)
def test_the_page_lets_a_benefit_begin_on_a_date(manager_client, benefit):
    values = {"effective_from": "2026-07-01", "name": "行政酒廊", "name_en": "", "kind": "lounge", "period": "shown"}

    applied = manager_client.post(url_of(benefit, "change_from"), {**values, "_apply": ""})

    assert applied.status_code == 302
    assert TierBenefit.objects.get(pk=benefit.pk).effective_until == JULY


@time_machine.travel(NOW, tick=False)
def test_the_page_refuses_a_day_that_has_begun(manager_client, benefit):
    answer = manager_client.post(
        url_of(benefit, "change_from"),
        {"effective_from": "2026-06-15", "name": "行政酒廊", "kind": "lounge", "period": "shown", "_apply": ""},
    )

    assert answer.status_code == 422
    assert "effective_from" in answer.context["form"].errors


@time_machine.travel(NOW, tick=False)
def test_thresholds_in_force_are_neither_altered_nor_deleted_in_the_tier(manager_client, programme):
    gold = programme.tiers.get(code="gold")
    criteria = gold.criteria.get()
    rows = {
        "name": gold.name,
        "name_en": gold.name_en,
        "criteria-TOTAL_FORMS": 1,
        "criteria-INITIAL_FORMS": 1,
        "criteria-0-id": criteria.pk,
        "criteria-0-tier": gold.pk,
        "criteria-0-effective_from": "2020-01-01",
        "criteria-0-conditions": json.dumps(at_least(amount="10000", stays=10)),
        "benefits-TOTAL_FORMS": 0,
        "benefits-INITIAL_FORMS": 0,
    }
    url = reverse("admin:loyalty_tier_change", args=[gold.pk])

    altered = manager_client.post(url, {**rows, "criteria-0-conditions": json.dumps(at_least(amount="1"))})
    deleted = manager_client.post(url, {**rows, "criteria-0-DELETE": "on"})

    assert "conditions" in altered.context["inline_admin_formsets"][0].formset.errors[0]
    assert deleted.context["inline_admin_formsets"][0].formset.non_form_errors().as_data()[0].code == "in_force"
    assert TierCriteria.objects.get(pk=criteria.pk).conditions == at_least(amount="10000", stays=10)


def test_only_those_who_may_change_benefits_reach_the_page(benefit):
    client = Client()
    client.force_login(make_staff(Role.PROPERTY_MANAGER, place=make_property()))

    answer = client.post(url_of(benefit, "change_from"), {"effective_from": "2030-01-01", "name": "行政酒廊"})

    assert answer.status_code == 403
