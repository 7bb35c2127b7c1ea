"""The composition root: settings, URLs, Celery, the embedded servers and the demo."""
