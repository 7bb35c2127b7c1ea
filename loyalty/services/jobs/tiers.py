"""What a night does to tiers without anybody's approval; downgrades wait for a review (`loyalty.services.tier_reviews`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from loyalty.models import JobRun
from loyalty.services.jobs.contract import BatchReport, DueSet, Job, RunContext
from loyalty.services.tier_reviews import review_by_night

# Each step below is one statement over all members and finds by itself what is due.
_NOBODY = "SELECT NULL::bigint AS id, 0::bigint AS points WHERE false"


class ReviewTiers(Job):
    """Decides challenges, carries excess over, moves up and renews who is due, and notes warnings, as of the night."""

    code: ClassVar[JobRun.Job] = JobRun.Job.REVIEW_TIERS
    subject: ClassVar[str] = "membership"

    def due(self, context: RunContext) -> DueSet:  # noqa: ARG002
        """No batches: the work is done in the run's last step."""
        return DueSet(_NOBODY, {})

    def work(self, context: RunContext, ids: Sequence[int]) -> BatchReport:  # noqa: ARG002
        """Never asked, as nothing is due."""
        return BatchReport()

    def finish(self, context: RunContext) -> BatchReport:
        """Do all of it, or nothing, in the transaction that ends the run."""
        night = review_by_night(now=context.now, programme=context.programme)
        figures = {
            "challenges": night.challenges,
            "carried": night.carried,
            "raised": night.raised,
            "warned": night.warned,
        }
        return BatchReport(figures={name: count for name, count in figures.items() if count})
