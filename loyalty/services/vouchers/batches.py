"""Many vouchers at once: ordering a batch, issuing it in the background, canceling it, noting who took its codes."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import TYPE_CHECKING

from django.db import transaction
from django.db.models import F

from hotels.services.audit import record_audit
from loyalty.models import Voucher, VoucherBatch, VoucherEvent, VoucherType
from loyalty.services.vouchers.history import change_vouchers, event_values
from loyalty.services.vouchers.issuing import days_of, insert_for_batch, reserve
from loyalty.services.vouchers.refusals import refused

if TYPE_CHECKING:
    from hotels.models import User

BATCH_MAXIMUM = 1_000_000
# A transaction: large enough to cost little, small enough to show progress and to lose little.
CHUNK = 20_000
Status = VoucherBatch.Status


@transaction.atomic
def order_batch(
    *, actor: User | None, now: dt.datetime, type_id: int, quantity: int, purpose: str, request_key: uuid.UUID
) -> VoucherBatch:
    """Order vouchers for nobody in particular; a worker issues them.

    The whole quantity is taken off the type's limit at once, so that a batch never stops half way for want of it.

    Args:
        actor: Who orders.
        now: Aware instant.
        type_id: The type.
        quantity: How many, to `BATCH_MAXIMUM`.
        purpose: What for.
        request_key: Made once per form; the same key again returns the same batch.

    Raises:
        VoucherRefused: `quantity`, `type_not_open`, `issue_limit`, `already_over`, `request_conflict`.
    """
    if not 0 < quantity <= BATCH_MAXIMUM:
        raise refused(code="quantity", limit=f"{BATCH_MAXIMUM:,}")
    if known := _ordered(request_key, type_id, quantity):
        return known
    voucher_type = reserve(type_id=type_id, now=now, count=quantity)
    # Whoever sent the same form at the same time held the type until its batch was there.
    if known := _ordered(request_key, type_id, quantity):
        VoucherType.objects.filter(pk=type_id).update(issued_count=F("issued_count") - quantity)
        return known
    batch = VoucherBatch.objects.create(
        type=voucher_type,
        purpose=purpose.strip()[:120],
        quantity=quantity,
        request_key=request_key,
        created_by=actor,
        created_at=now,
        **days_of(voucher_type, voucher_type.programme.local_date(now)),
    )
    record_audit(
        actor=actor,
        now=now,
        action="voucherbatch.ordered",
        target=batch,
        label=str(batch),
        after={"type": voucher_type.code, "quantity": quantity},
    )
    return batch


def _ordered(request_key: uuid.UUID, type_id: int, quantity: int) -> VoucherBatch | None:
    known = VoucherBatch.objects.filter(request_key=request_key).first()
    if known is not None and (known.type_id, known.quantity) != (type_id, quantity):
        raise refused(code="request_conflict")
    return known


def due_batches(*, limit: int = 20) -> list[int]:
    """Batches that are not issued to the end."""
    return list(VoucherBatch.objects.filter(status=Status.ISSUING).order_by("pk").values_list("pk", flat=True)[:limit])


def run_batch(*, batch_id: int, now: dt.datetime, chunk: int = CHUNK) -> int:
    """Issue what a batch lacks, a transaction for each chunk.

    Safe to break off, to run again and to run twice at once: each chunk holds the batch, sees what is there and adds
    what is missing, so that exactly the ordered number comes out.

    Args:
        batch_id: The batch.
        now: Aware instant the vouchers are dated with.
        chunk: Vouchers a transaction.

    Returns:
        How many this call issued.
    """
    total = 0
    while issued := _run_chunk(batch_id, now, chunk):
        total += issued
    return total


@transaction.atomic
def _run_chunk(batch_id: int, now: dt.datetime, chunk: int) -> int:
    batch = (
        VoucherBatch.objects.select_for_update(no_key=True, of=("self",))
        .select_related("type")
        .filter(pk=batch_id, status=Status.ISSUING)
        .first()
    )
    if batch is None:
        return 0
    first = batch.issued_count + 1
    last = min(batch.issued_count + chunk, batch.quantity)
    batch.issued_count = last
    if last == batch.quantity:
        batch.status = Status.ISSUED
        batch.finished_at = now
    batch.save(update_fields=["issued_count", "status", "finished_at"])
    return insert_for_batch(
        batch.type,
        batch_id=batch.pk,
        first=first,
        last=last,
        days={"valid_from": batch.valid_from, "expires_on": batch.expires_on},
        facts=event_values(VoucherEvent.Kind.ISSUED, at=now, actor_id=batch.created_by_id, reason=batch.purpose),
    )


@transaction.atomic
def cancel_batch(*, actor: User | None, now: dt.datetime, batch_id: int, reason: str) -> VoucherBatch:
    """Stop a batch and cancel those of its vouchers that are open; what was used stays used.

    What was not issued yet is given back to the type's limit. A second call changes nothing.

    Raises:
        VoucherRefused: `reason_required`.
    """
    if not reason.strip():
        raise refused(code="reason_required")
    batch = VoucherBatch.objects.select_for_update(no_key=True, of=("self",)).select_related("type").get(pk=batch_id)
    if batch.status == Status.CANCELED:
        return batch
    before = batch.status
    missing = batch.quantity - batch.issued_count
    batch.status = Status.CANCELED
    batch.finished_at = now
    batch.save(update_fields=["status", "finished_at"])
    if missing:
        VoucherType.objects.filter(pk=batch.type_id).update(issued_count=F("issued_count") - missing)
    canceled = change_vouchers(
        ids=list(
            Voucher.objects.filter(batch=batch, state=Voucher.State.ISSUED).order_by("pk").values_list("pk", flat=True)
        ),
        state=Voucher.State.ISSUED,
        sets={"state": Voucher.State.CANCELED.value},
        event=event_values(
            VoucherEvent.Kind.CANCELED, at=now, actor_id=actor.pk if actor else None, reason=reason[:200]
        ),
    )
    record_audit(
        actor=actor,
        now=now,
        action="voucherbatch.canceled",
        target=batch,
        label=str(batch),
        before={"status": before},
        after={"canceled": len(canceled), "not_issued": missing},
        reason=reason,
    )
    return batch


def record_export(*, actor: User, now: dt.datetime, batch: VoucherBatch, file_format: str) -> None:
    """Write down who took the codes of a batch out of the house."""
    record_audit(
        actor=actor,
        now=now,
        action="voucherbatch.exported",
        target=batch,
        label=str(batch),
        after={"format": file_format, "codes": batch.issued_count},
    )
