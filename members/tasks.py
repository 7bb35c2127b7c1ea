"""Work of this app in the background."""

from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from members.services.imports import discard_stale_imports as discard_stale_batches
from members.services.imports import due_imports, forget_traces
from members.services.imports import run_import as run_import_batch
from members.services.linkage import run_linkage


@shared_task(acks_late=True, soft_time_limit=3500, time_limit=3600)
def link_guests() -> bool:
    """Carry out the search for duplicates that waits; harmless if none does."""
    return run_linkage(now=timezone.now()) is not None


@shared_task(acks_late=True)
def run_import(*, batch_id: int) -> bool:
    """Check or apply one import; harmless if it is done, running or canceled."""
    return run_import_batch(batch_id=batch_id, now=timezone.now())


@shared_task(soft_time_limit=50, time_limit=60)
def resume_imports() -> int:
    """Send imports that nobody works on to a worker again: their message was lost, or their worker died."""
    batch_ids = due_imports()
    for batch_id in batch_ids:
        run_import.delay(batch_id=batch_id)
    return len(batch_ids)


@shared_task(soft_time_limit=300, time_limit=330)
def discard_stale_imports() -> int:
    """Give up uploaded files that nobody went on with, and what was kept for an undo that is too late now."""
    now = timezone.now()
    forget_traces(now=now)
    return discard_stale_batches(now=now)
