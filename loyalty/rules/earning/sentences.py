"""An earning rule in words, as a manager reads it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Protocol

from django.utils.formats import date_format
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from loyalty.rules.earning.award import format_rate
from loyalty.rules.earning.terms import AMOUNT, BEST_OF, EVENT, EXCLUSIVE, FIXED, MULTIPLIER, NIGHTS, RATE, STAYS
from loyalty.rules.money import money, unit


class Rule(Protocol):
    """The fields of a stored or a filled-in rule that are told."""

    basis: str
    currency: str
    result: str
    value: Decimal
    charges_from: dt.date | None
    charges_until: dt.date | None
    is_base: bool
    is_qualifying: bool
    stacking: str
    group: str
    stops: bool
    cap_stay: int | None
    cap_day: int | None
    cap_month: int | None
    cap_member: int | None
    budget_points: int | None
    budget_money: Decimal | None


def rule_sentence(
    rule: Rule,
    *,
    currency: str,
    condition: str = "",
    categories: Sequence[str] = (),
    weekdays: Sequence[str] = (),
    event: str = "",
    funded_by: str = "",
) -> str:
    """Say a rule in one sentence of the active language.

    Args:
        rule: The rule.
        currency: The programme's.
        condition: Its condition in words; empty if it asks for nothing.
        categories: Names of its revenue categories; empty for all.
        weekdays: Names of its days of the week; empty for all.
        event: Name of its event.
        funded_by: Name of the property that pays, if one does.
    """
    clauses = [
        _gives(rule, currency, categories, event),
        *_days(rule, weekdays),
        *([_("if %(condition)s") % {"condition": condition}] if condition else []),
        *_together(rule),
        *_limits(rule, currency),
        *([_("paid for by %(property)s") % {"property": funded_by}] if funded_by else []),
    ]
    return capfirst(_("%(clauses)s.") % {"clauses": _("; ").join(clauses)})


def _points(value: Decimal) -> str:
    text = format_rate(value)
    shown = f"{int(value):,}" if "." not in text else text
    return ngettext("%(value)s point", "%(value)s points", 1 if value == 1 else 2) % {"value": shown}


def _gives(rule: Rule, currency: str, categories: Sequence[str], event: str) -> str:
    values = {
        "points": _points(rule.value),
        "times": format_rate(rule.value),
        "unit": unit(rule.currency or currency),
        "revenue": _(", ").join(categories) if categories else _("all revenue"),
        "event": event,
    }
    words = {
        (EVENT, FIXED): _("%(points)s for: %(event)s"),
        (AMOUNT, MULTIPLIER): _("%(times)s times the base points of %(revenue)s"),
        (NIGHTS, MULTIPLIER): _("%(times)s times the base points of nights"),
        (STAYS, MULTIPLIER): _("%(times)s times the base points of the stay"),
        (AMOUNT, FIXED): _("%(points)s if there are charges: %(revenue)s"),
        (NIGHTS, FIXED): _("%(points)s if there is a night"),
        (STAYS, FIXED): _("%(points)s for the stay"),
        (AMOUNT, RATE): _("%(points)s per %(unit)s of %(revenue)s, only folios in this currency")
        if rule.currency
        else _("%(points)s per %(unit)s of %(revenue)s"),
        (NIGHTS, RATE): _("%(points)s per night"),
        (STAYS, RATE): _("%(points)s per stay"),
    }
    # An event that is not fixed yet is a form half filled in.
    return words.get((rule.basis, rule.result), "%(points)s") % values


def _days(rule: Rule, weekdays: Sequence[str]) -> Iterator[str]:
    if rule.charges_from:
        yield _("from %(date)s") % {"date": _day(rule.charges_from)}
    if rule.charges_until:
        yield _("until before %(date)s") % {"date": _day(rule.charges_until)}
    if weekdays:
        yield _("only %(days)s") % {"days": _(", ").join(weekdays)}


def _day(day: dt.date) -> str:
    return date_format(day, "Y-m-d")


def _together(rule: Rule) -> Iterator[str]:
    if rule.stacking == EXCLUSIVE:
        yield _("only the first that applies of the group “%(group)s”") % {"group": rule.group}
    elif rule.stacking == BEST_OF:
        yield _("only the best of the group “%(group)s”") % {"group": rule.group}
    if rule.stops:
        yield _("no rule of lower priority applies to the same")
    if rule.is_base and rule.is_qualifying:
        yield _("base points, count towards tiers")
    elif rule.is_base:
        yield _("base points")
    elif rule.is_qualifying:
        yield _("count towards tiers")


def _limits(rule: Rule, currency: str) -> Iterator[str]:
    limits = [
        (rule.cap_stay, _("at most %(points)s per stay")),
        (rule.cap_day, _("at most %(points)s per member and day")),
        (rule.cap_month, _("at most %(points)s per member and month")),
        (rule.cap_member, _("at most %(points)s per member ever")),
        (rule.budget_points, _("a budget of %(points)s")),
    ]
    for limit, words in limits:
        if limit is not None:
            yield words % {"points": _points(Decimal(limit))}
    if rule.budget_money is not None:
        yield _("a budget of %(amount)s") % {"amount": money(rule.budget_money, currency)}
