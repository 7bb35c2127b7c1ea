"""Grounds, amounts and failures of approvals in a sentence of the active language."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from loyalty.rules.approvals import POINTS, TIMES

_FAILURES = {
    "insufficient_points": gettext_lazy("The member has too few points now."),
    "membership_inactive": gettext_lazy("The membership is not active any more."),
    "reward_unavailable": gettext_lazy("The reward cannot be redeemed any more."),
    "amount_changed": gettext_lazy("It would cost more now than when it was asked for."),
    "record_gone": gettext_lazy("What it is about does not exist any more."),
    "payload_outdated": gettext_lazy("A newer version of the program cannot read the request."),
    "no_higher_tier": gettext_lazy("The member has this tier or a higher one already."),
    "type_not_open": gettext_lazy("Vouchers of this type are not issued now."),
    "issue_limit": gettext_lazy("The limit of the voucher type is used up."),
    "member_limit": gettext_lazy("The member has as many vouchers of this type as allowed."),
    "member_inactive": gettext_lazy("The membership is not active any more."),
}


def amount_in_words(value: Decimal, unit: str, *, is_signed: bool = False) -> str:
    """An amount with its unit: 1,200 points, 3 times, CNY 500."""
    text = f"{value:+,.2f}" if is_signed else f"{value:,.2f}"
    text = text.removesuffix(".00").replace("-", "−")
    if unit == POINTS:
        return ngettext("%(number)s point", "%(number)s points", int(abs(value))) % {"number": text}
    if unit == TIMES:
        return ngettext("%(number)s time", "%(number)s times", int(abs(value))) % {"number": text}
    return f"{unit} {text}"


def failure_sentence(code: str) -> str:
    """Why an approved movement was no longer possible; empty without a code."""
    if not code:
        return ""
    known = _FAILURES.get(code)
    return str(known) if known else _("It is not possible any more (%(code)s).") % {"code": code}


def _hours(hours: int) -> str:
    if hours % 24 == 0:
        return ngettext("%(days)d day", "%(days)d days", hours // 24) % {"days": hours // 24}
    return ngettext("%(hours)d hour", "%(hours)d hours", hours) % {"hours": hours}


def ground_sentence(ground: Mapping[str, Any], *, zone: dt.tzinfo) -> str:
    """One ground as a sentence; times in the reader's zone."""
    check = ground["check"]
    if check in {"per_movement", "per_day"}:
        return _limit_sentence(ground)
    facts = {"seen": ground["seen"], "hours": _hours(ground["hours"]), "percent": ground.get("percent", 0)}
    if check == "same_pair":
        return _("Movement no. %(seen)d of the same member by the same member of staff within %(hours)s") % facts
    if check == "near_limit":
        return _("Movement no. %(seen)d with at least %(percent)d%% of the limit within %(hours)s") % facts
    if check == "member_count":
        return _("Movement no. %(seen)d of this member within %(hours)s") % facts
    if check == "after_phone_change":
        changed = dt.datetime.fromisoformat(ground["changed_at"]).astimezone(zone)
        return _("The member's telephone was changed on %(changed)s; movement no. %(seen)d since") % {
            **facts,
            "changed": f"{changed:%Y-%m-%d %H:%M}",
        }
    return _("The account belongs to the member of staff")


def _limit_sentence(ground: Mapping[str, Any]) -> str:
    unit = ground["unit"]
    facts = {
        "value": amount_in_words(Decimal(ground["value"]), unit),
        "limit": amount_in_words(Decimal(ground["limit"]), unit),
    }
    if ground["check"] == "per_movement":
        return _("%(value)s is above the limit per movement of %(limit)s") % facts
    facts["used"] = amount_in_words(Decimal(ground["used"]), unit)
    return _("With %(used)s used today it is above the daily limit of %(limit)s") % facts
