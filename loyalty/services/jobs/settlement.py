"""The settlement of the month before, between the properties of a programme."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from loyalty.models import JobError, JobRun
from loyalty.services.jobs.contract import BatchReport, DueSet, Job, RunContext
from loyalty.services.settlement import (
    DUE,
    close_settlement,
    month_before,
    settle_accounts,
    settlement_params,
)


class Settle(Job):
    """Settles the month before that of the run date and closes it; a closed month has nothing due any more."""

    code: ClassVar[JobRun.Job] = JobRun.Job.SETTLE

    def due(self, context: RunContext) -> DueSet:
        """Accounts with redemptions that are in no settlement yet."""
        return DueSet(DUE, settlement_params(programme=context.programme, month=month_before(context.run_date)))

    def work(self, context: RunContext, ids: Sequence[int]) -> BatchReport:
        """Write what each redemption makes one property owe another."""
        settled = settle_accounts(
            now=context.now, programme=context.programme, month=month_before(context.run_date), account_ids=ids
        )
        return BatchReport(done=len(ids), points=settled.points, figures={"items": settled.items})

    def finish(self, context: RunContext) -> BatchReport:
        """Close the month, unless a redemption could not be settled: then it stays open for the next start."""
        failed = JobError.objects.filter(run=context.run_id, outcome=JobError.Outcome.FAILED)
        if context.run_id is None or failed.exists():
            return BatchReport()
        job_run = JobRun.objects.select_related("started_by").get(pk=context.run_id)
        run = close_settlement(
            actor=job_run.started_by, now=context.now, programme=context.programme, month=month_before(context.run_date)
        )
        return BatchReport(figures={"lines": run.lines.count()})
