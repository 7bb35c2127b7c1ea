"""Loyalty: programmes, tiers, memberships and the points ledger."""
