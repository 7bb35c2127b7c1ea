"""Deciding about requests, each once: approve and carry out, refuse, withdraw, let expire; and reviewing marked ones."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from django.db import transaction

from hotels.rules import role_allows
from hotels.services.audit import record_audit
from loyalty.models import ApprovalRequest, Membership, MovementRecord
from loyalty.rules.approvals import Amount, may_decide
from loyalty.selectors.approvals import roles_at
from loyalty.services.approvals.refusals import (
    AlreadyDecided,
    AmountChanged,
    NotTheApprover,
    OwnMovement,
    OwnRequest,
    PayloadChanged,
    PayloadOutdated,
    ReasonMissing,
    RequestExpired,
)
from loyalty.services.approvals.registry import (
    Order,
    decode_payload,
    is_signed,
    movement_type_of,
    sign,
    signed_text,
)
from loyalty.services.ledger import HoldClosed, Movement, Verb, post_movements, void_hold

if TYPE_CHECKING:
    from hotels.models import Property, User

State = ApprovalRequest.State
PERMISSION = "loyalty.decide_approval"
EXPIRE_AT_ONCE = 200


def approve_request(*, actor: User, now: dt.datetime, request_id: int, note: str = "") -> ApprovalRequest:
    """Approve a request and carry its movement out, in one transaction.

    What it stands on is judged again: where the service refuses now – too few points, membership not active, reward
    gone, a higher price – nothing is moved, held points are given back and the request ends as failed.

    Args:
        actor: Who approves.
        now: Aware instant.
        request_id: The request.
        note: A remark.

    Returns:
        The request, approved or failed.

    Raises:
        OwnRequest, NotTheApprover, AlreadyDecided, PayloadChanged: See the classes.
        RequestExpired: The time has passed; the request is ended and held points are given back.
    """
    is_late = is_forged = False
    with transaction.atomic():
        request = _locked(request_id)
        check_decider(actor, request)
        if request.expires_at <= now:
            is_late = True
            _expire(request, now)
        elif not _is_as_signed(request):
            is_forged = True
            _audit(request, actor, now, "approval.content_changed", {})
        else:
            _carry_out(request, actor, now, note)
    # After the end of the transaction, so that what was found stays written.
    if is_late:
        raise RequestExpired(request)
    if is_forged:
        raise PayloadChanged(request)
    return request


@transaction.atomic
def refuse_request(*, actor: User, now: dt.datetime, request_id: int, note: str) -> ApprovalRequest:
    """Refuse a request; held points are given back.

    Raises:
        ReasonMissing: A refusal says why.
        OwnRequest, NotTheApprover, AlreadyDecided: See the classes.
    """
    if not note.strip():
        raise ReasonMissing
    request = _locked(request_id)
    check_decider(actor, request)
    _give_back(request, actor, now)
    _end(request, State.REFUSED, now, decided_by=actor, note=note.strip()[:300])
    _audit(request, actor, now, "approval.refused", {"note": request.note})
    return request


@transaction.atomic
def withdraw_request(*, actor: User, now: dt.datetime, request_id: int) -> ApprovalRequest:
    """Take one's own request back; held points are given back.

    Raises:
        NotTheApprover: Somebody else made it.
        AlreadyDecided: It is over.
    """
    request = _locked(request_id)
    if request.requested_by_id != actor.pk:
        raise NotTheApprover(str(request.requested_by or ""))
    _give_back(request, actor, now)
    _end(request, State.WITHDRAWN, now)
    _audit(request, actor, now, "approval.withdrawn", {})
    return request


def expire_requests(*, now: dt.datetime) -> int:
    """End requests that nobody decided in time and give held points back; safe to run twice.

    Returns:
        How many were ended.
    """
    total = 0
    while ended := _expire_some(now):
        total += ended
    return total


@transaction.atomic
def _expire_some(now: dt.datetime) -> int:
    due = ApprovalRequest.objects.select_for_update(skip_locked=True).filter(state=State.PENDING, expires_at__lte=now)
    rows = list(due.order_by("pk")[:EXPIRE_AT_ONCE].values_list("pk", "hold_id"))
    # A hold that its own job has ended meanwhile is no failure.
    post_movements([Movement(verb=Verb.VOID, now=now, hold_id=hold) for _, hold in rows if hold], strict=False)
    return ApprovalRequest.objects.filter(pk__in=[pk for pk, _ in rows], state=State.PENDING).update(
        state=State.EXPIRED, decided_at=now
    )


@transaction.atomic
def review_movement(*, actor: User, now: dt.datetime, record_id: int, note: str = "") -> MovementRecord:
    """Note that somebody else has looked at a movement that a rule had marked; a second review changes nothing.

    Raises:
        OwnMovement: The actor made it.
        NotTheApprover: The actor does not decide at its property.
    """
    record = (
        MovementRecord.objects.select_for_update(no_key=True, of=("self",))
        .select_related("property__brand")
        .get(pk=record_id)
    )
    if record.reviewed_at is not None:
        return record
    if record.actor_id == actor.pk:
        raise OwnMovement
    if not deciding_roles(actor, record.property) and not actor.is_superuser:
        raise NotTheApprover
    record.reviewed_by, record.reviewed_at, record.review_note = actor, now, note.strip()[:300]
    record.save(update_fields=["reviewed_by", "reviewed_at", "review_note"])
    record_audit(
        actor=actor,
        now=now,
        action="movement.reviewed",
        target=record,
        label=record.kind,
        place=record.property,
        after={"note": record.review_note},
    )
    return record


def deciding_roles(user: User, place: Property | None) -> list[str]:
    """The roles of a user that decide about requests of a property, or of the whole group without one."""
    return [role for role in roles_at(user, place) if role_allows(role, PERMISSION)]


def check_decider(actor: User, request: ApprovalRequest) -> None:
    """See that somebody may decide about a request that is still open.

    Raises:
        OwnRequest, NotTheApprover, AlreadyDecided: See the classes.
    """
    if request.requested_by_id == actor.pk:
        raise OwnRequest
    if not actor.is_superuser and not may_decide(deciding_roles(actor, request.property), request.approver_role):
        raise NotTheApprover(request.get_approver_role_display())
    if not request.is_pending:
        raise AlreadyDecided(request)


def _locked(request_id: int) -> ApprovalRequest:
    return (
        ApprovalRequest.objects.select_for_update(no_key=True, of=("self",))
        .select_related("property__brand", "programme", "membership", "requested_by")
        .get(pk=request_id)
    )


def _is_as_signed(request: ApprovalRequest) -> bool:
    return is_signed(_text(request, Amount(request.value, request.unit), request.hold_id), request.signature)


def _text(request: ApprovalRequest, amount: Amount | None = None, hold_id: int | None = None) -> str:
    return signed_text(
        kind=request.kind,
        programme_id=request.programme_id,
        membership_id=request.membership_id,
        property_id=request.property_id,
        actor_id=request.requested_by_id,
        payload=request.payload,
        idempotency_key=request.idempotency_key,
        amount=amount,
        hold_id=hold_id,
    )


def _carry_out(request: ApprovalRequest, actor: User, now: dt.datetime, note: str) -> None:
    handler = movement_type_of(request.kind)
    note = note.strip()[:300]
    failure = reference = ""
    refusals: tuple[type[Exception], ...] = (*handler.failures, AmountChanged, PayloadOutdated)
    # First of all locks, as when a movement is carried out at once.
    if request.membership_id is not None:
        Membership.objects.select_for_update(no_key=True).get(pk=request.membership_id)
    try:
        with transaction.atomic():
            payload = _payload_of(request)
            order = Order(
                actor=request.requested_by,
                now=now,
                place=request.property,
                payload=payload,
                reason=request.reason,
                idempotency_key=request.idempotency_key,
            )
            _void_hold(request, actor, now)
            amount = _still_within(request, handler.measure(payload))
            reference = handler.reference(handler.perform(order))
            MovementRecord.objects.create(
                programme=request.programme,
                kind=request.kind,
                actor=request.requested_by,
                membership=request.membership,
                property=request.property,
                value=amount.value,
                unit=amount.unit,
                at=now,
                request=request,
                idempotency_key=request.idempotency_key,
                signature=sign(_text(request)),
                reference=reference,
            )
    except refusals as error:
        failure = str(getattr(error, "code", "record_gone"))
    if failure:
        _void_hold(request, actor, now)
        _end(request, State.FAILED, now, decided_by=actor, note=note, failure=failure[:300])
        _audit(request, actor, now, "approval.failed", {"failure": failure, "note": note})
    else:
        _end(request, State.APPROVED, now, decided_by=actor, note=note, reference=reference)
        _audit(request, actor, now, "approval.approved", {"reference": reference, "note": note})


def _still_within(request: ApprovalRequest, amount: Amount) -> Amount:
    if amount.unit != request.unit or amount.value > request.value:
        raise AmountChanged
    return amount


def _payload_of(request: ApprovalRequest) -> Any:
    try:
        return decode_payload(movement_type_of(request.kind).payload, request.payload)
    except ValueError as error:
        raise PayloadOutdated from error


def _void_hold(request: ApprovalRequest, actor: User | None, now: dt.datetime) -> None:
    if request.hold_id is None:
        return
    try:
        with transaction.atomic():
            void_hold(actor=actor, now=now, hold_id=request.hold_id)
    except HoldClosed:
        # Its time is over: the points have gone back already.
        return


def _give_back(request: ApprovalRequest, actor: User, now: dt.datetime) -> None:
    if not request.is_pending:
        raise AlreadyDecided(request)
    _void_hold(request, actor, now)


def _expire(request: ApprovalRequest, now: dt.datetime) -> None:
    _void_hold(request, None, now)
    _end(request, State.EXPIRED, now)


def _end(request: ApprovalRequest, state: ApprovalRequest.State, now: dt.datetime, **decision: Any) -> None:
    values = {"state": state, "decided_at": now, **decision}
    for name, value in values.items():
        setattr(request, name, value)
    request.save(update_fields=list(values))


def _audit(request: ApprovalRequest, actor: User, now: dt.datetime, action: str, after: dict[str, Any]) -> None:
    record_audit(
        actor=actor,
        now=now,
        action=action,
        target=request,
        label=f"{request.kind} {request.number}",
        place=request.property,
        before={"state": State.PENDING.value},
        after={"state": str(request.state), **after},
    )
