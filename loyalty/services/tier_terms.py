"""Changes of a programme's tiers from a date on: policies, thresholds, benefits; see `loyalty.services.rules`."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from hotels.models import User
from hotels.services.audit import record_audit
from loyalty.models import TierBenefit, TierCriteria, TierPolicy
from loyalty.rules.qualification import TARGET
from loyalty.services.rules import (
    RuleChangeRefused,
    check_start,
    check_successor,
    hand_over,
    last_begun_date,
    store_successor,
    terms_of_row,
)
from members.rules.conditions import InvalidCondition, parse, tree_of

POLICY_TERMS = tuple(
    field.name for field in TierPolicy._meta.concrete_fields if field.name not in {"id", "programme", "effective_from"}
)


@transaction.atomic
def change_tier_benefit(
    *,
    actor: User,
    now: dt.datetime,
    benefit_id: int,
    from_date: dt.date,
    name: str,
    name_en: str = "",
    kind: str | None = None,
    period: str | None = None,
    quantity: int | None = None,
) -> TierBenefit:
    """End a benefit on a date and give another one instead from that date on.

    Args:
        actor: Who decides.
        now: Aware instant.
        benefit_id: The benefit in force.
        from_date: First day of the new one.
        name: Its name in Chinese.
        name_en: Its name in English.
        kind: What it is; as before if None.
        period: For which time the quantity is given; period and quantity as before if None.
        quantity: How often it can be used in the period.

    Raises:
        RuleChangeRefused: the date has begun, or lies outside the benefit's dates.
    """
    benefit = (
        TierBenefit.objects.select_for_update(no_key=True, of=("self",))
        .select_related("tier__programme", "property")
        .get(pk=benefit_id)
    )
    check_successor(benefit, from_date, last_begun_date(benefit.tier.programme, now))
    successor = TierBenefit(
        tier=benefit.tier,
        property=benefit.property,
        name=name,
        name_en=name_en,
        kind=kind or benefit.kind,
        period=period or benefit.period,
        quantity=quantity if period else benefit.quantity,
        effective_from=from_date,
        effective_until=benefit.effective_until,
    )
    return hand_over(actor, now, benefit, successor)


@transaction.atomic
def change_tier_criteria(
    *, actor: User, now: dt.datetime, criteria_id: int, from_date: dt.date, conditions: Mapping[str, Any]
) -> TierCriteria:
    """Let other thresholds of a tier hold from a date on; those before hold until then.

    Args:
        actor: Who decides.
        now: Aware instant.
        criteria_id: The thresholds in force.
        from_date: First day of the new ones; in the future at every property.
        conditions: The tree over figures (target `qualification`) that reaches the tier.

    Raises:
        RuleChangeRefused: the date has begun, other thresholds begin on it, or the tree is wrong.
    """
    criteria = (
        TierCriteria.objects.select_for_update(no_key=True, of=("self",))
        .select_related("tier__programme")
        .get(pk=criteria_id)
    )
    check_start(from_date, today=last_begun_date(criteria.tier.programme, now))
    successor = TierCriteria(
        tier=criteria.tier, effective_from=from_date, conditions=_checked(conditions, TARGET, "conditions")
    )
    store_successor(successor)
    record_audit(
        actor=actor,
        now=now,
        action="tiercriteria.changed_from",
        target=successor,
        label=f"{criteria.tier.local_name} {from_date}",
        before=terms_of_row(criteria),
        after=terms_of_row(successor),
    )
    return successor


@transaction.atomic
def change_tier_policy(
    *, actor: User, now: dt.datetime, policy_id: int, from_date: dt.date, terms: Mapping[str, Any]
) -> TierPolicy:
    """Let another tier policy hold from a date on; stays that ended before count by the old one.

    Args:
        actor: Who decides.
        now: Aware instant.
        policy_id: The policy in force.
        from_date: First day of the new one; in the future at every property.
        terms: What changes: names of `TierPolicy` and their new values; the rest stays.

    Raises:
        RuleChangeRefused: the date has begun, another policy begins on it, or the terms do not go together.
    """
    policy = (
        TierPolicy.objects.select_for_update(no_key=True, of=("self",)).select_related("programme").get(pk=policy_id)
    )
    check_start(from_date, today=last_begun_date(policy.programme, now))
    facts = {name: getattr(policy, name) for name in POLICY_TERMS} | dict(terms)
    if all(facts[name] == getattr(policy, name) for name in POLICY_TERMS):
        raise RuleChangeRefused(code="unchanged", field="window", message=_("This is the policy already."))
    facts["stay_conditions"] = _checked(facts["stay_conditions"], "stay", "stay_conditions")
    successor = TierPolicy(programme=policy.programme, effective_from=from_date, **facts)
    store_successor(successor)
    record_audit(
        actor=actor,
        now=now,
        action="tierpolicy.changed_from",
        target=successor,
        label=f"{policy.programme.local_name} {from_date}",
        before=terms_of_row(policy),
        after=terms_of_row(successor),
    )
    return successor


def _checked(tree: Mapping[str, Any], target: str, field: str) -> dict[str, Any]:
    try:
        return tree_of(parse(tree, target))
    except InvalidCondition as error:
        _path, code, message = error.errors[0]
        raise RuleChangeRefused(code=code, field=field, message=message) from error
