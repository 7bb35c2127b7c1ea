"""What many stays of the same shape are worth, worked out once.

Which rule covers which charge follows from the rules that match and from the categories and dates of
the lines, not from their amounts (see the package). So a `Plan`, made by the reckoning that judges a
single stay, serves every stay of the same shape: each rule's points are a sum of amounts times whole
coefficients, divided once and rounded down. Where amounts decide, as among rules of a best-of group,
there is no plan and the stay is reckoned by itself.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import lcm

from loyalty.rules.earning.award import Bill, _Part, _Reckoning
from loyalty.rules.earning.folio import Charge
from loyalty.rules.earning.terms import AMOUNT, BEST_OF, FIXED, MULTIPLIER, NIGHTS, RATE, RuleTerms

CENTS = 100
PAID = Decimal(1)


@dataclass(frozen=True, slots=True)
class PlannedRule:
    """One rule's points: `(Σ coefficient × cents + constant) // divisor`, at most `cap`.

    Attributes:
        rule: The rule.
        terms: Index of a charge of the shape, and its coefficient.
        constant: Added whatever the amounts.
        divisor: Makes points of the sum.
        cap: The rule's cap per stay, if it has one.
        needs: Indexes of charges of which one must be paid for; None where any charge will do.
    """

    rule: RuleTerms
    terms: tuple[tuple[int, int], ...]
    constant: int
    divisor: int
    cap: int | None
    needs: tuple[int, ...] | None

    def points(self, cents: Sequence[int]) -> int:
        """The points for amounts in hundredths of the folio's currency, before caps beyond the stay."""
        if self.needs is not None and not any(cents[index] for index in self.needs):
            return 0
        total = self.constant
        for index, coefficient in self.terms:
            total += coefficient * cents[index]
        points = total // self.divisor
        return points if self.cap is None or points < self.cap else self.cap


@dataclass(frozen=True, slots=True)
class Plan:
    """The rules that cover something of a shape."""

    rules: tuple[PlannedRule, ...]

    def points(self, cents: Sequence[int]) -> list[tuple[RuleTerms, int]]:
        """Points of each rule of the plan; nothing where nothing was paid."""
        if not any(cents):
            return []
        return [(planned.rule, planned.points(cents)) for planned in self.rules]


def plan_stays(
    lines: Sequence[tuple[str, dt.date]],
    rules: Sequence[RuleTerms],
    *,
    currency: str,
    nights: Sequence[dt.date] = (),
    unit_value: Decimal | None = PAID,
) -> Plan | None:
    """Work out what stays of one shape are worth.

    Args:
        lines: Category and business date of each charge, none of them negative or ineligible.
        rules: Those whose conditions the stays meet.
        currency: ISO 4217 code of the folio.
        nights: Business dates slept at; may be left out where no rule is on nights.
        unit_value: As in `Bill`.

    Returns:
        The plan, or None where the amounts decide which rules apply.
    """
    groups = [(rule.group, rule.is_base) for rule in rules if rule.stacking == BEST_OF]
    if len({group for group, _base in groups}) < len(groups):
        return None
    charges = [Charge(f"{index:06}", day, category, PAID) for index, (category, day) in enumerate(lines)]
    reckoning = _Reckoning(Bill(charges=charges, currency=currency, nights=nights, unit_value=unit_value), rules)
    parts = reckoning._parts()
    bases = [part for part in parts if part.rule.is_base]
    return Plan(tuple(_planned(part, bases, reckoning, unit_value) for part in parts))


def _planned(part: _Part, bases: Sequence[_Part], reckoning: _Reckoning, unit_value: Decimal | None) -> PlannedRule:
    rule = part.rule
    factors: dict[int, Fraction] = {}
    constant = Fraction(0)
    needs: tuple[int, ...] | None = None
    if rule.result == MULTIPLIER:
        for base in bases:
            more, fixed = _base_on(base, part.units, reckoning, unit_value)
            constant += fixed
            for index, factor in more.items():
                factors[index] = factors.get(index, Fraction(0)) + factor
        times = Fraction(rule.value) - 1
        factors = {index: factor * times for index, factor in factors.items()}
        constant *= times
    elif rule.basis == AMOUNT and rule.result == RATE:
        factors = dict.fromkeys(_charges(part.units, reckoning), _worth(rule, unit_value))
    elif rule.basis == AMOUNT and rule.result == FIXED:
        constant = Fraction(rule.value)
        needs = tuple(_charges(part.units, reckoning))
    else:
        constant = Fraction(rule.value) * (len(part.units) if rule.basis == NIGHTS and rule.result == RATE else 1)
    divisor = lcm(constant.denominator, *(factor.denominator for factor in factors.values()))
    return PlannedRule(
        rule=rule,
        terms=tuple((index, int(factor * divisor)) for index, factor in sorted(factors.items()) if factor),
        constant=int(constant * divisor),
        divisor=divisor,
        cap=rule.caps.stay,
        needs=needs,
    )


def _base_on(
    base: _Part, units: frozenset[int], reckoning: _Reckoning, unit_value: Decimal | None
) -> tuple[dict[int, Fraction], Fraction]:
    """The base points that a base rule brings on some units: factors of charges, and what is constant."""
    if base.rule.basis == AMOUNT:
        shared = _charges(base.units & units, reckoning)
        return dict.fromkeys(shared, _worth(base.rule, unit_value)), Fraction(0)
    where = base.units if base.rule.basis == NIGHTS else frozenset({reckoning.stay_unit})
    return {}, Fraction(base.rule.value) * len(where & units)


def _worth(rule: RuleTerms, unit_value: Decimal | None) -> Fraction:
    """Points for a hundredth of the folio's currency."""
    one = Fraction(1) if rule.currency or unit_value is None else Fraction(unit_value)
    return Fraction(rule.value) * one / CENTS


def _charges(units: frozenset[int], reckoning: _Reckoning) -> list[int]:
    """The lines of the shape among some units: the reckoning has sorted them by date."""
    charges = reckoning.folio.charges
    return sorted(int(charges[unit].reference) for unit in units if unit < len(charges))
