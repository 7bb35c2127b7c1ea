"""What another version of the earning rules would have given for the stays of a period.

Both versions judge the same finished stays of active members, each as if it had been in force for all
of them, so every difference is one of the rules. Stays are read in one pass in the order of their
number. What conditions ask of a stay is answered by the database, a bit for each question; the tier is
that of the day of departure. Stays of one shape share a plan (`loyalty.rules.earning.plan`); those with
rebates, or whose amounts decide between rules, are reckoned one by one as a real stay is. Caps beyond
a stay are kept in the order of departure, from nothing used.
"""

from __future__ import annotations

import datetime as dt
import heapq
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple

from django.db import connection
from django.db.models import BigIntegerField, Case, Count, Max, Q, Sum, Value, When
from django.db.models.expressions import Combinable

from hotels.models import ExchangeRate
from loyalty.models import EarningRule, EarningRuleSet, Membership, Programme, Tier, TierChange
from loyalty.rules.earning import Bill, Charge, RuleTerms, award_stay, nights_of
from loyalty.rules.earning.plan import Plan, plan_stays
from loyalty.rules.earning.terms import NIGHTS
from loyalty.rules.exchange import Quote, RateTable
from loyalty.selectors.backtest_caps import room_left
from loyalty.selectors.backtest_tiers import tiers_reached_otherwise
from loyalty.selectors.member_facts import is_of_member, member_facts
from loyalty.selectors.rule_books import terms_of
from members.models import FolioLine, Stay
from members.rules.conditions import AllOf, Leaf, Node, Not, compile_condition, leaves, read
from members.selectors.conditions import to_q

PAGE = 10_000
LARGEST = 50
BITS = 60
DAY_ZERO = dt.date(2000, 1, 1)
NO_LINES = ("", (), (), False)
# One row for each stay; both orders come from one sort.
_BY_STAY = """
    SELECT q.stay_id, string_agg(q.category || ':' || q.kind, ',' ORDER BY q.category, q.kind),
        array_agg(q.day - %s::date ORDER BY q.category, q.kind),
        array_agg((q.amount * 100)::bigint ORDER BY q.category, q.kind), sum(q.rebates) > 0
    FROM ({sums}) q (stay_id, category, kind, day, amount, rebates)
    GROUP BY q.stay_id ORDER BY q.stay_id
"""

Progress = Callable[[int, int], None]
# Member's tier, and further facts of the member where a condition asks for them.
_Matched = tuple[tuple[RuleTerms, ...], tuple[RuleTerms, ...]]


@dataclass(slots=True)
class Totals:
    """Stays that earn and their points, by the one version and by the other."""

    stays: int = 0
    before: int = 0
    after: int = 0

    @property
    def difference(self) -> int:
        """Points more (or fewer, negative)."""
        return self.after - self.before

    def add(self, before: int, after: int) -> None:
        """Count one stay."""
        self.stays += 1
        self.before += before
        self.after += after


@dataclass(slots=True)
class RuleSum:
    """What one rule, known by its code, gives in the one version and in the other."""

    code: str
    name: dict[str, str]
    before: int = 0
    after: int = 0
    stays_before: int = 0
    stays_after: int = 0


@dataclass(frozen=True, slots=True)
class StayDifference:
    """A stay that would have earned something else."""

    stay_id: int
    membership_id: int
    property_id: int
    before: int
    after: int

    @property
    def difference(self) -> int:
        """Points more (or fewer, negative)."""
        return self.after - self.before


@dataclass(slots=True)
class Comparison:
    """What two versions give for the stays of a period.

    Attributes:
        total: Over all stays.
        by_property: Property id → its stays.
        by_tier: Tier id on the day of departure → the stays of its members.
        by_rule: Rules of either version, by code.
        members: Members who stayed.
        members_more: Members with more points in the second version, and `members_fewer` with fewer.
        largest: The stays with the largest differences, the largest first.
        qualifying: Membership id and day of departure → qualifying points more (or fewer), where any.
        tier_moves: Tier reached by the figures and by those of the second version → members; None where no
            threshold of the programme asks for points.
        reckoned_singly: Stays that no plan served.
    """

    total: Totals = field(default_factory=Totals)
    by_property: dict[int, Totals] = field(default_factory=lambda: defaultdict(Totals))
    by_tier: dict[int, Totals] = field(default_factory=lambda: defaultdict(Totals))
    by_rule: dict[str, RuleSum] = field(default_factory=dict)
    members: int = 0
    members_more: int = 0
    members_fewer: int = 0
    largest: list[StayDifference] = field(default_factory=list)
    qualifying: dict[tuple[int, dt.date], int] = field(default_factory=dict)
    tier_moves: Mapping[tuple[int, int], int] | None = None
    reckoned_singly: int = 0


@dataclass(frozen=True, slots=True)
class _Version:
    """The rules for stays of one set, with their condition trees."""

    rules: tuple[RuleTerms, ...]
    trees: tuple[Node, ...]

    @classmethod
    def load(cls, rule_set: EarningRuleSet | None, programme: Programme, today: dt.date) -> _Version:
        rows = () if rule_set is None else EarningRule.objects.filter(rule_set=rule_set).exclude(basis="event")
        pairs = [(terms_of(row, programme=programme, today=today), read(row.condition, "stay")) for row in rows]
        pairs.sort(key=lambda pair: pair[0].order)
        return cls(tuple(rule for rule, _tree in pairs), tuple(tree for _rule, tree in pairs))


@dataclass(frozen=True, slots=True)
class _DateFilter:
    """Which business dates a rule is for; the charges of a stay are summed by what they satisfy."""

    first: dt.date | None
    until: dt.date | None
    weekdays: frozenset[int]

    @property
    def condition(self) -> Q:
        condition = Q()
        if self.first:
            condition &= Q(business_date__gte=self.first)
        if self.until:
            condition &= Q(business_date__lt=self.until)
        if self.weekdays:
            condition &= Q(business_date__iso_week_day__in=sorted(self.weekdays))
        return condition


class _Lines(NamedTuple):
    """The charges of a stay, summed by category and by the date filters they satisfy."""

    # Category and filters of each sum, in one text: stays with the same one are of one shape.
    shape: str
    # For each sum one of its days, in days since `DAY_ZERO`; each satisfies the same filters.
    days: Sequence[int]
    cents: Sequence[int]
    has_rebates: bool


class _Row(NamedTuple):
    """A stay as it comes from the database."""

    stay_id: int
    property_id: int
    currency: str
    arrival: dt.date
    departure: dt.date
    membership_id: int
    tier_id: int
    enrolled_at: dt.datetime
    bits: tuple[int, ...]


def compare_rule_sets(
    *,
    programme: Programme,
    before: EarningRuleSet | None,
    after: EarningRuleSet,
    since: dt.date,
    until: dt.date,
    today: dt.date,
    on_progress: Progress | None = None,
) -> Comparison:
    """Judge the stays of a period by two sets of rules.

    Args:
        programme: The programme of both.
        before: The one set; None gives nothing.
        after: The other set, published or not.
        since: First day of departure.
        until: First day of departure no longer counted.
        today: What conditions such as “within the last days” count from.
        on_progress: Called now and then with stays done and stays in all.
    """
    versions = _Version.load(before, programme, today), _Version.load(after, programme, today)
    return _Comparing(programme, versions, since, until, today).run(on_progress)


class _Comparing:
    def __init__(
        self,
        programme: Programme,
        versions: tuple[_Version, _Version],
        since: dt.date,
        until: dt.date,
        today: dt.date,
    ) -> None:
        self.programme = programme
        self.versions = versions
        self.since = since
        self.until = until
        self.today = today
        self.rules = [rule for version in versions for rule in version.rules]
        self.has_night_rules = any(rule.basis == NIGHTS for rule in self.rules)
        filters = dict.fromkeys(
            _DateFilter(rule.charges_from, rule.charges_until, rule.weekdays)
            for rule in self.rules
            if rule.charges_from or rule.charges_until or rule.weekdays
        )
        self.date_filters = list(filters)
        # Questions put to the database, and the bit each has.
        self.asked: dict[tuple[str, str, Any], Leaf] = {}
        member_fields = set()
        for version in versions:
            for tree in version.trees:
                for leaf in leaves(tree):
                    if is_of_member(leaf.name):
                        member_fields.add(leaf.name)
                    else:
                        self.asked.setdefault(_question(leaf), leaf)
        self.member_fields = frozenset(member_fields)
        self.bit_of = {question: number for number, question in enumerate(self.asked)}
        # The tier decides alone unless a condition asks for more of the member.
        self.tier_is_all = self.member_fields <= {"member.tier", "member.tier_rank"}
        self.matchers = tuple(
            tuple((rule, self._matcher(tree)) for rule, tree in zip(version.rules, version.trees, strict=True))
            for version in versions
        )
        self.matched: dict[Any, _Matched] = {}
        self.plans: dict[Any, tuple[Plan | None, Plan | None]] = {}
        self.result = Comparison()
        self.by_member: dict[int, int] = defaultdict(int)
        self.heap: list[tuple[int, int, StayDifference]] = []
        self.capped: list[tuple[dt.date, int, _Row, tuple[list[tuple[RuleTerms, int]], ...]]] = []
        self.odd: list[tuple[_Row, _Matched]] = []

    def run(self, on_progress: Progress | None) -> Comparison:
        self.tiers = {tier.pk: tier for tier in Tier.objects.filter(programme=self.programme)}
        self.unit_values: dict[tuple[str, dt.date], Decimal | None] = {}
        self.rates = RateTable(
            Quote(row.currency, row.to_currency, row.effective_from, row.rate) for row in ExchangeRate.objects.all()
        )
        self._load_tier_changes()
        total = self._stays().count() if on_progress else 0
        for done, (row, lines) in enumerate(self._paired(), start=1):
            self._judge(row, lines)
            if on_progress and not done % PAGE:
                self._judge_odd()
                on_progress(done, total)
        self._judge_odd()
        self._keep_caps()
        return self._finish()

    # Reading

    def _stays(self) -> Any:
        return Stay.objects.filter(
            status=Stay.Status.CHECKED_OUT,
            departure_date__gte=self.since,
            departure_date__lt=self.until,
            guest__memberships__programme=self.programme,
            guest__memberships__status=Membership.Status.ACTIVE,
        )

    def _rows(self) -> Iterator[_Row]:
        columns: dict[str, Combinable] = {}
        questions = list(self.asked.values())
        for start in range(0, len(questions), BITS):
            bits: Combinable = Value(0, BigIntegerField())
            for number, leaf in enumerate(questions[start : start + BITS]):
                holds = to_q(leaf, today=self.today)
                bits = bits + Case(
                    When(holds, then=Value(1 << number)), default=Value(0), output_field=BigIntegerField()
                )
            columns[f"bits_{start}"] = bits
        rows = (
            self._stays()
            .annotate(**columns)
            .order_by("pk")
            .values_list(
                "pk",
                "property_id",
                "currency",
                "arrival_date",
                "departure_date",
                "guest__memberships__pk",
                "guest__memberships__tier_id",
                "guest__memberships__enrolled_at",
                *columns,
            )
        )
        for row in _stream(*rows.query.sql_with_params()):
            yield _Row._make((*row[:8], row[8:]))

    def _lines(self) -> Iterator[tuple[int, _Lines]]:
        kind: Combinable = Value(0, BigIntegerField())
        for number, dates in enumerate(self.date_filters):
            kind = kind + Case(
                When(dates.condition, then=Value(1 << number)), default=Value(0), output_field=BigIntegerField()
            )
        sums = (
            FolioLine.objects.filter(
                is_eligible=True,
                stay__status=Stay.Status.CHECKED_OUT,
                stay__departure_date__gte=self.since,
                stay__departure_date__lt=self.until,
            )
            .annotate(kind=kind)
            .values_list("stay_id", "category", "kind")
            .annotate(Max("business_date"), Sum("net_amount"), rebates=Count("pk", filter=Q(net_amount__lt=0)))
        )
        sql, params = sums.query.sql_with_params()
        for stay_id, *lines in _stream(_BY_STAY.format(sums=sql), (DAY_ZERO, *params)):
            yield stay_id, _Lines._make(lines)

    def _paired(self) -> Iterator[tuple[_Row, _Lines]]:
        """Each stay with its charges; both streams come in the order of the stay's number."""
        stream = self._lines()
        ahead = next(stream, None)
        nothing = _Lines._make(NO_LINES)
        for row in self._rows():
            while ahead is not None and ahead[0] < row.stay_id:
                ahead = next(stream, None)
            yield row, ahead[1] if ahead is not None and ahead[0] == row.stay_id else nothing

    def _load_tier_changes(self) -> None:
        """Membership → days and tiers; before the first known change it was the tier that was left then."""
        self.changes: dict[int, tuple[list[dt.date], list[int]]] = {}
        rows = (
            TierChange.objects.filter(membership__programme=self.programme)
            .order_by("membership_id", "effective_date", "pk")
            .values_list("membership_id", "effective_date", "from_tier_id", "to_tier_id")
        )
        for membership_id, day, from_tier_id, to_tier_id in _stream(*rows.query.sql_with_params()):
            days, tiers = self.changes.setdefault(membership_id, ([], [from_tier_id or to_tier_id]))
            days.append(day)
            tiers.append(to_tier_id)

    def _tier_on_departure(self, row: _Row) -> int:
        """The tier before a change on the day itself: a stay is judged before it moves its member up."""
        known = self.changes.get(row.membership_id)
        return known[1][bisect_left(known[0], row.departure)] if known else row.tier_id

    # Matching

    def _matcher(self, node: Node) -> Callable[[tuple[int, ...], dict[str, Any]], bool]:
        """The tree as a function of the database's answers and the facts of the member."""
        if isinstance(node, Leaf):
            if is_of_member(node.name):
                holds = compile_condition(node, today=self.today)
                return lambda _bits, facts: holds(facts)
            word, number = divmod(self.bit_of[_question(node)], BITS)
            return lambda bits, _facts: bool(bits[word] >> number & 1)
        if isinstance(node, Not):
            inner = self._matcher(node.child)
            return lambda bits, facts: not inner(bits, facts)
        parts = [self._matcher(child) for child in node.children]
        if isinstance(node, AllOf):
            return lambda bits, facts: all(part(bits, facts) for part in parts)
        return lambda bits, facts: any(part(bits, facts) for part in parts)

    def _match(self, row: _Row, tier_id: int) -> _Matched:
        if self.tier_is_all:
            key: Any = (row.bits, tier_id)
        else:
            enrolled_on = self.programme.local_date(row.enrolled_at)
            key = (row.bits, tier_id, enrolled_on, row.departure)
        found = self.matched.get(key)
        if found is None:
            membership = Membership(programme=self.programme, enrolled_at=row.enrolled_at)
            facts = member_facts(membership, self.tiers[tier_id], on_date=row.departure, fields=self.member_fields)
            first, second = (
                tuple(rule for rule, holds in matchers if holds(row.bits, facts)) for matchers in self.matchers
            )
            found = self.matched[key] = first, second
        return found

    # Judging

    def _judge(self, row: _Row, lines: _Lines) -> None:
        tier_id = self._tier_on_departure(row)
        matched = self._match(row, tier_id)
        if lines.has_rebates:
            self.odd.append((row, matched))
            return
        unit_value = self._unit_value(row)
        nights = nights_of(row.arrival, row.departure) if self.has_night_rules else []
        key = (
            id(matched),
            lines.shape,
            row.currency,
            unit_value,
            tuple([self._kind(night) for night in nights]) if nights else (),
        )
        plans = self.plans.get(key)
        if plans is None:
            categories = [part.rpartition(":")[0] for part in lines.shape.split(",")] if lines.shape else []
            shape = [
                (category, DAY_ZERO + dt.timedelta(days=day))
                for category, day in zip(categories, lines.days, strict=True)
            ]
            first, second = (
                plan_stays(shape, rules, currency=row.currency, nights=nights, unit_value=unit_value)
                for rules in matched
            )
            plans = self.plans[key] = first, second
        before, after = plans
        if before is None or after is None:
            self.odd.append((row, matched))
            return
        self._record(row, tier_id, before.points(lines.cents), after.points(lines.cents))

    def _judge_odd(self) -> None:
        """The stays that no plan serves, as a real stay is judged; all their folios in one query."""
        if not self.odd:
            return
        charges: dict[int, list[Charge]] = defaultdict(list)
        lines = FolioLine.objects.filter(stay__in=[row.stay_id for row, _matched in self.odd]).values_list(
            "stay_id", "line_reference", "business_date", "category", "net_amount", "is_eligible"
        )
        for stay_id, reference, business_date, category, amount, is_eligible in lines:
            charges[stay_id].append(Charge(reference, business_date, category, amount, is_eligible))
        for row, matched in self.odd:
            bill = Bill(
                charges=charges[row.stay_id],
                currency=row.currency,
                nights=nights_of(row.arrival, row.departure),
                unit_value=self._unit_value(row),
            )
            awards = []
            for rules in matched:
                by_code = {rule.code: rule for rule in rules}
                award = award_stay(bill, rules)
                awards.append([(by_code[part["rule"]], part["points"]) for part in award.parts])
            self._record(row, self._tier_on_departure(row), awards[0], awards[1])
        self.result.reckoned_singly += len(self.odd)
        self.odd.clear()

    def _kind(self, day: dt.date) -> int:
        kind = 0
        for number, dates in enumerate(self.date_filters):
            if (
                (dates.first is None or dates.first <= day)
                and (dates.until is None or day < dates.until)
                and (not dates.weekdays or day.isoweekday() in dates.weekdays)
            ):
                kind |= 1 << number
        return kind

    def _unit_value(self, row: _Row) -> Decimal | None:
        if row.currency == self.programme.currency:
            return Decimal(1)
        key = row.currency, row.departure
        if key not in self.unit_values:
            self.unit_values[key] = self.rates.unit_value(row.currency, self.programme.currency, row.departure)
        return self.unit_values[key]

    # Summing up

    def _record(
        self,
        row: _Row,
        tier_id: int,
        before: list[tuple[RuleTerms, int]],
        after: list[tuple[RuleTerms, int]],
    ) -> None:
        for pairs in (before, after):
            for rule, _points in pairs:
                if rule.caps.is_counted:
                    self.capped.append((row.departure, tier_id, row, (before, after)))
                    return
        self._add(row, tier_id, before, after)

    def _add(
        self,
        row: _Row,
        tier_id: int,
        before: Iterable[tuple[RuleTerms, int]],
        after: Iterable[tuple[RuleTerms, int]],
    ) -> None:
        result = self.result
        qualifying = points_before = points_after = 0
        for rule, points in before:
            if points:
                points_before += points
                qualifying -= points if rule.is_qualifying else 0
                counted = self._rule_sum(rule)
                counted.before += points
                counted.stays_before += 1
        for rule, points in after:
            if points:
                points_after += points
                qualifying += points if rule.is_qualifying else 0
                counted = self._rule_sum(rule)
                counted.after += points
                counted.stays_after += 1
        result.total.add(points_before, points_after)
        result.by_property[row.property_id].add(points_before, points_after)
        result.by_tier[tier_id].add(points_before, points_after)
        difference = points_after - points_before
        self.by_member[row.membership_id] += difference
        if qualifying:
            key = row.membership_id, row.departure
            result.qualifying[key] = result.qualifying.get(key, 0) + qualifying
        if difference:
            size = abs(difference)
            if len(self.heap) < LARGEST or size > self.heap[0][0]:
                entry = (
                    size,
                    -row.stay_id,
                    StayDifference(row.stay_id, row.membership_id, row.property_id, points_before, points_after),
                )
                (heapq.heappush if len(self.heap) < LARGEST else heapq.heapreplace)(self.heap, entry)

    def _rule_sum(self, rule: RuleTerms) -> RuleSum:
        found = self.result.by_rule.get(rule.code)
        if found is None:
            found = self.result.by_rule[rule.code] = RuleSum(rule.code, dict(rule.name))
        return found

    def _keep_caps(self) -> None:
        """Cut what rules with caps beyond the stay gave, in the order of departure."""
        used: tuple[dict[Any, Decimal], ...] = defaultdict(Decimal), defaultdict(Decimal)
        self.capped.sort(key=lambda entry: (entry[0], entry[2].stay_id))
        for day, tier_id, row, sides in self.capped:
            kept = [
                [(rule, room_left(counters, rule, row.membership_id, day, points)) for rule, points in pairs]
                for counters, pairs in zip(used, sides, strict=True)
            ]
            self._add(row, tier_id, kept[0], kept[1])
        self.capped.clear()

    def _finish(self) -> Comparison:
        result = self.result
        result.members = len(self.by_member)
        result.members_more = sum(1 for difference in self.by_member.values() if difference > 0)
        result.members_fewer = sum(1 for difference in self.by_member.values() if difference < 0)
        result.largest = [entry[2] for entry in sorted(self.heap, key=lambda entry: (-entry[0], -entry[1]))]
        result.qualifying = {key: points for key, points in result.qualifying.items() if points}
        result.tier_moves = tiers_reached_otherwise(self.programme, result.qualifying, on_date=self.today)
        return result


def _question(leaf: Leaf) -> tuple[str, str, Any]:
    return leaf.name, leaf.op, leaf.value


def _stream(sql: str, params: Sequence[Any]) -> Iterator[tuple[Any, ...]]:
    """The rows of a statement a page at a time, from a cursor of the server's."""
    with connection.chunked_cursor() as cursor:
        cursor.execute(sql, params)
        while page := cursor.fetchmany(PAGE):
            yield from page
