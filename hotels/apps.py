"""The organisation: brands, properties, departments, staff, audit trail."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class HotelsConfig(AppConfig):
    """The lowest layer: knows nothing of guests or points."""

    name = "hotels"
    verbose_name = _("Hotels")
