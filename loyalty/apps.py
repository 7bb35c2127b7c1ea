"""The programme: tiers, earning rules, the points ledger, redemption."""

from importlib import import_module

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class LoyaltyConfig(AppConfig):
    """Knows guests and stays; reacts to their signals in `loyalty.receivers`."""

    name = "loyalty"
    verbose_name = _("Loyalty")

    def ready(self) -> None:
        """Connect the reactions to the signals of `members`."""
        import_module("loyalty.receivers")
