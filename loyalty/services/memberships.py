"""Enrolling guests in a programme, one or thousands by the same statements."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from django.db import connection, transaction
from django.utils.translation import gettext as _

from hotels.services.audit import record_audit
from loyalty.models import Membership, Tier
from loyalty.rules.numbers import format_number
from loyalty.services.events import award_enrolment
from loyalty.services.ledger import open_accounts
from loyalty.services.referrals import assign_referral_codes, join_invited
from members.services.guests import add_membership_numbers

if TYPE_CHECKING:
    from hotels.models import Property, User
    from loyalty.models import Programme

# A running number may meet a number that was brought from an earlier programme; then the next one serves.
ATTEMPTS = 20


class MembershipError(Exception):
    """A guest cannot be enrolled; `code` is stable."""

    code = "membership_error"


class AlreadyMember(MembershipError):
    """The guest is a member already; `membership` is theirs."""

    code = "already_member"

    def __init__(self, membership: Membership) -> None:
        self.membership = membership
        super().__init__(_("This guest is a member already: %(number)s.") % {"number": membership.number})


class ProgrammeWithoutTiers(MembershipError):
    """The programme has no tier of rank 0 to begin in."""

    code = "programme_without_tiers"

    def __init__(self) -> None:
        super().__init__(_("The programme has no tier to begin in."))


_INSERT = """
INSERT INTO loyalty_membership (
    id, public_id, programme_id, guest_id, number, tier_id, tier_since_date, status, enrolled_at,
    enrolled_property_id, enrolled_by_id)
SELECT r.id, gen_random_uuid(), %s, r.guest_id, r.number, %s, r.since_date, 'active', r.enrolled_at, %s, %s
FROM unnest(%s::bigint[], %s::bigint[], %s::text[], %s::date[], %s::timestamptz[])
    AS r (id, guest_id, number, since_date, enrolled_at)
ON CONFLICT DO NOTHING
RETURNING guest_id, number
"""

# The foreign key is checked at COMMIT only; who enters a referral at this moment waits, or is waited for, from here on.
_LOCK_GUESTS = "SELECT FROM members_guest WHERE id = ANY(%s) ORDER BY id FOR KEY SHARE"
_RUNNING_NUMBERS = """
SELECT nextval(pg_get_serial_sequence('loyalty_membership', 'id')) FROM generate_series(1, %s)
"""


@transaction.atomic
def enrol_member(
    *, actor: User | None, now: dt.datetime, programme: Programme, guest_id: int, place: Property | None = None
) -> Membership:
    """Make a guest a member: number, first tier, points account, and the points that joining brings.

    Args:
        actor: Who enrols; None for the system or the guest themself.
        now: Aware instant.
        programme: The programme.
        guest_id: The guest.
        place: The property where it happens, if at one.

    Raises:
        AlreadyMember: The guest has a membership of the programme.
        ProgrammeWithoutTiers: The programme is not set up.
    """
    existing = Membership.objects.filter(programme=programme, guest_id=guest_id).first()
    if existing is not None:
        raise AlreadyMember(existing)
    (membership,) = enrol_members(actor=actor, now=now, programme=programme, guest_ids=[guest_id], place=place)
    return membership


@transaction.atomic
def enrol_members(
    *,
    actor: User | None,
    now: dt.datetime,
    programme: Programme,
    guest_ids: Sequence[int],
    place: Property | None = None,
    enrolled_at: Mapping[int, dt.datetime] | None = None,
) -> list[Membership]:
    """Enrol many guests; those who are members keep their membership.

    Args:
        actor: Who enrols; None for the system.
        now: Aware instant.
        programme: The programme.
        guest_ids: The guests.
        place: The property where it happens, if at one.
        enrolled_at: Since when each guest is a member (guest id → aware instant), where history is
            brought in; `now` for guests not named.

    Returns:
        The membership of each guest, in the order of `guest_ids`.

    Raises:
        ProgrammeWithoutTiers: The programme is not set up.
    """
    tier = Tier.objects.filter(programme=programme, rank=0).first()
    if tier is None:
        raise ProgrammeWithoutTiers
    with connection.cursor() as cursor:
        cursor.execute(_LOCK_GUESTS, [list(guest_ids)])
    known = set(Membership.objects.filter(programme=programme, guest__in=guest_ids).values_list("guest_id", flat=True))
    moments = {
        guest_id: (enrolled_at or {}).get(guest_id, now)
        for guest_id in dict.fromkeys(guest_ids)
        if guest_id not in known
    }
    numbers = _insert(programme, tier, moments, place, actor) if moments else {}
    memberships = {
        membership.guest_id: membership
        for membership in Membership.objects.filter(programme=programme, guest__in=guest_ids).select_related(
            "tier", "programme"
        )
    }
    if numbers:
        add_membership_numbers(issuer=programme.code, numbers=list(numbers.items()), now=now)
        new_ids = [memberships[guest_id].pk for guest_id in numbers]
        open_accounts(membership_ids=new_ids)
        assign_referral_codes(membership_ids=new_ids)
        award_enrolment(
            actor=actor,
            now=now,
            programme=programme,
            memberships=[memberships[guest_id] for guest_id in numbers],
            property_id=place.pk if place else None,
        )
        first = memberships[next(iter(numbers))]
        record_audit(
            actor=actor,
            now=now,
            action="membership.enrolled",
            target=first,
            label=first.number,
            place=place,
            after={"programme": programme.code, "tier": tier.code, "count": len(numbers)},
        )
        join_invited(actor=actor, now=now, membership_ids=new_ids)
    return [memberships[guest_id] for guest_id in guest_ids]


def _insert(
    programme: Programme,
    tier: Tier,
    moments: Mapping[int, dt.datetime],
    place: Property | None,
    actor: User | None,
) -> dict[int, str]:
    """Insert the memberships with the next free numbers; returns {guest id: number} of the new ones."""
    numbers: dict[int, str] = {}
    waiting = list(moments)
    for _attempt in range(ATTEMPTS):
        with connection.cursor() as cursor:
            cursor.execute(_RUNNING_NUMBERS, [len(waiting)])
            running = [row[0] for row in cursor.fetchall()]
            cursor.execute(
                _INSERT,
                [
                    programme.pk,
                    tier.pk,
                    place.pk if place else None,
                    actor.pk if actor else None,
                    running,
                    waiting,
                    [format_number(programme.number_prefix, number) for number in running],
                    [programme.local_date(moments[guest_id]) for guest_id in waiting],
                    [moments[guest_id] for guest_id in waiting],
                ],
            )
            numbers.update(cursor.fetchall())
        waiting = [guest_id for guest_id in waiting if guest_id not in numbers]
        if waiting:
            # Enrolled by somebody else at this moment, or the number was taken.
            members = Membership.objects.filter(programme=programme, guest__in=waiting)
            enrolled = set(members.values_list("guest_id", flat=True))
            waiting = [guest_id for guest_id in waiting if guest_id not in enrolled]
        if not waiting:
            break
    return numbers
