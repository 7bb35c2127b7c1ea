"""Enrolling one guest, changing the profile, and what the guest agreed to."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils.translation import gettext_lazy as _

from hotels.models import AuditEntry, Property, User
from hotels.services.audit import record_audit
from members.models import Consent, Guest, GuestIdentity
from members.rules import identity as rules
from members.services.guests.inputs import (
    PROFILE_FIELDS,
    ConsentInput,
    GuestInput,
    GuestInputError,
    IdentityValue,
    Kind,
    Problem,
    check_guest,
    check_profile,
    holder_of,
    identity_value,
    is_identity_taken,
)
from members.signals import guests_changed

# Fields of `update_guest` that replace the guest's primary identity of a kind.
IDENTITY_FIELDS = {"phone": Kind.PHONE, "email": Kind.EMAIL}


class GuestNotFound(Exception):
    """There is no such guest."""

    code = "guest_not_found"

    @property
    def message(self) -> str:
        """A sentence for the person at the desk."""
        return str(_("This guest does not exist."))


class StaleRecord(Exception):
    """Somebody else changed the guest after the form was opened.

    Attributes:
        current: The guest as stored now.
        changed_by: Who made the newest change; None for the system.
        changed_at: When, aware.
        conflicts: For each field that both sides changed or that differs: (stored value, value sent).
    """

    code = "stale_record"

    def __init__(
        self,
        *,
        current: Guest,
        changed_by: User | None,
        changed_at: dt.datetime,
        conflicts: Mapping[str, tuple[Any, Any]],
    ) -> None:
        super().__init__(f"guest {current.pk} is at version {current.version}")
        self.current = current
        self.changed_by = changed_by
        self.changed_at = changed_at
        self.conflicts = dict(conflicts)

    @property
    def message(self) -> str:
        """A sentence for the person at the desk."""
        return str(_("Somebody changed this guest in the meantime."))


def create_guest(
    *,
    actor: User | None,
    now: dt.datetime,
    name: str,
    phone: str = "",
    email: str = "",
    document_type: str = "",
    document_number: str = "",
    gender: str = "",
    birthday: dt.date | None = None,
    nationality: str = "",
    language: str = "",
    company: str = "",
    place: Property | None = None,
    source: str,
    consents: Sequence[ConsentInput] = (),
) -> Guest:
    """Enrol a guest with what identifies them and what they agreed to.

    Args:
        actor: Who enrols; None for the system.
        now: Aware instant.
        name: As on the document; see `members.rules.names.clean_name`.
        phone: In any usual spelling; numbers without a country code belong to the property's country.
        email: Address.
        document_type: Key of `members.rules.identity.DOCUMENT_TYPES`; guessed from the number if empty.
        document_number: A resident ID card also gives birthday and gender where they are not stated.
        gender: Value of `Guest.Gender`.
        birthday: Date of birth.
        nationality: ISO 3166 two-letter code.
        language: BCP 47 tag.
        company: Employer or account.
        place: Where the guest was enrolled.
        source: Door or system, such as `desk`.
        consents: Answers of the guest.

    Raises:
        GuestInputError: with every wrong field.
        IdentityTaken: another guest has the phone, e-mail address or document.
    """
    today = place.local_date(now) if place else now.date()
    checked = check_guest(
        GuestInput(
            name=name,
            phone=phone,
            email=email,
            document_type=document_type,
            document_number=document_number,
            gender=gender,
            birthday=birthday,
            nationality=nationality,
            language=language,
            company=company,
            region=place.country if place else "CN",
        ),
        today=today,
    )
    try:
        with transaction.atomic():
            guest = Guest.objects.create(**checked.profile)
            _insert_identities(guest, checked.identities)
            _insert_consents(guest, consents, source=source, actor=actor, now=now)
            record_audit(
                actor=actor,
                now=now,
                action="guest.enrolled",
                target=guest,
                label=guest.name,
                place=place,
                after={"source": source, **{identity.kind: identity.masked for identity in checked.identities}},
            )
    except IntegrityError as error:
        taken = holder_of(checked.identities) if is_identity_taken(error) else None
        if taken is None:
            raise
        raise taken from error
    return guest


def _insert_identities(guest: Guest, identities: Sequence[IdentityValue]) -> None:
    # Sorted, so that two enrolments with the same identities wait for each other in one order.
    GuestIdentity.objects.bulk_create(
        GuestIdentity(
            guest=guest,
            kind=identity.kind,
            issuer=identity.issuer,
            value=identity.stored,
            value_index=identity.index,
            last4_index=identity.last4,
            masked=identity.masked,
            is_primary=True,
        )
        for identity in sorted(identities, key=lambda identity: identity.key)
    )


def _insert_consents(
    guest: Guest, consents: Sequence[ConsentInput], *, source: str, actor: User | None, now: dt.datetime
) -> None:
    Consent.objects.bulk_create(
        Consent(
            guest=guest,
            purpose=Consent.Purpose(consent.purpose),
            channel=Consent.Channel(consent.channel),
            granted=consent.granted,
            text_version=consent.text_version,
            source=source,
            recorded_at=now,
            recorded_by=actor,
        )
        for consent in consents
    )


@transaction.atomic
def record_consent(
    *,
    actor: User | None,
    now: dt.datetime,
    guest_id: int,
    consent: ConsentInput,
    source: str,
    place: Property | None = None,
) -> None:
    """Add an answer of the guest; earlier answers stay, the newest counts.

    Raises:
        GuestNotFound: there is no such guest.
    """
    guest = lock_guest(guest_id)
    _insert_consents(guest, [consent], source=source, actor=actor, now=now)
    record_audit(
        actor=actor,
        now=now,
        action="consent.granted" if consent.granted else "consent.withdrawn",
        target=guest,
        label=guest.name,
        place=place,
        after={
            "purpose": consent.purpose,
            "channel": consent.channel,
            "granted": consent.granted,
            "text_version": consent.text_version,
            "source": source,
        },
    )


def update_guest(
    *,
    actor: User | None,
    now: dt.datetime,
    guest_id: int,
    expected_version: int,
    changes: Mapping[str, object],
    place: Property | None = None,
) -> Guest:
    """Change fields of a profile, unless somebody changed it since `expected_version`.

    Args:
        actor: Who changes; None for the system.
        now: Aware instant.
        guest_id: The guest.
        expected_version: `Guest.version` as it was when the form was opened.
        changes: Any of name, gender, birthday, nationality, language, company, phone, email. `phone` and
            `email` replace the primary one; an empty text removes it.
        place: Where it happened.

    Returns:
        The guest as stored; the version is one higher if anything changed.

    Raises:
        GuestNotFound: there is no such guest.
        StaleRecord: somebody else was faster.
        GuestInputError: with every wrong field.
        IdentityTaken: another guest has the phone or e-mail address.
    """
    unknown = changes.keys() - {*PROFILE_FIELDS, *IDENTITY_FIELDS}
    if unknown:
        message = f"update_guest does not know {sorted(unknown)}"
        raise ValueError(message)
    problems: dict[str, Problem] = {}
    today = place.local_date(now) if place else now.date()
    profile = check_profile(
        {name: changes[name] for name in PROFILE_FIELDS if name in changes}, today=today, problems=problems
    )
    identities: dict[str, IdentityValue | None] = {}
    for name in IDENTITY_FIELDS.keys() & changes.keys():
        try:
            text = str(changes[name] or "").strip()
            region = place.country if place else "CN"
            identities[name] = identity_value(IDENTITY_FIELDS[name], "", text, region=region) if text else None
        except rules.IdentityError as error:
            problems[name] = Problem(error.code, error.template, error.params)
    if problems:
        raise GuestInputError(problems)
    try:
        with transaction.atomic():
            return _apply_changes(actor, now, guest_id, expected_version, profile, identities, place)
    except IntegrityError as error:
        taken = holder_of([i for i in identities.values() if i]) if is_identity_taken(error) else None
        if taken is None:
            raise
        raise taken from error


def _apply_changes(
    actor: User | None,
    now: dt.datetime,
    guest_id: int,
    expected_version: int,
    profile: Mapping[str, Any],
    identities: Mapping[str, IdentityValue | None],
    place: Property | None,
) -> Guest:
    guest = lock_guest(guest_id)
    primaries = {row.kind: row for row in guest.identities.filter(is_primary=True, kind__in=IDENTITY_FIELDS.values())}
    if guest.version != expected_version:
        raise _stale(guest, profile, identities, primaries)
    before: dict[str, Any] = {}
    after: dict[str, Any] = {}
    for name in PROFILE_FIELDS:
        if name in profile and getattr(guest, name) != profile[name]:
            before[name], after[name] = _plain(getattr(guest, name)), _plain(profile[name])
    for name, identity in identities.items():
        held = primaries.get(IDENTITY_FIELDS[name])
        if (held and bytes(held.value_index)) != (identity and identity.index):
            before[name], after[name] = held.masked if held else "", identity.masked if identity else ""
            if held:
                held.delete()
            if identity:
                # The guest may have the new one already, as a second phone: it becomes the primary one.
                guest.identities.filter(kind=identity.kind, issuer="", value_index=identity.index).delete()
                _insert_identities(guest, [identity])
    if not after:
        return guest
    for name, value in profile.items():
        setattr(guest, name, value)
    guest.version += 1
    guest.updated_at = now
    guest.save(update_fields=[*profile, "version", "updated_at"])
    record_audit(
        actor=actor,
        now=now,
        action="guest.changed",
        target=guest,
        label=guest.name,
        place=place,
        before=before,
        after=after,
    )
    guests_changed.send(Guest, guest_ids=[guest.pk], actor=actor, now=now)
    return guest


def _stale(
    guest: Guest,
    profile: Mapping[str, Any],
    identities: Mapping[str, IdentityValue | None],
    primaries: Mapping[str, GuestIdentity],
) -> StaleRecord:
    conflicts: dict[str, tuple[Any, Any]] = {
        name: (getattr(guest, name), profile[name])
        for name in PROFILE_FIELDS
        if name in profile and getattr(guest, name) != profile[name]
    }
    for name, identity in identities.items():
        held = primaries.get(IDENTITY_FIELDS[name])
        if (held and bytes(held.value_index)) != (identity and identity.index):
            conflicts[name] = (held.masked if held else "", identity.masked if identity else "")
    newest = (
        AuditEntry.objects.filter(object_type=Guest._meta.label_lower, object_id=str(guest.pk))
        .select_related("actor")
        .order_by("-id")
        .first()
    )
    return StaleRecord(
        current=guest,
        changed_by=newest.actor if newest else None,
        changed_at=newest.at if newest else guest.updated_at,
        conflicts=conflicts,
    )


def lock_guest(guest_id: int) -> Guest:
    """Load a guest under a row lock.

    Raises:
        GuestNotFound: there is no such guest.
    """
    guest = Guest.objects.select_for_update(no_key=True).filter(pk=guest_id).first()
    if guest is None:
        raise GuestNotFound
    return guest


def touch_guest(guest_id: int, now: dt.datetime) -> None:
    """Raise the version, so that a form opened before does not overwrite what was changed beside it."""
    Guest.objects.filter(pk=guest_id).update(version=F("version") + 1, updated_at=now)


def _plain(value: object) -> object:
    return value.isoformat() if isinstance(value, dt.date) else value
