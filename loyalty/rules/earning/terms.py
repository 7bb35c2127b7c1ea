"""What the rules of a version say, ready to be asked many times."""

from __future__ import annotations

import datetime as dt
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

Facts = Mapping[str, Any]

AMOUNT, NIGHTS, STAYS, EVENT = "amount", "nights", "stays", "event"
RATE, MULTIPLIER, FIXED = "rate", "multiplier", "fixed"
ADD, BEST_OF, EXCLUSIVE = "add", "best_of", "exclusive"


def always(_facts: Facts) -> bool:
    """The condition of a rule that asks for nothing."""
    return True


@dataclass(frozen=True, slots=True)
class Caps:
    """What a rule gives at most: points, but `money` in the programme's currency; None is no limit."""

    stay: int | None = None
    day: int | None = None
    month: int | None = None
    member: int | None = None
    points: int | None = None
    money: Decimal | None = None

    @property
    def is_counted(self) -> bool:
        """Whether more than the stay itself has to be known."""
        return not (
            self.day is None
            and self.month is None
            and self.member is None
            and self.points is None
            and self.money is None
        )

    @property
    def has_budget(self) -> bool:
        """Whether all members share a limit."""
        return self.points is not None or self.money is not None


NO_CAPS = Caps()


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleTerms:
    """What an earning rule says; see the package for what it means.

    Attributes:
        code: Stable over the versions.
        name: `{"zh": …, "en": …}`.
        matches: The condition over the facts of a stay (of a guest, for an event).
        fields: The facts it asks for.
        weekdays: ISO days of charges and nights; empty is any.
        point_cost: What a point costs where a budget is in money.
        lines: References that the rule is for; None is any. Only rules of an earlier release have them.
    """

    code: str
    name: Mapping[str, str]
    value: Decimal
    basis: str = AMOUNT
    result: str = RATE
    event: str = ""
    categories: frozenset[str] = frozenset()
    currency: str = ""
    matches: Callable[[Facts], bool] = field(default=always, compare=False)
    fields: frozenset[str] = frozenset()
    charges_from: dt.date | None = None
    charges_until: dt.date | None = None
    weekdays: frozenset[int] = frozenset()
    is_base: bool = False
    is_qualifying: bool = False
    priority: int = 0
    stacking: str = ADD
    group: str = ""
    stops: bool = False
    caps: Caps = NO_CAPS
    point_cost: Decimal | None = None
    funded_by_id: int | None = None
    lines: frozenset[str] | None = None

    @property
    def order(self) -> tuple[int, str]:
        """The highest priority first, then by code."""
        return -self.priority, self.code

    @property
    def is_whole(self) -> bool:
        """Whether the rule applies to all that it covers or not at all."""
        return self.result == FIXED or self.basis == STAYS

    def is_on(self, day: dt.date) -> bool:
        """Whether a charge or night of a business date counts; the end is not included."""
        return (
            (self.charges_from is None or self.charges_from <= day)
            and (self.charges_until is None or day < self.charges_until)
            and (not self.weekdays or day.isoweekday() in self.weekdays)
        )


@dataclass(frozen=True, slots=True)
class RuleVersion:
    """A published set of rules; `id` and `number` are those of the stored set, the rules stand in order."""

    id: int
    number: int
    effective_from: dt.date
    rules: tuple[RuleTerms, ...]

    def matching(self, facts: Facts, *, event: str = "") -> list[RuleTerms]:
        """The rules whose condition the facts of a stay meet, or those of a guest for an event."""
        return [rule for rule in self.rules if rule.event == event and rule.matches(facts)]

    def named(self, codes: Iterable[str]) -> list[RuleTerms]:
        """The rules that were decided to apply earlier."""
        wanted = frozenset(codes)
        return [rule for rule in self.rules if rule.code in wanted]

    def fields(self, *, event: str = "") -> frozenset[str]:
        """The facts that its conditions ask for."""
        return frozenset().union(*(rule.fields for rule in self.rules if rule.event == event))


class RuleBook:
    """The published versions of one programme."""

    def __init__(self, versions: Iterable[RuleVersion] = ()) -> None:
        self.versions: Sequence[RuleVersion] = sorted(versions, key=lambda version: version.effective_from)
        self._by_id = {version.id: version for version in self.versions}
        self._starts = [version.effective_from for version in self.versions]

    def in_force(self, on_date: dt.date) -> RuleVersion | None:
        """The version that stays and events of a date are judged by."""
        index = bisect_right(self._starts, on_date)
        return self.versions[index - 1] if index else None

    def get(self, version_id: int) -> RuleVersion | None:
        """The version with an id, even where another one is in force by now."""
        return self._by_id.get(version_id)
