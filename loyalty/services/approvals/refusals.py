"""Why a request or a decision is refused; nothing was moved."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.translation import gettext as _

if TYPE_CHECKING:
    from loyalty.models import ApprovalRequest


class ApprovalError(Exception):
    """A request or decision cannot be taken; `code` is stable."""

    code = "approval_error"


class RequestConflict(ApprovalError):
    """The key was used before for another movement."""

    code = "request_conflict"

    def __init__(self) -> None:
        super().__init__(_("This form was sent before with other content; open a new one."))


class OwnRequest(ApprovalError):
    """Nobody decides about what they asked for."""

    code = "own_request"

    def __init__(self) -> None:
        super().__init__(_("This is your own request; somebody else decides about it."))


class OwnMovement(ApprovalError):
    """Nobody reviews what they did."""

    code = "own_movement"

    def __init__(self) -> None:
        super().__init__(_("You made this movement yourself; somebody else reviews it."))


class NotTheApprover(ApprovalError):
    """The request is decided by another role, or at another property."""

    code = "not_the_approver"

    def __init__(self, role: str = "") -> None:
        text = _("This is decided by: %(role)s.") % {"role": role} if role else _("You do not decide about this.")
        super().__init__(text)


class AlreadyDecided(ApprovalError):
    """Somebody was faster, or the request is over."""

    code = "already_decided"

    def __init__(self, request: ApprovalRequest) -> None:
        super().__init__(
            _("Request no. %(number)s is over already: %(state)s.")
            % {"number": request.number, "state": request.get_state_display()}
        )


class RequestExpired(ApprovalError):
    """The time to decide has passed."""

    code = "request_expired"

    def __init__(self, request: ApprovalRequest) -> None:
        super().__init__(_("Request no. %(number)s has expired; it has to be made anew.") % {"number": request.number})


class PayloadChanged(ApprovalError):
    """What is stored is not what was asked for."""

    code = "payload_changed"

    def __init__(self, request: ApprovalRequest) -> None:
        super().__init__(
            _("The content of request no. %(number)s was changed after it was made; it is not carried out.")
            % {"number": request.number}
        )


class AmountChanged(ApprovalError):
    """It would move more than what was looked at."""

    code = "amount_changed"

    def __init__(self) -> None:
        super().__init__(_("It would cost more now than when it was asked for."))


class PayloadOutdated(ApprovalError):
    """A newer version of the program no longer reads the content."""

    code = "payload_outdated"


class ReasonMissing(ApprovalError):
    """A refusal says why."""

    code = "reason_missing"

    def __init__(self) -> None:
        super().__init__(_("Say why."))
