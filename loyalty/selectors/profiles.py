"""Which members have told everything about themselves that a programme asks for."""

from __future__ import annotations

from collections.abc import Collection

from django.db.models import Exists, OuterRef, Q

from loyalty.models import Membership, Programme
from members.models import GuestIdentity

IDENTITIES = {
    Programme.ProfileField.PHONE: GuestIdentity.Kind.PHONE,
    Programme.ProfileField.EMAIL: GuestIdentity.Kind.EMAIL,
}


def completed_profiles(*, programme: Programme, guest_ids: Collection[int]) -> list[int]:
    """Memberships of those of some guests whose profile is complete; one query.

    Args:
        programme: With its `profile_fields`; if it asks for nothing, nobody completes anything.
        guest_ids: The guests.
    """
    if not programme.profile_fields:
        return []
    complete = Q(programme=programme, guest__in=guest_ids, status=Membership.Status.ACTIVE)
    for name in programme.profile_fields:
        kind = IDENTITIES.get(Programme.ProfileField(name))
        if kind is not None:
            complete &= Q(Exists(GuestIdentity.objects.filter(guest=OuterRef("guest"), kind=kind)))
        elif name == Programme.ProfileField.BIRTHDAY:
            complete &= Q(guest__birthday__isnull=False)
        else:
            complete &= ~Q(**{f"guest__{name}": ""})
    return list(Membership.objects.filter(complete).order_by("pk").values_list("pk", flat=True))
