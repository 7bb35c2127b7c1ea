"""The programme, its members and the ledger in the admin."""

from loyalty.admin import (
    backtests,
    earning,
    friends,
    jobs,
    ledger,
    members,
    programme,
    tier_moves,
    tiers,
    vouchers,
    wallet,
)

__all__ = [
    "backtests",
    "earning",
    "friends",
    "jobs",
    "ledger",
    "members",
    "programme",
    "tier_moves",
    "tiers",
    "vouchers",
    "wallet",
]
