"""Movements that staff may make alone up to a limit, and that somebody else decides about above it.

A door asks `perform_or_request` instead of calling the service itself:

    outcome = perform_or_request(
        kind=MovementKind.ADJUST, actor=user, now=now, place=place, membership_id=membership.pk,
        payload=AdjustPoints(membership_id=membership.pk, points=points), reason=reason, idempotency_key=str(form.key),
    )
    if isinstance(outcome, Requested): …  # nothing moved; say who decides and the number of the request
    else: …                               # outcome.result is what the service returned

It judges limits (`ApprovalLimit`) and patterns (`VelocityRule`) under the lock of the member and of the actor's day, and
either carries the movement out or writes an `ApprovalRequest`; points that would be spent are set aside meanwhile. The
service behind it keeps its own exceptions: they pass through, and nothing is written.

A new kind of movement takes three steps:

1. a value in `loyalty.models.MovementKind` (with a migration for the CHECK constraints);
2. a frozen dataclass for what is to be done – fields of `int`, `str`, `bool`, `Decimal`, `date`, `UUID`, or one of them
   `| None` – and one call in `loyalty.services.approvals.kinds` (or in an upper app's `ready()`):

       register_movement(MovementType(
           kind=MovementKind.TRANSFER,
           payload=Transfer,
           measure=lambda payload: Amount(Decimal(payload.points), POINTS),  # judged, and compared at the approval
           perform=_transfer,                 # gets an `Order`; calls the service with `order.idempotency_key`
           failures=(TransferError, LedgerError),  # what the service refuses by; a request then ends as failed
           points_to_hold=lambda payload: payload.points,   # only where points are spent
           describe=lambda payload: {"zh": …, "en": …},     # the name of what it is about, if it has one
           reference=lambda result: f"loyalty.posting:{result.posting_id}",
       ))

3. the door calls `perform_or_request`. `perform` must be idempotent by `order.idempotency_key`: a retry calls it again.

A member's own movement passes `actor=None`: no limits, but the velocity rules hold.
"""

from loyalty.services.approvals.deciding import (
    approve_request,
    expire_requests,
    refuse_request,
    review_movement,
    withdraw_request,
)
from loyalty.services.approvals.kinds import (
    AdjustPoints,
    CancelRedemption,
    GrantTier,
    IssueVoucher,
    OrderVouchers,
    RedeemReward,
    RefundTopUp,
    TopUp,
    TransferPoints,
)
from loyalty.services.approvals.performing import Performed, Requested, perform_or_request
from loyalty.services.approvals.refusals import (
    AlreadyDecided,
    ApprovalError,
    NotTheApprover,
    OwnMovement,
    OwnRequest,
    PayloadChanged,
    ReasonMissing,
    RequestConflict,
    RequestExpired,
)
from loyalty.services.approvals.registry import MovementType, Order, register_movement

__all__ = [
    "AdjustPoints",
    "AlreadyDecided",
    "ApprovalError",
    "CancelRedemption",
    "GrantTier",
    "IssueVoucher",
    "MovementType",
    "NotTheApprover",
    "Order",
    "OrderVouchers",
    "OwnMovement",
    "OwnRequest",
    "PayloadChanged",
    "Performed",
    "ReasonMissing",
    "RedeemReward",
    "RefundTopUp",
    "RequestConflict",
    "RequestExpired",
    "Requested",
    "TopUp",
    "TransferPoints",
    "approve_request",
    "expire_requests",
    "perform_or_request",
    "refuse_request",
    "register_movement",
    "review_movement",
    "withdraw_request",
]
