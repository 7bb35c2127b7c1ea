"""Nightly work on the ledger: release of pending points, expiry of lapsed lots, time-out of holds.

Each job looks for what is due, then works through it in batches of accounts, one transaction each.
What is due is read from the ledger itself, so a job that was stopped or is run twice for a date
carries on where the ledger stands. An account that someone else is posting to is left for the end
of the run, and for the next run when it is still busy then.
"""

from __future__ import annotations

import datetime as dt
import zoneinfo
from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from django.db import connection, transaction

from loyalty.models import Hold, Programme
from loyalty.services.ledger import Movement, Verb, post_movements

logger = structlog.get_logger(__name__)

BATCH_SIZE = 1000

_LOCK = """
    SELECT id FROM loyalty_account WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
"""
_PENDING_DUE = """
    SELECT DISTINCT l.account_id FROM loyalty_lot l JOIN loyalty_account a ON a.id = l.account_id
    WHERE l.state = 'pending' AND l.release_on <= %s AND a.programme_id = %s ORDER BY 1
"""
_LAPSED = """
    SELECT DISTINCT l.account_id FROM loyalty_lot l JOIN loyalty_account a ON a.id = l.account_id
    WHERE l.state = 'open' AND l.expires_on < %s AND a.programme_id = %s ORDER BY 1
"""


@dataclass(frozen=True, slots=True)
class JobReport:
    """What a run did: accounts (or holds) worked on, points moved, and how many were busy and wait for the next run."""

    done: int = 0
    points: int = 0
    busy: int = 0

    def __add__(self, other: JobReport) -> JobReport:
        return JobReport(self.done + other.done, self.points + other.points, self.busy + other.busy)


def release_due_points(
    *, now: dt.datetime, as_of: dt.date | None = None, programme_id: int | None = None, batch_size: int = BATCH_SIZE
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
        ValueError: `as_of` lies ahead.
    """
    return _run(Verb.RELEASE, _PENDING_DUE, now=now, as_of=as_of, programme_id=programme_id, batch_size=batch_size)


def expire_lapsed_points(
    *, now: dt.datetime, as_of: dt.date | None = None, programme_id: int | None = None, batch_size: int = BATCH_SIZE
) -> JobReport:
    """Book out the lots whose last day is over; a lot is usable to the end of its `expires_on`.

    Args:
        now: Aware instant the postings are stamped with.
        as_of: Run date; lots that expire before it lapse. By default, and at the latest, today in
            each programme's time zone.
        programme_id: One programme only.
        batch_size: Accounts a transaction.

    Returns:
        Accounts, points expired, accounts left busy.

    Raises:
        ValueError: `as_of` lies ahead.
    """
    return _run(Verb.EXPIRE, _LAPSED, now=now, as_of=as_of, programme_id=programme_id, batch_size=batch_size)


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
            free = set(_lock([account_id for _, account_id in batch]))
            movements = [
                Movement(verb=Verb.VOID, now=now, hold_id=pk) for pk, account_id in batch if account_id in free
            ]
            done, points = _post(movements)
        report += JobReport(done=done, points=points, busy=len(batch) - len(movements))
    return report


def _run(
    verb: Verb, due: str, *, now: dt.datetime, as_of: dt.date | None, programme_id: int | None, batch_size: int
) -> JobReport:
    report = JobReport()
    programmes = Programme.objects.order_by("id")
    if programme_id is not None:
        programmes = programmes.filter(pk=programme_id)
    for programme in programmes:
        today = now.astimezone(zoneinfo.ZoneInfo(programme.time_zone)).date()
        if as_of is not None and as_of > today:
            message = f"{as_of} lies ahead of {today}, today in the programme's time zone"
            raise ValueError(message)
        run_date = as_of or today
        with connection.cursor() as cursor:
            cursor.execute(due, [run_date, programme.pk])
            account_ids = [row[0] for row in cursor.fetchall()]
        part, busy = _work_through(verb, account_ids, now=now, run_date=run_date, batch_size=batch_size)
        if busy:
            again, busy = _work_through(verb, busy, now=now, run_date=run_date, batch_size=batch_size)
            part += again
        part += JobReport(busy=len(busy))
        logger.info(
            "ledger job done",
            verb=verb.value,
            programme=programme.code,
            run_date=str(run_date),
            accounts=part.done,
            points=part.points,
            busy=part.busy,
        )
        report += part
    return report


def _work_through(
    verb: Verb, account_ids: Sequence[int], *, now: dt.datetime, run_date: dt.date, batch_size: int
) -> tuple[JobReport, list[int]]:
    report = JobReport()
    busy: list[int] = []
    for start in range(0, len(account_ids), batch_size):
        batch = account_ids[start : start + batch_size]
        with transaction.atomic():
            free = _lock(batch)
            done, points = _post(
                [Movement(verb=verb, now=now, account_id=account_id, business_date=run_date) for account_id in free]
            )
        report += JobReport(done=done, points=points)
        busy += sorted(set(batch) - set(free))
    return report, busy


def _lock(account_ids: Sequence[int]) -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute(_LOCK, [list(account_ids)])
        return [row[0] for row in cursor.fetchall()]


def _post(movements: Sequence[Movement]) -> tuple[int, int]:
    """Post what is still due; someone may have posted it since the look."""
    posted = [result for result in post_movements(movements, strict=False) if result.error is None]
    return len(posted), sum(abs(result.points) for result in posted)
