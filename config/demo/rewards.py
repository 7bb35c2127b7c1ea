"""The demo's catalogue, and what members took of it: handed over, canceled, and still to be handed over."""

from __future__ import annotations

import datetime as dt
import random
from decimal import Decimal
from zoneinfo import ZoneInfo

from hotels.models import Property, User
from loyalty.models import (
    Account,
    ExchangeRatio,
    Programme,
    Reward,
    RewardBlackout,
    RewardLimit,
    RewardPrice,
    RewardStock,
)
from loyalty.services.ledger import InsufficientPoints
from loyalty.services.redemptions import (
    RewardRefused,
    cancel_redemption,
    fulfil_redemption,
    mark_no_show,
    redeem_reward,
)

Category = Reward.Category
# code, Chinese, English, category, points, Chinese and English description
REWARDS = (
    ("late-checkout", "延迟退房至 16:00", "Late check-out until 4 pm", Category.LATE_CHECKOUT, 800,
     "视当日房态，请于退房前一晚确认。", "Subject to availability; please confirm the evening before."),
    ("umbrella", "云栖雨伞", "Yunqi umbrella", Category.GOODS, 1200, "碳纤维伞骨，附收纳袋。", "Carbon ribs, with a pouch."),
    ("breakfast", "双人早餐", "Breakfast for two", Category.FOOD, 1500, "自助早餐，含现磨咖啡。", "Buffet with fresh coffee."),
    ("lounge-tea", "行政酒廊下午茶", "Lounge afternoon tea", Category.FOOD, 2000,
     "14:30–17:00，双人份。", "2:30 to 5 pm, for two."),
    ("upgrade-club", "升级至行政房一晚", "Club upgrade, one night", Category.UPGRADE, 3000,
     "入住当日确认房型。", "The room is confirmed on arrival."),
    ("airport", "机场接送（单程）", "Airport transfer, one way", Category.TRANSFER, 3500,
     "请提前一天兑换，备注航班号。", "Please redeem a day ahead and note the flight."),
    ("coffee-card", "合作咖啡卡 100 元", "Partner coffee card, CNY 100", Category.PARTNER_CARD, 4000,
     "兑换后发放卡号。", "The card’s number follows."),
    ("spa-60", "水疗 60 分钟", "Spa, 60 minutes", Category.SPA, 6000, "请备注时段与理疗师偏好。", "Please note the time."),
    ("night-select", "悦选免费房一晚", "Free night at a Select hotel", Category.ROOM_NIGHT, 12000,
     "含双早，不可与其他优惠同享。", "With breakfast for two."),
    ("night", "免费房一晚", "Free night", Category.ROOM_NIGHT, 20000, "按当日兑换比例计价。", "At the ratio of the day."),
)  # fmt: skip
AT_ONCE = {"umbrella", "breakfast"}
CANCELED_SHARE, NO_SHOW_SHARE = 0.05, 0.04
DAYS_AHEAD = 27


def make_rewards(programme: Programme, places: list[Property], *, start: dt.date, today: dt.date) -> None:
    """Rewards with prices, stock, limits, blackouts.

    Args:
        programme: Of the demo.
        places: Its properties.
        start: First day of the history.
        today: The present.
    """
    rewards = {
        code: Reward.objects.create(
            programme=programme,
            code=code,
            name=name,
            name_en=name_en,
            category=category,
            points=points,
            description=text,
            description_en=text_en,
            fulfilment=Reward.Fulfilment.AT_ONCE if code in AT_ONCE else Reward.Fulfilment.LATER,
        )
        for code, name, name_en, category, points, text, text_en in REWARDS
    }
    _set(rewards["spa-60"], cancel_hours=24)
    _set(rewards["airport"], lead_hours=6, cancel_hours=12)
    _set(rewards["lounge-tea"], open_days=0)
    _set(rewards["upgrade-club"], min_tier=programme.tiers.get(code="gold"))
    rewards["night-select"].brands.set({place.brand for place in places if place.brand.code == "YQX"})
    _set(rewards["night"], cash_value=Decimal(880), cancel_hours=48)
    ExchangeRatio.objects.create(programme=programme, effective_from=start, points_per_unit=24, round_to=100)
    ExchangeRatio.objects.create(
        programme=programme,
        category=Category.ROOM_NIGHT,
        effective_from=today.replace(day=1),
        points_per_unit=Decimal("22.5"),
        round_to=500,
    )
    RewardPrice.objects.bulk_create(
        [
            RewardPrice(reward=rewards["spa-60"], points=6000, effective_from=start),
            RewardPrice(reward=rewards["spa-60"], points=2500, cash=Decimal(180), currency="CNY", effective_from=start),
            RewardPrice(reward=rewards["lounge-tea"], points=2600, weekdays=[6, 7], effective_from=start),
            RewardPrice(
                reward=rewards["night-select"],
                points=18000,
                effective_from=start,
                first_date=dt.date(today.year + 1, 2, 1),
                last_date=dt.date(today.year + 1, 2, 14),
            ),
        ]
    )
    RewardStock.objects.create(reward=rewards["umbrella"], total=120)
    RewardStock.objects.create(reward=rewards["coffee-card"], total=80)
    RewardStock.objects.create(reward=rewards["coffee-card"], property=places[0], total=30)
    limit, scope, period = RewardLimit.objects.create, RewardLimit.Scope, RewardLimit.Period
    limit(reward=rewards["spa-60"], scope=scope.PROPERTY, period=period.DAY, maximum=6)
    limit(reward=rewards["lounge-tea"], scope=scope.PROPERTY, period=period.DAY, maximum=10)
    limit(reward=rewards["coffee-card"], scope=scope.MEMBER, period=period.MONTH, maximum=1)
    limit(reward=rewards["night"], scope=scope.MEMBER, period=period.YEAR, maximum=4)
    for code in ("night", "night-select"):
        RewardBlackout.objects.create(
            reward=rewards[code], first_date=dt.date(today.year, 10, 1), last_date=dt.date(today.year, 10, 7)
        )


def _set(reward: Reward, **fields: object) -> None:
    for name, value in fields.items():
        setattr(reward, name, value)
    reward.save(update_fields=list(fields))


class Redeemer:
    """Redeems rewards for members who have the points; what is over by the present was handed over or not."""

    def __init__(self, rng: random.Random, places: list[Property], user: User, *, present: dt.datetime) -> None:
        self.rng = rng
        self.places = places
        self.user = user
        self.present = present
        self.rewards = list(Reward.objects.order_by("points"))
        self.count = 0

    def redeem_some(self, count: int, *, now: dt.datetime) -> None:
        """Let up to `count` members spend points at this time, for days of the next weeks."""
        cheapest = self.rewards[0].points
        accounts = list(
            Account.objects.filter(available__gte=cheapest).order_by("pk").values_list("membership_id", "available")
        )
        for membership_id, available in self.rng.sample(accounts, k=min(count, len(accounts))):
            reward = self.rng.choice([reward for reward in self.rewards if reward.points <= available])
            self._redeem(membership_id, reward, now)

    def _redeem(self, membership_id: int, reward: Reward, now: dt.datetime) -> None:
        self.count += 1
        place = self.rng.choice(self.places)
        is_later = reward.fulfilment == Reward.Fulfilment.LATER
        date = place.local_date(now) + dt.timedelta(days=self.rng.randint(0, DAYS_AHEAD) if is_later else 0)
        chance = self.rng.random()
        try:
            redemption = redeem_reward(
                actor=self.user,
                now=now,
                membership_id=membership_id,
                reward_id=reward.pk,
                place=place,
                idempotency_key=f"demo-{self.count}",
                for_date=date,
            )
        except (RewardRefused, InsufficientPoints):
            # Sold out, too low a tier, or dearer on that day: as at a real desk.
            return
        if chance < CANCELED_SHARE:
            cancel_redemption(actor=self.user, now=now, redemption_id=redemption.pk, reason="客人改变主意")
            return
        given_at = dt.datetime.combine(date, dt.time(15), tzinfo=ZoneInfo(place.time_zone))
        if is_later and given_at < self.present:
            end = mark_no_show if chance < CANCELED_SHARE + NO_SHOW_SHARE else fulfil_redemption
            end(actor=self.user, now=max(given_at, now), redemption_id=redemption.pk)
