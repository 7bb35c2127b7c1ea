"""Work of this app in the background."""

from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from hotels.services import drafts, idempotency, presence


@shared_task(soft_time_limit=600, time_limit=660)
def delete_old_answers() -> int:
    """Forget the answers to requests of API clients that nobody repeats any more."""
    return idempotency.delete_old_answers(now=timezone.now())


@shared_task(soft_time_limit=600, time_limit=660)
def delete_old_drafts() -> int:
    """Forget drafts that nobody came back to, and who once had a record open."""
    now = timezone.now()
    return drafts.delete_old_drafts(now=now) + presence.delete_old_presences(now=now)
