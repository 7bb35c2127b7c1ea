"""Reads about friends: what speaks for or against a referral, and what the card shows."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import Count, Min, Q
from django.utils.translation import gettext as _

from hotels.templatetags.ui import day, money
from loyalty.models import Membership, Programme, Referral, ReferralCode, ReferralPolicy
from loyalty.rules.referrals import Occupied, by_room_of, rooms_shared
from members.models import GuestIdentity, Stay

# What only one person has. Numbers of other systems may be alike by chance.
_PERSONAL = (
    GuestIdentity.Kind.PHONE,
    GuestIdentity.Kind.EMAIL,
    GuestIdentity.Kind.DOCUMENT,
    GuestIdentity.Kind.WECHAT_OPENID,
    GuestIdentity.Kind.WECHAT_UNIONID,
)
CARD_ROWS = 5


def policy_on(programme: Programme, day: dt.date) -> ReferralPolicy | None:
    """The programme's referral policy in force on a date."""
    return ReferralPolicy.objects.filter(programme=programme).in_force(day).first()


def share_identity(guest_id: int, other_id: int) -> bool:
    """Whether two guests have the same value of a personal kind, whoever issued it."""
    values = GuestIdentity.objects.filter(guest=guest_id, kind__in=_PERSONAL).values("value_index")
    return GuestIdentity.objects.filter(guest=other_id, kind__in=_PERSONAL, value_index__in=values).exists()


def first_departure(guest_id: int) -> dt.date | None:
    """Departure of a guest's earliest stay that was not voided."""
    stays = Stay.objects.filter(guest=guest_id).exclude(status=Stay.Status.VOIDED)
    first: dt.date | None = stays.aggregate(first=Min("departure_date"))["first"]
    return first


def rooms_of(guest_ids: Iterable[int], *, since: dt.date | None = None) -> dict[int, list[Occupied]]:
    """The rooms that guests stayed in, by guest id; stays without a room number tell nothing."""
    stays = Stay.objects.filter(guest__in=list(guest_ids)).exclude(status=Stay.Status.VOIDED).exclude(room_number="")
    if since is not None:
        stays = stays.filter(departure_date__gte=since)
    found: dict[int, list[Occupied]] = defaultdict(list)
    rows = stays.values_list("guest_id", "property_id", "room_number", "arrival_date", "departure_date")
    for guest_id, property_id, room, arrival, departure in rows:
        found[guest_id or 0].append(Occupied(property_id, room, arrival, departure))
    return found


def shared_a_room(guest_id: int, other_id: int) -> bool:
    """Whether two guests were ever in one room at the same time; one query."""
    rooms = rooms_of([guest_id, other_id])
    return guest_id != other_id and rooms_shared(rooms.get(guest_id, []), by_room_of(rooms.get(other_id, [])))


@dataclass(frozen=True, slots=True)
class Friends:
    """A member's friends at a glance.

    Attributes:
        code: The member's own code, as people read it; empty for a member without one.
        joined: Friends who joined, those granted included.
        qualified: Friends whose first paid stay was granted.
        rows: The newest referrals the member made, with `guest` and `policy` loaded.
        came_by: The referral the member came by, refused attempts included, newest first, with the
            referrer's guest loaded.
    """

    code: str
    joined: int
    qualified: int
    rows: list[Referral]
    came_by: list[Referral]


def friends_of(*, membership: Membership | None, guest_id: int, limit: int = CARD_ROWS) -> Friends:
    """What the card shows of a member's friends, or of a guest who was invited; always three queries.

    Args:
        membership: Whose friends; None for a guest who is no member.
        guest_id: The guest, who may be a friend of somebody.
        limit: Rows at most of either kind.
    """
    membership_id = membership.pk if membership else None
    counts = Referral.objects.filter(referrer=membership_id).aggregate(
        joined=Count("pk", filter=Q(state__in=[Referral.State.JOINED, Referral.State.QUALIFIED])),
        qualified=Count("pk", filter=Q(state=Referral.State.QUALIFIED)),
    )
    code = ReferralCode.objects.filter(pk=membership_id).first()
    rows = list(
        Referral.objects.filter(Q(referrer=membership_id) | Q(guest=guest_id))
        .select_related("guest", "policy", "programme", "referrer__guest", "stay")
        .order_by("-pk")[: 2 * limit]
    )
    return Friends(
        code=str(code) if code else "",
        joined=counts["joined"],
        qualified=counts["qualified"],
        rows=[row for row in rows if row.guest_id != guest_id][:limit],
        came_by=[row for row in rows if row.guest_id == guest_id][:limit],
    )


def what_became_of(referral: Referral) -> str:
    """One sentence for who entered a code, in the active language."""
    values = {"referrer": referral.referrer.guest.name, "reason": referral.get_reason_display()}
    if referral.state == Referral.State.REJECTED:
        return _("The referral by %(referrer)s does not count: %(reason)s") % values
    if referral.state == Referral.State.QUALIFIED:
        return _("Referred by %(referrer)s; both get their points for the first paid stay.") % values
    if referral.state == Referral.State.INVITED:
        return _("Invited by %(referrer)s; counts as soon as the guest enrolls.") % values
    return _("Referred by %(referrer)s; points follow after the first paid stay.") % values


def what_is_missing(referral: Referral, today: dt.date) -> str:
    """What a referral still waits for, in the active language; empty where it waits for nothing.

    Args:
        referral: With its policy and programme loaded.
        today: The programme's date.
    """
    if referral.state == Referral.State.INVITED:
        return _("waits for the friend to enroll")
    if referral.state != Referral.State.JOINED or referral.joined_on is None:
        return ""
    last_day = referral.policy.terms.stay_until(referral.joined_on)
    if last_day is not None and last_day < today:
        return _("no paid stay until %(date)s") % {"date": day(last_day, today)}
    amount = money(referral.policy.min_amount, referral.programme.currency) if referral.policy.min_amount else ""
    if last_day is not None and amount:
        text = _("waits for the friend's first paid stay of %(amount)s or more until %(date)s")
    elif last_day is not None:
        text = _("waits for the friend's first paid stay until %(date)s")
    elif amount:
        text = _("waits for the friend's first paid stay of %(amount)s or more")
    else:
        text = _("waits for the friend's first paid stay")
    return text % {"amount": amount, "date": day(last_day, today)}
