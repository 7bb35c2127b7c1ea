"""Demand for rewards by week at one property, and what to expect."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import Sum
from django.db.models.functions import TruncWeek

from hotels.models import Property
from loyalty.models import Programme, Redemption, Reward, RewardCategory
from loyalty.rules.demand import forecast

# A year and a little, so that the same week of last year is known.
HISTORY_WEEKS = 60
SHOWN_WEEKS = 8
AHEAD_WEEKS = 4
WEEK = dt.timedelta(days=7)
BAR_HEIGHT = 36


@dataclass(frozen=True, slots=True)
class Bar:
    """One week of the small chart; heights in its units, from the bottom."""

    x: int
    y: int
    height: int
    is_expected: bool


@dataclass(frozen=True, slots=True)
class DemandRow:
    """One reward: (Monday, count) of the last weeks, (Monday, expected, at most) and what is booked of the next."""

    reward_id: int
    name: str
    category: str
    history: Sequence[tuple[dt.date, int]]
    forecast: Sequence[tuple[dt.date, int, int]]
    booked: Sequence[int]

    @property
    def next_weeks(self) -> list[tuple[dt.date, int, int, int]]:
        """Monday, expected, at most, and how many of them are redeemed already."""
        return [(*week, booked) for week, booked in zip(self.forecast, self.booked, strict=True)]

    @property
    def bars(self) -> list[Bar]:
        """The weeks as bars, scaled to the highest."""
        counts = [(count, False) for _week, count in self.history] + [(week[1], True) for week in self.forecast]
        top = max((count for count, _is in counts), default=0) or 1
        return [
            Bar(index * 10, BAR_HEIGHT - (height := round(BAR_HEIGHT * count / top)), height, is_expected)
            for index, (count, is_expected) in enumerate(counts)
        ]


def demand(*, programme: Programme, place: Property, today: dt.date) -> list[DemandRow]:
    """Rewards asked for at a property within the history, the most wanted first; two queries.

    What counts is the week of the day a reward is for, in pieces; canceled ones do not. The current week belongs to
    the future: it is not over.
    """
    this_week = today - dt.timedelta(days=today.weekday())
    first = this_week - HISTORY_WEEKS * WEEK
    rows = (
        Redemption.objects.filter(property=place, reward__programme=programme, for_date__gte=first)
        .exclude(status=Redemption.Status.CANCELED)
        .annotate(week=TruncWeek("for_date"))
        .values_list("reward_id", "week")
        .annotate(pieces=Sum("quantity"))
        .order_by()
    )
    counts: dict[int, dict[dt.date, int]] = defaultdict(dict)
    for reward_id, week, pieces in rows:
        counts[reward_id][week] = pieces
    rewards = Reward.objects.in_bulk(counts)
    weeks = [first + number * WEEK for number in range(HISTORY_WEEKS)]
    ahead = [this_week + number * WEEK for number in range(AHEAD_WEEKS)]
    found = []
    for reward_id, by_week in counts.items():
        reward = rewards[reward_id]
        began = min(*by_week, weeks[-1])
        series = [by_week.get(week, 0) for week in weeks if week >= began]
        booked = [by_week.get(week, 0) for week in ahead]
        expected = [
            (week, max(guess.count, done), max(guess.most, done))
            for week, guess, done in zip(ahead, forecast(series, AHEAD_WEEKS), booked, strict=True)
        ]
        history = [(week, by_week.get(week, 0)) for week in weeks[-SHOWN_WEEKS:]]
        label = str(RewardCategory(reward.category).label)
        found.append(DemandRow(reward_id, reward.local_name, label, history, expected, booked))
    return sorted(found, key=lambda row: (-sum(count for _week, count in row.history), row.name))
