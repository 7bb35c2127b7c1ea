"""Trees for the tests of conditions: made by Hypothesis for the registered fields of a target."""

import datetime as dt
from decimal import Decimal

from hypothesis import strategies as st

from members.rules.conditions import Kind
from members.rules.conditions.fields import SHAPES, Shape

DATES = st.dates(dt.date(2024, 1, 28), dt.date(2026, 7, 5))
TEXTS = st.sampled_from(["web", "WEB", "Web direct", "desk", "%", "_", "\\", "Émile", "émile", "ß", "云栖", "e"])


def values_of(field, options):  # noqa: PLR0911 - one for each kind
    """One JSON value that fits the field."""
    match field.kind:
        case Kind.NUMBER:
            return st.integers(-1, 60)
        case Kind.MONEY:
            return st.sampled_from([0, 100, "100.00", "99.99", "0.01", "-5", "2000"])
        case Kind.DATE:
            return DATES.map(dt.date.isoformat)
        case Kind.BOOLEAN:
            return st.booleans()
        case Kind.MONTH:
            return st.integers(1, 12)
        case Kind.WEEKDAY:
            return st.integers(1, 7)
        case Kind.TEXT:
            return TEXTS
    return st.sampled_from(options)


@st.composite
def leaf_trees(draw, fields, options):
    """A leaf about one of the fields; `options` are the values of the lists, by field name."""
    field = draw(st.sampled_from(fields))
    op = draw(st.sampled_from(field.operators))
    one = values_of(field, options.get(field.name, []))
    tree = {"field": field.name, "op": op}
    match SHAPES[op]:
        case Shape.ONE:
            tree["value"] = draw(one)
        case Shape.DAYS:
            tree["value"] = draw(st.integers(0, 400))
        case Shape.SEVERAL:
            tree["value"] = draw(st.lists(one, min_size=1, max_size=4))
        case Shape.PAIR:
            tree["value"] = sorted([draw(one), draw(one)], key=lambda value: _sortable(field, value))
    return tree


def _sortable(field, value):
    return Decimal(value) if field.kind == Kind.MONEY else value


def trees(fields, options):
    """Trees of up to some twenty nodes."""
    return st.recursive(
        leaf_trees(fields, options),
        lambda inner: st.one_of(
            st.lists(inner, min_size=1, max_size=3).map(lambda parts: {"all": parts}),
            st.lists(inner, min_size=1, max_size=3).map(lambda parts: {"any": parts}),
            inner.map(lambda part: {"not": part}),
        ),
        max_leaves=5,
    )
