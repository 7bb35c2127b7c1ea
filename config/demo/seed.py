"""Makes the demo group through the same services that the pages and the API use."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

from django.db import transaction

from config.demo.organization import make_logins, make_organization


@transaction.atomic
def seed(*, guests: int, now: dt.datetime, say: Callable[[str], object]) -> None:
    """Make everything.

    Args:
        guests: How many guests.
        now: Aware instant that counts as the present; the same one gives the same data.
        say: Gets a line for each step.
    """
    places = make_organization(today=now.date())
    make_logins(places)
    say(f"The organization stands; {guests} guests follow.")
