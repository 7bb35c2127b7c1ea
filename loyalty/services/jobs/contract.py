"""What a job is: a set of members that is due on a date, and the work on a batch of them.

To plug another job in: add its code to `JobRun.Job`, subclass `Job`, call `register_job` with an instance when
the app gets ready, and give it a row of django-celery-beat for the task `loyalty.start_job_runs`.
"""

from __future__ import annotations

import datetime as dt
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from loyalty.models import JobRun, Programme

BATCH_SIZE = 5000


@dataclass(frozen=True, slots=True)
class RunContext:
    """What a job may know of its run.

    Attributes:
        run_id: The run; None for a preview, which may write nothing.
        run_date: The calendar date in the programme's time zone that decides what is due.
        now: Aware instant that everything written is stamped with.
        parameters: The run's own, JSON.
    """

    run_id: int | None
    programme: Programme
    run_date: dt.date
    now: dt.datetime
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DueSet:
    """A query of what is due: columns `id` (of the job's subject, each once) and `points`.

    What was done is due no longer, or changes nothing when it is done again: that, and nothing else, makes a job
    safe to stop and to run twice. Parameters are named, `%(name)s`; names that begin with an underscore are the framework's.
    """

    sql: str
    params: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RowError:
    """One record that could not be worked on: stable `code`, and a message for the reader."""

    subject_id: int
    code: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class BatchReport:
    """What became of a batch.

    Attributes:
        done: Records worked on.
        points: Points moved, without sign.
        busy: Records that somebody else held locked; they are tried once more at the end of the run.
        skipped: Records that were no longer due when their turn came.
        errors: Records that cannot be worked on; they are not tried again in this run.
        figures: Further counts of the job's own by name; the run adds them up.
    """

    done: int = 0
    points: int = 0
    busy: int = 0
    skipped: int = 0
    errors: Sequence[RowError] = ()
    figures: Mapping[str, int] = field(default_factory=dict)


class Job(ABC):
    """A job over the members of a programme.

    Attributes:
        code: Which job.
        subject: What the ids are of: "account", "membership", "voucher" or "hold".
        batch_size: Records a transaction.
        takes_late_arrivals: Whether the schedule looks again, later on the same date, for what became due after the
            run was done. Otherwise it does so only for records that were busy.
    """

    code: ClassVar[JobRun.Job]
    subject: ClassVar[str] = "account"
    batch_size: ClassVar[int] = BATCH_SIZE
    takes_late_arrivals: ClassVar[bool] = False

    def is_wanted(self, programme: Programme) -> bool:  # noqa: ARG002
        """Whether the programme's policies ask for this job at all; the schedule starts no run otherwise."""
        return True

    @abstractmethod
    def due(self, context: RunContext) -> DueSet:
        """What is due on the run date."""

    @abstractmethod
    def work(self, context: RunContext, ids: Sequence[int]) -> BatchReport:
        """Work on a batch of ids in ascending order, inside one transaction that the framework commits.

        An exception undoes the batch; the framework then tries it in halves, so that the record at fault stands
        alone and the others are done.
        """

    def finish(self, context: RunContext) -> BatchReport:  # noqa: ARG002
        """Last step of a run, in the transaction that ends it; its figures replace those of an earlier end."""
        return BatchReport()

    def preview_figures(self, context: RunContext) -> dict[str, int]:  # noqa: ARG002
        """Further counts for “what would this run do”."""
        return {}


_jobs: dict[str, Job] = {}


def register_job(job: Job) -> None:
    """Make a job known; called once for each when the app gets ready."""
    _jobs[job.code] = job


def job_of(code: str) -> Job:
    """The job behind a code of `JobRun.Job`.

    Raises:
        LookupError: No such job is registered.
    """
    try:
        return _jobs[code]
    except KeyError:
        message = f"no job {str(code)!r} is registered"
        raise LookupError(message) from None


def registered_jobs() -> list[str]:
    """Codes of the jobs that can be started."""
    return list(_jobs)
