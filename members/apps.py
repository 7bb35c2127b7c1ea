"""Guests: profiles, identities, preferences, reservations, stays, imports."""

from importlib import import_module

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class MembersConfig(AppConfig):
    """Knows the hotels; knows nothing of points."""

    name = "members"
    verbose_name = _("Guests and stays")

    def ready(self) -> None:
        """Tell the conditions what may be asked of guests and stays, and merges what becomes of our rows."""
        import_module("members.selectors.condition_fields").register()
        import_module("members.services.merges.own").register()
        panels = import_module("members.selectors.panels")
        duplicates = import_module("members.selectors.duplicates")
        panels.register_guest_panel(
            panels.GuestPanel("members.merges", "members/duplicates/card.html", duplicates.merges_context, 40, "side")
        )
