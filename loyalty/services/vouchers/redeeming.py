"""Using a voucher, exactly once, and taking the use back."""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from django.db import connection, transaction

from hotels.services.audit import record_audit
from loyalty.models import Membership, Voucher, VoucherEvent
from loyalty.selectors.vouchers import check_voucher, detailed_vouchers
from loyalty.services.ledger import RequestKey
from loyalty.services.vouchers.history import answered, change_vouchers, event_values, request_facts, request_hash
from loyalty.services.vouchers.refusals import VoucherRefused, refused

if TYPE_CHECKING:
    from hotels.models import Property, User

# Whoever may redeem may take it back for so long; later it needs `loyalty.undo_voucher`.
UNDO_WITHIN = dt.timedelta(minutes=30)
# So that a retry finds the use its first attempt made.
NAMESPACE = uuid.UUID("0b7f6a54-7c4e-4f0d-9a51-6d1c3c6e2f10")


@dataclass(frozen=True, slots=True)
class Redeemed:
    """The use of a voucher.

    Attributes:
        voucher: As it stands now; a retry may find it undone since.
        redemption_id: Names this use, for undoing it.
        amount: Taken off; None for what is not money.
        currency: Of the amount.
        replayed: Whether an earlier sending of the request had done it.
    """

    voucher: Voucher
    redemption_id: uuid.UUID
    amount: Decimal | None
    currency: str
    replayed: bool = False


@transaction.atomic
def redeem_voucher(
    *,
    actor: User,
    now: dt.datetime,
    voucher_id: int,
    place: Property,
    request: RequestKey,
    membership_id: int | None = None,
    spend: Decimal | None = None,
    reference: str = "",
    stay_id: int | None = None,
) -> Redeemed:
    """Use a voucher.

    Args:
        actor: Who redeems it, at the desk or as an outlet's system.
        now: Aware instant.
        voucher_id: The voucher.
        place: The property.
        request: Made once per form or request; the same key again returns the same use.
        membership_id: Who presents it; None if nobody said.
        spend: What it is used on, in the property's currency.
        reference: Folio or check it is used on.
        stay_id: The stay, if it is known.

    Raises:
        VoucherRefused: `redeemed_at`, `expired`, … – any of the reasons of `loyalty.rules.vouchers.why_not`, or
            `request_conflict`.
    """
    reference = reference.strip()[:80]
    digest = request_hash("redeem", voucher_id, place.pk, membership_id, spend and f"{spend:.2f}", reference)
    if event := answered(request, VoucherEvent.Kind.REDEEMED, digest):
        return _replay(event)
    # Whoever comes second waits here and then sees what the first left behind.
    Voucher.objects.select_for_update(no_key=True).only("pk").get(pk=voucher_id)
    if event := answered(request, VoucherEvent.Kind.REDEEMED, digest):
        return _replay(event)
    if reference:
        _lock_folio(place, reference)
    presenter = Membership.objects.select_related("tier").get(pk=membership_id) if membership_id else None
    voucher = detailed_vouchers().get(pk=voucher_id)
    check = check_voucher(voucher=voucher, now=now, place=place, presenter=presenter, spend=spend, reference=reference)
    if check.refusal is not None:
        raise VoucherRefused(check.refusal)
    redemption_id = uuid.uuid5(NAMESPACE, f"{voucher_id}/{request.client}/{request.key}")
    used = change_vouchers(
        ids=[voucher_id],
        state=Voucher.State.ISSUED,
        sets={
            "state": Voucher.State.REDEEMED.value,
            "redemption_id": redemption_id,
            "redeemed_at": now,
            "redeemed_by_id": actor.pk,
            "redeemed_property_id": place.pk,
            "folio_reference": reference,
            "stay_id": stay_id,
            "spend": spend,
            "amount_applied": check.amount,
        },
        event=event_values(
            VoucherEvent.Kind.REDEEMED,
            at=now,
            actor_id=actor.pk,
            property_id=place.pk,
            membership_id=membership_id,
            redemption_id=redemption_id,
            folio_reference=reference,
            amount=check.amount,
            **request_facts(request, digest),
        ),
    )
    if not used:
        raise refused(code="redeemed")
    record_audit(
        actor=actor,
        now=now,
        action="voucher.redeemed",
        target=voucher,
        label=f"{voucher.type.code} {voucher}",
        place=place,
        after={"amount": str(check.amount) if check.amount is not None else None, "folio": reference},
    )
    return Redeemed(detailed_vouchers().get(pk=voucher_id), redemption_id, check.amount, check.currency)


def _replay(event: VoucherEvent) -> Redeemed:
    voucher = detailed_vouchers().get(pk=event.voucher_id)
    if event.redemption_id is None or event.property is None:
        raise refused(code="request_conflict")
    currency = (voucher.type.currency or event.property.currency) if event.amount is not None else ""
    return Redeemed(voucher, event.redemption_id, event.amount, currency, replayed=True)


def _lock_folio(place: Property, reference: str) -> None:
    """Two vouchers for one folio come one after the other, so that the second sees the first."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"voucher/{place.pk}/{reference}"])


@transaction.atomic
def undo_redemption(
    *,
    actor: User,
    now: dt.datetime,
    redemption_id: uuid.UUID,
    place: Property,
    may_undo_late: bool = False,
    reason: str = "",
) -> Voucher:
    """Give a voucher back as if it had not been used; both entries remain. A second call changes nothing.

    A voucher whose last day passed meanwhile is given back and then expires.

    Args:
        actor: Who takes the use back.
        now: Aware instant.
        redemption_id: Which use, as `Redeemed` names it: a later use of the same voucher is left alone.
        place: Where the actor works; it has to be where the voucher was used.
        may_undo_late: Whether the actor may do so after `UNDO_WITHIN`.
        reason: In the actor's words.

    Raises:
        VoucherRefused: `unknown`, `undo_elsewhere`, `undo_too_late`.
    """
    used = VoucherEvent.objects.filter(redemption_id=redemption_id, kind=VoucherEvent.Kind.REDEEMED).first()
    if used is None:
        raise refused(code="unknown")
    if used.property_id != place.pk:
        raise refused(code="undo_elsewhere")
    Voucher.objects.select_for_update(no_key=True).only("pk").get(pk=used.voucher_id)
    if VoucherEvent.objects.filter(redemption_id=redemption_id, kind=VoucherEvent.Kind.UNDONE).exists():
        return detailed_vouchers().get(pk=used.voucher_id)
    if now - used.at > UNDO_WITHIN and not may_undo_late:
        raise refused(code="undo_too_late")
    undone = change_vouchers(
        ids=[used.voucher_id],
        state=Voucher.State.REDEEMED,
        still="AND v.redemption_id = %(redemption_id)s",
        redemption_id=redemption_id,
        sets={
            "state": Voucher.State.ISSUED.value,
            "redemption_id": None,
            "redeemed_at": None,
            "redeemed_by_id": None,
            "redeemed_property_id": None,
            "folio_reference": "",
            "stay_id": None,
            "spend": None,
            "amount_applied": None,
        },
        event=event_values(
            VoucherEvent.Kind.UNDONE,
            at=now,
            actor_id=actor.pk,
            property_id=place.pk,
            membership_id=used.membership_id,
            redemption_id=redemption_id,
            folio_reference=used.folio_reference,
            amount=used.amount,
            reason=reason[:200],
        ),
    )
    if not undone:
        raise refused(code="not_redeemed")
    voucher = detailed_vouchers().get(pk=used.voucher_id)
    record_audit(
        actor=actor,
        now=now,
        action="voucher.undone",
        target=voucher,
        label=f"{voucher.type.code} {voucher}",
        place=place,
        before={"amount": str(used.amount) if used.amount is not None else None, "folio": used.folio_reference},
        reason=reason,
    )
    return voucher
