"""What a guest is given for what went wrong: through the ledger and the vouchers, within limits, undone by a reversal."""

from __future__ import annotations

import datetime as dt
import uuid
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.db.models import Count, Sum
from django.utils.translation import gettext as _

from feedback.models import Recovery, Ticket, TicketEvent
from feedback.rules.recovery import Limit, limit_of
from feedback.services.errors import RecoveryRefused
from feedback.services.journal import locked, once, write
from hotels.models import User
from loyalty.models import Membership
from loyalty.services.ledger import LedgerError, RequestKey, SourceLine, adjust_points, reverse_posting
from loyalty.services.vouchers import VoucherRefused, cancel_voucher, issue_voucher

Kind = Recovery.Kind


def limit_for(actor: User, ticket: Ticket) -> Limit:
    """What the user may give for a ticket altogether, by the roles that reach its property."""
    return limit_of(assignment.role for assignment in actor.active_assignments() if assignment.covers(ticket.property))


@transaction.atomic
def recover_service(
    *,
    actor: User,
    now: dt.datetime,
    ticket_id: int,
    kind: str,
    text: str,
    points: int | None = None,
    voucher_type_id: int | None = None,
    amount: Decimal | None = None,
    key: uuid.UUID | None = None,
) -> Recovery:
    """Give the guest something, and say so on the ticket.

    Args:
        actor: Who gives it, within the limits of their role for the whole ticket.
        now: Aware instant.
        ticket_id: The ticket.
        kind: Value of `Recovery.Kind`.
        text: Why, or what was spoken of.
        points: For points: how many.
        voucher_type_id: For a voucher: of which type.
        amount: For a refund request: how much, in the property's currency.
        key: Of the form; sending it again gives nothing more.

    Raises:
        RecoveryRefused: It is beyond the actor's limit, or the guest has no membership.
        TicketConflict: The key gave something else.
    """
    data = {"kind": kind, "points": points, "voucher": voucher_type_id, "amount": str(amount), "text": text}

    def give() -> int:
        ticket = locked(ticket_id)
        _check_limit(actor, ticket, kind, points, amount)
        values: dict[str, Any] = {}
        if kind == Kind.POINTS:
            values = _give_points(ticket, points or 0, text, actor=actor, now=now)
        elif kind == Kind.VOUCHER:
            values = _give_voucher(ticket, voucher_type_id, text, actor=actor, now=now)
        elif kind == Kind.REFUND:
            values = {"amount": amount, "currency": ticket.property.currency}
        recovery = Recovery.objects.create(ticket=ticket, kind=kind, text=text, made_by=actor, made_at=now, **values)
        write(ticket, TicketEvent.Kind.RECOVERY, actor=actor, now=now, text=_said(recovery), after=data, reason=text)
        return recovery.pk

    pk = once("recover", ticket_id, data, give, actor=actor, now=now, key=key)
    return Recovery.objects.select_related("ticket").get(pk=pk)


def _said(recovery: Recovery) -> str:
    worth = {
        Kind.POINTS: f"{recovery.points}",
        Kind.VOUCHER: recovery.voucher.code if recovery.voucher else "",
        Kind.REFUND: f"{recovery.amount} {recovery.currency}",
        Kind.CALL: "",
    }[Kind(recovery.kind)]
    return " · ".join(filter(None, (recovery.get_kind_display(), worth, recovery.text)))


def _check_limit(actor: User, ticket: Ticket, kind: str, points: int | None, amount: Decimal | None) -> None:
    if (kind == Kind.POINTS and (points or 0) <= 0) or (kind == Kind.REFUND and (amount or 0) <= 0):
        raise RecoveryRefused(_("Say how much."))
    limit = limit_for(actor, ticket)
    given = Recovery.objects.filter(ticket=ticket, undone_at=None)
    sums = given.aggregate(points=Sum("points"), amount=Sum("amount"), vouchers=Count("voucher"))
    is_over = (
        (kind == Kind.POINTS and (sums["points"] or 0) + (points or 0) > limit.points)
        or (kind == Kind.REFUND and (sums["amount"] or 0) + (amount or 0) > limit.amount)
        or (kind == Kind.VOUCHER and sums["vouchers"] >= limit.vouchers)
    )
    if is_over:
        raise RecoveryRefused(_("This is beyond what you may give for one ticket; ask your manager."))


def _membership(ticket: Ticket) -> Membership:
    found = Membership.objects.filter(guest=ticket.guest_id, status=Membership.Status.ACTIVE).order_by("pk").first()
    if found is None:
        raise RecoveryRefused(_("The guest is not a member; enroll them first."))
    return found


def _give_points(ticket: Ticket, points: int, text: str, *, actor: User, now: dt.datetime) -> dict[str, Any]:
    membership = _membership(ticket)
    number = Recovery.objects.filter(ticket=ticket).count() + 1
    try:
        result = adjust_points(
            actor=actor,
            now=now,
            points=points,
            reason=text,
            membership_id=membership.pk,
            source=SourceLine("feedback", f"T-{ticket.pk}", str(number)),
            property_id=ticket.property_id,
        )
    except LedgerError as error:
        raise RecoveryRefused(str(error)) from error
    return {"points": points, "posting_id": result.posting_id}


def _give_voucher(
    ticket: Ticket, voucher_type_id: int | None, text: str, *, actor: User, now: dt.datetime
) -> dict[str, Any]:
    if voucher_type_id is None:
        raise RecoveryRefused(_("Choose a voucher."))
    try:
        voucher = issue_voucher(
            actor=actor,
            now=now,
            type_id=voucher_type_id,
            membership_id=_membership(ticket).pk,
            source_reference=f"T-{ticket.pk}",
            place=ticket.property,
            reason=text,
        )
    except VoucherRefused as error:
        raise RecoveryRefused(str(error)) from error
    return {"voucher": voucher}


@transaction.atomic
def undo_recovery(*, actor: User, now: dt.datetime, recovery_id: int) -> Recovery:
    """Take back what was given: points by a reversal, a voucher by canceling it; a second time changes nothing.

    Raises:
        RecoveryRefused: It is used already and cannot be taken back.
    """
    ticket_id = Recovery.objects.values_list("ticket_id", flat=True).get(pk=recovery_id)
    ticket = locked(ticket_id)
    recovery = Recovery.objects.select_related("voucher").get(pk=recovery_id)
    if recovery.undone_at is not None:
        return recovery
    reason = f"T-{ticket.pk}"
    try:
        if recovery.posting_id is not None:
            reverse_posting(
                actor=actor,
                now=now,
                posting_id=recovery.posting_id,
                reason=reason,
                property_id=ticket.property_id,
                request=RequestKey("feedback", f"undo-recovery-{recovery.pk}"),
            )
        elif recovery.voucher_id is not None:
            cancel_voucher(actor=actor, now=now, voucher_id=recovery.voucher_id, reason=reason, place=ticket.property)
    except (LedgerError, VoucherRefused) as error:
        raise RecoveryRefused(str(error)) from error
    recovery.undone_at, recovery.undone_by = now, actor
    recovery.save(update_fields=["undone_at", "undone_by"])
    write(ticket, TicketEvent.Kind.RECOVERY_UNDONE, actor=actor, now=now, text=_said(recovery))
    return recovery
