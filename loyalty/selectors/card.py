"""What the guest card and the guest rows show of a membership."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from collections.abc import Iterable
from typing import Any

from django.urls import reverse
from django.utils.translation import gettext as _

from hotels.models import Property, User
from loyalty.models import Membership, Programme
from loyalty.selectors.benefits import benefits_left, visit_of
from loyalty.selectors.members import MemberSummary, member_summaries, tier_history
from loyalty.selectors.postings import statement
from members.models import Guest
from members.selectors.panels import GuestAction, GuestMark

CARD_LINES = 5
# Actions up to this place stand out.
LAST_MAIN_ORDER = 10


def desk_programme() -> Programme | None:
    """The programme the desk enrols in; a group has one until later issues give brands their own."""
    return Programme.objects.order_by("pk").first()


def programme_today(programme: Programme, now: dt.datetime) -> dt.date:
    """The calendar date of an aware instant in the programme's time zone, by which points lapse."""
    return now.astimezone(zoneinfo.ZoneInfo(programme.time_zone)).date()


def summary_of(guest: Guest, programme: Programme, place: Property, now: dt.datetime) -> MemberSummary | None:
    """The guest's membership at a glance; None if the guest is no member."""
    today = programme_today(programme, now)
    return member_summaries(guest_ids=[guest.pk], today=today, place=place).get(guest.pk)


def guest_marks(guest_ids: Iterable[int]) -> dict[int, GuestMark]:
    """Rank and name of the tier of the members among some guests, in one query."""
    rows = Membership.objects.filter(guest__in=list(guest_ids)).select_related("tier").order_by("-pk")
    return {row.guest_id: GuestMark(row.tier.rank, row.tier.local_name) for row in rows}


def card_context(guest: Guest, user: User, place: Property, now: dt.datetime) -> dict[str, Any]:
    """Membership, points with their sentences, and the actions on them."""
    programme = desk_programme()
    if programme is None or not user.has_perm("loyalty.view_membership", place):
        return {"summary": None, "actions": []}
    summary = summary_of(guest, programme, place, now)
    actions = _actions(guest, user, place, is_member=summary is not None)
    context: dict[str, Any] = {"summary": summary, "programme": programme, "actions": actions, "lines": []}
    if summary is None:
        if user.has_perm("members.add_guest", place):
            context["enrol_url"] = reverse("loyalty:enrol_guest", args=[guest.public_id])
        return context
    zone = zoneinfo.ZoneInfo(place.time_zone)
    context["today"] = programme_today(programme, now)
    today = place.local_date(now)
    context["may_use"] = user.has_perm("loyalty.use_entitlement", place)
    context["benefits"] = benefits_left(
        membership=summary.membership,
        benefits=summary.benefits,
        today=today,
        visit=visit_of(guest, place, today),
    )
    context["tier_changes"] = tier_history(summary.membership)
    context["worth"] = summary.available * programme.point_value if programme.point_value else None
    if user.has_perm("loyalty.view_posting", place):
        context["lines"] = [
            (line, line.posting.occurred_at.astimezone(zone).date())
            for line in statement(membership_id=summary.membership.pk, limit=CARD_LINES)
        ]
    return context


def _actions(guest: Guest, user: User, place: Property, *, is_member: bool) -> list[GuestAction]:
    wanted = [
        ("members.post_stay", "S", "bed", _("Post a stay"), "loyalty:post_stay", 20),
    ]
    if is_member:
        wanted += [
            ("loyalty.redeem_points", "R", "gift", _("Redeem points"), "loyalty:redeem", 10),
            ("loyalty.use_entitlement", "B", "award", _("Use a benefit"), "loyalty:use_benefit", 15),
            ("loyalty.adjust_points", "A", "adjustments", _("Adjust points"), "loyalty:adjust", 40),
            ("loyalty.top_up_stored_value", "U", "wallet", _("Top up"), "loyalty:top_up", 42),
            ("loyalty.spend_stored_value", "Y", "cash", _("Pay from stored value"), "loyalty:pay_stored_value", 43),
            ("loyalty.transfer_points", "X", "transfer", _("Pass points on"), "loyalty:transfer_points", 46),
            (
                "loyalty.refund_stored_value",
                "K",
                "receipt-refund",
                _("Pay stored value back"),
                "loyalty:refund_stored_value",
                65,
            ),
        ]
    else:
        wanted.append(("members.add_guest", "M", "user-star", _("Make a member"), "loyalty:enrol_guest", 5))
    actions = [
        GuestAction(key, icon, label, reverse(name, args=[guest.public_id]), order, is_main=order <= LAST_MAIN_ORDER)
        for permission, key, icon, label, name, order in wanted
        if user.has_perm(permission, place)
    ]
    if is_member and user.has_perm("loyalty.view_posting", place):
        url = reverse("loyalty:statement", args=[guest.public_id])
        actions.append(GuestAction("L", "list-details", _("Points statement"), url, 80, opens_page=True))
    return actions
