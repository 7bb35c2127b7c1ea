"""Addresses of the API below `/api/`: `v1/…`, `schema/` and the documentation."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
