"""Limits and velocity rules of the demo group, and a few movements that wait for a second pair of eyes."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from itertools import product

from hotels.models import Property, Role, User
from loyalty.models import (
    Account,
    ApprovalLimit,
    MovementKind,
    Programme,
    Reward,
    VelocityRule,
    Voucher,
    VoucherType,
)
from loyalty.services.approvals import AdjustPoints, IssueVoucher, RedeemReward, perform_or_request
from loyalty.services.redemptions import RedemptionError, quote_reward

Kind, Check = MovementKind, VelocityRule.Check
# kind, role, unit, per movement, per day, who decides about more
LIMITS = (
    (Kind.ADJUST, Role.PROPERTY_MANAGER, "points", 3000, 10_000, Role.GROUP_MANAGER),
    (Kind.REDEEM, Role.RECEPTIONIST, "points", 6000, 30_000, Role.PROPERTY_MANAGER),
    (Kind.REDEEM, Role.GUEST_SERVICE, "points", 12_000, 40_000, Role.PROPERTY_MANAGER),
    (Kind.CANCEL_REDEMPTION, Role.RECEPTIONIST, "points", 3000, 10_000, Role.PROPERTY_MANAGER),
    (Kind.CANCEL_REDEMPTION, Role.GUEST_SERVICE, "points", 6000, 20_000, Role.PROPERTY_MANAGER),
    (Kind.ISSUE_VOUCHER, Role.GUEST_SERVICE, "CNY", 200, 1000, Role.PROPERTY_MANAGER),
    (Kind.ISSUE_VOUCHER, Role.PROPERTY_MANAGER, "CNY", 500, 3000, Role.GROUP_MANAGER),
    (Kind.ISSUE_VOUCHER, Role.MARKETER, "CNY", 500, 5000, Role.GROUP_MANAGER),
    (Kind.VOUCHER_BATCH, Role.MARKETER, "CNY", 50_000, 100_000, Role.GROUP_MANAGER),
    (Kind.TRANSFER, Role.RECEPTIONIST, "points", 5000, 20_000, Role.PROPERTY_MANAGER),
    (Kind.TRANSFER, Role.GUEST_SERVICE, "points", 10_000, 40_000, Role.PROPERTY_MANAGER),
    (Kind.TOP_UP, Role.RECEPTIONIST, "CNY", 10_000, 50_000, Role.PROPERTY_MANAGER),
    (Kind.TOP_UP, Role.GUEST_SERVICE, "CNY", 10_000, 50_000, Role.PROPERTY_MANAGER),
    (Kind.TOP_UP_REFUND, Role.PROPERTY_MANAGER, "CNY", 3000, 10_000, Role.GROUP_MANAGER),
)
# check, kind, allowed movements, hours, outcome
RULES = (
    (Check.SAME_PAIR, "", 5, 24, VelocityRule.Outcome.HOLD),
    (Check.NEAR_LIMIT, Kind.ADJUST, 2, 168, VelocityRule.Outcome.HOLD),
    (Check.AFTER_PHONE_CHANGE, Kind.REDEEM, 1, 48, VelocityRule.Outcome.HOLD),
    (Check.MEMBER_COUNT, Kind.REDEEM, 4, 24, VelocityRule.Outcome.FLAG),
    (Check.OWN_ACCOUNT, "", 0, 24, VelocityRule.Outcome.HOLD),
)
LARGE_REWARD = 12_000


def make_approvals(programme: Programme, places: list[Property], users: dict[str, User], *, now: dt.datetime) -> None:
    """Set limits and rules, and ask for three movements above them.

    Args:
        programme: The demo's programme.
        places: Its properties; the first one's desk asks.
        users: The demo's logins by name.
        now: Aware instant that counts as the present.
    """
    start = programme.local_date(now) - dt.timedelta(days=400)
    ApprovalLimit.objects.bulk_create(
        ApprovalLimit(
            programme=programme,
            kind=kind,
            role=role,
            unit=unit,
            per_movement=Decimal(movement),
            per_day=Decimal(day),
            approver_role=approver,
            effective_from=start,
        )
        for kind, role, unit, movement, day, approver in LIMITS
    )
    VelocityRule.objects.bulk_create(
        VelocityRule(
            programme=programme,
            check_code=check,
            kind=kind,
            count=count,
            hours=hours,
            outcome=outcome,
            effective_from=start,
        )
        for check, kind, count, hours, outcome in RULES
    )
    place = places[0]
    rich = list(
        Account.objects.filter(membership__programme=programme, unit="points", membership__status="active")
        .order_by("-available", "pk")
        .values_list("membership", "available")[:4]
    )
    _ask_for_a_large_reward(programme, places, users, rich, now=now)
    for number, (membership_id, _available) in enumerate(rich[1:3]):
        perform_or_request(
            kind=Kind.ADJUST,
            actor=users["manager"],
            now=now,
            membership_id=membership_id,
            payload=AdjustPoints(membership_id=membership_id, points=(2000, 8000)[number]),
            place=place,
            reason=("补登漏记的住宿", "客房漏水致歉")[number],
            idempotency_key=f"demo-adjust-{number}",
        )
    voucher_type = VoucherType.objects.filter(programme=programme, amount__gt=0).order_by("-amount", "pk").first()
    if voucher_type is not None and rich:
        perform_or_request(
            kind=Kind.ISSUE_VOUCHER,
            actor=users["manager"],
            now=now,
            membership_id=rich[-1][0],
            payload=IssueVoucher(
                type_id=voucher_type.pk, membership_id=rich[-1][0], source=Voucher.Source.COMPENSATION.value
            ),
            place=place,
            reason="婚宴延误致歉",
            idempotency_key="demo-voucher",
        )


def _ask_for_a_large_reward(
    programme: Programme,
    places: list[Property],
    users: dict[str, User],
    rich: list[tuple[int, int]],
    *,
    now: dt.datetime,
) -> None:
    rewards = Reward.objects.filter(programme=programme, points__gte=LARGE_REWARD).order_by("points")
    for (membership_id, available), reward, place in product(rich[:1], rewards, places):
        try:
            option = quote_reward(now=now, membership_id=membership_id, reward_id=reward.pk, place=place)
        except RedemptionError:
            continue
        if option.points > available:
            continue
        perform_or_request(
            kind=Kind.REDEEM,
            actor=users["reception"],
            now=now,
            membership_id=membership_id,
            payload=RedeemReward(
                membership_id=membership_id,
                reward_id=reward.pk,
                points=option.points,
                cash=option.cash,
                price_id=option.price_id,
            ),
            place=place,
            idempotency_key="demo-redeem",
        )
        return
