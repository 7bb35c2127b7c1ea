"""What members hold on a day, by who funded it and by when it was earned, what it is worth, and what will lapse."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from typing import Any

from django.db import connection

from hotels.models import Property
from loyalty.models import Programme
from loyalty.rules.breakage import Cohort, Estimate, estimate_breakage
from loyalty.selectors.finance.movements import HELD_NOW, MOVED, POSTED, midnight

CENT = Decimal("0.01")
# What is held now, less what moved since the end of the day.
_HELD = f"""
    WITH {POSTED}, {MOVED}, {HELD_NOW}
    SELECT l.funding_property_id, date_trunc('month', l.earned_date)::date, sum(x.points)::bigint,
        sum(x.points * coalesce(l.unit_cost, %(point_value)s))
    FROM (SELECT lot_id, points FROM held_now UNION ALL SELECT lot_id, -points FROM moved) x
    JOIN loyalty_lot l ON l.id = x.lot_id
    GROUP BY 1, 2 HAVING sum(x.points) <> 0
"""  # noqa: S608
_DEBT = f"""
    WITH {POSTED}
    SELECT (SELECT coalesce(sum(a.debt), 0) FROM loyalty_account a
            WHERE a.programme_id = %(programme)s AND a.unit = %(unit)s)
        + (SELECT coalesce(sum(p.debt), 0) FROM posted p)
"""  # noqa: S608
# Redeemed and lapsed points of each month of earning, by age in months.
_SPENT = f"""
    WITH {POSTED}, {MOVED}
    SELECT date_trunc('month', l.earned_date)::date,
        greatest(0, (extract(year FROM d.day) * 12 + extract(month FROM d.day)
            - extract(year FROM l.earned_date) * 12 - extract(month FROM l.earned_date))::integer),
        coalesce(-sum(m.points) FILTER (WHERE m.part IN ('redeemed', 'returned')), 0)::bigint,
        coalesce(-sum(m.points) FILTER (WHERE m.part = 'expired'), 0)::bigint
    FROM moved m
    JOIN loyalty_lot l ON l.id = m.lot_id
    CROSS JOIN LATERAL (SELECT (m.occurred_at AT TIME ZONE %(zone)s)::date AS day) d
    WHERE m.part IN ('redeemed', 'returned', 'expired') AND m.occurred_at < %(end)s
    GROUP BY 1, 2
"""  # noqa: S608


@dataclass(slots=True)
class LiabilityRow:
    """Points held, of a property, a month of earning, or both.

    Attributes:
        points: Held, set aside ones among them.
        breakage: Of these, not expected to be redeemed.
        value: Of all of them at what they cost, in the programme's currency.
        liability: Of those expected to be redeemed.
    """

    place: Property | None = None
    month: dt.date | None = None
    points: int = 0
    breakage: int = 0
    value: Decimal = Decimal(0)
    liability: Decimal = Decimal(0)

    def add(self, other: LiabilityRow) -> None:
        """Take another row in."""
        self.points += other.points
        self.breakage += other.breakage
        self.value += other.value
        self.liability += other.liability


@dataclass(frozen=True, slots=True)
class Liability:
    """The liability at the end of a day.

    Attributes:
        by_place: One row a property; `place` None for points that no property funded.
        by_month: One row a month of earning, newest first.
        debt: Points that members owe; not taken off.
        estimate: What the breakage rests on; its cohorts are all months since the first, oldest first.
    """

    on_date: dt.date
    currency: str
    by_place: list[LiabilityRow]
    by_month: list[LiabilityRow]
    total: LiabilityRow
    debt: int
    estimate: Estimate

    @property
    def rate_pct(self) -> Decimal | None:
        """The ultimate redemption rate, in percent with one decimal."""
        rate = self.estimate.rate
        return None if rate is None else Decimal(round(rate * 1000)) / 10


def liability(
    *, programme: Programme, on_date: dt.date, property_ids: Collection[int] | None = None, unit: str = "points"
) -> Liability:
    """What the points that members held at the end of a day are worth; four queries.

    Args:
        programme: Whose points.
        on_date: A day in the programme's time zone, today or any before.
        property_ids: Only what these properties funded; all, and what none did, if None. The estimate is the
            programme's: a single property has too few redemptions for one.
        unit: Of which accounts.
    """
    end = midnight(programme, on_date + dt.timedelta(days=1))
    facts: dict[str, Any] = {
        "programme": programme.pk,
        "unit": unit,
        "zone": programme.time_zone,
        "point_value": programme.point_value,
        "end": end,
    }
    with connection.cursor() as cursor:
        cursor.execute(_HELD, {**facts, "start": end})
        held = cursor.fetchall()
        cursor.execute(_DEBT, {**facts, "start": end})
        debt = int(cursor.fetchone()[0])
        cursor.execute(_SPENT, {**facts, "start": dt.datetime(1, 1, 2, tzinfo=dt.UTC)})
        spent = cursor.fetchall()
    months, estimate = _estimate(on_date, held, spent, life_months=programme.expiry_months or 0)
    share = {
        month: Fraction(found.breakage, cohort) if cohort else Fraction(0)
        for month, found, cohort in zip(months, estimate.cohorts, _outstanding(months, held), strict=True)
    }
    places = Property.objects.select_related("brand").in_bulk({row[0] for row in held if row[0] is not None})
    by_place: dict[int | None, LiabilityRow] = {}
    by_month: dict[dt.date, LiabilityRow] = {}
    total = LiabilityRow()
    for property_id, month, points, value in held:
        if property_ids is not None and property_id not in property_ids:
            continue
        row = LiabilityRow(places.get(property_id), month, points, *_worth(points, value, share[month]))
        by_place.setdefault(property_id, LiabilityRow(place=row.place)).add(row)
        by_month.setdefault(month, LiabilityRow(month=month)).add(row)
        total.add(row)
    return Liability(
        on_date,
        programme.currency,
        sorted(by_place.values(), key=lambda row: (row.place is None, row.place.code if row.place else "")),
        [by_month[month] for month in sorted(by_month, reverse=True)],
        total,
        debt,
        estimate,
    )


def _worth(points: int, value: Decimal, share: Fraction) -> tuple[int, Decimal, Decimal]:
    """Breakage, value and liability of a cell, each rounded by itself, so that every sum is of what is shown."""
    whole = Decimal(value).quantize(CENT, ROUND_HALF_UP)
    kept = Decimal(value) * (share.denominator - share.numerator) / share.denominator
    return round(points * share), whole, kept.quantize(CENT, ROUND_HALF_UP)


def _outstanding(months: list[dt.date], held: list[Any]) -> list[int]:
    sums: dict[dt.date, int] = defaultdict(int)
    for _property_id, month, points, _value in held:
        sums[month] += points
    return [sums[month] for month in months]


def _estimate(
    on_date: dt.date, held: list[Any], spent: list[Any], *, life_months: int
) -> tuple[list[dt.date], Estimate]:
    """The cohorts from the first month to that of the day, and what is expected of them."""
    known = {row[1] for row in held} | {row[0] for row in spent}
    months = _months(min(known), max(*known, on_date.replace(day=1))) if known else []
    redeemed: dict[tuple[dt.date, int], int] = {(month, age): points for month, age, points, _lapsed in spent}
    lapsed: dict[dt.date, int] = defaultdict(int)
    for month, _age, _points, gone in spent:
        lapsed[month] += gone
    cohorts = []
    for month, outstanding in zip(months, _outstanding(months, held), strict=True):
        ages = max((on_date.year - month.year) * 12 + on_date.month - month.month, 0) + 1
        so_far, row = 0, []
        for age in range(ages):
            so_far += redeemed.get((month, age), 0)
            row.append(so_far)
        cohorts.append(Cohort(outstanding + so_far + lapsed[month], outstanding, row))
    return months, estimate_breakage(cohorts, life_months=life_months)


def _months(first: dt.date, last: dt.date) -> list[dt.date]:
    months = [first]
    while months[-1] < last:
        months.append((months[-1] + dt.timedelta(days=32)).replace(day=1))
    return months
