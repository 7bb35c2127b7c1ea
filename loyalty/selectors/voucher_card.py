"""What the guest card shows of a guest's vouchers."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.db.models import F
from django.urls import reverse
from django.utils.translation import gettext as _

from hotels.models import Property, User
from loyalty.models import Voucher
from loyalty.selectors.vouchers import worth_of
from members.models import Guest
from members.selectors.panels import GuestAction

CARD_VOUCHERS = 6


def card_context(guest: Guest, user: User, place: Property, now: dt.datetime) -> dict[str, Any]:
    """The guest's open vouchers, the next to expire first, and the actions on vouchers; one query."""
    if not user.has_perm("loyalty.view_voucher", place):
        return {"vouchers": [], "actions": []}
    today = place.local_date(now)
    vouchers = list(
        Voucher.objects.filter(membership__guest=guest, state=Voucher.State.ISSUED)
        .exclude(expires_on__lt=today)
        .select_related("type")
        .order_by(F("expires_on").asc(nulls_last=True), "pk")[: CARD_VOUCHERS + 1]
    )
    actions = []
    if user.has_perm("loyalty.redeem_voucher", place):
        url = reverse("loyalty:guest_vouchers", args=[guest.public_id])
        actions.append(GuestAction("V", "ticket", _("Use a voucher"), url, 15))
    if user.has_perm("loyalty.issue_voucher", place):
        url = reverse("loyalty:issue_voucher", args=[guest.public_id])
        actions.append(GuestAction("I", "discount", _("Issue a voucher"), url, 45))
    return {
        "vouchers": [(voucher, worth_of(voucher.type)) for voucher in vouchers[:CARD_VOUCHERS]],
        "has_more": len(vouchers) > CARD_VOUCHERS,
        "may_redeem": user.has_perm("loyalty.redeem_voucher", place),
        "today": today,
        "actions": actions,
    }
