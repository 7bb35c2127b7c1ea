"""Settings shared by every environment: no secret, no unsafe default.

The environment is read in `config.settings` only; every variable is listed in the
settings table of the README.
"""

from pathlib import Path

import django_stubs_ext
import environ
import structlog
from csp.constants import NONE, SELF
from django.urls import reverse_lazy
from django.utils.translation import gettext_lazy as _

django_stubs_ext.monkeypatch()

BASE_DIR = Path(__file__).resolve().parent.parent.parent
env = environ.Env()

DEBUG = False
ALLOWED_HOSTS: list[str] = []

INSTALLED_APPS = [
    # Unfold replaces templates of the admin, so it comes before it.
    "unfold.apps.BasicAppConfig",
    "unfold.contrib.filters",
    "unfold.contrib.forms",
    "unfold.contrib.import_export",
    "config.apps.StaffAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    # For templates of allauth that say how long ago a key was used.
    "django.contrib.humanize",
    "django_htmx",
    "template_partials",
    "csp",
    "django_filters",
    "django_structlog",
    "import_export",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "rest_framework",
    "knox",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_celery_beat",
    "hotels",
    "members",
    "loyalty",
    "feedback",
    "campaigns",
    "config.apps.ConfigConfig",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "config.middleware.RequestLogMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "config.middleware.refuse_null_characters",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "config.middleware.StaffSessionMiddleware",
]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.i18n",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "config.context.staff_shell",
            ],
            "builtins": [
                "django.templatetags.i18n",
                "django.templatetags.static",
                "hotels.templatetags.ui",
            ],
        },
    },
]

# Work on the database.
DATABASES = {"default": env.db_url("DATABASE_URL", default="postgresql:///")}
DATABASES["default"]["CONN_MAX_AGE"] = 600
DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
# Prepared statements live on a connection: off for a pooler that hands connections from one transaction to the next.
DATABASES["default"].setdefault("OPTIONS", {}).setdefault(
    "prepare_threshold", 5 if env.bool("DATABASE_PREPARED", default=True) else None
)
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
ATOMIC_REQUESTS = False

# Staff sign in through allauth; guests and integrations use tokens.
AUTH_USER_MODEL = "hotels.User"
AUTHENTICATION_BACKENDS = [
    "config.access.RoleBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
LOGIN_URL = reverse_lazy("account_login")
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = LOGIN_URL
ACCOUNT_ADAPTER = "config.access.StaffAccountAdapter"
ACCOUNT_FORMS = {"login": "hotels.forms.StaffLoginForm"}
ACCOUNT_LOGIN_METHODS = {"username", "email"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_SESSION_REMEMBER = False
ACCOUNT_REAUTHENTICATION_REQUIRED = True
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_ADAPTER = "config.access.StaffMFAAdapter"
MFA_TOTP_ISSUER = "Guike"
# Addresses of staff are typed by a manager and never verified by a letter.
MFA_ALLOW_UNVERIFIED_EMAIL = True
MFA_RECOVERY_CODES_SHOW_ONCE = True
CSRF_FAILURE_VIEW = "config.errors.csrf_failure"
# How many proxies in front of the program add to X-Forwarded-For; 0 believes none.
ALLAUTH_TRUSTED_PROXY_COUNT: int = env.int("GUIKE_TRUSTED_PROXIES", default=0)
SESSION_COOKIE_AGE = 12 * 3600
SESSION_COOKIE_HTTPONLY = True
CSRF_COOKIE_HTTPONLY = True

# Roles (values of hotels.models.Role) whose holders must have a second factor.
GUIKE_SECOND_FACTOR_ROLES: list[str] = env.list("GUIKE_SECOND_FACTOR_ROLES", default=[])

# Language and time: Chinese first, stored in UTC, shown in the property's zone.
LANGUAGE_CODE = "zh-hans"
LANGUAGES = [("zh-hans", _("Simplified Chinese")), ("en", _("English"))]
# The second completes Chinese of the admin theme; it is written by hand and never extracted.
LOCALE_PATHS = [BASE_DIR / "locale", BASE_DIR / "locale" / "unfold"]
USE_I18N = True
USE_TZ = True
TIME_ZONE = "Asia/Shanghai"

STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
# Uploaded files; never served by URL, read through views that check rights.
MEDIA_ROOT = env.path("GUIKE_MEDIA_ROOT", default=str(BASE_DIR / "var" / "media"))

# Background work. A message is one batch; a lost message loses nothing, see design.
CELERY_BROKER_URL = env.str("CELERY_BROKER_URL", default="redis://127.0.0.1:6379/0")
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TASK_TIME_LIMIT = 3600
CELERY_TASK_SOFT_TIME_LIMIT = 3300
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_TIMEZONE = "UTC"
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_DB_REUSE_MAX = 500
CELERY_BEAT_SCHEDULER = "django_celery_beat.schedulers:DatabaseScheduler"
# redis-compatible brokers redeliver what was not acknowledged within this many seconds.
CELERY_BROKER_TRANSPORT_OPTIONS = {"visibility_timeout": 7200}

# Shared by all web processes, so that rate limits of the login and the API hold for all of them.
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": env.str("CACHE_URL", default=CELERY_BROKER_URL),
        "KEY_PREFIX": "guike",
    },
}

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["hotels.api.authentication.TokenAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["hotels.api.parsers.BodyParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "DEFAULT_THROTTLE_CLASSES": ["rest_framework.throttling.UserRateThrottle"],
    "DEFAULT_THROTTLE_RATES": {"user": "600/min", "integration": "6000/min"},
    "EXCEPTION_HANDLER": "config.api.exception_handler",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
    "COERCE_DECIMAL_TO_STRING": True,
}
REST_KNOX = {"TOKEN_TTL": None, "AUTO_REFRESH": False, "TOKEN_PREFIX": "gk_"}
SPECTACULAR_SETTINGS = {
    "TITLE": "Guike API",
    "DESCRIPTION": "Loyalty and CRM for hotel groups: the member's view and the integration doors.",
    "VERSION": "1.0.0",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
}

# The admin's look; its navigation and names come from config.sites.
UNFOLD = {
    "SITE_TITLE": "config.sites.site_title",
    "SITE_HEADER": "config.sites.site_title",
    "SITE_SUBHEADER": _("Loyalty and guest relations"),
    "SITE_SYMBOL": "loyalty",
    "SITE_URL": "/",
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": "config.sites.favicon"}],
    "SHOW_LANGUAGES": True,
    "SHOW_VIEW_ON_SITE": False,
    "SHOW_BACK_BUTTON": True,
    "STYLES": ["config.sites.admin_style"],
    "THEME": "light",
    "BORDER_RADIUS": "6px",
    "COLORS": {
        "primary": {
            "50": "#f0f7f6",
            "100": "#d9ebe9",
            "200": "#b5d7d3",
            "300": "#84bbb5",
            "400": "#4f9a92",
            "500": "#2f7d76",
            "600": "#0f5c57",
            "700": "#0d504c",
            "800": "#0b4743",
            "900": "#0a3b38",
            "950": "#062523",
        },
    },
    "SIDEBAR": {"show_search": True, "show_all_applications": False, "navigation": "config.sites.sidebar"},
    "ACCOUNT": {"navigation": "config.sites.account_links"},
}

# A strict policy for every page; the admin's relaxation is in config.middleware.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "connect-src": [SELF],
        "object-src": [NONE],
        "base-uri": [NONE],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    },
}
X_FRAME_OPTIONS = "DENY"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"

# Personal data at rest: "id:base64key,…", the first key encrypts, the others still
# decrypt; the index key feeds the blind indexes and never rotates alone.
GUIKE_PII_KEYS: list[str] = env.list("GUIKE_PII_KEYS", default=[])
GUIKE_PII_INDEX_KEY: str = env.str("GUIKE_PII_INDEX_KEY", default="")
# What identifies nobody, so that it never makes two guests one: numbers in E.164 of switchboards and agencies,
# and domains whose addresses forward to a guest for one booking.
GUIKE_SHARED_PHONES: list[str] = env.list("GUIKE_SHARED_PHONES", default=[])
GUIKE_RELAY_DOMAINS: list[str] = env.list(
    "GUIKE_RELAY_DOMAINS",
    default=["guest.booking.com", "guest.airbnb.com", "guest.trip.com", "m.expediapartnercentral.com"],
)
# Reveals of unmasked personal data by one user in a day before managers are alerted
# and further reveals are refused.
GUIKE_REVEAL_DAILY_LIMIT: int = env.int("GUIKE_REVEAL_DAILY_LIMIT", default=50)

DATA_UPLOAD_MAX_MEMORY_SIZE = 5 * 1024 * 1024
FILE_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024
# Largest sheet accepted by an import, in bytes.
# The largest single charge or rebate on a folio, by currency; `*` is for all others. A million yuan is more than
# any line a hotel writes, banquets included, and catches a decimal point left out (1088.00 → 108800) at the large end;
# where the unit of money is small the same sum has more digits. Above it a charge is split, or the setting raised:
# GUIKE_MAX_LINE_AMOUNT=*=1000000,JPY=20000000
GUIKE_MAX_LINE_AMOUNT: dict[str, int] = env.dict(
    "GUIKE_MAX_LINE_AMOUNT",
    cast={"value": int},
    default={
        "*": 1_000_000,
        "JPY": 20_000_000,
        "THB": 5_000_000,
        "KRW": 200_000_000,
        "IDR": 2_500_000_000,
        "VND": 4_000_000_000,
    },
)
GUIKE_IMPORT_MAX_BYTES: int = env.int("GUIKE_IMPORT_MAX_BYTES", default=100 * 1024 * 1024)

structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.filter_by_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        structlog.processors.UnicodeDecoder(),
        structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
    ],
    logger_factory=structlog.stdlib.LoggerFactory(),
    cache_logger_on_first_use=True,
)
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "json": {
            "()": structlog.stdlib.ProcessorFormatter,
            "processor": structlog.processors.JSONRenderer(ensure_ascii=False),
            "foreign_pre_chain": [
                structlog.contextvars.merge_contextvars,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                structlog.stdlib.add_logger_name,
                structlog.stdlib.add_log_level,
            ],
        },
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "json"}},
    "root": {"handlers": ["console"], "level": "INFO"},
    # Tells of every glyph of every PDF.
    "loggers": {"fontTools": {"level": "WARNING"}},
}
DJANGO_STRUCTLOG_CELERY_ENABLED = True
DJANGO_STRUCTLOG_USER_ID_FIELD = "pk"
