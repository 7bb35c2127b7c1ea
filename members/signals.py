"""What the apps above are told about stays and guests.

Each signal is sent inside the transaction of the service that changed the stay, with ids and not
with loaded rows; a receiver that raises undoes the change. Every signal carries `actor`
(`User | None`) and `now` (aware).
"""

from django.dispatch import Signal

# A guest's stay is finished, or a finished stay got its guest: `stay_id`.
stay_completed = Signal()

# Folio lines were added to a finished stay: `stay_id`.
stay_corrected = Signal()

# The stay did not take place after all: `stay_id`, `reason`.
stay_voided = Signal()

# A finished stay is about to be given to another guest: `stay_id`, `reason`. Afterwards it is completed anew.
stay_leaving = Signal()

# Many finished stays were stored at once, as a night audit or a file of history brings them:
# `stay_ids`. They are judged as on their own day of departure, not as on the day of `now`.
stays_completed = Signal()

# What guests have told about themselves was changed or added to: `guest_ids`.
guests_changed = Signal()
