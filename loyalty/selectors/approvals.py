"""Reads of limits, patterns, requests and movements: what decides a movement, and what its queue shows."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django.db import connection
from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from hotels.models import Property, User
from hotels.rules import role_allows
from loyalty.models import ApprovalLimit, ApprovalRequest, DailyUse, MovementKind, MovementRecord, VelocityRule
from loyalty.rules.approval_words import amount_in_words, failure_sentence, ground_sentence
from loyalty.rules.approvals import (
    Amount,
    Attempt,
    Limit,
    Lookback,
    Past,
    Pattern,
    allowance_of,
    deciding_for,
    may_decide,
)
from loyalty.rules.explain import name_of

if TYPE_CHECKING:
    from loyalty.models import Programme

# Movements of one member, or of one member of staff and kind, that are looked back at; more than any rule counts.
LOOK_AT = 200
PERMISSION = "loyalty.decide_approval"
# How far the badge counts.
COUNTED = 100
PAIR_HISTORY = 6

_LOOKBACK = """
(SELECT 'movement' AS what, id, kind, actor_id, membership_id, value, unit, "limit", at
 FROM loyalty_movementrecord WHERE membership_id = %(member)s AND at > %(since)s ORDER BY at DESC LIMIT %(limit)s)
UNION ALL
(SELECT 'movement', id, kind, actor_id, membership_id, value, unit, "limit", at
 FROM loyalty_movementrecord WHERE actor_id = %(actor)s AND kind = %(kind)s AND at > %(since)s
 ORDER BY at DESC LIMIT %(limit)s)
UNION ALL
(SELECT 'phone', id, '', NULL, NULL, 0, '', NULL, at
 FROM hotels_auditentry
 WHERE object_type = 'members.guest' AND object_id = %(guest)s AND at > %(since)s
   AND (action = 'guest.changed' AND (COALESCE(before, '{}') ? 'phone' OR COALESCE(after, '{}') ? 'phone')
     OR action IN ('identity.added', 'identity.removed') AND COALESCE(after, before) ->> 'kind' = 'phone')
 ORDER BY id DESC LIMIT %(limit)s)
"""


def roles_acting(user: User | None, place: Property | None) -> list[str]:
    """The roles whose limits hold for what a user does at a property; all of them where it is about no property."""
    if user is None:
        return []
    return roles_at(user, place) if place is not None else sorted({a.role for a in user.active_assignments()})


def roles_at(user: User, place: Property | None) -> list[str]:
    """The roles a user holds at a property, or for the whole group where it is about no property."""
    return sorted({a.role for a in user.active_assignments() if (a.covers(place) if place is not None else a.group_id)})


def limits_in_force(*, programme: Programme, kind: str, place: Property | None, on_date: dt.date) -> list[Limit]:
    """The limits of all roles for a kind of movement at a property on a date; one query."""
    scopes = Q(brand__isnull=True, property__isnull=True)
    if place is not None:
        scopes |= Q(property=place) | Q(brand=place.brand_id)
    # The newest of each scope first, then those that hold here.
    rows = ApprovalLimit.objects.filter(scopes, programme=programme, kind=kind).in_force(on_date)
    return [
        Limit(
            role=row.role,
            unit=row.unit,
            breadth=0 if row.property_id else 1 if row.brand_id else 2,
            per_movement=row.per_movement,
            per_day=row.per_day,
            approver_role=row.approver_role,
        )
        for row in rows
    ]


def patterns_in_force(*, programme: Programme, kind: str, on_date: dt.date) -> list[Pattern]:
    """The velocity rules that look at a kind of movement on a date; one query."""
    rows = VelocityRule.objects.filter(programme=programme, kind__in=["", kind]).in_force(on_date)
    return [
        Pattern(
            rule_id=row.pk,
            check=row.check_code,
            kind=row.kind,
            count=row.count,
            window=dt.timedelta(hours=row.hours),
            percent=row.percent,
            is_hold=row.outcome == VelocityRule.Outcome.HOLD,
            reviewer_role=row.reviewer_role,
        )
        for row in rows
        if row.is_active
    ]


def lookback_of(*, attempt: Attempt, guest_id: int | None, patterns: Sequence[Pattern]) -> Lookback:
    """What the patterns look back at: movements of the member and of the actor, changes of telephone; one query."""
    since = attempt.now - max(pattern.window for pattern in patterns)
    parameters = {
        "member": attempt.membership_id,
        "actor": attempt.actor_id,
        "kind": attempt.kind,
        "guest": str(guest_id),
        "since": since,
        "limit": LOOK_AT,
    }
    with connection.cursor() as cursor:
        cursor.execute(_LOOKBACK, parameters)
        rows = cursor.fetchall()
    past = {row[1]: Past(*row[1:]) for row in rows if row[0] == "movement"}
    return Lookback(past=list(past.values()), phone_changes=[row[-1] for row in rows if row[0] == "phone"])


# The queue


def waiting_for(user: User) -> QuerySet[ApprovalRequest]:
    """The open requests that a user may decide about."""
    pending = ApprovalRequest.objects.filter(state=ApprovalRequest.State.PENDING)
    if user.is_superuser:
        return pending
    here = Q(pk__in=[])
    for assignment in user.active_assignments():
        if not role_allows(assignment.role, PERMISSION):
            continue
        roles = deciding_for([assignment.role])
        if assignment.property_id:
            scope = Q(property=assignment.property_id)
        elif assignment.brand_id:
            scope = Q(property__brand=assignment.brand_id)
        else:
            scope = Q(property__brand__group=assignment.group_id) | Q(property__isnull=True)
        here |= scope & Q(approver_role__in=roles)
    return pending.filter(here).exclude(requested_by=user)


def count_waiting(user: User) -> int:
    """How many requests wait for a user, counted up to `COUNTED`; one query."""
    return waiting_for(user)[:COUNTED].count()


def waiting_of_member(membership_id: int | None) -> list[ApprovalRequest]:
    """The open requests about a membership, the oldest first; one query."""
    rows = ApprovalRequest.objects.filter(membership=membership_id, state=ApprovalRequest.State.PENDING)
    return list(rows.select_related("requested_by").order_by("pk")[:PAIR_HISTORY])


@dataclass(frozen=True, slots=True)
class RequestLine:
    """A request as the queue shows it.

    Attributes:
        request: The row, with membership, guest, property, who asked and who decided.
        amount: In words.
        about: The name of what it is about; may be empty.
        grounds: Why it waits, a sentence each.
        failure: Why it was no longer possible; empty unless it failed.
        requested_at: In the reader's time zone.
        decided_at: The same; None while it waits.
        expires_at: The same.
        may_decide: Whether the reader may approve and refuse it.
        is_own: Whether the reader asked for it.
    """

    request: ApprovalRequest
    amount: str
    about: str
    grounds: list[str]
    failure: str
    requested_at: dt.datetime
    decided_at: dt.datetime | None
    expires_at: dt.datetime
    may_decide: bool
    is_own: bool


TABS = ("waiting", "mine", "decided", "marked")


def request_lines(
    *, user: User, place: Property, tab: str, kind: str = "", after: int | None = None, limit: int
) -> tuple[list[RequestLine], int | None]:
    """One page of requests: waiting ones oldest first, others newest first; one query.

    Args:
        user: Who reads.
        place: Where the reader works, for the times.
        tab: `waiting` for the reader's decision, `mine` for what the reader asked for, or `decided`.
        kind: Only of this kind.
        after: Mark of the last row seen, as returned; None for the first page.
        limit: Rows on the page.

    Returns:
        The lines, and the mark to ask for the next page.
    """
    if tab == "waiting":
        rows = waiting_for(user)
    elif tab == "mine":
        rows = ApprovalRequest.objects.filter(requested_by=user)
    else:
        rows = ApprovalRequest.objects.visible_to(user).exclude(state=ApprovalRequest.State.PENDING)
    if kind:
        rows = rows.filter(kind=kind)
    is_queue = tab == "waiting"
    if after is not None:
        rows = rows.filter(pk__gt=after) if is_queue else rows.filter(pk__lt=after)
    found = list(detailed(rows).order_by("pk" if is_queue else "-pk")[: limit + 1])
    mark = found[limit - 1].pk if len(found) > limit else None
    return [line_of(row, user, place) for row in found[:limit]], mark


def detailed(rows: QuerySet[ApprovalRequest]) -> QuerySet[ApprovalRequest]:
    """With everything that a line shows."""
    return rows.select_related("membership__guest", "property__brand", "programme", "requested_by", "decided_by")


def line_of(request: ApprovalRequest, user: User, place: Property) -> RequestLine:
    """A request as it is shown to a reader; no query."""
    zone = zoneinfo.ZoneInfo(place.time_zone)
    return RequestLine(
        request=request,
        amount=amount_in_words(signed_value(request), request.unit, is_signed=request.kind == MovementKind.ADJUST),
        about=name_of(request.subject),
        grounds=[ground_sentence(ground, zone=zone) for ground in request.grounds],
        failure=failure_sentence(request.failure),
        requested_at=request.requested_at.astimezone(zone),
        decided_at=request.decided_at.astimezone(zone) if request.decided_at else None,
        expires_at=request.expires_at.astimezone(zone),
        may_decide=request.is_pending
        and request.requested_by_id != user.pk
        and (
            user.is_superuser
            or may_decide(
                [role for role in roles_at(user, request.property) if role_allows(role, PERMISSION)],
                request.approver_role,
            )
        ),
        is_own=request.requested_by_id == user.pk,
    )


def waiting_sentence(request: ApprovalRequest) -> str:
    """What whoever asked is told: who decides, under which number, that nothing has moved; or what came of it."""
    facts = {"role": request.get_approver_role_display(), "number": request.number}
    if not request.is_pending:
        return _("Request no. %(number)s: %(state)s.") % {**facts, "state": request.get_state_display()}
    text = _("Needs approval by: %(role)s. Request no. %(number)s; nothing has moved yet.") % facts
    if request.hold_id is None:
        return text
    held = _("The points are set aside until then.")
    return f"{text} {held}"


def signed_value(request: ApprovalRequest) -> Decimal:
    """The amount, below zero where points are taken off by hand."""
    value: Decimal = request.value
    is_taken_off = request.kind == MovementKind.ADJUST and int(request.payload.get("points", 0)) < 0
    return -value if is_taken_off else value


@dataclass(frozen=True, slots=True)
class MovementLine:
    """A movement that was carried out, as a line."""

    record: MovementRecord
    amount: str
    at: dt.datetime
    grounds: list[str]


def movement_line(record: MovementRecord, place: Property) -> MovementLine:
    """A movement as it is shown; no query."""
    zone = zoneinfo.ZoneInfo(place.time_zone)
    return MovementLine(
        record=record,
        amount=amount_in_words(record.value, record.unit),
        at=record.at.astimezone(zone),
        grounds=[ground_sentence(ground, zone=zone) for ground in record.flags],
    )


def marked_lines(
    *, user: User, place: Property, kind: str = "", after: int | None = None, limit: int
) -> tuple[list[MovementLine], int | None]:
    """One page of movements that a rule has marked and nobody has reviewed, the oldest first; one query."""
    rows = MovementRecord.objects.visible_to(user).filter(reviewed_at__isnull=True).exclude(flags=[])
    if kind:
        rows = rows.filter(kind=kind)
    if after is not None:
        rows = rows.filter(pk__gt=after)
    found = list(rows.select_related("membership__guest", "property", "actor").order_by("pk")[: limit + 1])
    mark = found[limit - 1].pk if len(found) > limit else None
    return [movement_line(row, place) for row in found[:limit]], mark


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a decision can rest on.

    Attributes:
        history: The newest movements between who asked and the member; those the rules found are among them.
        found: Keys of the movements that the rules found.
        used_today: What who asked has moved alone on the day of the request, of this kind.
        limits: The limits that held then, in words.
    """

    history: list[MovementLine]
    found: frozenset[int]
    used_today: str
    limits: list[str]


def evidence_of(request: ApprovalRequest, place: Property) -> Evidence:
    """The evidence of one request; three queries."""
    found = {pk for ground in request.grounds for pk in ground.get("movements", [])}
    pair = Q(actor=request.requested_by_id) if request.requested_by_id else Q(actor__isnull=True)
    records = MovementRecord.objects.filter(
        (Q(membership=request.membership_id) & pair if request.membership_id else Q(pk__in=[])) | Q(pk__in=found)
    )
    history = records.select_related("membership__guest", "property", "actor").order_by("-at", "-pk")[:PAIR_HISTORY]
    day = request.programme.local_date(request.requested_at)
    use = DailyUse.objects.filter(
        user=request.requested_by_id, day=day, kind=request.kind, unit=request.unit, programme=request.programme_id
    ).first()
    return Evidence(
        history=[movement_line(record, place) for record in history],
        found=frozenset(found),
        used_today=amount_in_words(use.used if use else Decimal(0), request.unit),
        limits=_limits_in_words(request, day),
    )


def _limits_in_words(request: ApprovalRequest, day: dt.date) -> list[str]:
    if request.requested_by is None:
        return []
    limits = limits_in_force(programme=request.programme, kind=request.kind, place=request.property, on_date=day)
    amount = Amount(request.value, request.unit)
    allowance = allowance_of(limits, roles_acting(request.requested_by, request.property), amount)
    sentences = []
    if allowance.per_movement is not None:
        sentences.append(
            _("%(amount)s per movement") % {"amount": amount_in_words(allowance.per_movement, request.unit)}
        )
    if allowance.per_day is not None:
        sentences.append(_("%(amount)s per day") % {"amount": amount_in_words(allowance.per_day, request.unit)})
    return sentences


def card_context(guest: Any, user: User, place: Property, now: dt.datetime) -> dict[str, Any]:
    """What waits for an approval on the guest's card; one query."""
    if not user.has_perm("loyalty.view_membership", place):
        return {"requests": []}
    rows = ApprovalRequest.objects.filter(membership__guest=guest, state=ApprovalRequest.State.PENDING)
    found = rows.select_related("membership__guest", "property__brand", "requested_by").order_by("pk")[:PAIR_HISTORY]
    return {"requests": [line_of(row, user, place) for row in found], "today": place.local_date(now)}
