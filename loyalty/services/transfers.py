"""Passing points from one member to another.

Both accounts are locked in the order of their ids before anything is read, so the limits of a year hold to the
point. The points keep their last day, their class, their cost and the property that funds them: the receiver
gets one lot for each kind of lot that the giver gave. Postings are of the kind "adjust", which wakes up no
account that is about to lapse.
"""

from __future__ import annotations

import datetime as dt
import uuid
import zoneinfo
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.models import F, Q, Sum
from django.utils.translation import gettext as _

from hotels.services.audit import record_audit
from loyalty.models import Account, Lot, LotMove, Membership, PointsTransfer, Posting, SourceKey, TransferPolicy
from loyalty.services import ledger
from loyalty.services.ledger import (
    IdempotencyConflict,
    InsufficientPoints,
    MembershipInactive,
    Movement,
    SourceLine,
    Verb,
)

if TYPE_CHECKING:
    from hotels.models import Property, User

SOURCE = "transfer"
# So that a retry finds the transfer its first attempt made.
NAMESPACE = uuid.UUID("3b7c2a55-5f0c-4a44-8d7a-0a1b6d2d4a90")


class TransferError(Exception):
    """Points do not pass as asked; `code` is stable, `field` the form's."""

    code = "transfer_error"
    field: str | None = None


class TransferClosed(TransferError):
    """The programme allows no transfers today."""

    code = "transfers_closed"

    def __init__(self) -> None:
        super().__init__(_("This program allows no transfers at present."))


class TransferToSelf(TransferError):
    """The same guest on both sides."""

    code = "transfer_to_self"
    field = "receiver"

    def __init__(self) -> None:
        super().__init__(_("Points are passed to somebody else."))


class TransferOtherProgramme(TransferError):
    """The two are members of different programmes."""

    code = "transfer_other_programme"
    field = "receiver"

    def __init__(self) -> None:
        super().__init__(_("Both have to be members of the same program."))


class TransferOutOfRange(TransferError):
    """Fewer points than may be passed at once, or more."""

    code = "transfer_out_of_range"
    field = "points"

    def __init__(self, policy: TransferPolicy) -> None:
        least, most = f"{policy.min_points:,}", policy.max_points
        if most is None:
            super().__init__(_("At least %(least)s points are passed at once.") % {"least": least})
        else:
            super().__init__(
                _("%(least)s to %(most)s points are passed at once.") % {"least": least, "most": f"{most:,}"}
            )


class TransferLimitReached(TransferError):
    """The giver's or the receiver's year is used up; `side` tells whose."""

    code = "transfer_limit_reached"
    field = "points"

    def __init__(self, *, side: str, left: int) -> None:
        self.side, self.left = side, left
        text = (
            _("This member can still give %(left)s points this year.")
            if side == "giver"
            else _("The receiver can still get %(left)s points this year.")
        )
        super().__init__(text % {"left": f"{left:,}"})


class TransferUndoRefused(TransferError):
    """Too late, or the receiver has used some of the points."""

    code = "transfer_undo_refused"

    def __init__(self, message: str) -> None:
        super().__init__(message)


@transaction.atomic
def transfer_points(
    *,
    actor: User | None,
    now: dt.datetime,
    giver_id: int,
    receiver_id: int,
    points: int,
    place: Property | None = None,
    reason: str = "",
    idempotency_key: str,
) -> PointsTransfer:
    """Pass points to another member of the programme; the fee is the giver's.

    Args:
        actor: Who does it at the desk; None for the member.
        now: Aware instant.
        giver_id: The membership that gives.
        receiver_id: The membership that gets.
        points: How many arrive.
        place: Where it was asked for.
        reason: Why, if somebody says so.
        idempotency_key: The same key again returns the same transfer.

    Raises:
        TransferClosed, TransferToSelf, TransferOtherProgramme, TransferOutOfRange, TransferLimitReached: See
            the classes.
        loyalty.services.ledger.InsufficientPoints: The giver has fewer, the fee counted.
        loyalty.services.ledger.MembershipInactive: One of the two is not active.
        loyalty.services.ledger.IdempotencyConflict: The key was used for something else.
    """
    if not idempotency_key:
        raise ValueError(idempotency_key)
    sides = Membership.objects.select_related("programme").in_bulk([giver_id, receiver_id])
    giver, receiver = sides[giver_id], sides[receiver_id]
    if giver.guest_id == receiver.guest_id:
        raise TransferToSelf
    if giver.programme_id != receiver.programme_id:
        raise TransferOtherProgramme
    programme = giver.programme
    today = now.astimezone(zoneinfo.ZoneInfo(programme.time_zone)).date()
    from_id, to_id = _lock(giver_id, receiver_id)
    public_id = uuid.uuid5(NAMESPACE, f"{programme.pk}/{idempotency_key}")
    known = PointsTransfer.objects.filter(public_id=public_id).first()
    if known is not None:
        if (known.giver_id, known.receiver_id, known.points) != (giver_id, receiver_id, points):
            raise IdempotencyConflict
        return known
    if Membership.objects.filter(pk__in=[giver_id, receiver_id], status=Membership.Status.ACTIVE).count() != len(sides):
        raise MembershipInactive
    policy = _policy_for(
        giver_id=giver_id, receiver_id=receiver_id, points=points, programme_id=programme.pk, today=today
    )
    needed = points + policy.fee_points
    available = (
        Lot.objects.filter(Q(expires_on=None) | Q(expires_on__gte=today), account=from_id, state=Lot.State.OPEN)
        .aggregate(left=Sum("remaining"))["left"]
        or 0
    )  # fmt: skip
    if available < needed:
        raise InsufficientPoints({"needed": needed, "available": available})
    _move(
        public_id,
        from_id=from_id,
        to_id=to_id,
        giver=giver,
        receiver=receiver,
        points=points,
        fee=policy.fee_points,
        common={"actor_id": actor.pk if actor else None, "now": now, "reason": reason},
        place=place,
    )
    made = PointsTransfer.objects.create(
        public_id=public_id,
        giver=giver,
        receiver=receiver,
        policy=policy,
        property=place,
        points=points,
        fee_points=policy.fee_points,
        made_on=today,
        made_at=now,
        actor=actor,
        reason=reason,
    )
    if actor is not None:
        record_audit(
            actor=actor,
            now=now,
            action="points.transferred",
            target=made,
            label=f"{giver.number} → {receiver.number}",
            place=place,
            after={"points": points, "fee": policy.fee_points},
            reason=reason,
        )
    return made


@transaction.atomic
def undo_transfer(*, actor: User | None, now: dt.datetime, transfer_id: int, reason: str) -> PointsTransfer:
    """Give the points back to the lots they came from, on the day and while none is used; the fee as well.

    Args:
        actor: Who undoes it.
        now: Aware instant.
        transfer_id: The transfer; a second call changes nothing.
        reason: Why.

    Raises:
        TransferUndoRefused: A transfer of an earlier day, or the receiver has used some of the points.
    """
    found = PointsTransfer.objects.select_related("giver__programme", "receiver", "property").get(pk=transfer_id)
    _from_id, to_id = _lock(found.giver_id, found.receiver_id)
    made = PointsTransfer.objects.select_related("giver__programme", "receiver", "property").get(pk=transfer_id)
    if made.undone_at is not None:
        return made
    if now.astimezone(zoneinfo.ZoneInfo(made.giver.programme.time_zone)).date() != made.made_on:
        raise TransferUndoRefused(_("Only what was made today can be undone."))
    lines = SourceKey.objects.filter(
        programme=made.giver.programme_id, system=SOURCE, reference=str(made.public_id), kind=Posting.Kind.ADJUST
    ).values_list("account_id", "posting_id", "line")
    received = [posting_id for account_id, posting_id, _line in lines if account_id == to_id]
    whole = Lot.objects.filter(posting__in=received, remaining=F("original"), state=Lot.State.OPEN).count()
    if whole != len(received):
        raise TransferUndoRefused(_("The receiver has used some of the points already."))
    # The receiver's side first: between the two nobody has the points twice.
    for account_id, posting_id, line in sorted(lines, key=lambda row: (row[0] != to_id, row[2])):
        other = made.giver if account_id == to_id else made.receiver
        ledger.reverse_posting(
            actor=actor,
            now=now,
            posting_id=posting_id,
            source=SourceLine(SOURCE, str(made.public_id), line),
            explanation=_explanation("undo", other, made.points),
            property_id=made.property_id,
            reason=reason,
        )
    made.undone_at = now
    made.save(update_fields=["undone_at"])
    record_audit(
        actor=actor,
        now=now,
        action="points.transfer_undone",
        target=made,
        label=f"{made.giver.number} → {made.receiver.number}",
        place=made.property,
        reason=reason,
    )
    return made


def _move(
    public_id: uuid.UUID,
    *,
    from_id: int,
    to_id: int,
    giver: Membership,
    receiver: Membership,
    points: int,
    fee: int,
    common: dict[str, Any],
    place: Property | None,
) -> None:
    """Post both sides: what is passed first, so that the fee is paid by the points that last longest."""
    out = [
        Movement(
            verb=Verb.ADJUST,
            **common,
            points=-amount,
            account_id=from_id,
            source=SourceLine(SOURCE, str(public_id), line),
            explanation=_explanation(line, receiver, amount),
            property_id=place.pk if place else None,
        )
        for line, amount in (("out", points), ("fee", fee))
        if amount
    ]
    taken = ledger.post_movements(out)[0]
    kinds = (
        LotMove.objects.filter(posting=taken.posting_id, account=from_id)
        .values_list("lot__expires_on", "lot__lot_class", "lot__funding_property", "lot__unit_cost")
        .annotate(given=-Sum("open_delta"))
        .order_by(F("lot__expires_on").asc(nulls_last=True), "lot__lot_class", "lot__funding_property")
    )
    ledger.post_movements(
        [
            Movement(
                verb=Verb.ADJUST,
                **common,
                points=given,
                account_id=to_id,
                lot_class=lot_class,
                expires_on=expires_on,
                pending_until=None,
                unit_cost=unit_cost,
                source=SourceLine(SOURCE, str(public_id), f"in {number}"),
                explanation=_explanation("in", giver, given),
                property_id=funded_by,
            )
            for number, (expires_on, lot_class, funded_by, unit_cost, given) in enumerate(kinds, 1)
        ]
    )


def _lock(giver_id: int, receiver_id: int) -> tuple[int, int]:
    accounts = ledger.open_accounts(membership_ids=sorted([giver_id, receiver_id]))
    list(Account.objects.select_for_update(no_key=True, of=("self",)).filter(pk__in=accounts.values()).order_by("pk"))
    return accounts[giver_id], accounts[receiver_id]


def _policy_for(*, giver_id: int, receiver_id: int, points: int, programme_id: int, today: dt.date) -> TransferPolicy:
    """The policy in force, if it allows this."""
    policy = TransferPolicy.objects.in_force(programme_id=programme_id, on_date=today)
    if policy is None or not policy.is_open:
        raise TransferClosed
    if points < policy.min_points or (policy.max_points is not None and points > policy.max_points):
        raise TransferOutOfRange(policy)
    _check_year(policy, giver_id=giver_id, receiver_id=receiver_id, points=points, year=today.year)
    return policy


def _check_year(policy: TransferPolicy, *, giver_id: int, receiver_id: int, points: int, year: int) -> None:
    for side, member_id, limit in (
        ("giver", giver_id, policy.year_limit_out),
        ("receiver", receiver_id, policy.year_limit_in),
    ):
        if limit is not None:
            used = (
                PointsTransfer.objects.filter(**{side: member_id}, made_on__year=year, undone_at=None).aggregate(
                    used=Sum("points")
                )["used"]
                or 0
            )
            if used + points > limit:
                raise TransferLimitReached(side=side, left=max(limit - used, 0))


def _explanation(what: str, other: Membership, points: int) -> dict[str, Any]:
    return {"transfer": what, "member": f"•••• {other.number[-4:]}", "points": points}
