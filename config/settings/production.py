"""Settings of a real installation: refuses to start when something is missing or unsafe."""

from django.core.exceptions import ImproperlyConfigured

from config.settings.base import *
from config.settings.base import env

SECRET_KEY = env.str("SECRET_KEY")
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS")
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[f"https://{host}" for host in ALLOWED_HOSTS])
DATABASES = {"default": {**env.db_url("DATABASE_URL"), "CONN_MAX_AGE": 600, "CONN_HEALTH_CHECKS": True}}
CELERY_BROKER_URL = env.str("CELERY_BROKER_URL")
GUIKE_PII_KEYS = env.list("GUIKE_PII_KEYS")
GUIKE_PII_INDEX_KEY = env.str("GUIKE_PII_INDEX_KEY")
GUIKE_REAL_INPUTS = None

SECURE_SSL_REDIRECT = env.bool("SECURE_SSL_REDIRECT", default=True)
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_HSTS_SECONDS = env.int("SECURE_HSTS_SECONDS", default=31_536_000)
SECURE_HSTS_INCLUDE_SUBDOMAINS = True
SECURE_HSTS_PRELOAD = True
SESSION_COOKIE_SECURE = True
CSRF_COOKIE_SECURE = True
SECURE_REDIRECT_EXEMPT = [r"^health/", r"^ready/"]

EMAIL_CONFIG = env.email_url("EMAIL_URL", default="consolemail://")
vars().update(EMAIL_CONFIG)

# Refuse what would start but leave guests' data or sessions open.
_minimum_secret_length = 50
if len(SECRET_KEY) < _minimum_secret_length or SECRET_KEY.startswith(("development-only", "django-insecure")):
    message = "SECRET_KEY must be at least 50 random characters."
    raise ImproperlyConfigured(message)
if not ALLOWED_HOSTS or "*" in ALLOWED_HOSTS:
    message = "ALLOWED_HOSTS must name the hosts that serve Guike; '*' is refused."
    raise ImproperlyConfigured(message)
if not GUIKE_PII_KEYS or not GUIKE_PII_INDEX_KEY:
    message = "GUIKE_PII_KEYS and GUIKE_PII_INDEX_KEY are needed to keep personal data encrypted."
    raise ImproperlyConfigured(message)
