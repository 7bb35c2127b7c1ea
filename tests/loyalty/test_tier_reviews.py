"""Reviews: built without a change for anybody, decided by people, applied resumably to those who still stand so."""

import datetime as dt
from decimal import Decimal
from io import StringIO

import pytest
import time_machine
from django.core.management import CommandError, call_command

from hotels.models import AuditEntry, Role
from loyalty.models import (
    JobRun,
    Membership,
    QualificationEntry,
    TierChange,
    TierPolicy,
    TierReview,
    TierReviewRow,
    TierWarning,
)
from loyalty.services.jobs import start_scheduled_runs, work_run
from loyalty.services.memberships import enrol_member
from loyalty.services.tier_grants import grant_tier, protect_member
from loyalty.services.tier_reviews import (
    DecisionReasonRequired,
    ReviewExists,
    ReviewReport,
    RunDateAhead,
    SecondPersonNeeded,
    WrongState,
    apply_batch,
    apply_review,
    approve_review,
    build_batch,
    build_review,
    create_review,
    decide_row,
    discard_review,
    review_by_night,
    write_warnings,
)
from loyalty.signals import tier_changed
from tests.factories import NOW, make_guest, make_programme, make_staff

pytestmark = pytest.mark.django_db

DAY = dt.timedelta(days=1)
TODAY = NOW.date()


@pytest.fixture
def programme():
    programme = make_programme()
    TierPolicy.objects.create(
        programme=programme, effective_from=dt.date(2020, 1, 1), validity="months", validity_months=12, warning_days=30
    )
    return programme


@pytest.fixture
def manager():
    return make_staff(Role.GROUP_MANAGER)


def member(programme, tier="gold", *, until=TODAY - DAY, amount=0, **facts):
    membership = enrol_member(actor=None, now=NOW - 800 * DAY, programme=programme, guest_id=make_guest().pk)
    Membership.objects.filter(pk=membership.pk).update(
        tier=programme.tiers.get(code=tier), tier_until_date=until, **facts
    )
    if amount:
        spend(membership, amount)
    return membership


def spend(membership, amount, day=TODAY):
    QualificationEntry.objects.create(
        membership=membership, kind="manual", business_date=day, stays=1, amount=Decimal(amount)
    )


def rows_of(review):
    found = review.rows.select_related("to_tier").order_by("membership_id")
    return {row.membership_id: (row.kind, row.to_tier.code, row.until_date) for row in found}


def tier_of(membership):
    return Membership.objects.get(pk=membership.pk).tier.code


def test_a_build_tells_who_moves_and_moves_nobody(programme, manager):
    falls = member(programme)
    lands = member(programme, amount=6000)
    renews = member(programme, amount=12000)
    rises = member(programme, "base", until=None, amount=20000)
    lasts = member(programme, until=TODAY)
    floor = member(programme)
    grant_tier(
        actor=manager, now=NOW, membership_id=floor.pk, tier_id=programme.tiers.get(code="gold").pk,
        until_date=TODAY + 90 * DAY, reason="赔礼",
    )  # fmt: skip
    Membership.objects.filter(pk=floor.pk).update(tier_until_date=TODAY - DAY)
    kept = member(programme)
    protect_member(actor=manager, now=NOW, membership_id=kept.pk, until_date=TODAY, reason="住院")

    review = build_review(actor=manager, now=NOW, programme=programme)

    year = dt.date(2027, 6, 14)
    assert rows_of(review) == {
        falls.pk: ("downgrade", "base", None),
        lands.pk: ("downgrade", "silver", year),
        renews.pk: ("renewal", "gold", year),
        rises.pk: ("upgrade", "diamond", year),
        floor.pk: ("renewal", "gold", TODAY + 90 * DAY),
    }
    assert review.state == "draft"
    assert tier_of(falls) == "gold"
    assert lasts.pk not in rows_of(review)
    row = review.rows.get(membership=lands)
    assert (row.figures["amount"], row.why["until"], row.why["reached"]) == ("6000.00", str(TODAY - DAY), 1)


def test_approved_it_is_applied_with_history_and_signals(programme, manager):
    falls, lands = member(programme), member(programme, amount=6000)
    heard = []
    tier_changed.connect(listener := lambda **facts: heard.append(facts["membership_id"]), weak=False)
    review = build_review(actor=manager, now=NOW, programme=programme)
    with pytest.raises(WrongState):
        apply_review(actor=manager, now=NOW, review_id=review.pk)
    approve_review(actor=manager, now=NOW, review_id=review.pk)

    report = apply_review(actor=manager, now=NOW, review_id=review.pk, batch_size=1)
    tier_changed.disconnect(listener)

    assert report == ReviewReport(applied=2)
    assert (tier_of(falls), tier_of(lands)) == ("base", "silver")
    change = TierChange.objects.get(membership=lands)
    assert (change.kind, change.review_id, change.until_date) == ("downgrade", review.pk, dt.date(2027, 6, 14))
    assert change.figures["amount"] == "6000.00"
    assert sorted(heard) == [falls.pk, lands.pk]
    review.refresh_from_db()
    assert (review.state, review.applied_by) == ("applied", manager)
    assert apply_review(actor=manager, now=NOW, review_id=review.pk) == ReviewReport()
    assert TierChange.objects.count() == 2
    actions = set(AuditEntry.objects.filter(action__startswith="tierreview").values_list("action", flat=True))
    assert actions == {"tierreview.built", "tierreview.approved", "tierreview.applied"}


def test_who_lives_on_between_preview_and_application_is_judged_anew(programme, manager):
    stayed, climbed, closed, same = (member(programme) for _index in range(4))
    left_out = member(programme)
    review = build_review(actor=manager, now=NOW, programme=programme)
    row = review.rows.get(membership=left_out)
    with pytest.raises(DecisionReasonRequired):
        decide_row(actor=manager, now=NOW, row_id=row.pk, is_included=False)
    decide_row(actor=manager, now=NOW, row_id=row.pk, is_included=False, reason="重要客户")
    approve_review(actor=manager, now=NOW, review_id=review.pk)
    with pytest.raises(WrongState):
        decide_row(actor=manager, now=NOW, row_id=row.pk, is_included=True)
    tomorrow = NOW + DAY
    spend(stayed, 12000, TODAY + DAY)
    spend(climbed, 6000, TODAY + DAY)
    Membership.objects.filter(pk=closed.pk).update(status="closed")
    protect_member(actor=manager, now=NOW, membership_id=same.pk, until_date=TODAY + 9 * DAY, reason="住院")

    report = apply_review(actor=manager, now=tomorrow, review_id=review.pk)

    assert report == ReviewReport(applied=0, skipped=5)
    assert dict(review.rows.values_list("membership_id", "skipped_reason")) == {
        stayed.pk: "changed",
        climbed.pk: "changed",
        closed.pk: "inactive",
        same.pk: "no_longer",
        left_out.pk: "excluded",
    }
    assert not TierChange.objects.exists()


def test_an_interrupted_build_and_application_go_on(programme, manager):
    members = [member(programme) for _index in range(7)]
    review = create_review(actor=manager, now=NOW, programme=programme)
    assert build_batch(review_id=review.pk, batch_size=3)
    assert review.rows.count() == 3

    again = build_review(actor=manager, now=NOW, programme=programme)

    assert (again.pk, again.state, again.rows.count()) == (review.pk, "draft", 7)
    approve_review(actor=manager, now=NOW, review_id=review.pk)
    assert apply_batch(actor=manager, now=NOW, review_id=review.pk, batch_size=2) == ReviewReport(2)
    apply_review(actor=None, now=NOW, review_id=review.pk, batch_size=2)
    assert {tier_of(one) for one in members} == {"base"}
    assert TierChange.objects.count() == 7
    with pytest.raises(WrongState):
        discard_review(actor=manager, now=NOW, review_id=review.pk)


def test_one_review_a_day_until_it_is_discarded(programme, manager):
    member(programme)
    first = build_review(actor=manager, now=NOW, programme=programme)
    with pytest.raises(ReviewExists):
        build_review(actor=manager, now=NOW, programme=programme)
    with pytest.raises(RunDateAhead):
        build_review(actor=manager, now=NOW, programme=programme, run_date=TODAY + DAY)

    discard_review(actor=manager, now=NOW, review_id=first.pk)

    assert build_review(actor=manager, now=NOW, programme=programme).rows.count() == 1


def test_four_eyes_are_two_people(programme, manager):
    TierPolicy.objects.update(four_eyes=True)
    member(programme)
    review = build_review(actor=manager, now=NOW, programme=programme)
    with pytest.raises(SecondPersonNeeded):
        approve_review(actor=manager, now=NOW, review_id=review.pk)
    with pytest.raises(SecondPersonNeeded):
        approve_review(actor=None, now=NOW, review_id=review.pk)

    approved = approve_review(actor=make_staff(Role.GROUP_MANAGER), now=NOW, review_id=review.pk)

    assert approved.state == TierReview.State.APPROVED


def test_a_soft_landing_takes_one_step_at_a_time(programme, manager):
    TierPolicy.objects.update(downgrade="one_step", grace_days=10)
    diamond = member(programme, "diamond", until=TODAY - 11 * DAY)
    waits = member(programme, "diamond", until=TODAY - 10 * DAY)

    review = build_review(actor=manager, now=NOW, programme=programme)

    assert rows_of(review) == {diamond.pk: ("downgrade", "gold", dt.date(2027, 6, 14))}
    assert waits.pk not in rows_of(review)


def test_a_review_costs_as_many_statements_for_many_as_for_one(programme, manager, django_assert_max_num_queries):
    for _index in range(25):
        member(programme)
    with django_assert_max_num_queries(26):
        review = build_review(actor=manager, now=NOW, programme=programme)
    approve_review(actor=manager, now=NOW, review_id=review.pk)

    with django_assert_max_num_queries(24):
        apply_review(actor=manager, now=NOW, review_id=review.pk)

    assert TierReviewRow.objects.filter(state="applied").count() == 25


def test_a_warning_is_noted_once_for_whoever_will_fall(programme):
    falls = member(programme, until=TODAY + 29 * DAY)
    member(programme, until=TODAY + 29 * DAY, amount=12000)
    member(programme, until=TODAY + 31 * DAY)

    assert write_warnings(now=NOW, programme=programme) == 1
    assert write_warnings(now=NOW, programme=programme) == 0

    warning = TierWarning.objects.get()
    assert (warning.membership_id, warning.next_tier.code, warning.sent_at) == (falls.pk, "base", None)


def test_a_night_moves_up_and_renews_and_never_down(programme):
    rises = member(programme, "base", until=None, amount=6000)
    renews = member(programme, amount=12000)
    falls = member(programme)

    report = review_by_night(now=NOW, programme=programme)

    assert report.raised == 2
    assert (tier_of(rises), tier_of(renews), tier_of(falls)) == ("silver", "gold", "gold")
    assert Membership.objects.get(pk=renews.pk).tier_until_date == dt.date(2027, 6, 14)
    assert review_by_night(now=NOW, programme=programme).raised == 0


def test_the_night_is_a_run_with_its_figures_once_a_date(programme):
    rises = member(programme, "base", until=None, amount=6000)

    (run_id,) = start_scheduled_runs(now=NOW, job="review_tiers")
    work_run(run_id=run_id, now=NOW)

    run = JobRun.objects.get(pk=run_id)
    assert (run.state, run.figures["raised"], run.run_date) == ("done", 1, TODAY)
    assert tier_of(rises) == "silver"
    assert start_scheduled_runs(now=NOW, job="review_tiers") == []


def test_a_night_that_was_broken_off_goes_on_where_it_stood_and_does_nothing_twice(programme, monkeypatch):
    rising = [member(programme, "base", until=None, amount=6000) for _index in range(3)]
    falling = [member(programme, until=TODAY + 29 * DAY) for _index in range(3)]
    (run_id,) = start_scheduled_runs(now=NOW, job="review_tiers")
    nights = []

    def night_that_dies(*, membership_ids, **asked):
        report = review_by_night(membership_ids=membership_ids, **asked)
        nights.append(list(membership_ids))
        if len(nights) == 2:
            raise KeyboardInterrupt
        return report

    with monkeypatch.context() as patched:
        patched.setattr("loyalty.services.jobs.tiers.review_by_night", night_that_dies)
        with pytest.raises(KeyboardInterrupt):
            work_run(run_id=run_id, now=NOW, batch_size=2)

    run = JobRun.objects.get(pk=run_id)
    assert (run.state, run.due_count, run.done_count, run.cursor) == ("running", 6, 2, nights[0][-1])
    assert [tier_of(one) for one in rising] == ["silver", "silver", "base"]
    assert not TierWarning.objects.exists()

    work_run(run_id=run_id, now=NOW, batch_size=2)

    run.refresh_from_db()
    assert (run.state, run.done_count, run.figures) == ("done", 6, {"raised": 3, "warned": 3})
    assert {tier_of(one) for one in rising} == {"silver"}
    assert set(TierWarning.objects.values_list("membership_id", flat=True)) == {one.pk for one in falling}
    assert TierChange.objects.count() == 3
    again = review_by_night(now=NOW, programme=programme)
    assert (again.raised, again.warned, again.carried, again.challenges) == (0, 0, 0, 0)


@time_machine.travel(NOW, tick=False)
def test_the_command_builds_and_applies(programme):
    falls = member(programme)

    def run(*arguments):
        out = StringIO()
        call_command("review_tiers", "--programme", programme.code, *arguments, stdout=out)
        return out.getvalue()

    assert "draft: downgrade 1" in run()
    assert tier_of(falls) == "gold"
    assert "1 applied, 0 skipped" in run("--apply")
    assert tier_of(falls) == "base"
    assert "0 applied" in run("--apply")
    with pytest.raises(CommandError, match="no programme"):
        call_command("review_tiers", "--programme", "none")
    with pytest.raises(CommandError, match="run_date_ahead"):
        run("--run-date", "2026-06-16")
