"""The condition tree: read from JSON, checked, and written back.

    {"all": [...]} | {"any": [...]} | {"not": node} | {"field": "stay.nights", "op": "gte", "value": 3}

`{"all": []}` holds for everything. Dates are ISO texts, money texts such as `"5000.00"`, months and
weekdays numbers. `parse` is for doors: it refuses what is wrong, with the reason at its place. `read`
is for engines: it never fails and reads no choices; a leaf that cannot be understood any more keeps
the tree from matching anything.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext as _

from members.rules.conditions.fields import SHAPES, ChoiceLists, Field, Kind, Shape, locate, target_of

MAX_DEPTH = 10
MAX_NODES = 200
MAX_VALUES = 300
MAX_TEXT = 200
MAX_NUMBER = 10**9
MAX_DAYS = 36_500

EVERYTHING: dict[str, Any] = {"all": []}

_MONEY = re.compile(r"-?\d{1,12}(\.\d{1,4})?", re.ASCII)
_ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


class InvalidCondition(ValueError):
    """A tree cannot be used; `errors` holds (path, code, message), with paths such as `all.0.value`."""

    code = "invalid_condition"

    def __init__(self, errors: list[tuple[str, str, str]]) -> None:
        self.errors = errors
        super().__init__("; ".join(f"{path or '.'}: {message}" for path, _code, message in errors))


@dataclass(frozen=True, slots=True)
class Leaf:
    """One question about one field.

    Attributes:
        name: The field's name as it stands in the tree.
        op: The operator.
        value: The typed value: int, Decimal, date, str, bool, a tuple of those, or None.
        field: The registered field; None if there is none of this name any more.
        prefix: ORM path to the field's own target.
        path: Where it stands in the tree: `all.0`.
        problem: Code of why it cannot be asked; empty if it can.
        negated: Set by `failing` on a leaf that would have had to be false.
    """

    name: str
    op: str
    value: Any = None
    field: Field | None = None
    prefix: str = ""
    path: str = ""
    problem: str = ""
    negated: bool = False


@dataclass(frozen=True, slots=True)
class AllOf:
    """Holds if every part does; without parts it always holds."""

    children: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Holds if any part does; without parts it never holds."""

    children: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """Holds exactly if its part does not."""

    child: Node


Node = AllOf | AnyOf | Not | Leaf


class _Wrong(Exception):
    """A value does not fit its field."""

    def __init__(self, message: str, code: str) -> None:
        self.code, self.message = code, message
        super().__init__(message)


def parse(tree: object, target: str, *, choices: ChoiceLists | None = None) -> Node:
    """Check a tree and type its values.

    Args:
        tree: The decoded JSON.
        target: What it is to judge; see `fields.register_target`.
        choices: Shared lists of choices, where many trees are checked.

    Raises:
        InvalidCondition: Anything is wrong: shape, size, unknown field, operator, value or choice.
    """
    parser = _Parser(target, choices or ChoiceLists())
    node = parser.node(tree, "", 1)
    if parser.errors:
        raise InvalidCondition(parser.errors)
    return node


def read(tree: object, target: str) -> Node:
    """Read a stored tree without failing and without looking up choices.

    What cannot be understood any more becomes a leaf with a `problem`; see `has_problem`.
    """
    return _Parser(target, None).node(tree, "", 1)


def leaves(node: Node) -> Iterator[Leaf]:
    """Every leaf, in the order of the tree."""
    if isinstance(node, Leaf):
        yield node
    elif isinstance(node, Not):
        yield from leaves(node.child)
    else:
        for child in node.children:
            yield from leaves(child)


def has_problem(node: Node) -> bool:
    """Whether some leaf cannot be asked, so that the tree matches nothing."""
    return any(leaf.problem for leaf in leaves(node))


def used_fields(node: Node) -> frozenset[str]:
    """Names of the fields that the tree asks about."""
    return frozenset(leaf.name for leaf in leaves(node) if leaf.name)


def tree_of(node: Node) -> dict[str, Any]:
    """The JSON of a tree, in the one form in which it is stored."""
    if isinstance(node, AllOf):
        return {"all": [tree_of(child) for child in node.children]}
    if isinstance(node, AnyOf):
        return {"any": [tree_of(child) for child in node.children]}
    if isinstance(node, Not):
        return {"not": tree_of(node.child)}
    plain: dict[str, Any] = {"field": node.name, "op": node.op}
    if SHAPES.get(node.op) != Shape.NOTHING:
        plain["value"] = _json_value(node.value)
    return plain


def _json_value(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_json_value(one) for one in value]
    if isinstance(value, dt.date):
        return value.isoformat()
    return str(value) if isinstance(value, Decimal) else value


class _Parser:
    """Walks one tree. With choices it collects what is wrong, without it marks the leaf."""

    def __init__(self, target: str, choices: ChoiceLists | None) -> None:
        target_of(target)
        self.target = target
        self.choices = choices
        self.errors: list[tuple[str, str, str]] = []
        self.count = 0

    def _fail(self, path: str, code: str, message: str) -> Leaf:
        self.errors.append((path, code, message))
        return Leaf("", "", path=path, problem=code)

    def node(self, tree: object, path: str, depth: int) -> Node:
        self.count += 1
        if self.count > MAX_NODES:
            if self.count == MAX_NODES + 1:
                self._fail(path, "too_many", _("At most %(limit)d conditions.") % {"limit": MAX_NODES})
            return Leaf("", "", path=path, problem="too_many")
        if depth > MAX_DEPTH:
            return self._fail(path, "too_deep", _("Groups are nested at most %(limit)d deep.") % {"limit": MAX_DEPTH})
        if isinstance(tree, Mapping):
            if set(tree) == {"all"} or set(tree) == {"any"}:
                return self._group(tree, path, depth)
            if set(tree) == {"not"}:
                return Not(self.node(tree["not"], _below(path, "not"), depth + 1))
            if "field" in tree and set(tree) <= {"field", "op", "value"}:
                return self._leaf(tree, path)
        return self._fail(path, "shape", _("This is no condition: “all”, “any”, “not” or a field is expected."))

    def _group(self, tree: Mapping[str, object], path: str, depth: int) -> Node:
        ((name, parts),) = tree.items()
        path = _below(path, name)
        if not isinstance(parts, list):
            return self._fail(path, "shape", _("A group holds a list of conditions."))
        if not parts and (depth > 1 or name == "any"):
            self.errors.append((path, "empty_group", _("Add a condition to this group, or remove the group.")))
        children = []
        for index, part in enumerate(parts):
            children.append(self.node(part, _below(path, str(index)), depth + 1))
            if self.count > MAX_NODES:
                break
        return AllOf(tuple(children)) if name == "all" else AnyOf(tuple(children))

    def _leaf(self, tree: Mapping[str, object], path: str) -> Leaf:
        name = tree["field"] if isinstance(tree["field"], str) else ""
        op = tree.get("op") if isinstance(tree.get("op"), str) else ""
        found = locate(self.target, name) if name else None
        if found is None:
            code, message = (
                ("unknown_field", _("There is no field “%(name)s”.") % {"name": name})
                if name
                else ("no_field", _("Choose what to ask about."))
            )
            self._fail(_below(path, "field"), code, message)
            return Leaf(name, str(op), tree.get("value"), path=path, problem=code)
        asked, prefix = found
        if op not in asked.operators:
            self._fail(_below(path, "op"), "unknown_operator", _("Choose how to compare."))
            return Leaf(name, str(op), tree.get("value"), asked, prefix, path, "unknown_operator")
        try:
            value = self._value(asked, str(op), tree)
        except _Wrong as wrong:
            self._fail(_below(path, "value"), wrong.code, wrong.message)
            return Leaf(name, str(op), tree.get("value"), asked, prefix, path, wrong.code)
        return Leaf(name, str(op), value, asked, prefix, path)

    def _value(self, asked: Field, op: str, tree: Mapping[str, object]) -> Any:
        shape = SHAPES[op]
        raw = tree.get("value")
        if shape is Shape.NOTHING:
            if raw is not None:
                raise _Wrong(_("Nothing is compared here."), "unexpected_value")
            return None
        if raw is None or raw in ("", []):
            raise _Wrong(_("Enter a value."), "no_value")
        if shape is Shape.DAYS:
            days = _number(raw)
            if not 0 <= days <= MAX_DAYS:
                raise _Wrong(_("Enter a number of days, 0 or more."), "out_of_range")
            return days
        if shape is Shape.ONE:
            return self._one(asked, raw)
        if not isinstance(raw, list):
            raise _Wrong(_("A list of values is expected."), "not_a_list")
        if shape is Shape.PAIR:
            return self._pair(asked, raw)
        if len(raw) > MAX_VALUES:
            raise _Wrong(_("At most %(limit)d values.") % {"limit": MAX_VALUES}, "too_many_values")
        return tuple(dict.fromkeys(self._one(asked, one) for one in raw))

    def _pair(self, asked: Field, raw: list[object]) -> tuple[Any, Any]:
        if len(raw) != 2 or any(one is None or one == "" for one in raw):  # noqa: PLR2004 - a pair
            raise _Wrong(_("Enter both ends of the range."), "no_value")
        first, last = (self._one(asked, one) for one in raw)
        if first > last:
            raise _Wrong(_("The range ends before it begins."), "reversed")
        return first, last

    def _one(self, asked: Field, raw: object) -> Any:
        value = _READERS[asked.kind](raw)
        if (
            self.choices is not None
            and asked.kind in {Kind.CHOICE, Kind.CHOICES}
            and value not in self.choices.of(asked)
        ):
            raise _Wrong(_("“%(value)s” is not on the list.") % {"value": value}, "unknown_choice")
        return value


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _number(raw: object) -> int:
    if not isinstance(raw, int) or isinstance(raw, bool):
        raise _Wrong(_("Enter a whole number."), "not_a_number")
    if abs(raw) > MAX_NUMBER:
        raise _Wrong(_("This number is too large."), "out_of_range")
    return raw


def _money(raw: object) -> Decimal:
    text = str(raw) if isinstance(raw, int) and not isinstance(raw, bool) else raw
    if not isinstance(text, str) or not _MONEY.fullmatch(text):
        raise _Wrong(_("Enter an amount, such as 5000 or 96.50."), "not_an_amount")
    return Decimal(text)


def _date(raw: object) -> dt.date:
    try:
        if isinstance(raw, str) and _ISO_DATE.fullmatch(raw):
            return dt.date.fromisoformat(raw)
    except ValueError:
        pass
    raise _Wrong(_("Enter a date, such as 2026-10-01."), "not_a_date")


def _text(raw: object) -> str:
    if not isinstance(raw, str) or not raw.strip():
        raise _Wrong(_("Enter a text."), "not_a_text")
    if len(raw) > MAX_TEXT:
        raise _Wrong(_("At most %(limit)d characters.") % {"limit": MAX_TEXT}, "too_long")
    if "\0" in raw or not raw.isprintable():
        raise _Wrong(_("This text holds characters that cannot be stored."), "not_a_text")
    return raw


def _boolean(raw: object) -> bool:
    if not isinstance(raw, bool):
        raise _Wrong(_("Choose yes or no."), "not_yes_or_no")
    return raw


def _month(raw: object) -> int:
    if not isinstance(raw, int) or isinstance(raw, bool) or not 1 <= raw <= 12:  # noqa: PLR2004 - months
        raise _Wrong(_("Choose a month."), "not_a_month")
    return raw


def _weekday(raw: object) -> int:
    if not isinstance(raw, int) or isinstance(raw, bool) or not 1 <= raw <= 7:  # noqa: PLR2004 - days of a week
        raise _Wrong(_("Choose a day of the week."), "not_a_weekday")
    return raw


_READERS: Mapping[str, Callable[[object], Any]] = {
    Kind.NUMBER: _number,
    Kind.MONEY: _money,
    Kind.TEXT: _text,
    Kind.DATE: _date,
    Kind.BOOLEAN: _boolean,
    Kind.CHOICE: _text,
    Kind.CHOICES: _text,
    Kind.MONTH: _month,
    Kind.WEEKDAY: _weekday,
}
