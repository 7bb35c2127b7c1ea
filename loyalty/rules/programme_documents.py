"""A programme as a document: what a JSON file says, checked before anything is written.

The document has six parts: `programme`, `effective_from`, `tier_policy`, `tiers`, `rule_set` and `rules`
(see `docs/programmes`). Here its shape is checked: known names, kinds of values, what refers to what, and the
trees over figures. What only the database can tell (choices, currencies, the codes a rule's condition names) is
checked by whoever writes it, in the same terms: each problem with its path, such as
`rules[2].condition.all.0.value`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

from django.utils.translation import gettext as _

from loyalty.rules.qualification import TARGET
from loyalty.rules.tiers import ORDINARY
from members.rules.conditions import InvalidCondition, parse, tree_of

# Path, stable code, the reason for the reader.
Problem = tuple[str, str, str]


class InvalidProgramme(Exception):
    """The document does not describe a programme; `errors` tells what is wrong at which path."""

    code = "invalid_programme"

    def __init__(self, errors: Sequence[Problem]) -> None:
        self.errors = list(errors)
        super().__init__("\n".join(f"{path}: {message}" if path else message for path, _code, message in self.errors))


@dataclass(frozen=True, slots=True)
class TierDocument:
    """One tier: its fields, the tree over figures that reaches it (none for the first), its benefits."""

    path: str
    fields: Mapping[str, Any]
    conditions: Mapping[str, Any] | None
    benefits: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class ProgrammeDocument:
    """A document whose shape is right; only what it states stands in its mappings."""

    programme: Mapping[str, Any]
    effective_from: dt.date
    policy: Mapping[str, Any]
    tiers: Sequence[TierDocument]
    rule_set: Mapping[str, Any]
    rules: Sequence[Mapping[str, Any]]


# Kinds of values


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    raise ValueError(_("A text is needed."))


def _whole(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise ValueError(_("A whole number is needed."))


def _number(value: object) -> Decimal:
    try:
        if isinstance(value, str | int | Decimal) and not isinstance(value, bool):
            number = Decimal(value)
            if number.is_finite():
                return number
    except InvalidOperation:
        pass
    raise ValueError(_("A number is needed."))


def _yes(value: object) -> bool:
    if isinstance(value, bool):
        return value
    raise ValueError(_("true or false is needed."))


def _date(value: object) -> dt.date:
    try:
        return dt.date.fromisoformat(_text(value))
    except ValueError:
        raise ValueError(_("A date is needed, such as 2026-01-31.")) from None


def _tree(value: object) -> object:
    """Checked where its target is known."""
    return value


def _list_of(kind: Callable[[object], Any]) -> Callable[[object], list[Any]]:
    def read(value: object) -> list[Any]:
        if isinstance(value, list):
            return [kind(one) for one in value]
        raise ValueError(_("A list is needed."))

    return read


def _optional(kind: Callable[[object], Any]) -> Callable[[object], Any]:
    return lambda value: None if value is None else kind(value)


Kinds = Mapping[str, Callable[[object], Any]]

_NAMES: Kinds = {"name": _text, "name_en": _text}
PROGRAMME: Kinds = {
    "code": _text,
    **_NAMES,
    "time_zone": _text,
    "currency": _text,
    "number_prefix": _text,
    "point_value": _number,
    "pending_days": _whole,
    "expiry_months": _optional(_whole),
    "expiry_rounding": _text,
    "bonus_expiry_months": _optional(_whole),
    "shortfall_policy": _text,
    "lapsed_return_policy": _text,
    "lapsed_return_grace_days": _whole,
    "inactivity_months": _optional(_whole),
    "inactivity_counts_earning": _yes,
    "inactivity_counts_redeeming": _yes,
    "inactivity_counts_stays": _yes,
    "inactivity_from_date": _optional(_date),
    "inactivity_exempt_tier": _optional(_text),
    "expiry_notice_days": _optional(_whole),
    "expiry_needs_notice": _yes,
    "activity_date": _text,
    "profile_fields": _list_of(_text),
}
POLICY: Kinds = {
    "window": _text,
    "window_months": _whole,
    "night_counting": _text,
    "free_nights": _text,
    "no_show_nights": _optional(_whole),
    "day_use": _text,
    "stay_conditions": _tree,
    "carry_over": _list_of(_text),
    "carry_over_tier": _optional(_text),
    "zero_on_change": _yes,
    "upgrade_timing": _text,
    "validity": _text,
    "validity_months": _optional(_whole),
    "grace_days": _whole,
    "downgrade": _text,
    "warning_days": _whole,
    "four_eyes": _yes,
}
TIER: Kinds = {
    "code": _text,
    **_NAMES,
    "rank": _whole,
    "is_purchasable": _yes,
    "conditions": _tree,
    "benefits": _list_of(_tree),
}
BENEFIT: Kinds = {**_NAMES, "kind": _text, "period": _text, "quantity": _optional(_whole), "property": _text}
RULE_SET: Kinds = {"name": _text, "note": _text}
RULE: Kinds = {
    "code": _text,
    **_NAMES,
    "basis": _text,
    "event": _text,
    "categories": _list_of(_text),
    "currency": _text,
    "condition": _tree,
    "charges_from": _optional(_date),
    "charges_until": _optional(_date),
    "charge_weekdays": _list_of(_whole),
    "result": _text,
    "value": _number,
    "is_base": _yes,
    "is_qualifying": _yes,
    "priority": _whole,
    "stacking": _text,
    "group": _text,
    "stops": _yes,
    "cap_stay": _optional(_whole),
    "cap_day": _optional(_whole),
    "cap_month": _optional(_whole),
    "cap_member": _optional(_whole),
    "budget_points": _optional(_whole),
    "budget_money": _optional(_number),
    "point_cost": _optional(_number),
    "funded_by": _text,
}
DOCUMENT: Kinds = {
    "about": _tree,
    "programme": _tree,
    "effective_from": _date,
    "tier_policy": _tree,
    "tiers": _list_of(_tree),
    "rule_set": _tree,
    "rules": _list_of(_tree),
}


@dataclass(slots=True)
class _Reader:
    problems: list[Problem] = field(default_factory=list)

    def fields(self, found: object, path: str, kinds: Kinds, needed: Sequence[str] = ()) -> dict[str, Any]:
        """The values of an object, typed; what is wrong is noted and left out."""
        if not isinstance(found, Mapping):
            self.problems.append((path, "not_an_object", _("An object with named values is needed.")))
            return {}
        values: dict[str, Any] = {}
        for name, value in found.items():
            place = f"{path}.{name}" if path else str(name)
            if name not in kinds:
                self.problems.append((place, "unknown_name", _("There is nothing of this name.")))
                continue
            try:
                values[name] = kinds[name](value)
            except ValueError as error:
                self.problems.append((place, "wrong_kind", str(error)))
        for name in needed:
            if name not in found:
                self.problems.append((f"{path}.{name}" if path else name, "missing", _("This is needed.")))
        return values

    def each(self, rows: Sequence[object], path: str, kinds: Kinds, needed: Sequence[str]) -> list[dict[str, Any]]:
        return [self.fields(row, f"{path}[{index}]", kinds, needed) for index, row in enumerate(rows)]

    def once(self, rows: Sequence[Mapping[str, Any]], path: str, name: str) -> None:
        seen: set[Any] = set()
        for index, row in enumerate(rows):
            if name in row and row[name] in seen:
                message = _("%(value)s stands here twice.") % {"value": row[name]}
                self.problems.append((f"{path}[{index}].{name}", "twice", message))
            seen.add(row.get(name))

    def tier_code(self, values: Mapping[str, Any], path: str, name: str, codes: set[str]) -> None:
        code = values.get(name)
        if code is not None and code not in codes:
            message = _("The document has no tier “%(code)s”.") % {"code": code}
            self.problems.append((f"{path}.{name}", "unknown_tier", message))

    def tree(self, tree: object, path: str, target: str) -> dict[str, Any] | None:
        try:
            return tree_of(parse(tree, target))
        except InvalidCondition as error:
            self.problems += condition_problems(error, path)
            return None


def condition_problems(error: InvalidCondition, path: str) -> list[Problem]:
    """What is wrong with a tree, at its place in the document."""
    return [(f"{path}.{place}" if place else path, code, str(message)) for place, code, message in error.errors]


def parse_programme(document: object) -> ProgrammeDocument:
    """Check the shape of a document and type its values.

    Args:
        document: The decoded JSON; numbers with decimals as `Decimal` or text.

    Raises:
        InvalidProgramme: Everything that is wrong, each at its path.
    """
    reader = _Reader()
    parts = reader.fields(
        document, "", DOCUMENT, ("programme", "effective_from", "tier_policy", "tiers", "rule_set", "rules")
    )
    if reader.problems:
        raise InvalidProgramme(reader.problems)
    programme = reader.fields(parts["programme"], "programme", PROGRAMME, ("code", "name", "currency"))
    policy = reader.fields(parts["tier_policy"], "tier_policy", POLICY, ("window", "validity"))
    rule_set = reader.fields(parts["rule_set"], "rule_set", RULE_SET, ("name",))
    rules = reader.each(parts["rules"], "rules", RULE, ("code", "name", "value"))
    reader.once(rules, "rules", "code")
    tiers = _tiers(reader, parts["tiers"])
    codes = {tier.fields["code"] for tier in tiers if "code" in tier.fields}
    reader.tier_code(programme, "programme", "inactivity_exempt_tier", codes)
    reader.tier_code(policy, "tier_policy", "carry_over_tier", codes)
    for index, measure in enumerate(policy.get("carry_over", [])):
        if measure not in ORDINARY:
            message = _("Only these can be carried over: %(names)s.") % {"names": ", ".join(ORDINARY)}
            reader.problems.append((f"tier_policy.carry_over[{index}]", "unknown_measure", message))
    if reader.problems:
        raise InvalidProgramme(reader.problems)
    return ProgrammeDocument(programme, parts["effective_from"], policy, tiers, rule_set, rules)


def _tiers(reader: _Reader, rows: Sequence[object]) -> list[TierDocument]:
    tiers = reader.each(rows, "tiers", TIER, ("code", "name", "rank"))
    reader.once(tiers, "tiers", "code")
    reader.once(tiers, "tiers", "rank")
    if not any(tier.get("rank") == 0 for tier in tiers):
        reader.problems.append(("tiers", "no_first_tier", _("A tier of rank 0 is needed, where every member starts.")))
    read: list[TierDocument] = []
    for index, values in enumerate(tiers):
        path = f"tiers[{index}]"
        conditions = None
        if values.get("rank") == 0:
            if "conditions" in values:
                message = _("Every member has the first tier: it asks for nothing.")
                reader.problems.append((f"{path}.conditions", "not_for_first_tier", message))
        elif "conditions" in values:
            # A tier without conditions is one that is only granted or bought.
            conditions = reader.tree(values["conditions"], f"{path}.conditions", TARGET)
        benefits = reader.each(values.get("benefits", []), f"{path}.benefits", BENEFIT, ("name",))
        for number, benefit in enumerate(benefits):
            if benefit.get("period") in {"stay", "year"} and benefit.get("quantity") is None:
                message = _("Say how often for each stay or year, and only there.")
                reader.problems.append((f"{path}.benefits[{number}].quantity", "missing", message))
        plain = {name: value for name, value in values.items() if name not in {"conditions", "benefits"}}
        read.append(TierDocument(path, plain, conditions, benefits))
    return read
