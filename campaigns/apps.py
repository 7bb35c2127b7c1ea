"""Marketing: campaigns to groups of guests."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class CampaignsConfig(AppConfig):
    """The top layer: may read everything below."""

    name = "campaigns"
    verbose_name = _("Marketing")
