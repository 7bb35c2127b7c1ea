"""What an earning rule cannot mean, by itself or beside the others of its version."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol

from django.utils.translation import gettext as _

from loyalty.rules.earning.terms import AMOUNT, BEST_OF, EVENT, FIXED, MULTIPLIER, RATE, STAYS


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a rule is refused.

    Attributes:
        field: The field of the rule that the reason belongs to.
        code: Stable code of the reason.
        message: The reason for the reader.
        rule: Code of the rule.
    """

    field: str
    code: str
    message: str
    rule: str = ""


class Rule(Protocol):
    """The fields of a stored or a filled-in rule that are looked at."""

    code: str
    basis: str
    event: str
    categories: list[str]
    currency: str
    result: str
    # None where a form has no number.
    value: Decimal | Any
    is_base: bool
    stacking: str
    group: str
    stops: bool


Found = Iterator[tuple[str, str, str]]


def problems_of(rule: Rule, others: Iterable[Rule] = ()) -> list[Problem]:
    """Everything that is wrong with a rule, given the other rules of its version."""
    found = [finding for check in _CHECKS for finding in check(rule)]
    found += _among(rule, list(others))
    return [Problem(field, code, message, rule.code) for field, code, message in found]


def _of_event(rule: Rule) -> Found:
    if rule.basis != EVENT:
        if rule.event:
            yield "event", "not_an_event", _("Only a rule that counts on an event has one.")
        return
    if not rule.event:
        yield "event", "event_missing", _("Choose the event.")
    if rule.result != FIXED:
        yield "result", "event_is_fixed", _("An event gives fixed points: there is nothing to count on.")
    for field, is_wrong, message in (
        ("categories", bool(rule.categories), _("An event has no charges, so no revenue categories.")),
        ("currency", bool(rule.currency), _("An event has no charges, so no currency.")),
        ("cap_stay", getattr(rule, "cap_stay", None) is not None, _("An event is not a stay.")),
        ("stops", rule.stops, _("An event has nothing that others could not cover.")),
    ):
        if is_wrong:
            yield field, "not_for_events", message
    if rule.stacking != "add":
        yield "stacking", "not_for_events", _("Every rule for an event counts.")


def _of_basis(rule: Rule) -> Found:
    if rule.categories and rule.basis not in {AMOUNT, EVENT}:
        yield "categories", "not_on_spend", _("Only a rule that counts on spend has revenue categories.")
    if rule.currency and rule.basis not in {AMOUNT, EVENT}:
        yield "currency", "not_on_spend", _("Only a rule that counts on spend has a currency.")
    if rule.basis in {STAYS, EVENT}:
        for field in ("charges_from", "charges_until", "charge_weekdays"):
            if getattr(rule, field, None):
                yield (
                    field,
                    "not_by_day",
                    _("Only charges and nights have a business date; ask for the dates of the stay in the condition."),
                )


def _of_dates(rule: Rule) -> Found:
    start, end = getattr(rule, "charges_from", None), getattr(rule, "charges_until", None)
    if start and end and end <= start:
        yield "charges_until", "until_before_from", _("The end is not after the beginning.")


def _of_result(rule: Rule) -> Found:
    value = rule.value
    if value is None:
        return
    if value < 0:
        yield "value", "negative", _("A value is zero or more.")
    elif rule.result == MULTIPLIER and value <= 1:
        yield "value", "multiplies_nothing", _("A multiple is above 1; at 1 nothing is added.")
    elif rule.result == FIXED and value != int(value):
        yield "value", "not_whole", _("Points are whole numbers.")
    if rule.is_base and rule.result != RATE:
        yield "is_base", "base_is_rate", _("Base points come from a rate.")


def _of_stacking(rule: Rule) -> Found:
    if rule.stacking == "add":
        if rule.group:
            yield "group", "group_not_used", _("A rule that adds to others has no group.")
    elif not rule.group:
        yield "group", "group_missing", _("Name the group that only one rule counts of.")
    if rule.stacking == BEST_OF and rule.stops:
        yield "stops", "best_of_stops", _("Which rule of the group counts is known only at the end: it stops no other.")


_CHECKS: tuple[Callable[[Rule], Found], ...] = (_of_event, _of_basis, _of_dates, _of_result, _of_stacking)


def _among(rule: Rule, others: Sequence[Rule]) -> Found:
    """What is wrong only beside the others."""
    if any(other.code == rule.code for other in others):
        yield "code", "code_taken", _("The version has a rule with this code already.")
    if rule.result == MULTIPLIER and not any(other.is_base for other in others):
        yield "result", "no_base", _("There are no base points to multiply: mark a rate as base points first.")
    for other in others:
        if not rule.group or other.group != rule.group:
            continue
        if other.stacking != rule.stacking:
            yield (
                "group",
                "group_mixed",
                _("In this group, “%(rule)s” is stacked otherwise.") % {"rule": other.code},
            )
            return
        if rule.stacking == BEST_OF and other.is_base != rule.is_base:
            yield (
                "group",
                "group_mixed",
                _("A group has either base points or others: “%(rule)s” differs.") % {"rule": other.code},
            )
            return
