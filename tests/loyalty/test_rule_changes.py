"""What a programme gives changes from a date on, not before, and leaves an audit entry."""

import datetime as dt
import json
from decimal import Decimal

import pytest
import time_machine
from django.test import Client
from django.urls import reverse

from hotels.models import AuditEntry, Role
from loyalty.models import Account, EarningRule, TierBenefit, TierCriteria
from loyalty.services.memberships import enrol_member
from loyalty.services.rules import (
    RuleChangeRefused,
    change_earning_rule,
    last_begun_date,
    preview_rate,
)
from loyalty.services.tier_terms import change_tier_benefit, change_tier_criteria
from members.models import RevenueCategory
from members.services.guests import create_guest
from members.services.stays import FolioLineInput, post_stay
from tests.factories import NOW, at_least, make_programme, make_property, make_staff

JULY = dt.date(2026, 7, 1)
pytestmark = pytest.mark.django_db


@pytest.fixture
def manager():
    return make_staff(Role.GROUP_MANAGER)


@pytest.fixture
def programme():
    return make_programme()


@pytest.fixture
def rule(programme):
    """One point for a yuan, for members of the first tier, in force since 2020."""
    return programme.earning_rules.get(tier__code="base")


@pytest.fixture
def manager_client(manager):
    client = Client()
    client.force_login(manager)
    return client


def enrol(programme, place):
    guest = create_guest(actor=None, now=NOW, name="陈思远", phone="+8613800006621", source="desk", place=place)
    return enrol_member(actor=None, now=NOW, programme=programme, guest_id=guest.pk, place=place)


def stay_of(membership, place, night, *, reference, now=None, amount=1000):
    return post_stay(
        actor=None,
        now=now or dt.datetime.combine(night + dt.timedelta(1), dt.time(12), tzinfo=dt.UTC),
        place=place,
        source_system="pms",
        source_reference=reference,
        guest_id=membership.guest_id,
        arrival_date=night,
        departure_date=night + dt.timedelta(1),
        lines=[FolioLineInput("1", night, RevenueCategory.ROOM, Decimal(amount))],
        currency="CNY",
    )


def available(membership):
    return Account.objects.get(membership=membership).available


def form_of(rule, **changes):
    return {
        "programme": rule.programme_id,
        "name": rule.name,
        "tier": rule.tier_id or "",
        "property": rule.property_id or "",
        "category": rule.category,
        "currency": rule.currency,
        "points_per_unit": rule.points_per_unit,
        "effective_from": rule.effective_from,
        "effective_until": rule.effective_until or "",
        **changes,
    }


def url_of(rule, page="change"):
    return reverse(f"admin:loyalty_{rule._meta.model_name}_{page}", args=[rule.pk])


def test_the_old_rate_holds_before_the_date_and_the_new_one_from_it_on(manager, programme, rule):
    place = make_property()
    membership = enrol(programme, place)

    change_earning_rule(actor=manager, now=NOW, rule_id=rule.pk, from_date=JULY, points_per_unit=Decimal(3))

    stay_of(membership, place, dt.date(2026, 6, 30), reference="before", amount=100)
    assert available(membership) == 100
    stay_of(membership, place, JULY, reference="after", amount=100)
    assert available(membership) == 100 + 300


def test_a_stay_of_an_earlier_date_posted_late_earns_at_the_old_rate(manager, programme, rule):
    place = make_property()
    membership = enrol(programme, place)
    change_earning_rule(actor=manager, now=NOW, rule_id=rule.pk, from_date=JULY, points_per_unit=Decimal(3))
    in_august = dt.datetime(2026, 8, 1, 12, tzinfo=dt.UTC)

    stay_of(membership, place, dt.date(2026, 6, 30), reference="late", now=in_august, amount=100)

    assert available(membership) == 100


def test_a_change_ends_the_rule_and_begins_its_successor_with_two_audit_entries(manager, rule):
    successor = change_earning_rule(
        actor=manager, now=NOW, rule_id=rule.pk, from_date=JULY, points_per_unit=Decimal("1.25")
    )

    rule.refresh_from_db()
    assert (rule.effective_until, rule.points_per_unit) == (JULY, Decimal(1))
    assert (successor.effective_from, successor.effective_until, successor.tier_id) == (JULY, None, rule.tier_id)
    entries = AuditEntry.objects.order_by("id").values_list("action", "actor", "after__effective_until")
    assert list(entries) == [
        ("earningrule.ended", manager.pk, "2026-07-01"),
        ("earningrule.changed_from", manager.pk, None),
    ]


@pytest.mark.parametrize("from_date", [dt.date(2020, 1, 1), NOW.date()])
def test_a_change_may_not_begin_on_a_day_that_has_begun(manager, rule, from_date):
    with pytest.raises(RuleChangeRefused) as refused:
        change_earning_rule(actor=manager, now=NOW, rule_id=rule.pk, from_date=from_date, points_per_unit=Decimal(2))

    assert (refused.value.code, refused.value.field) == ("not_future", "effective_from")
    assert EarningRule.objects.get(pk=rule.pk).effective_until is None
    assert not AuditEntry.objects.exists()


def test_a_day_has_begun_where_it_begins_first(programme):
    make_property(time_zone="Pacific/Auckland")

    # 22:00 in Shanghai is 02:00 of the next day in Auckland.
    evening = dt.datetime(2026, 6, 15, 14, tzinfo=dt.UTC)

    assert last_begun_date(programme, evening) == dt.date(2026, 6, 16)


def test_a_change_after_the_end_of_the_rule_is_refused(manager, rule):
    rule.effective_until = JULY
    rule.save()

    with pytest.raises(RuleChangeRefused) as refused:
        change_earning_rule(actor=manager, now=NOW, rule_id=rule.pk, from_date=JULY, points_per_unit=Decimal(2))

    assert refused.value.code == "ends_before"


def test_thresholds_and_benefits_change_from_a_date(manager, programme):
    gold = programme.tiers.get(code="gold")
    benefit = TierBenefit.objects.create(tier=gold, name="欢迎水果", effective_from=dt.date(2024, 1, 1))

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


def test_the_preview_counts_members_revenue_and_points_at_both_rates(programme, rule):
    place = make_property()
    membership = enrol(programme, place)
    stay_of(membership, place, dt.date(2026, 6, 1), reference="a", amount=900)
    stay_of(membership, place, dt.date(2024, 6, 1), reference="too old", amount=5)

    effect = preview_rate(rule=rule, points_per_unit=Decimal("1.5"), now=NOW)

    assert (effect.members, effect.amount, effect.points_now, effect.points_then) == (1, 900, 900, 1350)
    assert effect.difference == 450


def test_the_preview_leaves_out_what_a_closer_rule_decides(programme, rule):
    place = make_property()
    membership = enrol(programme, place)
    stay_of(membership, place, dt.date(2026, 6, 1), reference="a", amount=900)
    EarningRule.objects.create(
        programme=programme, name="此店", property=place, points_per_unit=5, effective_from=dt.date(2020, 1, 1)
    )

    assert preview_rate(rule=rule, points_per_unit=Decimal(2), now=NOW).amount == 0


@time_machine.travel(NOW, tick=False)
def test_the_form_refuses_to_alter_a_rule_in_force_and_says_why_at_the_field(manager_client, rule):
    answer = manager_client.post(url_of(rule), form_of(rule, points_per_unit="2"))

    assert "points_per_unit" in answer.context["adminform"].form.errors
    assert answer.context["adminform"].form.errors.as_data()["points_per_unit"][0].code == "in_force"
    assert EarningRule.objects.get(pk=rule.pk).points_per_unit == 1
    assert url_of(rule, "change_from") in answer.content.decode()


@time_machine.travel(NOW, tick=False)
def test_a_rule_to_come_is_edited_and_deleted_freely_and_audited(manager_client, manager, rule):
    coming = change_earning_rule(actor=manager, now=NOW, rule_id=rule.pk, from_date=JULY, points_per_unit=Decimal(2))

    manager_client.post(url_of(coming), form_of(coming, points_per_unit="4"))
    coming.refresh_from_db()
    manager_client.post(url_of(coming, "delete"), {"post": "yes"})

    assert coming.points_per_unit == 4
    assert not EarningRule.objects.filter(pk=coming.pk).exists()
    changed, deleted = AuditEntry.objects.order_by("id")[2:]
    assert (changed.action, changed.before, changed.after) == (
        "earningrule.changed",
        {"points_per_unit": "2.0000"},
        {"points_per_unit": "4"},
    )
    assert (deleted.action, deleted.before["points_per_unit"]) == ("earningrule.deleted", "4.0000")


@time_machine.travel(NOW, tick=False)
def test_a_rule_in_force_is_not_deleted(manager_client, rule):
    answer = manager_client.post(url_of(rule, "delete"), {"post": "yes"})

    assert answer.status_code == 403
    assert EarningRule.objects.filter(pk=rule.pk).exists()


@time_machine.travel(NOW, tick=False)
def test_a_new_rule_of_a_programme_with_members_begins_in_the_future(manager_client, programme, rule):
    enrol(programme, make_property())
    url = reverse("admin:loyalty_earningrule_add")

    answer = manager_client.post(url, form_of(rule, category="spa", effective_from="2026-01-01"))
    accepted = manager_client.post(url, form_of(rule, category="spa", effective_from="2026-07-01"))

    assert answer.context["adminform"].form.errors.as_data()["effective_from"][0].code == "not_future"
    assert accepted.status_code == 302


@time_machine.travel(NOW, tick=False)
def test_a_rule_names_a_tier_of_its_own_programme(manager_client, rule):
    other = make_programme().tiers.get(code="gold")

    answer = manager_client.post(reverse("admin:loyalty_earningrule_add"), form_of(rule, tier=other.pk))

    assert answer.context["adminform"].form.errors.as_data()["tier"][0].code == "other_programme"


@time_machine.travel(NOW, tick=False)
def test_the_page_shows_what_a_change_does_before_it_begins(manager_client, rule):
    values = {"effective_from": "2026-07-01", "points_per_unit": "1.5", "name": ""}

    preview = manager_client.post(url_of(rule, "change_from"), {**values, "_preview": ""})
    assert preview.context["effect"].members == 0
    assert EarningRule.objects.get(pk=rule.pk).effective_until is None

    applied = manager_client.post(url_of(rule, "change_from"), {**values, "_apply": ""})
    assert applied.status_code == 302
    assert EarningRule.objects.get(pk=rule.pk).effective_until == JULY


@time_machine.travel(NOW, tick=False)
@pytest.mark.parametrize("button", ["_preview", "_apply"])
def test_the_page_refuses_a_day_that_has_begun(manager_client, rule, button):
    answer = manager_client.post(
        url_of(rule, "change_from"), {"effective_from": "2026-06-15", "points_per_unit": "2", "name": "", button: ""}
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


def test_only_those_who_may_change_rules_reach_the_page(rule):
    client = Client()
    client.force_login(make_staff(Role.PROPERTY_MANAGER, place=make_property()))

    answer = client.post(url_of(rule, "change_from"), {"effective_from": "2030-01-01", "points_per_unit": "9"})

    assert answer.status_code == 403
