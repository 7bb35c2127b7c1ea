"""The programme, its members and the ledger in the admin."""

from loyalty.admin import earning, ledger, members, programme, tier_moves, tiers

__all__ = ["earning", "ledger", "members", "programme", "tier_moves", "tiers"]
