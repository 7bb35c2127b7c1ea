"""What a stay is worth by the rules that apply to it, and the arithmetic behind the points."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal
from typing import Any

from loyalty.rules.earning.folio import ZERO, Charge, Folio, read_folio
from loyalty.rules.earning.terms import AMOUNT, BEST_OF, EXCLUSIVE, FIXED, MULTIPLIER, NIGHTS, RATE, STAYS, RuleTerms

ONE = Decimal(1)
# Above every priority that a rule can have.
GIVEN_BEFORE = 40_000


@dataclass(frozen=True, slots=True)
class Cut:
    """Which cap gave fewer points than the rule: `by` a scope, `limit` in points or, for money, money."""

    by: str
    limit: int | Decimal


Room = Callable[[RuleTerms, int], tuple[int, Cut | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """The facts of a stay that points are counted on.

    Attributes:
        charges: Every line of the folio as it stands now.
        currency: ISO 4217 code of the folio.
        nights: Business dates slept at; empty for day use.
        unit_value: What one unit of the folio's currency is worth in the programme's; None where the
            house has no rate for the date.
    """

    charges: Sequence[Charge]
    currency: str
    nights: Sequence[dt.date] = ()
    unit_value: Decimal | None = ONE


@dataclass(frozen=True, slots=True)
class Award:
    """The points a stay is worth as its folio stands, with the arithmetic behind them.

    Attributes:
        points: All of them.
        parts: JSON-ready, one entry per rule that covers something: see `_Part.as_json`.
        unpaid: References of lines that no rule covers or that may not earn.
        rebates: References of negative lines.
        qualifying_points: Those of them that count towards tiers.
    """

    points: int
    parts: list[dict[str, Any]]
    unpaid: list[str]
    rebates: list[str]
    qualifying_points: int = 0


NOTHING = Award(points=0, parts=[], unpaid=[], rebates=[])


def nights_of(arrival_date: dt.date, departure_date: dt.date) -> list[dt.date]:
    """The business dates slept at."""
    return [arrival_date + dt.timedelta(days=day) for day in range((departure_date - arrival_date).days)]


def floor_points(exact: Decimal) -> int:
    """Whole points, rounded down; nothing for a negative figure."""
    return max(0, int(exact.to_integral_value(rounding=ROUND_FLOOR)))


def points_for(amount: Decimal, rate: Decimal) -> int:
    """Whole points for an eligible amount, rounded down; nothing for a negative one."""
    return floor_points(amount * rate)


def format_rate(rate: Decimal) -> str:
    """A rate without needless zeros, such as 1.5."""
    text = f"{rate:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def award_stay(bill: Bill, rules: Iterable[RuleTerms], *, room: Room | None = None) -> Award:
    """Work out what a stay is worth by the rules that apply to it.

    Args:
        bill: The stay.
        rules: Those whose conditions it meets; rules for events are passed over.
        room: How many of the points a rule may give by the caps that reach beyond the stay, and which
            cap cut them; None where no cap is to be kept.

    Returns:
        The award, independent of the order of charges and rules.
    """
    return _Reckoning(bill, rules).award(room)


def award_event_rules(rules: Iterable[RuleTerms], *, room: Room | None = None) -> Award:
    """The fixed points of an event: every rule that applies counts, each within its caps.

    Args:
        rules: Those for the event whose conditions the guest meets.
        room: As for `award_stay`.
    """
    parts = []
    total = qualifying = 0
    for rule in sorted(rules, key=lambda rule: rule.order):
        wanted = points = floor_points(rule.value)
        cut = None
        if room is not None and points and rule.caps.is_counted:
            points, cut = room(rule, points)
        total += points
        qualifying += points if rule.is_qualifying else 0
        parts.append(_entry(rule) | _outcome(rule, points, wanted, cut))
    return Award(points=total, parts=parts, unpaid=[], rebates=[], qualifying_points=qualifying)


def _entry(rule: RuleTerms) -> dict[str, Any]:
    return {
        "rule": rule.code,
        "name": dict(rule.name),
        "basis": rule.basis,
        "result": rule.result,
        "rate": format_rate(rule.value),
    }


def _outcome(rule: RuleTerms, points: int, wanted: int, cut: Cut | None) -> dict[str, Any]:
    outcome: dict[str, Any] = {"points": points}
    if cut is not None:
        limit = cut.limit if isinstance(cut.limit, int) else format_rate(cut.limit)
        outcome["capped"] = {"by": cut.by, "limit": limit, "wanted": wanted}
    if rule.is_base:
        outcome["is_base"] = True
    if rule.is_qualifying:
        outcome["qualifies"] = True
    if rule.funded_by_id is not None:
        outcome["funded_by"] = rule.funded_by_id
    if rule.caps.money is not None and rule.point_cost is not None:
        outcome["cost"] = format_rate(rule.point_cost)
    return outcome


@dataclass(slots=True)
class _Part:
    """What one rule covers of a stay: indexes of units, and the points for it before rounding and caps."""

    rule: RuleTerms
    units: frozenset[int]
    exact: Decimal = ZERO

    def points(self) -> int:
        """Rounded down once, then cut by the cap of a stay."""
        points = floor_points(self.exact)
        cap = self.rule.caps.stay
        return points if cap is None else min(points, cap)


class _Reckoning:
    """The units of a stay – its charges, then its nights, then the stay itself – and who covers them."""

    def __init__(self, bill: Bill, rules: Iterable[RuleTerms]) -> None:
        self.bill = bill
        self.folio: Folio = read_folio(bill.charges)
        self.paid = self.folio.is_paid
        self.nights_start = len(self.folio.charges)
        self.stay_unit = self.nights_start + len(bill.nights)
        self.all_units = frozenset(range(self.stay_unit + 1))
        self.rules = sorted((rule for rule in rules if self._counts(rule)), key=lambda rule: rule.order)
        self.stops: list[tuple[int, frozenset[int]]] = []
        self.base: dict[int, Decimal] = defaultdict(lambda: ZERO)

    def _counts(self, rule: RuleTerms) -> bool:
        if rule.basis == AMOUNT:
            if rule.currency:
                return rule.currency == self.bill.currency
            return rule.result != RATE or self.bill.unit_value is not None
        return rule.basis in {NIGHTS, STAYS}

    def award(self, room: Room | None) -> Award:
        parts = self._parts()
        entries = []
        total = qualifying = 0
        paid_lines: set[int] = set()
        for part in sorted(parts, key=_shown):
            wanted = floor_points(part.exact)
            points = part.points()
            cut = None if points == wanted else Cut("stay", part.rule.caps.stay or 0)
            if room is not None and points and part.rule.caps.is_counted:
                points, further = room(part.rule, points)
                cut = further or cut
            total += points
            qualifying += points if part.rule.is_qualifying else 0
            if part.rule.basis == AMOUNT:
                paid_lines |= part.units
            entries.append(self._as_json(part, points, wanted, cut))
        charges = self.folio.charges
        missed = [charge.reference for index, charge in enumerate(charges) if index not in paid_lines]
        return Award(
            points=total,
            parts=entries,
            unpaid=self.folio.ineligible + missed,
            rebates=self.folio.rebates,
            qualifying_points=qualifying,
        )

    def _parts(self) -> list[_Part]:
        grouped = [rule for rule in self.rules if rule.stacking == BEST_OF]
        winners = self._best([rule for rule in grouped if rule.is_base])
        parts = self._cover([rule for rule in self.rules if rule.stacking != BEST_OF or rule in winners])
        for part in parts:
            if part.rule.result != MULTIPLIER:
                self._count(part)
        for part in parts:
            if part.rule.is_base:
                self._add_base(part)
        for part in parts:
            if part.rule.result == MULTIPLIER:
                self._count(part)
        # Only now the base is known that multipliers of a best-of group are compared by.
        others = [rule for rule in grouped if not rule.is_base]
        if others:
            best = self._best(others)
            parts += [part for part in map(self._alone, best) if part.units]
        return parts

    def _cover(self, rules: Sequence[RuleTerms]) -> list[_Part]:
        """Who gets which units: higher priorities first, minding groups and stops."""
        taken: dict[str, frozenset[int]] = {}
        parts = []
        for rule in rules:
            units = self._free(rule)
            if rule.stacking == EXCLUSIVE:
                before = taken.get(rule.group, frozenset())
                if before:
                    units = frozenset() if rule.is_whole else units - before
                if units:
                    taken[rule.group] = self.all_units if rule.is_whole else before | units
            if units:
                parts.append(_Part(rule, units))
                if rule.stops and rule.stacking != BEST_OF:
                    self.stops.append((rule.priority, units))
        return parts

    def _best(self, rules: Sequence[RuleTerms]) -> list[RuleTerms]:
        """The rule of each best-of group that brings most by itself; the first of equals."""
        best: dict[str, tuple[int, RuleTerms]] = {}
        for rule in rules:
            part = self._alone(rule)
            points = part.points()
            if part.units and (rule.group not in best or points > best[rule.group][0]):
                best[rule.group] = points, rule
        return [rule for _points, rule in best.values()]

    def _alone(self, rule: RuleTerms) -> _Part:
        part = _Part(rule, self._free(rule))
        self._count(part)
        return part

    def _free(self, rule: RuleTerms) -> frozenset[int]:
        """The units a rule is for, less those that a rule of higher priority stopped at."""
        units = self._units(rule)
        for priority, stopped in self.stops:
            if priority > rule.priority:
                if rule.is_whole and units & stopped:
                    return frozenset()
                units -= stopped
        return units

    def _units(self, rule: RuleTerms) -> frozenset[int]:
        if rule.basis == STAYS:
            return self.all_units
        if rule.basis == NIGHTS:
            nights = enumerate(self.bill.nights, self.nights_start)
            return frozenset(unit for unit, night in nights if rule.is_on(night))
        return frozenset(
            unit
            for unit, charge in enumerate(self.folio.charges)
            if (not rule.categories or charge.category in rule.categories)
            and rule.is_on(charge.business_date)
            and (rule.lines is None or charge.reference in rule.lines)
        )

    def _count(self, part: _Part) -> None:
        """The points for what a rule covers, before rounding."""
        rule = part.rule
        if rule.result == MULTIPLIER:
            part.exact = (rule.value - 1) * sum((self.base[unit] for unit in part.units), ZERO)
        elif rule.basis == AMOUNT:
            amount = self._amount(part)
            part.exact = amount * self._unit_value(rule) * rule.value if rule.result == RATE else ZERO
            if rule.result == FIXED and amount > 0:
                part.exact = rule.value
        elif self.paid:
            times = len(part.units) if rule.basis == NIGHTS and rule.result == RATE else 1
            part.exact = rule.value * times

    def _amount(self, part: _Part) -> Decimal:
        return sum((self.folio.left[unit] for unit in part.units), ZERO)

    def _unit_value(self, rule: RuleTerms) -> Decimal:
        return ONE if rule.currency or self.bill.unit_value is None else self.bill.unit_value

    def _add_base(self, part: _Part) -> None:
        rule = part.rule
        if rule.basis == AMOUNT:
            worth = self._unit_value(rule) * rule.value
            for unit in part.units:
                self.base[unit] += self.folio.left[unit] * worth
        elif self.paid:
            for unit in part.units if rule.basis == NIGHTS else (self.stay_unit,):
                self.base[unit] += rule.value

    def _as_json(self, part: _Part, points: int, wanted: int, cut: Cut | None) -> dict[str, Any]:
        """What the posting keeps of a part; keys without a value are left out.

        `rule` (code), `name`, `basis`, `result`, `rate` (the rule's value), `lines` (references),
        `amounts` by category and `amount` in the folio's currency, `unit_value` where it is converted,
        `nights` (how many), `base` (points that are multiplied), `points`; `capped` (`by`, `limit`,
        `wanted`), `is_base`, `qualifies`, `funded_by`, `cost`.
        """
        rule = part.rule
        entry = _entry(rule)
        if rule.basis == AMOUNT:
            amounts: dict[str, Decimal] = {}
            lines = []
            for unit in sorted(part.units):
                charge = self.folio.charges[unit]
                lines.append(charge.reference)
                amounts[charge.category] = amounts.get(charge.category, ZERO) + self.folio.left[unit]
            entry["lines"] = lines
            entry["amounts"] = {category: f"{amount:.2f}" for category, amount in sorted(amounts.items())}
            entry["amount"] = f"{sum(amounts.values(), ZERO):.2f}"
            if self._unit_value(rule) != 1:
                entry["unit_value"] = format_rate(self._unit_value(rule))
        elif rule.basis == NIGHTS:
            entry["nights"] = len(part.units)
        if rule.result == MULTIPLIER:
            entry["base"] = format_rate(sum((self.base[unit] for unit in part.units), ZERO))
        return entry | _outcome(rule, points, wanted, cut)


def _shown(part: _Part) -> tuple[bool, bool, Decimal, tuple[int, str]]:
    """Base points first, then other rates by what they give, then the rest."""
    rule = part.rule
    return not rule.is_base, rule.result != RATE, -rule.value if rule.result == RATE else ZERO, rule.order


def rules_given_before(parts: Iterable[Mapping[str, Any]], *, currency: str) -> list[RuleTerms]:
    """The rules of an award of an earlier release, each for the lines it paid for, in the folio's currency.

    There a part had the row's id as `rule`, a plain `name`, a `rate` and its `lines`; a correction kept
    both for each line.
    """
    return [
        RuleTerms(
            code=f"given-{part['rule']}-{part['rate']}",
            name={"zh": part["name"], "en": ""},
            value=Decimal(part["rate"]),
            currency=currency,
            is_base=True,
            is_qualifying=True,
            # Before whatever pays for lines that came later.
            priority=GIVEN_BEFORE,
            stacking=EXCLUSIVE,
            group="base",
            lines=frozenset(part["lines"]),
        )
        for part in parts
    ]
