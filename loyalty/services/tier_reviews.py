"""Reviews of tiers: built over all members by one statement a batch, looked at, approved, applied.

A build and an application go on where they were interrupted: each batch is a transaction of its own and
notes how far it came. Between the preview and the application members live on, so every row is judged
again when it is applied; whoever would now go elsewhere is left alone, with the reason.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db import IntegrityError, connection, transaction
from django.db.models import Max
from django.utils.translation import gettext as _

from hotels.services.audit import record_audit
from loyalty.models import Membership, TierReview, TierReviewRow
from loyalty.selectors.standing import Judging, policy_of
from loyalty.services.tier_credits import carry_over_excess
from loyalty.services.tier_grants import evaluate_challenges
from loyalty.services.tiers import change_tiers, moves_of, review_tiers

if TYPE_CHECKING:
    from hotels.models import User
    from loyalty.models import Programme

DAY = dt.timedelta(days=1)
# Members judged, and rows applied, in one transaction.
BUILD_BATCH = 200_000
APPLY_BATCH = 1000

State = TierReview.State


class TierReviewError(Exception):
    """A review cannot be taken a step further; `code` is stable."""

    code = "tier_review_error"


class ReviewExists(TierReviewError):
    """There is a review of the day already."""

    code = "review_exists"

    def __init__(self) -> None:
        super().__init__(_("There is a review of this day already; discard it first."))


class RunDateAhead(TierReviewError):
    """The day has not begun in the programme's time zone."""

    code = "run_date_ahead"

    def __init__(self) -> None:
        super().__init__(_("Choose a day that has begun."))


class WrongState(TierReviewError):
    """The review is not where this step begins."""

    code = "wrong_state"

    def __init__(self, review: TierReview) -> None:
        super().__init__(_("The review is “%(state)s”.") % {"state": review.get_state_display()})


class SecondPersonNeeded(TierReviewError):
    """Whoever built the review wants to approve it, and the policy asks for somebody else."""

    code = "second_person_needed"

    def __init__(self) -> None:
        super().__init__(_("Somebody else than the one who built the review has to approve it."))


class DecisionReasonRequired(TierReviewError):
    """A member is left out without a reason."""

    code = "reason_required"

    def __init__(self) -> None:
        super().__init__(_("Say why."))


@dataclass(frozen=True, slots=True)
class ReviewReport:
    """What an application did: rows applied and skipped."""

    applied: int = 0
    skipped: int = 0

    def __add__(self, other: ReviewReport) -> ReviewReport:
        return ReviewReport(self.applied + other.applied, self.skipped + other.skipped)


# Building


def build_review(
    *, actor: User | None, now: dt.datetime, programme: Programme, run_date: dt.date | None = None
) -> TierReview:
    """Judge all members of a programme as on a day, and write down who would move where and why.

    Nothing changes for anybody. Called again after an interruption it goes on.

    Args:
        actor: Who asks for it; None for the system.
        now: Aware instant.
        programme: The programme.
        run_date: The day; today in the programme's time zone if None.

    Raises:
        RunDateAhead: The day has not begun.
        ReviewExists: There is a finished review of the day that was not discarded.
    """
    review = create_review(actor=actor, now=now, programme=programme, run_date=run_date)
    while build_batch(review_id=review.pk):
        pass
    review.refresh_from_db()
    return review


@transaction.atomic
def create_review(
    *, actor: User | None, now: dt.datetime, programme: Programme, run_date: dt.date | None = None
) -> TierReview:
    """Begin a review, or find the one of the day that is still being built; see `build_review`."""
    today = programme.local_date(now)
    run_date = run_date or today
    if run_date > today:
        raise RunDateAhead
    begun = TierReview.objects.filter(programme=programme, run_date=run_date).exclude(state=State.DISCARDED).first()
    if begun is not None:
        if begun.state == State.BUILDING:
            return begun
        raise ReviewExists
    try:
        with transaction.atomic():
            review = TierReview.objects.create(programme=programme, run_date=run_date, created_by=actor, created_at=now)
    except IntegrityError as error:
        raise ReviewExists from error
    record_audit(
        actor=actor,
        now=now,
        action="tierreview.built",
        target=review,
        label=f"{programme.code} {run_date}",
        after={"programme": programme.code, "run_date": run_date.isoformat()},
    )
    return review


_ROWS = """
{verdicts}
INSERT INTO loyalty_tierreviewrow (
    review_id, membership_id, kind, from_tier_id, to_tier_id, until_date, figures, why, decision,
    decision_reason, state, skipped_reason)
SELECT %(review)s, id, kind, tier_id, to_tier_id, until_date, figures, why, 'include', '', 'pending', ''
FROM verdicts
ON CONFLICT (review_id, membership_id) DO NOTHING
"""


@transaction.atomic
def build_batch(*, review_id: int, batch_size: int = BUILD_BATCH) -> bool:
    """Judge the next members of a review; False when all are judged and the review can be looked at."""
    review = TierReview.objects.select_for_update().select_related("programme").get(pk=review_id)
    if review.state != State.BUILDING:
        return False
    members = Membership.objects.filter(programme=review.programme, pk__gt=review.built_to_id)
    last = members.order_by("pk").values_list("pk", flat=True)[batch_size - 1 : batch_size].first()
    whole = last is None and review.built_to_id == 0
    last = last or members.aggregate(last=Max("pk"))["last"]
    if last is None:
        review.state = State.DRAFT
        review.save(update_fields=["state"])
        return False
    judging = Judging(review.programme, review.run_date)
    # Without a range the entries are read in one pass.
    selected = "true" if whole else "m.id > %(from_id)s AND m.id <= %(to_id)s"
    with connection.cursor() as cursor:
        cursor.execute(
            _ROWS.format(verdicts=judging.sql(selected)),
            {**judging.parameters, "review": review.pk, "from_id": review.built_to_id, "to_id": last},
        )
    review.built_to_id = last
    review.save(update_fields=["built_to_id"])
    return True


# Deciding


@transaction.atomic
def decide_row(*, actor: User, now: dt.datetime, row_id: int, is_included: bool, reason: str = "") -> TierReviewRow:
    """Leave a member out of a review, with a reason, or take them in again.

    Raises:
        DecisionReasonRequired: A member is left out without a reason.
        WrongState: The review is being applied, or over.
    """
    row = TierReviewRow.objects.select_related("membership").get(pk=row_id)
    review = _review(row.review_id, State.DRAFT)
    if not is_included and not reason.strip():
        raise DecisionReasonRequired
    before = {"decision": row.decision, "reason": row.decision_reason}
    row.decision = TierReviewRow.Decision.INCLUDE if is_included else TierReviewRow.Decision.EXCLUDE
    row.decision_reason = reason.strip()
    row.decided_by, row.decided_at = actor, now
    row.save(update_fields=["decision", "decision_reason", "decided_by", "decided_at"])
    record_audit(
        actor=actor,
        now=now,
        action="tierreview.row_decided",
        target=row.membership,
        label=row.membership.number,
        before=before,
        after={"decision": row.decision, "reason": row.decision_reason, "review": review.pk},
    )
    return row


@transaction.atomic
def approve_review(*, actor: User | None, now: dt.datetime, review_id: int) -> TierReview:
    """Approve a review as it stands, so that it can be applied.

    Raises:
        WrongState: It is not there to be looked at.
        SecondPersonNeeded: The policy asks for four eyes.
    """
    review = _review(review_id, State.DRAFT)
    if policy_of(review.programme, review.run_date).four_eyes and (actor is None or actor.pk == review.created_by_id):
        raise SecondPersonNeeded
    review.state, review.approved_by, review.approved_at = State.APPROVED, actor, now
    review.save(update_fields=["state", "approved_by", "approved_at"])
    _audit(review, actor, now, "approved")
    return review


@transaction.atomic
def discard_review(*, actor: User | None, now: dt.datetime, review_id: int) -> TierReview:
    """Put a review away that was not applied; another one of the day may be built.

    Raises:
        WrongState: It was applied, or is being applied.
    """
    review = _review(review_id, State.BUILDING, State.DRAFT, State.APPROVED)
    if review.rows.exclude(state=TierReviewRow.State.PENDING).exists():
        raise WrongState(review)
    review.state, review.discarded_by, review.discarded_at = State.DISCARDED, actor, now
    review.save(update_fields=["state", "discarded_by", "discarded_at"])
    _audit(review, actor, now, "discarded")
    return review


# Applying


def apply_review(
    *, actor: User | None, now: dt.datetime, review_id: int, batch_size: int = APPLY_BATCH
) -> ReviewReport:
    """Do what an approved review says; called again after an interruption it goes on.

    Every member is judged anew: whoever would not move, or elsewhere, stays, and the row says why.

    Raises:
        WrongState: The review is not approved.
    """
    report = ReviewReport()
    while (batch := apply_batch(actor=actor, now=now, review_id=review_id, batch_size=batch_size)) is not None:
        report += batch
    return report


@transaction.atomic
def apply_batch(
    *, actor: User | None, now: dt.datetime, review_id: int, batch_size: int = APPLY_BATCH
) -> ReviewReport | None:
    """Apply the next rows of a review; None when there are none left, which finishes the review.

    Raises:
        WrongState: The review is not approved.
    """
    review = TierReview.objects.select_for_update().select_related("programme").get(pk=review_id)
    if review.state == State.APPLIED:
        return None
    if review.state != State.APPROVED:
        raise WrongState(review)
    rows = list(
        review.rows.select_for_update().filter(state=TierReviewRow.State.PENDING).order_by("membership_id")[:batch_size]
    )
    if not rows:
        review.state, review.applied_by, review.applied_at = State.APPLIED, actor, now
        review.save(update_fields=["state", "applied_by", "applied_at"])
        _audit(review, actor, now, "applied")
        return None
    _apply_rows(actor, now, review, rows)
    TierReviewRow.objects.bulk_update(rows, ["state", "skipped_reason"])
    applied = sum(row.state == TierReviewRow.State.APPLIED for row in rows)
    return ReviewReport(applied, len(rows) - applied)


def _apply_rows(actor: User | None, now: dt.datetime, review: TierReview, rows: Sequence[TierReviewRow]) -> None:
    included = [row for row in rows if row.decision == TierReviewRow.Decision.INCLUDE]
    ids = [row.membership_id for row in included]
    # Locked before they are judged, so that no stay is counted in between.
    active = dict(
        Membership.objects.select_for_update(no_key=True).filter(pk__in=ids).order_by("pk").values_list("pk", "status")
    )
    judging = Judging(review.programme, review.programme.local_date(now))
    verdicts = {verdict.membership_id: verdict for verdict in judging.judge(ids)}
    agreed = []
    for row in rows:
        verdict = verdicts.get(row.membership_id)
        row.state, row.skipped_reason = TierReviewRow.State.SKIPPED, ""
        if row.decision == TierReviewRow.Decision.EXCLUDE:
            row.skipped_reason = TierReviewRow.Skipped.EXCLUDED
        elif active[row.membership_id] != Membership.Status.ACTIVE:
            row.skipped_reason = TierReviewRow.Skipped.INACTIVE
        elif verdict is None:
            row.skipped_reason = TierReviewRow.Skipped.NO_LONGER
        elif (verdict.kind, verdict.from_tier_id, verdict.to_tier_id) != (row.kind, row.from_tier_id, row.to_tier_id):
            row.skipped_reason = TierReviewRow.Skipped.CHANGED
        else:
            row.state = TierReviewRow.State.APPLIED
            agreed.append(verdict)
    change_tiers(actor=actor, now=now, moves=moves_of(agreed, judging, now=now, review_id=review.pk))


# Warnings, and what a night does


_WARN = """
{verdicts}
INSERT INTO loyalty_tierwarning (membership_id, tier_id, until_date, next_tier_id, figures, created_at)
SELECT id, tier_id, %(until)s, to_tier_id, figures, %(now)s FROM verdicts WHERE kind = 'downgrade'
ON CONFLICT DO NOTHING
"""


def write_warnings(*, now: dt.datetime, programme: Programme, membership_ids: Sequence[int] | None = None) -> int:
    """Note the members whose tier ends within the days of warning and is not reached again as things stand.

    A member is noted once for each end; run again it adds only who is new. Of `membership_ids`, or of all if None.
    Returns how many were noted.
    """
    today = programme.local_date(now)
    terms = policy_of(programme, today)
    ending = Membership.objects.filter(
        programme=programme,
        status=Membership.Status.ACTIVE,
        tier_until_date__gte=today,
        tier_until_date__lte=today + terms.warning_days * DAY,
    )
    selected = "m.tier_until_date = %(until)s"
    if membership_ids is not None:
        ending = ending.filter(pk__in=membership_ids)
        selected += " AND m.id = ANY (%(ids)s::bigint[])"
    ends = ending.order_by("tier_until_date").values_list("tier_until_date", flat=True).distinct()
    count = 0
    for until in filter(None, list(ends)):
        with transaction.atomic(), connection.cursor() as cursor:
            judging = Judging(programme, until + (terms.grace_days + 1) * DAY)
            cursor.execute(
                _WARN.format(verdicts=judging.sql(selected)),
                {**judging.parameters, "until": until, "now": now, "ids": list(membership_ids or ())},
            )
            count += cursor.rowcount
    return count


@dataclass(frozen=True, slots=True)
class NightReport:
    """What `review_by_night` did."""

    challenges: int
    carried: int
    raised: int
    warned: int


def review_by_night(
    *, now: dt.datetime, programme: Programme, membership_ids: Sequence[int] | None = None
) -> NightReport:
    """What needs nobody's approval: challenges, carrying over, upgrades and renewals that are due, warnings.

    Each member's part depends on nobody else's, so that a night may be done in batches of members, and done
    again for a member it changes nothing.

    Args:
        now: Aware instant; the night is that of its date in the programme's time zone.
        programme: The programme.
        membership_ids: Only these members; all of them if None.
    """
    ids = membership_ids
    challenges = evaluate_challenges(actor=None, now=now, programme=programme, membership_ids=ids)
    carried = carry_over_excess(now=now, programme=programme, membership_ids=ids)
    raised = review_tiers(actor=None, now=now, programme=programme, membership_ids=ids)
    warned = write_warnings(now=now, programme=programme, membership_ids=ids)
    return NightReport(challenges, carried, len(raised), warned)


def _review(review_id: int, *states: str) -> TierReview:
    review = TierReview.objects.select_for_update(of=("self",)).select_related("programme").get(pk=review_id)
    if review.state not in states:
        raise WrongState(review)
    return review


def _audit(review: TierReview, actor: User | None, now: dt.datetime, verb: str) -> None:
    record_audit(
        actor=actor,
        now=now,
        action=f"tierreview.{verb}",
        target=review,
        label=f"{review.programme.code} {review.run_date}",
        after={"state": review.state, "rows": review.rows.count()},
    )
