"""Addresses of the API below `/api/`: `v1/…`, `schema/` and the documentation."""

from django.urls import include, path, re_path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from config.api import not_found

app_name = "api"

# The document describes the API and holds no data, so anybody may read it.
urlpatterns = [
    path("v1/", include("members.api.urls")),
    path("v1/", include("loyalty.api.urls")),
    path("schema/", SpectacularAPIView.as_view(permission_classes=[], authentication_classes=[]), name="schema"),
    path(
        "docs/",
        SpectacularSwaggerSplitView.as_view(
            url_name="api:schema",
            permission_classes=[],
            authentication_classes=[],
            template_name="api/docs.html",
        ),
        name="docs",
    ),
    re_path(r"^", not_found),
]
