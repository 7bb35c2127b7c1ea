"""A worker's part of a run: claim it, work through what is due batch by batch, end it."""

from __future__ import annotations

import datetime as dt
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import structlog
from celery.exceptions import SoftTimeLimitExceeded
from django.db import DatabaseError, OperationalError, connection, transaction
from django.db.models.functions import Now

from loyalty.models import Account, Hold, JobError, JobRun, Programme, Voucher
from loyalty.services.jobs.contract import BatchReport, Job, RowError, RunContext, job_of
from loyalty.services.jobs.runs import ABANDONED, context_of, start_run, still_due

logger = structlog.get_logger(__name__)

# How long a worker may be silent before another one takes its run over, though its session lives.
LEASE_SECONDS = 300
# Ids read from the due set at a time.
WINDOW = 500_000
PASSES = 2
BREATH_SECONDS = 0.005
_ATTEMPTS = 3
_MESSAGE_LENGTH = 300

_CLAIM = f"""
    UPDATE loyalty_jobrun r
    SET state = 'running', claim = %(claim)s, claimed_until = clock_timestamp() + make_interval(secs => %(lease)s),
        claimed_pid = pg_backend_pid(),
        claimed_session = (SELECT s.backend_start FROM pg_stat_activity s WHERE s.pid = pg_backend_pid()),
        started_at = coalesce(r.started_at, %(now)s), attempts = r.attempts + 1
    WHERE r.id = %(run)s AND (r.state = 'queued' OR r.id IN ({ABANDONED}))
"""  # noqa: S608
_HOLD = """
    SELECT clock_timestamp() FROM loyalty_jobrun
    WHERE id = %s AND state = 'running' AND claim = %s FOR NO KEY UPDATE
"""
_SAVE = """
    UPDATE loyalty_jobrun
    SET due_count = %(due)s, done_count = done_count + %(done)s, skipped_count = skipped_count + %(skipped)s,
        failed_count = failed_count + %(failed)s, busy_count = %(busy)s, points = points + %(points)s,
        figures = %(figures)s, cursor = %(cursor)s, passes = %(passes)s, progress_at = clock_timestamp(),
        claimed_until = clock_timestamp() + make_interval(secs => %(lease)s)
    WHERE id = %(run)s
"""


@dataclass(frozen=True, slots=True)
class JobReport:
    """What a call did: records worked on, points moved, and how many were busy and wait for the next start."""

    done: int = 0
    points: int = 0
    busy: int = 0
    failed: int = 0

    def __add__(self, other: JobReport) -> JobReport:
        return JobReport(
            self.done + other.done, self.points + other.points, self.busy + other.busy, self.failed + other.failed
        )


class _ClaimLost(Exception):
    """The run was paused or canceled, or another worker took it over."""


class _TimeIsUp(Exception):
    """The worker's time is over; the run waits for the next tick."""


def run_job(
    *,
    now: dt.datetime,
    job: str,
    run_date: dt.date | None = None,
    programme_id: int | None = None,
    batch_size: int | None = None,
) -> JobReport:
    """Start a job's run of a date for one programme or all and work it to its end.

    Raises:
        RunDateAhead, AnotherRunGoesOn: See the classes.
    """
    report = JobReport()
    programmes = Programme.objects.order_by("id")
    if programme_id is not None:
        programmes = programmes.filter(pk=programme_id)
    for programme in programmes:
        # What a worker left behind of another date comes first.
        left = JobRun.objects.filter(
            programme=programme, job=job, state__in=[JobRun.State.QUEUED, JobRun.State.RUNNING]
        )
        for pk in left.exclude(run_date=run_date or programme.local_date(now)).values_list("pk", flat=True):
            report += work_run(run_id=pk, now=now, batch_size=batch_size) or JobReport()
        run = start_run(actor=None, now=now, job=job, programme=programme, run_date=run_date)
        if run.is_open:
            report += work_run(run_id=run.pk, now=now, batch_size=batch_size) or JobReport()
    return report


def work_run(
    *, run_id: int, now: dt.datetime, batch_size: int | None = None, time_limit: dt.timedelta | None = None
) -> JobReport | None:
    """Work a run to its end, unless another worker is at it.

    Safe to call at any time and any number of times; a run left by a dead worker is taken over.

    Args:
        run_id: The run.
        now: Aware instant that what is written is stamped with.
        batch_size: Records a transaction; by default the job's.
        time_limit: Stop after the batch in which it passes; the run goes on at the next call.

    Returns:
        What this call did; None when the run is not to be worked on.
    """
    claim = uuid.uuid4()
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM, {"claim": claim, "lease": LEASE_SECONDS, "run": run_id, "now": now})
        if not cursor.rowcount:
            return None
    run = JobRun.objects.select_related("programme").get(pk=run_id)
    deadline = time.monotonic() + time_limit.total_seconds() if time_limit is not None else None
    worker = _Worker(
        run=run, claim=claim, now=now, batch_size=batch_size or job_of(run.job).batch_size, deadline=deadline
    )
    try:
        worker.work()
    except (_ClaimLost, _TimeIsUp):
        pass
    except (OperationalError, SoftTimeLimitExceeded):
        # The database went away or the time is over: the run goes on where it stood.
        raise
    except Exception as error:
        mine = JobRun.objects.filter(pk=run_id, claim=claim)
        code, message = _told(error)
        mine.update(
            state=JobRun.State.FAILED,
            failure=f"{code}: {message}"[:_MESSAGE_LENGTH],
            finished_at=Now(),
            **_UNCLAIMED,
        )
        raise
    finally:
        if connection.connection is not None and not connection.connection.closed and not connection.needs_rollback:
            JobRun.objects.filter(pk=run_id, claim=claim).update(**_UNCLAIMED)
    logger.info(
        "job worked",
        job=run.job,
        programme=run.programme.code,
        run_date=str(run.run_date),
        done=worker.report.done,
        points=worker.report.points,
        busy=worker.report.busy,
        failed=worker.report.failed,
    )
    return worker.report


_UNCLAIMED = {"claim": None, "claimed_until": None, "claimed_pid": None, "claimed_session": None}


@dataclass
class _Worker:
    """One worker's work on one run."""

    run: JobRun
    claim: uuid.UUID
    now: dt.datetime
    batch_size: int
    deadline: float | None
    report: JobReport = field(default_factory=JobReport)

    def __post_init__(self) -> None:
        self.job: Job = job_of(self.run.job)
        self.context: RunContext = context_of(self.run, self.now)

    def work(self) -> None:
        """Pass after pass over what is due; the second is for those that were busy in the first."""
        if self.run.passes == 0:
            with self._held():
                self.run.due_count += self._count_due()
                self.run.passes = 1
                self._save(BatchReport())
        while True:
            ids = self._due_ids()
            for start in range(0, len(ids), self.batch_size):
                self._batch(ids[start : start + self.batch_size])
            if ids:
                continue
            if self.run.busy_count == 0 or self.run.passes >= PASSES:
                self._end()
                return
            with self._held():
                self.run.passes += 1
                self.run.cursor = self.run.busy_count = 0
                self._save(BatchReport())

    def _count_due(self) -> int:
        due = still_due(self.run, self.now)
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT count(*) FROM ({due.sql}) d", due.params)  # noqa: S608
            return int(cursor.fetchone()[0])

    def _due_ids(self) -> list[int]:
        due = still_due(self.run, self.now)
        sql = f"SELECT d.id FROM ({due.sql}) d WHERE d.id > %(_after)s ORDER BY d.id LIMIT %(_window)s"  # noqa: S608
        with connection.cursor() as cursor:
            cursor.execute(sql, {**due.params, "_after": self.run.cursor, "_window": WINDOW})
            return [row[0] for row in cursor.fetchall()]

    def _batch(self, ids: Sequence[int]) -> None:
        """One transaction: the work and its progress. A batch that fails is tried again in halves."""
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                with self._held():
                    report = self.job.work(self.context, ids)
                    self._keep_errors(report.errors)
                    self._save(report, cursor=ids[-1])
                break
            except (_ClaimLost, _TimeIsUp, SoftTimeLimitExceeded):
                raise
            except Exception as error:
                if connection.connection is None or connection.connection.closed or connection.needs_rollback:
                    raise
                if isinstance(error, OperationalError) and attempt < _ATTEMPTS:
                    # A deadlock, or a lock or a statement that took too long.
                    continue
                self._halve(ids, error)
                break
        # Whoever waits to pause the run goes before the next batch.
        time.sleep(BREATH_SECONDS)

    def _halve(self, ids: Sequence[int], error: Exception) -> None:
        if len(ids) > 1:
            middle = len(ids) // 2
            self._batch(ids[:middle])
            self._batch(ids[middle:])
            return
        logger.warning("job failed on a record", job=self.run.job, run=self.run.pk, record=ids[0], exc_info=error)
        code, message = _told(error)
        with self._held():
            failed = BatchReport(errors=[RowError(ids[0], code, message)])
            self._keep_errors(failed.errors)
            self._save(failed, cursor=ids[0])

    @contextmanager
    def _held(self) -> Iterator[None]:
        """One transaction that holds the run, so that pausing waits for its end and a lost claim writes nothing."""
        if self.deadline is not None and time.monotonic() > self.deadline:
            raise _TimeIsUp
        before = self.report, self.run.figures, self.run.cursor, self.run.busy_count
        try:
            with transaction.atomic():
                self._lock()
                yield
        except BaseException:
            self.report, self.run.figures, self.run.cursor, self.run.busy_count = before
            raise

    def _lock(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute(_HOLD, [self.run.pk, self.claim])
            if cursor.fetchone() is None:
                raise _ClaimLost

    def _keep_errors(self, errors: Sequence[RowError]) -> None:
        if not errors:
            return
        ids = [error.subject_id for error in errors]
        members = _members_of(self.job.subject, ids)
        JobError.objects.bulk_create(
            [
                JobError(
                    run_id=self.run.pk,
                    subject_id=error.subject_id,
                    membership_id=members.get(error.subject_id),
                    code=error.code[:40],
                    message=error.message[:_MESSAGE_LENGTH],
                    at=self.now,
                )
                for error in errors
            ],
            update_conflicts=True,
            unique_fields=["run", "subject_id"],
            update_fields=["outcome", "code", "message", "points", "at"],
        )

    def _save(self, report: BatchReport, *, cursor: int | None = None) -> None:
        """Write the progress; the worker's own copy follows, since only it writes."""
        figures = {**self.run.figures}
        for name, count in report.figures.items():
            figures[name] = figures.get(name, 0) + count
        position = self.run.cursor if cursor is None else cursor
        busy = self.run.busy_count + report.busy
        with connection.cursor() as sql:
            sql.execute(
                _SAVE,
                {
                    "due": self.run.due_count,
                    "done": report.done,
                    "skipped": report.skipped,
                    "failed": len(report.errors),
                    "busy": busy,
                    "points": report.points,
                    "figures": JobRun._meta.get_field("figures").get_db_prep_save(figures, connection),
                    "cursor": position,
                    "passes": self.run.passes,
                    "lease": LEASE_SECONDS,
                    "run": self.run.pk,
                },
            )
        self.run.figures, self.run.cursor, self.run.busy_count = figures, position, busy
        done = JobReport(report.done, report.points, 0, len(report.errors))
        self.report = JobReport(
            self.report.done + done.done, self.report.points + done.points, busy, self.report.failed + done.failed
        )

    def _end(self) -> None:
        with self._held():
            last = self.job.finish(self.context)
            self._keep_errors(last.errors)
            self.run.figures = {name: n for name, n in self.run.figures.items() if name not in last.figures}
            self._save(last)
            JobRun.objects.filter(pk=self.run.pk).update(state=JobRun.State.DONE, finished_at=Now(), **_UNCLAIMED)


def _members_of(subject: str, ids: Sequence[int]) -> dict[int, int | None]:
    """Whose records they are; a bearer voucher is nobody's."""
    if subject == "account":
        return dict(Account.objects.filter(pk__in=ids).values_list("pk", "membership_id"))
    if subject == "voucher":
        return dict(Voucher.objects.filter(pk__in=ids).values_list("pk", "membership_id"))
    if subject == "hold":
        return dict(Hold.objects.filter(pk__in=ids).values_list("pk", "account__membership_id"))
    return {pk: pk for pk in ids}


def _told(error: Exception) -> tuple[str, str]:
    """Code and message of a failure; of one in the database its first line, which names no values."""
    code = getattr(error, "code", None)
    if isinstance(error, DatabaseError):
        cause = getattr(error.__cause__, "diag", None)
        return (
            getattr(error.__cause__, "sqlstate", None) or type(error).__name__,
            getattr(cause, "message_primary", None) or type(error).__name__,
        )
    return (code if isinstance(code, str) else type(error).__name__, str(error).partition("\n")[0])
