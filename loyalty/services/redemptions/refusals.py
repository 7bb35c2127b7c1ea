"""What cannot be redeemed, handed over or given back, each with a stable code and a sentence."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _

from loyalty.rules.rewards import CANCEL_SENTENCES, RewardRefusal


class RedemptionError(Exception):
    """A reward cannot be taken or given back; `code` is stable."""

    code = "redemption_error"


class RewardRefused(RedemptionError):
    """The reward cannot be had; `refusal` says why, `code` is one of its codes, such as `sold_out`."""

    def __init__(self, refusal: RewardRefusal) -> None:
        super().__init__(refusal.code)
        self.refusal = refusal
        self.code = refusal.code

    def __str__(self) -> str:
        return self.refusal.message


class RewardUnavailable(RewardRefused):
    """The reward is switched off, or belongs to another programme."""

    def __init__(self, refusal: RewardRefusal | None = None) -> None:
        super().__init__(refusal or RewardRefusal("inactive"))
        self.code = "reward_unavailable"


class VoucherNotIssued(RedemptionError):
    """The voucher that the reward gives cannot be issued; the sentence says why."""

    code = "voucher_not_issued"


class CancellationRefused(RedemptionError):
    """The redemption cannot be canceled; `code` is one of `CANCEL_SENTENCES`."""

    def __init__(self, *, code: str, params: dict[str, Any] | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.params = params or {}

    def __str__(self) -> str:
        return str(CANCEL_SENTENCES[self.code]) % self.params


class StateRefused(RedemptionError):
    """The redemption is not in a state for that; `status` is where it stands."""

    code = "wrong_state"

    def __init__(self, status: str, label: str) -> None:
        super().__init__(_("This redemption is: %(status)s.") % {"status": label})
        self.status = status


class ReasonRequired(RedemptionError):
    """A cancellation or an adjustment has to say why."""

    code = "reason_required"

    def __init__(self) -> None:
        super().__init__(_("Say why."))


def refused(refusal: RewardRefusal) -> RewardRefused:
    """The exception for a refusal of the rules."""
    if refusal.code in {"inactive", "other_programme"}:
        return RewardUnavailable(refusal)
    return RewardRefused(refusal)
