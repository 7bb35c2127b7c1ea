"""Condition trees in SQL: as a `Q` over guests or stays, and the facts of given rows.

SQL has three truth values, a condition has two. Each positive comparison is written so that it holds
only where the fact is there; everything negative is `(…) IS NOT TRUE` around the positive one, which
also holds where the comparison came out unknown. So a `Q` and `members.rules.conditions.matches`
agree on every row. Fields with several values are asked by EXISTS, so no join multiplies rows.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from functools import reduce
from operator import and_, or_
from typing import Any

from django.db.models import BooleanField, Exists, ExpressionWrapper, F, Func, OuterRef, Q, Value, lookups
from django.db.models.functions import Collate, Lower, NullIf

from members.rules.conditions import AllOf, Leaf, Node, Not, has_problem
from members.rules.conditions.evaluate import NEGATIVE, RELATIVE, days_range, fold
from members.rules.conditions.fields import Field, Kind, locate, target_of

Overrides = Mapping[str, str]


class NotInTheDatabase(LookupError):
    """A field or target stands in no table, and no override says where its value is."""


class NotTrue(Func):
    """The complement of a condition: true where it is false, and where it is unknown."""

    template = "(%(expressions)s) IS NOT TRUE"
    output_field = BooleanField()
    arity = 1


def to_q(node: Node, *, today: dt.date, overrides: Overrides | None = None) -> Q:
    """Compile a tree to a filter over the rows of its target.

    Args:
        node: From `members.rules.conditions.parse` or `read`.
        today: What “within the last days” and ages count from.
        overrides: Field name → ORM path or name of an annotation that holds its value instead, such
            as the tier at the time of the stay. Not for fields with several values.

    Raises:
        NotInTheDatabase: A field has no path, and none is given.
    """
    if has_problem(node):
        return Q(pk__in=[])
    found = _compile(node, today, overrides or {})
    if isinstance(found, bool):
        return Q() if found else Q(pk__in=[])
    return found


def _compile(node: Node, today: dt.date, overrides: Overrides) -> Q | bool:
    if isinstance(node, Leaf):
        return _leaf(node, today, overrides)
    if isinstance(node, Not):
        return _complement(_compile(node.child, today, overrides))
    is_all = isinstance(node, AllOf)
    parts: list[Q] = []
    for child in node.children:
        part = _compile(child, today, overrides)
        if not isinstance(part, bool):
            parts.append(part)
        elif part is not is_all:
            # One false part settles “all”, one true part settles “any”.
            return part
    return reduce(and_ if is_all else or_, parts) if parts else is_all


def _complement(part: Q | bool) -> Q | bool:  # noqa: FBT001 - a settled part
    if isinstance(part, bool):
        return not part
    return Q(NotTrue(ExpressionWrapper(part, BooleanField())))


def _leaf(leaf: Leaf, today: dt.date, overrides: Overrides) -> Q | bool:
    positive = NEGATIVE.get(leaf.op)
    if positive:
        return _complement(_positive(leaf, positive, today, overrides))
    return _positive(leaf, leaf.op, today, overrides)


def _positive(leaf: Leaf, op: str, today: dt.date, overrides: Overrides) -> Q:
    asked = leaf.field
    if asked is None:
        raise NotInTheDatabase(leaf.name)
    if asked.kind == Kind.CHOICES:
        return _several(leaf, op, asked)
    place = value_of(asked, leaf.prefix, today=today, path=overrides.get(leaf.name, ""))
    value = days_range(leaf, today) if op in RELATIVE else leaf.value
    if op == "is_set":
        blank = asked.kind in {Kind.TEXT, Kind.CHOICE}
        return Q(lookups.IsNull(NullIf(place, Value("")) if blank else place, False))  # noqa: FBT003
    if asked.kind == Kind.TEXT:
        # In the collation "C" only the letters A to Z change, whatever the server's locale.
        place = Lower(Collate(place, "C"))
        value = [fold(one) for one in value] if isinstance(value, tuple) else fold(value)
    if op in {"between", *RELATIVE}:
        first, last = value
        return Q(lookups.GreaterThanOrEqual(place, first)) & Q(lookups.LessThanOrEqual(place, last))
    if op == "in":
        return Q(lookups.In(place, list(value)))
    return Q(_LOOKUPS[op](place, value))


_LOOKUPS: Mapping[str, type[lookups.Lookup[Any]]] = {
    "is": lookups.Exact,
    "gte": lookups.GreaterThanOrEqual,
    "lte": lookups.LessThanOrEqual,
    "gt": lookups.GreaterThan,
    "lt": lookups.LessThan,
    "contains": lookups.Contains,
    "starts_with": lookups.StartsWith,
    "on_or_after": lookups.GreaterThanOrEqual,
    "before": lookups.LessThan,
}


def _several(leaf: Leaf, op: str, asked: Field) -> Q:
    if asked.rows is None:
        raise NotInTheDatabase(leaf.name)
    rows = asked.rows().filter(**{asked.owner: OuterRef(f"{leaf.prefix}pk")})
    if op == "is_set":
        return Q(Exists(rows))
    if op == "has_any":
        return Q(Exists(rows.filter(**{f"{asked.path}__in": list(leaf.value)})))
    return reduce(and_, (Q(Exists(rows.filter(**{asked.path: value}))) for value in leaf.value))


def value_of(asked: Field, prefix: str, *, today: dt.date, path: str = "") -> Any:
    """The expression of a field's single value, seen from the rows that `prefix` starts at."""
    if path:
        return F(path)
    if asked.expression is not None:
        return asked.expression(prefix, today)
    if not asked.path:
        raise NotInTheDatabase(asked.name)
    return F(f"{prefix}{asked.path}")


def facts_of(target: str, ids: Iterable[int], *, fields: Iterable[str], today: dt.date) -> dict[int, dict[str, Any]]:
    """What is known of given rows: one query for all single values, one for each field with several.

    Args:
        target: The rows' target, such as `stay`.
        ids: Their primary keys; unknown ones are left out.
        fields: The names wanted, such as `used_fields(node)`; a name nobody knows is left out.
        today: What ages count from.

    Returns:
        Primary key → field name → value; None where it is missing, a set for several values.

    Raises:
        NotInTheDatabase: The target or a field stands in no table.
    """
    objects = target_of(target).objects
    if objects is None:
        raise NotInTheDatabase(target)
    wanted = {name: place for name in sorted(set(fields)) if (place := locate(target, name)) is not None}
    single = {name: place for name, place in wanted.items() if place[0].kind != Kind.CHOICES}
    # The owners whose several values are asked for, such as the guest of a stay.
    owners = sorted({prefix for name, (_asked, prefix) in wanted.items() if name not in single})
    columns = {f"fact_{n}": value_of(*place, today=today) for n, place in enumerate(single.values())}
    columns |= {f"owner_{n}": F(f"{prefix}pk") for n, prefix in enumerate(owners)}
    rows = list(objects().filter(pk__in=list(ids)).order_by("pk").values_list("pk", *columns.values()))
    facts = {
        row[0]: {
            name: _plain(asked.kind, value)
            for (name, (asked, _prefix)), value in zip(single.items(), row[1:], strict=False)
        }
        for row in rows
    }
    owner_of = {prefix: {row[0]: row[1 + len(single) + n] for row in rows} for n, prefix in enumerate(owners)}
    for name, (asked, prefix) in wanted.items():
        if name not in single:
            values = _values_of(asked, set(owner_of[prefix].values()) - {None})
            for pk, owner in owner_of[prefix].items():
                facts[pk][name] = values.get(owner, frozenset())
    return facts


def _plain(kind: str, value: Any) -> Any:
    """A column's value as a fact: an empty text is missing, and a part of a date comes as a decimal."""
    if value is None or value == "":
        return None
    return int(value) if kind in {Kind.NUMBER, Kind.MONTH, Kind.WEEKDAY} else value


def _values_of(asked: Field, owners: set[int]) -> dict[int, frozenset[str]]:
    if asked.rows is None:
        raise NotInTheDatabase(asked.name)
    values: dict[int, set[str]] = {}
    pairs = asked.rows().filter(**{f"{asked.owner}__in": owners}).values_list(asked.owner, asked.path)
    for owner, value in pairs:
        values.setdefault(owner, set()).add(value)
    return {owner: frozenset(found) for owner, found in values.items()}
