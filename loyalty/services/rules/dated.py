"""Changes of policies, thresholds and benefits: always from a date on, never backwards.

A row in force is history in the making: stays of its dates are judged by it even when they are
posted late, so what it gives is never altered. A change ends the row at a future date and lets
its successor begin on that date, in one transaction.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any
from zoneinfo import ZoneInfo

from django.core.exceptions import ValidationError
from django.db import models
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from hotels.models import Property, User
from hotels.services.audit import record_audit
from loyalty.models import Programme, TierBenefit, TierCriteria, TierPolicy


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


def has_begun(row: TierCriteria | TierBenefit | TierPolicy, today: dt.date) -> bool:
    """Whether the row is or was in force by a date, so that stays may have been judged by it."""
    return row.effective_from <= today


def check_edit(row: TierCriteria | TierBenefit | TierPolicy, changes: Mapping[str, Any], *, today: dt.date) -> None:
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


def check_successor(row: TierBenefit, from_date: dt.date, today: dt.date) -> None:
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


def hand_over(actor: User, now: dt.datetime, row: TierBenefit, successor: TierBenefit) -> TierBenefit:
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
