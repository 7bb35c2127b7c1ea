"""Background work of the programme: one service call a task, safe to run twice."""

from __future__ import annotations

import datetime as dt

from celery import shared_task
from django.utils import timezone

from loyalty.models import JobRun
from loyalty.services import approvals, backtests, jobs, redemptions
from loyalty.services import vouchers as voucher_services

_HOUR = 3600
# A run stops after the batch in which this passes, before the worker is warned; the next tick goes on with it.
_WORK = dt.timedelta(minutes=50)


@shared_task(name="loyalty.start_job_runs", soft_time_limit=_HOUR, time_limit=_HOUR + 60)
def start_job_runs(*, job: str, programme_id: int | None = None) -> None:
    """Start today's run of a job for each programme whose day has begun, and work what waits."""
    now = timezone.now()
    ids = None if programme_id is None else [programme_id]
    for run_id in jobs.start_scheduled_runs(now=now, job=job, programme_ids=ids):
        jobs.work_run(run_id=run_id, now=now, time_limit=_WORK)


@shared_task(name="loyalty.release_points", soft_time_limit=_HOUR, time_limit=_HOUR + 60)
def release_points(*, programme_id: int | None = None) -> None:
    """Open the pending points whose day has come, of one programme or all."""
    start_job_runs(job=JobRun.Job.RELEASE_POINTS, programme_id=programme_id)


@shared_task(name="loyalty.expire_points", soft_time_limit=_HOUR, time_limit=_HOUR + 60)
def expire_points(*, programme_id: int | None = None) -> None:
    """Book out lapsed points, of one programme or all."""
    start_job_runs(job=JobRun.Job.EXPIRE_POINTS, programme_id=programme_id)


@shared_task(name="loyalty.work_run", soft_time_limit=_HOUR, time_limit=_HOUR + 60)
def work_run(*, run_id: int) -> None:
    """Work one run; harmless if it is done, paused, or another worker is at it."""
    jobs.work_run(run_id=run_id, now=timezone.now(), time_limit=_WORK)


@shared_task(name="loyalty.resume_runs", soft_time_limit=50, time_limit=60)
def resume_runs() -> int:
    """Send runs that nobody works on to a worker again: their message was lost, or their worker died."""
    run_ids = jobs.waiting_runs()
    for run_id in run_ids:
        work_run.delay(run_id=run_id)
    return len(run_ids)


@shared_task(name="loyalty.time_out_holds", soft_time_limit=240, time_limit=300)
def time_out_holds() -> None:
    """Give back the points of holds whose time has passed."""
    start_job_runs(job=JobRun.Job.TIME_OUT_HOLDS)


@shared_task(name="loyalty.expire_approvals", soft_time_limit=240, time_limit=300)
def expire_approvals() -> int:
    """End requests for approval that nobody decided in time and give held points back."""
    return approvals.expire_requests(now=timezone.now())


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
    start_job_runs(job=JobRun.Job.EXPIRE_VOUCHERS, programme_id=programme_id)


@shared_task(name="loyalty.run_back_test", soft_time_limit=_HOUR, time_limit=_HOUR + 60)
def run_back_test(*, back_test_id: int) -> None:
    """Run one back-test; harmless if it is done, gone, or another worker is at it."""
    backtests.run_back_test(now=timezone.now(), back_test_id=back_test_id)


@shared_task(name="loyalty.expire_redemptions", soft_time_limit=_HOUR, time_limit=_HOUR + 60)
def expire_redemptions() -> None:
    """End redemptions that nobody asked for within the days of their reward; may be broken off and run again."""
    redemptions.expire_redemptions(now=timezone.now())
