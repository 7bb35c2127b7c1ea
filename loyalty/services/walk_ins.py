"""Enrolling somebody who stands at the desk: guest and membership in one step."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from django.db import transaction

from hotels.models import Property, User
from loyalty.models import Membership, Programme
from loyalty.services.memberships import enrol_member
from members.models import Guest
from members.services.guests import ConsentInput, IdentityTaken, create_guest

# The same name and number entered again within this time is the same form sent twice.
SAME_FORM_WITHIN = dt.timedelta(minutes=2)


@transaction.atomic
def enrol_walk_in(
    *,
    actor: User | None,
    now: dt.datetime,
    programme: Programme,
    place: Property,
    name: str,
    phone: str = "",
    email: str = "",
    document_type: str = "",
    document_number: str = "",
    gender: str = "",
    birthday: dt.date | None = None,
    language: str = "",
    company: str = "",
    source: str = "desk",
    consents: Sequence[ConsentInput] = (),
) -> Guest:
    """Create a guest and make them a member.

    Args:
        actor: Who enrols.
        now: Aware instant.
        programme: The programme.
        place: Where the guest stands.
        name: As on the document.
        phone: In any usual spelling.
        email: Address.
        document_type: Key of `members.rules.identity.DOCUMENT_TYPES`.
        document_number: Gives birthday and gender where it is a resident ID card.
        gender: Value of `Guest.Gender`.
        birthday: Date of birth.
        language: BCP 47 tag.
        company: Employer or account.
        source: Door.
        consents: What the guest agreed to.

    Returns:
        The new guest; the one that the same actor made of the same form a moment ago if it comes again.

    Raises:
        GuestInputError: With every wrong field.
        IdentityTaken: Somebody has this phone, e-mail address or document.
        ProgrammeWithoutTiers: The programme is not set up.
    """
    try:
        guest = create_guest(
            actor=actor,
            now=now,
            name=name,
            phone=phone,
            email=email,
            document_type=document_type,
            document_number=document_number,
            gender=gender,
            birthday=birthday,
            language=language,
            company=company,
            place=place,
            source=source,
            consents=consents,
        )
    except IdentityTaken as error:
        if _is_same_form(error.guest, name=name, actor=actor, programme=programme, now=now):
            return error.guest
        raise
    enrol_member(actor=actor, now=now, programme=programme, guest_id=guest.pk, place=place)
    return guest


def _is_same_form(guest: Guest, *, name: str, actor: User | None, programme: Programme, now: dt.datetime) -> bool:
    return (
        actor is not None
        and guest.name == " ".join(name.split())
        and Membership.objects.filter(
            guest=guest, programme=programme, enrolled_by=actor, enrolled_at__gte=now - SAME_FORM_WITHIN
        ).exists()
    )
