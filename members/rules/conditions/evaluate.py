"""The tree over plain facts, by the same rules as in SQL.

A fact is missing if it is None, an empty text, or not given at all. A missing fact satisfies only
`is_not`, `not_in`, `is_not_set` and `has_none`; every comparison with it is false. `not` is the plain
complement: what a node does not match, its negation matches. Texts are compared without regard to
upper and lower case of the letters A to Z. A tree with a leaf that cannot be asked matches nothing.
"""

from __future__ import annotations

import datetime as dt
import string
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from members.rules.conditions.fields import Kind
from members.rules.conditions.tree import AllOf, AnyOf, Leaf, Node, Not, has_problem, leaves

Facts = Mapping[str, Any]
Predicate = Callable[[Facts], bool]

# Of the letters A to Z only: what PostgreSQL's lower() does in the collation "C".
_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)

NEGATIVE = {"is_not": "is", "not_in": "in", "is_not_set": "is_set", "has_none": "has_any"}
RELATIVE = frozenset({"within_last_days", "within_next_days"})


def fold(text: str) -> str:
    """A text as it is compared."""
    return text.translate(_LOWER)


def matches(node: Node, facts: Facts, *, today: dt.date | None = None) -> bool:
    """Whether the tree holds for one set of facts, field name → value.

    Args:
        node: From `parse` or `read`.
        facts: What `members.selectors.conditions.facts_of` gives; a set for a field with several values.
        today: What “within the last days” counts from.

    Raises:
        ValueError: The tree asks about days from today, and there is no today.
    """
    return compile_condition(node, today=today)(facts)


def compile_condition(node: Node, *, today: dt.date | None = None) -> Predicate:
    """Make a function of a tree that is to be asked many times; see `matches`."""
    if has_problem(node):
        return lambda _facts: False
    if today is None and any(leaf.op in RELATIVE for leaf in leaves(node)):
        message = "days from today need a today"
        raise ValueError(message)
    return _compile(node, today)


def failing(node: Node, facts: Facts, *, today: dt.date | None = None) -> list[Leaf]:
    """The leaves because of which the tree does not hold; none if it holds.

    A leaf under `not` that holds and should not is given `negated`. Where nothing of a tree can ever
    hold, such as an empty `any`, there is no leaf to name.
    """
    if has_problem(node):
        return [leaf for leaf in leaves(node) if leaf.problem]
    return _failing(node, facts, today, wanted=True)


def _compile(node: Node, today: dt.date | None) -> Predicate:
    if isinstance(node, Leaf):
        return _compile_leaf(node, today)
    if isinstance(node, Not):
        inner = _compile(node.child, today)
        return lambda facts: not inner(facts)
    parts = tuple(_compile(child, today) for child in node.children)
    if len(parts) == 1:
        return parts[0]
    if isinstance(node, AllOf):
        return lambda facts: all(part(facts) for part in parts)
    return lambda facts: any(part(facts) for part in parts)


def _compile_leaf(leaf: Leaf, today: dt.date | None) -> Predicate:
    kind = leaf.field.kind if leaf.field else ""
    positive = NEGATIVE.get(leaf.op)
    if positive:
        test = _compile_leaf(replace(leaf, op=positive), today)
        return lambda facts: not test(facts)
    name = leaf.name
    if kind == Kind.CHOICES:
        return _compile_set(leaf)
    compare = _comparison(leaf, today)
    if kind == Kind.TEXT:
        return lambda facts: bool(value := facts.get(name)) and compare(fold(str(value)))
    return lambda facts: (value := facts.get(name)) is not None and value != "" and compare(value)


def _compile_set(leaf: Leaf) -> Predicate:
    name = leaf.name
    if leaf.op == "is_set":
        return lambda facts: bool(facts.get(name))
    wanted = frozenset(leaf.value)
    if leaf.op == "has_any":
        return lambda facts: not wanted.isdisjoint(facts.get(name) or ())
    return lambda facts: wanted.issubset(facts.get(name) or ())


def _comparison(leaf: Leaf, today: dt.date | None) -> Callable[[Any], bool]:
    value: Any = leaf.value
    if leaf.field and leaf.field.kind == Kind.TEXT:
        value = tuple(map(fold, value)) if isinstance(value, tuple) else fold(str(value or ""))
    if leaf.op in RELATIVE and today is not None:
        value = days_range(leaf, today)
    return _COMPARISONS[leaf.op](value)


def days_range(leaf: Leaf, today: dt.date) -> tuple[dt.date, dt.date]:
    """The first and last date of “within the last (or next) days”; today belongs to it."""
    days = dt.timedelta(days=leaf.value)
    return (today - days, today) if leaf.op == "within_last_days" else (today, today + days)


def _between(ends: tuple[Any, Any]) -> Callable[[Any], bool]:
    first, last = ends
    return lambda fact: bool(first <= fact <= last)


def _one_of(values: tuple[Any, ...]) -> Callable[[Any], bool]:
    wanted = frozenset(values)
    return lambda fact: fact in wanted


_COMPARISONS: Mapping[str, Callable[[Any], Callable[[Any], bool]]] = {
    "is": lambda value: lambda fact: bool(fact == value),
    "in": _one_of,
    "gte": lambda value: lambda fact: bool(fact >= value),
    "lte": lambda value: lambda fact: bool(fact <= value),
    "gt": lambda value: lambda fact: bool(fact > value),
    "lt": lambda value: lambda fact: bool(fact < value),
    "between": _between,
    "contains": lambda value: lambda fact: value in fact,
    "starts_with": lambda value: lambda fact: bool(fact.startswith(value)),
    "on_or_after": lambda value: lambda fact: bool(fact >= value),
    "before": lambda value: lambda fact: bool(fact < value),
    "within_last_days": _between,
    "within_next_days": _between,
    "is_set": lambda _value: lambda _fact: True,
}


def _failing(node: Node, facts: Facts, today: dt.date | None, *, wanted: bool) -> list[Leaf]:
    if isinstance(node, Not):
        return _failing(node.child, facts, today, wanted=not wanted)
    if _compile(node, today)(facts) is wanted:
        return []
    if isinstance(node, Leaf):
        return [node if wanted else replace(node, negated=True)]
    assert isinstance(node, AllOf | AnyOf)  # noqa: S101 - for the reader of types
    return [leaf for child in node.children for leaf in _failing(child, facts, today, wanted=wanted)]
