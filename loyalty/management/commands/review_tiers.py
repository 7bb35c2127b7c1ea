"""Review tiers by hand: what a night does, and a batch of downgrades to look at or to apply."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import Count
from django.utils import timezone

from loyalty.models import Programme, TierReview
from loyalty.services.tier_reviews import (
    TierReviewError,
    apply_review,
    approve_review,
    build_review,
    review_by_night,
)


class Command(BaseCommand):
    """Builds a review for each programme; with --apply it is approved and applied, too."""

    help = "Move members up who are due, note warnings, and build a review of the others; apply it if asked to."

    def add_arguments(self, parser: CommandParser) -> None:
        """Programme, run date, and whether to apply."""
        parser.add_argument("--programme", help="Code of the programme; all of them by default.")
        parser.add_argument("--run-date", type=dt.date.fromisoformat, help="YYYY-MM-DD; today by default.")
        parser.add_argument("--apply", action="store_true", help="Approve and apply the review of the day.")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Run for each programme."""
        programmes = Programme.objects.order_by("pk")
        if options["programme"]:
            programmes = programmes.filter(code=options["programme"])
            if not programmes:
                message = f"There is no programme {options['programme']}."
                raise CommandError(message)
        for programme in programmes:
            try:
                self._review(programme, options["run_date"], is_applied=options["apply"])
            except TierReviewError as error:
                message = f"{programme.code}: {error} ({error.code})"
                raise CommandError(message) from error

    def _review(self, programme: Programme, run_date: dt.date | None, *, is_applied: bool) -> None:
        now = timezone.now()
        night = review_by_night(now=now, programme=programme)
        self.stdout.write(
            f"{programme.code}: {night.raised} up or renewed, {night.challenges} challenges decided, "
            f"{night.carried} carried over, {night.warned} warned"
        )
        day = run_date or programme.local_date(now)
        review = TierReview.objects.filter(programme=programme, run_date=day).exclude(state="discarded").first()
        if review is None or review.state == TierReview.State.BUILDING:
            review = build_review(actor=None, now=now, programme=programme, run_date=day)
        kinds = dict(review.rows.values_list("kind").annotate(Count("pk")).order_by())
        counts = ", ".join(f"{kind} {kinds[kind]}" for kind in sorted(kinds)) or "nobody moves"
        self.stdout.write(f"{programme.code}: review {review.pk} of {day}, {review.state}: {counts}")
        if is_applied:
            if review.state == TierReview.State.DRAFT:
                review = approve_review(actor=None, now=now, review_id=review.pk)
            report = apply_review(actor=None, now=now, review_id=review.pk)
            self.stdout.write(f"{programme.code}: {report.applied} applied, {report.skipped} skipped")
