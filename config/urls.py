"""Every door of the program."""

from django.contrib import admin
from django.urls import include, path

from config import errors, health
from hotels.views import set_language

urlpatterns = [
    path("", include("members.urls")),
    path("", include("loyalty.urls")),
    path("", include("feedback.urls")),
    path("hotels/", include("hotels.urls")),
    path("accounts/", include("allauth.urls")),
    path("admin/", admin.site.urls),
    path("api/", include("config.api_urls")),
    path("i18n/setlang/", set_language, name="set_language"),
    path("health/", health.live, name="health"),
    path("ready/", health.ready, name="ready"),
]

handler400 = errors.bad_request
handler403 = errors.permission_denied
handler404 = errors.page_not_found
handler500 = errors.server_error
