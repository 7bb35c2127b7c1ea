"""Spending points on rewards, handing them over, taking them back, and correcting a balance by hand."""

from loyalty.services.redemptions.adjusting import adjust_points
from loyalty.services.redemptions.canceling import cancel_redemption
from loyalty.services.redemptions.fulfilling import (
    expire_redemptions,
    fulfil_redemption,
    mark_no_show,
    reopen_redemption,
)
from loyalty.services.redemptions.pricing import change_price
from loyalty.services.redemptions.redeeming import quote_reward, redeem_reward
from loyalty.services.redemptions.refusals import (
    CancellationRefused,
    ReasonRequired,
    RedemptionError,
    RewardRefused,
    RewardUnavailable,
    StateRefused,
    VoucherNotIssued,
)

__all__ = [
    "CancellationRefused",
    "ReasonRequired",
    "RedemptionError",
    "RewardRefused",
    "RewardUnavailable",
    "StateRefused",
    "VoucherNotIssued",
    "adjust_points",
    "cancel_redemption",
    "change_price",
    "expire_redemptions",
    "fulfil_redemption",
    "mark_no_show",
    "quote_reward",
    "redeem_reward",
    "reopen_redemption",
]
