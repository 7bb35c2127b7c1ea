"""Tables of the programme and the ledger, one noun a module."""

from loyalty.models.approvals import (
    ApprovalLimit,
    ApprovalRequest,
    DailyUse,
    MovementKind,
    MovementRecord,
    VelocityRule,
)
from loyalty.models.backtest import BackTest
from loyalty.models.earning import EarningRule, EarningRuleSet, RuleUse
from loyalty.models.expiry import ExpiryNotice
from loyalty.models.jobs import JobError, JobRun
from loyalty.models.ledger import Account, Hold, Lot, LotMove, Posting, RequestKey, SourceKey
from loyalty.models.membership import Membership, QualificationEntry, TierChange, TierSource
from loyalty.models.programme import Programme, Tier
from loyalty.models.redemption import Redemption, RedemptionEvent
from loyalty.models.referral import Referral, ReferralCode, ReferralPolicy
from loyalty.models.reward import (
    ExchangeRatio,
    Reward,
    RewardBlackout,
    RewardCategory,
    RewardLimit,
    RewardPrice,
    RewardStock,
    RewardUse,
)
from loyalty.models.settlement import SettlementItem, SettlementLine, SettlementRate, SettlementRun
from loyalty.models.share import SharePolicy, SocialShare
from loyalty.models.tiers import (
    ChallengeEntry,
    Entitlement,
    EntitlementUse,
    TierBenefit,
    TierChallenge,
    TierCriteria,
    TierGrant,
    TierPolicy,
    TierReview,
    TierReviewRow,
    TierWarning,
)
from loyalty.models.transfer import PointsTransfer, TransferPolicy
from loyalty.models.voucher import Voucher, VoucherBatch, VoucherBlackout, VoucherEvent, VoucherType
from loyalty.models.wallet import StoredValueMovement, StoredValuePolicy, TopUpStep

__all__ = [
    "Account",
    "ApprovalLimit",
    "ApprovalRequest",
    "BackTest",
    "ChallengeEntry",
    "DailyUse",
    "EarningRule",
    "EarningRuleSet",
    "Entitlement",
    "EntitlementUse",
    "ExchangeRatio",
    "ExpiryNotice",
    "Hold",
    "JobError",
    "JobRun",
    "Lot",
    "LotMove",
    "Membership",
    "MovementKind",
    "MovementRecord",
    "PointsTransfer",
    "Posting",
    "Programme",
    "QualificationEntry",
    "Redemption",
    "RedemptionEvent",
    "Referral",
    "ReferralCode",
    "ReferralPolicy",
    "RequestKey",
    "Reward",
    "RewardBlackout",
    "RewardCategory",
    "RewardLimit",
    "RewardPrice",
    "RewardStock",
    "RewardUse",
    "RuleUse",
    "SettlementItem",
    "SettlementLine",
    "SettlementRate",
    "SettlementRun",
    "SharePolicy",
    "SocialShare",
    "SourceKey",
    "StoredValueMovement",
    "StoredValuePolicy",
    "Tier",
    "TierBenefit",
    "TierChallenge",
    "TierChange",
    "TierCriteria",
    "TierGrant",
    "TierPolicy",
    "TierReview",
    "TierReviewRow",
    "TierSource",
    "TierWarning",
    "TopUpStep",
    "TransferPolicy",
    "VelocityRule",
    "Voucher",
    "VoucherBatch",
    "VoucherBlackout",
    "VoucherEvent",
    "VoucherType",
]
