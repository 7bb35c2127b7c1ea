"""Versions of the earning rules: drafted, published from a date, withdrawn before it, and never altered."""

import datetime as dt
from decimal import Decimal

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import translation

from hotels.models import AuditEntry, Role
from loyalty.models import Account, EarningRule, EarningRuleSet, Posting
from loyalty.selectors.rule_words import rule_in_words
from loyalty.services.earning import settle_stays
from loyalty.services.rules import (
    InvalidRule,
    RuleChangeRefused,
    create_draft,
    delete_rule,
    discard_draft,
    publish_rule_set,
    rename_draft,
    save_rule,
    withdraw_rule_set,
)
from members.services.stays import FolioLineInput, add_folio_lines, post_stay
from tests.factories import NOW, base_rule, make_member, make_programme, make_property, make_staff, publish_rules

JULY = dt.date(2026, 7, 1)
TODAY = NOW.date()
pytestmark = pytest.mark.django_db


@pytest.fixture
def manager():
    return make_staff(Role.GROUP_MANAGER)


@pytest.fixture
def programme():
    return make_programme()


def published_from_july(manager, programme, rate="3"):
    draft = create_draft(actor=manager, now=NOW, programme=programme)
    rule = draft.rules.get(code="base-base")
    rule.value = Decimal(rate)
    save_rule(actor=manager, now=NOW, rule=rule)
    return publish_rule_set(actor=manager, now=NOW, rule_set_id=draft.pk, from_date=JULY)


def stay_of(member, place, departure, *, reference, now=None, amount=100):
    return post_stay(
        actor=None,
        now=now or dt.datetime.combine(departure, dt.time(12), tzinfo=dt.UTC),
        place=place,
        source_system="pms",
        source_reference=reference,
        guest_id=member.guest_id,
        arrival_date=departure - dt.timedelta(1),
        departure_date=departure,
        lines=[FolioLineInput("1", departure - dt.timedelta(1), "room", Decimal(amount))],
        currency="CNY",
    )


def available(member):
    return Account.objects.get(membership=member).available


def test_a_draft_has_the_rules_in_force_and_the_next_number(manager, programme):
    draft = create_draft(actor=manager, now=NOW, programme=programme, name="暑期")

    before = programme.earning_rule_sets.get(number=1)
    assert (draft.number, draft.name, draft.based_on, draft.is_draft) == (2, "暑期", before, True)
    assert list(draft.rules.values_list("code", "value")) == list(before.rules.values_list("code", "value"))
    assert AuditEntry.objects.get().action == "earningruleset.drafted"


def test_a_version_published_for_next_month_changes_nothing_today(manager, programme):
    member, place = make_member(programme), make_property()
    before = stay_of(member, place, TODAY, reference="before")
    published_from_july(manager, programme)

    settle_stays(actor=None, now=NOW, stay_ids=[before.pk])
    stay_of(member, place, dt.date(2026, 6, 30), reference="june")
    assert available(member) == 200

    stay_of(member, place, JULY, reference="july")
    assert available(member) == 200 + 300
    versions = dict(Posting.objects.values_list("source_reference", "rule_version"))
    assert versions == {
        f"{place.pk}/before": "1",
        f"{place.pk}/june": "1",
        f"{place.pk}/july": "2",
    }


def test_a_stay_of_an_earlier_date_posted_late_earns_by_the_version_of_its_date(manager, programme):
    member, place = make_member(programme), make_property()
    published_from_july(manager, programme)
    in_august = dt.datetime(2026, 8, 1, 12, tzinfo=dt.UTC)

    stay_of(member, place, dt.date(2026, 6, 30), reference="late", now=in_august)

    assert available(member) == 100


def test_a_correction_after_a_newer_version_keeps_the_old_one(manager, programme):
    member, place = make_member(programme), make_property()
    stay = stay_of(member, place, dt.date(2026, 6, 30), reference="june")
    published_from_july(manager, programme)
    in_august = dt.datetime(2026, 8, 1, 12, tzinfo=dt.UTC)

    add_folio_lines(
        actor=None,
        now=in_august,
        stay_id=stay.pk,
        lines=[FolioLineInput("2", dt.date(2026, 6, 29), "spa", Decimal(50))],
    )
    assert available(member) == 150
    add_folio_lines(
        actor=None,
        now=in_august,
        stay_id=stay.pk,
        lines=[FolioLineInput("3", dt.date(2026, 6, 29), "room", Decimal(-100))],
    )

    assert available(member) == 50
    assert set(Posting.objects.values_list("rule_version", flat=True)) == {"1"}


@pytest.mark.parametrize("from_date", [dt.date(2020, 6, 1), TODAY])
def test_a_version_may_not_begin_on_a_day_that_has_begun(manager, programme, from_date):
    make_member(programme)
    draft = create_draft(actor=manager, now=NOW, programme=programme)

    with pytest.raises(RuleChangeRefused) as refused:
        publish_rule_set(actor=manager, now=NOW, rule_set_id=draft.pk, from_date=from_date)

    assert (refused.value.code, refused.value.field) == ("not_future", "effective_from")
    draft.refresh_from_db()
    assert draft.is_draft


def test_a_programme_without_members_is_set_up_with_rules_from_the_past(manager, programme):
    draft = create_draft(actor=manager, now=NOW, programme=programme)

    published = publish_rule_set(actor=manager, now=NOW, rule_set_id=draft.pk, from_date=dt.date(2025, 1, 1))

    assert published.effective_from == dt.date(2025, 1, 1)


def test_two_versions_do_not_begin_on_one_day(manager, programme):
    published_from_july(manager, programme)
    draft = create_draft(actor=manager, now=NOW, programme=programme)

    with pytest.raises(RuleChangeRefused) as refused:
        publish_rule_set(actor=manager, now=NOW, rule_set_id=draft.pk, from_date=JULY)

    assert refused.value.code == "day_taken"


def test_a_version_without_rules_is_not_published(manager, programme):
    draft = create_draft(actor=manager, now=NOW, programme=programme)
    for rule in draft.rules.all():
        delete_rule(actor=manager, now=NOW, rule_id=rule.pk)

    with pytest.raises(RuleChangeRefused) as refused:
        publish_rule_set(actor=manager, now=NOW, rule_set_id=draft.pk, from_date=JULY)

    assert refused.value.code == "empty"


def test_a_version_is_withdrawn_only_before_it_begins(manager, programme):
    first = programme.earning_rule_sets.get()
    coming = published_from_july(manager, programme)

    gone = withdraw_rule_set(actor=manager, now=NOW, rule_set_id=coming.pk, reason="预算未批")
    with pytest.raises(RuleChangeRefused) as refused:
        withdraw_rule_set(actor=manager, now=NOW, rule_set_id=first.pk)

    assert (gone.status, refused.value.code) == ("withdrawn", "begun")
    assert EarningRuleSet.objects.in_force(JULY).get() == first
    # The day is free again.
    again = create_draft(actor=manager, now=NOW, programme=programme)
    publish_rule_set(actor=manager, now=NOW, rule_set_id=again.pk, from_date=JULY)
    assert EarningRuleSet.objects.in_force(JULY).get() == again


def test_what_is_published_is_not_changed_by_any_service(manager, programme):
    published = programme.earning_rule_sets.get()
    rule = published.rules.first()
    attempts = [
        lambda: save_rule(actor=manager, now=NOW, rule=rule),
        lambda: delete_rule(actor=manager, now=NOW, rule_id=rule.pk),
        lambda: rename_draft(actor=manager, now=NOW, rule_set_id=published.pk, name="neu"),
        lambda: discard_draft(actor=manager, now=NOW, rule_set_id=published.pk),
        lambda: publish_rule_set(actor=manager, now=NOW, rule_set_id=published.pk, from_date=JULY),
    ]

    for attempt in attempts:
        with pytest.raises(RuleChangeRefused) as refused:
            attempt()
        assert refused.value.code == "not_draft"


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE loyalty_earningrule SET value = 9 WHERE code = 'base-base'",
        "DELETE FROM loyalty_earningrule WHERE code = 'base-base'",
        "INSERT INTO loyalty_earningrule SELECT (r).* FROM (SELECT r FROM loyalty_earningrule r LIMIT 1) x",
        "UPDATE loyalty_earningruleset SET effective_from = '2019-01-01'",
        "UPDATE loyalty_earningruleset SET note = 'x'",
        "UPDATE loyalty_earningruleset SET status = 'draft', effective_from = NULL, published_at = NULL",
        # It has begun, so it cannot be withdrawn either.
        "UPDATE loyalty_earningruleset SET status = 'withdrawn', withdrawn_at = '2026-06-15T12:00:00+08:00'",
        "DELETE FROM loyalty_earningruleset",
    ],
)
def test_the_database_refuses_to_alter_what_is_published(programme, statement):
    with pytest.raises(IntegrityError, match="stay"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)


def test_the_database_lets_a_version_begin_only_as_a_draft(programme):
    with pytest.raises(IntegrityError, match="begins as a draft"), transaction.atomic():
        EarningRuleSet.objects.create(
            programme=programme,
            number=9,
            name="x",
            status="published",
            effective_from=JULY,
            created_at=NOW,
            published_at=NOW,
        )


def test_a_discarded_draft_is_gone_and_the_trail_keeps_what_it_was(manager, programme):
    draft = create_draft(actor=manager, now=NOW, programme=programme)

    discard_draft(actor=manager, now=NOW, rule_set_id=draft.pk)

    assert not EarningRuleSet.objects.filter(pk=draft.pk).exists()
    assert EarningRule.objects.count() == 4
    entry = AuditEntry.objects.order_by("-pk").first()
    assert entry.action == "earningruleset.discarded"
    assert entry.before["rules"]["base-gold"]["value"] == "1.5000"


IMPOSSIBLE = [
    ({"basis": "event", "result": "fixed", "value": 500}, "event", "event_missing"),
    ({"basis": "event", "event": "birthday"}, "result", "event_is_fixed"),
    (
        {"basis": "event", "event": "birthday", "result": "fixed", "categories": ["room"]},
        "categories",
        "not_for_events",
    ),
    ({"basis": "amount", "event": "birthday"}, "event", "not_an_event"),
    ({"basis": "nights", "categories": ["spa"]}, "categories", "not_on_spend"),
    ({"basis": "stays", "charge_weekdays": [6]}, "charge_weekdays", "not_by_day"),
    ({"charges_from": JULY, "charges_until": JULY}, "charges_until", "until_before_from"),
    ({"value": Decimal(-1)}, "value", "negative"),
    ({"result": "multiplier", "value": 1}, "value", "multiplies_nothing"),
    ({"result": "fixed", "value": Decimal("0.5")}, "value", "not_whole"),
    ({"result": "fixed", "value": 5, "is_base": True}, "is_base", "base_is_rate"),
    ({"stacking": "best_of"}, "group", "group_missing"),
    ({"stacking": "exclusive"}, "group", "group_missing"),
    ({"group": "promo"}, "group", "group_not_used"),
    ({"stacking": "best_of", "group": "promo", "stops": True}, "stops", "best_of_stops"),
    ({"stacking": "best_of", "group": "base"}, "group", "group_mixed"),
    ({"code": "base-gold"}, "code", "code_taken"),
    ({"condition": {"all": [{"field": "member.tier", "op": "in", "value": ["none"]}]}}, "condition", "unknown_choice"),
]


@pytest.mark.parametrize(("terms", "field", "code"), IMPOSSIBLE)
def test_an_impossible_rule_is_refused_with_the_reason_at_the_field(manager, programme, terms, field, code):
    draft = create_draft(actor=manager, now=NOW, programme=programme)
    rule = EarningRule(
        **{"rule_set": draft, "code": "new", "name": "新", "result": "rate", "value": Decimal(2), **terms}
    )

    with pytest.raises(InvalidRule) as invalid:
        save_rule(actor=manager, now=NOW, rule=rule)

    assert (field, code) in {(problem.field, problem.code) for problem in invalid.value.problems}
    assert draft.rules.count() == 4


def test_a_multiple_needs_base_points_when_it_is_saved_and_when_it_is_published(manager, programme):
    draft = create_draft(actor=manager, now=NOW, programme=programme)
    double = EarningRule(rule_set=draft, code="double", name="双倍", result="multiplier", value=2)
    save_rule(actor=manager, now=NOW, rule=double)
    for rule in draft.rules.filter(is_base=True):
        delete_rule(actor=manager, now=NOW, rule_id=rule.pk)

    with pytest.raises(InvalidRule) as published:
        publish_rule_set(actor=manager, now=NOW, rule_set_id=draft.pk, from_date=JULY)
    with pytest.raises(InvalidRule) as saved:
        save_rule(actor=manager, now=NOW, rule=double)

    assert [problem.code for problem in published.value.problems] == ["no_base"]
    assert [(problem.field, problem.code) for problem in saved.value.problems] == [("result", "no_base")]


def test_a_changed_rule_leaves_what_changed_in_the_trail(manager, programme):
    draft = create_draft(actor=manager, now=NOW, programme=programme)
    rule = draft.rules.get(code="base-gold")
    rule.value = Decimal("1.8")

    save_rule(actor=manager, now=NOW, rule=rule)
    save_rule(actor=manager, now=NOW, rule=rule)

    _drafted, changed = AuditEntry.objects.order_by("pk")
    assert (changed.action, changed.before, changed.after) == (
        "earningrule.changed",
        {"value": "1.5000"},
        {"value": "1.8000"},
    )


def test_the_activity_date_of_the_programme_decides(programme):
    programme.activity_date = "arrival"
    programme.save()
    publish_rules(programme, base_rule(rate="3"), start=JULY)
    member = make_member(programme)

    stay_of(member, make_property(), JULY, reference="arrived in June")

    assert available(member) == 100


SENTENCES = [
    (
        {"value": Decimal("1.5"), "is_base": True, "is_qualifying": True, "stacking": "exclusive", "group": "base"},
        (
            "1.5 points per CNY of all revenue; only the first that applies of the group “base”;"
            " base points, count towards tiers."
        ),
        "所有消费每元 1.5 分；组“base”中只取最先适用的一条；为基础积分并计入定级。",
    ),
    (
        {
            "result": "multiplier",
            "value": Decimal(2),
            "categories": ["room"],
            "charge_weekdays": [5, 6],
            "cap_stay": 5000,
        },
        "2 times the base points of room; only Friday, Saturday; at most 5,000 points per stay.",
        "客房消费按基础积分的 2 倍；仅限星期五、星期六；每次入住最多 5,000 分。",
    ),
    (
        {
            "basis": "event",
            "event": "enrolment",
            "result": "fixed",
            "value": Decimal(1000),
            "budget_money": Decimal(2000),
        },
        "1,000 points for: enrollment; a budget of CNY 2,000.00.",
        "入会得 1,000 分；预算 ¥2,000.00。",
    ),
]


@pytest.mark.parametrize(("terms", "english", "chinese"), SENTENCES)
def test_a_rule_reads_as_a_sentence(programme, terms, english, chinese):
    rule = EarningRule(code="r", name="r", **terms)

    with translation.override("en"):
        assert rule_in_words(rule, programme=programme) == english
    with translation.override("zh-hans"):
        assert rule_in_words(rule, programme=programme) == chinese
