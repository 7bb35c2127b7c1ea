"""What these tests do over and over."""

import datetime as dt
import uuid

from loyalty.models import (
    Account,
    ApprovalLimit,
    VelocityRule,
)
from loyalty.services.approvals import (
    AdjustPoints,
    RedeemReward,
    Requested,
    perform_or_request,
)
from tests.factories import (
    NOW,
)

START = dt.date(2020, 1, 1)
LATER = NOW + dt.timedelta(hours=1)


def make_limit(programme, kind="adjust", role="receptionist", **fields):
    return ApprovalLimit.objects.create(
        **{
            "programme": programme,
            "kind": kind,
            "role": role,
            "per_movement": 1000,
            "per_day": 1500,
            "approver_role": "property_manager",
            "effective_from": START,
            **fields,
        }
    )


def make_rule(programme, check="same_pair", **fields):
    return VelocityRule.objects.create(
        **{"programme": programme, "check_code": check, "count": 1, "effective_from": START, **fields}
    )


def adjust(actor, member, points, place, *, key="", now=NOW):
    return perform_or_request(
        kind="adjust",
        actor=actor,
        now=now,
        payload=AdjustPoints(membership_id=member.pk, points=points),
        membership_id=member.pk,
        place=place,
        reason="致歉",
        idempotency_key=key or str(uuid.uuid4()),
    )


def redeem(actor, member, reward, place, *, key="", now=NOW):
    return perform_or_request(
        kind="redeem",
        actor=actor,
        now=now,
        payload=RedeemReward(membership_id=member.pk, reward_id=reward.pk, points=reward.points),
        membership_id=member.pk,
        place=place,
        idempotency_key=key or str(uuid.uuid4()),
    )


def balances(member):
    account = Account.objects.get(membership=member)
    return account.available, account.held


def asked(*args, **kwargs):
    outcome = adjust(*args, **kwargs)
    assert isinstance(outcome, Requested)
    return outcome.request
