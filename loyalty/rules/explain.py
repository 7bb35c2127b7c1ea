"""One sentence for every posting, in the language of the reader.

An explanation is the JSON that a posting keeps. Its `kind` is that of the posting; what else it holds
depends on where the points came from:

- a stay (`stay`, `property`, `tier`, `currency`, `parts`, `total`, `before`, and `voided` with a
  reason) – see `loyalty.services.earning`; `parts` is the arithmetic of `loyalty.rules.earning`;
- a redemption (`reward`, `property`, and `canceled` with a reason) – see `loyalty.services.redemptions`;
- nothing of that: then kind, points and reason of the posting make the sentence.

Names are kept as `{"zh": …, "en": …}` as they were on the day.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from django.utils.translation import get_language, gettext_noop, ngettext, pgettext_lazy
from django.utils.translation import gettext as _

Facts = Mapping[str, Any]

# A reason that the desk gives by itself is kept untranslated, for readers of any language.
UNDONE_AT_DESK = gettext_noop("undone at the desk")

# English writes the code; Chinese writes the sign before an amount and the word after a rate.
_AMOUNTS = {
    "CNY": pgettext_lazy("amount of money", "CNY %(amount)s"),
    "USD": pgettext_lazy("amount of money", "USD %(amount)s"),
    "EUR": pgettext_lazy("amount of money", "EUR %(amount)s"),
    "GBP": pgettext_lazy("amount of money", "GBP %(amount)s"),
    "JPY": pgettext_lazy("amount of money", "JPY %(amount)s"),
    "HKD": pgettext_lazy("amount of money", "HKD %(amount)s"),
    "SGD": pgettext_lazy("amount of money", "SGD %(amount)s"),
    "THB": pgettext_lazy("amount of money", "THB %(amount)s"),
    "MYR": pgettext_lazy("amount of money", "MYR %(amount)s"),
}
_UNITS = {
    "CNY": pgettext_lazy("unit of currency", "CNY"),
    "USD": pgettext_lazy("unit of currency", "USD"),
    "EUR": pgettext_lazy("unit of currency", "EUR"),
    "GBP": pgettext_lazy("unit of currency", "GBP"),
    "JPY": pgettext_lazy("unit of currency", "JPY"),
    "HKD": pgettext_lazy("unit of currency", "HKD"),
    "SGD": pgettext_lazy("unit of currency", "SGD"),
    "THB": pgettext_lazy("unit of currency", "THB"),
    "MYR": pgettext_lazy("unit of currency", "MYR"),
}


def explain(explanation: Facts | None, *, kind: str = "", points: int | None = None, reason: str = "") -> str:
    """Say in one sentence of the active language what a posting did and why.

    Args:
        explanation: What the posting keeps; None where it keeps nothing.
        kind: The posting's kind, where the explanation does not name it.
        points: The posting's signed points, where the explanation does not name them.
        reason: The posting's reason, likewise.
    """
    facts: dict[str, Any] = {"kind": kind, "points": points or 0, "reason": reason, **(explanation or {})}
    # Staff end a reason as they like; the sentence ends once.
    facts["reason"] = spoken_reason(str(facts["reason"] or "").rstrip(" .。!！"))
    if points is not None:
        # What the ledger posted counts: a return may have been cut where lots had lapsed.
        facts["points"] = points
    if "stay" in facts and facts["kind"] in {"earn", "clawback"}:
        return _of_stay(facts)
    if "reward" in facts and facts["kind"] in {"redeem", "refund"}:
        return _of_reward(facts)
    return _PLAIN.get(facts["kind"], _other)(facts)


def spoken_reason(reason: str) -> str:
    """A reason as it was written, or in the active language where the desk gave it by itself."""
    return _(UNDONE_AT_DESK) if reason == UNDONE_AT_DESK else reason


def name_of(names: Mapping[str, str] | None) -> str:
    """The name in the active language; Chinese where there is no English one."""
    if not names:
        return ""
    if (get_language() or "").startswith("en") and names.get("en"):
        return names["en"]
    return names.get("zh", "")


def _of_stay(facts: Facts) -> str:
    total, before, points = facts["total"], facts["before"], facts["points"]
    values = {
        "stay": facts["stay"]["reference"],
        "property": name_of(facts["property"]),
        "tier": name_of(facts.get("tier")),
        "equation": _equation(facts),
        "before": f"{before:,}",
        "change": f"{abs(points):,}",
        "reason": facts.get("reason", ""),
    }
    if facts.get("voided"):
        return (
            ngettext(
                "Stay %(stay)s at %(property)s was voided (%(reason)s): its %(change)s point is taken back.",
                "Stay %(stay)s at %(property)s was voided (%(reason)s): its %(change)s points are taken back.",
                abs(points),
            )
            % values
        )
    if before == 0:
        return _("Stay %(stay)s at %(property)s as %(tier)s: %(equation)s.") % values
    if total == 0:
        return (
            _("Stay %(stay)s at %(property)s was refunded: %(change)s of the %(before)s points given are taken back.")
            % values
        )
    if points < 0:
        return (
            _(
                "Stay %(stay)s at %(property)s is now worth %(equation)s;"
                " %(before)s were given, so %(change)s are taken back."
            )
            % values
        )
    return (
        _("Stay %(stay)s at %(property)s is now worth %(equation)s; %(before)s were given, so %(change)s are added.")
        % values
    )


def _equation(facts: Facts) -> str:
    """The sum behind the points, such as `CNY 856.00 × 1.5 (Gold: 1.5 points per CNY) = 1,284 points`."""
    parts = [part for part in facts["parts"] if part["points"]]
    total = facts["total"]
    values = {"terms": " + ".join(_term(part, facts) for part in parts) or "0", "total": f"{total:,}"}
    if all(Decimal(part["amount"]) * Decimal(part["rate"]) == part["points"] for part in parts):
        return ngettext("%(terms)s = %(total)s point", "%(terms)s = %(total)s points", total) % values
    if len(parts) == 1:
        return (
            ngettext("%(terms)s, rounded down = %(total)s point", "%(terms)s, rounded down = %(total)s points", total)
            % values
        )
    return _("%(terms)s, each rounded down = %(total)s points") % values


def _term(part: Facts, facts: Facts) -> str:
    currency, rate, tier = facts["currency"], Decimal(part["rate"]), facts.get("tier") or {}
    values = {
        "amount": _money(Decimal(part["amount"]), currency),
        "rate": part["rate"],
        # A rule that is called like the tier is known to the reader by the tier's name in their language.
        "rule": name_of(tier) if part["name"] in tier.values() else part["name"],
        "unit": _UNITS.get(currency, currency),
    }
    return (
        ngettext(
            "%(amount)s × %(rate)s (%(rule)s: %(rate)s point per %(unit)s)",
            "%(amount)s × %(rate)s (%(rule)s: %(rate)s points per %(unit)s)",
            1 if rate == 1 else 2,
        )
        % values
    )


def _money(amount: Decimal, currency: str) -> str:
    text = f"{amount:,.2f}"
    if currency in _AMOUNTS:
        return str(_AMOUNTS[currency]) % {"amount": text}
    return f"{currency} {text}"


def _of_reward(facts: Facts) -> str:
    values = {
        "reward": name_of(facts["reward"]),
        "property": name_of(facts["property"]),
        "points": f"{abs(facts['points']):,}",
        "spent": f"{facts.get('spent', 0):,}",
        "reason": facts.get("reason", ""),
    }
    if not facts.get("canceled"):
        return (
            ngettext(
                "%(reward)s at %(property)s for %(points)s point.",
                "%(reward)s at %(property)s for %(points)s points.",
                abs(facts["points"]),
            )
            % values
        )
    if abs(facts["points"]) != facts.get("spent"):
        return (
            _(
                "%(reward)s was canceled (%(reason)s): %(points)s of %(spent)s points are given back,"
                " the others had expired meanwhile or paid a debt."
            )
            % values
        )
    return (
        ngettext(
            "%(reward)s was canceled (%(reason)s): %(points)s point is back where it came from.",
            "%(reward)s was canceled (%(reason)s): %(points)s points are back where they came from.",
            abs(facts["points"]),
        )
        % values
    )


def _plain(facts: Facts) -> dict[str, str]:
    return {"points": f"{abs(facts['points']):,}", "reason": facts["reason"] or _("no reason given")}


def _earn(facts: Facts) -> str:
    if not facts["reason"]:
        return ngettext("%(points)s point earned.", "%(points)s points earned.", facts["points"]) % _plain(facts)
    return ngettext(
        "%(points)s point earned: %(reason)s.", "%(points)s points earned: %(reason)s.", facts["points"]
    ) % _plain(facts)


def _bonus(facts: Facts) -> str:
    return ngettext(
        "%(points)s bonus point: %(reason)s.", "%(points)s bonus points: %(reason)s.", facts["points"]
    ) % _plain(facts)


def _release(facts: Facts) -> str:
    return ngettext(
        "%(points)s pending point can be used from now on.",
        "%(points)s pending points can be used from now on.",
        facts["points"],
    ) % _plain(facts)


def _redeem(facts: Facts) -> str:
    if not facts["reason"]:
        return ngettext("%(points)s point spent.", "%(points)s points spent.", abs(facts["points"])) % _plain(facts)
    return ngettext(
        "%(points)s point spent: %(reason)s.", "%(points)s points spent: %(reason)s.", abs(facts["points"])
    ) % _plain(facts)


def _refund(facts: Facts) -> str:
    return ngettext(
        "%(points)s point given back: %(reason)s.", "%(points)s points given back: %(reason)s.", facts["points"]
    ) % _plain(facts)


def _expire(facts: Facts) -> str:
    return ngettext(
        "%(points)s point expired unused.", "%(points)s points expired unused.", abs(facts["points"])
    ) % _plain(facts)


def _adjust(facts: Facts) -> str:
    if facts["points"] < 0:
        return ngettext(
            "%(points)s point taken off by hand: %(reason)s.",
            "%(points)s points taken off by hand: %(reason)s.",
            -facts["points"],
        ) % _plain(facts)
    return ngettext(
        "%(points)s point added by hand: %(reason)s.",
        "%(points)s points added by hand: %(reason)s.",
        facts["points"],
    ) % _plain(facts)


def _clawback(facts: Facts) -> str:
    return ngettext(
        "%(points)s point taken back: %(reason)s.", "%(points)s points taken back: %(reason)s.", abs(facts["points"])
    ) % _plain(facts)


def _hold(facts: Facts) -> str:
    return ngettext("%(points)s point set aside.", "%(points)s points set aside.", abs(facts["points"])) % _plain(facts)


def _void(facts: Facts) -> str:
    return ngettext(
        "%(points)s point no longer set aside.", "%(points)s points no longer set aside.", facts["points"]
    ) % _plain(facts)


def _other(facts: Facts) -> str:
    return ngettext("%(points)s point: %(reason)s.", "%(points)s points: %(reason)s.", facts["points"]) % _plain(facts)


_PLAIN: dict[str, Callable[[Facts], str]] = {
    "earn": _earn,
    "bonus": _bonus,
    "release": _release,
    "redeem": _redeem,
    "refund": _refund,
    "expire": _expire,
    "adjust": _adjust,
    "clawback": _clawback,
    "hold": _hold,
    "void": _void,
}


def explain_progress(missing: Sequence[tuple[str, Decimal]], *, tier: str, currency: str) -> str:
    """Say what is still missing for a tier; any one of the measures is enough.

    Args:
        missing: Pairs of measure (`amount`, `stays`, `nights`) and what is missing of it.
        tier: Name of the tier.
        currency: ISO 4217 code of the amount.
    """
    if any(amount <= 0 for _kind, amount in missing):
        return _("The threshold for %(tier)s is reached.") % {"tier": tier}
    steps = [_step(kind, amount, currency) for kind, amount in missing]
    sentences = {
        1: _("%(first)s to go until %(tier)s."),
        2: _("%(first)s or %(second)s to go until %(tier)s."),
        3: _("%(first)s, %(second)s or %(third)s to go until %(tier)s."),
    }
    names = dict(zip(("first", "second", "third"), steps, strict=False))
    return sentences[len(steps)] % {**names, "tier": tier} if steps else ""


def _step(kind: str, amount: Decimal, currency: str) -> str:
    if kind == "amount":
        return _("%(amount)s of spend") % {"amount": _money(amount, currency)}
    count = int(amount)
    if kind == "stays":
        return ngettext("%(count)s stay", "%(count)s stays", count) % {"count": f"{count:,}"}
    return ngettext("%(count)s night", "%(count)s nights", count) % {"count": f"{count:,}"}


def spell_money(amount: Decimal, currency: str) -> str:
    """An amount in words of the active language, for other sentences: ¥200 or CNY 200."""
    return _money(amount, currency)
