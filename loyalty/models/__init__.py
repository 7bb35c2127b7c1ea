"""Tables of the programme and the ledger, one noun a module."""

from loyalty.models.earning import EarningRule
from loyalty.models.ledger import Account, Hold, Lot, LotMove, Posting, RequestKey, SourceKey
from loyalty.models.membership import Membership, QualificationEntry, TierChange
from loyalty.models.programme import Programme, Tier, TierBenefit, TierCriteria
from loyalty.models.reward import Redemption, Reward
from loyalty.models.voucher import Voucher, VoucherBatch, VoucherBlackout, VoucherEvent, VoucherType

__all__ = [
    "Account",
    "EarningRule",
    "Hold",
    "Lot",
    "LotMove",
    "Membership",
    "Posting",
    "Programme",
    "QualificationEntry",
    "Redemption",
    "RequestKey",
    "Reward",
    "SourceKey",
    "Tier",
    "TierBenefit",
    "TierChange",
    "TierCriteria",
    "Voucher",
    "VoucherBatch",
    "VoucherBlackout",
    "VoucherEvent",
    "VoucherType",
]
