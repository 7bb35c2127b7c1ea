"""Caps beyond a stay, kept over the stays of a back-test."""

from __future__ import annotations

import datetime as dt
from decimal import ROUND_FLOOR, Decimal
from typing import Any

from loyalty.rules.earning import RuleTerms


def room_left(used: dict[Any, Decimal], rule: RuleTerms, membership_id: int, day: dt.date, points: int) -> int:
    """How many of the points the caps leave; counts them as used."""
    if not points or not rule.caps.is_counted:
        return points
    caps, one = rule.caps, Decimal(1)
    keys: list[tuple[Any, Decimal, Decimal]] = []
    if caps.day is not None:
        keys.append(((rule.code, membership_id, day), Decimal(caps.day), one))
    if caps.month is not None:
        keys.append(((rule.code, membership_id, day.year, day.month), Decimal(caps.month), one))
    if caps.member is not None:
        keys.append(((rule.code, membership_id), Decimal(caps.member), one))
    if caps.points is not None:
        keys.append(((rule.code, "points"), Decimal(caps.points), one))
    if caps.money is not None:
        keys.append(((rule.code, "money"), caps.money, rule.point_cost or Decimal(0)))
    for key, cap, worth in keys:
        if worth:
            points = min(points, max(0, int(((cap - used[key]) / worth).to_integral_value(rounding=ROUND_FLOOR))))
    for key, _cap, worth in keys:
        used[key] += points * worth
    return points
