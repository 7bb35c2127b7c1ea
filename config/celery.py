"""The Celery application: `celery --app config.celery worker` and `… beat`."""

import logging.config
import os
from typing import Any

from celery import Celery
from celery.signals import setup_logging
from django.conf import settings
from django_structlog.celery.steps import DjangoStructLogInitStep

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.production")

app = Celery("guike")
# The current app is one thread's; the threads of the web server send tasks through the default one.
app.set_default()
app.config_from_object("django.conf:settings", namespace="CELERY")
app.steps["worker"].add(DjangoStructLogInitStep)
app.autodiscover_tasks()


@setup_logging.connect
def log_like_the_web(**_options: Any) -> None:
    """Keep Celery from a logging of its own: workers write the same JSON lines as the web does."""
    logging.config.dictConfig(settings.LOGGING)
