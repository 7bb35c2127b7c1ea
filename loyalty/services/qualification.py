"""What stays count towards tiers: which member they count for, the qualification ledger, upgrades at once.

`QualificationBatch` serves `loyalty.services.earning`: it holds the members of the stays of one
transaction, tells each stay's tier as the batch goes on – a member may climb from one stay to the
next – and writes entries and upgrades together at the end. What counts without a stay is in
`loyalty.services.tier_credits`.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import TYPE_CHECKING

import structlog
from django.db import connection, transaction
from django.db.models import Q, Sum

from hotels.models import ExchangeRate
from loyalty.models import Membership, Programme, QualificationEntry, Tier, TierChange
from loyalty.rules.earning import Charge
from loyalty.rules.exchange import Quote, RateTable
from loyalty.rules.qualification import CountedStay, counts, nights_of, shared_nights
from loyalty.rules.tiers import (
    EXTRA,
    MONTHS_IN_YEAR,
    Figures,
    PolicyTerms,
    Threshold,
    add_months,
    highest_for_life,
    highest_reached,
    in_force,
    period_of,
    policy_in_force,
    valid_until,
)
from loyalty.selectors.standing import policies_of, thresholds_of
from loyalty.services.tier_grants import evaluate_challenges
from loyalty.services.tiers import Move, change_tiers
from members.models import FolioLine, Reservation, RevenueCategory, Stay
from members.rules.conditions import read
from members.selectors.conditions import to_q

if TYPE_CHECKING:
    from hotels.models import User

logger = structlog.get_logger(__name__)

DAY = dt.timedelta(days=1)

_INSERT_ENTRIES = """
INSERT INTO loyalty_qualificationentry (
    membership_id, stay_id, revision, business_date, nights, stays, amount, points, created_at)
SELECT r.*, now()
FROM unnest(
    %s::bigint[], %s::bigint[], %s::int[], %s::date[], %s::int[], %s::int[], %s::numeric[], %s::bigint[]) AS r
"""

Booking = tuple[int, int, str, str]


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
    enrolled: dt.date
    days: dict[dt.date, Figures] = field(default_factory=dict)
    # A tier that was reached and begins the day after.
    ahead: Move | None = None

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
        self._own = frozenset(stay.pk for stay in stays)
        self._as_of_departure = as_of_departure
        # Columns of `_INSERT_ENTRIES`.
        self._entries: list[tuple[int, int, int, dt.date, int, int, Decimal, int]] = []
        self._moves: list[Move] = []
        self._counted: dict[int, _Counted] = defaultdict(_Counted)
        self._rooms: dict[Booking, dict[int, Stay]] = defaultdict(dict)
        self._charges: dict[int, list[Charge]] = defaultdict(list)
        self._no_shows: frozenset[int] = frozenset()
        # Conditions of a policy → ids of the stays that meet them.
        self._asked_for: dict[str, frozenset[int]] = {}
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
        self._load_counted([stay.pk for stay in self._stays])
        if self.member_of:
            self._load_terms()
            self._load_history()
            self._load_rooms()
            self._load_facts()

    def as_of(self, stay: Stay, membership: Membership) -> dt.date:
        """The day the stay is judged on; never before the departure, wherever midnight is first."""
        if self._as_of_departure:
            return stay.departure_date
        return max(membership.programme.local_date(self._now), stay.departure_date)

    def tier_of(self, stay: Stay, member: Member) -> Tier:
        """The tier that a stay is judged by."""
        self._begin_tier_ahead(member, self.as_of(stay, member.membership))
        return self.tiers[member.tier_on(stay.departure_date)] if self._as_of_departure else member.tier

    def count(self, stay: Stay, member: Member, charges: Sequence[Charge], points: int | None = 0) -> None:
        """Record what the stay counts now less what it counted before, and the upgrade that follows.

        Args:
            stay: The stay.
            member: Whom it counts for.
            charges: Its folio.
            points: Qualifying points that it brings now; None to leave them as they are.
        """
        terms = self._terms(member, stay)
        self._charges[stay.pk] = list(charges)
        counted = self._counted[stay.pk]
        worth = self._worth(stay, member.membership, terms)
        if counts(self._facts(stay, terms), terms):
            worth = replace(worth, points=counted.figures.points if points is None else points)
        rooms = self._rooms_of(stay) if terms.night_counting == "per_booking" else {}
        changed = self._record(stay, member, worth, is_marked=bool(rooms) and not counted.revisions)
        for room in rooms.values():
            if room.pk != stay.pk and room.pk not in self._own:
                before = self._counted[room.pk].figures
                share = self._worth(room, member.membership, terms)
                changed |= self._record(room, member, replace(before, nights=share.nights, stays=share.stays))
        if changed:
            self._climb(stay, member)

    @property
    def entry_count(self) -> int:
        """How many entries there are to write, or were written."""
        return len(self._entries)

    def save(self) -> int:
        """Write the entries and the changes of tier; returns how many upgrades there were."""
        if self._entries:
            with connection.cursor() as cursor:
                cursor.execute(_INSERT_ENTRIES, [list(column) for column in zip(*self._entries, strict=True)])
        for member in self.members.values():
            self._begin_tier_ahead(member, member.membership.programme.local_date(self._now))
        change_tiers(actor=self._actor, now=self._now, moves=self._moves)
        if self._entries:
            for programme in {member.membership.programme for member in self.members.values()}:
                evaluate_challenges(
                    actor=self._actor, now=self._now, programme=programme, membership_ids=list(self.members)
                )
        return sum(move.kind == TierChange.Kind.UPGRADE for move in self._moves)

    # What is read

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
            programme = membership.programme = programmes[membership.programme_id]
            enrolled = programme.local_date(membership.enrolled_at)
            member = Member(membership, self.tiers[membership.tier_id], [], enrolled)
            self.members[membership.pk] = member
            if membership.status == Membership.Status.ACTIVE:
                first_active.setdefault(membership.guest_id, member)
        for stay in self._stays:
            if stay.guest_id is not None and stay.guest_id in first_active:
                self.member_of[stay.pk] = first_active[stay.guest_id]

    def _load_counted(self, stay_ids: Sequence[int]) -> None:
        rows = (
            QualificationEntry.objects.filter(stay__in=stay_ids)
            .order_by("pk")
            .values_list("stay_id", "membership_id", "nights", "stays", "amount", "points")
        )
        for stay_id, membership_id, nights, stays, amount, points in rows:
            counted = self._counted[stay_id or 0]
            counted.figures += Figures(nights, stays, amount, points)
            counted.revisions += 1
            if membership_id in self.members:
                # A stay that was moved to another guest counts for that one now.
                self.member_of[stay_id or 0] = self.members[membership_id]

    def _load_terms(self) -> None:
        """Policies, thresholds and rates."""
        self._policies: dict[int, list[PolicyTerms]] = policies_of(self.programme_ids)
        self._thresholds: dict[int, list[Threshold]] = thresholds_of(self.programme_ids)
        self._rates = RateTable(
            Quote(row.currency, row.to_currency, row.effective_from, row.rate) for row in ExchangeRate.objects.all()
        )

    def _load_history(self) -> None:
        """The figures and tiers of the past."""
        for change in TierChange.objects.filter(membership__in=self.members).order_by("-effective_date", "-pk"):
            self.members[change.membership_id].changes.append(change)
        extra = {name: Sum("quantity", filter=Q(measure=name), default=0) for name in EXTRA}
        days = (
            QualificationEntry.objects.filter(membership__in=self.members, **self._counting_dates())
            .values_list("membership_id", "business_date")
            .annotate(Sum("nights"), Sum("stays"), Sum("amount"), Sum("points"), **extra)
        )
        for membership_id, day, *sums in days:
            self.members[membership_id].count(day, Figures(*sums))

    def _counting_dates(self) -> dict[str, dt.date]:
        """Which entries can matter: all of them where something counts since enrollment."""
        policies = [terms for found in self._policies.values() for terms in found]
        asks_all = any(terms.window == "lifetime" for terms in policies) or any(
            threshold.asks_lifetime for found in self._thresholds.values() for threshold in found
        )
        if asks_all:
            return {}
        oldest = min(
            self.as_of(stay, self.member_of[stay.pk].membership) for stay in self._stays if stay.pk in self.member_of
        )
        months = max((terms.window_months for terms in policies if terms.window == "rolling"), default=MONTHS_IN_YEAR)
        return {"business_date__gte": add_months(oldest, -max(months, MONTHS_IN_YEAR))}

    def _load_rooms(self) -> None:
        """The other rooms of the bookings, where they share their nights."""
        shares = {
            programme_id
            for programme_id, found in self._policies.items()
            if any(terms.night_counting == "per_booking" for terms in found)
        }
        mine = [
            stay
            for stay in self._stays
            if stay.booking_reference
            and stay.pk in self.member_of
            and self.member_of[stay.pk].membership.programme_id in shares
        ]
        if not mine:
            return
        # Read after the lock: what another transaction stored for the member meanwhile is seen here.
        others = list(
            Stay.objects.filter(
                guest__in={stay.guest_id for stay in mine},
                booking_reference__in={stay.booking_reference for stay in mine},
                qualification_entries__isnull=False,
            )
            .exclude(pk__in=self._own)
            .exclude(status=Stay.Status.IN_HOUSE)
            .distinct()
            .order_by("pk")
        )
        wanted = {_booking(stay) for stay in mine}
        others = [stay for stay in others if _booking(stay) in wanted]
        self._load_counted([stay.pk for stay in others])
        for stay in [*mine, *others]:
            self._rooms[_booking(stay)][stay.pk] = stay
        self._charges |= charges_of([stay.pk for stay in [*mine, *others]])

    def _load_facts(self) -> None:
        """Which stays are no-shows, and which meet a policy's conditions; nothing is read where nobody asks."""
        ids = [*self._own, *(pk for rooms in self._rooms.values() for pk in rooms)]
        policies = [terms for found in self._policies.values() for terms in found]
        if any(terms.no_show_nights is not None for terms in policies):
            no_shows = Reservation.objects.filter(stay__in=ids, status=Reservation.Status.NO_SHOW)
            self._no_shows = frozenset(no_shows.values_list("stay", flat=True))
        for terms in policies:
            tree = terms.stay_conditions
            if tree.get("all") == [] or str(tree) in self._asked_for:
                continue
            asked_for = Stay.objects.filter(to_q(read(tree, "stay"), today=self._now.date()), pk__in=ids)
            self._asked_for[str(tree)] = frozenset(asked_for.values_list("pk", flat=True))

    # What is worked out

    def _terms(self, member: Member, stay: Stay) -> PolicyTerms:
        """The policy by which a stay counts: that of its departure."""
        return policy_in_force(self._policies.get(member.membership.programme_id, ()), stay.departure_date)

    def _facts(self, stay: Stay, terms: PolicyTerms) -> CountedStay:
        eligible = [charge for charge in self._charges[stay.pk] if charge.is_eligible]
        by_night: dict[dt.date, Decimal] = defaultdict(Decimal)
        for charge in eligible:
            if charge.category == RevenueCategory.ROOM:
                by_night[charge.business_date] += charge.net_amount
        asked_for = self._asked_for.get(str(terms.stay_conditions))
        return CountedStay(
            id=stay.pk,
            arrival=stay.arrival_date,
            departure=stay.departure_date,
            paid=sum((charge.net_amount for charge in eligible), Decimal(0)),
            paid_nights=frozenset(night for night, amount in by_night.items() if amount > 0),
            is_voided=stay.status == Stay.Status.VOIDED,
            is_no_show=stay.pk in self._no_shows,
            is_asked_for=asked_for is None or stay.pk in asked_for,
        )

    def _rooms_of(self, stay: Stay) -> dict[int, Stay]:
        return self._rooms.get(_booking(stay), {}) if stay.booking_reference else {}

    def _worth(self, stay: Stay, membership: Membership, terms: PolicyTerms) -> Figures:
        """What a stay counts towards a tier, its points aside."""
        facts = self._facts(stay, terms)
        if not counts(facts, terms):
            return Figures()
        nights, stays = len(nights_of(facts, terms)), 1
        rooms = self._rooms_of(stay) if terms.night_counting == "per_booking" else {}
        if rooms:
            # A booking is one stay, told at its first room that counts.
            all_facts = [self._facts(room, terms) for room in rooms.values()]
            nights = shared_nights(all_facts, terms)[stay.pk]
            stays = int(stay.pk == min(room.id for room in all_facts if counts(room, terms)))
        currency = membership.programme.currency
        amount = max(facts.paid, Decimal(0))
        converted = self._rates.convert(amount, stay.currency, currency, stay.departure_date)
        if converted is None:
            logger.warning("exchange_rate_missing", currency=stay.currency, to_currency=currency, stay=stay.pk)
        return Figures(nights=nights, stays=stays, amount=converted or Decimal(0))

    def _record(self, stay: Stay, member: Member, worth: Figures, *, is_marked: bool = False) -> bool:
        """Note the difference to what was counted; a room of a booking is noted even if it adds nothing."""
        counted = self._counted[stay.pk]
        change = worth - counted.figures
        if not change and not is_marked:
            return False
        self._entries.append(
            (
                member.membership.pk,
                stay.pk,
                counted.revisions,
                stay.departure_date,
                change.nights,
                change.stays,
                change.amount,
                change.points,
            )
        )
        counted.figures = worth
        counted.revisions += 1
        member.count(stay.departure_date, change)
        return True

    def _climb(self, stay: Stay, member: Member) -> None:
        membership, programme = member.membership, member.membership.programme
        if membership.status != Membership.Status.ACTIVE:
            return
        as_of = self.as_of(stay, membership)
        self._begin_tier_ahead(member, as_of)
        terms = policy_in_force(self._policies.get(programme.pk, ()), as_of)
        period = period_of(terms, as_of, member.enrolled, membership.counts_from_date)
        figures, lifetime = member.figures(period.start, as_of), member.figures(dt.date.min, as_of)
        thresholds = in_force(self._thresholds.get(programme.pk, ()), as_of)
        reached = highest_reached(thresholds, figures, lifetime)
        if reached is None:
            return
        for_life = highest_for_life(thresholds, lifetime)
        is_for_life = for_life is not None and for_life.rank >= reached.rank
        until = None if is_for_life else valid_until(terms, as_of, member.enrolled)
        if not self._is_news(reached, terms, member, until, is_for_life=is_for_life):
            return
        is_upgrade = reached.rank > member.tier.rank
        waits = is_upgrade and terms.upgrade_timing == "next_day"
        move = Move(
            membership_id=membership.pk,
            kind=TierChange.Kind.UPGRADE if is_upgrade else TierChange.Kind.RENEWAL,
            from_tier_id=member.tier.pk,
            to_tier_id=reached.tier_id,
            effective_date=as_of + DAY if waits else as_of,
            until_date=until,
            source="lifetime" if is_for_life else "earned",
            decided_at=min(stay.checked_out_at or self._now, self._now) if self._as_of_departure else self._now,
            figures={**figures.as_json(), "criteria": reached.id},
            zero_from=as_of + DAY if is_upgrade and terms.zero_on_change else None,
        )
        if waits:
            member.ahead = move
        else:
            self._begin(member, move)

    @staticmethod
    def _is_news(
        reached: Threshold, terms: PolicyTerms, member: Member, until: dt.date | None, *, is_for_life: bool
    ) -> bool:
        """Whether what was reached is a higher tier, or the same one for longer."""
        if reached.rank != member.tier.rank:
            ahead = member.ahead
            return reached.rank > member.tier.rank and (ahead is None or ahead.to_tier_id != reached.tier_id)
        membership = member.membership
        if is_for_life:
            return membership.tier_until_date is not None or membership.tier_source != "lifetime"
        ends = membership.tier_until_date
        return terms.is_by_year and ends is not None and until is not None and until > ends

    def _begin_tier_ahead(self, member: Member, day: dt.date) -> None:
        if member.ahead is not None and member.ahead.effective_date <= day:
            move, member.ahead = member.ahead, None
            self._begin(member, move)

    def _begin(self, member: Member, move: Move) -> None:
        self._moves.append(move)
        membership = member.membership
        if move.kind == TierChange.Kind.UPGRADE:
            member.tier = self.tiers[move.to_tier_id]
            membership.tier_since_date = move.effective_date
        membership.tier_until_date = move.until_date
        membership.tier_source = move.source
        membership.counts_from_date = move.zero_from or membership.counts_from_date


def charges_of(stay_ids: Sequence[int]) -> dict[int, list[Charge]]:
    """The folios of some stays, by stay id."""
    charges: dict[int, list[Charge]] = defaultdict(list)
    lines = FolioLine.objects.filter(stay__in=stay_ids).values_list(
        "stay_id", "line_reference", "business_date", "category", "net_amount", "is_eligible"
    )
    for stay_id, reference, business_date, category, net_amount, is_eligible in lines:
        charges[stay_id].append(Charge(reference, business_date, category, net_amount, is_eligible))
    return charges


def _booking(stay: Stay) -> Booking:
    return stay.guest_id or 0, stay.property_id, stay.source_system, stay.booking_reference


@transaction.atomic
def recount_stays(*, actor: User | None, now: dt.datetime, stay_ids: Sequence[int]) -> int:
    """Work out anew what some stays count; qualifying points stay as they are.

    What counts already is compared with what the stays say, and only the difference is written: after
    a recount of everything the sums are those of the stays. Returns how many entries were written.
    """
    stays = list(
        Stay.objects.filter(pk__in=stay_ids, guest__isnull=False)
        .exclude(status=Stay.Status.IN_HOUSE)
        .order_by("departure_date", "pk")
    )
    batch = QualificationBatch(actor=actor, now=now, stays=stays)
    batch.load()
    charges = charges_of([stay.pk for stay in stays])
    for stay in stays:
        if stay.pk in batch.member_of:
            batch.count(stay, batch.member_of[stay.pk], charges[stay.pk], None)
    batch.save()
    return batch.entry_count
