"""What members have stored, what of a top-up can be paid back, and the daily statement of a property."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from collections.abc import Iterable
from dataclasses import dataclass, field

from django.db.models import F, Q, Sum
from django.db.models.fields.json import KeyTextTransform

from loyalty.models import Account, Lot, LotMove, Membership, StoredValueMovement
from loyalty.rules.wallet import GIFT_SUFFIX, Parts, units_of

SOURCE = "stored_value"
LINES = ("principal", "gift")


def today_of(membership: Membership, now: dt.datetime) -> dt.date:
    """The date in the programme's time zone."""
    return now.astimezone(zoneinfo.ZoneInfo(membership.programme.time_zone)).date()


def spendable(on_date: dt.date) -> Q:
    """Lots that can be spent on a date, whether or not the nightly expiry has run."""
    return Q(state=Lot.State.OPEN) & (Q(expires_on=None) | Q(expires_on__gte=on_date))


def stored_value(*, membership: Membership, currency: str, on_date: dt.date) -> Parts:
    """What can be spent on a date, in minor units."""
    sums = dict(
        Lot.objects.filter(spendable(on_date), account__membership=membership, account__unit__in=units_of(currency))
        .values_list("account__unit")
        .annotate(left=Sum("remaining"))
    )
    principal, gift = (sums.get(unit, 0) for unit in units_of(currency))
    return Parts(principal, gift)


def currencies_of(membership: Membership) -> list[str]:
    """The currencies a member ever topped up in."""
    units = Account.objects.filter(membership=membership).exclude(unit="points").values_list("unit", flat=True)
    return sorted(unit for unit in units if not unit.endswith(GIFT_SUFFIX))


def left_of_top_ups(*, top_ups: Iterable[StoredValueMovement], on_date: dt.date) -> dict[int, Parts]:
    """What is unspent of some top-ups, by their id."""
    by_reference = {str(top_up.public_id): top_up.pk for top_up in top_ups}
    left: dict[int, dict[str, int]] = {pk: {} for pk in by_reference.values()}
    lots = Lot.objects.filter(
        spendable(on_date),
        posting__source_system=SOURCE,
        account__membership__in={top_up.membership_id for top_up in top_ups},
        account__unit__in={unit for top_up in top_ups for unit in units_of(top_up.currency)},
    ).values_list("posting__source_reference", "posting__source_line", "remaining")
    for reference, line, remaining in lots:
        if reference in by_reference:
            left[by_reference[reference]][line] = remaining
    return {pk: Parts(parts.get("principal", 0), parts.get("gift", 0)) for pk, parts in left.items()}


@dataclass(slots=True)
class StatementColumn:
    """One day of the principal, or of the gift; minor units, what goes out is negative."""

    opening: int = 0
    topped_up: int = 0
    spent: int = 0
    refunded: int = 0
    expired: int = 0

    @property
    def closing(self) -> int:
        """What is left at the end of the day."""
        return self.opening + self.topped_up + self.spent + self.refunded + self.expired


@dataclass(slots=True)
class DailyStatement:
    """The stored value that a property took, and what became of it on one business date."""

    currency: str
    on_date: dt.date
    principal: StatementColumn = field(default_factory=StatementColumn)
    gift: StatementColumn = field(default_factory=StatementColumn)

    @property
    def total(self) -> StatementColumn:
        """Both together."""
        return StatementColumn(
            *(
                getattr(self.principal, name) + getattr(self.gift, name)
                for name in ("opening", "topped_up", "spent", "refunded", "expired")
            )
        )


def daily_statement(*, programme_id: int, property_id: int, currency: str, on_date: dt.date) -> DailyStatement:
    """The statement of one property, from the moves of the lots that were topped up there.

    A payment counts where the money was topped up, wherever it was spent; what is undone counts against
    what it undoes, on the day it was undone.
    """
    statement = DailyStatement(currency, on_date)
    moves = (
        LotMove.objects.filter(
            account__programme=programme_id,
            account__unit__in=units_of(currency),
            lot__funding_property=property_id,
            posting__business_date__lte=on_date,
        )
        .annotate(is_today=Q(posting__business_date=on_date))
        .values_list(
            "account__unit",
            "is_today",
            "posting__kind",
            KeyTextTransform("stored_value", "posting__explanation"),
        )
        .annotate(amount=Sum(F("open_delta") + F("pending_delta")))
    )
    for unit, is_today, kind, what, amount in moves:
        column = statement.gift if unit.endswith(GIFT_SUFFIX) else statement.principal
        if not is_today:
            name = "opening"
        elif kind == "clawback" and what == StoredValueMovement.Kind.REFUND:
            name = "refunded"
        elif kind in {"earn", "clawback"}:
            name = "topped_up"
        elif kind in {"redeem", "refund"}:
            name = "spent"
        else:
            name = "expired"
        setattr(column, name, getattr(column, name) + amount)
    return statement
