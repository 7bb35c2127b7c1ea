"""Correcting a balance by hand."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from loyalty.services import ledger
from loyalty.services.ledger import PostingResult, RequestKey
from loyalty.services.redemptions.refusals import ReasonRequired

if TYPE_CHECKING:
    from hotels.models import Property, User


def adjust_points(
    *,
    actor: User,
    now: dt.datetime,
    membership_id: int,
    points: int,
    reason: str,
    place: Property | None = None,
    idempotency_key: str,
) -> PostingResult:
    """Correct a member's points by hand.

    Args:
        actor: Who answers for it.
        now: Aware instant.
        membership_id: Whose points.
        points: Signed; positive points open a lot, negative ones are taken like a redemption.
        reason: Why, in the actor's words.
        place: The property that bears it, if one does.
        idempotency_key: Made once per form; the same key again returns the same posting.

    Raises:
        ReasonRequired: No reason was given.
        loyalty.services.ledger.InsufficientPoints: Fewer points can be taken today.
    """
    if not reason.strip():
        raise ReasonRequired
    return ledger.adjust_points(
        actor=actor,
        now=now,
        membership_id=membership_id,
        points=points,
        reason=reason,
        request=RequestKey("adjustment", idempotency_key),
        property_id=place.pk if place else None,
    )
