"""Changes of thresholds and benefits: always from a date on, never backwards.

A row in force is history in the making: stays of its dates are judged by it even when they are
posted late, so what it gives is never altered. A change ends the row at a future date and lets
its successor begin on that date, in one transaction.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from hotels.models import Property, User
from hotels.services.audit import record_audit
from loyalty.models import Programme, TierBenefit, TierCriteria


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


def last_begun_date(programme: Programme, now: dt.datetime) -> dt.date:
    """The latest business date that has begun anywhere in the group; a change may start after it."""
    zones = {programme.time_zone, *Property.objects.filter(is_active=True).values_list("time_zone", flat=True)}
    return max(now.astimezone(ZoneInfo(zone)).date() for zone in zones)


def has_begun(row: TierCriteria | TierBenefit, today: dt.date) -> bool:
    """Whether the row is or was in force by a date, so that stays may have been judged by it."""
    return row.effective_from <= today


def check_edit(row: TierCriteria | TierBenefit, changes: Mapping[str, Any], *, today: dt.date) -> None:
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


def _check_successor(row: TierBenefit, from_date: dt.date, today: dt.date) -> None:
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
def change_tier_benefit(
    *, actor: User, now: dt.datetime, benefit_id: int, from_date: dt.date, name: str, name_en: str = ""
) -> TierBenefit:
    """End a benefit on a date and give another one instead from that date on.

    Raises:
        RuleChangeRefused: the date has begun, or lies outside the benefit's dates.
    """
    benefit = (
        TierBenefit.objects.select_for_update(no_key=True, of=("self",))
        .select_related("tier__programme", "property")
        .get(pk=benefit_id)
    )
    _check_successor(benefit, from_date, last_begun_date(benefit.tier.programme, now))
    successor = TierBenefit(
        tier=benefit.tier,
        property=benefit.property,
        name=name,
        name_en=name_en,
        effective_from=from_date,
        effective_until=benefit.effective_until,
    )
    return _hand_over(actor, now, benefit, successor)


@transaction.atomic
def change_tier_criteria(
    *,
    actor: User,
    now: dt.datetime,
    criteria_id: int,
    from_date: dt.date,
    min_amount: Decimal | None = None,
    min_stays: int | None = None,
    min_nights: int | None = None,
) -> TierCriteria:
    """Let other thresholds of a tier hold from a date on; those before hold until then.

    Args:
        actor: Who decides.
        now: Aware instant.
        criteria_id: The thresholds in force.
        from_date: First day of the new ones; in the future at every property.
        min_amount: Spend in the programme's currency; None if spend does not count.
        min_stays: Stays; None if stays do not count.
        min_nights: Nights; None if nights do not count.

    Raises:
        RuleChangeRefused: the date has begun, or other thresholds begin on it.
    """
    criteria = (
        TierCriteria.objects.select_for_update(no_key=True, of=("self",))
        .select_related("tier__programme")
        .get(pk=criteria_id)
    )
    check_start(from_date, today=last_begun_date(criteria.tier.programme, now))
    successor = TierCriteria(
        tier=criteria.tier,
        effective_from=from_date,
        min_amount=min_amount,
        min_stays=min_stays,
        min_nights=min_nights,
    )
    _store(successor)
    record_audit(
        actor=actor,
        now=now,
        action="tiercriteria.changed_from",
        target=successor,
        label=f"{criteria.tier.local_name} {from_date}",
        before=_terms(criteria),
        after=_terms(successor),
    )
    return successor


def _hand_over(actor: User, now: dt.datetime, row: TierBenefit, successor: TierBenefit) -> TierBenefit:
    before = {"effective_until": _json(row.effective_until)}
    row.effective_until = successor.effective_from
    row.save(update_fields=["effective_until"])
    _store(successor)
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
        before=_terms(row),
        after=_terms(successor),
    )
    return successor


def _store(row: models.Model) -> None:
    try:
        row.full_clean()
    except ValidationError as error:
        field, messages = next(iter(error.message_dict.items()))
        raise RuleChangeRefused(code="invalid", field=field, message=messages[0]) from error
    row.save()


def _terms(row: models.Model) -> dict[str, Any]:
    return {f.name: _json(f.value_from_object(row)) for f in row._meta.concrete_fields if f.name != "id"}


def _json(value: object) -> Any:
    return value if value is None or isinstance(value, int | str) else str(value)
