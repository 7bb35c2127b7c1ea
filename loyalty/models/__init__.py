"""Tables of the programme and the ledger, one noun a module."""

from loyalty.models.earning import EarningRule
from loyalty.models.membership import Membership, QualificationEntry, TierChange
from loyalty.models.programme import Programme, Tier, TierBenefit, TierCriteria
from loyalty.models.reward import Redemption, Reward

__all__ = [
    "EarningRule",
    "Membership",
    "Programme",
    "QualificationEntry",
    "Redemption",
    "Reward",
    "Tier",
    "TierBenefit",
    "TierChange",
    "TierCriteria",
]
