"""Reads of the organisation that every staff page stands on."""

from __future__ import annotations

import datetime as dt
from uuid import UUID

from django.db import models
from django.http import HttpRequest

from hotels.models import Draft, HotelGroup, Presence, Property, User

# The session remembers the primary key of the property that a member of staff works at.
SESSION_KEY = "property"
# Somebody counts as working on a record for this long after they last said so.
PRESENT_FOR = dt.timedelta(seconds=60)


def visible_properties(user: User) -> list[Property]:
    """The active properties inside the user's assignments with their brands, read once for each loaded user."""
    cached: list[Property] | None = user.__dict__.get("_properties")
    if cached is None:
        cached = list(
            Property.objects.visible_to(user).filter(is_active=True).select_related("brand__group").order_by("code")
        )
        user.__dict__["_properties"] = cached
    return cached


def current_property(request: HttpRequest) -> Property | None:
    """The property the user works at: the one chosen in the session, else the first; None without any."""
    if not isinstance(request.user, User):
        return None
    places = visible_properties(request.user)
    chosen = request.session.get(SESSION_KEY)
    return next((place for place in places if place.pk == chosen), places[0] if places else None)


def group_name(request: HttpRequest) -> str:
    """The hotel group's name in the reader's language; that of the place worked at, if there are several."""
    place = current_property(request)
    if place is not None:
        return place.brand.group.local_name
    group = HotelGroup.objects.order_by("pk").first()
    return group.local_name if group else ""


def others_present(*, user: User, now: dt.datetime, target: models.Model) -> list[User]:
    """The colleagues who have a record open to work on it, the longest there first; one query."""
    found = (
        Presence.objects.filter(
            object_type=target._meta.label_lower, object_id=str(target.pk), seen_at__gt=now - PRESENT_FOR
        )
        .exclude(user=user)
        .select_related("user")
        .order_by("pk")
    )
    return [presence.user for presence in found]


def draft_of(*, user: User, now: dt.datetime, form: str, object_id: UUID) -> Draft | None:
    """What the user typed into this form and did not send; one query."""
    draft = Draft.objects.filter(user=user, form=form, object_id=object_id, expires_at__gt=now).first()
    return draft if draft and draft.content else None
