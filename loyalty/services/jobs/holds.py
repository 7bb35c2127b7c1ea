"""Giving back the points of holds whose time has passed: every few minutes, by holds and not by dates."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from django.db import connection, transaction

from loyalty.models import Hold
from loyalty.services.jobs.contract import BATCH_SIZE
from loyalty.services.jobs.working import JobReport
from loyalty.services.ledger import Movement, Verb, post_movements

_LOCK = "SELECT id FROM loyalty_account WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE SKIP LOCKED"


def time_out_holds(*, now: dt.datetime, batch_size: int = BATCH_SIZE) -> JobReport:
    """Give back the points of holds whose time has passed.

    Args:
        now: Aware instant.
        batch_size: Holds a transaction.

    Returns:
        Holds, points given back, holds left busy.
    """
    due = Hold.objects.filter(state=Hold.State.ACTIVE, hold_until__lte=now).order_by("account_id", "id")
    report = JobReport()
    rows = list(due.values_list("id", "account_id"))
    for start in range(0, len(rows), batch_size):
        batch = rows[start : start + batch_size]
        with transaction.atomic():
            free = _lock([account_id for _, account_id in batch])
            movements = [
                Movement(verb=Verb.VOID, now=now, hold_id=pk) for pk, account_id in batch if account_id in free
            ]
            # Someone may have closed it since the look.
            posted = [result for result in post_movements(movements, strict=False) if result.error is None]
        report += JobReport(
            done=len(posted), points=sum(result.points for result in posted), busy=len(batch) - len(movements)
        )
    return report


def _lock(account_ids: Sequence[int]) -> set[int]:
    with connection.cursor() as cursor:
        cursor.execute(_LOCK, [list(account_ids)])
        return {row[0] for row in cursor.fetchall()}
