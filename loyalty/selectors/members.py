"""What the desk, the member's page and the API show of a member at a glance."""

from __future__ import annotations

import datetime as dt
import uuid
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from django.db.models import Q, Sum

from loyalty.models import Account, Lot, Membership, Tier, TierBenefit, TierChange
from loyalty.rules.progress import explain_progress, explain_validity, missing_of
from loyalty.rules.tiers import (
    Figures,
    Measure,
    Period,
    PolicyTerms,
    Threshold,
    Way,
    highest_reached,
    in_force,
    measures,
    next_year_start,
    percent_of,
    period_of,
    policy_in_force,
    valid_until,
    ways,
    window_start,
    year_start,
)
from loyalty.selectors.lots import inactivity_of, last_day
from loyalty.selectors.standing import Span, figures_between, policies_of, thresholds_of

if TYPE_CHECKING:
    from hotels.models import Property
    from loyalty.models.membership import MembershipQuerySet

POINTS = "points"


@dataclass(frozen=True, slots=True)
class TierProgress:
    """How far the next tier is.

    Attributes:
        ways: The ways to the tier; any one is enough, and all measures of a way are needed
            (`kind`, `done`, `needed`, `missing`, `percent`). Amounts are in the programme's currency.
        measures: Each measure once, with the least that serves.
        sentence: What is missing, in the active language.
    """

    tier: Tier
    ways: list[Way]
    measures: list[Measure]
    sentence: str

    @property
    def percent(self) -> int:
        """How far the furthest way is."""
        return percent_of(self.ways)


@dataclass(frozen=True, slots=True)
class TierOutlook:
    """How long the tier lasts, and what follows.

    Attributes:
        until_date: The last day; None without end.
        is_kept: Whether it goes on after that as things stand.
        sentence: Until when it is valid and what keeps it, in the active language; empty without end.
    """

    until_date: dt.date | None = None
    is_kept: bool = True
    sentence: str = ""


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
        figures: What counts towards a tier now, by the programme's policy.
        next_tier: None in the highest tier.
        outlook: How long the tier lasts.
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
    outlook: TierOutlook = field(default_factory=TierOutlook)
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
    def sentence(self) -> str:
        """The way to the next tier and how long this one lasts, in one line."""
        return " ".join(filter(None, [self.next_tier.sentence if self.next_tier else "", self.outlook.sentence]))

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


@dataclass(frozen=True, slots=True)
class _Count:
    """What counts for one member: today, in the whole time, and towards keeping the tier."""

    figures: Figures
    lifetime: Figures
    keeping: Figures
    deadline: dt.date | None


def _counts(memberships: Sequence[Membership], terms: dict[int, PolicyTerms], today: dt.date) -> dict[int, _Count]:
    spans, deadlines = [], {}
    for membership in memberships:
        own = terms[membership.programme_id]
        enrolled = membership.programme.local_date(membership.enrolled_at)
        now = period_of(own, today, enrolled, membership.counts_from_date)
        keeping = _keeping(own, membership, enrolled, today)
        deadlines[membership.pk] = keeping.end if keeping else None
        start = keeping.start if keeping else now.start
        # Two spans of a member, told apart by their keys.
        spans.append(Span(2 * membership.pk, membership.pk, now.start, today))
        spans.append(Span(2 * membership.pk + 1, membership.pk, start, today))
    found = figures_between(spans)
    nothing = Figures(), Figures()
    counts = {}
    for membership in memberships:
        figures, lifetime = found.get(2 * membership.pk, nothing)
        keeping_figures, _lifetime = found.get(2 * membership.pk + 1, nothing)
        counts[membership.pk] = _Count(figures, lifetime, keeping_figures, deadlines[membership.pk])
    return counts


def _keeping(own: PolicyTerms, membership: Membership, enrolled: dt.date, today: dt.date) -> Period | None:
    """The days in which the tier has to be reached again to last longer; None if nothing is to be done now."""
    until = membership.tier_until_date
    if until is None or until < today:
        return None
    since = membership.counts_from_date or dt.date.min
    if own.window == "rolling":
        return Period(max(window_start(until, own.window_months), since), until)
    if not own.has_years:
        return None
    ends = valid_until(own, today, enrolled)
    if ends is None or ends <= until:
        return None
    start = year_start(own, today, enrolled)
    end = next_year_start(own, start, enrolled) - dt.timedelta(days=1)
    return Period(max(start, since), min(end, until))


def tier_history(membership: Membership, limit: int = 5) -> list[TierChange]:
    """The latest changes of a member's tier, newest first, with the tiers."""
    changes = TierChange.objects.filter(membership=membership).select_related("from_tier", "to_tier")
    return list(changes.order_by("-pk")[:limit])


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
    policies = policies_of(programme_ids)
    terms = {pk: policy_in_force(policies.get(pk, ()), today) for pk in programme_ids}
    counts = _counts(memberships, terms, today)
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
        count = counts[membership.pk]
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
                figures=count.figures,
                next_tier=_next_tier(membership, ahead, tiers, count),
                outlook=_outlook(membership, ahead, count),
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
    membership: Membership, thresholds: Sequence[Threshold], tiers: dict[int, Tier], count: _Count
) -> TierProgress | None:
    threshold = next((t for t in thresholds if t.rank > membership.tier.rank), None)
    if threshold is None:
        return None
    tier = tiers[threshold.tier_id]
    found = ways(threshold, count.figures, count.lifetime)
    return TierProgress(
        tier=tier,
        ways=found,
        measures=measures(threshold, count.figures, count.lifetime),
        sentence=explain_progress(missing_of(found), tier=tier.local_name, currency=membership.programme.currency),
    )


def _outlook(membership: Membership, thresholds: Sequence[Threshold], count: _Count) -> TierOutlook:
    until = membership.tier_until_date
    if until is None:
        return TierOutlook()
    reached = highest_reached(thresholds, count.keeping, count.lifetime)
    is_kept = count.deadline is None or (reached is not None and reached.rank >= membership.tier.rank)
    own = next((t for t in thresholds if t.tier_id == membership.tier_id), None)
    missing = missing_of(ways(own, count.keeping, count.lifetime)) if own and not is_kept else []
    sentence = explain_validity(
        [way for way in missing if way],
        tier=membership.tier.local_name,
        until=until,
        deadline=count.deadline,
        currency=membership.programme.currency,
    )
    return TierOutlook(until_date=until, is_kept=is_kept, sentence=sentence)
