"""What the apps above are told about members; sent inside the transaction of the change, with ids."""

from django.dispatch import Signal

# A member's tier changed: `membership_id`, `from_tier_id`, `to_tier_id`, `tier_change_id`, and
# `actor` (`User | None`) and `now` (aware).
tier_changed = Signal()
