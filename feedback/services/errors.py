"""Why a ticket cannot be changed as asked."""

from __future__ import annotations

from django.utils.translation import gettext as _

from feedback.models import TicketEvent


class TicketError(Exception):
    """A ticket cannot be changed as asked; `code` is stable."""

    code = "ticket_error"


class TicketConflict(TicketError):
    """The key was used before for another ticket."""

    code = "ticket_conflict"

    def __init__(self) -> None:
        super().__init__(_("This form was sent before with other content; open a new one."))


class TicketIsClosed(TicketError):
    """The ticket is closed or withdrawn already."""

    code = "ticket_closed"

    def __init__(self) -> None:
        super().__init__(_("This ticket is closed already."))


class StaleTicket(TicketError):
    """Colleagues did something with the ticket after its page was opened.

    Attributes:
        events: What they did, oldest first, with who and when.
    """

    code = "stale_ticket"

    def __init__(self, events: list[TicketEvent]) -> None:
        super().__init__(_("Somebody changed this ticket in the meantime."))
        self.events = events


class TicketIsOpen(TicketError):
    """The ticket is open, so there is nothing to reopen."""

    code = "ticket_open"

    def __init__(self) -> None:
        super().__init__(_("This ticket is open already."))


class RootCauseMissing(TicketError):
    """A ticket is closed with the reason why it came about."""

    code = "root_cause_missing"

    def __init__(self) -> None:
        super().__init__(_("Say why it happened before you close the ticket."))


class TicketIsTaken(TicketError):
    """Somebody else has taken the ticket meanwhile."""

    code = "ticket_taken"

    def __init__(self, owner: str) -> None:
        super().__init__(_("%(name)s has taken this ticket.") % {"name": owner})


class PersonIsAbsent(TicketError):
    """The ticket would go to somebody who is not on duty."""

    code = "person_absent"

    def __init__(self, name: str) -> None:
        super().__init__(_("%(name)s is not on duty now.") % {"name": name})


class DepartmentHasTicket(TicketError):
    """The department has an open ticket of the case already."""

    code = "department_has_ticket"

    def __init__(self) -> None:
        super().__init__(_("This department has an open ticket of this case already."))


class CannotJoin(TicketError):
    """The two tickets cannot be merged or linked."""

    code = "cannot_join"


class RecoveryRefused(TicketError):
    """The guest cannot be given this."""

    code = "recovery_refused"


class FileRefused(TicketError):
    """The file cannot be put on the ticket."""

    code = "file_refused"
