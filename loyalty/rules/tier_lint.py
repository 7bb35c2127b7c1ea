"""What the thresholds of a programme's tiers say that is probably not meant."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice, pairwise, product
from typing import Any

from django.utils.translation import gettext as _

from loyalty.rules.earning import format_rate
from loyalty.rules.findings import Finding
from loyalty.rules.tiers import LIFETIME, MEASURES
from members.rules.conditions import Node, leaves, matches

# Figures that two tiers are compared at; trees that mention more are compared at the first of them.
MOST_FIGURES = 5000


@dataclass(frozen=True, slots=True)
class TierTerms:
    """A tier with what reaches it, if anything does."""

    code: str
    name: str
    rank: int
    node: Node | None


def lint_tiers(tiers: Sequence[TierTerms]) -> list[Finding]:
    """Gaps and overlaps between the thresholds that are in force together."""
    ordered = sorted(tiers, key=lambda tier: tier.rank)
    return [*_gaps(ordered), *(finding for pair in pairwise(_reachable(ordered)) for finding in _compare(*pair))]


def _reachable(tiers: Sequence[TierTerms]) -> list[TierTerms]:
    return [tier for tier in tiers if tier.node is not None]


def _gaps(tiers: Sequence[TierTerms]) -> Iterator[Finding]:
    """Every member begins with the lowest tier, and the highest may be by invitation."""
    for index, tier in enumerate(tiers):
        if index and tier.node is None and _reachable(tiers[index:]):
            yield Finding(
                "tier_gap",
                (tier.code,),
                _("“%(tier)s” has no thresholds, but a higher tier has: members pass over it.") % {"tier": tier.name},
            )


def _compare(lower: TierTerms, higher: TierTerms) -> Iterator[Finding]:
    assert lower.node is not None and higher.node is not None  # noqa: S101, PT018 - for the reader of types
    differs = False
    for facts in _figures(lower.node, higher.node):
        is_lower, is_higher = matches(lower.node, facts), matches(higher.node, facts)
        if is_higher and not is_lower:
            yield Finding(
                "tier_easier",
                (higher.code, lower.code),
                _("“%(higher)s” is reached with %(figures)s, but the lower “%(lower)s” is not.")
                % {"higher": higher.name, "lower": lower.name, "figures": _told(higher.node, lower.node, facts)},
            )
            return
        differs = differs or is_lower is not is_higher
    if not differs:
        yield Finding(
            "tier_equal",
            (lower.code, higher.code),
            _("“%(lower)s” and “%(higher)s” are reached by the same: nobody is ever in the lower one.")
            % {"lower": lower.name, "higher": higher.name},
        )


def _figures(lower: Node, higher: Node) -> Iterator[dict[str, Any]]:
    """Members at, just below and just above every figure that is mentioned.

    What counts for ever is at least what counts now. A lifetime way to the higher tier alone is meant
    to pass over the lower one, so it is left closed.
    """
    asked: dict[str, set[Decimal]] = {}
    lifetime_matters = any(leaf.name.startswith(LIFETIME) for leaf in leaves(lower))
    for leaf in (*leaves(lower), *leaves(higher)):
        if leaf.problem or (leaf.name.startswith(LIFETIME) and not lifetime_matters):
            continue
        values = leaf.value if isinstance(leaf.value, tuple) else (leaf.value,)
        figures = asked.setdefault(leaf.name, {Decimal(0)})
        for value in values:
            figures |= {max(Decimal(0), Decimal(value) + step) for step in (-1, 0, 1)}
    names = sorted(asked)
    for point in islice(product(*(sorted(asked[name]) for name in names)), MOST_FIGURES):
        given = dict(zip(names, point, strict=True))
        facts: dict[str, Any] = {name: given.get(name, Decimal(0)) for name in MEASURES}
        facts |= {
            f"{LIFETIME}{name}": max(facts[name], given.get(f"{LIFETIME}{name}", Decimal(0))) for name in MEASURES
        }
        yield facts


def _told(higher: Node, lower: Node, facts: Mapping[str, Any]) -> str:
    """The figures that the two ask about, each once."""
    labels = {leaf.name: str(leaf.field.label) for leaf in (*leaves(higher), *leaves(lower)) if leaf.field}
    return _(", ").join(f"{label} {format_rate(facts[name])}" for name, label in labels.items())
