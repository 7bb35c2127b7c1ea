"""Passing a voucher on, and canceling one."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from django.db import transaction

from hotels.services.audit import record_audit
from loyalty.models import Membership, Voucher, VoucherEvent, VoucherType
from loyalty.selectors.vouchers import detailed_vouchers
from loyalty.services.vouchers.history import change_vouchers, event_values
from loyalty.services.vouchers.issuing import check_member_limit, check_members
from loyalty.services.vouchers.refusals import refused

if TYPE_CHECKING:
    from hotels.models import Property, User


@transaction.atomic
def transfer_voucher(
    *,
    actor: User | None,
    now: dt.datetime,
    voucher_id: int,
    to_membership_id: int,
    place: Property | None = None,
    reason: str = "",
) -> Voucher:
    """Pass an open voucher on to another member.

    Args:
        actor: Who does it at the desk; None for the owner themself.
        now: Aware instant.
        voucher_id: The voucher; a bearer voucher becomes the member's own.
        to_membership_id: Whose it is to be.
        place: Where.
        reason: In the actor's words.

    Raises:
        VoucherRefused: `transfer_not_allowed`, `transfer_to_self`, `not_issued`, `other_programme`,
            `member_inactive`, `member_limit`.
    """
    voucher = (
        Voucher.objects.select_for_update(no_key=True, of=("self",))
        .select_related("type__programme")
        .get(pk=voucher_id)
    )
    if voucher.membership_id == to_membership_id:
        raise refused(code="transfer_to_self")
    is_over = voucher.expires_on is not None and voucher.expires_on < voucher.type.programme.local_date(now)
    if voucher.state != Voucher.State.ISSUED or is_over:
        raise refused(code="not_issued")
    if voucher.membership_id is not None and not voucher.type.is_transferable:
        raise refused(code="transfer_not_allowed")
    if voucher.type.per_member_limit is not None:
        # Held, so that two vouchers for one member come one after the other.
        VoucherType.objects.select_for_update(no_key=True).only("pk").get(pk=voucher.type_id)
    check_members(voucher.type, [to_membership_id])
    check_member_limit(voucher.type, [to_membership_id])
    change_vouchers(
        ids=[voucher_id],
        state=Voucher.State.ISSUED,
        # The new owner is reminded as well.
        sets={"membership_id": to_membership_id, "reminded_on": None},
        event=event_values(
            VoucherEvent.Kind.TRANSFERRED,
            at=now,
            actor_id=actor.pk if actor else None,
            property_id=place.pk if place else None,
            from_membership_id=voucher.membership_id,
            membership_id=to_membership_id,
            reason=reason[:200],
        ),
    )
    names = dict(
        Membership.objects.filter(pk__in=[voucher.membership_id or 0, to_membership_id]).values_list("pk", "number")
    )
    record_audit(
        actor=actor,
        now=now,
        action="voucher.transferred",
        target=voucher,
        label=f"{voucher.type.code} {voucher}",
        place=place,
        before={"member": names.get(voucher.membership_id or 0)},
        after={"member": names[to_membership_id]},
        reason=reason,
    )
    return detailed_vouchers().get(pk=voucher_id)


@transaction.atomic
def cancel_voucher(
    *, actor: User | None, now: dt.datetime, voucher_id: int, reason: str, place: Property | None = None
) -> Voucher:
    """Cancel an open voucher for good; a second call changes nothing.

    Args:
        actor: Who cancels.
        now: Aware instant.
        voucher_id: The voucher.
        reason: Why; demanded.
        place: Where.

    Raises:
        VoucherRefused: `reason_required`, `not_issued`.
    """
    if not reason.strip():
        raise refused(code="reason_required")
    canceled = change_vouchers(
        ids=[voucher_id],
        state=Voucher.State.ISSUED,
        sets={"state": Voucher.State.CANCELED.value},
        event=event_values(
            VoucherEvent.Kind.CANCELED,
            at=now,
            actor_id=actor.pk if actor else None,
            property_id=place.pk if place else None,
            reason=reason[:200],
        ),
    )
    voucher = detailed_vouchers().get(pk=voucher_id)
    if not canceled:
        if voucher.state == Voucher.State.CANCELED:
            return voucher
        raise refused(code="not_issued")
    record_audit(
        actor=actor,
        now=now,
        action="voucher.canceled",
        target=voucher,
        label=f"{voucher.type.code} {voucher}",
        place=place,
        reason=reason,
    )
    return voucher
