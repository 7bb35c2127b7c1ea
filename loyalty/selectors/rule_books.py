"""The rules of programmes, read from their tables and made ready for `loyalty.rules.earning`."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping

from loyalty.models import EarningRule, EarningRuleSet, Programme
from loyalty.rules.earning import Caps, RuleBook, RuleTerms, RuleVersion, always
from members.rules.conditions import compile_condition, read, used_fields

# What the member's own row tells, so that no query has to.
MEMBER = "member."


def target_of(rule: EarningRule) -> str:
    """What the rule's condition is asked of."""
    return "guest" if rule.basis == EarningRule.Basis.EVENT else "stay"


def terms_of(rule: EarningRule, *, programme: Programme, today: dt.date) -> RuleTerms:
    """A rule, ready to be asked many times.

    Args:
        rule: Stored, or filled in for a trial.
        programme: Its programme, which says what a point costs where the rule does not.
        today: What “within the last days” counts from.
    """
    node = read(rule.condition, target_of(rule))
    return RuleTerms(
        code=rule.code,
        name={"zh": rule.name, "en": rule.name_en},
        value=rule.value,
        basis=rule.basis,
        result=rule.result,
        event=rule.event,
        categories=frozenset(rule.categories),
        currency=rule.currency,
        matches=always if rule.condition == {"all": []} else compile_condition(node, today=today),
        fields=used_fields(node),
        charges_from=rule.charges_from,
        charges_until=rule.charges_until,
        weekdays=frozenset(rule.charge_weekdays),
        is_base=rule.is_base,
        is_qualifying=rule.is_qualifying,
        priority=rule.priority,
        stacking=rule.stacking,
        group=rule.group,
        stops=rule.stops,
        caps=Caps(
            stay=rule.cap_stay,
            day=rule.cap_day,
            month=rule.cap_month,
            member=rule.cap_member,
            points=rule.budget_points,
            money=rule.budget_money,
        ),
        point_cost=programme.point_value if rule.point_cost is None else rule.point_cost,
        funded_by_id=rule.funded_by_id,
    )


def version_of(
    rule_set: EarningRuleSet, rules: Iterable[EarningRule], *, programme: Programme, today: dt.date
) -> RuleVersion:
    """A set with its rules; a draft counts as in force from today on."""
    terms = [terms_of(rule, programme=programme, today=today) for rule in rules]
    return RuleVersion(
        id=rule_set.pk,
        number=rule_set.number,
        effective_from=rule_set.effective_from or today,
        rules=tuple(sorted(terms, key=lambda term: term.order)),
    )


def rule_books(
    programmes: Mapping[int, Programme],
    *,
    dates: Mapping[int, Collection[dt.date]],
    version_ids: Collection[int] = (),
    today: dt.date,
) -> dict[int, RuleBook]:
    """The published versions of some programmes; two queries.

    Args:
        programmes: By id.
        dates: Programme → activity dates that will be asked for; versions of other dates have no rules here.
        version_ids: Versions that will be asked for whatever their dates.
        today: What “within the last days” counts from.
    """
    sets: dict[int, list[EarningRuleSet]] = defaultdict(list)
    for rule_set in EarningRuleSet.objects.published().filter(programme__in=programmes).order_by("effective_from"):
        sets[rule_set.programme_id].append(rule_set)
    wanted = set(version_ids)
    for programme_id, rows in sets.items():
        known = RuleBook(_empty(row) for row in rows)
        found = {known.in_force(day) for day in dates.get(programme_id, ())}
        wanted |= {version.id for version in found if version is not None}
    rules: dict[int, list[EarningRule]] = defaultdict(list)
    for rule in EarningRule.objects.filter(rule_set__in=wanted).order_by("pk"):
        rules[rule.rule_set_id].append(rule)
    return {
        programme_id: RuleBook(
            version_of(row, rules[row.pk], programme=programme, today=today) for row in sets.get(programme_id, ())
        )
        for programme_id, programme in programmes.items()
    }


def _empty(rule_set: EarningRuleSet) -> RuleVersion:
    return RuleVersion(rule_set.pk, rule_set.number, rule_set.effective_from or dt.date.max, ())
