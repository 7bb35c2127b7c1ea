"""Complaints and requests of guests: tickets with an owner and a clock."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class FeedbackConfig(AppConfig):
    """Knows guests and their membership."""

    name = "feedback"
    verbose_name = _("Guest feedback")
