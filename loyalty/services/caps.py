"""How much of a rule's caps is left, and what is used of them.

The counters of a member change only under the lock of the membership, those of a budget under the lock
of their own row, taken when the first stay or event needs it and in one order; so a cap is exact
however many desks post at once. What is taken back is given back to its counters.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from decimal import ROUND_FLOOR, Decimal

from django.db import connection
from django.db.models import Q

from loyalty.models import RuleUse
from loyalty.rules.earning import Cut, RuleTerms

Scope = RuleUse.Scope
# Programme, membership (0 for a budget), rule, scope, period.
Key = tuple[int, int, str, str, dt.date | None]

_OPEN = """
INSERT INTO loyalty_ruleuse (programme_id, membership_id, rule_code, scope, period, used, cap)
SELECT r.programme_id, nullif(r.membership_id, 0), r.rule_code, r.scope, r.period, 0, coalesce(r.cap, 0)
FROM unnest(%s::bigint[], %s::bigint[], %s::text[], %s::text[], %s::date[], %s::numeric[], %s::numeric[])
    AS r (programme_id, membership_id, rule_code, scope, period, change, cap)
ON CONFLICT (programme_id, membership_id, rule_code, scope, period) DO NOTHING
"""

# Points are given only within the cap of the rule that gives them, so that the row's own check holds; what
# is taken back leaves the cap alone.
_ADD = """
UPDATE loyalty_ruleuse u SET used = u.used + r.change, cap = coalesce(r.cap, u.cap)
FROM unnest(%s::bigint[], %s::bigint[], %s::text[], %s::text[], %s::date[], %s::numeric[], %s::numeric[])
    AS r (programme_id, membership_id, rule_code, scope, period, change, cap)
WHERE u.programme_id = r.programme_id AND u.membership_id IS NOT DISTINCT FROM nullif(r.membership_id, 0)
    AND u.rule_code = r.rule_code AND u.scope = r.scope AND u.period IS NOT DISTINCT FROM r.period
"""

_OPEN_BUDGETS = """
INSERT INTO loyalty_ruleuse (programme_id, membership_id, rule_code, scope, period, used, cap)
SELECT r.programme_id, NULL, r.rule_code, r.scope, NULL, 0, r.cap
FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::numeric[]) AS r (programme_id, rule_code, scope, cap)
ORDER BY r.programme_id, r.rule_code, r.scope
ON CONFLICT (programme_id, membership_id, rule_code, scope, period) DO NOTHING
"""


class CapBook:
    """The counters that some stays or events need; read once, written once.

    Args:
        rules: Programme → the rules that may apply.
        membership_ids: The members, whose rows the caller has locked.
    """

    def __init__(self, rules: Iterable[tuple[int, RuleTerms]], membership_ids: Collection[int]) -> None:
        self._rules = {(programme_id, rule.code): rule for programme_id, rule in rules if rule.caps.is_counted}
        self._membership_ids = membership_ids
        self._used: dict[Key, Decimal] = defaultdict(Decimal)
        self._changes: dict[Key, Decimal] = defaultdict(Decimal)
        self._caps: dict[Key, Decimal] = {}
        self._budgets_are_open = False

    def load(self) -> None:
        """Read the members' counters; no query where no rule has any."""
        if not self._rules:
            return
        rows = RuleUse.objects.filter(
            Q(membership__in=list(self._membership_ids)), rule_code__in={code for _programme, code in self._rules}
        )
        for row in rows.values_list("programme_id", "membership_id", "rule_code", "scope", "period", "used"):
            self._used[row[:5]] += row[5]

    def room(
        self, programme_id: int, membership_id: int, on_date: dt.date, before: Callable[[str], int]
    ) -> Callable[[RuleTerms, int], tuple[int, Cut | None]] | None:
        """How many points rules may give a member on a date; None where no rule is capped.

        Args:
            programme_id: The programme.
            membership_id: The member.
            on_date: The activity date.
            before: Code → points that the same stay has taken from the counters already.
        """
        if not self._rules:
            return None

        def left(rule: RuleTerms, points: int) -> tuple[int, Cut | None]:
            cut = None
            own = before(rule.code)
            for key, cap, worth in self._keys(programme_id, membership_id, rule, on_date):
                free = cap - self._used_of(key) + own * worth
                fits = int((free / worth).to_integral_value(rounding=ROUND_FLOOR)) if worth else points
                if fits < points:
                    points = max(0, fits)
                    cut = Cut(key[3], cap if key[3] == Scope.MONEY else int(cap))
            return points, cut

        return left

    def use(self, programme_id: int, membership_id: int, rule_code: str, on_date: dt.date, points: int) -> None:
        """Count points given (or, negative, taken back) by a rule."""
        rule = self._rules.get((programme_id, rule_code))
        if rule is None or not points:
            return
        for key, cap, worth in self._keys(programme_id, membership_id, rule, on_date):
            self._used_of(key)
            self._used[key] += points * worth
            self._changes[key] += points * worth
            if points > 0:
                self._caps[key] = max(self._caps.get(key, cap), cap)

    def save(self) -> None:
        """Write what has changed."""
        rows = [
            (*key, change, self._caps.get(key))
            for key, change in sorted(self._changes.items(), key=lambda item: (*item[0][:4], item[0][4] or dt.date.min))
            if change
        ]
        if rows:
            with connection.cursor() as cursor:
                columns = [list(column) for column in zip(*rows, strict=True)]
                cursor.execute(_OPEN, columns)
                cursor.execute(_ADD, columns)

    def _keys(
        self, programme_id: int, membership_id: int, rule: RuleTerms, on_date: dt.date
    ) -> Iterator[tuple[Key, Decimal, Decimal]]:
        """Counter, cap, and what one point counts there."""
        caps, one = rule.caps, Decimal(1)
        of_member = programme_id, membership_id, rule.code
        of_all = programme_id, 0, rule.code
        if caps.day is not None:
            yield (*of_member, Scope.DAY.value, on_date), Decimal(caps.day), one
        if caps.month is not None:
            yield (*of_member, Scope.MONTH.value, on_date.replace(day=1)), Decimal(caps.month), one
        if caps.member is not None:
            yield (*of_member, Scope.MEMBER.value, None), Decimal(caps.member), one
        if caps.points is not None:
            yield (*of_all, Scope.POINTS.value, None), Decimal(caps.points), one
        if caps.money is not None:
            yield (*of_all, Scope.MONEY.value, None), caps.money, rule.point_cost or Decimal(0)

    def _used_of(self, key: Key) -> Decimal:
        if not key[1] and not self._budgets_are_open:
            self._open_budgets()
        return self._used[key]

    def _open_budgets(self) -> None:
        """Lock every budget at once and in one order, so that two batches cannot block each other."""
        self._budgets_are_open = True
        wanted = sorted(
            (programme_id, code, scope, cap)
            for (programme_id, code), rule in self._rules.items()
            for scope, cap in ((Scope.POINTS.value, rule.caps.points), (Scope.MONEY.value, rule.caps.money))
            if cap is not None
        )
        with connection.cursor() as cursor:
            cursor.execute(_OPEN_BUDGETS, [list(column) for column in zip(*wanted, strict=True)])
        rows = (
            RuleUse.objects.select_for_update()
            .filter(
                membership=None,
                programme__in={row[0] for row in wanted},
                rule_code__in={row[1] for row in wanted},
            )
            .order_by("programme", "rule_code", "scope")
        )
        for row in rows:
            self._used[row.programme_id, 0, row.rule_code, row.scope, None] += row.used
