"""How much a role may give a guest for what went wrong, for one ticket altogether."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Limit:
    """For one ticket: points, vouchers, and money in the property's currency."""

    points: int
    vouchers: int
    amount: Decimal


NOTHING = Limit(0, 0, Decimal(0))
LIMITS = {
    "receptionist": Limit(500, 0, Decimal(0)),
    "guest_service": Limit(2000, 1, Decimal(300)),
    "property_manager": Limit(20_000, 3, Decimal(3000)),
    "group_manager": Limit(200_000, 10, Decimal(50_000)),
}


def limit_of(roles: Iterable[str]) -> Limit:
    """The widest limits among some roles."""
    found = [LIMITS[role] for role in roles if role in LIMITS] or [NOTHING]
    return Limit(
        max(limit.points for limit in found),
        max(limit.vouchers for limit in found),
        max(limit.amount for limit in found),
    )
