"""Background work of the programme: one service call a task, safe to run twice."""

from __future__ import annotations

import datetime as dt

from celery import shared_task
from django.utils import timezone

from loyalty.models import JobRun
from loyalty.services import jobs

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
    jobs.time_out_holds(now=timezone.now())
