"""Stored value: what a top-up gives, which part pays, and what goes back. Amounts are minor units (fen)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

# The second account of a currency holds what was given on top; the first holds what was paid.
GIFT_SUFFIX = ":gift"

PRINCIPAL_FIRST = "principal_first"
GIFT_FIRST = "gift_first"
PROPORTIONAL = "proportional"

GIFT_IN_PROPORTION = "proportion"
GIFT_WHOLLY = "whole"


class Parts(NamedTuple):
    """An amount by where it comes from or goes to."""

    principal: int
    gift: int

    @property
    def total(self) -> int:
        """Both together."""
        return self.principal + self.gift


def units_of(currency: str) -> tuple[str, str]:
    """The units of the two accounts of a currency: principal and gift."""
    return currency, currency + GIFT_SUFFIX


def gift_for(amount: int, steps: Iterable[tuple[int, int]]) -> int:
    """What is given for a top-up: the gift of the highest step it reaches, once.

    Args:
        amount: What is paid.
        steps: (amount reached, gift) in any order.
    """
    reached = [step for step in steps if step[0] <= amount]
    return max(reached)[1] if reached else 0


def split_payment(amount: int, balance: Parts, order: str) -> Parts:
    """Which part of a payment each balance pays; the parts add up to the amount.

    Args:
        amount: What is paid, at most the whole balance.
        balance: What can be spent.
        order: `PRINCIPAL_FIRST`, `GIFT_FIRST` or `PROPORTIONAL` (the gift's share is rounded down).

    Raises:
        ValueError: More than the balance, or nothing.
    """
    if not 0 < amount <= balance.total:
        raise ValueError(amount)
    if order == PRINCIPAL_FIRST:
        gift = max(amount - balance.principal, 0)
    elif order == GIFT_FIRST:
        gift = min(amount, balance.gift)
    else:
        # Rounding down may ask for one minor unit more of the principal than there is.
        gift = max(amount * balance.gift // balance.total, amount - balance.principal)
    return Parts(amount - gift, gift)


def gift_taken_back(*, refunded_to_date: int, topped_up: Parts, taken_before: int, left: int, policy: str) -> int:
    """How much of a top-up's gift goes when a part of its principal is paid back.

    Rounded up cumulatively, so that parts of a refund take as much as one refund of the whole, and never
    more than is unspent.

    Args:
        refunded_to_date: Principal paid back since the beginning, this refund included.
        topped_up: What the top-up brought.
        taken_before: Gift taken back by earlier refunds.
        left: Gift of this top-up that is unspent.
        policy: `GIFT_IN_PROPORTION`, or `GIFT_WHOLLY` with the first refund.
    """
    wanted = topped_up.gift
    if policy == GIFT_IN_PROPORTION:
        wanted = -(-topped_up.gift * refunded_to_date // topped_up.principal)
    return min(max(wanted - taken_before, 0), left)
