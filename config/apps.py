"""The composition root as a Django app, so that its commands are found."""

from django.apps import AppConfig


class ConfigConfig(AppConfig):
    """Holds settings, URLs and the commands that span all apps."""

    name = "config"
