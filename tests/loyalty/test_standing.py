"""The statement over all members says what the rule says of each of them."""

import datetime as dt
import random
from dataclasses import fields

import pytest

from loyalty.models import Membership, QualificationEntry, TierCriteria, TierGrant, TierPolicy
from loyalty.rules.tiers import (
    Figures,
    PolicyTerms,
    Standing,
    highest_for_life,
    highest_reached,
    judge,
    next_year_start,
    period_before,
    period_of,
    valid_until,
    year_start,
)
from loyalty.selectors.standing import Judging, Span, figures_between
from tests.factories import NOW, at_least, make_guest, make_membership, make_programme

pytestmark = pytest.mark.django_db

DAY = dt.timedelta(days=1)
RUN = dt.date(2027, 3, 1)
TREES = {
    "silver": {"any": [{"field": "nights", "op": "gte", "value": 6}, {"field": "amount", "op": "gte", "value": "900"}]},
    "gold": {
        "all": [
            {"field": "nights", "op": "gte", "value": 10},
            {"any": [{"field": "stays", "op": "gt", "value": 4}, {"field": "meetings", "op": "gte", "value": 3}]},
        ]
    },
    "diamond": {"any": [at_least(every=True, nights=16, points=500), at_least(lifetime_nights=40)]},
}
POLICIES = [
    {},
    {"validity": "months", "validity_months": 12, "grace_days": 20, "downgrade": "one_step"},
    {"window_months": 24, "validity": "while_held"},
    {"window": "calendar_year", "validity": "this_year"},
    {"window": "calendar_year", "validity": "next_year", "downgrade": "one_step"},
    {"window": "calendar_year", "validity": "next_february", "upgrade_timing": "next_day"},
    {"window": "calendar_year", "validity": "months", "validity_months": 18, "zero_on_change": True},
    {"window": "calendar_year", "validity": "while_held"},
    {"window": "membership_year", "validity": "this_year", "grace_days": 5},
    {"window": "membership_year", "validity": "next_year", "zero_on_change": True},
    {"window": "membership_year", "validity": "months", "validity_months": 6},
    {"window": "membership_year", "validity": "next_february"},
    {"window": "lifetime", "validity": "unlimited"},
    {"zero_on_change": True, "validity": "months", "validity_months": 3},
]


def figures(entries, start, end):
    total = Figures()
    for entry in entries:
        if start <= entry.business_date <= end:
            total += Figures(entry.nights, entry.stays, entry.amount, entry.points)
            if entry.measure:
                total += Figures(**{entry.measure: entry.quantity})
    return total


def slow_verdict(membership, entries, grants, judging):
    """The rule for one member, from the entries themselves."""
    terms, as_of = judging.terms, judging.as_of
    enrolled = membership.programme.local_date(membership.enrolled_at)
    now = period_of(terms, as_of, enrolled, membership.counts_from_date)
    before = period_before(terms, as_of, enrolled, membership.counts_from_date)
    lifetime = figures(entries, dt.date.min, as_of)
    reached = highest_reached(judging.thresholds, figures(entries, now.start, now.end), lifetime)
    reached_before = (
        highest_reached(judging.thresholds, figures(entries, before.start, before.end), lifetime) if before else None
    )
    for_life = highest_for_life(judging.thresholds, lifetime)
    standing = [
        g for g in grants if g.revoked_at is None and g.from_date <= RUN and (not g.until_date or g.until_date >= RUN)
    ]
    top = max((g.tier.rank for g in standing), default=0)
    ends = [g.until_date for g in standing if g.tier.rank == top]
    end_before = year_start(terms, as_of, enrolled) - DAY
    found = judge(
        Standing(
            membership.tier.rank,
            membership.tier_until_date,
            membership.tier_source,
            reached.rank if reached else 0,
            reached_before.rank if reached_before else 0,
            for_life.rank if for_life else 0,
            top,
            None if None in ends or not ends else max(ends),
            membership.protected_until_date,
        ),
        terms,
        run_date=RUN,
        ranks=list(judging.tiers),
        until_now=valid_until(terms, as_of, enrolled),
        until_before=valid_until(terms, end_before, enrolled) if terms.has_years else None,
    )
    if found is None:
        return None
    source = "given" if found.source == "floor" else found.source
    return found.kind, judging.tiers[found.rank], found.until, source


@pytest.mark.parametrize("number", range(len(POLICIES)))
def test_the_statement_judges_like_the_rule(number):
    dice = random.Random(number)
    programme = make_programme()
    TierCriteria.objects.filter(tier__programme=programme).delete()
    tiers = {tier.code: tier for tier in programme.tiers.all()}
    for code, tree in TREES.items():
        TierCriteria.objects.create(tier=tiers[code], effective_from=dt.date(2020, 1, 1), conditions=tree)
    TierPolicy.objects.create(programme=programme, effective_from=dt.date(2020, 1, 1), **POLICIES[number])
    members, entries, grants = [], {}, {}
    for _index in range(60):
        membership = make_membership(programme, make_guest(), tier=dice.choice(list(tiers)))
        joined = dt.datetime(2022, 1, 1, 12, tzinfo=dt.UTC) + dice.randrange(1800) * DAY
        Membership.objects.filter(pk=membership.pk).update(
            enrolled_at=dice.choice([joined, dt.datetime(2024, 2, 29, 12, tzinfo=dt.UTC)]),
            tier_until_date=dice.choice(
                [None, RUN + dice.randrange(-60, 500) * DAY, RUN - dice.randrange(1, 30) * DAY]
            ),
            tier_source=dice.choice(["earned", "earned", "lifetime", "manual"]),
            protected_until_date=dice.choice([None, None, None, RUN, RUN - DAY]),
            counts_from_date=dice.choice([None, None, RUN - dice.randrange(400) * DAY]) if programme else None,
        )
        membership = Membership.objects.select_related("programme", "tier").get(pk=membership.pk)
        if not POLICIES[number].get("zero_on_change"):
            # Only a zeroing sets it.
            Membership.objects.filter(pk=membership.pk).update(counts_from_date=None)
            membership.counts_from_date = None
        members.append(membership)
        entries[membership.pk] = [
            QualificationEntry(
                membership=membership,
                kind="manual",
                business_date=RUN - int(dice.expovariate(1 / 300)) * DAY + dice.choice([0, 0, 1]) * DAY,
                nights=dice.randrange(-1, 5),
                stays=1,
                amount=dice.randrange(0, 400),
                points=dice.randrange(0, 200),
                measure=(measure := dice.choice(["", "", "meetings"])),
                quantity=dice.randrange(1, 3) if measure else 0,
            )
            for _entry in range(dice.choice([0, 2, 5, 12]))
        ]
        grants[membership.pk] = [
            TierGrant(
                membership=membership,
                tier=dice.choice(list(tiers.values())),
                source="manual",
                from_date=RUN - 30 * DAY,
                until_date=dice.choice([None, RUN, RUN - DAY, RUN + 90 * DAY]),
                reason="因故",
                granted_at=NOW,
                before_tier=tiers["base"],
                before_source="earned",
                revoked_at=dice.choice([None, None, NOW]),
            )
            for _grant in range(dice.choice([0, 0, 1, 2]))
        ]
    QualificationEntry.objects.bulk_create(entry for rows in entries.values() for entry in rows)
    TierGrant.objects.bulk_create(grant for rows in grants.values() for grant in rows)
    judging = Judging(programme, RUN)

    found = {
        verdict.membership_id: (
            verdict.kind,
            verdict.to_tier_id,
            verdict.until_date,
            "given" if verdict.grant_id else verdict.source,
        )
        for verdict in judging.judge()
    }

    expected = {m.pk: slow_verdict(m, entries[m.pk], grants[m.pk], judging) for m in members}
    assert found == {pk: verdict for pk, verdict in expected.items() if verdict}
    # Something of every kind was there to be judged.
    assert len(found) > 3
    some = [members[0].pk, members[-1].pk, *found]
    assert {verdict.membership_id for verdict in judging.judge(some)} == set(found)


def test_terms_and_policy_name_the_same_facts():
    stored = {field.name for field in TierPolicy._meta.fields} - {"id", "programme", "carry_over_tier"}

    assert {part.name for part in fields(PolicyTerms)} == stored | {"carry_over_tier_id"}


def test_the_policy_defaults_are_those_of_a_programme_without_one():
    policy = TierPolicy()

    assert {name: getattr(policy, name) for name in ("window", "validity", "downgrade", "free_nights", "day_use")} == {
        name: getattr(PolicyTerms(), name) for name in ("window", "validity", "downgrade", "free_nights", "day_use")
    }


def test_figures_of_spans_and_of_the_whole_time():
    membership = make_membership(make_programme())
    for day, nights in ((RUN - 400 * DAY, 3), (RUN, 2), (RUN + DAY, 9)):
        QualificationEntry.objects.create(membership=membership, kind="manual", business_date=day, nights=nights)

    found = figures_between([Span(7, membership.pk, RUN - 30 * DAY, RUN), Span(8, membership.pk, RUN, RUN + DAY)])

    assert {key: (now.nights, ever.nights) for key, (now, ever) in found.items()} == {7: (2, 5), 8: (11, 14)}
    assert next_year_start(PolicyTerms(), dt.date(2027, 1, 1), RUN) == dt.date(2028, 1, 1)
