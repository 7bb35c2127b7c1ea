"""Money in a sentence, and as the ledger keeps it."""

from __future__ import annotations

from decimal import Decimal

from django.utils.translation import pgettext_lazy

# English writes the code; Chinese writes the sign before an amount and the word after a rate.
_AMOUNTS = {
    "CNY": pgettext_lazy("amount of money", "CNY %(amount)s"),
    "USD": pgettext_lazy("amount of money", "USD %(amount)s"),
    "EUR": pgettext_lazy("amount of money", "EUR %(amount)s"),
    "GBP": pgettext_lazy("amount of money", "GBP %(amount)s"),
    "JPY": pgettext_lazy("amount of money", "JPY %(amount)s"),
    "HKD": pgettext_lazy("amount of money", "HKD %(amount)s"),
    "SGD": pgettext_lazy("amount of money", "SGD %(amount)s"),
    "THB": pgettext_lazy("amount of money", "THB %(amount)s"),
    "MYR": pgettext_lazy("amount of money", "MYR %(amount)s"),
}
_UNITS = {
    "CNY": pgettext_lazy("unit of currency", "CNY"),
    "USD": pgettext_lazy("unit of currency", "USD"),
    "EUR": pgettext_lazy("unit of currency", "EUR"),
    "GBP": pgettext_lazy("unit of currency", "GBP"),
    "JPY": pgettext_lazy("unit of currency", "JPY"),
    "HKD": pgettext_lazy("unit of currency", "HKD"),
    "SGD": pgettext_lazy("unit of currency", "SGD"),
    "THB": pgettext_lazy("unit of currency", "THB"),
    "MYR": pgettext_lazy("unit of currency", "MYR"),
}


# Stored value is kept in hundredths of its currency's unit, as the ledger counts in whole numbers.
MINOR = 100


def whole(amount: int) -> Decimal:
    """An amount of stored value in its currency, from its minor units."""
    return Decimal(amount) / MINOR


def minor(amount: Decimal) -> int:
    """The minor units of an amount with at most two decimals."""
    return int(amount * MINOR)


def money(amount: Decimal, currency: str) -> str:
    """An amount with its currency as the active language writes it."""
    text = f"{amount:,.2f}"
    if currency in _AMOUNTS:
        return str(_AMOUNTS[currency]) % {"amount": text}
    return f"{currency} {text}"


def unit(currency: str) -> str:
    """The word for one unit of a currency, as after “per”."""
    return str(_UNITS.get(currency, currency))
