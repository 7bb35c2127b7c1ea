"""The friends' part of the guest card: the member's code, whom they sent, what they shared."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.urls import reverse
from django.utils.translation import gettext as _

from hotels.models import Property, User
from loyalty.models import Membership, Referral, SocialShare
from loyalty.selectors.card import desk_programme, programme_today
from loyalty.selectors.referrals import friends_of, what_is_missing
from members.models import Guest
from members.selectors.panels import GuestAction

CARD_SHARES = 3


def friends_context(guest: Guest, user: User, place: Property, now: dt.datetime) -> dict[str, Any]:
    """Code, referrals and shares of the guest, and the actions to enter more; the same queries for everybody."""
    programme = desk_programme()
    if programme is None or not user.has_perm("loyalty.view_referral", place):
        return {"friends": None, "actions": []}
    today = programme_today(programme, now)
    membership = Membership.objects.filter(programme=programme, guest=guest).first()
    friends = friends_of(membership=membership, guest_id=guest.pk)
    shares = SocialShare.objects.filter(membership=membership.pk if membership else None).order_by("-pk")[:CARD_SHARES]
    standing = [row for row in friends.came_by if row.state != Referral.State.REJECTED]
    may_enter = user.has_perm("loyalty.enter_referral", place)
    return {
        "friends": friends,
        "is_member": membership is not None,
        "rows": [(row, what_is_missing(row, today)) for row in friends.rows],
        "came_by": [(row, what_is_missing(row, today)) for row in friends.came_by],
        "shares": list(shares),
        "today": today,
        "may_enter": may_enter,
        "actions": _actions(guest, user, place, membership=membership, may_enter=may_enter and not standing),
    }


def _actions(
    guest: Guest, user: User, place: Property, *, membership: Membership | None, may_enter: bool
) -> list[GuestAction]:
    actions = []
    if may_enter:
        url = reverse("loyalty:enter_referral", args=[guest.public_id])
        actions.append(GuestAction("I", "users-plus", _("Referral code"), url, 50))
    if membership is not None and user.has_perm("loyalty.submit_share", place):
        url = reverse("loyalty:submit_share", args=[guest.public_id])
        actions.append(GuestAction("H", "share", _("Social share"), url, 55))
    return actions
