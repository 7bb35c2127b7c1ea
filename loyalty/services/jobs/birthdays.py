"""Points in the month of the birthday, once per member and calendar year."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from collections.abc import Sequence
from typing import ClassVar

from django.db.models import QuerySet

from loyalty.models import EarningRule, EarningRuleSet, JobRun, Programme
from loyalty.models.earning import match_all
from loyalty.services.events import award_event
from loyalty.services.jobs.contract import BatchReport, DueSet, Job, RunContext

EVENT = EarningRule.Event.BIRTHDAY

# By the month alone: who was born on 29 February has a birthday in every February. Who joins, or tells the
# birthday, later in the month is due from then on; who had the points this year is not due again,
# whatever the birthday is corrected to.
_DUE = """
    SELECT m.id, %(points)s::bigint AS points
    FROM loyalty_membership m JOIN members_guest g ON g.id = m.guest_id
    WHERE m.programme_id = %(programme)s AND m.status = 'active'
        AND extract(month FROM g.birthday) = extract(month FROM %(run_date)s::date)
        AND (m.enrolled_at AT TIME ZONE %(zone)s)::date <= %(run_date)s::date
        AND NOT EXISTS (
            SELECT FROM loyalty_sourcekey k
            WHERE k.programme_id = m.programme_id AND k.system = 'event.birthday' AND k.reference = %(year)s
                AND k.line = m.id::text AND k.kind = 'bonus')
"""


class GrantBirthdays(Job):
    """Gives the members whose birthday is in the run date's month what the rules of that day give for it."""

    code: ClassVar[JobRun.Job] = JobRun.Job.GRANT_BIRTHDAYS
    subject: ClassVar[str] = "membership"
    batch_size: ClassVar[int] = 2000
    # Who joins on the last day of the month has no other day.
    takes_late_arrivals: ClassVar[bool] = True

    def is_wanted(self, programme: Programme) -> bool:
        """Where any published version of the rules gives something for birthdays."""
        return (
            EarningRule.objects.filter(rule_set__programme=programme, event=EVENT)
            .filter(rule_set__status=EarningRuleSet.Status.PUBLISHED)
            .exists()
        )

    def due(self, context: RunContext) -> DueSet:
        """Active members with a birthday in the month who had nothing for it this year."""
        return DueSet(
            _DUE,
            {
                "programme": context.programme.pk,
                "run_date": context.run_date,
                "year": str(context.run_date.year),
                "zone": context.programme.time_zone,
                "points": _points(_rules(context)),
            },
        )

    def work(self, context: RunContext, ids: Sequence[int]) -> BatchReport:
        """Give them the points of the version in force on the run date; members whom no rule fits get nothing."""
        moment = _moment(context)
        given = award_event(
            actor=None,
            now=context.now,
            programme=context.programme,
            membership_ids=ids,
            event=EVENT,
            reference=str(context.run_date.year),
            moments=dict.fromkeys(ids, moment),
        )
        return BatchReport(done=len(given), points=sum(given.values()), skipped=len(ids) - len(given))


def _moment(context: RunContext) -> dt.datetime:
    """Now, if it is the run date in the programme's zone, else the end of that day: the run makes up for it."""
    if context.programme.local_date(context.now) == context.run_date:
        return context.now
    zone = zoneinfo.ZoneInfo(context.programme.time_zone)
    return dt.datetime.combine(context.run_date, dt.time(23, 59), tzinfo=zone)


def _rules(context: RunContext) -> QuerySet[EarningRule]:
    sets = EarningRuleSet.objects.filter(programme=context.programme).in_force(context.run_date)
    return EarningRule.objects.filter(rule_set__in=list(sets), event=EVENT)


def _points(rules: QuerySet[EarningRule]) -> int:
    """What each member gets where that is the same for all, for the preview; 0 where it is not."""
    found = list(rules)
    plain = all(rule.condition == match_all() and rule.stacking == EarningRule.Stacking.ADD for rule in found)
    return sum(int(rule.value) for rule in found) if plain else 0
