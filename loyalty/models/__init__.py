"""Tables of the programme and the ledger, one noun a module."""

from loyalty.models.earning import EarningRule
from loyalty.models.ledger import Account, Hold, Lot, LotMove, Posting, RequestKey, SourceKey
from loyalty.models.membership import Membership, QualificationEntry, TierChange, TierSource
from loyalty.models.programme import Programme, Tier
from loyalty.models.reward import Redemption, Reward
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

__all__ = [
    "Account",
    "ChallengeEntry",
    "EarningRule",
    "Entitlement",
    "EntitlementUse",
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
    "TierChallenge",
    "TierChange",
    "TierCriteria",
    "TierGrant",
    "TierPolicy",
    "TierReview",
    "TierReviewRow",
    "TierSource",
    "TierWarning",
]
