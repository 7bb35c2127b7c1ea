"""Members who bring friends: codes, entering them, and the points of both after the friend's first paid stay.

The points themselves follow from the earning rules for `referral_made` and `referral_joined`; the
referral decides whether and when. Locks are taken in the order guest, memberships by id, referrals
by id, accounts, so that two stays that end at once wait for each other and neither counts twice.
"""

from loyalty.services.referrals.codes import assign_referral_codes
from loyalty.services.referrals.entry import (
    ReferralError,
    ReferralsNotTaken,
    UnknownCode,
    WrongState,
    enter_referral,
    find_referrer,
    join_invited,
    withdraw_referral,
)
from loyalty.services.referrals.settling import Settled, lock_referrals, settle_referrals

__all__ = [
    "ReferralError",
    "ReferralsNotTaken",
    "Settled",
    "UnknownCode",
    "WrongState",
    "assign_referral_codes",
    "enter_referral",
    "find_referrer",
    "join_invited",
    "lock_referrals",
    "settle_referrals",
    "withdraw_referral",
]
