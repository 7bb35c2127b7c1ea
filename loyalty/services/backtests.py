"""Back-tests of a version of the earning rules: asked for by a person, run by a worker."""

from __future__ import annotations

import datetime as dt
import time
import uuid
from typing import TYPE_CHECKING, Any

import structlog
from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now

from hotels.services.audit import record_audit
from loyalty.models import BackTest, EarningRuleSet
from loyalty.rules.tiers import add_months
from loyalty.selectors.backtest import compare_rule_sets
from loyalty.selectors.backtest_figures import figures_of, rules_digest

if TYPE_CHECKING:
    from hotels.models import User

logger = structlog.get_logger(__name__)

MONTHS = (3, 6, 12, 24)
State = BackTest.State


class _ClaimLost(Exception):
    """Somebody started the back-test again, or its draft is gone."""


@transaction.atomic
def request_back_test(*, actor: User | None, now: dt.datetime, rule_set_id: int, months: int = 12) -> BackTest:
    """Queue a back-test of a version over the months up to today; a worker takes it by `run_back_test`.

    The version is compared with the one in force, or where that is itself with the one before. If a
    back-test of it is going on, that one is returned; one whose worker is silent is queued again.

    Args:
        actor: Who asks; None for the system.
        now: Aware instant.
        rule_set_id: A version, draft or not.
        months: How far back.

    Raises:
        ValueError: Not one of `MONTHS`.
    """
    if months not in MONTHS:
        raise ValueError(months)
    # One request at a time, so that two find the same back-test.
    rule_set = (
        EarningRuleSet.objects.select_for_update(no_key=True, of=("self",))
        .select_related("programme")
        .get(pk=rule_set_id)
    )
    going_on = (
        BackTest.objects.select_for_update(no_key=True, of=("self",))
        .filter(rule_set=rule_set, state__in=[State.QUEUED, State.RUNNING])
        .first()
    )
    if going_on is not None:
        if going_on.is_stuck(now):
            going_on.state, going_on.claim, going_on.started_at = State.QUEUED, None, None
            going_on.progress_at = now
            going_on.save()
            _audit(going_on, actor, now, "restarted")
        return going_on
    programme = rule_set.programme
    today = programme.local_date(now)
    others = EarningRuleSet.objects.published().filter(programme=programme, effective_from__lte=today)
    back_test = BackTest.objects.create(
        rule_set=rule_set,
        compared_with=others.exclude(pk=rule_set.pk).order_by("-effective_from").first(),
        since=add_months(today, -months),
        until=today,
        requested_by=actor,
        created_at=now,
        progress_at=now,
    )
    _audit(back_test, actor, now, "requested")
    return back_test


def run_back_test(*, now: dt.datetime, back_test_id: int) -> bool:
    """Compare and keep the figures; harmless if it is done, gone, or another worker is at it.

    Runs outside a transaction: the rows come from cursors that outlive theirs, so that each step of the
    progress is to be seen at once.

    Returns:
        Whether this call came to an end with it, with figures or a fault.
    """
    claim = uuid.uuid4()
    started = time.monotonic()
    taken = (
        BackTest.objects.filter(pk=back_test_id)
        .filter(Q(state=State.QUEUED) | Q(state=State.RUNNING, progress_at__lt=Now() - BackTest.SILENCE))
        .update(state=State.RUNNING, claim=claim, started_at=now, progress_at=Now(), done=0, total=0)
    )
    if not taken:
        return False
    mine = BackTest.objects.filter(pk=back_test_id, claim=claim)

    def on_progress(done: int, total: int) -> None:
        if not mine.update(done=done, total=total, progress_at=Now()):
            raise _ClaimLost

    def end(**values: Any) -> bool:
        seconds = dt.timedelta(seconds=time.monotonic() - started)
        return bool(mine.update(claim=None, finished_at=now + seconds, progress_at=Now(), **values))

    back_test = mine.select_related("rule_set__programme", "compared_with").first()
    if back_test is None:
        return False
    programme = back_test.rule_set.programme
    try:
        digest = rules_digest(back_test.rule_set_id)
        comparison = compare_rule_sets(
            programme=programme,
            before=back_test.compared_with,
            after=back_test.rule_set,
            since=back_test.since,
            until=back_test.until,
            today=programme.local_date(now),
            on_progress=on_progress,
        )
        figures = figures_of(comparison, programme)
    except _ClaimLost:
        return False
    except Exception as error:
        # The log has the rest; a message of the database may hold what a guest wrote.
        logger.exception("back_test_failed", back_test=back_test_id)
        return end(state=State.FAILED, failure=type(error).__name__)
    figures.update(rules=digest, seconds=round(time.monotonic() - started, 1))
    stays = comparison.total.stays
    return end(state=State.DONE, figures=figures, done=stays, total=stays)


def _audit(back_test: BackTest, actor: User | None, now: dt.datetime, verb: str) -> None:
    rule_set = back_test.rule_set
    record_audit(
        actor=actor,
        now=now,
        action=f"backtest.{verb}",
        target=back_test,
        label=f"{rule_set.programme.code} {rule_set}",
        after={
            "rule_set": rule_set.pk,
            "compared_with": back_test.compared_with_id,
            "since": back_test.since.isoformat(),
            "until": back_test.until.isoformat(),
        },
    )
