"""Which tier a member's figures reach, how long it lasts, and what is missing for the next.

Figures are summed over a period that ends with a day: the last months, the calendar year, the year of
membership, or the time since enrolment. The day itself counts. What reaches a tier is a tree of
conditions over them (`members.rules.conditions`, target `qualification`); the names of fields that
begin with `lifetime_` ask about the whole time, the others about the period.
"""

from __future__ import annotations

import calendar
import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from decimal import Decimal
from itertools import product
from typing import Any

from members.rules.conditions import AllOf, AnyOf, Leaf, Node, Not, compile_condition, used_fields

MONTHS_IN_YEAR = 12
FEBRUARY = 2
LIFETIME = "lifetime_"
# More ways to a tier than this are not told to a guest.
MOST_WAYS = 12


@dataclass(frozen=True, slots=True)
class Figures:
    """What counts towards a tier; the amount is in the programme's currency, points are qualifying ones."""

    nights: int = 0
    stays: int = 0
    amount: Decimal = Decimal(0)
    points: int = 0
    meetings: int = 0
    events: int = 0
    referrals: int = 0

    def __add__(self, other: Figures) -> Figures:
        return Figures(*(getattr(self, name) + getattr(other, name) for name in MEASURES))

    def __sub__(self, other: Figures) -> Figures:
        return Figures(*(getattr(self, name) - getattr(other, name) for name in MEASURES))

    def __bool__(self) -> bool:
        return any(getattr(self, name) for name in MEASURES)

    def as_json(self) -> dict[str, Any]:
        """The figures as `TierChange.figures` keeps them; other measures only where there are any."""
        told: dict[str, Any] = {name: getattr(self, name) for name in ORDINARY}
        told["amount"] = f"{self.amount:.2f}"
        return told | {name: getattr(self, name) for name in EXTRA if getattr(self, name)}

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Figures:
        """The figures that `as_json` wrote; what else stands there is left out."""
        counts = {name: int(told.get(name, 0)) for name in MEASURES if name != "amount"}
        return cls(amount=Decimal(told.get("amount", 0)), **counts)


MEASURES = tuple(part.name for part in fields(Figures))
ORDINARY = ("nights", "stays", "amount", "points")
EXTRA = tuple(name for name in MEASURES if name not in ORDINARY)
# The order in which a guest is told them.
TOLD = ("amount", "stays", "nights", "points", *EXTRA)


def facts_of(figures: Figures, lifetime: Figures) -> dict[str, Any]:
    """What conditions over figures may ask about."""
    facts = {name: getattr(figures, name) for name in MEASURES}
    return facts | {f"{LIFETIME}{name}": getattr(lifetime, name) for name in MEASURES}


@dataclass(frozen=True, slots=True)
class Threshold:
    """What reaches a tier from a date on."""

    id: int
    tier_id: int
    rank: int
    effective_from: dt.date
    node: Node
    _holds: Callable[[Mapping[str, Any]], bool] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_holds", compile_condition(self.node))

    def is_reached(self, figures: Figures, lifetime: Figures | None = None) -> bool:
        """Whether the figures of a period reach it, together with those of the whole time."""
        return self._holds(facts_of(figures, figures if lifetime is None else lifetime))

    @property
    def asks_lifetime(self) -> bool:
        """Whether the whole time matters."""
        return any(name.startswith(LIFETIME) for name in used_fields(self.node))


@dataclass(frozen=True, slots=True)
class PolicyTerms:
    """A `TierPolicy` as a value; the defaults are those of a programme that has none."""

    effective_from: dt.date = dt.date.min
    window: str = "rolling"
    window_months: int = 12
    night_counting: str = "per_room"
    free_nights: str = "stay"
    no_show_nights: int | None = None
    day_use: str = "stay"
    stay_conditions: Mapping[str, Any] = field(default_factory=lambda: {"all": []}, hash=False)
    carry_over: tuple[str, ...] = ()
    carry_over_tier_id: int | None = None
    zero_on_change: bool = False
    upgrade_timing: str = "at_once"
    validity: str = "unlimited"
    validity_months: int | None = None
    grace_days: int = 0
    downgrade: str = "reached"
    warning_days: int = 30
    four_eyes: bool = False

    @property
    def has_years(self) -> bool:
        """Whether counting begins anew every year."""
        return self.window in {"calendar_year", "membership_year"}

    @property
    def is_by_year(self) -> bool:
        """Whether a tier's end moves on as soon as it is reached again in another year."""
        return self.has_years and self.validity in {"this_year", "next_year", "next_february"}


@dataclass(frozen=True, slots=True)
class Period:
    """From a day to a day, both included."""

    start: dt.date
    end: dt.date


def add_months(day: dt.date, months: int) -> dt.date:
    """The same day some months later or earlier, or the last of the month where there is none.

    >>> add_months(dt.date(2024, 2, 29), 12)
    datetime.date(2025, 2, 28)
    """
    month = day.month - 1 + months
    year = day.year + month // MONTHS_IN_YEAR
    month = month % MONTHS_IN_YEAR + 1
    return dt.date(year, month, min(day.day, calendar.monthrange(year, month)[1]))


def window_start(as_of: dt.date, months: int) -> dt.date:
    """The first day that counts in the window of some months that ends with `as_of`.

    The same day that many months before does not count.
    """
    return add_months(as_of, -months) + dt.timedelta(days=1)


def year_start(terms: PolicyTerms, day: dt.date, enrolled: dt.date) -> dt.date:
    """First day of the year that a day lies in: of the calendar, or of the membership."""
    if terms.window != "membership_year":
        return dt.date(day.year, 1, 1)
    start = add_months(enrolled, MONTHS_IN_YEAR * (day.year - enrolled.year))
    return start if start <= day else add_months(enrolled, MONTHS_IN_YEAR * (day.year - enrolled.year - 1))


def next_year_start(terms: PolicyTerms, start: dt.date, enrolled: dt.date, years: int = 1) -> dt.date:
    """First day of a later (or earlier) year than the one that begins on `start`."""
    if terms.window != "membership_year":
        return dt.date(start.year + years, 1, 1)
    return add_months(enrolled, MONTHS_IN_YEAR * (start.year - enrolled.year + years))


def period_of(terms: PolicyTerms, as_of: dt.date, enrolled: dt.date, counts_from: dt.date | None = None) -> Period:
    """The days that count on a day.

    Args:
        terms: The policy in force on the day.
        as_of: The day, which counts, too.
        enrolled: When the member joined, for years of membership.
        counts_from: What lies before counts no more, after a zeroing.
    """
    if terms.window == "rolling":
        start = window_start(as_of, terms.window_months)
    elif terms.window == "lifetime":
        start = dt.date.min
    else:
        start = year_start(terms, as_of, enrolled)
    return Period(max(start, counts_from or dt.date.min), as_of)


def period_before(
    terms: PolicyTerms, as_of: dt.date, enrolled: dt.date, counts_from: dt.date | None = None
) -> Period | None:
    """The year before, where what was reached in it is still valid on the day."""
    if not terms.has_years:
        return None
    start = year_start(terms, as_of, enrolled)
    before = next_year_start(terms, start, enrolled, -1)
    end = start - dt.timedelta(days=1)
    until = valid_until(terms, end, enrolled)
    if until is not None and until < as_of:
        return None
    return Period(max(before, counts_from or dt.date.min), end)


def valid_until(terms: PolicyTerms, reached_on: dt.date, enrolled: dt.date) -> dt.date | None:
    """The last day of a tier that was reached on a day; None if it has no end of its own.

    >>> valid_until(PolicyTerms(validity="next_february"), dt.date(2026, 5, 1), dt.date(2020, 1, 1))
    datetime.date(2028, 2, 29)
    """
    day = dt.timedelta(days=1)
    if terms.validity == "months":
        return add_months(reached_on, terms.validity_months or MONTHS_IN_YEAR) - day
    if terms.validity == "next_february":
        return dt.date(reached_on.year + 2, FEBRUARY + 1, 1) - day
    if terms.validity in {"this_year", "next_year"}:
        start = year_start(terms, reached_on, enrolled)
        return next_year_start(terms, start, enrolled, 1 if terms.validity == "this_year" else 2) - day
    return None


def later(one: dt.date | None, other: dt.date | None) -> dt.date | None:
    """The later end of two; None is without end."""
    return None if one is None or other is None else max(one, other)


def in_force(thresholds: Iterable[Threshold], on_date: dt.date) -> list[Threshold]:
    """For each tier the thresholds that count on a date, lowest tier first."""
    newest: dict[int, Threshold] = {}
    for threshold in sorted(thresholds, key=lambda t: t.effective_from):
        if threshold.effective_from <= on_date:
            newest[threshold.tier_id] = threshold
    return sorted(newest.values(), key=lambda t: t.rank)


def policy_in_force(policies: Iterable[PolicyTerms], on_date: dt.date) -> PolicyTerms:
    """The policy that counts on a date; the default where none has begun."""
    begun = [terms for terms in policies if terms.effective_from <= on_date]
    return max(begun, key=lambda terms: terms.effective_from, default=PolicyTerms())


def highest_reached(
    thresholds: Sequence[Threshold], figures: Figures, lifetime: Figures | None = None
) -> Threshold | None:
    """The thresholds in force of the highest tier that the figures reach."""
    return next((t for t in reversed(thresholds) if t.is_reached(figures, lifetime)), None)


def highest_for_life(thresholds: Sequence[Threshold], lifetime: Figures) -> Threshold | None:
    """The highest tier that the figures of the whole time reach by themselves."""
    return next((t for t in reversed(thresholds) if t.asks_lifetime and t.is_reached(Figures(), lifetime)), None)


# What is missing


@dataclass(frozen=True, slots=True)
class Measure:
    """How far one measure of a threshold is; `kind` is a measure, or one with `lifetime_` before it."""

    kind: str
    done: Decimal
    needed: Decimal

    @property
    def missing(self) -> Decimal:
        """What is still to come; nothing once the threshold is met."""
        return max(self.needed - self.done, Decimal(0))

    @property
    def percent(self) -> int:
        """Share done, from 0 to 100, rounded down so that 100 means reached."""
        if self.needed <= 0:
            return 100
        return max(0, min(100, int(self.done * 100 / self.needed)))


Way = list[Measure]


def ways(threshold: Threshold, figures: Figures, lifetime: Figures | None = None) -> list[Way]:
    """Each way to reach a threshold: the measures that have to be met together, told in a fixed order.

    What is asked for otherwise than by “at least” (or more than, exactly) is no way that a guest
    could go, and left out.
    """
    facts = facts_of(figures, figures if lifetime is None else lifetime)
    found: list[Way] = []
    for leaves in _ways(threshold.node):
        needed: dict[str, Decimal] = {}
        for leaf in leaves:
            least = _least(leaf)
            if least is not None:
                needed[leaf.name] = max(needed.get(leaf.name, least), least)
        way = [Measure(kind, Decimal(facts[kind]), least) for kind, least in needed.items()]
        way.sort(key=lambda measure: _told_at(measure.kind))
        if way and way not in found:
            found.append(way)
    return sorted(found, key=lambda way: [_told_at(measure.kind) for measure in way])


def measures(threshold: Threshold, figures: Figures, lifetime: Figures | None = None) -> list[Measure]:
    """How far each measure of a threshold is, each once with the least that serves, in the order of `TOLD`."""
    least: dict[str, Measure] = {}
    for way in ways(threshold, figures, lifetime):
        for measure in way:
            known = least.get(measure.kind)
            if known is None or measure.needed < known.needed:
                least[measure.kind] = measure
    return sorted(least.values(), key=lambda measure: _told_at(measure.kind))


def percent_of(found: Sequence[Way]) -> int:
    """How far the furthest way is; a way is as far as its measure that is furthest back."""
    return max((min(measure.percent for measure in way) for way in found), default=0)


def excess(threshold: Threshold, measure: str, figures: Figures) -> int:
    """How much of a measure exceeds the least that the threshold asks for; 0 where it does not ask."""
    least = [m.needed for way in ways(threshold, Figures()) for m in way if m.kind == measure]
    return max(0, int(getattr(figures, measure) - min(least))) if least else 0


def _told_at(kind: str) -> tuple[bool, int]:
    plain = kind.removeprefix(LIFETIME)
    return kind != plain, TOLD.index(plain) if plain in TOLD else len(TOLD)


def _least(leaf: Leaf) -> Decimal | None:
    """The least value that a leaf asks for."""
    value = leaf.value
    if leaf.op in {"gte", "is"}:
        return Decimal(value)
    if leaf.op == "gt":
        return Decimal(value) + (Decimal("0.01") if leaf.name.endswith("amount") else 1)
    return Decimal(value[0]) if leaf.op == "between" else None


def _ways(node: Node) -> list[tuple[Leaf, ...]]:
    """The tree as alternatives of leaves that hold together; what is negated is left out."""
    if isinstance(node, Leaf):
        return [(node,)]
    if isinstance(node, Not):
        return [()]
    parts = [_ways(child) for child in node.children]
    if isinstance(node, AnyOf):
        return [way for part in parts for way in part][:MOST_WAYS]
    assert isinstance(node, AllOf)  # noqa: S101 - for the reader of types
    together: list[tuple[Leaf, ...]] = [()]
    for part in parts:
        together = [(*one, *other) for one, other in product(together, part)][:MOST_WAYS]
    return together


# What a review decides


@dataclass(frozen=True, slots=True)
class Standing:
    """What a review knows of a member; ranks are of tiers, dates are last days."""

    rank: int
    until: dt.date | None = None
    source: str = "earned"
    reached: int = 0
    reached_before: int = 0
    for_life: int = 0
    floor: int = 0
    floor_until: dt.date | None = None
    protected_until: dt.date | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """Where a member goes."""

    kind: str
    rank: int
    until: dt.date | None
    source: str


def judge(  # noqa: PLR0911 - one return for each case
    standing: Standing,
    terms: PolicyTerms,
    *,
    run_date: dt.date,
    ranks: Sequence[int],
    until_now: dt.date | None,
    until_before: dt.date | None,
) -> Verdict | None:
    """What a review does to a member; None if nothing.

    The same as `loyalty.selectors.standing` says in SQL, for one member: the tests hold one to the other.

    Args:
        standing: Facts of the member.
        terms: The policy in force on the run date.
        run_date: The day of the review.
        ranks: Ranks of the programme's tiers.
        until_now: End of a tier reached by the figures of today.
        until_before: End of a tier reached in the year before.
    """
    best = max(standing.reached, standing.reached_before, standing.for_life, standing.floor)

    def moved(kind: str, rank: int) -> Verdict:
        until, source = _support(standing, terms, rank, until_now, until_before)
        return Verdict(kind, rank, until, source)

    if best > standing.rank:
        return moved("upgrade", best)
    if standing.rank == 0:
        return None
    if standing.for_life >= standing.rank and (standing.until is not None or standing.source != "lifetime"):
        return moved("renewal", standing.rank)
    if (
        terms.is_by_year
        and standing.until is not None
        and until_now is not None
        and standing.reached >= standing.rank
        and until_now > standing.until
    ):
        return moved("renewal", standing.rank)
    if not has_ended(standing, terms, run_date=run_date, best=best):
        return None
    if best == standing.rank:
        return moved("renewal", standing.rank)
    target = best
    if terms.downgrade == "one_step":
        target = max(best, max((rank for rank in ranks if rank < standing.rank), default=0))
    return moved("downgrade", target)


def _support(
    standing: Standing, terms: PolicyTerms, rank: int, until_now: dt.date | None, until_before: dt.date | None
) -> tuple[dt.date | None, str]:
    """Until when a tier lasts, and what it rests on."""
    if standing.for_life and rank <= standing.for_life:
        return None, "lifetime"
    if rank == 0:
        return None, "earned"
    if max(standing.reached, standing.reached_before) >= rank:
        until = until_now if standing.reached >= rank else until_before
        return (later(until, standing.floor_until) if standing.floor >= rank else until), "earned"
    if standing.floor >= rank:
        return standing.floor_until, "floor"
    # A soft landing lasts as if the tier had been reached at the end of the year before.
    return (until_before if terms.has_years else until_now), "earned"


def has_ended(standing: Standing, terms: PolicyTerms, *, run_date: dt.date, best: int) -> bool:
    """Whether the tier is over, its grace included, and nothing protects it."""
    if standing.protected_until is not None and standing.protected_until >= run_date:
        return False
    if standing.until is not None:
        return standing.until + dt.timedelta(days=terms.grace_days) < run_date
    return terms.validity == "while_held" and standing.source == "earned" and best < standing.rank
