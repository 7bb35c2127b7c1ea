"""Taking a reward: one query for all that decides, one call for all that is written."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import uuid
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import psycopg
from django.db import DatabaseError, connection, transaction

from loyalty.models import Membership, Posting, Redemption, Reward, Voucher
from loyalty.rules.rewards import Option, RewardRefusal, RewardTerms, options_of, why_not
from loyalty.selectors.prepared import run_prepared
from loyalty.selectors.rewards import MemberFacts, counters_of, terms_of_reward, wish_of
from loyalty.services.ledger import (
    IdempotencyConflict,
    Movement,
    RequestKey,
    SourceLine,
    Verb,
    movement_json,
    refusal_of,
)
from loyalty.services.redemptions.refusals import RewardRefused, VoucherNotIssued, refused
from loyalty.services.vouchers import VoucherRefused, issue_voucher

if TYPE_CHECKING:
    from hotels.models import Property, User

SOURCE = "redemption"
CLIENT = "redemption"
# So that a retry finds the redemption its first attempt made.
NAMESPACE = uuid.UUID("6f1d2b1e-5f0c-4a52-9d5e-3b8f5c0a7e11")
NOTE_LENGTH = 200
_TAKE = "SELECT redemption_id, error, details::text, replayed FROM loyalty_take_reward(%s::jsonb)"
_RAN_OUT = "GK002"


@transaction.atomic
def redeem_reward(
    *,
    actor: User | None,
    now: dt.datetime,
    membership_id: int,
    reward_id: int,
    place: Property,
    idempotency_key: str,
    for_date: dt.date | None = None,
    quantity: int = 1,
    price_id: int | None = None,
    expected: tuple[int, Decimal] | None = None,
    note: str = "",
) -> Redemption:
    """Take a reward for points, or for points and money.

    Stock, limits of periods and of the member are counted in the same transaction; of two that race for the last
    piece, one is refused. A reward that gives a voucher issues it here and is fulfilled with that.

    Args:
        actor: Who redeems at the desk; None for the member themself.
        now: Aware instant.
        membership_id: Whose points.
        reward_id: The reward.
        place: The property that gives it.
        idempotency_key: Made once per form or request; the same key again returns the same redemption.
        for_date: The property's calendar date it is for; today if none is given.
        quantity: How many; points and money are those of one times this.
        price_id: Which of several prices, 0 for the standing one; None for the first of them.
        expected: Points and money of one as they were shown; another price meanwhile is refused.
        note: In the actor's words, such as the time of a treatment.

    Raises:
        RewardUnavailable: The reward is inactive or of another programme.
        RewardRefused: It cannot be had; `code` is one of `loyalty.rules.rewards.SENTENCES`.
        VoucherNotIssued: Its voucher cannot be issued.
        loyalty.services.ledger.InsufficientPoints: Fewer points can be spent today.
        loyalty.services.ledger.IdempotencyConflict: The key was used for something else.
        loyalty.services.ledger.MembershipInactive: The membership does not spend.
    """
    if not idempotency_key:
        raise ValueError(idempotency_key)
    today = place.local_date(now)
    date = for_date or today
    found = terms_of_reward(reward_id=reward_id, place=place, today=today, for_date=date, membership_id=membership_id)
    if found is None:
        raise Reward.DoesNotExist
    terms, member = found
    if member is None:
        raise Membership.DoesNotExist
    public_id = uuid.uuid5(NAMESPACE, f"{member.programme_id}/{idempotency_key}")
    # A retry is the same request though the price has changed, or midnight has passed, meanwhile.
    asked = f"{membership_id}/{reward_id}/{place.pk}/{for_date or ''}/{quantity}/{price_id or ''}"
    digest = hashlib.sha256(asked.encode()).hexdigest()
    try:
        option = _choose(
            terms, member, place=place, now=now, date=date, quantity=quantity, price_id=price_id, expected=expected
        )
    except RewardRefused:
        if known := _known(public_id, membership_id=membership_id, digest=digest):
            return known
        raise
    points = option.points * quantity
    cash = option.cash * quantity
    movement = Movement(
        verb=Verb.REDEEM,
        now=now,
        points=points,
        membership_id=membership_id,
        source=SourceLine(SOURCE, str(public_id)),
        request=RequestKey(CLIENT, idempotency_key, digest),
        explanation=explanation(
            terms_name(terms), place, points=points, quantity=quantity, cash=cash, currency=option.currency
        ),
        property_id=place.pk,
        actor_id=actor.pk if actor else None,
    )
    is_done = terms.fulfilment == "at_once" or terms.voucher_type_id is not None
    status = Redemption.Status.FULFILLED if is_done else Redemption.Status.REDEEMED
    redemption = Redemption(
        public_id=public_id,
        membership_id=membership_id,
        reward_id=reward_id,
        property=place,
        quantity=quantity,
        points=points,
        cash=cash,
        currency=option.currency,
        for_date=date,
        status=status,
        redeemed_at=now,
        fulfilled_at=now if is_done else None,
        actor=actor,
        note=note[:NOTE_LENGTH],
    )
    counters = counters_of(terms, place=place, membership_id=membership_id, for_date=date)
    pk, is_replay = _take(redemption, movement, counters)
    if is_replay:
        return Redemption.objects.select_related("reward", "membership").get(pk=pk)
    redemption.pk = pk
    redemption._state.adding = False
    redemption._state.db = connection.alias
    if terms.voucher_type_id is not None:
        _issue_vouchers(redemption, terms.voucher_type_id, actor=actor, now=now, place=place)
    return redemption


def quote_reward(
    *,
    now: dt.datetime,
    membership_id: int,
    reward_id: int,
    place: Property,
    for_date: dt.date | None = None,
    quantity: int = 1,
    price_id: int | None = None,
    expected: tuple[int, Decimal] | None = None,
) -> Option:
    """What `redeem_reward` would take for one, without taking it; the arguments are the same.

    Raises:
        RewardUnavailable: The reward is inactive or of another programme.
        RewardRefused: It cannot be had.
    """
    date = for_date or place.local_date(now)
    found = terms_of_reward(
        reward_id=reward_id, place=place, today=place.local_date(now), for_date=date, membership_id=membership_id
    )
    if found is None:
        raise Reward.DoesNotExist
    terms, member = found
    if member is None:
        raise Membership.DoesNotExist
    return _choose(
        terms, member, place=place, now=now, date=date, quantity=quantity, price_id=price_id, expected=expected
    )


def _choose(
    terms: RewardTerms,
    member: MemberFacts,
    *,
    place: Property,
    now: dt.datetime,
    date: dt.date,
    quantity: int,
    price_id: int | None,
    expected: tuple[int, Decimal] | None,
) -> Option:
    wish = wish_of(
        place=place, now=now, for_date=date, programme_id=member.programme_id, member=member, quantity=quantity
    )
    refusal = why_not(terms, wish)
    # The ledger refuses an inactive membership by itself, with its own code.
    if refusal is not None and refusal.code != "member_inactive":
        raise refused(refusal)
    options = options_of(terms, date, place.currency)
    chosen = [option for option in options if price_id is None or option.price_id == price_id]
    if not chosen or (expected is not None and expected != (chosen[0].points, chosen[0].cash)):
        raise RewardRefused(RewardRefusal("price_changed"))
    return chosen[0]


def _known(public_id: uuid.UUID, *, membership_id: int, digest: str) -> Redemption | None:
    """What an earlier sending of the request made, though the reward cannot be had any more."""
    known = Redemption.objects.select_related("reward", "membership").filter(public_id=public_id).first()
    if known is None:
        return None
    was_asked = Posting.objects.filter(
        account__membership=known.membership_id,
        kind=Posting.Kind.REDEEM,
        source_system=SOURCE,
        source_reference=str(public_id),
    ).values_list("request_hash", flat=True)
    if known.membership_id != membership_id or digest not in was_asked:
        raise IdempotencyConflict
    return known


def _take(redemption: Redemption, movement: Movement, counters: list[dict[str, Any]]) -> tuple[int, bool]:
    """Post, count and write; returns the key of the redemption and whether it was there already."""
    payload = {
        "movement": movement_json(movement),
        "public_id": redemption.public_id,
        "membership_id": redemption.membership_id,
        "reward_id": redemption.reward_id,
        "property_id": redemption.property_id,
        "quantity": redemption.quantity,
        "cash": redemption.cash,
        "currency": redemption.currency,
        "for_date": redemption.for_date,
        "status": str(redemption.status),
        "at": redemption.redeemed_at.isoformat(),
        "actor_id": movement.actor_id,
        "note": redemption.note,
        "limits": counters,
    }
    try:
        ((pk, error, details, is_replay),) = run_prepared(connection, _TAKE, [json.dumps(payload, default=str)])
    except DatabaseError as problem:
        cause = problem.__cause__
        if isinstance(cause, psycopg.Error) and cause.sqlstate == _RAN_OUT:
            facts = json.loads(cause.diag.message_detail or "{}")
            raise RewardRefused(RewardRefusal(facts.pop("code"), facts)) from None
        raise
    if error is not None:
        raise refusal_of(error, details)
    return int(pk), bool(is_replay)


def _issue_vouchers(
    redemption: Redemption, type_id: int, *, actor: User | None, now: dt.datetime, place: Property
) -> None:
    try:
        vouchers = [
            issue_voucher(
                actor=actor,
                now=now,
                type_id=type_id,
                membership_id=redemption.membership_id,
                source=Voucher.Source.REWARD,
                source_reference=str(redemption.public_id),
                place=place,
            )
            for _number in range(redemption.quantity)
        ]
    except VoucherRefused as problem:
        raise VoucherNotIssued(str(problem)) from problem
    redemption.vouchers.add(*vouchers)


def terms_name(reward: RewardTerms | Reward) -> dict[str, Any]:
    """A reward as an explanation names it."""
    return {"id": reward.pk if isinstance(reward, Reward) else reward.id, "zh": reward.name, "en": reward.name_en}


def explanation(
    reward: dict[str, Any], place: Property, *, points: int, quantity: int, cash: Decimal, currency: str
) -> dict[str, Any]:
    """What `loyalty.rules.explain` makes a sentence of."""
    facts = {
        "kind": Posting.Kind.REDEEM,
        "reward": reward,
        "property": {"id": place.pk, "zh": place.name, "en": place.name_en},
        "points": -points,
    }
    if quantity > 1:
        facts["quantity"] = quantity
    if cash:
        facts |= {"cash": str(cash), "currency": currency}
    return facts
