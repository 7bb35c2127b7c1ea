"""What the desk, the member's page and the API show of a member at a glance."""

from __future__ import annotations

import datetime as dt
import uuid
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

from django.db.models import Q, Sum

from loyalty.models import Account, Lot, Membership, QualificationEntry, Tier, TierBenefit, TierCriteria
from loyalty.rules.explain import explain_progress
from loyalty.rules.tiers import Figures, Measure, Threshold, in_force, measures, window_start
from loyalty.selectors.lots import inactivity_of, last_day

if TYPE_CHECKING:
    from hotels.models import Property
    from loyalty.models.membership import MembershipQuerySet

POINTS = "points"


@dataclass(frozen=True, slots=True)
class TierProgress:
    """How far the next tier is.

    Attributes:
        measures: One for each threshold of the tier (`kind`, `done`, `needed`, `missing`, `percent`);
            any one of them is enough. Amounts are in the programme's currency.
        sentence: What is missing, in the active language.
    """

    tier: Tier
    measures: list[Measure]
    sentence: str

    @property
    def percent(self) -> int:
        """The furthest of the measures."""
        return max((measure.percent for measure in self.measures), default=0)


@dataclass(frozen=True, slots=True)
class MemberSummary:
    """A member at a glance, as on one day.

    Attributes:
        membership: With `tier` and `programme` loaded.
        available: Points that can be spent on the day; lapsed ones do not count even where the
            nightly expiry is late.
        pending: Points that wait for their release.
        held: Points set aside.
        debt: Points that later earning repays first.
        expiring_points: Points that lapse next, and `expiring_on` the last day they can be used.
        figures: Nights, stays and amount within the programme's qualification months.
        next_tier: None in the highest tier.
        benefits: Benefits of the tier in force on the day, group-wide and at the property asked for.
    """

    membership: Membership
    available: int = 0
    pending: int = 0
    held: int = 0
    debt: int = 0
    expiring_points: int = 0
    expiring_on: dt.date | None = None
    figures: Figures = field(default_factory=Figures)
    next_tier: TierProgress | None = None
    benefits: list[TierBenefit] = field(default_factory=list)

    @property
    def public_id(self) -> uuid.UUID:
        """The membership's id outside."""
        return self.membership.public_id

    @property
    def number(self) -> str:
        """Membership number."""
        return self.membership.number

    @property
    def tier(self) -> Tier:
        """The tier today."""
        return self.membership.tier

    @property
    def tier_since_date(self) -> dt.date:
        """Since when the member is in the tier."""
        return self.membership.tier_since_date


def member_summary(*, membership: Membership, today: dt.date, place: Property | None = None) -> MemberSummary:
    """Summarize one membership.

    Args:
        membership: The membership; read again, so that a stale instance does no harm.
        today: The day in the programme's time zone.
        place: Where the member is; adds the benefits of that property.
    """
    rows = Membership.objects.filter(pk=membership.pk)
    return _summaries(rows, today=today, place=place)[0]


def member_summaries(
    *, guest_ids: Sequence[int], today: dt.date, place: Property | None = None
) -> dict[int, MemberSummary]:
    """Summarize the members among some guests.

    Args:
        guest_ids: The guests.
        today: The day in the programme's time zone.
        place: Where the members are; adds the benefits of that property.

    Returns:
        {guest id: summary} of those who are members; of several memberships the first that was made.
    """
    rows = Membership.objects.filter(guest__in=guest_ids)
    summaries: dict[int, MemberSummary] = {}
    for summary in _summaries(rows, today=today, place=place):
        summaries.setdefault(summary.membership.guest_id, summary)
    return summaries


def qualification_figures(memberships: Iterable[Membership], *, today: dt.date) -> dict[int, Figures]:
    """What counts towards a tier within each programme's months up to a day, by membership id.

    The memberships' programmes must be loaded.
    """
    by_programme: dict[tuple[int, int], list[int]] = defaultdict(list)
    for membership in memberships:
        key = membership.programme_id, membership.programme.qualification_months
        by_programme[key].append(membership.pk)
    window = Q(pk__in=[])
    for (_programme_id, months), ids in by_programme.items():
        window |= Q(membership__in=ids, business_date__gte=window_start(today, months), business_date__lte=today)
    rows = QualificationEntry.objects.filter(window).values_list("membership_id")
    return {
        membership_id: Figures(nights, stays, amount)
        for membership_id, nights, stays, amount in rows.annotate(Sum("nights"), Sum("stays"), Sum("amount"))
    }


def thresholds_of(programme_ids: Iterable[int]) -> dict[int, list[Threshold]]:
    """Every threshold of some programmes, past and future ones too, by programme id."""
    found: dict[int, list[Threshold]] = defaultdict(list)
    rows = TierCriteria.objects.filter(tier__programme__in=list(programme_ids)).select_related("tier")
    for row in rows:
        found[row.tier.programme_id].append(
            Threshold(
                id=row.pk,
                tier_id=row.tier_id,
                rank=row.tier.rank,
                effective_from=row.effective_from,
                min_amount=row.min_amount,
                min_stays=row.min_stays,
                min_nights=row.min_nights,
            )
        )
    return found


@dataclass(slots=True)
class _Points:
    account: Account | None = None
    lapsed: int = 0
    expiring_points: int = 0
    expiring_on: dt.date | None = None


def _summaries(rows: MembershipQuerySet, *, today: dt.date, place: Property | None) -> list[MemberSummary]:
    memberships = list(rows.select_related("tier", "programme", "guest").order_by("pk"))
    programme_ids = {membership.programme_id for membership in memberships}
    points = _points(memberships, today)
    figures = qualification_figures(memberships, today=today)
    thresholds = {programme_id: in_force(found, today) for programme_id, found in thresholds_of(programme_ids).items()}
    tiers = {tier.pk: tier for tier in Tier.objects.filter(programme__in=programme_ids)}
    benefits: dict[int, list[TierBenefit]] = defaultdict(list)
    in_force_benefits = TierBenefit.objects.filter(
        Q(property=None) | Q(property=place) if place else Q(property=None),
        Q(effective_until=None) | Q(effective_until__gt=today),
        tier__in={membership.tier_id for membership in memberships},
        effective_from__lte=today,
    )
    for benefit in in_force_benefits:
        benefits[benefit.tier_id].append(benefit)
    summaries = []
    for membership in memberships:
        mine = points.get(membership.pk, _Points())
        done = figures.get(membership.pk, Figures())
        ahead = thresholds.get(membership.programme_id, [])
        summaries.append(
            MemberSummary(
                membership=membership,
                available=mine.account.available - mine.lapsed if mine.account else 0,
                pending=mine.account.pending if mine.account else 0,
                held=mine.account.held if mine.account else 0,
                debt=mine.account.debt if mine.account else 0,
                expiring_points=mine.expiring_points,
                expiring_on=mine.expiring_on,
                figures=done,
                next_tier=_next_tier(membership, ahead, tiers, done),
                benefits=benefits[membership.tier_id],
            )
        )
    return summaries


def _points(memberships: Sequence[Membership], today: dt.date) -> dict[int, _Points]:
    found: dict[int, _Points] = defaultdict(_Points)
    ids = [membership.pk for membership in memberships]
    for account in Account.objects.filter(membership__in=ids, unit=POINTS):
        found[account.membership_id].account = account
    # Nobody asks for inactivity where the programme knows none.
    judged = [
        mine.account.pk
        for membership in memberships
        if membership.programme.inactivity_months and (mine := found.get(membership.pk)) and mine.account
    ]
    inactivity = inactivity_of(judged) if judged else {}
    lots = (
        Lot.objects.filter(account__membership__in=ids, account__unit=POINTS, state=Lot.State.OPEN)
        .values_list("account__membership_id", "account_id", "lot_class", "expires_on")
        .annotate(Sum("remaining"))
    )
    by_day: dict[int, dict[dt.date, int]] = defaultdict(lambda: defaultdict(int))
    for membership_id, account_id, lot_class, expires_on, remaining in lots:
        day = last_day(lot_class, expires_on, inactivity.get(account_id))
        if day is not None:
            by_day[membership_id][day] += remaining
    for membership_id, days in by_day.items():
        mine = found[membership_id]
        mine.lapsed = sum(points for day, points in days.items() if day < today)
        mine.expiring_on = min((day for day in days if day >= today), default=None)
        mine.expiring_points = days[mine.expiring_on] if mine.expiring_on else 0
    return found


def _next_tier(
    membership: Membership, thresholds: Sequence[Threshold], tiers: dict[int, Tier], figures: Figures
) -> TierProgress | None:
    threshold = next((t for t in thresholds if t.rank > membership.tier.rank), None)
    if threshold is None:
        return None
    tier = tiers[threshold.tier_id]
    done = measures(threshold, figures)
    missing: list[tuple[str, Decimal]] = [(measure.kind, measure.missing) for measure in done]
    return TierProgress(
        tier=tier,
        measures=done,
        sentence=explain_progress(missing, tier=tier.local_name, currency=membership.programme.currency),
    )
