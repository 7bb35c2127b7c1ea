"""What the rules of a version say that is probably not meant.

`loyalty.rules.earning.checks` refuses what cannot be; here is what can be, and should be read once more
before it is published. A finding is told only where it is certain from the rules alone: conditions are
compared part by part, and parts that are not understood are taken to differ.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import combinations
from typing import Any, Protocol

from django.utils.formats import date_format
from django.utils.translation import gettext as _

from loyalty.rules.earning.award import format_rate
from loyalty.rules.earning.terms import ADD, AMOUNT, BEST_OF, EVENT, EXCLUSIVE, FIXED, MULTIPLIER, RATE, STAYS
from loyalty.rules.findings import Finding
from members.rules.conditions import matches, read, used_fields

# Base points and everything on top of them, in multiples of the base points.
MOST_TIMES = Decimal(5)
# Cost of the points of one rule, in per cent of what the guest pays.
MARGIN = Decimal(30)

TIER_FIELDS = frozenset({"member.tier", "member.tier_rank"})
# Operators that allow only the values they name.
_ONE_OF = ("is", "in")


class Rule(Protocol):
    """The fields of a stored or a filled-in rule that are looked at."""

    code: str
    basis: str
    event: str
    categories: list[str]
    currency: str
    condition: Any
    charges_from: dt.date | None
    charges_until: dt.date | None
    charge_weekdays: list[int]
    result: str
    value: Decimal
    is_base: bool
    priority: int
    stacking: str
    group: str
    stops: bool
    cap_stay: int | None
    cap_day: int | None
    cap_month: int | None
    cap_member: int | None
    budget_points: int | None
    budget_money: Decimal | None
    point_cost: Decimal | None

    @property
    def local_name(self) -> str:
        """The name in the active language."""


def lint_rules(
    rules: Iterable[Rule],
    *,
    tiers: Sequence[tuple[str, int, str]],
    currency: str,
    point_value: Decimal,
    begins: dt.date,
) -> list[Finding]:
    """Everything in a version that should be read once more.

    Args:
        rules: All of one version.
        tiers: Code, rank and name of the programme's tiers.
        currency: The programme's.
        point_value: What a point costs where the rule does not say.
        begins: First day of the version; for a draft the first day it could have.
    """
    ordered = sorted(rules, key=lambda rule: (-rule.priority, rule.code))
    stays = [rule for rule in ordered if rule.basis != EVENT]
    return [
        *_same_priority(stays),
        *_unreachable(stays),
        *_over(stays, begins),
        *_without_base(stays),
        *_tiers_left_out(stays, tiers),
        *_unbounded(stays),
        *_costly(stays, currency, point_value),
        *_events_twice([rule for rule in ordered if rule.basis == EVENT]),
    ]


def _same_priority(rules: Sequence[Rule]) -> Iterator[Finding]:
    for first, second in combinations(rules, 2):
        if (
            _are_rivals(first, second)
            and first.priority == second.priority
            and _scopes_meet(first, second)
            and (_implies(second, first) or _implies(first, second))
        ):
            yield Finding(
                "same_priority",
                (first.code, second.code),
                _(
                    "“%(first)s” and “%(second)s” are for the same and have the same priority in the group “%(group)s”:"
                    " the code decides which of them counts."
                )
                % {"first": first.local_name, "second": second.local_name, "group": first.group},
            )


def _unreachable(rules: Sequence[Rule]) -> Iterator[Finding]:
    for rule in rules:
        for higher in rules:
            if higher.priority <= rule.priority or not _covers(higher, rule) or not _is_sure(higher, rules):
                continue
            if _are_rivals(higher, rule) or (higher.stops and higher.stacking == ADD):
                yield Finding(
                    "unreachable",
                    (rule.code, higher.code),
                    _("“%(rule)s” can never apply: “%(higher)s” comes first and takes all that it is for.")
                    % {"rule": rule.local_name, "higher": higher.local_name},
                )
                break


def _over(rules: Sequence[Rule], begins: dt.date) -> Iterator[Finding]:
    for rule in rules:
        if rule.charges_until and rule.charges_until <= begins:
            yield Finding(
                "over",
                (rule.code,),
                _("“%(rule)s” is only for charges before %(date)s: that is over when the version begins.")
                % {"rule": rule.local_name, "date": date_format(rule.charges_until, "Y-m-d")},
            )


def _without_base(rules: Sequence[Rule]) -> Iterator[Finding]:
    for rule in rules:
        if rule.result == MULTIPLIER and not _bases_of(rule, rules):
            yield Finding(
                "no_base",
                (rule.code,),
                _("“%(rule)s” multiplies nothing: no rule gives base points for what it is for.")
                % {"rule": rule.local_name},
            )


def _tiers_left_out(rules: Sequence[Rule], tiers: Sequence[tuple[str, int, str]]) -> Iterator[Finding]:
    bases = [rule for rule in rules if rule.is_base]
    if not bases:
        return
    for code, rank, name in tiers:
        facts = {"member.tier": code, "member.tier_rank": rank}
        if not any(_allows(rule, facts) for rule in bases):
            yield Finding(
                "tier_left_out",
                (code,),
                _("No rule gives base points to members of the tier “%(tier)s”.") % {"tier": name},
            )


def _unbounded(rules: Sequence[Rule]) -> Iterator[Finding]:
    weights: dict[str, Decimal] = {}
    for rule in rules:
        bases = [base for base in _bases_of(rule, rules) if base.value > 0]
        if rule.is_base or _has_limit(rule) or not bases:
            continue
        if rule.result == MULTIPLIER:
            weights[rule.code] = rule.value - 1
        elif rule.result == RATE and rule.basis == AMOUNT:
            weights[rule.code] = rule.value / min(base.value for base in bases)
    weighty = [rule for rule in rules if weights.get(rule.code)]
    together = _heaviest(weighty, weights, {})
    times = 1 + sum((weights[rule.code] for rule in together), Decimal(0))
    if times > MOST_TIMES:
        names = _(", ").join(_("“%(rule)s”") % {"rule": rule.local_name} for rule in together)
        yield Finding(
            "unbounded",
            tuple(rule.code for rule in together),
            _("Without a cap, a stay can bring %(times)s times the base points: %(rules)s.")
            % {"times": format_rate(round(times, 2)), "rules": names},
        )


def _costly(rules: Sequence[Rule], currency: str, point_value: Decimal) -> Iterator[Finding]:
    for rule in rules:
        # Money of another currency is worth what the rates of the day say.
        if rule.basis != AMOUNT or rule.result == FIXED or rule.currency not in {"", currency}:
            continue
        points = rule.value
        if rule.result == MULTIPLIER:
            bases = [base.value for base in _bases_of(rule, rules) if base.basis == AMOUNT]
            points = (rule.value - 1) * max(bases, default=Decimal(0))
        percent = 100 * points * (point_value if rule.point_cost is None else rule.point_cost)
        if percent > MARGIN:
            yield Finding(
                "costly",
                (rule.code,),
                _("The points of “%(rule)s” cost up to %(percent)s%% of what the guest pays, more than %(margin)s%%.")
                % {
                    "rule": rule.local_name,
                    "percent": format_rate(round(percent, 1)),
                    "margin": format_rate(MARGIN),
                },
            )


def _events_twice(rules: Sequence[Rule]) -> Iterator[Finding]:
    for first, second in combinations(rules, 2):
        if first.event == second.event and _implies(first, second) and _implies(second, first):
            yield Finding(
                "event_twice",
                (first.code, second.code),
                _("“%(first)s” and “%(second)s” are both given for the same event, to the same guests.")
                % {"first": first.local_name, "second": second.local_name},
            )


# How rules stand to each other


def _are_rivals(first: Rule, second: Rule) -> bool:
    """Whether only the first of them that applies counts."""
    return first.stacking == second.stacking == EXCLUSIVE and first.group == second.group


def _is_sure(rule: Rule, rules: Sequence[Rule]) -> bool:
    """Whether a rule whose condition is met gets what it is for, unless others got it already.

    A rule for the whole does not take what others left.
    """
    if rule.result != FIXED and rule.basis != STAYS:
        return True
    above = [other for other in rules if (-other.priority, other.code) < (-rule.priority, rule.code)]
    return not any(other.stops or _are_rivals(other, rule) for other in above)


def _covers(wide: Rule, narrow: Rule) -> bool:
    """Whether the one is for everything that the other is for."""
    if wide.basis not in {STAYS, narrow.basis}:
        return False
    if wide.basis == AMOUNT and not _counts_wherever(wide, narrow):
        return False
    return (
        _holds_all(wide.categories, narrow.categories)
        and _holds_all(wide.charge_weekdays, narrow.charge_weekdays)
        and (wide.charges_from or dt.date.min) <= (narrow.charges_from or dt.date.min)
        and (wide.charges_until or dt.date.max) >= (narrow.charges_until or dt.date.max)
        and _implies(narrow, wide)
    )


def _counts_wherever(wide: Rule, narrow: Rule) -> bool:
    """Whether the one counts for every folio that the other counts for; a conversion may lack its rate."""
    if wide.currency:
        return wide.currency == narrow.currency
    return wide.result != RATE or (narrow.result == RATE and not narrow.currency)


def _holds_all(wide: Sequence[Any], narrow: Sequence[Any]) -> bool:
    return not wide or (bool(narrow) and set(narrow) <= set(wide))


def _scopes_meet(first: Rule, second: Rule) -> bool:
    """Whether one charge, night or stay can be what both are for, conditions aside."""
    return (
        (first.basis == second.basis or STAYS in {first.basis, second.basis})
        and (not first.currency or not second.currency or first.currency == second.currency)
        and _share(first.categories, second.categories)
        and _share(first.charge_weekdays, second.charge_weekdays)
        and (first.charges_from or dt.date.min) < (second.charges_until or dt.date.max)
        and (second.charges_from or dt.date.min) < (first.charges_until or dt.date.max)
    )


def _share(first: Sequence[Any], second: Sequence[Any]) -> bool:
    return not first or not second or not set(first).isdisjoint(second)


def _bases_of(rule: Rule, rules: Sequence[Rule]) -> list[Rule]:
    """Rules whose base points can lie under a rule's."""
    return [
        base
        for base in rules
        if base.is_base and rule.basis in {base.basis, STAYS} and _scopes_meet(base, rule) and not _excludes(base, rule)
    ]


def _can_add_up(first: Rule, second: Rule) -> bool:
    in_one_group = first.stacking in {EXCLUSIVE, BEST_OF} and first.group == second.group
    return not in_one_group and _scopes_meet(first, second) and not _excludes(first, second)


def _has_limit(rule: Rule) -> bool:
    limits = (rule.cap_stay, rule.cap_day, rule.cap_month, rule.cap_member, rule.budget_points, rule.budget_money)
    return any(limit is not None for limit in limits)


def _heaviest(
    rules: Sequence[Rule], weights: Mapping[str, Decimal], known: dict[tuple[str, ...], list[Rule]]
) -> list[Rule]:
    """Of rules of which some cannot come together, those that can and weigh most."""
    key = tuple(rule.code for rule in rules)
    if key not in known:
        known[key] = list(rules)
        for first, second in combinations(rules, 2):
            if not _can_add_up(first, second):
                known[key] = max(
                    (_heaviest([rule for rule in rules if rule is not one], weights, known) for one in (first, second)),
                    key=lambda some: sum(weights[rule.code] for rule in some),
                )
                break
    return known[key]


# Conditions, part by part


def _parts(tree: Any) -> list[Any]:
    """What must all hold."""
    if isinstance(tree, Mapping) and set(tree) == {"all"} and isinstance(tree["all"], list):
        return [part for child in tree["all"] for part in _parts(child)]
    return [tree] if tree else []


def _values(part: Any) -> tuple[str, frozenset[Any]] | None:
    """The field and the only values that a part allows it."""
    if not isinstance(part, Mapping) or part.get("op") not in _ONE_OF:
        return None
    value = part.get("value")
    values = value if isinstance(value, list) else [value]
    # Texts are compared without regard to upper and lower case.
    return str(part.get("field")), frozenset(one.casefold() if isinstance(one, str) else one for one in values)


def _implies(narrow: Rule, wide: Rule) -> bool:
    """Whether the condition of the one holds wherever that of the other does."""
    given = _parts(narrow.condition)
    return all(any(_part_implies(one, asked) for one in given) for asked in _parts(wide.condition))


def _part_implies(given: Any, asked: Any) -> bool:
    if given == asked:
        return True
    few, many = _values(given), _values(asked)
    return few is not None and many is not None and few[0] == many[0] and few[1] <= many[1]


def _excludes(first: Rule, second: Rule) -> bool:
    """Whether the conditions name values of one field that cannot be together."""
    pairs = [[found for part in _parts(rule.condition) if (found := _values(part))] for rule in (first, second)]
    return any(a == b and one.isdisjoint(other) for a, one in pairs[0] for b, other in pairs[1])


def _allows(rule: Rule, facts: Mapping[str, Any]) -> bool:
    """Whether a member of a tier can meet the condition, whatever else it asks."""
    for part in _parts(rule.condition):
        node = read(part, "stay")
        if used_fields(node) and used_fields(node) <= TIER_FIELDS and not matches(node, facts):
            return False
    return True
