"""Work over all members of a programme, by date: the frame (`contract`, `runs`, `working`) and the jobs of the ledger.

A run looks for what is due and works through it in batches, one transaction each, with its progress in the same
transaction. What is due is read from the records themselves, so a run that was stopped, killed or started twice for
a date carries on where they stand. A record at fault is listed and does not hold up the others; one that someone
else has locked is left for the end of the run, and for the next start when it is still busy then.
"""

from loyalty.services.jobs.birthdays import GrantBirthdays
from loyalty.services.jobs.contract import (
    BATCH_SIZE,
    BatchReport,
    DueSet,
    Job,
    RowError,
    RunContext,
    job_of,
    register_job,
    registered_jobs,
)
from loyalty.services.jobs.holds import TimeOutHolds, time_out_holds
from loyalty.services.jobs.notices import NotifyExpiry, record_notice_given
from loyalty.services.jobs.posting import ExpirePoints, ReleasePoints, expire_lapsed_points, release_due_points
from loyalty.services.jobs.runs import (
    AnotherRunGoesOn,
    JobRefused,
    RunDateAhead,
    RunEnded,
    RunPreview,
    cancel_run,
    pause_run,
    preview_run,
    resume_run,
    start_run,
    start_scheduled_runs,
    waiting_runs,
)
from loyalty.services.jobs.settlement import Settle
from loyalty.services.jobs.tiers import ReviewTiers
from loyalty.services.jobs.vouchers import ExpireVouchers
from loyalty.services.jobs.working import JobReport, run_job, work_run

register_job(ReleasePoints())
register_job(ExpirePoints())
register_job(NotifyExpiry())
register_job(GrantBirthdays())
register_job(ReviewTiers())
register_job(ExpireVouchers())
register_job(TimeOutHolds())
register_job(Settle())

__all__ = [
    "BATCH_SIZE",
    "AnotherRunGoesOn",
    "BatchReport",
    "DueSet",
    "ExpirePoints",
    "ExpireVouchers",
    "GrantBirthdays",
    "Job",
    "JobRefused",
    "JobReport",
    "NotifyExpiry",
    "ReleasePoints",
    "ReviewTiers",
    "RowError",
    "RunContext",
    "RunDateAhead",
    "RunEnded",
    "RunPreview",
    "Settle",
    "TimeOutHolds",
    "cancel_run",
    "expire_lapsed_points",
    "job_of",
    "pause_run",
    "preview_run",
    "record_notice_given",
    "register_job",
    "registered_jobs",
    "release_due_points",
    "resume_run",
    "run_job",
    "start_run",
    "start_scheduled_runs",
    "time_out_holds",
    "waiting_runs",
    "work_run",
]
