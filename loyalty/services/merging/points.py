"""Points of two memberships of one programme become those of one, lot by lot, and go back.

Every lot keeps its class, expiry, day of release, funding property and cost. The account that goes stays
as it is in the books, empty; what still comes in there, such as a canceled redemption, is carried on at once.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django.db import connection, transaction
from django.db.models import Model, Q, Sum
from django.utils.translation import gettext as _

from loyalty.models import Account, Lot, Membership, Posting
from loyalty.services.ledger import (
    AlreadyReversed,
    Movement,
    Verb,
    adjust_points,
    open_account,
    post_movements,
    reverse_posting,
)
from members.models import GuestMerge
from members.services.merges import MergeRefused, MergeScope, handler_name

if TYPE_CHECKING:
    from hotels.models import User


class Points:
    """The lots of an account; `moved` is a list of carryings, each with the postings that brought its lots."""

    model: type[Model] = Account
    field = "membership"

    def merge(self, scope: MergeScope) -> list[dict[str, Any]]:
        """Carry all lots over.

        Raises:
            MergeRefused: `points_held` where points are set aside, `points_owed` where some are owed.
        """
        carried = []
        for gone, kept in scope.pairs[Membership._meta.label_lower]:
            accounts = _lock([gone, kept])
            account = accounts.get(gone)
            if account is None:
                continue
            if account.held:
                raise MergeRefused(
                    code="points_held",
                    message=_(
                        "Points of the profile that goes are set aside. Finish or cancel what they are for first."
                    ),
                )
            if account.debt:
                raise MergeRefused(
                    code="points_owed",
                    message=_("The profile that goes owes points. Keep it, and let the other one go."),
                )
            carried += _carry(scope.actor, scope.now, account, kept)
        return carried

    def undo(self, scope: MergeScope, moved: list[dict[str, Any]]) -> None:
        """Give back lot by lot; what was spent since comes from the survivor's other points, or is owed."""
        for gone, kept in scope.pairs[Membership._meta.label_lower]:
            _lock([gone, kept])
            numbers = _numbers([gone, kept])
            for carrying in reversed(moved):
                if carrying["gone"] == gone:
                    _give_back(scope, gone, carrying, numbers[gone], numbers[kept])


def _lock(membership_ids: Sequence[int]) -> dict[int, Account]:
    """The accounts of points by membership, locked in the order of their ids."""
    accounts = Account.objects.select_for_update(no_key=True).filter(membership__in=membership_ids, unit="points")
    return {account.membership_id: account for account in accounts.order_by("pk")}


def _numbers(membership_ids: Sequence[int]) -> dict[int, str]:
    return dict(Membership.objects.filter(pk__in=membership_ids).values_list("pk", "number"))


def _carry(actor: User | None, now: dt.datetime, account: Account, kept: int) -> list[dict[str, Any]]:
    """Carry what an account holds to another membership; returns the carrying, or nothing if it is empty."""
    # What lapsed is booked out first, so that nobody gets it back by a merge.
    post_movements([Movement(verb=Verb.EXPIRE, now=now, account_id=account.pk)], strict=False)
    lots = list(Lot.objects.filter(account=account, state__in=[Lot.State.OPEN, Lot.State.PENDING]).order_by("pk"))
    if not lots:
        return []
    open_account(membership_id=kept)
    gone = account.membership_id
    numbers = _numbers([gone, kept])
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT loyalty_carry_out(%s, %s, %s, %s::jsonb, %s)",
            [
                account.pk,
                now,
                account.programme.local_date(now),
                json.dumps({"merge": {"number": numbers[kept]}}),
                actor.pk if actor else None,
            ],
        )
    brought = post_movements(
        [_lot_movement(actor, now, kept, lot, lot.remaining, {"merge": {"number": numbers[gone]}}) for lot in lots]
    )
    return [{"gone": gone, "postings": [result.posting_id for result in brought]}]


def _lot_movement(
    actor: User | None, now: dt.datetime, membership_id: int, lot: Lot, points: int, explanation: dict[str, Any]
) -> Movement:
    """The posting that opens a lot like another one."""
    return Movement(
        verb=Verb.ADJUST,
        now=now,
        membership_id=membership_id,
        points=points,
        lot_class=lot.lot_class,
        expires_on=lot.expires_on,
        pending_until=lot.release_on if lot.state == Lot.State.PENDING else None,
        unit_cost=lot.unit_cost if lot.unit_cost is None else Decimal(lot.unit_cost),
        property_id=lot.funding_property_id,
        explanation=explanation,
        actor_id=actor.pk if actor else None,
    )


def _give_back(scope: MergeScope, gone: int, carrying: dict[str, Any], gone_number: str, kept_number: str) -> None:
    lots = {lot.posting_id: lot for lot in Lot.objects.filter(posting__in=carrying["postings"])}
    returning = []
    for posting_id in carrying["postings"]:
        try:
            taken = reverse_posting(
                actor=scope.actor,
                now=scope.now,
                posting_id=posting_id,
                explanation={"merge": {"number": gone_number, "undone": True}},
            )
        except AlreadyReversed:
            continue
        if taken.points:
            explanation = {"merge": {"number": kept_number, "undone": True}}
            returning.append(_lot_movement(scope.actor, scope.now, gone, lots[posting_id], -taken.points, explanation))
    post_movements(returning)


@transaction.atomic
def carry_leftovers(*, actor: User | None, now: dt.datetime, guest_ids: Sequence[int]) -> int:
    """Carry on what still came to accounts of merged profiles: points given back, or taken back there.

    Called after stays were settled anew and redemptions canceled, because a reversal goes to the account
    of the posting that it reverses.

    Args:
        actor: Who caused it; None for the system.
        now: Aware instant.
        guest_ids: The guests as they are now, that is the survivors.

    Returns:
        How many accounts had something.
    """
    left = (
        Account.objects.filter(
            Q(available__gt=0) | Q(pending__gt=0) | Q(debt__gt=0),
            membership__guest__merged_into__in=guest_ids,
            unit="points",
        )
        .select_related("membership__guest", "programme")
        .order_by("pk")
    )
    done = 0
    for found in list(left):
        guest = found.membership.guest
        merge = GuestMerge.objects.select_for_update(of=("self",)).filter(merged=guest, undone_at=None).first()
        kept = Membership.objects.filter(guest=guest.merged_into_id, programme=found.programme_id).first()
        if merge is None or kept is None:
            continue
        name = handler_name(Account, "membership")
        account = _lock([found.membership_id, kept.pk])[found.membership_id]
        carried = merge.moved.get(name, [])
        if account.debt:
            _settle_debt(actor, now, account, carried, kept.number)
        carried = carried + _carry(actor, now, account, kept.pk)
        merge.moved = {**merge.moved, name: carried}
        merge.save(update_fields=["moved"])
        done += 1
    return done


def _settle_debt(
    actor: User | None, now: dt.datetime, account: Account, carried: list[dict[str, Any]], kept_number: str
) -> None:
    """What was taken back after its points had been carried over is taken from where they went, newest first."""
    explanation = {"merge": {"number": _numbers([account.membership_id])[account.membership_id], "undone": True}}
    owed = account.debt
    for posting_id in reversed([pk for carrying in carried for pk in carrying["postings"]]):
        posting = Posting.objects.get(pk=posting_id)
        reversed_so_far = (
            Posting.objects.filter(reverses=posting_id).aggregate(total=Sum("reversed_points"))["total"] or 0
        )
        part = min(owed, posting.points - reversed_so_far)
        if part > 0:
            reverse_posting(actor=actor, now=now, posting_id=posting_id, points=part, explanation=explanation)
            adjust_points(
                actor=actor,
                now=now,
                account_id=account.pk,
                points=part,
                reason="",
                explanation={"merge": {"number": kept_number, "undone": True}},
            )
            owed -= part
