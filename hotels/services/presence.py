"""Saying that somebody works on a record. It informs colleagues and never keeps them out."""

from __future__ import annotations

import datetime as dt

from django.db import models

from hotels.models import Presence, User

# Longer than anybody is shown; what is older is of no use.
KEPT = dt.timedelta(hours=1)


def note_presence(*, actor: User, now: dt.datetime, target: models.Model) -> None:
    """Say that a user has a record open; to be repeated more often than `selectors.PRESENT_FOR`."""
    row = Presence(user=actor, object_type=target._meta.label_lower, object_id=str(target.pk), seen_at=now)
    Presence.objects.bulk_create(
        [row],
        update_conflicts=True,
        unique_fields=["object_type", "object_id", "user"],
        update_fields=["seen_at"],
    )


def leave_record(*, actor: User, target: models.Model) -> None:
    """Say that a user has closed a record."""
    Presence.objects.filter(user=actor, object_type=target._meta.label_lower, object_id=str(target.pk)).delete()


def delete_old_presences(*, now: dt.datetime) -> int:
    """Forget who worked on what; safe to repeat."""
    return Presence.objects.filter(seen_at__lt=now - KEPT).delete()[0]
