"""The demo's programme: tiers, thresholds, earning rules, benefits, rewards, and campaigns."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

from campaigns.models import Campaign
from config.demo.rewards import make_rewards
from hotels.models import Property
from loyalty.models import EarningRule, EarningRuleSet, Programme, Tier, TierBenefit, TierCriteria, TierPolicy
from loyalty.services.rules import create_draft, publish_rule_set, save_rule

# code, Chinese, English, spend of the year in yuan, stays of the year, points per yuan
TIERS = (
    ("base", "普通会员", "Member", None, None, "1"),
    ("silver", "银卡会员", "Silver", "5000", 5, "1"),
    ("gold", "金卡会员", "Gold", "10000", 10, "1.5"),
    ("diamond", "钻石会员", "Diamond", "20000", 20, "2"),
)
# Chinese, English, kind, and for what is counted how often in which period
BENEFITS = {
    "base": (
        ("会员价 98 折", "2% off the best rate", "other", "shown", None),
        ("免费无线网络", "Free Wi-Fi", "other", "shown", None),
    ),
    "silver": (
        ("延迟退房至 13:00", "Late check-out until 1 pm", "late_checkout", "stay", 1),
        ("欢迎饮品", "Welcome drink", "welcome", "stay", 1),
    ),
    "gold": (
        ("双人早餐", "Breakfast for two", "breakfast", "stay", 2),
        ("延迟退房至 14:00", "Late check-out until 2 pm", "late_checkout", "stay", 1),
        ("视房态升级房型", "Room upgrade when available", "upgrade", "year", 4),
    ),
    "diamond": (
        ("双人早餐", "Breakfast for two", "breakfast", "unlimited", None),
        ("延迟退房至 16:00", "Late check-out until 4 pm", "late_checkout", "stay", 1),
        ("保证升级至行政房", "Guaranteed upgrade to a club room", "upgrade", "year", 6),
        ("行政酒廊礼遇", "Club lounge access", "lounge", "unlimited", None),
        ("专属客户经理", "Dedicated contact", "contact", "shown", None),
    ),
}


def make_programme(*, places: list[Property], today: dt.date) -> Programme:
    """Create the programme, in force from three years back, with rules for each currency that is charged."""
    start = dt.date(today.year - 3, 1, 1)
    programme = Programme.objects.create(
        code="GUIKE",
        name="归客会",
        name_en="Guike Club",
        number_prefix="GK",
        point_value=Decimal("0.02"),
        pending_days=3,
        expiry_months=24,
        expiry_rounding=Programme.ExpiryRounding.MONTH_END,
    )
    # What counts is the last twelve months; a tier lasts a year and falls one step at a time.
    TierPolicy.objects.create(
        programme=programme,
        effective_from=start,
        validity=TierPolicy.Validity.MONTHS,
        validity_months=12,
        grace_days=7,
        downgrade=TierPolicy.Downgrade.ONE_STEP,
    )
    for rank, (code, name, name_en, amount, stays, _rate) in enumerate(TIERS):
        tier = Tier.objects.create(programme=programme, code=code, name=name, name_en=name_en, rank=rank)
        if amount:
            TierCriteria.objects.create(
                tier=tier,
                effective_from=start,
                conditions={
                    "any": [
                        {"field": "amount", "op": "gte", "value": amount},
                        {"field": "stays", "op": "gte", "value": stays},
                    ]
                },
            )
        TierBenefit.objects.bulk_create(
            TierBenefit(
                tier=tier,
                name=benefit,
                name_en=benefit_en,
                kind=kind,
                period=period,
                quantity=quantity,
                effective_from=start,
            )
            for benefit, benefit_en, kind, period, quantity in BENEFITS[code]
        )
    make_rewards(programme, places, start=start, today=today)
    _publish_rules(programme, today=today, start=start)
    _make_campaigns(programme, places, today)
    return programme


EVENTS = [
    ("welcome", "注册礼", "Welcome gift", EarningRule.Event.ENROLMENT, 1000),
    ("referral-made", "推荐好友", "Friend referred", EarningRule.Event.REFERRAL_MADE, 500),
    ("referral-joined", "好友见面礼", "Sent by a friend", EarningRule.Event.REFERRAL_JOINED, 500),
    ("birthday", "生日礼", "Birthday gift", EarningRule.Event.BIRTHDAY, 500),
    ("social-share", "晒单奖励", "Social share", EarningRule.Event.SOCIAL_SHARE, 200),
]


def _publish_rules(programme: Programme, *, today: dt.date, start: dt.date) -> None:
    """The version that the programme began with, the one of this year, and a draft for the next season."""
    now = dt.datetime.combine(today, dt.time(9), dt.UTC)
    first = create_draft(actor=None, now=now, programme=programme, name="开业规则")
    for priority, (code, name, name_en, _amount, _stays, rate) in enumerate(TIERS):
        _rule(
            first,
            now,
            code=f"base-{code}",
            name=f"{name}基础积分",
            name_en=f"{name_en} base points",
            value=Decimal(rate),
            condition={"all": [{"field": "member.tier", "op": "in", "value": [code]}]},
            is_base=True,
            is_qualifying=True,
            priority=priority,
            stacking=EarningRule.Stacking.EXCLUSIVE,
            group="base",
        )
    for code, name, name_en, event, points in EVENTS:
        _rule(
            first,
            now,
            code=code,
            name=name,
            name_en=name_en,
            basis=EarningRule.Basis.EVENT,
            event=event,
            result=EarningRule.Result.FIXED,
            value=Decimal(points),
        )
    publish_rule_set(actor=None, now=now, rule_set_id=first.pk, from_date=start)
    season = today.replace(month=1, day=1)
    second = create_draft(actor=None, now=now, programme=programme, based_on=first, name=f"{today.year} 淡季双倍")
    _rule(
        second,
        now,
        code="low-season",
        name="淡季双倍",
        name_en="Low season double",
        result=EarningRule.Result.MULTIPLIER,
        value=Decimal(2),
        categories=["room"],
        charges_from=season,
        charges_until=season.replace(month=3),
        cap_stay=5000,
    )
    publish_rule_set(actor=None, now=now, rule_set_id=second.pk, from_date=season)
    third = create_draft(actor=None, now=now, programme=programme, based_on=second, name="周末双倍（草稿）")
    _rule(
        third,
        now,
        code="weekend",
        name="周末双倍",
        name_en="Weekend double",
        result=EarningRule.Result.MULTIPLIER,
        value=Decimal(2),
        categories=["room"],
        charge_weekdays=[5, 6],
        budget_points=500_000,
    )


def _rule(rule_set: EarningRuleSet, now: dt.datetime, **terms: Any) -> None:
    save_rule(actor=None, now=now, rule=EarningRule(rule_set=rule_set, **terms))


def _make_campaigns(programme: Programme, places: list[Property], today: dt.date) -> None:
    gold = programme.tiers.get(code="gold")
    day = dt.timedelta(days=1)
    Campaign.objects.bulk_create(
        [
            Campaign(
                name="秋冬温泉季",
                name_en="Winter spa season",
                offer="水疗八折，积分双倍",
                offer_en="20% off the spa and double points",
                status=Campaign.Status.ACTIVE,
                starts_on=today - 20 * day,
                ends_on=today + 40 * day,
            ),
            Campaign(
                name="金卡谢礼",
                name_en="Thank you, Gold",
                offer="入住即赠双人下午茶",
                offer_en="Afternoon tea for two with every stay",
                status=Campaign.Status.ACTIVE,
                starts_on=today - 5 * day,
                ends_on=today + 25 * day,
                minimum_tier=gold,
            ),
            Campaign(
                name="外滩跨年",
                name_en="New Year on the Bund",
                offer="连住两晚，第二晚七折",
                offer_en="30% off the second of two nights",
                status=Campaign.Status.ACTIVE,
                starts_on=today,
                ends_on=today + 60 * day,
                property=places[0],
            ),
            Campaign(
                name="夏日亲子",
                name_en="Family summer",
                offer="儿童免费早餐",
                offer_en="Children have breakfast free",
                status=Campaign.Status.ENDED,
                starts_on=today - 150 * day,
                ends_on=today - 80 * day,
            ),
        ]
    )
