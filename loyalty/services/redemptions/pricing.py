"""A new price from a date on; what was in force until then stays."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django.db import transaction

from hotels.services.audit import record_audit
from loyalty.models import Reward, RewardPrice

if TYPE_CHECKING:
    from hotels.models import User

SCOPE = ("first_date", "last_date", "weekdays", "property", "brand")


@transaction.atomic
def change_price(
    *,
    actor: User,
    now: dt.datetime,
    reward_id: int,
    effective_from: dt.date,
    points: int,
    cash: Decimal = Decimal(0),
    currency: str = "",
    price_id: int | None = None,
) -> RewardPrice:
    """Let a price of a reward be another one from a date on.

    Args:
        actor: Who decides it.
        now: Aware instant.
        reward_id: The reward.
        effective_from: First day of redemption with the new price.
        points: Of one.
        cash: Money besides.
        currency: Of the money; empty without any.
        price_id: The row that ends the day before; None: the new price is added to what holds everywhere.

    Raises:
        django.core.exceptions.ValidationError: The price contradicts another one, or the row is not in force then.
    """
    reward = Reward.objects.select_for_update(no_key=True, of=("self",)).get(pk=reward_id)
    scope: dict[str, Any] = {}
    before = None
    if price_id is not None:
        old = RewardPrice.objects.get(pk=price_id, reward=reward)
        before = str(old)
        scope = {name: getattr(old, name) for name in SCOPE}
        old.effective_until = effective_from
        old.full_clean()
        old.save(update_fields=["effective_until"])
    price = RewardPrice(
        reward=reward, points=points, cash=cash, currency=currency, effective_from=effective_from, **scope
    )
    price.full_clean()
    price.save()
    record_audit(
        actor=actor,
        now=now,
        action="reward.price_changed",
        target=reward,
        label=reward.code,
        before={"price": before} if before else None,
        after={"price": str(price), "effective_from": str(effective_from)},
    )
    return price
