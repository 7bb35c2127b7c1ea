"""Starting, pausing, resuming and canceling runs; what the schedule starts."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from django.db import connection, transaction
from django.utils.translation import gettext_lazy as _

from hotels.services.audit import record_audit
from loyalty.models import JobError, JobRun, Programme
from loyalty.services.jobs.contract import DueSet, RunContext, job_of

if TYPE_CHECKING:
    from hotels.models import User

State = JobRun.State

# How often the schedule takes a run up again that a fault stopped.
MAX_ATTEMPTS = 5
# In this run's due set and not among its errors.
_STILL_DUE = """
    SELECT d.id, d.points FROM ({due}) d
    WHERE NOT EXISTS (SELECT FROM loyalty_joberror e
                      WHERE e.run_id = %(_run)s AND e.subject_id = d.id AND e.outcome = 'failed')
"""
# Claims of workers whose database session is gone or that were silent for too long.
ABANDONED = """
    SELECT r.id FROM loyalty_jobrun r
    WHERE r.state = 'running' AND (r.claim IS NULL OR r.claimed_until < clock_timestamp() OR NOT EXISTS (
        SELECT FROM pg_stat_activity s
        WHERE s.pid = r.claimed_pid AND (s.backend_start IS NULL OR s.backend_start = r.claimed_session)))
"""


class JobRefused(Exception):
    """A run cannot be started, paused, resumed or canceled; `code` is stable."""

    code: ClassVar[str] = "job_refused"
    message: ClassVar[Any] = _("This cannot be done with the run.")

    def __str__(self) -> str:
        return str(self.message)


class RunDateAhead(JobRefused, ValueError):
    """The run date lies ahead of today in the programme's time zone."""

    code = "run_date_ahead"

    def __init__(self, run_date: dt.date, today: dt.date) -> None:
        self.run_date, self.today = run_date, today
        super().__init__(run_date, today)

    message = _("The run date lies ahead of today in the programme's time zone.")

    def __str__(self) -> str:
        return f"{self.run_date} lies ahead of {self.today}, today in the programme's time zone"


class AnotherRunGoesOn(JobRefused):
    """A run of the same job for another date is waiting or running."""

    code = "another_run"
    message = _("A run of this job for another date is not at its end; let it end or cancel it first.")


class RunEnded(JobRefused):
    """The run is not in a state from which this can be done."""

    code = "run_state"
    message = _("The run is no longer in a state in which this can be done.")


@dataclass(frozen=True, slots=True)
class RunPreview:
    """What a run would do: records due, their points, and further counts of the job's own."""

    run_date: dt.date
    due: int = 0
    points: int = 0
    figures: Mapping[str, int] = field(default_factory=dict)


def preview_run(*, now: dt.datetime, job: str, programme: Programme, run_date: dt.date | None = None) -> RunPreview:
    """Count what a run would do, writing nothing.

    Raises:
        RunDateAhead: See the class.
        LookupError: No such job is registered.
    """
    date = _checked_date(programme, now, run_date)
    context = RunContext(None, programme, date, now)
    due = job_of(job).due(context)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*), coalesce(sum(d.points), 0)::bigint FROM ({due.sql}) d", due.params)  # noqa: S608
        count, points = cursor.fetchone()
    return RunPreview(date, count, points, job_of(job).preview_figures(context))


def start_run(
    *,
    actor: User | None,
    now: dt.datetime,
    job: str,
    programme: Programme,
    run_date: dt.date | None = None,
    parameters: Mapping[str, Any] | None = None,
) -> JobRun:
    """Queue the run of a date, or take the one up that there is; a worker claims it by `work_run`.

    A run that is done is taken up again for what is due meanwhile, and with an actor for the members it failed on.
    Paused and failed ones go on where they stood.

    Args:
        actor: Who starts it; None for the schedule and for commands.
        now: Aware instant.
        job: Code of a registered job.
        programme: Whose members.
        run_date: By default, and at the latest, today in the programme's time zone.
        parameters: For the job; kept from the first start.

    Raises:
        RunDateAhead, AnotherRunGoesOn: See the classes.
        LookupError: No such job is registered.
    """
    return _start(actor, now, job, programme, run_date, parameters)


def _start(
    actor: User | None,
    now: dt.datetime,
    job: str,
    programme: Programme,
    run_date: dt.date | None,
    parameters: Mapping[str, Any] | None = None,
    *,
    verb: str = "started",
) -> JobRun:
    job_of(job)
    date = _checked_date(programme, now, run_date)
    with transaction.atomic():
        # One start at a time, so that two find the same run.
        Programme.objects.select_for_update(no_key=True).get(pk=programme.pk)
        runs = JobRun.objects.filter(job=job, programme=programme).exclude(state=State.CANCELED)
        if runs.exclude(run_date=date).filter(state__in=[State.QUEUED, State.RUNNING]).exists():
            raise AnotherRunGoesOn
        run = runs.select_for_update(no_key=True, of=("self",)).filter(run_date=date).first()
        if run is None:
            run = JobRun.objects.create(
                job=job,
                programme=programme,
                run_date=date,
                parameters=dict(parameters or {}),
                started_by=actor,
                created_at=now,
            )
        elif not run.is_open:
            _take_up(run, now, retry=actor is not None)
        if actor is not None:
            _audit(run, actor, now, verb)
    return run


def pause_run(*, actor: User | None, now: dt.datetime, run_id: int) -> JobRun:
    """Stop a run after its present batch, to go on later; the schedule starts no other run of the job meanwhile.

    Raises:
        RunEnded: The run neither waits nor runs.
    """
    return _change(run_id, State.PAUSED, (State.QUEUED, State.RUNNING), actor=actor, now=now, verb="paused")


def resume_run(*, actor: User | None, now: dt.datetime, run_id: int) -> JobRun:
    """Let a paused, failed or finished run go on: from where it stood, or for what is due again.

    Raises:
        RunEnded: The run waits, runs or was canceled.
        AnotherRunGoesOn: See the class.
    """
    run = JobRun.objects.select_related("programme").get(pk=run_id)
    if run.state not in {State.PAUSED, State.FAILED, State.DONE}:
        raise RunEnded
    return _start(actor, now, run.job, run.programme, run.run_date, verb="resumed")


def cancel_run(*, actor: User | None, now: dt.datetime, run_id: int) -> JobRun:
    """End a run after its present batch. What is done stays done; the schedule does not start this date again.

    Raises:
        RunEnded: The run is done or canceled.
    """
    return _change(
        run_id,
        State.CANCELED,
        (State.QUEUED, State.RUNNING, State.PAUSED, State.FAILED),
        actor=actor,
        now=now,
        verb="canceled",
    )


def start_scheduled_runs(*, now: dt.datetime, job: str, programme_ids: Iterable[int] | None = None) -> list[int]:
    """What the schedule does at each tick: start today's run of every programme where the day has begun.

    Unfinished runs go on first, whatever their date. A paused run holds the job of its programme until somebody
    resumes or cancels it; a date whose run was canceled is left alone.

    Returns:
        Ids of the runs that wait for a worker.
    """
    programmes = Programme.objects.order_by("pk")
    if programme_ids is not None:
        programmes = programmes.filter(pk__in=programme_ids)
    waiting: list[int] = []
    for programme in programmes:
        runs = JobRun.objects.filter(job=job, programme=programme)
        if runs.filter(state=State.PAUSED).exists():
            continue
        unfinished = runs.filter(state__in=[State.QUEUED, State.RUNNING]).order_by("run_date", "pk").first()
        if unfinished is not None:
            waiting.append(unfinished.pk)
            continue
        today = programme.local_date(now)
        run = runs.filter(run_date=today).order_by("-pk").first()
        if _is_to_be_started(run, programme, job):
            started = start_run(actor=None, now=now, job=job, programme=programme, run_date=today)
            if started.is_open:
                waiting.append(started.pk)
    return waiting


def waiting_runs() -> list[int]:
    """Runs that no worker is at: their message was lost, or their worker died."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT id FROM loyalty_jobrun WHERE state = 'queued' UNION {ABANDONED} ORDER BY 1")  # noqa: S608
        return [row[0] for row in cursor.fetchall()]


def still_due(run: JobRun, now: dt.datetime) -> DueSet:
    """What is due for a run, less the records it failed on."""
    due = job_of(run.job).due(context_of(run, now))
    return DueSet(_STILL_DUE.format(due=due.sql), {**due.params, "_run": run.pk})


def context_of(run: JobRun, now: dt.datetime) -> RunContext:
    """The run as its job sees it."""
    return RunContext(run.pk, run.programme, run.run_date, now, run.parameters)


def _checked_date(programme: Programme, now: dt.datetime, run_date: dt.date | None) -> dt.date:
    today = programme.local_date(now)
    if run_date is not None and run_date > today:
        raise RunDateAhead(run_date, today)
    return run_date or today


def _is_to_be_started(run: JobRun | None, programme: Programme, job: str) -> bool:
    if run is None:
        return job_of(job).is_wanted(programme)
    if run.state == State.DONE:
        return job_of(job).takes_late_arrivals or run.busy_count > 0
    return run.state == State.FAILED and run.attempts < MAX_ATTEMPTS


def _take_up(run: JobRun, now: dt.datetime, *, retry: bool) -> None:
    """Queue a run again that had stopped; one that is done only where something is due."""
    if retry:
        JobError.objects.filter(run=run, outcome=JobError.Outcome.FAILED).delete()
        run.failed_count = 0
    if run.state == State.DONE:
        due = still_due(run, now)
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT EXISTS ({due.sql})", due.params)
            if not cursor.fetchone()[0]:
                return
        run.cursor, run.passes, run.busy_count = 0, 0, 0
    run.state = State.QUEUED
    run.failure = ""
    run.finished_at = None
    run.save()


def _change(
    run_id: int, state: State, allowed: tuple[State, ...], *, actor: User | None, now: dt.datetime, verb: str
) -> JobRun:
    with transaction.atomic():
        run = JobRun.objects.select_for_update(no_key=True, of=("self",)).get(pk=run_id)
        if run.state not in allowed:
            raise RunEnded
        before = run.state
        run.state = state
        run.claim = run.claimed_until = run.claimed_pid = run.claimed_session = None
        run.failure = ""
        if state == State.CANCELED:
            run.finished_at = now
        run.save(
            update_fields=[
                "state",
                "claim",
                "claimed_until",
                "claimed_pid",
                "claimed_session",
                "failure",
                "finished_at",
            ]
        )
        if actor is not None:
            _audit(run, actor, now, verb, before=before)
    return run


def _audit(run: JobRun, actor: User, now: dt.datetime, verb: str, *, before: str = "") -> None:
    record_audit(
        actor=actor,
        now=now,
        action=f"jobrun.{verb}",
        target=run,
        label=f"{run.job} {run.run_date}",
        before={"state": before} if before else None,
        after={"state": run.state, "job": run.job, "programme": run.programme_id, "run_date": str(run.run_date)},
    )
