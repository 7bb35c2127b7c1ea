"""What staff note about a guest: preferences, alerts and tags. Each note can be taken back."""

from __future__ import annotations

import datetime as dt
import uuid

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from hotels.models import Property, User
from hotels.services.audit import record_audit
from hotels.services.idempotency import IdempotencyKeyReused, perform_once
from members.models import Guest, Preference, Tag
from members.rules.identity import clean_text

ALWAYS_ALERT = frozenset({Preference.Category.ALLERGY, Preference.Category.MEDICAL})
TEXT_MAX_LENGTH = 200


class PreferenceError(Exception):
    """The preference cannot be noted like this.

    Attributes:
        code: Stable name of what is wrong.
        field: The field it is about.
        message: A sentence for the person at the desk.
    """

    def __init__(self, *, code: str, field: str, message: object) -> None:
        super().__init__(code)
        self.code = code
        self.field = field
        self.template = message

    @property
    def message(self) -> str:
        """The sentence in the active language."""
        return str(self.template)


class NoteConflict(Exception):
    """The form was sent before with other content."""

    code = "note_conflict"

    @property
    def message(self) -> str:
        """A sentence for the person at the desk."""
        return str(_("This form was sent before with other content; open a new one."))


class NoteNotFound(Exception):
    """The guest, the preference or the tag does not exist (any more)."""

    code = "note_not_found"

    @property
    def message(self) -> str:
        """A sentence for the person at the desk."""
        return str(_("This entry does not exist any more."))


@transaction.atomic
def add_preference(
    *,
    actor: User | None,
    now: dt.datetime,
    guest_id: int,
    category: str,
    text: str,
    severity: str | None = None,
    source: str,
    place: Property | None,
    key: uuid.UUID | None = None,
) -> Preference:
    """Note a preference; the same note again changes only its severity and source.

    Args:
        actor: Who notes it; None for the system.
        now: Aware instant.
        guest_id: The guest.
        category: Value of `Preference.Category`; an allergy or a medical note is always an alert.
        text: What to know, in a few words.
        severity: Value of `Preference.Severity`; a wish if not stated.
        source: Where it was learned, such as `desk` or `survey`.
        place: Where it was noted.
        key: Of the form; sending it again changes nothing, even if the note was taken back meanwhile.

    Raises:
        NoteNotFound: there is no such guest, or what the key noted was taken back.
        NoteConflict: the key noted something else.
        PreferenceError: `category_unknown`, `severity_unknown`, `text_missing` or `text_too_long`.
    """
    text = " ".join(clean_text(text).split())
    if category not in Preference.Category.values:
        raise PreferenceError(code="category_unknown", field="category", message=_("Choose what it is about."))
    if severity and severity not in Preference.Severity.values:
        raise PreferenceError(code="severity_unknown", field="severity", message=_("Choose how it is shown."))
    if not text or "\x00" in text:
        raise PreferenceError(code="text_missing", field="text", message=_("Say what to know about the guest."))
    if len(text) > TEXT_MAX_LENGTH:
        raise PreferenceError(code="text_too_long", field="text", message=_("At most 200 characters."))
    if category in ALWAYS_ALERT:
        severity = Preference.Severity.ALERT
    facts = {"category": category, "text": text, "severity": severity or Preference.Severity.WISH}
    try:
        preference_id = perform_once(
            actor=actor,
            now=now,
            key=key,
            operation=f"preference.add {guest_id}",
            data=facts,
            perform=lambda: _note(guest_id, actor=actor, now=now, source=source, place=place, **facts),
        )
    except IdempotencyKeyReused as error:
        raise NoteConflict from error
    preference = Preference.objects.filter(pk=preference_id).first()
    if preference is None:
        raise NoteNotFound
    return preference


def _note(
    guest_id: int,
    *,
    actor: User | None,
    now: dt.datetime,
    category: str,
    text: str,
    severity: str,
    source: str,
    place: Property | None,
) -> int:
    guest = _guest(guest_id)
    preference, created = guest.preferences.get_or_create(
        category=category,
        text=text,
        defaults={"severity": severity, "source": source, "created_by": actor},
    )
    before = None
    if not created:
        if (preference.severity, preference.source) == (severity, source):
            return preference.pk
        before = _facts(preference)
        preference.severity, preference.source, preference.updated_at = severity, source, now
        preference.save(update_fields=["severity", "source", "updated_at"])
    record_audit(
        actor=actor,
        now=now,
        action="preference.added" if created else "preference.changed",
        target=guest,
        label=guest.name,
        place=place,
        before=before,
        after=_facts(preference),
    )
    return preference.pk


@transaction.atomic
def remove_preference(
    *,
    actor: User | None,
    now: dt.datetime,
    guest_id: int,
    preference_id: int,
    place: Property | None,
    reason: str = "",
) -> None:
    """Take a preference back; the audit entry keeps what is needed to note it again.

    Raises:
        NoteNotFound: the guest has no such preference.
    """
    guest = _guest(guest_id)
    preference = guest.preferences.filter(pk=preference_id).first()
    if preference is None:
        raise NoteNotFound
    before = _facts(preference)
    preference.delete()
    record_audit(
        actor=actor,
        now=now,
        action="preference.removed",
        target=guest,
        label=guest.name,
        place=place,
        before=before,
        reason=reason,
    )


@transaction.atomic
def add_tag(
    *,
    actor: User | None,
    now: dt.datetime,
    guest_id: int,
    tag_id: int,
    place: Property | None,
    key: uuid.UUID | None = None,
) -> None:
    """Put a tag on a guest; a tag that is there already stays as it is.

    Args:
        actor: Who tags; None for the system.
        now: Aware instant.
        guest_id: The guest.
        tag_id: The tag.
        place: Where it happened.
        key: Of the form; sending it again changes nothing, even if the tag was taken off meanwhile.

    Raises:
        NoteNotFound: there is no such guest or tag.
        NoteConflict: the key put another tag.
    """
    try:
        perform_once(
            actor=actor,
            now=now,
            key=key,
            operation=f"tag.add {guest_id}",
            data=tag_id,
            perform=lambda: _tag(guest_id, tag_id, actor=actor, now=now, place=place),
        )
    except IdempotencyKeyReused as error:
        raise NoteConflict from error


def _tag(guest_id: int, tag_id: int, *, actor: User | None, now: dt.datetime, place: Property | None) -> None:
    guest = _guest(guest_id)
    tag = Tag.objects.filter(pk=tag_id).first()
    if tag is None:
        raise NoteNotFound
    _guest_tag, created = guest.guest_tags.get_or_create(tag=tag, defaults={"created_by": actor})
    if created:
        record_audit(
            actor=actor,
            now=now,
            action="tag.added",
            target=guest,
            label=guest.name,
            place=place,
            after={"tag": tag.code},
        )


@transaction.atomic
def remove_tag(*, actor: User | None, now: dt.datetime, guest_id: int, tag_id: int, place: Property | None) -> None:
    """Take a tag from a guest; a guest without it stays as they are.

    Raises:
        NoteNotFound: there is no such guest.
    """
    guest = _guest(guest_id)
    guest_tag = guest.guest_tags.select_related("tag").filter(tag=tag_id).first()
    if guest_tag is None:
        return
    guest_tag.delete()
    record_audit(
        actor=actor,
        now=now,
        action="tag.removed",
        target=guest,
        label=guest.name,
        place=place,
        before={"tag": guest_tag.tag.code},
    )


def _guest(guest_id: int) -> Guest:
    """The guest under a lock, so that two windows noting the same thing make one note."""
    guest = Guest.objects.select_for_update(no_key=True).filter(pk=guest_id).first()
    if guest is None:
        raise NoteNotFound
    return guest


def _facts(preference: Preference) -> dict[str, str]:
    return {
        "category": preference.category,
        "severity": preference.severity,
        "text": preference.text,
        "source": preference.source,
    }
