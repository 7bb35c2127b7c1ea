"""A tree in plain words, in the language of the reader."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext, pgettext

from members.rules.conditions.fields import SHAPES, ChoiceLists, Field, Kind, Shape, Text
from members.rules.conditions.tree import AllOf, Leaf, Node, Not

# What the builder offers to choose from.
OPERATOR_LABELS: Mapping[str, Text] = {
    "is": gettext_lazy("is"),
    "is_not": gettext_lazy("is not"),
    "in": gettext_lazy("is one of"),
    "not_in": gettext_lazy("is none of"),
    "gte": gettext_lazy("is at least"),
    "lte": gettext_lazy("is at most"),
    "gt": gettext_lazy("is more than"),
    "lt": gettext_lazy("is less than"),
    "between": gettext_lazy("is between"),
    "contains": gettext_lazy("contains"),
    "starts_with": gettext_lazy("begins with"),
    "on_or_after": gettext_lazy("is on or after"),
    "before": gettext_lazy("is before"),
    "within_last_days": gettext_lazy("lies within the last days"),
    "within_next_days": gettext_lazy("lies within the next days"),
    "has_any": gettext_lazy("include any of"),
    "has_all": gettext_lazy("include all of"),
    "has_none": gettext_lazy("include none of"),
    "is_set": gettext_lazy("is known"),
    "is_not_set": gettext_lazy("is not known"),
}

_PHRASES: Mapping[str, Text] = {
    "is": gettext_lazy("%(field)s is %(value)s"),
    "is_not": gettext_lazy("%(field)s is not %(value)s"),
    "in": gettext_lazy("%(field)s is %(value)s"),
    "not_in": gettext_lazy("%(field)s is not %(value)s"),
    "gte": gettext_lazy("%(field)s is at least %(value)s"),
    "lte": gettext_lazy("%(field)s is at most %(value)s"),
    "gt": gettext_lazy("%(field)s is more than %(value)s"),
    "lt": gettext_lazy("%(field)s is less than %(value)s"),
    "contains": gettext_lazy("%(field)s contains %(value)s"),
    "starts_with": gettext_lazy("%(field)s begins with %(value)s"),
    "on_or_after": gettext_lazy("%(field)s is %(value)s or later"),
    "before": gettext_lazy("%(field)s is before %(value)s"),
    "has_any": gettext_lazy("%(field)s include %(value)s"),
    "has_all": gettext_lazy("%(field)s include %(value)s"),
    "has_none": gettext_lazy("%(field)s do not include %(value)s"),
    "is_set": gettext_lazy("%(field)s is known"),
    "is_not_set": gettext_lazy("%(field)s is not known"),
}


def sentence(node: Node, *, choices: ChoiceLists | None = None) -> str:
    """The tree as a phrase that can stand alone or in a longer sentence.

    Args:
        node: From `parse` or `read`.
        choices: Shared lists of choices, where many trees are shown; each list is read once.
    """
    return _phrase(node, choices or ChoiceLists(), outermost=True)


def _phrase(node: Node, choices: ChoiceLists, *, outermost: bool = False) -> str:
    if isinstance(node, Leaf):
        phrase = _leaf(node, choices)
        return _("not (%(condition)s)") % {"condition": phrase} if node.negated else phrase
    if isinstance(node, Not):
        return _("not (%(condition)s)") % {"condition": _phrase(node.child, choices, outermost=True)}
    if not node.children:
        return _("always") if isinstance(node, AllOf) else _("never")
    if len(node.children) == 1:
        return _phrase(node.children[0], choices, outermost=outermost)
    parts = [_phrase(child, choices) for child in node.children]
    joined = _join_all(parts) if isinstance(node, AllOf) else _join_any(parts)
    return joined if outermost else _("(%(condition)s)") % {"condition": joined}


def _join_all(parts: Sequence[str]) -> str:
    joined = parts[0]
    for part in parts[1:]:
        joined = pgettext("conditions", "%(first)s and %(second)s") % {"first": joined, "second": part}
    return joined


def _join_any(parts: Sequence[str]) -> str:
    joined = parts[0]
    for part in parts[1:]:
        joined = pgettext("conditions", "%(first)s or %(second)s") % {"first": joined, "second": part}
    return joined


def _listed(parts: Sequence[str], last: str) -> str:
    """“A, B or C”; `last` is the template that joins the last two."""
    *head, tail = parts
    if not head:
        return tail
    joined = head[0]
    for part in head[1:]:
        joined = pgettext("list", "%(first)s, %(second)s") % {"first": joined, "second": part}
    return last % {"first": joined, "second": tail}


def _leaf(leaf: Leaf, choices: ChoiceLists) -> str:
    asked = leaf.field
    if asked is None:
        return _("unknown condition (%(name)s)") % {"name": leaf.name} if leaf.name else "…"
    if leaf.problem:
        return _("%(field)s …") % {"field": asked.label}
    if asked.kind == Kind.BOOLEAN and leaf.op == "is":
        return _statement(asked, holds=leaf.value)
    facts = {"field": str(asked.label)}
    if SHAPES[leaf.op] is Shape.DAYS:
        return _days(leaf, facts)
    if leaf.op == "between":
        first, last = (_plain(one) for one in leaf.value)
        return _("%(field)s is between %(first)s and %(last)s") % {
            **facts,
            "first": first,
            "last": _with_unit(asked, last),
        }
    return str(_PHRASES[leaf.op]) % {**facts, "value": _value(leaf, asked, choices)}


def _days(leaf: Leaf, facts: Mapping[str, str]) -> str:
    if leaf.op == "within_last_days":
        return ngettext(
            "%(field)s lies within the last %(days)d day", "%(field)s lies within the last %(days)d days", leaf.value
        ) % {**facts, "days": leaf.value}
    return ngettext(
        "%(field)s lies within the next %(days)d day", "%(field)s lies within the next %(days)d days", leaf.value
    ) % {**facts, "days": leaf.value}


def _statement(asked: Field, *, holds: bool) -> str:
    text = asked.when_true if holds else asked.when_false
    if text:
        return str(text)
    return (_("%(field)s: yes") if holds else _("%(field)s: no")) % {"field": asked.label}


def _value(leaf: Leaf, asked: Field, choices: ChoiceLists) -> str:
    if leaf.value is None:
        return ""
    if not isinstance(leaf.value, tuple):
        return _shown(asked, leaf.value, choices)
    if leaf.op == "has_all":
        last = pgettext("list", "%(first)s and %(second)s")
    else:
        last = pgettext("list", "%(first)s or %(second)s")
    return _listed([_shown(asked, one, choices) for one in leaf.value], last)


def _shown(asked: Field, value: Any, choices: ChoiceLists) -> str:
    if asked.is_listed:
        return str(choices.of(asked).get(str(value), value))
    return _with_unit(asked, _plain(value))


def _plain(value: Any) -> str:
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, int | Decimal):
        return f"{value:,}"
    return _("“%(text)s”") % {"text": value}


def _with_unit(asked: Field, text: str) -> str:
    return _("%(number)s %(unit)s") % {"number": text, "unit": asked.unit} if asked.unit else text
