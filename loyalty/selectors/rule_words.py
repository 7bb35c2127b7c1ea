"""Stored earning rules in words, with the names of what they refer to."""

from __future__ import annotations

from collections.abc import Iterable

from loyalty.models import EarningRule, Programme
from loyalty.rules.earning.sentences import rule_sentence
from loyalty.selectors.rule_books import target_of
from members.models import RevenueCategory
from members.rules.conditions import EVERYTHING, ChoiceLists, read, sentence
from members.rules.conditions.fields import WEEKDAYS


def rules_in_words(rules: Iterable[EarningRule], *, programme: Programme) -> list[tuple[EarningRule, str]]:
    """Each rule and its sentence in the active language; lists of choices are read once for all.

    Args:
        rules: With `funded_by` loaded.
        programme: Theirs.
    """
    choices = ChoiceLists()
    return [(rule, rule_in_words(rule, programme=programme, choices=choices)) for rule in rules]


def rule_in_words(rule: EarningRule, *, programme: Programme, choices: ChoiceLists | None = None) -> str:
    """One rule in one sentence of the active language."""
    condition = ""
    if rule.condition and rule.condition != EVERYTHING:
        condition = sentence(read(rule.condition, target_of(rule)), choices=choices)
    days = dict(WEEKDAYS)
    return rule_sentence(
        rule,
        currency=programme.currency,
        condition=condition,
        categories=[str(RevenueCategory(category).label) for category in rule.categories],
        weekdays=[str(days[str(day)]) for day in sorted(rule.charge_weekdays)],
        event=str(EarningRule.Event(rule.event).label) if rule.event else "",
        funded_by=rule.funded_by.local_name if rule.funded_by else "",
    )
