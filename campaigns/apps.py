"""Marketing: campaigns to groups of guests."""

from importlib import import_module

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class CampaignsConfig(AppConfig):
    """The top layer: may read everything below."""

    name = "campaigns"
    verbose_name = _("Marketing")

    def ready(self) -> None:
        """Show running offers on the guest card."""
        panels = import_module("members.selectors.panels")
        selectors = import_module("campaigns.selectors")
        panels.register_guest_panel(
            panels.GuestPanel("campaigns.offers", "campaigns/card.html", selectors.card_context, 20, "side")
        )
