"""Making one profile of two, and undoing it."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from hotels.services.audit import record_audit
from members.models import Guest, GuestMerge, MergeCandidate, NotSamePerson
from members.services.guests import GuestNotFound
from members.services.guests.profile import touch_guest
from members.services.merges.registry import MergeScope, merge_handlers

if TYPE_CHECKING:
    from hotels.models import Property, User


class MergeRefused(Exception):
    """Two profiles cannot be merged, or a merge cannot be undone; `code` is stable.

    Codes: `same_guest`, `merged_already`, `not_same_person`, `merged_since`; handlers add their own, such
    as `points_held` and `points_owed`.
    """

    def __init__(self, *, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@transaction.atomic
def merge_guests(
    *,
    actor: User | None,
    now: dt.datetime,
    survivor_id: int,
    merged_id: int,
    reason: str = "",
    place: Property | None = None,
) -> GuestMerge:
    """Make one profile of two; asking again for what has been done changes nothing.

    The rows of the one that goes move to the survivor as each app registered it
    (`members.services.merges.registry`); the profile itself stays, empty, and leads to the survivor.

    Args:
        actor: Who merges; None where the linkage is certain by itself.
        now: Aware instant.
        survivor_id: The profile that is kept.
        merged_id: The profile that goes.
        reason: In the actor's words, or the evidence.
        place: Where.

    Raises:
        GuestNotFound: One of them does not exist.
        MergeRefused: See the class.
    """
    if survivor_id == merged_id:
        raise MergeRefused(code="same_guest", message=_("A profile cannot be merged with itself."))
    # In the order of ids, so that A into B and B into A wait for each other.
    guests = {
        guest.pk: guest
        for guest in Guest.objects.select_for_update(no_key=True).filter(pk__in=[survivor_id, merged_id]).order_by("pk")
    }
    if len(guests) != len({survivor_id, merged_id}):
        raise GuestNotFound
    survivor, merged = guests[survivor_id], guests[merged_id]
    if merged.merged_into_id == survivor.pk:
        return GuestMerge.objects.get(merged=merged, undone_at=None)
    if merged.merged_into_id or survivor.merged_into_id:
        raise MergeRefused(code="merged_already", message=_("One of the two went into another profile meanwhile."))
    first, second = sorted([survivor_id, merged_id])
    if actor is None and NotSamePerson.objects.filter(first=first, second=second).exists():
        raise MergeRefused(code="not_same_person", message=_("Somebody said that these are two people."))
    merge = GuestMerge.objects.create(survivor=survivor, merged=merged, actor=actor, reason=reason[:200], merged_at=now)
    scope = MergeScope(merge, actor, now, place)
    scope.pairs[Guest._meta.label_lower].append((merged.pk, survivor.pk))
    moved = {}
    for name, handler in merge_handlers().items():
        moved[name] = handler.merge(scope)
    merge.moved = {"pairs": dict(scope.pairs), **{name: value for name, value in moved.items() if value}}
    merge.save(update_fields=["moved"])
    for guest in guests.values():
        touch_guest(guest.pk, now)
    NotSamePerson.objects.filter(first=first, second=second).delete()
    MergeCandidate.objects.filter(first=first, second=second).update(
        state=MergeCandidate.State.MERGED, decided_at=now, decided_by=actor
    )
    for guest, other in ((survivor, merged), (merged, survivor)):
        record_audit(
            actor=actor,
            now=now,
            action="guest.merged",
            target=guest,
            label=guest.name,
            place=place,
            after={
                "survivor": str(survivor.public_id),
                "merged": str(merged.public_id),
                "other": other.name,
                "merge": str(merge.public_id),
            },
            reason=reason,
        )
    return merge


@transaction.atomic
def undo_merge(
    *, actor: User | None, now: dt.datetime, merge_id: int, reason: str = "", place: Property | None = None
) -> GuestMerge:
    """Make two profiles of one again; a second call changes nothing.

    What moved moves back; what was made since the merge stays with the survivor.

    Raises:
        GuestMerge.DoesNotExist: There is no such merge.
        MergeRefused: `merged_since`: the survivor went into another profile; that merge is undone first.
    """
    ids = GuestMerge.objects.values_list("survivor_id", "merged_id").get(pk=merge_id)
    guests = {
        guest.pk: guest for guest in Guest.objects.select_for_update(no_key=True).filter(pk__in=ids).order_by("pk")
    }
    merge = GuestMerge.objects.select_for_update(of=("self",)).get(pk=merge_id)
    if merge.undone_at is not None:
        return merge
    merge.survivor, merge.merged = guests[merge.survivor_id], guests[merge.merged_id]
    if merge.survivor.merged_into_id is not None:
        raise MergeRefused(
            code="merged_since", message=_("The profile went into another one since. Undo that merge first.")
        )
    scope = MergeScope(merge, actor, now, place)
    for label, pairs in merge.moved.get("pairs", {}).items():
        scope.pairs[label] = [(gone, kept) for gone, kept in pairs]
    for name, handler in reversed(merge_handlers().items()):
        if name in merge.moved:
            handler.undo(scope, merge.moved[name])
    merge.undone_at, merge.undone_by, merge.undo_reason = now, actor, reason[:200]
    merge.save(update_fields=["undone_at", "undone_by", "undo_reason"])
    for guest in guests.values():
        touch_guest(guest.pk, now)
        record_audit(
            actor=actor,
            now=now,
            action="guest.unmerged",
            target=guest,
            label=guest.name,
            place=place,
            after={"merge": str(merge.public_id)},
            reason=reason,
        )
    first, second = sorted(ids)
    mark_two_people(actor=actor, now=now, guest_ids=(first, second))
    return merge


@transaction.atomic
def mark_two_people(*, actor: User | None, now: dt.datetime, guest_ids: tuple[int, int]) -> None:
    """Remember that two guests are two people: they are not proposed again. A second call changes nothing."""
    first, second = sorted(guest_ids)
    _row, created = NotSamePerson.objects.get_or_create(
        first_id=first, second_id=second, defaults={"decided_by": actor, "decided_at": now}
    )
    MergeCandidate.objects.filter(first=first, second=second).update(
        state=MergeCandidate.State.APART, decided_at=now, decided_by=actor
    )
    if created:
        for guest in Guest.objects.filter(pk__in=guest_ids).order_by("pk"):
            record_audit(
                actor=actor,
                now=now,
                action="guest.two_people",
                target=guest,
                label=guest.name,
                after={"pair": [first, second]},
            )


@transaction.atomic
def put_off(*, actor: User | None, now: dt.datetime, candidate_id: int) -> None:
    """Put a pair at the end of the queue."""
    MergeCandidate.objects.filter(Q(state="open") | Q(state="later"), pk=candidate_id).update(
        state=MergeCandidate.State.LATER, decided_at=now, decided_by=actor
    )


def survivor_of(guest: Guest) -> Guest:
    """The profile that a guest is to be looked up under: itself, or the end of the chain of merges."""
    while guest.merged_into is not None:
        guest = guest.merged_into
    return guest
