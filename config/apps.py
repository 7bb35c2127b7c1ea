"""The composition root as a Django app, so that its commands are found."""

from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig

# Without it the web process would send its tasks to no broker of ours.
import config.celery  # noqa: F401


class ConfigConfig(AppConfig):
    """Holds settings, URLs and the commands that span all apps."""

    name = "config"

    def ready(self) -> None:
        """Register what the root adds to the apps."""
        from config import ciphertexts  # noqa: PLC0415 - models are not loaded before

        ciphertexts.register()


class StaffAdminConfig(AdminConfig):
    """The admin on our own site, which staff enter by role through the staff login."""

    default_site = "config.sites.StaffAdminSite"
