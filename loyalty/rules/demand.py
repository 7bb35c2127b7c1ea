"""What to expect of the next weeks from the weeks before.

Holt's linear method with a damped trend, as in Hyndman and Athanasopoulos, “Forecasting: Principles and Practice”,
3rd ed., section 8.2 (https://otexts.com/fpp3/holt.html); where the same week of the year before is known, the mean of
that and of the seasonal naive forecast of section 5.2 (https://otexts.com/fpp3/simple-methods.html), which brings
holidays in. The upper end is that of a one-sided interval of 95 % (section 5.5): 1.645 standard deviations of the
errors that the method made one week ahead, growing with the square root of the horizon. Counts are small: an
interval is a help for rosters and purchasing, not a promise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, sqrt

WEEKS_A_YEAR = 52
# Slow enough that one lively week does not turn the forecast, see the sections named above.
LEVEL, TREND, DAMPING = 0.3, 0.1, 0.9
ONE_SIDED_95 = 1.645


@dataclass(frozen=True, slots=True)
class Expected:
    """What to expect of one week: rounded to the nearest, and at most, both at least zero."""

    count: int
    most: int


def forecast(counts: Sequence[int], weeks: int) -> list[Expected]:
    """The next weeks from weekly counts.

    Args:
        counts: Whole weeks without a gap, oldest first; weeks without demand are zero.
        weeks: How many to look ahead.

    Returns:
        One for each week; all zero without a history.
    """
    if not any(counts):
        return [Expected(0, 0)] * weeks
    level, trend, errors = float(counts[0]), 0.0, []
    for count in counts[1:]:
        ahead = level + DAMPING * trend
        errors.append(count - ahead)
        previous, level = level, LEVEL * count + (1 - LEVEL) * ahead
        trend = TREND * (level - previous) + (1 - TREND) * DAMPING * trend
    spread = sqrt(sum(error * error for error in errors) / len(errors)) if errors else sqrt(level)
    found, damped = [], 0.0
    for week in range(1, weeks + 1):
        damped += DAMPING**week
        mean = level + damped * trend
        if len(counts) >= WEEKS_A_YEAR >= week:
            mean = (mean + counts[len(counts) - WEEKS_A_YEAR + week - 1]) / 2
        mean = max(0.0, mean)
        # Rounded first, so that what binary fractions leave over is not a whole piece more.
        most = ceil(round(mean + ONE_SIDED_95 * spread * sqrt(week), 6))
        found.append(Expected(round(mean), most))
    return found
