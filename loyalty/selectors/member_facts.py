"""What conditions may ask about a guest's membership; registered in `loyalty.apps`.

In the database the facts are those of today, of the guest's first active membership. Where stays are
judged, the batch gives them itself, by `member_facts`: the tier of the day, without a query.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection
from typing import Any

from django.db.models import CharField, DateField, ExpressionWrapper, F, Func, IntegerField, OuterRef, Subquery, Value
from django.db.models.functions import Cast
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from loyalty.models import Membership, Tier
from members.rules.conditions import Field, Kind, register_fields


class AtTimeZone(Func):
    """An instant as the wall clock of a zone shows it."""

    arg_joiner = " AT TIME ZONE "
    template = "(%(expressions)s)"
    arity = 2


class Days(Func):
    """Days from the second date to the first, as PostgreSQL subtracts dates."""

    arg_joiner = " - "
    template = "(%(expressions)s)"
    arity = 2
    output_field = IntegerField()


ENROLLED = Cast(AtTimeZone(F("enrolled_at"), F("programme__time_zone"), output_field=DateField()), DateField())


def is_of_member(field: str) -> bool:
    """Whether a field is one of those below."""
    return field in FACTS


def member_facts(membership: Membership, tier: Tier, *, on_date: dt.date, fields: Collection[str]) -> dict[str, Any]:
    """The facts of one member on a day, without a query.

    Args:
        membership: With its programme loaded.
        tier: The tier they are judged by.
        on_date: The activity date.
        fields: The names wanted.
    """
    return {name: FACTS[name](membership, tier, on_date) for name in fields}


def _enrolled_on(membership: Membership) -> dt.date:
    return membership.programme.local_date(membership.enrolled_at)


FACTS: dict[str, Callable[[Membership, Tier, dt.date], Any]] = {
    "member.tier": lambda _membership, tier, _day: tier.code,
    "member.tier_rank": lambda _membership, tier, _day: tier.rank,
    "member.enrolled_date": lambda membership, _tier, _day: _enrolled_on(membership),
    "member.enrolled_days": lambda membership, _tier, day: (day - _enrolled_on(membership)).days,
}


def _of_membership(value: Callable[[dt.date], Any], output: Any) -> Callable[[str, dt.date], Any]:
    def expression(prefix: str, today: dt.date) -> Any:
        rows = Membership.objects.filter(guest=OuterRef(f"{prefix}pk"), status=Membership.Status.ACTIVE).order_by("pk")
        return Subquery(rows.annotate(fact=value(today)).values("fact")[:1], output_field=output)

    return expression


def _tiers() -> list[tuple[str, str]]:
    """Each code once, whatever programme has it."""
    names: dict[str, str] = {}
    for tier in Tier.objects.order_by("rank", "pk"):
        names.setdefault(tier.code, tier.local_name)
    return list(names.items())


def register_member_fields() -> None:
    """Let conditions ask about the membership of a guest, and so of a stay's guest."""
    group = _("Membership")
    register_fields(
        Field(
            "member.tier",
            "guest",
            Kind.CHOICE,
            _("tier"),
            expression=_of_membership(lambda _today: F("tier__code"), CharField()),
            choices=_tiers,
            group=group,
        ),
        Field(
            "member.tier_rank",
            "guest",
            Kind.NUMBER,
            _("rank of the tier"),
            expression=_of_membership(lambda _today: F("tier__rank"), IntegerField()),
            group=group,
        ),
        Field(
            "member.enrolled_date",
            "guest",
            Kind.DATE,
            _("date of enrollment"),
            expression=_of_membership(lambda _today: ENROLLED, DateField()),
            group=group,
        ),
        Field(
            "member.enrolled_days",
            "guest",
            Kind.NUMBER,
            _("time since enrollment"),
            expression=_of_membership(
                lambda today: ExpressionWrapper(Days(Value(today, DateField()), ENROLLED), IntegerField()),
                IntegerField(),
            ),
            unit=pgettext_lazy("unit", "days"),
            group=group,
        ),
    )
