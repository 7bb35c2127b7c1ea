"""Changes of what a programme gives: always from a date on, never backwards.

A row in force is history in the making: stays of its dates are judged by it even when they are
posted late, so what it gives is never altered. A change ends the row at a future date and lets
its successor begin on that date, in one transaction.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.db.models import Count, Sum
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from hotels.models import Property, User
from hotels.services.audit import record_audit
from loyalty.models import EarningRule, Membership, Programme, TierBenefit, TierCriteria, TierPolicy
from loyalty.rules.earning import RuleBook, RuleTerms, points_for
from members.models import FolioLine, Stay

# Fields that a row in force may still change: names that nothing is calculated from, and a later end.
LABELS = frozenset({"name", "name_en"})


Row = TypeVar("Row", EarningRule, TierBenefit)


class RuleChangeRefused(Exception):
    """What was asked would alter what is in force, or cannot begin when asked.

    Attributes:
        code: Stable code of the reason.
        field: The field of the form that the reason belongs to.
        message: The reason for the reader.
    """

    def __init__(self, *, code: str, field: str, message: str | Promise) -> None:
        super().__init__(str(message))
        self.code = code
        self.field = field
        self.message = message


@dataclass(frozen=True, slots=True)
class RateEffect:
    """What another rate would have meant for the stays of the last twelve months.

    Attributes:
        members: Active members that the rule applies to now.
        since: First business date counted.
        until: First business date no longer counted.
        amount: Eligible revenue that this rule decides about, net of rebates, in `currency`.
        currency: ISO 4217 code.
        points_now: Points for it at the rule's rate; rounding stay by stay is left out.
        points_then: Points for it at the new rate.
    """

    members: int
    since: dt.date
    until: dt.date
    amount: Decimal
    currency: str
    points_now: int
    points_then: int

    @property
    def difference(self) -> int:
        """Points more (or fewer, negative) in a year."""
        return self.points_then - self.points_now


def last_begun_date(programme: Programme, now: dt.datetime) -> dt.date:
    """The latest business date that has begun anywhere in the group; a change may start after it."""
    zones = {programme.time_zone, *Property.objects.filter(is_active=True).values_list("time_zone", flat=True)}
    return max(now.astimezone(ZoneInfo(zone)).date() for zone in zones)


def has_begun(row: EarningRule | TierCriteria | TierBenefit | TierPolicy, today: dt.date) -> bool:
    """Whether the row is or was in force by a date, so that stays may have been judged by it."""
    return row.effective_from <= today


def check_edit(
    row: EarningRule | TierCriteria | TierBenefit | TierPolicy, changes: Mapping[str, Any], *, today: dt.date
) -> None:
    """Refuse to alter what a row gives once it has begun; a row still to come may be anything later.

    Args:
        row: The row as stored.
        changes: New values of the fields to be changed.
        today: `last_begun_date` of the programme.

    Raises:
        RuleChangeRefused: for the first field that may not change so.
    """
    if has_begun(row, today):
        for name, value in changes.items():
            if name in LABELS and not isinstance(row, TierBenefit):
                continue
            if name == "effective_until":
                _check_end(row, value, today)
                continue
            raise RuleChangeRefused(
                code="in_force",
                field=name,
                message=_("In force since %(date)s: use “change from a date”.") % {"date": row.effective_from},
            )
    elif "effective_from" in changes:
        check_start(changes["effective_from"], today=today)


def check_start(effective_from: dt.date | None, *, today: dt.date) -> None:
    """Refuse a first day that has begun already.

    Raises:
        RuleChangeRefused: the day is not in the future.
    """
    if effective_from is not None and effective_from <= today:
        raise RuleChangeRefused(
            code="not_future",
            field="effective_from",
            message=_("Choose a date after %(date)s: what is given for days that have begun does not change.")
            % {"date": today},
        )


def _check_end(row: Any, until: dt.date | None, today: dt.date) -> None:
    if row.effective_until is not None and row.effective_until <= today:
        raise RuleChangeRefused(code="ended", field="effective_until", message=_("This ended already."))
    if until is not None and until <= today:
        raise RuleChangeRefused(
            code="not_future", field="effective_until", message=_("Choose an end after %(date)s.") % {"date": today}
        )


def check_successor(row: EarningRule | TierBenefit, from_date: dt.date, today: dt.date) -> None:
    """Refuse a successor of a row that has not begun, or that begins in the past or after the row's end."""
    check_start(from_date, today=today)
    if not has_begun(row, today):
        raise RuleChangeRefused(
            code="not_begun", field="effective_from", message=_("This has not begun yet: edit it directly.")
        )
    if row.effective_until is not None and row.effective_until <= from_date:
        raise RuleChangeRefused(
            code="ends_before",
            field="effective_from",
            message=_("This ends on %(date)s: choose an earlier day, or change what follows it.")
            % {"date": row.effective_until},
        )


@transaction.atomic
def change_earning_rule(
    *, actor: User, now: dt.datetime, rule_id: int, from_date: dt.date, points_per_unit: Decimal, name: str = ""
) -> EarningRule:
    """End a rule in force on a date and let the same rule go on from there at another rate.

    Args:
        actor: Who decides.
        now: Aware instant.
        rule_id: The rule in force.
        from_date: First business date of the new rate; in the future at every property.
        points_per_unit: The new rate, points per unit of the rule's currency.
        name: The successor's name; the old name if empty.

    Returns:
        The successor, which ends when the rule would have ended.

    Raises:
        RuleChangeRefused: the date has begun, or lies outside the rule's dates; or nothing changes.
    """
    rule = (
        EarningRule.objects.select_for_update(no_key=True, of=("self",))
        .select_related("programme", "property")
        .get(pk=rule_id)
    )
    check_successor(rule, from_date, last_begun_date(rule.programme, now))
    if points_per_unit == rule.points_per_unit:
        raise RuleChangeRefused(code="unchanged", field="points_per_unit", message=_("This is the rate already."))
    successor = EarningRule(
        programme=rule.programme,
        name=name or rule.name,
        tier=rule.tier,
        property=rule.property,
        category=rule.category,
        currency=rule.currency,
        points_per_unit=points_per_unit,
        effective_from=from_date,
        effective_until=rule.effective_until,
    )
    return hand_over(actor, now, rule, successor)


def hand_over(actor: User, now: dt.datetime, row: Row, successor: Row) -> Row:
    """End a row where its successor begins, and store and audit both."""
    before = {"effective_until": _json(row.effective_until)}
    row.effective_until = successor.effective_from
    row.save(update_fields=["effective_until"])
    store_successor(successor)
    label = f"{row.name} {successor.effective_from}"
    noun = row._meta.model_name
    record_audit(
        actor=actor,
        now=now,
        action=f"{noun}.ended",
        target=row,
        label=label,
        place=row.property,
        before=before,
        after={"effective_until": _json(row.effective_until), "successor": successor.pk},
    )
    record_audit(
        actor=actor,
        now=now,
        action=f"{noun}.changed_from",
        target=successor,
        label=label,
        place=row.property,
        before=terms_of_row(row),
        after=terms_of_row(successor),
    )
    return successor


def store_successor(row: models.Model) -> None:
    """Check and save a row; what is wrong is refused with its field."""
    try:
        row.full_clean()
    except ValidationError as error:
        field, messages = next(iter(error.message_dict.items()))
        raise RuleChangeRefused(code="invalid", field=field, message=messages[0]) from error
    row.save()


def terms_of_row(row: models.Model) -> dict[str, Any]:
    """What a row says, as the audit trail keeps it."""
    return {f.name: _json(f.value_from_object(row)) for f in row._meta.concrete_fields if f.name != "id"}


def _json(value: object) -> Any:
    return value if value is None or isinstance(value, int | str) else str(value)


def preview_rate(*, rule: EarningRule, points_per_unit: Decimal, now: dt.datetime) -> RateEffect:
    """What another rate would have meant for the stays of the last twelve months.

    The revenue is read once, summed by property, tier and category; which rule decides about each
    sum is then worked out as for a real stay, with the rules and tiers of today.

    Args:
        rule: The rule to be changed.
        points_per_unit: The rate to compare with.
        now: Aware instant; the year ends with the last day before it in the programme's time zone.
    """
    programme = rule.programme
    today = now.astimezone(ZoneInfo(programme.time_zone)).date()
    since = today.replace(year=today.year - 1, day=min(today.day, 28))
    lines = FolioLine.objects.filter(
        business_date__gte=since,
        business_date__lt=today,
        currency=rule.currency,
        is_eligible=True,
        stay__guest__memberships__programme=programme,
        stay__guest__memberships__status=Membership.Status.ACTIVE,
    ).exclude(stay__status=Stay.Status.VOIDED)
    lines = lines.filter(**_scope(rule, "stay__guest__memberships__tier", "stay__property"))
    if rule.category:
        lines = lines.filter(category=rule.category)
    sums = lines.values_list("stay__property_id", "stay__guest__memberships__tier_id", "category").annotate(
        amount=Sum("net_amount")
    )
    book = RuleBook(
        RuleTerms(
            id=r.pk,
            name=r.name,
            tier_id=r.tier_id,
            property_id=r.property_id,
            category=r.category,
            currency=r.currency,
            points_per_unit=r.points_per_unit,
            effective_from=r.effective_from,
            effective_until=r.effective_until,
        )
        for r in EarningRule.objects.filter(programme=programme, currency=rule.currency).in_force(today)
    )
    amount = Decimal(0)
    for property_id, tier_id, category, total in sums.order_by():
        chosen = book.choose(
            on_date=today, property_id=property_id, tier_id=tier_id, category=category, currency=rule.currency
        )
        if chosen is not None and chosen.id == rule.pk:
            amount += total
    members = Membership.objects.filter(programme=programme, status=Membership.Status.ACTIVE)
    if rule.tier_id:
        members = members.filter(tier_id=rule.tier_id)
    return RateEffect(
        members=members.aggregate(count=Count("pk"))["count"],
        since=since,
        until=today,
        amount=amount,
        currency=rule.currency,
        points_now=points_for(amount, rule.points_per_unit),
        points_then=points_for(amount, points_per_unit),
    )


def _scope(rule: EarningRule, tier_path: str, property_path: str) -> dict[str, int]:
    scope = {}
    if rule.tier_id:
        scope[tier_path] = rule.tier_id
    if rule.property_id:
        scope[property_path] = rule.property_id
    return scope
