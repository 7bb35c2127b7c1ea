"""Release of pending points and expiry of lapsed ones: accounts in batches, through the ledger's own function."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any, ClassVar

from django.db import connection

from loyalty.models import JobError, JobRun
from loyalty.services.jobs.contract import BatchReport, DueSet, Job, RunContext
from loyalty.services.jobs.working import JobReport, run_job

_POST = "SELECT done, points, skipped, busy, inactive FROM loyalty_post_due(%s, %s, %s, %s)"
_RELEASE_DUE = """
    SELECT l.account_id AS id, sum(l.remaining)::bigint AS points
    FROM loyalty_lot l JOIN loyalty_account a ON a.id = l.account_id
    WHERE l.state = 'pending' AND l.release_on <= %(run_date)s AND a.programme_id = %(programme)s
    GROUP BY l.account_id
"""
_LAPSED_BY_DATE = """
    SELECT l.account_id AS id, sum(l.remaining)::bigint AS points
    FROM loyalty_lot l JOIN loyalty_account a ON a.id = l.account_id
    WHERE l.state = 'open' AND l.expires_on < %(run_date)s AND a.programme_id = %(programme)s
    GROUP BY l.account_id
"""
# Each lot once: an inactive member's lapsed lots are counted with the others of theirs.
_LAPSED = """
    WITH inactive AS MATERIALIZED (
        SELECT f.account_id FROM loyalty_inactive_accounts(%(programme)s, %(run_date)s) f
        WHERE f.usable_until < %(run_date)s
    )
    SELECT q.id, sum(q.points)::bigint AS points
    FROM (
        SELECT l.account_id AS id, l.remaining AS points
        FROM loyalty_lot l JOIN loyalty_account a ON a.id = l.account_id
        WHERE l.state = 'open' AND l.expires_on < %(run_date)s AND a.programme_id = %(programme)s
        UNION ALL
        SELECT l.account_id, l.remaining
        FROM inactive i JOIN loyalty_lot l ON l.account_id = i.account_id
        WHERE l.state = 'open' AND l.lot_class IN ('earned', 'bonus')
            AND (l.expires_on IS NULL OR l.expires_on >= %(run_date)s)
    ) q
    GROUP BY q.id
"""
_HELD_BACK = """
    SELECT f.account_id, f.membership_id, f.points, f.lapses_on
    FROM loyalty_inactive_accounts(%(programme)s, %(run_date)s) f
    WHERE f.usable_until IS NULL OR f.usable_until >= %(run_date)s
"""
_COUNT_INACTIVE = """
    SELECT count(*) FILTER (WHERE f.usable_until < %(run_date)s),
        count(*) FILTER (WHERE f.usable_until IS NULL OR f.usable_until >= %(run_date)s)
    FROM loyalty_inactive_accounts(%(programme)s, %(run_date)s) f
"""
_KEEP_HELD_BACK = f"""
    INSERT INTO loyalty_joberror (run_id, subject_id, membership_id, outcome, code, message, points, at)
    SELECT %(run)s, h.account_id, h.membership_id, 'held_back', 'not_notified', '', h.points, %(now)s
    FROM ({_HELD_BACK}) h
    ON CONFLICT (run_id, subject_id) DO NOTHING
"""  # noqa: S608


def _params(context: RunContext) -> dict[str, Any]:
    return {"run_date": context.run_date, "programme": context.programme.pk}


def _post(verb: str, context: RunContext, ids: Sequence[int]) -> tuple[BatchReport, int]:
    with connection.cursor() as cursor:
        cursor.execute(_POST, [verb, list(ids), context.now, context.run_date])
        done, points, skipped, busy, inactive = cursor.fetchone()
    return BatchReport(done=done, points=points, skipped=skipped, busy=busy), inactive


class ReleasePoints(Job):
    """Opens the pending points whose day has come; a debt is repaid from them first."""

    code: ClassVar[JobRun.Job] = JobRun.Job.RELEASE_POINTS
    # A stay posted late brings points whose dispute window is over already.
    takes_late_arrivals = True

    def due(self, context: RunContext) -> DueSet:
        """Accounts with pending lots up to the run date."""
        return DueSet(_RELEASE_DUE, _params(context))

    def work(self, context: RunContext, ids: Sequence[int]) -> BatchReport:
        """One release for each account."""
        return _post("release", context, ids)[0]


class ExpirePoints(Job):
    """Books out lots whose last day is over, and all that inactivity takes."""

    code: ClassVar[JobRun.Job] = JobRun.Job.EXPIRE_POINTS

    def due(self, context: RunContext) -> DueSet:
        """Accounts with lots that lapsed before the run date, by their own date or by inactivity."""
        sql = _LAPSED if context.programme.inactivity_months else _LAPSED_BY_DATE
        return DueSet(sql, _params(context))

    def work(self, context: RunContext, ids: Sequence[int]) -> BatchReport:
        """One expiry for each account."""
        report, inactive = _post("expire", context, ids)
        if not inactive:
            return report
        return BatchReport(report.done, report.points, report.busy, report.skipped, figures={"inactive": inactive})

    def finish(self, context: RunContext) -> BatchReport:
        """List the members whose points did not lapse because they were not told."""
        if not (context.programme.inactivity_months and context.programme.expiry_needs_notice):
            return BatchReport()
        with connection.cursor() as cursor:
            JobError.objects.filter(run_id=context.run_id, outcome=JobError.Outcome.HELD_BACK).delete()
            cursor.execute(_KEEP_HELD_BACK, {**_params(context), "run": context.run_id, "now": context.now})
            return BatchReport(figures={"held_back": cursor.rowcount})

    def preview_figures(self, context: RunContext) -> dict[str, int]:
        """How many lapse by inactivity, how many are held back."""
        if not context.programme.inactivity_months:
            return {}
        with connection.cursor() as cursor:
            cursor.execute(_COUNT_INACTIVE, _params(context))
            inactive, held_back = cursor.fetchone()
        return {"inactive": inactive, "held_back": held_back}


def release_due_points(
    *,
    now: dt.datetime,
    as_of: dt.date | None = None,
    programme_id: int | None = None,
    batch_size: int | None = None,
) -> JobReport:
    """Open the pending points whose day has come.

    Args:
        now: Aware instant the postings are stamped with.
        as_of: Run date; by default, and at the latest, today in each programme's time zone.
        programme_id: One programme only.
        batch_size: Accounts a transaction.

    Returns:
        Accounts, points opened (a debt is repaid from them first), accounts left busy.

    Raises:
        RunDateAhead: `as_of` lies ahead.
        AnotherRunGoesOn: A worker is at the run of another date.
    """
    return run_job(
        now=now, job=JobRun.Job.RELEASE_POINTS, run_date=as_of, programme_id=programme_id, batch_size=batch_size
    )


def expire_lapsed_points(
    *,
    now: dt.datetime,
    as_of: dt.date | None = None,
    programme_id: int | None = None,
    batch_size: int | None = None,
) -> JobReport:
    """Book out the lots whose last day is over, and what inactivity takes; a last day is usable to its end.

    Args:
        now: Aware instant the postings are stamped with.
        as_of: Run date; lots that expire before it lapse. By default, and at the latest, today in
            each programme's time zone.
        programme_id: One programme only.
        batch_size: Accounts a transaction.

    Returns:
        Accounts, points expired, accounts left busy.

    Raises:
        RunDateAhead: `as_of` lies ahead.
        AnotherRunGoesOn: A worker is at the run of another date.
    """
    return run_job(
        now=now, job=JobRun.Job.EXPIRE_POINTS, run_date=as_of, programme_id=programme_id, batch_size=batch_size
    )
