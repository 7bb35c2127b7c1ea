"""Settings of a real installation: refuses to start when something is missing or unsafe."""

import base64

from django.core.exceptions import ImproperlyConfigured

from config.settings.base import *
from config.settings.base import env

SECRET_KEY = env.str("SECRET_KEY")
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS")
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[f"https://{host}" for host in ALLOWED_HOSTS])
DATABASES = {
    "default": {
        **env.db_url("DATABASE_URL"),
        "CONN_MAX_AGE": 600,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": DATABASES["default"]["OPTIONS"],
    }
}
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


def _is_pii_key(text: str) -> bool:
    try:
        key = base64.b64decode(text, validate=True)
    except ValueError:
        return False
    # The keys of the development settings are text that everybody can read.
    return len(key) == 32 and not key.isalnum()  # noqa: PLR2004 - AES-256


# Refuse what would start but leave guests' data or sessions open.
_minimum_secret_length = 50
if len(SECRET_KEY) < _minimum_secret_length or SECRET_KEY.startswith(("development-only", "django-insecure")):
    message = "SECRET_KEY must be at least 50 random characters."
    raise ImproperlyConfigured(message)
if not ALLOWED_HOSTS or "*" in ALLOWED_HOSTS:
    message = "ALLOWED_HOSTS must name the hosts that serve Guike; '*' is refused."
    raise ImproperlyConfigured(message)
if DATABASES["default"].get("ENGINE") != "django.db.backends.postgresql":
    message = "DATABASE_URL must lead to PostgreSQL: postgres://user:password@host:5432/name."
    raise ImproperlyConfigured(message)
if not CELERY_BROKER_URL:
    message = "CELERY_BROKER_URL must lead to Valkey or Redis: redis://host:6379/0."
    raise ImproperlyConfigured(message)
_pii_keys = [GUIKE_PII_INDEX_KEY, *(key.partition(":")[2] for key in GUIKE_PII_KEYS)]
if not GUIKE_PII_KEYS or not all(map(_is_pii_key, _pii_keys)):
    message = (
        "GUIKE_PII_KEYS (id:key,…) and GUIKE_PII_INDEX_KEY (key) are needed to keep personal data encrypted;"
        " a key is 32 random bytes in base64, and not one of the development settings."
    )
    raise ImproperlyConfigured(message)
