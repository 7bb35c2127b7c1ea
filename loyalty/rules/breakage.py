"""How many of the points that members hold will be redeemed, from how earlier points were.

Points of one month of earning are a cohort. The triangle of cohorts by age says how much of a cohort was redeemed
by each month of its life. Two published methods of claims reserving make the estimate, as actuaries use them for
loyalty programmes (T. Gault, L. Llaguno and M. Ménard, “Loyalty Rewards and Gift Card Programs: Basic Actuarial
Estimation Techniques”, CAS E-Forum, Summer 2012):

1. The pattern is that of the chain ladder: the volume-weighted development factor of an age is the sum of what was
   redeemed up to the next age over the sum up to this one, over the cohorts that have lived through both (T. Mack,
   “Distribution-free Calculation of the Standard Error of Chain Ladder Reserve Estimates”, ASTIN Bulletin 23(2),
   1993). What a cohort has redeemed of what it ever will is the inverse of the product of the factors ahead. Between
   the age of the oldest cohort and the end of the points' life the factors go on by exponential decay: a straight line
   through the logarithms of what the factors have above 1 (R. Sherman, “Extrapolating, Smoothing and Interpolating
   Development Factors”, PCAS LXXI, 1984). Where there are too few of them, or they do not decay, there is no tail.
2. The ultimate redemption rate is that of Stanard and Bühlmann, known as Cape Cod: what all cohorts redeemed, over
   their points weighted by how far along each is. A cohort redeems in future its points × rate × the share that lies
   ahead (R. Bornhuetter and R. Ferguson, “The Actuary and IBNR”, PCAS LIX, 1972). So a young cohort, of which hardly
   anything was redeemed, is judged by the others instead of by chance.

Never more than a cohort still holds. What is held and not expected to be redeemed is breakage (IFRS 15, B44 to B47).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

# A line through fewer points than these says nothing about a tail.
_LEAST_FACTORS = 3


@dataclass(frozen=True, slots=True)
class Cohort:
    """The points of one month of earning.

    Attributes:
        points: All that count: held, redeemed or lapsed, but not those taken back.
        outstanding: Those that members hold.
        redeemed: Up to the end of each month of age, from the month of earning on; the last is the present.
    """

    points: int
    outstanding: int
    redeemed: Sequence[int]


@dataclass(frozen=True, slots=True)
class Expectation:
    """What is expected of a cohort.

    Attributes:
        developed: Share of its redemptions that lies behind it, 0 to 1.
        to_redeem: Points that members hold and are expected to redeem.
        breakage: Points that they hold and are not.
    """

    developed: Fraction
    to_redeem: int
    breakage: int


@dataclass(frozen=True, slots=True)
class Estimate:
    """The estimate with what it rests on.

    Attributes:
        factors: Development factor from each age in months to the next, those of the tail among them.
        rate: Ultimate redemption rate; None while nothing was ever redeemed, and then no breakage is assumed.
        cohorts: One expectation for each cohort, in their order.
    """

    factors: list[Fraction]
    rate: Fraction | None
    cohorts: list[Expectation]


def development_factors(cohorts: Sequence[Sequence[int]]) -> list[Fraction]:
    """The volume-weighted factors of the chain ladder; 1 where no cohort redeemed anything by the earlier age."""
    ages = max((len(row) for row in cohorts), default=0)
    factors = []
    for age in range(ages - 1):
        both = [row for row in cohorts if len(row) > age + 1]
        before = sum(row[age] for row in both)
        factors.append(Fraction(sum(row[age + 1] for row in both), before) if before > 0 else Fraction(1))
    return factors


def developed_shares(factors: Sequence[Fraction]) -> list[Fraction]:
    """Share of the ultimate redemptions that is reached at each age; the last is 1."""
    shares = [Fraction(1)]
    for factor in reversed(factors):
        # A factor below 1 comes of cancellations; nobody redeems more than everything.
        shares.append(min(shares[-1] / factor, Fraction(1)) if factor > 0 else shares[-1])
    return shares[::-1]


def tail_factors(factors: Sequence[Fraction], months: int) -> list[Fraction]:
    """The factors after the last observed one, up to an age in months, by exponential decay."""
    above = [(age, math.log(factor - 1)) for age, factor in enumerate(factors) if factor > 1]
    if len(above) < _LEAST_FACTORS:
        return []
    mean_age = sum(age for age, _log in above) / len(above)
    mean_log = sum(log for _age, log in above) / len(above)
    slope = sum((age - mean_age) * (log - mean_log) for age, log in above) / sum(
        (age - mean_age) ** 2 for age, _log in above
    )
    if slope >= 0:
        return []
    ages = range(len(factors), months)
    return [1 + Fraction(math.exp(mean_log + slope * (age - mean_age))).limit_denominator(10**9) for age in ages]


def estimate_breakage(cohorts: Sequence[Cohort], *, life_months: int = 0) -> Estimate:
    """Estimate the redemptions to come and the breakage of some cohorts.

    Args:
        cohorts: The cohorts.
        life_months: The age at which points lapse; 0: nothing is expected after the age of the oldest cohort.
    """
    factors = development_factors([cohort.redeemed for cohort in cohorts])
    factors += tail_factors(factors, life_months)
    shares = developed_shares(factors)
    reached = [shares[len(cohort.redeemed) - 1] if cohort.redeemed else Fraction(0) for cohort in cohorts]
    redeemed = sum(cohort.redeemed[-1] for cohort in cohorts if cohort.redeemed)
    exposed = sum((cohort.points * share for cohort, share in zip(cohorts, reached, strict=True)), Fraction(0))
    rate = min(Fraction(redeemed) / exposed, Fraction(1)) if redeemed > 0 and exposed > 0 else None
    found = []
    for cohort, share in zip(cohorts, reached, strict=True):
        ahead = cohort.outstanding if rate is None else round(cohort.points * rate * (1 - share))
        to_redeem = max(min(ahead, cohort.outstanding), 0)
        found.append(Expectation(share, to_redeem, cohort.outstanding - to_redeem))
    return Estimate(factors, rate, found)
