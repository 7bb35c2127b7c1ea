"""Background work of the programme: one service call a task, safe to run twice."""

from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from loyalty.services import jobs

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
