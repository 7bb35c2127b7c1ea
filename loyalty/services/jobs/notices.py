"""Notices of expiry: the job that writes those that are due, and the record that one was given."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from django.db import connection, transaction

from hotels.services.audit import record_audit
from loyalty.models import ExpiryNotice, JobRun, Programme
from loyalty.services.jobs.contract import BatchReport, DueSet, Job, RunContext

if TYPE_CHECKING:
    from hotels.models import User

# What lapses within the days of notice and has no notice yet: one row for each member and last day.
_OF_LOTS = """
    SELECT a.membership_id, 'lot' AS cause, l.expires_on, sum(l.remaining)::bigint AS points
    FROM loyalty_lot l JOIN loyalty_account a ON a.id = l.account_id
    WHERE l.state = 'open' AND l.expires_on BETWEEN %(run_date)s AND %(horizon)s AND a.programme_id = %(programme)s
        AND a.unit = 'points'
        {whose}
    GROUP BY a.membership_id, l.expires_on
"""
_OF_ALL_INACTIVE = """
    SELECT f.membership_id, 'inactivity' AS cause, f.lapses_on AS expires_on, f.points
    FROM loyalty_inactive_accounts(%(programme)s, (%(horizon)s::date + 1)) f
"""
_OF_INACTIVE = """
    SELECT a.membership_id, 'inactivity' AS cause, f.lapses_on AS expires_on, (
        SELECT sum(l.remaining)::bigint FROM loyalty_lot l
        WHERE l.account_id = a.id AND l.state = 'open' AND l.lot_class IN ('earned', 'bonus')) AS points
    FROM loyalty_account a CROSS JOIN LATERAL loyalty_inactivity(a.id) f
    WHERE a.membership_id = ANY(%(ids)s) AND a.programme_id = %(programme)s AND f.lapses_on <= %(horizon)s
"""
_WITHOUT_NOTICE = """
    SELECT q.* FROM ({lots} UNION ALL {inactive}) q
    WHERE q.points > 0 AND NOT EXISTS (
        SELECT FROM loyalty_expirynotice n
        WHERE n.membership_id = q.membership_id AND n.cause = q.cause AND n.expires_on = q.expires_on)
"""
_DUE = f"""
    SELECT w.membership_id AS id, sum(w.points)::bigint AS points
    FROM ({_WITHOUT_NOTICE.format(lots=_OF_LOTS.format(whose=""), inactive=_OF_ALL_INACTIVE)}) w GROUP BY 1
"""  # noqa: S608
_WHOSE = "AND a.membership_id = ANY(%(ids)s)"
_WRITE = f"""
    WITH written AS (
        INSERT INTO loyalty_expirynotice (membership_id, cause, expires_on, points, state, due_on, channel, proof)
        SELECT w.membership_id, w.cause, w.expires_on, w.points, 'due', %(run_date)s, '', ''
        FROM ({_WITHOUT_NOTICE.format(lots=_OF_LOTS.format(whose=_WHOSE), inactive=_OF_INACTIVE)}) w
        ON CONFLICT (membership_id, cause, expires_on) DO NOTHING
        RETURNING membership_id, points
    )
    SELECT count(DISTINCT membership_id), count(*), coalesce(sum(points), 0)::bigint FROM written
"""  # noqa: S608
# Not given yet, and moot: the member was active since, is exempt now, or has spent the points.
_WITHDRAW = """
    DELETE FROM loyalty_expirynotice n USING loyalty_account a
    WHERE n.state = 'due' AND a.membership_id = n.membership_id AND a.programme_id = %(programme)s AND CASE n.cause
        WHEN 'lot' THEN NOT EXISTS (
            SELECT FROM loyalty_lot l
            WHERE l.account_id = a.id AND l.state = 'open' AND l.expires_on = n.expires_on
                AND l.expires_on >= %(run_date)s)
        ELSE NOT EXISTS (
            SELECT FROM loyalty_inactivity(a.id) f
            WHERE f.lapses_on = n.expires_on AND EXISTS (
                SELECT FROM loyalty_lot l
                WHERE l.account_id = a.id AND l.state = 'open' AND l.lot_class IN ('earned', 'bonus')))
        END
"""


class NotifyExpiry(Job):
    """Writes a due notice for each member and day on which points are about to lapse."""

    code: ClassVar[JobRun.Job] = JobRun.Job.NOTIFY_EXPIRY
    subject: ClassVar[str] = "membership"

    def is_wanted(self, programme: Programme) -> bool:
        """Where the programme says how many days before."""
        return programme.expiry_notice_days is not None

    def due(self, context: RunContext) -> DueSet:
        """Members with points that lapse within the days of notice, and no notice of that day."""
        return DueSet(_DUE, _params(context))

    def work(self, context: RunContext, ids: Sequence[int]) -> BatchReport:
        """Write the notices of these members."""
        with connection.cursor() as cursor:
            cursor.execute(_WRITE, {**_params(context), "ids": list(ids)})
            members, notices, points = cursor.fetchone()
        return BatchReport(done=members, points=points, skipped=len(ids) - members, figures={"notices": notices})

    def finish(self, context: RunContext) -> BatchReport:
        """Withdraw notices that were not given and no longer hold."""
        with connection.cursor() as cursor:
            cursor.execute(_WITHDRAW, _params(context))
            return BatchReport(figures={"withdrawn": cursor.rowcount})


def _params(context: RunContext) -> dict[str, Any]:
    days = context.programme.expiry_notice_days or 0
    return {
        "run_date": context.run_date,
        "horizon": context.run_date + dt.timedelta(days=days),
        "programme": context.programme.pk,
    }


def record_notice_given(
    *, actor: User | None, now: dt.datetime, notice_ids: Sequence[int], channel: str, proof: str
) -> int:
    """Record that due notices reached their members; a notice that was given never changes again.

    Args:
        actor: Who says so; None for the delivery of messages.
        now: Aware instant at which they were given; its date in the programme's zone starts the days of notice.
        notice_ids: The notices.
        channel: Stable word for the way, such as "sms", "email", "letter".
        proof: What shows it: the provider's message id, a postal reference, a note.

    Returns:
        How many were due and are given now.
    """
    if not channel:
        message = "a notice is given through some channel"
        raise ValueError(message)
    given = 0
    with transaction.atomic():
        due = ExpiryNotice.objects.filter(pk__in=notice_ids, state=ExpiryNotice.State.DUE)
        programmes = Programme.objects.filter(pk__in=due.values("membership__programme"))
        for programme in programmes:
            given += due.filter(membership__programme=programme).update(
                state=ExpiryNotice.State.GIVEN,
                given_at=now,
                given_date=programme.local_date(now),
                channel=channel,
                proof=proof,
            )
        if actor is not None and given:
            record_audit(
                actor=actor,
                now=now,
                action="expirynotice.given",
                object_type="loyalty.expirynotice",
                object_id=",".join(map(str, notice_ids))[:64],
                after={"notices": given, "channel": channel, "proof": proof},
            )
    return given
