"""Sentences for the guest: what is missing for the next tier, how long this one lasts, how to keep it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext, pgettext

from loyalty.rules.money import money
from loyalty.rules.tiers import LIFETIME, Figures, Way

# A measure and what is missing of it.
Missing = tuple[str, Decimal]


def missing_of(ways: Sequence[Way]) -> list[list[Missing]]:
    """What is missing on each way; what was met already is not told."""
    return [[(measure.kind, measure.missing) for measure in way if measure.missing > 0] for way in ways]


def explain_progress(missing: Sequence[Sequence[Missing]], *, tier: str, currency: str) -> str:
    """Say what is still missing for a tier.

    Args:
        missing: The ways to it; on each, pairs of a measure (`amount`, `stays`, …) and what is missing
            of it. Any one way is enough, and all of a way is needed.
        tier: Name of the tier.
        currency: ISO 4217 code of amounts.
    """
    if any(not way or all(amount <= 0 for _kind, amount in way) for way in missing):
        return _("The threshold for %(tier)s is reached.") % {"tier": tier}
    steps = [_together(way, currency) for way in missing]
    sentences = {
        1: _("%(first)s to go until %(tier)s."),
        2: _("%(first)s or %(second)s to go until %(tier)s."),
        3: _("%(first)s, %(second)s or %(third)s to go until %(tier)s."),
    }
    if not steps:
        return ""
    steps = _at_most_three(steps)
    names = dict(zip(("first", "second", "third"), steps, strict=False))
    return sentences[len(steps)] % {**names, "tier": tier}


def explain_validity(
    missing: Sequence[Sequence[Missing]], *, tier: str, until: dt.date | None, deadline: dt.date | None, currency: str
) -> str:
    """Say until when a tier is valid, and what keeps it.

    Args:
        missing: The ways to keep it, as for `explain_progress`; none where it is kept as things stand.
        tier: Name of the tier.
        until: The last day; None without end.
        deadline: The last day that counts towards keeping it.
        currency: ISO 4217 code of amounts.
    """
    if until is None:
        return ""
    facts = {"tier": tier, "date": until.isoformat()}
    if not missing or deadline is None:
        return _("%(tier)s is valid until %(date)s.") % facts
    steps = [_together(way, currency) for way in missing]
    joined = steps[0]
    for step in steps[1:]:
        joined = pgettext("ways to a tier", "%(first)s or %(second)s") % {"first": joined, "second": step}
    return _("%(tier)s is valid until %(date)s; %(missing)s by %(deadline)s to keep it.") % {
        **facts,
        "missing": joined,
        "deadline": deadline.isoformat(),
    }


def explain_verdict(kind: str, figures: Mapping[str, Any], why: Mapping[str, Any], *, currency: str) -> str:
    """Say why a review moves a member, from what its row keeps.

    Args:
        kind: Upgrade, renewal or downgrade.
        figures: Figures on the run date.
        why: End of the tier, and what else it could rest on.
        currency: ISO 4217 code of amounts.
    """
    told = Figures.from_json(figures)
    facts = {
        "amount": money(told.amount, currency),
        "stays": f"{told.stays:,}",
        "nights": f"{told.nights:,}",
        "points": f"{told.points:,}",
        "date": why.get("until") or "",
    }
    counted = _("%(amount)s, %(stays)s stays, %(nights)s nights, %(points)s qualifying points") % facts
    if kind == "upgrade":
        return _("The threshold is reached: %(figures)s.") % {"figures": counted}
    if kind == "renewal":
        return _("The tier is reached again: %(figures)s.") % {"figures": counted}
    if facts["date"]:
        return _("The tier ended on %(date)s and was not reached again: %(figures)s.") % {
            "date": facts["date"],
            "figures": counted,
        }
    return _("The figures no longer hold the tier: %(figures)s.") % {"figures": counted}


def _at_most_three(steps: list[str]) -> list[str]:
    """The first ones in one, where there are more than the sentences have places for."""
    while len(steps) > 3:  # noqa: PLR2004 - places in the longest sentence
        first = pgettext("list", "%(first)s, %(second)s") % {"first": steps[0], "second": steps[1]}
        steps = [first, *steps[2:]]
    return steps


def _together(way: Sequence[Missing], currency: str) -> str:
    """What is needed together: “10 nights and CNY 1,000.00 of spend”."""
    steps = [_step(kind, amount, currency) for kind, amount in way if amount > 0]
    joined = steps[0]
    for step in steps[1:]:
        joined = pgettext("together for a tier", "%(first)s and %(second)s") % {"first": joined, "second": step}
    return joined


_COUNTS: dict[str, Callable[[int], str]] = {
    "stays": lambda count: ngettext("%(count)s stay", "%(count)s stays", count),
    "nights": lambda count: ngettext("%(count)s night", "%(count)s nights", count),
    "points": lambda count: ngettext("%(count)s qualifying point", "%(count)s qualifying points", count),
    "meetings": lambda count: ngettext("%(count)s meeting", "%(count)s meetings", count),
    "events": lambda count: ngettext("%(count)s event", "%(count)s events", count),
    "referrals": lambda count: ngettext("%(count)s referral", "%(count)s referrals", count),
}


def _step(kind: str, amount: Decimal, currency: str) -> str:
    # What counts since enrollment is missing like anything else: so much is still to come.
    plain = kind.removeprefix(LIFETIME)
    if plain == "amount":
        return _("%(amount)s of spend") % {"amount": money(amount, currency)}
    return _COUNTS[plain](int(amount)) % {"count": f"{int(amount):,}"}
