"""Membership numbers: a prefix, a running number, and a check digit that catches slips of the hand.

The check digit is Luhn's (ISO/IEC 7812-1, annex B): it finds every wrong digit and almost every
exchange of two neighbours.
"""

from __future__ import annotations

DIGITS = 8


def check_digit(digits: str) -> str:
    """Luhn's check digit of a string of digits.

    >>> check_digit("7992739871")
    '3'
    """
    total = 0
    for position, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if position % 2 == 0 else 1)
        total += value - 9 if value > 9 else value  # noqa: PLR2004 - two digits are added up
    return str(-total % 10)


def format_number(prefix: str, running: int) -> str:
    """The membership number of a running number, such as GK000000018."""
    digits = f"{running:0{DIGITS}d}"
    return f"{prefix}{digits}{check_digit(digits)}"


def is_well_formed(number: str, prefix: str) -> bool:
    """Whether a number as typed can be one of the programme's."""
    digits = number.removeprefix(prefix)
    return (
        number.startswith(prefix)
        and digits.isascii()
        and digits.isdigit()
        and len(digits) > DIGITS
        and check_digit(digits[:-1]) == digits[-1]
    )
