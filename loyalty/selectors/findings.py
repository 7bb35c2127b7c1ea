"""What should be read once more in stored earning rules and tier thresholds; never in the way of saving."""

from __future__ import annotations

import datetime as dt

from loyalty.models import EarningRuleSet, Programme, TierCriteria
from loyalty.rules.earning.lint import lint_rules
from loyalty.rules.findings import Finding
from loyalty.rules.qualification import TARGET
from loyalty.rules.tier_lint import TierTerms, lint_tiers
from members.rules.conditions import read


def findings_of_rules(rule_set: EarningRuleSet, *, today: dt.date) -> list[Finding]:
    """The findings of one version; a draft begins tomorrow at the earliest."""
    programme = rule_set.programme
    return lint_rules(
        rule_set.rules.all(),
        tiers=[(tier.code, tier.rank, tier.local_name) for tier in programme.tiers.order_by("rank")],
        currency=programme.currency,
        point_value=programme.point_value,
        begins=rule_set.effective_from or today + dt.timedelta(days=1),
    )


def findings_of_tiers(programme: Programme, *, today: dt.date) -> list[Finding]:
    """The findings of the thresholds that are in force today."""
    in_force = {
        row.tier_id: row.conditions
        for row in TierCriteria.objects.filter(tier__programme=programme, effective_from__lte=today).order_by(
            "effective_from"
        )
    }
    return lint_tiers(
        [
            TierTerms(
                code=tier.code,
                name=tier.local_name,
                rank=tier.rank,
                node=read(in_force[tier.pk], TARGET) if tier.pk in in_force else None,
            )
            for tier in programme.tiers.order_by("rank")
        ]
    )
