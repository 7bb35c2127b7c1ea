"""API tokens for guests' accounts and integration clients."""

from __future__ import annotations

import datetime as dt

from django.db import transaction
from django.utils.translation import gettext_lazy as _
from knox.models import AuthToken

from hotels.models import User
from hotels.services.audit import record_audit


class AccountDisabled(Exception):
    """A disabled account gets no token."""

    code = "account_disabled"
    message = _("This account is disabled.")


@transaction.atomic
def issue_token(
    *, actor: User | None, now: dt.datetime, user: User, lifetime: dt.timedelta | None = None, replace: bool = False
) -> str:
    """Issue an API token; only its hash is stored, so the caller has to show it now.

    Args:
        actor: Who issues it; None for the command line.
        now: Aware instant.
        user: Whose rights the token carries.
        lifetime: How long it works; None for no end.
        replace: Whether the user's earlier tokens stop working.

    Returns:
        The token, `gk_…`, for the header `Authorization: Token …`.

    Raises:
        AccountDisabled: The user may not sign in.
    """
    if not user.is_active:
        raise AccountDisabled
    revoked = AuthToken.objects.filter(user=user).delete()[0] if replace else 0
    row, token = AuthToken.objects.create(user=user, expiry=lifetime)
    record_audit(
        actor=actor,
        now=now,
        action="token.issued",
        target=user,
        label=user.username,
        after={
            "token": row.token_key[:8],
            "expires_at": row.expiry.isoformat() if row.expiry else None,
            "revoked": revoked,
        },
    )
    return str(token)
