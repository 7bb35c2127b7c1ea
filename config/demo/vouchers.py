"""The demo's vouchers: a few types, vouchers of guests – open, used, expired –, and a batch for a fair."""

from __future__ import annotations

import datetime as dt
import random
import uuid
from decimal import Decimal

from hotels.models import Property, User
from loyalty.models import Membership, Programme, Voucher, VoucherBlackout, VoucherType
from loyalty.services.ledger import RequestKey
from loyalty.services.vouchers import (
    expire_vouchers,
    issue_vouchers,
    order_batch,
    redeem_voucher,
    remind_vouchers,
    run_batch,
)

HOLDERS_SHARE = 0.15
USED_SHARE = 0.4
FAIR_VOUCHERS = 200


def make_vouchers(
    rng: random.Random,
    programme: Programme,
    places: list[Property],
    users: dict[str, User],
    special: list[int],
    *,
    now: dt.datetime,
) -> None:
    """Make types and vouchers, some months ago and today, and let time do its part.

    Args:
        rng: Repeatable chance.
        programme: The demo's programme.
        places: Its properties; the first one's desk uses vouchers.
        users: The demo's logins by name.
        special: Guests who are shown around; each gets open vouchers.
        now: Aware instant that counts as the present.
    """
    dining, spa, night = _make_types(programme, places, now.date())
    reception, marketing = users["reception"], users["marketing"]
    members = list(Membership.objects.filter(programme=programme).order_by("pk").values_list("pk", "guest_id"))
    chosen = [pk for pk, guest_id in members if guest_id in special or rng.random() < HOLDERS_SHARE]
    then = now - dt.timedelta(days=100)
    old = issue_vouchers(
        actor=marketing,
        now=then,
        type_id=dining.pk,
        membership_ids=chosen,
        source=Voucher.Source.CAMPAIGN,
        source_reference="秋冬温泉季",
    )
    owners = dict(Voucher.objects.filter(pk__in=old).values_list("pk", "membership"))
    for voucher_id in old:
        if rng.random() < USED_SHARE:
            redeem_voucher(
                actor=reception,
                now=then + dt.timedelta(days=rng.randint(1, 80), hours=rng.randint(0, 8)),
                voucher_id=voucher_id,
                place=places[0],
                request=RequestKey("demo", str(voucher_id)),
                membership_id=owners[voucher_id],
                spend=Decimal(rng.randint(300, 1200)),
                reference=f"C{voucher_id:06d}",
            )
    expire_vouchers(now=now)
    for voucher_type, share in ((dining, 0.5), (spa, 0.4), (night, 0.05)):
        lucky = [
            pk for pk, guest_id in members if pk in owners.values() and (guest_id in special or rng.random() < share)
        ]
        issue_vouchers(
            actor=marketing,
            now=now - dt.timedelta(days=rng.randint(1, 20)),
            type_id=voucher_type.pk,
            membership_ids=lucky,
            source=Voucher.Source.CAMPAIGN,
            source_reference="金卡谢礼",
        )
    remind_vouchers(now=now)
    batch = order_batch(
        actor=marketing,
        now=now,
        type_id=dining.pk,
        quantity=FAIR_VOUCHERS,
        purpose="上海旅游展派发",
        request_key=uuid.UUID(int=rng.getrandbits(128)),
    )
    run_batch(batch_id=batch.pk, now=now)


def _make_types(programme: Programme, places: list[Property], today: dt.date) -> tuple[VoucherType, ...]:
    common = {"programme": programme, "reminder_days": 7}
    dining = VoucherType.objects.create(
        **common,
        code="dining-100",
        name="百元餐饮代金券",
        name_en="CNY 100 for dining",
        kind=VoucherType.Kind.AMOUNT,
        amount=Decimal(100),
        currency="CNY",
        min_spend=Decimal(300),
        valid_days=90,
        is_transferable=True,
        unit_cost=Decimal(45),
        description="单桌限用一张，不找零，不兑换现金。",
        description_en="One for each table; no change is given, not exchanged for cash.",
    )
    spa = VoucherType.objects.create(
        **common,
        code="spa-20",
        name="水疗八折券",
        name_en="20% off the spa",
        kind=VoucherType.Kind.PERCENT,
        percent=Decimal(20),
        amount=Decimal(300),
        currency="CNY",
        weekdays=[1, 2, 3, 4],
        valid_days=60,
        is_stackable=True,
        description="周一至周四可用，请提前一天预约。",
        description_en="Monday to Thursday; please book a day ahead.",
    )
    night = VoucherType.objects.create(
        **common,
        code="free-night",
        name="免费房一晚",
        name_en="One free night",
        kind=VoucherType.Kind.ROOM_NIGHT,
        valid_days=365,
        per_member_limit=2,
        unit_cost=Decimal(380),
        funding_property=places[0],
        min_tier=programme.tiers.get(code="gold"),
        is_stackable=True,
    )
    night.properties.add(places[0])
    VoucherBlackout.objects.create(
        type=night, first_date=dt.date(today.year + 1, 10, 1), last_date=dt.date(today.year + 1, 10, 7)
    )
    return dining, spa, night
