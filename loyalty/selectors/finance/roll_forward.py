"""The roll-forward of a programme's points: opening, what happened, closing, by the property that funded them.

The rows of the properties are made of lots: what they hold now, less what moved since. The columns are made of
postings. Both say the same, or the difference is shown with the postings it comes from.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from django.db import connection

from hotels.models import Property
from loyalty.models import Programme
from loyalty.selectors.finance.movements import HELD_NOW, MOVED, PARTS, POSTED, midnight

# One statement, so that everything is of one moment. Debts have a row of their own: no property funded them.
_ROLL = f"""
    WITH {POSTED}, {MOVED}, {HELD_NOW}
    SELECT 'lots', CASE WHEN m.occurred_at < %(end)s THEN m.part ELSE '' END, l.funding_property_id, sum(m.points)::bigint
    FROM moved m JOIN loyalty_lot l ON l.id = m.lot_id GROUP BY 1, 2, 3
    UNION ALL
    SELECT 'debt', CASE WHEN p.occurred_at < %(end)s THEN p.part ELSE '' END, NULL, sum(p.debt)::bigint
    FROM posted p WHERE p.debt <> 0 GROUP BY 1, 2
    UNION ALL
    SELECT 'booked', CASE WHEN p.occurred_at < %(end)s THEN p.part ELSE '' END, NULL, sum(p.booked)::bigint
    FROM posted p GROUP BY 1, 2
    UNION ALL
    SELECT 'lots', 'now', l.funding_property_id, sum(n.points)::bigint
    FROM held_now n JOIN loyalty_lot l ON l.id = n.lot_id GROUP BY 1, 2, 3
    UNION ALL
    SELECT 'debt', 'now', NULL, -sum(a.debt)::bigint
    FROM loyalty_account a WHERE a.programme_id = %(programme)s AND a.unit = %(unit)s
    UNION ALL
    SELECT 'booked', 'now', NULL, sum(a.available + a.pending + a.held - a.debt)::bigint
    FROM loyalty_account a WHERE a.programme_id = %(programme)s AND a.unit = %(unit)s
"""  # noqa: S608
_DIFFERING = f"""
    WITH {POSTED}, {MOVED}
    SELECT p.id, p.booked, coalesce(m.points, 0)::bigint + p.debt
    FROM posted p LEFT JOIN (SELECT id, sum(points) AS points FROM moved GROUP BY id) m ON m.id = p.id
    WHERE p.occurred_at < %(end)s AND p.booked <> coalesce(m.points, 0) + p.debt
    ORDER BY p.id LIMIT 100
"""  # noqa: S608


@dataclass(slots=True)
class RollRow:
    """One row: a property, points that no property funded (`place` None), debts, or everything.

    Attributes:
        kind: "property", "unfunded", "debt" or "total".
        parts: Signed points by part, in the order of `PARTS`.
    """

    kind: str
    place: Property | None = None
    closing: int = 0
    parts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(PARTS, 0))

    @property
    def opening(self) -> int:
        """What there was before the period."""
        return self.closing - sum(self.parts.values())

    @property
    def cells(self) -> list[tuple[str, int]]:
        """Code and points of each part."""
        return list(self.parts.items())

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to tell."""
        return not self.closing and not any(self.parts.values())


@dataclass(frozen=True, slots=True)
class Difference:
    """A posting that does not say what its lots and its debt say."""

    posting_id: int
    booked: int
    moved: int


@dataclass(frozen=True, slots=True)
class RollForward:
    """A roll-forward: `rows` from lots, `total` from postings, `differences` by part (all zero when it ties).

    Attributes:
        closing_difference: What the accounts say is held at the end, less what the lots say.
        postings: Of a difference, the postings it comes from.
    """

    rows: list[RollRow]
    total: RollRow
    differences: dict[str, int]
    closing_difference: int
    postings: list[Difference]

    @property
    def ties(self) -> bool:
        """Whether lots and postings agree to the point."""
        return not self.closing_difference and not any(self.differences.values()) and not self.postings


def roll_forward(*, programme: Programme, start: dt.date, end: dt.date, unit: str = "points") -> RollForward:
    """Roll points forward from the beginning of one day to the beginning of another; two queries if all ties.

    Args:
        programme: Whose points.
        start: First day, in the programme's time zone.
        end: The day after the last one.
        unit: Of which accounts.
    """
    params: dict[str, Any] = {
        "programme": programme.pk,
        "unit": unit,
        "start": midnight(programme, start),
        "end": midnight(programme, end),
    }
    sums: dict[tuple[str, int | None], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    with connection.cursor() as cursor:
        cursor.execute(_ROLL, params)
        for source, part, property_id, points in cursor.fetchall():
            sums[source, property_id][part] += points or 0
    places = Property.objects.select_related("brand").in_bulk(
        [pk for source, pk in sums if source == "lots" and pk is not None]
    )
    rows = [_row("property", sums["lots", place.pk], place) for place in sorted(places.values(), key=lambda p: p.code)]
    rows.append(_row("unfunded", sums["lots", None]))
    rows.append(_row("debt", sums["debt", None]))
    total = _row("total", sums["booked", None])
    differences = {part: total.parts[part] - sum(row.parts[part] for row in rows) for part in PARTS}
    closing_difference = total.closing - sum(row.closing for row in rows)
    postings = []
    if closing_difference or any(differences.values()):
        with connection.cursor() as cursor:
            cursor.execute(_DIFFERING, params)
            postings = [Difference(*row) for row in cursor.fetchall()]
    return RollForward([row for row in rows if not row.is_empty], total, differences, closing_difference, postings)


def _row(kind: str, sums: dict[str, int], place: Property | None = None) -> RollRow:
    row = RollRow(kind, place, closing=sums.get("now", 0) - sums.get("", 0))
    for part in PARTS:
        row.parts[part] = sums.get(part, 0)
    return row
