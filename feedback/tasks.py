"""Background work of feedback: one service call a task, safe to run twice and at the same time."""

from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from feedback import services


@shared_task(name="feedback.send_reminders", soft_time_limit=50, time_limit=60)
def send_reminders() -> int:
    """Tell those on duty what runs out of time."""
    return services.send_reminders(now=timezone.now()).sent


@shared_task(name="feedback.assign_waiting", soft_time_limit=50, time_limit=60)
def assign_waiting() -> int:
    """Give tickets that nobody owns to people on duty."""
    return services.assign_waiting(now=timezone.now())


@shared_task(name="feedback.close_shifts", soft_time_limit=50, time_limit=60)
def close_shifts() -> int:
    """Make the lists of what is to be handed over."""
    return services.close_shifts(now=timezone.now())
