"""Reads of campaigns for the guest card."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.db.models import Exists, F, OuterRef, Q

from campaigns.models import Campaign
from hotels.models import Property, User
from loyalty.models import Membership
from members.models import Guest

CARD_OFFERS = 3


def card_context(guest: Guest, user: User, place: Property, now: dt.datetime) -> dict[str, Any]:
    """The running offers meant for a guest at a property: for everybody, or from the guest's tier up; one query."""
    del user  # Whoever may see the guest may offer.
    member = Membership.objects.filter(
        guest=guest,
        programme=OuterRef("minimum_tier__programme"),
        tier__rank__gte=OuterRef("minimum_tier__rank"),
    )
    offers = (
        Campaign.objects.running(place.local_date(now))
        .filter(Q(property=None) | Q(property=place))
        .filter(Q(minimum_tier=None) | Exists(member))
        .order_by(F("minimum_tier__rank").desc(nulls_last=True), "ends_on", "pk")[:CARD_OFFERS]
    )
    return {"offers": list(offers)}
