"""What stays bring their members: points, and figures that count towards a tier.

One function serves a finished stay, a late charge, a rebate, a void and a file of history:
`settle_stays` compares what a stay is worth as its folio stands with what was given for it, and posts
the difference. So it can run again at any time, and what was given is taken back at the rates it was
given by, never at today's (see `loyalty.rules.earning`).

A stay counts for one membership: the one it counted for before, else the guest's first active one.
Points of a stay stand in the ledger under its source system and number; the first posting has an empty
line, corrections the lines 2, 3, ….
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import structlog
from django.db import connection, transaction
from django.db.models import Sum

from hotels.models import ExchangeRate, Property
from loyalty.models import EarningRule, Membership, Posting, Programme, QualificationEntry, Tier, TierChange
from loyalty.rules.earning import Award, Charge, RuleBook, RuleTerms, award_stay, ledger_reference
from loyalty.rules.exchange import Quote, RateTable
from loyalty.rules.tiers import Figures, Threshold, highest_reached, in_force, window_start
from loyalty.selectors.members import thresholds_of
from loyalty.selectors.postings import postings_by_source
from loyalty.services.ledger import Movement, SourceLine, Verb, post_movements
from loyalty.services.tiers import Upgrade, apply_upgrades
from members.models import FolioLine, Stay

if TYPE_CHECKING:
    from hotels.models import User

logger = structlog.get_logger(__name__)

CHUNK = 5000
NOTHING = Award(points=0, parts=[], unpaid=[], rebates=[])

_INSERT_ENTRIES = """
INSERT INTO loyalty_qualificationentry (
    membership_id, stay_id, revision, business_date, nights, stays, amount, created_at)
SELECT r.*, now()
FROM unnest(%s::bigint[], %s::bigint[], %s::int[], %s::date[], %s::int[], %s::int[], %s::numeric[]) AS r
"""


@dataclass(frozen=True, slots=True)
class Settlement:
    """What a call changed: points given and taken back, and members moved up."""

    points_given: int = 0
    points_taken: int = 0
    upgrades: int = 0


def settle_stays(
    *,
    actor: User | None,
    now: dt.datetime,
    stay_ids: Sequence[int],
    as_of_departure: bool = False,
    reason: str = "",
) -> Settlement:
    """Give or take what is due for some stays; safe to repeat.

    Args:
        actor: Who caused it; None for the system.
        now: Aware instant.
        stay_ids: Finished or voided stays; those without a guest or whose guest is no member bring nothing.
        as_of_departure: Judge each stay as on its day of departure – tier, window, business date –
            instead of today; for history and night audits.
        reason: Why, for a void.

    Returns:
        What was changed, over all chunks of 5,000 stays; each chunk is one transaction (or part of
        the caller's).
    """
    total = Settlement()
    for start in range(0, len(stay_ids), CHUNK):
        with transaction.atomic():
            batch = _Batch(actor, now, stay_ids[start : start + CHUNK], as_of_departure=as_of_departure, reason=reason)
            done = batch.settle()
        total = Settlement(
            total.points_given + done.points_given,
            total.points_taken + done.points_taken,
            total.upgrades + done.upgrades,
        )
    return total


@dataclass(slots=True)
class _Given:
    """What a stay has brought so far."""

    earnings: list[Posting] = field(default_factory=list)
    # Posting id → points of it not reversed yet.
    left: dict[int, int] = field(default_factory=dict)
    movements: int = 0
    newest: dict[str, Any] = field(default_factory=dict)
    figures: Figures = field(default_factory=Figures)
    revisions: int = 0

    @property
    def points(self) -> int:
        return sum(self.left.values())


@dataclass(slots=True)
class _Member:
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
        self.days[day] = self.days.get(day, Figures()) + figures

    def figures(self, start: dt.date, end: dt.date) -> Figures:
        return sum((figures for day, figures in self.days.items() if start <= day <= end), Figures())


class _Batch:
    """Reads what the stays of one transaction need, works each out, writes everything at once."""

    def __init__(
        self, actor: User | None, now: dt.datetime, stay_ids: Sequence[int], *, as_of_departure: bool, reason: str
    ) -> None:
        self.actor = actor
        self.now = now
        self.as_of_departure = as_of_departure
        self.reason = reason
        stays = Stay.objects.filter(pk__in=stay_ids, guest__isnull=False).exclude(status=Stay.Status.IN_HOUSE)
        self.stays = list(stays.order_by("departure_date", "pk"))
        self.movements: list[Movement] = []
        # Columns of `_INSERT_ENTRIES`.
        self.entries: list[tuple[int, int, int, dt.date, int, int, Decimal]] = []
        self.upgrades: list[Upgrade] = []

    def settle(self) -> Settlement:
        self._load_members()
        if not self.member_of:
            return Settlement()
        self._load_terms()
        self._load_given()
        for stay in self.stays:
            member = self.member_of.get(stay.pk)
            if member is not None:
                self._settle_stay(stay, member)
        if self.entries:
            with connection.cursor() as cursor:
                cursor.execute(_INSERT_ENTRIES, [list(column) for column in zip(*self.entries, strict=True)])
        results = post_movements(self.movements) if self.movements else []
        apply_upgrades(actor=self.actor, now=self.now, upgrades=self.upgrades)
        points = [result.points for result in results]
        return Settlement(
            points_given=sum(p for p in points if p > 0),
            points_taken=-sum(p for p in points if p < 0),
            upgrades=len(self.upgrades),
        )

    def _load_members(self) -> None:
        """Lock the memberships and find the one each stay counts for."""
        memberships = list(
            Membership.objects.select_for_update(no_key=True)
            .filter(guest__in={stay.guest_id for stay in self.stays})
            .order_by("pk")
        )
        # One instance of each programme and tier, not one for each member.
        programmes = Programme.objects.in_bulk({membership.programme_id for membership in memberships})
        self.tiers = {tier.pk: tier for tier in Tier.objects.filter(programme__in=programmes)}
        self.members: dict[int, _Member] = {}
        for membership in memberships:
            membership.programme = programmes[membership.programme_id]
            self.members[membership.pk] = _Member(
                membership=membership, tier=self.tiers[membership.tier_id], changes=[]
            )
        first_active: dict[int, _Member] = {}
        for member in self.members.values():
            if member.membership.status == Membership.Status.ACTIVE:
                first_active.setdefault(member.membership.guest_id, member)
        self.given: dict[int, _Given] = defaultdict(_Given)
        self.member_of: dict[int, _Member] = {
            stay.pk: first_active[stay.guest_id]
            for stay in self.stays
            if stay.guest_id is not None and stay.guest_id in first_active
        }
        rows = (
            QualificationEntry.objects.filter(stay__in=[stay.pk for stay in self.stays])
            .order_by("pk")
            .values_list("stay_id", "membership_id", "nights", "stays", "amount")
        )
        for stay_id, membership_id, nights, stays, amount in rows:
            given = self.given[stay_id or 0]
            given.figures += Figures(nights, stays, amount)
            given.revisions += 1
            self.member_of[stay_id or 0] = self.members[membership_id]

    def _load_terms(self) -> None:
        """Rules, thresholds, rates, folios, and the figures and tiers of the past."""
        programme_ids = {member.membership.programme_id for member in self.members.values()}
        self.thresholds: dict[int, list[Threshold]] = thresholds_of(programme_ids)
        self.books = _rule_books(programme_ids)
        self.rates = RateTable(
            Quote(row.currency, row.to_currency, row.effective_from, row.rate) for row in ExchangeRate.objects.all()
        )
        self.places = Property.objects.in_bulk({stay.property_id for stay in self.stays})
        self.charges: dict[int, list[Charge]] = defaultdict(list)
        lines = FolioLine.objects.filter(stay__in=[stay.pk for stay in self.stays]).values_list(
            "stay_id", "line_reference", "business_date", "category", "net_amount", "is_eligible"
        )
        for stay_id, reference, business_date, category, net_amount, is_eligible in lines:
            self.charges[stay_id].append(Charge(reference, business_date, category, net_amount, is_eligible))
        for change in TierChange.objects.filter(membership__in=self.members).order_by("-effective_date", "-pk"):
            self.members[change.membership_id].changes.append(change)
        days = (
            QualificationEntry.objects.filter(membership__in=self.members)
            .values_list("membership_id", "business_date")
            .annotate(Sum("nights"), Sum("stays"), Sum("amount"))
        )
        oldest = min(self._as_of(stay, member.membership) for stay, member in self._pairs())
        months = max(member.membership.programme.qualification_months for member in self.members.values())
        for membership_id, day, nights, stays, amount in days.filter(business_date__gte=window_start(oldest, months)):
            self.members[membership_id].count(day, Figures(nights, stays, amount))

    def _load_given(self) -> None:
        """The points each stay has brought, from the ledger."""
        by_programme: dict[int, dict[tuple[str, str], int]] = defaultdict(dict)
        for stay, member in self._pairs():
            by_programme[member.membership.programme_id][_source(stay)] = stay.pk
        earnings: dict[int, _Given] = {}
        for programme_id, stays in by_programme.items():
            for source, postings in postings_by_source(programme_id=programme_id, sources=list(stays)).items():
                given = self.given[stays[source]]
                given.movements = len(postings)
                given.newest = postings[-1].explanation or {}
                given.earnings = [posting for posting in postings if posting.kind == Posting.Kind.EARN]
                given.left = {posting.pk: posting.points for posting in given.earnings}
                earnings.update(dict.fromkeys(given.left, given))
        if earnings:
            reversals = Posting.objects.filter(reverses__in=list(earnings)).values_list(
                "reverses_id", "reversed_points"
            )
            for posting_id, reversed_points in reversals:
                if posting_id is not None:
                    earnings[posting_id].left[posting_id] -= reversed_points

    def _pairs(self) -> Iterator[tuple[Stay, _Member]]:
        return ((stay, self.member_of[stay.pk]) for stay in self.stays if stay.pk in self.member_of)

    def _as_of(self, stay: Stay, membership: Membership) -> dt.date:
        """The day the stay is judged on; never before the departure, wherever midnight is first."""
        if self.as_of_departure:
            return stay.departure_date
        return max(membership.programme.local_date(self.now), stay.departure_date)

    def _settle_stay(self, stay: Stay, member: _Member) -> None:
        given = self.given[stay.pk]
        tier_id = member.tier_on(stay.departure_date) if self.as_of_departure else member.tier.pk
        tier = self.tiers[given.newest.get("tier", {}).get("id", tier_id)]
        voided = stay.status == Stay.Status.VOIDED
        award = NOTHING
        if not voided:
            award = award_stay(
                self.charges[stay.pk],
                rules=self.books[member.membership.programme_id],
                property_id=stay.property_id,
                tier_id=tier.pk,
                currency=stay.currency,
                given=given.newest.get("parts", ()),
            )
        self._move_points(stay, member, tier, award, given)
        self._count(stay, member, Figures() if voided else self._worth(stay, member.membership), given)

    def _move_points(self, stay: Stay, member: _Member, tier: Tier, award: Award, given: _Given) -> None:
        difference = award.points - given.points
        if difference > 0 and member.membership.status == Membership.Status.ACTIVE:
            self.movements.append(self._movement(stay, member, tier, award, given, Verb.EARN, difference, None))
        for posting in reversed(given.earnings):
            part = min(-difference, given.left[posting.pk])
            if part > 0:
                self.movements.append(self._movement(stay, member, tier, award, given, Verb.REVERSE, part, posting))
                difference += part

    def _movement(
        self,
        stay: Stay,
        member: _Member,
        tier: Tier,
        award: Award,
        given: _Given,
        verb: Verb,
        points: int,
        posting: Posting | None,
    ) -> Movement:
        place = self.places[stay.property_id]
        programme = member.membership.programme
        occurred_at = min(stay.checked_out_at or self.now, self.now) if self.as_of_departure else self.now
        release_on = stay.departure_date + dt.timedelta(days=programme.pending_days)
        today = programme.local_date(self.now)
        given.movements += 1
        system, reference = _source(stay)
        return Movement(
            verb=verb,
            now=occurred_at,
            membership_id=member.membership.pk,
            points=points,
            posting_id=posting.pk if posting else None,
            pending_until=release_on if programme.pending_days and release_on > today else None,
            unit_cost=programme.point_value,
            source=SourceLine(system, reference, str(given.movements) if given.movements > 1 else ""),
            explanation=_explanation(
                stay, place, tier, award, before=given.points, earned=verb is Verb.EARN, reason=self.reason
            ),
            business_date=stay.departure_date if self.as_of_departure else place.local_date(self.now),
            property_id=stay.property_id,
            actor_id=self.actor.pk if self.actor else None,
            reason=self.reason,
        )

    def _worth(self, stay: Stay, membership: Membership) -> Figures:
        """What a stay counts towards a tier: nothing unless somebody paid for it."""
        amount = sum((charge.net_amount for charge in self.charges[stay.pk] if charge.is_eligible), Decimal(0))
        if amount <= 0:
            return Figures()
        currency = membership.programme.currency
        converted = self.rates.convert(amount, stay.currency, currency, stay.departure_date)
        if converted is None:
            logger.warning("exchange_rate_missing", currency=stay.currency, to_currency=currency, stay=stay.pk)
        return Figures(nights=stay.nights, stays=1, amount=converted or Decimal(0))

    def _count(self, stay: Stay, member: _Member, worth: Figures, given: _Given) -> None:
        """Record the difference towards a tier, and the upgrade that follows from it."""
        change = worth - given.figures
        if not change:
            return
        self.entries.append(
            (
                member.membership.pk,
                stay.pk,
                given.revisions,
                stay.departure_date,
                change.nights,
                change.stays,
                change.amount,
            )
        )
        member.count(stay.departure_date, change)
        programme = member.membership.programme
        as_of = self._as_of(stay, member.membership)
        figures = member.figures(window_start(as_of, programme.qualification_months), as_of)
        reached = highest_reached(in_force(self.thresholds.get(programme.pk, ()), as_of), figures)
        if reached is None or reached.rank <= member.tier.rank or member.membership.status != Membership.Status.ACTIVE:
            return
        self.upgrades.append(
            Upgrade(
                membership_id=member.membership.pk,
                from_tier_id=member.tier.pk,
                to_tier_id=reached.tier_id,
                effective_date=as_of,
                decided_at=min(stay.checked_out_at or self.now, self.now) if self.as_of_departure else self.now,
                figures=figures,
                criteria_id=reached.id,
            )
        )
        member.tier = self.tiers[reached.tier_id]
        member.membership.tier_since_date = as_of


def _rule_books(programme_ids: set[int]) -> dict[int, RuleBook]:
    terms: dict[int, list[RuleTerms]] = {programme_id: [] for programme_id in programme_ids}
    for rule in EarningRule.objects.filter(programme__in=programme_ids):
        terms[rule.programme_id].append(
            RuleTerms(
                id=rule.pk,
                name=rule.name,
                tier_id=rule.tier_id,
                property_id=rule.property_id,
                category=rule.category,
                currency=rule.currency,
                points_per_unit=rule.points_per_unit,
                effective_from=rule.effective_from,
                effective_until=rule.effective_until,
            )
        )
    return {programme_id: RuleBook(rules) for programme_id, rules in terms.items()}


def _source(stay: Stay) -> tuple[str, str]:
    return stay.source_system, ledger_reference(stay.property_id, stay.source_reference)


def _explanation(
    stay: Stay, place: Property, tier: Tier, award: Award, *, before: int, earned: bool, reason: str
) -> dict[str, Any]:
    """What the posting keeps, for `loyalty.rules.explain` and for the next correction."""
    facts: dict[str, Any] = {
        "kind": Posting.Kind.EARN if earned else Posting.Kind.CLAWBACK,
        "stay": {
            "id": stay.pk,
            "reference": stay.source_reference,
            "arrival": stay.arrival_date.isoformat(),
            "departure": stay.departure_date.isoformat(),
        },
        "property": {"id": place.pk, "zh": place.name, "en": place.name_en},
        "tier": {"id": tier.pk, "zh": tier.name, "en": tier.name_en},
        "currency": stay.currency,
        "parts": award.parts,
        "total": award.points,
        "before": before,
    }
    if award.unpaid:
        facts["unpaid"] = award.unpaid
    if award.rebates:
        facts["rebates"] = award.rebates
    if stay.status == Stay.Status.VOIDED:
        facts["voided"] = True
        facts["reason"] = reason
    return facts
