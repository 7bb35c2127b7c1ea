"""The catalogue as one property offers it on one day: everything that decides, in one statement."""

from __future__ import annotations

import datetime as dt
import json
import zoneinfo
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db import connection

from hotels.models import Property
from loyalty.models import Membership, Programme, RewardCategory
from loyalty.rules.rewards import (
    Limit,
    Option,
    PriceRow,
    RewardRefusal,
    RewardTerms,
    Wish,
    options_of,
    period_start,
    why_not,
)
from loyalty.selectors.prepared import run_prepared

# Everything about rewards that may decide, for a member (or nobody), a property, a day of redemption and the day it is
# for. Amounts come as text, for JSON knows no decimals.
_TERMS = """
SELECT r.id, r.programme_id, r.code, r.name, r.name_en, r.category, r.points, r.is_active, r.fulfilment,
    r.cash_value, r.valid_from, r.valid_until, t.rank AS min_rank, t.name AS tier_name, t.name_en AS tier_name_en,
    r.lead_hours, r.voucher_type_id, r.description, r.description_en, r.picture <> '' AS has_picture,
    NOT EXISTS (SELECT FROM loyalty_reward_properties x WHERE x.reward_id = r.id)
        AND NOT EXISTS (SELECT FROM loyalty_reward_brands x WHERE x.reward_id = r.id)
        OR EXISTS (SELECT FROM loyalty_reward_properties x WHERE x.reward_id = r.id AND x.property_id = a.place)
        OR EXISTS (SELECT FROM loyalty_reward_brands x WHERE x.reward_id = r.id AND x.brand_id = a.brand)
        AS is_offered_here,
    (SELECT jsonb_agg(jsonb_build_array(p.id, p.points, p.cash::text, p.currency, p.first_date, p.last_date,
            p.weekdays, p.property_id IS NOT NULL, p.brand_id IS NOT NULL))
        FROM loyalty_rewardprice p
        WHERE p.reward_id = r.id AND p.effective_from <= a.today
            AND (p.effective_until IS NULL OR p.effective_until > a.today)
            AND (p.property_id IS NULL OR p.property_id = a.place)
            AND (p.brand_id IS NULL OR p.brand_id = a.brand))::text AS prices,
    (SELECT jsonb_build_array(q.points_per_unit::text, q.round_to) FROM loyalty_exchangeratio q
        WHERE r.cash_value IS NOT NULL AND q.programme_id = r.programme_id AND q.effective_from <= a.today
            AND q.category IN ('', r.category) AND (q.property_id IS NULL OR q.property_id = a.place)
        ORDER BY (q.property_id IS NOT NULL) DESC, q.category DESC, q.effective_from DESC LIMIT 1)::text AS ratio,
    (SELECT jsonb_agg(s.total - s.taken) FROM loyalty_rewardstock s
        WHERE s.reward_id = r.id AND (s.property_id IS NULL OR s.property_id = a.place))::text AS stock,
    EXISTS (SELECT FROM loyalty_rewardstock s WHERE s.reward_id = r.id) AS has_stock,
    (SELECT jsonb_agg(jsonb_build_array(l.scope, l.period, l.maximum, coalesce(u.used, 0)) ORDER BY l.id)
        FROM loyalty_rewardlimit l
        LEFT JOIN loyalty_rewarduse u ON u.reward_id = l.reward_id AND u.scope = l.scope AND u.period = l.period
            AND u.property_id IS NOT DISTINCT FROM CASE WHEN l.scope = 'property' THEN a.place END
            AND u.membership_id IS NOT DISTINCT FROM CASE WHEN l.scope = 'member' THEN a.member END
            AND u.period_start IS NOT DISTINCT FROM CASE l.period WHEN 'lifetime' THEN NULL
                ELSE date_trunc(l.period, a.for_date)::date END
        WHERE l.reward_id = r.id AND (l.scope <> 'member' OR a.member IS NOT NULL))::text AS limits,
    (SELECT jsonb_agg(jsonb_build_array(b.first_date, b.last_date) ORDER BY b.first_date)
        FROM loyalty_rewardblackout b
        WHERE b.reward_id = r.id AND b.last_date >= a.today AND (b.property_id IS NULL OR b.property_id = a.place))
        ::text AS blackouts,
    m.programme_id AS member_programme, m.status AS member_status, mt.rank AS member_rank
FROM (SELECT %s::bigint AS place, %s::bigint AS brand, %s::date AS today, %s::date AS for_date, %s::bigint AS member)
    AS a
CROSS JOIN loyalty_reward r
LEFT JOIN loyalty_tier t ON t.id = r.min_tier_id
LEFT JOIN loyalty_membership m ON m.id = a.member
LEFT JOIN loyalty_tier mt ON mt.id = m.tier_id
WHERE {which}
"""
_OF_ONE = _TERMS.format(which="r.id = %s")
_OF_PROGRAMME = _TERMS.format(which="r.programme_id = %s AND r.is_active ORDER BY r.points, r.id")


@dataclass(frozen=True, slots=True)
class MemberFacts:
    """What of a membership decides; None where nobody in particular is meant."""

    programme_id: int
    is_active: bool
    rank: int


@dataclass(frozen=True, slots=True)
class Priced:
    """One way to pay for an offer; `missing` points of those available."""

    option: Option
    missing: int = 0


@dataclass(frozen=True, slots=True)
class Offer:
    """A reward with its prices for a day, and why it cannot be had, if so."""

    terms: RewardTerms
    options: Sequence[Priced]
    refusal: RewardRefusal | None

    @property
    def can_be_taken(self) -> bool:
        """Whether the guest can take it now."""
        return self.refusal is None

    @property
    def category(self) -> str:
        """The category in the language of the reader."""
        return str(RewardCategory(self.terms.category).label)

    @property
    def cheapest(self) -> Priced | None:
        """The option in points alone, or the first; None where there is none."""
        return self.options[0] if self.options else None


def day_begins(place: Property, date: dt.date) -> dt.datetime:
    """The instant at which a day begins at a property."""
    return dt.datetime.combine(date, dt.time.min, tzinfo=zoneinfo.ZoneInfo(place.time_zone))


def terms_of_reward(
    *, reward_id: int, place: Property, today: dt.date, for_date: dt.date, membership_id: int | None
) -> tuple[RewardTerms, MemberFacts | None] | None:
    """One reward as a property offers it, and the member, in one query; None if there is no such reward."""
    parameters = [place.pk, place.brand_id, today, for_date, membership_id, reward_id]
    rows = run_prepared(connection, _OF_ONE, parameters)
    return (_terms(rows[0]), _member(rows[0])) if rows else None


def offers(
    *,
    programme: Programme,
    place: Property,
    now: dt.datetime,
    for_date: dt.date | None = None,
    membership: Membership | None = None,
    rank: int | None = None,
    available: int | None = None,
    quantity: int = 1,
) -> list[Offer]:
    """The catalogue for a day: what can be had first, the rest with the reason; one query.

    Args:
        programme: Whose catalogue.
        place: The property that gives it.
        now: Aware instant.
        for_date: The property's calendar date it is for; today if none is given.
        membership: For whom; None for nobody in particular.
        rank: Of the tier to look through the eyes of, without a membership.
        available: Points that can be spent; None leaves them out of account.
        quantity: How many.
    """
    today = place.local_date(now)
    date = for_date or today
    parameters = [place.pk, place.brand_id, today, date, membership.pk if membership else None, programme.pk]
    found = []
    for row in run_prepared(connection, _OF_PROGRAMME, parameters):
        terms, member = _terms(row), _member(row)
        wish = wish_of(
            place=place,
            now=now,
            for_date=date,
            programme_id=programme.pk,
            member=member,
            rank=rank,
            quantity=quantity,
        )
        options = [
            Priced(option, max(0, option.points * quantity - available) if available is not None else 0)
            for option in options_of(terms, date, place.currency)
        ]
        refusal = why_not(terms, wish)
        if refusal is None and available is not None and options and all(priced.missing for priced in options):
            needed = min(priced.option.points for priced in options) * quantity
            refusal = RewardRefusal("insufficient_points", {"needed": f"{needed:,}", "available": f"{available:,}"})
        found.append(Offer(terms, options, refusal))
    # What can be had first; sorting keeps the order of prices within.
    return sorted(found, key=lambda offer: not offer.can_be_taken)


def wish_of(
    *,
    place: Property,
    now: dt.datetime,
    for_date: dt.date,
    programme_id: int,
    member: MemberFacts | None = None,
    rank: int | None = None,
    quantity: int = 1,
) -> Wish:
    """Who wants how many for which day, as the rules ask it."""
    return Wish(
        today=place.local_date(now),
        for_date=for_date,
        until_day=day_begins(place, for_date) - now,
        currency=place.currency,
        programme_id=member.programme_id if member else programme_id,
        rank=member.rank if member else rank,
        is_active=member.is_active if member else True,
        quantity=quantity,
    )


def counters_of(terms: RewardTerms, *, place: Property, membership_id: int, for_date: dt.date) -> list[dict[str, Any]]:
    """The counters that a redemption moves, JSON-ready, in the order of the limits."""
    return [
        {
            "scope": limit.scope,
            "property_id": place.pk if limit.scope == "property" else None,
            "membership_id": membership_id if limit.scope == "member" else None,
            "period": limit.period,
            "period_start": period_start(limit.period, for_date),
            "maximum": limit.maximum,
        }
        for limit in terms.limits
    ]


def _loads(text: str | None) -> list[Any]:
    return json.loads(text) if text else []


def _date(value: str | None) -> dt.date | None:
    return dt.date.fromisoformat(value) if value else None


def _member(row: Sequence[Any]) -> MemberFacts | None:
    programme_id, status, rank = row[27:30]
    return None if programme_id is None else MemberFacts(programme_id, status == "active", rank)


def _terms(row: Sequence[Any]) -> RewardTerms:
    ratio = _loads(row[22])
    return RewardTerms(
        id=row[0],
        programme_id=row[1],
        code=row[2],
        name=row[3],
        name_en=row[4],
        category=row[5],
        points=row[6],
        is_active=row[7],
        fulfilment=row[8],
        value=row[9],
        valid_from=row[10],
        valid_until=row[11],
        min_rank=row[12],
        min_tier=(row[13] or "", row[14] or ""),
        lead_hours=row[15],
        voucher_type_id=row[16],
        description=row[17],
        description_en=row[18],
        has_picture=row[19],
        is_offered_here=row[20],
        prices=[_price(values) for values in _loads(row[21])],
        ratio=Decimal(ratio[0]) if ratio else None,
        round_to=ratio[1] if ratio else 1,
        stock=_loads(row[23]),
        has_stock=row[24],
        limits=[Limit(*values) for values in _loads(row[25])],
        blackouts=[(dt.date.fromisoformat(first), dt.date.fromisoformat(last)) for first, last in _loads(row[26])],
    )


def _price(values: Sequence[Any]) -> PriceRow:
    pk, points, cash, currency, first, last, weekdays, of_property, of_brand = values
    return PriceRow(
        id=pk,
        points=points,
        cash=Decimal(cash),
        currency=currency,
        first_date=_date(first),
        last_date=_date(last),
        weekdays=frozenset(weekdays or ()),
        of_property=of_property,
        of_brand=of_brand,
    )
