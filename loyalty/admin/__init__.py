"""The programme, its members and the ledger in the admin."""

from loyalty.admin import (
    approvals,
    backtests,
    earning,
    friends,
    jobs,
    ledger,
    members,
    programme,
    rewards,
    settlement,
    tier_moves,
    tiers,
    vouchers,
    wallet,
)

__all__ = [
    "approvals",
    "backtests",
    "earning",
    "friends",
    "jobs",
    "ledger",
    "members",
    "programme",
    "rewards",
    "settlement",
    "tier_moves",
    "tiers",
    "vouchers",
    "wallet",
]
