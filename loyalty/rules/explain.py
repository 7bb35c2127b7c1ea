"""One sentence for every posting, in the language of the reader.

An explanation is the JSON that a posting keeps. Its `kind` is that of the posting; what else it holds
depends on where the points came from:

- a stay (`stay`, `property`, `tier`, `currency`, `parts`, `total`, `before`, and `voided` with a
  reason) – see `loyalty.services.earning`; `parts` is the arithmetic of `loyalty.rules.earning`;
- an event (`event`, `parts`, `total`) – see `loyalty.services.events`;
- a redemption (`reward`, `property`, and `canceled` with a reason) – see `loyalty.services.redemptions`;
- an expiry by inactivity (`inactive_since`, the day of the last activity);
- a transfer (`transfer`, `member`, the masked number of the other side) – see `loyalty.services.transfers`;
- stored value (`stored_value`, `part`, `currency`, `property`) – see `loyalty.services.wallet`;
- nothing of that: then kind, points and reason of the posting make the sentence.

Names are kept as `{"zh": …, "en": …}` as they were on the day.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from django.utils.translation import get_language, gettext_lazy, gettext_noop, ngettext
from django.utils.translation import gettext as _

from loyalty.rules.money import money, unit, whole

Facts = Mapping[str, Any]

# A reason that the desk gives by itself is kept untranslated, for readers of any language.
UNDONE_AT_DESK = gettext_noop("undone at the desk")

EVENTS = {
    "enrolment": gettext_lazy("Enrollment"),
    "profile_completed": gettext_lazy("Profile completed"),
    "survey_answered": gettext_lazy("Survey answered"),
    "referral_made": gettext_lazy("Friend referred"),
    "referral_joined": gettext_lazy("Referred by a friend"),
    "social_share": gettext_lazy("Share approved"),
    "birthday": gettext_lazy("Birthday"),
}


_STORED_VALUE = {
    ("top_up", "principal"): gettext_lazy("%(amount)s topped up at %(property)s."),
    ("top_up", "gift"): gettext_lazy("%(amount)s given for a top-up at %(property)s."),
    ("payment", "principal"): gettext_lazy("%(amount)s paid from stored value at %(property)s."),
    ("payment", "gift"): gettext_lazy("%(amount)s paid from the gift at %(property)s."),
    ("refund", "principal"): gettext_lazy("%(amount)s of a top-up paid back at %(property)s: %(reason)s."),
    ("refund", "gift"): gettext_lazy("%(amount)s of a gift taken back with the refund at %(property)s: %(reason)s."),
    ("undo", "principal"): gettext_lazy("%(amount)s undone at %(property)s: %(reason)s."),
    ("undo", "gift"): gettext_lazy("%(amount)s of a gift undone at %(property)s: %(reason)s."),
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
    for name, sentence in _BY_SUBJECT.items():
        if name in facts:
            return sentence(facts)
    if "stay" in facts and facts["kind"] in {"earn", "bonus", "clawback"}:
        return _of_stay(facts)
    if "event" in facts and facts["kind"] == "bonus":
        return _of_event(facts)
    if "event" in facts:
        return _event_taken_back(facts)
    if "reward" in facts and facts["kind"] in {"redeem", "refund"}:
        return _of_reward(facts)
    return _PLAIN.get(facts["kind"], _other)(facts)


def explain_stay(entries: Sequence[tuple[Facts, int]]) -> str:
    """Say in one sentence what a stay brought whose points stand in several entries.

    Args:
        entries: The newest explanation of each share of the stay, with the points of its posting.
    """
    facts = dict(entries[-1][0])
    facts["parts"] = [part for entry, _points in entries for part in entry["parts"]]
    facts["total"] = sum(entry["total"] for entry, _points in entries)
    is_gone = facts.get("voided") or not facts["total"]
    facts["before"] = sum(entry["before"] for entry, _points in entries) if is_gone else 0
    return explain(facts, kind=facts["kind"], points=sum(points for _entry, points in entries))


def explain_part(part: Facts, facts: Facts) -> str:
    """Say how one rule came to its points.

    Args:
        part: One of the parts of an award.
        facts: `currency`, `programme_currency` and `tier`, as in an explanation.
    """
    if part["result"] == "rate" and "capped" not in part:
        return _sum([part], part["points"], facts)
    return _clause(part, facts)


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


def _of_transfer(facts: Facts) -> str:
    points = abs(facts["points"])
    values = {"points": f"{points:,}", "member": facts["member"], "reason": facts["reason"]}
    sentences = {
        "out": ngettext(
            "%(points)s point passed to member %(member)s.", "%(points)s points passed to member %(member)s.", points
        ),
        "in": ngettext(
            "%(points)s point received from member %(member)s.",
            "%(points)s points received from member %(member)s.",
            points,
        ),
        "fee": ngettext(
            "%(points)s point of fee for a transfer to member %(member)s.",
            "%(points)s points of fee for a transfer to member %(member)s.",
            points,
        ),
        "undo": ngettext(
            "Transfer with member %(member)s undone (%(reason)s): %(points)s point.",
            "Transfer with member %(member)s undone (%(reason)s): %(points)s points.",
            points,
        ),
    }
    return sentences[facts["transfer"]] % values


def _of_stored_value(facts: Facts) -> str:
    values = {
        "amount": money(whole(abs(facts["points"])), facts["currency"]),
        "property": name_of(facts["property"]),
        "reason": facts["reason"],
    }
    sentence = _STORED_VALUE[facts["stored_value"], facts["part"]]
    return str(sentence) % values


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
    """The sum behind the points, such as `CNY 856.00 × 1.5 (Gold: 1.5 points per CNY) = 1,284 points`.

    Rates are one sum; multiples, fixed points and whatever a cap cut follow as clauses of their own.
    """
    parts = [part for part in facts["parts"] if part["points"] or "capped" in part]
    rates = [part for part in parts if part.get("result", "rate") == "rate" and "capped" not in part]
    others = [part for part in parts if part not in rates]
    total = facts["total"]
    clauses = []
    if rates or not others:
        clauses.append(_sum(rates, total if not others else sum(part["points"] for part in rates), facts))
    clauses += [_clause(part, facts) for part in others]
    if len(clauses) > 1:
        clauses.append(ngettext("%(total)s point in all", "%(total)s points in all", total) % {"total": f"{total:,}"})
    return _("; ").join(clauses)


def _sum(parts: Sequence[Facts], total: int, facts: Facts) -> str:
    values = {"terms": " + ".join(_term(part, facts) for part in parts) or "0", "total": f"{total:,}"}
    if all(_exact(part) == part["points"] for part in parts):
        return ngettext("%(terms)s = %(total)s point", "%(terms)s = %(total)s points", total) % values
    if len(parts) == 1:
        return (
            ngettext("%(terms)s, rounded down = %(total)s point", "%(terms)s, rounded down = %(total)s points", total)
            % values
        )
    return _("%(terms)s, each rounded down = %(total)s points") % values


def _exact(part: Facts) -> Decimal:
    """The points of a rate before rounding."""
    rate = Decimal(part["rate"])
    basis = part.get("basis", "amount")
    if basis == "nights":
        return rate * int(part["nights"])
    if basis == "stays":
        return rate
    return Decimal(part["amount"]) * Decimal(part.get("unit_value", 1)) * rate


def _rule_name(part: Facts, facts: Facts) -> str:
    """What the reader knows the rule by."""
    name, tier = part["name"], facts.get("tier") or {}
    if not isinstance(name, str):
        return name_of(name)
    # Before versions, a rule had one name; one called like the tier is known by the tier's name.
    return name_of(tier) if name in tier.values() else name


def _term(part: Facts, facts: Facts) -> str:
    """One rate: what it is counted on, times the rate."""
    currency, rate, basis = facts["currency"], Decimal(part["rate"]), part.get("basis", "amount")
    values = {"rate": part["rate"], "rule": _rule_name(part, facts)}
    if basis == "nights":
        count = part["nights"]
        return ngettext("%(count)s night × %(rate)s (%(rule)s)", "%(count)s nights × %(rate)s (%(rule)s)", count) % {
            **values,
            "count": f"{count:,}",
        }
    if basis == "stays":
        return _("%(rate)s for the stay (%(rule)s)") % values
    values["amount"] = money(Decimal(part["amount"]), currency)
    values["unit"] = unit(currency)
    if "unit_value" in part:
        to_currency = facts["programme_currency"]
        values["worth"] = money(Decimal(part["unit_value"]), to_currency)
        values["to_unit"] = unit(to_currency)
        return (
            ngettext(
                "%(amount)s × %(worth)s × %(rate)s (%(rule)s: %(rate)s point per %(to_unit)s)",
                "%(amount)s × %(worth)s × %(rate)s (%(rule)s: %(rate)s points per %(to_unit)s)",
                1 if rate == 1 else 2,
            )
            % values
        )
    return (
        ngettext(
            "%(amount)s × %(rate)s (%(rule)s: %(rate)s point per %(unit)s)",
            "%(amount)s × %(rate)s (%(rule)s: %(rate)s points per %(unit)s)",
            1 if rate == 1 else 2,
        )
        % values
    )


def _clause(part: Facts, facts: Facts) -> str:
    """What one rule adds: a multiple, fixed points, or a rate that a cap cut."""
    points = part["points"]
    values = {"rule": _rule_name(part, facts), "points": f"{points:,}"}
    if part["result"] == "multiplier":
        values |= {"times": part["rate"], "base": f"{_whole(part['base'])}"}
    if "capped" not in part:
        if part["result"] == "multiplier":
            return (
                ngettext(
                    "%(rule)s (%(times)s times %(base)s) +%(points)s point",
                    "%(rule)s (%(times)s times %(base)s) +%(points)s points",
                    points,
                )
                % values
            )
        return ngettext("%(rule)s +%(points)s point", "%(rule)s +%(points)s points", points) % values
    values["limit"] = _limit(part["capped"], facts)
    values["wanted"] = f"{part['capped']['wanted']:,}"
    return (
        ngettext(
            "%(rule)s +%(points)s point (of %(wanted)s, capped at %(limit)s)",
            "%(rule)s +%(points)s points (of %(wanted)s, capped at %(limit)s)",
            points,
        )
        % values
    )


def _whole(figure: str) -> str:
    """A figure with thousands marked, and its cents where it has any."""
    return f"{Decimal(figure):,f}"


_LIMITS = {
    "stay": lambda count: ngettext("%(count)s point per stay", "%(count)s points per stay", count),
    "day": lambda count: ngettext("%(count)s point a day", "%(count)s points a day", count),
    "month": lambda count: ngettext("%(count)s point a month", "%(count)s points a month", count),
    "member": lambda count: ngettext("%(count)s point per member", "%(count)s points per member", count),
    "points": lambda count: ngettext("a budget of %(count)s point", "a budget of %(count)s points", count),
}


def _limit(capped: Facts, facts: Facts) -> str:
    if capped["by"] == "money":
        currency = facts.get("programme_currency") or facts.get("currency", "")
        return _("a budget of %(amount)s") % {"amount": money(Decimal(capped["limit"]), currency)}
    return _LIMITS[capped["by"]](capped["limit"]) % {"count": f"{capped['limit']:,}"}


def _of_event(facts: Facts) -> str:
    """The event and what each rule gave for it, such as `Enrollment: Welcome gift +1,000 points`."""
    parts = [part for part in facts["parts"] if part["points"] or "capped" in part]
    values = {"event": str(EVENTS.get(facts["event"], facts["event"])), "clauses": ""}
    values["clauses"] = _("; ").join(_clause(part, facts) for part in parts)
    return _("%(event)s: %(clauses)s.") % values


def _event_taken_back(facts: Facts) -> str:
    points = abs(facts["points"])
    values = {
        "event": str(EVENTS.get(facts["event"], facts["event"])),
        "points": f"{points:,}",
        "reason": facts["reason"],
    }
    if not values["reason"]:
        return (
            ngettext(
                "%(event)s: %(points)s point is taken back.",
                "%(event)s: %(points)s points are taken back.",
                points,
            )
            % values
        )
    return (
        ngettext(
            "%(event)s: %(points)s point is taken back (%(reason)s).",
            "%(event)s: %(points)s points are taken back (%(reason)s).",
            points,
        )
        % values
    )


def _of_reward(facts: Facts) -> str:
    name = name_of(facts["reward"])
    values = {
        "reward": f"{name} × {facts['quantity']}" if facts.get("quantity", 1) > 1 else name,
        "property": name_of(facts["property"]),
        "points": f"{abs(facts['points']):,}",
        "spent": f"{facts.get('spent', 0):,}",
        "reason": facts.get("reason", ""),
    }
    if not facts.get("canceled") and facts.get("cash"):
        values["cash"] = money(Decimal(facts["cash"]), facts["currency"])
        return (
            ngettext(
                "%(reward)s at %(property)s for %(points)s point and %(cash)s.",
                "%(reward)s at %(property)s for %(points)s points and %(cash)s.",
                abs(facts["points"]),
            )
            % values
        )
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
    if "inactive_since" in facts:
        return ngettext(
            "%(points)s point lapsed: no activity since %(since)s.",
            "%(points)s points lapsed: no activity since %(since)s.",
            abs(facts["points"]),
        ) % {**_plain(facts), "since": facts["inactive_since"]}
    return ngettext(
        "%(points)s point expired unused.", "%(points)s points expired unused.", abs(facts["points"])
    ) % _plain(facts)


def _of_merge(facts: Facts) -> str:
    """Points that went from one profile of a guest to another, or back."""
    values = {"points": f"{abs(facts['points']):,}", "number": facts["merge"]["number"]}
    count = abs(facts["points"])
    if facts["merge"].get("undone"):
        if facts["points"] < 0:
            return (
                ngettext(
                    "Merge of profiles undone: %(points)s point goes back to %(number)s.",
                    "Merge of profiles undone: %(points)s points go back to %(number)s.",
                    count,
                )
                % values
            )
        return (
            ngettext(
                "Merge of profiles undone: %(points)s point is back from %(number)s.",
                "Merge of profiles undone: %(points)s points are back from %(number)s.",
                count,
            )
            % values
        )
    if facts["points"] < 0:
        return (
            ngettext(
                "Profiles merged: %(points)s point goes to %(number)s.",
                "Profiles merged: %(points)s points go to %(number)s.",
                count,
            )
            % values
        )
    return (
        ngettext(
            "Profiles merged: %(points)s point comes from %(number)s.",
            "Profiles merged: %(points)s points come from %(number)s.",
            count,
        )
        % values
    )


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
# What these are about decides the sentence, whatever the kind of posting.
_BY_SUBJECT: dict[str, Callable[[Facts], str]] = {
    "transfer": _of_transfer,
    "stored_value": _of_stored_value,
    "merge": _of_merge,
}
