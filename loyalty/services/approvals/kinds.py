"""The kinds of movements of today: what each does, how much it is, by which service it is carried out."""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from django.core.exceptions import ObjectDoesNotExist

from loyalty.models import Membership, MovementKind, Redemption, Reward, Tier, TierSource, Voucher, VoucherType
from loyalty.rules.approvals import POINTS, TIMES, Amount
from loyalty.rules.money import whole
from loyalty.services import redemptions, wallet
from loyalty.services.approvals.registry import MovementType, Order, register_movement
from loyalty.services.ledger import LedgerError, PostingResult, RequestKey
from loyalty.services.redemptions import RedemptionError
from loyalty.services.tier_grants import TierGrantError, grant_tier, match_status, purchase_tier
from loyalty.services.transfers import TransferError, transfer_points
from loyalty.services.vouchers import VoucherRefused, issue_voucher, order_batch
from loyalty.services.wallet import StoredValueError

if TYPE_CHECKING:
    from hotels.models import BilingualName, Property
    from loyalty.models import PointsTransfer, StoredValueMovement, TierGrant, VoucherBatch

REFUSALS = (
    LedgerError,
    RedemptionError,
    VoucherRefused,
    TierGrantError,
    TransferError,
    StoredValueError,
    ObjectDoesNotExist,
)


def _names(named: BilingualName) -> dict[str, str]:
    return {"zh": named.name, "en": named.name_en}


@dataclass(frozen=True, slots=True)
class AdjustPoints:
    """Correct a balance by hand; `points` is signed."""

    membership_id: int
    points: int


def _adjust(order: Order) -> PostingResult:
    if order.actor is None:
        raise TypeError(order.actor)
    return redemptions.adjust_points(
        actor=order.actor,
        now=order.now,
        membership_id=order.payload.membership_id,
        points=order.payload.points,
        reason=order.reason,
        place=order.place,
        idempotency_key=order.idempotency_key,
    )


@dataclass(frozen=True, slots=True)
class RedeemReward:
    """Take a reward for the price that was shown: `points` and `cash` of one.

    The other fields are those of `loyalty.services.redemptions.redeem_reward`.
    """

    membership_id: int
    reward_id: int
    points: int
    cash: Decimal = Decimal(0)
    price_id: int | None = None
    for_date: dt.date | None = None
    quantity: int = 1
    note: str = ""


def _price(payload: RedeemReward) -> int:
    return payload.points * payload.quantity


def _redeem(order: Order) -> Redemption:
    payload: RedeemReward = order.payload
    return redemptions.redeem_reward(
        actor=order.actor,
        now=order.now,
        membership_id=payload.membership_id,
        reward_id=payload.reward_id,
        place=_place(order),
        idempotency_key=order.idempotency_key,
        for_date=payload.for_date,
        quantity=payload.quantity,
        price_id=payload.price_id,
        expected=(payload.points, payload.cash),
        note=payload.note,
    )


def _check_reward(order: Order) -> None:
    payload: RedeemReward = order.payload
    redemptions.quote_reward(
        now=order.now,
        membership_id=payload.membership_id,
        reward_id=payload.reward_id,
        place=_place(order),
        for_date=payload.for_date,
        quantity=payload.quantity,
        price_id=payload.price_id,
        expected=(payload.points, payload.cash),
    )


def _place(order: Order) -> Property:
    if order.place is None:
        raise TypeError(order.place)
    return order.place


@dataclass(frozen=True, slots=True)
class CancelRedemption:
    """Give a reward back; `against_rules` where a manager cancels it though the reward does not allow it."""

    redemption_id: int
    against_rules: bool = False


def _cancel(order: Order) -> Redemption:
    return redemptions.cancel_redemption(
        actor=order.actor,
        now=order.now,
        redemption_id=order.payload.redemption_id,
        reason=order.reason,
        may_override=order.payload.against_rules,
    )


@dataclass(frozen=True, slots=True)
class IssueVoucher:
    """Give a member a voucher; `source` is a value of `Voucher.Source`."""

    type_id: int
    membership_id: int
    source: str


def _worth(type_id: int, quantity: int = 1) -> Amount:
    """What vouchers of a type are worth at most, or cost where that is not said in money."""
    voucher_type = VoucherType.objects.select_related("programme").get(pk=type_id)
    if voucher_type.amount is not None:
        return Amount(voucher_type.amount * quantity, voucher_type.currency)
    return Amount(voucher_type.unit_cost * quantity, voucher_type.programme.currency)


def _issue(order: Order) -> Voucher:
    return issue_voucher(
        actor=order.actor,
        now=order.now,
        type_id=order.payload.type_id,
        membership_id=order.payload.membership_id,
        source=Voucher.Source(order.payload.source),
        place=order.place,
        reason=order.reason,
        request=RequestKey("desk-issue", order.idempotency_key),
    )


@dataclass(frozen=True, slots=True)
class OrderVouchers:
    """Order a batch of vouchers for nobody in particular."""

    type_id: int
    quantity: int
    purpose: str


def _order(order: Order) -> VoucherBatch:
    return order_batch(
        actor=order.actor,
        now=order.now,
        type_id=order.payload.type_id,
        quantity=order.payload.quantity,
        purpose=order.payload.purpose,
        request_key=uuid.UUID(order.idempotency_key),
    )


@dataclass(frozen=True, slots=True)
class GrantTier:
    """Give a member a tier by hand; `source` is a value of `TierSource`."""

    membership_id: int
    tier_id: int
    until_date: dt.date | None
    source: str
    proof: str
    proof_reference: str


def _grant(order: Order) -> TierGrant:
    payload: GrantTier = order.payload
    if payload.source == TierSource.MATCHED and payload.until_date is not None and order.actor is not None:
        return match_status(
            actor=order.actor,
            now=order.now,
            membership_id=payload.membership_id,
            tier_id=payload.tier_id,
            until_date=payload.until_date,
            reason=order.reason,
            proof=payload.proof,
            proof_reference=payload.proof_reference,
            place=order.place,
        )
    if payload.source == TierSource.PURCHASED and order.actor is not None:
        return purchase_tier(
            actor=order.actor,
            now=order.now,
            membership_id=payload.membership_id,
            tier_id=payload.tier_id,
            reference=payload.proof_reference,
            until_date=payload.until_date,
        )
    return grant_tier(
        actor=order.actor,
        now=order.now,
        membership_id=payload.membership_id,
        tier_id=payload.tier_id,
        until_date=payload.until_date,
        reason=order.reason,
        source=payload.source,
        proof=payload.proof,
        proof_reference=payload.proof_reference,
        reference=order.idempotency_key,
        place=order.place,
    )


@dataclass(frozen=True, slots=True)
class TransferPoints:
    """Pass points on to another member."""

    giver_id: int
    receiver_id: int
    points: int


def _transfer(order: Order) -> PointsTransfer:
    return transfer_points(
        actor=order.actor,
        now=order.now,
        giver_id=order.payload.giver_id,
        receiver_id=order.payload.receiver_id,
        points=order.payload.points,
        place=order.place,
        reason=order.reason,
        idempotency_key=order.idempotency_key,
    )


def _receiver(payload: TransferPoints) -> dict[str, str]:
    number = Membership.objects.values_list("number", flat=True).get(pk=payload.receiver_id)
    return {"zh": number, "en": number}


@dataclass(frozen=True, slots=True)
class TopUp:
    """Store money; `amount` is in minor units of the currency, `method` a value of `StoredValueMovement.Method`."""

    membership_id: int
    amount: int
    currency: str
    method: str
    reference: str


def _top_up(order: Order) -> StoredValueMovement:
    return wallet.top_up(
        actor=order.actor,
        now=order.now,
        membership_id=order.payload.membership_id,
        amount=order.payload.amount,
        currency=order.payload.currency,
        method=order.payload.method,
        reference=order.payload.reference,
        place=_place(order),
        idempotency_key=order.idempotency_key,
    )


@dataclass(frozen=True, slots=True)
class RefundTopUp:
    """Pay stored value back; the fields are those of `TopUp`."""

    top_up_id: int
    amount: int
    currency: str
    method: str
    reference: str


def _refund(order: Order) -> StoredValueMovement:
    return wallet.refund_top_up(
        actor=order.actor,
        now=order.now,
        top_up_id=order.payload.top_up_id,
        amount=order.payload.amount,
        method=order.payload.method,
        reference=order.payload.reference,
        reason=order.reason,
        place=_place(order),
        idempotency_key=order.idempotency_key,
    )


def _money(payload: TopUp | RefundTopUp) -> Amount:
    return Amount(whole(max(0, payload.amount)), payload.currency)


register_movement(
    MovementType(
        kind=MovementKind.ADJUST,
        payload=AdjustPoints,
        measure=lambda payload: Amount(Decimal(abs(payload.points)), POINTS),
        perform=_adjust,
        failures=REFUSALS,
        reference=lambda result: f"loyalty.posting:{result.posting_id}",
        points_to_hold=lambda payload: max(0, -payload.points),
    )
)
register_movement(
    MovementType(
        kind=MovementKind.REDEEM,
        payload=RedeemReward,
        measure=lambda payload: Amount(Decimal(_price(payload)), POINTS),
        perform=_redeem,
        failures=REFUSALS,
        reference=lambda redemption: f"loyalty.redemption:{redemption.pk}",
        check=_check_reward,
        points_to_hold=_price,
        describe=lambda payload: _names(Reward.objects.get(pk=payload.reward_id)),
    )
)
register_movement(
    MovementType(
        kind=MovementKind.CANCEL_REDEMPTION,
        payload=CancelRedemption,
        measure=lambda payload: Amount(
            Decimal(Redemption.objects.values_list("points", flat=True).get(pk=payload.redemption_id)), POINTS
        ),
        perform=_cancel,
        failures=REFUSALS,
        reference=lambda redemption: f"loyalty.redemption:{redemption.pk}",
        describe=lambda payload: _names(Reward.objects.get(redemptions=payload.redemption_id)),
    )
)
register_movement(
    MovementType(
        kind=MovementKind.ISSUE_VOUCHER,
        payload=IssueVoucher,
        measure=lambda payload: _worth(payload.type_id),
        perform=_issue,
        failures=REFUSALS,
        reference=lambda voucher: f"loyalty.voucher:{voucher.pk}",
        describe=lambda payload: _names(VoucherType.objects.get(pk=payload.type_id)),
    )
)
register_movement(
    MovementType(
        kind=MovementKind.VOUCHER_BATCH,
        payload=OrderVouchers,
        measure=lambda payload: _worth(payload.type_id, payload.quantity),
        perform=_order,
        failures=REFUSALS,
        reference=lambda batch: f"loyalty.voucherbatch:{batch.pk}",
        describe=lambda payload: {
            language: f"{name} × {payload.quantity:,}"
            for language, name in _names(VoucherType.objects.get(pk=payload.type_id)).items()
            if name
        },
    )
)
register_movement(
    MovementType(
        kind=MovementKind.GRANT_TIER,
        payload=GrantTier,
        measure=lambda _payload: Amount(Decimal(1), TIMES),
        perform=_grant,
        failures=REFUSALS,
        reference=lambda grant: f"loyalty.tiergrant:{grant.pk}",
        describe=lambda payload: _names(Tier.objects.get(pk=payload.tier_id)),
    )
)
register_movement(
    MovementType(
        kind=MovementKind.TRANSFER,
        payload=TransferPoints,
        measure=lambda payload: Amount(Decimal(max(0, payload.points)), POINTS),
        perform=_transfer,
        failures=REFUSALS,
        reference=lambda transfer: f"loyalty.pointstransfer:{transfer.pk}",
        points_to_hold=lambda payload: payload.points,
        describe=_receiver,
    )
)
register_movement(
    MovementType(
        kind=MovementKind.TOP_UP,
        payload=TopUp,
        measure=_money,
        perform=_top_up,
        failures=REFUSALS,
        reference=lambda movement: f"loyalty.storedvaluemovement:{movement.pk}",
    )
)
register_movement(
    MovementType(
        kind=MovementKind.TOP_UP_REFUND,
        payload=RefundTopUp,
        measure=_money,
        perform=_refund,
        failures=REFUSALS,
        reference=lambda movement: f"loyalty.storedvaluemovement:{movement.pk}",
    )
)
