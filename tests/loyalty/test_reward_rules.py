"""What a reward costs on a day and whether it can be had: the pure rules."""

import datetime as dt
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loyalty.rules.demand import forecast
from loyalty.rules.rewards import (
    Limit,
    Option,
    PriceRow,
    RewardTerms,
    Taken,
    Wish,
    options_of,
    period_start,
    picture_type,
    points_by_ratio,
    why_not,
    why_not_canceled,
)

TODAY = dt.date(2026, 6, 15)
FRIDAY = dt.date(2026, 6, 19)


def terms(**facts):
    base = {"id": 1, "programme_id": 1, "code": "tea", "name": "下午茶", "name_en": "Tea", "category": "food"}
    return RewardTerms(**{**base, "points": 2000, **facts})


def wish(**facts):
    base = {"today": TODAY, "for_date": TODAY, "until_day": dt.timedelta(hours=-12), "currency": "CNY"}
    return Wish(**{**base, "programme_id": 1, "rank": 0, **facts})


def code_of(reward, asked=None):
    refusal = why_not(reward, asked or wish())
    return refusal.code if refusal else None


def test_the_narrowest_rows_price_and_stand_beside_each_other():
    reward = terms(
        prices=[
            PriceRow(1, 5000),
            PriceRow(2, 2000, Decimal(180), "CNY"),
            PriceRow(3, 6000, weekdays=frozenset({5})),
            PriceRow(4, 9000, first_date=dt.date(2026, 10, 1), last_date=dt.date(2026, 10, 7)),
            PriceRow(5, 4000, of_property=True, weekdays=frozenset({1})),
        ]
    )

    # 16 June 2026 is a Tuesday.
    assert options_of(reward, dt.date(2026, 6, 16), "CNY") == [
        Option(5000, price_id=1),
        Option(2000, Decimal(180), "CNY", 2),
    ]
    assert [option.price_id for option in options_of(reward, dt.date(2026, 6, 16), "THB")] == [1]
    assert [option.price_id for option in options_of(reward, FRIDAY, "CNY")] == [3]
    assert [option.price_id for option in options_of(reward, dt.date(2026, 10, 2), "CNY")] == [4]
    assert [option.price_id for option in options_of(reward, TODAY, "CNY")] == [5]


def test_the_ratio_prices_what_has_a_value_and_rows_go_before_it():
    reward = terms(value=Decimal("680.50"), ratio=Decimal("12.5"), round_to=100)

    assert options_of(reward, TODAY, "CNY") == [Option(8600)]
    assert options_of(terms(value=Decimal(680)), TODAY, "CNY") == [Option(2000)]
    assert options_of(terms(value=Decimal(1), ratio=Decimal(1), prices=[PriceRow(7, 10)]), TODAY, "CNY") == [
        Option(10, price_id=7)
    ]


@settings(max_examples=60)
@given(
    st.decimals("0.01", "100000", places=2), st.decimals("0.0001", "1000", places=4), st.sampled_from([1, 10, 50, 500])
)
def test_points_by_ratio_never_cost_the_house_and_never_a_step_too_much(value, ratio, step):
    points = points_by_ratio(value, ratio, step)

    assert points % step == 0
    assert points >= value * ratio
    assert points - step < value * ratio


@pytest.mark.parametrize(
    ("facts", "asked", "code"),
    [
        ({}, {}, None),
        ({"programme_id": 2}, {}, "other_programme"),
        ({"is_active": False}, {}, "inactive"),
        ({}, {"is_active": False}, "member_inactive"),
        ({"valid_from": FRIDAY}, {}, "not_yet"),
        ({"valid_until": TODAY}, {}, "no_longer"),
        ({"valid_from": TODAY, "valid_until": FRIDAY}, {}, None),
        ({"is_offered_here": False}, {}, "not_offered_here"),
        ({"min_rank": 2, "min_tier": ("金卡", "Gold")}, {"rank": 1}, "tier_too_low"),
        ({"min_rank": 2}, {"rank": 2}, None),
        ({}, {"for_date": TODAY - dt.timedelta(days=1)}, "date_past"),
        ({"lead_hours": 24}, {"for_date": FRIDAY, "until_day": dt.timedelta(hours=23)}, "lead_time"),
        ({"lead_hours": 24}, {"for_date": FRIDAY, "until_day": dt.timedelta(hours=24)}, None),
        ({"blackouts": [(TODAY, FRIDAY)]}, {"for_date": FRIDAY}, "blackout"),
        ({"blackouts": [(TODAY, FRIDAY)]}, {"for_date": FRIDAY + dt.timedelta(days=1)}, None),
        ({"prices": [PriceRow(1, 10, Decimal(1), "THB")]}, {}, "no_price"),
        ({}, {"quantity": 0}, "quantity"),
        ({}, {"quantity": 100}, "quantity"),
        ({"has_stock": True}, {}, "sold_out"),
        ({"has_stock": True, "stock": [5, 1]}, {"quantity": 2}, "too_few_left"),
        ({"has_stock": True, "stock": [5, 2]}, {"quantity": 2}, None),
        ({"limits": [Limit("property", "day", 8, 7)]}, {"quantity": 2}, "limit_property"),
        ({"limits": [Limit("all", "week", 8, 7), Limit("member", "month", 1, 1)]}, {}, "limit_member"),
    ],
)
def test_each_reason_has_its_code_and_a_sentence(facts, asked, code):
    refusal = why_not(terms(**facts), wish(**asked))

    assert (refusal.code if refusal else None) == code
    assert refusal is None or "%" not in refusal.message


def test_periods_begin_where_the_calendar_says():
    day = dt.date(2026, 6, 18)

    assert [period_start(period, day) for period in ("day", "week", "month", "year", "lifetime")] == [
        day,
        dt.date(2026, 6, 15),
        dt.date(2026, 6, 1),
        dt.date(2026, 1, 1),
        None,
    ]


@pytest.mark.parametrize(
    ("facts", "code"),
    [
        ({}, None),
        ({"status": "fulfilled"}, "already_fulfilled"),
        ({"status": "fulfilled", "since": dt.timedelta(minutes=5)}, None),
        ({"status": "fulfilled", "voucher_states": ["issued"]}, None),
        ({"status": "fulfilled", "voucher_states": ["redeemed"]}, "voucher_used"),
        ({"status": "fulfilled", "voucher_states": ["expired"]}, "voucher_over"),
        ({"status": "expired"}, "already_closed"),
        ({"status": "no_show", "since": dt.timedelta(0)}, "already_closed"),
        ({"cancel_hours": 24, "until_day": dt.timedelta(hours=23)}, "too_late"),
        ({"cancel_hours": 24, "until_day": dt.timedelta(hours=24)}, None),
    ],
)
def test_what_speaks_against_a_cancellation(facts, code):
    taken = Taken(**{"status": "redeemed", "until_day": dt.timedelta(0), "since": dt.timedelta(hours=5), **facts})

    found = why_not_canceled(taken, may_override=False)

    assert (found[0] if found else None) == code
    assert bool(why_not_canceled(taken, may_override=True)) is (code == "voucher_used")


def test_a_picture_is_told_by_its_first_bytes():
    assert picture_type(b"\x89PNG\r\n\x1a\n0000") == "image/png"
    assert picture_type(b"\xff\xd8\xff\xe0") == "image/jpeg"
    assert picture_type(b"RIFF\x00\x00\x00\x00WEBPVP8 ") == "image/webp"
    assert picture_type(b"<svg onload='alert(1)'>") is None


def test_a_steady_demand_is_expected_to_go_on():
    assert [week.count for week in forecast([5] * 20, 3)] == [5, 5, 5]
    assert [week.most for week in forecast([5] * 20, 3)] == [5, 5, 5]
    assert [week.count for week in forecast([], 2)] == [0, 0]


def test_a_year_of_history_brings_its_holiday_weeks_in():
    counts = [4] * 60
    counts[60 - 52 + 1] = 24

    assert [week.count for week in forecast(counts, 3)][1] > forecast([4] * 60, 3)[1].count


@settings(max_examples=50)
@given(st.lists(st.integers(0, 200), max_size=70), st.integers(1, 8))
def test_expectations_are_never_negative_and_within_their_bound(counts, weeks):
    found = forecast(counts, weeks)

    assert len(found) == weeks
    assert all(0 <= week.count <= week.most or week.count == week.most == 0 for week in found)
