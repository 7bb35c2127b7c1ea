"""The estimate of breakage, against the published example of the chain ladder and by its own rules."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loyalty.rules.breakage import (
    Cohort,
    developed_shares,
    development_factors,
    estimate_breakage,
    tail_factors,
)

# G. Taylor and F. Ashe, “Second moments of estimates of outstanding claims”, Journal of Econometrics 23 (1983), as in
# T. Mack, ASTIN Bulletin 23(2), 1993, table 1: cumulative payments, and in table 2 the factors and the reserve.
TRIANGLE = [
    [357848, 1124788, 1735330, 2218270, 2745596, 3319994, 3466336, 3606286, 3833515, 3901463],
    [352118, 1236139, 2170033, 3353322, 3799067, 4120063, 4647867, 4914039, 5339085],
    [290507, 1292306, 2218525, 3235179, 3985995, 4132918, 4628910, 4909315],
    [310608, 1418858, 2195047, 3757447, 4029929, 4381982, 4588268],
    [443160, 1136350, 2128333, 2897821, 3402672, 3873311],
    [396132, 1333217, 2180715, 2985752, 3691712],
    [440832, 1288463, 2419861, 3483130],
    [359480, 1421128, 2864498],
    [376686, 1363294],
    [344014],
]
FACTORS = ["3.491", "1.747", "1.457", "1.174", "1.104", "1.086", "1.054", "1.077", "1.018"]


def test_the_factors_and_the_reserve_are_those_that_mack_published():
    factors = development_factors(TRIANGLE)
    shares = developed_shares(factors)
    reserve = sum(row[-1] / shares[len(row) - 1] - row[-1] for row in TRIANGLE)

    assert [f"{float(factor):.3f}" for factor in factors] == FACTORS
    assert round(reserve / 1000) == 18681


def test_a_steady_programme_is_seen_through():
    # Each month 1,000 points: 200 redeemed in the first month, 300 in the second, 100 in the third, then none.
    grown = [200, 500, 600, 600]
    cohorts = [Cohort(1000, 1000 - grown[4 - n - 1], grown[: 4 - n]) for n in range(4)]

    found = estimate_breakage(cohorts)

    assert found.rate == Fraction(3, 5)
    assert [cohort.to_redeem for cohort in found.cohorts] == [0, 0, 100, 400]
    assert [cohort.breakage for cohort in found.cohorts] == [400, 400, 400, 400]


def test_the_tail_goes_on_as_the_factors_fade():
    # What is above 1 halves from month to month.
    factors = [1 + Fraction(1, 2 ** (age + 1)) for age in range(5)]

    tail = tail_factors(factors, 8)

    assert [round(float(factor), 6) for factor in tail] == [1.015625, 1.007812, 1.003906]
    assert tail_factors(factors, 4) == []
    assert tail_factors(factors[:2], 8) == []
    assert tail_factors(factors[::-1], 8) == []


def test_without_any_redemption_nothing_is_taken_for_lost():
    (only,) = estimate_breakage([Cohort(1000, 1000, [0, 0])]).cohorts

    assert (only.to_redeem, only.breakage) == (1000, 0)


@pytest.mark.parametrize("cohorts", [[], [Cohort(0, 0, [])], [Cohort(0, 0, [0])]])
def test_nothing_is_estimated_of_nothing(cohorts):
    assert estimate_breakage(cohorts).rate is None


@st.composite
def histories(draw):
    cohorts = []
    for age in range(draw(st.integers(1, 6)), 0, -1):
        points = draw(st.integers(0, 10_000))
        cuts = sorted(draw(st.lists(st.integers(0, points), min_size=age, max_size=age)))
        cohorts.append(Cohort(points, draw(st.integers(0, points - cuts[-1])), cuts))
    return cohorts


@given(histories())
def test_what_is_held_is_either_redeemed_or_not(cohorts):
    found = estimate_breakage(cohorts, life_months=12)

    for cohort, expected in zip(cohorts, found.cohorts, strict=True):
        assert expected.to_redeem + expected.breakage == cohort.outstanding
        assert expected.to_redeem >= 0
        assert expected.breakage >= 0
        assert 0 <= expected.developed <= 1
