"""Guests: profiles, identities, preferences, reservations, stays, imports."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class MembersConfig(AppConfig):
    """Knows the hotels; knows nothing of points."""

    name = "members"
    verbose_name = _("Guests and stays")
