"""Thresholds, windows, membership numbers and exchange, without a database."""

import datetime as dt
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loyalty.rules.exchange import Quote, RateTable
from loyalty.rules.numbers import check_digit, format_number, is_well_formed
from loyalty.rules.tiers import Figures, Threshold, add_months, highest_reached, in_force, measures, window_start
from members.rules.conditions import parse
from tests.factories import at_least

START = dt.date(2020, 1, 1)


def threshold(number, tier, rank, *, start=START, **needed):
    return Threshold(number, tier, rank, start, parse(at_least(**needed), "qualification"))


SILVER = threshold(1, 2, 1, amount="5000", stays=5)
GOLD = threshold(2, 3, 2, amount="10000", stays=10, nights=30)


@pytest.mark.parametrize(
    ("figures", "rank"),
    [
        (Figures(0, 4, Decimal("4999.99")), None),
        (Figures(0, 0, Decimal("5000.00")), 1),
        (Figures(0, 5, Decimal(0)), 1),
        (Figures(30, 1, Decimal(100)), 2),
        (Figures(0, 0, Decimal(10000)), 2),
    ],
)
def test_any_one_threshold_reaches_a_tier(figures, rank):
    reached = highest_reached([SILVER, GOLD], figures)

    assert (reached.rank if reached else None) == rank


def test_thresholds_count_from_their_date():
    later = threshold(3, 2, 1, start=dt.date(2026, 7, 1), amount="3000")

    assert in_force([later, SILVER, GOLD], dt.date(2026, 6, 30)) == [SILVER, GOLD]
    assert in_force([later, SILVER, GOLD], dt.date(2026, 7, 1)) == [later, GOLD]


@pytest.mark.parametrize(
    ("day", "months", "result"),
    [
        (dt.date(2024, 2, 29), 12, dt.date(2025, 2, 28)),
        (dt.date(2024, 2, 29), 48, dt.date(2028, 2, 29)),
        (dt.date(2024, 1, 31), 1, dt.date(2024, 2, 29)),
        (dt.date(2026, 12, 15), 1, dt.date(2027, 1, 15)),
        (dt.date(2026, 1, 15), -1, dt.date(2025, 12, 15)),
        (dt.date(2026, 3, 31), -13, dt.date(2025, 2, 28)),
    ],
)
def test_months_end_where_the_calendar_does(day, months, result):
    assert add_months(day, months) == result


def test_the_window_has_as_many_months_as_the_programme_says():
    assert window_start(dt.date(2026, 6, 15), 12) == dt.date(2025, 6, 16)
    assert window_start(dt.date(2024, 2, 29), 12) == dt.date(2023, 3, 1)


def test_progress_tells_each_measure():
    amount, stays, nights = measures(GOLD, Figures(nights=3, stays=10, amount=Decimal("9999.99")))

    assert (amount.kind, amount.missing, amount.percent) == ("amount", Decimal("0.01"), 99)
    assert (stays.kind, stays.missing, stays.percent) == ("stays", Decimal(0), 100)
    assert (nights.kind, nights.missing, nights.percent) == ("nights", Decimal(27), 10)


# The worked example of the patent and of ISO/IEC 7812-1: 7992739871 takes the check digit 3.
def test_the_check_digit_is_luhns():
    assert check_digit("7992739871") == "3"


@given(running=st.integers(1, 10**10), position=st.integers(0, 7), slip=st.integers(1, 9))
def test_a_wrong_digit_is_noticed(running, position, slip):
    number = format_number("GK", running)
    digits = list(number[2:])
    digits[position] = str((int(digits[position]) + slip) % 10)

    assert is_well_formed(number, "GK")
    assert not is_well_formed("GK" + "".join(digits), "GK")


def test_a_rate_counts_from_its_date_and_backwards_too():
    table = RateTable(
        [
            Quote("EUR", "CNY", dt.date(2026, 1, 1), Decimal("7.80")),
            Quote("EUR", "CNY", dt.date(2026, 6, 1), Decimal("8.00")),
        ]
    )

    assert table.convert(Decimal(100), "EUR", "CNY", dt.date(2026, 5, 31)) == Decimal("780.00")
    assert table.convert(Decimal(100), "EUR", "CNY", dt.date(2026, 6, 1)) == Decimal("800.00")
    assert table.convert(Decimal(100), "CNY", "EUR", dt.date(2026, 6, 1)) == Decimal("12.50")
    assert table.convert(Decimal(100), "EUR", "CNY", dt.date(2025, 12, 31)) is None
    assert table.convert(Decimal(100), "CNY", "CNY", dt.date(2025, 12, 31)) == Decimal(100)
