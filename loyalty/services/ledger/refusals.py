"""What the ledger refuses, each with a stable code and a sentence for the reader."""

from __future__ import annotations

from typing import Any, ClassVar

from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext


class LedgerError(Exception):
    """A movement the ledger refuses; `code` is stable, the message is for the reader."""

    code: ClassVar[str] = "ledger_refused"
    message: ClassVar[Any] = _("The points could not be posted.")

    def __init__(self, details: dict[str, Any] | None = None) -> None:
        self.details: dict[str, Any] = details or {}
        super().__init__(self.code)

    def __str__(self) -> str:
        return str(self.message)


class InsufficientPoints(LedgerError):
    """Fewer spendable points than asked for; lapsed, pending and held points do not count."""

    code = "insufficient_points"

    @property
    def needed(self) -> int:
        """Points asked for."""
        return int(self.details["needed"])

    @property
    def available(self) -> int:
        """Points that could be spent."""
        return int(self.details["available"])

    def __str__(self) -> str:
        return ngettext(
            "%(needed)s points are needed, %(available)s point is available.",
            "%(needed)s points are needed, %(available)s points are available.",
            self.available,
        ) % {"needed": f"{self.needed:,}", "available": f"{self.available:,}"}


class IdempotencyConflict(LedgerError):
    """The idempotency key was used before for another request."""

    code = "idempotency_conflict"
    message = _("This request key was used before for another request.")


class AlreadyPosted(LedgerError):
    """The source line has its posting; `posting_id` and `account_id` tell which."""

    code = "already_posted"
    message = _("These points are posted already.")

    @property
    def posting_id(self) -> int | None:
        """The posting that stands; None when another transaction was posting it at the same time."""
        return self.details.get("posting_id")

    @property
    def account_id(self) -> int | None:
        """The account it stands on."""
        return self.details.get("account_id")


class AlreadyReversed(LedgerError):
    """The posting is reversed in full, or the part asked for is."""

    code = "already_reversed"
    message = _("These points are reversed already.")


class NotReversible(LedgerError):
    """Postings of this kind are not reversed, such as a release or a reversal."""

    code = "not_reversible"
    message = _("This posting cannot be reversed.")


class ExcessiveReversal(LedgerError):
    """More is to be reversed than is left of the original."""

    code = "excessive_reversal"
    message = _("More points would be reversed than were posted.")


class NothingDue(LedgerError):
    """There is nothing to release or to expire on this account."""

    code = "nothing_due"
    message = _("There are no points to release.")


class HoldClosed(LedgerError):
    """The hold was captured, voided or timed out before."""

    code = "hold_closed"
    message = _("These points are no longer held.")


class MembershipInactive(LedgerError):
    """The membership is suspended or closed, it neither earns nor spends."""

    code = "membership_inactive"
    message = _("This membership is not active.")


class UnknownAccount(LedgerError):
    """No account, posting or hold with this id."""

    code = "unknown_account"
    message = _("There is no such points account.")


# What tells one request from another under the same key: what is asked, not when or how it is explained.
