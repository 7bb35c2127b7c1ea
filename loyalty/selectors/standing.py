# ruff: noqa: S608 - the SQL is put together from this module's columns and numbers; values are parameters
"""What a programme asks for and what members have: policies, thresholds, figures, and the verdict of a review.

`Judging` says in one statement over any number of members what `loyalty.rules.tiers.judge` says of one.
"""

from __future__ import annotations

import datetime as dt
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from django.db import connection

from loyalty.models import Tier, TierCriteria, TierPolicy
from loyalty.rules.qualification import TARGET
from loyalty.rules.tiers import (
    EXTRA,
    LIFETIME,
    MEASURES,
    ORDINARY,
    Figures,
    PolicyTerms,
    Threshold,
    in_force,
    period_before,
    period_of,
    policy_in_force,
    valid_until,
)
from members.rules.conditions import AllOf, AnyOf, Leaf, Node, Not, has_problem, read, used_fields

if TYPE_CHECKING:
    from loyalty.models import Programme

DAY = dt.timedelta(days=1)
BEGINNING = dt.date(1, 1, 1)


def terms_of(policy: TierPolicy) -> PolicyTerms:
    """A stored policy as a value."""
    values = {part.name: getattr(policy, part.name) for part in fields(PolicyTerms)}
    return PolicyTerms(**{**values, "carry_over": tuple(policy.carry_over)})


def policies_of(programme_ids: Iterable[int]) -> dict[int, list[PolicyTerms]]:
    """Every policy of some programmes, past and future ones too, by programme id."""
    found: dict[int, list[PolicyTerms]] = defaultdict(list)
    for policy in TierPolicy.objects.filter(programme__in=list(programme_ids)):
        found[policy.programme_id].append(terms_of(policy))
    return found


def policy_of(programme: Programme, on_date: dt.date) -> PolicyTerms:
    """The policy of a programme that counts on a date."""
    return policy_in_force(policies_of([programme.pk])[programme.pk], on_date)


def thresholds_of(programme_ids: Iterable[int]) -> dict[int, list[Threshold]]:
    """Every threshold of some programmes, past and future ones too, by programme id."""
    found: dict[int, list[Threshold]] = defaultdict(list)
    rows = TierCriteria.objects.filter(tier__programme__in=list(programme_ids)).select_related("tier")
    for row in rows:
        found[row.tier.programme_id].append(
            Threshold(
                id=row.pk,
                tier_id=row.tier_id,
                rank=row.tier.rank,
                effective_from=row.effective_from,
                node=read(row.conditions, TARGET),
            )
        )
    return found


# Conditions in SQL

_OPERATORS = {"gte": ">=", "gt": ">", "lte": "<=", "lt": "<", "is": "="}


class _Conditions:
    """Turns trees over figures into SQL; values become parameters."""

    def __init__(self, parameters: dict[str, Any]) -> None:
        self.parameters = parameters

    def _value(self, value: int | Decimal) -> str:
        name = f"value_{len(self.parameters)}"
        self.parameters[name] = value
        return f"%({name})s"

    def sql(self, node: Node, columns: Mapping[str, str]) -> str:
        """The condition over columns: field → SQL."""
        if has_problem(node):
            return "false"
        if isinstance(node, Leaf):
            return self._leaf(node, columns[node.name])
        if isinstance(node, Not):
            return f"NOT ({self.sql(node.child, columns)})"
        parts = [f"({self.sql(child, columns)})" for child in node.children]
        if isinstance(node, AllOf):
            return " AND ".join(parts) or "true"
        assert isinstance(node, AnyOf)  # noqa: S101 - for the reader of types
        return " OR ".join(parts) or "false"

    def _leaf(self, leaf: Leaf, column: str) -> str:
        if leaf.op == "between":
            first, last = leaf.value
            return f"{column} BETWEEN {self._value(first)} AND {self._value(last)}"
        return f"{column} {_OPERATORS[leaf.op]} {self._value(leaf.value)}"


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a review does to one member, and the facts that say so."""

    membership_id: int
    kind: str
    from_tier_id: int
    to_tier_id: int
    until_date: dt.date | None
    source: str
    grant_id: int | None
    figures: dict[str, Any]
    why: dict[str, Any]


class Judging:
    """The verdict on the members of a programme as on a day, as one statement.

    Args:
        programme: The programme.
        run_date: The day of the review, in the programme's time zone.
        entries: What counts: the table of the entries, or SQL of rows with its columns.
    """

    def __init__(self, programme: Programme, run_date: dt.date, *, entries: str = "loyalty_qualificationentry") -> None:
        self.programme = programme
        self.entries = entries
        self.run_date = run_date
        policies = policies_of([programme.pk])[programme.pk]
        self.terms = policy_in_force(policies, run_date)
        # A tier that begins the day after is reached by what counted until yesterday.
        self.as_of = run_date - DAY if self.terms.upgrade_timing == "next_day" else run_date
        self.has_zeroing = any(terms.zero_on_change for terms in policies)
        self.tiers = {tier.rank: tier.pk for tier in Tier.objects.filter(programme=programme).order_by("rank")}
        self.thresholds = in_force(thresholds_of([programme.pk])[programme.pk], run_date)
        self.used = frozenset(name for threshold in self.thresholds for name in used_fields(threshold.node))
        self.extra = [name for name in EXTRA if name in self.used]
        self.lifetime = [name for name in MEASURES if f"{LIFETIME}{name}" in self.used]
        self.parameters: dict[str, Any] = {
            "programme": programme.pk,
            "run": run_date,
            "as_of": self.as_of,
            "zone": programme.time_zone,
            "grace": self.terms.grace_days,
        }
        # Without members' own dates a year is that of a member who joined on New Year's Day.
        self._before = period_before(self.terms, self.as_of, BEGINNING)

    @property
    def _is_own(self) -> bool:
        """Whether the time that counts differs from member to member."""
        return self.terms.window == "membership_year" or self.has_zeroing

    def sql(self, selected: str) -> str:
        """The statement up to `verdicts`, of the members that a condition over `m` selects.

        Columns of `verdicts`: `id`, `kind`, `tier_id`, `rank`, `to_tier_id`, `to_rank`, `until_date`,
        `new_source`, `grant_id`, `figures` and `why`.
        """
        return f"""
            WITH {self._figures(selected)},
            floors AS (
                SELECT DISTINCT ON (g.membership_id)
                    g.membership_id, t.rank, g.until_date, g.id AS grant_id, g.source
                FROM loyalty_tiergrant g
                JOIN loyalty_tier t ON t.id = g.tier_id
                JOIN loyalty_membership m ON m.id = g.membership_id
                WHERE m.programme_id = %(programme)s AND {selected}
                  AND g.revoked_at IS NULL AND g.from_date <= %(run)s
                  AND (g.until_date IS NULL OR g.until_date >= %(run)s)
                ORDER BY g.membership_id, t.rank DESC, g.until_date DESC NULLS FIRST, g.id DESC
            ), facts AS (
                SELECT m.id, m.tier_id, t.rank, m.tier_until_date AS until, m.tier_source AS source,
                    m.protected_until_date, {self._columns()},
                    coalesce(fl.rank, 0) AS floor, fl.until_date AS floor_until, fl.grant_id AS floor_grant_id,
                    fl.source AS floor_source,
                    {self._until_now()} AS until_now, {self._until_before()} AS until_before
                FROM loyalty_membership m
                JOIN loyalty_tier t ON t.id = m.tier_id
                LEFT JOIN figures f ON f.id = m.id
                LEFT JOIN floors fl ON fl.membership_id = m.id
                {"JOIN spans s ON s.id = m.id" if self._is_own else ""}
                WHERE m.programme_id = %(programme)s AND m.status = 'active' AND {selected}
            ), reached AS (
                SELECT *, {self._rank("c_")} AS reached, {self._rank("p_")} AS reached_before,
                    {self._rank("")} AS for_life
                FROM facts OFFSET 0
            ), best AS (
                SELECT *, greatest(reached, reached_before, for_life, floor) AS best FROM reached OFFSET 0
            ), kinds AS (
                SELECT *, {self._kind()} AS kind FROM best OFFSET 0
            ), moved AS (
                SELECT *, CASE kind WHEN 'upgrade' THEN best WHEN 'renewal' THEN rank ELSE {self._target()} END AS to_rank
                FROM kinds WHERE kind IS NOT NULL OFFSET 0
            ), verdicts AS (
                SELECT id, kind, tier_id, rank, to_rank, {self._by_rank("to_rank", self.tiers)} AS to_tier_id,
                    {self._support()}, {self._told()} AS figures, {self._why()} AS why
                FROM moved
            )
        """

    def judge(self, membership_ids: Sequence[int] | None = None) -> list[Judgement]:
        """The verdict on some members, or on all."""
        selected = "true" if membership_ids is None else "m.id = ANY (%(ids)s::bigint[])"
        with connection.cursor() as cursor:
            cursor.execute(
                f"""
                {self.sql(selected)}
                SELECT id, kind, tier_id, to_tier_id, until_date, new_source, grant_id, figures::text, why::text
                FROM verdicts ORDER BY id
                """,
                {**self.parameters, "ids": list(membership_ids or ())},
            )
            return [
                Judgement(pk, kind, before, after, until, source, grant, json.loads(figures), json.loads(why))
                for pk, kind, before, after, until, source, grant, figures, why in cursor.fetchall()
            ]

    def reached(self, membership_id: int) -> tuple[int, dt.date | None]:
        """The rank that a member's figures reach by themselves, and its last day."""
        with connection.cursor() as cursor:
            cursor.execute(
                f"""
                {self.sql("m.id = %(id)s")}
                SELECT greatest(reached, reached_before, for_life),
                    CASE WHEN for_life >= greatest(reached, reached_before, 1) THEN NULL
                        WHEN reached >= reached_before THEN until_now ELSE until_before END
                FROM best
                """,
                {**self.parameters, "id": membership_id},
            )
            row = cursor.fetchone()
        return (row[0], row[1] if row[0] else None) if row else (0, None)

    # Parts of the statement

    def _figures(self, selected: str) -> str:
        """One row of sums for each member with entries that matter."""
        current = "q.business_date >= s.start" if self._is_own else "q.business_date >= %(start)s"
        before = (
            "q.business_date >= s.before AND q.business_date < s.year_start"
            if self._is_own
            else "q.business_date BETWEEN %(before_start)s AND %(before_end)s"
        )
        start = period_of(self.terms, self.as_of, BEGINNING).start
        self.parameters["start"] = start
        if self._before:
            self.parameters |= {"before_start": self._before.start, "before_end": self._before.end}
        sums = [f"{_sum(name, current)} AS c_{name}" for name in self._shown]
        if self._has_before:
            sums += [f"{_sum(name, before)} AS p_{name}" for name in self._shown]
        sums += [f"{_sum(name, '')} AS l_{name}" for name in self.lifetime]
        oldest = ""
        if not self.lifetime and not self._is_own:
            oldest = "AND q.business_date >= %(oldest)s"
            self.parameters["oldest"] = self._before.start if self._before else start
        # All members: a plain pass over the entries. Some: by the index of the entries of each.
        of_some = selected != "true"
        joined = "JOIN spans s ON s.id = q.membership_id" if self._is_own else ""
        if of_some and not self._is_own:
            joined = "JOIN loyalty_membership m ON m.id = q.membership_id"
        return f"""
            {self._spans(selected)}
            figures AS (
                SELECT q.membership_id AS id, {", ".join(sums)}
                FROM {self.entries} q {joined}
                WHERE q.business_date <= %(as_of)s {oldest} {f"AND {selected}" if of_some and not self._is_own else ""}
                GROUP BY q.membership_id
            )"""

    @property
    def _shown(self) -> list[str]:
        return [*ORDINARY, *self.extra]

    @property
    def _has_before(self) -> bool:
        if self.terms.window == "membership_year":
            return self.terms.validity != "this_year"
        return self._before is not None

    def _spans(self, selected: str) -> str:
        """The time that counts for each member, where it is not the same for all."""
        if not self._is_own:
            return ""
        if self.terms.window == "membership_year":
            anniversary = "(enrolled + make_interval(years => {}))::date"
            year_start, year_before, next_start = (
                anniversary.format(f"years + {more}" if more else "years") for more in (0, -1, 1)
            )
            later_start = anniversary.format("years + 2")
            source = """(
                SELECT e.*, e.years_apart
                    - ((e.enrolled + make_interval(years => e.years_apart))::date > %(as_of)s)::int AS years
                FROM (
                    SELECT m.id, m.counts_from_date, (m.enrolled_at AT TIME ZONE %(zone)s)::date AS enrolled,
                        extract(year FROM %(as_of)s::date)::int
                            - extract(year FROM m.enrolled_at AT TIME ZONE %(zone)s)::int AS years_apart
                    FROM loyalty_membership m WHERE m.programme_id = %(programme)s AND {selected}
                ) e
            ) y""".replace("{selected}", selected)
        else:
            year_start = "%(start)s::date"
            year_before = "%(before_start)s::date" if self._before else "'infinity'::date"
            next_start = later_start = "NULL::date"
            source = f"loyalty_membership m WHERE m.programme_id = %(programme)s AND {selected}"
        return f"""
            spans AS MATERIALIZED (
                SELECT id, {year_start} AS year_start, greatest({year_start}, counts_from_date) AS start,
                    greatest({year_before}, counts_from_date) AS before,
                    {next_start} AS next_start, {later_start} AS later_start
                FROM {source}
            ),"""

    def _columns(self) -> str:
        columns = [f"coalesce(f.c_{name}, 0) AS c_{name}" for name in self._shown]
        if self._has_before:
            columns += [f"coalesce(f.p_{name}, 0) AS p_{name}" for name in self._shown]
        columns += [f"coalesce(f.l_{name}, 0) AS l_{name}" for name in self.lifetime]
        return ", ".join(columns)

    def _rank(self, prefix: str) -> str:
        """The highest rank that figures reach: of now (`c_`), of the year before (`p_`), of the whole time."""
        if prefix == "p_" and not self._has_before:
            return "0"
        thresholds = [t for t in self.thresholds if prefix or t.asks_lifetime]
        columns = {name: f"{prefix}{name}" if prefix and name in self._shown else "0" for name in MEASURES}
        columns |= {f"{LIFETIME}{name}": f"l_{name}" for name in self.lifetime}
        conditions = _Conditions(self.parameters)
        cases = [f"WHEN {conditions.sql(t.node, columns)} THEN {t.rank}" for t in reversed(thresholds)]
        reached = f"CASE {' '.join(cases)} ELSE 0 END" if cases else "0"
        if prefix == "p_" and self.terms.window == "membership_year" and self.terms.validity == "months":
            return f"CASE WHEN until_before >= %(run)s THEN {reached} ELSE 0 END"
        return reached

    def _until_now(self) -> str:
        if self.terms.window == "membership_year" and self.terms.validity in {"this_year", "next_year"}:
            return f"s.{'next' if self.terms.validity == 'this_year' else 'later'}_start - 1"
        self.parameters["until_now"] = valid_until(self.terms, self.as_of, BEGINNING)
        return "%(until_now)s::date"

    def _until_before(self) -> str:
        if self.terms.window == "membership_year":
            if self.terms.validity in {"this_year", "next_year"}:
                return f"s.{'year' if self.terms.validity == 'this_year' else 'next'}_start - 1"
            if self.terms.validity == "months":
                self.parameters["months"] = self.terms.validity_months
                return "(s.year_start - 1 + make_interval(months => %(months)s))::date - 1"
            if self.terms.validity == "next_february":
                return "make_date(extract(year FROM s.year_start - 1)::int + 2, 3, 1) - 1"
            return "NULL::date"
        before_end = period_of(self.terms, self.as_of, BEGINNING).start - DAY if self.terms.has_years else None
        self.parameters["until_before"] = valid_until(self.terms, before_end, BEGINNING) if before_end else None
        return "%(until_before)s::date"

    def _kind(self) -> str:
        by_year = "true" if self.terms.is_by_year else "false"
        while_held = "true" if self.terms.validity == "while_held" else "false"
        return f"""CASE
            WHEN best > rank THEN 'upgrade'
            WHEN rank = 0 THEN NULL
            WHEN for_life >= rank AND (until IS NOT NULL OR source <> 'lifetime') THEN 'renewal'
            WHEN {by_year} AND reached >= rank AND until_now > until THEN 'renewal'
            WHEN protected_until_date >= %(run)s THEN NULL
            WHEN until IS NULL AND NOT ({while_held} AND source = 'earned' AND best < rank) THEN NULL
            WHEN until + %(grace)s::int >= %(run)s THEN NULL
            WHEN best = rank THEN 'renewal'
            ELSE 'downgrade'
        END"""

    def _target(self) -> str:
        if self.terms.downgrade != "one_step":
            return "best"
        ranks = list(self.tiers)
        below = {rank: lower for lower, rank in pairwise(ranks)}
        return f"greatest(best, {self._by_rank('rank', below, '0')})"

    def _by_rank(self, column: str, values: Mapping[int, int], otherwise: str = "NULL") -> str:
        cases = " ".join(f"WHEN {rank} THEN {value}" for rank, value in values.items())
        return f"CASE {column} {cases} ELSE {otherwise} END" if cases else otherwise

    def _support(self) -> str:
        landing = "until_before" if self.terms.has_years else "until_now"
        earned = "CASE WHEN reached >= to_rank THEN until_now ELSE until_before END"
        by_floor = "greatest(reached, reached_before) < to_rank AND floor >= to_rank"
        return f"""
            CASE
                WHEN for_life > 0 AND to_rank <= for_life OR to_rank = 0 THEN NULL
                WHEN greatest(reached, reached_before) >= to_rank AND floor >= to_rank
                    THEN nullif(greatest(coalesce({earned}, 'infinity'), coalesce(floor_until, 'infinity')), 'infinity')
                WHEN greatest(reached, reached_before) >= to_rank THEN {earned}
                WHEN floor >= to_rank THEN floor_until
                ELSE {landing}
            END AS until_date,
            CASE
                WHEN for_life > 0 AND to_rank <= for_life THEN 'lifetime'
                WHEN to_rank > 0 AND {by_floor} THEN floor_source
                ELSE 'earned'
            END AS new_source,
            CASE
                WHEN for_life > 0 AND to_rank <= for_life THEN NULL
                WHEN to_rank > 0 AND {by_floor} THEN floor_grant_id
            END AS grant_id"""

    def _told(self) -> str:
        parts = [f"'{name}', c_{name}" for name in self._shown if name != "amount"]
        parts.append("'amount', to_char(c_amount, 'FM9999999999990.00')")
        parts += [f"'{LIFETIME}{name}', l_{name}" for name in self.lifetime]
        criteria = {threshold.rank: threshold.id for threshold in self.thresholds}
        parts.append(f"'criteria', {self._by_rank('to_rank', criteria)}")
        return f"jsonb_build_object({', '.join(parts)})"

    def _why(self) -> str:
        return """jsonb_build_object('until', until, 'reached', reached, 'reached_before', reached_before,
            'for_life', for_life, 'floor', floor, 'source', source)"""


def _sum(name: str, when: str) -> str:
    column = "quantity" if name in EXTRA else name
    conditions = [part for part in (f"q.measure = '{name}'" if name in EXTRA else "", when) if part]
    total = f"sum(q.{column})" + (f" FILTER (WHERE {' AND '.join(conditions)})" if conditions else "")
    # The sum of bigint is numeric; as a whole number it stands in JSON without decimals.
    return f"{total}::bigint" if name != "amount" else total


@dataclass(frozen=True, slots=True)
class Span:
    """Days of a member, both ends included; the key tells several spans of one member apart."""

    key: int
    membership_id: int
    start: dt.date
    end: dt.date


def figures_between(spans: Sequence[Span]) -> dict[int, tuple[Figures, Figures]]:
    """What counted in some spans, and in the whole time up to their ends, by the spans' keys."""
    sums = ", ".join(
        f"coalesce({_sum(name, when)}, 0)" for when in ("q.business_date >= s.start", "") for name in MEASURES
    )
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT s.key, {sums}
            FROM unnest(%s::bigint[], %s::bigint[], %s::date[], %s::date[]) AS s (key, membership_id, start, until)
            JOIN loyalty_qualificationentry q ON q.membership_id = s.membership_id AND q.business_date <= s.until
            GROUP BY s.key
            """,
            [
                [span.key for span in spans],
                [span.membership_id for span in spans],
                [span.start for span in spans],
                [span.end for span in spans],
            ],
        )
        count = len(MEASURES)
        return {row[0]: (Figures(*row[1 : 1 + count]), Figures(*row[1 + count :])) for row in cursor.fetchall()}
