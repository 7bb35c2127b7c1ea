"""Reads of the organisation that every staff page stands on."""

from __future__ import annotations

from django.http import HttpRequest

from hotels.models import HotelGroup, Property, User

# The session remembers the primary key of the property that a member of staff works at.
SESSION_KEY = "property"


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
