"""Converting money by the house's own rates, each in force from a date."""

from __future__ import annotations

import datetime as dt
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

CENT = Decimal("0.01")
ONE = Decimal(1)


@dataclass(frozen=True, slots=True)
class Quote:
    """From a date on, one unit of `currency` is worth `rate` units of `to_currency`."""

    currency: str
    to_currency: str
    effective_from: dt.date
    rate: Decimal


class RateTable:
    """Quotes ready to be asked many times."""

    def __init__(self, quotes: Iterable[Quote]) -> None:
        self._quotes: dict[tuple[str, str], list[tuple[dt.date, Decimal]]] = defaultdict(list)
        for quote in quotes:
            self._quotes[quote.currency, quote.to_currency].append((quote.effective_from, quote.rate))
        for series in self._quotes.values():
            series.sort()

    def convert(self, amount: Decimal, currency: str, to_currency: str, on_date: dt.date) -> Decimal | None:
        """The amount in the other currency, to the cent, half away from zero.

        Uses the newest rate in force on the date, the inverse one where only that is kept; None
        where the house has no rate for the date.
        """
        if currency == to_currency:
            return amount
        rate = self.unit_value(currency, to_currency, on_date)
        return None if rate is None else (amount * rate).quantize(CENT, ROUND_HALF_UP)

    def unit_value(self, currency: str, to_currency: str, on_date: dt.date) -> Decimal | None:
        """What one unit of a currency is worth in the other one, unrounded; None where there is no rate."""
        if currency == to_currency:
            return ONE
        rate = self._rate(currency, to_currency, on_date)
        if rate is None:
            inverse = self._rate(to_currency, currency, on_date)
            rate = None if inverse is None else 1 / inverse
        return rate

    def _rate(self, currency: str, to_currency: str, on_date: dt.date) -> Decimal | None:
        series = self._quotes.get((currency, to_currency), [])
        index = bisect_right(series, on_date, key=lambda quote: quote[0])
        return series[index - 1][1] if index else None
