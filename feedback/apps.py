"""Complaints and requests of guests: tickets with an owner and a clock."""

from importlib import import_module

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class FeedbackConfig(AppConfig):
    """Knows guests and their membership."""

    name = "feedback"
    verbose_name = _("Guest feedback")

    def ready(self) -> None:
        """Show a guest's open tickets on the guest card, and keep drafts of what is typed about them."""
        panels = import_module("members.selectors.panels")
        selectors = import_module("feedback.selectors.tickets")
        import_module("feedback.selectors.facts").register_ticket_fields()
        drafts = import_module("hotels.services.drafts")
        panels.register_guest_panel(
            panels.GuestPanel("feedback.tickets", "feedback/card.html", selectors.card_context, 10, "side")
        )
        ticket = ("subject", "category", "severity", "department", "description")
        drafts.register_draft_form("feedback.ticket", drafts.DraftForm(ticket, ("subject", "description")))
        drafts.register_draft_form("feedback.note", drafts.DraftForm(("text",), ("text",)))
        drafts.register_draft_form("feedback.close", drafts.DraftForm(("root_cause", "resolution"), ("resolution",)))
        merges = import_module("members.services.merges")
        merges.register_merge_handler(merges.MoveRows(self.get_model("Case"), "guest"))
        merges.register_merge_handler(merges.MoveRows(self.get_model("Ticket"), "guest"))
