"""What the guest card shows of stored value."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

from django.db.models import Sum

from hotels.models import Property, User
from loyalty.models import Lot
from loyalty.rules.money import whole
from loyalty.rules.wallet import GIFT_SUFFIX
from loyalty.selectors.wallet import spendable
from members.models import Guest


def card_context(guest: Guest, user: User, place: Property, now: dt.datetime) -> dict[str, Any]:
    """The guest's balances by currency; one query."""
    if not user.has_perm("loyalty.view_storedvaluemovement", place):
        return {"balances": []}
    sums = (
        Lot.objects.filter(spendable(place.local_date(now)), account__membership__guest=guest)
        .exclude(account__unit="points")
        .values_list("account__unit")
        .annotate(left=Sum("remaining"))
    )
    balances: dict[str, list[Decimal]] = {}
    for unit, left in sums:
        balance = balances.setdefault(unit.removesuffix(GIFT_SUFFIX), [Decimal(0), Decimal(0)])
        balance[unit.endswith(GIFT_SUFFIX)] = whole(left)
    return {
        "balances": [
            (currency, principal + gift, principal, gift) for currency, (principal, gift) in sorted(balances.items())
        ],
    }
