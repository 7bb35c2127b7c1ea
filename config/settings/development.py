"""Settings of `make demo` and of work on the program; never for guests' real data."""

from config.settings.base import *
from config.settings.base import BASE_DIR, GUIKE_PII_INDEX_KEY, GUIKE_PII_KEYS, env

DEBUG = env.bool("DEBUG", default=False)
SECRET_KEY = env.str("SECRET_KEY", default="development-only-" + "0123456789abcdef" * 4)
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["127.0.0.1", "localhost", "[::1]", "testserver"])
EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"
GUIKE_REAL_INPUTS = env.path("GUIKE_REAL_INPUTS", default=str(BASE_DIR.parent / "shared" / "data"))

# Fixed keys, so that a demo started again can read its own data.
GUIKE_PII_KEYS = GUIKE_PII_KEYS or ["dev:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="]
GUIKE_PII_INDEX_KEY = GUIKE_PII_INDEX_KEY or "ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA="
