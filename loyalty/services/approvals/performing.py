"""Carrying a movement out within the limits, or writing down that somebody else has to decide."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django.db import connection, transaction
from django.db.models import F

from hotels.services.audit import record_audit
from loyalty.models import ApprovalRequest, DailyUse, Membership, MovementRecord
from loyalty.rules.approvals import (
    Allowance,
    Amount,
    Attempt,
    Finding,
    allowance_of,
    find_patterns,
    grounds_of_limits,
    highest_role,
)
from loyalty.selectors.approvals import limits_in_force, lookback_of, patterns_in_force, roles_acting
from loyalty.services.approvals.refusals import RequestConflict
from loyalty.services.approvals.registry import (
    MovementType,
    Order,
    encode_payload,
    is_signed,
    movement_type_of,
    sign,
    signed_text,
)
from loyalty.services.ledger import RequestKey, place_hold
from members.models import GuestIdentity
from members.rules.identity import IdentityError
from members.services.guests.inputs import identity_value

if TYPE_CHECKING:
    from hotels.models import Property, User
    from loyalty.models import Programme

# How long a request can be decided.
OPEN_FOR = dt.timedelta(days=3)
# Held points outlive the request, so that the job that ends holds never is faster than the decision.
HOLD_LONGER = dt.timedelta(days=1)
CLIENT = "approval"

# Makes the day's row if it is missing and locks it until the transaction ends: of two desks of one user, the second
# sees what the first has used.
_LOCK_DAY = """
INSERT INTO loyalty_dailyuse (programme_id, user_id, kind, unit, day, used, movements)
VALUES (%s, %s, %s, %s, %s, 0, 0)
ON CONFLICT (user_id, day, kind, unit, programme_id) DO UPDATE SET used = loyalty_dailyuse.used
RETURNING id, used
"""


@dataclass(frozen=True, slots=True)
class Performed:
    """The movement was carried out.

    Attributes:
        result: What the service returned.
        record: The movement as recorded.
        replayed: Whether the same key had carried it out before.
    """

    result: Any
    record: MovementRecord
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class Requested:
    """Nothing moved: somebody else decides about the request."""

    request: ApprovalRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """One movement on its way through."""

    handler: MovementType
    order: Order
    programme: Programme
    membership: Membership | None
    amount: Amount
    content: dict[str, Any]

    @property
    def facts(self) -> dict[str, Any]:
        """What both a record and a request keep."""
        return {
            "programme": self.programme,
            "kind": self.handler.kind,
            "membership": self.membership,
            "property": self.order.place,
            "value": self.amount.value,
            "unit": self.amount.unit,
            "idempotency_key": self.order.idempotency_key,
        }

    def text(self, amount: Amount | None = None, hold_id: int | None = None) -> str:
        """What is signed."""
        return signed_text(
            kind=self.handler.kind,
            programme_id=self.programme.pk,
            membership_id=self.membership.pk if self.membership else None,
            property_id=self.order.place.pk if self.order.place else None,
            actor_id=self.order.actor.pk if self.order.actor else None,
            payload=self.content,
            idempotency_key=self.order.idempotency_key,
            amount=amount,
            hold_id=hold_id,
        )


@transaction.atomic
def perform_or_request(
    *,
    kind: str,
    actor: User | None,
    now: dt.datetime,
    payload: Any,
    idempotency_key: str,
    place: Property | None = None,
    membership_id: int | None = None,
    programme: Programme | None = None,
    reason: str = "",
) -> Performed | Requested:
    """Carry a movement out if the actor may do it alone and no rule holds it; else ask for an approval.

    Args:
        kind: A value of `MovementKind` that is registered.
        actor: Who does it; None for the member themself, who has no limits.
        now: Aware instant.
        payload: What is to be done, of the kind's own class.
        idempotency_key: Made once per form or request; the same key again gives the same answer.
        place: The property where it happens, with its brand.
        membership_id: Whose it is; None for what belongs to nobody, such as a batch of vouchers.
        programme: Needed without a membership.
        reason: Why, in the actor's words.

    Returns:
        `Performed` with the service's result, or `Requested`.

    Raises:
        RequestConflict: The key was used before for another movement.
        Exception: What the service of the kind refuses by; then nothing is written.
    """
    handler = movement_type_of(kind)
    if not isinstance(payload, handler.payload) or not idempotency_key:
        raise TypeError(payload, idempotency_key)
    # First of all locks: patterns of one member are looked at one after the other.
    membership = _lock_member(membership_id) if membership_id is not None else None
    programme = membership.programme if membership else programme
    if programme is None:
        raise TypeError(programme)
    case = _Case(
        handler=handler,
        order=Order(actor=actor, now=now, place=place, payload=payload, reason=reason, idempotency_key=idempotency_key),
        programme=programme,
        membership=membership,
        amount=handler.measure(payload),
        content=encode_payload(payload),
    )
    day = programme.local_date(now)
    use_id, used = _lock_day(case, day)
    if known := _answered(case):
        return known
    limits = limits_in_force(programme=programme, kind=kind, place=place, on_date=day) if actor else []
    allowance = allowance_of(limits, roles_acting(actor, place), case.amount)
    grounds = grounds_of_limits(allowance, case.amount, used)
    findings = _patterns(case, allowance, day)
    if grounds or any(finding.pattern.is_hold for finding in findings):
        return Requested(_write_request(case, allowance, grounds, findings))
    result = handler.perform(case.order)
    if use_id is not None:
        DailyUse.objects.filter(pk=use_id).update(
            used=F("used") + case.amount.value, movements=F("movements") + 1, day_limit=allowance.per_day
        )
    record = MovementRecord.objects.create(
        **case.facts,
        actor=actor,
        limit=allowance.per_movement,
        at=now,
        counted_on=day if actor else None,
        signature=sign(case.text()),
        reference=handler.reference(result),
        flags=[finding.as_ground() for finding in findings],
    )
    return Performed(result, record)


def _lock_member(membership_id: int) -> Membership:
    return (
        Membership.objects.select_for_update(no_key=True, of=("self",))
        .select_related("programme", "guest")
        .get(pk=membership_id)
    )


def _lock_day(case: _Case, day: dt.date) -> tuple[int | None, Decimal]:
    actor = case.order.actor
    if actor is None:
        return None, Decimal(0)
    with connection.cursor() as cursor:
        cursor.execute(_LOCK_DAY, [case.programme.pk, actor.pk, case.handler.kind, case.amount.unit, day])
        use_id, used = cursor.fetchone()
    return use_id, used


def _answered(case: _Case) -> Performed | Requested | None:
    key = {"programme": case.programme, "kind": case.handler.kind, "idempotency_key": case.order.idempotency_key}
    request = ApprovalRequest.objects.filter(**key).first()
    if request is not None:
        if not is_signed(case.text(Amount(request.value, request.unit), request.hold_id), request.signature):
            raise RequestConflict
        return Requested(request)
    record = MovementRecord.objects.filter(**key).first()
    if record is None:
        return None
    if not is_signed(case.text(), record.signature):
        raise RequestConflict
    # The service knows the key as well and gives the same result.
    return Performed(case.handler.perform(case.order), record, replayed=True)


def _patterns(case: _Case, allowance: Allowance, day: dt.date) -> list[Finding]:
    patterns = patterns_in_force(programme=case.programme, kind=case.handler.kind, on_date=day)
    if not patterns:
        return []
    actor, membership = case.order.actor, case.membership
    attempt = Attempt(
        kind=case.handler.kind,
        actor_id=actor.pk if actor else None,
        membership_id=membership.pk if membership else None,
        amount=case.amount,
        limit=allowance.per_movement,
        now=case.order.now,
        is_own=actor is not None and membership is not None and _is_own(actor, membership, patterns),
    )
    lookback = lookback_of(attempt=attempt, guest_id=membership.guest_id if membership else None, patterns=patterns)
    return find_patterns(patterns, attempt, lookback)


def _is_own(actor: User, membership: Membership, patterns: Any) -> bool:
    """Whether the membership is the actor's, by the account they sign in with or by their e-mail address."""
    if not any(pattern.check == "own_account" for pattern in patterns):
        return False
    if membership.guest.user_id == actor.pk:
        return True
    try:
        mail = identity_value(GuestIdentity.Kind.EMAIL, "", actor.email, region="CN") if actor.email else None
    except IdentityError:
        return False
    return (
        mail is not None
        and GuestIdentity.objects.filter(
            guest=membership.guest_id, kind=GuestIdentity.Kind.EMAIL, value_index=mail.index
        ).exists()
    )


def _write_request(
    case: _Case, allowance: Allowance, grounds: list[dict[str, Any]], findings: list[Finding]
) -> ApprovalRequest:
    order, handler = case.order, case.handler
    handler.check(order)
    expires_at = order.now + OPEN_FOR
    deciders = [finding.pattern.reviewer_role for finding in findings if finding.pattern.is_hold]
    if grounds:
        deciders.append(allowance.approver_role)
    hold_id = None
    points = handler.points_to_hold(order.payload)
    if points and case.membership is not None:
        hold_id = place_hold(
            actor=order.actor,
            now=order.now,
            points=points,
            hold_until=expires_at + HOLD_LONGER,
            membership_id=case.membership.pk,
            request=RequestKey(CLIENT, f"{handler.kind}/{order.idempotency_key}"),
            property_id=order.place.pk if order.place else None,
            reason=order.reason,
        ).hold_id
    request = ApprovalRequest.objects.create(
        **case.facts,
        payload=case.content,
        signature=sign(case.text(case.amount, hold_id)),
        subject=dict(handler.describe(order.payload)),
        grounds=[*grounds, *(finding.as_ground() for finding in findings)],
        reason=order.reason[:300],
        requested_by=order.actor,
        requested_at=order.now,
        approver_role=highest_role(deciders),
        expires_at=expires_at,
        hold_id=hold_id,
    )
    record_audit(
        actor=order.actor,
        now=order.now,
        action="approval.requested",
        target=request,
        label=f"{handler.kind} {request.number}",
        place=order.place,
        after={
            "kind": handler.kind,
            "value": str(case.amount.value),
            "unit": case.amount.unit,
            "membership": case.membership.number if case.membership else None,
            "grounds": [ground["check"] for ground in request.grounds],
        },
        reason=order.reason,
    )
    return request
