"""Vouchers at the end of their life: ended after their last day, their owners reminded before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from loyalty.models import JobRun
from loyalty.services.jobs.contract import BatchReport, DueSet, Job, RunContext
from loyalty.services.vouchers import (
    EXPIRY_DUE,
    REMINDER_DUE,
    expire_batch_of_vouchers,
    remind_batch_of_vouchers,
)

# No voucher is in both: one is over, the other is not.
_DUE = f"{EXPIRY_DUE} UNION ALL {REMINDER_DUE}"


class ExpireVouchers(Job):
    """Ends vouchers whose last day is over, and notes whom to remind of one that is about to end."""

    code: ClassVar[JobRun.Job] = JobRun.Job.EXPIRE_VOUCHERS
    subject: ClassVar[str] = "voucher"
    # A use that is taken back after the last day leaves a voucher to end.
    takes_late_arrivals: ClassVar[bool] = True

    def due(self, context: RunContext) -> DueSet:
        """Vouchers to end and vouchers to remind of."""
        return DueSet(_DUE, {"run_date": context.run_date, "programme_id": context.programme.pk})

    def work(self, context: RunContext, ids: Sequence[int]) -> BatchReport:
        """End those that are over; the others are those to remind of."""
        ended = expire_batch_of_vouchers(now=context.now, run_date=context.run_date, ids=ids)
        reminded = remind_batch_of_vouchers(now=context.now, run_date=context.run_date, ids=ids)
        done = ended.done + reminded.done
        figures = {"ended": ended.done, "reminders": reminded.done}
        return BatchReport(
            done=done,
            # Both look at all of them, and lock the same ones.
            busy=reminded.busy,
            skipped=len(ids) - done - reminded.busy,
            figures={name: count for name, count in figures.items() if count},
        )
