"""A refusal as an exception."""

from __future__ import annotations

from typing import Any

from loyalty.rules.vouchers import Refusal


class VoucherRefused(Exception):
    """What was asked of a voucher may not be done; nothing was changed.

    Attributes:
        refusal: Why, with a sentence for the reader.
    """

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.code)
        self.refusal = refusal

    def __str__(self) -> str:
        return self.refusal.message

    @property
    def code(self) -> str:
        """Stable code; one of `Refusal.SENTENCES`."""
        return self.refusal.code


def refused(*, code: str, **params: Any) -> VoucherRefused:
    """The exception for a code."""
    return VoucherRefused(Refusal(code, params))
