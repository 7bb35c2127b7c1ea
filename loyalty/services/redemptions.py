"""Spending points on rewards, undoing it, and correcting a balance by hand."""

from __future__ import annotations

import datetime as dt
import hashlib
import uuid
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.utils.translation import gettext as _

from loyalty.models import Membership, Posting, Redemption, Reward, SourceKey
from loyalty.services import ledger
from loyalty.services.ledger import PostingResult, RequestKey, SourceLine
from loyalty.services.merging import carry_leftovers

if TYPE_CHECKING:
    from hotels.models import Property, User

SOURCE = "redemption"
CLIENT = "redemption"
# So that a retry finds the redemption its first attempt made.
NAMESPACE = uuid.UUID("6f1d2b1e-5f0c-4a52-9d5e-3b8f5c0a7e11")


class RedemptionError(Exception):
    """A reward cannot be taken or given back; `code` is stable."""

    code = "redemption_error"


class RewardUnavailable(RedemptionError):
    """The reward is switched off, or belongs to another programme."""

    code = "reward_unavailable"

    def __init__(self) -> None:
        super().__init__(_("This reward cannot be redeemed now."))


class ReasonRequired(RedemptionError):
    """A cancellation or an adjustment has to say why."""

    code = "reason_required"

    def __init__(self) -> None:
        super().__init__(_("Say why."))


@transaction.atomic
def redeem_reward(
    *,
    actor: User | None,
    now: dt.datetime,
    membership_id: int,
    reward_id: int,
    place: Property,
    idempotency_key: str,
) -> Redemption:
    """Take one reward for points.

    Args:
        actor: Who redeems at the desk; None for the member themself.
        now: Aware instant.
        membership_id: Whose points.
        reward_id: The reward.
        place: The property that gives it.
        idempotency_key: Made once per form or request; the same key again returns the same redemption.

    Raises:
        RewardUnavailable: The reward is inactive or of another programme.
        loyalty.services.ledger.InsufficientPoints: Fewer points can be spent today.
        loyalty.services.ledger.IdempotencyConflict: The key was used for something else.
        loyalty.services.ledger.MembershipInactive: The membership does not spend.
    """
    membership = Membership.objects.get(pk=membership_id)
    reward = Reward.objects.get(pk=reward_id)
    if not idempotency_key:
        raise ValueError(idempotency_key)
    public_id = uuid.uuid5(NAMESPACE, f"{membership.programme_id}/{idempotency_key}")
    request = f"{membership_id}/{reward_id}/{place.pk}"
    known = Redemption.objects.filter(public_id=public_id, reward=reward).first()
    if known is None and (reward.programme_id != membership.programme_id or not reward.is_active):
        raise RewardUnavailable
    # A retry after a change of price is still the same request.
    points = known.points if known is not None else reward.points
    result = ledger.redeem_points(
        actor=actor,
        now=now,
        points=points,
        membership_id=membership_id,
        source=SourceLine(SOURCE, str(public_id)),
        request=RequestKey(CLIENT, idempotency_key, hashlib.sha256(request.encode()).hexdigest()),
        explanation=_explanation(reward, place, points),
        property_id=place.pk,
    )
    if result.replayed:
        return Redemption.objects.select_related("reward", "membership").get(public_id=public_id)
    return Redemption.objects.create(
        public_id=public_id,
        membership=membership,
        reward=reward,
        property=place,
        points=points,
        redeemed_at=now,
        actor=actor,
    )


@transaction.atomic
def cancel_redemption(*, actor: User | None, now: dt.datetime, redemption_id: int, reason: str) -> Redemption:
    """Undo a redemption: the points go back to the lots they came from, with their expiry.

    A second call changes nothing.

    Args:
        actor: Who cancels.
        now: Aware instant.
        redemption_id: The redemption.
        reason: Why, in the actor's words.

    Raises:
        ReasonRequired: No reason was given.
    """
    if not reason.strip():
        raise ReasonRequired
    redemption = (
        Redemption.objects.select_for_update(no_key=True, of=("self",))
        .select_related("reward", "membership", "property")
        .get(pk=redemption_id)
    )
    if redemption.status == Redemption.Status.CANCELED:
        return redemption
    posting_id = SourceKey.objects.values_list("posting_id", flat=True).get(
        programme=redemption.membership.programme_id,
        system=SOURCE,
        reference=str(redemption.public_id),
        line="",
        kind=Posting.Kind.REDEEM,
    )
    ledger.cancel_redemption_posting(
        actor=actor,
        now=now,
        posting_id=posting_id,
        source=SourceLine(SOURCE, str(redemption.public_id)),
        explanation={
            **_explanation(redemption.reward, redemption.property, redemption.points),
            "kind": Posting.Kind.REFUND,
            "canceled": True,
            "spent": redemption.points,
            "reason": reason,
        },
        property_id=redemption.property_id,
        reason=reason,
    )
    # Points spent before a merge of profiles go back to the account they came from, and on from there.
    carry_leftovers(actor=actor, now=now, guest_ids=[redemption.membership.guest_id])
    redemption.status = Redemption.Status.CANCELED
    redemption.canceled_at = now
    redemption.save(update_fields=["status", "canceled_at"])
    return redemption


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


def _explanation(reward: Reward, place: Property, points: int) -> dict[str, Any]:
    return {
        "kind": Posting.Kind.REDEEM,
        "reward": {"id": reward.pk, "zh": reward.name, "en": reward.name_en},
        "property": {"id": place.pk, "zh": place.name, "en": place.name_en},
        "points": -points,
    }
