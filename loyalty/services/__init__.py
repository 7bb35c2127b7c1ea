"""The only writes of the programme: memberships, earning, tiers, redemptions and the points ledger."""
