"""The verbs: one movement each; the arguments they share are told in the package's docstring."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

from hotels.models import User
from loyalty.services.ledger.movements import (
    BY_PROGRAMME,
    ByProgramme,
    Movement,
    PostingResult,
    RequestKey,
    SourceLine,
    Verb,
)
from loyalty.services.ledger.posting import post_movements


def _post(**fields: Any) -> PostingResult:
    return post_movements([Movement(**fields)])[0]


def earn_points(
    *,
    actor: User | None,
    now: dt.datetime,
    points: int,
    membership_id: int | None = None,
    account_id: int | None = None,
    kind: str = "earn",
    lot_class: str = "earned",
    expires_on: dt.date | ByProgramme | None = BY_PROGRAMME,
    pending_until: dt.date | ByProgramme | None = BY_PROGRAMME,
    unit_cost: Decimal | None = None,
    source: SourceLine | None = None,
    request: RequestKey | None = None,
    explanation: dict[str, Any] | None = None,
    rule_version: str = "",
    business_date: dt.date | None = None,
    property_id: int | None = None,
    reason: str = "",
) -> PostingResult:
    """Credit points as one new lot; a debt is repaid from them first.

    Besides the arguments of the module:
        kind: "earn" or "bonus".
        lot_class: A value of `Lot.Class`: earned, bonus, purchased, compensation.
        expires_on: Last day the points can be used; None means never; by default the business date
            plus the programme's expiry months, rounded as the programme says.
        pending_until: Date on which the points are released; None opens them at once; by default the
            business date plus the programme's pending days, open when those are 0.
        unit_cost: What a point costs the funding property, in the programme's currency.
        property_id: The property that funds the points.

    Raises:
        AlreadyPosted, IdempotencyConflict, MembershipInactive, UnknownAccount: See the classes.
    """
    return _post(
        verb=Verb.EARN,
        actor_id=actor and actor.pk,
        now=now,
        points=points,
        membership_id=membership_id,
        account_id=account_id,
        kind=kind,
        lot_class=lot_class,
        expires_on=expires_on,
        pending_until=pending_until,
        unit_cost=unit_cost,
        source=source,
        request=request,
        explanation=explanation,
        rule_version=rule_version,
        business_date=business_date,
        property_id=property_id,
        reason=reason,
    )


def redeem_points(
    *,
    actor: User | None,
    now: dt.datetime,
    points: int,
    membership_id: int | None = None,
    account_id: int | None = None,
    source: SourceLine | None = None,
    request: RequestKey | None = None,
    explanation: dict[str, Any] | None = None,
    business_date: dt.date | None = None,
    property_id: int | None = None,
    reason: str = "",
) -> PostingResult:
    """Spend points from the soonest-expiring open lots.

    Raises:
        InsufficientPoints: Fewer points can be spent today.
        AlreadyPosted, IdempotencyConflict, MembershipInactive, UnknownAccount: See the classes.
    """
    return _post(
        verb=Verb.REDEEM,
        actor_id=actor and actor.pk,
        now=now,
        points=points,
        membership_id=membership_id,
        account_id=account_id,
        source=source,
        request=request,
        explanation=explanation,
        business_date=business_date,
        property_id=property_id,
        reason=reason,
    )


def release_pending(
    *,
    actor: User | None,
    now: dt.datetime,
    posting_id: int,
    request: RequestKey | None = None,
    explanation: dict[str, Any] | None = None,
    reason: str = "",
) -> PostingResult:
    """Open the pending points of one earning before or on their day; a debt is repaid first.

    Raises:
        NothingDue: The points are not pending.
    """
    return _post(
        verb=Verb.RELEASE,
        actor_id=actor and actor.pk,
        now=now,
        posting_id=posting_id,
        request=request,
        explanation=explanation,
        reason=reason,
    )


def reverse_posting(
    *,
    actor: User | None,
    now: dt.datetime,
    posting_id: int,
    points: int | None = None,
    source: SourceLine | None = None,
    request: RequestKey | None = None,
    explanation: dict[str, Any] | None = None,
    property_id: int | None = None,
    reason: str = "",
) -> PostingResult:
    """Undo what is left of an earning, a redemption, an expiry or an adjustment, by the recorded amounts.

    An earning is taken back (kind "clawback"): from its own lot, pending or open, then from the other
    lots, soonest expiry first; what is missing becomes a debt, or is let go under the policy "clamp".
    Points of its lot that expired unspent are not asked for again.
    A spending is given back (kind "refund"): see `cancel_redemption_posting`.

    Besides the arguments of the module:
        points: Reverse this part of an earning only.

    Raises:
        AlreadyReversed, ExcessiveReversal, NotReversible: See the classes.
    """
    return _post(
        verb=Verb.REVERSE,
        actor_id=actor and actor.pk,
        now=now,
        posting_id=posting_id,
        points=points,
        source=source,
        request=request,
        explanation=explanation,
        property_id=property_id,
        reason=reason,
    )


def refund_earning(
    *,
    actor: User | None,
    now: dt.datetime,
    posting_id: int,
    refunded_to_date: Decimal,
    base: Decimal,
    source: SourceLine | None = None,
    request: RequestKey | None = None,
    explanation: dict[str, Any] | None = None,
    property_id: int | None = None,
    reason: str = "",
) -> PostingResult:
    """Take back the share of an earning that was refunded, rounding cumulatively.

    Reverses round(points × refunded_to_date ÷ base), half away from zero, less what was reversed
    before, so that the parts of a refund add up to the whole.

    Besides the arguments of the module:
        refunded_to_date: Eligible amount refunded since the beginning, this refund included.
        base: Eligible amount the points were earned for.

    Raises:
        AlreadyReversed: No point is left to reverse for this share.
        ExcessiveReversal: More than the base was refunded.
        NotReversible: Not an earning.
    """
    return _post(
        verb=Verb.REVERSE,
        actor_id=actor and actor.pk,
        now=now,
        posting_id=posting_id,
        refunded_to_date=refunded_to_date,
        base=base,
        source=source,
        request=request,
        explanation=explanation,
        property_id=property_id,
        reason=reason,
    )


def cancel_redemption_posting(
    *,
    actor: User | None,
    now: dt.datetime,
    posting_id: int,
    source: SourceLine | None = None,
    request: RequestKey | None = None,
    explanation: dict[str, Any] | None = None,
    property_id: int | None = None,
    reason: str = "",
) -> PostingResult:
    """Give the points of a redemption back to the lots they came from, latest expiry first.

    A debt is repaid first. Lots that lapsed meanwhile open again for the programme's days of grace,
    or their part is forfeited; the result's `points` are those that came back.

    Raises:
        AlreadyReversed, NotReversible: See the classes.
    """
    return _post(
        verb=Verb.REVERSE,
        actor_id=actor and actor.pk,
        now=now,
        posting_id=posting_id,
        source=source,
        request=request,
        explanation=explanation,
        property_id=property_id,
        reason=reason,
    )


def adjust_points(
    *,
    actor: User | None,
    now: dt.datetime,
    points: int,
    reason: str,
    membership_id: int | None = None,
    account_id: int | None = None,
    lot_class: str = "compensation",
    expires_on: dt.date | ByProgramme | None = BY_PROGRAMME,
    source: SourceLine | None = None,
    request: RequestKey | None = None,
    explanation: dict[str, Any] | None = None,
    business_date: dt.date | None = None,
    property_id: int | None = None,
) -> PostingResult:
    """Correct a balance by hand: positive points open a lot, negative ones are taken like a redemption.

    Raises:
        InsufficientPoints: A negative adjustment beyond what can be spent.
    """
    return _post(
        verb=Verb.ADJUST,
        actor_id=actor and actor.pk,
        now=now,
        points=points,
        membership_id=membership_id,
        account_id=account_id,
        lot_class=lot_class,
        expires_on=expires_on,
        pending_until=None,
        source=source,
        request=request,
        explanation=explanation,
        business_date=business_date,
        property_id=property_id,
        reason=reason,
    )


def expire_lots(*, now: dt.datetime, account_id: int) -> PostingResult:
    """Expire the lapsed lots of one account; the nightly batch is `loyalty.services.jobs`.

    Raises:
        NothingDue: No lot has lapsed.
    """
    return _post(verb=Verb.EXPIRE, now=now, account_id=account_id)


def place_hold(
    *,
    actor: User | None,
    now: dt.datetime,
    points: int,
    hold_until: dt.datetime,
    membership_id: int | None = None,
    account_id: int | None = None,
    source: SourceLine | None = None,
    request: RequestKey | None = None,
    explanation: dict[str, Any] | None = None,
    property_id: int | None = None,
    reason: str = "",
) -> PostingResult:
    """Set points aside until they are captured, voided or `hold_until` (aware) passes.

    Held points do not expire; the result's `hold_id` names the hold.

    Raises:
        InsufficientPoints: Fewer points can be spent today.
    """
    return _post(
        verb=Verb.HOLD,
        actor_id=actor and actor.pk,
        now=now,
        points=points,
        membership_id=membership_id,
        account_id=account_id,
        hold_until=hold_until,
        source=source,
        request=request,
        explanation=explanation,
        property_id=property_id,
        reason=reason,
    )


def capture_hold(
    *,
    actor: User | None,
    now: dt.datetime,
    hold_id: int,
    points: int | None = None,
    source: SourceLine | None = None,
    request: RequestKey | None = None,
    explanation: dict[str, Any] | None = None,
    property_id: int | None = None,
    reason: str = "",
) -> PostingResult:
    """Redeem held points; with fewer `points` than held, the rest goes back to its lots.

    Raises:
        HoldClosed: The hold is no longer active, or its time has passed.
        InsufficientPoints: More than is held.
    """
    return _post(
        verb=Verb.CAPTURE,
        actor_id=actor and actor.pk,
        now=now,
        hold_id=hold_id,
        points=points,
        source=source,
        request=request,
        explanation=explanation,
        property_id=property_id,
        reason=reason,
    )


def void_hold(
    *,
    actor: User | None,
    now: dt.datetime,
    hold_id: int,
    request: RequestKey | None = None,
    reason: str = "",
) -> PostingResult:
    """Give held points back to their lots, as a canceled redemption does.

    Raises:
        HoldClosed: The hold is no longer active.
    """
    return _post(verb=Verb.VOID, actor_id=actor and actor.pk, now=now, hold_id=hold_id, request=request, reason=reason)
