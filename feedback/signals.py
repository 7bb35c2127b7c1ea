"""What the apps above are told about tickets.

Each signal is sent inside the transaction of the service, with ids and not with loaded rows; a receiver
that raises undoes the change. Every signal carries `actor` (`User | None`) and `now` (aware).
"""

from django.dispatch import Signal

# A guest's matter came up: `ticket_id`, `guest_id`.
ticket_opened = Signal()

# It was seen to: `ticket_id`, `guest_id`.
ticket_closed = Signal()

# It was not over after all: `ticket_id`, `guest_id`.
ticket_reopened = Signal()

# A guest was very unhappy, or very happy: `guest_id`, `property_id`, `score` (0 to 10), `ticket_id` or None.
low_score_given = Signal()
high_score_given = Signal()
