"""Undoing a redemption: points to their lots, stock and limits as before, unused vouchers void."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from django.db import connection, transaction

from loyalty.models import Posting, Redemption, RedemptionEvent, SourceKey, Voucher
from loyalty.rules.rewards import Taken, why_not_canceled
from loyalty.selectors.rewards import day_begins
from loyalty.services import ledger
from loyalty.services.ledger import SourceLine
from loyalty.services.merging import carry_leftovers
from loyalty.services.redemptions.history import locked, move
from loyalty.services.redemptions.redeeming import SOURCE, explanation, terms_name
from loyalty.services.redemptions.refusals import CancellationRefused, ReasonRequired
from loyalty.services.vouchers import VoucherRefused, cancel_voucher

if TYPE_CHECKING:
    from hotels.models import User


@transaction.atomic
def cancel_redemption(
    *, actor: User | None, now: dt.datetime, redemption_id: int, reason: str, may_override: bool = False
) -> Redemption:
    """Undo a redemption: the points go back to the lots they came from, with their expiry.

    Stock and limits get back what was taken, unused vouchers are canceled. A second call changes nothing.

    Args:
        actor: Who cancels; None for the member themself.
        now: Aware instant.
        redemption_id: The redemption.
        reason: Why, in the actor's words.
        may_override: Whether the actor may cancel against the reward's rules, such as after the deadline.

    Raises:
        ReasonRequired: No reason was given.
        CancellationRefused: `voucher_used`, `voucher_over`, `already_fulfilled`, `already_closed`, `too_late`.
    """
    if not reason.strip():
        raise ReasonRequired
    redemption = locked(redemption_id)
    if redemption.status == Redemption.Status.CANCELED:
        return redemption
    reward, place = redemption.reward, redemption.property
    vouchers = list(redemption.vouchers.order_by("pk"))
    taken = Taken(
        status=redemption.status,
        until_day=day_begins(place, redemption.for_date) - now,
        # A slip is the desk's; members go by the rules at once.
        since=now - redemption.redeemed_at if actor else dt.timedelta.max,
        cancel_hours=reward.cancel_hours,
        voucher_states=[voucher.state for voucher in vouchers],
    )
    if problem := why_not_canceled(taken, may_override=may_override):
        raise CancellationRefused(code=problem[0], params=problem[1])
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
            **explanation(
                terms_name(reward),
                place,
                points=redemption.points,
                quantity=redemption.quantity,
                cash=redemption.cash,
                currency=redemption.currency,
            ),
            "kind": Posting.Kind.REFUND,
            "canceled": True,
            "spent": redemption.points,
            "reason": reason,
        },
        property_id=place.pk,
        reason=reason,
    )
    # Points spent before a merge of profiles go back to the account they came from, and on from there.
    carry_leftovers(actor=actor, now=now, guest_ids=[redemption.membership.guest_id])
    for voucher in vouchers:
        _void(voucher, actor=actor, now=now, reason=reason)
    if redemption.stock_ids or redemption.use_ids:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT loyalty_give_back_reward(%s::bigint[], %s::bigint[], %s)",
                [redemption.stock_ids, redemption.use_ids, redemption.quantity],
            )
    move(
        redemption,
        Redemption.Status.CANCELED,
        RedemptionEvent.Kind.CANCELED,
        actor=actor,
        now=now,
        reason=reason,
        canceled_at=now,
    )
    return redemption


def _void(voucher: Voucher, *, actor: User | None, now: dt.datetime, reason: str) -> None:
    if voucher.state != Voucher.State.ISSUED:
        return
    try:
        cancel_voucher(actor=actor, now=now, voucher_id=voucher.pk, reason=reason)
    except VoucherRefused as problem:
        # Used in this very moment.
        raise CancellationRefused(code="voucher_used") from problem
