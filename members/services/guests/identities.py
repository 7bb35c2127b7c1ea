"""Adding, removing and revealing single identities of a guest."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from collections.abc import Sequence

from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.utils.translation import gettext_lazy as _

from hotels.models import AuditEntry, Property, User
from hotels.services.audit import record_audit
from members.models import Guest, GuestIdentity
from members.rules import identity as rules
from members.services import vault
from members.services.guests.inputs import (
    ENCRYPTED_KINDS,
    GuestInputError,
    Kind,
    Problem,
    holder_of,
    identity_value,
    is_identity_taken,
)
from members.services.guests.profile import lock_guest, touch_guest
from members.signals import guests_changed

REVEALED = "identity.revealed"
REVEAL_REFUSED = "identity.reveal_refused"


class IdentityNotFound(Exception):
    """The guest has no such identity."""

    code = "identity_not_found"

    @property
    def message(self) -> str:
        """A sentence for the person at the desk."""
        return str(_("This entry does not exist any more."))


class RevealLimitReached(Exception):
    """The user has looked at as much unmasked personal data today as is allowed.

    Attributes:
        limit: Reveals allowed in one day.
    """

    code = "reveal_limit_reached"

    def __init__(self, limit: int) -> None:
        super().__init__(f"limit of {limit}")
        self.limit = limit

    @property
    def message(self) -> str:
        """A sentence for the person at the desk."""
        return str(_("You have revealed personal data %(count)d times today, which is the limit. Ask a manager.")) % {
            "count": self.limit
        }


def add_identity(
    *,
    actor: User | None,
    now: dt.datetime,
    guest_id: int,
    kind: str,
    value: str,
    issuer: str = "",
    is_primary: bool = False,
    verified_at: dt.datetime | None = None,
    place: Property | None = None,
) -> GuestIdentity:
    """Give a guest one more identity; adding what the guest has already changes only its marks.

    Args:
        actor: Who adds; None for the system.
        now: Aware instant.
        guest_id: The guest.
        kind: Value of `GuestIdentity.Kind`.
        value: In any usual spelling.
        issuer: Document type, programme code, WeChat app or external system.
        is_primary: Make it the one that is shown and used; the primary one of the kind so far steps back.
        verified_at: When the guest proved that it is theirs.
        place: Where it happened; its country reads telephone numbers without a country code.

    Raises:
        GuestNotFound: there is no such guest.
        GuestInputError: the value is not of this kind; the problem stands under `value`.
        IdentityTaken: another guest has it.
    """
    try:
        identity = identity_value(Kind(kind), issuer, value, region=place.country if place else "CN")
    except rules.IdentityError as error:
        raise GuestInputError({"value": Problem(error.code, error.template, error.params)}) from error
    try:
        with transaction.atomic():
            guest = lock_guest(guest_id)
            if is_primary:
                guest.identities.filter(kind=identity.kind, is_primary=True).exclude(
                    issuer=identity.issuer, value_index=identity.index
                ).update(is_primary=False)
            row, created = guest.identities.get_or_create(
                kind=identity.kind,
                issuer=identity.issuer,
                value_index=identity.index,
                defaults={
                    "value": identity.stored,
                    "last4_index": identity.last4,
                    "masked": identity.masked,
                    "is_primary": is_primary,
                    "verified_at": verified_at,
                },
            )
            if not created:
                row.is_primary = row.is_primary or is_primary
                row.verified_at = verified_at or row.verified_at
                row.save(update_fields=["is_primary", "verified_at"])
            touch_guest(guest.pk, now)
            record_audit(
                actor=actor,
                now=now,
                action="identity.added",
                target=guest,
                label=guest.name,
                place=place,
                after={"kind": row.kind, "issuer": issuer, "value": row.masked, "is_primary": row.is_primary},
            )
            guests_changed.send(Guest, guest_ids=[guest.pk], actor=actor, now=now)
    except IntegrityError as error:
        taken = holder_of([identity]) if is_identity_taken(error) else None
        if taken is None:
            raise
        raise taken from error
    return row


@transaction.atomic
def remove_identity(
    *, actor: User | None, now: dt.datetime, guest_id: int, identity_id: int, place: Property | None = None
) -> None:
    """Take an identity from a guest, for instance a phone number that belongs to somebody else now.

    Raises:
        GuestNotFound: there is no such guest.
        IdentityNotFound: the guest does not have it.
    """
    guest = lock_guest(guest_id)
    row = guest.identities.filter(pk=identity_id).first()
    if row is None:
        raise IdentityNotFound
    row.delete()
    touch_guest(guest.pk, now)
    record_audit(
        actor=actor,
        now=now,
        action="identity.removed",
        target=guest,
        label=guest.name,
        place=place,
        before={"kind": row.kind, "issuer": row.issuer, "value": row.masked, "is_primary": row.is_primary},
    )


def add_membership_numbers(*, issuer: str, numbers: Sequence[tuple[int, str]], now: dt.datetime) -> None:
    """Make membership numbers findable at the desk: one statement for any number of members.

    Enrolment in a programme calls this in its own transaction and leaves the audit entry.

    Args:
        issuer: Code of the programme.
        numbers: Pairs of guest id and number; numbers known already are left alone.
        now: Aware instant.
    """
    values = [(guest_id, identity_value(Kind.MEMBERSHIP, issuer, number)) for guest_id, number in numbers]
    values.sort(key=lambda pair: pair[1].key)
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO members_guestidentity
                (guest_id, kind, issuer, value, value_index, masked, is_primary, created_at)
            SELECT guest_id, 'membership', %s, value, value_index, masked, false, %s
            FROM unnest(%s::bigint[], %s::bytea[], %s::bytea[], %s::text[])
                AS new (guest_id, value, value_index, masked)
            ON CONFLICT (kind, issuer, value_index) DO NOTHING
            """,
            [
                issuer,
                now,
                [guest_id for guest_id, _identity in values],
                [identity.stored for _guest_id, identity in values],
                [identity.index for _guest_id, identity in values],
                [identity.masked for _guest_id, identity in values],
            ],
        )


def reveal_identity(*, actor: User, now: dt.datetime, identity_id: int, place: Property, page: str) -> str:
    """The unmasked value of one identity; each call leaves an audit entry.

    Args:
        actor: Who looks.
        now: Aware instant.
        identity_id: What is looked at.
        place: Where the user works; the limit counts the property's calendar day.
        page: The page it was asked from.

    Raises:
        IdentityNotFound: there is no such identity.
        RevealLimitReached: `GUIKE_REVEAL_DAILY_LIMIT` is used up; the refusal is in the audit trail as well.
    """
    limit: int = settings.GUIKE_REVEAL_DAILY_LIMIT
    zone = zoneinfo.ZoneInfo(place.time_zone)
    day_start = dt.datetime.combine(place.local_date(now), dt.time.min, tzinfo=zone)
    with transaction.atomic():
        # Two windows of one user must not pass the limit together.
        User.objects.select_for_update(no_key=True).get(pk=actor.pk)
        row = GuestIdentity.objects.select_related("guest").filter(pk=identity_id).first()
        if row is None:
            raise IdentityNotFound
        newest = AuditEntry.objects.filter(actor=actor, action=REVEALED).order_by("-id").values_list("at", flat=True)
        is_allowed = sum(at >= day_start for at in newest[:limit]) < limit
        record_audit(
            actor=actor,
            now=now,
            action=REVEALED if is_allowed else REVEAL_REFUSED,
            target=row.guest,
            label=row.guest.name,
            place=place,
            after={"identity": row.pk, "kind": row.kind, "page": page},
        )
    if not is_allowed:
        raise RevealLimitReached(limit)
    value = bytes(row.value)
    return (vault.decrypt(value) if row.kind in ENCRYPTED_KINDS else value).decode()
