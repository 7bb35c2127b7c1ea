"""The folio as it stands: charges, and rebates taken off them."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

ZERO = Decimal(0)
REFERENCE_LENGTH = 80


@dataclass(frozen=True, slots=True)
class Charge:
    """One folio line; `net_amount` in the stay's currency, negative for a rebate."""

    reference: str
    business_date: dt.date
    category: str
    net_amount: Decimal
    is_eligible: bool = True


@dataclass(slots=True)
class Folio:
    """The charges that may earn, in order of date and reference, and what rebates left of each."""

    charges: list[Charge]
    left: list[Decimal]
    ineligible: list[str]
    rebates: list[str]

    @property
    def is_paid(self) -> bool:
        """Whether anything is left that somebody paid for."""
        return any(amount > 0 for amount in self.left)


def _position(charge: Charge) -> tuple[dt.date, str]:
    return charge.business_date, charge.reference


def read_folio(charges: Sequence[Charge]) -> Folio:
    """Take the rebates off the charges.

    A rebate first lowers the charges of its own category, the newest first, then the others, the newest
    first; no charge below zero. What is then left of it takes nothing.
    """
    if len(charges) > 1:
        charges = sorted(charges, key=_position)
    folio = Folio([], [], [], [])
    owed: dict[str, Decimal] = defaultdict(lambda: ZERO)
    for charge in charges:
        if not charge.is_eligible:
            folio.ineligible.append(charge.reference)
        elif charge.net_amount < 0:
            folio.rebates.append(charge.reference)
            owed[charge.category] -= charge.net_amount
        else:
            folio.charges.append(charge)
            folio.left.append(charge.net_amount)
    if owed:
        rest = ZERO
        for category, amount in owed.items():
            rest += _lower(folio, amount, category)
        if rest:
            _lower(folio, rest, None)
    return folio


def _lower(folio: Folio, amount: Decimal, category: str | None) -> Decimal:
    """Lower charges, the newest first; returns what is left of the amount."""
    for index in range(len(folio.charges) - 1, -1, -1):
        if amount <= 0:
            break
        if category is None or folio.charges[index].category == category:
            taken = min(folio.left[index], amount)
            folio.left[index] -= taken
            amount -= taken
    return amount


def ledger_reference(property_id: int, source_reference: str) -> str:
    """Under which reference the ledger knows a stay: numbers repeat between properties."""
    reference = f"{property_id}/{source_reference}"
    if len(reference) <= REFERENCE_LENGTH:
        return reference
    return f"{property_id}/{hashlib.sha256(source_reference.encode()).hexdigest()}"[:REFERENCE_LENGTH]
