"""Vouchers at the end of their life: expiring them, and saying in time whom to remind.

What is due is read from the vouchers themselves and is due no longer once it is done: a run may be stopped anywhere and
be run again. `EXPIRY_DUE` and `REMINDER_DUE` with the functions for a batch of ids plug into the framework of jobs.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog
from django.db import connection, transaction

from loyalty.models import Programme, Voucher, VoucherEvent
from loyalty.services.vouchers.history import change_vouchers, event_values, lock_free

logger = structlog.get_logger(__name__)

BATCH_SIZE = 5000

# Named parameters: run_date, programme_id. A voucher is usable to the end of its last day.
EXPIRY_DUE = """
    SELECT v.id, 0::bigint AS points
    FROM loyalty_voucher v JOIN loyalty_vouchertype t ON t.id = v.type_id
    WHERE v.state = 'issued' AND v.expires_on < %(run_date)s AND t.programme_id = %(programme_id)s
"""
# Whom nobody has reminded yet; a bearer voucher has nobody to remind.
REMINDER_DUE = """
    SELECT v.id, 0::bigint AS points
    FROM loyalty_voucher v JOIN loyalty_vouchertype t ON t.id = v.type_id
    WHERE v.state = 'issued' AND v.expires_on >= %(run_date)s AND v.expires_on <= %(run_date)s + t.reminder_days
        AND v.valid_from <= %(run_date)s AND v.reminded_on IS NULL AND v.membership_id IS NOT NULL
        AND t.programme_id = %(programme_id)s
"""


@dataclass(frozen=True, slots=True)
class VoucherJobReport:
    """What a run did: vouchers worked on, and how many were busy and wait for the next run."""

    done: int = 0
    busy: int = 0

    def __add__(self, other: VoucherJobReport) -> VoucherJobReport:
        return VoucherJobReport(self.done + other.done, self.busy + other.busy)


def expire_batch_of_vouchers(*, now: dt.datetime, run_date: dt.date, ids: Sequence[int]) -> VoucherJobReport:
    """Expire those of the vouchers whose last day lies before the run date, inside the caller's transaction."""
    free = lock_free(ids)
    done = change_vouchers(
        ids=free,
        state=Voucher.State.ISSUED,
        still="AND v.expires_on < %(run_date)s",
        run_date=run_date,
        sets={"state": Voucher.State.EXPIRED.value},
        event=event_values(VoucherEvent.Kind.EXPIRED, at=now),
    )
    return VoucherJobReport(done=len(done), busy=len(ids) - len(free))


def remind_batch_of_vouchers(*, now: dt.datetime, run_date: dt.date, ids: Sequence[int]) -> VoucherJobReport:
    """Write an entry `reminded` for each of the vouchers: it says that a message to the owner is due.

    Runs inside the caller's transaction; a voucher is reminded of once for each owner.
    """
    free = lock_free(ids)
    done = change_vouchers(
        ids=free,
        state=Voucher.State.ISSUED,
        still="AND v.reminded_on IS NULL AND v.membership_id IS NOT NULL",
        sets={"reminded_on": run_date},
        event=event_values(VoucherEvent.Kind.REMINDED, at=now),
    )
    return VoucherJobReport(done=len(done), busy=len(ids) - len(free))


def expire_vouchers(
    *, now: dt.datetime, as_of: dt.date | None = None, programme_id: int | None = None, batch_size: int = BATCH_SIZE
) -> VoucherJobReport:
    """Expire the vouchers whose last day is over in their programme's time zone.

    Args:
        now: Aware instant the history is stamped with.
        as_of: Run date; by default, and at the latest, today in each programme's time zone.
        programme_id: One programme only.
        batch_size: Vouchers a transaction.

    Raises:
        ValueError: `as_of` lies ahead.
    """
    return _run(EXPIRY_DUE, expire_batch_of_vouchers, "expire", now, as_of, programme_id, batch_size)


def remind_vouchers(
    *, now: dt.datetime, as_of: dt.date | None = None, programme_id: int | None = None, batch_size: int = BATCH_SIZE
) -> VoucherJobReport:
    """Say whose vouchers end within the days that their types remind before; arguments as for `expire_vouchers`."""
    return _run(REMINDER_DUE, remind_batch_of_vouchers, "remind", now, as_of, programme_id, batch_size)


def _run(
    due: str,
    work: Callable[..., VoucherJobReport],
    name: str,
    now: dt.datetime,
    as_of: dt.date | None,
    programme_id: int | None,
    batch_size: int,
) -> VoucherJobReport:
    report = VoucherJobReport()
    programmes = Programme.objects.order_by("id")
    if programme_id is not None:
        programmes = programmes.filter(pk=programme_id)
    for programme in programmes:
        today = programme.local_date(now)
        if as_of is not None and as_of > today:
            message = f"{as_of} lies ahead of {today}, today in the programme's time zone"
            raise ValueError(message)
        run_date = as_of or today
        with connection.cursor() as cursor:
            cursor.execute(f"{due} ORDER BY 1", {"run_date": run_date, "programme_id": programme.pk})
            ids = [row[0] for row in cursor.fetchall()]
        part = VoucherJobReport()
        for start in range(0, len(ids), batch_size):
            with transaction.atomic():
                part += work(now=now, run_date=run_date, ids=ids[start : start + batch_size])
        logger.info(
            "voucher job done",
            job=name,
            programme=programme.code,
            run_date=str(run_date),
            done=part.done,
            busy=part.busy,
        )
        report += part
    return report
