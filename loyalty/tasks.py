"""Background work of the programme: one service call a task, safe to run twice."""

from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from loyalty.services import jobs
from loyalty.services import vouchers as voucher_services

_HOUR = 3600


@shared_task(name="loyalty.release_points", soft_time_limit=_HOUR, time_limit=_HOUR + 60)
def release_points(*, programme_id: int | None = None) -> None:
    """Open the pending points whose day has come, of one programme or all."""
    jobs.release_due_points(now=timezone.now(), programme_id=programme_id)


@shared_task(name="loyalty.expire_points", soft_time_limit=_HOUR, time_limit=_HOUR + 60)
def expire_points(*, programme_id: int | None = None) -> None:
    """Book out lapsed points, of one programme or all."""
    jobs.expire_lapsed_points(now=timezone.now(), programme_id=programme_id)


@shared_task(name="loyalty.time_out_holds", soft_time_limit=240, time_limit=300)
def time_out_holds() -> None:
    """Give back the points of holds whose time has passed."""
    jobs.time_out_holds(now=timezone.now())


@shared_task(name="loyalty.run_voucher_batch", soft_time_limit=_HOUR, time_limit=_HOUR + 60, acks_late=True)
def run_voucher_batch(*, batch_id: int) -> int:
    """Issue what a batch of vouchers lacks; harmless if it is issued, running or canceled."""
    return voucher_services.run_batch(batch_id=batch_id, now=timezone.now())


@shared_task(name="loyalty.resume_voucher_batches", soft_time_limit=50, time_limit=60)
def resume_voucher_batches() -> int:
    """Send batches that are not issued to the end to a worker again: their message was lost, or their worker died."""
    batch_ids = voucher_services.due_batches()
    for batch_id in batch_ids:
        run_voucher_batch.delay(batch_id=batch_id)
    return len(batch_ids)


@shared_task(name="loyalty.expire_vouchers", soft_time_limit=_HOUR, time_limit=_HOUR + 60)
def expire_vouchers(*, programme_id: int | None = None) -> None:
    """End vouchers whose last day is over and note reminders that are due, of one programme or all."""
    now = timezone.now()
    voucher_services.expire_vouchers(now=now, programme_id=programme_id)
    voucher_services.remind_vouchers(now=now, programme_id=programme_id)
