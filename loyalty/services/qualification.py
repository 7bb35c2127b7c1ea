"""What stays count towards tiers: which member they count for, the qualification ledger, upgrades at once.

`QualificationBatch` serves `loyalty.services.earning`: it holds the members of the stays of one
transaction, tells each stay's tier as the batch goes on – a member may climb from one stay to the
next – and writes entries and upgrades together at the end.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

import structlog
from django.db import connection
from django.db.models import Sum

from hotels.models import ExchangeRate
from loyalty.models import Membership, Programme, QualificationEntry, Tier, TierChange
from loyalty.rules.exchange import Quote, RateTable
from loyalty.rules.tiers import Figures, Threshold, highest_reached, in_force, window_start
from loyalty.selectors.members import thresholds_of
from loyalty.services.tiers import Upgrade, apply_upgrades
from members.models import Stay

if TYPE_CHECKING:
    from hotels.models import User
    from loyalty.rules.earning import Charge

logger = structlog.get_logger(__name__)

_INSERT_ENTRIES = """
INSERT INTO loyalty_qualificationentry (
    membership_id, stay_id, revision, business_date, nights, stays, amount, created_at)
SELECT r.*, now()
FROM unnest(%s::bigint[], %s::bigint[], %s::int[], %s::date[], %s::int[], %s::int[], %s::numeric[]) AS r
"""


@dataclass(slots=True)
class _Counted:
    """What a stay has counted so far."""

    figures: Figures = field(default_factory=Figures)
    revisions: int = 0


@dataclass(slots=True)
class Member:
    """A membership as the batch goes on: its tier may rise from one stay to the next."""

    membership: Membership
    tier: Tier
    changes: list[TierChange]
    days: dict[dt.date, Figures] = field(default_factory=dict)

    def tier_on(self, day: dt.date) -> int:
        """Id of the tier the member had on a day, the oldest known one before that."""
        tier_id = self.tier.pk
        if day >= self.membership.tier_since_date:
            return tier_id
        for change in self.changes:
            if change.effective_date <= day:
                break
            tier_id = change.from_tier_id or tier_id
        return tier_id

    def count(self, day: dt.date, figures: Figures) -> None:
        """Add what counts on a business date."""
        self.days[day] = self.days.get(day, Figures()) + figures

    def figures(self, start: dt.date, end: dt.date) -> Figures:
        """What counted from a day to a day, both included."""
        return sum((figures for day, figures in self.days.items() if start <= day <= end), Figures())


class QualificationBatch:
    """The members of some stays, locked, and what the stays count for them.

    Call `load` first, then for each stay in order of departure `tier_of` and `count`, then `save`.
    """

    def __init__(
        self, *, actor: User | None, now: dt.datetime, stays: Sequence[Stay], as_of_departure: bool = False
    ) -> None:
        self._actor = actor
        self._now = now
        self._stays = stays
        self._as_of_departure = as_of_departure
        # Columns of `_INSERT_ENTRIES`.
        self._entries: list[tuple[int, int, int, dt.date, int, int, Decimal]] = []
        self._upgrades: list[Upgrade] = []
        self._counted: dict[int, _Counted] = defaultdict(_Counted)
        self.tiers: dict[int, Tier] = {}
        self.members: dict[int, Member] = {}
        # Stay id → the member it counts for; stays of guests who are no members are missing.
        self.member_of: dict[int, Member] = {}

    @property
    def programme_ids(self) -> set[int]:
        """The programmes of the members."""
        return {member.membership.programme_id for member in self.members.values()}

    def load(self) -> None:
        """Lock the memberships, find the one each stay counts for, and read what counts already."""
        self._load_members()
        self._load_counted()
        if self.member_of:
            self._load_history()

    def as_of(self, stay: Stay, membership: Membership) -> dt.date:
        """The day the stay is judged on; never before the departure, wherever midnight is first."""
        if self._as_of_departure:
            return stay.departure_date
        return max(membership.programme.local_date(self._now), stay.departure_date)

    def tier_of(self, stay: Stay, member: Member) -> Tier:
        """The tier that a stay is judged by."""
        return self.tiers[member.tier_on(stay.departure_date)] if self._as_of_departure else member.tier

    def count(self, stay: Stay, member: Member, charges: Sequence[Charge]) -> None:
        """Record what the stay counts now less what it counted before, and the upgrade that follows."""
        voided = stay.status == Stay.Status.VOIDED
        counted = self._counted[stay.pk]
        change = (Figures() if voided else self._worth(stay, member.membership, charges)) - counted.figures
        if not change:
            return
        self._entries.append(
            (
                member.membership.pk,
                stay.pk,
                counted.revisions,
                stay.departure_date,
                change.nights,
                change.stays,
                change.amount,
            )
        )
        member.count(stay.departure_date, change)
        self._climb(stay, member)

    def save(self) -> int:
        """Write the entries and the upgrades; returns how many upgrades there were."""
        if self._entries:
            with connection.cursor() as cursor:
                cursor.execute(_INSERT_ENTRIES, [list(column) for column in zip(*self._entries, strict=True)])
        apply_upgrades(actor=self._actor, now=self._now, upgrades=self._upgrades)
        return len(self._upgrades)

    def _load_members(self) -> None:
        memberships = list(
            Membership.objects.select_for_update(no_key=True)
            .filter(guest__in={stay.guest_id for stay in self._stays})
            .order_by("pk")
        )
        # One instance of each programme and tier, not one for each member.
        programmes = Programme.objects.in_bulk({membership.programme_id for membership in memberships})
        self.tiers = {tier.pk: tier for tier in Tier.objects.filter(programme__in=programmes)}
        first_active: dict[int, Member] = {}
        for membership in memberships:
            membership.programme = programmes[membership.programme_id]
            member = Member(membership=membership, tier=self.tiers[membership.tier_id], changes=[])
            self.members[membership.pk] = member
            if membership.status == Membership.Status.ACTIVE:
                first_active.setdefault(membership.guest_id, member)
        for stay in self._stays:
            if stay.guest_id is not None and stay.guest_id in first_active:
                self.member_of[stay.pk] = first_active[stay.guest_id]

    def _load_counted(self) -> None:
        rows = (
            QualificationEntry.objects.filter(stay__in=[stay.pk for stay in self._stays])
            .order_by("pk")
            .values_list("stay_id", "membership_id", "nights", "stays", "amount")
        )
        for stay_id, membership_id, nights, stays, amount in rows:
            counted = self._counted[stay_id or 0]
            counted.figures += Figures(nights, stays, amount)
            counted.revisions += 1
            if membership_id in self.members:
                # A stay that was moved to another guest counts for that one now.
                self.member_of[stay_id or 0] = self.members[membership_id]

    def _load_history(self) -> None:
        """Thresholds, rates, and the figures and tiers of the past."""
        self._thresholds: dict[int, list[Threshold]] = thresholds_of(self.programme_ids)
        self._rates = RateTable(
            Quote(row.currency, row.to_currency, row.effective_from, row.rate) for row in ExchangeRate.objects.all()
        )
        for change in TierChange.objects.filter(membership__in=self.members).order_by("-effective_date", "-pk"):
            self.members[change.membership_id].changes.append(change)
        days = (
            QualificationEntry.objects.filter(membership__in=self.members)
            .values_list("membership_id", "business_date")
            .annotate(Sum("nights"), Sum("stays"), Sum("amount"))
        )
        oldest = min(
            self.as_of(stay, self.member_of[stay.pk].membership) for stay in self._stays if stay.pk in self.member_of
        )
        months = max(member.membership.programme.qualification_months for member in self.members.values())
        for membership_id, day, nights, stays, amount in days.filter(business_date__gte=window_start(oldest, months)):
            self.members[membership_id].count(day, Figures(nights, stays, amount))

    def _worth(self, stay: Stay, membership: Membership, charges: Sequence[Charge]) -> Figures:
        """What a stay counts towards a tier: nothing unless somebody paid for it."""
        amount = sum((charge.net_amount for charge in charges if charge.is_eligible), Decimal(0))
        if amount <= 0:
            return Figures()
        currency = membership.programme.currency
        converted = self._rates.convert(amount, stay.currency, currency, stay.departure_date)
        if converted is None:
            logger.warning("exchange_rate_missing", currency=stay.currency, to_currency=currency, stay=stay.pk)
        return Figures(nights=stay.nights, stays=1, amount=converted or Decimal(0))

    def _climb(self, stay: Stay, member: Member) -> None:
        programme = member.membership.programme
        as_of = self.as_of(stay, member.membership)
        figures = member.figures(window_start(as_of, programme.qualification_months), as_of)
        reached = highest_reached(in_force(self._thresholds.get(programme.pk, ()), as_of), figures)
        if reached is None or reached.rank <= member.tier.rank or member.membership.status != Membership.Status.ACTIVE:
            return
        self._upgrades.append(
            Upgrade(
                membership_id=member.membership.pk,
                from_tier_id=member.tier.pk,
                to_tier_id=reached.tier_id,
                effective_date=as_of,
                decided_at=min(stay.checked_out_at or self._now, self._now) if self._as_of_departure else self._now,
                figures=figures,
                criteria_id=reached.id,
            )
        )
        member.tier = self.tiers[reached.tier_id]
        member.membership.tier_since_date = as_of
