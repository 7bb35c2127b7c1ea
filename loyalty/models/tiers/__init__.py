"""What tiers need, how long they last and what they give, each in force from a date; tiers granted by hand."""

from loyalty.models.tiers.benefits import Entitlement, EntitlementUse, TierBenefit
from loyalty.models.tiers.columns import everything
from loyalty.models.tiers.grants import ChallengeEntry, TierChallenge, TierGrant
from loyalty.models.tiers.policies import TierCriteria, TierPolicy
from loyalty.models.tiers.reviews import TierReview, TierReviewRow, TierWarning

__all__ = [
    "ChallengeEntry",
    "Entitlement",
    "EntitlementUse",
    "TierBenefit",
    "TierChallenge",
    "TierCriteria",
    "TierGrant",
    "TierPolicy",
    "TierReview",
    "TierReviewRow",
    "TierWarning",
    "everything",
]
