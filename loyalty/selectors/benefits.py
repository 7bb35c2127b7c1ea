"""How much of a member's benefits is left for this stay or year."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from hotels.models import Property
from loyalty.models import Entitlement, Membership, TierBenefit
from loyalty.rules.benefits import period_key
from members.models import Guest
from members.selectors.desk import current_visit


@dataclass(frozen=True, slots=True)
class BenefitLeft:
    """A benefit and what is left of it.

    Attributes:
        benefit: The benefit.
        left: How often it can still be used in its period; None without limit.
        is_countable: Whether it is used at the desk, not only told.
        can_be_used: Whether it can be used now: something is left, and there is a stay where one is needed.
    """

    benefit: TierBenefit
    left: int | None
    is_countable: bool
    can_be_used: bool


def visit_of(guest: Guest, place: Property, today: dt.date) -> str:
    """What tells the guest's stay in this house from others; empty for a guest who is not here."""
    visit = current_visit(guest, today)
    if visit is None or visit.place != place or not visit.night:
        return ""
    return f"{place.code}:{visit.arrival_date}"


def benefits_left(
    *, membership: Membership, benefits: Sequence[TierBenefit], today: dt.date, visit: str
) -> list[BenefitLeft]:
    """What is left of some benefits of a member, in one query.

    Args:
        membership: The member.
        benefits: Benefits in force.
        today: The day at the property.
        visit: From `visit_of`.
    """
    used = {
        (row.benefit_id, row.period): row.used
        for row in Entitlement.objects.filter(membership=membership, benefit__in=benefits)
    }
    found = []
    for benefit in benefits:
        period = period_key(benefit.period, today, visit)
        is_countable = benefit.period != TierBenefit.Period.SHOWN
        left = None
        if benefit.quantity is not None:
            left = max(0, benefit.quantity - used.get((benefit.pk, period or ""), 0))
        can_be_used = is_countable and period is not None and left != 0
        found.append(BenefitLeft(benefit, left, is_countable, can_be_used))
    return found
