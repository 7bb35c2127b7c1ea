"""What a night does to tiers without anybody's approval; downgrades wait for a review (`loyalty.services.tier_reviews`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from loyalty.models import JobRun
from loyalty.services.jobs.contract import BatchReport, DueSet, Job, RunContext
from loyalty.services.tier_reviews import review_by_night

_MEMBERS = """
    SELECT m.id, 0::bigint AS points FROM loyalty_membership m
    WHERE m.programme_id = %(programme)s AND m.status = 'active'
    UNION
    SELECT e.membership_id, 0 FROM loyalty_challengeentry e JOIN loyalty_tierchallenge c ON c.id = e.challenge_id
    WHERE c.programme_id = %(programme)s AND e.state = 'running'
"""


class ReviewTiers(Job):
    """Decides challenges, carries excess over, moves up and renews who is due, and notes warnings, as of the night."""

    code: ClassVar[JobRun.Job] = JobRun.Job.REVIEW_TIERS
    subject: ClassVar[str] = "membership"
    # A batch is a few statements over its members: more of them cost hardly more, and hold few locks.
    batch_size: ClassVar[int] = 20_000

    def due(self, context: RunContext) -> DueSet:
        """Whoever is judged: all active members, and whose challenge is still to be decided."""
        return DueSet(_MEMBERS, {"programme": context.programme.pk})

    def work(self, context: RunContext, ids: Sequence[int]) -> BatchReport:
        """Judge these members; again for the same members it changes nothing."""
        night = review_by_night(now=context.now, programme=context.programme, membership_ids=ids)
        figures = {
            "challenges": night.challenges,
            "carried": night.carried,
            "raised": night.raised,
            "warned": night.warned,
        }
        return BatchReport(done=len(ids), figures={name: count for name, count in figures.items() if count})
