"""A comparison of two versions of the rules as it is kept and read: named, in points and in money, nothing personal.

    totals      stays, members, before, after, members_more, members_fewer
    tier_moves  from, from_en, to, to_en, members: whose figures reach another tier; null where no tier asks for points
    liability   before, after (amounts as text), currency, point_value
    by_property, by_tier
                code, name, name_en, stays, before, after
    by_rule     code, name, name_en, before, after, stays_before, stays_after
    largest     stay (id), number, departure, property, name, name_en, membership, before, after
    singly      stays that no plan served

The service adds `rules`, the fingerprint of the tested rules, and `seconds`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from hotels.models import Property
from loyalty.models import EarningRule, Membership, Programme, Tier
from members.models import Stay

if TYPE_CHECKING:
    from loyalty.selectors.backtest import Comparison, Totals


def figures_of(comparison: Comparison, programme: Programme) -> dict[str, Any]:
    """The comparison, ready for JSON, in five queries at most."""
    total = comparison.total
    worth = programme.point_value
    return {
        "totals": {
            **_sums(total),
            "members": comparison.members,
            "members_more": comparison.members_more,
            "members_fewer": comparison.members_fewer,
        },
        "liability": {
            "before": str(_money(total.before * worth)),
            "after": str(_money(total.after * worth)),
            "currency": programme.currency,
            "point_value": str(worth),
        },
        "tier_moves": _tier_moves(comparison),
        "by_property": _named(
            Property.objects.order_by("code").in_bulk(list(comparison.by_property)), comparison.by_property
        ),
        "by_tier": _named(Tier.objects.order_by("rank").in_bulk(list(comparison.by_tier)), comparison.by_tier),
        "by_rule": [
            {
                "code": rule.code,
                "name": rule.name.get("zh", ""),
                "name_en": rule.name.get("en", ""),
                "before": rule.before,
                "after": rule.after,
                "stays_before": rule.stays_before,
                "stays_after": rule.stays_after,
            }
            for rule in sorted(
                comparison.by_rule.values(), key=lambda rule: (-abs(rule.after - rule.before), rule.code)
            )
        ],
        "largest": _largest(comparison),
        "singly": comparison.reckoned_singly,
    }


def rules_digest(rule_set_id: int) -> str:
    """A fingerprint of the rules of a set, to tell whether a draft was changed after it was tested."""
    rules = EarningRule.objects.filter(rule_set=rule_set_id).order_by("code")
    columns = [field.attname for field in EarningRule._meta.concrete_fields if field.name not in {"id", "rule_set"}]
    text = json.dumps([list(row) for row in rules.values_list(*columns)], default=str, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _sums(totals: Totals) -> dict[str, int]:
    return {"stays": totals.stays, "before": totals.before, "after": totals.after}


def _money(amount: Decimal) -> Decimal:
    return amount.quantize(Decimal("0.01"))


def _named(rows: Mapping[int, Property] | Mapping[int, Tier], sums: Mapping[int, Totals]) -> list[dict[str, Any]]:
    """In the order of the names."""
    return [{"code": row.code, "name": row.name, "name_en": row.name_en, **_sums(sums[pk])} for pk, row in rows.items()]


def _tier_moves(comparison: Comparison) -> list[dict[str, Any]] | None:
    """From the lowest tier upwards."""
    moves = comparison.tier_moves
    if moves is None:
        return None
    tiers = Tier.objects.in_bulk({pk for pair in moves for pk in pair})
    return [
        {
            "from": tiers[before].name,
            "from_en": tiers[before].name_en,
            "to": tiers[after].name,
            "to_en": tiers[after].name_en,
            "members": moves[before, after],
        }
        for before, after in sorted(moves, key=lambda pair: (tiers[pair[0]].rank, tiers[pair[1]].rank))
    ]


def _largest(comparison: Comparison) -> list[dict[str, Any]]:
    stays = Stay.objects.select_related("property").in_bulk([row.stay_id for row in comparison.largest])
    numbers = dict(
        Membership.objects.filter(pk__in={row.membership_id for row in comparison.largest}).values_list("pk", "number")
    )
    return [
        {
            "stay": row.stay_id,
            "number": stays[row.stay_id].source_reference,
            "departure": stays[row.stay_id].departure_date.isoformat(),
            "property": stays[row.stay_id].property.code,
            "name": stays[row.stay_id].property.name,
            "name_en": stays[row.stay_id].property.name_en,
            "membership": numbers[row.membership_id],
            "before": row.before,
            "after": row.after,
        }
        for row in comparison.largest
        if row.stay_id in stays and row.membership_id in numbers
    ]
