"""Tables of feedback, one noun a module."""

from feedback.models.calendars import BusinessCalendar, CalendarException, CalendarInterval, PublicHoliday
from feedback.models.clocks import SLAPolicy, TicketClock, TicketReminder
from feedback.models.notices import Notification
from feedback.models.rosters import Handover, RoutingRule, Shift
from feedback.models.tickets import Case, Ticket, TicketEvent, TicketLink
from feedback.models.work import Attachment, Macro, Recovery

__all__ = [
    "Attachment",
    "BusinessCalendar",
    "CalendarException",
    "CalendarInterval",
    "Case",
    "Handover",
    "Macro",
    "Notification",
    "PublicHoliday",
    "Recovery",
    "RoutingRule",
    "SLAPolicy",
    "Shift",
    "Ticket",
    "TicketClock",
    "TicketEvent",
    "TicketLink",
    "TicketReminder",
]
