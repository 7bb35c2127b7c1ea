"""Changes that users make to their own account."""

from __future__ import annotations

import datetime as dt

from django.db import transaction

from hotels.models import User
from hotels.services.audit import record_audit


@transaction.atomic
def change_profile(*, actor: User, now: dt.datetime, changes: dict[str, object]) -> User:
    """Store changed fields of the actor's own profile.

    Args:
        actor: The user who changes their own profile.
        now: Aware instant of the change.
        changes: New values of `display_name`, `language` or `shortcuts_enabled`.

    Returns:
        The user as stored.
    """
    user = User.objects.select_for_update(no_key=True).get(pk=actor.pk)
    before = {name: getattr(user, name) for name in changes}
    after = {name: value for name, value in changes.items() if before[name] != value}
    if not after:
        return user
    for name, value in after.items():
        setattr(user, name, value)
    user.save(update_fields=list(after))
    record_audit(
        actor=actor,
        now=now,
        action="user.profile_changed",
        target=user,
        label=user.username,
        before={name: before[name] for name in after},
        after=after,
    )
    return user
