"""The admin of feedback: tickets to read; calendars, service levels, rosters and routing to set."""

from feedback.admin import settings, tickets

__all__ = ["settings", "tickets"]
