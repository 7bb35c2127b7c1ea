"""How many points a stay earns, and why.

For each folio line one rule is chosen: among those in force on the line's business date, in the
line's currency and for the member's tier, the one that names the property before one that names the
tier before one that names the category. The points of a stay are, for each rule, the eligible amount
of all its lines times the rate, rounded down once; so a stay split over several folios or posted in
parts brings the same points.

A correction never asks today's rules about yesterday's lines: a line keeps the rule and rate it was
given by, a rebate takes back at those rates, and only lines that were not there before look for a
rule. A rebate lowers the lines of its own category first, then the others, the newest first; below
nothing it takes nothing.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_FLOOR, Decimal
from typing import Any

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class RuleTerms:
    """What an earning rule says; None and an empty category mean any."""

    id: int
    name: str
    tier_id: int | None
    property_id: int | None
    category: str
    currency: str
    points_per_unit: Decimal
    effective_from: dt.date
    effective_until: dt.date | None = None

    def is_in_force(self, on_date: dt.date) -> bool:
        """Whether the rule counts on a business date; the end is not included."""
        return self.effective_from <= on_date and (self.effective_until is None or on_date < self.effective_until)

    def rank(self) -> tuple[bool, bool, bool]:
        """How closely the rule is meant: property before tier before category."""
        return self.property_id is not None, self.tier_id is not None, bool(self.category)


@dataclass(frozen=True, slots=True)
class Charge:
    """One folio line; `net_amount` in the stay's currency, negative for a rebate."""

    reference: str
    business_date: dt.date
    category: str
    net_amount: Decimal
    is_eligible: bool = True


class RuleBook:
    """The rules of one programme, ready to be asked many times."""

    def __init__(self, rules: Iterable[RuleTerms]) -> None:
        # The best comes first; the id only makes the order of equals definite.
        self._rules = sorted(rules, key=lambda rule: (rule.rank(), rule.effective_from, rule.id), reverse=True)
        self._by_id = {rule.id: rule for rule in self._rules}
        self._narrowed: dict[tuple[int, int | None, str, str], list[RuleTerms]] = {}

    def choose(
        self, *, on_date: dt.date, property_id: int, tier_id: int | None, category: str, currency: str
    ) -> RuleTerms | None:
        """The rule for a line of a business date, or None where the programme gives nothing."""
        key = (property_id, tier_id, category, currency)
        candidates = self._narrowed.get(key)
        if candidates is None:
            candidates = [
                rule
                for rule in self._rules
                if rule.currency == currency
                and rule.property_id in {None, property_id}
                and rule.tier_id in {None, tier_id}
                and rule.category in {"", category}
            ]
            self._narrowed[key] = candidates
        return next((rule for rule in candidates if rule.is_in_force(on_date)), None)


@dataclass(slots=True)
class _Part:
    """The lines of a stay that one rule pays for."""

    rule_id: int
    name: str
    rate: Decimal
    lines: list[Charge] = field(default_factory=list)
    amounts: dict[str, Decimal] = field(default_factory=lambda: defaultdict(lambda: ZERO))

    def newest(self) -> tuple[dt.date, int]:
        return max(line.business_date for line in self.lines), self.rule_id

    def amount(self) -> Decimal:
        return sum(self.amounts.values(), ZERO)

    def points(self) -> int:
        return points_for(self.amount(), self.rate)

    def as_json(self) -> dict[str, Any]:
        return {
            "rule": self.rule_id,
            "name": self.name,
            "rate": format_rate(self.rate),
            "lines": [line.reference for line in self.lines],
            "amounts": {category: f"{amount:.2f}" for category, amount in sorted(self.amounts.items())},
            "amount": f"{self.amount():.2f}",
            "points": self.points(),
        }


@dataclass(frozen=True, slots=True)
class Award:
    """The points a stay is worth as its folio stands, with the arithmetic behind them.

    `parts` is JSON-ready, one entry per rule: `rule`, `name`, `rate`, `lines` (references),
    `amounts` by category, `amount`, `points`. `unpaid` holds the references of lines without a rule
    and of lines that may not earn; `rebates` the references of negative lines.
    """

    points: int
    parts: list[dict[str, Any]]
    unpaid: list[str]
    rebates: list[str]


def points_for(amount: Decimal, rate: Decimal) -> int:
    """Whole points for an eligible amount, rounded down; nothing for a negative one."""
    return max(0, int((amount * rate).to_integral_value(rounding=ROUND_FLOOR)))


def format_rate(rate: Decimal) -> str:
    """A rate without needless zeros, such as 1.5."""
    text = f"{rate:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def award_stay(
    charges: Sequence[Charge],
    *,
    rules: RuleBook,
    property_id: int,
    tier_id: int | None,
    currency: str,
    given: Sequence[dict[str, Any]] = (),
) -> Award:
    """Work out what a stay is worth.

    Args:
        charges: Every line of the folio as it stands now.
        rules: The programme's rules.
        property_id: Where the stay was.
        tier_id: The member's tier that the stay is judged by.
        currency: ISO 4217 code of the folio.
        given: `parts` of the award given before, so that its lines keep their rule and rate.

    Returns:
        The award for the whole folio, independent of the order of the lines.
    """
    recorded = {reference: part for part in given for reference in part["lines"]}
    parts: dict[tuple[int, Decimal], _Part] = {}
    unpaid: list[str] = []
    unpaid_amounts: dict[str, Decimal] = defaultdict(lambda: ZERO)
    rebates: list[Charge] = []
    for charge in sorted(charges, key=lambda c: (c.business_date, c.reference)):
        if not charge.is_eligible:
            unpaid.append(charge.reference)
            continue
        if charge.net_amount < 0:
            rebates.append(charge)
            continue
        part = _part_for(charge, recorded, rules, property_id=property_id, tier_id=tier_id, currency=currency)
        if part is None:
            unpaid.append(charge.reference)
            unpaid_amounts[charge.category] += charge.net_amount
            continue
        part = parts.setdefault((part.rule_id, part.rate), part)
        part.lines.append(charge)
        part.amounts[charge.category] += charge.net_amount
    _take_back(list(parts.values()), unpaid_amounts, rebates)
    ordered = sorted(parts.values(), key=lambda part: (-part.rate, part.rule_id))
    return Award(
        points=sum(part.points() for part in ordered),
        parts=[part.as_json() for part in ordered],
        unpaid=unpaid,
        rebates=[charge.reference for charge in rebates],
    )


def _part_for(
    charge: Charge,
    recorded: dict[str, dict[str, Any]],
    rules: RuleBook,
    *,
    property_id: int,
    tier_id: int | None,
    currency: str,
) -> _Part | None:
    before = recorded.get(charge.reference)
    if before is not None:
        return _Part(rule_id=before["rule"], name=before["name"], rate=Decimal(before["rate"]))
    rule = rules.choose(
        on_date=charge.business_date,
        property_id=property_id,
        tier_id=tier_id,
        category=charge.category,
        currency=currency,
    )
    if rule is None:
        return None
    return _Part(rule_id=rule.id, name=rule.name, rate=rule.points_per_unit)


def _take_back(parts: Sequence[_Part], unpaid_amounts: dict[str, Decimal], rebates: Sequence[Charge]) -> None:
    """Lower the parts by the rebates: same category first, newest part first.

    What a rebate gives back of lines that earned nothing costs no points.
    """
    owed: dict[str, Decimal] = defaultdict(lambda: ZERO)
    for rebate in rebates:
        owed[rebate.category] -= rebate.net_amount
    newest_first = sorted(parts, key=_Part.newest, reverse=True)
    for category in sorted(owed):
        for part in newest_first:
            owed[category] -= _lower(part, category, owed[category])
        owed[category] -= min(owed[category], unpaid_amounts.get(category, ZERO))
    rest = sum(owed.values(), ZERO)
    for part in newest_first:
        for category in sorted(part.amounts):
            rest -= _lower(part, category, rest)


def _lower(part: _Part, category: str, amount: Decimal) -> Decimal:
    taken = min(part.amounts.get(category, ZERO), amount)
    if taken > 0:
        part.amounts[category] -= taken
    return max(taken, ZERO)


REFERENCE_LENGTH = 80


def ledger_reference(property_id: int, source_reference: str) -> str:
    """Under which reference the ledger knows a stay: numbers repeat between properties."""
    reference = f"{property_id}/{source_reference}"
    if len(reference) <= REFERENCE_LENGTH:
        return reference
    return f"{property_id}/{hashlib.sha256(source_reference.encode()).hexdigest()}"[:REFERENCE_LENGTH]
