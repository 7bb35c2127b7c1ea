"""Giving back the points of holds whose time has passed: a run a day, taken up again every few minutes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import ClassVar

from django.db import connection

from loyalty.models import Hold, JobRun
from loyalty.services.jobs.contract import BatchReport, DueSet, Job, RunContext
from loyalty.services.jobs.working import JobReport, run_job
from loyalty.services.ledger import Movement, Verb, post_movements

_DUE = """
    SELECT h.id, h.points FROM loyalty_hold h JOIN loyalty_account a ON a.id = h.account_id
    WHERE h.state = 'active' AND h.hold_until <= %(now)s AND a.programme_id = %(programme)s
"""
_LOCK = "SELECT id FROM loyalty_account WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE SKIP LOCKED"


class TimeOutHolds(Job):
    """Gives back the points of holds whose time has passed."""

    code: ClassVar[JobRun.Job] = JobRun.Job.TIME_OUT_HOLDS
    subject: ClassVar[str] = "hold"
    # Holds end at any minute of the day.
    takes_late_arrivals: ClassVar[bool] = True

    def due(self, context: RunContext) -> DueSet:
        """Active holds that end by now, whatever the run's date."""
        return DueSet(_DUE, {"now": context.now, "programme": context.programme.pk})

    def work(self, context: RunContext, ids: Sequence[int]) -> BatchReport:
        """Void them; someone may have closed one since the look."""
        account_of = dict(Hold.objects.filter(pk__in=ids).order_by("account_id").values_list("pk", "account_id"))
        free = _lock(list(account_of.values()))
        movements = [
            Movement(verb=Verb.VOID, now=context.now, hold_id=pk)
            for pk, account_id in account_of.items()
            if account_id in free
        ]
        posted = [result for result in post_movements(movements, strict=False) if result.error is None]
        return BatchReport(
            done=len(posted),
            points=sum(result.points for result in posted),
            busy=len(account_of) - len(movements),
            skipped=len(movements) - len(posted),
        )


def time_out_holds(*, now: dt.datetime, programme_id: int | None = None, batch_size: int | None = None) -> JobReport:
    """Give back the points of holds whose time has passed.

    Args:
        now: Aware instant.
        programme_id: One programme only.
        batch_size: Holds a transaction.

    Returns:
        Holds, points given back, holds left busy.
    """
    return run_job(now=now, job=JobRun.Job.TIME_OUT_HOLDS, programme_id=programme_id, batch_size=batch_size)


def _lock(account_ids: Sequence[int]) -> set[int]:
    with connection.cursor() as cursor:
        cursor.execute(_LOCK, [list(account_ids)])
        return {row[0] for row in cursor.fetchall()}
