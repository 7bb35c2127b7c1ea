"""Complaints and requests of guests: tickets with an owner and a clock."""

from importlib import import_module

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class FeedbackConfig(AppConfig):
    """Knows guests and their membership."""

    name = "feedback"
    verbose_name = _("Guest feedback")

    def ready(self) -> None:
        """Show a guest's open tickets on the guest card."""
        panels = import_module("members.selectors.panels")
        selectors = import_module("feedback.selectors")
        panels.register_guest_panel(
            panels.GuestPanel("feedback.tickets", "feedback/card.html", selectors.card_context, 10, "side")
        )
