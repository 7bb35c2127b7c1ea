"""A friend says who sent them: entering a code, joining after an invitation, taking an entry back."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING

from django.db import connection, transaction
from django.utils.translation import gettext as _

from hotels.services.audit import record_audit
from loyalty.models import Membership, Referral, ReferralCode, ReferralPolicy
from loyalty.rules.referrals import Entry, Reason, entry_refusal, is_code, normalize_code
from loyalty.selectors.referrals import first_departure, policy_on, share_identity, shared_a_room
from loyalty.services.referrals.settling import settle_referrals, take_back
from members.models import Guest
from members.services.merges import survivor_of

if TYPE_CHECKING:
    from hotels.models import Property, User
    from loyalty.models import Programme

_JOIN = """
UPDATE loyalty_referral r
SET state = 'joined', friend_id = m.id, joined_on = (m.enrolled_at AT TIME ZONE p.time_zone)::date
FROM loyalty_membership m JOIN loyalty_programme p ON p.id = m.programme_id
WHERE m.id = ANY(%s) AND r.guest_id = m.guest_id AND r.programme_id = m.programme_id AND r.state = 'invited'
RETURNING r.guest_id
"""


class ReferralError(Exception):
    """A referral cannot be written as asked; `code` is stable, the text is for the reader."""

    code = "referral_error"


class UnknownCode(ReferralError):
    """No member of the programme has this code."""

    code = "referral_code_unknown"

    def __init__(self) -> None:
        super().__init__(_("No member has this code. It has eight letters and digits, such as 3K7N-WAPD."))


class ReferralsNotTaken(ReferralError):
    """The programme takes no referrals today."""

    code = "referrals_not_taken"

    def __init__(self) -> None:
        super().__init__(_("The program takes no referrals at present."))


class WrongState(ReferralError):
    """The referral is over already."""

    code = "referral_wrong_state"

    def __init__(self) -> None:
        super().__init__(_("This referral is over already."))


def find_referrer(*, programme: Programme, code: str) -> Membership:
    """The member whose code it is, in whatever spelling.

    Raises:
        UnknownCode: Nobody's.
    """
    normal = normalize_code(code)
    found = (
        ReferralCode.objects.filter(code=normal, membership__programme=programme)
        .select_related("membership__guest", "membership__programme")
        .first()
        if is_code(normal)
        else None
    )
    if found is None:
        raise UnknownCode
    if found.membership.guest.merged_into_id is not None:
        survivor = survivor_of(found.membership.guest)
        return Membership.objects.select_related("guest", "programme").get(programme=programme, guest=survivor)
    return found.membership


@transaction.atomic
def enter_referral(
    *,
    actor: User | None,
    now: dt.datetime,
    programme: Programme,
    guest_id: int,
    code: str,
    place: Property | None = None,
) -> Referral:
    """Record that a guest was sent by the member with a code.

    A guest who is no member yet is invited, and joined as soon as they enroll. Of a member, stays
    after joining count at once. The same code again gives the same referral.

    Args:
        actor: Who enters it; None for the guest themself.
        now: Aware instant.
        programme: The programme.
        guest_id: The friend.
        code: In any spelling.
        place: The property where it happens, if at one.

    Returns:
        The referral; where something speaks against it, one that is refused, with the reason.

    Raises:
        ReferralsNotTaken: No policy is in force, or it takes none.
        UnknownCode: Nobody has the code.
    """
    today = programme.local_date(now)
    current = policy_on(programme, today)
    if current is None or not current.is_open:
        raise ReferralsNotTaken
    referrer_id = find_referrer(programme=programme, code=code).pk
    # Against an enrollment at the same moment, which locks the guest's row, too.
    guest = Guest.objects.select_for_update(of=("self",)).get(pk=guest_id)
    friend_id = Membership.objects.filter(programme=programme, guest=guest).values_list("pk", flat=True).first()
    locked = Membership.objects.select_for_update(no_key=True, of=("self",)).filter(
        pk__in=[referrer_id, friend_id or 0]
    )
    members = {member.pk: member for member in locked.order_by("pk")}
    referrer, friend = members[referrer_id], members.get(friend_id or 0)
    standing = Referral.objects.standing().filter(programme=programme, guest=guest).first()
    if standing is not None and standing.referrer_id == referrer_id:
        return standing
    joined_on = programme.local_date(friend.enrolled_at) if friend else None
    policy = (policy_on(programme, joined_on) if joined_on else None) or current
    entry = Entry(
        is_self=referrer.guest_id == guest.pk,
        shares_identity=share_identity(referrer.guest_id, guest.pk),
        shared_room=shared_a_room(referrer.guest_id, guest.pk),
        referrer_active=referrer.status == Membership.Status.ACTIVE,
        friend_active=friend is None or friend.status == Membership.Status.ACTIVE,
        is_referred=standing is not None,
        referrer_joined_at=referrer.enrolled_at,
        friend_joined_at=friend.enrolled_at if friend else None,
        joined_on=joined_on,
        first_departure=first_departure(guest.pk),
        today=today,
    )
    refusal = entry_refusal(entry, policy.terms)
    if refusal is not None and (same := _same_refusal(referrer, guest, refusal, now)):
        return same
    referral = _store(
        actor, now, referrer, guest, friend, policy=policy, joined_on=joined_on, refusal=refusal, place=place
    )
    if referral.state == Referral.State.JOINED:
        settle_referrals(actor=actor, now=now, guest_ids=[guest.pk])
        referral.refresh_from_db()
    return referral


def _same_refusal(referrer: Membership, guest: Guest, reason: Reason, now: dt.datetime) -> Referral | None:
    """The row of the same attempt a moment ago, as a form sent twice makes it."""
    return Referral.objects.filter(
        referrer=referrer, guest=guest, reason=reason, entered_at__gt=now - dt.timedelta(minutes=2)
    ).first()


def _store(
    actor: User | None,
    now: dt.datetime,
    referrer: Membership,
    guest: Guest,
    friend: Membership | None,
    *,
    policy: ReferralPolicy,
    joined_on: dt.date | None,
    refusal: Reason | None,
    place: Property | None,
) -> Referral:
    state = Referral.State.JOINED if friend else Referral.State.INVITED
    referral = Referral.objects.create(
        programme_id=referrer.programme_id,
        referrer=referrer,
        code=ReferralCode.objects.values_list("code", flat=True).get(pk=referrer.pk),
        guest=guest,
        friend=friend,
        policy=policy,
        state=Referral.State.REJECTED if refusal else state,
        reason=refusal or "",
        entered_at=now,
        entered_by=actor,
        property=place,
        joined_on=joined_on,
        decided_at=now if refusal else None,
        decided_by=actor if refusal else None,
    )
    record_audit(
        actor=actor,
        now=now,
        action="referral.refused" if refusal else "referral.entered",
        target=referral,
        label=referrer.number,
        place=place,
        after={"state": referral.state, "reason": referral.reason, "guest": guest.pk},
    )
    return referral


def join_invited(*, actor: User | None, now: dt.datetime, membership_ids: Sequence[int]) -> int:
    """Let those who were invited and are members now be joined friends; inside the caller's transaction.

    Returns:
        How many there were. A stay they have finished already counts at once.
    """
    with connection.cursor() as cursor:
        cursor.execute(_JOIN, [list(membership_ids)])
        guest_ids = [row[0] for row in cursor.fetchall()]
    if guest_ids:
        settle_referrals(actor=actor, now=now, guest_ids=guest_ids)
    return len(guest_ids)


@transaction.atomic
def withdraw_referral(*, actor: User, now: dt.datetime, referral_id: int, reason: str) -> Referral:
    """Take a referral back, with the points if it brought any; the friend may then enter another code.

    Args:
        actor: Who answers for it.
        now: Aware instant.
        referral_id: The referral.
        reason: Why, in the actor's words.

    Raises:
        WrongState: It was refused or withdrawn before.
    """
    known = Referral.objects.get(pk=referral_id)
    ids = [known.referrer_id, known.friend_id or 0]
    list(Membership.objects.select_for_update(no_key=True).filter(pk__in=ids).order_by("pk"))
    referral = (
        Referral.objects.select_for_update(no_key=True, of=("self",))
        .select_related("programme", "referrer", "property")
        .get(pk=referral_id)
    )
    before = referral.state
    if before == Referral.State.REJECTED:
        raise WrongState
    if before == Referral.State.QUALIFIED:
        take_back(actor=actor, now=now, referrals=[referral], reason=reason)
    referral.state, referral.reason, referral.note = Referral.State.REJECTED, Referral.Reason.WITHDRAWN, reason[:200]
    referral.stay, referral.qualified_on = None, None
    referral.decided_at, referral.decided_by = now, actor
    referral.save(update_fields=["state", "reason", "note", "stay", "qualified_on", "decided_at", "decided_by"])
    record_audit(
        actor=actor,
        now=now,
        action="referral.withdrawn",
        target=referral,
        label=referral.referrer.number,
        place=referral.property,
        before={"state": before},
        after={"state": referral.state},
        reason=reason,
    )
    return referral
