"""Who may move how much alone, and which patterns of movements look wrong.

Pure calculation over facts that the caller has read. A *ground* is one reason why a movement is not simply
carried out, kept as JSON with its figures, so that the queue can say it in both languages years later.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

# Units that are no currency.
POINTS = "points"
TIMES = "times"

# Who may decide in the place of whom: a later role also decides what an earlier one may.
AUTHORITY = ("receptionist", "guest_service", "property_manager", "group_manager")


@dataclass(frozen=True, slots=True)
class Amount:
    """How much is moved.

    Attributes:
        value: Zero or more.
        unit: `POINTS`, `TIMES`, or an ISO 4217 currency.
    """

    value: Decimal
    unit: str

    def __post_init__(self) -> None:
        """Refuse an amount without sense."""
        if not self.value.is_finite() or self.value < 0:
            raise ValueError(self.value)


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit in force, from the narrowest scope (property) to the widest (programme).

    Attributes:
        role: Whose.
        unit: What it counts.
        breadth: 0 for a property, 1 for a brand, 2 for the programme.
        per_movement: None for no limit.
        per_day: None for no limit.
        approver_role: Who decides about more.
    """

    role: str
    unit: str
    breadth: int
    per_movement: Decimal | None
    per_day: Decimal | None
    approver_role: str


@dataclass(frozen=True, slots=True)
class Allowance:
    """What one member of staff may do alone.

    Attributes:
        is_limited: Whether any limit holds at all.
        per_movement: None for no limit.
        per_day: None for no limit.
        approver_role: Who decides about more.
    """

    is_limited: bool
    per_movement: Decimal | None = None
    per_day: Decimal | None = None
    approver_role: str = ""


def narrowest(limits: Iterable[Limit], role: str, unit: str) -> Limit | None:
    """The limit of a role that counts: that of the property before the brand's before the programme's."""
    found = [limit for limit in limits if limit.role == role and limit.unit == unit]
    return min(found, key=lambda limit: limit.breadth, default=None)


def allowance_of(limits: Sequence[Limit], roles: Iterable[str], amount: Amount) -> Allowance:
    """What somebody with some roles may move alone.

    Who holds several roles may what the most generous of their limits allows. A role without limits for this
    kind of movement adds nothing; if none of the roles has one, nothing is limited. Where a role is limited in
    other units only, this unit is not allowed at all: a limit in yuan is no leave to give away dollars.
    """
    limited = [role for role in roles if any(limit.role == role for limit in limits)]
    if not limited:
        return Allowance(is_limited=False)
    found = [limit for role in limited if (limit := narrowest(limits, role, amount.unit))]
    if not found:
        approver = max((limit.approver_role for limit in limits if limit.role in limited), key=_rank)
        return Allowance(is_limited=True, per_movement=Decimal(0), per_day=Decimal(0), approver_role=approver)
    best = max(found, key=lambda limit: (_or_endless(limit.per_movement), _or_endless(limit.per_day)))
    return Allowance(
        is_limited=True,
        per_movement=best.per_movement,
        per_day=best.per_day,
        approver_role=approver_for(limits, best.approver_role, amount),
    )


def approver_for(limits: Sequence[Limit], role: str, amount: Amount) -> str:
    """Who decides: the named role, or the next one above whose own limit is high enough."""
    seen: set[str] = set()
    while role not in seen:
        seen.add(role)
        own = narrowest(limits, role, amount.unit)
        if own is None or own.per_movement is None or amount.value <= own.per_movement:
            return role
        if _rank(own.approver_role) <= _rank(role):
            return role
        role = own.approver_role
    return role


def may_decide(roles: Iterable[str], approver_role: str) -> bool:
    """Whether one of the roles is the one that decides, or stands above it."""
    return any(_rank(role) >= _rank(approver_role) for role in roles)


def deciding_for(roles: Iterable[str]) -> list[str]:
    """The approver roles that somebody with these roles may stand for."""
    highest = max((_rank(role) for role in roles), default=-1)
    return [role for role in AUTHORITY if _rank(role) <= highest]


def grounds_of_limits(allowance: Allowance, amount: Amount, used: Decimal) -> list[dict[str, Any]]:
    """Which limits a movement would pass, with their figures.

    Args:
        allowance: What the actor may do alone.
        amount: What is to be moved.
        used: What the actor moved alone today, in the same unit.
    """
    grounds: list[dict[str, Any]] = []
    facts = {"value": str(amount.value), "unit": amount.unit}
    if allowance.per_movement is not None and amount.value > allowance.per_movement:
        grounds.append({"check": "per_movement", "limit": str(allowance.per_movement), **facts})
    if allowance.per_day is not None and used + amount.value > allowance.per_day:
        grounds.append({"check": "per_day", "limit": str(allowance.per_day), "used": str(used), **facts})
    return grounds


def _rank(role: str) -> int:
    return AUTHORITY.index(role) if role in AUTHORITY else -1


def _or_endless(limit: Decimal | None) -> Decimal:
    return Decimal("Infinity") if limit is None else limit


@dataclass(frozen=True, slots=True)
class Pattern:
    """A velocity rule in force.

    Attributes:
        rule_id: Its key.
        check: One of `VelocityRule.Check`.
        kind: The kind of movement; empty for every kind.
        count: Movements that are allowed within the time.
        window: How far back.
        percent: From which share of the limit on a movement is just under it.
        is_hold: Whether it holds the movement, or only marks it.
        reviewer_role: Who reviews.
    """

    rule_id: int
    check: str
    kind: str
    count: int
    window: dt.timedelta
    percent: int
    is_hold: bool
    reviewer_role: str


@dataclass(frozen=True, slots=True)
class Past:
    """A movement that was carried out before."""

    record_id: int
    kind: str
    actor_id: int | None
    membership_id: int | None
    value: Decimal
    unit: str
    limit: Decimal | None
    at: dt.datetime


@dataclass(frozen=True, slots=True)
class Attempt:
    """The movement that is judged.

    Attributes:
        kind: A value of `MovementKind`.
        actor_id: None for the member themself or the system.
        membership_id: None for a movement that is nobody's.
        amount: How much.
        limit: The actor's limit per movement; None for no limit.
        now: Aware instant.
        is_own: Whether the membership is the actor's own.
    """

    kind: str
    actor_id: int | None
    membership_id: int | None
    amount: Amount
    limit: Decimal | None
    now: dt.datetime
    is_own: bool = False


@dataclass(frozen=True, slots=True)
class Lookback:
    """What is known of the time before.

    Attributes:
        past: Earlier movements of the actor or of the member, in any order.
        phone_changes: When the guest's telephone was changed, in any order.
    """

    past: Sequence[Past] = ()
    phone_changes: Sequence[dt.datetime] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """A pattern that a movement fits.

    Attributes:
        pattern: Which.
        seen: How many movements, the judged one included.
        evidence: Keys of the movements it is about.
        phone_changed_at: The change of telephone it follows.
    """

    pattern: Pattern
    seen: int
    evidence: Sequence[int] = field(default_factory=tuple)
    phone_changed_at: dt.datetime | None = None

    def as_ground(self) -> dict[str, Any]:
        """The finding as it is kept."""
        hours = self.pattern.window // dt.timedelta(hours=1)
        ground: dict[str, Any] = {
            "check": self.pattern.check,
            "rule": self.pattern.rule_id,
            "seen": self.seen,
            "count": self.pattern.count,
            "hours": hours,
            "movements": list(self.evidence),
        }
        if self.pattern.check == "near_limit":
            ground["percent"] = self.pattern.percent
        if self.phone_changed_at is not None:
            ground["changed_at"] = self.phone_changed_at.isoformat()
        return ground


def find_patterns(patterns: Iterable[Pattern], attempt: Attempt, lookback: Lookback) -> list[Finding]:
    """Which patterns a movement fits; a pattern of one kind does not count movements of another."""
    findings = (_find(pattern, attempt, lookback) for pattern in patterns if pattern.kind in {"", attempt.kind})
    return [finding for finding in findings if finding is not None]


def _find(pattern: Pattern, attempt: Attempt, lookback: Lookback) -> Finding | None:
    if pattern.check == "own_account":
        return Finding(pattern, seen=1) if attempt.is_own else None
    since = attempt.now - pattern.window
    changed: dt.datetime | None = None
    if pattern.check == "after_phone_change":
        # An hour, a day: the time counts from the change, and so do the movements.
        changed = max((at for at in lookback.phone_changes if since < at <= attempt.now), default=None)
        if changed is None:
            return None
        since = changed
    elif not _applies(pattern, attempt):
        return None
    counted = [row for row in lookback.past if _counts(pattern, attempt, row) and since < row.at <= attempt.now]
    if len(counted) < pattern.count:
        return None
    evidence = tuple(sorted(row.record_id for row in counted))
    return Finding(pattern, seen=len(counted) + 1, evidence=evidence, phone_changed_at=changed)


def _applies(pattern: Pattern, attempt: Attempt) -> bool:
    if pattern.check == "near_limit":
        return _is_near(pattern, attempt.amount.value, attempt.limit)
    return pattern.check != "same_pair" or attempt.actor_id is not None


def _counts(pattern: Pattern, attempt: Attempt, row: Past) -> bool:
    if pattern.kind and row.kind != pattern.kind:
        return False
    if pattern.check == "near_limit":
        is_same = row.actor_id == attempt.actor_id and row.kind == attempt.kind and row.unit == attempt.amount.unit
        return is_same and attempt.actor_id is not None and _is_near(pattern, row.value, row.limit)
    if attempt.membership_id is None or row.membership_id != attempt.membership_id:
        return False
    return pattern.check != "same_pair" or row.actor_id == attempt.actor_id


def _is_near(pattern: Pattern, value: Decimal, limit: Decimal | None) -> bool:
    return limit is not None and limit > 0 and value <= limit and value * 100 >= limit * pattern.percent


def is_above_limits(grounds: Iterable[Mapping[str, Any]]) -> bool:
    """Whether a limit is among the grounds, not only patterns."""
    return any(ground["check"] in {"per_movement", "per_day"} for ground in grounds)


def highest_role(roles: Iterable[str]) -> str:
    """The role of most authority among some."""
    return max(roles, key=_rank)
