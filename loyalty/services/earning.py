"""What stays bring their members: points; what they count towards tiers is in `loyalty.services.qualification`.

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
from typing import TYPE_CHECKING, Any

from django.db import transaction

from hotels.models import Property
from loyalty.models import EarningRule, Membership, Posting, Tier
from loyalty.rules.earning import Award, Charge, RuleBook, RuleTerms, award_stay, ledger_reference
from loyalty.selectors.postings import postings_by_source
from loyalty.services.ledger import Movement, SourceLine, Verb, post_movements
from loyalty.services.qualification import Member, QualificationBatch
from members.models import FolioLine, Stay

if TYPE_CHECKING:
    from hotels.models import User

CHUNK = 5000
NOTHING = Award(points=0, parts=[], unpaid=[], rebates=[])


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
    """The points a stay has brought so far."""

    earnings: list[Posting] = field(default_factory=list)
    # Posting id → points of it not reversed yet.
    left: dict[int, int] = field(default_factory=dict)
    movements: int = 0
    newest: dict[str, Any] = field(default_factory=dict)

    @property
    def points(self) -> int:
        return sum(self.left.values())


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
        self.qualification = QualificationBatch(actor=actor, now=now, stays=self.stays, as_of_departure=as_of_departure)
        self.given: dict[int, _Given] = defaultdict(_Given)
        self.movements: list[Movement] = []

    def settle(self) -> Settlement:
        self.qualification.load()
        if not self.qualification.member_of:
            return Settlement()
        self._load_terms()
        self._load_given()
        for stay, member in self._pairs():
            self._settle_stay(stay, member)
        results = post_movements(self.movements) if self.movements else []
        upgrades = self.qualification.save()
        points = [result.points for result in results]
        return Settlement(
            points_given=sum(p for p in points if p > 0),
            points_taken=-sum(p for p in points if p < 0),
            upgrades=upgrades,
        )

    def _load_terms(self) -> None:
        """Rules and folios."""
        self.books = _rule_books(self.qualification.programme_ids)
        self.places = Property.objects.in_bulk({stay.property_id for stay in self.stays})
        self.charges: dict[int, list[Charge]] = defaultdict(list)
        lines = FolioLine.objects.filter(stay__in=[stay.pk for stay in self.stays]).values_list(
            "stay_id", "line_reference", "business_date", "category", "net_amount", "is_eligible"
        )
        for stay_id, reference, business_date, category, net_amount, is_eligible in lines:
            self.charges[stay_id].append(Charge(reference, business_date, category, net_amount, is_eligible))

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

    def _pairs(self) -> Iterator[tuple[Stay, Member]]:
        member_of = self.qualification.member_of
        return ((stay, member_of[stay.pk]) for stay in self.stays if stay.pk in member_of)

    def _settle_stay(self, stay: Stay, member: Member) -> None:
        given = self.given[stay.pk]
        tiers = self.qualification.tiers
        tier_id = self.qualification.tier_of(stay, member).pk
        tier = tiers[given.newest.get("tier", {}).get("id", tier_id)]
        award = NOTHING
        if stay.status != Stay.Status.VOIDED:
            award = award_stay(
                self.charges[stay.pk],
                rules=self.books[member.membership.programme_id],
                property_id=stay.property_id,
                tier_id=tier.pk,
                currency=stay.currency,
                given=given.newest.get("parts", ()),
            )
        self._move_points(stay, member, tier, award, given)
        self.qualification.count(stay, member, self.charges[stay.pk])

    def _move_points(self, stay: Stay, member: Member, tier: Tier, award: Award, given: _Given) -> None:
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
        member: Member,
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
