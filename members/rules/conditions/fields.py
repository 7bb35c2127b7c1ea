"""What conditions may ask about: the fields of each target, their kinds and operators.

A target is what a tree judges: a guest, a stay, or a set of facts that stands in no table. Each app
registers its fields in `AppConfig.ready()`; the registry is filled once and then only read. How a
field is found in the database (`path`, `expression`, `rows`) is data for
`members.selectors.conditions`; nothing here reads a row.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

Text = str | Promise
Choices = Sequence[tuple[str, Text]]


class Kind(StrEnum):
    """What values a field has."""

    NUMBER = "number"  # int
    MONEY = "money"  # Decimal
    TEXT = "text"
    DATE = "date"
    BOOLEAN = "boolean"
    CHOICE = "choice"  # one of some texts
    CHOICES = "choices"  # a set of texts, such as tags
    MONTH = "month"  # 1 to 12
    WEEKDAY = "weekday"  # ISO: 1 is Monday


class Shape(StrEnum):
    """What an operator compares with."""

    NOTHING = "nothing"
    ONE = "one"
    SEVERAL = "several"
    PAIR = "pair"
    DAYS = "days"


SHAPES: Mapping[str, Shape] = {
    "is": Shape.ONE,
    "is_not": Shape.ONE,
    "in": Shape.SEVERAL,
    "not_in": Shape.SEVERAL,
    "gte": Shape.ONE,
    "lte": Shape.ONE,
    "gt": Shape.ONE,
    "lt": Shape.ONE,
    "between": Shape.PAIR,
    "contains": Shape.ONE,
    "starts_with": Shape.ONE,
    "on_or_after": Shape.ONE,
    "before": Shape.ONE,
    "within_last_days": Shape.DAYS,
    "within_next_days": Shape.DAYS,
    "has_any": Shape.SEVERAL,
    "has_all": Shape.SEVERAL,
    "has_none": Shape.SEVERAL,
    "is_set": Shape.NOTHING,
    "is_not_set": Shape.NOTHING,
}

_SET = ("is_set", "is_not_set")
_ONE_OF = ("is", "is_not", "in", "not_in")
_AMOUNT = ("gte", "lte", "gt", "lt", "between", "is", "is_not")

# The first operator of a kind is what the builder offers first.
OPERATORS: Mapping[str, tuple[str, ...]] = {
    Kind.NUMBER: (*_AMOUNT, *_SET),
    Kind.MONEY: (*_AMOUNT, *_SET),
    Kind.TEXT: (*_ONE_OF, "contains", "starts_with", *_SET),
    Kind.DATE: ("on_or_after", "before", "between", "is", "is_not", "within_last_days", "within_next_days", *_SET),
    Kind.BOOLEAN: ("is", *_SET),
    Kind.CHOICE: ("in", "not_in", "is", "is_not", *_SET),
    Kind.CHOICES: ("has_any", "has_all", "has_none", *_SET),
    Kind.MONTH: ("in", "not_in", "is", "is_not", *_SET),
    Kind.WEEKDAY: ("in", "not_in", "is", "is_not", *_SET),
}

MONTHS: Choices = (
    ("1", _("January")),
    ("2", _("February")),
    ("3", _("March")),
    ("4", _("April")),
    ("5", _("May")),
    ("6", _("June")),
    ("7", _("July")),
    ("8", _("August")),
    ("9", _("September")),
    ("10", _("October")),
    ("11", _("November")),
    ("12", _("December")),
)
WEEKDAYS: Choices = (
    ("1", _("Monday")),
    ("2", _("Tuesday")),
    ("3", _("Wednesday")),
    ("4", _("Thursday")),
    ("5", _("Friday")),
    ("6", _("Saturday")),
    ("7", _("Sunday")),
)


@dataclass(frozen=True, slots=True)
class Field:
    """One thing that a condition may ask about.

    Attributes:
        name: Stable name, such as `stay.nights`; stands in stored trees, so it never changes.
        target: What it is a fact of; see `register_target`.
        kind: A value of `Kind`.
        label: Noun phrase in the reader's language, in lower case: “number of nights”.
        path: ORM path from the target's model, or from the rows of `rows` to the value.
        operators: What may be asked; all of its kind when left out.
        choices: Value and label of each, or a function that reads them; for `choice` and `choices`.
        nullable: Whether the fact may be missing; if not, “is known” is no question.
        group: Heading that the builder lists it under.
        unit: What the number counts, for the sentence: “nights”.
        expression: In place of a path, `(prefix, today) -> expression`: prefix is the ORM path to the
            field's own target, such as `guest__`, empty at the target itself.
        rows: For `choices`: the queryset whose rows each hold one value.
        owner: For `choices`: path from such a row to the primary key of the field's target.
        when_true: For `boolean`: the sentence if it holds, such as “it is a group booking”.
        when_false: The sentence if it does not.
    """

    name: str
    target: str
    kind: str
    label: Text
    path: str = ""
    operators: tuple[str, ...] = ()
    choices: Choices | Callable[[], Choices] = ()
    nullable: bool = True
    group: Text = ""
    unit: Text = ""
    expression: Callable[[str, dt.date], Any] | None = field(default=None, repr=False)
    rows: Callable[[], Any] | None = field(default=None, repr=False)
    owner: str = ""
    when_true: Text = ""
    when_false: Text = ""

    def __post_init__(self) -> None:
        allowed = [op for op in OPERATORS[self.kind] if self.nullable or op not in _SET]
        unknown = set(self.operators) - set(allowed)
        if unknown:
            message = f"{self.name}: {', '.join(sorted(unknown))} cannot be asked of {self.kind}"
            raise ValueError(message)
        object.__setattr__(self, "operators", self.operators or tuple(allowed))

    @property
    def is_listed(self) -> bool:
        """Whether its values are chosen from a list."""
        return self.kind in {Kind.CHOICE, Kind.CHOICES, Kind.MONTH, Kind.WEEKDAY}

    def read_choices(self) -> Choices:
        """Value and label of each choice; reads the database where they stand there."""
        if self.kind == Kind.MONTH:
            return MONTHS
        if self.kind == Kind.WEEKDAY:
            return WEEKDAYS
        return self.choices() if callable(self.choices) else self.choices


class ChoiceLists:
    """The choices of fields, each read once at most; share one for a page of conditions."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], dict[str, Text]] = {}

    def of(self, asked: Field) -> Mapping[str, Text]:
        """Value → label, in the order of the list."""
        key = (asked.target, asked.name)
        if key not in self._known:
            self._known[key] = dict(asked.read_choices())
        return self._known[key]


@dataclass(frozen=True, slots=True)
class Target:
    """What conditions judge.

    Attributes:
        name: Stable name: `guest`, `stay`.
        label: For the reader.
        objects: Function that gives the queryset of its rows; None where it stands in no table.
        includes: Other targets whose fields it has too, with the ORM path to them: `{"guest": "guest__"}`.
    """

    name: str
    label: Text
    objects: Callable[[], Any] | None = field(default=None, repr=False)
    includes: Mapping[str, str] = field(default_factory=dict)


FieldSource = Callable[[str], Iterable[Field]]

_targets: dict[str, Target] = {}
_fields: dict[tuple[str, str], Field] = {}
_sources: list[FieldSource] = []


def register_target(target: Target) -> None:
    """Make something judgeable; registering a name again replaces it."""
    _targets[target.name] = target


def register_fields(*fields: Field) -> None:
    """Add fields to their targets; the same name at the same target replaces."""
    for one in fields:
        _fields[one.target, one.name] = one


def register_field_source(source: FieldSource) -> None:
    """Name a function that knows further fields of a target at run time, such as custom fields.

    It is asked with the target's name, when a tree names a field that no app registered and when all
    fields are listed; it answers in a fixed number of queries.
    """
    if source not in _sources:
        _sources.append(source)


def unregister(target: str, *names: str) -> None:
    """Forget fields; without names the whole target."""
    for key in [key for key in _fields if key[0] == target and (not names or key[1] in names)]:
        del _fields[key]
    if not names:
        _targets.pop(target, None)


def target_of(name: str) -> Target:
    """The target of a name.

    Raises:
        LookupError: Nobody registered it.
    """
    try:
        return _targets[name]
    except KeyError:
        message = f"no target is called {name}"
        raise LookupError(message) from None


def _reach(target: str) -> list[tuple[str, str]]:
    """A target and what it includes, with the ORM paths to them."""
    return [(target, ""), *target_of(target).includes.items()]


def fields_of(target: str) -> list[Field]:
    """All fields that a tree for the target may use, in the order they were registered."""
    return [found for found, _prefix in located_fields(target).values()]


def located_fields(target: str) -> dict[str, tuple[Field, str]]:
    """Name → field and the ORM path to its own target, for every field of the target."""
    found: dict[str, tuple[Field, str]] = {}
    for owner, prefix in _reach(target):
        for one in _fields.values():
            if one.target == owner:
                found.setdefault(one.name, (one, prefix))
        for source in _sources:
            for one in source(owner):
                found.setdefault(one.name, (one, prefix))
    return found


def locate(target: str, name: str) -> tuple[Field, str] | None:
    """One field and the ORM path to its own target; asks the sources only for what is not registered."""
    for owner, prefix in _reach(target):
        known = _fields.get((owner, name))
        if known:
            return known, prefix
    if _sources:
        return located_fields(target).get(name)
    return None
