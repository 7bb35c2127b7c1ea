"""What becomes of memberships, points and tiers when two profiles of a guest become one."""

from loyalty.services.merging.points import carry_leftovers
from loyalty.services.merging.rows import register

__all__ = ["carry_leftovers", "register"]
