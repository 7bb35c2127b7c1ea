"""The flat rules of each programme become published versions.

A version begins wherever a flat rule began or ended, and holds the rules in force from that day on.
“The closest wins” – property before tier before category – becomes one exclusive group of base rules
with priorities. A gap without any rule is a version without rules, so it stays a gap.

Going back keeps what flat rules can say: rates of the group `base` with the conditions written here.
"""

import itertools
from datetime import date
from typing import Any

from django.db import migrations
from django.utils import timezone

GROUP = "base"
# How much closer a rule is meant that names the property, the tier, the category.
PROPERTY, TIER, CATEGORY = 4, 2, 1


def boundaries(rules: list[Any]) -> list[date]:
    """Dates on which another choice of the rules is in force."""
    starts = {rule.effective_from for rule in rules}
    return sorted(starts | {rule.effective_until for rule in rules if rule.effective_until})


def condition_of(rule: Any) -> dict[str, Any]:
    """What the flat rule asked for, as a condition over stays."""
    leaves = []
    if rule.property_id:
        leaves.append({"field": "stay.property", "op": "in", "value": [rule.property.code]})
    if rule.tier_id:
        leaves.append({"field": "member.tier", "op": "in", "value": [rule.tier.code]})
    return {"all": leaves}


def code_of(rule: Any) -> str:
    """A code that follows from what the rule is for, so that it is the same in all versions."""
    parts = [rule.property.code.lower() if rule.property_id else "", rule.tier.code if rule.tier_id else ""]
    parts += [rule.category, rule.currency.lower()]
    return "-".join(["base", *(part for part in parts if part)])[:40]


def priority_of(rule: Any) -> int:
    """The closest comes first."""
    return PROPERTY * bool(rule.property_id) + TIER * bool(rule.tier_id) + CATEGORY * bool(rule.category)


def fill(rule: Any, rule_set: Any, code: str) -> None:
    """Turn a row into a rule of a version."""
    rule.rule_set = rule_set
    rule.code = code
    rule.condition = condition_of(rule)
    rule.categories = [rule.category] if rule.category else []
    rule.is_base = True
    rule.is_qualifying = True
    rule.priority = priority_of(rule)
    rule.stacking = "exclusive"
    rule.group = GROUP


def unique_codes(rules: list[Any]) -> dict[int, str]:
    """Code of each rule of one version; cut ones are told apart by a number."""
    codes = {}
    for rule in rules:
        code = code_of(rule)
        for suffix in itertools.count(2):
            if code not in codes.values():
                break
            code = f"{code_of(rule)[:36]}-{suffix}"
        codes[rule.pk] = code
    return codes


def into_sets(apps: Any, _schema_editor: Any) -> None:
    """Make versions of the flat rules."""
    rule_model = apps.get_model("loyalty", "EarningRule")
    set_model = apps.get_model("loyalty", "EarningRuleSet")
    now = timezone.now()
    for programme in apps.get_model("loyalty", "Programme").objects.order_by("pk"):
        rules = list(
            rule_model.objects.filter(programme=programme, rule_set=None)
            .select_related("tier", "property")
            .order_by("effective_from", "pk")
        )
        used = set()
        for number, day in enumerate(boundaries(rules), start=1):
            rule_set = set_model.objects.create(
                programme=programme,
                number=number,
                name=f"{day:%Y-%m-%d}",
                status="published",
                effective_from=day,
                published_at=now,
                created_at=now,
                note="Made of the dated rules of an earlier release.",
            )
            in_force = [
                rule
                for rule in rules
                if rule.effective_from <= day and (rule.effective_until is None or rule.effective_until > day)
            ]
            codes = unique_codes(in_force)
            for rule in in_force:
                code = codes[rule.pk]
                row = rule
                if rule.pk in used:
                    row = rule_model.objects.select_related("tier", "property").get(pk=rule.pk)
                    row.pk = None
                used.add(rule.pk)
                fill(row, rule_set, code)
                row.save()


def into_flat_rules(apps: Any, _schema_editor: Any) -> None:
    """Make dated rules of the versions; what flat rules cannot say is gone."""
    rule_model = apps.get_model("loyalty", "EarningRule")
    set_model = apps.get_model("loyalty", "EarningRuleSet")
    tiers = apps.get_model("loyalty", "Tier").objects
    places = apps.get_model("hotels", "Property").objects
    for programme in apps.get_model("loyalty", "Programme").objects.order_by("pk"):
        sets = list(set_model.objects.filter(programme=programme, status="published").order_by("effective_from"))
        ends = [rule_set.effective_from for rule_set in sets[1:]] + [None]
        for rule_set, until in zip(sets, ends, strict=True):
            for rule in rule_model.objects.filter(rule_set=rule_set):
                asked = {leaf["field"]: leaf["value"] for leaf in rule.condition.get("all", []) if "field" in leaf}
                if rule.group != GROUP or not rule.currency or asked.keys() - {"stay.property", "member.tier"}:
                    rule.delete()
                    continue
                rule.programme = programme
                rule.effective_from, rule.effective_until = rule_set.effective_from, until
                rule.tier = tiers.filter(programme=programme, code__in=asked.get("member.tier", [])).first()
                rule.property = places.filter(code__in=asked.get("stay.property", [])).first()
                rule.category = next(iter(rule.categories), "")
                rule.rule_set = None
                rule.save()
    rule_model.objects.exclude(rule_set=None).delete()
    set_model.objects.update(based_on=None)
    set_model.objects.all().delete()


class Migration(migrations.Migration):
    """Move the data."""

    dependencies = [("loyalty", "0010_earning_rule_sets")]

    operations = [migrations.RunPython(into_sets, into_flat_rules)]
