"""What stays bring their members: points; what they count towards tiers is in `loyalty.services.qualification`.

One function serves a finished stay, a late charge, a rebate, a void and a file of history:
`settle_stays` compares what a stay is worth as its folio stands with what was given for it, and posts
the difference. So it can run again at any time. A stay is decided once: the version of the rules, the
tier, the rules that matched and the exchange rate stand in the posting's explanation, and every
correction keeps them (see `loyalty.rules.earning`).

A stay counts for one membership: the one it counted for before, else the guest's first active one.
Points of a stay stand in the ledger under its source system and number; the first posting has an empty
line, further ones the lines 2, 3, …. There is one posting for all points that one property pays for
and that live equally long – usually all of them. Bonus points are kept apart where the programme gives
them a life of their own, and so is what another property pays for; each of these *shares* is corrected
by itself, and the guest sees one line for the stay.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import structlog
from django.db import transaction

from hotels.models import ExchangeRate, Property
from loyalty.models import Membership, Posting, Programme, Tier
from loyalty.rules.earning import (
    NOTHING,
    Award,
    Bill,
    Charge,
    RuleBook,
    RuleTerms,
    RuleVersion,
    award_stay,
    ledger_reference,
    nights_of,
    rules_given_before,
)
from loyalty.rules.exchange import Quote, RateTable
from loyalty.rules.expiry import last_usable_day
from loyalty.selectors.member_facts import is_of_member, member_facts
from loyalty.selectors.postings import postings_by_source, share_of
from loyalty.selectors.rule_books import rule_books
from loyalty.services.caps import CapBook
from loyalty.services.ledger import BY_PROGRAMME, Movement, SourceLine, Verb, post_movements
from loyalty.services.qualification import Member, QualificationBatch
from members.models import FolioLine, Reservation, Stay
from members.selectors.conditions import facts_of

if TYPE_CHECKING:
    from hotels.models import User

logger = structlog.get_logger(__name__)

CHUNK = 5000
# Bonus kept apart or not, and which other property pays.
Share = tuple[bool, int | None]
PLAIN: Share = (False, None)


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
    leaving: bool = False,
) -> Settlement:
    """Give or take what is due for some stays; safe to repeat.

    Args:
        actor: Who caused it; None for the system.
        now: Aware instant.
        stay_ids: Finished or voided stays; those without a guest or whose guest is no member bring nothing.
        as_of_departure: Judge each stay as on its day of departure – tier, window, business date –
            instead of today; for history and night audits.
        reason: Why, for a void or a move.
        leaving: The stays are about to be given to other guests: take everything back.

    Returns:
        What was changed, over all chunks of 5,000 stays; each chunk is one transaction (or part of
        the caller's).
    """
    total = Settlement()
    for start in range(0, len(stay_ids), CHUNK):
        with transaction.atomic():
            batch = _Batch(actor, now, stay_ids[start : start + CHUNK], as_of_departure=as_of_departure, reason=reason)
            if leaving:
                batch.leave()
            done = batch.settle()
        total = Settlement(
            total.points_given + done.points_given,
            total.points_taken + done.points_taken,
            total.upgrades + done.upgrades,
        )
    return total


@dataclass(slots=True)
class _ShareGiven:
    """The points of one share of a stay so far."""

    earnings: list[Posting] = field(default_factory=list)
    # Posting id → points of it not reversed yet.
    left: dict[int, int] = field(default_factory=dict)
    parts: list[dict[str, Any]] = field(default_factory=list)

    @property
    def points(self) -> int:
        return sum(self.left.values())


@dataclass(slots=True)
class _Given:
    """The points a stay has brought so far."""

    shares: dict[Share, _ShareGiven] = field(default_factory=lambda: defaultdict(_ShareGiven))
    movements: int = 0
    newest: dict[str, Any] = field(default_factory=dict)

    def of_rule(self, code: str) -> int:
        """Points that a rule gave, as they stand in the newest explanations."""
        return sum(part["points"] for share in self.shares.values() for part in share.parts if part["rule"] == code)


@dataclass(frozen=True, slots=True)
class _Decision:
    """What a stay is judged by, once and for all its corrections."""

    on_date: dt.date
    tier: Tier
    version: RuleVersion | None
    rules: list[RuleTerms]
    unit_value: Decimal | None
    # Bonus points have postings of their own.
    apart: bool
    # Parts of an award of an earlier release.
    given_before: list[dict[str, Any]] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        facts: dict[str, Any] = {
            "on": self.on_date.isoformat(),
            "version": self.version and {"id": self.version.id, "number": self.version.number},
            "rules": [rule.code for rule in self.rules if rule.lines is None],
            "unit_value": None if self.unit_value is None else str(self.unit_value),
        }
        if self.apart:
            facts["apart"] = True
        if self.given_before:
            facts["given_before"] = self.given_before
        return facts


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

    def leave(self) -> None:
        """Judge the stays as if they had not taken place; the rows stay as they are."""
        for stay in self.stays:
            stay.status = Stay.Status.VOIDED

    def settle(self) -> Settlement:
        self.qualification.load()
        if not self.qualification.member_of:
            return Settlement()
        members = self.qualification.members.values()
        self.programmes: dict[int, Programme] = {m.membership.programme_id: m.membership.programme for m in members}
        self.today = {pk: programme.local_date(self.now) for pk, programme in self.programmes.items()}
        self._load_given()
        self._load_folios()
        self._load_rules()
        self._load_rates()
        for stay, member in self._pairs():
            self._settle_stay(stay, member)
        results = post_movements(self.movements) if self.movements else []
        self.caps.save()
        upgrades = self.qualification.save()
        points = [result.points for result in results]
        return Settlement(
            points_given=sum(p for p in points if p > 0),
            points_taken=-sum(p for p in points if p < 0),
            upgrades=upgrades,
        )

    def _load_folios(self) -> None:
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
        earnings: dict[int, _ShareGiven] = {}
        for programme_id, stays in by_programme.items():
            for source, postings in postings_by_source(programme_id=programme_id, sources=list(stays)).items():
                given = self.given[stays[source]]
                given.movements = len(postings)
                given.newest = postings[-1].explanation or {}
                for posting in postings:
                    share = given.shares[share_of(posting)]
                    share.parts = (posting.explanation or {}).get("parts", [])
                    if posting.kind != Posting.Kind.CLAWBACK:
                        share.earnings.append(posting)
                        share.left[posting.pk] = posting.points
                        earnings[posting.pk] = share
        if earnings:
            reversals = Posting.objects.filter(reverses__in=list(earnings)).values_list(
                "reverses_id", "reversed_points"
            )
            for posting_id, reversed_points in reversals:
                if posting_id is not None:
                    earnings[posting_id].left[posting_id] -= reversed_points

    def _load_rules(self) -> None:
        """Versions in force on the activity dates and those decided on before; facts for the undecided."""
        self.activity = self._activity_dates()
        dates: dict[int, set[dt.date]] = defaultdict(set)
        version_ids: set[int] = set()
        undecided: list[tuple[Stay, int]] = []
        for stay, member in self._pairs():
            decision = self.given[stay.pk].newest.get("decision")
            if decision is None:
                dates[member.membership.programme_id].add(self.activity[stay.pk])
                undecided.append((stay, member.membership.programme_id))
            elif decision["version"]:
                version_ids.add(decision["version"]["id"])
        today = max(self.today.values())
        self.books: dict[int, RuleBook] = rule_books(self.programmes, dates=dates, version_ids=version_ids, today=today)
        versions = [(pk, version) for pk, book in self.books.items() for version in book.versions]
        fields = frozenset().union(*(version.fields() for _pk, version in versions))
        self.member_fields = frozenset(name for name in fields if is_of_member(name))
        self.facts: Mapping[int, dict[str, Any]] = {}
        if undecided and fields - self.member_fields:
            self.facts = facts_of(
                "stay", [stay.pk for stay, _pk in undecided], fields=fields - self.member_fields, today=today
            )
        self.caps = CapBook(
            ((pk, rule) for pk, version in versions for rule in version.rules), self.qualification.members.keys()
        )
        self.caps.load()

    def _activity_dates(self) -> dict[int, dt.date]:
        """The date of each stay that decides about its version."""
        kinds = {stay.pk: member.membership.programme.activity_date for stay, member in self._pairs()}
        booked: dict[int, dt.date | None] = {}
        if Programme.ActivityDate.BOOKED in kinds.values():
            ids = {stay.reservation_id for stay in self.stays if stay.reservation_id}
            booked = dict(Reservation.objects.filter(pk__in=ids).values_list("pk", "booked_on_date"))
        dates = {}
        for stay in self.stays:
            kind = kinds.get(stay.pk)
            dates[stay.pk] = stay.departure_date if kind == Programme.ActivityDate.DEPARTURE else stay.arrival_date
            if kind == Programme.ActivityDate.BOOKED:
                # Without a booking the day the guest came is the day they decided.
                dates[stay.pk] = booked.get(stay.reservation_id or 0) or stay.arrival_date
        return dates

    def _load_rates(self) -> None:
        foreign = any(stay.currency != member.membership.programme.currency for stay, member in self._pairs())
        rows = ExchangeRate.objects.all() if foreign else ()
        self.rates = RateTable(Quote(row.currency, row.to_currency, row.effective_from, row.rate) for row in rows)

    def _pairs(self) -> Iterator[tuple[Stay, Member]]:
        member_of = self.qualification.member_of
        return ((stay, member_of[stay.pk]) for stay in self.stays if stay.pk in member_of)

    def _decide(self, stay: Stay, member: Member) -> _Decision:
        newest = self.given[stay.pk].newest
        before = newest.get("decision")
        programme_id = member.membership.programme_id
        book = self.books[programme_id]
        tier = self.qualification.tier_of(stay, member)
        if newest:
            tier = self.qualification.tiers[newest["tier"]["id"]]
        if before is not None:
            version = book.get(before["version"]["id"]) if before["version"] else None
            given_before = before.get("given_before", [])
            return _Decision(
                on_date=dt.date.fromisoformat(before["on"]),
                tier=tier,
                version=version,
                rules=[
                    *(version.named(before["rules"]) if version else ()),
                    *rules_given_before(given_before, currency=stay.currency),
                ],
                unit_value=None if before["unit_value"] is None else Decimal(before["unit_value"]),
                apart=before.get("apart", False),
                given_before=given_before,
            )
        on_date = self.activity[stay.pk]
        version = book.in_force(on_date)
        facts = self.facts.get(stay.pk, {}) | member_facts(
            member.membership, tier, on_date=on_date, fields=self.member_fields
        )
        given_before = [
            {name: part[name] for name in ("rule", "name", "rate", "lines")} for part in newest.get("parts", ())
        ]
        return _Decision(
            on_date=on_date,
            tier=tier,
            version=version,
            rules=[
                *(version.matching(facts) if version else ()),
                *rules_given_before(given_before, currency=stay.currency),
            ],
            unit_value=self._unit_value(stay, member.membership.programme),
            apart=member.membership.programme.bonus_expiry_months is not None,
            given_before=given_before,
        )

    def _unit_value(self, stay: Stay, programme: Programme) -> Decimal | None:
        unit_value = self.rates.unit_value(stay.currency, programme.currency, stay.departure_date)
        if unit_value is None:
            logger.warning(
                "exchange_rate_missing", currency=stay.currency, to_currency=programme.currency, stay=stay.pk
            )
        return unit_value

    def _settle_stay(self, stay: Stay, member: Member) -> None:
        given = self.given[stay.pk]
        decision = self._decide(stay, member)
        membership = member.membership
        award = NOTHING
        if stay.status != Stay.Status.VOIDED:
            award = award_stay(
                Bill(
                    charges=self.charges[stay.pk],
                    currency=stay.currency,
                    nights=nights_of(stay.arrival_date, stay.departure_date),
                    unit_value=decision.unit_value,
                ),
                decision.rules,
                room=self.caps.room(membership.programme_id, membership.pk, decision.on_date, given.of_rule),
            )
        for share, (points, parts) in _shares(award, stay, decision, given).items():
            self._move_points(stay, member, decision, award, share, points, parts)
        self.qualification.count(stay, member, self.charges[stay.pk], points=award.qualifying_points)

    def _move_points(
        self,
        stay: Stay,
        member: Member,
        decision: _Decision,
        award: Award,
        share: Share,
        points: int,
        parts: list[dict[str, Any]],
    ) -> None:
        given = self.given[stay.pk].shares[share]
        difference = points - given.points
        if not difference or (difference > 0 and member.membership.status != Membership.Status.ACTIVE):
            return
        explanation = self._explanation(stay, decision, award, share, points, parts, before=given.points)
        if difference > 0:
            self.movements.append(self._movement(stay, member, share, explanation, decision, points=difference))
        for posting in reversed(given.earnings):
            part = min(-difference, given.left[posting.pk])
            if part > 0:
                taken = {**explanation, "kind": Posting.Kind.CLAWBACK}
                self.movements.append(
                    self._movement(stay, member, share, taken, decision, points=part, posting=posting)
                )
                difference += part
        self._count_caps(member, decision, given.parts, parts)

    def _count_caps(
        self,
        member: Member,
        decision: _Decision,
        before: Sequence[dict[str, Any]],
        after: Sequence[dict[str, Any]],
    ) -> None:
        change: dict[str, int] = defaultdict(int)
        for sign, parts in ((-1, before), (1, after)):
            for part in parts:
                change[part["rule"]] += sign * part["points"]
        for code, points in change.items():
            self.caps.use(member.membership.programme_id, member.membership.pk, code, decision.on_date, points)

    def _movement(
        self,
        stay: Stay,
        member: Member,
        share: Share,
        explanation: dict[str, Any],
        decision: _Decision,
        *,
        points: int,
        posting: Posting | None = None,
    ) -> Movement:
        place = self.places[stay.property_id]
        programme = member.membership.programme
        is_bonus, funded_by = share
        occurred_at = min(stay.checked_out_at or self.now, self.now) if self.as_of_departure else self.now
        business_date = stay.departure_date if self.as_of_departure else place.local_date(self.now)
        release_on = stay.departure_date + dt.timedelta(days=programme.pending_days)
        today = self.today[programme.pk]
        given = self.given[stay.pk]
        given.movements += 1
        system, reference = _source(stay)
        return Movement(
            verb=Verb.REVERSE if posting else Verb.EARN,
            now=occurred_at,
            # What is taken back is taken where it was given, which after a merge of profiles is another account.
            membership_id=None if posting else member.membership.pk,
            points=points,
            kind=Posting.Kind.BONUS if is_bonus else Posting.Kind.EARN,
            lot_class="bonus" if is_bonus else "earned",
            expires_on=last_usable_day(business_date, programme.bonus_expiry_months, programme.expiry_rounding)
            if is_bonus
            else BY_PROGRAMME,
            posting_id=posting.pk if posting else None,
            pending_until=release_on if programme.pending_days and release_on > today else None,
            unit_cost=programme.point_value,
            source=SourceLine(system, reference, str(given.movements) if given.movements > 1 else ""),
            explanation=explanation,
            rule_version=str(decision.version.number) if decision.version else "",
            business_date=business_date,
            property_id=funded_by or stay.property_id,
            actor_id=self.actor.pk if self.actor else None,
            reason=self.reason,
        )

    def _explanation(
        self,
        stay: Stay,
        decision: _Decision,
        award: Award,
        share: Share,
        points: int,
        parts: list[dict[str, Any]],
        *,
        before: int,
    ) -> dict[str, Any]:
        """What the posting keeps, for `loyalty.rules.explain` and for the next correction."""
        place, tier = self.places[stay.property_id], decision.tier
        facts: dict[str, Any] = {
            "kind": Posting.Kind.EARN,
            "stay": {
                "id": stay.pk,
                "reference": stay.source_reference,
                "arrival": stay.arrival_date.isoformat(),
                "departure": stay.departure_date.isoformat(),
            },
            "property": {"id": place.pk, "zh": place.name, "en": place.name_en},
            "tier": {"id": tier.pk, "zh": tier.name, "en": tier.name_en},
            "currency": stay.currency,
            "programme_currency": self.qualification.member_of[stay.pk].membership.programme.currency,
            "decision": decision.as_json(),
            "parts": parts,
            "total": points,
            "before": before,
        }
        if share != PLAIN:
            facts["share"] = {"bonus": share[0], "funded_by": share[1]}
        if award.unpaid:
            facts["unpaid"] = award.unpaid
        if award.rebates:
            facts["rebates"] = award.rebates
        if stay.status == Stay.Status.VOIDED:
            facts["voided"] = True
            facts["reason"] = self.reason
        return facts


def _shares(
    award: Award, stay: Stay, decision: _Decision, given: _Given
) -> dict[Share, tuple[int, list[dict[str, Any]]]]:
    """The award, split by who pays and by how long points live; what was given before is among it."""
    parts: dict[Share, list[dict[str, Any]]] = {PLAIN: [], **{share: [] for share in given.shares}}
    for part in award.parts:
        funded_by = part.get("funded_by")
        is_bonus = decision.apart and not part.get("is_base", False)
        parts.setdefault((is_bonus, None if funded_by == stay.property_id else funded_by), []).append(part)
    return {share: (sum(part["points"] for part in some), some) for share, some in parts.items()}


def _source(stay: Stay) -> tuple[str, str]:
    return stay.source_system, ledger_reference(stay.property_id, stay.source_reference)
