"""Stored value: topping up, paying, paying back, and undoing it on the same day.

The ledger keeps the money in two accounts for each currency, one for what was paid and one for what was
given on top; both are locked, in the order of their ids, before anything is read. Amounts are minor units.
Each function takes `actor` (None for the member), `now` (aware) and `idempotency_key`: the same key again
returns the same movement.
"""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.utils.translation import gettext as _

from hotels.services.audit import record_audit
from loyalty.models import Account, Membership, Posting, SourceKey, StoredValueMovement, StoredValuePolicy
from loyalty.rules.expiry import last_usable_day
from loyalty.rules.money import money, whole
from loyalty.rules.wallet import Parts, gift_for, gift_taken_back, split_payment, units_of
from loyalty.selectors.wallet import LINES, SOURCE, left_of_top_ups, stored_value, today_of
from loyalty.services import ledger
from loyalty.services.ledger import IdempotencyConflict, MembershipInactive, SourceLine

if TYPE_CHECKING:
    from hotels.models import Property, User

Kind = StoredValueMovement.Kind
Method = StoredValueMovement.Method

# So that a retry finds the movement its first attempt made.
NAMESPACE = uuid.UUID("0c0d94a4-64c1-4f0b-a6d4-6a3d3c1f6b52")
_LOT_CLASSES = ("principal", "gift")


class StoredValueError(Exception):
    """Stored value does not move as asked; `code` is stable, `field` the form's."""

    code = "stored_value_error"
    field: str | None = None


class AmountNotPositive(StoredValueError):
    """Nothing, or less."""

    code = "amount_not_positive"
    field = "amount"

    def __init__(self) -> None:
        super().__init__(_("The amount is above zero."))


class TopUpsClosed(StoredValueError):
    """The property takes no top-ups today."""

    code = "top_ups_closed"

    def __init__(self) -> None:
        super().__init__(_("This hotel takes no top-ups at present."))


class CurrencyRefused(StoredValueError):
    """Another currency than the account's."""

    code = "currency_refused"
    field = "currency"

    def __init__(self, *, given: str, wanted: str) -> None:
        super().__init__(
            _("Stored value is kept in %(wanted)s here; %(given)s is not taken.") % {"wanted": wanted, "given": given}
        )


class MethodRefused(StoredValueError):
    """No method that money comes by; stored value never buys its own top-up."""

    code = "method_refused"
    field = "method"

    def __init__(self) -> None:
        super().__init__(_("Stored value is topped up by cash, card, WeChat Pay or bank transfer, never from itself."))


class InsufficientStoredValue(StoredValueError):
    """Less can be spent than asked for."""

    code = "insufficient_stored_value"
    field = "amount"

    def __init__(self, *, needed: int, available: int, currency: str) -> None:
        self.needed, self.available = needed, available
        super().__init__(
            _("%(needed)s is needed, %(available)s is available.")
            % {"needed": amount_text(needed, currency), "available": amount_text(available, currency)}
        )


class RefundTooLarge(StoredValueError):
    """More is to be paid back than is unspent of the top-up's principal."""

    code = "refund_too_large"
    field = "amount"

    def __init__(self, *, available: int, currency: str) -> None:
        super().__init__(
            _("Only %(available)s of what was paid for this top-up is unspent.")
            % {"available": amount_text(available, currency)}
        )


class NotATopUp(StoredValueError):
    """A refund names a top-up of the same member that stands."""

    code = "not_a_top_up"

    def __init__(self) -> None:
        super().__init__(_("This top-up was undone, or is not this member's."))


class UndoRefused(StoredValueError):
    """Too late, undone already, partly spent, or money that has left the house."""

    code = "undo_refused"

    def __init__(self, message: str) -> None:
        super().__init__(message)


class ReasonRequired(StoredValueError):
    """Paying back says why."""

    code = "reason_required"
    field = "reason"

    def __init__(self) -> None:
        super().__init__(_("Say why."))


def amount_text(amount: int, currency: str) -> str:
    """Minor units as money in the active language."""
    return money(whole(amount), currency)


@dataclass(frozen=True, slots=True)
class _Wallet:
    """A member's two accounts, locked, with the policy of the property."""

    membership: Membership
    policy: StoredValuePolicy
    account_ids: tuple[int, int]
    today: dt.date


@transaction.atomic
def top_up(
    *,
    actor: User | None,
    now: dt.datetime,
    membership_id: int,
    amount: int,
    currency: str,
    method: str,
    reference: str = "",
    place: Property,
    idempotency_key: str,
) -> StoredValueMovement:
    """Take money and store it, with the gift of the policy in force.

    Args:
        actor: See the module.
        now: See the module.
        membership_id: Whose stored value.
        amount: What is paid, in minor units.
        currency: ISO 4217; the policy's, or it is refused.
        method: A value of `StoredValueMovement.Method`.
        reference: The payment's number at the cashier or the provider.
        place: The property that takes the money and funds the gift.
        idempotency_key: See the module.

    Raises:
        AmountNotPositive, TopUpsClosed, CurrencyRefused, MethodRefused: See the classes.
        loyalty.services.ledger.MembershipInactive: The membership is not active.
        loyalty.services.ledger.IdempotencyConflict: The key was used for something else.
    """
    if amount <= 0:
        raise AmountNotPositive
    if method not in Method:
        raise MethodRefused
    wallet = _lock(membership_id=membership_id, currency=currency, place=place, now=now)
    asked = {"membership_id": membership_id, "kind": Kind.TOP_UP, "principal": amount, "method": method}
    public_id, known = _known(wallet, idempotency_key, asked | {"property_id": place.pk, "reference": reference})
    if known is not None:
        return known
    if not wallet.policy.is_open:
        raise TopUpsClosed
    gift = gift_for(amount, wallet.policy.steps.values_list("amount", "gift"))
    parts = Parts(amount, gift)
    lives = (wallet.policy.principal_months, wallet.policy.gift_months)
    for account_id, part, line, lot_class, months in zip(
        wallet.account_ids, parts, LINES, _LOT_CLASSES, lives, strict=True
    ):
        if part:
            ledger.earn_points(
                actor=actor,
                now=now,
                points=part,
                account_id=account_id,
                lot_class=lot_class,
                expires_on=last_usable_day(wallet.today, months, "none"),
                pending_until=None,
                source=SourceLine(SOURCE, str(public_id), line),
                explanation=_explanation(Kind.TOP_UP, line, currency, place, method=method),
                property_id=place.pk,
                reason=reference,
            )
    return _record(
        wallet, public_id, Kind.TOP_UP, parts, actor=actor, now=now, place=place, method=method, reference=reference
    )


@transaction.atomic
def pay_from_stored_value(
    *,
    actor: User | None,
    now: dt.datetime,
    membership_id: int,
    amount: int,
    currency: str,
    reference: str = "",
    place: Property,
    idempotency_key: str,
) -> StoredValueMovement:
    """Pay with stored value; the policy of the property says which part pays first.

    Args:
        actor: See the module.
        now: See the module.
        membership_id: Whose stored value.
        amount: What is paid, in minor units.
        currency: ISO 4217.
        reference: The bill that is paid.
        place: The property that is paid.
        idempotency_key: See the module.

    Raises:
        AmountNotPositive, CurrencyRefused, InsufficientStoredValue: See the classes.
        loyalty.services.ledger.MembershipInactive: The membership is not active.
        loyalty.services.ledger.IdempotencyConflict: The key was used for something else.
    """
    if amount <= 0:
        raise AmountNotPositive
    wallet = _lock(membership_id=membership_id, currency=currency, place=place, now=now)
    asked = {"membership_id": membership_id, "kind": Kind.PAYMENT, "total": amount}
    public_id, known = _known(wallet, idempotency_key, asked | {"property_id": place.pk, "reference": reference})
    if known is not None:
        return known
    balance = stored_value(membership=wallet.membership, currency=currency, on_date=wallet.today)
    if balance.total < amount:
        raise InsufficientStoredValue(needed=amount, available=balance.total, currency=currency)
    parts = split_payment(amount, balance, wallet.policy.spending_order)
    for account_id, part, line in zip(wallet.account_ids, parts, LINES, strict=True):
        if part:
            ledger.redeem_points(
                actor=actor,
                now=now,
                points=part,
                account_id=account_id,
                source=SourceLine(SOURCE, str(public_id), line),
                explanation=_explanation(Kind.PAYMENT, line, currency, place, reference=reference),
                property_id=place.pk,
                reason=reference,
            )
    return _record(wallet, public_id, Kind.PAYMENT, parts, actor=actor, now=now, place=place, reference=reference)


@transaction.atomic
def refund_top_up(
    *,
    actor: User | None,
    now: dt.datetime,
    top_up_id: int,
    amount: int,
    method: str,
    reference: str = "",
    reason: str,
    place: Property,
    idempotency_key: str,
) -> StoredValueMovement:
    """Pay back unspent principal of a top-up; its gift goes in proportion or wholly, as its policy says.

    The money leaves the house, so that a refund is not undone.

    Args:
        actor: See the module.
        now: See the module.
        top_up_id: The top-up.
        amount: Principal to be paid back, in minor units.
        method: How it is paid back, a value of `StoredValueMovement.Method`.
        reference: The number of the payment.
        reason: Why, in the actor's words.
        place: The property that pays it back.
        idempotency_key: See the module.

    Raises:
        AmountNotPositive, MethodRefused, ReasonRequired, NotATopUp, RefundTooLarge: See the classes.
        loyalty.services.ledger.IdempotencyConflict: The key was used for something else.
    """
    if amount <= 0:
        raise AmountNotPositive
    if method not in Method:
        raise MethodRefused
    if not reason.strip():
        raise ReasonRequired
    found = StoredValueMovement.objects.get(pk=top_up_id)
    wallet = _lock(membership_id=found.membership_id, currency=found.currency, place=place, now=now, may_be_closed=True)
    asked = {"top_up_id": top_up_id, "kind": Kind.REFUND, "principal": amount, "method": method}
    public_id, known = _known(wallet, idempotency_key, asked | {"property_id": place.pk, "reference": reference})
    if known is not None:
        return known
    original = StoredValueMovement.objects.select_related("policy").get(pk=top_up_id)
    if original.kind != Kind.TOP_UP or original.undone_at is not None:
        raise NotATopUp
    left = left_of_top_ups(top_ups=[original], on_date=wallet.today)[original.pk]
    if amount > left.principal:
        raise RefundTooLarge(available=left.principal, currency=original.currency)
    before = list(original.refunds.values_list("principal", "gift"))
    gift = gift_taken_back(
        refunded_to_date=amount + sum(principal for principal, _gift in before),
        topped_up=Parts(original.principal, original.gift),
        taken_before=sum(gift for _principal, gift in before),
        left=left.gift,
        policy=original.policy.gift_refund,
    )
    parts = Parts(amount, gift)
    _take_back(original, parts, public_id, Kind.REFUND, actor=actor, now=now, place=place, reason=reason, method=method)
    return _record(
        wallet,
        public_id,
        Kind.REFUND,
        parts,
        actor=actor,
        now=now,
        place=place,
        method=method,
        reference=reference,
        reason=reason,
        top_up=original,
    )


@transaction.atomic
def undo_stored_value(*, actor: User | None, now: dt.datetime, movement_id: int, reason: str) -> StoredValueMovement:
    """Undo a top-up of which nothing is spent, or a payment, on the day it was made.

    Args:
        actor: Who undoes it.
        now: Aware instant.
        movement_id: The movement; a second call changes nothing.
        reason: Why.

    Raises:
        UndoRefused: A refund, a movement of an earlier day, or a top-up that is partly spent or paid back.
    """
    found = StoredValueMovement.objects.select_related("property").get(pk=movement_id)
    place = found.property
    wallet = _lock(membership_id=found.membership_id, currency=found.currency, place=place, now=now, may_be_closed=True)
    movement = StoredValueMovement.objects.select_related("property", "membership").get(pk=movement_id)
    if movement.undone_at is not None:
        return movement
    if movement.kind == Kind.REFUND:
        raise UndoRefused(_("The money was paid out; take a new top-up instead."))
    if today_of(wallet.membership, movement.made_at) != wallet.today:
        raise UndoRefused(_("Only what was made today can be undone."))
    if movement.kind == Kind.TOP_UP:
        parts = Parts(movement.principal, movement.gift)
        if left_of_top_ups(top_ups=[movement], on_date=wallet.today)[movement.pk] != parts:
            raise UndoRefused(_("A part of this top-up is spent or paid back already."))
        _take_back(movement, parts, movement.public_id, "undo", actor=actor, now=now, place=place, reason=reason)
    else:
        for line, posting_id in _postings_of(movement, Posting.Kind.REDEEM).items():
            ledger.cancel_redemption_posting(
                actor=actor,
                now=now,
                posting_id=posting_id,
                source=SourceLine(SOURCE, str(movement.public_id), line),
                explanation=_explanation("undo", line, movement.currency, place),
                property_id=place.pk,
                reason=reason,
            )
    movement.undone_at = now
    movement.save(update_fields=["undone_at"])
    record_audit(
        actor=actor,
        now=now,
        action="stored_value.undone",
        target=movement,
        label=wallet.membership.number,
        place=place,
        reason=reason,
    )
    return movement


def _lock(
    *, membership_id: int, currency: str, place: Property, now: dt.datetime, may_be_closed: bool = False
) -> _Wallet:
    """Lock both accounts in the order of their ids; a membership that is closed is still paid back."""
    membership = Membership.objects.select_related("programme").get(pk=membership_id)
    today = today_of(membership, now)
    policy = StoredValuePolicy.objects.in_force(programme_id=membership.programme_id, place=place, on_date=today)
    if policy is None:
        raise TopUpsClosed
    if currency != policy.currency and not may_be_closed:
        raise CurrencyRefused(given=currency, wanted=policy.currency)
    principal, gift = (ledger.open_account(membership_id=membership_id, unit=unit) for unit in units_of(currency))
    locked = Account.objects.select_for_update(no_key=True, of=("self",)).filter(pk__in=[principal, gift])
    list(locked.order_by("pk"))
    # Suspended while we waited for the lock?
    if not may_be_closed and not Membership.objects.filter(pk=membership_id, status=Membership.Status.ACTIVE).exists():
        raise MembershipInactive
    return _Wallet(membership, policy, (principal, gift), today)


def _known(
    wallet: _Wallet, idempotency_key: str, asked: dict[str, Any]
) -> tuple[uuid.UUID, StoredValueMovement | None]:
    if not idempotency_key:
        raise ValueError(idempotency_key)
    public_id = uuid.uuid5(NAMESPACE, f"{wallet.membership.programme_id}/{idempotency_key}")
    known = StoredValueMovement.objects.filter(public_id=public_id).first()
    if known is not None and any(getattr(known, name) != value for name, value in asked.items()):
        raise IdempotencyConflict
    return public_id, known


def _postings_of(movement: StoredValueMovement, kind: str) -> dict[str, int]:
    """The movement's postings of a kind, by their line."""
    return dict(
        SourceKey.objects.filter(
            programme=movement.membership.programme_id, system=SOURCE, reference=str(movement.public_id), kind=kind
        ).values_list("line", "posting_id")
    )


def _take_back(
    original: StoredValueMovement,
    parts: Parts,
    public_id: uuid.UUID,
    what: str,
    *,
    actor: User | None,
    now: dt.datetime,
    place: Property,
    reason: str,
    method: str = "",
) -> None:
    """Reverse parts of a top-up that were found unspent under the lock, so that only its own lots pay."""
    postings = _postings_of(original, Posting.Kind.EARN)
    for part, line in zip(parts, LINES, strict=True):
        if part:
            ledger.reverse_posting(
                actor=actor,
                now=now,
                posting_id=postings[line],
                points=part,
                source=SourceLine(SOURCE, str(public_id), line),
                explanation=_explanation(what, line, original.currency, place, method=method),
                property_id=place.pk,
                reason=reason,
            )


def _record(
    wallet: _Wallet,
    public_id: uuid.UUID,
    kind: str,
    parts: Parts,
    *,
    actor: User | None,
    now: dt.datetime,
    place: Property,
    method: str = "",
    reference: str = "",
    reason: str = "",
    top_up: StoredValueMovement | None = None,
) -> StoredValueMovement:
    movement = StoredValueMovement.objects.create(
        public_id=public_id,
        membership=wallet.membership,
        property=place,
        policy=wallet.policy,
        kind=kind,
        currency=top_up.currency if top_up else wallet.policy.currency,
        principal=parts.principal,
        gift=parts.gift,
        method=method,
        reference=reference,
        reason=reason,
        top_up=top_up,
        made_at=now,
        actor=actor,
    )
    if actor is not None:
        record_audit(
            actor=actor,
            now=now,
            action=f"stored_value.{kind}",
            target=movement,
            label=wallet.membership.number,
            place=place,
            after={"principal": parts.principal, "gift": parts.gift, "currency": movement.currency, "method": method},
            reason=reason,
        )
    return movement


def _explanation(what: str, line: str, currency: str, place: Property, **more: str) -> dict[str, Any]:
    return {
        "stored_value": what,
        "part": line,
        "currency": currency,
        "property": {"id": place.pk, "zh": place.name, "en": place.name_en},
        **{name: value for name, value in more.items() if value},
    }
